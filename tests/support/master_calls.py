"""Tables made, disabled and enabled by calls to a real master: what a Java Admin does, without a JVM."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Self

from google.protobuf.message import Message

from protos.hbase import HBase_pb2, Master_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import PleaseHoldException


def table_name(text: str) -> HBase_pb2.TableName:
    namespace, colon, qualifier = text.partition(":")
    if not colon:
        namespace, qualifier = "default", text
    return HBase_pb2.TableName(namespace=namespace.encode(), qualifier=qualifier.encode())


async def initialized(address: Address, timeout_s: float = 60) -> None:
    """Until a master takes operations on tables: it is the active one, in ZooKeeper, well before."""
    async with asyncio.timeout(timeout_s), await RpcChannel.connect(address, "MasterService") as channel:
        while True:
            try:
                await channel.call(
                    "ListNamespaceDescriptors",
                    Master_pb2.ListNamespaceDescriptorsRequest(),
                    Master_pb2.ListNamespaceDescriptorsResponse,
                )
            except PleaseHoldException:
                await asyncio.sleep(0.2)
            else:
                return


class MasterCalls:
    """MasterService of the active master; every verb returns when its procedure has ended, within `timeout_s`."""

    def __init__(self, channel: RpcChannel, timeout_s: float) -> None:
        self._channel, self._timeout_s = channel, timeout_s

    @classmethod
    @asynccontextmanager
    async def connected(cls, address: Address, timeout_s: float = 60) -> AsyncGenerator[Self]:
        async with await RpcChannel.connect(address, "MasterService") as channel:
            yield cls(channel, timeout_s)

    async def create(
        self, table: str, splits: tuple[bytes, ...] = (), attributes: Mapping[bytes, bytes] = MappingProxyType({})
    ) -> None:
        """With a family `f` that has these attributes."""
        family = HBase_pb2.ColumnFamilySchema(name=b"f")
        for name, value in attributes.items():
            family.attributes.add(first=name, second=value)
        schema = HBase_pb2.TableSchema(table_name=table_name(table), column_families=[family])
        request = Master_pb2.CreateTableRequest(table_schema=schema, split_keys=splits)
        await self.do("CreateTable", request, Master_pb2.CreateTableResponse)

    async def replace_families_in_place(self, table: str, family: str) -> None:
        """A schema with another family, its regions left as they are."""
        schema = HBase_pb2.TableSchema(
            table_name=table_name(table), column_families=[HBase_pb2.ColumnFamilySchema(name=family.encode())]
        )
        request = Master_pb2.ModifyTableRequest(table_name=table_name(table), table_schema=schema, reopen_regions=False)
        await self.do("ModifyTable", request, Master_pb2.ModifyTableResponse)

    async def disable(self, table: str) -> None:
        request = Master_pb2.DisableTableRequest(table_name=table_name(table))
        await self.do("DisableTable", request, Master_pb2.DisableTableResponse)

    async def enable(self, table: str) -> None:
        request = Master_pb2.EnableTableRequest(table_name=table_name(table))
        await self.do("EnableTable", request, Master_pb2.EnableTableResponse)

    async def delete(self, table: str) -> None:
        request = Master_pb2.DeleteTableRequest(table_name=table_name(table))
        await self.do("DeleteTable", request, Master_pb2.DeleteTableResponse)

    async def do(self, method: str, request: Message, response_type: type[Message]) -> None:
        """Any method that answers the id of a procedure."""
        response = await self._channel.call(method, request, response_type, timeout_ms=30_000)
        proc_id = getattr(response, "proc_id")  # noqa: B009 - every response of these methods has it
        ask = Master_pb2.GetProcedureResultRequest(proc_id=proc_id)
        async with asyncio.timeout(self._timeout_s):
            while True:
                result = await self._channel.call("getProcedureResult", ask, Master_pb2.GetProcedureResultResponse)
                if result.state == Master_pb2.GetProcedureResultResponse.FINISHED:
                    assert not result.HasField("exception"), result.exception
                    return
                await asyncio.sleep(0.05)
