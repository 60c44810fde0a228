"""The calling side of a connection: calls out, answers matched by id, and one clear error when the connection goes.

    await RpcChannel.connect(address, "ClientMetaService")
    await channel.call("GetActiveMaster", request, response_type, timeout_ms=2000)

Any number of calls may be outstanding; answers come in any order. All of it belongs to one loop. Every error is an
HBaseError: ConnectException where no connection could be made, CallTimeoutException, ConnectionClosedException, or
what the server answered. A call that is cancelled or late is forgotten, its answer dropped when it comes.

Source: org.apache.hadoop.hbase.ipc.NettyRpcConnection, NettyRpcDuplexHandler, RegistryProtocol preamble HBASE-25051.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar, cast

from google.protobuf.message import DecodeError, Message

from protos.hbase import HBase_pb2, Registry_pb2
from registry.names import Address
from registry.wire.connection import ClientConnection
from registry.wire.errors import (
    CallTimeoutException,
    ConnectException,
    ConnectionClosedException,
    FatalConnectionException,
    HBaseError,
    ProtocolError,
)
from registry.wire.events import AnswerRead, ClientEvent, ConnectionFailed, ErrorRead
from registry.wire.limits import WireLimits
from registry.wire.stamp import STAMP_ATTRIBUTE, Stamp, decode_stamp
from registry.wire.text import is_text

M = TypeVar("M", bound=Message)

CONNECT_TIMEOUT_MS = 10_000
"""hbase.ipc.client.socket.timeout.connect"""
READ_TIMEOUT_MS = 20_000
"""hbase.ipc.client.socket.timeout.read"""
RPC_TIMEOUT_MS = 60_000
"""hbase.rpc.timeout"""

CALL_IDS = 1 << 31
"""Java reads the id as an int, and the negative ones are taken."""

TIMEOUT_MS_MAX = CALL_IDS - 1
"""Java keeps a time-out in an int."""

PREAMBLE_ANSWER_ID = -1
"""Call id of the answer to a preamble."""

OLD_SERVER = "Expected HEADER="
"""How a server that does not know the preamble `Regist`, or not yet the cluster id, begins its complaint."""

_ERRNO = re.compile(r"\[Errno (\d{1,6})\]")
_ASKS_FOR_STAMP: Mapping[str, bytes] = {STAMP_ATTRIBUTE: b"1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered, not yet parsed. `stamp` is set by servers that know it, where it was asked for."""

    message: bytes
    cells: bytes
    stamp: Stamp | None


