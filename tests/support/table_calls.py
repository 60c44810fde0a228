"""Calls to MasterService about tables: how they are written, made one after another, and told with their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from protos.hbase import HBase_pb2, Master_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import HBaseError
from tests.support.master_calls import table_name

METHODS = Master_pb2.DESCRIPTOR.services_by_name["MasterService"].methods_by_name
VECTORS = Path(__file__).parent.parent / "conformance" / "vectors" / "table-calls-2.6.4.json"
Pairs = dict[str, str]


@dataclass(frozen=True)
class Step:
    """One call; where it starts a procedure, the end of that is awaited and belongs to the answer."""

    name: str
    method: str
    request: Message


def response_type(method: str) -> type[Message]:
    return GetMessageClass(METHODS[method].output_type)


def raw_name(namespace: bytes, qualifier: bytes) -> HBase_pb2.TableName:
    return HBase_pb2.TableName(namespace=namespace, qualifier=qualifier)


def pairs(values: Pairs) -> list[HBase_pb2.BytesBytesPair]:
    return [HBase_pb2.BytesBytesPair(first=key.encode(), second=value.encode()) for key, value in values.items()]


def family(
    name: str | bytes = b"f", configuration: Pairs | None = None, /, **attributes: str
) -> HBase_pb2.ColumnFamilySchema:
    return HBase_pb2.ColumnFamilySchema(
        name=name.encode() if isinstance(name, str) else name,
        attributes=pairs(attributes),
        configuration=[HBase_pb2.NameStringPair(name=k, value=v) for k, v in (configuration or {}).items()],
    )


def schema(
    table: str | HBase_pb2.TableName, *families: HBase_pb2.ColumnFamilySchema, values: Pairs | None = None
) -> HBase_pb2.TableSchema:
    return HBase_pb2.TableSchema(
        table_name=table_name(table) if isinstance(table, str) else table,
        attributes=pairs(values or {}),
        column_families=families,
    )


async def play(address: Address, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Make the calls and tell what came back, as JSON."""
    async with await RpcChannel.connect(address, "MasterService", read_timeout_ms=120_000) as channel:
        return [await _one(channel, step) for step in steps]


async def _one(channel: RpcChannel, step: Step) -> dict[str, Any]:
    told: dict[str, Any] = {"name": step.name, "method": step.method, "request": step.request.SerializeToString().hex()}
    try:
        answer = await channel.call(step.method, step.request, response_type(step.method), timeout_ms=60_000)
    except HBaseError as error:
        return {**told, "error": [error.java_class, error.message, error.do_not_retry]}
    proc_id = getattr(answer, "proc_id", None)
    if proc_id is None or step.method == "getProcedureResult":
        return {**told, "answer": answer.SerializeToString().hex()}
    try:
        result = await _result(channel, proc_id)
    except TimeoutError:
        print("no end of", step.name)
        return {**told, "procedure": "no end"}
    generic = result.exception.generic_exception
    told["procedure"] = "ok"
    if result.HasField("exception"):
        told["procedure"] = [result.exception.source, generic.class_name, generic.message]
    return told


async def _result(channel: RpcChannel, proc_id: int) -> Master_pb2.GetProcedureResultResponse:
    ask = Master_pb2.GetProcedureResultRequest(proc_id=proc_id)
    async with asyncio.timeout(15):
        while True:
            result = await channel.call("getProcedureResult", ask, Master_pb2.GetProcedureResultResponse)
            if result.state != Master_pb2.GetProcedureResultResponse.RUNNING:
                return result
            await asyncio.sleep(0.02)
