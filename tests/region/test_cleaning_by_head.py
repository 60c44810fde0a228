"""Records that a clean-up judges by their heads: the same goes as from each row alone, and neighbours go at once."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regionserver.engine.grouped import GroupedStore
from regionserver.engine.memory import MemoryStore
from regionserver.engine.rocksdb import RocksMemory, RocksStore
from regionserver.engine.store import Batch, Committed, Durability, Store, StoreBusy, StoreError
from regionserver.region import cleaning_by_head
from regionserver.region.cleaning import RegionCleaning
from regionserver.region.cleaning_by_head import CLEARED_TOGETHER, ByHead
from regionserver.region.dead import every_marker, living
from regionserver.region.family import read_cells
from regionserver.region.keys import family_key
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.newest_alike import NewestOf
from regionserver.region.newest_cell import NewestCell
from regionserver.region.record import HEAD, Entry, encode_record, head_of, read_entries
from regionserver.region.region import Region, RegionRange
from regionserver.region.scan import PageLimits, ScanRange, ScanShape, open_scan
from regionserver.region.visible import FamilyRules, KeepDeleted, Wanted
from registry.wire.cellblock import Cell, KeyType, Tag, TagType, encode_cell, encode_tags

PUT, DELETE_COLUMN, DELETE_FAMILY = KeyType.PUT, KeyType.DELETE_COLUMN, KeyType.DELETE_FAMILY
PREFIX = b"prefix00"
NOW_MS = 10_000
TTL_MS = 1000
EXPIRED_MS, LIVING_MS = NOW_MS - TTL_MS - 1, NOW_MS - TTL_MS
RULES = {
    b"all": FamilyRules(),
    b"both": FamilyRules(versions_max=2),
    b"min": FamilyRules(versions_max=3, versions_min=1, ttl_ms=TTL_MS),
    b"new": FamilyRules(ttl_ms=TTL_MS, new_versions=True),
    b"newest": FamilyRules(versions_min=1, ttl_ms=TTL_MS, keep_deleted=KeepDeleted.TTL),
    b"once": FamilyRules(ttl_ms=TTL_MS),
    b"ttl": FamilyRules(versions_max=2, ttl_ms=TTL_MS),
}
TTL_ALONE = {b"ttl": RULES[b"ttl"]}


class Told(MemoryStore):
    """Says what it was given to write."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []
        self.busy = False

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        if self.busy:
            raise StoreBusy("busy")
        self.batches.append(batch)
        super().commit(batch, durability, committed)


@pytest.fixture(params=["memory", "rocksdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    below = (
        MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "db", RocksMemory.of(8 << 20, 8 << 20))
    )
    made = GroupedStore(below, _forget)
    yield made
    made.close()


def _forget(turn_over: Callable[[], None]) -> None:
    """Whoever reads has what waits written."""


def ended(error: StoreError | None) -> None:
    assert error is None


def region_on(store: Store, families: dict[bytes, FamilyRules] | None = None) -> Region:
    return Region(RegionRange("t", "t,,1.aa."), families or RULES, store, PREFIX)


def put(where: Region, number: int, timestamp_ms: int, family: bytes = b"ttl", qualifier: bytes = b"q") -> None:
    change = Change(family, qualifier, timestamp_ms, PUT, b"%d" % number)
    where.mutate([Mutation(MutationKind.PUT, row(number), [change])], Durability.PROCESS, ended, NOW_MS)


def row(number: int) -> bytes:
    return b"row%04d" % number


def clean(where: Region, slice_bytes: int = 1 << 20) -> RegionCleaning:
    passed = RegionCleaning(where)
    while passed.slice(NOW_MS, slice_bytes):
        pass
    return passed


def stored(where: Region, number: int, family: bytes) -> list[Entry]:
    key = family_key(where.row_key(row(number)), family)
    first = where.store.get(key)
    return list(read_cells(where.store, key, first, in_order=RULES[family].new_versions)) if first is not None else []


def rows_left(where: Region) -> list[int]:
    keys = [key for key, _ in where.store.scan(PREFIX, PREFIX + b"\xff")]
    return [int(key[len(PREFIX) + 3 :][:4]) for key in keys]


