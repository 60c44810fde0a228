"""Calls to one region server, without a Java client: regions that are open there, and rows."""

from __future__ import annotations

from protos.hbase import Admin_pb2, Client_pb2, HBase_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.region_info import RegionInfo


def region_specifier(region: RegionInfo) -> HBase_pb2.RegionSpecifier:
    """By its name, as Java clients do."""
    return HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=region.name)


async def open_regions(server: Address) -> list[RegionInfo]:
    """What AdminService says is open there."""
    async with await RpcChannel.connect(server, "AdminService") as channel:
        request, answer = Admin_pb2.GetOnlineRegionRequest(), Admin_pb2.GetOnlineRegionResponse
        found = (await channel.call("GetOnlineRegion", request, answer)).region_info
        return [RegionInfo.from_message(each) for each in found]


async def region_of(server: Address, table: str) -> HBase_pb2.RegionSpecifier:
    """The only region of the table there."""
    (region,) = [each for each in await open_regions(server) if each.table == table]
    return region_specifier(region)


def put(
    row: bytes,
    value: bytes,
    *,
    family: bytes = b"f",
    qualifier: bytes = b"q",
    durability: Client_pb2.MutationProto.Durability = Client_pb2.MutationProto.USE_DEFAULT,
) -> Client_pb2.MutationProto:
    """One cell, inline."""
    column = Client_pb2.MutationProto.ColumnValue(family=family)
    column.qualifier_value.add(qualifier=qualifier, value=value)
    kind = Client_pb2.MutationProto.PUT
    return Client_pb2.MutationProto(row=row, mutate_type=kind, column_value=[column], durability=durability)


def get(row: bytes) -> Client_pb2.Get:
    """The whole row."""
    return Client_pb2.Get(row=row)
