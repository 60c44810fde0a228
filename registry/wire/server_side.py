"""The server's side of a connection as a machine without sockets: bytes in, events out.

    HBas 00 50 | int32 n | ConnectionHeader n | frame | frame | ...            client to server
                                              | frame | frame | ...            server to client

A call is known by its id, which the client chooses; answers may come in any order. `TRANSITIONS` is the whole life
of a connection: no other place changes a state.

Source: org.apache.hadoop.hbase.ipc.ServerRpcConnection, NettyRpcFrameDecoder.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping

from protos.hbase import RPC_pb2
from registry.wire.calls import decode_request_header, encode_error, short_debug_string
from registry.wire.errors import (
    DoNotRetryIOException,
    HBaseError,
    ProtocolError,
    RequestTooBigException,
    UnknownServiceException,
)
from registry.wire.events import (
    CallRead,
    CallRefused,
    Closing,
    HeaderRead,
    PreambleAnswered,
    RegistryAsked,
    ServerEvent,
)
from registry.wire.framing import (
    INT32_MAX,
    LENGTH_BYTES,
    VARINT_BYTES_MAX,
    FrameReader,
    FrameTooLarge,
    decode_delimited,
    decode_varint,
)
from registry.wire.header import ConnectionInfo, decode_connection_header
from registry.wire.limits import WireLimits
from registry.wire.preamble import (
    PREAMBLE_BYTES,
    REGISTRY_PREAMBLE,
    SECURITY_NOT_ENABLED,
    SWITCH_TO_SIMPLE,
    PreambleKind,
    encode_preamble_error,
    encode_registry_answer,
    read_preamble,
    unable_to_read,
    unexpected_header,
    worded,
)


class ServerState(enum.Enum):
    """Where a server's connection is."""

    PREAMBLE = "preamble"
    """The next six bytes decide."""
    REGISTRY = "registry"
    """`Regist` was read; the face owes the answer, and nothing more is read."""
    TOKEN = "token"
    """Told to switch to simple; the one SASL token that the client had already sent is to be skipped."""
    HEADER = "header"
    """The connection header is next."""
    CALLS = "calls"
    """Requests follow, without end."""
    OVERSIZE = "oversize"
    """A request over the limit was announced; its header is still read, for the answer needs its call id."""
    CLOSED = "closed"
    """Nothing is read any more."""


class ServerInput(enum.Enum):
    """What can happen to a server's connection."""

    PREAMBLE_CALLS = "calls preamble"
    PREAMBLE_SASL = "sasl preamble"
    PREAMBLE_REGISTRY = "registry preamble"
    PREAMBLE_SECURITY = "security preamble"
    PREAMBLE_REFUSED = "unknown preamble"
    REGISTRY_ANSWERED = "registry answered"
    TOKEN_READ = "token"
    HEADER_READ = "connection header"
    HEADER_REFUSED = "refused connection header"
    CALL_READ = "call"
    CALL_REFUSED = "refused call"
    LENGTH_REFUSED = "length over the limit"
    OVERSIZE_ANSWERED = "oversize call answered"
    MALFORMED = "malformed bytes"
    CLOSED = "closed"


_PREAMBLE_INPUTS = {
    PreambleKind.CALLS: ServerInput.PREAMBLE_CALLS,
    PreambleKind.SASL: ServerInput.PREAMBLE_SASL,
    PreambleKind.REGISTRY: ServerInput.PREAMBLE_REGISTRY,
    PreambleKind.SECURITY: ServerInput.PREAMBLE_SECURITY,
    PreambleKind.REFUSED: ServerInput.PREAMBLE_REFUSED,
}

