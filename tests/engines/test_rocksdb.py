"""The embedded engine keeps the contract, and what it acknowledged through the death of its process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regionserver.engine.rocksdb import FILE_BYTES, RocksMemory, RocksStore
from regionserver.engine.rocksdb_snapshot import AHEAD_BYTES, AHEAD_VALUES_BYTES, STEP_MAX
from regionserver.engine.store import Batch, Durability, StoreBusy, StoreNotUsable
from tests.engines.contract import StoreContract, commit, everything, put

MIB = 1 << 20


def opened(directory: Path, *, write_buffer_bytes: int = 4 * MIB) -> RocksStore:
    return RocksStore(directory, RocksMemory.of(8 * MIB, 8 * MIB), write_buffer_bytes=write_buffer_bytes)


class TestRocksDB(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[RocksStore]:
        store = opened(tmp_path / "db")
        yield store
        store.close()


def test_all_is_there_after_a_close(tmp_path: Path):
    store = opened(tmp_path / "db")
    for durability in Durability:
        commit(store, Batch([(durability.name.encode(), b"1")]), durability)
    store.close()
    again = opened(tmp_path / "db")
    kept = {key.decode() for key, _ in everything(again)}
    again.close()
    assert kept >= {each.name for each in Durability if each is not Durability.MEMORY}


def test_a_store_that_is_read_can_be_closed_and_opened_at_once(tmp_path: Path):
    """An iterator or snapshot that is still referred to must not keep the lock: the next owner would be refused."""
    store = opened(tmp_path / "db")
    put(store, a="1", b="2")
    scan, snapshot = store.scan(b"", b"z"), store.snapshot()
    of_snapshot = snapshot.scan(b"", b"z")
    assert next(scan) == next(of_snapshot)
    store.close()
    again = opened(tmp_path / "db")
    assert again.get(b"a") == b"1"
    again.close()
    assert scan is not None
    assert of_snapshot is not None


def test_what_is_read_ahead_is_bounded(tmp_path: Path):
    store = opened(tmp_path / "db")
    commit(store, Batch([(b"%04d" % number, bytes(1000 * (number % 30))) for number in range(300)]))
    snapshot, at, found = store.snapshot(), b"", 0
    while pairs := snapshot.pairs(at, b"z", 1000):
        found += len(pairs)
        assert sum(len(value) for _, value in pairs[:-STEP_MAX]) < AHEAD_BYTES
        at = pairs[-1][0] + b"\0"
    assert found == 300
    store.close()


def test_of_large_values_few_are_read_ahead(tmp_path: Path):
    """Steps begin with one, so that sixteen that would each be enough are not all in memory."""
    store = opened(tmp_path / "db")
    commit(store, Batch([(b"%04d" % number, bytes(AHEAD_BYTES)) for number in range(20)]))
    snapshot = store.snapshot()
    assert len(snapshot.pairs(b"", b"z", 100)) == 1
    assert len(snapshot.values(b"", b"z", 100)) == AHEAD_VALUES_BYTES // AHEAD_BYTES
    store.close()


@pytest.mark.parametrize("how", ["stream", "values", "written"])
def test_what_is_damaged_is_not_the_end(tmp_path: Path, how: str):
    store = opened(tmp_path / "db")
    commit(store, Batch([(b"%04d" % number, os.urandom(500)) for number in range(2000)]))
    store.flush()
    store.close()
    [file] = (tmp_path / "db").glob("*.sst")
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8] = bytes(8)
    file.write_bytes(content)
    again = opened(tmp_path / "db")
    snapshot = again.snapshot()
    if how == "written":
        put(again, zz="later")  # then there is no stream, and the iterator alone reads
    lower = b""
    if how == "values":
        values = snapshot.values(lower, b"z", 200)
        while values:
            lower = b"%04d\0" % (int(lower[:4] or -1) + len(values))
            values = snapshot.values(lower, b"z", 200, values[-1])
        assert b"" < lower < b"1999"
    with pytest.raises(StoreNotUsable, match="orruption"):
        list(snapshot.scan(lower, b"z", ahead_count=100))
    again.close()


def test_one_owner(tmp_path: Path):
    store = opened(tmp_path / "db")
    with pytest.raises(StoreNotUsable, match="has it open"):
        opened(tmp_path / "db")
    store.close()


def test_a_place_that_is_none(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreNotUsable, match="RocksDB cannot open it"):
        opened(tmp_path / "file")


def test_a_checkpoint_is_a_store(tmp_path: Path):
    store = opened(tmp_path / "db")
    put(store, a="1")
    store.checkpoint(tmp_path / "copy")
    put(store, a="2", b="2")
    copy = opened(tmp_path / "copy")
    assert everything(copy) == [(b"a", b"1")]
    put(copy, a="3")
    assert everything(store) == [(b"a", b"2"), (b"b", b"2")]
    copy.close()
    store.close()


def test_deleted_ranges_give_their_place_back(tmp_path: Path):
    store = opened(tmp_path / "db")
    batch = Batch()
    for number in range(4000):
        batch.put(b"a%06d" % number, os.urandom(500))
    commit(store, batch)
    store.flush()
    full = store.size_bytes(b"a", b"b")
    assert full > MIB
    batch = Batch()
    batch.clear(b"a", b"b")
    commit(store, batch)
    store.flush()
    store.compact(b"a", b"b")
    assert store.size_bytes(b"a", b"b") < full / 10
    store.close()


def test_damage_in_the_middle_of_the_log_stops_the_open(tmp_path: Path):
    """RocksDB's own default would leave out everything behind the damage, and say nothing."""
    store = opened(tmp_path / "db")
    for number in range(200):
        commit(store, Batch([(b"%06d" % number, os.urandom(1000))]))
    log = max((tmp_path / "db").glob("*.log"), key=lambda path: path.stat().st_size)
    image = bytearray(log.read_bytes())
    image[len(image) // 2] ^= 0x55
    crashed = tmp_path / "crashed"
    _copy_with_log(tmp_path / "db", crashed, log.name, bytes(image))
    store.close()
    with pytest.raises(StoreNotUsable):
        opened(crashed)


def test_a_scan_that_meets_damage_does_not_end_as_if_nothing_followed(tmp_path: Path):
    """A row's chunks, a region that is handed over: half of them without a word would be lost rows."""
    store = opened(tmp_path / "db")
    for number in range(200):
        commit(store, Batch([(b"%06d" % number, os.urandom(3000))]))
    store.flush()
    store.close()
    table = max((tmp_path / "db").glob("*.sst"), key=lambda path: path.stat().st_size)
    image = bytearray(table.read_bytes())
    image[len(image) // 2] ^= 0x55
    table.write_bytes(image)
    store = opened(tmp_path / "db")
    for view in (store, store.uncommitted, store.snapshot()):
        for reverse in (False, True):
            scan, count = view.scan(b"", b"z", reverse=reverse), 0
            with pytest.raises(StoreNotUsable, match="checksum mismatch"):
                for count, _ in enumerate(scan, 1):  # noqa: B007
                    pass
            assert 50 < count < 150
    store.close()


def test_a_log_that_was_cut_off_at_its_end_is_none_the_worse(tmp_path: Path):
    store = opened(tmp_path / "db")
    for number in range(200):
        commit(store, Batch([(b"%06d" % number, os.urandom(1000))]))
    log = max((tmp_path / "db").glob("*.log"), key=lambda path: path.stat().st_size)
    image = log.read_bytes()
    crashed = tmp_path / "crashed"
    _copy_with_log(tmp_path / "db", crashed, log.name, image[:-300])
    store.close()
    again = opened(crashed)
    kept = [key for key, _ in everything(again)]
    again.close()
    assert kept == [b"%06d" % number for number in range(199)]


def _copy_with_log(source: Path, target: Path, log: str, image: bytes) -> None:
    target.mkdir()
    for path in source.iterdir():
        if path.name not in {"LOCK", log} and path.is_file():
            (target / path.name).write_bytes(path.read_bytes())
    (target / log).write_bytes(image)


def test_a_disk_that_is_behind_is_told_and_not_waited_for(tmp_path: Path):
    """Small buffers and no time to write them out: commits are refused at once, and taken again later."""
    store = opened(tmp_path / "db", write_buffer_bytes=64 << 10)
    refused = 0
    for number in range(3000):
        try:
            commit(store, Batch([(b"%06d" % number, bytes(8000))]))
        except StoreBusy:
            refused += 1
    store.flush()
    put(store, again="1")
    kept = len(everything(store))
    store.close()
    print("refused", refused)
    assert kept == 3000 - refused + 1


WRITER = """
import os, sys
from pathlib import Path
from tests.engines.test_rocksdb import opened
from tests.engines.contract import commit
from regionserver.engine.store import Batch, Durability
store = opened(Path(sys.argv[1]))
number = 0
while True:
    batch = Batch()
    for part in range(3):
        batch.put(b"%08d.%d" % (number, part), b"x" * 300)
    commit(store, batch, Durability.POWER if number % 50 == 0 else Durability.PROCESS)
    os.write(1, b"%d\\n" % number)
    number += 1
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path):
    """Batches of three keys; each is there whole up to the last that was told, and none is torn."""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "db")], stdout=subprocess.PIPE, cwd=root
    ) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(500)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    told = [int(line) for line in lines if line.endswith(b"\n")]
    store = opened(tmp_path / "db")
    keys = [key for key, _ in everything(store)]
    store.close()
    assert keys[: 3 * len(told)] == [b"%08d.%d" % (number, part) for number in told for part in range(3)]
    assert len(keys) % 3 == 0
    assert len(keys) <= 3 * (len(told) + 1)


def test_what_lies_beside_a_small_range_is_not_written_anew_with_it(tmp_path: Path):
    """A table of a few rows was compacted with all of its neighbour, for both lay in one file."""
    store = opened(tmp_path / "db")
    chance = random.Random(3)
    for part in range(4):  # which lie over each other, so that they are merged
        commit(store, Batch([(b"a%05d" % number, chance.randbytes(4096)) for number in range(part, 4400, 4)]))
        commit(store, Batch([(b"\xff", b"notes")]))
    store.compact(b"", b"\xff\xff")
    before = files_of(tmp_path / "db")
    assert sum(before.values()) > 4 * FILE_BYTES
    for number in range(3):
        commit(store, Batch([(b"b%d" % number, b"x"), (b"\xff", b"%d" % number)]))
        store.compact(b"b", b"c")
    after = files_of(tmp_path / "db")
    written = sum(size_bytes for name, size_bytes in before.items() if name not in after)
    assert written <= 2 * FILE_BYTES
    store.close()


def files_of(directory: Path) -> dict[str, int]:
    """Their sizes; names are never given twice."""
    return {each.name: each.stat().st_size for each in directory.glob("*.sst")}
