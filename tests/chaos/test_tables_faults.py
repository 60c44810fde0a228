"""Tables made, changed and deleted by many clients while active masters are killed: nothing is done twice, or lost."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import Any, cast

import pytest
from google.protobuf.message import Message
from kazoo.client import KazooClient  # pyright: ignore[reportMissingTypeStubs]

from protos.hbase import Master_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import HBaseError
from registry.wire.znode import decode_table_state
from tests.support.own_cluster import OwnCluster
from tests.support.seeds import seeds
from tests.support.table_calls import family, response_type, schema, table_name

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

CLIENTS = 12
KILLS = int(os.environ.get("HBEACON_KILLS", "3"))
FAILED_FOR_GOOD_S = 90.0
RESULT = Master_pb2.GetProcedureResultResponse
SPLITS = [b"d", b"m", b"t"]


class Operator:
    """One client: asks whichever master is active, again and again, under one nonce for each operation."""

    def __init__(self, masters: list[Address], number: int) -> None:
        self._masters = masters
        self._number = number
        self._nonce = 0
        self._channel: RpcChannel | None = None
        self.done: list[str] = []

    async def life_of_a_table(self, table: str, stop: asyncio.Event) -> None:
        """Over and over, until told to stop; the table is there and enabled then, with two families."""
        name = table_name(table)
        while True:
            made = schema(table, family("f"), family("g"))
            await self.do("CreateTable", Master_pb2.CreateTableRequest(table_schema=made, split_keys=SPLITS))
            if stop.is_set():
                return
            await self.do("AddColumn", Master_pb2.AddColumnRequest(table_name=name, column_families=family("h")))
            await self.do("DisableTable", Master_pb2.DisableTableRequest(table_name=name))
            await self.do("truncateTable", Master_pb2.TruncateTableRequest(tableName=name, preserveSplits=True))
            await self.do("DisableTable", Master_pb2.DisableTableRequest(table_name=name))
            await self.do("EnableTable", Master_pb2.EnableTableRequest(table_name=name))
            await self.do("DisableTable", Master_pb2.DisableTableRequest(table_name=name))
            await self.do("DeleteTable", Master_pb2.DeleteTableRequest(table_name=name))

    async def do(self, method: str, request: Message) -> None:
        """Until its procedure has ended well. Any answer but "ask again" is a failure."""
        self._nonce += 1
        asked = cast("Any", request)
        asked.nonce_group, asked.nonce = 1000 + self._number, self._nonce
        submitted = await self.ask(method, request)
        ask = Master_pb2.GetProcedureResultRequest(proc_id=cast("Any", submitted).proc_id)
        while True:
            result = await self.ask("getProcedureResult", ask)
            assert isinstance(result, RESULT)
            assert result.state != RESULT.NOT_FOUND, f"{method} of client {self._number} is not known any more"
            if result.state == RESULT.FINISHED:
                assert not result.HasField("exception"), f"{method}: {result.exception}"
                self.done.append(method)
                return
            await asyncio.sleep(0.05)

    async def ask(self, method: str, request: Message) -> Message:
        """Of the active master, whichever that is by then."""
        async with asyncio.timeout(FAILED_FOR_GOOD_S):
            while True:
                for address in self._masters:
                    try:
                        if self._channel is None or not self._channel.is_open:
                            self._channel = await RpcChannel.connect(address, "MasterService")
                        return await self._channel.call(method, request, response_type(method), timeout_ms=20_000)
                    except HBaseError as error:
                        if error.do_not_retry:
                            raise AssertionError(f"{method} of client {self._number}: {error}") from error
                        self.close()
                await asyncio.sleep(0.1)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel = None


def active_of(cluster: OwnCluster) -> int:
    for number, master in enumerate(cluster.masters):
        told: Any = master.get_json("/health").get("cluster") if master.process.running else None
        if told and told["initialized"]:
            return number
    return -1


async def hurt(cluster: OwnCluster, chance: random.Random) -> None:
    """Kill -9 of the active master at any moment, and another process in its place."""
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.5, 3.0))
        async with asyncio.timeout(60):
            while (number := await asyncio.to_thread(active_of, cluster)) < 0:
                await asyncio.sleep(0.1)
        cluster.masters[number].process.signal(signal.SIGKILL)
        await asyncio.to_thread(cluster.masters[number].close)
        await asyncio.to_thread(cluster.start_master, number)
        await asyncio.to_thread(cluster.masters[number].wait_ready, 60)


@pytest.mark.parametrize("seed", seeds(1))
async def test_tables_while_masters_are_killed(cluster: OwnCluster, seed: int) -> None:
    masters = [Address("127.0.0.1", port) for port in cluster.master_ports]
    operators = [Operator(masters, number) for number in range(CLIENTS)]
    stop = asyncio.Event()
    lives = [asyncio.create_task(each.life_of_a_table(f"t{number}", stop)) for number, each in enumerate(operators)]
    await hurt(cluster, random.Random(seed))
    stop.set()
    await asyncio.gather(*lives)
    assert all("CreateTable" in each.done for each in operators)
    print("operations:", sum(len(each.done) for each in operators))
    reader = operators[0]
    names = await reader.ask("GetTableNames", Master_pb2.GetTableNamesRequest())
    assert isinstance(names, Master_pb2.GetTableNamesResponse)
    assert sorted(name.qualifier.decode() for name in names.table_names) == sorted(f"t{n}" for n in range(CLIENTS))
    for number in range(CLIENTS):
        status = await reader.ask(
            "GetSchemaAlterStatus", Master_pb2.GetSchemaAlterStatusRequest(table_name=table_name(f"t{number}"))
        )
        assert isinstance(status, Master_pb2.GetSchemaAlterStatusResponse)
        assert (status.yet_to_update_regions, status.total_regions) == (0, len(SPLITS) + 1)
    locks = await reader.ask("GetLocks", Master_pb2.GetLocksRequest())
    assert isinstance(locks, Master_pb2.GetLocksResponse)
    assert not locks.lock
    states = await asyncio.to_thread(states_in_zookeeper, cluster.zookeeper)
    assert states == {f"t{number}": "ENABLED" for number in range(CLIENTS)}
    for each in operators:
        each.close()


def states_in_zookeeper(address: str) -> dict[str, str]:
    client = cast("Any", KazooClient(hosts=address, timeout=10.0))
    client.start(timeout=20)
    try:
        names = cast("list[str]", client.get_children("/hbase/table"))
        return {name: decode_table_state(client.get(f"/hbase/table/{name}")[0]) for name in names}
    finally:
        client.stop()
        client.close()
