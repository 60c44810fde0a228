"""Filters of columns and times, as TestColumnPrefixFilter, TestColumnPaginationFilter and their kind have it."""

from __future__ import annotations

import pytest

from protos.hbase import Filter_pb2
from regionserver.filters.filter import SeenCell
from registry.wire.cellblock import Cell, KeyType, Tag, TagType, decode_cell, encode_cell, encode_tags
from tests.filters.cells import (
    HINT,
    INCLUDE,
    INCLUDE_COL,
    NEXT_COL,
    NEXT_ROW,
    SKIP,
    asked,
    cell,
    hint,
    made,
)


def columns(*qualifiers: str) -> list[SeenCell]:
    return [cell(each) for each in qualifiers]


def test_a_prefix_is_jumped_to_and_ends_the_row():
    filter_ = made(Filter_pb2.ColumnPrefixFilter(prefix=b"bb"))
    assert asked(filter_, *columns("", "a", "b", "bb", "bbz", "bc")) == [HINT, HINT, HINT, INCLUDE, INCLUDE, NEXT_ROW]
    assert hint(filter_, cell("a")) == (b"r", b"bb")
    assert asked(made(Filter_pb2.ColumnPrefixFilter(prefix=b"")), *columns("", "x")) == [INCLUDE, INCLUDE]


def test_of_several_prefixes_the_next_is_jumped_to():
    filter_ = made(Filter_pb2.MultipleColumnPrefixFilter(sorted_prefixes=[b"d", b"b"]))
    assert asked(filter_, *columns("a")) == [HINT]
    assert hint(filter_, cell("a")) == (b"r", b"b")
    assert asked(filter_, *columns("b", "bz", "c")) == [INCLUDE, INCLUDE, HINT]
    assert hint(filter_, cell("c")) == (b"r", b"d")
    assert asked(filter_, *columns("d1", "e")) == [INCLUDE, NEXT_ROW]
    assert asked(made(Filter_pb2.MultipleColumnPrefixFilter()), *columns("", "x")) == [INCLUDE, INCLUDE]


def test_of_prefixes_within_each_other_the_longer_one_hides_the_shorter():
    """As Java has it: the greatest prefix that is not greater than the column is the one that is looked at."""
    filter_ = made(Filter_pb2.MultipleColumnPrefixFilter(sorted_prefixes=[b"a", b"ab"]))
    assert asked(filter_, *columns("a", "aa", "ab", "ac")) == [INCLUDE, INCLUDE, INCLUDE, NEXT_ROW]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"min_column": b"b", "min_column_inclusive": True, "max_column": b"d"}, [HINT, INCLUDE, INCLUDE, NEXT_ROW]),
        ({"min_column": b"b", "max_column": b"d", "max_column_inclusive": True}, [HINT, NEXT_COL, INCLUDE, INCLUDE]),
        ({"max_column": b"b", "max_column_inclusive": True}, [INCLUDE, INCLUDE, NEXT_ROW, NEXT_ROW]),
        ({"min_column": b"c", "min_column_inclusive": True}, [HINT, HINT, INCLUDE, INCLUDE]),
        ({}, [INCLUDE] * 4),
    ],
)
def test_ranges(fields: dict[str, object], expected: list[object]):
    filter_ = made(Filter_pb2.ColumnRangeFilter(**fields))  # type: ignore[arg-type]
    assert asked(filter_, *columns("a", "b", "c", "d")) == expected
    if HINT in expected:
        assert hint(filter_, cell("a")) == (b"r", fields["min_column"])


def test_so_many_columns_and_then_the_scan_is_over():
    filter_ = made(Filter_pb2.ColumnCountGetFilter(limit=2))
    assert asked(filter_, *columns("a", "b")) == [INCLUDE_COL, INCLUDE_COL]
    assert not filter_.filter_all_remaining()
    assert filter_.filter_cell(cell("c")) is NEXT_COL
    assert filter_.filter_all_remaining()
    assert filter_.filter_row_key(b"s")
    filter_.reset()
    assert not filter_.filter_all_remaining()


