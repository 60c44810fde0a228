"""How tests of observers ask: tables that name classes, and calls of all kinds."""

from __future__ import annotations

from collections.abc import Callable

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.endpoints.classes import HostSettings
from registry.rpc.client import RpcChannel
from tests.endpoints.observers import HERE, Recorder
from tests.support.region_door import open_scan, put, spec

PUT, DELETE = Client_pb2.MutationProto.PUT, Client_pb2.MutationProto.DELETE
INCREMENT, APPEND = Client_pb2.MutationProto.INCREMENT, Client_pb2.MutationProto.APPEND
NULL = "org.apache.hadoop.hbase.filter.NullComparator"


def settings(*names: str, timeout_ms: float = 20_000) -> HostSettings:
    return HostSettings([], [f"{HERE}:{name}" for name in names], observer_timeout_ms=timeout_ms)


Install = Callable[..., HBase_pb2.TableSchema]


def seen() -> list[str]:
    found = list(Recorder.calls)
    Recorder.calls.clear()
    return found


def one(kind: Client_pb2.MutationProto.MutationType, row: bytes, value: bytes = b"") -> Client_pb2.MutateRequest:
    request = put(row, value)
    request.mutation.mutate_type = kind
    if kind == DELETE:
        request.mutation.ClearField("column_value")
    return request


def checked(row: bytes, *, is_there: bool, value: bytes = b"v") -> Client_pb2.MutateRequest:
    request = put(row, value)
    condition = request.condition
    condition.row, condition.family, condition.qualifier = row, b"f", b"q"
    condition.compare_type = HBase_pb2.NOT_EQUAL if is_there else HBase_pb2.EQUAL
    condition.comparator.name = NULL
    return request


def multi(*actions: Client_pb2.MutateRequest | Client_pb2.GetRequest, atomic: bool = False) -> Client_pb2.MultiRequest:
    request = Client_pb2.MultiRequest()
    part = request.regionAction.add(region=spec(), atomic=atomic)
    for number, each in enumerate(actions):
        action = part.action.add(index=number)
        if isinstance(each, Client_pb2.GetRequest):
            action.get.CopyFrom(each.get)
        else:
            action.mutation.CopyFrom(each.mutation)
    return request


async def answered(channel: RpcChannel, request: Client_pb2.MultiRequest) -> list[Client_pb2.ResultOrException]:
    response = await channel.call("Multi", request, Client_pb2.MultiResponse)
    [result] = response.regionActionResult
    assert not result.HasField("exception"), result
    return list(result.resultOrException)


def scan_of(**fields: bytes | int) -> Client_pb2.ScanRequest:
    request = open_scan()
    request.scan.MergeFrom(Client_pb2.Scan(**fields))  # type: ignore[arg-type]
    return request


async def told_of(channel: RpcChannel, request: Client_pb2.MultiRequest) -> Client_pb2.RegionActionResult:
    return (await channel.call("Multi", request, Client_pb2.MultiResponse)).regionActionResult[0]
