"""Parts of texts that match, as Java's Matcher#find: anchors and flags, with lines that end in every way."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.java_regex import machine
from registry.java_regex.parser import LITERAL, compile_pattern
from registry.wire.errors import DoNotRetryIOException
from tests.java_regex.test_patterns import SAME

UNIX_LINES, CASE_INSENSITIVE, COMMENTS, MULTILINE, DOTALL, UNICODE_CASE = 1, 2, 4, 8, 32, 64


@given(SAME, st.text("abx1._ ", max_size=8), st.booleans())
def test_as_python_where_both_have_it(pattern: str, text: str, remembers: bool):
    try:
        expected = re.compile(pattern, re.ASCII)
    except re.error:
        assume(False)
        return
    made = compile_pattern(pattern)
    for _ in range(2 if remembers else 1):
        assert made.finds(text) == (expected.search(text) is not None)


@pytest.mark.parametrize(
    ("pattern", "flags", "yes", "no"),
    [
        ("b", 0, ["b", "abc"], ["", "ac"]),
        ("^b", 0, ["b", "bc"], ["ab", "a\nb"]),
        ("^b", MULTILINE, ["a\nb", "a\r\nb", "a\rb", "a\u2028b"], ["ab"]),
        ("^", MULTILINE, ["a", "\n"], [""]),  # not at the end of what it is held against
        ("b^", MULTILINE, [], ["b\n", "b"]),
        ("^b", MULTILINE | UNIX_LINES, ["a\nb", "a\r\nb"], ["a\rb", "a\x85b"]),
        ("b$", 0, ["b", "ab\n", "ab\r\n", "b\r", "b\x85", "b\u2029"], ["b\n\n", "b\r\n\n", "bc", "b\n\r"]),
        ("b$", UNIX_LINES, ["b", "b\n"], ["b\r\n", "b\r", "b\n\n"]),
        ("b$", MULTILINE, ["b\n\n", "b\r\na", "b\x85a"], ["bc\n"]),
        ("b\r$", MULTILINE, ["b\r"], ["b\r\n"]),  # no line ends between the two
        ("b\r$", MULTILINE | UNIX_LINES, ["b\r\n"], []),
        (r"b\Z", 0, ["b\n", "b"], ["b\na"]),
        (r"b\z", 0, ["b"], ["b\n"]),
        (r"\Ab", MULTILINE, ["b"], ["a\nb"]),
        ("a.b", 0, ["axb"], ["a\nb", "a\rb", "a\x85b"]),
        ("a.b", DOTALL, ["a\nb"], ["ab"]),
        ("a.b", UNIX_LINES, ["a\rb"], ["a\nb"]),
        ("AbÄ", CASE_INSENSITIVE, ["abÄ", "xABÄ"], ["abä"]),
        ("AbÄ", CASE_INSENSITIVE | UNICODE_CASE, ["abä"], []),
        ("a b", COMMENTS, ["ab"], ["a b"]),
        ("a.b*", LITERAL, ["xa.b*x"], ["axbb"]),
        (r"\bcat\b", 0, ["a cat.", "cat"], ["cats", "_cat"]),
        ("(?d)a.$", 0, ["a\r\n"], ["a\n"]),
        ("", 0, ["", "a"], []),
    ],
)
def test_what_java_finds(pattern: str, flags: int, yes: list[str], no: list[str]):
    made = compile_pattern(pattern, flags)
    assert [text for text in yes if not made.finds(text)] == []
    assert [text for text in no if made.finds(text)] == []


@pytest.mark.parametrize("flags", [128, 256, 512, -1])
def test_flags_that_mean_something_else_are_refused(flags: int):
    with pytest.raises(DoNotRetryIOException):
        compile_pattern("a", flags)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(.*)(.*)(.*)(.*)b$", "((a{1,30}){1,30})c", "(x+x+)+y"])
def test_none_explodes(pattern: str):
    began_s = time.monotonic()
    assert not compile_pattern(pattern).finds("a" * 1000 + "x" * 1000)
    assert time.monotonic() - began_s < 10, "backtracking would take longer than the universe"


def test_what_would_take_long_is_refused():
    made = compile_pattern("(a|b)*a(a|b){1000}c")  # each place in the text has a set of states of its own
    text = "".join("ab"[number.bit_count() % 2] for number in range(20_000))
    began_s = time.monotonic()
    with pytest.raises(DoNotRetryIOException, match="costs too much"):
        made.finds(text)
    assert time.monotonic() - began_s < 10
    assert compile_pattern("(a|b)*a(a|b){10}c").finds("a" * 20 + "c"), "others go on"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "REMEMBERED_MAX", 50)
    made, expected = compile_pattern("[^x]*b{2}a"), re.compile("[^x]*b{2}a")
    for number in range(400):
        text = f"{chr(200 + number)}{number:b}".replace("1", "b").replace("0", "a")
        assert made.finds(text) == (expected.search(text) is not None)
        assert 0 < made.remembered_count <= 50
