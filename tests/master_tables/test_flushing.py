"""Flushes of a table's regions: what counts as flushed, who is asked again, and who is not asked at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from protos.hbase import Admin_pb2
from registry.clock import SystemClock
from registry.master.catalogue import Changes, RegionRow, RegionState
from registry.master.epoch import NotActing
from registry.master.tables import flushing
from registry.names import ServerName
from registry.rpc.services import Call, ServiceTable
from registry.wire.errors import HBaseError, IOException, NoSuchColumnFamilyException, NotServingRegionException
from registry.wire.region_info import RegionInfo
from tests.support.rpc import serving
from tests.support.scripted import refused_address
from tests.support.table_cluster import ModelWork, World, acting

REGIONS = A, B, C = [RegionInfo("t", start, end, 1) for start, end in ((b"", b"k"), (b"k", b"r"), (b"r", b""))]
PATIENCE_S = 10
"""Longer than any of the pauses between questions that are made here."""


class RegionServer:
    """Flushes, but for what `refusals` say: each of them once."""

    def __init__(self) -> None:
        self.name = ServerName("127.0.0.1", 0, 1)
        self.refusals: dict[tuple[RegionInfo, bytes], list[HBaseError]] = {}
        """By region and family."""
        self.asked: list[tuple[RegionInfo, bytes]] = []
        self.refused: Callable[[], None] = lambda: None
        """Called when it refuses."""

    def flush_region(self, call: Call) -> Admin_pb2.FlushRegionResponse:
        request = cast("Admin_pb2.FlushRegionRequest", call.request)
        region = next(each for each in REGIONS if each.name == request.region.value)
        self.asked.append((region, request.family))
        if refusals := self.refusals.get((region, request.family)):
            self.refused()
            raise refusals.pop(0)
        return Admin_pb2.FlushRegionResponse(last_flush_time=0, flushed=True)


@asynccontextmanager
async def region_server() -> AsyncGenerator[RegionServer]:
    server, services = RegionServer(), ServiceTable()
    services.add("AdminService", "FlushRegion", Admin_pb2.FlushRegionRequest, server.flush_region)
    async with serving(services) as (_, port):
        server.name = ServerName("127.0.0.1", port, 1)
        yield server


@pytest.fixture
def work() -> ModelWork:
    return ModelWork(World(), acting(SystemClock()))


def put(work: ModelWork, region: RegionInfo, name: ServerName, state: RegionState = RegionState.OPEN) -> None:
    work.catalogue.apply(Changes(regions=[RegionRow(region, 1, state, name, name, open_seq_num=2)]))


def flush(work: ModelWork, *families: bytes) -> Coroutine[Any, Any, None]:
    return asyncio.wait_for(flushing.flush(REGIONS, families, work), PATIENCE_S)


async def test_each_region_once_where_it_is(work: ModelWork):
    async with region_server() as first, region_server() as second:
        for region, server in ((A, first), (B, second), (C, first)):
            put(work, region, server.name)
        await flush(work)
        assert first.asked == [(A, b""), (C, b"")]
        assert second.asked == [(B, b"")]


async def test_a_region_that_does_not_know_a_family_is_flushed_of_the_others(work: ModelWork):
    """Its schema was changed without opening it again: it holds nothing of that family."""
    async with region_server() as server:
        for region in REGIONS:
            put(work, region, server.name)
        server.refusals = {(region, b"new"): [NoSuchColumnFamilyException("new")] * 9 for region in REGIONS}
        await flush(work, b"new", b"f")
        assert server.asked == [(region, family) for region in REGIONS for family in (b"new", b"f")]


async def test_who_is_not_served_is_asked_again_where_it_is_then(work: ModelWork):
    async with region_server() as first, region_server() as second:
        for region in REGIONS:
            put(work, region, first.name)
        first.refusals = {(B, b"f"): [NotServingRegionException("moved")]}
        first.refused = lambda: put(work, B, second.name)
        await flush(work, b"f", b"g")
        assert Counter(first.asked) == Counter([(A, b"f"), (A, b"g"), (B, b"f"), (C, b"f"), (C, b"g")])
        assert second.asked == [(B, b"f"), (B, b"g")]


@pytest.mark.parametrize("error", [NotServingRegionException("opens again"), IOException("disk full")])
async def test_what_fails_is_asked_again_and_what_is_done_is_not(work: ModelWork, error: HBaseError):
    async with region_server() as server:
        for region in REGIONS:
            put(work, region, server.name)
        server.refusals = {(C, b""): [error, error]}
        await flush(work)
        assert Counter(server.asked) == Counter({(A, b""): 1, (B, b""): 1, (C, b""): 3})


async def test_gone_and_closed_regions_are_not_asked(work: ModelWork):
    async with region_server() as server:
        put(work, A, server.name, RegionState.CLOSED)
        put(work, B, server.name)
        await flush(work)
        assert server.asked == [(B, b"")]


async def test_who_is_closed_or_deleted_meanwhile_is_not_waited_for(work: ModelWork):
    async with region_server() as server:
        for region in REGIONS:
            put(work, region, server.name)

        def change() -> None:
            put(work, B, server.name, RegionState.CLOSED)
            work.catalogue.apply(Changes(no_regions=[C]))

        server.refused = change
        server.refusals = {(region, b""): [NotServingRegionException("")] for region in (B, C)}
        await flush(work)
        assert server.asked == [(A, b""), (B, b""), (C, b"")]


@pytest.mark.parametrize("state", [RegionState.OPENING, RegionState.CLOSING, RegionState.ABNORMALLY_CLOSED])
async def test_who_is_on_its_way_is_waited_for(work: ModelWork, state: RegionState):
    async with region_server() as server:
        put(work, A, server.name, state)
        put(work, B, server.name)
        begun = asyncio.ensure_future(flush(work))
        while not server.asked:
            await asyncio.sleep(0.01)
        assert not begun.done()
        put(work, A, server.name)
        await begun
        assert server.asked == [(B, b""), (A, b"")]


async def test_a_server_that_is_gone_keeps_nobody_else(work: ModelWork):
    async with region_server() as server:
        with refused_address() as nobody:
            put(work, A, ServerName(nobody.host, nobody.port, 1))
            put(work, B, server.name)
            begun = asyncio.ensure_future(flush(work))
            while not server.asked:
                await asyncio.sleep(0.01)
        put(work, A, server.name)
        await begun
        assert server.asked == [(B, b""), (A, b"")]


async def test_it_ends_with_the_master(work: ModelWork):
    async with region_server() as server:
        put(work, A, server.name, RegionState.ABNORMALLY_CLOSED)
        work.mastership.end("another is elected")
        with pytest.raises(NotActing, match="another is elected"):
            await flush(work)
        assert server.asked == []
