"""Scans over sockets: what is cancelled, slow, or left half-way."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

import hbeacon
from protos.hbase import Client_pb2
from registry.rpc.services import Answer
from registry.wire.cellblock import Cell, KeyType, encode_cells
from tests.support.scripted_rows import scripted_rows


@dataclass
class Scans:
    """What a region answers: `row0`, `row1`, ..., so many in an answer."""

    rows_count: int = 6
    rows_per_answer: int = 2
    heartbeats: int = 0
    """Of each answer with rows so many come before."""
    slow_s: float = 0.0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Answers wait for it."""
    asked: int = 0
    closed: list[int] = field(default_factory=list[int])
    _open: dict[int, int] = field(default_factory=dict[int, int])
    """Scanner to the row that comes next."""
    _beats: int = 0

    async def answer(self, request: Client_pb2.ScanRequest) -> Answer:
        if request.close_scanner:
            self.closed.append(request.scanner_id)
            return Answer(Client_pb2.ScanResponse())
        self.asked += 1
        number = request.scanner_id or len(self._open) + 1
        first = self._open.setdefault(number, int(request.scan.start_row[3:] or b"-1") + 1)
        await asyncio.sleep(self.slow_s)
        await self.gate.wait()
        response = Client_pb2.ScanResponse(scanner_id=number, more_results=True, more_results_in_region=True)
        if self._beats < self.heartbeats:
            self._beats += 1
            response.heartbeat_message = True
            return Answer(response)
        self._beats = 0
        numbers = range(first, min(first + self.rows_per_answer, self.rows_count))
        self._open[number] = first + self.rows_per_answer
        response.cells_per_result.extend([1] * len(numbers))
        response.more_results_in_region = self._open[number] < self.rows_count
        cells = [Cell(b"row%d" % each, b"f", b"q", 1, KeyType.PUT, b"v") for each in numbers]
        return Answer(response, encode_cells(cells))


def keys(rows: list[hbeacon.Row]) -> list[int]:
    return [int(row.key[3:]) for row in rows]


async def test_a_batch_that_nobody_waits_for_any_more_is_the_next_one_s() -> None:
    scans = Scans()
    scans.gate.set()
    async with scripted_rows([b""], [0]) as (script, table, _):
        script.scan = scans.answer
        async with table.scan() as scanner:
            assert keys(await scanner.next_batch()) == [0, 1]
            waiting = asyncio.create_task(scanner.next_batch())
            assert scanner._ahead is not None
            scanner._ahead.add_done_callback(lambda _: waiting.cancel())  # as a time-out would, when the rows are there
            with pytest.raises(asyncio.CancelledError):
                await waiting
            scans.gate.clear()
            late = asyncio.create_task(scanner.next_batch())
            await asyncio.sleep(0.01)
            late.cancel()  # whichever answer it waits for
            await asyncio.wait((late,))
            scans.gate.set()
            told = [] if late.cancelled() else keys(late.result())
            assert told + keys(await scanner.all()) == [2, 3, 4, 5]


async def test_the_deadline_is_of_an_answer_and_heartbeats_are_answers() -> None:
    scans = Scans(heartbeats=8, slow_s=0.06)
    scans.gate.set()
    async with scripted_rows([b""], [0]) as (script, table, _):
        script.scan = scans.answer
        assert keys(await table.scan(timeout_ms=350, limit=1).all()) == [0]
        scans.slow_s = 5.0
        with pytest.raises(hbeacon.RetriesExhaustedException):
            await table.scan(timeout_ms=50).all()


async def test_a_scan_that_is_left_is_closed_and_asked_for_nothing_more() -> None:
    scans = Scans(rows_count=100)
    scans.gate.set()
    async with scripted_rows([b""], [0]) as (script, table, _):
        script.scan = scans.answer
        async with table.scan() as rows:
            async for _ in rows:
                await asyncio.sleep(0.02)
                break
        assert scans.asked <= 2, "one answer more than was wanted"
        while not scans.closed:
            await asyncio.sleep(0.001)
        async for _ in table.scan():
            break  # nobody closes it: the answer that was asked for comes, and no other is asked for
        await asyncio.sleep(0.02)
        assert scans.asked <= 4
