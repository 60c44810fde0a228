"""Procedures that are waited for."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

import hbeacon
from protos.hbase import Master_pb2
from registry.client.admin.admin import Admin
from registry.client.admin.masters import MasterCalls
from registry.client.answers import Answer
from registry.client.data.calls import calls_of
from registry.clock import SystemClock
from registry.names import ServerName
from tests.support.scripted_rows import QUICK, ScriptedRows

_Result = Master_pb2.GetProcedureResultResponse


class Masters:
    async def active_master(self, *, timeout_ms: float) -> Answer[ServerName]:
        pytest.fail("nobody asks where the master is")

    def stale(self, answer: Answer[object]) -> bool:
        return True


def calls() -> Any:
    return calls_of(ScriptedRows([b""], [0]), QUICK, SystemClock(), random.Random(1))


async def test_a_procedure_that_does_not_end_is_waited_for_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the master always answers at once."""

    async def answered(*_: object) -> Any:
        return _Result(state=_Result.RUNNING)

    monkeypatch.setattr(MasterCalls, "call", answered)
    master = MasterCalls(Masters(), calls())
    request = Master_pb2.GetProcedureResultRequest(proc_id=1)
    async with asyncio.timeout(20):
        with pytest.raises(hbeacon.RetriesExhaustedException, match="has not come to its end"):
            await master.until(
                lambda answer: answer.state != _Result.RUNNING, "getProcedureResult", request, _Result, 50
            )


async def test_a_table_is_altered_within_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, float]] = []

    async def answered(_: object, method: str, request: object, kind: Any, timeout_ms: float) -> Any:
        given.append((method, timeout_ms))
        await asyncio.sleep(0.02)
        answer = kind()
        if method == "GetTableDescriptors":
            answer.table_schema.add().table_name.qualifier = b"t"
        return answer

    monkeypatch.setattr(MasterCalls, "call", answered)
    await Admin(Masters(), calls()).alter_table("t", ["f"], timeout_ms=5000)
    methods, limits_ms = zip(*given, strict=True)
    assert methods == ("GetTableDescriptors", "ModifyTable", "GetSchemaAlterStatus")
    assert limits_ms[0] > limits_ms[1] + 15 > limits_ms[2] + 30
