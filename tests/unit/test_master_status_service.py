"""What region servers tell the active master, over sockets: who may come, who is dead, what waits for hbase:meta."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.protobuf.message import Message

from protos.hbase import Admin_pb2, ClusterStatus_pb2, HBase_pb2, RegionServerStatus_pb2
from protos.hbeacon import ClusterV1_pb2
from registry.lookup.snapshot import Fact, FactState, RegionServer
from registry.master import cluster_metrics
from registry.master.catalogue import Catalogue, RegionRow, RegionState
from registry.master.cluster_view import cluster_status
from registry.master.epoch import NotActing, Token
from registry.master.held import Goal
from registry.master.meta_rows import Written
from registry.master.reign import Reign
from registry.master.status_service import NO_SEQ_NUM, StatusService
from registry.names import ServerName
from registry.rpc.client import RpcChannel
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import ServiceTable
from registry.wire.epoch import MasterEpoch
from registry.wire.errors import ClockOutOfSyncException, ServerNotRunningYetException, YouAreDeadException
from registry.wire.region_info import META, RegionInfo
from registry.wire.znode import decode_server_name, encode_server_name
from tests.support.clock import ManualClock
from tests.support.rpc import eventually

Pb = RegionServerStatus_pb2
Transition = Pb.RegionStateTransition
NAME, OTHER = ServerName("rs1", 16020, 1000), ServerName("rs2", 16020, 1000)
INFO = RegionInfo("t", b"", b"", 1)
DONE = Pb.RemoteProcedureResult(proc_id=1, status=Pb.RemoteProcedureResult.SUCCESS)


class Meta:
    """hbase:meta that is written when told."""

    def __init__(self) -> None:
        self.may_write = asyncio.Event()
        self.rows: list[Written] = []

    async def load(self, token: Token) -> Catalogue:
        raise AssertionError(token)

    async def write(self, make: Any, token: Token) -> None:
        token.check()
        await self.may_write.wait()
        self.rows += make(1000)

    async def close(self) -> None:
        pass


class Master:
    """A reign that has read the catalogue, without ZooKeeper; `names` are below /hbase/rs."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.meta = Meta()
        self.epoch, self.in_name = 5, MasterEpoch(5, "m,16000,1")
        self.is_acting = True
        self.names: Sequence[ServerName] = (NAME, OTHER)
        any_: Any = self
        place: Any = SimpleNamespace(write=self._nothing, store=SimpleNamespace(founded=True))
        self.reign = Reign(
            any_, self.clock, any_, any_, place, "/hbase/draining", any_, [], lambda: None, lambda _: self.meta, any_
        )
        self.table = ServiceTable()
        StatusService(lambda: any_, self.clock, lambda: 16010).add_to(self.table)

    async def _nothing(self, rows: object) -> None:
        del rows

    @property
    def snapshot(self) -> object:
        servers = tuple(RegionServer(name) for name in self.names)
        return SimpleNamespace(region_servers=Fact(FactState.KNOWN, "/hbase/rs", servers))

    def check(self) -> None:
        if not self.is_acting:
            raise NotActing("over")

    def acting(self) -> Reign:
        if not self.is_acting:
            raise ServerNotRunningYetException("Server is not running yet")
        return self.reign

    async def call(self, server: ServerName, method: str, request: Message, response_type: type[Message]) -> Message:
        """To a region server: it is met, and takes orders."""
        del request
        if method == "GetOnlineRegion":
            return Admin_pb2.GetOnlineRegionResponse(region_info=[META.message()] if server == NAME else [])
        return response_type()

    def drop(self, server: ServerName) -> None:
        del server

    async def close(self) -> None:
        """There is no connection to end."""

    def rule(self) -> None:
        """What a take-over ends with."""
        reign = self.reign
        reign.meta_states.put(RegionRow(META, 0, RegionState.OPEN, NAME, NAME, 2, "s1"), Goal.OPEN)
        reign.states.put(RegionRow(INFO, 1), Goal.OPEN)
        reign.knows_meta = reign.knows_regions = True
        reign.look_at_servers()


@asynccontextmanager
async def master() -> AsyncGenerator[tuple[Master, RpcChannel]]:
    made = Master()
    server = RpcServer(RpcServerSettings(), made.table, made.clock)
    address = await server.start("127.0.0.1", 0)
    tasks = [asyncio.ensure_future(each.run()) for each in (made.reign.meta, made.reign.regions)]
    try:
        async with await RpcChannel.connect(address, "RegionServerStatusService") as channel:
            yield made, channel
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await made.reign.close()
        await server.stop()


