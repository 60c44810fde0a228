"""Filtered scans that others have turns in between: within rows too, and nothing is lost or told twice."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import Filter_pb2
from regionserver.engine.store import Durability
from regionserver.filters.filter import Filter, ReturnCode, SeenCell
from regionserver.region.filtered_reads import open_filtered_scan
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region
from regionserver.region.scan import PageLimits, ScanRange, ScanShape
from regionserver.region.visible import Wanted
from registry.java_regex import effort
from registry.wire.cellblock import KeyType
from tests.filters.cells import made
from tests.region.test_filtered_scans import NOW_MS, Asked, assume_no_error, found_of, many, region_of, regions, scans
from tests.support import filters as f


def looking_after(count: int) -> patch[int]:  # type: ignore[type-arg]
    """So many questions to filters are between two looks at the clock."""
    return patch.object(effort, "EFFORT_BETWEEN_LOOKS", count)


@many
@given(regions(), scans(), st.integers(1, 3), st.lists(st.booleans(), min_size=1, max_size=6))
def test_turns_that_end_behind_any_cell(region: Region, asked: Asked, count: int, turns: list[bool]):
    assume_no_error(asked)
    told = cycle([*turns, False])
    whole, _ = found_of(region, asked)
    with looking_after(1):
        assert found_of(region, asked, limits=PageLimits(count, is_turn_over=lambda: next(told)))[0] == whole


def huge_row(columns_count: int, value: bytes = b"v") -> Region:
    region = region_of([])
    changes = [Change(b"f", b"%06d" % each, 1, KeyType.PUT, value) for each in range(columns_count)]
    region.mutate([Mutation(MutationKind.PUT, b"r", changes)], Durability.PROCESS, lambda _: None, NOW_MS)
    return region


def turns_of(region: Region, asked: Filter, is_over: Callable[[], bool]) -> tuple[int, int]:
    """How many cells are given, in how many turns."""
    scan = open_filtered_scan(region, ScanRange(), ScanShape({b"f": Wanted()}), asked, NOW_MS)
    cells_count = turns_count = 0
    while True:
        page = scan.page(PageLimits(is_turn_over=is_over))
        turns_count += 1
        cells_count += sum(page.counts)
        if not page.more_in_region:
            scan.close()
            return cells_count, turns_count


NO_VALUE = f.envelope(Filter_pb2.ValueFilter(compare_filter=f.compared(f.EQUAL, f.binary(b"other"))))


def test_a_row_of_which_nothing_passes_has_turns_in_it():
    cells_count, turns_count = turns_of(huge_row(5000), made(NO_VALUE), lambda: True)
    assert cells_count == 0
    assert turns_count > 5000 // effort.EFFORT_BETWEEN_LOOKS


class DropsAndListens(Filter):
    """None of HBase's drops a row by its key and hears of more than a cell of each family; a list may come to it."""

    outlives_row = True

    def __init__(self) -> None:
        self.heard_count = 0

    def filter_row_key(self, row: bytes) -> bool:
        return True

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        self.heard_count += 1
        return ReturnCode.SKIP


def test_what_is_heard_of_a_row_that_is_dropped_has_turns_in_it():
    listens = DropsAndListens()
    cells_count, turns_count = turns_of(huge_row(5000), listens, lambda: True)
    assert (cells_count, listens.heard_count) == (0, 5000)
    assert turns_count > 5000 // effort.EFFORT_BETWEEN_LOOKS


def test_the_more_filters_are_asked_the_sooner_the_turn_is_over():
    many_filters = f.listed(*[NO_VALUE] * 63, one=True)
    _, turns_count = turns_of(huge_row(1000), made(many_filters), lambda: True)
    assert turns_count >= 1000 * 64 // effort.EFFORT_BETWEEN_LOOKS


def test_cells_that_cost_much_end_a_turn_by_themselves():
    text = "".join("ab"[number.bit_count() % 2] for number in range(400)).encode()
    costly = f.envelope(Filter_pb2.ValueFilter(compare_filter=f.compared(f.EQUAL, f.regex("(a|b)*a(a|b){50}c"))))
    region = region_of([])
    changes = [Change(b"f", b"%06d" % each, 1, KeyType.PUT, text[each:] + text[:each]) for each in range(40)]
    region.mutate([Mutation(MutationKind.PUT, b"r", changes)], Durability.PROCESS, lambda _: None, NOW_MS)
    cells_count, turns_count = turns_of(region, made(costly), lambda: True)
    assert cells_count == 0
    assert turns_count >= 20, "most of the values had to be worked out"


def test_what_many_cells_cost_together_is_not_too_much():
    region = huge_row(60, b"a" * 500_000)
    some = f.envelope(Filter_pb2.ValueFilter(compare_filter=f.compared(f.EQUAL, f.regex("ab"))))
    assert turns_of(region, made(some), lambda: False)[0] == 0
