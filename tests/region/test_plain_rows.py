"""Rows that are judged as they lie: what is found, and what is told of it, is what is found cell by cell."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import cycle

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from protos.hbase import Filter_pb2
from regionserver.engine.memory import MemorySnapshot, MemoryStore
from regionserver.engine.store import Batch, Durability
from regionserver.filters.comparators import SubstringComparator
from regionserver.region import filtered_plain, plain_records
from regionserver.region.filtered_reads import open_filtered_scan
from regionserver.region.keys import family_key
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region, RegionRange
from regionserver.region.scan import Page, PageLimits, ScanRange, ScanShape
from regionserver.region.visible import FamilyRules, Wanted
from registry.wire.cellblock import KeyType
from tests.filters.cells import made
from tests.support import filters as f
from tests.support.seeds import examples

ROWS = [b"a\0", *(b"%c%c" % (one, other) for one in b"abc" for other in b"abcd"), b"d", b"\xff"]
QUALIFIERS = [b"", b"p", b"pq", b"q", b"r\0"]
VALUES = [b"", b"1", b"Value", b"\xff", b"\1fp", "\u212a".encode()]
TIMES = [1, 2, 3, 5]
FAMILIES = {b"e": FamilyRules(), b"f": FamilyRules(ttl_ms=998), b"g": FamilyRules(3)}
NOW_MS = 1000
DRAWN = f.Drawn(ROWS, sorted(FAMILIES), QUALIFIERS, VALUES, TIMES)
Told = tuple[list[tuple[bytes, int]], int, int, bool]
"""Results, rows that were read, rows without one, and whether the filter was done."""
Values = Callable[[MemorySnapshot, bytes, bytes, int, bytes | None], list[bytes]]


FILTERS = DRAWN.single() | st.lists(DRAWN.single(), min_size=1, max_size=3).map(lambda drawn: f.listed(*drawn))


@st.composite
def regions(draw: st.DrawFn) -> Region:
    region = Region(RegionRange("t", "t,,1.aa."), FAMILIES, MemoryStore(), b"prefix00")
    families = draw(st.sampled_from([[b"f"], [b"f"], [b"e", b"f"], [b"f", b"g"]]))
    cell = st.tuples(st.sampled_from(QUALIFIERS), st.sampled_from(TIMES), st.sampled_from(VALUES))
    cells = st.lists(cell, min_size=1, unique_by=lambda drawn: drawn[0])
    rows = draw(st.lists(st.sampled_from(ROWS), min_size=3, unique=True))
    written_again = draw(st.lists(st.sampled_from(rows), max_size=2))
    for row in rows + written_again:
        for family in families:
            changes = [Change(family, column, ms, KeyType.PUT, value) for column, ms, value in draw(cells)]
            region.mutate([Mutation(MutationKind.PUT, row, changes)], Durability.PROCESS, lambda _: None, NOW_MS)
    if draw(st.integers(0, 3)) == 0:
        gone = [Change(b"f", b"p", 2, KeyType.DELETE_COLUMN, b"")]
        row = draw(st.sampled_from(rows))
        region.mutate([Mutation(MutationKind.DELETE, row, gone)], Durability.PROCESS, lambda _: None, NOW_MS)
    return region


def told(
    region: Region,
    asked: Filter_pb2.Filter,
    rows: ScanRange,
    wanted: Wanted,
    limits: PageLimits,
    at_once: bool,
    family: bytes = b"f",
) -> Told:
    filter_ = made(asked)
    scan = open_filtered_scan(region, rows, ScanShape({family: wanted}), filter_, NOW_MS)
    if not at_once:
        scan.plain = None
    results: list[tuple[bytes, int]] = []
    read_count = empty_count = 0
    try:
        for _ in range(10_000):
            page = scan.page(limits)
            cells = b"".join(page.blocks)
            results += [(b"", count) for count in page.counts] if not cells else [(cells, sum(page.counts))]
            read_count, empty_count = read_count + page.rows_read, empty_count + page.rows_empty
            if not page.more_in_region:
                break
    finally:
        scan.close()
    whole = b"".join([cells for cells, _ in results]), sum(count for _, count in results)
    return [whole], read_count, empty_count, filter_.filter_all_remaining()


def _at_times(values: Values, streams: list[bool]) -> Values:
    has_stream = cycle(streams)

    def asked(
        snapshot: MemorySnapshot, lower: bytes, upper: bytes, count_max: int, behind: bytes | None = None
    ) -> list[bytes]:
        return values(snapshot, lower, upper, count_max, behind) if next(has_stream) else []

    return asked


@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    regions(),
    FILTERS,
    st.sampled_from([ScanRange(), ScanRange(b"ab", b"cb"), ScanRange(b"b", b"", include_start=False)]),
    st.sampled_from([Wanted(), Wanted(None, 3), Wanted(None, 1, 2), Wanted(None, 1, 0, 3)]),
    st.sampled_from([1, 2, 5, 1000]),
    st.sampled_from([150, 1000, 1 << 62]),
    st.booleans(),
    st.lists(st.booleans(), min_size=1, max_size=5),
)
def test_it_is_the_same_as_cell_by_cell(
    region: Region,
    asked: Filter_pb2.Filter,
    rows: ScanRange,
    wanted: Wanted,
    results_max: int,
    bytes_max: int,
    partial: bool,
    streams: list[bool],
):
    """`streams`: whether values are to be had without their keys, each time that they are asked for."""
    stored = asked.SerializeToString()
    assume(not (b"filter.SkipFilter" in stored and b"filter.MultiRowRangeFilter" in stored))
    turns = cycle([False, True])
    limits = PageLimits(results_max, bytes_max=bytes_max, partial=partial, is_turn_over=lambda: next(turns))
    if partial and (made(asked).outlives_row or made(asked).may_end):
        return  # where such a scan ends depends on its parts
    event(f"at once: {made(asked).plan() is not None}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filtered_plain, "PAUSE_ROWS", 0)
        patch.setattr(plain_records, "KEYED_PIECES", 1)
        patch.setattr(MemorySnapshot, "values", _at_times(MemorySnapshot.values, streams))
        slow = told(region, asked, rows, wanted, limits, at_once=False)
        at_once = told(region, asked, rows, wanted, limits, at_once=True)
    jumps = any(name in stored for name in (b"MultiRowRangeFilter", b"FuzzyRowFilter"))
    if jumps or partial:  # the last row counts once here; and a row that is cut twice, which hangs on the turns
        slow, at_once = (slow[0], 0, 0, slow[3]), (at_once[0], 0, 0, at_once[3])
    assert at_once == slow


def test_rows_are_alike_only_where_all_bytes_of_their_heads_are():
    """Keys and numbers of cells that differ by 256, other families, other times, the last of which nobody sees."""
    asked = [
        f.envelope(Filter_pb2.QualifierFilter(compare_filter=f.compared(f.EQUAL, f.binary(b"q7")))),
        f.envelope(Filter_pb2.TimestampsFilter(timestamps=[3], can_hint=False)),
        f.envelope(Filter_pb2.PageFilter(page_size=12)),
    ]
    latest_ms = (1 << 63) - 1
    for odd in ("key", "cells", "family", "latest", "newest", "oldest", "negative", "nothing"):
        region = Region(RegionRange("t", "t,,1.aa."), FAMILIES, MemoryStore(), b"prefix00")
        for number in range(20):
            is_odd = number == 9
            row = b"row%02d" % number + (b"\x01e" + bytes(254) if is_odd and odd == "key" else b"")
            family = b"g" if is_odd and odd == "family" else b"e"
            ms = (
                {"latest": latest_ms - 1, "newest": latest_ms - 1, "oldest": 1, "negative": -5}.get(odd, 3)
                if is_odd
                else 3
            )
            columns = 8 + (256 if is_odd and odd == "cells" else 0)
            changes = [Change(family, b"q%d" % column, ms, KeyType.PUT, b"v") for column in range(columns)]
            region.mutate([Mutation(MutationKind.PUT, row, changes)], Durability.PROCESS, lambda _: None, NOW_MS)
        if odd == "latest":  # no client can write it
            key = family_key(region.row_key(b"row09"), b"e")
            stored = (region.store.get(key) or b"").replace(
                struct.pack(">q", latest_ms - 1), struct.pack(">q", latest_ms)
            )
            region.store.commit(Batch([(key, stored)]), Durability.PROCESS, lambda _: None)
        for each in asked:
            for wanted in (Wanted(), Wanted(None, 1, 2), Wanted(None, 1, 0, 1 << 60)):
                slow, at_once = (
                    told(region, each, ScanRange(), wanted, PageLimits(), judged, b"e") for judged in (False, True)
                )
                assert at_once == slow, (odd, wanted)
                assert slow[1] > 9, "rows behind the odd one were read"


def test_rows_that_a_hint_passes_over_are_not_read(monkeypatch: pytest.MonkeyPatch):
    """As in HBase, which looks for the place of the hint at once; the row that gives it has a marker."""
    monkeypatch.setattr(filtered_plain, "PAUSE_ROWS", 0)
    region = Region(RegionRange("t", "t,,1.aa."), FAMILIES, MemoryStore(), b"prefix00")
    for row in (b"a", b"b", b"c"):
        put = Change(b"e", b"q", 1, KeyType.PUT, b"v")
        region.mutate([Mutation(MutationKind.PUT, row, [put])], Durability.PROCESS, lambda _: None, NOW_MS)
    gone = Change(b"e", b"p", 1, KeyType.DELETE_COLUMN, b"")
    region.mutate([Mutation(MutationKind.DELETE, b"a", [gone])], Durability.PROCESS, lambda _: None, NOW_MS)
    asked = f.envelope(Filter_pb2.PrefixFilter(prefix=b"c"))
    for at_once in (False, True):
        assert told(region, asked, ScanRange(), Wanted(), PageLimits(), at_once, b"e")[1:3] == (2, 1)


def test_a_row_after_what_cannot_be_judged_at_once_is_judged_again():
    region = Region(RegionRange("t", "t,,1.aa."), FAMILIES, MemoryStore(), b"prefix00")
    for number in range(300):
        changes = [Change(b"f", b"q", 5, KeyType.PUT, b"v%d" % number)]
        region.mutate(
            [Mutation(MutationKind.PUT, b"%03d" % number, changes)], Durability.PROCESS, lambda _: None, NOW_MS
        )
        if number % 50 == 9:
            gone = [Change(b"f", b"q", 5, KeyType.DELETE_COLUMN, b"")]
            region.mutate(
                [Mutation(MutationKind.DELETE, b"%03d" % number, gone)], Durability.PROCESS, lambda _: None, NOW_MS
            )
    asked = f.envelope(Filter_pb2.ValueFilter(compare_filter=f.compared(f.EQUAL, f.binary(b"v299"))))
    scan = open_filtered_scan(region, ScanRange(), ScanShape({b"f": Wanted()}), made(asked), NOW_MS)
    asked_at: list[int] = []
    plain = scan.plain
    assert plain is not None
    take = plain.take

    def noted(page: Page, limits: PageLimits) -> filtered_plain.Stop:
        asked_at.append(page.rows_read)
        return take(page, limits)

    plain.take = noted
    page = scan.page(PageLimits())
    scan.close()
    assert (page.counts, page.rows_read) == ([1], 300)
    assert asked_at == [0, 10, 60, 110, 160, 210, 260]


@pytest.mark.parametrize("needle", ["k", "i", "ki", "\u212a", "i\u0307", "value"])
def test_letters_whose_small_ones_are_of_ascii_are_found(needle: str):
    for char in [chr(point) for point in range(0x80, 0x3000)] + ["K", "I", "\U0001d400", "kI", "VaLuE"]:
        found = SubstringComparator(needle).compare(char.encode()) == 0
        assert found == (needle.lower() in char.lower()), char


def test_small_letters_of_other_characters_are_letters():
    """A text is looked for by a part of it without letters first."""
    for char in map(chr, range(0x80, 0x110000)):
        assert all(each.isalpha() or not each.isascii() for each in char.lower()), char
    for needle, found in ((" 7", b"n 77"), ("n 7", b"N 77"), ("7", b"\xff7"), ("k7\u0130", "\u212a7\u0130".encode())):
        assert SubstringComparator(needle).compare(found) == 0
