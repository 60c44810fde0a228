"""A region server of one region, from a list of rows: real scanners, scripted faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from protos.hbase import Client_pb2
from registry.client.scan import META_REGION
from registry.clock import SystemClock
from registry.names import Address
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import Answer, Call, ServiceTable
from registry.wire.cellblock import Cell, KeyType, encode_cells
from registry.wire.errors import HBaseError, NotServingRegionException, OutOfOrderScannerNextException
from registry.wire.errors import UnknownScannerException as UnknownScanner


def cell(row: bytes | str, value: bytes, *, family: bytes = b"table", qualifier: bytes = b"state") -> Cell:
    key = row.encode() if isinstance(row, str) else row
    return Cell(key, family, qualifier, 1_795_000_000_000, KeyType.PUT, value)


@dataclass
class _Open:
    cells: list[list[Cell]]
    """What is left, row by row."""
    seq: int = 0


@dataclass
class ScriptedRegionServer:
    """Serves `rows` (each its cells) of hbase:meta; `faults` take one call each, in order.

    Answers end after `cells_per_answer` cells, within a row if need be, and the last piece is flagged then. Behaves as
    a 2.6.4 was recorded to: sequence numbers checked, scanners closed at the end of the region.
    """

    rows: list[list[Cell]]
    cells_per_answer: int = 1000
    region: bytes = META_REGION
    inline: bool = False
    """Answers without cell blocks, as to a client without codec."""
    knows_include_start_row: bool = True
    faults: list[object] = field(default_factory=list[object])
    calls: list[Client_pb2.ScanRequest] = field(default_factory=list[Client_pb2.ScanRequest])
    scanners: dict[int, _Open] = field(default_factory=dict[int, _Open])
    opened: int = 0
    address: Address = field(default_factory=lambda: Address("", 0))
    server: RpcServer | None = None

    def fail(self, *faults: object) -> None:
        """HBaseError, ScanResponse, seconds of silence or None for each of the next calls."""
        self.faults += faults

    @property
    def openings(self) -> list[Client_pb2.Scan]:
        return [request.scan for request in self.calls if request.HasField("scan")]

    async def scan(self, call: Call) -> Answer:
        request = call.request
        assert isinstance(request, Client_pb2.ScanRequest)
        self.calls.append(request)
        if request.close_scanner:
            self.scanners.pop(request.scanner_id, None)
            return Answer(Client_pb2.ScanResponse(scanner_id=request.scanner_id))
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, HBaseError):
            raise fault
        if isinstance(fault, float):
            await asyncio.sleep(fault)
        response = self._answer(request)
        if isinstance(fault, Client_pb2.ScanResponse):  # instead of rows: a heartbeat, or nonsense
            response.MergeFrom(fault)
            return Answer(response)
        return self._with_rows(request, response)

    def _answer(self, request: Client_pb2.ScanRequest) -> Client_pb2.ScanResponse:
        if not request.HasField("scanner_id"):
            if request.region.value != self.region:
                raise NotServingRegionException(f"{request.region.value.decode()} is not online on us")
            self.opened += 1
            self.scanners[self.opened] = _Open(self._wanted(request.scan))
            return Client_pb2.ScanResponse(
                scanner_id=self.opened, more_results=True, more_results_in_region=True, ttl=60000, stale=False
            )
        scanner = self.scanners.get(request.scanner_id)
        if scanner is None:
            raise UnknownScanner(f"Unknown scanner '{request.scanner_id}'.")
        if request.next_call_seq != scanner.seq:
            raise OutOfOrderScannerNextException(f"Expected nextCallSeq: {scanner.seq}")
        scanner.seq += 1
        return Client_pb2.ScanResponse(scanner_id=request.scanner_id, more_results=True, more_results_in_region=True)

    def _wanted(self, scan: Client_pb2.Scan) -> list[list[Cell]]:
        start, rows = scan.start_row, [list(row) for row in self.rows]
        if start:
            include = scan.include_start_row or not self.knows_include_start_row
            rows = [row for row in rows if row[0].row > start or (include and row[0].row == start)]
        if scan.stop_row:
            rows = [row for row in rows if row[0].row < scan.stop_row]
        return rows

    def _with_rows(self, request: Client_pb2.ScanRequest, response: Client_pb2.ScanResponse) -> Answer:
        scanner = self.scanners[response.scanner_id]
        block: list[Cell] = []
        rows_left = request.limit_of_rows or 1 << 31
        while scanner.cells and rows_left and len(block) < self.cells_per_answer:
            row, space = scanner.cells[0], self.cells_per_answer - len(block)
            piece, rest = row[:space], row[space:]
            block += piece
            self._add(response, piece, partial=bool(rest))
            if rest:
                scanner.cells[0] = rest
            else:
                del scanner.cells[0]
                rows_left -= 1
        response.more_results = bool(rows_left)
        response.more_results_in_region = bool(scanner.cells)
        if not scanner.cells or not rows_left:
            del self.scanners[response.scanner_id]
        return Answer(response, b"" if self.inline else encode_cells(block))

    def _add(self, response: Client_pb2.ScanResponse, piece: Iterable[Cell], *, partial: bool) -> None:
        cells = list(piece)
        if not self.inline:
            response.cells_per_result.append(len(cells))
            response.partial_flag_per_result.append(partial)
            return
        result = response.results.add(partial=partial)
        for row, family, qualifier, timestamp_ms, _, value, _ in cells:
            result.cell.add(
                row=row, family=family, qualifier=qualifier, timestamp=timestamp_ms, cell_type=4, value=value
            )


@asynccontextmanager
async def region_server(script: ScriptedRegionServer) -> AsyncGenerator[ScriptedRegionServer]:
    """The script at an address of its own."""
    services = ServiceTable()
    services.add("ClientService", "Scan", Client_pb2.ScanRequest, script.scan)
    script.server = server = RpcServer(RpcServerSettings(), services, SystemClock())
    script.address = await server.start("127.0.0.1", 0)
    try:
        yield script
    finally:
        await server.stop()
