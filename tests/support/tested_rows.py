"""Tables and rows of a cluster of a test, by HBase's own calls: what a small client does, and nothing tried again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from protos.hbase import Client_pb2, HBase_pb2, Master_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.testing.cluster import Cluster
from registry.wire.errors import HBaseError
from registry.wire.region_info import RegionInfo
from tests.support.data_calls import get, open_regions, put, region_specifier
from tests.support.master_calls import MasterCalls, table_name
from tests.support.table_calls import family, schema

T = TypeVar("T")
TIMEOUT_S = 30


def run(work: Coroutine[Any, Any, T]) -> T:
    """In a loop of its own, for tests without one."""
    return asyncio.run(asyncio.wait_for(work, TIMEOUT_S))


class Tables:
    """What a test does with tables, blocking."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def create(self, table: str, *, splits: Sequence[bytes] = (), **attributes: str) -> None:
        """Of one family `f`."""
        request = Master_pb2.CreateTableRequest(
            table_schema=schema(table, family("f", **attributes)), split_keys=list(splits)
        )
        run(self._do("CreateTable", request, Master_pb2.CreateTableResponse))

    def disable(self, table: str) -> None:
        request = Master_pb2.DisableTableRequest(table_name=table_name(table))
        run(self._do("DisableTable", request, Master_pb2.DisableTableResponse))

    def delete(self, table: str) -> None:
        self.disable(table)
        request = Master_pb2.DeleteTableRequest(table_name=table_name(table))
        run(self._do("DeleteTable", request, Master_pb2.DeleteTableResponse))

    def create_namespace(self, name: str) -> None:
        descriptor = HBase_pb2.NamespaceDescriptor(name=name.encode())
        request = Master_pb2.CreateNamespaceRequest(namespaceDescriptor=descriptor)
        run(self._do("CreateNamespace", request, Master_pb2.CreateNamespaceResponse))

    def names(self) -> list[str]:
        async def ask() -> list[str]:
            async with await self._master() as channel:
                request, answer = Master_pb2.GetTableNamesRequest(), Master_pb2.GetTableNamesResponse
                found = (await channel.call("GetTableNames", request, answer)).table_names
                names = [(each.namespace.decode(), each.qualifier.decode()) for each in found]
                return sorted(q if n == "default" else f"{n}:{q}" for n, q in names)

        return run(ask())

    def put(self, table: str, row: bytes, value: bytes) -> None:
        async def write() -> None:
            async with self._region(table, row) as (channel, region):
                request = Client_pb2.MutateRequest(region=region, mutation=put(row, value))
                assert (await channel.call("Mutate", request, Client_pb2.MutateResponse)).processed

        run(write())

    def get(self, table: str, row: bytes, *, timeout_ms: float = 10_000) -> bytes | None:
        async def read() -> bytes | None:
            async with self._region(table, row) as (channel, region):
                request = Client_pb2.GetRequest(region=region, get=get(row))
                found = await channel.call("Get", request, Client_pb2.GetResponse, timeout_ms=timeout_ms)
                return found.result.cell[0].value if found.result.cell else None

        return run(read())

    def scan_across(self, table: str, between: Callable[[], object]) -> list[bytes]:
        """The first row and the second, `between` done while the scanner is open."""

        async def read() -> list[bytes]:
            async with self._region(table, b"") as (channel, region):
                request = Client_pb2.ScanRequest(region=region, scan=Client_pb2.Scan(), number_of_rows=1)
                first = await channel.call("Scan", request, Client_pb2.ScanResponse)
                await asyncio.to_thread(between)
                request = Client_pb2.ScanRequest(scanner_id=first.scanner_id, number_of_rows=1, next_call_seq=0)
                second = await channel.call("Scan", request, Client_pb2.ScanResponse)
                return [result.cell[0].row for answer in (first, second) for result in answer.results]

        return run(read())

    async def _master(self) -> RpcChannel:
        return await RpcChannel.connect(Address.parse(self._cluster.masters[0]), "MasterService")

    async def _do(self, method: str, request: Any, answer: Any) -> None:
        async with MasterCalls.connected(Address.parse(self._cluster.masters[0])) as master:
            await master.do(method, request, answer)

    @contextlib.asynccontextmanager
    async def _region(self, table: str, row: bytes) -> AsyncGenerator[tuple[RpcChannel, HBase_pb2.RegionSpecifier]]:
        address, region = await self._where(table, row)
        async with await RpcChannel.connect(address, "ClientService") as channel:
            yield channel, region_specifier(region)

    async def _where(self, table: str, row: bytes) -> tuple[Address, RegionInfo]:
        while True:
            for text in self._cluster.region_servers:
                with contextlib.suppress(HBaseError, OSError):
                    for region in await open_regions(Address.parse(text)):
                        is_in = region.start_key <= row and (row < region.end_key or not region.end_key)
                        if region.table == table and is_in:
                            return Address.parse(text), region
            await asyncio.sleep(0.05)