_S, _I = ServerState, ServerInput
TRANSITIONS: Mapping[tuple[ServerState, ServerInput], ServerState] = {
    (_S.PREAMBLE, _I.PREAMBLE_CALLS): _S.HEADER,
    (_S.PREAMBLE, _I.PREAMBLE_SASL): _S.TOKEN,
    (_S.PREAMBLE, _I.PREAMBLE_REGISTRY): _S.REGISTRY,
    (_S.PREAMBLE, _I.PREAMBLE_SECURITY): _S.PREAMBLE,
    (_S.PREAMBLE, _I.PREAMBLE_REFUSED): _S.CLOSED,
    (_S.REGISTRY, _I.REGISTRY_ANSWERED): _S.CLOSED,
    (_S.TOKEN, _I.TOKEN_READ): _S.HEADER,
    (_S.TOKEN, _I.LENGTH_REFUSED): _S.CLOSED,
    (_S.HEADER, _I.HEADER_READ): _S.CALLS,
    (_S.HEADER, _I.HEADER_REFUSED): _S.CLOSED,
    (_S.HEADER, _I.LENGTH_REFUSED): _S.CLOSED,
    (_S.CALLS, _I.CALL_READ): _S.CALLS,
    (_S.CALLS, _I.CALL_REFUSED): _S.CALLS,
    (_S.CALLS, _I.LENGTH_REFUSED): _S.OVERSIZE,
    (_S.CALLS, _I.MALFORMED): _S.CLOSED,
    (_S.OVERSIZE, _I.OVERSIZE_ANSWERED): _S.CLOSED,
    (_S.OVERSIZE, _I.MALFORMED): _S.CLOSED,
    **{(state, _I.CLOSED): _S.CLOSED for state in _S},
}
"""What each input makes of each state; a pair that is missing cannot happen."""