def some_changes(chance: random.Random) -> tuple[MutationKind, list[Change]]:
    """Of one family, old or new, and sometimes of a kind that needs a look."""
    family, old = chance.choice(list(RULES)), chance.random() < 0.7
    times = (chance.randrange(1, LIVING_MS) if old else chance.randrange(LIVING_MS, NOW_MS) for _ in range(9))
    name = chance.choice([b"", b"p", b"q"])
    kind = chance.choices(["puts", "tagged", "large", "column", "family"], [30, 1, 1, 1, 1])[0]
    if kind == "column":
        return MutationKind.DELETE, [Change(family, name, next(times), DELETE_COLUMN)]
    if kind == "family":
        return MutationKind.DELETE, [Change(family, b"", next(times), DELETE_FAMILY)]
    tags = encode_tags([Tag(TagType.TTL, (300).to_bytes(8, "big"))]) if kind == "tagged" else b""
    value = bytes(9000) if kind == "large" else b"value"
    return MutationKind.PUT, [
        Change(family, name, next(times), PUT, value, tags) for _ in range(chance.randrange(1, 4))
    ]


@pytest.mark.parametrize("number", range(8))
def test_rows_together_are_cleaned_as_each_alone(number: int, store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cleaning_by_head, "CLEARED_TOGETHER", 2)
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    where = region_on(store)
    alone: dict[int, Region] = {}
    at = 0
    for _ in range(300):
        at = chance.randrange(60) if chance.random() < 0.2 else (at + 1) % 60  # runs of neighbours, and some again
        kind, changes = some_changes(chance)
        for region in (where, alone.setdefault(at, region_on(MemoryStore()))):
            region.mutate([Mutation(kind, row(at), changes)], Durability.PROCESS, ended, NOW_MS)
    before = {each: [stored(where, each, family) for family in RULES] for each in alone}
    passed = clean(where, chance.choice([1, 2000, 1 << 20]))
    dropped_count = sum(clean(region, 1).cells_dropped_count for region in alone.values())
    for each, region in alone.items():
        for family, cells in zip(RULES, before[each], strict=True):
            left = stored(where, each, family)
            assert left == stored(region, each, family)
            if not RULES[family].new_versions and cells:
                assert left == list(living(cells, RULES[family], NOW_MS, every_marker))
    assert passed.cells_dropped_count == dropped_count > 0, "told when what was read above was written"


def test_what_lies_together_goes_by_one_range():
    """And what is between living rows one by one; a scan that was open sees everything to its end."""
    told = Told()
    where = region_on(told, TTL_ALONE)
    for number in range(200):
        is_alive = number in (0, 100, 102, 199)
        put(where, number, LIVING_MS if is_alive else EXPIRED_MS)
    scan = open_scan(where, ScanRange(), ScanShape({b"ttl": Wanted(raw=True)}), NOW_MS)
    told.batches.clear()
    passed = clean(where)
    assert passed.cells_dropped_count == 196
    [batch] = told.batches
    keys = [family_key(where.row_key(row(each)), b"ttl") for each in range(200)]
    assert batch.cleared == [(keys[1], keys[99] + b"\0"), (keys[103], keys[198] + b"\0")]
    assert batch.changes == [(keys[101], None)]
    assert rows_left(where) == [0, 100, 102, 199]
    assert len(scan.page(PageLimits()).counts) == 200
    scan.close()


def test_what_came_before_a_slice_lies_in_no_range_of_it():
    """A row that is written between two slices, among those that are dead."""
    told = Told()
    where = region_on(told, TTL_ALONE)
    for number in range(0, 3000, 2):
        put(where, number, EXPIRED_MS)
    passed = RegionCleaning(where)
    written: list[int] = []
    while passed.slice(NOW_MS, 8192):
        written.append(2 * passed.records_read_count + 1)
        put(where, written[-1], LIVING_MS)  # behind the next dead row
    assert len(written) > 5
    assert rows_left(where) == written


def test_a_row_that_is_not_known_ends_a_range():
    """Its record of a family that the table has no more lies between those that expired, and stays."""
    told = Told()
    where = region_on(told, TTL_ALONE)
    for number in range(60):
        put(where, number, EXPIRED_MS)
    gone = family_key(where.row_key(row(30)), b"gone")
    cell = encode_cell(Cell(row(30), b"gone", b"q", 1, PUT, b""), with_tags=True)
    told.commit(Batch([(gone, encode_record(read_entries(cell)))]), Durability.PROCESS, ended)
    told.batches.clear()
    clean(where)
    assert rows_left(where) == [30]
    assert told.get(gone) is not None
    assert len(told.batches[0].cleared) == 2


