"""Stock clients of HBase's coprocessor services get the lines that a real HBase 2.6.4 with hbase-endpoint gave them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from contextlib import AsyncExitStack, suppress
from itertools import count
from pathlib import Path

import pytest

from protos.hbase import Client_pb2, HBase_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.cellblock import decode_cells
from registry.wire.errors import HBaseError, ServerNotRunningYetException
from registry.wire.header import KEY_VALUE_CODEC
from tests.cluster.test_data_path_stories import SESSION_MS, differences, record, settings_of
from tests.support.compatibility import Results
from tests.support.data_calls import open_regions, put, region_specifier
from tests.support.java import HADOOP_3_CLIENT
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
    settings = {
        "hbase.coprocessor.region.classes": "tests.endpoints.users:Counter",
        "hbase.coprocessor.user.region.classes": "tests.endpoints.observers:OfStory",
        "hbeacon.observers.timeout": "5s",
    }
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


def test_a_stock_client_s_table_with_an_observer(cluster: OwnCluster, tmp_path: Path) -> None:
    """Of our own, so a real server has no part in it. The stories before were told of tables that it observes, too."""
    settings = settings_of(cluster, "2.6.4", "ZooKeeper")
    ours = told("2.6.4", settings, tmp_path / "client.log", programs=["ObserverStory"], jars=HADOOP_3_CLIENT)
    found = {line.what: line.outcome.partition(" <- ")[0] for line in ours if line.feature != "connect"}
    refused = "! DoNotRetryIOException: org.apache.hadoop.hbase.DoNotRetryIOException: coprocessor"
    named = "tests.endpoints.observers:OfStory"
    assert found == {
        "put": "ONE",
        "put in a batch, one refused": "1 forbidden AccessDeniedException TWO",
        "refused": "! AccessDeniedException: org.apache.hadoop.hbase.security.AccessDeniedException:"
        " b'forbidden' may not be written",
        "raised": f"{refused} {named} threw RuntimeError: whatever",
        "bypassed": "pong",
        "exists": "true",
        "increment": "12",
        "check and mutate": "true false FOUR",
        "mutate row": "SIX",
        "scan": "[a, b, m, n]",
        "scan row by row": "[n, m, b, a]",
        "scan with a limit": "[b, m]",
        "hangs": f"{refused} {named} did not end within 5000 ms",
        "others then": "FOUR",
    }


async def create(cluster: OwnCluster, table: str, splits: tuple[bytes, ...] = ()) -> None:
    for port in cluster.master_ports:
        async with MasterCalls.connected(Address("127.0.0.1", port)) as master:
            with suppress(ServerNotRunningYetException):  # the one that waits
                await master.create(table, splits)


def test_an_endpoint_of_our_own_that_a_setting_names(cluster: OwnCluster) -> None:
    rows = {b"a1", b"a2", b"m1"}

    async def counted() -> dict[bytes, int]:
        async with AsyncExitStack() as stack:
            await create(cluster, "counted", (b"m",))
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


def test_an_index_is_exact_when_its_server_is_killed(cluster: OwnCluster) -> None:
    """Sixteen write four rows at one time; the index says what the rows say then."""

    async def told() -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        await create(cluster, "indexed")
        [(number, region)] = await places(cluster)
        done: list[int] = []
        async with await RpcChannel.connect(address(cluster, number), "ClientService") as channel:
            writers = [asyncio.ensure_future(write(channel, region, each, done)) for each in range(16)]
            async with asyncio.timeout(60):
                while len(done) < 300:
                    await asyncio.sleep(0.02)
            cluster.region_servers[number].process.kill()
            await asyncio.gather(*writers)
        async with asyncio.timeout(60):
            while not (moved := await places(cluster)):
                await asyncio.sleep(0.2)
        [(number, region)] = moved
        return await rows_and_index(address(cluster, number), region)

    by_row, by_index = asyncio.run(told())
    assert by_row == by_index
    assert sorted(by_row) == [b"r0", b"r1", b"r2", b"r3"]


def address(cluster: OwnCluster, number: int) -> Address:
    return Address("127.0.0.1", cluster.region_server_ports[number])


async def places(cluster: OwnCluster) -> list[tuple[int, HBase_pb2.RegionSpecifier]]:
    """Region servers with their regions of the table."""
    running = [number for number, each in enumerate(cluster.region_servers) if each.process.running]
    return [
        (number, region_specifier(region))
        for number in running
        for region in await open_regions(address(cluster, number))
        if region.table == "indexed"
    ]


async def write(channel: RpcChannel, region: HBase_pb2.RegionSpecifier, writer: int, done: list[int]) -> None:
    """One value after another, none twice, until the server is gone."""
    with suppress(HBaseError):
        for number in count():
            mutation = put(b"r%d" % (writer % 4), b"%d-%d" % (writer, number))
            request = Client_pb2.MutateRequest(region=region, mutation=mutation)
            await channel.call("Mutate", request, Client_pb2.MutateResponse)
            done.append(writer)


async def rows_and_index(
    server: Address, region: HBase_pb2.RegionSpecifier
) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Value by row, as the rows say it and as the index does."""
    request = Client_pb2.ScanRequest(region=region, scan=Client_pb2.Scan(), number_of_rows=1000)
    async with await RpcChannel.connect(server, "ClientService", cell_block_codec=KEY_VALUE_CODEC) as channel:
        answer = await channel.call_bytes("Scan", request.SerializeToString())
    by_row: dict[bytes, bytes] = {}
    by_index: dict[bytes, bytes] = {}
    for cell in decode_cells(answer.cells):
        if cell.row.startswith(b"i/"):
            _, value, row = cell.row.split(b"/")
            assert row not in by_index, f"{row!r} stands twice in the index"
            by_index[row] = value
        else:
            by_row[cell.row] = cell.value
    return by_row, by_index
