"""Stock clients of HBase's coprocessor services get the lines that a real HBase 2.6.4 with hbase-endpoint gave them."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from protos.hbase import Client_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import ServerNotRunningYetException
from tests.cluster.test_data_path_stories import SERVER, SESSION_MS, differences, settings_of
from tests.support.compatibility import WORKS, Results
from tests.support.data_calls import open_regions, put, region_specifier
from tests.support.java import HADOOP_3_CLIENT
from tests.support.master_calls import MasterCalls
from tests.support.own_cluster import OwnCluster
from tests.support.stories import MORE_PROGRAMS, recorded, told

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

VERSION = "2.6.4"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[OwnCluster]:
    settings = {"hbase.coprocessor.region.classes": "tests.endpoints.users:Counter"}
    made = OwnCluster(tmp_path_factory.mktemp("own"), session_ms=SESSION_MS, settings=settings)
    try:
        yield made.wait_ready()
    finally:
        made.close()


def test_same_lines_as_from_a_real_server(cluster: OwnCluster, results: Results, tmp_path: Path) -> None:
    settings = settings_of(cluster, VERSION, "ZooKeeper")
    ours = told(VERSION, settings, tmp_path / "client.log", programs=MORE_PROGRAMS, jars=HADOOP_3_CLIENT)
    theirs = recorded(VERSION, MORE_PROGRAMS)
    found = differences(ours, theirs)
    for feature in dict.fromkeys(line.feature for line in theirs if line.feature != "connect"):
        result = WORKS if feature not in found else f"**differs**: {found[feature].splitlines()[1].strip()[:80]}"
        results.record(SERVER, VERSION, "ZooKeeper", feature, result)
    assert not found, "".join(found.values())


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
