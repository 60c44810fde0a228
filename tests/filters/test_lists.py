"""Filters of filters: the tables of FilterListWithAND and FilterListWithOR, skip and while-match."""

from __future__ import annotations

import pytest

from protos.hbase import Filter_pb2
from regionserver.filters.filter import Filter, Place, ReturnCode, SeenCell, first_on_column
from regionserver.filters.lists import ALL_OF, ONE_OF, FilterListWithAnd, FilterListWithOr
from regionserver.filters.row_ranges import MultiRowRangeFilter, RowRange
from regionserver.filters.wrapping import FilterWrapper, SkipFilter, WhileMatchFilter
from registry.wire.errors import IOException
from tests.filters.cells import (
    HINT,
    INCLUDE,
    INCLUDE_COL,
    INCLUDE_ROW,
    NEXT_COL,
    NEXT_ROW,
    SKIP,
    asked,
    cell,
    made,
)
from tests.support import filters as f

CODES = [INCLUDE, INCLUDE_COL, INCLUDE_ROW, SKIP, NEXT_COL, NEXT_ROW, HINT]
# Columns: what came before; rows: what comes. As in the comments of the real source.
AND_TABLE = [
    [INCLUDE, INCLUDE_COL, INCLUDE_ROW, SKIP, NEXT_COL, NEXT_ROW, HINT],
    [INCLUDE_COL, INCLUDE_COL, INCLUDE_ROW, NEXT_COL, NEXT_COL, NEXT_ROW, HINT],
    [INCLUDE_ROW, INCLUDE_ROW, INCLUDE_ROW, NEXT_ROW, NEXT_ROW, NEXT_ROW, HINT],
    [SKIP, NEXT_COL, NEXT_ROW, SKIP, NEXT_COL, NEXT_ROW, HINT],
    [NEXT_COL, NEXT_COL, NEXT_ROW, NEXT_COL, NEXT_COL, NEXT_ROW, HINT],
    [NEXT_ROW, NEXT_ROW, NEXT_ROW, NEXT_ROW, NEXT_ROW, NEXT_ROW, HINT],
    [HINT, HINT, HINT, HINT, HINT, HINT, HINT],
]
OR_TABLE = [
    [INCLUDE, INCLUDE, INCLUDE, INCLUDE, INCLUDE, INCLUDE, INCLUDE],
    [INCLUDE, INCLUDE_COL, INCLUDE_COL, INCLUDE, INCLUDE_COL, INCLUDE_COL, INCLUDE],
    [INCLUDE, INCLUDE_COL, INCLUDE_ROW, INCLUDE, INCLUDE_COL, INCLUDE_ROW, INCLUDE],
    [INCLUDE, INCLUDE, INCLUDE, SKIP, SKIP, SKIP, SKIP],
    [INCLUDE, INCLUDE_COL, INCLUDE_COL, SKIP, NEXT_COL, NEXT_COL, SKIP],
    [INCLUDE, INCLUDE_COL, INCLUDE_ROW, SKIP, NEXT_COL, NEXT_ROW, SKIP],
    [INCLUDE, INCLUDE, INCLUDE, SKIP, SKIP, SKIP, HINT],
]


class Scripted(Filter):
    """Says what it is told to; notes what it hears."""

    def __init__(self, *codes: ReturnCode, to: Place | None = None, **marks: bool) -> None:
        self.codes = list(codes)
        self.heard: list[bytes] = []
        self.to = to
        self.is_over = False
        self.rows: dict[bytes, bool] = {}
        self.drops_row = False
        for name, value in marks.items():
            setattr(self, name, value)

    def filter_all_remaining(self) -> bool:
        return self.is_over

    def filter_row_key(self, row: bytes) -> bool:
        self.heard.append(row)
        return self.rows.get(row, False)

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        self.heard.append(cell.qualifier)
        return self.codes.pop(0)

    def transform_cell(self, cell: SeenCell) -> SeenCell:
        return cell.with_value(cell.value + b"+")

    def filter_row(self) -> bool:
        self.heard.append(b"?")
        return self.drops_row

    def next_cell_hint(self, cell: SeenCell) -> Place | None:
        return self.to


def test_the_tables():
    for row, local in enumerate(CODES):
        for column, before in enumerate(CODES):
            assert ALL_OF[before, local] is AND_TABLE[row][column], (before, local)
            assert ONE_OF[before, local] is OR_TABLE[row][column], (before, local)


def test_behind_one_that_drops_a_cell_only_those_with_hints_hear_of_it():
    far, near = (b"r", b"f", b"z", 0, 0), (b"r", b"f", b"y", 0, 0)
    deaf, hinting = Scripted(), Scripted(HINT, to=far, is_hinting=True)
    and_list = FilterListWithAnd([Scripted(INCLUDE_COL), Scripted(SKIP), deaf, hinting])
    assert and_list.filter_cell(cell("q")) is HINT
    assert (deaf.heard, hinting.heard, and_list.next_cell_hint(cell())) == ([], [b"q"], far)
    both = FilterListWithAnd([Scripted(HINT, to=near), Scripted(HINT, to=far, is_hinting=True)])
    assert (both.filter_cell(cell()), both.next_cell_hint(cell())) == (HINT, far)
    both = FilterListWithAnd([Scripted(HINT, to=near), Scripted(HINT, to=far, is_hinting=True)])
    both.set_reversed()
    assert (both.filter_cell(cell()), both.next_cell_hint(cell())) == (HINT, near)


