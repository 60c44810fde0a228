"""A scan of a table, region after region: where it is, and what comes next. Pure.

    scan = TableScan(ScanSpec(...))
    while not scan.done:
        step = scan.where                    # the row (and side of it) whose region is to be found
        scan.enter(region)                   # the region that was found
        request = scan.request()             # for as long as scan.inside
        rows = scan.take(response, cells)
        # on an error: scan.reopen(), the same region again, or scan.leave(), the region is to be found again

Whatever happens in the middle, no row is given twice and none is left out: a row is given when it is whole, and
everything that is begun anew begins behind the last one.

Source: AsyncClientScanner, ConnectionUtils#noMoreResultsForScan, #noMoreResultsForReverseScan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from protos.hbase import Client_pb2
from registry.client.data.messages import add_columns, filter_message, time_range_message, versions_wanted
from registry.client.data.names import Columns
from registry.client.data.operations import AnyFilter, TimeRange
from registry.client.data.reading import RowParts, WholeRows
from registry.client.data.region_map import Region
from registry.client.data.results import Row
from registry.client.scan import INT32_MAX, RegionScan, Scan

ANSWER_BYTES_MAX = 2 << 20
"""hbase.client.scanner.max.result.size"""


@dataclass(frozen=True, slots=True)
class ScanSpec:
    """What to read. Rows lie between `start` and `stop`, empty is without bound; reversed from `start` downwards."""

    start: bytes = b""
    stop: bytes = b""
    include_start: bool = True
    include_stop: bool = False
    reverse: bool = False
    columns: Columns = ()
    filter: AnyFilter | None = None
    rows_max: int = 0
    """0: all."""
    versions: int = 1
    time_range: TimeRange | None = None
    batch_cells: int = 0
    rows_per_call: int = INT32_MAX
    answer_bytes_max: int = ANSWER_BYTES_MAX
    cache_blocks: bool = True
    raw: bool = False
    """Deleted cells and delete markers too."""
    priority: int = 0

    def template(self) -> Client_pb2.Scan:
        """What is the same in every region. Raises ValueError."""
        message = Client_pb2.Scan(max_versions=versions_wanted(self.versions), cache_blocks=self.cache_blocks)
        add_columns(message, self.columns)
        if self.filter is not None:
            message.filter.CopyFrom(filter_message(self.filter))
        if self.time_range is not None:
            message.time_range.CopyFrom(time_range_message(self.time_range))
        if self.raw:
            message.attribute.add(name="_raw_", value=b"\xff")
        return message


def of_prefix(prefix: bytes, *, reverse: bool) -> tuple[bytes, bytes]:
    """Start and stop of the rows with a prefix; reversed, neither of them has it. Empty is without bound."""
    behind = prefix.rstrip(b"\xff")
    behind = behind[:-1] + bytes((behind[-1] + 1,)) if behind else b""
    return (behind, prefix) if reverse else (prefix, behind)


class Where(NamedTuple):
    """Which region comes next."""

    row: bytes
    before: bool
    """The region of the last row before `row`, which is empty for the table's last; else the region of `row`."""


class TableScan:
    """One scan, over as many regions and scanners as it takes."""

    def __init__(self, spec: ScanSpec) -> None:
        """Raises ValueError where the scan makes no sense."""
        self.spec = spec
        self.done = False
        self.rows_given = 0
        self.regions_entered = 0
        self._template = spec.template()
        self._start = (spec.start, spec.include_start)
        """Where the next region is to be read from."""
        self._region: Region | None = None
        self._scan: RegionScan[Row] | None = None
        self._reader = RowParts(spec.batch_cells) if spec.batch_cells else WholeRows()
        self._is_before = spec.reverse and not spec.start
        """Reversed, from the end of the table or of the region that was left."""

    @property
    def inside(self) -> Region | None:
        """The region that is read; None where the next is to be found, or nothing is left."""
        return self._region

    @property
    def where(self) -> Where:
        """Which region is to be found."""
        return Where(self._start[0], self._is_before)

    def enter(self, region: Region) -> None:
        """Read this region from now on."""
        assert self._region is None, "one region after the other"
        spec = self.spec
        start, include_start = self._start
        self._region = region
        self._scan = RegionScan(
            Scan(
                region.name,
                start_row=start,
                include_start_row=include_start,
                stop_row=spec.stop,
                include_stop_row=spec.include_stop,
                reversed=spec.reverse,
                rows_max=spec.rows_max - self.rows_given if spec.rows_max else 0,
                rows_per_call=spec.rows_per_call,
                answer_bytes_max=spec.answer_bytes_max,
                batch_cells=spec.batch_cells,
                template=self._template,
            ),
            self._reader,
        )
        self.regions_entered += 1

    def request(self) -> Client_pb2.ScanRequest:
        """What to send next; each is to be sent once."""
        assert self._scan is not None, "inside a region"
        return self._scan.request()

    def take(self, response: Client_pb2.ScanResponse, block: bytes) -> list[Row]:
        """The rows that an answer brings. Raises ProtocolError, RowTooBigException."""
        scan, region = self._scan, self._region
        assert scan is not None, "inside a region"
        assert region is not None, "inside a region"
        before = scan.rows_given
        rows = scan.take(response, block)
        self.rows_given += scan.rows_given - before
        if scan.done:
            self._region_read(region, scan)
        return rows

    def reopen(self) -> Client_pb2.ScanRequest | None:
        """Begin in the same region anew, behind the last row; the request that closes the scanner there was."""
        scan, region = self._scan, self._region
        assert scan is not None, "inside a region"
        assert region is not None, "inside a region"
        closing = scan.reopen()
        if scan.done:
            self._region_read(region, scan)
        return closing

    def leave(self) -> Client_pb2.ScanRequest | None:
        """The region is to be found again, behind the last row; the request that closes the scanner there was."""
        scan = self._scan
        if scan is None:
            return None
        closing = self.reopen()
        if not scan.done:
            if (position := scan.position)[0] != self._start[0] or scan.rows_given:
                self._start, self._is_before = position, False
            self._scan = self._region = None
        return closing

    def close(self) -> Client_pb2.ScanRequest | None:
        """The request that ends the scanner at its server; None where there is none."""
        self.done = True
        return self._scan.close() if self._scan is not None else None

    def _region_read(self, region: Region, scan: RegionScan[Row]) -> None:
        """On to the next, if there is one that may have rows of this scan."""
        spec = self.spec
        self._scan = self._region = None
        edge = region.start_key if spec.reverse else region.end_key
        if scan.ended or not edge or (spec.rows_max and self.rows_given >= spec.rows_max) or self._stops_at(edge):
            self.done = True
            return
        self._start, self._is_before = (edge, not spec.reverse), spec.reverse

    def _stops_at(self, edge: bytes) -> bool:
        """Whether no row of the scan lies beyond the region that ends, or begins, at `edge`."""
        spec = self.spec
        if not spec.stop:
            return False
        if spec.reverse:  # rows below `edge` are left
            return edge <= spec.stop
        return edge > spec.stop or (edge == spec.stop and not spec.include_stop)
