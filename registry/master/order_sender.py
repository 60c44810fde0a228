"""Brings orders to servers: all that one is to be told in one call, one call to a server at a time, until it has them.

Source: RSProcedureDispatcher, RemoteProcedureDispatcher.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from protos.hbase import Admin_pb2, HBase_pb2
from protos.hbeacon import ClusterV1_pb2
from registry.client.channels import Channels
from registry.client.settings import ClientSettings
from registry.clock import Clock
from registry.master.epoch import NotActing, Token, raise_deposed
from registry.master.live_servers import LiveServers
from registry.master.orders import ORDERS_MAX, no_orders, orders_message
from registry.master.outbox import Outbox
from registry.master.placement import Placement
from registry.names import ServerName
from registry.rpc.services import HIGH_QOS
from registry.wire.errors import HBaseError
from registry.wire.region_info import RegionInfo

logger = logging.getLogger("registry.master")

M = TypeVar("M", bound=Message)

SERVICE = "AdminService"
CALL_TIMEOUT_MS = 5000.0
CONNECT_TIMEOUT_MS = 1000.0
PAUSE_MS_FIRST, PAUSE_MS_MAX = 20.0, 1000.0


class Talk(Protocol):
    """Calls to AdminService of region servers."""

    async def call(self, server: ServerName, method: str, request: Message, response_type: type[M]) -> M:
        """Raises HBaseError."""
        ...

    def drop(self, server: ServerName) -> None:
        """It is not called any more."""
        ...

    async def close(self) -> None:
        """Nobody is."""
        ...


class AdminTalk:
    """Over sockets, one connection to a server: what is said first arrives first."""

    def __init__(self) -> None:
        self._channels = Channels(
            ClientSettings(rpc_timeout_ms=CALL_TIMEOUT_MS, connect_timeout_ms=CONNECT_TIMEOUT_MS), SERVICE
        )

    async def call(self, server: ServerName, method: str, request: Message, response_type: type[M]) -> M:
        """Raises HBaseError."""
        channel = await self._channels.get(server.address, connect_timeout_ms=CONNECT_TIMEOUT_MS)
        return await channel.call(method, request, response_type, timeout_ms=CALL_TIMEOUT_MS, priority=HIGH_QOS)

    def drop(self, server: ServerName) -> None:
        """End the connection."""
        self._channels.drop(server.address)

    async def close(self) -> None:
        """End all connections."""
        await self._channels.close()


class OrderSender:
    """Of one epoch. Belongs to the loop; `close` ends its connections and calls."""

    def __init__(
        self,
        token: Token,
        servers: LiveServers,
        placement: Placement,
        outboxes: Sequence[Outbox],
        schema_of: Callable[[str], HBase_pb2.TableSchema],
        clock: Clock,
        failed: Callable[[BaseException], None],
        talk: Talk,
    ) -> None:
        """Orders of earlier `outboxes` go first. `failed` hears that this master was deposed, or of a fault of ours."""
        self._token = token
        self._servers = servers
        self._placement = placement
        self._outboxes = outboxes
        self._schema_of = schema_of
        self._clock = clock
        self._failed = failed
        self._talk = talk
        self._busy: dict[ServerName, asyncio.Task[None]] = {}
        self.problems: dict[ServerName, str] = {}
        """Why a server has not been told yet."""

    def wake(self) -> None:
        """There may be orders for servers that nobody talks to at the moment."""
        waiting = dict.fromkeys(server for outbox in self._outboxes for server in outbox.servers())
        for server in waiting:
            known = self._servers.known.get(server)
            if server not in self._busy and known is not None and known.is_met:
                task = asyncio.create_task(self._tell(server), name=f"orders for {server}")
                self._busy[server] = task
                task.add_done_callback(lambda task, server=server: self._told(server, task))

    async def call(self, server: ServerName, message: ClusterV1_pb2.Orders) -> None:
        """One ExecuteProcedures. Raises HBaseError; Deposed where the server has heard of a later master."""
        self._token.check()
        try:
            await self._talk.call(server, "ExecuteProcedures", message, Admin_pb2.ExecuteProceduresResponse)
        except HBaseError as error:
            raise_deposed(error)
            raise

    async def online(self, server: ServerName) -> list[RegionInfo]:
        """What is open there, once it knows our epoch. Raises HBaseError, Deposed."""
        await self.call(server, no_orders(self._token.in_name))
        answer = await self._talk.call(
            server, "GetOnlineRegion", Admin_pb2.GetOnlineRegionRequest(), Admin_pb2.GetOnlineRegionResponse
        )
        return [RegionInfo.from_message(info) for info in answer.region_info]

    def gone(self, server: ServerName) -> None:
        """Nobody talks to it any more."""
        task = self._busy.get(server)
        if task is not None:
            task.cancel()
        self.problems.pop(server, None)
        if not any(other.address == server.address for other in self._servers.known):
            self._talk.drop(server)

    async def close(self) -> None:
        """End."""
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._talk.close()

    async def _tell(self, server: ServerName) -> None:
        pause_ms = PAUSE_MS_FIRST
        while not self._servers.is_dead(server):
            batches = [(outbox, outbox.orders(server, ORDERS_MAX)) for outbox in self._outboxes]
            orders = [order for _, batch in batches for order in batch]
            if not orders:
                return
            stores = {order.store_id for order in orders if order.opens}
            message = orders_message(
                self._token.in_name,
                server,
                orders,
                self._schema_of,
                self._placement.owners_to_end(server, stores),
                int(self._clock.wall_ms()),
            )
            try:
                await self.call(server, message)
            except HBaseError as error:
                self._note(server, str(error))
                await asyncio.sleep(pause_ms / 1000)
                pause_ms = min(pause_ms * 2, PAUSE_MS_MAX)
            else:
                pause_ms = PAUSE_MS_FIRST
                self.problems.pop(server, None)
                for outbox, batch in batches:
                    outbox.sent(server, batch)

    def _told(self, server: ServerName, task: asyncio.Task[None]) -> None:
        del self._busy[server]
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self.wake()
        elif isinstance(error, NotActing):
            self._failed(error)
        else:
            logger.error("orders for %s could not be made", server, exc_info=error)
            self._failed(error)

    def _note(self, server: ServerName, problem: str) -> None:
        if self.problems.get(server) != problem:
            logger.warning("%s does not take orders: %s", server, problem)
        self.problems[server] = problem
