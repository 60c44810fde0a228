"""ClientService.Scan: open, next, renew and close in one message, answered as a real 2.6.4 answers.

No read point is sent: a scan that a client opens anew, because its region has moved in the middle of a row, reads what
is there then.

Source: RSRpcServices#scan; ScanRequest and ScanResponse in Client.proto.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.reads import read_scan
from regionserver.client_service.results import Answer, CellForm, inline_cells
from regionserver.client_service.scanners import Scanner, Scanners
from regionserver.engine.store import StoreError
from regionserver.region.record import without_tags
from regionserver.region.region import Region
from regionserver.region.scan import Page, PageLimits, open_scan
from regionserver.region.visible import NO_LIMIT
from registry.wire.errors import DoNotRetryIOException, ScannerResetException

RESULT_BYTES_MAX = 100 * 1024 * 1024
"""hbase.server.scanner.max.result.size."""


class ScanCalls:
    """Answers Scan calls for one server. Belongs to its loop; time is told by the caller."""

    def __init__(self, scanners: Scanners, region_of: Callable[[HBase_pb2.RegionSpecifier], Region]) -> None:
        """`region_of` raises NotServingRegionException and its kind."""
        self._scanners = scanners
        self._region_of = region_of

    def answer(
        self, request: Client_pb2.ScanRequest, form: CellForm, now_ms: int, is_late: Callable[[], bool] | None = None
    ) -> Answer:
        """Raises HBase's exceptions. `is_late`: whether the client should hear something by now."""
        response = Client_pb2.ScanResponse()
        call_seq = request.next_call_seq if request.HasField("next_call_seq") else None
        if request.HasField("scanner_id"):
            response.scanner_id = request.scanner_id
            begun = self._scanners.begin(request.scanner_id, call_seq, now_ms)
            if begun is None:
                return Answer(response.SerializeToString())
            scanner = begun
        else:
            scanner = self._open(request, now_ms)
            scanner.busy = True
            response.scanner_id = scanner.scanner_id
            response.ttl = int(self._scanners.lease_ms)
        try:
            if request.renew and request.HasField("scanner_id"):
                return Answer(response.SerializeToString())
            return self._page(request, response, scanner, form, now_ms, is_late)
        except StoreError as error:
            self._scanners.close(scanner, now_ms, by_error=True)
            raise ScannerResetException(f"the scanner of {scanner.region} is closed: {error}") from error
        finally:
            self._scanners.end(scanner, now_ms)

    def _open(self, request: Client_pb2.ScanRequest, now_ms: int) -> Scanner:
        if not request.HasField("scan") or not request.HasField("region"):
            raise DoNotRetryIOException("Missing required input: scanner_id, or region and scan")
        region = self._region_of(request.region)
        asked = read_scan(request.scan)
        self._scanners.check_room()
        shape = replace(asked.shape, wanted=asked.asked.wanted(region.families))
        scan = open_scan(region, asked.rows, shape, now_ms)
        scanner = self._scanners.open(region.where.name, scan, now_ms)
        scanner.bytes_max = min(asked.bytes_max, RESULT_BYTES_MAX)
        scanner.needs_cursor = asked.needs_cursor
        return scanner

    def _page(
        self,
        request: Client_pb2.ScanRequest,
        response: Client_pb2.ScanResponse,
        scanner: Scanner,
        form: CellForm,
        now_ms: int,
        is_late: Callable[[], bool] | None,
    ) -> Answer:
        if request.HasField("number_of_rows"):
            results_max = request.number_of_rows
        else:
            results_max = 0 if request.close_scanner else 1
        page = Page()
        if results_max:
            beats = request.client_handles_heartbeats and request.client_handles_partials
            limits = PageLimits(
                results_max,
                request.limit_of_rows or NO_LIMIT,
                scanner.bytes_max,
                partial=request.client_handles_partials,
                is_late=is_late if beats else None,
            )
            page = scanner.scan.page(limits)
        limit_reached = 0 < request.limit_of_rows <= page.rows_done
        response.stale = False
        response.more_results = not limit_reached
        response.more_results_in_region = page.more_in_region
        if page.stopped_late and not page.counts:
            response.heartbeat_message = True
            if scanner.needs_cursor and page.last_row is not None:
                response.cursor.row = page.last_row
        if request.track_scan_metrics:
            _metrics(response, page)
        cells = _cells(response, page, form)
        if limit_reached or not page.more_in_region or request.close_scanner:
            self._scanners.close(scanner, now_ms)
        return Answer(response.SerializeToString(), cells)


def _cells(response: Client_pb2.ScanResponse, page: Page, form: CellForm) -> bytes:
    block = b"".join(page.blocks)
    if form is CellForm.INLINE:
        cells = iter(inline_cells(block))
        for count, partial in zip(page.counts, page.partial, strict=True):
            result = response.results.add(stale=False, partial=partial)
            result.cell.extend([next(cells) for _ in range(count)])
        return b""
    response.cells_per_result.extend(page.counts)
    response.partial_flag_per_result.extend(page.partial)
    return without_tags(block) if page.tagged and form is CellForm.BLOCK else block


def _metrics(response: Client_pb2.ScanResponse, page: Page) -> None:
    for name, value in (("ROWS_SCANNED", page.rows_read), ("ROWS_FILTERED", 0)):
        response.scan_metrics.metrics.add(name=name, value=value)