class ServerConnection:
    """The server's side. Feed it with `receive_data`, take events until there is none.

    `services` are the names that are served here; `peer_host`, `peer_port` and `local` (host:port) go into the
    texts of errors, which are HBase's.
    """

    __slots__ = (
        "_frame_bytes_max",
        "_limits",
        "_local",
        "_peer_host",
        "_peer_port",
        "_reader",
        "_services",
        "info",
        "state",
    )

    def __init__(
        self,
        services: Collection[str],
        limits: WireLimits,
        *,
        peer_host: str,
        peer_port: int,
        local: str,
        info: ConnectionInfo | None = None,
    ) -> None:
        self._services = services
        self._limits = limits
        self._peer_host = peer_host
        self._peer_port = peer_port
        self._local = local
        self._frame_bytes_max = limits.frame_bytes_max
        self._reader = FrameReader(limits.frame_bytes_max)
        self.info = info
        """What the connection header said; None before. One that was read elsewhere may be given at the start."""
        self.state = ServerState.PREAMBLE if info is None else ServerState.CALLS

    @property
    def buffered_bytes(self) -> int:
        """Bytes that have arrived and made no event yet."""
        return self._reader.buffered_bytes

    def receive_data(self, data: bytes) -> None:
        """Take what the peer sent; kept, not copied. After the end it is dropped."""
        if self.state is not ServerState.CLOSED:
            self._reader.feed(data)

    def next_event(self) -> ServerEvent | None:
        """The next thing that was understood, or None until more arrives."""
        match self.state:
            case ServerState.CALLS:
                return self._read_call()
            case ServerState.PREAMBLE:
                return self._read_preamble()
            case ServerState.HEADER:
                return self._read_header()
            case ServerState.TOKEN:
                return self._read_token()
            case ServerState.OVERSIZE:
                return self._refuse_oversize()
            case ServerState.REGISTRY | ServerState.CLOSED:
                return None

    def may_take(self, bytes_max: int) -> bool:
        """Whether calls come next, and no more than so many bytes of them have arrived."""
        return self.state is ServerState.CALLS and self._reader.buffered_bytes <= bytes_max

    def take_buffered(self) -> bytes:
        """Hand over what has arrived and made no event yet, for a reader of the same frames elsewhere."""
        return self._reader.take(self._reader.buffered_bytes) or b""

    def limit_frames(self, frame_bytes_max: int) -> None:
        """Take shorter requests than the limits say; for services whose requests are known to be short."""
        self._frame_bytes_max = frame_bytes_max
        if self.state is ServerState.CALLS:
            self._reader.frame_bytes_max = frame_bytes_max

    def close(self) -> None:
        """The peer is gone or shall be: forget what it sent."""
        self._move(ServerInput.CLOSED)

    # --- what a face sends ---------------------------------------------------------------------------------------

    def answer_registry(self, cluster_id: str | None) -> bytes:
        """The answer to RegistryAsked; without a cluster id the one that servers give who do not know `Regist`."""
        self._move(ServerInput.REGISTRY_ANSWERED)
        if cluster_id is None:
            return encode_preamble_error(unexpected_header(REGISTRY_PREAMBLE, f"{self._peer_host}:{self._peer_port}"))
        return encode_registry_answer(cluster_id)

    def unreadable_call(self, call: CallRead, cause: HBaseError) -> CallRefused:
        """The refusal of a call whose method or request the face cannot understand, with HBase's text for it."""
        return self._refusal(call.call_id, cause)

    # --- the steps -----------------------------------------------------------------------------------------------

    def _move(self, happened: ServerInput) -> None:
        self.state = TRANSITIONS[self.state, happened]
        if self.state is ServerState.CLOSED:
            self._reader.clear()

    def _read_preamble(self) -> ServerEvent | None:
        six_bytes = self._reader.take(PREAMBLE_BYTES)
        if six_bytes is None:
            return None
        kind, error = read_preamble(six_bytes, f"{self._peer_host}:{self._peer_port}")
        self._move(_PREAMBLE_INPUTS[kind])
        if error is not None:
            return Closing(error, encode_preamble_error(error))
        if kind is PreambleKind.REGISTRY:
            return RegistryAsked()
        if kind is PreambleKind.SECURITY:
            return PreambleAnswered("Securi", SECURITY_NOT_ENABLED)
        if kind is PreambleKind.SASL:
            return PreambleAnswered("SASL", SWITCH_TO_SIMPLE)
        return self._read_header()

    def _read_token(self) -> ServerEvent | None:
        self._reader.frame_bytes_max = self._limits.sasl_token_bytes_max
        try:
            if self._reader.next_frame() is None:
                return None
        except FrameTooLarge as error:
            self._move(ServerInput.LENGTH_REFUSED)
            return Closing(error)
        self._move(ServerInput.TOKEN_READ)
        return self._read_header()

    def _read_header(self) -> ServerEvent | None:
        self._reader.frame_bytes_max = self._limits.connection_header_bytes_max
        try:
            message = self._reader.next_frame()
            if message is None:
                return None
            info = decode_connection_header(message)
            if info.service not in self._services:
                raise UnknownServiceException(info.service)
        except FrameTooLarge as large:
            self._move(ServerInput.LENGTH_REFUSED)
            return Closing(large)
        except (HBaseError, ProtocolError) as error:
            self._move(ServerInput.HEADER_REFUSED)
            return Closing(error)  # without a word: real servers up to 2.6.4 close the channel here
        self.info = info
        self._reader.frame_bytes_max = self._frame_bytes_max
        self._move(ServerInput.HEADER_READ)
        return HeaderRead(info)

    def _read_call(self) -> ServerEvent | None:
        try:
            frame = self._reader.next_frame()
            if frame is None:
                return None
            header, body = self._decode_request_header(frame)
        except FrameTooLarge:
            self._move(ServerInput.LENGTH_REFUSED)
            return self._refuse_oversize()
        except ProtocolError as error:
            self._move(ServerInput.MALFORMED)
            return Closing(error)  # no call id to answer to
        call = self._decode_call(header, frame, body)
        self._move(ServerInput.CALL_READ if isinstance(call, CallRead) else ServerInput.CALL_REFUSED)
        return call

    def _decode_request_header(self, frame: bytes) -> tuple[RPC_pb2.RequestHeader, int]:
        start, stop = decode_delimited(frame, 0)
        if stop - start > self._limits.header_bytes_max:
            raise ProtocolError(f"request header of {stop - start} bytes", kind="header")
        return decode_request_header(frame[start:stop]), stop

    def _decode_call(self, header: RPC_pb2.RequestHeader, frame: bytes, offset: int) -> CallRead | CallRefused:
        """The call behind the header, or what HBase answers where it is not well formed."""
        if not header.request_param:
            shown = short_debug_string(header)
            cause = DoNotRetryIOException(f"Invalid request header: {shown}, should have param set in it")
            return self._refusal(header.call_id, cause)
        try:
            start, stop = _parameter(frame, offset, has_cells=header.HasField("cell_block_meta"))
            cells_bytes = header.cell_block_meta.length
            if cells_bytes > len(frame) - stop:
                there = len(frame) - stop
                raise ProtocolError(f"cell block of {cells_bytes} bytes announced, {there} are there", kind="length")
        except ProtocolError as error:
            return self._refusal(header.call_id, DoNotRetryIOException(str(error)))
        cells = frame[stop : stop + cells_bytes] if cells_bytes else b""
        return CallRead(header.call_id, header, frame[start:stop], cells, len(frame) + LENGTH_BYTES)

    def _refusal(self, call_id: int, cause: HBaseError) -> CallRefused:
        unable_to_read(cause, self._local, self._peer_host)
        return CallRefused(call_id, cause, encode_error(call_id, cause))

    def _refuse_oversize(self) -> ServerEvent | None:
        """Answer a request over the limit as soon as its header has come, then close.

        Nothing of it is kept beyond the header. Source: NettyRpcFrameDecoder#handleTooBigRequest.
        """
        reader = self._reader
        limit = self._limits.header_bytes_max
        head = reader.peek(LENGTH_BYTES + VARINT_BYTES_MAX)
        announced = int.from_bytes(head[:LENGTH_BYTES], "big")
        try:
            if all(byte & 0x80 for byte in head[LENGTH_BYTES:]) and len(head) < LENGTH_BYTES + VARINT_BYTES_MAX:
                return None
            header_bytes, start = decode_varint(head, LENGTH_BYTES)
            if header_bytes > limit:
                raise ProtocolError(f"request header of {header_bytes} bytes", kind="header")
            if reader.buffered_bytes < start + header_bytes:
                return None
            header = decode_request_header(reader.peek(start + header_bytes)[start:])
        except ProtocolError as error:
            self._move(ServerInput.MALFORMED)
            return Closing(error)
        text = (
            f"RPC data length of {announced} received from {self._peer_host} is greater than max allowed "
            f'{self._frame_bytes_max}. Set "hbase.ipc.max.request.size" on server to override this limit '
            "(not recommended)"
        )
        assert self.info is not None, "a call comes after the connection header"
        too_big = RequestTooBigException if self.info.has_minimum_version(1, 3) else DoNotRetryIOException
        told = worded(too_big(text))
        self._move(ServerInput.OVERSIZE_ANSWERED)
        return Closing(told, encode_error(header.call_id, told))


def _parameter(frame: bytes, offset: int, *, has_cells: bool) -> tuple[int, int]:
    """Where the parameter of a call lies. Raises ProtocolError as decode_delimited does.

    One that announces more than its frame has, and no cells behind it, is what is there: so does HBase, and
    hbase-driver 1.1.1 of PyPI writes every length from 128 on as another, larger one.

    Source: ServerRpcConnection#processRequest, where the end of the frame ends the parameter.
    """
    length, start = decode_varint(frame, offset)
    if len(frame) - start < length <= INT32_MAX and not has_cells:
        return start, len(frame)
    return decode_delimited(frame, offset)
