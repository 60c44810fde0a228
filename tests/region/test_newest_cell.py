"""What is known of a region's newest cell: never too little, however it was written; and what goes unread for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regionserver.engine.grouped import GroupedStore
from regionserver.engine.memory import MemoryStore
from regionserver.engine.rocksdb import RocksMemory, RocksStore
from regionserver.engine.store import Batch, Committed, Durability, Store, StoreBusy, StoreError
from regionserver.filters.comparators import CompareType
from regionserver.region.cleaning import RegionCleaning, clear_expired
from regionserver.region.conditions import Condition
from regionserver.region.keys import family_of, row_key_of
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.newest_cell import NEVER_MS, NewestCell
from regionserver.region.plain_puts import PlainPut
from regionserver.region.record import head_of
from regionserver.region.region import Region, RegionRange
from regionserver.region.shapes import Shape, Shaped
from regionserver.region.visible import FOR_EVER_MS, FamilyRules
from registry.wire.cellblock import LATEST_TIMESTAMP, Cell, KeyType, Tag, TagType, encode_cell, encode_tags

PUT, DELETE_COLUMN, DELETE_FAMILY = KeyType.PUT, KeyType.DELETE_COLUMN, KeyType.DELETE_FAMILY
PREFIX = b"prefix00"
BEGIN_MS = 1_800_000_000_000
SHORT_MS, LONG_MS = 1000, 3000
RULES = {
    b"few": FamilyRules(ttl_ms=SHORT_MS),
    b"long": FamilyRules(ttl_ms=LONG_MS, versions_max=3),
    b"new": FamilyRules(ttl_ms=SHORT_MS, new_versions=True),
}
COLUMNS = b"a", b"b", b"c"


class Busy(MemoryStore):
    """Refuses at times."""

    is_busy = False

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        if self.is_busy:
            raise StoreBusy("busy")
        super().commit(batch, durability, committed)


def _forget(turn_over: Callable[[], None]) -> None:
    """Whoever reads has what waits written."""


def whatever(error: StoreError | None) -> None:
    del error


@pytest.fixture(params=["memory", "rocksdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    below = Busy() if request.param == "memory" else RocksStore(tmp_path / "db", RocksMemory.of(8 << 20, 8 << 20))
    made = GroupedStore(below, _forget)
    yield made
    made.close()


def region_on(store: Store, families: dict[bytes, FamilyRules] | None = None) -> Region:
    return Region(RegionRange("t", "t,,1.aa."), RULES if families is None else families, store, PREFIX)


def put(where: Region, row: bytes, timestamp_ms: int, now_ms: int = BEGIN_MS, family: bytes = b"few") -> None:
    change = Change(family, b"a", timestamp_ms, PUT, b"value")
    where.mutate([Mutation(MutationKind.PUT, row, [change])], Durability.PROCESS, whatever, now_ms)


def clean(where: Region, now_ms: int) -> RegionCleaning:
    passed = RegionCleaning(where)
    while passed.slice(now_ms, 1):
        pass
    return passed


def heads(where: Region) -> Iterator[tuple[bytes, int]]:
    """Family and newest time of each record that is there."""
    for key, record in where.store.scan(PREFIX, PREFIX + b"\xff"):
        yield family_of(key, len(row_key_of(key, len(PREFIX)))), head_of(record).newest_ms


# --- however it was written -------------------------------------------------------------------------------------------


class Writer:
    """Writes rows by every way that there is, with times of its choice."""

    def __init__(self, where: Region, chance: random.Random) -> None:
        self._where, self._chance = where, chance

    def write(self, now_ms: int) -> None:
        way = self._chance.choice(
            (self._mutate, self._mutate, self._plain, self._shaped, self._rows, self._conditional)
        )
        way(now_ms)

    def _time(self, now_ms: int) -> int:
        if self._chance.random() < 0.3:
            return LATEST_TIMESTAMP
        return now_ms + self._chance.randrange(-2 * LONG_MS, SHORT_MS)

    def _row(self) -> bytes:
        return b"row%d" % self._chance.randrange(6)

    def _mutation(self, row: bytes, now_ms: int) -> Mutation:
        chance, family = self._chance, self._chance.choice(list(RULES))
        kind = chance.choice(["put", "put", "tagged", "large", "delete", "family", "row", "increment", "append"])
        column, time_ms = chance.choice(COLUMNS), self._time(now_ms)
        match kind:
            case "delete":
                return Mutation(MutationKind.DELETE, row, [Change(family, column, time_ms, DELETE_COLUMN)])
            case "family":
                return Mutation(MutationKind.DELETE, row, [Change(family, b"", time_ms, DELETE_FAMILY)])
            case "row":
                return Mutation(MutationKind.DELETE, row, [], timestamp_ms=time_ms)
            case "increment":
                change = Change(family, b"sum", LATEST_TIMESTAMP, PUT, (1).to_bytes(8, "big"))
                return Mutation(MutationKind.INCREMENT, row, [change])
            case "append":
                return Mutation(MutationKind.APPEND, row, [Change(family, b"text", LATEST_TIMESTAMP, PUT, b"more")])
            case _:
                tags = encode_tags([Tag(TagType.TTL, (700).to_bytes(8, "big"))]) if kind == "tagged" else b""
                value = bytes(9000) if kind == "large" else b"value"
                return Mutation(MutationKind.PUT, row, [Change(family, column, time_ms, PUT, value, tags)])

    def _mutate(self, now_ms: int) -> None:
        row = self._row()
        mutations = [self._mutation(row, now_ms) for _ in range(self._chance.randrange(1, 3))]
        self._where.mutate(mutations, Durability.PROCESS, whatever, now_ms)

    def _rows(self, now_ms: int) -> None:
        kinds = MutationKind.PUT, MutationKind.DELETE
        mutations = [self._mutation(self._row(), now_ms) for _ in range(3)]
        asked = [each for each in mutations if each.kind in kinds]
        self._where.mutate_rows(asked, Durability.PROCESS, whatever, now_ms)

    def _conditional(self, now_ms: int) -> None:
        """Behind a condition a put is no older than what that looked at."""
        row, family = self._row(), self._chance.choice(list(RULES))
        condition = Condition(row, family, b"a", self._chance.choice(list(CompareType)), b"value")
        change = Change(family, b"a", LATEST_TIMESTAMP, PUT, b"value")
        asked = [Mutation(MutationKind.PUT, row, [change])]
        self._where.mutate(asked, Durability.PROCESS, whatever, now_ms, condition)

    def _quick(self, made: Shaped | PlainPut, now_ms: int) -> None:
        batch = Batch()
        self._where.put_quick(made, batch, now_ms)
        self._where.store.commit(batch, Durability.PROCESS, whatever)

    def _plain(self, now_ms: int) -> None:
        cells = [(column, self._time(now_ms), b"value") for column in COLUMNS]
        self._quick(PlainPut(self._row(), self._chance.choice(list(RULES)), cells), now_ms)

    def _shaped(self, now_ms: int) -> None:
        row, family, time_ms = self._row(), self._chance.choice(list(RULES)), self._time(now_ms)
        cells = [Cell(row, family, column, time_ms, PUT, b"value") for column in COLUMNS]
        block = b"".join(encode_cell(cell) for cell in cells)
        self._quick(Shaped(Shape(cells), row, time_ms, block, 0), now_ms)


@pytest.mark.parametrize("seed", range(20))
def test_no_cell_is_newer_than_what_is_known(seed: int, store: Store):
    chance = random.Random(seed)
    where, now_ms = region_on(store), BEGIN_MS
    writer = Writer(where, chance)
    passed: RegionCleaning | None = None
    known_count = 0
    for _ in range(250):
        now_ms += chance.choice((0, 1, 50, SHORT_MS, LONG_MS + 1) if chance.random() < 0.4 else (0, 1))
        match chance.choices(("write", "clean", "leave", "clear"), (8, 8, 1, 4))[0]:
            case "write":
                writer.write(now_ms)
            case "clean":
                passed = passed or RegionCleaning(where)
                if not passed.slice(now_ms, chance.choice((1, 3000, 1 << 20))):
                    passed = None
            case "leave":  # a region that is closed in its middle, and opened again
                passed = None
            case _:
                living = [1 for family, newest_ms in heads(where) if newest_ms >= now_ms - RULES[family].ttl_ms]
                if clear_expired(where, now_ms):
                    assert not living
                    assert not list(heads(where))
        latest_ms = where.newest.latest_ms
        if latest_ms is not None:
            known_count += 1
            assert all(newest_ms <= latest_ms for _, newest_ms in heads(where))
    assert known_count > 50
    put(where, b"row", now_ms, now_ms)
    clean(where, now_ms)
    assert clear_expired(where, now_ms + LONG_MS + SHORT_MS + 1)
    assert not list(heads(where))


def test_what_a_busy_store_keeps_is_known_all_the_same():
    busy = Busy()
    where = region_on(busy)
    put(where, b"row", BEGIN_MS)
    clean(where, BEGIN_MS)
    now_ms = BEGIN_MS + LONG_MS + 1
    busy.is_busy = True
    assert not clear_expired(where, now_ms)
    assert where.newest.latest_ms == BEGIN_MS
    assert clean(where, now_ms).slices_refused_count == 1
    busy.is_busy = False
    assert clear_expired(where, now_ms), "what stayed is known, though it was to go"
    assert not list(heads(where))


# --- what is known --------------------------------------------------------------------------------------------------


def test_a_region_is_gone_through_once():
    where = region_on(MemoryStore())
    put(where, b"row", BEGIN_MS)
    assert where.newest.latest_ms is None, "there may have been cells before it was opened"
    assert not clear_expired(where, BEGIN_MS + LONG_MS + 1)
    assert clean(where, BEGIN_MS).records_read_count == 1
    assert where.newest.latest_ms == BEGIN_MS
    assert not clear_expired(where, BEGIN_MS + LONG_MS), "the longest time to live is not over"
    passed = clean(where, BEGIN_MS + LONG_MS + 1)
    assert (passed.cleared_whole, passed.records_read_count) == (True, 0)
    assert not list(heads(where))
    assert where.newest.latest_ms == NEVER_MS


def test_an_empty_region_is_not_cleared_again():
    where = region_on(MemoryStore())
    clean(where, BEGIN_MS)
    assert where.newest.latest_ms == NEVER_MS
    assert not clear_expired(where, BEGIN_MS)
    put(where, b"row", BEGIN_MS - 2 * LONG_MS)
    assert clear_expired(where, BEGIN_MS), "older than its time to live when it was written"


@pytest.mark.parametrize(
    ("rules", "goes"),
    [
        (FamilyRules(ttl_ms=SHORT_MS), True),
        (FamilyRules(ttl_ms=SHORT_MS, versions_min=1), False),
        (FamilyRules(), False),
        (FamilyRules(ttl_ms=10 * LONG_MS), False),
    ],
)
def test_each_family_has_a_say(rules: FamilyRules, *, goes: bool):
    where = region_on(MemoryStore(), {b"few": FamilyRules(ttl_ms=SHORT_MS), b"other": rules})
    put(where, b"row", BEGIN_MS)
    clean(where, BEGIN_MS)
    assert clear_expired(where, BEGIN_MS + LONG_MS) is goes


def test_cells_of_a_family_that_the_table_does_not_have_are_nobody_s_to_clear():
    """Somebody may open the region who knows of it."""
    where = region_on(MemoryStore())
    put(where, b"row", BEGIN_MS, family=b"long")
    known = region_on(where.store, {b"few": RULES[b"few"]})
    clean(known, BEGIN_MS)
    assert known.newest.latest_ms == FOR_EVER_MS
    assert not clear_expired(known, BEGIN_MS + 10 * LONG_MS)


def test_what_was_written_before_a_clean_up_counts_until_the_next():
    """Though it has been gone through: a change that somebody holds back is not forgotten meanwhile."""
    newest = NewestCell()
    newest.cleaning_begins()
    newest.cleaning_ended(10)
    newest.written_ms = 20
    newest.cleaning_begins()
    newest.cleaning_ended(11)
    assert newest.latest_ms == 20
    newest.cleaning_begins()
    assert newest.latest_ms == 20, "until it has ended"
    newest.cleaning_ended(11)
    assert newest.latest_ms == 11


def test_a_clean_up_that_did_not_end_says_nothing():
    newest = NewestCell()
    newest.cleaning_begins()
    newest.cleaning_ended(10)
    for written_ms in (30, 20, 5):
        newest.written_ms = written_ms
        newest.cleaning_begins()
        assert newest.latest_ms == 30


def test_scans_that_are_open_lose_nothing(store: Store):
    where = region_on(store)
    put(where, b"row", BEGIN_MS)
    clean(where, BEGIN_MS)
    moment = store.snapshot()
    assert clear_expired(where, BEGIN_MS + LONG_MS + 1)
    assert len(list(moment.scan(PREFIX, PREFIX + b"\xff"))) == 1
    moment.close()
