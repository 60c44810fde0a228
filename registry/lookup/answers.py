"""The answers of ClientMetaService as bytes, made once per change and byte for byte as HBase makes them.

Source: org.apache.hadoop.hbase.HBaseRpcServicesBase (2.6) and recordings of a real 2.6.4 master.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from protos.hbase import HBase_pb2, Registry_pb2
from registry.lookup.handout import HandOut
from registry.lookup.snapshot import MetaLocation, Snapshot
from registry.wire.znode import encode_server_name

SERVICE = "ClientMetaService"
META_REGION_ID = 1
SEQUENCE_NUMBER_UNKNOWN = -1
"""HBase knows no sequence number of meta's opening here and says -1."""

_NO_ANSWERS: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Answers:
    """One encoded message per method. What is not known is left out of its message, as HBase leaves it out."""

    bodies: Mapping[str, bytes] = field(default_factory=lambda: _NO_ANSWERS)
    """Method to the bytes of its response message."""
    changed_zxids: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Method to the zxid of the last change that shaped its answer."""
    cluster_id: str | None = None
    """For the `Regist` preamble; None while unknown."""


def encode_answers(snapshot: Snapshot, handout: HandOut) -> Answers:
    """Encode everything that look-ups of this snapshot are answered."""
    masters_zxid = max(snapshot.active_master.changed_zxid, snapshot.backup_masters.changed_zxid)
    return Answers(
        bodies=MappingProxyType(
            {
                "GetClusterId": _cluster_id(snapshot).SerializeToString(),
                "GetActiveMaster": _active_master(snapshot).SerializeToString(),
                "GetMasters": _masters(handout).SerializeToString(),
                "GetMetaRegionLocations": _meta_locations(snapshot).SerializeToString(),
                "GetBootstrapNodes": _bootstrap_nodes(handout).SerializeToString(),
            }
        ),
        changed_zxids=MappingProxyType(
            {
                "GetClusterId": snapshot.cluster_id.changed_zxid,
                "GetActiveMaster": snapshot.active_master.changed_zxid,
                "GetMasters": masters_zxid,
                "GetMetaRegionLocations": snapshot.meta_locations.changed_zxid,
                "GetBootstrapNodes": snapshot.region_servers.changed_zxid,
            }
        ),
        cluster_id=snapshot.cluster_id.value,
    )


def _cluster_id(snapshot: Snapshot) -> Registry_pb2.GetClusterIdResponse:
    return Registry_pb2.GetClusterIdResponse(cluster_id=snapshot.cluster_id.value)


def _active_master(snapshot: Snapshot) -> Registry_pb2.GetActiveMasterResponse:
    master = snapshot.active_master.value
    if master is None:
        return Registry_pb2.GetActiveMasterResponse()
    return Registry_pb2.GetActiveMasterResponse(server_name=encode_server_name(master.server_name))


def _masters(handout: HandOut) -> Registry_pb2.GetMastersResponse:
    return Registry_pb2.GetMastersResponse(
        master_servers=[
            Registry_pb2.GetMastersResponseEntry(
                server_name=encode_server_name(name), is_active=name == handout.active_master
            )
            for name in handout.masters
        ]
    )


def _meta_locations(snapshot: Snapshot) -> Registry_pb2.GetMetaRegionLocationsResponse:
    return Registry_pb2.GetMetaRegionLocationsResponse(
        meta_locations=[_meta_location(location) for location in snapshot.meta_locations.value or ()]
    )


def _meta_location(location: MetaLocation) -> HBase_pb2.RegionLocation:
    region = HBase_pb2.RegionInfo(
        region_id=META_REGION_ID,
        table_name=HBase_pb2.TableName(namespace=b"hbase", qualifier=b"meta"),
        start_key=b"",
        end_key=b"",
        offline=False,
        split=False,
        replica_id=location.replica_id,
    )
    return HBase_pb2.RegionLocation(
        region_info=region, server_name=encode_server_name(location.server_name), seq_num=SEQUENCE_NUMBER_UNKNOWN
    )


def _bootstrap_nodes(handout: HandOut) -> Registry_pb2.GetBootstrapNodesResponse:
    return Registry_pb2.GetBootstrapNodesResponse(
        server_name=[encode_server_name(name) for name in handout.bootstrap_nodes]
    )
