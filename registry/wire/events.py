"""What a connection has understood: one class for each thing that a face must act on.

An event that carries `reply` wants these bytes written; a face adds nothing to them.

Source: the branches of org.apache.hadoop.hbase.ipc.ServerRpcConnection and NettyRpcDuplexHandler.
"""

from __future__ import annotations

from dataclasses import dataclass

from protos.hbase import RPC_pb2
from registry.wire.errors import HBaseError, ProtocolError
from registry.wire.header import ConnectionInfo


@dataclass(frozen=True, slots=True)
class RegistryAsked:
    """The preamble `Regist`: answer with `ServerConnection.answer_registry`, then close."""


@dataclass(frozen=True, slots=True)
class PreambleAnswered:
    """Server: a preamble that the machine answers itself was read; the connection goes on."""

    name: str
    """`Securi`, or `SASL` for a client that was told to switch to simple."""
    reply: bytes


@dataclass(frozen=True, slots=True)
class HeaderRead:
    """Server: the connection header was read and accepted; calls may follow."""

    info: ConnectionInfo


@dataclass(frozen=True, slots=True)
class CallRead:
    """Server: one whole request. `param` is the request message, not yet parsed; `cells` its cell block."""

    call_id: int
    header: RPC_pb2.RequestHeader
    param: bytes
    cells: bytes
    frame_bytes: int


@dataclass(frozen=True, slots=True)
class CallRefused:
    """Server: a request that cannot be handed on; answered with `reply`, and the connection goes on."""

    call_id: int
    error: HBaseError
    reply: bytes


@dataclass(frozen=True, slots=True)
class Closing:
    """Server: the connection is over. Write `reply`, which is often empty as HBase says nothing either, and close."""

    error: HBaseError | ProtocolError
    reply: bytes = b""


@dataclass(frozen=True, slots=True)
class AnswerRead:
    """Client: the answer of a call; its id is -1 where a preamble is answered.

    `header_bytes` are the ResponseHeader as it came, for those who look for fields that HBase does not have.
    """

    call_id: int
    message: bytes
    cells: bytes
    header_bytes: bytes


@dataclass(frozen=True, slots=True)
class ErrorRead:
    """Client: the call was answered with an error; the connection goes on."""

    call_id: int
    error: HBaseError


@dataclass(frozen=True, slots=True)
class ConnectionFailed:
    """Client: the connection is over, and every call that is outstanding fails with `error`."""

    error: HBaseError | ProtocolError


ServerEvent = RegistryAsked | PreambleAnswered | HeaderRead | CallRead | CallRefused | Closing
ClientEvent = AnswerRead | ErrorRead | ConnectionFailed