def test_ranges_that_were_not_asked_about_the_row_hinder_nobody_behind_one_that_drops_the_cell():
    """A SkipFilter asks nobody about rows: a MultiRowRangeFilter in it fails, but not behind one that drops the cell.

    Found by histories beside a real HBase, which compares the missing code with the one of a hint, and goes on.
    """
    ranges = MultiRowRangeFilter([RowRange(b"a", b"b")])
    assert FilterListWithAnd([Scripted(SKIP), ranges]).filter_cell(cell()) is SKIP
    with pytest.raises(IOException, match="is null"):
        FilterListWithAnd([Scripted(INCLUDE), ranges]).filter_cell(cell())


def test_ranges_that_were_not_asked_about_the_row_are_no_word_among_several_of_which_one_is_to_pass():
    """HBase merges codes only where there was one before: a SkipFilter around such a list drops rows and fails not.

    Found by histories beside a real HBase.
    """
    ranges = MultiRowRangeFilter([RowRange(b"a", b"b")])
    around = SkipFilter(FilterListWithOr([ranges]))
    for _ in range(2):
        assert (around.filter_cell(cell()), around.filter_row()) == (SKIP, True)
    assert FilterListWithOr([ranges, Scripted(INCLUDE)]).filter_cell(cell()) is INCLUDE
    with pytest.raises(IOException, match="is null"):
        FilterListWithOr([Scripted(INCLUDE), ranges]).filter_cell(cell())
    drops, ends = FilterListWithOr([SkipFilter(ranges)]), FilterListWithOr([WhileMatchFilter(ranges)])
    assert (drops.filter_cell(cell()), drops.filter_row()) == (SKIP, True)
    assert (ends.filter_cell(cell()), ends.filter_all_remaining()) == (SKIP, True)


def test_a_row_is_left_to_filters_with_hints():
    drops, hints = Scripted(), Scripted(is_hinting=True)
    drops.rows[b"r"] = True
    assert not FilterListWithAnd([drops, hints]).filter_row_key(b"r")
    assert hints.heard == [b"r"]
    hints.rows[b"r"] = True
    assert FilterListWithAnd([drops, hints]).filter_row_key(b"r")
    assert FilterListWithOr([drops, hints]).filter_row_key(b"r")
    assert not FilterListWithOr([drops, Scripted()]).filter_row_key(b"r")


def test_what_one_of_several_has_said_holds_until_its_way_is_gone():
    for code, still in ((NEXT_COL, NEXT_COL), (INCLUDE_COL, NEXT_COL), (NEXT_ROW, NEXT_ROW), (INCLUDE_ROW, NEXT_ROW)):
        one, other = Scripted(code, INCLUDE), Scripted(SKIP, SKIP, SKIP)
        or_list = FilterListWithOr([one, other])
        or_list.filter_cell(cell("q"))
        or_list.filter_cell(cell("q", timestamp_ms=4))
        assert one.heard == [b"q"], f"{code} is {still} of the next version"
        or_list.filter_cell(cell("r") if still is NEXT_COL else cell("q", family="g"))
        assert len(one.heard) == 2
    one, other = Scripted(HINT, SKIP, to=first_on_column(cell(), b"s")), Scripted(SKIP, SKIP, SKIP)
    or_list = FilterListWithOr([one, other])
    told = [or_list.filter_cell(cell(each)) for each in ("q", "r", "s")]
    assert (told, one.heard) == ([SKIP, SKIP, SKIP], [b"q", b"s"])


def test_of_several_the_nearest_hint_counts_and_only_if_all_have_one():
    far, near = (b"r", b"f", b"z", 0, 0), (b"r", b"f", b"y", 0, 0)
    for hints, expected in (((far, near), near), ((far, None), None)):
        or_list = FilterListWithOr([Scripted(HINT, to=each) for each in hints])
        assert (or_list.filter_cell(cell()), or_list.next_cell_hint(cell())) == (HINT, expected)


def test_cells_are_changed_by_those_that_take_them():
    or_list = FilterListWithOr([Scripted(INCLUDE), Scripted(SKIP), Scripted(INCLUDE_ROW)])
    or_list.filter_cell(cell())
    assert or_list.transform_cell(cell(value=b"v")).value == b"v++"
    and_list = FilterListWithAnd([Scripted(INCLUDE), FilterListWithAnd([Scripted(INCLUDE)])])
    and_list.filter_cell(cell())
    assert and_list.transform_cell(cell(value=b"v")).value == b"v++"


