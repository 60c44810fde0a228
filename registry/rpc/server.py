"""The RPC door: listens, limits, looks after time-outs, drains and stops.

Look-ups are answered where they arrive; see `registry.rpc.connection` for the way of a request, and
`registry.rpc.scheduler` for the calls of every other service.

Source: org.apache.hadoop.hbase.ipc.NettyRpcServer, RpcServer.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from google.protobuf.message import Message

from registry.clock import Clock
from registry.ending import end_tasks
from registry.names import Address
from registry.rpc.connection import RpcConnection
from registry.rpc.context import RpcContext, RpcServerSettings
from registry.rpc.reception import Reception
from registry.rpc.scheduler import OVER, RUNS, Outcome, RpcScheduler
from registry.rpc.services import KEPT, Answer, Call, ConnectionObserver, Handled, Kept, ServiceTable
from registry.rpc.stats import RpcStats
from registry.rpc.timed import new_connection
from registry.rpc.waiting import Meet, Waiting
from registry.sockets import connections_allowed, listening_sockets, set_options
from registry.wire.errors import HBaseError

if TYPE_CHECKING:
    from registry.faults.control import FaultAccess
    from registry.faults.machine import Faults
    from registry.rpc.fault_desk import FaultDesk

__all__ = ["RpcServer", "RpcServerSettings"]

LOG = logging.getLogger(__name__)

LAST_REQUESTS_S = 0.01
"""Between the last accept and the first close of a drain: what has reached the kernel by then is still answered."""


class RpcServer:
    """One door for all services of a role; belongs to the loop that starts it."""

    def __init__(self, settings: RpcServerSettings, services: ServiceTable, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._context = RpcContext(settings, services, clock)
        self._context.new_connection = new_connection
        self._servers: list[asyncio.Server] = []
        self._reception: Reception | None = None
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        """Calls whose handlers are coroutines; kept here because a loop forgets tasks."""

    # --- what is answered ----------------------------------------------------------------------------------------

    def set_ready(self, service: str, bodies: Mapping[str, bytes]) -> None:
        """Take new answers (method to encoded response message) that are sent as they are, before any queue."""
        self._context.set_ready(service, bodies)

    def set_cluster_id(self, cluster_id: str | None) -> None:
        """Take the cluster id for the preamble `Regist`; None is answered as by a server that does not know it."""
        self._context.set_cluster_id(cluster_id)

    def set_version_stamp(self, stamp: Callable[[str], bytes] | None) -> None:
        """Take who tells how new the answer of a method is, as encoded fields; asked only where the client asks."""
        self._context.stamp = stamp

    def set_meet(self, meet: Meet) -> None:
        """Take who waits until a method's answer is as new as a call wants it; see `registry.rpc.waiting`."""
        self._context.waiting = Waiting(self._context, meet)

    @property
    def observer(self) -> ConnectionObserver | None:
        """Who is told of each connection."""
        return self._context.observer

    @observer.setter
    def observer(self, observer: ConnectionObserver | None) -> None:
        self._context.observer = observer

    def allow_faults(self, faults: Faults, access: FaultAccess) -> FaultDesk:
        """Let faults be set on this door, through what is given back. Costs nothing until one is."""
        from registry.rpc.fault_desk import FaultDesk  # most servers never need it

        return FaultDesk(self._context, faults, access)

    @property
    def stats(self) -> RpcStats:
        """The counters as they are now; the same object each time."""
        context = self._context
        for service, ready in context.ready.items():
            for method, answer in ready.answers.items():
                context.stats.calls[service, method] = answer.count
        return context.stats

    @property
    def connections_max(self) -> int:
        """How many connections are taken at once: the setting, or fewer where open files are limited."""
        return self._context.connections_max

    @property
    def visits(self) -> int:
        """Connections that are silent and have no transport of their own; see `registry.rpc.reception`."""
        return self._reception.visits if self._reception is not None else 0

    # --- life ----------------------------------------------------------------------------------------------------

    async def start(self, host: str, port: int, listener: socket.socket | None = None) -> Address:
        """Listen; gives the host as asked for and the real port. Raises OSError.

        A host with several addresses is listened for on each of them, on the same port. A `listener` that is there
        already is taken instead; its host and port are the given ones.
        """
        loop = asyncio.get_running_loop()
        self._context.connections_max = connections_allowed(self._settings.connections_max)
        if listener is None:
            prepare = partial(_set_options, settings=self._settings)
            sockets = await loop.run_in_executor(None, listening_sockets, host, port, self._settings.backlog, prepare)
        else:
            sockets = [listener]
            _set_options(listener, self._settings)
        bound_host, bound_port = sockets[0].getsockname()[:2]
        self._context.local = f"{bound_host}:{bound_port}"
        self._context.scheduler = RpcScheduler(
            self._settings.scheduler,
            self._clock,
            execute=self._execute,
            call_soon=loop.call_soon,
            stats=self._context.stats,
            server_name=f"{host},{bound_port}",
        )
        if sys.platform == "linux":
            for listener in sockets:
                listener.listen(self._settings.backlog)  # a given one may have another
            self._reception = Reception(self._context, sockets)
        else:
            for listener in sockets:
                self._servers.append(
                    await loop.create_server(self._connection, sock=listener, backlog=self._settings.backlog)
                )
        self._sweep_later()
        return Address(host or bound_host, bound_port)

    async def drain(self, timeout_ms: float) -> bool:
        """Take no new connections and calls, finish the calls that run, close. Whether all ended in time.

        What is left after the time-out is for `stop`.
        """
        context = self._context
        context.is_draining = True
        self._stop_listening()
        await asyncio.sleep(LAST_REQUESTS_S)
        for connection in tuple(context.connections):
            connection.drain()
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._wait_emptied()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Close everything now. May be called again."""
        self._context.is_draining = True
        self._stop_listening()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        for connection in tuple(self._context.connections):
            connection.abort()
        await end_tasks(self._tasks)
        await self._wait_emptied()
        self._context.packed_calls.close()
        if self._context.waiting is not None:
            await self._context.waiting.ended()
        if self._reception is not None:
            self._reception.close()
            self._reception = None

    def sweep(self) -> None:
        """Look after the time-outs of all connections; runs by itself once the server has started."""
        context = self._context
        context.now_ms = self._clock.monotonic_ms()
        for connection in tuple(context.connections):
            connection.check_times()

    # --- inside --------------------------------------------------------------------------------------------------

    def _connection(self) -> RpcConnection:
        return self._context.new_connection(self._context)

    async def _wait_emptied(self) -> None:
        """Until every transport has told that it is gone."""
        if self._context.connections:
            await self._context.emptied.wait()

    def _stop_listening(self) -> None:
        if self._reception is not None:
            self._reception.stop_listening()
        for server in self._servers:
            server.close()
        self._servers.clear()

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep_timer = loop.call_later(self._settings.sweep_interval_ms / 1000, self._sweep_timed)

    def _sweep_timed(self) -> None:
        self._sweep_later()
        self.sweep()

    def _execute(self, call: Call) -> Outcome:
        """Run a call's handler; see RpcScheduler."""
        try:
            handled = call.method.handler(call)
            if handled is KEPT:
                return KEPT
            if type(handled) is not Answer and inspect.isawaitable(handled):
                task = asyncio.get_running_loop().create_task(self._finish(call, handled))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                return RUNS
            _answer(call, handled)
        except Exception as error:  # a handler's fault is its client's error, not the server's end
            if call.ended is None:  # it has been answered
                LOG.error("%s.%s failed behind its answer", call.method.service, call.method.name, exc_info=error)
            else:
                self._failed(call, error)
        return OVER

    async def _finish(self, call: Call, handled: Awaitable[Handled]) -> None:
        try:
            _answer(call, await handled)
        except asyncio.CancelledError:
            call.caller.drop(call)
            raise
        except Exception as error:  # noqa: BLE001  as above
            self._failed(call, error)
        finally:
            ended, call.ended = call.ended, None
            if ended is not None:
                ended(call)

    def _failed(self, call: Call, error: Exception) -> None:
        if not isinstance(error, HBaseError):
            LOG.error("%s.%s failed", call.method.service, call.method.name, exc_info=error)
        call.caller.fail(call, error)


def _answer(call: Call, handled: Handled | Kept) -> None:
    assert handled is not KEPT, "only a handler that is no coroutine keeps its call"
    cells = b""
    if isinstance(handled, Answer):
        handled, cells = handled
    call.caller.answer(call, handled.SerializeToString() if isinstance(handled, Message) else handled, cells)


def _set_options(listener: socket.socket, settings: RpcServerSettings) -> None:
    """What accepted connections inherit, and how the kernel hands them over."""
    listener.setblocking(False)
    set_options(listener)  # hbase.ipc.server.tcpkeepalive and tcpnodelay, among them
    if settings.reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if settings.defer_accept and hasattr(socket, "TCP_DEFER_ACCEPT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
