"""AdminService's methods, as far as they mean something for regions on an embedded engine.

Regions are opened and closed by the master's orders alone: what a tool opens or closes behind its back would be
corrected by the next reconciliation, so it is refused. What HBase has and this server has not (files of HBase, slow
logs, replication) is answered empty, or refused with HBase's own error.

Source: RSRpcServices, whose texts these are; AdminService in Admin.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from protos.hbase import Admin_pb2, ClusterStatus_pb2, HBase_pb2, Quota_pb2
from protos.hbeacon import ClusterV1_pb2
from regionserver.admin_service.maintenance import NONE, Maintenance
from regionserver.engine.store import StoreError
from regionserver.hosting.hosted import Hosted, HostedRegions, by_table, encoded_name_of
from regionserver.hosting.orders import Orders
from regionserver.hosting.read_orders import check_start_code
from regionserver.hosting.stores import Stores
from registry.rpc.services import ADMIN_QOS, HIGH_QOS, Call, Handled, ServiceTable
from registry.wire.errors import (
    DoNotRetryIOException,
    HBaseError,
    IOException,
    NoSuchColumnFamilyException,
    NotServingRegionException,
)
from registry.wire.region_info import META_TABLE, RegionInfo, table_text
from registry.wire.text import lenient_text
from registry.wire.znode import encode_server_name

SERVICE = Admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
QUEUES = ("long", "short")
"""Of compactions, as HBase names them."""
SLOW_LOG_REQUEST, SLOW_LOG_RESPONSES = "SlowLogResponseRequest", "SlowLogResponses"


class AdminCalls:
    """Answers AdminService for one server. Belongs to its loop."""

    def __init__(
        self,
        regions: HostedRegions,
        stores: Stores,
        orders: Orders,
        maintenance: Maintenance,
        *,
        check_open: Callable[[], None],
        region_load: Callable[[Hosted], ClusterStatus_pb2.RegionLoad],
        info_port: Callable[[], int],
        reload: Callable[[], object],
        stop: Callable[[str], object],
    ) -> None:
        """`check_open` raises where the server does not serve.

        `reload` reads the settings again. `stop` ends the server for a reason.
        """
        self._regions = regions
        self._stores = stores
        self._orders = orders
        self._maintenance = maintenance
        self._check_open = check_open
        self._region_load = region_load
        self._info_port = info_port
        self._reload = reload
        self._stop = stop

    def add_to(self, table: ServiceTable) -> None:
        """Offer every method of the service."""
        own: dict[str, Callable[[Call], Handled]] = {
            "GetRegionInfo": self._get_region_info,
            "GetOnlineRegion": self._get_online_region,
            "GetRegionLoad": self._get_region_load,
            "GetServerInfo": self._get_server_info,
            "GetStoreFile": self._get_store_file,
            "OpenRegion": self._open_region,
            "WarmupRegion": self._warmup_region,
            "CompactionSwitch": self._compaction_switch,
            "CompactRegion": self._compact_region,
            "StopServer": self._stop_server,
            "UpdateFavoredNodes": self._update_favored_nodes,
            "UpdateConfiguration": self._update_configuration,
            "ClearCompactionQueues": self._clear_compaction_queues,
            "ClearRegionBlockCache": self._clear_region_block_cache,
            "GetLogEntries": self._get_log_entries,
            "CloseRegion": self._close_region,
            "GetSpaceQuotaSnapshots": self._nothing(Quota_pb2.GetSpaceQuotaSnapshotsResponse()),
            "GetSlowLogResponses": self._nothing(Admin_pb2.SlowLogResponses()),
            "GetLargeLogResponses": self._nothing(Admin_pb2.SlowLogResponses()),
            "ClearSlowLogsResponses": self._nothing(Admin_pb2.ClearSlowLogResponses(is_cleaned=False)),
            "GetCachedFilesList": self._nothing(Admin_pb2.GetCachedFilesListResponse()),
            "ReplicateWALEntry": self._replay,
            "Replay": self._replay,
        }
        for method in SERVICE.methods:
            if method.name == "ExecuteProcedures":  # with fields of our own, which HBase's message would leave out
                table.add(SERVICE.name, method.name, ClusterV1_pb2.Orders, self._execute_procedures, priority=HIGH_QOS)
            elif method.name == "FlushRegion":
                table.add(
                    SERVICE.name, method.name, Admin_pb2.FlushRegionRequest, self._flush_region, priority=ADMIN_QOS
                )
            elif method.name == "RollWALWriter":
                request_type = Admin_pb2.RollWALWriterRequest
                table.add(SERVICE.name, method.name, request_type, self._roll_wal_writer, priority=ADMIN_QOS)
            else:
                handler, request_type = own.get(method.name, self._refuse), GetMessageClass(method.input_type)
                table.add(SERVICE.name, method.name, request_type, handler, priority=ADMIN_QOS)

    # --- what there is ----------------------------------------------------------------------------------------------

    def _get_region_info(self, call: Call) -> Handled:
        request = call.request
        assert isinstance(request, Admin_pb2.GetRegionInfoRequest), "the table has the type"
        hosted = self._hosted(request.region)
        is_meta = hosted.info.table == META_TABLE
        answer = Admin_pb2.GetRegionInfoResponse(
            region_info=hosted.info.message(), splittable=not is_meta, mergeable=not is_meta
        )
        if request.compaction_state:
            answer.compaction_state = self._maintenance.compaction_state(hosted.info.encoded_name)
        return answer

    def _get_online_region(self, _call: Call) -> Handled:
        self._check_open()
        online = sorted(self._regions.online(), key=lambda hosted: hosted.info.name)
        return Admin_pb2.GetOnlineRegionResponse(region_info=[hosted.info.message() for hosted in online])

    def _get_region_load(self, call: Call) -> Handled:
        request = call.request
        assert isinstance(request, Admin_pb2.GetRegionLoadRequest), "the table has the type"
        self._check_open()
        online: Sequence[Hosted] = self._regions.online()
        if request.HasField("table_name"):
            online = by_table(online, table_text(request.table_name))
        return Admin_pb2.GetRegionLoadResponse(region_loads=[self._load(hosted) for hosted in online])

    def _load(self, hosted: Hosted) -> ClusterStatus_pb2.RegionLoad:
        """With what the reports to the master, of thousands of regions, leave out."""
        state = self._maintenance.compaction_state(hosted.info.encoded_name)
        load = self._region_load(hosted)
        if state == NONE:
            return load
        # that one is kept for others
        name = Admin_pb2.GetRegionInfoResponse.CompactionState.Name(state)
        compacting = ClusterStatus_pb2.RegionLoad(compaction_state=name)
        compacting.MergeFrom(load)
        return compacting

    def _get_server_info(self, _call: Call) -> Handled:
        self._check_open()
        info = Admin_pb2.ServerInfo(
            server_name=encode_server_name(self._regions.server), webui_port=max(self._info_port(), 0)
        )
        return Admin_pb2.GetServerInfoResponse(server_info=info)

    def _get_store_file(self, call: Call) -> Handled:
        """The directory of the store: its files have rows of other regions too."""
        request = call.request
        assert isinstance(request, Admin_pb2.GetStoreFileRequest), "the table has the type"
        hosted = self._hosted(request.region)
        for family in request.family:
            hosted.region.check_family(family)
        places = [each.place for each in self._stores if each.store_id == hosted.store_id]
        return Admin_pb2.GetStoreFileResponse(store_file=[str(place.database) for place in places if place is not None])

    # --- from the master --------------------------------------------------------------------------------------------

    def _execute_procedures(self, call: Call) -> Handled:
        request = call.request
        assert isinstance(request, ClusterV1_pb2.Orders), "the table has the type"
        self._check_open()
        if not request.HasField("master_epoch"):
            raise DoNotRetryIOException("an order without the epoch of its master: this server belongs to hbeacon")
        self._orders.take(request)
        return Admin_pb2.ExecuteProceduresResponse()

    def _open_region(self, call: Call) -> Handled:
        """An order that does not say where the rows are opens nothing; what is open is open."""
        request = call.request
        assert isinstance(request, Admin_pb2.OpenRegionRequest), "the table has the type"
        self._check_open()
        if request.HasField("serverStartCode"):
            check_start_code(self._regions.server, request.serverStartCode)
        answer = Admin_pb2.OpenRegionResponse()
        for each in request.open_info:
            spec = HBase_pb2.RegionSpecifier(
                type=HBase_pb2.RegionSpecifier.ENCODED_REGION_NAME, value=_encoded_name(each.region)
            )
            try:
                self._regions.region_of(spec)
                answer.opening_state.append(Admin_pb2.OpenRegionResponse.ALREADY_OPENED)
            except NotServingRegionException:
                answer.opening_state.append(Admin_pb2.OpenRegionResponse.FAILED_OPENING)
        return answer

    def _close_region(self, call: Call) -> Handled:
        request = call.request
        assert isinstance(request, Admin_pb2.CloseRegionRequest), "the table has the type"
        self._check_open()
        if request.HasField("serverStartCode"):
            check_start_code(self._regions.server, request.serverStartCode)
        try:
            hosted = self._regions.hosted_of(request.region)
        except NotServingRegionException:
            name = encoded_name_of(request.region.value)
            raise NotServingRegionException(f"The region {name} is not online, and is not opening.") from None
        raise DoNotRetryIOException(
            f"java.lang.UnsupportedOperationException: CloseRegion: {hosted.info} is closed by its master; use unassign"
        )

    def _warmup_region(self, _call: Call) -> Handled:
        """Nothing is read ahead: the region's blocks are in no other server's cache either."""
        self._check_open()
        return Admin_pb2.WarmupRegionResponse()

    def _replay(self, call: Call) -> Handled:
        """Nothing of another cluster's log is taken; to be sent none is no error."""
        request = call.request
        assert isinstance(request, Admin_pb2.ReplicateWALEntryRequest), "the table has the type"
        self._check_open()
        if request.entry:
            return self._refuse(call)
        return Admin_pb2.ReplicateWALEntryResponse()

    # --- flush and compact ------------------------------------------------------------------------------------------

    async def _flush_region(self, call: Call) -> Message:
        request = call.request
        assert isinstance(request, Admin_pb2.FlushRegionRequest), "the table has the type"
        hosted = self._hosted(request.region)
        if request.HasField("family") and request.family not in hosted.region.families:
            shown = lenient_text(request.family)
            raise NoSuchColumnFamilyException(f"Column families [{shown}] don't exist in table {hosted.info.table}")
        flushed_ms = self._maintenance.flushed_ms
        answer = Admin_pb2.FlushRegionResponse()  # that it was not flushed is said by leaving the word out
        if not request.HasField("if_older_than_ts") or flushed_ms.get(hosted.store_id, 0) < request.if_older_than_ts:
            await self._flush(hosted.store_id)
            answer.flushed, answer.wrote_flush_wal_marker = True, False
        answer.last_flush_time = flushed_ms.get(hosted.store_id, 0)
        return answer

    async def _roll_wal_writer(self, _call: Call) -> Message:
        """A new log is begun where the store is flushed; the old one is deleted then."""
        self._check_open()
        for each in self._stores:
            await self._flush(each.store_id)
        return Admin_pb2.RollWALWriterResponse()

    async def _flush(self, store_id: str) -> None:
        store = self._stores.get(store_id)
        assert store is not None, "the store of an open region is open"
        try:
            await self._maintenance.flush(store_id, store)
        except StoreError as error:
            raise IOException(str(error)) from None

    def _compact_region(self, call: Call) -> Handled:
        request = call.request
        assert isinstance(request, Admin_pb2.CompactRegionRequest), "the table has the type"
        hosted = self._hosted(request.region)
        if request.HasField("family") and request.family not in hosted.region.families:
            shown = lenient_text(request.family)
            raise NoSuchColumnFamilyException(f"column family {shown} does not exist in region {hosted.info}")
        self._maintenance.compact(hosted, major=request.major)
        return Admin_pb2.CompactRegionResponse()

    def _compaction_switch(self, call: Call) -> Handled:
        request = call.request
        assert isinstance(request, Admin_pb2.CompactionSwitchRequest), "the table has the type"
        self._check_open()
        before, self._maintenance.compactions_enabled = self._maintenance.compactions_enabled, request.enabled
        return Admin_pb2.CompactionSwitchResponse(prev_state=before)

    def _clear_compaction_queues(self, call: Call) -> Handled:
        request = call.request
        assert isinstance(request, Admin_pb2.ClearCompactionQueuesRequest), "the table has the type"
        self._check_open()
        for name in request.queue_name:
            if name not in QUEUES:
                raise IOException(f"Unknown queue name {name}")
        if request.queue_name:
            self._maintenance.clear_queue()
        return Admin_pb2.ClearCompactionQueuesResponse()

    def _clear_region_block_cache(self, call: Call) -> Handled:
        """The engine's cache is one for all regions and keeps what is asked for: nothing is dropped from it."""
        request = call.request
        assert isinstance(request, Admin_pb2.ClearRegionBlockCacheRequest), "the table has the type"
        self._check_open()
        stats = HBase_pb2.CacheEvictionStats(evicted_blocks=0, max_cache_size=0)
        for spec in request.region:
            try:
                self._regions.region_of(spec)
            except HBaseError as error:
                said = HBase_pb2.NameBytesPair(
                    name=error.java_class, value=f"{error.java_class}: {error.message}".encode()
                )
                stats.exception.add(region=spec, exception=said)
        return Admin_pb2.ClearRegionBlockCacheResponse(stats=stats)

    # --- the server -------------------------------------------------------------------------------------------------

    def _stop_server(self, call: Call) -> Handled:
        request = call.request
        assert isinstance(request, Admin_pb2.StopServerRequest), "the table has the type"
        self._stop(request.reason)
        return Admin_pb2.StopServerResponse()

    def _update_configuration(self, _call: Call) -> Handled:
        self._check_open()
        self._reload()
        return Admin_pb2.UpdateConfigurationResponse()

    def _update_favored_nodes(self, call: Call) -> Handled:
        request = call.request
        assert isinstance(request, Admin_pb2.UpdateFavoredNodesRequest), "the table has the type"
        return Admin_pb2.UpdateFavoredNodesResponse(response=len(request.update_info))

    def _get_log_entries(self, call: Call) -> Handled:
        """Slow calls are not kept: the list is empty, in the form that 2.4 and later ask for it."""
        request = call.request
        assert isinstance(request, HBase_pb2.LogRequest), "the table has the type"
        asked = lenient_text(request.log_class_name)
        if not asked.endswith(SLOW_LOG_REQUEST):
            raise IOException("Invalid request params")
        name = asked.removesuffix(SLOW_LOG_REQUEST) + SLOW_LOG_RESPONSES
        return HBase_pb2.LogEntry(log_class_name=name, log_message=Admin_pb2.SlowLogResponses().SerializeToString())

    def _nothing(self, answer: Message) -> Callable[[Call], Handled]:
        def handler(_call: Call) -> Handled:
            self._check_open()
            return answer

        return handler

    def _refuse(self, call: Call) -> Handled:
        raise DoNotRetryIOException(f"java.lang.UnsupportedOperationException: {call.method.name}")

    def _hosted(self, spec: HBase_pb2.RegionSpecifier) -> Hosted:
        self._check_open()
        return self._regions.hosted_of(spec)


def _encoded_name(region: HBase_pb2.RegionInfo) -> bytes:
    return RegionInfo.from_message(region).encoded_name.encode()
