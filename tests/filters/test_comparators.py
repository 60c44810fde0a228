"""Each comparator says less, the same or more as Java's, and each operator keeps what Java's keeps."""

from __future__ import annotations

import contextlib
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import Comparator_pb2
from regionserver.filters.comparators import Comparator, CompareType, RegexStringComparator, keeping
from regionserver.filters.envelopes import parse_comparator
from registry.wire.errors import DoNotRetryIOException, IOException
from tests.support import filters as f

AND, OR, XOR = Comparator_pb2.BitComparator.AND, Comparator_pb2.BitComparator.OR, Comparator_pb2.BitComparator.XOR


def compared(message: Comparator_pb2.Comparator, found: bytes) -> int:
    return parse_comparator(message).compare(found)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (f.binary(b"b"), {b"a": 1, b"b": 0, b"ba": -1, b"": 1, b"\xff": -1}),
        (f.binary_prefix(b"ab"), {b"abc": 0, b"ab": 0, b"a": 1, b"b": -1, b"": 1}),
        (f.binary_prefix(b""), {b"": 0, b"x": 0}),
        (f.component(b"ab", 2), {b"xxab": 0, b"xxabz": 0, b"xxaa": 1, b"xxb": -1, b"x": 1}),
        (f.long(5), {b"\0" * 7 + b"\x04": 1, b"\0" * 7 + b"\x05": 0, b"\0" * 7 + b"\x06": -1, b"\xff" * 8: 1}),
        (f.long(-5), {b"\0" * 8: -1, b"\xff" * 7 + b"\xfb": 0}),
        (f.big_decimal(10, 1), {f.decimal_bytes(1): 0, f.decimal_bytes(100, 2): 0, f.decimal_bytes(-1): 1}),
        (f.big_decimal(-10, -3), {f.decimal_bytes(-10_000): 0, f.decimal_bytes(0): -1}),
        (f.big_decimal(1, 2**31 - 1), {f.decimal_bytes(1, -(2**31)): -1, f.decimal_bytes(0): 1}),
        (f.bit(b"\x0f", AND), {b"\xf0": 1, b"\x01": 0, b"\x0f\x0f": 1, b"": 1}),
        (f.bit(b"\0\0", OR), {b"\0\0": 1, b"\x01\0": 0}),
        (f.bit(b"ab", XOR), {b"ab": 1, b"aa": 0, b"a": 1}),
        (f.bit(b"", AND), {b"": 1}),
        (f.null(), {b"": 1, b"x": 1}),
        (f.substring("AbÄ"), {"xABä".encode(): 0, b"ab": 1, b"": 1}),
        (f.substring(""), {b"": 0}),
        (f.regex("a.c"), {b"xxabcx": 0, b"a\nc": 0, b"ac": 1}),
        (f.regex("a.c", 0), {b"a\nc": 1, b"abc": 0}),
        (f.regex("^a", 8), {b"b\na": 0, b"ba": 1}),
        (f.regex("ÄB", 2 | 64), {"äb".encode(): 0}),
        (f.regex("ä", charset="ISO-8859-1"), {b"\xe4": 0, "ä".encode(): 1}),
        (f.regex("\ufffd"), {b"\xff": 0, b"x": 1}),
        (f.regex(r"\d+$", engine="JONI"), {b"a12": 0, b"12a": 1}),
    ],
)
def test_what_comparators_say(message: Comparator_pb2.Comparator, expected: dict[bytes, int]):
    assert {found: compared(message, found) for found in expected} == expected


@given(st.integers(), st.integers(-50, 50), st.integers(), st.integers(-50, 50))
def test_decimals_compare_by_their_values(one: int, scale: int, other: int, other_scale: int):
    a, b = Decimal(one).scaleb(-scale), Decimal(other).scaleb(-other_scale)
    if Decimal(one) == one and len(str(one)) < 25 and len(str(other)) < 25:
        told = compared(f.big_decimal(one, scale), f.decimal_bytes(other, other_scale))
        assert told == (a > b) - (a < b)


@pytest.mark.parametrize(
    ("message", "found", "text"),
    [
        (f.long(1), b"123", "Wrong length: 3, expected 8"),
        (f.big_decimal(1), b"1234", "is null"),
    ],
)
def test_values_at_which_java_fails(message: Comparator_pb2.Comparator, found: bytes, text: str):
    with pytest.raises(IOException, match=text) as refused:
        compared(message, found)
    assert refused.value.java_class == "java.io.IOException"


def test_operators_keep_what_stands_so_to_what_was_given():
    """`cell OP given`: the given one is compared with the cell, so the sign is turned."""
    kept = {
        compare: [part for part in (b"a", b"b", b"c") if keeping(compare, Comparator(b"b"))(part)]
        for compare in CompareType
    }
    assert kept == {
        CompareType.LESS: [b"a"],
        CompareType.LESS_OR_EQUAL: [b"a", b"b"],
        CompareType.EQUAL: [b"b"],
        CompareType.NOT_EQUAL: [b"a", b"c"],
        CompareType.GREATER_OR_EQUAL: [b"b", b"c"],
        CompareType.GREATER: [b"c"],
        CompareType.NO_OP: [],
    }
    with pytest.raises(IOException, match="null"):
        keeping(CompareType.LESS, None)(b"")
    assert not keeping(CompareType.NO_OP, None)(b"")


LONG = f.PACKAGE + "LongComparator"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            Comparator_pb2.Comparator(name=f.PACKAGE),
            "java.lang.ClassNotFoundException: org.apache.hadoop.hbase",
        ),
        (Comparator_pb2.Comparator(name="x.Y"), "java.lang.ClassNotFoundException: x.Y"),
        (Comparator_pb2.Comparator(name=LONG, serialized_comparator=b"\xff"), "DeserializationException"),
        (Comparator_pb2.Comparator(name=LONG), "DeserializationException.*required"),
        (f.regex("("), ": java.util.regex.PatternSyntaxException: Unclosed group near index 1"),
        (f.regex(r"(a)\1"), "back reference is not supported"),
        (f.regex("[[:alpha:]]", engine="JONI"), "JONI's classes of characters are not supported"),
        (f.regex("a", 256), "flags 0x100 are not supported"),
        (f.regex("a" * 3000), "2000 characters"),
        (f.regex("a", charset="rot13"), "UnsupportedCharsetException: rot13"),
        (f.regex("a", charset="no such"), "UnsupportedCharsetException: no such"),
        (f.regex("a", engine="PCRE"), "EngineType.PCRE"),
    ],
)
def test_what_is_refused(message: Comparator_pb2.Comparator, text: str):
    with pytest.raises(DoNotRetryIOException, match=text):
        parse_comparator(message)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}$", "(a*)*b", "([a-z]+)*\\d"])
def test_patterns_that_explode_elsewhere_take_no_time(pattern: str):
    comparator = parse_comparator(f.regex(pattern))
    began_s = time.monotonic()
    for _ in range(3):
        with contextlib.suppress(DoNotRetryIOException):  # it costs too much
            comparator.compare(b"a" * 5000 + b"!")
    assert time.monotonic() - began_s < 20


@pytest.mark.parametrize("pattern", ["^row.*77$", "77$", "^77$", ".*$", "$", "a.*$"])
def test_what_matches_ends_as_it_is_said(pattern: str):
    regex = RegexStringComparator(pattern, 32)
    found = [b"", b"77", b"row77", b"row077\n", b"row77\r\n", "row77\u2028".encode(), b"row77\x85", b"a", b"a77b", b"7"]
    matching = [each for each in found if regex.compare(each) == 0]
    assert matching
    assert all(each.endswith(regex.ends) for each in matching)
