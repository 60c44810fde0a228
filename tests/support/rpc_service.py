"""A service with every kind of method, and calls of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from protos.hbase import HBase_pb2, RPC_pb2
from registry.rpc.services import ADMIN_QOS, KEPT, Answer, Call, Handled, Kept, ServiceTable
from registry.wire.calls import encode_request
from registry.wire.errors import TableNotFoundException

Request = RPC_pb2.CellBlockMeta
"""Any message with a number in it will do for a request: `length` is the argument."""


class Service:
    """A service with every kind of method."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.ended: list[int] = []
        self.table = ServiceTable()
        self.table.add("MasterService", "Echo", Request, self.echo)
        self.table.add("MasterService", "Bytes", Request, lambda call: b"\x08\x2a")
        self.table.add("MasterService", "Cells", Request, lambda call: Answer(b"\x08\x01", b"cells:" + call.cells))
        self.table.add("MasterService", "Refuse", Request, self.refuse)
        self.table.add("MasterService", "Fail", Request, self.fail)
        self.table.add("MasterService", "Later", Request, self.later)
        self.table.add("MasterService", "LaterFail", Request, self.later_fail)
        self.kept: list[Call] = []
        self.table.add("MasterService", "Keep", Request, self.keep)
        self.table.add("MasterService", "AnswerAndKeep", Request, self.answer_and_keep)
        self.table.add("MasterService", "AnswerAndFail", Request, self.answer_and_fail)
        self.table.add("MasterService", "Admin", Request, self.echo, priority=ADMIN_QOS)
        self.table.add("MasterService", "Required", HBase_pb2.NameBytesPair, lambda call: b"")

    def echo(self, call: Call) -> Handled:
        assert isinstance(call.request, Request)
        return Request(length=call.request.length)

    def refuse(self, call: Call) -> Handled:
        raise TableNotFoundException("no such table: t1")

    def fail(self, call: Call) -> Handled:
        raise ZeroDivisionError("a bug of ours")

    async def later(self, call: Call) -> Handled:
        await self.gate.wait()
        assert isinstance(call.request, Request)
        self.ended.append(call.request.length)
        return call.request

    def keep(self, call: Call) -> Kept:
        self.kept.append(call)
        return KEPT

    def answer_and_keep(self, call: Call) -> Kept:
        call.answer(b"\x08\x05", b"cells")
        return KEPT

    def answer_and_fail(self, call: Call) -> Kept:
        call.answer(b"\x08\x06")
        raise ZeroDivisionError("behind the answer")

    def later_fail(self, call: Call) -> Awaitable[Handled]:
        async def fail() -> Handled:
            await asyncio.sleep(0)
            raise TableNotFoundException("later")

        return fail()


def ask(call_id: int, method: str, length: int = 0, *, timeout_ms: int = 0) -> bytes:
    """A call of a method, as it goes over the wire."""
    return encode_request(call_id, method, Request(length=length).SerializeToString(), timeout_ms=timeout_ms)
