"""AdminService as administrators and the master meet it, on real stores."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest
from google.protobuf.message import Message

from protos.hbase import Admin_pb2, ClusterStatus_pb2, HBase_pb2, WAL_pb2
from protos.hbeacon import ClusterV1_pb2
from regionserver.admin_service.maintenance import Maintenance
from regionserver.admin_service.service import AdminCalls
from regionserver.engine.store import Batch, Durability
from regionserver.hosting.committing import commit
from regionserver.hosting.hosted import Hosted
from regionserver.hosting.reserved import compacted_ms
from regionserver.region.keys import family_key
from registry.clock import SystemClock
from registry.rpc.services import Call, Method, ServiceTable
from registry.wire.errors import (
    DoNotRetryIOException,
    IOException,
    NoSuchColumnFamilyException,
    NotServingRegionException,
    RegionServerStoppedException,
)
from registry.wire.region_info import META, RegionInfo, table_name
from tests.hosting.desk import NOW_MS, Desk, infos, server, specifier

FIRST, SECOND = infos(2)
YEAR_MS = 365 * 24 * 3_600_000
M = TypeVar("M", bound=Message)


WHETHER_IT_SERVES_OR_NOT = {
    "StopServer",
    "UpdateFavoredNodes",
    "ReplicateToReplica",
    "SplitRegion",
    "MergeRegions",
    "GetLogEntries",
}


async def asked(method: Method, request: Message | None) -> object:
    """What a handler answers to a call."""
    handled = method.handler(cast("Call", SimpleNamespace(request=request, method=method)))
    return await handled if inspect.isawaitable(handled) else handled


def files_of(directory: Path) -> list[Path]:
    return list(directory.iterdir())


class Admin:
    """A server's AdminService without sockets."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.stopped: list[str] = []
        self.reloads_count = 0
        self.is_open = True
        self.maintenance = Maintenance(desk.regions, SystemClock())
        self.table = ServiceTable()
        AdminCalls(
            self.desk.regions,
            self.desk.stores,
            self.desk.orders,
            self.maintenance,
            check_open=self._check,
            region_load=_load,
            info_port=lambda: 16030,
            reload=self._reload,
            stop=self.stopped.append,
        ).add_to(self.table)

    def _check(self) -> None:
        if not self.is_open:
            raise RegionServerStoppedException("Server host,1,1 stopping")

    def _reload(self) -> None:
        self.reloads_count += 1

    async def ask(self, method: str, request: Message, response_type: type[M]) -> M:
        found = self.table.methods("AdminService")[method]
        answer = await asked(found, found.request_type.FromString(request.SerializeToString()))
        assert isinstance(answer, response_type)
        return answer


def _load(hosted: Hosted) -> ClusterStatus_pb2.RegionLoad:
    return ClusterStatus_pb2.RegionLoad(region_specifier=specifier(hosted.info))


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncGenerator[Admin]:
    desk = server(tmp_path)
    made = Admin(desk)
    yield made
    await desk.orders.close_all()
    await made.maintenance.close()
    desk.stores.close()


async def test_what_is_online(admin: Admin):
    await admin.desk.open(SECOND, FIRST, META)
    answer = await admin.ask("GetOnlineRegion", Admin_pb2.GetOnlineRegionRequest(), Admin_pb2.GetOnlineRegionResponse)
    assert [RegionInfo.from_message(each) for each in answer.region_info] == [META, FIRST, SECOND]
    loads = await admin.ask(
        "GetRegionLoad", Admin_pb2.GetRegionLoadRequest(table_name=table_name("t")), Admin_pb2.GetRegionLoadResponse
    )
    assert {load.region_specifier.value for load in loads.region_loads} == {FIRST.name, SECOND.name}
    loads = await admin.ask("GetRegionLoad", Admin_pb2.GetRegionLoadRequest(), Admin_pb2.GetRegionLoadResponse)
    assert len(loads.region_loads) == 3
    info = await admin.ask("GetServerInfo", Admin_pb2.GetServerInfoRequest(), Admin_pb2.GetServerInfoResponse)
    assert (info.server_info.server_name.host_name, info.server_info.webui_port) == ("host", 16030)


