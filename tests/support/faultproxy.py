"""A TCP proxy that hurts on command: what lies between a client and its server in a bad network.

It runs a loop of its own in a thread, so that tests of any kind can use it; all verbs may be called from anywhere and
return when they hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

HOST = "127.0.0.1"
PIECE_BYTES = 65536


class _Link:
    """One proxied connection: two pumps, and what the client sent when recording."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.sent = bytearray()
        self.tasks: list[asyncio.Task[None]] = []

    def reset(self) -> None:
        for writer in (self.client, self.server):
            if writer is not None:
                raw = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                writer.transport.abort()
        for task in self.tasks:
            task.cancel()


class TcpFaultProxy:
    """Listens on a free port of loopback and passes everything on to `target`."""

    def __init__(self, target: tuple[str, int], *, record: bool = False, host: str = HOST) -> None:
        self.target = target
        self.host = host
        self.port = 0
        self._record = record
        self._delay_s = 0.0
        self._flows = asyncio.Event()
        self._refuse = False
        self._links: list[_Link] = []
        self.recordings: list[bytes] = []
        """What each closed or open connection sent towards the server, in order of connecting; filled by `close`."""
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._thread.start()
        self._call(self._flows.set)
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def links(self) -> int:
        """Connections that are open now."""
        return self._call(lambda: sum(any(not task.done() for task in link.tasks) for link in self._links))

    def black_hole(self) -> None:
        """Bytes vanish from sight: connections stay open, new ones are accepted, nothing passes and nobody is told."""
        self._call(self._flows.clear)

    def cut(self) -> None:
        """Reset every connection and every new one."""
        self._call(lambda: self._set_refuse(True))

    def drop_connections(self) -> None:
        """Reset every connection; new ones are welcome."""
        self._call(self._reset_all)

    def delay(self, delay_ms: float) -> None:
        """Hold every piece back for this long, in both directions."""
        self._call(lambda: setattr(self, "_delay_s", delay_ms / 1000))

    def heal(self) -> None:
        """Pass everything on again; what the black hole held arrives late, as in a real network."""

        def healed() -> None:
            self._refuse = False
            self._delay_s = 0.0
            self._flows.set()

        self._call(healed)

    def close(self) -> None:
        """End the proxy and its thread."""

        def end() -> None:
            if self._server is not None:
                self._server.close()
            self.recordings = [bytes(link.sent) for link in self._links]
            self._set_refuse(True)  # for those too that were accepted, or connect to the target, at this moment

        self._call(end)
        for _ in range(2):
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), self._loop).result(5)
            self._call(self._reset_all)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result(5)  # the last transports close in it
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    # --- on the proxy's loop -------------------------------------------------------------------------------------

    def _call(self, action: Callable[[], T]) -> T:
        async def run() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def _set_refuse(self, refuse: bool) -> None:
        self._refuse = refuse
        self._reset_all()

    def _reset_all(self) -> None:
        for link in self._links:
            link.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.append(link)
        if self._refuse:
            link.reset()
            return
        try:
            back, link.server = await asyncio.open_connection(*self.target)
        except OSError:
            link.reset()
            return
        if self._refuse:
            link.reset()
            return
        pumps = (self._pump(reader, link.server, link, True), self._pump(back, writer, link, False))
        link.tasks = [asyncio.create_task(pump) for pump in pumps]
        await asyncio.wait(link.tasks)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, towards_server: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                if towards_server and self._record:
                    link.sent += piece
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._flows.wait()
                writer.write(piece)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()
