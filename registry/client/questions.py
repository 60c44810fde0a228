"""The table of questions: method, messages, and what makes an answer valid.

An answer without the thing asked for counts as a failed attempt, as in HBase. Empty lists of masters and bootstrap
nodes do not: a server that hands out nobody says so.

Source: AbstractRpcBasedConnectionRegistry (the validity checks), Registry.proto.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from protos.hbase import Registry_pb2
from registry.client.answers import RegionLocation, RegistryMaster, What
from registry.names import ServerName
from registry.wire.errors import ProtocolError
from registry.wire.text import is_text
from registry.wire.znode import decode_server_name

SERVICE = "ClientMetaService"


class NotKnown(Exception):
    """The server answers, but does not know; the text says what."""


@dataclass(frozen=True, slots=True)
class Question:
    """One method of ClientMetaService. `value` raises NotKnown or ProtocolError."""

    method: str
    request: Message
    response_type: type[Message]
    value: Callable[[Any], object]


def _cluster_id(response: Registry_pb2.GetClusterIdResponse) -> str:
    if not is_text(response.cluster_id):
        raise ProtocolError("the cluster id is not text", kind="answer")
    if not response.cluster_id:
        raise NotKnown("knows no cluster id")
    return response.cluster_id


def _active_master(response: Registry_pb2.GetActiveMasterResponse) -> ServerName:
    if not response.HasField("server_name"):
        raise NotKnown("knows no active master")
    return decode_server_name(response.server_name)


def _masters(response: Registry_pb2.GetMastersResponse) -> tuple[RegistryMaster, ...]:
    return tuple(
        RegistryMaster(decode_server_name(entry.server_name), entry.is_active) for entry in response.master_servers
    )


def _meta_locations(response: Registry_pb2.GetMetaRegionLocationsResponse) -> tuple[RegionLocation, ...]:
    locations = [
        RegionLocation(
            location.region_info.replica_id,
            decode_server_name(location.server_name) if location.HasField("server_name") else None,
            location.seq_num,
        )
        for location in response.meta_locations
    ]
    if not any(location.server_name for location in locations):
        raise NotKnown("knows no location of hbase:meta")
    return tuple(sorted(locations, key=lambda location: location.replica_id))


def _bootstrap_nodes(response: Registry_pb2.GetBootstrapNodesResponse) -> tuple[ServerName, ...]:
    return tuple(decode_server_name(server_name) for server_name in response.server_name)


QUESTIONS: dict[What, Question] = {
    What.CLUSTER_ID: Question(
        "GetClusterId", Registry_pb2.GetClusterIdRequest(), Registry_pb2.GetClusterIdResponse, _cluster_id
    ),
    What.ACTIVE_MASTER: Question(
        "GetActiveMaster", Registry_pb2.GetActiveMasterRequest(), Registry_pb2.GetActiveMasterResponse, _active_master
    ),
    What.MASTERS: Question("GetMasters", Registry_pb2.GetMastersRequest(), Registry_pb2.GetMastersResponse, _masters),
    What.META_LOCATIONS: Question(
        "GetMetaRegionLocations",
        Registry_pb2.GetMetaRegionLocationsRequest(),
        Registry_pb2.GetMetaRegionLocationsResponse,
        _meta_locations,
    ),
    What.BOOTSTRAP_NODES: Question(
        "GetBootstrapNodes",
        Registry_pb2.GetBootstrapNodesRequest(),
        Registry_pb2.GetBootstrapNodesResponse,
        _bootstrap_nodes,
    ),
}
