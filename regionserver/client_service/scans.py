"""ClientService.Scan: open, next, renew and close in one message, answered as a real 2.6.4 answers.

A scan that its client opens anew in the middle of a row, with the read point that it was told, reads the same moment,
as long as this server has it; elsewhere it reads what is there then.

Source: RSRpcServices#scan; ScanRequest and ScanResponse in Client.proto.
"""

from __future__ import annotations

from collections.abc import Callable

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.ahead import ANSWER_BYTES_MIN, Ahead, Taken
from regionserver.client_service.reads import ScanAsked, read_scan
from regionserver.client_service.results import Answer, CellForm, inline_cells
from regionserver.client_service.scanners import Scanner, Scanners
from regionserver.engine.store import Snapshot, StoreError
from regionserver.filters.filter import Filter
from regionserver.region.filtered_reads import open_filtered_scan
from regionserver.region.filtered_scan import FilteredScan
from regionserver.region.record import without_tags
from regionserver.region.region import Region
from regionserver.region.scan import Page, PageLimits, RegionScan, open_scan
from regionserver.region.visible import NO_LIMIT
from registry.wire.errors import (
    DoNotRetryIOException,
    NotServingRegionException,
    ScannerResetException,
)


class ScanCalls:
    """Answers Scan calls for one server. Belongs to its loop; time is told by the caller."""

    def __init__(self, scanners: Scanners, region_of: Callable[[HBase_pb2.RegionSpecifier], Region]) -> None:
        """`region_of` raises NotServingRegionException and its kind."""
        self._scanners = scanners
        self._region_of = region_of

    def answer(
        self, request: Client_pb2.ScanRequest, form: CellForm, now_ms: int, is_late: Callable[[], bool] | None = None
    ) -> Answer:
        """All of it at once. Raises HBase's exceptions. `is_late`: whether the client should hear something by now."""
        begun = self.begin(request, form, now_ms, float(now_ms), is_late)
        if isinstance(begun, Answer):
            return begun
        answer = begun.turn(float(now_ms))
        assert answer is not None, "a turn without an end is the whole answer"
        return answer

    def at_once(
        self, request: Client_pb2.ScanRequest, form: CellForm, now_ms: int, at_ms: float, is_over: Callable[[], bool]
    ) -> Answer | None:
        """The same where it is done before `is_over`; else None, and nothing has happened."""
        begun = self.begin(request, form, now_ms, at_ms)
        if isinstance(begun, Answer):
            return begun
        answer = begun.turn(at_ms, is_over)
        if answer is None:
            begun.take_back(at_ms)
        return answer

    def begin(
        self,
        request: Client_pb2.ScanRequest,
        form: CellForm,
        now_ms: int,
        at_ms: float,
        is_late: Callable[[], bool] | None = None,
        made: Filter | None = None,
    ) -> Answer | Paging:
        """An answer, or one that is made turn by turn. Raises HBase's exceptions. `made`: of a filter parsed before.

        `now_ms` is the calendar, for what rows say; leases go by `at_ms`, of a clock that never goes back.
        """
        response = Client_pb2.ScanResponse()
        call_seq = request.next_call_seq if request.HasField("next_call_seq") else None
        if request.HasField("scanner_id"):
            response.scanner_id = request.scanner_id
            begun = self._scanners.begin(request.scanner_id, call_seq, at_ms)
            if begun is None:
                return Answer(response.SerializeToString())
            scanner = begun
        else:
            scanner = self._open(request, now_ms, at_ms, made)
            scanner.busy = True
            response.scanner_id = scanner.scanner_id
            response.ttl = int(self._scanners.lease_ms)
            response.mvcc_read_point = scanner.read_point
        if request.renew:  # no rows, from a scan that is opened neither
            self._scanners.end(scanner, at_ms)
            return Answer(response.SerializeToString())
        beats = request.client_handles_heartbeats and request.client_handles_partials
        return Paging(self._scanners, scanner, request, response, form, is_late if beats else None)

    def _open(self, request: Client_pb2.ScanRequest, now_ms: int, at_ms: float, made: Filter | None) -> Scanner:
        if not request.HasField("scan") or not request.HasField("region"):
            raise DoNotRetryIOException("Missing required input: scanner_id, or region and scan")
        region = self._region_of(request.region)
        asked = read_scan(request.scan, made)
        self._scanners.check_room()

        def begin(moment: Snapshot) -> RegionScan | FilteredScan:
            return open_asked(region, asked, now_ms, moment)

        name, read_point = region.where.name, request.scan.mvcc_read_point
        scanner = self._scanners.open(name, begin, region.store, at_ms, read_point)
        scanner.bytes_max = min(asked.bytes_max, self._scanners.result_bytes_max)
        scanner.needs_cursor = asked.needs_cursor
        scanner.is_batched = request.scan.batch_size > 0
        return scanner


