"""The filter language, as TestParseFilter has it; servers understand what it makes."""

from __future__ import annotations

import contextlib

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import Filter_pb2
from registry.client.filter_language import DEPTH_MAX, FilterSyntaxError, parse_filter_string
from tests.filters.cells import made
from tests.support import filters as f
from tests.support.stories import recorded


def row(compare: int, value: bytes) -> Filter_pb2.Filter:
    return f.envelope(Filter_pb2.RowFilter(compare_filter=f.compared(compare, f.binary(value))))


A, B, C = (f.envelope(Filter_pb2.PrefixFilter(prefix=each)) for each in (b"a", b"b", b"c"))
KEY_ONLY = f.envelope(Filter_pb2.KeyOnlyFilter(len_as_val=False))


def skip(inner: Filter_pb2.Filter) -> Filter_pb2.Filter:
    return f.envelope(Filter_pb2.SkipFilter(filter=inner))


def while_(inner: Filter_pb2.Filter) -> Filter_pb2.Filter:
    return f.envelope(Filter_pb2.WhileMatchFilter(filter=inner))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("KeyOnlyFilter()", Filter_pb2.KeyOnlyFilter(len_as_val=False)),
        ("KeyOnlyFilter(true)", Filter_pb2.KeyOnlyFilter(len_as_val=True)),
        ("FirstKeyOnlyFilter()", Filter_pb2.FirstKeyOnlyFilter()),
        (" PrefixFilter('row' ) ", Filter_pb2.PrefixFilter(prefix=b"row")),
        ("PrefixFilter ('row')", Filter_pb2.PrefixFilter(prefix=b"row")),
        ("ColumnPrefixFilter('qualifier')", Filter_pb2.ColumnPrefixFilter(prefix=b"qualifier")),
        (
            "MultipleColumnPrefixFilter('qualifier2', 'qualifier1')",
            Filter_pb2.MultipleColumnPrefixFilter(sorted_prefixes=[b"qualifier1", b"qualifier2"]),
        ),
        ("ColumnCountGetFilter(4)", Filter_pb2.ColumnCountGetFilter(limit=4)),
        ("PageFilter(4)", Filter_pb2.PageFilter(page_size=4)),
        ("ColumnPaginationFilter(4, 6)", Filter_pb2.ColumnPaginationFilter(limit=4, offset=6)),
        ("InclusiveStopFilter('row3')", Filter_pb2.InclusiveStopFilter(stop_row_key=b"row3")),
        (
            "TimestampsFilter(9223372036854775806, 6)",
            Filter_pb2.TimestampsFilter(timestamps=[6, 9223372036854775806], can_hint=False),
        ),
        (
            "RowFilter ( =,   'binary:regionse')",
            Filter_pb2.RowFilter(compare_filter=f.compared(f.EQUAL, f.binary(b"regionse"))),
        ),
        (
            "FamilyFilter(>=, 'binaryprefix:pre')",
            Filter_pb2.FamilyFilter(compare_filter=f.compared(f.GREATER_OR_EQUAL, f.binary_prefix(b"pre"))),
        ),
        (
            "QualifierFilter(=, 'regexstring:pre*')",
            Filter_pb2.QualifierFilter(compare_filter=f.compared(f.EQUAL, f.regex("pre*"))),
        ),
        (
            "QualifierFilter(=, 'regexstringnocase:pre*')",
            Filter_pb2.QualifierFilter(compare_filter=f.compared(f.EQUAL, f.regex("pre*", 32 | 2))),
        ),
        (
            "ValueFilter(!=, 'substring:PRe:')",
            Filter_pb2.ValueFilter(compare_filter=f.compared(f.NOT_EQUAL, f.substring("pre:"))),
        ),
        (
            "ColumnRangeFilter('abc', true, 'xyz', FALSE)",
            Filter_pb2.ColumnRangeFilter(
                min_column=b"abc", min_column_inclusive=True, max_column=b"xyz", max_column_inclusive=False
            ),
        ),
        (
            "ColumnRangeFilter('', true, '', true)",
            Filter_pb2.ColumnRangeFilter(min_column_inclusive=True, max_column_inclusive=True),
        ),
        (
            "DependentColumnFilter('family', 'qualifier', true, =, 'binary:abc')",
            Filter_pb2.DependentColumnFilter(
                column_family=b"family",
                column_qualifier=b"qualifier",
                drop_dependent_column=True,
                compare_filter=f.compared(f.EQUAL, f.binary(b"abc")),
            ),
        ),
        (
            "DependentColumnFilter('family', 'qualifier')",
            Filter_pb2.DependentColumnFilter(
                column_family=b"family",
                column_qualifier=b"qualifier",
                drop_dependent_column=False,
                compare_filter=f.compared(f.NO_OP, None),
            ),
        ),
        (
            "SingleColumnValueFilter('family', 'qualifier', >=, 'binary:a', true, false)",
            f.single_column(b"family", b"qualifier", f.GREATER_OR_EQUAL, f.binary(b"a"), missing=True, latest=False),
        ),
        (
            "SingleColumnValueFilter('family', 'qualifier', >, 'binaryprefix:a')",
            f.single_column(b"family", b"qualifier", f.GREATER, f.binary_prefix(b"a")),
        ),
        (
            "SingleColumnValueExcludeFilter('family', 'qualifier', <, 'binaryprefix:a')",
            Filter_pb2.SingleColumnValueExcludeFilter(
                single_column_value_filter=f.single_column(b"family", b"qualifier", f.LESS, f.binary_prefix(b"a"))
            ),
        ),
        (
            "ColumnValueFilter('f', 'q', <=, 'binary:1')",
            Filter_pb2.ColumnValueFilter(
                family=b"f", qualifier=b"q", compare_op="LESS_OR_EQUAL", comparator=f.binary(b"1")
            ),
        ),
        # quotes, and what looks like words of the language within them
        ("PrefixFilter('it''s')", Filter_pb2.PrefixFilter(prefix=b"it's")),
        ("PrefixFilter('''')", Filter_pb2.PrefixFilter(prefix=b"'")),
        ("PrefixFilter('')", Filter_pb2.PrefixFilter(prefix=b"")),
        ("PrefixFilter('a) OR SKIP (b')", Filter_pb2.PrefixFilter(prefix=b"a) OR SKIP (b")),
        (b"PrefixFilter('\xff\x00')", Filter_pb2.PrefixFilter(prefix=b"\xff\0")),
    ],
)
def test_single_filters(text: str | bytes, expected: Message):
    assert parse_filter_string(text) == f.envelope(expected)
    made(parse_filter_string(text))


