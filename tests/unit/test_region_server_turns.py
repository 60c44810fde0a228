"""What takes a region server more than a turn of its loop, behind a real socket: scans of many pages, long Multis."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from protos.hbase import Client_pb2
from regionserver import door as door_module
from regionserver.client_service import scans
from regionserver.engine.store import Batch, Durability
from regionserver.region import scan as pages
from regionserver.region.keys import family_key
from registry.rpc.client import RpcChannel
from registry.wire.errors import (
    IOException,
    NotServingRegionException,
    RegionServerStoppedException,
    UnknownScannerException,
)
from tests.support.region_door import (
    LEASE_MS,
    TABLE,
    fill,
    mutate,
    open_scan,
    put,
    region_door,
    scan,
    spec,
    values,
)
from tests.support.rpc import eventually

# --- scans ------------------------------------------------------------------------------------------------------------


async def test_a_scan_reads_page_by_page() -> None:
    async with region_door() as door, await door.connect() as channel:
        rows = await fill(channel, 25)
        opened, found = await scan(channel, open_scan(number_of_rows=10))
        assert opened.more_results_in_region
        number = 0
        while opened.more_results_in_region:
            request = Client_pb2.ScanRequest(scanner_id=opened.scanner_id, number_of_rows=10, next_call_seq=number)
            opened, more = await scan(channel, request)
            found += more
            number += 1
        assert found == rows
        assert len(door.door.scanners) == 0


async def test_a_scan_that_takes_longer_is_read_turn_by_turn_and_loses_nothing() -> None:
    """A clock that runs while a row is read ends a turn after each few rows; other calls have theirs in between."""
    async with region_door() as door, await door.connect() as channel:
        rows = await fill(channel, 60)
        door.slow(0.7)
        long = asyncio.create_task(scan(channel, open_scan()))
        other = await door.connect()
        assert await values(other, rows[3]) == [b"v"]
        response, found = await long
        other.close()
        assert found == rows
        assert not response.more_results_in_region
        assert list(response.partial_flag_per_result) == [False] * 60
        assert list(response.cells_per_result) == [1] * 60


async def test_many_long_scans_at_once() -> None:
    async with region_door() as door, await door.connect() as channel:
        rows = await fill(channel, 30)
        door.slow(0.2)
        answers = await asyncio.gather(*(scan(channel, open_scan(), timeout_ms=1e8) for _ in range(70)))
        assert all(found == rows for _, found in answers)
        assert len(door.door.scanners) == 0


async def test_what_nobody_has_thought_of_is_an_error_of_its_client_alone() -> None:
    """A record that a newer version has written is met in the middle: all that has turns then goes on."""
    async with region_door() as door, await door.connect() as channel:
        rows = await fill(channel, 60)
        region = door.regions[TABLE]
        newer = Batch()
        newer.put(family_key(region.row_key(rows[30]), b"f"), b"\x07" + bytes(64))
        door.store.commit(newer, Durability.MEMORY, lambda _: None)
        door.slow(0.7)
        short = open_scan()
        short.scan.stop_row = rows[30]
        asked = [scan(channel, open_scan()), scan(channel, short), scan(channel, open_scan()), scan(channel, short)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in outcomes] == [IOException, tuple, IOException, tuple]
        assert str(outcomes[0]).endswith("UnknownRecord: a record of format 7, and this version knows 1 and 2")
        assert [outcomes[number][1] for number in (1, 3)] == [rows[:30]] * 2  # type: ignore[index]
        assert len(door.door.scanners) == 0
        with pytest.raises(IOException, match="UnknownRecord"):
            await channel.call("Multi", multi(rows[:40], "increment"), Client_pb2.MultiResponse, timeout_ms=1e8)
        assert (await scan(channel, short))[1] == rows[:30]


async def test_a_region_that_goes_in_the_middle_of_a_page_is_no_end_of_it() -> None:
    async with region_door() as door, await door.connect() as channel:
        await fill(channel, 50)
        ticking = door.clock.monotonic_ms
        asked = 0

        def monotonic_ms() -> float:
            nonlocal asked
            asked += 1
            if asked == 8:
                door.door.scanners.close_region(TABLE.decode(), ticking())
            return ticking()

        door.slow(2.1)
        door.clock.monotonic_ms = monotonic_ms  # type: ignore[method-assign]
        with pytest.raises(NotServingRegionException):
            await scan(channel, open_scan())


async def test_heartbeats_come_after_half_of_what_the_client_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LOOK_AT_CLOCK_ROWS", 8)
    async with region_door() as door, await door.connect() as channel:
        await fill(channel, 800)
        door.slow(3.0)
        response, found = await scan(channel, open_scan(client_handles_heartbeats=True), timeout_ms=2000)
        assert 0 < len(found) < 800
        assert response.more_results_in_region
        response, found = await scan(channel, open_scan(), timeout_ms=20_000)
        assert len(found) == 800, "who knows no heartbeats gets the whole page"


async def test_scanners_whose_clients_stay_away_are_closed() -> None:
    async with region_door() as door, await door.connect() as channel:
        await fill(channel, 10)
        opened, _ = await scan(channel, open_scan(number_of_rows=3))
        door.clock.wall_ms = lambda: 1e15  # type: ignore[method-assign]  the calendar is no measure of time
        door.door.expire()
        assert len(door.door.scanners) == 1
        for _ in range(4):
            door.clock.advance(LEASE_MS - 1)
            door.lease.answered(door.clock.monotonic_ms())
        door.door.expire()
        assert len(door.door.scanners) == 0
        with pytest.raises(UnknownScannerException):
            await scan(channel, Client_pb2.ScanRequest(scanner_id=opened.scanner_id, next_call_seq=0))


# --- what is read before it is asked for ------------------------------------------------------------------------------


async def paged(channel: RpcChannel, number: int) -> list[bytes]:
    """All rows, so many in a page."""
    fields: dict[str, Any] = {"number_of_rows": number, "client_handles_partials": True}
    response, found = await scan(channel, open_scan(**fields), timeout_ms=1e8)
    while response.more_results_in_region:
        request = Client_pb2.ScanRequest(scanner_id=response.scanner_id, **fields)
        response, more = await scan(channel, request, timeout_ms=1e8)
        found += more
    return found


@pytest.fixture
def all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind small ones, and those that are answered where they arrive, too."""
    monkeypatch.setattr(scans, "ANSWER_BYTES_MIN", 1)
    monkeypatch.setattr(door_module, "AT_ONCE_ROWS_MAX", 0)


