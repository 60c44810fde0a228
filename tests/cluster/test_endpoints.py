"""Stock clients of HBase's coprocessor services get the lines that a real HBase 2.6.4 with hbase-endpoint gave them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from protos.hbase import Client_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import ServerNotRunningYetException
from tests.cluster.test_data_path_stories import SESSION_MS, differences, record, settings_of
from tests.support.compatibility import Results
from tests.support.data_calls import open_regions, put, region_specifier
from tests.support.master_calls import MasterCalls
from tests.support.own_cluster import OwnCluster
from tests.support.stories import ENDPOINT_PROGRAMS, recorded, told

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

EVERY_PATH = ("ZooKeeper", "MasterRegistry", "RpcConnectionRegistry")
CLIENTS = (
    [(version, path) for version in ENDPOINT_PROGRAMS for path in EVERY_PATH[: 1 if version == "1.4.14" else 3]]
    if os.environ.get("HBEACON_TEST_EVERY_PATH")
    else [
        ("2.6.4", "ZooKeeper"),
        ("2.5.11", "MasterRegistry"),
        ("3.0.0-beta-1", "RpcConnectionRegistry"),
        ("1.4.14", "ZooKeeper"),
    ]
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[OwnCluster]:
    settings = {"hbase.coprocessor.region.classes": "tests.endpoints.users:Counter"}
    made = OwnCluster(tmp_path_factory.mktemp("own"), session_ms=SESSION_MS, settings=settings)
    try:
        yield made.wait_ready()
    finally:
        made.close()


@pytest.mark.parametrize(("version", "path"), CLIENTS)
def test_same_lines_as_from_a_real_server(
    cluster: OwnCluster, results: Results, tmp_path: Path, version: str, path: str
) -> None:
    programs = ENDPOINT_PROGRAMS[version]
    settings = settings_of(cluster, version, path)
    log = tmp_path / "client.log"
    ours = told(version, settings, log, programs=programs.names, jars=programs.jars, beside=programs.beside)
    theirs = [line for line in recorded(version, programs.names) if line.feature != "connect"]
    found = differences(ours, theirs)
    record(results, "hbeacon: coprocessors", version, path, theirs, found)
    assert not found, f"{version} over {path}:" + "".join(found.values())


def test_an_endpoint_of_our_own_that_a_setting_names(cluster: OwnCluster) -> None:
    rows = {b"a1", b"a2", b"m1"}

    async def counted() -> dict[bytes, int]:
        async with AsyncExitStack() as stack:
            for port in cluster.master_ports:
                async with MasterCalls.connected(Address("127.0.0.1", port)) as master:
                    with suppress(ServerNotRunningYetException):  # the one that waits
                        await master.create("counted", (b"m",))
            found: dict[bytes, int] = {}
            for port in cluster.region_server_ports:
                address = Address("127.0.0.1", port)
                channel = await stack.enter_async_context(await RpcChannel.connect(address, "ClientService"))
                for region in await open_regions(address):
                    if region.table == "counted":
                        spec = region_specifier(region)
                        for row in rows:
                            if region.start_key <= row and (not region.end_key or row < region.end_key):
                                write = Client_pb2.MutateRequest(region=spec, mutation=put(row, b"v"))
                                await channel.call("Mutate", write, Client_pb2.MutateResponse)
                        call = Client_pb2.CoprocessorServiceCall(
                            row=b"", service_name="example.CountService", method_name="Count", request=b""
                        )
                        asked = Client_pb2.CoprocessorServiceRequest(region=spec, call=call)
                        answer = await channel.call("ExecService", asked, Client_pb2.CoprocessorServiceResponse)
                        found[region.start_key] = int.from_bytes(answer.value.value, "big")
            return found

    assert asyncio.run(counted()) == {b"": 2, b"m": 1}
