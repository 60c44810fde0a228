"""A region's store over crashes: what was acknowledged is there, no row is torn, and what is repeated is done once.

Clients put, delete, check, increment and change rows together through ClientService's calls, several in one turn of the
loop, on a real RocksDB that writes its buffers into files meanwhile. At any moment the process is killed or power is
lost (tests.support.store_images); the next life reads what was left and is judged by what clients were told:

- the state is one that was: all commits up to some moment, none behind it;
- that moment is not before the last change that was acknowledged, for a loss of power with FSYNC_WAL;
- an increment that is sent again with its nonce counts once, whether its first answer came, got lost or was never made.

The seed is the parameter of the test. HBEACON_SEEDS=5000 runs more of them; HBEACON_SEED=17 runs one.
"""

from __future__ import annotations

import random
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.multi import MultiCalls
from regionserver.client_service.nonces import Nonce, Nonces, read_kept
from regionserver.client_service.results import Answer, CellForm
from regionserver.client_service.rows import RowCalls
from regionserver.engine.grouped import GroupedStore
from regionserver.engine.rocksdb import RocksMemory, RocksStore
from regionserver.engine.store import Batch, Committed, Durability
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import decode_cells
from registry.wire.errors import HBaseError
from tests.support.crash_files import Crash
from tests.support.seeds import seeds
from tests.support.services import no_services
from tests.support.store_images import Image, log_sizes

LIVES = 5
SEEDS = seeds(15)
PROTO = Client_pb2.MutationProto
DURABILITIES = (PROTO.ASYNC_WAL, PROTO.SYNC_WAL, PROTO.SYNC_WAL, PROTO.USE_DEFAULT, PROTO.FSYNC_WAL)
ROWS = [b"row%d" % number for number in range(6)]
COUNTERS = [b"counter%d" % number for number in range(3)]
UNLOGGED = [b"unlogged%d" % number for number in range(2)]
FAMILIES = (b"f", b"g")
ONE = (1).to_bytes(8, "big")
GROUP = 77
PLANT_SEEDS = 30
NEVER = 1 << 62
IN_MEMORY = Path("/dev/shm")
"""What is synced is the model's affair: a real disk would only take its time."""
MEMORY = RocksMemory.of(8 << 20, 8 << 20)

State = dict[tuple[bytes, bytes], bytes]
"""Row and family, of the only column; rows without a log are left out."""


@dataclass
class Increment:
    """One operation of a client, sent as often as it likes."""

    nonce: int
    row: bytes
    done_at: int
    """The state that it made."""


class Server:
    """One life of it, on a directory."""

    def __init__(self, database: Path, write_buffer_bytes: int) -> None:
        self._soon: list[Callable[[], None]] = []
        self._below = RocksStore(database, MEMORY, write_buffer_bytes=write_buffer_bytes)
        self.store = GroupedStore(self._below, self._soon.append)
        region = Region(RegionRange("t", "t,,1.aa."), dict.fromkeys(FAMILIES, FamilyRules()), self.store, b"prefix00")
        nonces = Nonces()
        nonces.inherit(read_kept(self._below))
        self._region = region
        self._flushes: list[threading.Thread] = []
        self._rows = RowCalls(lambda _: region, nonces)
        self._multi = MultiCalls(self._rows, lambda _: region, no_services)

    def mutate(
        self, request: Client_pb2.MutateRequest, now_ms: int, reply: Callable[[Answer | HBaseError], None]
    ) -> None:
        self._rows.mutate(request, iter(()), CellForm.BLOCK, now_ms, reply)

    def multi(
        self, request: Client_pb2.MultiRequest, now_ms: int, reply: Callable[[Answer | HBaseError], None]
    ) -> None:
        for _ in self._multi.steps(request, iter(()), CellForm.BLOCK, now_ms, reply, lambda: False):
            raise AssertionError("it has all the time")

    def turn_over(self) -> None:
        calls, self._soon[:] = list(self._soon), []
        for call in calls:
            call()

    def read(self, now_ms: int) -> tuple[State, State]:
        """Rows that are logged, and those that are not."""
        found: list[State] = []
        for rows in (ROWS + COUNTERS, UNLOGGED):
            cells = [cell for row in rows for cell in decode_cells(self._region.get(row, {}, now_ms).block)]
            found.append({(cell.row, cell.family): cell.value for cell in cells})
        return found[0], found[1]

    def flush(self) -> None:
        """Beside what goes on; one at a time, two would have to wait for the disk."""
        for each in self._flushes:
            each.join()
        thread = threading.Thread(target=self._below.flush)
        self._flushes.append(thread)
        thread.start()

    def close(self) -> None:
        for each in self._flushes:
            each.join()
        self._below.close()


