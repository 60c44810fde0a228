"""Region servers of one table in this process, and its hbase:meta: rows in a dict, errors as a test wants them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from protos.hbase import Client_pb2
from registry.client.answers import Answer as Told
from registry.client.answers import RegionLocation, What
from registry.client.data.calls import Calls, calls_of
from registry.client.data.operations import Durability
from registry.client.data.table import Table
from registry.client.scan import META_REGION
from registry.client.settings import ClientSettings
from registry.clock import SystemClock
from registry.names import Address, ServerName
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import Answer, Call, ServiceTable
from registry.wire.cellblock import Cell, KeyType, decode_cells, encode_cells
from registry.wire.errors import HBaseError, NotServingRegionException, encode_exception
from registry.wire.region_info import RegionInfo

AT_MS = 1_795_000_000_000
QUICK = ClientSettings(pause_ms=1, failed_server_expiry_ms=5, retries_count=6)


@dataclass
class After:
    """The call is done, and fails all the same: nobody hears that it was."""

    error: HBaseError


@dataclass
class ScriptedRows:
    """One table, `t`. `places` says which server has each region; tests move them by changing it."""

    starts: list[bytes]
    places: list[int | None]
    state: str = "ENABLED"
    rows: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict[bytes, dict[bytes, bytes]])
    faults: list[HBaseError | After | None] = field(default_factory=list[HBaseError | After | None])
    """One for each of the next data calls; None: it goes well."""
    asked: list[tuple[int, str, Any]] = field(default_factory=list[tuple[int, str, Any]])
    """Server, method and request of every data call."""
    scan: Callable[[Client_pb2.ScanRequest], Awaitable[Answer]] | None = None
    """Answers scans of the table."""
    meta_scans: int = 0
    most_at_once: int = 0
    slow_s: float = 0.0
    applied: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """Nonces, with what the counter was then."""
    servers: list[RpcServer] = field(default_factory=list[RpcServer])
    addresses: list[Address] = field(default_factory=list[Address])
    _at_once: int = 0

    def info(self, index: int) -> RegionInfo:
        end = self.starts[index + 1] if index + 1 < len(self.starts) else b""
        return RegionInfo("t", self.starts[index], end, 1)

    def name(self, index: int) -> ServerName:
        return ServerName(self.addresses[index].host, self.addresses[index].port, 1)

    # --- what servers answer ------------------------------------------------------------------------------------

    def handlers(self, server: int) -> list[tuple[str, type[Message], Callable[[Call], Any]]]:
        def data(method: str, do: Callable[[Any, bytes], Answer]) -> Callable[[Call], Any]:
            async def handle(call: Call) -> Answer:
                self.asked.append((server, method, call.request))
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                try:
                    if self.slow_s:
                        await asyncio.sleep(self.slow_s)
                    fault = self.faults.pop(0) if self.faults else None
                    if isinstance(fault, HBaseError):
                        raise fault
                    if method != "Multi":
                        self._check(server, call.request.region.value)  # type: ignore[attr-defined]
                    answer = do(call.request, call.cells)
                    if isinstance(fault, After):
                        raise fault.error
                    return answer
                finally:
                    self._at_once -= 1

            return handle

        def multi(request: Client_pb2.MultiRequest, cells: bytes) -> Answer:
            return self._multi(server, request, cells)

        return [
            ("Get", Client_pb2.GetRequest, data("Get", self._get)),
            ("Mutate", Client_pb2.MutateRequest, data("Mutate", self._mutate)),
            ("Multi", Client_pb2.MultiRequest, data("Multi", multi)),
            ("Scan", Client_pb2.ScanRequest, self._scan),
        ]

    def _check(self, server: int, region: bytes) -> None:
        names = {self.info(index).name: place for index, place in enumerate(self.places)}
        if names.get(region) != server:
            raise NotServingRegionException(f"{region!r} is not online")

    def _cells(self, row: bytes) -> list[Cell]:
        return [
            Cell(row, family, qualifier, AT_MS, KeyType.PUT, value)
            for name, value in sorted(self.rows.get(row, {}).items())
            for family, _, qualifier in (name.partition(b":"),)
        ]

    def _get(self, request: Client_pb2.GetRequest, cells: bytes) -> Answer:
        found = self._cells(request.get.row)
        result = Client_pb2.Result(associated_cell_count=len(found))
        return Answer(Client_pb2.GetResponse(result=result), encode_cells(found))

    def _mutate(self, request: Client_pb2.MutateRequest, cells: bytes) -> Answer:
        mutation = request.mutation
        if request.HasField("condition"):
            name = request.condition.family + b":" + request.condition.qualifier
            if name in self.rows.get(mutation.row, {}):  # conditions here are If.absent
                return Answer(Client_pb2.MutateResponse(processed=False))
        found = self._do(mutation, b"")
        result = Client_pb2.Result(associated_cell_count=len(found))
        return Answer(Client_pb2.MutateResponse(result=result, processed=True), encode_cells(found))

    def _do(self, mutation: Client_pb2.MutationProto, cells: bytes) -> list[Cell]:
        row = self.rows.setdefault(mutation.row, {})
        if mutation.mutate_type == Client_pb2.MutationProto.DELETE:
            row.clear()
            return []
        given = [(cell.family + b":" + cell.qualifier, cell.value) for cell in decode_cells(cells)] or [
            (column.family + b":" + value.qualifier, value.value)
            for column in mutation.column_value
            for value in column.qualifier_value
        ]
        if mutation.mutate_type == Client_pb2.MutationProto.PUT:
            row.update(given)
            return []
        for name, value in given:
            if mutation.nonce not in self.applied:
                old = int.from_bytes(row.get(name, b""), "big", signed=True)
                row[name] = (old + int.from_bytes(value, "big", signed=True)).to_bytes(8, "big", signed=True)
                self.applied[mutation.nonce] = row[name]
        return self._cells(mutation.row)

    def _multi(self, server: int, request: Client_pb2.MultiRequest, cells: bytes) -> Answer:
        response, block = Client_pb2.MultiResponse(), list[Cell]()
        sent = decode_cells(cells)
        for part in request.regionAction:
            result = response.regionActionResult.add()
            own = [
                encode_cells([next(sent) for _ in range(action.mutation.associated_cell_count)])
                for action in part.action
            ]
            try:
                self._check(server, part.region.value)
            except HBaseError as error:
                told = encode_exception(error)
                result.exception.name, result.exception.value = told.exception_class_name, told.stack_trace.encode()
                continue
            for action, given in zip(part.action, own, strict=True):
                one = result.resultOrException.add(index=action.index)
                row = action.get.row if action.HasField("get") else action.mutation.row
                if row.startswith(b"bad"):
                    one.exception.name = "org.apache.hadoop.hbase.regionserver.NoSuchColumnFamilyException"
                    continue
                found = self._cells(row) if action.HasField("get") else self._do(action.mutation, given)
                one.result.associated_cell_count = len(found)
                block += found
        return Answer(response, encode_cells(block))

    async def _scan(self, call: Call) -> Answer:
        request = call.request
        assert isinstance(request, Client_pb2.ScanRequest)
        if request.region.value != META_REGION:
            assert self.scan is not None, "a test says what scans find"
            return await self.scan(request)
        self.meta_scans += 1
        response = Client_pb2.ScanResponse(scanner_id=1, more_results=True, more_results_in_region=False)
        found: list[list[Cell]] = []
        if request.scan.column[0].family == b"table":
            number = {"ENABLED": 0, "DISABLED": 1}[self.state]
            found = [[Cell(b"t", b"table", b"state", AT_MS, KeyType.PUT, b"\x08" + bytes((number,)))]]
        elif request.scan.start_row.split(b",")[0].rstrip(b"\0") == b"t":
            found = self._meta_rows(request.scan)[: request.limit_of_rows or None]
        for row in found:
            response.cells_per_result.append(len(row))
            response.partial_flag_per_result.append(False)
        return Answer(response, encode_cells([cell for row in found for cell in row]))

    def _meta_rows(self, scan: Client_pb2.Scan) -> list[list[Cell]]:
        parts = scan.start_row.split(b",")
        key, number = (parts[1], parts[2]) if len(parts) == 3 else (b"", b"")
        order = range(len(self.starts))
        if scan.reversed:
            below = [i for i in order if self.starts[i] < key or (self.starts[i] == key and number[:1] == b"9")]
            order = reversed(below if len(parts) == 3 else list(order))
        else:
            order = (i for i in order if self.starts[i] >= key)
        return [self._meta_row(index) for index in order]

    def _meta_row(self, index: int) -> list[Cell]:
        info, place = self.info(index), self.places[index]
        values = {b"regioninfo": info.value()}
        if place is not None:
            name = self.name(place)
            values |= {b"server": str(name.address).encode(), b"serverstartcode": (1).to_bytes(8, "big")}
        return [Cell(info.name, b"info", key, AT_MS, KeyType.PUT, values[key]) for key in sorted(values)]

    # --- what a connection answers ------------------------------------------------------------------------------

    async def meta_locations(self) -> Told[tuple[RegionLocation, ...]]:
        return Told(What.META_LOCATIONS, (RegionLocation(0, self.name(0)),), "script")

    def stale(self, answer: Told[object]) -> bool:
        return True


@asynccontextmanager
async def scripted_rows(
    starts: list[bytes], places: list[int | None], *, settings: ClientSettings = QUICK, timeout_ms: float = 5000
) -> AsyncGenerator[tuple[ScriptedRows, Table, Calls]]:
    """The servers, a table on them, and what it calls by."""
    script = ScriptedRows(starts, places)
    for index in range(2):
        services = ServiceTable()
        for method, kind, handle in script.handlers(index):
            services.add("ClientService", method, kind, handle)
        server = RpcServer(RpcServerSettings(), services, SystemClock())
        script.servers.append(server)
        script.addresses.append(await server.start("127.0.0.1", 0))
    calls = calls_of(script, settings, SystemClock(), random.Random(7))
    try:
        yield script, Table(calls, "t", timeout_ms, Durability.USE_DEFAULT), calls
    finally:
        await calls.close()
        for server in script.servers:
            await server.stop()
