"""ClientService: calls of clients, from frames to the region that answers them and back.

A read is answered where it arrives. A change is kept until its commit is as durable as it was asked to be, and answered
only if the lease still holds then. A call of a master of ours carries its epoch as a request attribute: it sees the
hidden family, and is refused once a later master was heard of.

Source: RSRpcServices (get, mutate, multi, scan, execService, getTimeLimit), RSAnnotationReadingPriorityFunction; cells
in answers by codec and version as IPCUtil and VersionInfoUtil have it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import cast

from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from protos.hbase import Client_pb2, Filter_pb2, HBase_pb2
from regionserver.client_service.cell_reader import CellReader
from regionserver.client_service.filtered_gets import answer_steps, in_turns
from regionserver.client_service.known_gets import SYSTEM_NAMESPACE, KnownGets, is_of_system
from regionserver.client_service.multi import MultiCalls
from regionserver.client_service.nonces import Nonces
from regionserver.client_service.results import Answer as RowAnswer
from regionserver.client_service.results import CellForm
from regionserver.client_service.rows import RegionOf, RowCalls, as_hbase
from regionserver.client_service.scanners import Scanners
from regionserver.client_service.scans import ScanCalls
from regionserver.client_service.service_calls import RunService
from regionserver.client_service.watched import Watched
from regionserver.endpoints.classes import HostSettings
from regionserver.endpoints.host import Asked, EndpointHost
from regionserver.endpoints.observers import Found, ObserverHost, UsersCode, client_of
from regionserver.engine.store import StoreError
from regionserver.filters.filter import Filter
from regionserver.filters.parsing import filter_steps
from regionserver.gate import Gate
from regionserver.master_calls import MasterCalls, epoch_of
from regionserver.region.region import Region
from regionserver.turns import TURN_MS, IsOver, ScanWork, StepsWork, Turns
from registry.clock import Clock
from registry.rpc.services import KEPT, NORMAL_QOS, SYSTEMTABLE_QOS, Answer, Call, Handled, Kept, ServiceTable
from registry.wire.cellblock import Cell
from registry.wire.epoch import MasterEpoch
from registry.wire.errors import (
    DoNotRetryIOException,
    HBaseError,
    UnknownProtocolException,
)
from registry.wire.header import KEY_VALUE_CODEC_WITH_TAGS, ConnectionInfo
from registry.wire.text import lenient_text

SERVICE = Client_pb2.DESCRIPTOR.services_by_name["ClientService"]
TIME_LIMIT_MS_MIN = 10.0
"""hbase.region.server.scan.minimum.time.limit.delta, shorter: here nothing else of a call takes as long."""
FILTER_BYTES_AT_ONCE = 256
"""Of a scan; a larger one is parsed turn by turn."""
OPENS_SCAN = b"\x0a"
"""A ScanRequest that begins with a region opens a scan; all others have the id of one."""
AT_ONCE_BYTES_MAX = 512
"""Of a request: a filter may be in it that takes long to parse."""
AT_ONCE_ROWS_MAX = 128
"""More rows are worth a call of their own."""
NO_CELLS: Iterator[Cell] = iter(())


class ClientDoor:
    """Answers ClientService for one server. Belongs to its loop."""

    def __init__(
        self,
        gate: Gate,
        region_of: RegionOf,
        scanners: Scanners,
        clock: Clock,
        check_epoch: Callable[[MasterEpoch], None],
        call_soon: Callable[[Callable[[], None]], object],
        *,
        find: Callable[[HBase_pb2.RegionSpecifier], Found] | None = None,
        endpoints: HostSettings | None = None,
        nonces: Nonces | None = None,
    ) -> None:
        """`region_of`: open regions with all their families. `check_epoch` raises where a later master is known.

        `find` gives them with what their tables say; without it these say nothing.
        """
        self._gate = gate
        self._region_of = region_of
        self._clock = clock
        self.scanners = scanners
        self.nonces = Nonces() if nonces is None else nonces

        def seen_by_clients(spec: HBase_pb2.RegionSpecifier) -> Region:
            region = region_of(spec)
            return region if region.is_plain else self.observers.seen_by_clients(spec, region)

        self._turns = Turns(clock, call_soon)

        def found(spec: HBase_pb2.RegionSpecifier) -> Found:
            return region_of(spec), HBase_pb2.TableSchema()

        settings, find, rows = endpoints or HostSettings(), find or found, RowCalls(seen_by_clients, self.nonces)
        users = UsersCode(settings)
        self.observers = ObserverHost(find, gate, clock, self._turns, users, scanners, rows)
        self.endpoints = EndpointHost(find, gate, clock, self._turns, users, self.observers)
        self._for_clients = _Calls(seen_by_clients, scanners, rows, self.endpoints.run_action)
        self._for_masters = _Calls(region_of, scanners, RowCalls(region_of, self.nonces), self.endpoints.run_action)
        self._masters = MasterCalls(region_of, check_epoch, clock)

    def add_to(self, table: ServiceTable) -> None:
        """Offer every method of the service."""
        own: dict[str, Callable[[Call], Handled | Kept]] = {
            "Get": partial(self._judged, self._get),
            "Mutate": partial(self._judged, self._mutate),
            "Multi": partial(self._judged, self._multi),
            "Scan": partial(self._judged, self._scan),
            "ExecService": self._exec_service,
            "ExecRegionServerService": self._exec_region_server_service,
        }
        ways_at_once = {"Get": self._get_at_once, "Scan": self._scan_at_once}
        for method in SERVICE.methods:
            has_region = method.input_type.fields_by_name.get("region") is not None
            weigh = _weigh_region if has_region else None  # of a Multi its clients say in the header what it weighs
            if method.name == "Scan":
                weigh = self._weigh_scan
            handler = own.get(method.name, self._refuse)
            at_once = ways_at_once.get(method.name)
            request_type = GetMessageClass(method.input_type)
            table.add(SERVICE.name, method.name, request_type, handler, weigh=weigh, at_once=at_once)

    # --- who may ask ----------------------------------------------------------------------------------------------

    def _judged(self, handler: Callable[[Call, _Calls], Handled | Kept], call: Call) -> Handled | Kept:
        self._gate.check()
        try:
            if not call.header.attribute or (epoch := epoch_of(call.header)) is None:
                return handler(call, self._for_clients)
            if self._masters.may_go_on(call, epoch, partial(self._resumed, handler, call)):
                return handler(call, self._for_masters)
        except StoreError as error:
            raise as_hbase(error) from error
        return KEPT

    def _resumed(self, handler: Callable[[Call, _Calls], Handled | Kept], call: Call, error: HBaseError | None) -> None:
        """A master's call that has waited for its epoch to be kept durably."""
        try:
            if error is not None:
                raise error
            self._gate.check()
            handled = handler(call, self._for_masters)
        except (HBaseError, StoreError) as refusal:
            call.fail(as_hbase(refusal))
            return
        if isinstance(handled, Answer) and isinstance(handled.message, bytes):
            call.answer(handled.message, handled.cells)
        else:
            assert handled is KEPT, "a handler gives bytes and cells, or keeps the call"

    # --- the calls ------------------------------------------------------------------------------------------------

    def _get(self, call: Call, calls: _Calls) -> Handled | Kept:
        request = call.request
        assert isinstance(request, Client_pb2.GetRequest), "the table has the type"
        form = cell_form(call.info, of_get=True)
        try:
            if request.get.HasField("filter"):
                self._filtered_get(call, calls.region_of(request.region), form)
                return KEPT
            message, cells = calls.rows.get(request, form, self._now_ms())
        except Watched as watched:
            watched.calls.get(call, request, form)
            return KEPT
        self._gate.check()  # it held when the row was read
        return Answer(message, cells)

    def _filtered_get(self, call: Call, region: Region, form: CellForm) -> None:
        request, work = call.request, StepsWork(call, self._gate)
        assert isinstance(request, Client_pb2.GetRequest), "the table has the type"
        is_wanted, told = partial(self._is_wanted, call), partial(self._changed, call)
        steps = answer_steps(region, request.get, form, self._now_ms(), work.is_over, is_wanted, told)
        self._turns.take(work.begin(steps))

    def _is_wanted(self, call: Call) -> bool:
        return call.caller.is_open and self._clock.monotonic_ms() <= call.deadline_ms

    def _get_at_once(self, param: bytes, info: ConnectionInfo) -> RowAnswer | None:
        """The same of a client's usual Get, without a message or a call; what is refused is left to those."""
        try:
            answer = self._for_clients.gets.answer(param, cell_form(info, of_get=True), self._now_ms())
            self._gate.check()  # it held when the row was read
        except (HBaseError, StoreError, Watched):
            return None
        return answer

    def _mutate(self, call: Call, calls: _Calls) -> Kept:
        request = call.request
        assert isinstance(request, Client_pb2.MutateRequest), "the table has the type"
        form, now_ms, changed = cell_form(call.info), self._now_ms(), partial(self._changed, call)
        try:
            calls.rows.mutate(request, _cells(call, form), form, now_ms, changed)
        except Watched as watched:
            change = watched.calls.change_row(client_of(call))
            calls.rows.mutate_by(change, watched.region, request, _cells(call, form), form, now_ms, changed)
        return KEPT

    def _multi(self, call: Call, calls: _Calls) -> Kept:
        request = call.request
        assert isinstance(request, Client_pb2.MultiRequest), "the table has the type"
        form, now_ms = cell_form(call.info), self._now_ms()
        cells, changed = _cells(call, form), partial(self._changed, call)
        if calls.multi.one_put(request, cells, now_ms, changed):
            return KEPT
        work = StepsWork(call, self._gate)
        steps = calls.multi.steps(request, cells, form, now_ms, changed, work.is_over, partial(client_of, call))
        self._turns.take(work.begin(steps))
        return KEPT

    def _changed(self, call: Call, outcome: RowAnswer | HBaseError) -> None:
        """Commits are over: what they have done is told only by who still has the regions."""
        doubt = self._gate.doubt()
        if doubt is not None:
            call.fail(doubt)
        elif isinstance(outcome, HBaseError):
            call.fail(outcome)
        else:
            call.answer(outcome.message, outcome.cells)

    def _scan(self, call: Call, calls: _Calls) -> Handled | Kept:
        request = call.request
        assert isinstance(request, Client_pb2.ScanRequest), "the table has the type"
        if len(request.scan.filter.serialized_filter) > FILTER_BYTES_AT_ONCE:
            work = StepsWork(call, self._gate)
            self._turns.take(work.begin(self._scan_steps(call, calls, request.scan.filter, work.is_over)))
            return KEPT
        return self._scan_with(call, calls, None)

    def _scan_steps(
        self, call: Call, calls: _Calls, message: Filter_pb2.Filter, is_over: IsOver
    ) -> Generator[None, None, None]:
        """The same with a filter that is parsed turn by turn."""
        made = yield from in_turns(filter_steps(message, random.random), is_over)
        try:
            handled = self._scan_with(call, calls, made)
        except StoreError as error:
            raise as_hbase(error) from error
        if isinstance(handled, Answer):
            assert isinstance(handled.message, bytes)
            call.answer(handled.message, handled.cells)

    def _scan_with(self, call: Call, calls: _Calls, made: Filter | None) -> Handled | Kept:
        request = call.request
        assert isinstance(request, Client_pb2.ScanRequest), "the table has the type"
        form, ends_ms = cell_form(call.info), self.scan_ends_ms(call)

        def is_late() -> bool:
            return self._clock.monotonic_ms() >= ends_ms

        try:
            begun = calls.scans.begin(request, form, self._now_ms(), self._clock.monotonic_ms(), is_late, made)
        except Watched as watched:
            watched.calls.scan(call, request, form, is_late)
            return KEPT
        if isinstance(begun, RowAnswer):
            return Answer(*begun)
        if begun.scanner.watched is not None:
            begun.scanner.watched(call, begun)
        else:
            self._turns.take(ScanWork(call, begun, self._gate, self._turns))
        return KEPT

    def _scan_at_once(self, param: bytes, info: ConnectionInfo) -> RowAnswer | None:
        """The same of a short scan that a client opens, without a call or turns; what takes longer is left to those."""
        if param[:1] != OPENS_SCAN or len(param) > AT_ONCE_BYTES_MAX:
            return None
        try:
            request = Client_pb2.ScanRequest.FromString(param)
            if not request.IsInitialized() or not 0 < request.number_of_rows <= AT_ONCE_ROWS_MAX:
                return None
            if is_of_system(request.region):
                return None  # these have handlers of their own
            self._gate.check()
            at_ms = self._clock.monotonic_ms()
            ends_ms = at_ms + TURN_MS
            form, scans = cell_form(info), self._for_clients.scans
            answer = scans.at_once(request, form, self._now_ms(), at_ms, lambda: self._clock.monotonic_ms() >= ends_ms)
            self._gate.check()  # it held when the last row was read
        except (DecodeError, HBaseError, StoreError, Watched):
            return None
        return answer

    def scan_ends_ms(self, call: Call) -> float:
        """When a scan's client should hear something, by the clock that never goes back: half of what it waits for."""
        now_ms = self._clock.monotonic_ms()
        waits_ms = min(self.scanners.lease_ms, call.deadline_ms - now_ms)
        return now_ms + max(waits_ms / 2, TIME_LIMIT_MS_MIN)

    def _exec_service(self, call: Call) -> Kept:
        request = call.request
        assert isinstance(request, Client_pb2.CoprocessorServiceRequest), "the table has the type"
        self._gate.check()

        def told(value: HBase_pb2.NameBytesPair | HBaseError) -> None:
            if isinstance(value, HBaseError):
                call.fail(value)
            else:
                answer = Client_pb2.CoprocessorServiceResponse(region=request.region, value=value)
                call.answer(answer.SerializeToString())

        self.endpoints.run(request.region, Asked(request.call, partial(self._is_wanted, call), told, client_of(call)))
        return KEPT

    # --- what is not there ----------------------------------------------------------------------------------------

    def _refuse(self, call: Call) -> Handled:
        """Bulk loads: there are no files of HBase here to take over."""
        self._gate.check()
        raise DoNotRetryIOException(f"java.lang.UnsupportedOperationException: {call.method.name}")

    def _exec_region_server_service(self, call: Call) -> Handled:
        request = call.request
        assert isinstance(request, Client_pb2.CoprocessorServiceRequest), "the table has the type"
        self._gate.check()
        name = lenient_text(request.call.service_name)
        raise UnknownProtocolException(f"No registered coprocessor executorService found for executorService {name}")

    # --- time and weight ------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """Close scanners whose clients have not come back; to be called now and then."""
        self.scanners.expire(self._clock.monotonic_ms())

    def _now_ms(self) -> int:
        return int(self._clock.wall_ms())

    def _weigh_scan(self, request: Message) -> int:
        assert isinstance(request, Client_pb2.ScanRequest), "the table has the type"
        if not request.HasField("scanner_id"):
            return _weigh_region(request)
        of_system = self.scanners.region_of(request.scanner_id).startswith(SYSTEM_NAMESPACE.decode())
        return SYSTEMTABLE_QOS if of_system else NORMAL_QOS