class Paging:
    """One answer in the making: a page is read turn by turn, so that other calls have theirs in between."""

    def __init__(
        self,
        scanners: Scanners,
        scanner: Scanner,
        request: Client_pb2.ScanRequest,
        response: Client_pb2.ScanResponse,
        form: CellForm,
        is_late: Callable[[], bool] | None,
    ) -> None:
        """`scanner` is busy until `answer`, or what a turn or `read` raises, or `abandon`."""
        self._scanners = scanners
        self.scanner = scanner
        self._request = request
        self._response = response
        self._form = form
        self._is_late = is_late
        if request.HasField("number_of_rows"):
            self._results_max = request.number_of_rows
        else:
            self._results_max = 0 if request.close_scanner else 1
        self._rows_max = request.limit_of_rows or NO_LIMIT
        self.page = Page()
        self._taken: Taken | None = None
        """What was read before it was asked for."""

    def turn(self, at_ms: float, is_turn_over: Callable[[], bool] | None = None) -> Answer | None:
        """Read on; the answer, or None when `is_turn_over` came first. Raises HBase's exceptions."""
        return self.answer(at_ms) if self.read(at_ms, is_turn_over) else None

    def read(self, at_ms: float, is_turn_over: Callable[[], bool] | None = None) -> bool:
        """Read on; whether the page is whole. What it raises has ended it."""
        scanner = self.scanner
        is_read = False
        self.page.turn_over = False
        try:
            if not self._scanners.is_open(scanner):
                raise NotServingRegionException(f"{scanner.region} is not online")
            if self._results_max:
                if scanner.ahead is not None:
                    self._take(scanner.ahead)
                if self._taken is None or not self._taken.is_whole:
                    self.page.extend(scanner.scan.page(self._limits(is_turn_over)))
            is_read = True
        except StoreError as error:
            self._scanners.close(scanner, at_ms, by_error=True)
            raise ScannerResetException(f"the scanner of {scanner.region} is closed: {error}") from error
        except Exception:  # a row is too large, its filter fails, or what nobody has thought of
            self._scanners.close(scanner, at_ms, by_error=True)
            raise
        finally:
            if not is_read:
                self._scanners.end(scanner, at_ms)
        return not self.page.turn_over

    def ahead(self) -> Ahead | None:
        """What may be read before the client asks for it, once it is answered; None: that is not worth it."""
        page, scanner = self.page, self.scanner
        if (
            page.size_bytes < ANSWER_BYTES_MIN
            or page.stopped_late
            or not self._request.client_handles_partials
            or scanner.watched is not None
            or scanner.is_batched
        ):
            return None
        limits = PageLimits(self._results_max, self._rows_max, scanner.bytes_max, partial=True)
        if self._rows_max != NO_LIMIT:
            limits = limits._replace(rows_max=self._rows_max - page.rows_done)
        return self._scanners.read_ahead(scanner, limits)

    def answer(self, at_ms: float) -> Answer:
        """What the page says, once it is whole."""
        try:
            return self._answer(at_ms)
        finally:
            self._scanners.end(self.scanner, at_ms)

    def fail(self, at_ms: float) -> None:
        """What was read cannot be told: the scan is over."""
        self._scanners.close(self.scanner, at_ms, by_error=True)
        self._scanners.end(self.scanner, at_ms)

    @property
    def wants_more(self) -> bool:
        """Whether there is nothing to tell yet and there may be, once more was read."""
        page = self.page
        limit_reached = 0 < self._request.limit_of_rows <= page.rows_done
        is_done = limit_reached or page.filter_is_done or page.stopped_late or not page.more_in_region
        return self._results_max > 0 and not page.counts and not is_done

    def take_back(self, at_ms: float) -> None:
        """It has opened a scan that nobody was told of; what it has read will be read again."""
        self.scanner.scan.counts.reads_count -= self.page.rows_read
        self._scanners.close(self.scanner, at_ms, by_error=True)

    def abandon(self, at_ms: float) -> None:
        """Nobody waits for the answer any more."""
        self._scanners.end(self.scanner, at_ms)

    def _take(self, ahead: Ahead) -> None:
        self.scanner.ahead = None
        taken = self._taken = ahead.take(self._results_max, self._rows_max)
        if taken.has_rest:
            self.scanner.ahead = ahead
        if any(taken.page.partial) and not self._request.client_handles_partials:
            raise ScannerResetException(
                f"the scanner of {self.scanner.region} has read rows in parts, as it was asked to"
            )
        self.page = taken.page

    def _limits(self, is_turn_over: Callable[[], bool] | None) -> PageLimits:
        partial, bytes_max = self._request.client_handles_partials, self.scanner.bytes_max
        whole = PageLimits(self._results_max, self._rows_max, bytes_max, partial, self._is_late, is_turn_over)
        return whole.left(self.page)

    def _answer(self, at_ms: float) -> Answer:
        request, response, page, taken = self._request, self._response, self.page, self._taken
        if self._results_max:
            told = taken if taken is not None and taken.is_whole else self.scanner.scan
            self.scanner.is_within_row = told.is_within_row
        limit_reached = 0 < request.limit_of_rows <= page.rows_done
        response.stale = False
        # A filter that is done ends the scan with an answer without results: old clients leave out what comes with it.
        response.more_results = not limit_reached and (bool(page.counts) or not page.filter_is_done)
        response.more_results_in_region = page.more_in_region
        if not page.more_in_region and page.partial:
            page.partial[-1] = False  # a filter has let nothing of the row's rest pass
        if page.stopped_late and not page.counts:
            response.heartbeat_message = True
            if self.scanner.needs_cursor and page.last_row is not None:
                response.cursor.row = page.last_row
        if request.track_scan_metrics:
            _metrics(response, page)
        cells = _cells(response, page, self._form)
        if limit_reached or not page.more_in_region or request.close_scanner:
            self._scanners.close(self.scanner, at_ms)
        return Answer(response.SerializeToString(), cells)


def open_asked(
    region: Region, asked: ScanAsked, now_ms: int, moment: Snapshot | None = None
) -> RegionScan | FilteredScan:
    """Begin what a Scan asks, at that moment or this one. Raises NoSuchColumnFamilyException, DoNotRetryIOException."""
    shape = asked.shape(region.families)
    if asked.filter is None:
        return open_scan(region, asked.rows, shape, now_ms, moment)
    on_demand = region.rules.on_demand if asked.on_demand is None else asked.on_demand
    return open_filtered_scan(region, asked.rows, shape, asked.filter, now_ms, moment, on_demand=on_demand)


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
    for name, value in (("ROWS_SCANNED", page.rows_read), ("ROWS_FILTERED", page.rows_empty)):
        response.scan_metrics.metrics.add(name=name, value=value)