def _cells(mutation: Client_pb2.MutationProto, value: bytes, families: Sequence[bytes] = FAMILIES) -> None:
    for family in families:
        mutation.column_value.add(family=family).qualifier_value.add(qualifier=b"q", value=value)


class Simulation:
    def __init__(self, seed: int, directory: Path) -> None:
        self.random = random.Random(seed)
        self.directory = directory
        self.database = directory / "0"
        self.write_buffer_bytes = self.random.choice((1 << 20, 4 << 20))
        self.states: list[State] = [{}]
        """After each change that was given to the store."""
        self.told = {Crash.KILLED: 0, Crash.POWER: 0}
        """The state that clients were told of, by what it has to outlive."""
        self.increments: list[Increment] = []
        self.unlogged: set[bytes] = {b""}
        self.now_ms = 1_795_000_000_000
        self.images = 0
        self.answers: list[tuple[int, int, list[Answer | HBaseError]]] = []
        """Of this turn: the state that a call made, its durability, and what it was told."""

    # --- one process ------------------------------------------------------------------------------------------------

    def life(self) -> None:
        rng = self.random
        server = Server(self.database, self.write_buffer_bytes)
        self.told = dict.fromkeys(Crash, len(self.states) - 1)  # whoever reads after the start has seen it
        self.synced: dict[str, int] = log_sizes(self.database)
        for _ in range(rng.choice((1, 5, 20, 40))):
            self.turn(server)
            if rng.random() < 0.06:
                server.flush()
            if rng.random() < 0.04:
                self.judge(*self.crash(server))  # and this one lives on
        for _ in range(rng.randint(0, 4)):
            self.call(server)
        self.hear()
        written = log_sizes(self.database)
        server.turn_over()  # what it says is heard by nobody
        self.answers.clear()
        self.database, crash = self.crash(server, written)
        server.close()
        self.judge(self.database, crash, goes_on=True)

    def turn(self, server: Server) -> None:
        for _ in range(self.random.choice((1, 1, 2, 5))):
            self.call(server)
        server.turn_over()
        self.hear()
        assert not self.answers, "calls that nobody answered"

    def hear(self) -> None:
        """What clients are told."""
        waiting = [each for each in self.answers if not each[2]]
        for made, durability, replies in self.answers:
            if not replies:
                continue
            [reply] = replies
            assert isinstance(reply, Answer), reply
            if durability != PROTO.ASYNC_WAL:
                self.told[Crash.KILLED] = max(self.told[Crash.KILLED], made)
            if durability == PROTO.FSYNC_WAL:
                self.told[Crash.POWER] = max(self.told[Crash.POWER], made)
                self.synced = log_sizes(self.database)
        self.answers = waiting

    def call(self, server: Server) -> None:
        """One of any kind."""
        rng = self.random
        self.now_ms += 1
        durability = rng.choice(DURABILITIES)
        value = b"%d " % len(self.states) + rng.randbytes(rng.choice((0, 10, 10, 700, 5000)))
        replies: list[Answer | HBaseError] = []
        request = Client_pb2.MutateRequest(nonce_group=GROUP)
        mutation = request.mutation
        mutation.row, mutation.durability = rng.choice(ROWS), durability
        state = dict(self.states[-1])
        match rng.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                mutation.mutate_type = PROTO.PUT
                self._put(state, mutation, value, rng.choice((FAMILIES, FAMILIES[:1])))
            case 5:
                mutation.mutate_type = PROTO.DELETE
                for family in FAMILIES:
                    state.pop((mutation.row, family), None)
            case 6:
                if not self._check(request, state, value):
                    durability = PROTO.ASYNC_WAL  # that it was not done promises nothing of what came before
            case 7:
                mutation.row, mutation.durability = rng.choice(UNLOGGED), PROTO.SKIP_WAL
                mutation.mutate_type = PROTO.PUT
                _cells(mutation, value)
                self.unlogged.add(value)
                server.mutate(request, self.now_ms, replies.append)
                return
            case 8 | 9:
                self._increment(server, durability, replies)
                return
            case _:
                self._rows(server, durability, value, replies)
                return
        self._done(state, durability, replies)
        server.mutate(request, self.now_ms, replies.append)

    def _done(self, state: State, durability: int, replies: list[Answer | HBaseError]) -> None:
        self.states.append(state)
        self.answers.append((len(self.states) - 1, durability, replies))

    @staticmethod
    def _put(
        state: State, mutation: Client_pb2.MutationProto, value: bytes, families: Sequence[bytes] = FAMILIES
    ) -> None:
        _cells(mutation, value, families)
        for family in families:
            state[mutation.row, family] = value

    def _check(self, request: Client_pb2.MutateRequest, state: State, value: bytes) -> bool:
        """A put where there is nothing, or where there is something; whether it will be done."""
        mutation = request.mutation
        mutation.mutate_type = PROTO.PUT
        wants_none = self.random.random() < 0.5
        request.condition.row, request.condition.family, request.condition.qualifier = mutation.row, b"f", b"q"
        request.condition.compare_type = HBase_pb2.EQUAL if wants_none else HBase_pb2.NOT_EQUAL
        request.condition.comparator.name = "org.apache.hadoop.hbase.filter.NullComparator"
        holds = ((mutation.row, b"f") not in state) == wants_none
        self._put(state if holds else {}, mutation, value)
        return holds

    def _increment(self, server: Server, durability: PROTO.Durability, replies: list[Answer | HBaseError]) -> None:
        """A new one, or one of the last that is sent again: its answer got lost."""
        rng = self.random
        state = dict(self.states[-1])
        if self.increments and rng.random() < 0.5:
            asked = rng.choice(self.increments[-10:])
        else:
            asked = Increment(len(self.increments) + 1, rng.choice(COUNTERS), NEVER)
            self.increments.append(asked)
        if asked.done_at is NEVER:
            asked.done_at = len(self.states)
            before = int.from_bytes(state.get((asked.row, b"f"), b""), "big")
            for family in FAMILIES:
                state[asked.row, family] = (before + 1).to_bytes(8, "big")
        request = Client_pb2.MutateRequest(nonce_group=GROUP)
        mutation = request.mutation
        mutation.row, mutation.mutate_type, mutation.nonce = asked.row, PROTO.INCREMENT, asked.nonce
        mutation.durability = durability
        _cells(mutation, ONE)
        # what is told again is as durable as its first time was to be
        self._done(state, PROTO.ASYNC_WAL, replies)
        server.mutate(request, self.now_ms, replies.append)

    def _rows(
        self, server: Server, durability: PROTO.Durability, value: bytes, replies: list[Answer | HBaseError]
    ) -> None:
        """Puts of several rows, or changes of one row together."""
        rng = self.random
        request = Client_pb2.MultiRequest(nonceGroup=GROUP)
        part = request.regionAction.add(atomic=rng.random() < 0.5)
        part.region.value = b"t"
        rows = rng.sample(ROWS, rng.randint(1, 4))
        state = dict(self.states[-1])
        for index, row in enumerate(rows):
            mutation = part.action.add(index=index).mutation
            mutation.row, mutation.mutate_type, mutation.durability = (
                rows[0] if part.atomic else row,
                PROTO.PUT,
                durability,
            )
            if part.atomic:
                family = FAMILIES[index % 2]
                _cells(mutation, value, FAMILIES if index == 0 else [family])
            else:
                _cells(mutation, value)
            for family in FAMILIES:
                state[mutation.row, family] = value
        self._done(state, durability, replies)
        server.multi(request, self.now_ms, replies.append)

    # --- what a crash leaves ----------------------------------------------------------------------------------------

    def crash(self, server: Server, written: dict[str, int] | None = None) -> tuple[Path, Crash]:
        """`written`: a write is under way, and this was there before it."""
        self.images += 1
        image = Image(self.database, self.directory / str(self.images))
        crash = self.random.choice(tuple(Crash))
        image.after(crash, self.random, image.sizes if written is None else written, self.synced)
        return image.directory, crash

    def judge(self, database: Path, crash: Crash, *, goes_on: bool = False) -> None:
        server = Server(database, self.write_buffer_bytes)
        found, unlogged = server.read(self.now_ms + 1)
        server.close()
        told = self.told[crash]
        matches = [number for number in range(told, len(self.states)) if self.states[number] == found]
        assert matches, self._wrong(found, told, crash)
        for row in UNLOGGED:
            values = {unlogged.get((row, family), b"") for family in FAMILIES}
            assert len(values) == 1, f"{row} is torn"
            assert values <= self.unlogged, f"{row} has what nobody wrote"
        if goes_on:
            del self.states[matches[-1] + 1 :]
            for each in self.increments:
                if each.done_at >= len(self.states):
                    each.done_at = NEVER

    def _wrong(self, found: State, told: int, crash: Crash) -> str:
        torn = [row for row in ROWS + COUNTERS if found.get((row, b"f")) != found.get((row, b"g"))]
        earlier = [number for number, state in enumerate(self.states[:told]) if state == found]
        if torn:
            return f"{crash}: torn {torn}"
        return f"{crash}: it is state {earlier or 'none'} of {len(self.states)}, clients were told of {told}"


