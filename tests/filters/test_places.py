"""Filters that jump to rows, as TestFuzzyRowFilter and TestMultiRowRangeFilter have it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import Filter_pb2, HBase_pb2
from regionserver.filters.fuzzy import FuzzyKey
from regionserver.filters.row_ranges import RowRange, merged
from registry.wire.errors import IOException
from tests.filters.cells import HINT, INCLUDE, NEXT_ROW, asked, cell, hint, made
from tests.support import filters as f

ANY = 1


def fuzzy(*pairs: tuple[bytes, bytes], v2: bool = True) -> Filter_pb2.FuzzyRowFilter:
    keys = [HBase_pb2.BytesBytesPair(first=key, second=mask) for key, mask in pairs]
    return Filter_pb2.FuzzyRowFilter(fuzzy_keys_data=keys, is_mask_v2=v2)


@pytest.mark.parametrize(
    ("mask", "v2", "fixed"),
    [
        (b"\0\1\0", True, [True, False, True]),  # as the user writes it
        (b"\0\1\0", False, [True, False, True]),
        (b"\xff\2\xff", True, [True, False, True]),  # as newer clients keep it
        (b"\xff\0\xff", False, [True, False, True]),  # as older clients keep it
        (b"\0\0\0", True, [True, True, True]),
        (b"\0\0\0", False, [False, False, False]),  # what HBASE-15676 is about
        (b"\xff\xff\xff", False, [True, True, True]),
    ],
)
def test_masks_in_three_forms(mask: bytes, v2: bool, fixed: list[bool]):
    key = FuzzyKey(b"abc", mask, is_mask_v2=v2)
    assert key.fixed == fixed
    assert key.matches(b"abc")
    assert key.matches(b"axc") == (not fixed[1])
    assert key.matches(b"abcd")
    assert key.matches(b"a"), "as far as it reaches"
    assert key.matches(b"xbc") == (not fixed[0])


@pytest.mark.parametrize(
    ("row", "key", "mask", "expected"),
    [  # TestFuzzyRowFilter#testGetNextForFuzzyRuleForward
        ([5, 1, 0], [0, 1, 2], [1, 0, 0], [5, 1, 2]),
        ([5, 1, 2, 1], [0, 1, 2], [1, 0, 0], [5, 1, 2, 2]),
        ([5, 2, 255, 1], [0, 1, 0, 1], [1, 0, 1, 0], [6, 1, 0, 1]),
        ([5, 1, 255, 1], [0, 1, 0, 1], [1, 0, 1, 0], [6, 1, 0, 1]),
        ([5, 1, 0, 1], [0, 1, 0, 1], [1, 0, 1, 0], [5, 1, 1, 1]),
        ([5, 1, 0, 0], [0, 1, 0, 1], [1, 0, 1, 0], [5, 1, 0, 1]),
        ([3, 1, 1, 1], [5, 1, 0, 1], [0, 1, 1, 0], [5, 0, 0, 1]),
        ([6, 1, 0, 1], [5, 1, 0, 1], [0, 0, 0, 0], None),
    ],
)
def test_the_next_row_that_may_match(row: list[int], key: list[int], mask: list[int], expected: list[int] | None):
    made_key = FuzzyKey(bytes(key), bytes(mask), is_mask_v2=True)
    found = made_key.next_row(bytes(row), downwards=False)
    assert found == (None if expected is None else bytes(expected))


ROW = st.binary(min_size=3, max_size=4).map(lambda row: bytes(each % 3 * 127 for each in row))


@given(st.lists(ROW, max_size=30), ROW, st.lists(st.sampled_from([0, 1]), min_size=3, max_size=3), st.booleans())
def test_no_row_that_matches_is_jumped_over(rows: list[bytes], key: bytes, mask: list[int], downwards: bool):
    fuzzy_key = FuzzyKey(key[:3], bytes(mask), is_mask_v2=True)
    for row in rows:
        if fuzzy_key.matches(row):
            continue
        place = fuzzy_key.next_row(row, downwards=downwards)
        behind = [each for each in rows if (each < row if downwards else each > row) and fuzzy_key.matches(each)]
        if behind:
            assert place is not None
            if downwards:
                assert place >= max(behind) or max(behind)[:3] == place[:3]
            else:
                assert place <= min(behind)


def test_fuzzy_rows_are_jumped_to_until_there_is_none():
    filter_ = made(fuzzy((b"ab", b"\0\0"), (b"?d", b"\1\0")))
    assert asked(filter_, cell(row="aa")) == [HINT]
    assert (filter_.filter_row(), hint(filter_, cell(row="aa"))) == (True, (b"ab", b""))
    assert asked(filter_, cell(row="ab"), cell(row="ad")) == [INCLUDE, INCLUDE]
    assert asked(filter_, cell(row="ae")) == [HINT]
    assert hint(filter_, cell(row="ae")) == (b"bd", b"")
    assert asked(filter_, cell(row="\x7f\x7f")) == [HINT]
    filter_ = made(fuzzy((b"ab", b"\0\0")))
    assert asked(filter_, cell(row="ac")) == [HINT]
    assert filter_.next_cell_hint(cell(row="ac")) is None
    assert filter_.filter_all_remaining()


@pytest.mark.timeout(20)
def test_downwards_the_row_that_was_jumped_to_is_passed():
    """Rows that match lie below it. Another filter of a list, or a SkipFilter, may ask for it all the same."""
    filter_ = made(fuzzy((b"?2", b"\1\0")))
    filter_.set_reversed()
    assert asked(filter_, cell(row="b6")) == [HINT]
    assert hint(filter_, cell(row="b6")) == (b"b3", b"")
    assert asked(filter_, cell(row="b3")) == [HINT]
    assert hint(filter_, cell(row="b3")) == (b"b3", b"")
    assert asked(filter_, cell(row="b2"), cell(row="b1")) == [INCLUDE, HINT]
    assert hint(filter_, cell(row="b1")) == (b"a3", b"")


def ranges(*told: str) -> Filter_pb2.MultiRowRangeFilter:
    """As `[a,c)`."""
    return Filter_pb2.MultiRowRangeFilter(
        row_range_list=[
            Filter_pb2.RowRange(
                start_row=each[1:-1].split(",")[0].encode(),
                start_row_inclusive=each[0] == "[",
                stop_row=each[1:-1].split(",")[1].encode(),
                stop_row_inclusive=each[-1] == "]",
            )
            for each in told
        ]
    )


def test_ranges_are_jumped_to_until_the_last_is_passed():
    filter_ = made(ranges("[b,d)", "(f,h]"))
    rows = [cell(row=each) for each in "abcdefgh"]
    told = asked(filter_, *rows)
    assert told == [HINT, INCLUDE, INCLUDE, HINT, HINT, NEXT_ROW, INCLUDE, INCLUDE]
    filter_.filter_row_key(b"a")
    assert hint(filter_, rows[0]) == (b"b", b"")
    filter_.filter_row_key(b"e")
    assert hint(filter_, rows[4]) == (b"f", b"")
    assert not filter_.filter_row_key(b"i")
    assert filter_.filter_all_remaining()


def test_within_skip_they_fail_as_with_hbase():
    """It does not ask about rows, and the ranges know none then."""
    inner = f.envelope(ranges("[b,d)"))
    skipping = made(Filter_pb2.SkipFilter(filter=inner))
    with pytest.raises(IOException, match="null"):
        asked(skipping, cell(row="b"))


def test_downwards_the_ranges_are_come_to_from_behind():
    filter_ = made(ranges("[b,d)", "(f,h]"))
    filter_.set_reversed()
    told = asked(filter_, *[cell(row=each) for each in "ihgfedcb"])
    assert told == [HINT, INCLUDE, INCLUDE, HINT, HINT, NEXT_ROW, INCLUDE, INCLUDE]
    filter_.filter_row_key(b"i")
    assert hint(filter_, cell(row="i")) == (b"h", b"")
    filter_.filter_row_key(b"a")
    assert filter_.filter_all_remaining()


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans(), st.booleans()), min_size=1, max_size=6),
    st.booleans(),
)
def test_ranges_that_meet_are_one_and_hold_the_same_rows(drawn: list[tuple[int, int, bool, bool]], to_end: bool):
    given_ranges = [RowRange(b"%d" % min(a, b), b"%d" % max(a, b), start, stop) for a, b, start, stop in drawn]
    if to_end:
        given_ranges.append(RowRange(b"8", b""))
    given_ranges = [each for each in given_ranges if each.is_valid and (each.start < each.stop or not each.stop)]
    found = merged(given_ranges)
    for row in [b"", *(b"%d" % number for number in range(10)), *(b"%d5" % number for number in range(10))]:
        starts_out = any(
            row == each.start for each in given_ranges
        )  # of two that begin alike the first one's word counts
        if not starts_out:
            assert any(row in each for each in found) == any(row in each for each in given_ranges), row
    assert all(not one.stop or one.stop <= other.start for one, other in pairwise(found))