async def test_one_region(admin: Admin):
    await admin.desk.open(FIRST, META)
    request = Admin_pb2.GetRegionInfoRequest(region=specifier(FIRST), compaction_state=True)
    answer = await admin.ask("GetRegionInfo", request, Admin_pb2.GetRegionInfoResponse)
    assert RegionInfo.from_message(answer.region_info) == FIRST
    assert (answer.compaction_state, answer.splittable) == (Admin_pb2.GetRegionInfoResponse.NONE, True)
    encoded = HBase_pb2.RegionSpecifier(
        type=HBase_pb2.RegionSpecifier.ENCODED_REGION_NAME, value=META.encoded_name.encode()
    )
    answer = await admin.ask(
        "GetRegionInfo", Admin_pb2.GetRegionInfoRequest(region=encoded), Admin_pb2.GetRegionInfoResponse
    )
    assert RegionInfo.from_message(answer.region_info) == META
    assert not answer.splittable
    assert not answer.HasField("compaction_state")
    with pytest.raises(NotServingRegionException, match="is not online on host,1,1"):
        await admin.ask(
            "GetRegionInfo", Admin_pb2.GetRegionInfoRequest(region=specifier(SECOND)), Admin_pb2.GetRegionInfoResponse
        )


async def test_a_flush_is_of_the_log(admin: Admin, tmp_path: Path):
    await admin.desk.open(FIRST)
    await admin.desk.put(FIRST, b"!row", b"value")
    request = Admin_pb2.FlushRegionRequest(region=specifier(FIRST))
    answer = await admin.ask("FlushRegion", request, Admin_pb2.FlushRegionResponse)
    assert answer.flushed
    assert answer.last_flush_time > 1_700_000_000_000
    assert any(path.suffix == ".sst" for path in files_of(tmp_path / "stores" / "1" / "db"))
    request = Admin_pb2.FlushRegionRequest(region=specifier(FIRST), if_older_than_ts=answer.last_flush_time)
    again = await admin.ask("FlushRegion", request, Admin_pb2.FlushRegionResponse)
    assert (again.HasField("flushed"), again.last_flush_time) == (False, answer.last_flush_time)
    with pytest.raises(NoSuchColumnFamilyException):
        await admin.ask(
            "FlushRegion",
            Admin_pb2.FlushRegionRequest(region=specifier(FIRST), family=b"x"),
            Admin_pb2.FlushRegionResponse,
        )
    request = Admin_pb2.FlushRegionRequest(region=specifier(FIRST))
    many = [admin.ask("FlushRegion", request, Admin_pb2.FlushRegionResponse) for _ in range(10)]
    assert all(each.flushed for each in await asyncio.gather(*many))
    await admin.ask("RollWALWriter", Admin_pb2.RollWALWriterRequest(), Admin_pb2.RollWALWriterResponse)


async def test_a_compaction_drops_dead_cells(admin: Admin):
    await admin.desk.open(FIRST)
    for number in range(99, 102):
        await admin.desk.put(FIRST, b"!row", b"%d" % number)
    store = admin.desk.stores.get(admin.desk.stores.home)
    assert store is not None
    region = admin.desk.region(FIRST)
    before_bytes = sum(len(value) for _, value in store.scan(region.prefix, region.prefix + b"\xff"))
    request = Admin_pb2.CompactRegionRequest(region=specifier(FIRST), major=True)
    await admin.ask("CompactRegion", request, Admin_pb2.CompactRegionResponse)
    asked = Admin_pb2.GetRegionInfoRequest(region=specifier(FIRST), compaction_state=True)
    state = await admin.ask("GetRegionInfo", asked, Admin_pb2.GetRegionInfoResponse)
    assert state.compaction_state == Admin_pb2.GetRegionInfoResponse.MAJOR
    async with asyncio.timeout(20):
        while admin.maintenance.compaction_state(FIRST.encoded_name) != Admin_pb2.GetRegionInfoResponse.NONE:
            await asyncio.sleep(0.01)
    after_bytes = sum(len(value) for _, value in store.scan(region.prefix, region.prefix + b"\xff"))
    assert after_bytes < before_bytes
    assert admin.desk.rows(FIRST, [b"!row"]) == {b"!row": b"101"}
    assert compacted_ms(store, FIRST.encoded_name) > NOW_MS - 10 * YEAR_MS


async def test_a_table_that_is_not_to_be_compacted(admin: Admin):
    """COMPACTION_ENABLED => false."""
    await admin.desk.open(FIRST)
    hosted = admin.desk.regions.get(FIRST.encoded_name)
    assert hosted is not None
    hosted.region.rules = replace(hosted.region.rules, is_compacted=False)
    request = Admin_pb2.CompactRegionRequest(region=specifier(FIRST), major=True)
    await admin.ask("CompactRegion", request, Admin_pb2.CompactRegionResponse)
    assert admin.maintenance.compaction_state(FIRST.encoded_name) == Admin_pb2.GetRegionInfoResponse.NONE


