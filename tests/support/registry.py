"""A small cluster as registry answers, and connections to scripted servers."""

from __future__ import annotations

import random
from collections.abc import Sequence

from protos.hbase import HBase_pb2, Registry_pb2
from registry.client.answers import What
from registry.client.connection import Connection
from registry.client.rpc_source import RpcSource
from registry.client.settings import ClientSettings
from registry.client.target import RpcTarget
from registry.clock import SystemClock
from registry.names import Address, ServerName
from registry.wire.znode import encode_server_name

CLUSTER_ID = "dec5e4d9-c8c0-4618-a767-92cb9707d79b"
MASTER = ServerName("m1.example", 16000, 1795249216047)
BACKUP = ServerName("m2.example", 16000, 1795249216048)
META = ServerName("rs1.example", 16020, 1795249223143)


def bodies(
    *,
    cluster_id: str = CLUSTER_ID,
    master: ServerName | None = MASTER,
    meta: ServerName | None = META,
    nodes: Sequence[Address] = (),
) -> dict[str, bytes]:
    """Encoded answers by method; `nodes` are handed out as bootstrap nodes and as masters."""
    meta_region = HBase_pb2.RegionInfo(
        region_id=1, table_name=HBase_pb2.TableName(namespace=b"hbase", qualifier=b"meta")
    )
    active = Registry_pb2.GetActiveMasterResponse()
    if master is not None:
        active.server_name.CopyFrom(encode_server_name(master))
    locations = Registry_pb2.GetMetaRegionLocationsResponse()
    if meta is not None:
        locations.meta_locations.add(region_info=meta_region, server_name=encode_server_name(meta), seq_num=-1)
    names = [encode_server_name(ServerName(node.host, node.port, 1)) for node in nodes]
    entries = [Registry_pb2.GetMastersResponseEntry(server_name=name, is_active=False) for name in names]
    if not nodes and master is not None:
        entries = [Registry_pb2.GetMastersResponseEntry(server_name=encode_server_name(master), is_active=True)]
    return {
        "GetClusterId": Registry_pb2.GetClusterIdResponse(cluster_id=cluster_id).SerializeToString(),
        "GetActiveMaster": active.SerializeToString(),
        "GetMasters": Registry_pb2.GetMastersResponse(master_servers=entries).SerializeToString(),
        "GetMetaRegionLocations": locations.SerializeToString(),
        "GetBootstrapNodes": Registry_pb2.GetBootstrapNodesResponse(server_name=names).SerializeToString(),
    }


def connection_to(
    *servers: Address, settings: ClientSettings | None = None, seed: int = 1, renewed_by: What = What.BOOTSTRAP_NODES
) -> Connection:
    """A connection to exactly these servers; one pass and short pauses unless told otherwise."""
    own = settings or ClientSettings(retries_count=0, pause_ms=1)
    clock, chance = SystemClock(), random.Random(seed)
    source = RpcSource(RpcTarget(servers, renewed_by), own, clock, chance)
    return Connection(source, own, clock, chance, str(source))