def test_pages_of_columns():
    filter_ = made(Filter_pb2.ColumnPaginationFilter(limit=2, offset=1))
    expected = [NEXT_COL, INCLUDE_COL, INCLUDE_COL, NEXT_ROW]
    assert asked(filter_, *columns("a", "b", "c", "d")) == expected
    assert asked(filter_, *columns("a", "b", "c", "d")) == expected, "each row anew"
    filter_ = made(Filter_pb2.ColumnPaginationFilter(limit=2, column_offset=b"b"))
    assert asked(filter_, *columns("a", "b", "c", "d")) == [HINT, INCLUDE_COL, INCLUDE_COL, NEXT_ROW]
    assert hint(filter_, cell("a")) == (b"r", b"b")
    assert asked(made(Filter_pb2.ColumnPaginationFilter(limit=0, offset=0)), *columns("a")) == [NEXT_ROW]


def test_first_keys():
    filter_ = made(Filter_pb2.FirstKeyOnlyFilter())
    assert asked(filter_, cell("a"), cell("b"), cell("a", row="s")) == [INCLUDE, NEXT_ROW, INCLUDE]
    filter_ = made(Filter_pb2.FirstKeyValueMatchingQualifiersFilter(qualifiers=[b"c", b"b"]))
    assert asked(filter_, *columns("a", "b", "c")) == [INCLUDE, INCLUDE, NEXT_ROW]


@pytest.mark.parametrize(("len_as_val", "value"), [(False, b""), (True, b"\0\0\0\5")])
def test_keys_alone_have_no_value_and_no_tags(len_as_val: bool, value: bytes):
    whole = Cell(b"r", b"f", b"q", 5, KeyType.PUT, b"value", encode_tags([Tag(TagType.TTL, b"\0" * 8)]))
    filter_ = made(Filter_pb2.KeyOnlyFilter(len_as_val=len_as_val))
    seen = SeenCell(*whole[:5], encode_cell(whole, with_tags=True))
    assert seen.value == b"value"
    told = filter_.transform_cell(seen)
    cell_, end = decode_cell(memoryview(told.data), 0, with_tags=True)
    assert (cell_, end) == (whole._replace(value=value, tags=b""), len(told.data))
    assert told.value == value
    assert told.place == seen.place


def test_times():
    filter_ = made(Filter_pb2.TimestampsFilter(timestamps=[5, 2, 5]))
    cells = [cell(timestamp_ms=each) for each in (6, 5, 4, 2, 1)]
    assert asked(filter_, *cells) == [SKIP, INCLUDE, SKIP, INCLUDE, NEXT_COL]
    assert filter_.next_cell_hint(cells[0]) is None
    hinting = made(Filter_pb2.TimestampsFilter(timestamps=[5, 2], can_hint=True))
    assert asked(hinting, *cells) == [HINT, INCLUDE, HINT, INCLUDE, NEXT_COL]
    assert hinting.next_cell_hint(cells[2]) == (b"r", b"f", b"q", -2, -255)
    assert asked(made(Filter_pb2.TimestampsFilter()), cell()) == [NEXT_COL]


def test_the_first_column_of_a_page_is_that_of_the_row_not_of_each_family():
    filter_ = made(Filter_pb2.ColumnPaginationFilter(limit=5, column_offset=b"m"))
    told = asked(filter_, cell("a"), cell("n"), cell("a", family="g"))
    assert told == [HINT, INCLUDE_COL, INCLUDE_COL]


def test_a_time_between_those_that_are_wanted_ends_no_column():
    times = made(Filter_pb2.TimestampsFilter(timestamps=[3, 9]))
    assert asked(times, cell(timestamp_ms=4), cell(timestamp_ms=3), cell(timestamp_ms=2)) == [SKIP, INCLUDE, NEXT_COL]
