"""One connection of the server: bytes between a transport and the wire's machine.

Four ways for bytes, from the usual to the rare:

    look-ups         `_lookups`: found by the frame's bytes, all answers of one read joined in one write
    other calls      `_known_calls`: headers found by their bytes
    a first segment  `_hello`: preamble and header in one piece, the header known from another client
    all the rest     `_general`: the wire's machine, which is made when it is first needed

so an idle connection is this object and its transport.

Source: org.apache.hadoop.hbase.ipc.NettyServerRpcConnection, NettyRpcServerChannelWritabilityHandler.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import cast

from google.protobuf.message import DecodeError

from registry.rpc.context import IPV4_MAPPED, RpcContext
from registry.rpc.held import (
    PEER_DOES_NOT_READ,
    PEER_HAD_ITS_TURN,
    PEER_HAS_CALLS,
    RESUMED_BYTES_MAX,
    SERVER_DRAINS,
    HeldProtocol,
)
from registry.rpc.known_headers import PIECES_BYTES_MAX
from registry.rpc.services import Call, Method
from registry.wire.calls import encode_answer, encode_error
from registry.wire.errors import DoNotRetryIOException, HBaseError
from registry.wire.events import (
    CallRead,
    CallRefused,
    Closing,
    HeaderRead,
    PreambleAnswered,
    RegistryAsked,
    ServerEvent,
)  # fmt: skip
from registry.wire.framing import LENGTH_BYTES
from registry.wire.header import ConnectionInfo
from registry.wire.preamble import PREAMBLE_BYTES, REGISTRY_PREAMBLE, SIMPLE_PREAMBLE
from registry.wire.ready import REQUEST_BYTES_MAX, ReadyService
from registry.wire.server_side import ServerConnection
from registry.wire.stamp import wants_in, wants_stamp
from registry.wire.text import lenient_text

LOG = logging.getLogger(__name__)

_HEADER_START = PREAMBLE_BYTES + LENGTH_BYTES

EVENTS_PER_TURN = 128
"""What one connection gets of one turn of the loop through the machine, about a millisecond; then the others come."""


class RpcConnection(HeldProtocol):
    """Implements services.Caller for the calls that came on it."""

    __slots__ = ("_context", "_ready", "_wire", "calls", "info", "peer_host", "since_ms")
    _gathers = True
    """Whether answers of a turn go in one write."""

    def __init__(self, context: RpcContext) -> None:
        super().__init__()
        self._context = context
        self._wire: ServerConnection | None = None
        """Made when bytes come that no shorter way takes."""
        self._ready: ReadyService | None = None
        """The ready answers of the service that was asked for; None before the header, or where it has none."""
        self.info: ConnectionInfo | None = None
        """What the connection header said."""
        self.peer_host = ""
        self.since_ms = 0.0
        """When it was accepted; after the header, when bytes came last; while answers are not read, or it is being
        closed, since when."""
        self.calls = 0
        """Calls that have not been answered."""

    # --- the transport's calls -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it where there are too many."""
        context = self._context
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's are none by class
        peer = transport.get_extra_info("peername")
        self.peer_host = peer[0].removeprefix(IPV4_MAPPED) if peer else ""
        refusal = context.refusal(self.peer_host)
        if refusal:
            context.stats.connections_refused[refusal] += 1
            transport.abort()
            return
        self.is_open = True
        self.since_ms = context.now_ms
        context.opened(self)

    def moved(self, transport: asyncio.Transport) -> None:
        """Go on with another transport for the same peer."""
        self._transport = transport

    def changed(self) -> None:
        """It is of another class now: transports keep the methods of their protocol."""
        self._transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Answer what can be answered at once, and hand on the rest."""
        context = self._context
        context.stats.received_bytes += len(data)
        if not self.is_open:
            return
        wire = self._wire
        if self._ready is None or self.held:
            if self.info is None:
                if wire is None and self._hello(data):
                    return
            else:
                self.since_ms = context.now_ms
                if not self.held and (wire is None or wire.may_take(PIECES_BYTES_MAX)):
                    self._known_calls(data)
                    return
            self._general(data)
            return
        self.since_ms = context.now_ms
        if wire is not None and wire.buffered_bytes:
            if wire.buffered_bytes >= REQUEST_BYTES_MAX:
                self._general(data)
                return
            data = wire.take_buffered() + data  # a look-up that was cut in two
            context.received.release(self)
        self._lookups(self._ready, data, 0)

    def pause_writing(self) -> None:
        """The peer does not read as fast as it asks: stop reading from it."""
        context = self._context
        self._hold(PEER_DOES_NOT_READ)
        self.since_ms = context.now_ms
        for slow in context.unsent.hold(self, self._transport.get_write_buffer_size()):
            slow.close_slow_reader()

    def resume_writing(self) -> None:
        """The peer has read: go on with what it sent meanwhile."""
        self._context.unsent.release(self)
        self.since_ms = self._context.now_ms
        self._let_go(PEER_DOES_NOT_READ)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; its calls go on and their answers are dropped."""
        del exc  # a reset is as good an end as any
        self._leave()
        self._context.closed(self)

    # --- services.Caller -----------------------------------------------------------------------------------------

    def answer(self, call: Call, message: bytes, cells: bytes) -> None:
        """Send the answer of a call."""
        self._context.stats.calls[call.method.service, call.method.name] += 1
        if self.is_open:
            header = call.header
            extra = self._stamp(call.method.name) if header.attribute and wants_stamp(header) else b""
            self._write_late(encode_answer(call.call_id, message, cells, extra))
        self.drop(call)

    def fail(self, call: Call, error: BaseException) -> None:
        """Send the error of a call."""
        stats = self._context.stats
        stats.calls[call.method.service, call.method.name] += 1
        stats.exceptions[error.java_class if isinstance(error, HBaseError) else "java.io.IOException"] += 1
        if self.is_open:
            self._write_late(encode_error(call.call_id, error))
        self.drop(call)

    def drop(self, call: Call) -> None:
        """A call is over."""
        del call
        self._call_over()

    def go_on(self, wire: ServerConnection, event: ServerEvent) -> None:
        """What was kept waiting on purpose, and counted as a call, is done now."""
        if self.is_open:
            RpcConnection._dispatch(self, wire, event)
        self._call_over()

    def answer_late(self, frame: bytes) -> None:
        """What a call has waited for, its answer or its error; dropped where the client is gone."""
        if self.is_open:
            self._write_late(frame)
        self._call_over()

    def _count_call(self) -> None:
        """One more call that is not answered at once."""
        self.calls += 1
        if self.calls >= self._context.settings.calls_outstanding_max:
            self._hold(PEER_HAS_CALLS)

    def _call_over(self) -> None:
        self.calls -= 1
        assert self.calls >= 0, "a call ends once"
        if self.held & PEER_HAS_CALLS and self.calls <= self._context.settings.calls_outstanding_max // 2:
            self._let_go(PEER_HAS_CALLS)
        if self._context.is_draining and not self.calls:
            self.close()

    # --- the server's calls --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Send what is written, then close."""
        if self.is_open:
            self._send_gathered()
            self._leave()
            self.since_ms = self._context.now_ms
            self._transport.close()

    def drain(self) -> None:
        """Take no more calls; close when those that run are answered."""
        if self.calls:
            self._hold(SERVER_DRAINS)
        else:
            self.close()

    def abort(self) -> None:
        """Close now; what is not sent is lost."""
        self._leave()
        self._transport.abort()

    def close_slow_reader(self) -> None:
        """It took too long, or too much waits for it."""
        self._context.stats.slow_readers_closed += 1
        LOG.info("%s does not read its answers: closed", self.peer_host)
        self.abort()

    def check_times(self) -> None:
        """Close the connection where it has made the server wait for too long; called by the sweep."""
        context = self._context
        settings = context.settings
        waited_ms = context.now_ms - self.since_ms
        if not self.is_open or self.held & PEER_DOES_NOT_READ:
            if waited_ms > settings.slow_reader_timeout_ms:  # it may be closed, its last answers still not read
                self.close_slow_reader()
        elif self.info is None:
            if waited_ms > settings.handshake_timeout_ms and not self.calls:
                context.stats.slow_handshakes_closed += 1
                self.abort()
        elif waited_ms > settings.idle_timeout_ms and not self.calls:
            context.stats.idle_closed += 1
            self.close()

    # --- the three ways ------------------------------------------------------------------------------------------

    def _lookups(self, ready: ReadyService, data: bytes, offset: int) -> None:
        """Answer a batch of look-ups from `offset` on; hand on what begins with something else.

        One batch a turn: a peer that asks for more at once waits until the others had theirs.
        """
        out: list[bytes] = []
        offset, more = ready.answer_requests(data, offset, out)
        if out:
            self._write(b"".join(out))
        if offset == len(data):
            return
        if more:
            self._end_turn()
        self._general(data[offset:] if offset else data)

    def _known_calls(self, data: bytes) -> None:
        """Calls whose headers have come before; hands on what begins with something else."""
        assert self.info is not None, "calls come after the connection header"
        if self._wire is not None and self._wire.buffered_bytes:
            data = self._wire.take_buffered() + data  # a call that was cut in two
            self._context.received.release(self)
        known = self._context.known_headers(self.info.service)
        self._gather()
        try:
            taken_bytes, count = known.take_calls(data, self, self, EVENTS_PER_TURN)
        finally:
            self._send_gathered()
        if count == EVENTS_PER_TURN and self.is_open:
            self._end_turn()
        if taken_bytes < len(data) and self.is_open:
            self._general(data[taken_bytes:])

    def _hello(self, data: bytes) -> bool:
        """A first segment that holds all of `Regist`, or of preamble and header; False leaves it to the machine."""
        context = self._context
        if data == REGISTRY_PREAMBLE:
            answer = context.registry_answer
            if answer is None:
                return False
            self._registry_seen()
            self._write(answer)
            self.close()
            return True
        if len(data) < _HEADER_START or not data.startswith(SIMPLE_PREAMBLE):
            return False
        end = _HEADER_START + int.from_bytes(data[PREAMBLE_BYTES:_HEADER_START], "big")
        if end > len(data) or end - _HEADER_START > context.settings.limits.connection_header_bytes_max:
            return False
        info = context.known_header(data[_HEADER_START:end])
        if info is None:
            return False
        self._header_seen(info)
        if end < len(data):
            if self._ready is not None:
                self._lookups(self._ready, data, end)
            else:
                self._general(data[end:])
        return True

    def _general(self, data: bytes) -> None:
        """Through the machine."""
        wire = self._wire
        if wire is None:
            wire = self._wire = self._new_wire()
        wire.receive_data(data)
        self._pump(wire)

    def _new_wire(self) -> ServerConnection:
        context = self._context
        peer = self._transport.get_extra_info("peername")
        wire = ServerConnection(
            context.service_names,
            context.settings.limits,
            peer_host=self.peer_host,
            peer_port=peer[1] if peer else 0,
            local=context.local,
            info=self.info,
        )
        if self.info is not None:
            wire.limit_frames(context.frame_bytes_max(self.info.service))
        return wire

    def _pump(self, wire: ServerConnection) -> None:
        """Take events until there is none, or the peer has to wait."""
        context = self._context
        for _ in range(EVENTS_PER_TURN):
            if self.held or not self.is_open or (event := wire.next_event()) is None:
                break
            self._dispatch(wire, event)
        else:
            self._end_turn()
        if self.is_open:
            for hog in context.received.hold(self, wire.buffered_bytes):
                context.stats.slow_writers_closed += 1
                LOG.info("%s holds too much with unfinished requests: closed", hog.peer_host)
                hog.abort()

    def _dispatch(self, wire: ServerConnection, event: ServerEvent) -> None:
        stats = self._context.stats
        match event:
            case CallRead():
                self._call_read(wire, event)
            case HeaderRead():
                self._header_seen(event.info)
                wire.limit_frames(self._context.frame_bytes_max(event.info.service))
            case PreambleAnswered():
                stats.preambles[event.name] += 1
                self._write(event.reply)
            case RegistryAsked():
                self._registry_seen()
                self._write(wire.answer_registry(self._context.cluster_id))
                self.close()
            case CallRefused():
                stats.exceptions[event.error.java_class] += 1
                self._write(event.reply)
            case Closing():
                self._closing(event)

    def _closing(self, event: Closing) -> None:
        self._context.stats.count_closing(event.error, is_told=bool(event.reply))
        LOG.debug("closing %s: %s", self.peer_host, event.error)
        if event.reply:
            self._write(event.reply)
        self.close()

    def _call_read(self, wire: ServerConnection, read: CallRead) -> None:
        """Answer a look-up that took the long way; parse any other call and hand it to the scheduler."""
        assert self.info is not None, "a call comes after the connection header"
        context = self._context
        name = lenient_text(read.header.method_name)
        if self._ready is not None and (ready := self._ready.answers.get(name)) is not None:
            ready.count += 1
            if context.waiting is not None and (wants := wants_in(read.header)):
                self._count_call()
                context.waiting.take(self, self.info.service, read.header, wants)
                return
            self._write(ready.encode(read.call_id, self._stamp(name) if wants_stamp(read.header) else b""))
            return
        method = context.services.methods(self.info.service).get(name)
        if method is None:
            # Java wraps what it throws itself, and so tells the class in the text.
            cause = DoNotRetryIOException(f"java.lang.UnsupportedOperationException: {name[:200]}")
            self._dispatch(wire, wire.unreadable_call(read, cause))
            return
        try:
            request = method.request_type.FromString(read.param)
            if not request.IsInitialized():
                raise DecodeError(f"Message of type {request.DESCRIPTOR.full_name} is missing required fields")
        except DecodeError as error:
            self._dispatch(wire, wire.unreadable_call(read, DoNotRetryIOException(str(error)[:1000])))
            return
        self.submit(Call(
            self, method, read.header, request, read.cells, call_id=read.call_id, info=self.info,
            peer_host=self.peer_host, frame_bytes=read.frame_bytes, deadline_ms=float("inf"),
        ), read.header.timeout)  # fmt: skip

    def answer_at_once(self, call_id: int, method: Method, message: bytes, cells: bytes) -> None:
        """Send the answer of a request that was not made a call."""
        self._context.stats.calls[method.service, method.name] += 1
        self._write_late(encode_answer(call_id, message, cells))

    def wait_turn(self) -> None:
        """Let others have their turn first; what was received and not taken waits as it is."""
        scheduler = self._context.scheduler
        assert scheduler is not None, "who has calls has a scheduler"
        self._hold(PEER_HAD_ITS_TURN)
        scheduler.wait(partial(self._let_go, PEER_HAD_ITS_TURN))

    def submit(self, call: Call, timeout_ms: int) -> None:
        """Hand a call to the scheduler."""
        scheduler = self._context.scheduler
        assert scheduler is not None, f"{call.method.service} has methods, so the server has a scheduler"
        if timeout_ms:
            call.deadline_ms = scheduler.deadline_ms(timeout_ms)
        self._count_call()
        try:
            if call.info.cell_block_compressor:
                self._context.packed_calls.take(call, scheduler.submit, self, self._context.local)
            else:
                scheduler.submit(call)
        except HBaseError as error:
            self.fail(call, error)

    # --- small steps ---------------------------------------------------------------------------------------------

    def _header_seen(self, info: ConnectionInfo) -> None:
        context = self._context
        self.info = info
        self.since_ms = context.now_ms
        self._ready = context.ready.get(info.service)
        context.stats.authentication_successes += 1
        if context.observer is not None:
            context.observer.header_seen(self.peer_host, info)

    def _registry_seen(self) -> None:
        self._context.stats.preambles["Regist"] += 1
        if self._context.observer is not None:
            self._context.observer.registry_preamble_seen(self.peer_host)

    def _stamp(self, method: str) -> bytes:
        return self._context.stamp(method) if self._context.stamp is not None else b""

    def _write(self, data: bytes) -> None:
        self._context.stats.sent_bytes += len(data)
        self._transport.write(data)

    def _write_late(self, data: bytes) -> None:
        """Write the answer of a call; where the peer has left too much unread already, close instead."""
        if self.held & PEER_DOES_NOT_READ:
            waiting_bytes = self._transport.get_write_buffer_size()
            if waiting_bytes > self._context.settings.write_buffer_bytes_max:
                self.close_slow_reader()
                return
            self._write(data)
            for slow in self._context.unsent.hold(self, waiting_bytes + len(data)):
                slow.close_slow_reader()
        else:
            self._write_gathered(data, is_alone=self.calls <= 1 or not self._gathers)

    def _go_on(self) -> None:
        wire = self._wire
        if wire is not None and wire.buffered_bytes:
            if self._ready is not None and wire.buffered_bytes <= RESUMED_BYTES_MAX:
                self._lookups(self._ready, wire.take_buffered(), 0)
            elif self._ready is None and self.info is not None and wire.may_take(RESUMED_BYTES_MAX):
                self._known_calls(b"")
            else:
                self._pump(wire)

    def _leave(self) -> None:
        """Nothing is read or answered any more."""
        self.is_open = False
        self._gathered = None
        if self._wire is not None:
            self._wire.close()
            self._context.received.release(self)