def play(seed: int) -> None:
    with tempfile.TemporaryDirectory(prefix="store-crash-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as directory:
        simulation = Simulation(seed, Path(directory))
        for _ in range(LIVES):
            simulation.life()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_acknowledged_is_there(seed: int) -> None:
    play(seed)


# --- faults that are planted ------------------------------------------------------------------------------------------


def answers_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    real = GroupedStore.commit

    def commit(store: GroupedStore, batch: Batch, durability: Durability, committed: Committed) -> None:
        real(store, batch, durability, lambda _error: None)
        committed(None)

    monkeypatch.setattr(GroupedStore, "commit", commit)


def tears_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    real = RocksStore.commit

    def commit(store: RocksStore, batch: Batch, durability: Durability, committed: Committed) -> None:
        for change in batch.changes[:-1]:
            real(store, Batch([change]), durability, lambda _error: None)
        real(store, Batch(batch.changes[-1:], batch.cleared), durability, committed)

    monkeypatch.setattr(RocksStore, "commit", commit)


def writes_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    real = RocksStore.commit

    def commit(store: RocksStore, batch: Batch, _durability: Durability, committed: Committed) -> None:
        real(store, batch, Durability.MEMORY, committed)

    monkeypatch.setattr(RocksStore, "commit", commit)


def forgets_nonces(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_key(_nonce: Nonce, _at_ms: int) -> bytes:
        return b""

    monkeypatch.setattr("regionserver.client_service.rows.kept_key", no_key)


def keeps_nonces_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the log before the change, and not with it."""
    real = Region.mutate

    def mutate(region: Region, *words: Any) -> object:
        if words[5:]:
            region.store.commit(Batch([(words[5], b"")]), Durability.PROCESS, lambda _error: None)
            assert isinstance(region.store, GroupedStore)
            region.store.write()
        return real(region, *words[:5])

    monkeypatch.setattr(Region, "mutate", mutate)


@pytest.mark.parametrize("plant", [answers_too_early, tears_batches, writes_no_log, forgets_nonces, keeps_nonces_apart])
def test_planted_faults_are_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    for seed in range(PLANT_SEEDS):
        try:
            play(seed)
        except AssertionError as error:
            print(f"seed {seed}: {error}")
            return
    raise AssertionError(f"{PLANT_SEEDS} seeds have not found that it {plant.__name__}")
