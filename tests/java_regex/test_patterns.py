r"""Java's patterns: what they match, what Java refuses, what is refused here, and that none of them takes long."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.java_regex.parser import compile_pattern
from registry.wire.errors import DoNotRetryIOException, IOException

SAME = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", "x", r"\.", "^", "$", r"\b"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda each: f"(?:{each[0]}|{each[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,}", "*?"])).map(
            lambda each: f"(?:{each[0]}){each[1]}"
        ),
    ),
    max_leaves=8,
)
"""Patterns that mean the same to Python."""


@given(SAME, st.text("abx1._", max_size=6))
def test_as_python_where_both_have_it(pattern: str, text: str):
    try:
        expected = re.compile(pattern, re.ASCII)
    except re.error:
        assume(False)
        return
    assert compile_pattern(pattern).matches(text) == (expected.fullmatch(text) is not None)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"\Qa.b*\E+", ["a.b*", "a.b**"], ["axb*", "a.ba.b*"]),
        (r"[a-c&&[^b]]+", ["ac"], ["abc", ""]),
        (r"[a-d[x-z]]+", ["axdz"], ["e"]),
        (r"[]a]", ["]", "a"], ["b"]),
        (r"\p{Lower}\p{Upper}\p{Digit}", ["aB1"], ["äB1", "AB1"]),
        (r"\p{javaLowerCase}\p{IsAlphabetic}\p{L}\p{Lu}", ["äßxÄ"], ["Äßxä"]),
        (r"\P{Punct}+", ["ab1"], ["a.b"]),
        ("(?i)TabLe_ä", ["table_ä", "TABLE_ä"], ["table_Ä"]),
        ("(?iu)ä", ["Ä", "ä"], []),
        ("a(?i)b", ["ab", "aB"], ["AB"]),
        ("(?i:a)b", ["Ab"], ["AB"]),
        ("(?<name>a|b)c", ["ac", "bc"], ["abc"]),
        ("(?x) a b # comment", ["ab"], ["a b"]),
        (r"\x41\u0042\x{43}\0104\t", ["ABCD\t"], ["ABCD"]),
        ("a{2}|b{1,2}|c{1,}", ["aa", "b", "bb", "ccc"], ["a", "bbb", ""]),
        ("ns:.*|default:x", ["ns:t", "default:x"], ["x"]),
        (r"(a*)*", ["", "aaaa"], ["b"]),
        ("a{2}{3}b", ["aab"], ["aaaaaab"]),  # the second is of nothing
        ("{2}a", ["a"], ["aa"]),
        (r"\R{2}a", ["\r\n\x85a", "\n\na", "\r\na"], ["\na", "\n\r\n\na"]),
        ("(?x)a b {2}#c\rd", ["abbd"], ["abb", "abcd"]),
        ("(?x)[a #b\nc]+", ["ac"], ["a b", "#"]),
        (r"(?i)\p{Lu}\p{Lower}\p{javaUpperCase}", ["aBc", "ABc"], ["1bc"]),
        (r"(?i)\P{Lu}\W", ["1 "], ["a ", "A "]),
        (r"(?iu)[a-c]\u212a\u017f", ["Bks", "bKS"], ["dks"]),
        ("[ab&&]&&[&&c]", ["a&&c"], ["ac"]),
        ("(x){0}y", ["y"], ["xy"]),
    ],
)
def test_what_only_java_has(pattern: str, yes: list[str], no: list[str]):
    made = compile_pattern(pattern)
    assert [text for text in yes if not made.matches(text)] == []
    assert [text for text in no if made.matches(text)] == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("[", "Unclosed character class near index 0\n[\n^"),
        ("(", "Unclosed group near index 1\n("),
        ("*a", "Dangling meta character '*' near index 0\n*a\n^"),
        ("a{1", "Unclosed counted closure near index 3\na{1"),
        ("a{2,1}", "Illegal repetition range near index 2\na{2,1}\n  ^"),
        ("a{1,x}", "Unclosed counted closure near index 4\na{1,x}\n    ^"),
        ("a{", "Illegal repetition near index 2\na{"),
        ("{x", "Illegal repetition near index 1\n{x\n ^"),
        ("a**", "Dangling meta character '*' near index 2\na**\n  ^"),
        (")", "Unmatched closing ')'\n)"),
        ("[&&]", "Bad class syntax near index 2\n[&&]\n  ^"),
        (r"a\E", "Illegal/unsupported escape sequence near index 2\na\\E\n  ^"),
        ("a)", "Unmatched closing ')' near index 0\na)\n^"),
    ],
)
def test_what_java_refuses(pattern: str, text: str):
    with pytest.raises(IOException) as refused:
        compile_pattern(pattern)
    assert (refused.value.message, refused.value.do_not_retry) == (text, False)


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", r"\X", r"\N{SPACE}", "(?=a)b", "(?<!a)b", "a++", "(?>a)", "(a{999}){999}", "[" * 80, "(" * 80]
)
def test_what_is_refused_here(pattern: str):
    with pytest.raises(DoNotRetryIOException):
        compile_pattern(pattern)


@given(st.text("ab[](){}|*+?\\^$.&-,1QEpx<>=!:#i ", max_size=30), st.text("ab", max_size=5))
def test_whatever_is_sent_ends_in_an_answer(pattern: str, text: str):
    with contextlib.suppress(IOException):
        compile_pattern(pattern).matches(text)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "(.*)(.*)(.*)(.*)b", "((a{1,30}){1,30})c"])
def test_none_explodes(pattern: str):
    began_s = time.monotonic()
    assert not compile_pattern(pattern).matches("a" * 200)
    assert time.monotonic() - began_s < 10, "backtracking would take longer than the universe"


@pytest.mark.parametrize("pattern", ["()" + "{1000}" * 50, "(" * 40 + "){1000}" * 40, "(" + "()" * 800 + "x){100}"])
def test_nothing_at_all_is_not_repeated(pattern: str):
    began_s = time.monotonic()
    assert compile_pattern(pattern).finds("x" * 900)
    assert time.monotonic() - began_s < 10