@pytest.mark.usefixtures("all_pages")
async def test_the_next_page_is_read_while_the_client_looks_at_this_one() -> None:
    async with region_door() as door, await door.connect() as channel:
        rows = await fill(channel, 60)
        door.slow(0.3)
        reads = door.regions[TABLE].counts
        response, found = await scan(channel, open_scan(number_of_rows=20, client_handles_partials=True))
        await eventually(lambda: reads.reads_count == 40)
        assert len(door.door._turns) == 0, "nobody waits for it"  # pyright: ignore[reportPrivateUsage]
        request = Client_pb2.ScanRequest(
            scanner_id=response.scanner_id, number_of_rows=20, client_handles_partials=True, next_call_seq=0
        )
        _, more = await scan(channel, request)
        assert found + more == rows[:40]
        await eventually(lambda: reads.reads_count == 60)
        assert await paged(channel, 7) == rows


@pytest.mark.usefixtures("all_pages")
async def test_many_scans_that_are_read_ahead() -> None:
    """Each page is asked for before, while or after it is read; one of the clients goes away in the middle."""
    async with region_door() as door, await door.connect() as channel:
        rows = await fill(channel, 60)
        door.slow(0.2)
        other = await door.connect()
        await scan(other, open_scan(number_of_rows=20, client_handles_partials=True), timeout_ms=1e8)
        other.close()
        answers = await asyncio.gather(*(paged(channel, 3 + number) for number in range(40)))
        assert all(found == rows for found in answers)
        assert len(door.door.scanners) == 1


@pytest.mark.usefixtures("all_pages")
async def test_a_region_that_goes_while_its_scans_are_read_ahead() -> None:
    async with region_door() as door, await door.connect() as channel:
        await fill(channel, 60)
        door.slow(0.7)
        response, _ = await scan(channel, open_scan(number_of_rows=20, client_handles_partials=True))
        door.door.scanners.close_region(TABLE.decode(), door.clock.monotonic_ms())
        with pytest.raises(NotServingRegionException):
            await scan(channel, Client_pb2.ScanRequest(scanner_id=response.scanner_id, number_of_rows=20))
        assert door.regions[TABLE].counts.reads_count == 20


