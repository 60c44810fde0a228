"""Chunks that are given as they lie, beside the same cells looked at one by one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from regionserver.region import large_rows
from regionserver.region.large_rows import visible_pieces
from regionserver.region.record import Entry, encode_record, merged
from regionserver.region.visible import FamilyRules, Wanted, visible
from registry.wire.cellblock import Cell, KeyType, decode_cells
from tests.region.cells import cell, entries
from tests.region.test_visible import NOW_MS, many_rules, many_wants, stored_cells
from tests.support.seeds import examples

USUAL = FamilyRules()


def chunks(cells: list[Entry], cuts: set[int]) -> list[bytes]:
    """Cut before the cells of these numbers; before the first: a first chunk without cells."""
    borders = sorted({0, len(cells), *(cut for cut in cuts if cut < len(cells))})
    made = [cells[begin:end] for begin, end in itertools.pairwise(borders)]
    if 0 in cuts or not made:
        made.insert(0, [])
    return [encode_record(each, more=number == 0 and len(made) > 1) for number, each in enumerate(made)]


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records are taken apart from now on."""
    counted: list[int] = []
    read = large_rows.entries_of

    def reading(record: bytes, *, in_order: bool) -> list[Entry]:
        counted.append(len(record))
        return read(record, in_order=in_order)

    monkeypatch.setattr(large_rows, "entries_of", reading)
    return counted


columns = st.sampled_from([b"", b"p", b"q", b"qq"])
puts = st.builds(
    cell, columns, st.integers(NOW_MS - 30, NOW_MS), value=st.sampled_from([b"", b"v", b"\x02cfq", b"row\x02cfq"])
)
many_cells = st.lists(puts, max_size=12) | st.lists(puts | stored_cells, max_size=12)


@settings(max_examples=examples(150), deadline=None)
@given(many_cells, st.sets(st.integers(0, 12)), many_rules, many_wants | st.just(Wanted()))
def test_like_cells_that_are_looked_at(cells: list[Cell], cuts: set[int], rules: FamilyRules, wanted: Wanted):
    stored = merged((), entries(cells))
    records = chunks(stored, cuts)
    due = list(visible(stored, rules, wanted, NOW_MS))
    pieces = list(visible_pieces(iter(records), rules, wanted, NOW_MS))
    assert b"".join([block for block, _, _ in pieces]) == b"".join([entry[3] for entry in due])
    for block, count, tagged in pieces:
        of_piece = list(decode_cells(block, with_tags=True))
        assert len(of_piece) == count > 0
        assert tagged or not any(each.tags for each in of_piece)
    event(f"chunks: {len(records)}, pieces: {len(pieces)}")


def test_only_what_may_hide_something_is_looked_into(monkeypatch: pytest.MonkeyPatch):
    stored = [cell(b"q%02d" % number, 100) for number in range(40)]
    records = chunks(entries(stored), {10, 20, 30})
    counted = looked_at(monkeypatch)
    assert [count for _, count, _ in visible_pieces(iter(records), USUAL, Wanted(), NOW_MS)] == [10] * 4
    assert not counted
    stored.insert(20, cell(b"q19", 50))  # the third chunk begins with an older version
    records = chunks(entries(stored), {10, 20, 30})
    assert [count for _, count, _ in visible_pieces(iter(records), USUAL, Wanted(), NOW_MS)] == [10, 19, 11]
    assert len(counted) == 2
    stored[5:5] = [cell(b"q05", 200, KeyType.DELETE_COLUMN)]
    assert (
        sum(count for _, count, _ in visible_pieces(iter(chunks(entries(stored), {21})), USUAL, Wanted(), NOW_MS)) == 39
    )
    assert len(counted) == 4, "behind a marker all are looked into"
