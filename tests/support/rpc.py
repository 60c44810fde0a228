"""An RPC server on loopback, and a client that knows nothing but bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import ClassVar

from registry.clock import Clock, SystemClock
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import ServiceTable
from registry.wire.calls import AnswerParts, decode_answer
from registry.wire.header import encode_connection_header

CLUSTER_ID = "9dec5e49-c8c0-4618-a767-92cb9707d79b"
BODIES = {"GetClusterId": b"\x0a\x24" + CLUSTER_ID.encode(), "GetMasters": b"\x0a\x10masters are here"}
SERVICE = "ClientMetaService"


def hello(service: str = SERVICE) -> bytes:
    """Preamble and connection header."""
    return b"HBas\0P" + encode_connection_header(service, "root")


@asynccontextmanager
async def serving(
    services: ServiceTable | None = None,
    settings: RpcServerSettings | None = None,
    clock: Clock | None = None,
    *,
    host: str = "127.0.0.1",
) -> AsyncGenerator[tuple[RpcServer, int]]:
    """A server with ready answers; stopped at the end."""
    server = RpcServer(settings or RpcServerSettings(), services or ServiceTable(), clock or SystemClock())
    server.set_ready(SERVICE, BODIES)
    server.set_cluster_id(CLUSTER_ID)
    address = await server.start(host, 0)
    try:
        yield server, address.port
    finally:
        for client in tuple(RawClient.open):
            client.reset()
            await client.close()
        await server.stop()


class RawClient:
    """A socket with patience of five seconds; what a failed test left open is closed with the server."""

    open: ClassVar[set[RawClient]] = set()

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        RawClient.open.add(self)

    @classmethod
    async def connect(cls, port: int, data: bytes = b"") -> RawClient:
        """Connect and send the first bytes."""
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        client.send(data)
        return client

    def send(self, data: bytes) -> None:
        """Write without waiting."""
        self.writer.write(data)

    async def read(self, count_bytes: int) -> bytes:
        """Exactly so many bytes."""
        async with asyncio.timeout(5):
            return await self.reader.readexactly(count_bytes)

    async def answer(self) -> AnswerParts:
        """The next answer, taken apart."""
        length = int.from_bytes(await self.read(4), "big")
        return decode_answer(await self.read(length))

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(5):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def is_silent(self, wait_ms: float = 100) -> bool:
        """Whether nothing comes for a while, and the connection stays open."""
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await self.reader.readexactly(1)
        except TimeoutError:
            return True
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        return False

    async def close(self) -> None:
        """Close and wait for it."""
        RawClient.open.discard(self)
        self.writer.close()
        with suppress(ConnectionError):  # the server was first
            await self.writer.wait_closed()

    def reset(self) -> None:
        """Vanish: the other side sees a reset."""
        self.writer.transport.abort()


async def eventually(holds: object, *, within_ms: float = 5000) -> None:
    """Wait until the function gives a true value."""
    assert callable(holds)
    async with asyncio.timeout(within_ms / 1000):
        while not holds():
            await asyncio.sleep(0.002)
