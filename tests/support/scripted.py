"""TCP servers that do as they are told: answer, answer half, hang, reset, speak another language.

A script is a coroutine that gets the `Peer` it talks to; each connection runs it once. `answering` is the script of
a registry server that behaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping

from protos.hbase import RPC_pb2
from registry.names import Address
from registry.wire.calls import encode_answer, encode_error
from registry.wire.errors import HBaseError
from registry.wire.framing import decode_delimited
from registry.wire.preamble import REGISTRY_PREAMBLE, unexpected_header
from registry.wire.stamp import STAMP_ATTRIBUTE, Stamp, encode_stamp


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read_hello(self) -> RPC_pb2.ConnectionHeader:
        """The ordinary preamble and the header."""
        assert await self.reader.readexactly(6) == b"HBas\x00\x50"
        return RPC_pb2.ConnectionHeader.FromString(await self.read_block())

    async def read_call(self) -> tuple[RPC_pb2.RequestHeader, bytes]:
        """The next call: header and encoded request."""
        frame = await self.read_block()
        start, stop = decode_delimited(frame, 0)
        header = RPC_pb2.RequestHeader.FromString(frame[start:stop])
        start, stop = decode_delimited(frame, stop)
        return header, frame[start:stop]

    async def read_block(self) -> bytes:
        """What a length of four bytes announces."""
        return await self.reader.readexactly(int.from_bytes(await self.reader.readexactly(4), "big"))

    def write(self, data: bytes) -> None:
        """Send."""
        self.writer.write(data)

    def reset(self) -> None:
        """Close with RST, as the kernel does for a process that was killed with unread data."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def hang(self) -> None:
        """Read nothing and say nothing until the test is over."""
        await asyncio.Event().wait()


Script = Callable[[Peer], Awaitable[None]]


@contextlib.asynccontextmanager
async def scripted_server(script: Script, host: str = "127.0.0.1") -> AsyncGenerator[Address]:
    """A listening server whose connections run `script`; a script that fails fails the test."""
    failures: list[BaseException] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(Peer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        except BaseException as error:  # noqa: BLE001 - handed to the test below
            failures.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, 0)
    try:
        yield Address(host, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
    if failures:
        raise failures[0]


Bodies = Mapping[str, bytes | HBaseError]


def answering(
    bodies: Bodies,
    *,
    cluster_id: str | None = None,
    stamp: Stamp | None = None,
    seen: list[str] | None = None,
) -> Script:
    """A registry server: `bodies` by method name, and to `Regist` the cluster id, or the complaint of an old server.

    `seen` collects the names of what was asked.
    """
    asked = seen if seen is not None else []

    async def script(peer: Peer) -> None:
        six = await peer.reader.readexactly(6)
        if six == REGISTRY_PREAMBLE and cluster_id is not None:
            asked.append("Regist")
            peer.write(encode_answer(0xFFFF_FFFF, b"\x0a" + bytes((len(cluster_id),)) + cluster_id.encode()))
            return
        if six != b"HBas\x00\x50":
            asked.append(six.decode("latin-1"))
            peer.write(encode_error(0xFFFF_FFFF, unexpected_header(six, "127.0.0.1:1")))
            return
        await peer.read_block()
        while True:
            header, _ = await peer.read_call()
            asked.append(header.method_name)
            body = bodies[header.method_name]
            if isinstance(body, HBaseError):
                peer.write(encode_error(header.call_id, body))
                continue
            wants = any(pair.name == STAMP_ATTRIBUTE for pair in header.attribute)
            extra = encode_stamp(stamp) if stamp is not None and wants else b""
            peer.write(encode_answer(header.call_id, body, header_extra=extra))

    return script


async def hanging(peer: Peer) -> None:
    """Accept and say nothing, as a process that was stopped does."""
    await peer.hang()


async def closing(peer: Peer) -> None:
    """Read the hello and close without a word, as servers do that do not know the service."""
    await peer.reader.read(1000)


async def resetting(peer: Peer) -> None:
    """Reset at the first byte."""
    await peer.reader.read(1)
    peer.reset()


async def shouting(peer: Peer) -> None:
    """Speak HTTP."""
    peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await peer.hang()


@contextlib.contextmanager
def refused_address() -> Generator[Address]:
    """An address where nobody listens, kept free for as long as it is used."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Address("127.0.0.1", taken.getsockname()[1])


@contextlib.contextmanager
def unanswered_address() -> Generator[Address]:
    """An address that answers no SYN: its queue of connections is full and nobody accepts."""
    with contextlib.ExitStack() as open_sockets:
        listening = open_sockets.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            filler = open_sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        yield Address("127.0.0.1", listening.getsockname()[1])
