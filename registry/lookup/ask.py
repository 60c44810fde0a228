"""What another server answers to look-ups, asked over HBase RPC on a connection of its own.

A fresh connection each time is the point: it goes the way a client goes, so a server that accepts nobody is noticed.
"""

from __future__ import annotations

import asyncio

from protos.hbase import Registry_pb2
from registry.lookup.agreement import PeerAnswers
from registry.lookup.answers import SERVICE
from registry.lookup.selfcheck import NotSpoken
from registry.lookup.snapshot import Version
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import CallTimeoutException, ConnectException, HBaseError, ProtocolError
from registry.wire.znode import decode_server_name

USER = "hbeacon-selfcheck"
"""How the question shows in a peer's list of who asks."""


async def ask_over_rpc(address: Address, timeout_ms: float) -> PeerAnswers:
    """An `Ask` of the self-check: three calls at once, one of them stamped.

    Raises NotSpoken for a server that closes the connection or does not know the service, ConnectionError where it is
    not reached, TimeoutError where it is silent.
    """
    try:
        async with asyncio.timeout(timeout_ms / 1000.0):
            channel = await RpcChannel.connect(address, SERVICE, user=USER, connect_timeout_ms=timeout_ms)
            async with channel:
                return await _three_calls(channel, timeout_ms)
    except ConnectException as error:
        raise ConnectionError(error.message) from error
    except CallTimeoutException as error:
        raise TimeoutError(error.message) from error
    except (HBaseError, ProtocolError) as error:
        raise NotSpoken(str(error)) from error


async def _three_calls(channel: RpcChannel, timeout_ms: float) -> PeerAnswers:
    (cluster_id, stamp), active_master, meta = await asyncio.gather(
        channel.call_stamped(
            "GetClusterId",
            Registry_pb2.GetClusterIdRequest(),
            Registry_pb2.GetClusterIdResponse,
            timeout_ms=timeout_ms,
        ),
        channel.call(
            "GetActiveMaster",
            Registry_pb2.GetActiveMasterRequest(),
            Registry_pb2.GetActiveMasterResponse,
            timeout_ms=timeout_ms,
        ),
        channel.call(
            "GetMetaRegionLocations",
            Registry_pb2.GetMetaRegionLocationsRequest(),
            Registry_pb2.GetMetaRegionLocationsResponse,
            timeout_ms=timeout_ms,
        ),
    )
    return PeerAnswers(
        cluster_id=cluster_id.cluster_id if cluster_id.HasField("cluster_id") else None,
        active_master=decode_server_name(active_master.server_name) if active_master.HasField("server_name") else None,
        meta_locations={
            location.region_info.replica_id: decode_server_name(location.server_name)
            for location in meta.meta_locations
            if location.HasField("server_name")
        },
        version=Version(stamp.generation, stamp.zxid) if stamp else None,
        age_ms=stamp.age_ms if stamp else None,
    )
