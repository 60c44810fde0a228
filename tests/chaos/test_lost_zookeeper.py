"""ZooKeeper is lost beside kept rows: what comes after it counts from the start and knows of no hbase:meta.

Masters whose data directory is lost, too, begin with the cluster's id alone. Nobody founds a second hbase:meta, tables
and rows are found again, and they can be changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient

from protos.hbase import Client_pb2, HBase_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import HBaseError
from tests.support.data_calls import get, open_regions, put, region_specifier
from tests.support.master_calls import MasterCalls
from tests.support.own_cluster import HOST, OwnCluster
from tests.support.processes import wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

TRANSACTIONS = 500
"""More than a new ZooKeeper has seen when the cluster is founded on it again."""


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[OwnCluster]:
    made = OwnCluster(tmp_path / "cluster")
    try:
        yield made.wait_ready()
    finally:
        made.close()


def active_of(cluster: OwnCluster) -> int:
    """Number of the master that is active and initialised; -1 while there is none."""
    for number, master in enumerate(cluster.masters):
        told: Any = master.get_json("/health").get("cluster") if master.process.running else None
        if told and told["initialized"]:
            return number
    return -1


async def create(cluster: OwnCluster, table: str) -> None:
    address = Address(HOST, cluster.master_ports[active_of(cluster)])
    async with MasterCalls.connected(address) as master:
        await master.create(table)


async def where(cluster: OwnCluster, table: str) -> tuple[Address, HBase_pb2.RegionSpecifier]:
    """Once it is open."""
    async with asyncio.timeout(60):
        while True:
            for port in cluster.region_server_ports:
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


def make_epochs_high(cluster: OwnCluster) -> None:
    """Many transactions, then another master: its epoch is one that hbase:meta keeps."""
    client: Any = KazooClient(cluster.zookeeper)
    client.start(10)
    try:
        for _ in range(TRANSACTIONS):
            client.set("/zookeeper", b"")
    finally:
        client.stop()
        client.close()
    number = active_of(cluster)
    cluster.masters[number].process.signal(signal.SIGKILL)
    cluster.masters[number].close()
    wait_for("another master", lambda: active_of(cluster) >= 0 or None, 60)
    cluster.start_master(number)


def lose(cluster: OwnCluster, *, masters_too: bool) -> None:
    """ZooKeeper, and with it every region server, for their sessions are over."""
    cluster.coordinator.kill()
    cluster.coordinator.wipe()
    if masters_too:
        for master in cluster.masters:
            master.close()
        shutil.rmtree(cluster.directory / "master")
        (cluster.directory / "master").mkdir()
        # The id alone, as docs/operations.md says: region servers join no other cluster.
        shutil.copy(cluster.directory / "rows" / "cluster-id", cluster.directory / "master")
    cluster.coordinator.start()
    for number, server in enumerate(cluster.region_servers):
        wait_for("the end of a region server without a session", lambda server=server: not server.process.running, 60)
        server.close()
        cluster.start_region_server(number)
    if masters_too:
        for number in range(len(cluster.masters)):
            cluster.start_master(number)


@pytest.mark.parametrize("masters_too", [False, True], ids=["masters remember", "masters lost everything, too"])
async def test_tables_and_rows_are_found_again(cluster: OwnCluster, masters_too: bool) -> None:
    await create(cluster, "before")
    await write(cluster, "before", b"kept")
    for turn in range(2):
        make_epochs_high(cluster)
        lose(cluster, masters_too=masters_too)
        cluster.wait_ready(60)
        assert await read(cluster, "before") == [b"kept"]
        await create(cluster, f"after{turn}")
        await write(cluster, f"after{turn}", b"new")
    assert [await read(cluster, f"after{turn}") for turn in range(2)] == [[b"new"]] * 2
    with pytest.raises(HBaseError, match="TableExists"):
        await create(cluster, "before")
