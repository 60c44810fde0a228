"""Scans over sockets against a scripted region server: heartbeats, cut rows, moves, silence, and one deadline."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from protos.hbase import Client_pb2
from registry.client.channels import Channels
from registry.client.locate import RegistryLocator, SnapshotLocator
from registry.client.rows import Row
from registry.client.scan import META_REGION, Scan
from registry.client.scanner import ScanFailed, Scanner
from registry.client.settings import ClientSettings
from registry.clock import SystemClock
from registry.lookup.snapshot import Fact, FactState, MetaLocation
from registry.names import Address, ServerName
from registry.wire.errors import (
    CallQueueTooBigException,
    HBaseError,
    NoSuchColumnFamilyException,
    NotServingRegionException,
    RegionMovedException,
    RpcThrottlingException,
    ScannerResetException,
    UnknownScannerException,
)
from tests.support.region_server import ScriptedRegionServer, cell, region_server
from tests.support.registry import bodies, connection_to
from tests.support.rpc import eventually, serving
from tests.support.status import small_snapshot

pytestmark = pytest.mark.usefixtures("nothing_blocks_the_loop")

SETTINGS = ClientSettings(pause_ms=1, retries_count=5, rpc_timeout_ms=2000)
ROWS = [[cell(f"t{number}", b"\x08\x00")] for number in range(6)]
WANTED = [Row(row[0].row, tuple(row)) for row in ROWS]
SCAN = Scan(META_REGION, columns=((b"table", (b"state",)),))


class Places:
    """A locator that gives one address after the other; the last one stays."""

    def __init__(self, *addresses: Address) -> None:
        self.addresses = list(addresses)
        self.refusals: list[Address] = []
        self.asked = 0

    async def locate(self) -> Address:
        self.asked += 1
        return self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]

    def refused(self, address: Address) -> None:
        self.refusals.append(address)


@asynccontextmanager
async def scanning(places: object, settings: ClientSettings = SETTINGS) -> AsyncGenerator[Scanner]:
    channels = Channels(settings)
    assert isinstance(places, Places | SnapshotLocator | RegistryLocator)
    scanner = Scanner(places, channels, settings, SystemClock(), random.Random(1))
    try:
        yield scanner
    finally:
        await scanner.close()
        await channels.close()


@asynccontextmanager
async def one_server(
    script: ScriptedRegionServer | None = None, settings: ClientSettings = SETTINGS
) -> AsyncGenerator[tuple[ScriptedRegionServer, Scanner]]:
    async with (
        region_server(script or ScriptedRegionServer(ROWS)) as server,
        scanning(Places(server.address), settings) as scanner,
    ):
        yield server, scanner


@pytest.mark.parametrize("inline", [False, True], ids=["cell block", "inline"])
@pytest.mark.parametrize("cells_per_answer", [1000, 4, 1])
async def test_all_rows(cells_per_answer: int, inline: bool) -> None:
    async with one_server(ScriptedRegionServer(ROWS, cells_per_answer, inline=inline)) as (server, scanner):
        assert await scanner.read_all(SCAN, timeout_ms=5000) == WANTED
        assert server.scanners == {}
        assert len(server.openings) == 1


async def test_wide_rows_come_in_pieces_and_leave_whole() -> None:
    rows = [[cell(f"r{row}", b"v", qualifier=b"%03d" % place) for place in range(25)] for row in range(4)]
    async with one_server(ScriptedRegionServer(rows, 7)) as (_, scanner):
        batches = [batch async for batch in scanner.batches(Scan(META_REGION), timeout_ms=5000)]
        assert [row for batch in batches for row in batch] == [Row(row[0].row, tuple(row)) for row in rows]
        assert all(batches), "no empty list is given"


async def test_heartbeats_are_waited_through() -> None:
    heartbeat = Client_pb2.ScanResponse(heartbeat_message=True)
    async with one_server(ScriptedRegionServer(ROWS, 2)) as (server, scanner):
        server.fail(heartbeat, None, heartbeat, heartbeat)
        assert await scanner.read_all(SCAN, timeout_ms=5000) == WANTED
        assert server.opened == 1
        assert [request.next_call_seq for request in server.calls[1:]] == list(range(len(server.calls) - 1))


@pytest.mark.parametrize(
    "error",
    [
        UnknownScannerException("Unknown scanner '1'"),
        ScannerResetException("the store files changed"),
        NotServingRegionException("hbase:meta,,1 is not online"),
        CallQueueTooBigException("full"),
        RpcThrottlingException.waiting("number of requests exceeded", 20),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_after_an_error_the_scan_goes_on_behind_the_last_row(error: HBaseError) -> None:
    async with one_server(ScriptedRegionServer(ROWS, 2)) as (server, scanner):
        server.fail(None, error)
        assert await scanner.read_all(SCAN, timeout_ms=5000) == WANTED
        assert [scan.start_row for scan in server.openings] == [b"", b"t1"]
        assert not server.openings[1].include_start_row
        await eventually(lambda: not server.scanners)


async def test_a_row_cut_by_the_error_is_read_again() -> None:
    rows = [[cell(f"r{row}", b"v", qualifier=b"%d" % place) for place in range(3)] for row in range(3)]
    async with one_server(ScriptedRegionServer(rows, 4)) as (server, scanner):
        server.fail(None, UnknownScannerException("gone"))
        assert await scanner.read_all(Scan(META_REGION), timeout_ms=5000) == [
            Row(row[0].row, tuple(row)) for row in rows
        ]
        assert [scan.start_row for scan in server.openings] == [b"", b"r0"]


async def test_a_region_that_moved_is_followed_where_the_server_says() -> None:
    async with region_server(ScriptedRegionServer(ROWS)) as new, region_server(ScriptedRegionServer(ROWS, 2)) as old:
        places = Places(old.address)
        async with scanning(places) as scanner:
            moved = RegionMovedException(ServerName(new.address.host, new.address.port, 7))
            old.fail(None, moved)
            assert await scanner.read_all(SCAN, timeout_ms=5000) == WANTED
            assert places.asked == 1, "nobody had to be asked where"
            assert places.refusals == [old.address]
            assert [scan.start_row for scan in new.openings] == [b"t1"]


async def test_a_server_that_has_lost_the_region_is_left() -> None:
    async with (
        region_server(ScriptedRegionServer(ROWS)) as new,
        region_server(ScriptedRegionServer(ROWS, region=b"other")) as old,
        scanning(Places(old.address, new.address)) as scanner,
    ):
        assert await scanner.read_all(SCAN, timeout_ms=5000) == WANTED


async def test_a_server_that_hangs_costs_one_call_and_its_connection() -> None:
    settings = ClientSettings(pause_ms=1, rpc_timeout_ms=100)
    async with (
        region_server(ScriptedRegionServer(ROWS)) as new,
        region_server(ScriptedRegionServer(ROWS, 2)) as old,
        scanning(Places(old.address, new.address), settings) as scanner,
    ):
        old.fail(None, 5.0)
        assert await scanner.read_all(SCAN, timeout_ms=5000) == WANTED
        assert [scan.start_row for scan in new.openings] == [b"t1"]
        await eventually(lambda: old.server is not None and old.server.stats.connections_open == 0)


async def test_one_deadline_over_all() -> None:
    async with one_server() as (server, scanner):
        server.fail(*[5.0] * 10)
        began = asyncio.get_running_loop().time()
        with pytest.raises(
            ScanFailed, match=r"hbase:meta,,1 was not read within \d+ ms and 1 try; .*Scan on 127"
        ) as told:
            await scanner.read_all(SCAN, timeout_ms=150)
        assert 0.1 < asyncio.get_running_loop().time() - began < 4
        assert told.value.tries == 1


async def test_heartbeats_without_end_do_not_outlive_the_deadline() -> None:
    """A server that answered within a millisecond was never late, and the scan went on until its answers ran out."""
    async with one_server() as (server, scanner):
        server.fail(*[Client_pb2.ScanResponse(heartbeat_message=True)] * 100_000)
        with pytest.raises(ScanFailed):
            await scanner.read_all(SCAN, timeout_ms=200)
        assert len(server.calls) < 50_000, "it went on behind the deadline"
        assert len(server.calls) > 2, "it was waited for"


async def test_nobody_there_is_told_with_the_last_reason() -> None:
    async with scanning(Places(Address("127.0.0.1", 1))) as scanner:
        with pytest.raises(ScanFailed, match=r"6 tries; 127.0.0.1:1: ConnectException") as told:
            await scanner.read_all(SCAN, timeout_ms=5000)
        assert told.value.last is not None


async def test_what_no_retry_mends_is_told_at_once() -> None:
    async with one_server() as (server, scanner):
        server.fail(NoSuchColumnFamilyException("Column family table does not exist"))
        with pytest.raises(NoSuchColumnFamilyException):
            await scanner.read_all(SCAN, timeout_ms=5000)
        assert len(server.calls) == 1


async def test_nonsense_ends_the_connection_and_is_tried_again() -> None:
    async with one_server() as (server, scanner):
        server.fail(Client_pb2.ScanResponse(cells_per_result=[3]))
        assert await scanner.read_all(SCAN, timeout_ms=5000) == WANTED
        assert server.opened == 2


async def test_too_much_is_refused() -> None:
    async with one_server(ScriptedRegionServer(ROWS, 1)) as (server, scanner):
        with pytest.raises(ScanFailed, match="more than 100 bytes"):
            await scanner.read_all(SCAN, timeout_ms=5000, bytes_max=100)
        await eventually(lambda: not server.scanners)


async def test_a_scan_left_early_closes_its_scanner() -> None:
    async with one_server(ScriptedRegionServer(ROWS, 1)) as (server, scanner):
        async with aclosing(scanner.batches(SCAN, timeout_ms=5000)) as batches:
            assert await anext(batches) == WANTED[:1]
            assert server.scanners
        await eventually(lambda: not server.scanners)
    async with one_server(ScriptedRegionServer(ROWS, 1)) as (server, scanner):
        assert await scanner.read_all(Scan(META_REGION, rows_max=3), timeout_ms=5000) == WANTED[:3]
        await eventually(lambda: not server.scanners)


async def test_scans_at_once_share_a_connection() -> None:
    async with one_server(ScriptedRegionServer(ROWS, 2)) as (server, scanner):
        found = await asyncio.gather(*(scanner.read_all(SCAN, timeout_ms=5000) for _ in range(20)))
        assert found == [WANTED] * 20
        assert server.opened == 20


async def test_by_a_snapshot_and_by_a_registry() -> None:
    async with region_server(ScriptedRegionServer(ROWS)) as server:
        name = ServerName(server.address.host, server.address.port, 7)
        facts: list[Fact[tuple[MetaLocation, ...]]] = [
            Fact(FactState.ABSENT, "/hbase/meta-region-server"),
            Fact(FactState.KNOWN, "", (MetaLocation(0, name, "OPENING"),)),
            Fact(FactState.KNOWN, "", (MetaLocation(0, name, "OPEN"),)),
        ]
        async with scanning(SnapshotLocator(lambda: replace(small_snapshot(), meta_locations=facts.pop(0)))) as scanner:
            assert await scanner.read_all(SCAN, timeout_ms=5000) == WANTED
        async with serving() as (registry, port):
            nobody = ServerName("127.0.0.1", 1, 1)
            registry.set_ready("ClientMetaService", bodies(meta=nobody))
            async with connection_to(Address("127.0.0.1", port)) as cluster:
                locator = RegistryLocator(cluster)
                assert await locator.locate() == nobody.address
                registry.set_ready("ClientMetaService", bodies(meta=name))
                async with scanning(locator) as scanner:
                    assert await scanner.read_all(SCAN, timeout_ms=5000) == WANTED, "asked anew after the refusal"