def startup(master: Master, name: ServerName, skew_ms: int = 0) -> Pb.RegionServerStartupRequest:
    return Pb.RegionServerStartupRequest(
        port=name.port,
        server_start_code=name.start_code,
        server_current_time=int(master.clock.wall_ms()) + skew_ms,
        use_this_hostname_instead=name.host,
    )


def report(name: ServerName, *stores: ClusterV1_pb2.ReachedStore, **load: Any) -> ClusterV1_pb2.ServerReport:
    return ClusterV1_pb2.ServerReport(
        server=encode_server_name(name), load=ClusterStatus_pb2.ServerLoad(**load), store=stores
    )


HOME = ClusterV1_pb2.ReachedStore(store_id="s1", reach=ClusterV1_pb2.ReachedStore.OPEN, home=True)


def told(name: ServerName, *transitions: Transition) -> Pb.ReportRegionStateTransitionRequest:
    return Pb.ReportRegionStateTransitionRequest(server=encode_server_name(name), transition=transitions)


def opened(seq_num: int, info: RegionInfo = INFO) -> Transition:
    return Transition(transition_code=Transition.OPENED, region_info=[info.message()], open_seq_num=seq_num)


async def test_a_server_comes():
    async with master() as (made, channel):
        answer = await channel.call("RegionServerStartup", startup(made, NAME), Pb.RegionServerStartupResponse)
        entries = {entry.name: entry.value for entry in answer.map_entries}
        assert entries == {"hbase.regionserver.hostname.seen.by.master": "rs1", "hbase.master.info.port": "16010"}
        for skew_ms in (30_001, -30_001):
            with pytest.raises(ClockOutOfSyncException, match="Server rs2,16020,1000 has been rejected"):
                await channel.call("RegionServerStartup", startup(made, OTHER, skew_ms), Pb.RegionServerStartupResponse)
        await channel.call("RegionServerStartup", startup(made, OTHER, 29_000), Pb.RegionServerStartupResponse)


async def test_another_life_of_an_address_ends_the_one_before():
    async with master() as (made, channel):
        made.rule()
        later = ServerName("rs1", 16020, 2000)
        await channel.call("RegionServerStartup", startup(made, later), Pb.RegionServerStartupResponse)
        assert NAME in made.reign.servers.dead
        assert made.reign.meta_server() is None
        for method, request, response_type in (
            ("RegionServerReport", report(NAME), Pb.RegionServerReportResponse),
            ("RegionServerStartup", startup(made, NAME), Pb.RegionServerStartupResponse),
            ("ReportRegionStateTransition", told(NAME, opened(2)), ClusterV1_pb2.TransitionsTaken),
        ):
            with pytest.raises(YouAreDeadException, match="currently processing rs1,16020,1000 as dead server"):
                await channel.call(method, request, response_type)
        assert [str(name) for name in cluster_metrics.dead_servers(made.reign)] == []
        made.names = (later,)
        made.reign.look_at_servers()
        assert [str(name) for name in cluster_metrics.dead_servers(made.reign)] == ["rs2,16020,1000"]


async def test_what_became_of_regions_is_acknowledged_when_hbase_meta_has_it():
    async with master() as (made, channel):
        made.rule()
        answer = await channel.call("RegionServerReport", report(NAME, HOME), ClusterV1_pb2.ReportTaken)
        assert not answer.founded
        made.reign.meta_states.meta_is_fresh = False
        assert (await channel.call("RegionServerReport", report(NAME, HOME), ClusterV1_pb2.ReportTaken)).founded
        made.meta.may_write.set()
        held = made.reign.states.held[INFO.encoded_name]
        await eventually(lambda: held.written is not None and held.written.state is RegionState.OPENING)
        assert (held.row.sn, held.row.store) == (NAME, "s1")
        made.meta.may_write.clear()
        telling = asyncio.ensure_future(
            channel.call("ReportRegionStateTransition", told(NAME, opened(2)), ClusterV1_pb2.TransitionsTaken)
        )
        await eventually(lambda: held.row.state is RegionState.OPEN)
        await asyncio.sleep(0.1)
        assert not telling.done()
        made.meta.may_write.set()
        taken = await telling
        assert not taken.refused
        assert not taken.too_early
        assert held.written is not None
        assert held.written.state is RegionState.OPEN
        # said again, of another server, and of a region that nobody knows
        for name, transition, refused in (
            (NAME, opened(2), []),
            (OTHER, opened(2), [0]),
            (NAME, opened(2, RegionInfo("u")), [0]),
        ):
            answer = await channel.call(
                "ReportRegionStateTransition", told(name, transition), ClusterV1_pb2.TransitionsTaken
            )
            assert list(answer.refused) == refused


