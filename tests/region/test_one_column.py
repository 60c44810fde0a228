"""A put of one column of a row of many: what is seen of the row, and that it does not grow."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch, Durability
from regionserver.region.dead import AT_ONCE_COLUMNS, every_marker, living
from regionserver.region.family import read_cells, write_cells
from regionserver.region.keys import family_key, plain_order
from regionserver.region.record import HEAD_BYTES, encode_record, head_of, merged, overwritten, read_entries
from regionserver.region.visible import FamilyRules, KeepDeleted, Wanted, visible
from registry.wire.cellblock import Cell, KeyType
from tests.region.cells import cell, cells, entries
from tests.support.seeds import examples

KEY = family_key(b"p" + plain_order(b"row"), b"cf")
USUAL = FamilyRules()
RULES = [
    USUAL,
    FamilyRules(3),
    FamilyRules(keep_deleted=KeepDeleted.TRUE),
    FamilyRules(keep_deleted=KeepDeleted.TTL),
    FamilyRules(ttl_ms=1000),
    FamilyRules(1, 1, 50),
]


class Row:
    """One row and family, and beside it all cells that were ever written."""

    def __init__(self, rules: FamilyRules) -> None:
        self.store = MemoryStore()
        self.rules = rules
        self.written: list[Cell] = []

    def write(self, new: list[Cell], now_ms: int) -> None:
        batch = Batch()
        write_cells(self.store, batch, KEY, entries(new), self.rules, now_ms)
        self.store.commit(batch, Durability.PROCESS, lambda error: None)
        order = {(each.qualifier, -each.timestamp_ms, -each.key_type): each for each in [*self.written, *new]}
        self.written = [order[key] for key in sorted(order)]

    @property
    def record(self) -> bytes:
        return self.store.get(KEY) or encode_record([])

    def seen(self, wanted: Wanted, now_ms: int) -> list[Cell]:
        return cells(visible(read_cells(self.store, KEY, self.record), self.rules, wanted, now_ms))

    def due(self, wanted: Wanted, now_ms: int) -> list[Cell]:
        return cells(visible(entries(self.written), self.rules, wanted, now_ms))


def whole(count: int, timestamp_ms: int) -> list[Cell]:
    return [cell(b"q%02d" % number, timestamp_ms, value=b"whole") for number in range(count)]


def test_a_row_of_many_columns_keeps_one_version():
    row = Row(USUAL)
    row.write(whole(10, 100), 100)
    dice = random.Random(7)
    for now_ms in range(101, 200):
        row.write([cell(b"q%02d" % dice.randrange(10), now_ms, value=b"%d" % now_ms * dice.randrange(9))], now_ms)
        head = head_of(row.record)
        assert (head.marks, head.cells_count, head.newest_ms) == (0, 10, now_ms)
        assert row.seen(Wanted(), now_ms) == row.due(Wanted(), now_ms)


def test_versions_of_the_whole_row_go_with_the_first_column():
    row = Row(USUAL)
    row.write(whole(10, 200), 200)
    row.write(whole(10, 100), 210)
    assert head_of(row.record).cells_count == 20
    row.write([cell(b"q05", 300)], 300)
    assert head_of(row.record) == (0, 10, 300, 100)
    assert row.seen(Wanted(), 300) == row.due(Wanted(), 300)


@pytest.mark.parametrize("rules", RULES[1:])
def test_other_families_keep_what_may_be_seen_again(rules: FamilyRules):
    row = Row(rules)
    row.write(whole(10, 100), 100)
    row.write([cell(b"q05", 110)], 110)
    assert head_of(row.record).cells_count == 11


@pytest.mark.parametrize(
    "new",
    [
        cell(b"q05", 99),
        cell(b"q05", 110, ttl_ms=50),
        cell(b"q05", 110, KeyType.DELETE),
        cell(b"q05", 110, KeyType.DELETE_COLUMN),
        cell(b"", 110, KeyType.DELETE_FAMILY),
        cell(b"q", 110),
        cell(b"q055", 110),
        cell(b"q99", 110),
    ],
)
def test_what_does_not_take_a_place_is_added(new: Cell):
    row = Row(USUAL)
    row.write(whole(10, 100), 100)
    row.write([new], 120)
    assert head_of(row.record).cells_count == 11
    assert row.seen(Wanted(), 130) == row.due(Wanted(), 130)
    assert row.seen(Wanted(), 170) == row.due(Wanted(), 170), "what expires is not the last of its column"


def test_a_row_that_is_written_again_as_a_whole_keeps_one_version():
    row = Row(USUAL)
    for now_ms in range(100, 120):
        row.write(whole(10, now_ms), now_ms)
        assert head_of(row.record) == (0, 10, now_ms, now_ms)


columns_written = st.dictionaries(
    st.integers(0, 12), st.tuples(st.integers(95, 105), st.binary(max_size=3)), min_size=1
)


@settings(max_examples=examples(120), deadline=None)
@given(columns_written, columns_written)
def test_puts_in_place_leave_what_is_alive(old: dict[int, tuple[int, bytes]], new: dict[int, tuple[int, bytes]]):
    before, after = (
        entries([cell(b"q%02d" % number, *rest[:1], value=rest[1]) for number, rest in sorted(each.items())])
        for each in (old, new)
    )
    made = overwritten(encode_record(before), after)
    if any(number in old and old[number][0] > new[number][0] for number in new):
        assert made is None
        return
    due = list(living(merged(before, after), USUAL, 200, every_marker))
    assert made is not None
    head = head_of(made)
    assert read_entries(made, HEAD_BYTES) == due
    assert (head.marks, head.cells_count, head.newest_ms) == head_of(encode_record(due))[:3]
    assert head.oldest_ms <= head_of(encode_record(due)).oldest_ms


def test_rows_of_few_columns_keep_what_the_past_has():
    row = Row(USUAL)
    row.write(whole(AT_ONCE_COLUMNS - 1, 100), 100)
    for timestamp_ms in range(101, 110):
        row.write([cell(b"q00", timestamp_ms)], timestamp_ms)
    assert len(row.seen(Wanted(to_ms=105), 110)) == AT_ONCE_COLUMNS - 1
    assert row.seen(Wanted(to_ms=105), 110) == row.due(Wanted(to_ms=105), 110)


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(RULES), st.data())
def test_nobody_who_reads_the_present_can_tell(rules: FamilyRules, data: st.DataObject):
    """Deletes of single versions apart: what they uncover is gone, as it is behind a flush of HBase."""
    row = Row(rules)
    now_ms = 100
    for _ in range(data.draw(st.integers(1, 30))):
        now_ms += data.draw(st.integers(0, 20))
        if data.draw(st.integers(0, 5)) == 0:
            new = whole(data.draw(st.integers(1, 12)), now_ms)
        else:
            kinds = [KeyType.PUT] * 6 + [KeyType.DELETE_COLUMN, KeyType.DELETE_FAMILY]
            kind = data.draw(st.sampled_from(kinds))
            name = b"" if kind == KeyType.DELETE_FAMILY else b"q%02d" % data.draw(st.integers(0, 11))
            time_ms = now_ms + data.draw(st.sampled_from([0, 0, 0, -30, 30]))
            new = [cell(name, time_ms, kind, b"%d" % now_ms, data.draw(st.sampled_from([-1, -1, -1, 40])))]
            if kind != KeyType.PUT:
                new = [new[0]._replace(tags=b"")]
        row.write(new, now_ms)
        assert row.seen(Wanted(), now_ms) == row.due(Wanted(), now_ms)
