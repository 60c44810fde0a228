"""What a client asks of a region with a filter: a scan, a row, or a condition before a change.

Source: HRegion#getScanner, #get, #checkAndMutateInternal.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping

from regionserver.engine.store import Snapshot
from regionserver.filters.comparators import CompareType
from regionserver.filters.filter import Filter
from regionserver.filters.parsing import at_once
from regionserver.region.conditions import Checked, Condition
from regionserver.region.filtered_cells import family_read
from regionserver.region.filtered_plain import plain_rows
from regionserver.region.filtered_rows import RowsToFilter
from regionserver.region.filtered_scan import FilteredScan
from regionserver.region.record import CELL_LENGTHS, TIMESTAMP_TYPE
from regionserver.region.region import Found, Region
from regionserver.region.scan import Page, PageLimits, ScanRange, ScanShape, key_range
from regionserver.region.visible import Wanted
from registry.wire.errors import DoNotRetryIOException

AT_LEISURE = PageLimits(is_turn_over=lambda: False)
"""For who holds up nobody."""


def open_filtered_scan(
    region: Region,
    rows: ScanRange,
    shape: ScanShape,
    asked: Filter,
    now_ms: int,
    moment: Snapshot | None = None,
    *,
    on_demand: bool = True,
) -> FilteredScan:
    """Begin a scan of a region at that moment, or this one; the filter is its own.

    Raises NoSuchColumnFamilyException, DoNotRetryIOException; a moment that was given is still its caller's then.
    """
    for family in shape.wanted:
        region.check_family(family)
    if rows.reverse:
        asked.set_reversed()
    reads = {family: family_read(region.families[family], wanted) for family, wanted in shape.wanted.items()}
    later = {family for family in reads if on_demand and not asked.is_family_essential(family)}
    if later and rows.reverse:
        raise DoNotRetryIOException("Reverse scan with loading CFs on demand is not supported")
    keys = key_range(rows, region.where, region.prefix, region.order)
    moment = moment or region.store.snapshot()
    has_enough = asked.filter_all_remaining if asked.may_end else None
    to_filter = RowsToFilter(
        moment, keys, region.prefix, region.order, reads, now_ms, reverse=rows.reverse, has_enough=has_enough
    )
    to_filter.leave_for_later(later)
    scan = FilteredScan(to_filter, asked)
    scan.batch = shape.batch
    scan.row_bytes_max = region.rules.row_bytes_max
    scan.counts = region.counts
    if not (rows.reverse or later or shape.batch):
        scan.plain = plain_rows(moment, keys, lambda row: region.prefix + region.order(row), reads, asked, now_ms)
    return scan


def filtered_get(
    region: Region,
    row: bytes,
    wanted: Mapping[bytes, Wanted],
    asked: Filter,
    now_ms: int,
    limits: PageLimits = AT_LEISURE,
) -> Found:
    """What is seen of a row with a filter, all at once. Raises what `Region.get` does, and what filters do."""
    return at_once(filtered_get_steps(region, row, wanted, asked, now_ms, limits))


def filtered_get_steps(
    region: Region,
    row: bytes,
    wanted: Mapping[bytes, Wanted],
    asked: Filter,
    now_ms: int,
    limits: PageLimits,
    *,
    on_demand: bool = True,
) -> Generator[None, None, Found]:
    """The same turn by turn: gives whenever a turn is over, as the limits say. Those of it are for turns alone."""
    region.check_row("Get", row)
    rows = ScanRange(row, row, include_stop=True)
    scan = open_filtered_scan(region, rows, ScanShape(wanted), asked, now_ms, on_demand=on_demand)
    page = Page()
    try:
        page.extend(scan.page(limits))
        while page.turn_over:
            yield
            page.extend(scan.page(limits))
    finally:
        scan.close()
    return Found(b"".join(page.blocks), sum(page.counts), page.tagged)


def filter_condition(row: bytes, made: Callable[[], Filter], from_ms: int, to_ms: int) -> Condition:
    """That a filter leaves something of a row; `made` is asked for a filter each time that it is judged.

    All families are read with the first, unlike in a Get. It is done at once, for nobody may change the row meanwhile:
    so all of it may cost what one cell may elsewhere.
    """

    def judge(region: Region, now_ms: int) -> Checked:
        wanted = dict.fromkeys(region.families, Wanted(None, 1, from_ms, to_ms))
        found = at_once(filtered_get_steps(region, row, wanted, made(), now_ms, PageLimits(), on_demand=False))
        if not found.cells_count:
            return Checked(False)
        key_bytes = CELL_LENGTHS.unpack_from(found.block)[1]
        return Checked(True, TIMESTAMP_TYPE.unpack_from(found.block, 3 + key_bytes)[0])

    return Condition(row, b"", b"", CompareType.EQUAL, None, judge=judge)