async def test_compactions_are_switched_off_and_queues_cleared(admin: Admin):
    await admin.desk.open(FIRST, SECOND)
    switch = Admin_pb2.CompactionSwitchRequest(enabled=False)
    answer = await admin.ask("CompactionSwitch", switch, Admin_pb2.CompactionSwitchResponse)
    assert answer.prev_state
    request = Admin_pb2.CompactRegionRequest(region=specifier(FIRST))
    await admin.ask("CompactRegion", request, Admin_pb2.CompactRegionResponse)
    assert admin.maintenance.compactions_waiting_count == 0
    switch = Admin_pb2.CompactionSwitchRequest(enabled=True)
    answer = await admin.ask("CompactionSwitch", switch, Admin_pb2.CompactionSwitchResponse)
    assert not answer.prev_state
    for info in (FIRST, SECOND, FIRST):
        request = Admin_pb2.CompactRegionRequest(region=specifier(info))
        await admin.ask("CompactRegion", request, Admin_pb2.CompactRegionResponse)
    assert admin.maintenance.compactions_waiting_count == 2
    clear = Admin_pb2.ClearCompactionQueuesRequest(queue_name=["long", "short"])
    await admin.ask("ClearCompactionQueues", clear, Admin_pb2.ClearCompactionQueuesResponse)
    assert admin.maintenance.compactions_waiting_count == 0
    clear = Admin_pb2.ClearCompactionQueuesRequest(queue_name=["middle"])
    with pytest.raises(IOException, match="Unknown queue name middle"):
        await admin.ask("ClearCompactionQueues", clear, Admin_pb2.ClearCompactionQueuesResponse)


async def test_a_region_that_is_closed_is_not_compacted_further(admin: Admin):
    await admin.desk.open(FIRST)
    for number in range(20):
        await admin.desk.put(FIRST, b"!row", b"%d" % number)
    request = Admin_pb2.CompactRegionRequest(region=specifier(FIRST), major=True)
    await admin.ask("CompactRegion", request, Admin_pb2.CompactRegionResponse)
    admin.desk.orders.take(admin.desk.close_message(FIRST))
    await admin.desk.told()
    await admin.maintenance.close()
    store = admin.desk.stores.get(admin.desk.stores.home)
    assert store is not None
    assert compacted_ms(store, FIRST.encoded_name) == 0


async def test_a_region_that_cannot_be_read_keeps_no_other_from_its_compaction(
    admin: Admin, caplog: pytest.LogCaptureFixture
):
    await admin.desk.open(FIRST, SECOND)
    store = admin.desk.stores.get(admin.desk.stores.home)
    assert store is not None
    region = admin.desk.region(FIRST)
    newer = Batch()
    newer.put(family_key(region.row_key(b"!row"), next(iter(region.families))), b"\x07" + bytes(64))
    await commit(store, newer, Durability.PROCESS)
    for info in (FIRST, SECOND):
        request = Admin_pb2.CompactRegionRequest(region=specifier(info), major=True)
        await admin.ask("CompactRegion", request, Admin_pb2.CompactRegionResponse)
    async with asyncio.timeout(20):
        while admin.maintenance.compaction_state(SECOND.encoded_name) != Admin_pb2.GetRegionInfoResponse.NONE:
            await asyncio.sleep(0.01)
    assert compacted_ms(store, FIRST.encoded_name) == 0
    assert compacted_ms(store, SECOND.encoded_name) > 0
    assert "a record of format 7" in caplog.text


async def test_compactions_that_are_due(admin: Admin):
    await admin.desk.open(FIRST, SECOND, META)
    store = admin.desk.stores.get(admin.desk.stores.home)
    assert store is not None
    admin.maintenance.compact_due(0)
    admin.maintenance.compact_due(100 * YEAR_MS)
    assert admin.maintenance.compactions_waiting_count == 0
    admin.maintenance.compact_due(7 * 24 * 3_600_000)
    assert admin.maintenance.compactions_waiting_count == 3
    async with asyncio.timeout(20):
        while compacted_ms(store, META.encoded_name) == 0:
            await asyncio.sleep(0.01)
    async with asyncio.timeout(20):
        while admin.maintenance.compactions_waiting_count:
            await asyncio.sleep(0.01)
    await admin.maintenance.close()
    admin.maintenance.compactions_enabled = True
    admin.maintenance.compact_due(7 * 24 * 3_600_000)
    assert admin.maintenance.compactions_waiting_count == 0, "the store remembers it"
    admin.desk.orders.take(admin.desk.close_message(FIRST))
    await admin.desk.told()
    admin.desk.orders.take(admin.desk.drop_message(FIRST, admin.desk.stores.home))
    await admin.desk.result()
    assert compacted_ms(store, FIRST.encoded_name) == 0


