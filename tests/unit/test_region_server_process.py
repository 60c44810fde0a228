"""`hbeacon regionserver` as a process beside a coordinator and a master: how it comes, serves, and ends."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from protos.hbase import BootstrapNode_pb2, Client_pb2, Registry_pb2
from registry.names import Address, ServerName
from registry.rpc.client import RpcChannel, fetch_cluster_id
from registry.wire.cellblock import decode_cells
from registry.wire.errors import HBaseError
from registry.wire.header import KEY_VALUE_CODEC
from registry.wire.znode import decode_server_name
from tests.support.adapters import AdapterProcess
from tests.support.own_cluster import HOST, OwnCluster
from tests.support.processes import wait_for
from tests.support.region_door import META, get, put

pytestmark = pytest.mark.timeout(120)
SESSION_MS = 5000
"""Longer than a server waits for a processor on a busy machine; two thirds of it are stood still here."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[OwnCluster]:
    with OwnCluster(tmp_path_factory.mktemp("cluster"), masters=1, region_servers=1, session_ms=SESSION_MS) as made:
        yield made.wait_ready()


def server_address(cluster: OwnCluster) -> Address:
    return Address(HOST, cluster.region_server_ports[0])


async def ask(address: Address, service: str, method: str, request: bytes = b"") -> tuple[bytes, bytes]:
    """Until somebody answers: servers come and go here."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with await RpcChannel.connect(address, service, cell_block_codec=KEY_VALUE_CODEC) as channel:
                    answer = await channel.call_bytes(method, request, timeout_ms=5000)
                    return answer.message, answer.cells
            except HBaseError:
                await asyncio.sleep(0.1)


async def meta_server(cluster: OwnCluster) -> ServerName:
    """Where hbase:meta is, as the region server itself says."""
    async with asyncio.timeout(60):
        while True:
            message, _ = await ask(server_address(cluster), "ClientMetaService", "GetMetaRegionLocations")
            for location in Registry_pb2.GetMetaRegionLocationsResponse.FromString(message).meta_locations:
                return decode_server_name(location.server_name)
            await asyncio.sleep(0.1)


async def write(cluster: OwnCluster, row: bytes) -> None:
    request = put(row, b"v", region=META, family=b"info")
    await ask(server_address(cluster), "ClientService", "Mutate", request.SerializeToString())


async def read(cluster: OwnCluster, row: bytes) -> list[bytes]:
    request = get(row, region=META)
    message, cells = await ask(server_address(cluster), "ClientService", "Get", request.SerializeToString())
    result = Client_pb2.GetResponse.FromString(message).result
    return [cell.value for cell in decode_cells(cells)] or [cell.value for cell in result.cell]


def exit_code(process: AdapterProcess, timeout_s: float = 30) -> int:
    return process.process.popen.wait(timeout_s)


async def test_it_serves_rows_and_the_registry(cluster: OwnCluster) -> None:
    address = server_address(cluster)
    server = await meta_server(cluster)
    assert server.address == address
    assert await fetch_cluster_id(address, 5000)
    message, _ = await ask(address, "ClientMetaService", "GetBootstrapNodes")
    assert server in [
        decode_server_name(name) for name in Registry_pb2.GetBootstrapNodesResponse.FromString(message).server_name
    ]
    message, _ = await ask(address, "BootstrapNodeService", "GetAllBootstrapNodes")
    nodes = BootstrapNode_pb2.GetAllBootstrapNodesResponse.FromString(message).node
    assert [decode_server_name(name) for name in nodes] == [server]
    await write(cluster, b"row1")
    assert await read(cluster, b"row1") == [b"v"]
    status, _ = cluster.region_servers[0].get("/readyz")
    assert status == 200


async def test_it_goes_on_without_masters_and_nothing_is_opened_anew_when_one_returns(cluster: OwnCluster) -> None:
    before = await meta_server(cluster)
    cluster.masters[0].close()
    await write(cluster, b"row2")
    assert await read(cluster, b"row2") == [b"v"]
    message, _ = await ask(server_address(cluster), "ClientMetaService", "GetBootstrapNodes")
    assert Registry_pb2.GetBootstrapNodesResponse.FromString(message).server_name
    cluster.start_master(0).wait_ready()
    wait_for("the master's word", lambda: "initialised" in cluster.masters[0].process.log.read_text(), 60)
    assert await meta_server(cluster) == before
    assert await read(cluster, b"row2") == [b"v"]


async def test_it_ends_as_told_and_its_rows_are_there_for_the_next(cluster: OwnCluster) -> None:
    await write(cluster, b"row3")
    before = await meta_server(cluster)
    ended = cluster.region_servers[0]
    ended.process.signal(signal.SIGTERM)
    assert exit_code(ended) == 0
    ended.close()
    cluster.start_region_server(0).wait_ready()
    assert await read(cluster, b"row3") == [b"v"]
    after = await meta_server(cluster)
    assert after.address == before.address
    assert after.start_code > before.start_code


@pytest.mark.chaos
async def test_one_that_stood_still_for_too_long_answers_nothing_more_and_ends(cluster: OwnCluster) -> None:
    await write(cluster, b"row4")
    stopped = cluster.region_servers[0]
    stopped.process.signal(signal.SIGSTOP)
    await asyncio.to_thread(time.sleep, SESSION_MS * 0.9 / 1000)
    stopped.process.signal(signal.SIGCONT)
    assert exit_code(stopped) == 1
    assert "this region server ends" in stopped.process.log.read_text()
    stopped.close()
    cluster.start_region_server(0).wait_ready()
    assert await read(cluster, b"row4") == [b"v"]


def test_a_data_directory_of_another_cluster_is_refused(cluster: OwnCluster, tmp_path: Path) -> None:
    (tmp_path / "cluster-id").write_text('{"format": 1, "cluster_id": "another", "founded": true}\n')
    process = AdapterProcess(
        "stranger",
        tmp_path / "log",
        zookeeper=cluster.zookeeper,
        rpc=f"{HOST}:0",
        http="off",
        guard=False,
        settings={"hbeacon.data.dir": str(tmp_path)},
        command=("registry.cli.main", "regionserver"),
    )
    try:
        assert exit_code(process) == 4
        assert "belongs to cluster another" in (tmp_path / "log").read_text()
    finally:
        process.close()
