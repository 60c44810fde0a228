"""Requests that no client sends, over real sockets: each gets HBase's error, or its own connection is closed.

Whoever asks properly beside them is served all the time, and memory stays bounded. Damage comes from the printed seed.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Generator, Iterable
from typing import Any

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from protos.hbase import Admin_pb2, Client_pb2, HBase_pb2, Master_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import (
    CallTimeoutException,
    ConnectException,
    ConnectionClosedException,
    HBaseError,
    HBaseIOException,
)
from registry.wire.header import KEY_VALUE_CODEC
from tests.support.data_calls import get, open_regions, put, region_of, region_specifier
from tests.support.hostile import ABSENT, damaged, filled, variants
from tests.support.master_calls import MasterCalls, table_name
from tests.support.own_cluster import OwnCluster
from tests.support.processes import resident_bytes

pytestmark = pytest.mark.timeout(120)

SAFE, FUZZED = "safe", "fuzzed"
SESSION_MS = 20_000
ANSWER_MS = 10_000
"""Shorter than the silence after which a channel closes: what is not answered is told as that."""
GROWTH_BYTES_MAX = 300 << 20
TOGETHER = 8
DAMAGED_EACH = 12
LEFT_OUT = dict.fromkeys(("scanner_id", "filter", "associated_cell_count", "get", "service_call", "condition"), ABSENT)
"""Where these are there, the server need not look at the rest."""
EFFECTIVE = {
    # what these ask for is done: servers end, regions are opened, closed and written at a master's word
    *("Shutdown", "StopMaster", "StopServer", "ExecuteProcedures", "OpenRegion", "CloseRegion", "WarmupRegion"),
    *("DecommissionRegionServers", "ClearDeadServers"),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[OwnCluster]:
    async def create(made: OwnCluster) -> None:
        async with MasterCalls.connected(Address(*made.masters[0].rpc_address)) as master:
            await master.create(SAFE)
            await master.create(FUZZED)
        async with await RpcChannel.connect(server_of(made), "ClientService") as channel:
            request = Client_pb2.MutateRequest(
                region=await region_of(server_of(made), SAFE), mutation=put(b"row", b"value")
            )
            assert (await channel.call("Mutate", request, Client_pb2.MutateResponse)).processed

    with OwnCluster(tmp_path_factory.mktemp("own"), masters=1, region_servers=1, session_ms=SESSION_MS) as made:
        asyncio.run(create(made.wait_ready()))
        yield made


def server_of(cluster: OwnCluster) -> Address:
    return Address(*cluster.region_servers[0].rpc_address)


def known(cluster: OwnCluster, region: HBase_pb2.RegionSpecifier, name: bytes) -> dict[str, Any]:
    """What a client would fill in, by the name of the field."""
    host, port = cluster.region_servers[0].rpc_address
    server = HBase_pb2.ServerName(host_name=host, port=port, start_code=1)
    numeric = {"number_of_rows": 10, "max_versions": 1, "batch_size": 2, "max_result_size": 1 << 20, "limit_of_rows": 5}
    return {
        **numeric,
        "region": region,
        "table_name": table_name(FUZZED),
        "tableName": table_name(FUZZED),
        "row": b"row",
        "family": b"f",
        "qualifier": b"q",
        "column": Client_pb2.Column(family=b"f", qualifier=[b"q"]),
        "server": server,
        "dest_server_name": server,
        "server_name": server,
        "namespaceName": "nobody",
        "RegionSpecifier.type": HBase_pb2.RegionSpecifier.REGION_NAME,
        "RegionSpecifier.value": name,
        "column_value": put(b"row", b"v").column_value[0],
        "mutate_type": Client_pb2.MutationProto.PUT,
        "Filter.name": "org.apache.hadoop.hbase.filter.PageFilter",
        "MutationProto.value": b"v",
        "Comparator.name": "org.apache.hadoop.hbase.filter.BinaryComparator",
        "serialized_comparator": b"\x0a\x00",
        "Scan.start_row": b"",
        "Scan.stop_row": b"",
        "TimeRange.from": 0,
        "TimeRange.to": 2**62,
        "timestamp": 5,
    }


def requests_of(
    service: ServiceDescriptor, filling: dict[str, Any], rng: random.Random
) -> list[tuple[str, str, bytes]]:
    made: list[tuple[str, str, bytes]] = []
    for method in service.methods:
        if method.name in EFFECTIVE:
            continue
        kind = GetMessageClass(method.input_type)
        for base in (filled(kind, filling), filled(kind, {**filling, **LEFT_OUT})):
            made.append((method.name, "as a client might ask", base.SerializePartialToString()))
            made += [(method.name, path, data) for path, data in variants(base)]
            made += [(method.name, what, data) for what, data in damaged(base, rng, DAMAGED_EACH)]
    rng.shuffle(made)
    return made


class Asker:
    """Sends requests over connections of its own, a new one where the server has closed the last."""

    def __init__(self, server: Address, service: str, requests: Iterable[tuple[str, str, bytes]]) -> None:
        self.server, self.service, self.requests = server, service, iter(requests)
        self.answered = self.refused = self.closed = 0
        self.wrong: list[str] = []

    async def run(self) -> None:
        channel: RpcChannel | None = None
        for method, what, data in self.requests:
            try:
                if channel is None or not channel.is_open:
                    channel = await RpcChannel.connect(self.server, self.service, cell_block_codec=KEY_VALUE_CODEC)
                await channel.call_bytes(method, data, timeout_ms=ANSWER_MS)
                self.answered += 1
            except ConnectException as error:
                self.wrong.append(f"{method} {what}: nobody listens any more: {error}")
                return
            except CallTimeoutException:
                self.wrong.append(f"{method} {what}: no answer")
                return
            except ConnectionClosedException:
                self.closed += 1
            except HBaseError as error:
                self.refused += 1
                if "Traceback" in str(error) or "site-packages" in str(error):
                    self.wrong.append(f"{method} {what}: {str(error)[:500]}")
        if channel is not None:
            channel.close()


async def keep_asking(cluster: OwnCluster, over: asyncio.Event) -> int:
    """Reads the row of the other table until it is over; how often it was right."""
    right = 0
    region = await region_of(server_of(cluster), SAFE)
    async with await RpcChannel.connect(server_of(cluster), "ClientService") as channel:
        request = Client_pb2.GetRequest(region=region, get=get(b"row"))
        while not over.is_set():
            answer = await channel.call("Get", request, Client_pb2.GetResponse, timeout_ms=20_000)
            assert [cell.value for cell in answer.result.cell] == [b"value"]
            right += 1
            await asyncio.sleep(0.01)
    return right


@pytest.mark.parametrize("name", ["ClientService", "AdminService", "MasterService"])
async def test_every_field_of_every_request(cluster: OwnCluster, rng: random.Random, name: str) -> None:
    of_master = name == "MasterService"
    process = cluster.masters[0] if of_master else cluster.region_servers[0]
    (info,) = [each for each in await open_regions(server_of(cluster)) if each.table == FUZZED]
    file = {"ClientService": Client_pb2, "AdminService": Admin_pb2, "MasterService": Master_pb2}[name]
    filling = known(cluster, region_specifier(info), info.name)
    requests = requests_of(file.DESCRIPTOR.services_by_name[name], filling, rng)
    before = resident_bytes(process.worker_pid())
    over = asyncio.Event()
    beside = asyncio.create_task(keep_asking(cluster, over))
    askers = [Asker(Address(*process.rpc_address), name, requests[start::TOGETHER]) for start in range(TOGETHER)]
    await asyncio.gather(*(asker.run() for asker in askers))
    over.set()
    assert await beside > 0
    wrong = [line for asker in askers for line in asker.wrong]
    assert not wrong, f"{len(wrong)} of {len(requests)}: " + "\n".join(wrong[:10])
    refused = sum(asker.refused for asker in askers)
    answered = sum(asker.answered for asker in askers)
    closed = sum(asker.closed for asker in askers)
    assert refused > len(requests) // 20, (answered, refused, closed)
    assert process.process.running
    grown = resident_bytes(process.worker_pid()) - before
    assert grown < GROWTH_BYTES_MAX, f"{grown >> 20} MiB more after {len(requests)} requests"
    log = process.process.log.read_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 300 :][:3000]


async def test_families_are_not_replaced_under_open_regions(cluster: OwnCluster) -> None:
    """HBase counts them only. Open regions did not know the new one: a flush of it was tried for ever."""
    async with MasterCalls.connected(Address(*cluster.masters[0].rpc_address), timeout_s=10) as master:
        await master.create("replaced")
        with pytest.raises(HBaseIOException, match="Cannot add or remove column families"):
            await master.replace_families_in_place("replaced", "new")
        await master.disable("replaced")
        await master.delete("replaced")


CELL = struct.pack(">ii", 24, 1)
BLOCKS = {
    "nothing where a cell is announced": b"",
    "a length that ends before it begins": struct.pack(">i", -1) + b"x" * 20,
    "a cell of two gigabytes": struct.pack(">i", 2**31 - 1) + b"x" * 20,
    "a key longer than its cell": struct.pack(">i", 30) + struct.pack(">ii", 2**31 - 1, 1) + b"x" * 22,
    "a row longer than its key": struct.pack(">i", 32)
    + struct.pack(">ii", 20, 4)
    + struct.pack(">h", 32_000)
    + b"x" * 22,
    "noise": b"\x00\x00\x00\x20" + bytes(range(200)),
}


async def test_cell_blocks_that_are_none(cluster: OwnCluster) -> None:
    """Counts and lengths that announce what is not there, in Mutate and Multi."""
    region = await region_of(server_of(cluster), SAFE)
    over = asyncio.Event()
    beside = asyncio.create_task(keep_asking(cluster, over))
    before = resident_bytes(cluster.region_servers[0].worker_pid())
    for count in (1, 5, 2**31 - 1, -1):
        mutation = Client_pb2.MutationProto(
            row=b"row", mutate_type=Client_pb2.MutationProto.PUT, associated_cell_count=count
        )
        single = Client_pb2.MutateRequest(region=region, mutation=mutation)
        action = Client_pb2.RegionAction(region=region, action=[Client_pb2.Action(index=0, mutation=mutation)])
        for what, block in BLOCKS.items():
            for method, request in (("Mutate", single), ("Multi", Client_pb2.MultiRequest(regionAction=[action]))):
                channel = await RpcChannel.connect(
                    server_of(cluster), "ClientService", cell_block_codec=KEY_VALUE_CODEC
                )
                try:
                    answer = await channel.call_bytes(
                        method, request.SerializeToString(), cells=block, timeout_ms=20_000
                    )
                    if method == "Multi":
                        result = Client_pb2.MultiResponse.FromString(answer.message).regionActionResult[0]
                        failed = result.HasField("exception") or result.resultOrException[0].HasField("exception")
                        assert failed or count == -1, f"{what}, {count} cells: {result}"
                except CallTimeoutException:
                    raise AssertionError(f"no answer to {method} with {what}") from None
                except HBaseError:
                    pass
                finally:
                    channel.close()
    over.set()
    assert await beside > 0
    assert resident_bytes(cluster.region_servers[0].worker_pid()) - before < GROWTH_BYTES_MAX


async def test_scanners_nobody_closes_cost_little(cluster: OwnCluster) -> None:
    """Thousands of scanners left open by one client, and gets of far more than one answer may hold."""
    server = cluster.region_servers[0]
    region = await region_of(server_of(cluster), SAFE)
    before = resident_bytes(server.worker_pid())
    async with await RpcChannel.connect(server_of(cluster), "ClientService") as channel:
        request = Client_pb2.ScanRequest(region=region, scan=Client_pb2.Scan(), number_of_rows=0)
        refused = 0
        for _ in range(50):
            answers = await asyncio.gather(
                *(channel.call("Scan", request, Client_pb2.ScanResponse) for _ in range(200)), return_exceptions=True
            )
            refused += sum(isinstance(each, HBaseError) for each in answers)
            assert all(isinstance(each, HBaseError | Client_pb2.ScanResponse) for each in answers)
        answer = await channel.call(
            "Get", Client_pb2.GetRequest(region=region, get=get(b"row")), Client_pb2.GetResponse
        )
        assert answer.result.cell[0].value == b"value"
    grown = resident_bytes(server.worker_pid()) - before
    assert grown < GROWTH_BYTES_MAX, f"{grown >> 20} MiB for 10 000 scanners, {refused} refused"


async def test_gets_of_more_than_an_answer_holds(cluster: OwnCluster) -> None:
    """A Multi may name one row of a megabyte ten thousand times: what does not fit is refused action by action."""
    server = cluster.region_servers[0]
    region = await region_of(server_of(cluster), SAFE)
    async with await RpcChannel.connect(
        server_of(cluster), "ClientService", cell_block_codec=KEY_VALUE_CODEC
    ) as channel:
        large = Client_pb2.MutateRequest(region=region, mutation=put(b"large", b"x" * (1 << 20)))
        await channel.call("Mutate", large, Client_pb2.MutateResponse)
        before = resident_bytes(server.worker_pid())
        actions = [Client_pb2.Action(index=index, get=get(b"large")) for index in range(10_000)]
        request = Client_pb2.MultiRequest(regionAction=[Client_pb2.RegionAction(region=region, action=actions)])
        answer = await channel.call_bytes("Multi", request.SerializeToString(), timeout_ms=30_000)
        results = Client_pb2.MultiResponse.FromString(answer.message).regionActionResult[0].resultOrException
    refused = [each for each in results if each.HasField("exception")]
    assert len(results) == len(actions)
    assert refused, f"an answer of {len(answer.cells) >> 20} MiB"
    assert {each.exception.name for each in refused} == {"org.apache.hadoop.hbase.MultiActionResultTooLarge"}
    grown = resident_bytes(server.worker_pid()) - before
    assert grown < 2 * GROWTH_BYTES_MAX, f"{grown >> 20} MiB"