async def test_orders_come_here(admin: Admin):
    message = admin.desk.open_message([FIRST], epoch=5)
    await admin.ask("ExecuteProcedures", message, Admin_pb2.ExecuteProceduresResponse)
    await admin.desk.told()
    assert admin.desk.region(FIRST)
    with pytest.raises(DoNotRetryIOException, match="epoch 4 was deposed"):
        await admin.ask("ExecuteProcedures", ClusterV1_pb2.Orders(master_epoch=4), Admin_pb2.ExecuteProceduresResponse)
    await admin.ask("ExecuteProcedures", ClusterV1_pb2.Orders(master_epoch=6), Admin_pb2.ExecuteProceduresResponse)
    assert admin.desk.orders.epoch.number == 6


async def test_regions_are_not_opened_or_closed_behind_the_masters_back(admin: Admin):
    await admin.desk.open(FIRST)
    request = Admin_pb2.OpenRegionRequest(serverStartCode=1)
    for info in (FIRST, SECOND):
        request.open_info.add(region=info.message())
    answer = await admin.ask("OpenRegion", request, Admin_pb2.OpenRegionResponse)
    states = Admin_pb2.OpenRegionResponse
    assert list(answer.opening_state) == [states.ALREADY_OPENED, states.FAILED_OPENING]
    request.serverStartCode = 2
    with pytest.raises(DoNotRetryIOException, match="different server with startcode: 2"):
        await admin.ask("OpenRegion", request, Admin_pb2.OpenRegionResponse)
    close = Admin_pb2.CloseRegionRequest(region=specifier(FIRST))
    with pytest.raises(DoNotRetryIOException, match="is closed by its master"):
        await admin.ask("CloseRegion", close, Admin_pb2.CloseRegionResponse)
    close = Admin_pb2.CloseRegionRequest(region=specifier(SECOND))
    with pytest.raises(NotServingRegionException, match=f"The region {SECOND.encoded_name} is not online, and is not"):
        await admin.ask("CloseRegion", close, Admin_pb2.CloseRegionResponse)
    warm = Admin_pb2.WarmupRegionRequest(regionInfo=SECOND.message())
    await admin.ask("WarmupRegion", warm, Admin_pb2.WarmupRegionResponse)


async def test_the_server(admin: Admin):
    await admin.ask(
        "UpdateConfiguration", Admin_pb2.UpdateConfigurationRequest(), Admin_pb2.UpdateConfigurationResponse
    )
    assert admin.reloads_count == 1
    stop = Admin_pb2.StopServerRequest(reason="because")
    await admin.ask("StopServer", stop, Admin_pb2.StopServerResponse)
    assert admin.stopped == ["because"]


async def test_what_there_is_none_of(admin: Admin):
    await admin.desk.open(FIRST)
    files = await admin.ask(
        "GetStoreFile", Admin_pb2.GetStoreFileRequest(region=specifier(FIRST)), Admin_pb2.GetStoreFileResponse
    )
    assert [Path(name).name for name in files.store_file] == ["db"]
    clear = Admin_pb2.ClearRegionBlockCacheRequest(region=[specifier(FIRST), specifier(SECOND)])
    cleared = await admin.ask("ClearRegionBlockCache", clear, Admin_pb2.ClearRegionBlockCacheResponse)
    assert [each.region.value for each in cleared.stats.exception] == [SECOND.name]
    assert cleared.stats.exception[0].exception.name.endswith("NotServingRegionException")
    for method in ("GetSlowLogResponses", "GetLargeLogResponses"):
        slow = await admin.ask(method, Admin_pb2.SlowLogResponseRequest(), Admin_pb2.SlowLogResponses)
        assert not slow.slow_log_payloads
    package = "org.apache.hadoop.hbase.shaded.protobuf.generated.AdminProtos$"
    slow_log = HBase_pb2.LogRequest(log_class_name=f"{package}SlowLogResponseRequest", log_message=b"")
    entries = await admin.ask("GetLogEntries", slow_log, HBase_pb2.LogEntry)
    assert entries.log_class_name == f"{package}SlowLogResponses"
    with pytest.raises(IOException, match="Invalid request params"):
        await admin.ask("GetLogEntries", HBase_pb2.LogRequest(log_class_name="x", log_message=b""), HBase_pb2.LogEntry)
    entry = Admin_pb2.WALEntry(
        key=WAL_pb2.WALKey(encoded_region_name=b"", table_name=b"", log_sequence_number=1, write_time=1)
    )
    for method in ("ReplicateWALEntry", "Replay"):
        answer = await admin.ask(method, Admin_pb2.ReplicateWALEntryRequest(), Admin_pb2.ReplicateWALEntryResponse)
        assert not answer.ByteSize()
        with pytest.raises(DoNotRetryIOException, match=f"UnsupportedOperationException: {method}"):
            await admin.ask(
                method, Admin_pb2.ReplicateWALEntryRequest(entry=[entry]), Admin_pb2.ReplicateWALEntryResponse
            )


