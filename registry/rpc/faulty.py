"""Connections that do what the server's faults say: other classes for the same objects.

While a fault is set each connection of the server is a `FaultyConnection`, and one that answers nothing any more is a
`SilentConnection` until it ends; otherwise all are plain, and faults cost nothing:

    RpcConnection ── the first fault ──► FaultyConnection ── hang-accept, half, a hung preamble ──► SilentConnection
                  ◄── all faults gone ──

A faulty connection takes no short way: every call goes through the wire's machine, is named, and asks the desk.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from registry.faults.machine import Decision
from registry.faults.rules import REGIST, SECURI, FaultKind
from registry.rpc.connection import RpcConnection
from registry.rpc.fault_view import FaultView
from registry.rpc.held import PEER_HAS_CALLS
from registry.rpc.services import Call
from registry.wire.calls import encode_answer, encode_error
from registry.wire.events import CallRead, PreambleAnswered, RegistryAsked, ServerEvent
from registry.wire.framing import delimited
from registry.wire.ready import ReadyAnswer, ReadyService
from registry.wire.server_side import ServerConnection
from registry.wire.stamp import wants_stamp
from registry.wire.text import lenient_text

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""struct linger: on, zero seconds. The kernel then sends RST instead of FIN."""

NOTHING = 0
"""Bytes of an answer that is dropped, and the connection with it."""

_CLUSTER_ID_TAG = b"\x0a"
"""Field 1 of GetClusterIdResponse."""


def become(connection: RpcConnection, kind: type[RpcConnection]) -> None:
    """Make a connection one of another class; all of them have the same slots."""
    if type(connection) is not kind:
        connection.__class__ = kind
        connection.changed()


