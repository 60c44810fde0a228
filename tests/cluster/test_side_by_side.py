"""Generated histories on a real HBase 2.6.4 and on a region of ours: every answer is the same, cell by cell.

Families keep one version and several, what is deleted, for a time, or by the order of writing (NEW_VERSION_BEHAVIOR);
cells have tags and times to live of their own. Gets, scans and conditions have filters of all classes within each
other, with comparators.

In the middle of some, ours is killed with -9 and opened again, and HBase's region closed and opened: what was
acknowledged is there then, and what a client sends again with its nonce is not done again.

`HBEACON_EXAMPLES=2000 pytest -m cluster tests/cluster/test_side_by_side.py` plays more of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from protos.hbase import Admin_pb2, HBase_pb2, Master_pb2
from regionserver.region.visible import FamilyRules, KeepDeleted
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import PleaseHoldException
from registry.wire.header import KEY_VALUE_CODEC, KEY_VALUE_CODEC_WITH_TAGS
from registry.wire.region_info import RegionInfo
from tests.support.data_calls import open_regions
from tests.support.histories import Histories, Times
from tests.support.history_player import Compact, Crash, Player, Step, Told
from tests.support.one_region import RegionProcess
from tests.support.real_cluster import RealClusters
from tests.support.seeds import examples
from tests.support.table_calls import family, schema

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(3600),
    # Not inside: threads that watch ZooKeeper draw at the same time.
    pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies"),
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]

TABLE = "sidebyside"
TTL_S = 100_000
NOW_MS = int(time.time() * 1000)
PAST = (1, 2, 3, 5)
FUTURE = NOW_MS + 10**10
"""In some months: what is of now lies behind it."""
RECENT = tuple(NOW_MS - 1_000_000 - each for each in (40, 30, 20, 10))
NAMED = (b"p", b"q", b"r\0")
EXPIRED = (NOW_MS - 2_000 * TTL_S, NOW_MS - 3_000 * TTL_S)
# In families that keep what is deleted, a compaction of HBase 2.6.4 jumps from a marker of the column without a name to
# the key behind it (PrivateCellUtil.createNextOnRowCol). Where a marker of the family has that very key, it looks
# for it for ever: the file says that it is there, the heap that it is not. Then the region never closes.
FAMILIES = {
    b"f": (FamilyRules(), Times(PAST, ()), {"VERSIONS": "1"}),
    b"g": (FamilyRules(3), Times((*PAST, FUTURE), ()), {"VERSIONS": "3"}),
    b"k": (
        FamilyRules(3, keep_deleted=KeepDeleted.TRUE),
        Times(PAST, (), keeps_deleted=3),
        {"VERSIONS": "3", "KEEP_DELETED_CELLS": "TRUE"},
    ),
    b"t": (
        FamilyRules(3, 1, TTL_S * 1000),
        Times(RECENT, EXPIRED),
        {"VERSIONS": "3", "MIN_VERSIONS": "1", "TTL": str(TTL_S)},
    ),
    b"u": (
        FamilyRules(2, 0, TTL_S * 1000, KeepDeleted.TTL),
        Times(RECENT, EXPIRED, keeps_deleted=2),
        {"VERSIONS": "2", "TTL": str(TTL_S), "KEEP_DELETED_CELLS": "TTL"},
    ),
    # HBase fails where a column without a name has markers there, and counts what one change writes as one version.
    b"n": (
        FamilyRules(2, new_versions=True),
        Times(PAST, (), NAMED, in_order=True),
        {"VERSIONS": "2", "NEW_VERSION_BEHAVIOR": "true"},
    ),
}
TIMES = {name: times for name, (_, times, _) in FAMILIES.items()}
# Where deleted cells are kept, markers that hide nothing any more go from our stores earlier than from HBase's, which
# keeps them while there is an older put in any row of its files: a put with an older time may be hidden there by them.
RAW = [b"f", b"g", b"n", b"t"]
# A time range may leave out the file of a clean-up: HBase forgets then what pushed out what was written behind it.
CLEANED = [b"n"]


def of_families(*names: bytes, dense: bool = True) -> st.SearchStrategy[list[Step]]:
    times, raw = {name: TIMES[name] for name in names}, [name for name in RAW if name in names]
    kept, cleaned = (Histories(times, raw, CLEANED, cleaned=each, dense=dense) for each in (False, True))
    named = {name: replace(each, qualifiers=NAMED) for name, each in times.items()}  # so that hints meet markers, too
    looked_at = [
        Histories(each, raw, cleaned=is_cleaned, dense=dense, filtered=True).reading()
        for each in (times, named)
        for is_cleaned in (False, True)
    ]
    return st.one_of(kept.history(), cleaned.history(), *looked_at)


HISTORIES = (
    of_families(*FAMILIES, dense=False)
    | of_families(b"n")
    | of_families(b"f", b"n")
    | of_families(b"k", b"u")
    | of_families(b"g", b"t")
)
"""Of all families, and of few, so that calls meet."""


class Sides:
    """Both servers, and the loop that calls them."""

    def __init__(self, clusters: RealClusters, directory: Path) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._prefixes = count()
        self._cluster = clusters.current
        self._runner.run(self._start(directory))

    async def _start(self, directory: Path) -> None:
        master = Address.parse(self._cluster.witness.master.last().replace(",", ":", 1).partition(",")[0])
        asked = schema(TABLE, *[family(name, **attributes) for name, (_, _, attributes) in FAMILIES.items()])
        async with await RpcChannel.connect(master, "MasterService") as channel:
            request = Master_pb2.CreateTableRequest(table_schema=asked)
            async with asyncio.timeout(120):
                while True:
                    try:
                        await channel.call("CreateTable", request, Master_pb2.CreateTableResponse, timeout_ms=60_000)
                        break
                    except PleaseHoldException:  # it initialises
                        await asyncio.sleep(0.5)
        self._master = await self._channel(master, "MasterService")
        self._address, region = await self._found()
        self._admin = await self._channel(self._address, "AdminService")
        self._region = HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=region.name)
        rules = {name: of_family for name, (of_family, _, _) in FAMILIES.items()}
        self.ours = RegionProcess(directory, TABLE, rules)
        self.ours.start()
        self._stack.callback(self.ours.kill)
        real = await self._data_channels(self._address)
        own = await self._data_channels(self.ours.address)
        self.players = Player(*real, region.name, NOW_MS - 1000), Player(*own, self.ours.name, NOW_MS - 1000)

    async def _data_channels(self, address: Address) -> tuple[RpcChannel, RpcChannel]:
        return (
            await self._channel(address, "ClientService"),
            await self._channel(address, "ClientService", KEY_VALUE_CODEC_WITH_TAGS),
        )

    async def _channel(self, address: Address, service: str, codec: str = KEY_VALUE_CODEC) -> RpcChannel:
        version = HBase_pb2.VersionInfo(
            version="2.6.4", url="", revision="", user="", date="", src_checksum="", version_major=2, version_minor=6
        )
        return await self._stack.enter_async_context(
            await RpcChannel.connect(address, service, cell_block_codec=codec, version=version, read_timeout_ms=120_000)
        )

    async def _found(self) -> tuple[Address, RegionInfo]:
        async with asyncio.timeout(60):
            while True:
                for port in self._cluster.region_server_ports:
                    address = Address(self._cluster.bind, port)
                    for region in await open_regions(address):
                        if region.table == TABLE:
                            return address, region
                await asyncio.sleep(0.1)

    def play(self, history: list[Step]) -> None:
        self._runner.run(self._play(history))

    async def _play(self, history: list[Step]) -> None:
        prefix = b"%08d" % next(self._prefixes)
        for number, each in enumerate(history):
            if isinstance(each, Compact):
                await self._compact()
                continue
            if isinstance(each, Crash):
                await self._crash()
                if each.both:
                    await self._open_again()
                    await self._compact()
                continue
            told: list[Told] = []
            for player in self.players:
                try:
                    told.append(await player.play(each, prefix))
                except Exception:
                    side = "hbeacon" if told else "HBase 2.6.4"
                    note(f"call {number}: {each}\n{side} gave no answer that can be read")
                    raise
            real, own = told
            if real != own:
                errors = [player.last_error for player in self.players]
                note(f"call {number}: {each}\nHBase 2.6.4: {real}\nhbeacon:     {own}\nlast errors: {errors}")
            assert own == real

    async def _crash(self) -> None:
        """Ours, with what was written since it was opened in its log only."""
        own = self.players[1]
        own.channel.close()
        own.tagged.close()
        self.ours.kill()
        self.ours.start()
        own.channel, own.tagged = await self._data_channels(self.ours.address)

    async def _open_again(self) -> None:
        """HBase's region, at the same server or at the other."""
        unassign = Master_pb2.UnassignRegionRequest(region=self._region)
        await self._master.call("UnassignRegion", unassign, Master_pb2.UnassignRegionResponse, timeout_ms=60_000)
        assign = Master_pb2.AssignRegionRequest(region=self._region)
        await self._master.call("AssignRegion", assign, Master_pb2.AssignRegionResponse, timeout_ms=60_000)
        address, _ = await self._found()
        if address != self._address:
            self._address = address
            self._admin = await self._channel(address, "AdminService")
            real = self.players[0]
            real.channel, real.tagged = await self._data_channels(address)

    async def _compact(self) -> None:
        spec = self._region
        flush = Admin_pb2.FlushRegionRequest(region=spec)
        await self._admin.call("FlushRegion", flush, Admin_pb2.FlushRegionResponse, timeout_ms=60_000)
        compact = Admin_pb2.CompactRegionRequest(region=spec, major=True)
        await self._admin.call("CompactRegion", compact, Admin_pb2.CompactRegionResponse, timeout_ms=60_000)
        asked = Admin_pb2.GetRegionInfoRequest(region=spec, compaction_state=True)
        async with asyncio.timeout(60):
            while True:
                await asyncio.sleep(0.05)
                found = await self._admin.call("GetRegionInfo", asked, Admin_pb2.GetRegionInfoResponse)
                if found.compaction_state == Admin_pb2.GetRegionInfoResponse.NONE:
                    break
        self.ours.clean()

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()


@pytest.fixture(scope="module")
def sides(clusters: RealClusters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    made = Sides(clusters, tmp_path_factory.mktemp("sides"))
    yield made
    made.close()


@given(history=HISTORIES)
@settings(
    max_examples=examples(120),
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_every_answer_is_the_same(sides: Sides, history: list[Step]) -> None:
    sides.play(history)