PA, PB, PC = "PrefixFilter('a')", "PrefixFilter('b')", "PrefixFilter('c')"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{PA} AND {PB}", f.listed(A, B)),
        (f"{PA} AND {PB} AND {PC}", f.listed(A, B, C)),
        (f"{PA} OR {PB} OR {PC}", f.listed(A, B, C, one=True)),
        (f"{PA} OR {PB} AND {PC}", f.listed(A, f.listed(B, C), one=True)),
        (f"{PA} AND {PB} OR {PC}", f.listed(f.listed(A, B), C, one=True)),
        (f"({PA} OR {PB}) AND {PC}", f.listed(f.listed(A, B, one=True), C)),
        (f"({PA} AND {PB}) AND {PC}", f.listed(f.listed(A, B), C)),
        (f"SKIP {PA} AND {PB}", f.listed(skip(A), B)),
        (f"SKIP ({PA} AND {PB})", skip(f.listed(A, B))),
        (f"SKIP WHILE {PA}", skip(while_(A))),
        (f"WHILE {PA} OR SKIP {PB}", f.listed(while_(A), skip(B), one=True)),
        (f"(({PA}))", A),
        (f"({PA})AND({PB})", f.listed(A, B)),
        (f"\t{PA}\tAND {PB}", f.listed(A, B)),
        (
            "(RowFilter(=, 'binary:x') OR SKIP KeyOnlyFilter()) AND PrefixFilter('a')",
            f.listed(f.listed(row(f.EQUAL, b"x"), skip(KEY_ONLY), one=True), A),
        ),
    ],
)
def test_filters_of_filters(text: str, expected: Filter_pb2.Filter):
    assert parse_filter_string(text) == expected
    made(expected)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Incorrect Filter String"),
        ("INVALIDFILTER('row')", "Filter Name INVALIDFILTER not supported"),
        ("PrefixFilter(row)", "quoted"),
        ("PrefixFilter('row'", "Incorrect Filter String"),
        ("PrefixFilter('row", "Incorrect Filter String"),
        ("PrefixFilter('a', 'b')", "Expected 1 but got: 2"),
        ("PrefixFilter)", "Incorrect Filter Name"),
        ("('a')", "Incorrect Filter Name"),
        ("ColumnCountGetFilter(x)", "digits"),
        ("ColumnCountGetFilter(2147483648)", "out of range"),
        ("PageFilter(-1)", "positive"),
        ("KeyOnlyFilter(maybe)", "Boolean"),
        ("RowFilter(?, 'binary:a')", "Invalid compare operator"),
        ("RowFilter(=, 'noname:a')", "Incorrect comparator"),
        ("RowFilter(=, 'binary')", "Incorrect comparator"),
        ("RowFilter(<, 'regexstring:a')", "can only be used with EQUAL and NOT_EQUAL"),
        ("SingleColumnValueFilter('f', 'q', >, 'substring:a')", "can only be used with EQUAL and NOT_EQUAL"),
        (f"{PA} AND", "an AND needs two filters"),
        (f"{PA} OR ", "an OR needs two filters"),
        (f"({PA}", "Mismatched parenthesis"),
        (f"{PA})", "Incorrect Filter String"),
        (f"{PA} {PB}", "Incorrect Filter String"),
        (f"{PA} XOR {PB}", "Incorrect Filter String"),
        ("SKIP", "Incorrect Filter String"),
        ("(" * (DEPTH_MAX + 1) + PA, "deep"),
    ],
)
def test_what_is_no_filter(text: str, told: str):
    with pytest.raises(FilterSyntaxError, match=told):
        parse_filter_string(text)


@given(st.text("()'=<>!, ANDORSKIPWHILEPageFilter(1):binary", max_size=60))
def test_whatever_is_typed_ends_in_a_filter_or_an_error(text: str):
    with contextlib.suppress(FilterSyntaxError):
        parse_filter_string(text)


JAVA_ALONE = {
    "(PrefixFilter('a')": "a parenthesis that is never closed",
    "ValueFilter(=, 'regexstring:(')": "the pattern is the server's to refuse",
}
"""Where the two are not of one mind."""


def test_the_same_is_made_as_by_java():
    """Of the lines that Java's ParseFilter has told: the class of the filter and its bytes, or an error."""
    lines = [line for line in recorded("2.6.4", ["FilterStory"]) if line.feature == "filter language"]
    typed = [line for line in lines if not line.what.startswith("scan with ")]
    assert len(typed) > 80
    for line in typed:
        try:
            filter_ = parse_filter_string(line.what)
            name, data = filter_.name.rpartition(".")[2], filter_.serialized_filter.hex()
            ours = f"{name} {data}"
        except FilterSyntaxError:
            ours = "!"
        theirs = "!" if line.outcome.startswith("! IllegalArgumentException") else line.outcome
        assert (ours == theirs) == (line.what not in JAVA_ALONE), (line, ours)