ANSWERED = {
    *("GetRegionInfo", "GetStoreFile", "GetOnlineRegion", "GetRegionLoad", "GetServerInfo", "FlushRegion"),
    *("CompactRegion", "CompactionSwitch", "ClearCompactionQueues", "ClearRegionBlockCache", "RollWALWriter"),
    *("WarmupRegion", "OpenRegion", "ExecuteProcedures", "StopServer", "UpdateConfiguration", "UpdateFavoredNodes"),
    *("GetSpaceQuotaSnapshots", "GetSlowLogResponses", "GetLargeLogResponses", "ClearSlowLogsResponses"),
    *("GetLogEntries", "GetCachedFilesList"),
}
REFUSED = {"CloseRegion", "ReplicateWALEntry", "Replay", "ReplicateToReplica", "SplitRegion", "MergeRegions"}
"""Where they ask for something; docs/admin-calls.md says it of each."""


async def test_every_method_of_the_proto_is_answered_or_refused(admin: Admin):
    methods = {method.name for method in Admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods}
    assert set(admin.table.methods("AdminService")) == methods
    assert methods == ANSWERED | REFUSED
    assert not ANSWERED & REFUSED
    for name, found in admin.table.methods("AdminService").items():
        is_refused = found.handler.__name__ == "_refuse"
        assert not (is_refused and name in ANSWERED), name
    told = (Path(__file__).parents[2] / "docs" / "admin-calls.md").read_text()
    rows = dict(cast("list[tuple[str, str]]", re.findall(r"^\| `([A-Z]\w+)` \| (.*)$", told, re.MULTILINE)))
    assert set(rows) == methods
    assert {name for name, text in rows.items() if text.startswith("refused")} == REFUSED


async def test_a_load_says_what_is_compacted(admin: Admin):
    await admin.desk.open(FIRST, SECOND)
    admin.maintenance.compact(admin.desk.regions.hosted_of(specifier(FIRST)), major=True)
    loads = await admin.ask("GetRegionLoad", Admin_pb2.GetRegionLoadRequest(), Admin_pb2.GetRegionLoadResponse)
    states = {load.region_specifier.value: load.compaction_state for load in loads.region_loads}
    assert states == {
        FIRST.name: ClusterStatus_pb2.RegionLoad.CompactionState.MAJOR,
        SECOND.name: ClusterStatus_pb2.RegionLoad.CompactionState.NONE,
    }


@pytest.mark.parametrize(
    ("method", "request_type", "text"),
    [
        ("FlushRegion", Admin_pb2.FlushRegionRequest, "Column families [x] don't exist in table t"),
        ("CompactRegion", Admin_pb2.CompactRegionRequest, f"column family x does not exist in region {FIRST}"),
    ],
)
async def test_families_that_are_none(admin: Admin, method: str, request_type: Any, text: str):
    await admin.desk.open(FIRST)
    with pytest.raises(NoSuchColumnFamilyException) as caught:
        await admin.ask(method, request_type(region=specifier(FIRST), family=b"x"), Message)
    assert caught.value.message == text


async def test_a_server_that_does_not_serve(admin: Admin):
    await admin.desk.open(FIRST)
    admin.is_open = False
    refused: list[str] = []
    for name, found in admin.table.methods("AdminService").items():
        if name not in WHETHER_IT_SERVES_OR_NOT:
            request = found.request_type()
            field = request.DESCRIPTOR.fields_by_name.get("region")
            if field is not None and not field.is_repeated:
                cast("Any", request).region.CopyFrom(specifier(FIRST))
            with pytest.raises(RegionServerStoppedException):
                await asked(found, request)
            refused.append(name)
    assert len(refused) > 15