# --- long Multis ------------------------------------------------------------------------------------------------------


def multi(rows: list[bytes], kind: str = "put") -> Client_pb2.MultiRequest:
    request = Client_pb2.MultiRequest()
    action = request.regionAction.add(region=spec())
    for number, row in enumerate(rows):
        mutation = put(row, (1).to_bytes(8, "big") if kind == "increment" else b"v").mutation
        if kind == "increment":
            mutation.mutate_type = Client_pb2.MutationProto.INCREMENT
        action.action.add(index=number).mutation.CopyFrom(mutation)
    return request


async def outcomes(channel: RpcChannel, request: Client_pb2.MultiRequest, **more: Any) -> list[str]:
    """Of each action, the class of its error or nothing."""
    answer = await channel.call("Multi", request, Client_pb2.MultiResponse, **more)
    results = answer.regionActionResult[0].resultOrException
    assert [each.index for each in results] == list(range(len(request.regionAction[0].action)))
    return [each.exception.name.rpartition(".")[2] for each in results]


async def test_a_long_multi_is_done_turn_by_turn() -> None:
    async with region_door() as door, await door.connect() as channel, await door.connect() as other:
        door.slow(0.9)
        rows = [b"r%03d" % number for number in range(300)]
        long = asyncio.create_task(outcomes(channel, multi(rows), timeout_ms=1e8))
        await eventually(lambda: len(door.door._turns) == 1)  # pyright: ignore[reportPrivateUsage]
        assert (await mutate(other, put(b"x"), timeout_ms=1e8)).processed
        assert await long == [""] * 300
        found = await asyncio.gather(*(values(other, row, timeout_ms=1e8) for row in rows))
        assert found == [[b"v"]] * 300


async def test_long_multis_that_meet_in_one_row_add_up() -> None:
    async with region_door() as door, await door.connect() as channel:
        door.slow(0.9)
        requests = [multi([b"r"] * 40, "increment") for _ in range(40)]
        answers = await asyncio.gather(*(outcomes(channel, request, timeout_ms=1e8) for request in requests))
        assert answers == [[""] * 40] * 40
        assert await values(channel, b"r", timeout_ms=1e8) == [(1600).to_bytes(8, "big")]


async def test_a_region_that_goes_in_the_middle_of_a_multi() -> None:
    async with region_door() as door, await door.connect() as channel:
        door.slow(0.9)
        long = asyncio.create_task(outcomes(channel, multi([b"r%03d" % n for n in range(300)]), timeout_ms=1e8))
        await eventually(lambda: len(door.door._turns) == 1)  # pyright: ignore[reportPrivateUsage]
        region = door.regions.pop(TABLE)
        found = await long
        done = found.index("NotServingRegionException")
        assert 0 < done < 300
        assert found == [""] * done + ["NotServingRegionException"] * (300 - done)
        now_ms = int(door.clock.wall_ms())
        assert [bool(region.get(b"r%03d" % n, {}, now_ms).cells_count) for n in (0, done - 1, done, 299)] == [
            True,
            True,
            False,
            False,
        ]


async def test_nothing_more_of_a_multi_is_written_when_the_lease_is_over() -> None:
    async with region_door() as door, await door.connect() as channel:
        door.slow(0.9)
        requests = [multi([b"%d %03d" % (number, n) for n in range(300)]) for number in range(35)]
        calls = [asyncio.create_task(outcomes(channel, request, timeout_ms=1e8)) for request in requests]
        await eventually(lambda: len(door.door._turns) == 35)  # pyright: ignore[reportPrivateUsage]
        door.lease.end()
        for call in calls:
            with pytest.raises(RegionServerStoppedException):
                await call
        region, now_ms = door.regions[TABLE], int(door.clock.wall_ms())
        assert not region.get(b"0 299", {}, now_ms).cells_count
        assert not region.get(b"34 000", {}, now_ms).cells_count, "it had not begun"
