"""Scans of tables over sockets.

    async for row in table.scan(prefix="user-"): ...
    rows = await table.scan(limit=100).all()

The answer behind the one that is being consumed is asked for already: server and client work at once. Nothing more is
asked than that, so who consumes slowly holds the server back.

Source: AsyncTableResultScanner, AsyncScanSingleRegionRpcRetryingCaller.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

from protos.hbase import Client_pb2
from registry.client.data.attempts import Attempts
from registry.client.data.calls import Calls, unusable
from registry.client.data.finding import TableRegions
from registry.client.data.region_map import Region
from registry.client.data.results import Row
from registry.client.data.table_scan import ScanSpec, TableScan
from registry.names import Address
from registry.wire.errors import ErrorAction, HBaseError, ProtocolError, RegionOpeningException

_SAME_REGION = (ErrorAction.REOPEN_SCANNER, ErrorAction.RETRY_HERE, ErrorAction.RETRY_NOW, ErrorAction.BACK_OFF)


class Scanner:
    """The rows of a scan, once: an async iterator. Belongs to one loop.

    The deadline is that of each answer with all its retries, not of the whole; a server that finds nothing for long
    answers so. Leaving the loop early is fine; `async with`, or `aclose`, tells the server at once that its scanner is
    not needed any more.
    Raises RetriesExhaustedException, or the error of a server that no retry mends.
    """

    def __init__(self, calls: Calls, table: TableRegions, spec: ScanSpec, timeout_ms: float) -> None:
        """Use `Table.scan`. Raises ValueError."""
        self._calls = calls
        self._table = table
        self._scan = TableScan(spec)
        self._timeout_ms = timeout_ms
        self._server: Address | None = None
        self._ahead: asyncio.Task[list[Row]] | None = None
        self._rows: AsyncGenerator[Row] | None = None
        self._closed = False

    def __aiter__(self) -> AsyncGenerator[Row]:
        if self._rows is None:
            self._rows = self._each()
        return self._rows

    async def __anext__(self) -> Row:
        return await anext(aiter(self))

    async def all(self) -> list[Row]:
        """All rows that are left, in memory."""
        rows: list[Row] = []
        while batch := await self.next_batch():
            rows += batch
        return rows

    async def next_batch(self) -> list[Row]:
        """The next rows, as an answer has brought them; an empty list at the end.

        May be called again after an error, and where it was cancelled: no row is lost by that.
        """
        if self._ahead is None:
            if self._scan.done or self._closed:
                return []
            rows = await self._step()
        else:
            await asyncio.wait((self._ahead,))  # who is cancelled here leaves it to the next
            ahead, self._ahead = self._ahead, None
            rows = ahead.result()
        if rows and not self._scan.done and self._scan.inside is not None:
            self._ahead = asyncio.create_task(self._step(), name="scan ahead")
            self._ahead.add_done_callback(_taken)  # who has left the scan is not told of its errors
        return rows

    async def aclose(self) -> None:
        """End the scan; may be called again."""
        self._closed = True
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)
        if self._rows is not None:
            rows, self._rows = self._rows, None
            await rows.aclose()
        self._tell(self._scan.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _each(self) -> AsyncGenerator[Row]:
        try:
            while batch := await self.next_batch():
                for row in batch:
                    yield row
        finally:
            if not self._closed:
                self._rows = None
                await self.aclose()

    # --- one step -----------------------------------------------------------------------------------------------

    async def _step(self) -> list[Row]:
        """The next rows, over as many answers, regions and retries as it takes; none where there are no more."""
        scan = self._scan
        attempts = self._attempts()
        while not scan.done:
            region = scan.inside
            try:
                if region is None:
                    region = await self._find(attempts)
                    scan.enter(region)
                if rows := await self._ask(region, attempts):
                    return rows
            except HBaseError as error:
                await self._recover(attempts, region, error)
            except asyncio.CancelledError:
                self._tell(scan.leave())  # whether the server has seen the call is not known
                raise
            else:
                attempts = self._attempts()  # an answer without rows is one: the server is at work
        return []

    def _attempts(self) -> Attempts:
        """Of one answer."""
        calls = self._calls
        return Attempts(f"Scan of {self._table.name}", calls.settings, calls.clock.monotonic_ms(), self._timeout_ms)

    async def _find(self, attempts: Attempts) -> Region:
        finder, remaining_ms = self._calls.finder, self._calls.remaining_ms(attempts)
        row, is_before = self._scan.where
        if is_before:
            return await finder.locate_before(self._table, row, remaining_ms)
        return await finder.locate(self._table, row, remaining_ms, ahead=not self._scan.spec.reverse)

    async def _ask(self, region: Region, attempts: Attempts) -> list[Row]:
        calls, scan = self._calls, self._scan
        self._server = region.address
        answer = await calls.send(
            region.address,
            "Scan",
            scan.request().SerializeToString(),
            calls.remaining_ms(attempts),
            priority=self._table.priority,
        )
        response = calls.parse(answer, Client_pb2.ScanResponse, "Scan")
        try:
            return scan.take(response, answer.cells)
        except ProtocolError as error:
            raise unusable("Scan", region.address, error) from None

    async def _recover(self, attempts: Attempts, region: Region | None, error: HBaseError) -> None:
        """The same region again where the error says so, else the region is found again behind the last row."""
        if self._scan.inside is not None:
            stays = error.action in _SAME_REGION or isinstance(error, RegionOpeningException)
            self._tell(self._scan.reopen() if stays else self._scan.leave())
        await self._calls.recover(attempts, self._table, region, error)

    def _tell(self, closing: Client_pb2.ScanRequest | None) -> None:
        """Tell the server that a scanner is not needed; it keeps files for it until the lease ends."""
        if closing is not None and self._server is not None:
            self._calls.tell(self._server, "Scan", closing.SerializeToString())


def _taken(task: asyncio.Task[list[Row]]) -> None:
    if not task.cancelled():
        task.exception()
