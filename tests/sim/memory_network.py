"""A network in memory for an asyncio loop in virtual time: connections, latency, servers that hang, die and stutter.

Clients connect as they do on sockets (`loop.create_connection`); behind each address is the protocol that ships,
registry.rpc.connection.RpcConnection. A path, between one client and one server, keeps order and may be cut.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, cast

from registry.names import Address
from registry.rpc.connection import RpcConnection
from registry.rpc.context import RpcContext, RpcServerSettings
from registry.rpc.services import ServiceTable
from registry.wire.stamp import Stamp, encode_stamp
from tests.support.rpc import SERVICE
from tests.support.virtual_loop import VirtualLoop

CLIENT: contextvars.ContextVar[int] = contextvars.ContextVar("client")
"""Whose task it is: tasks inherit it, so a connection knows which path it takes."""


class MemoryTransport(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, pipe: Pipe, protocol: asyncio.Protocol | None) -> None:
        super().__init__()
        self.pipe = pipe
        self.protocol = protocol
        self.other: MemoryTransport
        self.is_gone = False
        self.mute = False
        """What is written vanishes."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("10.0.0.1", 40_000) if name == "peername" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast("asyncio.Protocol", protocol)

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Nothing here is ever so much."""

    def resume_reading(self) -> None:
        """As above."""

    def is_closing(self) -> bool:
        return self.is_gone

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.is_gone and not self.mute:
            self.pipe.send(self.other, bytes(data))

    def close(self) -> None:
        self.end(None, None)

    def abort(self) -> None:
        self.end(None, ConnectionResetError())

    def end(self, own: Exception | None, others: Exception | None) -> None:
        """Gone: this side hears of it in the next turn, the other when the news has arrived."""
        if self.is_gone:
            return
        self.lose(own)
        self.pipe.send_end(self.other, others)

    def lose(self, reason: Exception | None) -> None:
        """The protocol is told."""
        if self.is_gone:
            return
        self.is_gone = True
        self.pipe.left()
        if self.protocol is not None:
            self.pipe.network.loop.call_soon(self.protocol.connection_lost, reason)


class Pipe:
    """A connection: what is sent arrives in order, unless the path is cut or the server stands still."""

    def __init__(self, network: Network, server: MemoryServer, path: MemoryPath, protocol: asyncio.Protocol) -> None:
        self.network = network
        self.server = server
        self.path = path
        self.client_end = MemoryTransport(self, protocol)
        self.server_end = MemoryTransport(self, None)
        self.client_end.other, self.server_end.other = self.server_end, self.client_end
        server.pipes.add(self)

    def send(self, to: MemoryTransport, data: bytes) -> None:
        """Some bytes."""
        if to is self.client_end and self.server.half:
            self.server_end.mute = True
            self.network.counts["half answers"] += 1
            data = data[: len(data) // 2]
            self.path.disturbed_ms = float("inf")
            self.network.later(1000.0, self.path.settle)
        slow_ms = self.server.slow_ms if to is self.client_end else 0.0
        self.path.carry(self._lane(to), lambda: self._arrive(to, lambda: self._receive(to, data)), slow_ms)

    def send_end(self, to: MemoryTransport, reason: Exception | None) -> None:
        """The end."""
        self.path.carry(self._lane(to), lambda: self._arrive(to, lambda: to.lose(reason)))

    def left(self) -> None:
        """One end has gone."""
        if self.client_end.is_gone and self.server_end.is_gone:
            self.server.pipes.discard(self)

    def _lane(self, to: MemoryTransport) -> Lane:
        return self.path.to_client if to is self.client_end else self.path.to_server

    def _arrive(self, to: MemoryTransport, work: Callable[[], None]) -> None:
        if to is self.server_end and self.server.hung:
            self.server.inbox.append(work)
        else:
            work()

    def _receive(self, to: MemoryTransport, data: bytes) -> None:
        if not to.is_gone and to.protocol is not None:
            to.protocol.data_received(data)


class Lane:
    """One direction of a path."""

    def __init__(self) -> None:
        self.last_ms = 0.0
        self.coming: deque[Callable[[], None]] = deque()
        """On their way, in order: timers of one moment do not keep theirs."""


class MemoryPath:
    """Between one client and one server."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._held: list[tuple[Lane, Callable[[], None]]] = []
        self.to_server, self.to_client = Lane(), Lane()
        self.is_cut = False
        self.disturbed_ms = 0.0
        """When it last was cut, or lost a connection or a word."""

    def carry(self, lane: Lane, arrive: Callable[[], None], more_ms: float = 0.0) -> None:
        """Have `arrive` called at the other end; order is kept."""
        now_ms = self._network.loop.monotonic_ms()
        lane.last_ms = max(now_ms + self._network.latency_ms() + more_ms, lane.last_ms)
        lane.coming.append(arrive)
        self._network.later(lane.last_ms - now_ms, lambda: self._next(lane))

    def _next(self, lane: Lane) -> None:
        arrive = lane.coming.popleft()
        if self.is_cut:
            self._held.append((lane, arrive))
        else:
            arrive()

    def cut(self) -> None:
        """Nothing arrives, and nobody is told."""
        self.is_cut = True

    def heal(self) -> None:
        """What was held back arrives late."""
        self.is_cut = False
        self.settle()
        held, self._held = self._held, []
        for lane, arrive in held:
            self.carry(lane, arrive)

    def settle(self) -> None:
        """From now on nothing is wrong with it."""
        self.disturbed_ms = self._network.loop.monotonic_ms()