class _Calls:
    """The calls of one kind of caller: clients, or masters of ours."""

    def __init__(self, region_of: RegionOf, scanners: Scanners, rows: RowCalls, run: RunService) -> None:
        self.region_of = region_of
        self.rows = rows
        self.gets = KnownGets(region_of)
        self.multi = MultiCalls(self.rows, region_of, run, scanners.result_bytes_max)
        self.scans = ScanCalls(scanners, region_of)


def cell_form(info: ConnectionInfo, *, of_get: bool = False) -> CellForm:
    """How the answers of a connection carry cells. Get has them in a block only for clients that say 1.3 or later."""
    codec = info.cell_block_codec
    if not codec or (of_get and not info.has_minimum_version(1, 3)):
        return CellForm.INLINE
    return CellForm.BLOCK_WITH_TAGS if codec == KEY_VALUE_CODEC_WITH_TAGS else CellForm.BLOCK


def _cells(call: Call, form: CellForm) -> Iterator[Cell]:
    if not call.cells:
        return NO_CELLS
    return CellReader(call.cells, with_tags=form is CellForm.BLOCK_WITH_TAGS)


def _weigh_region(request: Message) -> int:
    """Calls for tables of the system pass those for others: while these queue, clients still find their regions."""
    region = cast("Client_pb2.GetRequest", request).region  # all of them have it, under this name
    return SYSTEMTABLE_QOS if is_of_system(region) else NORMAL_QOS
