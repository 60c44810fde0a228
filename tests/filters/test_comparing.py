"""Filters that compare, as TestFilter, TestSingleColumnValueFilter, TestDependentColumnFilter have it."""

from __future__ import annotations

import pytest

from protos.hbase import Filter_pb2
from registry.wire.errors import IOException
from tests.filters.cells import INCLUDE, NEXT_COL, NEXT_ROW, SKIP, asked, cell, made
from tests.support import filters as f


def test_by_row():
    filter_ = made(Filter_pb2.RowFilter(compare_filter=f.compared(f.EQUAL, f.binary(b"b"))))
    assert [filter_.filter_row_key(b"a"), filter_.filter_row(), filter_.filter_cell(cell())] == [True, True, NEXT_ROW]
    filter_.reset()
    assert [filter_.filter_row_key(b"b"), filter_.filter_row(), filter_.filter_cell(cell())] == [False, False, INCLUDE]


def test_by_family_qualifier_and_value():
    for message, expected in (
        (Filter_pb2.FamilyFilter(compare_filter=f.compared(f.LESS, f.binary(b"g"))), [INCLUDE, NEXT_ROW]),
        (Filter_pb2.QualifierFilter(compare_filter=f.compared(f.EQUAL, f.substring("P"))), [INCLUDE, SKIP]),
        (Filter_pb2.ValueFilter(compare_filter=f.compared(f.NOT_EQUAL, f.regex("^1"))), [SKIP, INCLUDE]),
        (Filter_pb2.ValueFilter(compare_filter=f.compared(f.NO_OP, None)), [SKIP, SKIP]),
    ):
        told = asked(made(message), cell("p", b"12", family="f"), cell("q", b"21", family="g"))
        assert told == expected, message


def test_a_column_alone():
    message = Filter_pb2.ColumnValueFilter(family=b"f", qualifier=b"q", compare_op="EQUAL", comparator=f.binary(b"1"))
    filter_ = made(message)
    cells = [cell("p", b"1"), cell("q", b"1"), cell("q", b"2"), cell("r", b"1")]
    assert asked(filter_, *cells) == [NEXT_COL, INCLUDE, SKIP, NEXT_ROW]
    assert asked(filter_, cell("p", row="s")) == [NEXT_COL], "each row anew"
    assert [filter_.is_family_essential(family) for family in (b"f", b"g")] == [True, False]


def test_a_row_by_one_column():
    message = f.single_column(b"f", b"q", f.EQUAL, f.binary(b"1"))
    filter_ = made(message)
    assert asked(filter_, cell("p"), cell("q", b"1"), cell("q", b"2"), cell("r")) == [INCLUDE] * 4
    assert not filter_.filter_row()
    assert asked(filter_, cell("p", row="s"), cell("q", b"2", row="s"), cell("r", row="s")) == [
        INCLUDE,
        NEXT_ROW,
        NEXT_ROW,
    ]
    assert filter_.filter_row()
    assert asked(filter_, cell("p", row="t")) == [INCLUDE]
    assert not filter_.filter_row(), "the column need not be there"
    assert filter_.is_family_essential(b"g")


def test_a_row_without_the_column_is_dropped_if_that_is_asked():
    filter_ = made(f.single_column(b"f", b"q", f.EQUAL, f.binary(b"1"), missing=True))
    asked(filter_, cell("p"))
    assert filter_.filter_row()
    assert [filter_.is_family_essential(family) for family in (b"f", b"g")] == [True, False]


def test_older_versions_may_match_too():
    filter_ = made(f.single_column(b"f", b"q", f.EQUAL, f.binary(b"1"), latest=False))
    assert asked(filter_, cell("q", b"2"), cell("q", b"1", timestamp_ms=4), cell("r")) == [INCLUDE] * 3
    assert not filter_.filter_row()


def test_the_column_itself_may_be_left_out():
    single = f.single_column(b"f", b"q", f.EQUAL, f.binary(b"1"))
    filter_ = made(Filter_pb2.SingleColumnValueExcludeFilter(single_column_value_filter=single))
    cells = [cell("p"), cell("q", b"1"), cell("q", family="g")]
    assert asked(filter_, *cells) == [INCLUDE] * 3
    filter_.filter_row_cells(cells)
    assert [(each.family, each.qualifier) for each in cells] == [(b"f", b"p"), (b"g", b"q")]


def test_no_operator_is_none_for_a_single_column():
    filter_ = made(f.single_column(b"f", b"q", f.NO_OP, f.binary(b"1")))
    assert filter_.filter_cell(cell("p")) is INCLUDE
    with pytest.raises(IOException, match="Unknown Compare op NO_OP"):
        filter_.filter_cell(cell("q"))


@pytest.mark.parametrize(("drops", "compares"), [(False, False), (True, False), (False, True), (True, True)])
def test_cells_of_the_times_of_a_column(drops: bool, compares: bool):
    filter_ = made(
        Filter_pb2.DependentColumnFilter(
            column_family=b"f",
            column_qualifier=b"q",
            drop_dependent_column=drops,
            compare_filter=f.compared(f.EQUAL, f.binary(b"1")) if compares else f.compared(f.NO_OP, None),
        )
    )
    cells = [
        cell("p", timestamp_ms=2),
        cell("p", timestamp_ms=1),
        cell("q", b"1", timestamp_ms=2),
        cell("q", b"2", timestamp_ms=1),
        cell("r", timestamp_ms=3),
    ]
    codes = asked(filter_, *cells)
    of_column = SKIP if drops else INCLUDE
    assert codes == [INCLUDE, INCLUDE, of_column, SKIP if compares else of_column, INCLUDE]
    kept = [each for each, code in zip(cells, codes, strict=True) if code is INCLUDE]
    filter_.filter_row_cells(kept)
    assert {(each.qualifier, each.timestamp_ms) for each in kept} == (
        {(b"p", 2)} | (set() if compares else {(b"p", 1)}) | (set() if drops else {(b"q", 2)})
        | (set() if drops or compares else {(b"q", 1)})
    )  # fmt: skip
    filter_.reset()
    filter_.filter_row_cells(kept)
    assert not kept, "each row anew"
