"""Gets and scans of a region with observers: their hooks before and behind what is read.

A scan is read page by page as others are; then its rows are shown to observers, and what they leave is told. Where they
leave nothing it is read on, for an answer without rows ends a region's scan for most clients.

Source: RSRpcServices#get, #scan, RegionCoprocessorHost#postScannerNext.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from protos.hbase import Client_pb2
from regionserver.client_service.filtered_gets import outcome_steps
from regionserver.client_service.reads import GetAsked, read_get
from regionserver.client_service.rows import as_hbase, got
from regionserver.client_service.scans import Paging
from regionserver.client_service.watched import Client
from regionserver.endpoints.seen import cells_of, check_cell, found_of, in_order
from regionserver.endpoints.watching import Asked, Watching
from regionserver.engine.store import StoreError
from regionserver.region.region import Found, Region
from regionserver.region.scan import Page
from regionserver.turns import IsOver, Turns
from registry.rpc.services import Call
from registry.wire.cellblock import Cell
from registry.wire.errors import DoNotRetryIOException, HBaseError


class WatchedReads:
    """Of one region whose observers are ready. Belongs to its loop."""

    def __init__(self, watching: Watching, turns: Turns) -> None:
        self._watching = watching
        self._turns = turns

    async def get(self, client: Client, message: Client_pb2.Get) -> tuple[Found, bool]:
        """What is told of a Get, and whether only existence is. Raises HBase's exceptions, StoreError."""
        watching = self._watching
        get = Client_pb2.Get()
        get.CopyFrom(message)
        results: list[Cell] = []
        if watching.has("pre_get"):
            [outcome], made = await watching.ask(client, [("pre_get", (get, results))], lambda _: in_order(results))
            if isinstance(outcome, HBaseError):
                raise outcome
            if outcome:
                return found_of(made), message.existence_only
        found = await self._found(get)
        if watching.has("post_get"):
            results[:] = cells_of(found.block)
            [outcome], made = await watching.ask(client, [("post_get", (get, results))], lambda _: in_order(results))
            if isinstance(outcome, HBaseError):
                raise outcome
            found = found_of(made)
        return found, message.existence_only

    async def _found(self, get: Client_pb2.Get) -> Found:
        self._watching.check()
        region, now_ms = self._watching.region, self._watching.now_ms
        if not get.HasField("filter"):
            return got(region, read_get(get), now_ms)
        filtering = _Filtering(region, get, now_ms, self._watching.check)
        self._turns.take(filtering)
        found = await filtering.end
        if isinstance(found, HBaseError):
            raise found
        return found

    async def opening(self, client: Client, message: Client_pb2.Scan) -> Client_pb2.Scan:
        """The scan as it is to be opened. Raises what hooks do."""
        scan = Client_pb2.Scan()
        scan.CopyFrom(message)
        await self._watching.ask_one(client, "pre_scanner_open", scan)
        if not scan.IsInitialized():
            raise DoNotRetryIOException("an observer has left a scan that is none")
        return scan

    async def page(self, call: Call, client: Client, scan: Client_pb2.Scan, paging: Paging) -> bool:
        """Read until there is something to tell; whether anybody waits for it. Raises HBase's exceptions."""
        while True:
            reading = _Reading(call, paging)
            self._turns.take(reading)
            error = await reading.end
            if error is not None:
                raise error
            if not reading.is_wanted:
                return False
            if paging.page.counts:
                await self._show(client, scan, paging.page)
            if not paging.wants_more:
                return True

    async def _show(self, client: Client, scan: Client_pb2.Scan, page: Page) -> None:
        rows = _rows_of(page)
        results = [list(row.cells) for row in rows]

        def told(outcomes: Sequence[Asked]) -> list[tuple[bytes, int, bytes]]:
            [outcome] = outcomes
            if isinstance(outcome, HBaseError):
                raise outcome
            return [(row[0].row, len(row), b"".join(map(check_cell, row))) for row in results if row]

        _, kept = await self._watching.ask(client, [("post_scanner_next", (scan, results))], told)
        _keep(page, rows, kept)


class _Row(NamedTuple):
    """A result of a page."""

    cells: Sequence[Cell]
    is_part: bool


def _rows_of(page: Page) -> list[_Row]:
    cells = iter(cells_of(b"".join(page.blocks)))
    return [
        _Row([next(cells) for _ in range(count)], is_part)
        for count, is_part in zip(page.counts, page.partial, strict=True)
    ]


def _keep(page: Page, rows: Sequence[_Row], kept: Sequence[tuple[bytes, int, bytes]]) -> None:
    """Have the page tell these: rows with the number of their cells and their bytes."""
    goes_on = {row.cells[0].row: row.is_part for row in rows}
    """Of each row: whether more of it may follow behind the last of its parts."""
    left = {row for row, _, _ in kept}
    page.rows_done -= sum(not is_part for row, is_part in goes_on.items() if row not in left)
    if rows and not kept:
        page.last_row = None  # a cursor would tell it
    behind = [row for row, _, _ in kept[1:]]
    page.partial = [
        row == (behind[number] if number < len(behind) else None) or goes_on.get(row, False)
        for number, (row, _, _) in enumerate(kept)
    ]
    page.counts = [count for _, count, _ in kept]
    page.blocks = [block for _, _, block in kept]
    page.size_bytes = sum(map(len, page.blocks))
    page.tagged = True


class _Filtering:
    """A Get with a filter, turn by turn, among other calls; implements Work."""

    def __init__(self, region: Region, get: Client_pb2.Get, now_ms: int, check: Callable[[], None]) -> None:
        self.end: asyncio.Future[Found | HBaseError] = asyncio.get_running_loop().create_future()
        self._steps = outcome_steps(region, get, now_ms, lambda: self._is_over())
        self._is_over: IsOver = bool
        self._check = check

    def turn(self, now_ms: float, is_over: IsOver) -> bool:
        """Read on; whether it is known what is found."""
        del now_ms
        self._is_over = is_over
        outcome: Found | HBaseError
        try:
            self._check()
            next(self._steps)
            return False
        except StopIteration as end:
            told: tuple[GetAsked, Found] | HBaseError = end.value
            outcome = told if isinstance(told, HBaseError) else told[1]
        except HBaseError as gone:
            self._steps.close()
            outcome = gone
        self._told(outcome)
        return True

    def fail(self, error: HBaseError) -> None:
        """Tell who waits."""
        self._told(error)

    def _told(self, outcome: Found | HBaseError) -> None:
        if not self.end.done():
            self.end.set_result(outcome)


class _Reading:
    """A page that is read turn by turn, among those of other scans; implements Work."""

    def __init__(self, call: Call, paging: Paging) -> None:
        self.end: asyncio.Future[HBaseError | None] = asyncio.get_running_loop().create_future()
        self.is_wanted = True
        """Whether anybody waits for the answer."""
        self._call = call
        self._paging = paging

    def turn(self, now_ms: float, is_over: IsOver) -> bool:
        """Read on; whether the page is whole, or will not be."""
        call, error = self._call, None
        try:
            if not call.caller.is_open or now_ms > call.deadline_ms:
                self.is_wanted = False
            elif not self._paging.read(now_ms, is_over):
                return False
        except (HBaseError, StoreError) as refused:
            error = as_hbase(refused)
        self._told(error)
        return True

    def fail(self, error: HBaseError) -> None:
        """Tell who waits."""
        self._told(error)

    def _told(self, error: HBaseError | None) -> None:
        if not self.end.done():
            self.end.set_result(error)
