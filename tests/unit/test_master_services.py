"""What masters answer over the wire, active and standing by, held against recordings of a real 2.6.4 (wire texts)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from protos.hbase import ClusterStatus_pb2, HBase_pb2, Master_pb2
from registry.clock import SystemClock
from registry.lookup.snapshot import Snapshot
from registry.master.services import SERVICES, add_master_services
from registry.names import ServerName
from registry.rpc.client import RpcChannel
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import ServiceTable
from registry.wire.errors import HBaseError, PleaseHoldException, ServerNotRunningYetException
from registry.wire.znode import decode_server_name
from tests.support.status import ACTIVE, CLUSTER_ID, STANDBY, small_snapshot

Option = ClusterStatus_pb2.Option
METHODS = [(service.name, method) for service in SERVICES for method in service.methods]
ANSWERED = {("MasterService", "IsMasterRunning"), ("MasterService", "GetClusterStatus")}


@dataclass
class View:
    active: bool
    name: ServerName | None = ACTIVE
    snapshot: Snapshot = field(default_factory=small_snapshot)
    hbase_version: str = "2.6.4-hbeacon"
    info_port: int = 16010
    reign: None = None
    balancer_on: bool = False

    def acts(self) -> bool:
        return self.active


@asynccontextmanager
async def master(view: View, service: str = "MasterService") -> AsyncGenerator[RpcChannel]:
    table = ServiceTable()
    add_master_services(table, view)
    server = RpcServer(RpcServerSettings(), table, SystemClock())
    address = await server.start("127.0.0.1", 0)
    try:
        async with await RpcChannel.connect(address, service) as channel:
            yield channel
    finally:
        await server.stop()


async def status(view: View, *options: ClusterStatus_pb2.Option) -> ClusterStatus_pb2.ClusterStatus:
    async with master(view) as channel:
        request = Master_pb2.GetClusterStatusRequest(options=options)
        return (await channel.call("GetClusterStatus", request, Master_pb2.GetClusterStatusResponse)).cluster_status


def names(rows: Sequence[HBase_pb2.ServerName]) -> list[ServerName]:
    return [decode_server_name(row) for row in rows]


async def test_an_active_master_runs():
    async with master(View(active=True)) as channel:
        request = Master_pb2.IsMasterRunningRequest()
        assert (await channel.call("IsMasterRunning", request, Master_pb2.IsMasterRunningResponse)).is_master_running


async def test_a_standby_does_not_run_yet():
    async with master(View(active=False)) as channel:
        with pytest.raises(ServerNotRunningYetException) as error:
            await channel.call(
                "IsMasterRunning", Master_pb2.IsMasterRunningRequest(), Master_pb2.IsMasterRunningResponse
            )
    assert "Server is not running yet" in str(error.value)


@pytest.mark.parametrize("service", [service.name for service in SERVICES])
@pytest.mark.parametrize("active", [True, False])
async def test_everything_else_is_put_off(service: str, active: bool):
    """Every method of every service, with a request that lacks what is required: it is not looked at."""
    kind: type[HBaseError] = PleaseHoldException if active else ServerNotRunningYetException
    text = "Master is initializing" if active else "Server is not running yet"
    async with master(View(active), service) as channel:
        for name, method in METHODS:
            if name != service or (service, method.name) in ANSWERED:
                continue
            with pytest.raises(kind) as error:
                await channel.call_bytes(method.name, complete(GetMessageClass(method.input_type)()))
            assert text in str(error.value), method.name
            assert not error.value.do_not_retry


def complete(message: Message) -> bytes:
    """With every required field set to something."""
    for field_ in message.DESCRIPTOR.fields:
        if not field_.is_required:
            continue
        if field_.type == field_.TYPE_MESSAGE:
            inner = getattr(message, field_.name)
            inner.MergeFromString(complete(inner))
            inner.SetInParent()
        elif field_.type == field_.TYPE_ENUM:
            assert field_.enum_type is not None
            setattr(message, field_.name, field_.enum_type.values[0].number)
        else:
            setattr(message, field_.name, {field_.TYPE_BYTES: b"x", field_.TYPE_STRING: "x"}.get(field_.type, 1))
    return message.SerializeToString()


async def test_the_status_of_an_active_master():
    found = await status(View(active=True))
    assert found.hbase_version.version == "2.6.4-hbeacon"
    assert found.cluster_id.cluster_id == CLUSTER_ID
    assert decode_server_name(found.master) == ACTIVE
    assert names(found.backup_masters) == [STANDBY]
    servers = [server.server_name for server in small_snapshot().region_servers.value or ()]
    assert [decode_server_name(row.server) for row in found.live_servers] == servers
    assert names(found.servers_name) == servers
    assert found.master_info_port == 16010
    assert found.HasField("balancer_on")
    assert not found.balancer_on
    assert found.IsInitialized()
    assert not found.dead_servers
    assert not found.regions_in_transition


async def test_a_standby_names_itself_and_knows_no_servers():
    found = await status(View(active=False, name=STANDBY))
    assert decode_server_name(found.master) == STANDBY
    assert found.cluster_id.cluster_id == CLUSTER_ID
    assert not found.live_servers
    assert not found.servers_name
    assert not found.HasField("balancer_on")


async def test_only_what_is_asked_for():
    found = await status(View(active=True), Option.CLUSTER_ID, Option.BACKUP_MASTERS)
    assert {descriptor.name for descriptor, _ in found.ListFields()} == {"cluster_id", "backup_masters"}
    assert not (await status(View(active=True), Option.DEAD_SERVERS)).ListFields()


def test_the_services_of_masters():
    assert {service.name for service in SERVICES} == {
        "MasterService",
        "HbckService",
        "LockService",
    }
