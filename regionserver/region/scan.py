"""A scan of one region, page by page, at one moment of its store; memory is bounded by a page and a record.

A page ends where a limit is met: results, whole rows, bytes, or time. Where the client takes partial results a row may
be cut anywhere, else the page ends behind the row that went beyond the limit. A scan with a batch cuts every row in
results of so many cells.

Source: RSRpcServices#scan, RegionScannerImpl, ScannerContext; ScanRequest, ScanResponse in Client.proto.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from regionserver.engine.store import Snapshot
from regionserver.region.keys import RowOrder, after_row, row_of
from regionserver.region.pieces import CELL_OVERHEAD_BYTES, RowCells
from regionserver.region.region import Region, RegionRange, RequestCounts
from regionserver.region.scan_rows import FoundRow, ScanRows
from regionserver.region.visible import NO_LIMIT, FamilyRules, Wanted
from registry.wire.errors import RowTooBigException

LOOK_AT_CLOCK_ROWS = 32
LOOK_AT_CLOCK_BYTES = 256 * 1024
"""Rows that are taken as they lie, between two looks at the clock."""


class ScanRange(NamedTuple):
    """Which rows, as the client says it."""

    start_row: bytes = b""
    """Where it begins; empty: at the region's end of that side."""
    stop_row: bytes = b""
    include_start: bool = True
    include_stop: bool = False
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class ScanShape:
    """How rows are read and cut."""

    wanted: Mapping[bytes, Wanted]
    """By family; only these are read."""
    batch: int = 0
    """Cells of one result; 0: the whole row."""


class PageLimits(NamedTuple):
    """Where a page ends. Time is over when `is_late` says so; it is asked after each record.

    `is_turn_over` is asked after each row: the page is not done then, and what follows belongs to the same answer.
    """

    results_max: int = NO_LIMIT
    rows_max: int = NO_LIMIT
    """Whole rows."""
    bytes_max: int = NO_LIMIT
    partial: bool = False
    """Rows may be cut."""
    is_late: Callable[[], bool] | None = None
    is_turn_over: Callable[[], bool] | None = None

    @property
    def has_clock(self) -> bool:
        """Whether somebody looks at one."""
        return self.is_late is not None or self.is_turn_over is not None

    def left(self, page: Page) -> PageLimits:
        """Those of what follows it in the same answer."""
        return self._replace(
            results_max=self.results_max - len(page.counts),
            rows_max=self.rows_max - page.rows_done,
            bytes_max=self.bytes_max - page.size_bytes,
        )


@dataclass(slots=True)
class Page:
    """What one call answers."""

    blocks: list[bytes] = field(default_factory=list[bytes])
    """Cells of all results in a row, with tags."""
    counts: list[int] = field(default_factory=list[int])
    """Cells of each result."""
    partial: list[bool] = field(default_factory=list[bool])
    """Of each result: more cells of its row may follow."""
    more_in_region: bool = True
    """Whether the region may have further rows of this scan."""
    filter_is_done: bool = False
    """Nothing more passes the scan's filter, in no region."""
    rows_done: int = 0
    """Rows whose last cell is in this page."""
    rows_read: int = 0
    """Those without a visible cell too."""
    rows_empty: int = 0
    """Those alone."""
    size_bytes: int = 0
    tagged: bool = False
    """There may be tags among the cells."""
    stopped_late: bool = False
    """Time was over; without results it is a heartbeat."""
    turn_over: bool = False
    """No limit was met: others are to have a turn, and then it goes on."""
    last_row: bytes | None = None
    """The row that was read last, seen or not: the cursor of a heartbeat."""

    def extend(self, other: Page) -> None:
        """Go on with what was read after it."""
        self.blocks += other.blocks
        self.counts += other.counts
        self.partial += other.partial
        self.more_in_region = other.more_in_region
        self.filter_is_done = other.filter_is_done
        self.rows_done += other.rows_done
        self.rows_read += other.rows_read
        self.rows_empty += other.rows_empty
        self.size_bytes += other.size_bytes
        self.tagged = self.tagged or other.tagged
        self.stopped_late = other.stopped_late
        self.turn_over = other.turn_over
        self.last_row = other.last_row if other.last_row is not None else self.last_row

    def cut(self, results_max: int, rows_max: int) -> Page | None:
        """Keep so many results, of so many whole rows; a page with the others, None where there are none.

        What was read without being seen stays with those that are kept, and so does the end of a row without a result.
        """
        if len(self.counts) <= results_max and self.rows_done < rows_max:
            return None
        count, ends = 0, self.rows_done - self.partial.count(False)
        while count < min(results_max, len(self.counts)) and ends < rows_max:
            ends += not self.partial[count]
            count += 1
        if count == len(self.counts):
            return None
        block = b"".join(self.blocks)
        at = 0
        for _ in range(sum(self.counts[:count])):
            at += 4 + int.from_bytes(block[at : at + 4], "big")
        rest = replace(self, blocks=[block[at:]], counts=self.counts[count:], partial=self.partial[count:])
        rest.rows_done, rest.rows_read, rest.rows_empty = self.rows_done - ends, 0, 0
        rest.size_bytes = self.size_bytes * (len(block) - at) // len(block)
        self.blocks, self.counts, self.partial = [block[:at]], self.counts[:count], self.partial[:count]
        self.rows_done = ends
        self.size_bytes -= rest.size_bytes
        self.more_in_region, self.filter_is_done, self.stopped_late, self.turn_over = True, False, False, False
        return rest