async def test_hbase_meta_does_not_wait_for_what_waits_for_it():
    async with master() as (made, channel):
        made.rule()
        made.reign.knows_regions = False  # the catalogue has not been read
        both = told(NAME, opened(2), opened(2, META))
        answer = await channel.call("ReportRegionStateTransition", both, ClusterV1_pb2.TransitionsTaken)
        assert list(answer.too_early) == [0]
        made.reign.knows_regions = True
        made.reign.died(NAME)  # and with it hbase:meta: what regions say cannot be written now
        made.reign.states.want_open([INFO.encoded_name])
        told_by_other = told(OTHER, Transition(transition_code=Transition.CLOSED, region_info=[INFO.message()]))
        answer = await channel.call("ReportRegionStateTransition", told_by_other, ClusterV1_pb2.TransitionsTaken)
        assert list(answer.too_early) in ([], [0])


async def test_a_standby_takes_nothing():
    async with master() as (made, channel):
        made.is_acting = False
        for method, request in (
            ("RegionServerStartup", startup(made, NAME)),
            ("RegionServerReport", report(NAME)),
            ("ReportRegionStateTransition", told(NAME, opened(2))),
            ("ReportRSFatalError", Pb.ReportRSFatalErrorRequest(server=encode_server_name(NAME), error_message="x")),
            ("GetLastFlushedSequenceId", Pb.GetLastFlushedSequenceIdRequest(region_name=b"r")),
            ("ReportRegionSpaceUse", Pb.RegionSpaceUseReportRequest()),
            ("ReportProcedureDone", Pb.ReportProcedureDoneRequest()),
            ("ReportFileArchival", Pb.FileArchiveNotificationRequest()),
            ("GetLiveRegionServers", Pb.GetLiveRegionServersRequest(count=1)),
        ):
            with pytest.raises(ServerNotRunningYetException, match="Server is not running yet"):
                await channel.call(method, request, Pb.RegionServerReportResponse)


async def test_what_is_kept_of_what_servers_say():
    async with master() as (made, channel):
        made.rule()
        spec = HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=INFO.name)
        load = ClusterStatus_pb2.RegionLoad(region_specifier=spec, complete_sequence_id=17)
        await channel.call("RegionServerReport", report(NAME, HOME, region_loads=[load]), Pb.RegionServerReportResponse)
        for name, expected in ((INFO.encoded_name.encode(), 17), (INFO.name, 17), (b"other", NO_SEQ_NUM)):
            request = Pb.GetLastFlushedSequenceIdRequest(region_name=name)
            answer = await channel.call("GetLastFlushedSequenceId", request, Pb.GetLastFlushedSequenceIdResponse)
            assert answer.last_flushed_sequence_id == expected
        living = await channel.call(
            "GetLiveRegionServers", Pb.GetLiveRegionServersRequest(count=1), Pb.GetLiveRegionServersResponse
        )
        assert living.total == 2
        assert decode_server_name(living.server[0]) in (NAME, OTHER)
        fatal = Pb.ReportRSFatalErrorRequest(server=encode_server_name(OTHER), error_message="the disk is gone")
        await channel.call("ReportRSFatalError", fatal, Pb.ReportRSFatalErrorResponse)
        for method, request in (
            ("ReportRegionSpaceUse", Pb.RegionSpaceUseReportRequest()),
            (
                "ReportProcedureDone",
                Pb.ReportProcedureDoneRequest(result=[DONE]),
            ),
            ("ReportFileArchival", Pb.FileArchiveNotificationRequest()),
        ):
            await channel.call(method, request, Pb.RegionServerReportResponse)
        shown = cluster_status(made.reign, "", None)
        assert [(error.server_name, error.text) for error in shown.fatal_errors] == [(str(OTHER), "the disk is gone")]
        assert [(server.server_name, server.regions) for server in shown.servers][1] == (str(OTHER), 0)
        assert shown.meta_server == str(NAME)
        status = ClusterStatus_pb2.ClusterStatus()
        cluster_metrics.fill_live_servers(made.reign, status)
        cluster_metrics.fill_region_counts(made.reign, status)
        cluster_metrics.fill_in_transition(made.reign, status)
        assert [len(row.server_load.region_loads) for row in status.live_servers] == [1, 0]
        counts = {
            row.table_name.qualifier: row.region_states_count.total_regions for row in status.table_region_states_count
        }
        assert counts == {b"meta": 1, b"t": 1}
        assert [row.spec.value for row in status.regions_in_transition] == [INFO.name]
        assert cast("Any", status).IsInitialized()
