"""Takes connections, and serves those that ask once and go without making a transport for them.

Most connections to a registry are short: a client connects, asks for the cluster id and closes. A transport of the
loop costs more than all else that such a connection needs, so here the first segment is read where the connection is
accepted, and answered on the bare socket. Whoever asks again, does not read, or has to wait gets a transport of the
loop then, with everything in the order in which it came:

    accept -> Visit: first segment ── closes ──────────────► gone: no transport was made
                          │ is silent: one epoll for all visits
                          └ speaks again, or cannot be written to ──► transport of the loop

Measured beside a transport for each, processor time of one connection on a shared machine: connect, ask, close 49 ->
43 us; `Regist` 40 -> 31 us; accept, read, write and close alone take some 20. An idle connection costs less memory
too. Linux only: elsewhere every connection gets its transport.

Source: accept(2), epoll(7), TCP_DEFER_ACCEPT in tcp(7).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import select
import socket
from typing import Any, cast

from registry.rpc.connection import RpcConnection
from registry.rpc.context import IPV4_MAPPED, RpcContext
from registry.wire.preamble import REGISTRY_PREAMBLE

LOG = logging.getLogger(__name__)

ACCEPTS_PER_TURN = 32
"""Connections taken in one turn of the loop, about a millisecond; then calls on other connections have theirs."""

VISITS_PER_TURN = 128
"""Visits that are read in one turn: most of them only say that they are gone."""

READ_BYTES_MAX = 65_536
"""One read of a visit; a first segment has some hundred bytes."""

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Errors of accept(2) that come again at once until something is closed."""

EXHAUSTED_PAUSE_S = 1.0


class Visit(asyncio.Transport):
    """A connection on a bare socket, as its protocol sees it; may become a transport of the loop at any time.

    Unlike a transport of the loop it tells `connection_lost` before `close` and `abort` return.
    """

    __slots__ = (
        "_connection",
        "_is_paused",
        "_peer",
        "_reception",
        "_unsent",
        "_unsent_bytes",
        "is_gone",
        "is_moving",
        "socket",
    )

    def __init__(self, reception: Reception, accepted: socket.socket, peer: object, connection: RpcConnection) -> None:
        self.socket = accepted
        self.is_gone = False
        """Closed by either side."""
        self.is_moving = False
        """A transport of the loop is being made for it."""
        self._reception = reception
        self._peer = peer
        self._connection: RpcConnection | None = connection
        self._is_paused = False
        self._unsent: list[bytes] = []
        """What the kernel did not take; the loop's transport sends it."""
        self._unsent_bytes = 0

    # --- asyncio.Transport ---------------------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The peer's address and the socket; nothing else is known here."""
        if name == "peername":
            return self._peer
        return self.socket if name == "socket" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Nothing to do: it has one connection for life, whose class may change, and asks it each time."""
        assert protocol is self._connection, "one connection for life"

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send at once what the kernel takes."""
        if self.is_gone:
            return
        sent = 0
        if not self._unsent:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                pass
            except OSError:
                return  # the peer is gone; reading will tell
        if sent < len(data):
            begins = not self._unsent
            self._unsent.append(bytes(data[sent:]))
            self._unsent_bytes += len(data) - sent
            self.move()
            if begins and self._connection is not None:
                self._connection.pause_writing()  # else it would answer all that was asked, and keep it

    def close(self) -> None:
        """Close when all is sent."""
        if self.is_gone:
            return
        if self._unsent:
            self._is_paused = True
            self.is_gone = True
        else:
            self.abort()

    def abort(self) -> None:
        """Close now."""
        if self.is_gone and not self._unsent:
            return
        self.is_gone = True
        self._unsent.clear()
        self._unsent_bytes = 0
        if not self.is_moving:
            self._reception.forget(self)
            self._end()

    def is_closing(self) -> bool:
        """Whether it is closed or will be."""
        return self.is_gone

    def is_reading(self) -> bool:
        """Whether what comes is read."""
        return not self._is_paused and not self.is_gone

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._is_paused = True
        self.move()

    def resume_reading(self) -> None:
        """Read again."""
        self._is_paused = False

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel has not taken."""
        return self._unsent_bytes

    # --- the reception's calls -----------------------------------------------------------------------------------

    def read(self) -> None:
        """Take what has come: the first segment is for the protocol here, later ones make a transport."""
        try:
            data = self.socket.recv(READ_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        connection = self._connection
        if not data or connection is None:
            self.abort()
        elif connection.info is None:
            connection.data_received(data)
        else:
            self.move(data)

    def move(self, received: bytes = b"") -> None:
        """Have a transport of the loop made, which goes on with what was received."""
        if not self.is_moving:
            self.is_moving = True
            self._reception.leave(self)
            self._reception.promote(self, received)

    def arrive(self, transport: asyncio.Transport, received: bytes) -> None:
        """The loop's transport is there: hand over, in the order in which things came."""
        connection = self._connection
        assert connection is not None, "it ends only where no transport comes"
        transport.set_protocol(connection)
        if self.is_gone and not self._unsent:
            transport.abort()
            return
        connection.moved(transport)
        if self._is_paused:
            transport.pause_reading()
        if self._unsent:
            transport.write(b"".join(self._unsent))
            if not self.is_gone:
                connection.resume_writing()  # the transport says itself when it is too much
        if self.is_gone:
            transport.close()
        elif received:
            connection.data_received(received)

    def lose(self) -> None:
        """No transport could be made: the connection ends."""
        self.is_gone = True
        self._end()

    def _end(self) -> None:
        self.socket.close()
        connection, self._connection = self._connection, None  # no cycle is left for the collector
        if connection is not None:
            connection.connection_lost(None)