def key_range(scan: ScanRange, where: RegionRange, prefix: bytes, order: RowOrder) -> tuple[bytes, bytes]:
    """The keys of those rows of a scan that lie in a region."""
    lower = prefix + order(where.start_key) if where.start_key else prefix
    upper = prefix + order(where.end_key) if where.end_key else _behind(prefix)
    low, low_inside = scan.start_row, scan.include_start
    high, high_inside = scan.stop_row, scan.include_stop
    if scan.reverse:
        low, low_inside, high, high_inside = high, high_inside, low, low_inside
    if low:
        key = prefix + order(low)
        lower = max(lower, key if low_inside else after_row(key))
    if high:
        key = prefix + order(high)
        upper = min(upper, after_row(key) if high_inside else key)
    return lower, upper


def open_scan(
    region: Region, rows: ScanRange, shape: ScanShape, now_ms: int, moment: Snapshot | None = None
) -> RegionScan:
    """Begin a scan of a region at that moment, or this one. Raises NoSuchColumnFamilyException."""
    for family in shape.wanted:
        region.check_family(family)
    keys = key_range(rows, region.where, region.prefix, region.order)
    if moment is None:
        moment = region.store.snapshot()
    scan = RegionScan(moment, keys, len(region.prefix), region.families, shape, now_ms, reverse=rows.reverse)
    scan.row_bytes_max = region.rules.row_bytes_max
    scan.counts = region.counts
    return scan


def _behind(prefix: bytes) -> bytes:
    """The least key that does not begin with the prefix. No table's life is all ones."""
    number = int.from_bytes(prefix, "big") + 1
    return number.to_bytes(len(prefix), "big")


class _Begun(enum.Enum):
    """What became of the next row."""

    NOT = "there is none"
    TAKEN = "taken whole, and maybe some behind it"
    LEFT = "to be taken, or without a cell"


