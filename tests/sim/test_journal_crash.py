"""The journal on a model disk that stops at any operation: what was committed is there, whole, whatever the crash left.

A small machine (keys set by transactions of several keys at once) writes through the journal, has snapshots made
beside its work, and is killed, cut from power or met by a full disk; each start after that is judged by what clients
were told.

The seed is the parameter of the test. HBEACON_SEEDS=5000 runs more of them; HBEACON_SEED=17 runs one.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator

import pytest

from registry.coordinator.journal import snapshots
from registry.coordinator.journal.format import (
    FORMAT_VERSION,
    HEADER_BYTES,
    DataNotUsable,
    decode_header,
    file_name,
    frame_at,
    parse_name,
)
from registry.coordinator.journal.log import Journal, JournalFailed, JournalSettings
from registry.coordinator.journal.recovery import Recovered, recover
from registry.coordinator.journal.snapshots import SnapshotEncoder, keep_snapshot, temporary_name
from tests.support.crash_files import Crash, Crashed, CrashFiles
from tests.support.seeds import seeds

LIVES = 6
SEEDS = seeds(150)

State = dict[str, int]


def apply(state: State, record: bytes) -> int:
    """A transaction sets all its keys to its zxid; gives the zxid."""
    zxid_text, keys, _ = record.split(b"|", 2)
    for key in keys.split(b","):
        state[key.decode()] = int(zxid_text)
    return int(zxid_text)


def dump(state: State) -> Iterator[bytes]:
    for key, value in sorted(state.items()):
        yield f"{key}={value}".encode()


def rebuild(snapshot: Iterable[bytes], transactions: Iterable[bytes]) -> State:
    state: State = {}
    for record in snapshot:
        key, _, value = record.decode().partition("=")
        state[key] = int(value)
    for record in transactions:
        apply(state, record)
    return state


def read_again(files: CrashFiles) -> tuple[Recovered, State]:
    recovered = recover(files)
    return recovered, rebuild(recovered.snapshot_records, recovered.transactions)


class Simulation:
    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.random = random.Random(seed)
        monkeypatch.setattr(snapshots, "FRAME_RECORDS_MAX", self.random.randint(1, 5))
        self.settings = JournalSettings(
            fsync=self.random.random() < 0.6,
            snapshot_records=self.random.choice((3, 10, 30)),
            snapshots_kept=self.random.randint(1, 3),
            segment_bytes=self.random.choice((1000, 10_000, 10**9)),
        )
        self.states: list[State] = [{}]
        """By zxid."""
        self.told = 0
        """The zxid that clients know to be safe."""
        self.files = CrashFiles(self.random)
        self.journal: Journal | None = None
        self.is_patchy = False
        """Files that the newest snapshot has made needless may lack what a loss of power took."""
        self.started = 0

    # --- one process --------------------------------------------------------------------------------------------

    def life(self) -> None:
        rng = self.random
        files = self.files
        files.crash_at = rng.choice((rng.randint(1, 12), rng.randint(1, 150), -1))
        if rng.random() < 0.15:
            files.fail_at = rng.randint(1, 60)
        try:
            self.run(files)
        except Crashed:
            pass
        except JournalFailed:
            files.fail_at = -1  # the disk recovers; the journal must not, for it has lost count
            assert self.journal is not None
            with pytest.raises(JournalFailed):
                self.journal.commit()
        except DataNotUsable:
            if files.fail_at < 0:
                raise
        crash = rng.choice(tuple(Crash))
        self.files = files.after(crash)
        if crash is Crash.POWER and not self.settings.fsync:
            self.told = 0  # nothing was promised
            self.is_patchy = True
        self.judge(may_be_refused=crash is Crash.POWER and not self.settings.fsync)

    def run(self, files: CrashFiles) -> None:
        rng = self.random
        recovered = recover(files)
        state = rebuild(recovered.snapshot_records, recovered.transactions)
        journal = Journal(files, self.settings, recovered, rng.randbytes)
        assert state == self.states[recovered.last_zxid]
        self.journal = journal
        journal.begin()
        self.told = journal.last_zxid  # whoever reads after the start has seen it
        del self.states[journal.last_zxid + 1 :]
        self.started += 1
        for _ in range(rng.randint(1, 40)):
            self.turn(journal)
            if journal.wants_snapshot():
                self.snapshot(files, journal)
        if rng.random() < 0.3:
            journal.close()

    def turn(self, journal: Journal) -> None:
        rng = self.random
        for _ in range(rng.choice((0, 1, 1, 2, 5))):
            state = dict(self.states[-1])
            zxid = journal.last_zxid + 1
            keys = ",".join(rng.sample("abcdefgh", rng.randint(1, 4)))
            record = f"{zxid}|{keys}|".encode() + rng.randbytes(rng.choice((0, 10, 10, 600, 2000)))
            apply(state, record)
            self.states.append(state)
            journal.append(zxid, record)
        journal.commit()
        self.told = journal.last_zxid

    def check_older_snapshots(self, files: CrashFiles) -> None:
        """Each snapshot that is kept, and what follows it, lead to the same state."""
        image = files.image(Crash.KILLED)
        snapshots = sorted(name for name in image if parse_name(name) and name.startswith("snapshot"))
        assert len(snapshots) <= self.settings.snapshots_kept
        while snapshots and not self.is_patchy:
            recovered, state = read_again(CrashFiles(self.random, image))
            assert file_name("snapshot", recovered.snapshot_zxid) == snapshots[-1]
            assert (recovered.last_zxid, state) == (self.told, self.states[self.told])
            del image[snapshots.pop()]

    def snapshot(self, files: CrashFiles, journal: Journal) -> None:
        """As the keeper does it, with turns of the loop in between."""
        rng = self.random
        zxid = journal.roll()
        encoder = SnapshotEncoder(zxid, dump(dict(self.states[zxid])), rng.randbytes)
        try:
            file = files.create(temporary_name(zxid))
            for piece in encoder.pieces():
                file.write(piece)
                if rng.random() < 0.5:
                    self.turn(journal)
            file.sync()
            if rng.random() < 0.1:
                return  # given up, as by a cancellation
            keep_snapshot(files, zxid, self.settings.snapshots_kept)
        except OSError:
            with contextlib.suppress(OSError):
                files.remove(temporary_name(zxid))
            return
        journal.snapshot_was_kept(encoder.figures)
        self.check_older_snapshots(files)

    # --- what the next start finds ------------------------------------------------------------------------------

    def judge(self, *, may_be_refused: bool) -> None:
        rng = self.random
        try:
            recovered, state = read_again(self.files)
        except DataNotUsable:
            assert may_be_refused
            self.files, self.states, self.told = CrashFiles(rng), [{}], 0
            return
        assert self.told <= recovered.last_zxid < len(self.states), "acknowledged and lost, or never written"
        assert state == self.states[recovered.last_zxid], "half of a transaction"
        again, state_again = read_again(self.files)
        assert (again.last_zxid, again.torn, state_again) == (recovered.last_zxid, recovered.torn, state)
        # a start that writes nothing leaves what it found, also when it is cut short
        files = self.files.after(Crash.KILLED)
        files.crash_at = rng.choice((-1, rng.randint(1, 10)))
        recovered = recover(files)
        rebuild(recovered.snapshot_records, recovered.transactions)
        with contextlib.suppress(Crashed):
            Journal(files, self.settings, recovered, rng.randbytes).begin()
        crash = rng.choice(tuple(Crash)) if self.settings.fsync else Crash.KILLED
        after, state_after = read_again(files.after(crash))
        if files.operation_count != files.crash_at:
            assert (after.last_zxid, state_after) == (recovered.last_zxid, state)
        assert self.told <= after.last_zxid


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_committed_is_there(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(seed, monkeypatch)
    for _ in range(LIVES):
        simulation.life()
    assert simulation.started


@pytest.mark.parametrize("seed", SEEDS[: max(1, len(SEEDS) // 4)])
def test_no_damage_passes_for_a_torn_tail(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One flipped byte is refused, or changes nothing; only in the very last commit may it look like a torn one."""
    simulation = Simulation(seed, monkeypatch)
    rng = simulation.random
    files = CrashFiles(rng)
    simulation.run(files)
    whole, state = read_again(files)
    for _ in range(20):
        image = files.image(Crash.KILLED)
        name = rng.choice(sorted(name for name in image if parse_name(name) and image[name]))
        at = rng.randrange(min(len(image[name]), rng.choice((200, 10**9))))
        image[name] = image[name][:at] + bytes((image[name][at] ^ 1 << rng.randrange(8),)) + image[name][at + 1 :]
        try:
            found, state_found = read_again(CrashFiles(rng, image))
        except DataNotUsable as error:
            if name not in str(error):
                raise
            continue
        if found.torn is None:
            assert (found.last_zxid, state_found) == (whole.last_zxid, state)
        else:
            assert found.torn.name == name == max(each for each in image if each.startswith("journal"))
            assert at >= last_frame(files.image(Crash.KILLED)[name])
            assert state_found == simulation.states[found.last_zxid]


def last_frame(data: bytes) -> int:
    """Where the last frame begins; 0 when there is none."""
    header = decode_header(data)
    assert header is not None
    assert header.format_version == FORMAT_VERSION
    view, offset, last = memoryview(data), HEADER_BYTES, 0
    while (frame := frame_at(view, offset, header.mark)) is not None:
        offset, last = frame.end, offset
    return last