class _Arrival(asyncio.Protocol):
    """Stands in until the loop has made the transport."""

    def __init__(self, visit: Visit, received: bytes) -> None:
        self._visit = visit
        self._received = received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._visit.arrive(cast("asyncio.Transport", transport), self._received)


class Reception:
    """Accepts on listening sockets; belongs to the loop that starts it."""

    def __init__(self, context: RpcContext, listeners: list[socket.socket]) -> None:
        self._context = context
        self._listeners = listeners
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._visits: dict[int, Visit] = {}
        """Those that are silent, by file descriptor."""
        self._moves: set[asyncio.Task[None]] = set()
        self._pauses: set[asyncio.TimerHandle] = set()
        self._is_closed = False
        self._loop.add_reader(self._epoll.fileno(), self._read_visits)
        for listener in listeners:
            self._listen(listener)

    @property
    def visits(self) -> int:
        """Connections without a transport of their own that are silent now."""
        return len(self._visits)

    def stop_listening(self) -> None:
        """Take no more connections; those that are here stay."""
        for pause in self._pauses:
            pause.cancel()
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())
            listener.close()
        self._listeners = []

    def close(self) -> None:
        """End when the last connection is gone."""
        self.stop_listening()
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            for move in self._moves:
                move.cancel()

    def leave(self, visit: Visit) -> None:
        """A visit moves: its socket stays open."""
        if self._visits.pop(visit.socket.fileno(), None) is not None:
            self._epoll.unregister(visit.socket.fileno())

    def forget(self, visit: Visit) -> None:
        """A visit is over: the kernel takes its socket out of the epoll when it is closed."""
        self._visits.pop(visit.socket.fileno(), None)

    def promote(self, visit: Visit, received: bytes) -> None:
        """Make a transport of the loop for a visit."""
        move = self._loop.create_task(self._promote(visit, received))
        self._moves.add(move)
        move.add_done_callback(self._moves.discard)

    async def _promote(self, visit: Visit, received: bytes) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: _Arrival(visit, received), visit.socket)
        except OSError:
            visit.lose()

    def _listen(self, listener: socket.socket) -> None:
        self._loop.add_reader(listener.fileno(), self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                accepted, peer = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                self._pause(listener, error)
                return
            accepted.setblocking(False)
            self._receive(accepted, peer)

    def _receive(self, accepted: socket.socket, peer: tuple[str, int]) -> None:
        try:
            data = accepted.recv(READ_BYTES_MAX)
        except BlockingIOError:
            data = None
        except OSError:
            data = b""
        if data == REGISTRY_PREAMBLE and self._tell_registry(accepted, peer[0]):
            return
        connection = self._context.new_connection(self._context)
        visit = Visit(self, accepted, peer, connection)
        connection.connection_made(visit)
        if visit.is_gone:
            return
        if data:
            connection.data_received(data)
        elif data is not None:
            visit.abort()
        if not visit.is_gone and not visit.is_moving:
            descriptor = accepted.fileno()
            self._visits[descriptor] = visit
            self._epoll.register(descriptor, select.EPOLLIN)

    def _tell_registry(self, accepted: socket.socket, peer_host: str) -> bool:
        """Answer `Regist`, which is all that its connection is for, without making one; False leaves it to one."""
        context = self._context
        answer, peer_host = context.registry_answer, peer_host.removeprefix(IPV4_MAPPED)
        if answer is None or context.refusal(peer_host):
            return False
        stats = context.stats
        stats.connections_accepted += 1
        stats.connections_closed += 1
        stats.received_bytes += len(REGISTRY_PREAMBLE)
        stats.sent_bytes += len(answer)
        stats.preambles["Regist"] += 1
        if context.observer is not None:
            context.observer.registry_preamble_seen(peer_host)
        with contextlib.suppress(OSError):  # the client has gone
            accepted.send(answer)  # an empty buffer takes it whole
        accepted.close()
        return True

    def _read_visits(self) -> None:
        for descriptor, _ in self._epoll.poll(0, VISITS_PER_TURN):
            visit = self._visits.get(descriptor)
            if visit is not None:
                visit.read()

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        """Out of files or memory: those who wait stay in the kernel's queue until something was closed."""
        LOG.warning("no more connections for now: %s", error.strerror)
        self._loop.remove_reader(listener.fileno())

        def again() -> None:
            self._pauses.discard(pause)
            self._listen(listener)

        pause = self._loop.call_later(EXHAUSTED_PAUSE_S, again)
        self._pauses.add(pause)