def test_older_versions_go_where_nothing_has_expired():
    """In a family with a time to live too, of which the newest of each column is kept."""
    told = Told()
    where = region_on(told, {b"once": RULES[b"once"]})
    for timestamp_ms in (LIVING_MS, LIVING_MS + 1):
        for number in range(50):
            put(where, number, timestamp_ms, b"once")
    by_head = ByHead(where.families, NOW_MS, 0, NewestOf())
    batch = Batch()
    assert by_head.judge(list(told.scan(PREFIX, PREFIX + b"\xff")), batch) == 50
    by_head.end(batch)
    assert (by_head.dropped_count, len(batch.changes)) == (50, 50)
    clean(where)
    assert [[-entry[1] for entry in stored(where, number, b"once")] for number in range(50)] == [[LIVING_MS + 1]] * 50
    by_head = ByHead(where.families, NOW_MS + 1, 0, NewestOf())
    assert by_head.judge([(key, value) for key, value in batch.changes if value is not None], Batch()) == 0


def test_older_versions_go_with_all_that_has_expired():
    """Rows that are written again live among what has expired of them; they are not looked at again afterwards."""
    told = Told()
    where = region_on(told, {b"once": RULES[b"once"]})
    for number in range(50):
        for timestamp_ms in (EXPIRED_MS - 1, EXPIRED_MS):
            for qualifier in (b"p", b"q", b"r"):
                put(where, number, timestamp_ms, b"once", qualifier)
        for qualifier in (b"p", b"r"):
            put(where, number, LIVING_MS, b"once", qualifier)
    by_head = ByHead(where.families, NOW_MS, 0, NewestOf())
    batch = Batch()
    assert by_head.judge(list(told.scan(PREFIX, PREFIX + b"\xff")), batch) == 50
    by_head.end(batch)
    assert (by_head.dropped_count, len(batch.changes), by_head.left_ms) == (50 * 6, 50, LIVING_MS)
    clean(where)
    for number in range(50):
        assert [(entry[0], -entry[1]) for entry in stored(where, number, b"once")] == [
            (b"p", LIVING_MS),
            (b"r", LIVING_MS),
        ]
    told.batches.clear()
    assert clean(where).records_read_count == 50
    assert not told.batches
    by_head = ByHead(where.families, NOW_MS, 0, NewestOf())
    assert by_head.judge(list(told.scan(PREFIX, PREFIX + b"\xff")), batch) == 50


def test_what_is_written_anew_ends_no_range(store: Store):
    """It is put back by the batch that clears what lies around it."""
    where = region_on(store, {b"once": RULES[b"once"]})
    for number in range(100):
        put(where, number, EXPIRED_MS, b"once")
        if number % 5 == 0:
            put(where, number, LIVING_MS, b"once")
    by_head = ByHead(where.families, NOW_MS, 0, NewestOf())
    batch = Batch()
    assert by_head.judge(list(store.scan(PREFIX, PREFIX + b"\xff")), batch) == 100
    by_head.end(batch)
    keys = [family_key(where.row_key(row(each)), b"once") for each in range(100)]
    assert batch.cleared == [(keys[1], keys[99] + b"\0")]
    assert [key for key, _ in batch.changes] == keys[::5]
    clean(where)
    assert rows_left(where) == list(range(0, 100, 5))
    assert all([-entry[1] for entry in stored(where, number, b"once")] == [LIVING_MS] for number in range(0, 100, 5))


def test_a_record_whose_head_says_more_than_its_cells():
    """It is as old as its cells, all of which have expired."""
    where = region_on(MemoryStore(), {b"once": RULES[b"once"]})
    for timestamp_ms in (EXPIRED_MS - 1, EXPIRED_MS):
        put(where, 0, timestamp_ms, b"once")
    key = family_key(where.row_key(row(0)), b"once")
    record = where.store.get(key)
    assert record is not None
    known, marks, count, _, oldest_ms = HEAD.unpack_from(record)
    made = HEAD.pack(known, marks, count, LIVING_MS, oldest_ms) + record[HEAD.size :]
    where.store.commit(Batch([(key, made)]), Durability.PROCESS, ended)
    assert clean(where).cells_dropped_count == 2
    assert rows_left(where) == []


