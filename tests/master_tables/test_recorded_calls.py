"""Calls to MasterService and their answers, as recorded from a real 2.6.4; where ours differ, it is said here.

Recorded by tests/support/table_scenario.py.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from protos.hbase import Master_pb2
from registry.clock import SystemClock
from registry.master.cluster_work import ClusterWork
from registry.master.tables.mirror import Mirror
from registry.master.tables.outside import TablesOutside
from registry.master.tables.service import TableService
from registry.master.tables.switches import KeptSwitches
from registry.names import Address
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import ServiceTable
from registry.wire.region_info import RegionInfo
from tests.support.table_calls import METHODS, VECTORS, play, response_type
from tests.support.table_cluster import ModelWork, ModelZooKeeper, World, acting
from tests.support.table_scenario import scenario

BYPASS = " Set hbase.table.sanity.checks to false at conf or table descriptor if you want to bypass sanity checks"
DO_NOT_RETRY = "org.apache.hadoop.hbase.DoNotRetryIOException"


def refused(text: str, java_class: str = DO_NOT_RETRY) -> dict[str, Any]:
    return {"error": [java_class, text, True]}


OURS: dict[str, dict[str, Any]] = {
    # a real server begins these and never ends them
    "split key empty first": refused("Empty split key must not be passed in the split keys."),
    "split key empty last": refused("Empty split key must not be passed in the split keys."),
    "family with {'DATA_BLOCK_ENCODING': 'NOPE'}": refused(
        "No enum constant org.apache.hadoop.hbase.io.encoding.DataBlockEncoding.NOPE" + BYPASS
    ),
    "family with {'KEEP_DELETED_CELLS': 'NOPE'}": refused(
        "No enum constant org.apache.hadoop.hbase.KeepDeletedCells.NOPE" + BYPASS
    ),
    "table with {'DURABILITY': 'NOPE'}": refused(
        "No enum constant org.apache.hadoop.hbase.client.Durability.NOPE" + BYPASS
    ),
    "table with {'PRIORITY': 'x'}": {"error": ["java.io.IOException", 'For input string: "x"', False]},
    "CreateNamespace default": refused(
        "Namespace default already exists", "org.apache.hadoop.hbase.NamespaceExistException"
    ),
    "delete default": refused(
        "Reserved namespace default cannot be removed.", "org.apache.hadoop.hbase.constraint.ConstraintException"
    ),
    # what no region here could be opened with
    "family with {'VERSIONS': '0'}": refused("VERSIONS of table fam7, family f must be at least 1"),
    "checks off, TTL 0": refused("TTL of table off1, family f must be at least 1"),
    # there it needs a library that was not installed; here nothing depends on it
    "family with {'COMPRESSION': 'SNAPPY'}": {"procedure": "ok"},
    "names by bar++e": refused("a possessive quantifier is not supported in patterns: bar++e"),
}
ONLY_THERE = {"empty1", "empty2", "fam19", "fam22", "tab5", "tab9", "fam7", "off1"}
"""Tables that were left half-made, and those that are refused here."""
ONLY_HERE = {"fam17"}


class Outside(TablesOutside):
    """Without region servers."""

    async def flush(self, regions: Sequence[RegionInfo], families: Sequence[bytes], work: ClusterWork) -> None:
        del regions, families, work


@asynccontextmanager
async def served(work: ModelWork) -> AsyncGenerator[Address]:
    """A master that works on the model."""
    zookeeper = ModelZooKeeper(work.world)
    mirror = Mirror("/hbase", zookeeper.ask, lambda: "master:1", bytes)
    switches = KeptSwitches("/hbase", zookeeper.ask)
    service = TableService(lambda: work, Outside(mirror), switches, SystemClock(), lambda: None, shut_down)
    await service.begin(work)
    table = ServiceTable()
    for name, handler in service.handlers().items():
        table.add("MasterService", name, message_class(name), handler)
    table.add("MasterService", "IsMasterRunning", Master_pb2.IsMasterRunningRequest, running)
    server = RpcServer(RpcServerSettings(), table, SystemClock())
    try:
        yield await server.start("127.0.0.1", 0)
    finally:
        await server.stop()
        service.ended()


async def shut_down() -> None:
    raise AssertionError("nobody asked for it")


def running(call: object) -> Message:
    del call
    return Master_pb2.IsMasterRunningResponse(is_master_running=True)


def message_class(method: str) -> type[Message]:
    return GetMessageClass(METHODS[method].input_type)


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """What must be equal: no order of attributes, and no table that is on one side alone."""
    told = {key: value for key, value in row.items() if key not in ("name", "method", "request")}
    if "answer" in told:
        answer = MessageToDict(
            response_type(row["method"]).FromString(bytes.fromhex(told["answer"])), preserving_proto_field_name=True
        )
        told["answer"] = _sorted(answer)
    return told


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(each) for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        items = [_sorted(each) for each in cast("list[Any]", value)]
        kept = [each for each in items if not _one_sided(each)]
        return sorted(kept, key=lambda each: json.dumps(each, sort_keys=True)) if _are_pairs(kept) else kept
    return value


def _are_pairs(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(each, dict) and "first" in each for each in items)


def _one_sided(each: Any) -> bool:
    if not isinstance(each, dict):
        return False
    row = cast("dict[str, Any]", each)
    qualifier = cast("dict[str, str]", row.get("table_name", row)).get("qualifier", "")
    return bool(qualifier) and base64.b64decode(qualifier).decode() in ONLY_THERE | ONLY_HERE


async def test_each_call_is_answered_as_recorded():
    recorded = json.loads(VECTORS.read_text())["calls"]
    steps = list(scenario())
    assert [row["name"] for row in recorded] == [step.name for step in steps]
    clock = SystemClock()
    async with served(ModelWork(World(), acting(clock))) as address:
        ours = await play(address, steps)
    wrong: list[str] = []
    for here, there in zip(ours, recorded, strict=True):
        assert here["request"] == there["request"] or here["method"] == there["method"]
        expected = OURS.get(here["name"]) or comparable(there)
        if comparable(here) != expected:
            wrong.append(f"{here['name']}:\n   ours     {comparable(here)}\n   expected {expected}")
    assert not wrong, "\n".join(wrong)
