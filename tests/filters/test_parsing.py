"""Envelopes as clients and others send them: what is refused, with which words, and that nothing takes long."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.hbase import Comparator_pb2, Filter_pb2, HBase_pb2
from regionserver.filters.filter import ReturnCode
from regionserver.filters.parsing import COMPARING, DEPTH_MAX, FILTERS_MAX, OF_PARSER, PLAIN, parse_filter
from registry.wire.errors import DoNotRetryIOException, HBaseError
from tests.filters.cells import cell, made
from tests.support import filters as f
from tests.support.seeds import examples

DESERIALIZATION = "org.apache.hadoop.hbase.exceptions.DeserializationException: "
PAGE = f.envelope(Filter_pb2.PageFilter(page_size=1))


def test_every_class_of_the_real_client_is_known():
    names = set(PLAIN) | set(COMPARING) | set(OF_PARSER)
    messages = {name for name in dir(Filter_pb2) if name.endswith("Filter") and name not in ("Filter", "CompareFilter")}
    assert messages - names == {"FilterAllFilter"}, "2.6.4 has no such class"
    assert names - messages == {"FilterList", "FilterWrapper"}


def refused(message: Filter_pb2.Filter) -> str:
    with pytest.raises(DoNotRetryIOException) as error:
        parse_filter(message, lambda: 0.5)
    return error.value.message


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Filter_pb2.ColumnCountGetFilter(limit=-1), "java.lang.IllegalArgumentException: limit be positive -1"),
        (
            Filter_pb2.ColumnPaginationFilter(limit=-1, offset=1),
            "java.lang.IllegalArgumentException: limit must be positive -1",
        ),
        (
            Filter_pb2.ColumnPaginationFilter(limit=1, offset=-1),
            "java.lang.IllegalArgumentException: offset must be positive -1",
        ),
        (Filter_pb2.PageFilter(page_size=-2), "java.lang.IllegalArgumentException: must be positive -2"),
        (Filter_pb2.TimestampsFilter(timestamps=[1, -3]), "java.lang.IllegalArgumentException: must be positive -3"),
        (
            Filter_pb2.MultipleColumnPrefixFilter(sorted_prefixes=[b"a", b"a"]),
            "java.lang.IllegalArgumentException: prefixes must be distinct",
        ),
        (Filter_pb2.MultiRowRangeFilter(), "java.lang.IllegalArgumentException: No ranges found."),
        (
            Filter_pb2.MultiRowRangeFilter(row_range_list=[Filter_pb2.RowRange(start_row=b"b", stop_row=b"a")]),
            "java.lang.IllegalArgumentException: 1 invaild ranges.\nInvalid range: start row => b, stop row => a\n",
        ),
        (
            Filter_pb2.FuzzyRowFilter(fuzzy_keys_data=[HBase_pb2.BytesBytesPair(first=b"ab", second=b"\0")]),
            r"java.lang.IllegalArgumentException: Fuzzy pair lengths do not match: {ab,\x00}",
        ),
        (Filter_pb2.FuzzyRowFilter(), "java.lang.IllegalArgumentException"),
    ],
)
def test_what_constructors_refuse(message: Message, text: str):
    assert refused(f.envelope(message)) == text
    inner = refused(f.listed(f.envelope(message)))
    assert inner == f"{DESERIALIZATION}org.apache.hadoop.hbase.DoNotRetryIOException: {text}"


def test_names_are_told_where_they_are_unknown():
    unknown = Filter_pb2.Filter(name="com.example.Mine")
    assert refused(unknown) == "java.lang.ClassNotFoundException: com.example.Mine"
    assert refused(Filter_pb2.Filter(name=f.PACKAGE + "FilterAllFilter")).endswith("FilterAllFilter")
    assert "DoNotRetryIOException: java.lang.ClassNotFoundException: com.example.Mine" in refused(f.listed(unknown))
    comparator = Comparator_pb2.Comparator(name="com.example.Mine")
    asked = f.envelope(Filter_pb2.RowFilter(compare_filter=f.compared(f.EQUAL, comparator)))
    assert refused(asked) == f"{DESERIALIZATION}java.io.IOException: java.lang.ClassNotFoundException: com.example.Mine"
    broken = f.envelope(Filter_pb2.ValueFilter(compare_filter=f.compared(f.EQUAL, f.regex("("))))
    assert refused(broken).startswith(f"{DESERIALIZATION}java.io.IOException: java.util.regex.PatternSyntaxException: ")


Around = Callable[[Filter_pb2.Filter], Filter_pb2.Filter]


def nested(depth: int, around: Around) -> Filter_pb2.Filter:
    message = PAGE
    for _ in range(depth - 1):
        message = around(message)
    return message


def skipping(inner: Filter_pb2.Filter) -> Filter_pb2.Filter:
    return f.envelope(Filter_pb2.SkipFilter(filter=inner))


def while_matching(inner: Filter_pb2.Filter) -> Filter_pb2.Filter:
    return f.envelope(Filter_pb2.WhileMatchFilter(filter=inner))


@pytest.mark.parametrize(
    "kind",
    [
        f.listed,
        skipping,
        while_matching,
    ],
)
def test_depth_is_bounded(kind: Around):
    filter_ = made(nested(DEPTH_MAX, kind))
    assert filter_.filter_cell(cell()) is ReturnCode.INCLUDE
    assert f"{DEPTH_MAX} deep" in refused(nested(DEPTH_MAX + 1, kind))
    assert "deep" in refused(nested(2000, kind))


def test_how_many_there_are_is_bounded():
    assert made(f.listed(*[PAGE] * (FILTERS_MAX - 1))).weight == FILTERS_MAX
    assert f"{FILTERS_MAX} filters" in refused(f.listed(*[PAGE] * FILTERS_MAX))
    pair = HBase_pb2.BytesBytesPair(first=b"a", second=b"\0")
    fuzzy = Filter_pb2.FuzzyRowFilter(fuzzy_keys_data=[pair] * FILTERS_MAX)
    assert f"{FILTERS_MAX} filters" in refused(f.envelope(fuzzy))


NAMES = sorted(PLAIN | OF_PARSER)
DRAWN = f.Drawn([b"a", b"b"], [b"f"], [b"", b"q"], [b"", b"v"], [1, 2])


@given(st.sampled_from(NAMES), st.binary(max_size=60))
def test_whatever_bytes_come_there_is_a_filter_or_an_error_of_hbase(name: str, stored: bytes):
    answered(Filter_pb2.Filter(name=f.PACKAGE + name, serialized_filter=stored))


@given(DRAWN.filters(), st.data())
@settings(max_examples=examples(100))
def test_so_it_is_with_one_that_was_damaged(message: Filter_pb2.Filter, data: st.DataObject):
    stored = bytearray(message.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        stored[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    try:
        damaged = Filter_pb2.Filter.FromString(bytes(stored))
    except Exception:  # noqa: BLE001 - no message any more
        return
    if damaged.IsInitialized():
        answered(damaged)


def answered(message: Filter_pb2.Filter) -> None:
    began_s = time.monotonic()
    try:
        filter_ = parse_filter(message, lambda: 0.5)
        filter_.filter_row_key(b"a")
        if filter_.filter_cell(cell()) is ReturnCode.SEEK_NEXT_USING_HINT:
            filter_.next_cell_hint(cell())
    except HBaseError:
        pass
    assert time.monotonic() - began_s < 10
