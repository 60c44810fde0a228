"""What masters here have not: what is said of it, and that no method of HBase's masters is forgotten."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.protobuf.message import Message

from protos.hbase import Admin_pb2, HBase_pb2, Master_pb2, Snapshot_pb2
from registry.clock import SystemClock
from registry.master.admin_service import MasterAdmin
from registry.master.catalogue import RegionRow, RegionState
from registry.master.cluster_work import ClusterWork
from registry.master.tables.absent import WHY
from registry.master.tables.mirror import Mirror
from registry.master.tables.outside import TablesOutside
from registry.master.tables.service import TableService
from registry.master.tables.switches import KeptSwitches
from registry.rpc.services import Call, ServiceTable
from registry.wire.errors import (
    DoNotRetryIOException,
    HBaseError,
    IOException,
    ReplicationPeerNotFoundException,
    ServerNotRunningYetException,
    SnapshotDoesNotExistException,
    UnknownRegionException,
    UnknownSnapshotException,
)
from registry.wire.region_info import META_NAME, RegionInfo
from tests.support.table_calls import METHODS
from tests.support.table_cluster import ModelWork, ModelZooKeeper, World, acting

BY_THE_DOOR = {"IsMasterRunning", "GetClusterStatus"}
"""What registry.master.services answers itself."""
OF_GROUPS = {
    *(
        "GetRSGroupInfo",
        "GetRSGroupInfoOfTable",
        "GetRSGroupInfoOfServer",
        "MoveServers",
        "AddRSGroup",
        "RemoveRSGroup",
    ),
    *("BalanceRSGroup", "ListRSGroupInfos", "RemoveServers", "ListTablesInRSGroup", "RenameRSGroup"),
    *("GetConfiguredNamespacesAndTablesInRSGroup", "UpdateRSGroupConfig"),
}
"""Of 3.0; a 2.6.4 knows none of them."""
OF_OLD = {"IsRestoreSnapshotDone"}
REFUSED = {*WHY, *OF_GROUPS, *OF_OLD}
PACKAGE = "org.apache.hadoop.hbase.shaded.protobuf.generated.MasterProtos$"
KEPT = RegionInfo("t", b"", b"", 1)


@pytest.fixture
async def service() -> AsyncGenerator[TableService]:
    work = ModelWork(World(), acting(SystemClock()))
    zookeeper = ModelZooKeeper(work.world)
    mirror = Mirror("/hbase", zookeeper.ask, lambda: "master:1", bytes)
    switches = KeptSwitches("/hbase", zookeeper.ask)

    async def never() -> None:
        raise AssertionError("nobody asked for it")

    made = TableService(lambda: work, TablesOutside(mirror), switches, SystemClock(), lambda: None, never)
    await made.begin(work)
    yield made
    made.ended()


def call(method: str, request: Message) -> Call:
    return cast("Call", SimpleNamespace(request=request, method=SimpleNamespace(name=method)))


def refusal(service: TableService, method: str, request: Message) -> HBaseError:
    with pytest.raises(HBaseError) as caught:
        service.handlers()[method](call(method, request))
    return caught.value


async def test_every_method_of_the_proto_is_answered_or_refused(service: TableService):
    answered = {*service.handlers(), *BY_THE_DOOR}
    assert answered | REFUSED == set(METHODS)
    assert not answered & REFUSED


async def test_what_is_refused_is_not_tried_again_and_says_why(service: TableService):
    for method in sorted(REFUSED):
        with pytest.raises(DoNotRetryIOException) as caught:
            service.refuse(call(method, Master_pb2.BalanceRequest()))
        expected = f"java.lang.UnsupportedOperationException: {method}"
        assert caught.value.message == (f"{expected}: {WHY[method]}" if method in WHY else expected)


async def test_snapshots(service: TableService):
    snapshot = Snapshot_pb2.SnapshotDescription(name="s", table="t", ttl=3)
    for method, request in (
        ("DeleteSnapshot", Master_pb2.DeleteSnapshotRequest(snapshot=snapshot)),
        ("RestoreSnapshot", Master_pb2.RestoreSnapshotRequest(snapshot=snapshot)),
    ):
        error = refusal(service, method, request)
        assert isinstance(error, SnapshotDoesNotExistException)
        assert error.message == "Snapshot 's' doesn't exist on the filesystem"
    error = refusal(service, "IsSnapshotDone", Master_pb2.IsSnapshotDoneRequest(snapshot=snapshot))
    assert isinstance(error, UnknownSnapshotException)
    assert error.message.startswith("Snapshot { ss=s table=t type=FLUSH ttl=3 } is not currently running")


async def test_peers(service: TableService):
    peers = [name for name in METHODS if "ReplicationPeer" in name and name in service.handlers()]
    asked = 0
    for method in peers:
        request = _request(method)
        if "peer_id" in request.DESCRIPTOR.fields_by_name:
            cast("Any", request).peer_id = "p"
            error = refusal(service, method, request)
            assert isinstance(error, ReplicationPeerNotFoundException)
            assert error.message == "p"
            asked += 1
    assert asked == 6


async def test_quotas_and_permissions(service: TableService):
    error = refusal(service, "SetQuota", Master_pb2.SetQuotaRequest())
    assert error.message == "java.lang.UnsupportedOperationException: quota support disabled"
    for method in ("Grant", "Revoke", "GetUserPermissions", "HasUserPermissions"):
        error = refusal(service, method, Master_pb2.BalanceRequest())
        assert isinstance(error, DoNotRetryIOException)
        assert error.message.endswith("AccessController is not loaded")


async def test_the_log_of_a_balancer(service: TableService):
    for kind in ("Decisions", "Rejections"):
        request = HBase_pb2.LogRequest(log_class_name=f"{PACKAGE}Balancer{kind}Request", log_message=b"")
        answer = service.handlers()["GetLogEntries"](call("GetLogEntries", request))
        assert isinstance(answer, HBase_pb2.LogEntry)
        assert (answer.log_class_name, answer.log_message) == (f"{PACKAGE}Balancer{kind}Response", b"")
    request = HBase_pb2.LogRequest(log_class_name=f"{PACKAGE}SomethingElse", log_message=b"")
    assert isinstance(refusal(service, "GetLogEntries", request), IOException)


def _request(method: str) -> Message:
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(METHODS[method].input_type)()


# --- AdminService of masters ------------------------------------------------------------------------------------


class Admin:
    """One without sockets; `work` as it is at the time of a call."""

    def __init__(self) -> None:
        self.work: ClusterWork | None = None
        self.reloads_count = 0
        table = ServiceTable()
        MasterAdmin(self._now, self._reload).add_to(table)
        self.methods = table.methods("AdminService")

    def ask(self, method: str, request: Message) -> object:
        return self.methods[method].handler(call(method, request))

    def _now(self) -> ClusterWork:
        if self.work is None:
            raise ServerNotRunningYetException("Server is not running yet")
        return self.work

    def _reload(self) -> None:
        self.reloads_count += 1


def region(name: bytes) -> Admin_pb2.GetRegionInfoRequest:
    kind = HBase_pb2.RegionSpecifier.REGION_NAME
    return Admin_pb2.GetRegionInfoRequest(region=HBase_pb2.RegionSpecifier(type=kind, value=name))


def test_a_master_reads_its_settings_again_also_as_a_standby():
    admin = Admin()
    answer = admin.ask("UpdateConfiguration", Admin_pb2.UpdateConfigurationRequest())
    assert isinstance(answer, Admin_pb2.UpdateConfigurationResponse)
    assert admin.reloads_count == 1


def test_a_master_tells_of_its_regions():
    admin = Admin()
    with pytest.raises(ServerNotRunningYetException):
        admin.ask("GetRegionInfo", region(KEPT.name))
    world = World()
    world.catalogue.put_region(RegionRow(KEPT, 1, RegionState.OPEN))
    admin.work = ModelWork(world, acting(SystemClock()))
    for name in (KEPT.name, KEPT.encoded_name.encode()):
        answer = admin.ask("GetRegionInfo", region(name))
        assert isinstance(answer, Admin_pb2.GetRegionInfoResponse)
        assert RegionInfo.from_message(answer.region_info) == KEPT
    answer = admin.ask("GetRegionInfo", region(META_NAME))
    assert isinstance(answer, Admin_pb2.GetRegionInfoResponse)
    assert answer.region_info.table_name.qualifier == b"meta"
    with pytest.raises(UnknownRegionException, match="nobody"):
        admin.ask("GetRegionInfo", region(b"nobody"))


def test_a_master_has_all_methods_and_refuses_those_of_region_servers():
    admin = Admin()
    assert set(admin.methods) == {
        method.name for method in Admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods
    }
    for name in set(admin.methods) - {"UpdateConfiguration", "GetRegionInfo", "GetLogEntries"}:
        with pytest.raises(DoNotRetryIOException, match="Unsupported method on master"):
            admin.ask(name, Admin_pb2.GetServerInfoRequest())
