"""Rows that match given bytes: many of them at once, as each alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionserver.filters.fuzzy import FuzzyKey, FuzzyRowFilter
from regionserver.filters.whole_rows import OfRow

BYTES = st.sampled_from(b"\x00ab\xff")
ROWS = st.lists(st.lists(BYTES, max_size=5).map(bytes), min_size=1, max_size=30, unique=True)
KEYS = st.lists(
    st.lists(st.tuples(BYTES, st.booleans()), min_size=1, max_size=4).map(
        lambda pairs: FuzzyKey(
            bytes(byte for byte, _ in pairs), bytes(0xFF if fixed else 2 for _, fixed in pairs), is_mask_v2=True
        )
    ),
    min_size=1,
    max_size=3,
)


def judge_of(made: FuzzyRowFilter) -> OfRow:
    plan = made.plan()
    assert plan is not None
    [judge] = plan.of_row
    return judge


@given(KEYS, ROWS, st.booleans())
def test_rows_that_begin_alike_match_alike(keys: list[FuzzyKey], rows: list[bytes], downwards: bool):
    """In either direction, whichever of the keys has matched last."""
    rows.sort(reverse=downwards)
    made = FuzzyRowFilter(keys)
    made.is_reversed = downwards
    judge = judge_of(made)
    for at in range(len(rows)):
        left: Sequence[bytes] = rows[at:]
        count = judge.passing_first(left)
        assert all(any(key.matches(row) for key in keys) for row in left[:count])
        if judge.passes_between(left[0], left[-1]):
            assert all(any(key.matches(row) for key in keys) for row in left)
        judge.passes(rows[at])  # another key may be the last that matched then


@pytest.mark.parametrize(
    ("mask", "count"), [(b"\xff\xff\x02\x02", 4), (b"\xff\xff\xff\x02", 2), (b"\x02\x02\x02\x02", 5)]
)
def test_a_run_of_rows_is_asked_once(mask: bytes, count: int):
    rows = [b"ab00", b"ab01", b"ab10", b"ab11", b"b000"]
    judge = judge_of(FuzzyRowFilter([FuzzyKey(b"ab00", mask, is_mask_v2=True)]))
    assert judge.passing_first(rows) == count
    assert judge.passes_between(rows[0], rows[count - 1])
    assert not any(judge.passes_between(rows[0], row) for row in rows[count:])


def test_rows_that_end_before_what_is_fixed_are_asked_each():
    """They match as far as they reach, and what begins like them may not."""
    judge = judge_of(FuzzyRowFilter([FuzzyKey(b"abc", b"\xff\xff\xff", is_mask_v2=True)]))
    assert judge.passes(b"ab") is True
    assert judge.passing_first([b"ab", b"aba"]) == 0
    assert not judge.passes_between(b"ab", b"aba")
