"""The client's side of a connection as a machine without sockets: calls in as bytes out, answers in as events.

    preamble and header -> calls and answers         an ordinary connection; nothing is answered to the header
    `Regist`            -> one answer, then closed   asks for the cluster id (2.6 and later)
    `Securi`            -> one answer, then as new   asks for the Kerberos name (2.6 and later)

Preamble, header and the first calls may be sent in one segment. Who matches answers to calls is the caller.

Source: org.apache.hadoop.hbase.ipc.NettyRpcConnection, NettyRpcDuplexHandler, RpcConnection.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from protos.hbase import HBase_pb2
from registry.wire.calls import AnswerParts, decode_answer, encode_request
from registry.wire.compression import COMPRESSORS, Compression
from registry.wire.errors import FatalConnectionException, HBaseError, ProtocolError
from registry.wire.events import AnswerRead, ClientEvent, ConnectionFailed, ErrorRead
from registry.wire.framing import FrameReader
from registry.wire.header import encode_connection_header
from registry.wire.limits import WireLimits
from registry.wire.preamble import REGISTRY_PREAMBLE, SECURITY_PREAMBLE, SIMPLE_PREAMBLE


class ClientState(enum.Enum):
    """Where a client's connection is."""

    __hash__ = object.__hash__  # of the one object that each is: Enum's hashes the name, in Python, for each transition

    NEW = "new"
    """Nothing was sent, or only `Securi`, which has been answered."""
    REGISTRY = "registry"
    """`Regist` was sent; one answer comes, and the server closes."""
    SECURITY = "security"
    """`Securi` was sent; its answer comes first."""
    CALLS = "calls"
    """Preamble and header were sent; calls and answers, without end."""
    CLOSED = "closed"


class ClientInput(enum.Enum):
    """What can happen to a client's connection."""

    __hash__ = object.__hash__

    HELLO_SENT = "preamble and header sent"
    REGISTRY_SENT = "registry preamble sent"
    SECURITY_SENT = "security preamble sent"
    CALL_SENT = "call sent"
    ANSWER_READ = "answer"
    FAILED = "failed"
    CLOSED = "closed"


_S, _I = ClientState, ClientInput
CLIENT_TRANSITIONS: Mapping[tuple[ClientState, ClientInput], ClientState] = {
    (_S.NEW, _I.HELLO_SENT): _S.CALLS,
    (_S.NEW, _I.REGISTRY_SENT): _S.REGISTRY,
    (_S.NEW, _I.SECURITY_SENT): _S.SECURITY,
    (_S.REGISTRY, _I.ANSWER_READ): _S.CLOSED,
    (_S.SECURITY, _I.ANSWER_READ): _S.NEW,
    (_S.CALLS, _I.CALL_SENT): _S.CALLS,
    (_S.CALLS, _I.ANSWER_READ): _S.CALLS,
    **{(state, happened): _S.CLOSED for state in _S for happened in (_I.FAILED, _I.CLOSED)},
}
"""What each input makes of each state; a pair that is missing is a mistake of the caller."""


class ClientConnection:
    """The client's side. Write what `send_*` returns; feed it with `receive_data`, take events until there is none.

    `limits.frame_bytes_max` bounds an answer; HBase's clients have no limit.
    """

    __slots__ = ("_compression", "_frame_bytes_max", "_reader", "state")

    def __init__(self, limits: WireLimits | None = None) -> None:
        self._frame_bytes_max = (limits or WireLimits()).frame_bytes_max
        self._reader = FrameReader(self._frame_bytes_max)
        self._compression: Compression | None = None
        self.state = ClientState.NEW

    @property
    def buffered_bytes(self) -> int:
        """Bytes that have arrived and made no event yet."""
        return self._reader.buffered_bytes

    def send_hello(
        self,
        service: str,
        user: str,
        *,
        codec: str = "",
        compressor: str = "",
        version: HBase_pb2.VersionInfo | None = None,
    ) -> bytes:
        """Preamble and connection header. Servers decide by `version` which cells and errors a client understands.

        `codec` is of cell blocks. With a `compressor` of `registry.wire.compression` they travel compressed, and
        callers see them plain.
        """
        self._move(ClientInput.HELLO_SENT)
        self._compression = COMPRESSORS[compressor] if compressor else None
        return SIMPLE_PREAMBLE + encode_connection_header(
            service,
            user,
            cell_block_codec=codec,
            cell_block_compressor=compressor,
            version=version,
        )

    def send_registry_preamble(self) -> bytes:
        """`Regist`: answered by AnswerRead with a GetConnectionRegistryResponse, or by ConnectionFailed.

        A server that does not know it says FatalConnectionException and `Expected HEADER=`.
        """
        self._move(ClientInput.REGISTRY_SENT)
        return REGISTRY_PREAMBLE

    def send_security_preamble(self) -> bytes:
        """`Securi`: answered by AnswerRead with a SecurityPreamableResponse, or by ErrorRead without security."""
        self._move(ClientInput.SECURITY_SENT)
        return SECURITY_PREAMBLE

    def send_call(
        self,
        call_id: int,
        method: str,
        param: bytes,
        *,
        timeout_ms: int = 0,
        priority: int = 0,
        cells: bytes = b"",
        attributes: Mapping[str, bytes] | None = None,
    ) -> bytes:
        """One call; `call_id` is the caller's, not negative and unlike those that are outstanding."""
        self._move(ClientInput.CALL_SENT)
        if cells and self._compression is not None:
            cells = self._compression.compress(cells)
        return encode_request(
            call_id, method, param, timeout_ms=timeout_ms, priority=priority, cells=cells, attributes=attributes
        )

    def receive_data(self, data: bytes) -> None:
        """Take what the server sent. After the end it is dropped."""
        if self.state is not ClientState.CLOSED:
            self._reader.feed(data)

    def next_event(self) -> ClientEvent | None:
        """The next thing that was understood, or None until more arrives."""
        if self.state is ClientState.CLOSED:
            return None
        try:
            frame = self._reader.next_frame()
            if frame is None:
                return None
            if self.state is ClientState.NEW:
                raise ProtocolError("the server speaks before it was asked", kind="state")
            answer = decode_answer(frame)
            if answer.cells and self._compression is not None:
                answer = answer._replace(cells=self._compression.decompress(answer.cells, self._frame_bytes_max))
        except ProtocolError as error:
            return self._fail(error)
        return self._understand(answer)

    def close(self) -> None:
        """The connection is gone: forget what came."""
        self._move(ClientInput.CLOSED)

    def _understand(self, answer: AnswerParts) -> ClientEvent:
        if isinstance(answer.error, FatalConnectionException):
            return self._fail(answer.error)  # whatever its call id: the server closes
        self._move(ClientInput.ANSWER_READ)
        if answer.error is not None:
            return ErrorRead(answer.call_id, answer.error)
        return AnswerRead(answer.call_id, answer.message, answer.cells, answer.header_bytes)

    def _fail(self, error: HBaseError | ProtocolError) -> ConnectionFailed:
        self._move(ClientInput.FAILED)
        return ConnectionFailed(error)

    def _move(self, happened: ClientInput) -> None:
        self.state = CLIENT_TRANSITIONS[self.state, happened]
        if self.state is ClientState.CLOSED:
            self._reader.clear()