def test_ranges_have_to_be_longer_where_there_are_many():
    """Who reads pays for each of them."""

    def ways(ranges_count: int, records_count: int) -> tuple[int, int]:
        batch = Batch()
        by_head = ByHead(TTL_ALONE, NOW_MS, ranges_count, NewestOf())
        cell = encode_cell(Cell(b"r", b"ttl", b"q", EXPIRED_MS, PUT, b""), with_tags=True)
        record = encode_record(read_entries(cell))
        records = [(family_key(PREFIX + row(each) + b"\0\0", b"ttl"), record) for each in range(records_count)]
        assert by_head.judge(records, batch) == records_count
        by_head.end(batch)
        assert (by_head.dropped_count, by_head.ranges_count) == (records_count, ranges_count + len(batch.cleared))
        return len(batch.cleared), len(batch.changes)

    assert ways(0, CLEARED_TOGETHER) == (1, 0)
    assert ways(0, CLEARED_TOGETHER - 1) == (0, CLEARED_TOGETHER - 1)
    assert ways(16 * 100, 99) == (0, 99)
    assert ways(16 * 100, 100) == (1, 0)


def test_ranges_of_all_slices_are_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cleaning_by_head, "CLEARED_TOGETHER", 2)
    monkeypatch.setattr(cleaning_by_head, "CLEARED_SHARE", 1)
    told = Told()
    where = region_on(told, TTL_ALONE)
    for number in range(200):
        put(where, number, EXPIRED_MS if number % 4 else LIVING_MS)
    told.batches.clear()
    clean(where, 1024)
    assert len(told.batches) > 5
    assert sum(len(batch.cleared) for batch in told.batches) == 4, "the next had to have four records"
    assert rows_left(where) == list(range(0, 200, 4))


def test_a_family_of_which_only_the_first_chunk_has_expired(store: Store):
    """And nothing but its head says that there are more."""
    where = region_on(store, TTL_ALONE)
    for number in range(20):
        put(where, number, EXPIRED_MS)
    for qualifier, timestamp_ms in ((b"a", EXPIRED_MS), (b"b", LIVING_MS), (b"c", LIVING_MS)):
        change = Change(b"ttl", qualifier, timestamp_ms, PUT, bytes(9000))
        where.mutate([Mutation(MutationKind.PUT, row(7), [change])], Durability.PROCESS, ended, LIVING_MS)
    first = where.store.get(family_key(where.row_key(row(7)), b"ttl"))
    assert first is not None
    assert head_of(first).newest_ms == EXPIRED_MS
    clean(where)
    assert [entry[0] for entry in stored(where, 7, b"ttl")] == [b"b", b"c"]
    assert set(rows_left(where)) == {7}


def test_what_a_process_leaves_that_is_killed_between_slices(tmp_path: Path):
    """Opened again, the store has what readers saw: ranges come back from the log as deletes do."""
    memory = RocksMemory.of(8 << 20, 128 << 20)  # no file is written, or goes, while the directory is copied
    where = region_on(RocksStore(tmp_path / "db", memory), TTL_ALONE)
    for number in range(300):
        put(where, number, EXPIRED_MS if number % 50 else LIVING_MS)
    passed = RegionCleaning(where)
    for number in range(4):
        passed.slice(NOW_MS, 4096)
        shutil.copytree(tmp_path / "db", tmp_path / f"killed{number}")
        left = RocksStore(tmp_path / f"killed{number}", memory)
        assert 6 < len(rows_left(where)) < 300
        assert rows_left(region_on(left, TTL_ALONE)) == rows_left(where)
        left.close()
    while passed.slice(NOW_MS):
        pass
    assert rows_left(where) == [0, 50, 100, 150, 200, 250]
    where.store.close()


def test_a_slice_is_short_however_small_records_are():
    """It is others' turn after so many rows at the latest, those that are passed over too."""
    for timestamp_ms in (LIVING_MS, EXPIRED_MS):
        where = region_on(MemoryStore(), TTL_ALONE)
        for number in range(5000):
            put(where, number, timestamp_ms)
        passed = RegionCleaning(where)
        passed.slice(NOW_MS)
        assert 500 < passed.records_read_count < 2100
    where = region_on(MemoryStore(), {b"all": RULES[b"all"]})
    for number in range(1000):
        for timestamp_ms in (1, 2):
            put(where, number, timestamp_ms, b"all")
    passed = RegionCleaning(where)
    passed.slice(NOW_MS)
    assert 100 < passed.records_read_count < 700


def test_a_range_that_the_store_refuses():
    told = Told()
    where = region_on(told, TTL_ALONE)
    for number in range(100):
        put(where, number, EXPIRED_MS)
    told.busy = True
    passed = clean(where)
    assert (passed.cells_dropped_count, passed.slices_refused_count) == (0, 1)
    told.busy = False
    assert len(rows_left(where)) == 100
    where.newest = NewestCell()  # as of a region that was opened just now: it is read
    assert clean(where).cells_dropped_count == 100