def test_rows_and_ends():
    for made_of, drops_with_one, over_with_one in ((FilterListWithAnd, True, True), (FilterListWithOr, False, False)):
        one, other = Scripted(), Scripted()
        one.drops_row = one.is_over = True
        both = made_of([one, other])
        assert (both.filter_row(), both.filter_all_remaining()) == (drops_with_one, over_with_one)
        other.drops_row = other.is_over = True
        assert (both.filter_row(), both.filter_all_remaining()) == (True, True)
    gone = Scripted()
    gone.is_over = True
    assert FilterListWithAnd([gone]).filter_cell(cell()) is NEXT_ROW
    assert FilterListWithOr([gone]).filter_cell(cell()) is SKIP
    for empty in (FilterListWithAnd([]), FilterListWithOr([])):
        assert empty.filter_cell(cell()) is INCLUDE
        assert [empty.filter_row(), empty.filter_all_remaining(), empty.filter_row_key(b"r")] == [False] * 3
        assert empty.is_family_essential(b"f")


def test_marks_of_lists_are_those_of_their_filters():
    nested = FilterListWithOr([FilterListWithAnd([Scripted(has_filter_row=True)]), Scripted(may_end=True)])
    assert (nested.has_filter_row, nested.may_end, nested.outlives_row, nested.weight) == (True, True, False, 4)
    nested.set_reversed()
    inner = nested.filters[0]
    assert isinstance(inner, FilterListWithAnd)
    assert inner.filters[0].is_reversed


def test_skip_drops_a_row_that_has_a_cell_that_does_not_pass():
    filter_ = SkipFilter(Scripted(INCLUDE, SKIP, INCLUDE, INCLUDE_COL))
    assert asked(filter_, cell("a")) == [INCLUDE]
    assert not filter_.filter_row()
    assert filter_.filter_cell(cell("b")) is SKIP
    assert filter_.filter_cell(cell("c")) is INCLUDE
    assert filter_.filter_row()
    filter_.reset()
    assert not filter_.filter_row()
    filter_.filter_cell(cell("d"))
    assert filter_.filter_row(), "anything but INCLUDE"
    inner = Scripted()
    assert not SkipFilter(inner).filter_row_key(b"r")
    assert inner.heard == [], "it is not asked about the row's key"


def test_while_match_ends_with_the_first_that_does_not_pass():
    filter_ = WhileMatchFilter(Scripted(INCLUDE, SKIP))
    assert (filter_.filter_cell(cell()), filter_.filter_all_remaining()) == (INCLUDE, False)
    assert (filter_.filter_cell(cell()), filter_.filter_all_remaining()) == (SKIP, True)
    filter_.reset()
    assert filter_.filter_all_remaining(), "for good"
    for inner in (Scripted(), Scripted()):
        inner.rows[b"s"] = inner.drops_row = True
    filter_ = WhileMatchFilter(inner)
    assert [filter_.filter_row_key(b"r"), filter_.filter_all_remaining()] == [False, False]
    assert [filter_.filter_row_key(b"s"), filter_.filter_all_remaining()] == [True, True]
    filter_ = WhileMatchFilter(inner)
    assert [filter_.filter_row(), filter_.filter_all_remaining()] == [True, True]


def test_inside_skip_and_while_match_the_scan_goes_upwards():
    """HBase tells them the direction, and they do not pass it on."""
    for around in (SkipFilter, WhileMatchFilter, FilterWrapper):
        inner = Scripted()
        around(inner).set_reversed()
        assert not inner.is_reversed


def test_a_filter_of_all_kinds_within_each_other():
    asked_ = f.listed(
        f.envelope(Filter_pb2.SkipFilter(filter=f.envelope(Filter_pb2.KeyOnlyFilter(len_as_val=True)))),
        f.listed(f.envelope(Filter_pb2.FirstKeyOnlyFilter()), f.envelope(Filter_pb2.PageFilter(page_size=1)), one=True),
    )
    filter_ = made(asked_)
    assert (filter_.has_filter_row, filter_.weight) == (True, 6)
    assert filter_.filter_cell(cell(value=b"abc")) is INCLUDE
    assert filter_.transform_cell(cell(value=b"abc")).value == b"\0\0\0\3"


def test_older_versions_of_a_column_that_one_has_taken_are_not_taken_again():
    page = f.envelope(Filter_pb2.ColumnPaginationFilter(limit=5, offset=0))
    nothing = f.envelope(Filter_pb2.ValueFilter(compare_filter=f.compared(f.EQUAL, f.binary(b"other"))))
    told = asked(made(f.listed(page, nothing, one=True)), cell(timestamp_ms=5), cell(timestamp_ms=4), cell("r"))
    assert told == [INCLUDE, SKIP, INCLUDE]


def test_what_one_has_said_of_a_row_says_nothing_of_the_next():
    page = f.envelope(Filter_pb2.ColumnPaginationFilter(limit=1, offset=0))
    nothing = f.envelope(Filter_pb2.ValueFilter(compare_filter=f.compared(f.EQUAL, f.binary(b"other"))))
    told = asked(made(f.listed(page, nothing, one=True)), cell(row="a"), cell(row="b"))
    assert told == [INCLUDE, INCLUDE]
