"""Calls that want a newer answer than there is: each waits in a task of its own, beside everything else.

Only calls with such a request attribute (`registry.wire.stamp.WANTS`) ever come here, through the wire's machine; all
others are answered from ready bytes as before. A call that waits counts as outstanding on its connection, holds up no
other, and ends with its answer, its deadline, or its connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from protos.hbase import RPC_pb2
from registry.ending import end_tasks
from registry.wire.calls import encode_error
from registry.wire.errors import HBaseError, IOException, ServerNotRunningYetException
from registry.wire.stamp import WANTS_MET
from registry.wire.text import lenient_text

if TYPE_CHECKING:
    from registry.rpc.connection import RpcConnection
    from registry.rpc.context import RpcContext

LOG = logging.getLogger(__name__)

Meet = Callable[[Mapping[str, str], float], Coroutine[Any, Any, None] | None]
"""Takes what a call wants, word to text, and how long its client waits in milliseconds. Gives None where the answers
that lie ready are as new as that, else what returns when they are. Either raises HBaseError where they will not be."""


class Waiting:
    """The calls that wait, of all connections of a server. Belongs to its loop."""

    def __init__(self, context: RpcContext, meet: Meet) -> None:
        self._context = context
        self._meet = meet
        self._tasks: dict[RpcConnection, set[asyncio.Task[None]]] = {}
        """By the connection they came on; connections without one are not in it."""

    @property
    def count(self) -> int:
        """Calls that wait now."""
        return sum(map(len, self._tasks.values()))

    def take(
        self, connection: RpcConnection, service: str, header: RPC_pb2.RequestHeader, wants: Mapping[str, str]
    ) -> None:
        """Answer a call now or when what it wants is met; the connection has counted it."""
        left_ms = float(header.timeout) if header.timeout else float("inf")
        try:
            met = self._meet(wants, left_ms)
        except HBaseError as error:
            self._answer(connection, service, header, error)
            return
        if met is None:
            self._answer(connection, service, header, None)
            return
        task = asyncio.get_running_loop().create_task(met)
        self._tasks.setdefault(connection, set()).add(task)
        task.add_done_callback(partial(self._over, connection, service, header))

    def forget(self, connection: RpcConnection) -> None:
        """The connection is gone: nobody waits any more."""
        for task in self._tasks.get(connection, ()):
            task.cancel()

    async def ended(self) -> None:
        """Until every task is, after all connections have gone."""
        await end_tasks([task for tasks in self._tasks.values() for task in tasks])

    def _over(
        self, connection: RpcConnection, service: str, header: RPC_pb2.RequestHeader, task: asyncio.Task[None]
    ) -> None:
        tasks = self._tasks[connection]
        tasks.discard(task)
        if not tasks:
            del self._tasks[connection]
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, HBaseError):
            LOG.error("waiting for a newer answer failed", exc_info=error)
            error = IOException(f"{type(error).__name__}: {error}")
        self._answer(connection, service, header, error)

    def _answer(
        self, connection: RpcConnection, service: str, header: RPC_pb2.RequestHeader, error: HBaseError | None
    ) -> None:
        context, method = self._context, lenient_text(header.method_name)
        ready = context.ready[service].answers.get(method)
        if error is None and ready is not None:
            stamp = context.stamp(method) if context.stamp is not None else b""
            connection.answer_late(ready.encode(header.call_id, stamp + WANTS_MET))
            return
        # Without a ready answer look-ups are refused since it came.
        error = error or ServerNotRunningYetException(f"{method} is refused: ZooKeeper has been silent for too long")
        context.stats.exceptions[error.java_class] += 1
        connection.answer_late(encode_error(header.call_id, error))
