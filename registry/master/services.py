"""What a master answers besides look-ups: MasterService and the services that only masters have.

A standby answers GetClusterStatus and refuses everything else with ServerNotRunningYetException, which is what makes
clients look for the active master again. An active master tells whether it runs and what it knows of the cluster, and
asks for patience with everything else until it has tables to speak of.

Source: MasterRpcServices (isMasterRunning, getClusterStatus), HMaster.checkServiceStarted, checkInitialized,
getClusterMetricsWithoutCoprocessor; a standby's answers as recorded from 2.6.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from protos.hbase import ClusterStatus_pb2, LockService_pb2, Master_pb2
from registry.lookup.snapshot import Snapshot
from registry.master import cluster_metrics
from registry.master.reign import Reign
from registry.names import ServerName
from registry.rpc.services import Call, Handled, Handler, ServiceTable
from registry.wire.errors import HBaseError, PleaseHoldException, ServerNotRunningYetException
from registry.wire.znode import encode_server_name

SERVICES: tuple[ServiceDescriptor, ...] = (
    Master_pb2.DESCRIPTOR.services_by_name["MasterService"],
    Master_pb2.DESCRIPTOR.services_by_name["HbckService"],
    LockService_pb2.DESCRIPTOR.services_by_name["LockService"],
)
"""Those of HBase's masters beside ClientMetaService and RegionServerStatusService, under their short names."""

Option = ClusterStatus_pb2.Option


class MasterView(Protocol):
    """What the answers are made of; read at the moment of each call."""

    @property
    def name(self) -> ServerName | None:
        """Of this master; None before it stands for election."""
        ...

    @property
    def snapshot(self) -> Snapshot:
        """The cluster as it is known now."""
        ...

    @property
    def hbase_version(self) -> str:
        """Of HBase, whose behaviour clients may expect."""
        ...

    @property
    def info_port(self) -> int:
        """Of the pages; -1 where they are off."""
        ...

    def acts(self) -> bool:
        """Whether this master is the active one at this moment."""
        ...

    @property
    def reign(self) -> Reign | None:
        """What this master knows of the cluster while it acts."""
        ...

    @property
    def balancer_on(self) -> bool:
        """Where the balancer's switch is."""
        ...


def add_master_services(
    table: ServiceTable,
    view: MasterView,
    more: Mapping[str, Handler] = MappingProxyType({}),
    unknown: Handler | None = None,
) -> None:
    """Offer every method of `SERVICES`: `more` are methods of MasterService, `unknown` answers all that is left."""
    own: dict[str, Handler] = {
        **more,
        "IsMasterRunning": lambda call: _is_master_running(view, call),
        "GetClusterStatus": lambda call: _get_cluster_status(view, call),
    }

    def refuse(call: Call) -> Handled:
        del call  # whatever it asks
        raise refusal(view)

    for service in SERVICES:
        for method in service.methods:
            handler = own.get(method.name) if service.name == "MasterService" else None
            handler = handler or unknown or refuse
            table.add(service.name, method.name, GetMessageClass(method.input_type), handler)


def refusal(view: MasterView) -> HBaseError:
    """What this master says where it has no answer. Both are tried again by clients, the first one elsewhere."""
    if not view.acts():
        return ServerNotRunningYetException("Server is not running yet")
    return PleaseHoldException("Master is initializing")


def _is_master_running(view: MasterView, call: Call) -> Handled:
    del call
    if not view.acts():
        raise refusal(view)
    return Master_pb2.IsMasterRunningResponse(is_master_running=True)


def _get_cluster_status(view: MasterView, call: Call) -> Handled:
    request = call.request
    assert isinstance(request, Master_pb2.GetClusterStatusRequest), "the table has the type"
    return Master_pb2.GetClusterStatusResponse(cluster_status=cluster_status(view, request.options))


def cluster_status(view: MasterView, options: Iterable[int]) -> ClusterStatus_pb2.ClusterStatus:
    """What is asked for, everything where nothing is named.

    A standby tells less, as HBase's does: it has no list of servers, and names itself as the master.
    """
    status = ClusterStatus_pb2.ClusterStatus()
    asked = set(options) or set(Option.values())
    for option, fill in _FILLS:
        if option in asked:
            fill(view, status)
    return status


def _version(view: MasterView, status: ClusterStatus_pb2.ClusterStatus) -> None:
    status.hbase_version.version = view.hbase_version


def _cluster_id(view: MasterView, status: ClusterStatus_pb2.ClusterStatus) -> None:
    if view.snapshot.cluster_id.value is not None:
        status.cluster_id.cluster_id = view.snapshot.cluster_id.value


def _live_servers(view: MasterView, status: ClusterStatus_pb2.ClusterStatus) -> None:
    if view.acts() and view.reign is not None:
        cluster_metrics.fill_live_servers(view.reign, status)
        return
    for server in _workers(view):
        row = status.live_servers.add()
        row.server.CopyFrom(encode_server_name(server))
        row.server_load.SetInParent()  # it is required, and none of its fields is


def _master(view: MasterView, status: ClusterStatus_pb2.ClusterStatus) -> None:
    if view.name is not None:
        status.master.CopyFrom(encode_server_name(view.name))


def _backup_masters(view: MasterView, status: ClusterStatus_pb2.ClusterStatus) -> None:
    for name in view.snapshot.backup_masters.value or ():
        status.backup_masters.append(encode_server_name(name))


def _balancer(view: MasterView, status: ClusterStatus_pb2.ClusterStatus) -> None:
    if view.acts():
        status.balancer_on = view.balancer_on


def _info_port(view: MasterView, status: ClusterStatus_pb2.ClusterStatus) -> None:
    status.master_info_port = view.info_port


def _server_names(view: MasterView, status: ClusterStatus_pb2.ClusterStatus) -> None:
    status.servers_name.extend(encode_server_name(server) for server in _workers(view))


def _workers(view: MasterView) -> list[ServerName]:
    if not view.acts():
        return []
    if view.reign is not None:
        return [server.name for server in view.reign.servers.live()]
    return [server.server_name for server in view.snapshot.region_servers.value or ()]


def _of_reign(fill: Callable[[Reign, ClusterStatus_pb2.ClusterStatus], None]) -> Fill:
    """Only the active master knows it."""

    def when_active(view: MasterView, status: ClusterStatus_pb2.ClusterStatus) -> None:
        if view.acts() and view.reign is not None:
            fill(view.reign, status)

    return when_active


Fill = Callable[[MasterView, ClusterStatus_pb2.ClusterStatus], None]

_FILLS: tuple[tuple[int, Fill], ...] = (
    (Option.HBASE_VERSION, _version),
    (Option.CLUSTER_ID, _cluster_id),
    (Option.LIVE_SERVERS, _live_servers),
    (Option.MASTER, _master),
    (Option.BACKUP_MASTERS, _backup_masters),
    (Option.BALANCER_ON, _balancer),
    (Option.MASTER_INFO_PORT, _info_port),
    (Option.SERVERS_NAME, _server_names),
    (Option.DEAD_SERVERS, _of_reign(cluster_metrics.fill_dead_servers)),
    (Option.REGIONS_IN_TRANSITION, _of_reign(cluster_metrics.fill_in_transition)),
    (Option.TABLE_TO_REGIONS_COUNT, _of_reign(cluster_metrics.fill_region_counts)),
)
"""Coprocessors, tasks and servers that are unknown: there are none."""
