"""AggregateService over a region: a scan page by page, a turn at a time, that holds a page and a few numbers.

Source: AggregateImplementation; AggregateRequest and AggregateResponse in Aggregate.proto.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from protos.hbase import Aggregate_pb2, Client_pb2
from regionserver.client_service.reads import read_scan
from regionserver.client_service.scans import open_asked
from regionserver.endpoints.aggregates import METHODS, Aggregation, unknown_interpreter, values_of
from regionserver.endpoints.interpreters import INTERPRETERS, LONGS
from regionserver.region.region import Region
from regionserver.region.scan import Page, PageLimits
from registry.wire.errors import DoNotRetryIOException
from registry.wire.text import lenient_text

PAGE_BYTES = 256 * 1024
"""Cells that are held at one time, beside a record of the store."""
FILTERED_ROW_BYTES_MAX = 64 << 20
"""Where a filter judges whole rows, and so they are read whole; larger ones are RowTooBigException."""
ROW_COUNT = "GetRowNum"
FIRST_KEY_ONLY = "org.apache.hadoop.hbase.filter.FirstKeyOnlyFilter"


class Aggregating:
    """One request under way."""

    def __init__(self, region: Region, method: str, request: Aggregate_pb2.AggregateRequest, now_ms: int) -> None:
        """Raises HBase's exceptions. `close` it, whatever becomes of it."""
        self._aggregation = _aggregation(method, request)
        message = request.scan
        if method == ROW_COUNT and lenient_text(message.filter.name) == FIRST_KEY_ONLY:
            # Clients save the server the other cells of each row: it has the same rows without it, and sooner here
            message = Client_pb2.Scan.FromString(message.SerializeToString())
            message.ClearField("filter")
        asked = read_scan(message)
        self._is_cut = bool(asked.batch)
        """A batch is a row for a real server."""
        self._scan = open_asked(region, asked, now_ms)
        filter_ = asked.filter
        self._may_cut = filter_ is None or not (filter_.has_filter_row or filter_.may_end)
        """Where such a scan ends may hang on the parts of its rows, if its filter may end it within one."""
        self._is_within_row = False
        """The row that was added last may go on."""
        if not self._may_cut:
            self._scan.row_bytes_max = min(self._scan.row_bytes_max, FILTERED_ROW_BYTES_MAX)

    def turn(self, is_over: Callable[[], bool]) -> Aggregate_pb2.AggregateResponse | None:
        """Read on; what came of it, or None when `is_over` was first. Raises HBase's exceptions, StoreError."""
        limits = PageLimits(bytes_max=PAGE_BYTES, partial=self._may_cut, is_turn_over=is_over)
        while True:
            page = self._scan.page(limits)
            self._add(page)
            if not page.more_in_region:
                return self._aggregation.response()
            if is_over():
                return None

    def close(self) -> None:
        """Let go of the moment that is read."""
        self._scan.close()

    def _add(self, page: Page) -> None:
        aggregation = self._aggregation
        values = values_of(b"".join(page.blocks)) if aggregation.reads_values else iter(())
        if self._is_within_row and page.rows_done > page.partial.count(False):
            self._is_within_row = False  # it has ended, and nothing of its rest has passed the filter
            aggregation.end_row()
        for count, is_part in zip(page.counts, page.partial, strict=True):
            for value in islice(values, count):
                aggregation.add(value)
            self._is_within_row = is_part and not self._is_cut
            if not self._is_within_row:
                aggregation.end_row()


def _aggregation(method: str, request: Aggregate_pb2.AggregateRequest) -> Aggregation:
    columns = request.scan.column
    if not columns:
        raise DoNotRetryIOException("There must be only one family.")
    name = lenient_text(request.interpreter_class_name)
    numbers = LONGS if method == ROW_COUNT else INTERPRETERS.get(name)
    if numbers is None:
        raise unknown_interpreter(name)
    return METHODS[method](numbers, len(set(columns[0].qualifier)))
