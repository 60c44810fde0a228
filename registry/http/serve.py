"""Uvicorn as a guest in a loop that is not its own: no signals, no log set-up, bounded connections."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Generator
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from registry.http.events import Stream
from registry.http.live import EVENTS_PATH, Live
from registry.http.process import LoopLag
from registry.names import Address

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 256
"""Probes, scrapers and some browsers need a dozen; more are closed unread."""
KEEP_ALIVE_S = 5
STALLED_S = 10.0
"""A connection on which one request has not come in, or one answer has not gone out, for one to two of these is cut."""
STOP_S = 1
"""What requests in flight are given when the face stops."""
HEADER_BYTES_MAX = 16 * 1024
BACKLOG = 128


class HttpServer:
    """A running face."""

    def __init__(
        self, server: uvicorn.Server, task: asyncio.Task[None], address: Address, lag: LoopLag, live: Live
    ) -> None:
        self._server = server
        self._task = task
        self._lag = lag
        self._live = live
        self.address = address
        """Where it listens; the real port where 0 was asked for."""

    def changed(self) -> None:
        """What look-ups answer has changed: tell those who follow."""
        self._live.changed()

    async def stop(self) -> None:
        """Stop listening, let requests in flight end within STOP_S, close. A second call changes nothing."""
        self._lag.stop()
        self._live.stop()
        self._server.should_exit = True
        await self._task


async def serve(app: FastAPI, host: str, port: int, *, listener: socket.socket | None = None) -> HttpServer:
    """Listen and answer on the running loop. Raises OSError when the address cannot be had.

    A role that binds before it loads this face passes its bound `listener`; host and port are then not looked at.
    """
    listener = listener or await _listen(host, port)
    bound = listener.getsockname()
    server = _Guest(
        uvicorn.Config(
            app,
            http=_BoundedProtocol,
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            log_level=logging.ERROR,  # below that are lines which any peer could cause at will
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S,
            h11_max_incomplete_event_size=HEADER_BYTES_MAX,
            backlog=BACKLOG,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        while not server.started:
            if task.done():
                await task
                raise OSError(f"HTTP could not be opened at {host}:{port}")
            await asyncio.sleep(0)
    except BaseException:
        task.cancel()
        listener.close()
        raise
    lag: LoopLag = app.state.lag
    lag.start(asyncio.get_running_loop())
    live: Live = app.state.live
    live.start(asyncio.get_running_loop())
    return HttpServer(server, task, Address(bound[0], bound[1]), lag, live)


async def _listen(host: str, port: int) -> socket.socket:
    """A bound socket of the first address that the name has."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


class _Guest(uvicorn.Server):
    """Signals are the role's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class _BoundedProtocol(H11Protocol):
    """Uvicorn times idle keep-alive only; this bounds the rest: how many connections, and how long one may stall.

    Who asks for events leaves it: the transport goes to a protocol that does nothing else (registry.http.events).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stall_timer: asyncio.TimerHandle | None = None
        self._routes: Any = self.app
        self._live: Live = self.config.app.state.live  # type: ignore[union-attr]
        self.app = self._route

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse by reset what is over the limit."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
        else:
            self._watch(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the watch."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        self.app = self._routes  # no cycle is left for the collector
        super().connection_lost(exc)

    async def _route(self, scope: Any, receive: Any, send: Any) -> None:
        """Events are not the app's business, wherever they can be had."""
        if scope["path"] == EVENTS_PATH and scope["method"] == "GET" and (stream := self._asked_for(scope)) is not None:
            host = (scope["client"] or ("",))[0].removeprefix("::ffff:")
            refusal = self._live.refusal(host)
            if refusal:
                await JSONResponse({"error": refusal, "path": EVENTS_PATH}, 503, {"retry-after": "5"})(
                    scope, receive, send
                )
            else:
                self._hand_over(scope, stream, host)
        else:
            await self._routes(scope, receive, send)

    def _asked_for(self, scope: Any) -> Stream | None:
        forms = parse_qs(scope["query_string"].decode("ascii", "replace")).get("as", ["registry"])
        return self._live.stream(forms[-1])

    def _hand_over(self, scope: Any, stream: Stream, host: str) -> None:
        transport = self.transport
        self.cycle.disconnected = True  # for uvicorn the exchange is over
        if transport.is_closing():
            return
        self.connections.discard(self)
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        self.app, self.cycle = self._routes, None  # type: ignore[assignment]  # no cycle is left for the collector
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        agent, last_id = headers.get(b"user-agent", ""), headers.get(b"last-event-id", "")
        self._live.follow(transport, stream, host, last_id, agent)

    def _watch(self, before: object) -> None:
        """Cut the connection when the exchange under way is still the one of the last look."""
        cycle = self.cycle
        if self._stall_timer is not None and cycle is before:
            log.debug("HTTP connection of %s stalled", self.client)
            self.transport.abort()
            return
        self._stall_timer = self.loop.call_later(STALLED_S, self._watch, cycle)
