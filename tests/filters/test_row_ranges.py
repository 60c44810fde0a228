"""Ranges of rows that meet are made one, and hold the rows that they held."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from regionserver.filters.row_ranges import RowRange, merged

ROWS = [b"a", b"b", b"b\0", b"c", b"d"]
RANGES = st.builds(
    RowRange, st.sampled_from([b"", *ROWS]), st.sampled_from([b"", *ROWS]), st.booleans(), st.booleans()
).filter(lambda each: each.is_valid)


@given(st.lists(RANGES, min_size=1, max_size=5, unique_by=lambda each: each.start))
def test_a_row_is_in_them_as_it_was_and_they_are_apart(ranges: list[RowRange]):
    found = merged(ranges)
    for row in ROWS:
        assert any(row in each for each in found) == any(row in each for each in ranges), row
    for one, following in pairwise(found):
        assert one.stop
        assert one.stop <= following.start


def test_what_lies_inside_does_not_change_the_end_of_what_it_lies_in():
    """HBase 2.6.4 takes the end for inclusive, for that of the inner one is; found by histories beside it."""
    inner = RowRange(b"b\0", b"b\0", stop_inclusive=True)
    outer = (
        RowRange(b"b", b"c", start_inclusive=False),
        RowRange(b"a", b"b", start_inclusive=False, stop_inclusive=True),
    )
    assert merged([inner, *outer]) == [RowRange(b"a", b"c", start_inclusive=False)]


def test_of_ranges_that_begin_with_one_row_the_first_says_whether_it_is_in():
    """As in HBase."""
    ranges = RowRange(b"a", b"b", start_inclusive=False), RowRange(b"a", b"c")
    assert merged(ranges) == [RowRange(b"a", b"c", start_inclusive=False)]