class RpcChannel:
    """One connection to one service of one server."""

    def __init__(self, address: Address, service: str, *, read_timeout_ms: float = READ_TIMEOUT_MS) -> None:
        """Use `connect`: a channel made by hand is connected to nothing."""
        self.address = address
        self.service = service
        self._read_timeout_s = read_timeout_ms / 1000
        self._loop = asyncio.get_running_loop()
        self._link: _Link | None = None
        self._calls: dict[int, asyncio.Future[AnswerRead]] = {}
        """Calls without an answer, by id; a call that nobody waits for any more is not in it."""
        self._next_id = 0
        self._lost: HBaseError | None = None
        """Why no call can be made any more; set once."""
        self._waiting_since = 0.0
        """Loop time at which the first of the outstanding calls was sent."""
        self._unheard_since = 0.0
        """Loop time of the first call after which nothing was answered, whether anybody still waits for it or not."""
        self._read_timer: asyncio.TimerHandle | None = None

    @classmethod
    async def connect(
        cls,
        address: Address,
        service: str,
        *,
        user: str = "hbeacon",
        connect_timeout_ms: float = CONNECT_TIMEOUT_MS,
        read_timeout_ms: float = READ_TIMEOUT_MS,
        cell_block_codec: str = "",
        compressor: str = "",
        version: HBase_pb2.VersionInfo | None = None,
        limits: WireLimits | None = None,
    ) -> Self:
        """Connect and say hello; the server answers nothing, so a service it does not know shows in the first call.

        `connect_timeout_ms` covers looking the host up and every address it has. Raises ConnectException.
        """
        channel = cls(address, service, read_timeout_ms=read_timeout_ms)
        machine = ClientConnection(limits)
        hello = machine.send_hello(service, user, codec=cell_block_codec, compressor=compressor, version=version)
        link = _Link(machine, channel.event, channel.lost)
        await _open(address, link, connect_timeout_ms)
        channel._link = link
        link.write_with_next(hello)
        return channel

    @property
    def is_open(self) -> bool:
        """Whether calls can still be made."""
        return self._link is not None and self._lost is None

    @property
    def calls_outstanding(self) -> int:
        """Calls that somebody waits for."""
        return len(self._calls)

    @property
    def silent_ms(self) -> float:
        """How long the server has answered nothing since it was asked; 0 where nothing was asked since its last answer.

        Calls that were cancelled count: whoever asks a server that hangs gives up sooner than a time-out would.
        """
        if self._link is None or self._unheard_since <= self._link.answered_at:
            return 0.0
        return (self._loop.time() - self._unheard_since) * 1000

    async def call(
        self,
        method: str,
        request: Message,
        response_type: type[M],
        *,
        timeout_ms: float = RPC_TIMEOUT_MS,
        priority: int = 0,
        attributes: Mapping[str, bytes] | None = None,
    ) -> M:
        """Call `method` and give the parsed answer. Raises HBaseError."""
        answer = await self.call_bytes(
            method, request.SerializeToString(), timeout_ms=timeout_ms, priority=priority, attributes=attributes
        )
        return self.parse(method, answer.message, response_type)

    async def call_stamped(
        self,
        method: str,
        request: Message,
        response_type: type[M],
        *,
        timeout_ms: float = RPC_TIMEOUT_MS,
        wants: Mapping[str, bytes] | None = None,
    ) -> tuple[M, Stamp | None]:
        """As `call`, and ask how new the answer is; None from servers that do not tell.

        `wants` are attributes of registry.wire.stamp.WANTS; Stamp.wants_met tells whether the server has heeded them.
        """
        attributes = {**_ASKS_FOR_STAMP, **wants} if wants else _ASKS_FOR_STAMP
        answer = await self.call_bytes(
            method, request.SerializeToString(), timeout_ms=timeout_ms, attributes=attributes
        )
        return self.parse(method, answer.message, response_type), answer.stamp

    async def call_bytes(
        self,
        method: str,
        param: bytes,
        *,
        timeout_ms: float = RPC_TIMEOUT_MS,
        priority: int = 0,
        cells: bytes = b"",
        attributes: Mapping[str, bytes] | None = None,
    ) -> Answer:
        """Call with an encoded request. The time-out is told to the server, which drops what nobody waits for."""
        if self._lost is not None:
            raise type(self._lost)(self._lost.message)
        assert self._link is not None, "connected by RpcChannel.connect"
        call_id = self._new_id()
        answer: asyncio.Future[AnswerRead] = self._loop.create_future()
        if not self._calls:
            self._waiting_since = self._loop.time()
        self._calls[call_id] = answer
        # A timer that fails the answer: asyncio.timeout around all of it costs three times as much, for each call.
        late = self._loop.call_later(timeout_ms / 1000, self._late, answer, method, timeout_ms)
        try:
            if self._link.is_full:
                await self._link.may_write(answer)
            if self.is_open and not answer.done():  # else the answer holds the reason
                if self._unheard_since <= self._link.answered_at:
                    self._unheard_since = self._loop.time()
                self._link.write(
                    self._link.machine.send_call(
                        call_id,
                        method,
                        param,
                        timeout_ms=max(1, round(min(timeout_ms, TIMEOUT_MS_MAX))),
                        priority=priority,
                        cells=cells,
                        attributes=attributes,
                    )
                )
                self._watch_silence()
            read = await answer
        finally:
            late.cancel()
            self._calls.pop(call_id, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # taken: the loop must not call it lost when both happen at once
        wants_stamp = attributes is not None and STAMP_ATTRIBUTE in attributes
        return Answer(read.message, read.cells, decode_stamp(read.header_bytes) if wants_stamp else None)

    def parse(self, method: str, message: bytes, response_type: type[M]) -> M:
        """The answer as a message; a connection whose peer answers nonsense is closed."""
        try:
            response = response_type.FromString(message)
            if not response.IsInitialized():
                raise DecodeError("a required field is missing")
        except DecodeError as error:
            text = f"the answer of {self.address} to {method} is no {response_type.DESCRIPTOR.name}: {error}"
            self._end(ConnectionClosedException(text))
            raise ConnectionClosedException(text) from None
        return response

    def close(self) -> None:
        """End the connection now; outstanding calls fail. May be called again."""
        self._end(ConnectionClosedException(f"the connection to {self.address} was closed by this side"))

    async def wait_closed(self) -> None:
        """Until the socket is closed."""
        if self._link is not None:
            await self._link.closed.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await self.wait_closed()

    def event(self, event: ClientEvent) -> None:
        """What the machine understood; called by the link."""
        if isinstance(event, ConnectionFailed):
            self._end(_closing_error(self.address, event.error))
            return
        answer = self._calls.pop(event.call_id, None)
        if answer is None or answer.done():
            return  # late, or of a call that was cancelled: Java skips it too
        if isinstance(event, AnswerRead):
            answer.set_result(event)
        else:
            answer.set_exception(event.error)

    def lost(self, reason: str) -> None:
        """The connection is gone; called by the link."""
        count = len(self._calls)
        calls = f" with {count} {'call' if count == 1 else 'calls'} outstanding" if count else ""
        self._end(ConnectionClosedException(f"the connection to {self.address} was lost{calls}: {reason}"))

    def _end(self, error: HBaseError) -> None:
        if self._lost is not None:
            return
        self._lost = error
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
        calls, self._calls = self._calls, {}
        for answer in calls.values():
            if not answer.done():
                answer.set_exception(type(error)(error.message))  # each its own: tracebacks grow on shared ones
        if self._link is not None:
            self._link.close()

    def _new_id(self) -> int:
        while self._next_id in self._calls:
            self._next_id = (self._next_id + 1) % CALL_IDS
        call_id = self._next_id
        self._next_id = (call_id + 1) % CALL_IDS
        return call_id

    def _late(self, answer: asyncio.Future[AnswerRead], method: str, timeout_ms: float) -> None:
        if not answer.done():
            text = f"{method} on {self.address} was not answered within {timeout_ms:.0f} ms"
            answer.set_exception(CallTimeoutException(text))

    def _watch_silence(self) -> None:
        """One timer for all calls; it looks how long it has been quiet and goes on waiting for the rest."""
        if self._read_timer is None and self._lost is None:
            self._read_timer = self._loop.call_at(self._silent_at(), self._silent)

    def _silent_at(self) -> float:
        """Loop time at which it will have been quiet for too long, if nothing arrives before."""
        heard_at = self._link.heard_at if self._link is not None else 0.0
        return max(self._waiting_since, heard_at) + self._read_timeout_s

    def _silent(self) -> None:
        self._read_timer = None
        if not self._calls:
            return
        if self._loop.time() < self._silent_at():
            self._watch_silence()
            return
        self._end(
            ConnectionClosedException(
                f"{self.address} sent nothing for {self._read_timeout_s * 1000:.0f} ms "
                f"with {len(self._calls)} {'call' if len(self._calls) == 1 else 'calls'} outstanding"
            )
        )


async def fetch_cluster_id(
    address: Address, timeout_ms: float, *, connect_timeout_ms: float = CONNECT_TIMEOUT_MS
) -> str | None:
    """The cluster id by the preamble `Regist`: no header, no call, no authentication.

    None from a server before 2.6 and from one that does not know the id yet: both complain in the same words, and
    clients go on without. `timeout_ms` covers all of it. Raises HBaseError for everything else.
    Source: ConnectionRegistryRpcStubHolder#fetchClusterIdAndCreateStubs.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[ClientEvent] = loop.create_future()

    def event(read: ClientEvent) -> None:
        if not answer.done():
            answer.set_result(read)

    def lost(reason: str) -> None:
        if not answer.done():
            answer.set_exception(
                ConnectionClosedException(f"{address} closed the connection without an answer to Regist: {reason}")
            )

    machine = ClientConnection()
    link = _Link(machine, event, lost)
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            await _open(address, link, min(connect_timeout_ms, timeout_ms))
            link.write(machine.send_registry_preamble())
            read = await answer
    except TimeoutError:
        raise CallTimeoutException(f"{address} did not answer Regist within {timeout_ms:.0f} ms") from None
    finally:
        if answer.done() and not answer.cancelled():
            answer.exception()
        link.close()
    return _cluster_id(address, read)


def _cluster_id(address: Address, read: ClientEvent) -> str | None:
    if isinstance(read, AnswerRead):
        try:
            response = Registry_pb2.GetConnectionRegistryResponse.FromString(read.message)
        except DecodeError as error:
            raise ConnectionClosedException(f"the answer of {address} to Regist cannot be read: {error}") from None
        if read.call_id != PREAMBLE_ANSWER_ID or not is_text(response.cluster_id):
            raise ConnectionClosedException(f"the answer of {address} to Regist is not of the preamble")
        return response.cluster_id or None
    error = read.error
    # Exactly this class: its subclasses complain of something else.
    if type(error) is FatalConnectionException and error.message.startswith(OLD_SERVER):
        return None
    raise error if isinstance(read, ErrorRead) else _closing_error(address, error)


def _closing_error(address: Address, error: HBaseError | ProtocolError) -> HBaseError:
    if isinstance(error, ProtocolError):
        return ConnectionClosedException(f"{address} does not speak the protocol: {error}")
    return error


async def _open(address: Address, link: _Link, timeout_ms: float) -> None:
    """Connect `link`; ConnectException says why not, in one line."""
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            await asyncio.get_running_loop().create_connection(lambda: link, address.host, address.port)
    except TimeoutError:
        raise ConnectException(f"{address} was not connected within {timeout_ms:.0f} ms") from None
    except socket.gaierror as error:
        raise ConnectException(f"{address}: no such host ({error.strerror or error})") from None
    except OSError as error:
        raise ConnectException(f"{address}: {_reason(error)}") from None


def _reason(error: BaseException | None) -> str:
    """Why a socket failed, in the words of the operating system."""
    if error is None:
        return "closed by the server"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionResetError):
        return "connection reset by the server"
    # A host with several addresses fails with one text about all of them: name each reason once.
    numbers = dict.fromkeys(int(number) for number in _ERRNO.findall(str(error)))
    return ", ".join(os.strerror(number).lower() for number in numbers) or str(error) or type(error).__name__


class _Link(asyncio.Protocol):
    """Bytes between a socket and the machine; events and the end go to the functions given."""

    def __init__(
        self, machine: ClientConnection, event: Callable[[ClientEvent], None], lost: Callable[[str], None]
    ) -> None:
        self.machine = machine
        self.closed = asyncio.Event()
        self.heard_at = 0.0
        """Loop time at which bytes last arrived."""
        self.answered_at = 0.0
        """Loop time at which an answer was last whole: half of one may be all that ever comes."""
        self._loop = asyncio.get_running_loop()
        self._event = event
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._held = b""
        """Goes out with what is written next, or by itself in the loop's next turn."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's are none by class
        if self.closed.is_set():  # given up while it was being made
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        self.machine.receive_data(data)
        while (event := self.machine.next_event()) is not None:
            self.answered_at = self.heard_at
            self._event(event)

    def connection_lost(self, exc: Exception | None) -> None:
        half = self.machine.buffered_bytes
        reason = _reason(exc) + (f", {half} bytes into an answer" if half else "")
        self.machine.close()
        self.closed.set()
        self._writable.set()
        self._lost(reason)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    @property
    def is_full(self) -> bool:
        """Whether the peer has not read what was written before."""
        return not self._writable.is_set()

    async def may_write(self, until: asyncio.Future[AnswerRead]) -> None:
        """Until the peer has read what was written before, or `until` is done."""
        wait = asyncio.ensure_future(self._writable.wait())
        try:
            await asyncio.wait((wait, until), return_when=asyncio.FIRST_COMPLETED)
        finally:
            wait.cancel()

    def write(self, data: bytes) -> None:
        """Send; after the end it is dropped."""
        if self._held:
            data, self._held = self._held + data, b""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def write_with_next(self, data: bytes) -> None:
        """Send together with what is written at once after it: one segment instead of two, for both sides."""
        self._held += data
        self._loop.call_soon(self._write_held)

    def _write_held(self) -> None:
        if self._held:
            self.write(b"")

    def close(self) -> None:
        """Drop the connection: nothing that is still to be sent matters once nobody waits for an answer."""
        if self._transport is None:
            self.closed.set()
            return
        self.machine.close()
        with contextlib.suppress(OSError):
            self._transport.abort()
