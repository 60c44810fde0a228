"""Filters of rows, as TestPrefixFilter, TestInclusiveStopFilter, TestPageFilter, TestRandomRowFilter have it."""

from __future__ import annotations

from protos.hbase import Filter_pb2
from regionserver.filters.fuzzy import FuzzyKey
from regionserver.filters.rows import behind_prefix
from tests.filters.cells import HINT, INCLUDE, NEXT_ROW, asked, cell, hint, made


def test_a_prefix_is_jumped_to_and_ends_the_scan():
    filter_ = made(Filter_pb2.PrefixFilter(prefix=b"bb"))
    assert asked(filter_, cell(row="a"), cell(row="b")) == [HINT, HINT]
    assert (filter_.filter_row(), hint(filter_, cell(row="a"))) == (True, (b"bb", b""))
    assert asked(filter_, cell(row="bb"), cell(row="bbz")) == [INCLUDE, INCLUDE]
    assert (filter_.filter_row(), filter_.filter_all_remaining()) == (False, False)
    assert filter_.filter_row_key(b"bc")
    assert filter_.filter_all_remaining()
    assert filter_.filter_row_key(b"bb"), "it is over"


def test_downwards_it_is_come_to_from_behind():
    filter_ = made(Filter_pb2.PrefixFilter(prefix=b"bb"))
    filter_.set_reversed()
    assert asked(filter_, cell(row="c")) == [HINT]
    assert hint(filter_, cell(row="c")) == (b"bc", b"")
    assert asked(filter_, cell(row="bbz"), cell(row="bb")) == [INCLUDE, INCLUDE]
    assert filter_.filter_row_key(b"ba")
    assert filter_.filter_all_remaining()


def test_without_a_prefix_no_row_passes():
    filter_ = made(Filter_pb2.PrefixFilter())
    assert filter_.filter_row_key(b"a")
    assert (filter_.filter_all_remaining(), filter_.filter_cell(cell())) == (False, NEXT_ROW)


def test_downwards_it_is_come_to_whatever_its_bytes_are():
    """HBase counts with signed bytes here, and loses rows."""
    assert [behind_prefix(each) for each in (b"", b"ab", b"a\x7f", b"a\xff\xff", b"\xff")] == [
        None,
        b"ac",
        b"a\x80",
        b"b",
        None,
    ]
    filter_ = made(Filter_pb2.PrefixFilter(prefix=b"\xff"))
    filter_.set_reversed()
    assert filter_.next_cell_hint(cell(row="c")) is None


def test_the_stop_row_is_the_last():
    filter_ = made(Filter_pb2.InclusiveStopFilter(stop_row_key=b"b"))
    assert [filter_.filter_row_key(row) for row in (b"a", b"b", b"b\0", b"a")] == [False, False, True, True]
    assert filter_.filter_all_remaining()
    downwards = made(Filter_pb2.InclusiveStopFilter(stop_row_key=b"b"))
    downwards.set_reversed()
    assert [downwards.filter_row_key(row) for row in (b"c", b"b", b"a")] == [False, False, True]
    assert downwards.filter_cell(cell()) is NEXT_ROW


def test_a_page_is_so_many_rows_that_have_passed():
    filter_ = made(Filter_pb2.PageFilter(page_size=2))
    assert filter_.has_filter_row
    assert [filter_.filter_row(), filter_.filter_all_remaining()] == [False, False]
    assert [filter_.filter_row(), filter_.filter_all_remaining()] == [False, True]
    assert filter_.filter_row_key(b"c")
    assert made(Filter_pb2.PageFilter(page_size=0)).filter_all_remaining()


def test_chance():
    for chance, roll, is_out in (
        (0.5, 0.4, False),
        (0.5, 0.6, True),
        (0.0, 0.0, True),
        (-1.0, 0.0, True),
        (2.0, 0.99, False),
    ):
        filter_ = made(Filter_pb2.RandomRowFilter(chance=chance), roll)
        assert filter_.filter_row_key(b"r") is is_out
        assert filter_.filter_row() is is_out
        assert filter_.filter_cell(cell()) is (NEXT_ROW if is_out else INCLUDE)


def test_behind_a_row_whose_open_places_are_at_their_end_the_next_begins_anew():
    key = FuzzyKey(b"??b", b"\1\1\0", is_mask_v2=False)
    assert key.next_row(b"a\xffc", downwards=False) == b"b\0b"
    assert key.next_row(b"a\xff\xff", downwards=False) == b"b\0b"
    assert key.next_row(b"a\x05c", downwards=False) == b"a\x06b"
