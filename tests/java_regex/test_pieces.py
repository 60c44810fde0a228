"""Patterns that need no machine find what the machine finds, in any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.java_regex.parser import compile_pattern
from registry.java_regex.pieces import DOTALL, pieces_of
from tests.support.seeds import examples

PARTS = ["a", "b", "ab", ".*", r"\.", "-", ":", r"\$", " "]
BYTES = [
    b"a",
    b"b",
    b"ab",
    b".",
    b"-",
    b":",
    b"$",
    b" ",
    b"\n",
    b"\r",
    "\xe9".encode(),
    "\x85".encode(),
    b"\xff",
    b"\xe2",
]
PATTERNS = st.tuples(
    st.sampled_from(["", "^"]), st.lists(st.sampled_from(PARTS), max_size=5).map("".join), st.sampled_from(["", "$"])
).map("".join)


@settings(max_examples=examples(150))
@given(PATTERNS, st.lists(st.sampled_from(BYTES), max_size=8).map(b"".join), st.sampled_from([DOTALL, 0]))
def test_they_find_what_the_machine_finds(pattern: str, data: bytes, flags: int):
    pieces = pieces_of(pattern, flags)
    assert (pieces is None) == (".*" in pattern and not flags)
    found = None if pieces is None else pieces.finds(data)
    if found is not None:
        assert found == compile_pattern(pattern, flags).finds(data.decode("utf-8", "replace"))


@pytest.mark.parametrize(
    "pattern",
    ["a|b", "(a)", "[a]", "a+", "a?", "a{2}", "a*", ".a", ".*?a", r"\d", r"\Qa", "a^", "$a", "é", "a.", r"\\E\E"],
)
def test_all_others_are_left_to_it(pattern: str):
    assert pieces_of(pattern, DOTALL) is None
    assert pieces_of("a", DOTALL | 2) is None, "whatever the case"