class FaultyConnection(RpcConnection):
    """A connection of a server that has faults."""

    __slots__ = ()
    _gathers = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, and see whether it is one that meets a fault at once."""
        super().connection_made(transport)
        if not self.is_open:
            return
        decision = self._desk.at_accept(self.peer_host)
        if decision is None:
            return
        if decision.rule.kind is FaultKind.REFUSE:
            self.abort()
        else:
            self._fall_silent()

    @property
    def _desk(self) -> FaultView:
        desk = self._context.faults
        assert desk is not None, "only its desk makes connections faulty"
        return desk

    # --- no short ways -------------------------------------------------------------------------------------------

    def _hello(self, data: bytes) -> bool:
        del data
        return False

    def _lookups(self, ready: ReadyService, data: bytes, offset: int) -> None:
        del ready
        self._general(data[offset:] if offset else data)

    def _known_calls(self, data: bytes) -> None:
        self._general(data)

    # --- what happens --------------------------------------------------------------------------------------------

    def _dispatch(self, wire: ServerConnection, event: ServerEvent) -> None:
        method = _method(event)
        decision = self._desk.at_call(method, self.peer_host) if method else None
        if decision is None:
            super()._dispatch(wire, event)
            return
        match decision.rule.kind:
            case FaultKind.DELAY:
                self._delay(decision.delay_ms, wire, event)
            case FaultKind.HANG:
                if isinstance(event, CallRead):
                    self._desk.hung(self)
                else:  # a preamble: the connection is for nothing else
                    self._fall_silent()
            case FaultKind.HALF:
                self._half(decision.rule.half_bytes, wire, event)
            case FaultKind.DROP:
                self._half(NOTHING, wire, event)
            case FaultKind.RESET:
                self._reset()
            case FaultKind.STALE:
                self._stale(decision, wire, event)
            case FaultKind.WRONG_CLUSTER_ID:
                self._wrong_cluster_id(decision.rule.cluster_id, wire, event)
            case FaultKind.HANG_ACCEPT | FaultKind.REFUSE:
                raise AssertionError("these happen when a connection is taken")

    def _delay(self, delay_ms: float, wire: ServerConnection, event: ServerEvent) -> None:
        """Go on later; until then it counts as a call that runs, so a peer cannot pile them up."""
        desk = self._desk
        if not desk.may_delay():
            super()._dispatch(wire, event)
            return
        desk.delayed += 1
        self.calls += 1
        if self.calls >= self._context.settings.calls_outstanding_max:
            self._hold(PEER_HAS_CALLS)
        asyncio.get_running_loop().call_later(delay_ms / 1000, _delay_over, self, desk, wire, event)

    def _half(self, half_bytes: int | None, wire: ServerConnection, event: ServerEvent) -> None:
        match event:
            case RegistryAsked():
                self._registry_seen()
                self.write_part(wire.answer_registry(self._context.cluster_id), half_bytes)
            case PreambleAnswered():
                self._context.stats.preambles[event.name] += 1
                self.write_part(event.reply, half_bytes)
            case CallRead():
                ready = self._ready_answer(event)
                if ready is not None:
                    self.write_part(ready.encode(event.call_id, self._stamp_of(event)), half_bytes)
                    return
                desk = self._desk
                desk.half = (self, half_bytes)  # for `submit`, if it comes to that
                try:
                    super()._dispatch(wire, event)
                finally:
                    desk.half = None
            case _:
                raise AssertionError(f"{event} has no method")

    def submit(self, call: Call, timeout_ms: int) -> None:
        """Hand a call to the scheduler, with a caller of its own where half of its answer is asked for."""
        half = self._desk.half
        if half is not None and half[0] is self:
            call.caller = _HalfCaller(self, half[1])
        super().submit(call, timeout_ms)

    def _stale(self, decision: Decision, wire: ServerConnection, event: ServerEvent) -> None:
        kept = self._desk.kept(decision.number)
        if isinstance(event, RegistryAsked) and kept is not None:
            self._registry_seen()
            self._write(wire.answer_registry(kept.cluster_id))
            self.close()
            return
        if isinstance(event, CallRead) and kept is not None and self.info is not None:
            name = lenient_text(event.header.method_name)
            body = kept.bodies.get((self.info.service, name))
            if body is not None:
                self._ready_answer(event)
                stamp = kept.stamp(name, self._context.clock.monotonic_ms()) if wants_stamp(event.header) else b""
                self._write(encode_answer(event.call_id, body, header_extra=stamp))
                return
        super()._dispatch(wire, event)  # nothing of it was known then

    def _wrong_cluster_id(self, cluster_id: str, wire: ServerConnection, event: ServerEvent) -> None:
        if isinstance(event, RegistryAsked):
            self._registry_seen()
            self._write(wire.answer_registry(cluster_id))
            self.close()
        elif isinstance(event, CallRead) and self._ready_answer(event) is not None:
            body = _CLUSTER_ID_TAG + delimited(cluster_id.encode())
            self._write(encode_answer(event.call_id, body, header_extra=self._stamp_of(event)))
        else:
            super()._dispatch(wire, event)

    # --- small steps ---------------------------------------------------------------------------------------------

    def _ready_answer(self, read: CallRead) -> ReadyAnswer | None:
        """The ready answer of a call, counted as sent."""
        ready = self._ready.answers.get(lenient_text(read.header.method_name)) if self._ready is not None else None
        if ready is not None:
            ready.count += 1
        return ready

    def _stamp_of(self, read: CallRead) -> bytes:
        return self._stamp(lenient_text(read.header.method_name)) if wants_stamp(read.header) else b""

    def write_part(self, data: bytes, half_bytes: int | None) -> None:
        """Send the first bytes, never all, and then nothing more; of nothing, a reset.

        Of an answer that came later the connection may be a plain one again: its fault was for one call.
        """
        if half_bytes == NOTHING:
            FaultyConnection._reset(self)
            return
        part_bytes = len(data) // 2 if half_bytes is None else half_bytes
        self._write(data[: min(part_bytes, len(data) - 1)])
        FaultyConnection._fall_silent(self)

    def _fall_silent(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._context.received.release(self)
        self.since_ms = self._context.clock.monotonic_ms()
        become(self, SilentConnection)

    def _reset(self) -> None:
        opened: socket.socket | None = self._transport.get_extra_info("socket")
        if opened is not None:
            with contextlib.suppress(OSError):  # the peer was first
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.abort()


class SilentConnection(RpcConnection):
    """A connection that stays open, takes what comes, and says nothing. Its end is the client's, or the idle time."""

    __slots__ = ()
    _gathers = False

    def data_received(self, data: bytes) -> None:
        """Drop it: the kernel's buffer stays empty, so that the client's end is noticed."""
        self._context.stats.received_bytes += len(data)

    def check_times(self) -> None:
        """No handshake is waited for here; only the idle time counts."""
        context = self._context
        if context.now_ms - self.since_ms > context.settings.idle_timeout_ms:
            context.stats.idle_closed += 1
            self.abort()

    def _general(self, data: bytes) -> None:
        del data

    def _lookups(self, ready: ReadyService, data: bytes, offset: int) -> None:
        del ready, data, offset

    def _dispatch(self, wire: ServerConnection, event: ServerEvent) -> None:
        del wire, event

    def go_on(self, wire: ServerConnection, event: ServerEvent) -> None:
        """What was kept waiting is not done any more."""
        del wire, event
        self._call_over()

    def _write(self, data: bytes) -> None:
        del data


class _HalfCaller:
    """Stands before the connection of one call, and sends only a part of its answer. Implements services.Caller."""

    __slots__ = ("_connection", "_half_bytes")

    def __init__(self, connection: FaultyConnection, half_bytes: int | None) -> None:
        self._connection = connection
        self._half_bytes = half_bytes

    @property
    def is_open(self) -> bool:
        return self._connection.is_open

    def answer(self, call: Call, message: bytes, cells: bytes) -> None:
        self._send(encode_answer(call.call_id, message, cells))
        self.drop(call)

    def fail(self, call: Call, error: BaseException) -> None:
        self._send(encode_error(call.call_id, error))
        self.drop(call)

    def drop(self, call: Call) -> None:
        self._connection.drop(call)

    def _send(self, data: bytes) -> None:
        connection = self._connection
        if connection.is_open and not isinstance(connection, SilentConnection):
            FaultyConnection.write_part(connection, data, self._half_bytes)


def _method(event: ServerEvent) -> str:
    """By which name rules know it; empty for what is no question."""
    match event:
        case CallRead():
            return lenient_text(event.header.method_name)
        case RegistryAsked():
            return REGIST
        case PreambleAnswered(name=name) if name == SECURI:
            return SECURI
        case _:
            return ""


def _delay_over(connection: RpcConnection, desk: FaultView, wire: ServerConnection, event: ServerEvent) -> None:
    """Now: as a plain connection would, whatever faults are set meanwhile."""
    desk.delayed -= 1
    connection.go_on(wire, event)
