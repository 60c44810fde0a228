"""Many who follow one server, in a process of their own that does as little as it can.

    python -m benchmarks.followers sse|grpc HOST:PORT COUNT

Follows `/api/v1/events` on plain sockets, or WatchRegistry over some gRPC channels. Reads names from standard input,
one a line, and says for each when everybody had received something with that name in it:
`{"told": COUNT, "first_s": ..., "median_s": ..., "last_s": ...}`, moments of `time.monotonic`, which all processes of
one machine share. Ends with its input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc
import grpc.aio

from registry.names import Address

CONNECTING_MAX = 64
"""At once: the server reads so many requests besides its followers."""
CHANNELS = 20
"""Of gRPC, each a connection."""
WAIT_S_MAX = 20.0
NICE = 10
"""Whoever measures look-ups beside them, on the same processors, goes first: real followers are on other machines."""
MESSAGE_BYTES_MAX = 16 << 20
WATCH = "/hbeacon.registry.v1.Registry/WatchRegistry"


class Round:
    """What is waited for, and who has seen it."""

    def __init__(self) -> None:
        """Nothing is waited for yet."""
        self.name = b"\0"
        self.arrivals: list[float] = []
        self._wanted = 0
        self._all = asyncio.Event()

    def begin(self, name: bytes, wanted: int) -> None:
        """Wait for the name from now on."""
        self.name, self._wanted = name, wanted
        self.arrivals = []
        self._all.clear()

    def arrived(self) -> None:
        """One more has seen it."""
        self.arrivals.append(time.monotonic())
        if len(self.arrivals) == self._wanted:
            self._all.set()

    async def all_told(self) -> None:
        """Until everybody has, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S_MAX):
                await self._all.wait()


class Follower(asyncio.Protocol):
    """One connection to /api/v1/events."""

    def __init__(self, request: bytes, current: Round, follows: asyncio.Future[None]) -> None:
        """`follows` is done when the first event has come."""
        self._request = request
        self._round = current
        self._seen = b""
        self._tail = b""
        self.follows = follows

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Look for the name, also where it was cut in two."""
        if not self.follows.done():
            if b"event: snapshot" in data:
                self.follows.set_result(None)
            elif not data.startswith(b"HTTP/1.1 200"):
                self.follows.set_exception(ConnectionError(data[:200].decode(errors="replace")))
        name = self._round.name
        if self._seen is not name and name in self._tail + data:
            self._seen = name
            self._round.arrived()
        self._tail = data[-len(name) :]

    def connection_lost(self, exc: Exception | None) -> None:
        """It was dropped; in the next round one is missing."""
        if not self.follows.done():
            self.follows.set_exception(exc or ConnectionError("closed"))


async def follow_events(address: Address, count: int, current: Round) -> None:
    """Connect so many, some at a time."""
    loop = asyncio.get_running_loop()
    request = f"GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n".encode()
    gate = asyncio.Semaphore(CONNECTING_MAX)

    async def connect() -> None:
        async with gate:
            follows: asyncio.Future[None] = loop.create_future()
            await loop.create_connection(lambda: Follower(request, current, follows), address.host, address.port)
            await follows

    await asyncio.gather(*(connect() for _ in range(count)))


async def follow_grpc(address: Address, count: int, current: Round) -> list[object]:
    """Open so many streams; what it gives keeps them open."""
    # Without a pool of their own, channels to one address share one connection.
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX))
    channels = [grpc.aio.insecure_channel(str(address), options=options) for _ in range(min(CHANNELS, count))]
    opened: list[asyncio.Future[None]] = []

    async def read(messages: AsyncIterator[bytes], follows: asyncio.Future[None]) -> None:
        seen = b""
        async for message in messages:
            if not follows.done():
                follows.set_result(None)
            name = current.name
            if seen is not name and name in message:
                seen = name
                current.arrived()

    tasks: list[object] = []
    for number in range(count):
        call = cast("Any", channels[number % len(channels)].unary_stream(WATCH)(b""))
        opened.append(asyncio.get_running_loop().create_future())
        tasks.append(asyncio.create_task(read(call, opened[-1])))
        if number % CONNECTING_MAX == CONNECTING_MAX - 1:
            await asyncio.gather(*opened)
    await asyncio.gather(*opened)
    return [channels, tasks]


async def run(kind: str, address: Address, count: int) -> None:
    """Follow, and answer the lines of standard input."""
    current = Round()
    began = time.monotonic()
    kept: object = await (follow_events if kind == "sse" else follow_grpc)(address, count, current)
    _say({"following": count, "took_s": time.monotonic() - began})
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        current.begin(line.strip(), count)
        _say({"waits": line.decode().strip()})
        await current.all_told()
        arrivals = sorted(current.arrivals)
        told: dict[str, float] = {"told": len(arrivals)}
        if arrivals:
            told |= {"first_s": arrivals[0], "median_s": arrivals[len(arrivals) // 2], "last_s": arrivals[-1]}
        _say(told)
    del kept


def _say(words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run until the input ends."""
    import uvloop

    kind, address, count = sys.argv[1], Address.parse(sys.argv[2]), int(sys.argv[3])
    os.nice(NICE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(kind, address, count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
