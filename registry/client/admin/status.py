"""The cluster as the master tells it. Pure.

Source: org.apache.hadoop.hbase.ClusterMetrics, GetClusterStatus.
"""

from __future__ import annotations

from dataclasses import dataclass

from protos.hbase import ClusterStatus_pb2, HBase_pb2
from registry.names import ServerName


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One region server."""

    server_name: ServerName
    regions: int
    requests_per_second: int
    requests: int
    """Since it started."""
    used_heap_mib: int
    max_heap_mib: int


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """All of it, at one moment."""

    cluster_id: str
    hbase_version: str
    master: ServerName | None
    backup_masters: tuple[ServerName, ...]
    servers: tuple[ServerStatus, ...]
    """That live."""
    dead_servers: tuple[ServerName, ...]
    regions_in_transition: int
    balancer_on: bool | None
    """None where the master does not tell."""


def server_name(message: HBase_pb2.ServerName) -> ServerName:
    """A server's name in a message."""
    return ServerName(message.host_name, message.port, message.start_code)


def status_of(message: ClusterStatus_pb2.ClusterStatus) -> ClusterStatus:
    """What a message tells."""
    return ClusterStatus(
        cluster_id=message.cluster_id.cluster_id,
        hbase_version=message.hbase_version.version,
        master=server_name(message.master) if message.HasField("master") else None,
        backup_masters=tuple(map(server_name, message.backup_masters)),
        servers=tuple(
            ServerStatus(
                server_name(live.server),
                len(live.server_load.region_loads),
                live.server_load.number_of_requests,
                live.server_load.total_number_of_requests,
                live.server_load.used_heap_MB,
                live.server_load.max_heap_MB,
            )
            for live in message.live_servers
        ),
        dead_servers=tuple(map(server_name, message.dead_servers)),
        regions_in_transition=len(message.regions_in_transition),
        balancer_on=message.balancer_on if message.HasField("balancer_on") else None,
    )