class MemoryServer:
    """What is at one address: the real protocol over ready answers; the process around it may hang and die."""

    def __init__(self, network: Network, number: int, address: Address) -> None:
        self.network = network
        self.number = number
        self.address = address
        self.up = True
        self.hung = False
        self.half = False
        self.slow_ms = self.slow_ms_most = 0.0
        self.disturbed_ms = 0.0
        self.pipes: set[Pipe] = set()
        self.inbox: list[Callable[[], None]] = []
        self._context = self._new_context()

    def _new_context(self) -> RpcContext:
        context = RpcContext(RpcServerSettings(), ServiceTable(), self.network.loop)
        context.stamp = lambda _method: encode_stamp(Stamp(0, self.network.zxid, 0.0, self.network.zxid, True))
        context.set_ready(SERVICE, self.network.bodies)
        return context

    def publish(self) -> None:
        """Answer with the newest bodies from now on."""
        self._context.set_ready(SERVICE, self.network.bodies)

    def accept(self, pipe: Pipe) -> None:
        """The process takes a connection that the kernel has made."""
        if not pipe.server_end.is_gone:
            protocol = RpcConnection(self._context)
            pipe.server_end.protocol = protocol
            protocol.connection_made(pipe.server_end)

    def stop(self) -> None:
        """SIGSTOP."""
        self.hung = self.up or self.hung

    def resume(self) -> None:
        """SIGCONT."""
        if self.hung:
            self.hung = False
            self.settle()
            inbox, self.inbox = self.inbox, []
            for work in inbox:
                work()

    def kill(self) -> None:
        """SIGKILL: the kernel resets what was open and refuses what comes."""
        self.up = self.hung = False
        self.inbox.clear()
        for pipe in tuple(self.pipes):
            pipe.server_end.protocol = None
            pipe.server_end.abort()

    def start(self) -> None:
        """Another process at the same address."""
        self._context = self._new_context()
        self.up = True
        self.settle()

    def settle(self) -> None:
        """From now on nothing is wrong with it."""
        self.disturbed_ms = self.network.loop.monotonic_ms()


class Network:
    """All servers and paths of a run."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, addresses: list[Address], bodies: Mapping[str, bytes]):
        self.loop = loop
        self.chance = chance
        self.bodies = bodies
        self.zxid = 1
        self.counts: Counter[str] = Counter()
        self._paths: dict[tuple[int, int], MemoryPath] = {}
        self.servers = [MemoryServer(self, number, address) for number, address in enumerate(addresses)]
        # what RpcChannel calls; the loop's own would open sockets
        loop.create_connection = self._connect  # pyright: ignore[reportAttributeAccessIssue]

    def publish(self, bodies: Mapping[str, bytes]) -> None:
        """All servers answer this from now on."""
        self.bodies = bodies
        self.zxid += 1
        for server in self.servers:
            server.publish()

    def path(self, client: int, server: int) -> MemoryPath:
        """Made where nobody has gone yet."""
        return self._paths.setdefault((client, server), MemoryPath(self))

    def open_count(self, client: int) -> int:
        """Connections of one client whose end at the client is open."""
        return sum(
            pipe.path is self.path(client, server.number) and not pipe.client_end.is_gone
            for server in self.servers
            for pipe in server.pipes
        )

    def latency_ms(self) -> float:
        """Of one message: a fraction of a millisecond, and sometimes some more."""
        chance = self.chance.random()
        return 0.2 + chance + (self.chance.uniform(5, 25) if chance < 0.01 else 0.0)

    def later(self, delay_ms: float, work: Callable[[], object]) -> None:
        """Call it then, in no client's name."""
        self.loop.call_later(delay_ms / 1000.0, work, context=contextvars.Context())

    async def _connect(
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[MemoryTransport, asyncio.Protocol]:
        server = next(each for each in self.servers if each.address == Address(host, port))
        path = self.path(CLIENT.get(), server.number)
        self.counts["connections"] += 1
        arrived: asyncio.Future[bool] = self.loop.create_future()

        def at_server() -> None:
            path.carry(path.to_client, lambda: None if arrived.done() else arrived.set_result(server.up))

        path.carry(path.to_server, at_server)
        if not await arrived:
            raise ConnectionRefusedError(111, "Connect call failed")
        protocol = factory()
        pipe = Pipe(self, server, path, protocol)
        if not server.up:  # killed since
            pipe.server_end.abort()
        elif server.hung:
            server.inbox.append(lambda: server.accept(pipe))
        else:
            server.accept(pipe)
        protocol.connection_made(pipe.client_end)
        return pipe.client_end, protocol
