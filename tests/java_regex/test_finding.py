"""Parts of texts that match, as Java's Matcher#find: anchors and flags, with lines that end in every way."""

from __future__ import annotations

import re
import time
import tracemalloc

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.java_regex import effort
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
    monkeypatch.setattr(effort, "REMEMBERED_MAX", 50)
    together = effort.Effort()
    expected = [re.compile(each) for each in ("[^x]*b{2}a", "b+$")]
    made = [compile_pattern(each.pattern, 0, together) for each in expected]
    times_less = 0
    for number in range(400):
        together.begin()
        text = f"{chr(200 + number)}{number:b}".replace("1", "b").replace("0", "a")
        before = together.remembered
        for pattern, python in zip(made, expected, strict=True):
            assert pattern.finds(text) == (python.search(text) is not None)
        assert 0 <= together.remembered <= 50
        times_less += together.remembered < before
    assert times_less > 5, "all is forgotten now and then"
    assert sum(pattern.places_count for pattern in made) <= 50


def test_what_is_remembered_within_one_text_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(effort, "REMEMBERED_MAX", 1000)
    together = effort.Effort()
    made = compile_pattern("a[^b]*c", 0, together)
    text = "a" + "".join(map(chr, range(200, 110_000)))
    tracemalloc.start()
    try:
        assert not made.finds(text)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20, "100 000 characters are more"
    finally:
        tracemalloc.stop()
    together.begin()
    assert made.finds(text + "c")


def test_patterns_that_are_asked_together_cost_no_more_than_one():
    together = effort.Effort()
    costly = [compile_pattern(f"(a|b)*a(a|b){{{number}}}c", 0, together) for number in range(300, 330)]
    text = "".join("ab"[number.bit_count() % 2] for number in range(1000))
    with pytest.raises(DoNotRetryIOException, match="costs too much"):
        [each.finds(text) for each in costly]
    together.begin()
    assert not costly[0].finds(text), "each of them is not too much, in a turn of its own"


def test_texts_that_are_read_cost_something():
    together = effort.Effort()
    made = [compile_pattern("x", 0, together) for _ in range(100)]
    with pytest.raises(DoNotRetryIOException, match="costs too much"):
        [each.finds("a" * 1_000_000) for each in made]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("[" + "ab" * 900 + "]", "x"),
        ("[" + r"\p{Lu}\p{Ll}" * 150 + "]", "1"),
        ("[" + "a&&" * 600 + "a]", "x"),
        ("([" + "abcdefghi" * 100 + "]){0,900}x", "z" * 200 + "a" * 20),
        ("[^" * 45 + "a" + "]" * 45, "x"),
        ("x?" * 900 + "y", "x" * 900),
    ],
)
def test_long_patterns_cost_what_is_long_in_them(pattern: str, text: str):
    began_s = time.monotonic()
    assert compile_pattern(pattern).finds(text) == ("[^" in pattern)
    assert time.monotonic() - began_s < 10