class RegionScan:
    """An open scan: its snapshot, and the place in it. Belongs to the loop of its store."""

    def __init__(
        self,
        snapshot: Snapshot,
        keys: tuple[bytes, bytes],
        prefix_bytes: int,
        families: Mapping[bytes, FamilyRules],
        shape: ScanShape,
        now_ms: int,
        *,
        reverse: bool = False,
    ) -> None:
        """`keys` from `key_range`; it owns the snapshot."""
        self.counts = RequestCounts()
        """Of its region."""
        self._snapshot = snapshot
        self._prefix_bytes = prefix_bytes
        self._shape = shape
        self._rows = ScanRows(snapshot, keys, prefix_bytes, families, shape.wanted, now_ms, reverse=reverse)
        self._row: RowCells | None = None
        """A row of which cells are left."""
        self.row_bytes_max = NO_LIMIT
        """Of a row that its client wants whole."""
        self._ahead: FoundRow | None = None
        """The row behind the last page, so that the client hears at once where there is none."""
        self._met_batch = False
        """The last result had as many cells as one may have."""
        self._last_key = b""
        """Of the row that was read last."""

    def close(self) -> None:
        """Let go of the moment."""
        self._row = self._ahead = None
        self._rows.close()
        self._snapshot.close()

    @property
    def is_within_row(self) -> bool:
        """Whether cells are left of the row that was told last."""
        return self._row is not None

    def page(self, limits: PageLimits) -> Page:
        """The next results. Raises RowTooBigException where a row is larger than its client can take in parts."""
        page = Page()
        self._rows.begin(min(limits.results_max, limits.rows_max) + 1)  # and whether there is one behind
        whole_bytes_max = NO_LIMIT if limits.partial or self._shape.batch else self.row_bytes_max
        while len(page.counts) < limits.results_max and page.rows_done < limits.rows_max:
            if self._row is None:
                begun = self._begin_rows(page, limits, whole_bytes_max)
                if begun is _Begun.NOT:
                    page.more_in_region = False
                    break
            if self._row is not None:
                self._take(self._row, limits, page)
            if page.size_bytes >= limits.bytes_max and (self._row is None or limits.partial):
                break
            if limits.is_late is not None and (self._row is None or limits.partial) and limits.is_late():
                page.stopped_late = True
                break
            if limits.is_turn_over is not None and self._row is None and limits.is_turn_over():
                page.turn_over = True
                break
        if page.rows_read:
            page.last_row = row_of(self._last_key[self._prefix_bytes :])
        # A real server that has met the batch looks no further: the next call finds that nothing is left.
        if page.counts:
            self._met_batch = page.counts[-1] == self._shape.batch
        if page.more_in_region and self._row is None and self._ahead is None and not self._met_batch:
            self._ahead = self._rows.next()
            page.more_in_region = self._ahead is not None
        page.tagged = self._rows.tagged
        self.counts.reads_count += page.rows_read
        return page

    def _take_blocks(self, page: Page, limits: PageLimits, whole_bytes_max: int) -> int:
        """Take rows that are one block each and fit, until the clock is to be looked at; how many."""
        room = min(LOOK_AT_CLOCK_ROWS, limits.results_max - len(page.counts), limits.rows_max - page.rows_done)
        rows, blocks, counts, bytes_max = self._rows, page.blocks, page.counts, limits.bytes_max
        if self._ahead is None:
            left_bytes = min(bytes_max - page.size_bytes, LOOK_AT_CLOCK_BYTES)
            taken, size_bytes, last_key = rows.take_plain(room, left_bytes, whole_bytes_max, blocks, counts)
            if taken:
                self._last_key = last_key
                return self._taken(page, taken, size_bytes)
        taken = size_bytes = 0
        found = self._ahead or rows.next()
        while taken < room and found is not None:
            key, cells, count = found
            if type(cells) is not bytes:
                break
            row_bytes = len(cells) + CELL_OVERHEAD_BYTES * count
            if page.size_bytes + size_bytes + row_bytes >= bytes_max or row_bytes > whole_bytes_max:
                break
            blocks.append(cells)
            counts.append(count)
            size_bytes += row_bytes
            self._last_key = key
            taken += 1
            found = rows.next()
        self._ahead = found
        return self._taken(page, taken, size_bytes)

    def _taken(self, page: Page, taken: int, size_bytes: int) -> int:
        page.partial += [False] * taken
        page.size_bytes += size_bytes
        page.rows_done += taken
        page.rows_read += taken
        return taken

    def _begin_rows(self, page: Page, limits: PageLimits, whole_bytes_max: int) -> _Begun:
        """The next rows that can be taken at once; or one, and what is left of it is `_row`."""
        if not self._shape.batch and self._take_blocks(page, limits, whole_bytes_max):
            return _Begun.TAKEN
        found = self._ahead or self._rows.next()
        if found is None:
            return _Begun.NOT
        self._ahead = None
        self._last_key, cells, count = found
        page.rows_read += 1
        row = RowCells(iter([(cells, count)]) if isinstance(cells, bytes) else cells)
        self._row = row if row.has_more else None
        page.rows_empty += not row.has_more
        return _Begun.LEFT

    def _take(self, row: RowCells, limits: PageLimits, page: Page) -> None:
        bytes_max = max(0, limits.bytes_max - page.size_bytes) if limits.partial else self.row_bytes_max
        blocks, count, size = row.take(self._shape.batch or NO_LIMIT, bytes_max)
        if size >= bytes_max and not limits.partial and row.has_more and not self._shape.batch:
            raise RowTooBigException(f"Max row size allowed: {bytes_max}, but the row is bigger than that.")
        page.blocks += blocks
        page.counts.append(count)
        page.partial.append(row.has_more)
        page.size_bytes += size
        if not row.has_more:
            self._row = None
            page.rows_done += 1
