"""RegionServerStatusService: what region servers tell the active master, and ask of it.

A standby answers ServerNotRunningYetException, and the server looks for the active one. A report of what became of
regions is answered when hbase:meta holds it durably; what cannot be taken before the catalogue is read is to be told
again, so that hbase:meta itself can be told of.

Source: MasterRpcServices (regionServerStartup, regionServerReport, reportRegionStateTransition, ...), ServerManager.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from google.protobuf.message import Message

from protos.hbase import HBase_pb2, RegionServerStatus_pb2
from protos.hbeacon import ClusterV1_pb2
from registry.clock import Clock
from registry.master.assignment import Assignment
from registry.master.cluster import Cluster
from registry.master.epoch import NotActing
from registry.master.held import Verdict
from registry.master.live_servers import Reached
from registry.master.orders import transition_of
from registry.master.reign import Reign
from registry.names import ServerName
from registry.rpc.services import HIGH_QOS, Call, ServiceTable
from registry.wire.errors import ServerNotRunningYetException, YouAreDeadException
from registry.wire.region_info import META_ENCODED_NAME
from registry.wire.text import lenient_text
from registry.wire.znode import decode_server_name, encode_server_name

logger = logging.getLogger("registry.master")

SERVICE = "RegionServerStatusService"
SEEN_HOST = "hbase.regionserver.hostname.seen.by.master"
NO_SEQ_NUM = (1 << 64) - 1
"""HConstants.NO_SEQNUM, -1, as the message holds it."""

Pb = RegionServerStatus_pb2

META_LOOK_MS = 50.0
"""How often it is looked whether hbase:meta is open, while something waits to be written there."""


class StatusService:
    """The handlers. Belongs to the loop."""

    def __init__(self, cluster: Callable[[], Cluster], clock: Clock, info_port: Callable[[], int]) -> None:
        """`cluster` is asked at each call: the table of services is made before it."""
        self._of = cluster
        self._clock = clock
        self._info_port = info_port
        self._chance = random.Random()

    def add_to(self, table: ServiceTable) -> None:
        """Offer all methods."""
        handlers: dict[str, tuple[type[Message], Callable[[Call], Message | Awaitable[Message]]]] = {
            "RegionServerStartup": (Pb.RegionServerStartupRequest, self._startup),
            "RegionServerReport": (ClusterV1_pb2.ServerReport, self._report),
            "ReportRSFatalError": (Pb.ReportRSFatalErrorRequest, self._fatal_error),
            "GetLastFlushedSequenceId": (Pb.GetLastFlushedSequenceIdRequest, self._last_flushed),
            "ReportRegionStateTransition": (Pb.ReportRegionStateTransitionRequest, self._transitions),
            "ReportRegionSpaceUse": (Pb.RegionSpaceUseReportRequest, self._space_use),
            "ReportProcedureDone": (Pb.ReportProcedureDoneRequest, self._procedure_done),
            "ReportFileArchival": (Pb.FileArchiveNotificationRequest, self._file_archival),
            "GetLiveRegionServers": (Pb.GetLiveRegionServersRequest, self._live_servers),
        }
        for name, (request_type, handler) in handlers.items():
            table.add(SERVICE, name, request_type, handler, priority=HIGH_QOS)

    def _startup(self, call: Call) -> Message:
        request = call.request
        assert isinstance(request, Pb.RegionServerStartupRequest)
        reign = self._of().acting()
        host = request.use_this_hostname_instead or call.peer_host
        name = ServerName(host, request.port, request.server_start_code)
        now_ms, wall_ms = self._clock.monotonic_ms(), self._clock.wall_ms()
        for older in reign.servers.startup(name, float(request.server_current_time), wall_ms, now_ms):
            logger.info("%s has started: %s is dead", name, older)
            reign.died(older)
        answer = Pb.RegionServerStartupResponse()
        answer.map_entries.add(name=SEEN_HOST, value=host)
        answer.map_entries.add(name="hbase.master.info.port", value=str(self._info_port()))
        return answer

    def _report(self, call: Call) -> Message:
        request = call.request
        assert isinstance(request, ClusterV1_pb2.ServerReport)
        reign = self._of().acting()
        name = decode_server_name(request.server)
        stores = [_reached(each) for each in request.store]
        if reign.servers.report(name, stores, request.load, self._clock.monotonic_ms()):
            reign.look_at_servers()
            reign.servers_changed()
        return ClusterV1_pb2.ReportTaken(founded=not reign.meta_states.meta_is_fresh)

    def _fatal_error(self, call: Call) -> Message:
        request = call.request
        assert isinstance(request, Pb.ReportRSFatalErrorRequest)
        reign = self._of().acting()
        name, text = decode_server_name(request.server), lenient_text(request.error_message)
        logger.error("Region server %s reported a fatal error:\n%s", name, text[:2000])
        reign.servers.fatal_error(name, text, self._clock.wall_ms())
        return Pb.ReportRSFatalErrorResponse()

    def _last_flushed(self, call: Call) -> Message:
        """By the last reports of live servers; NO_SEQNUM where none tells of the region."""
        request = call.request
        assert isinstance(request, Pb.GetLastFlushedSequenceIdRequest)
        answer = Pb.GetLastFlushedSequenceIdResponse(last_flushed_sequence_id=NO_SEQ_NUM)
        name = request.region_name
        for server in self._of().acting().servers.live():
            for load in server.load.region_loads:
                spec = load.region_specifier
                is_whole = spec.type == HBase_pb2.RegionSpecifier.REGION_NAME
                if name in ((spec.value, spec.value[-33:-1]) if is_whole else (spec.value,)):
                    if load.HasField("complete_sequence_id"):
                        answer.last_flushed_sequence_id = load.complete_sequence_id
                    answer.store_last_flushed_sequence_id.extend(load.store_complete_sequence_id)
                    return answer
        return answer

    async def _transitions(self, call: Call) -> Message:
        request = call.request
        assert isinstance(request, Pb.ReportRegionStateTransitionRequest)
        reign = self._of().acting()
        name = decode_server_name(request.server)
        if reign.servers.is_dead(name):
            raise YouAreDeadException(f"Server REPORT rejected; currently processing {name} as dead server")
        answer = ClusterV1_pb2.TransitionsTaken()
        of_meta, of_regions = list[int](), list[int]()
        for index, message in enumerate(request.transition):
            told = transition_of(message)
            if told is None:
                continue
            assignment = self._assignment_of(reign, told.region)
            if assignment is None:
                answer.too_early.append(index)
            elif assignment.states.reported(name, told) is Verdict.REFUSED:
                logger.info("%s is not to have %s open", name, told.region)
                answer.refused.append(index)
            else:
                (of_meta if assignment is reign.meta else of_regions).append(index)
        try:
            if of_meta:
                await reign.meta.durable()
            if of_regions and (of_meta or not await self._durable_by_meta(reign)):
                # hbase:meta may wait for the answer to this very call, or for the next call of this server
                answer.too_early.extend(of_regions)
                reign.regions.kick()
        except NotActing:
            raise ServerNotRunningYetException("Server is not running yet") from None
        return answer

    async def _durable_by_meta(self, reign: Reign) -> bool:
        """Whether what regions are now is durable; false where nobody has hbase:meta open meanwhile."""
        durable = asyncio.ensure_future(reign.regions.durable())
        try:
            while not durable.done():
                if reign.meta_server() is None:
                    return False
                await asyncio.wait({durable}, timeout=META_LOOK_MS / 1000)
            durable.result()
            return True
        finally:
            durable.cancel()

    def _assignment_of(self, reign: Reign, region: str) -> Assignment | None:
        """None: it cannot be said yet."""
        if region == META_ENCODED_NAME:
            return reign.meta if reign.knows_meta else None
        return reign.regions if reign.knows_regions else None

    def _space_use(self, call: Call) -> Message:
        """Taken note of: there are no quotas of space."""
        del call
        self._of().acting()
        return Pb.RegionSpaceUseReportResponse()

    def _procedure_done(self, call: Call) -> Message:
        request = call.request
        assert isinstance(request, Pb.ReportProcedureDoneRequest)
        reign = self._of().acting()
        for result in request.result:
            reign.drops.done(result)
        return Pb.ReportProcedureDoneResponse()

    def _file_archival(self, call: Call) -> Message:
        """Taken note of: there are no files that a master archives."""
        del call
        self._of().acting()
        return Pb.FileArchiveNotificationResponse()

    def _live_servers(self, call: Call) -> Message:
        """As many as are asked for, by chance, and how many there are."""
        request = call.request
        assert isinstance(request, Pb.GetLiveRegionServersRequest)
        names = [server.name for server in self._of().acting().servers.live()]
        chosen = self._chance.sample(names, min(request.count, len(names)))
        return Pb.GetLiveRegionServersResponse(server=[encode_server_name(name) for name in chosen], total=len(names))


def _reached(message: ClusterV1_pb2.ReachedStore) -> Reached:
    meta = (message.meta_epoch, message.meta_open_seq_num) if message.HasField("meta_epoch") else None
    return Reached(message.store_id, message.reach, message.home, message.owner, message.in_cluster, meta)
