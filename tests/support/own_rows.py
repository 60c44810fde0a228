"""Tables and rows of hbeacon's own cluster of processes, whichever of them has what."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from protos.hbase import Client_pb2, HBase_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import HBaseError
from tests.support.data_calls import get, open_regions, put, region_specifier
from tests.support.master_calls import MasterCalls
from tests.support.own_cluster import HOST, OwnCluster


def active_of(cluster: OwnCluster) -> int:
    """Number of the master that is active and initialised; -1 while there is none."""
    for number, master in enumerate(cluster.masters):
        status, body = master.get("/health") if master.process.running else (0, b"")  # one that starts does not listen
        told: Any = json.loads(body).get("cluster") if status == 200 else None
        if told and told["initialized"]:
            return number
    return -1


async def create(cluster: OwnCluster, table: str) -> None:
    address = Address(HOST, cluster.master_ports[active_of(cluster)])
    async with MasterCalls.connected(address) as master:
        await master.create(table)


async def where(cluster: OwnCluster, table: str, *, skip: int = 0) -> tuple[Address, HBase_pb2.RegionSpecifier]:
    """Once it is open; `skip` is the port of a server that is not asked."""
    async with asyncio.timeout(60):
        while True:
            for port in cluster.region_server_ports:
                if port == skip:
                    continue
                with contextlib.suppress(HBaseError):
                    for region in await open_regions(Address(HOST, port)):
                        if region.table == table:
                            return Address(HOST, port), region_specifier(region)
            await asyncio.sleep(0.1)


async def write(cluster: OwnCluster, table: str, value: bytes) -> None:
    address, region = await where(cluster, table)
    async with await RpcChannel.connect(address, "ClientService") as channel:
        request = Client_pb2.MutateRequest(region=region, mutation=put(b"row", value))
        assert (await channel.call("Mutate", request, Client_pb2.MutateResponse)).processed


async def read(cluster: OwnCluster, table: str) -> list[bytes]:
    address, region = await where(cluster, table)
    async with await RpcChannel.connect(address, "ClientService") as channel:
        request = Client_pb2.GetRequest(region=region, get=get(b"row"))
        return [cell.value for cell in (await channel.call("Get", request, Client_pb2.GetResponse)).result.cell]
