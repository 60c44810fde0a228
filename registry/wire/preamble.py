"""The first six bytes of a connection and what a server says to them.

`HBas`, version 0 and one byte for the authentication open an ordinary connection. Since 2.6 six ASCII letters may
come instead: `Regist` asks for the cluster id (the server answers and closes), `Securi` for the server's Kerberos
name (the connection stays open and an ordinary preamble follows). Answers to preambles have the call id -1.

Source: org.apache.hadoop.hbase.ipc.ServerRpcConnection#processPreamble, RpcClient.REGISTRY_PREAMBLE_HEADER and
SECURITY_PREAMBLE_HEADER (HBASE-25051, HBASE-28321); texts as recorded from 2.6.4.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from protos.hbase import Registry_pb2, RPC_pb2
from registry.wire.errors import (
    BadAuthException,
    FatalConnectionException,
    HBaseError,
    SecurityNotEnabledException,
    WrongVersionException,
    encode_exception,
)
from registry.wire.framing import delimited, encode_frame

PREAMBLE_BYTES = 6
MAGIC = b"HBas"
RPC_VERSION = 0
REGISTRY_PREAMBLE = b"Regist"
SECURITY_PREAMBLE = b"Securi"

PREAMBLE_CALL_ID = 0xFFFF_FFFF
"""Java's -1 in the unsigned field of ResponseHeader."""

SWITCH_TO_SIMPLE = b"\x00\x00\x00\x00\xff\xff\xff\xa8"
"""SASL status 0 (success) and -88: this server has no security, go on without.

Source: org.apache.hadoop.hbase.security.SaslUtil.SWITCH_TO_SIMPLE_AUTH."""


class AuthMethod(enum.IntEnum):
    """The last byte of the preamble."""

    SIMPLE = 80
    KERBEROS = 81
    DIGEST = 82


SIMPLE_PREAMBLE = MAGIC + bytes((RPC_VERSION, AuthMethod.SIMPLE))
"""What a client without security sends."""


class PreambleKind(enum.Enum):
    """What six bytes turn out to be."""

    CALLS = "calls"
    """`HBas` with simple authentication: the connection header comes next."""
    SASL = "sasl"
    """`HBas` with Kerberos or a token: a server without security tells the client to switch to simple."""
    REGISTRY = "registry"
    SECURITY = "security"
    REFUSED = "refused"
    """Anything else: `error` says what is wrong, it is answered, and the connection closed."""


class Preamble(NamedTuple):
    """What the client wants, and for REFUSED the error to answer."""

    kind: PreambleKind
    error: HBaseError | None = None


def read_preamble(six_bytes: bytes, peer: str) -> Preamble:
    """What the six bytes are; `peer` is `host:port` for the text of an error."""
    assert len(six_bytes) == PREAMBLE_BYTES
    if six_bytes == SIMPLE_PREAMBLE:
        return _CALLS
    if six_bytes == REGISTRY_PREAMBLE:
        return _REGISTRY
    if six_bytes == SECURITY_PREAMBLE:
        return _SECURITY
    if not six_bytes.startswith(MAGIC):
        return Preamble(PreambleKind.REFUSED, unexpected_header(six_bytes, peer))
    version, auth = six_bytes[4], int.from_bytes(six_bytes[5:], "big", signed=True)
    text = f"serverVersion={RPC_VERSION}, clientVersion={version}, authMethod={auth}, authName=unknown from {peer}"
    if version != RPC_VERSION:
        return Preamble(PreambleKind.REFUSED, worded(WrongVersionException(text)))
    if auth not in (AuthMethod.KERBEROS, AuthMethod.DIGEST):
        return Preamble(PreambleKind.REFUSED, worded(BadAuthException(text)))
    return _SASL


def unexpected_header(six_bytes: bytes, peer: str) -> HBaseError:
    """The error for six bytes that open nothing.

    Clients of 2.6 and later compare the class and the beginning of the text to learn that a server does not know
    their preamble, so neither may change. It is also the answer to `Regist` while no cluster id is known.
    """
    received = string_binary(six_bytes[: len(MAGIC)])
    text = f"Expected HEADER={MAGIC.decode()} but received HEADER={received} from {peer}"
    return worded(FatalConnectionException(text))


def string_binary(data: bytes) -> str:
    r"""Bytes as HBase prints them: ASCII as it is, backslash and the rest as `\xHH`.

    Source: org.apache.hadoop.hbase.util.Bytes#toStringBinary.
    """
    if not data.translate(None, _PLAIN):  # nothing is left of most keys, and so they are quickly told
        return data.decode("ascii")
    return "".join(chr(byte) if byte in _PLAIN else f"\\x{byte:02X}" for byte in data)


def worded(error: HBaseError) -> HBaseError:
    """The same error with its message as the whole text on the wire, as HBase sends what it says before any call."""
    error.stack_trace = error.message
    return error


def unable_to_read(cause: HBaseError, local: str, peer_host: str) -> HBaseError:
    """The refusal of a call that cannot be understood, as HBase words it; `local` is the server's host:port."""
    cause.message = f"/{local} is unable to read call parameter from client {peer_host}; {cause.message}"
    return worded(cause)


def encode_registry_answer(cluster_id: str) -> bytes:
    """The frame that answers `Regist`; the connection is closed after it."""
    answer = Registry_pb2.GetConnectionRegistryResponse(cluster_id=cluster_id)
    return encode_frame(_PREAMBLE_HEADER, delimited(answer.SerializeToString()))


def encode_preamble_error(error: HBaseError) -> bytes:
    """The frame that answers a preamble with an error."""
    header = RPC_pb2.ResponseHeader(call_id=PREAMBLE_CALL_ID, exception=encode_exception(error))
    return encode_frame(delimited(header.SerializeToString()))


_PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte != 0x5C)
"""What string_binary leaves as it is: printable ASCII but the backslash."""
_CALLS = Preamble(PreambleKind.CALLS)
_SASL = Preamble(PreambleKind.SASL)
_REGISTRY = Preamble(PreambleKind.REGISTRY)
_SECURITY = Preamble(PreambleKind.SECURITY)
_PREAMBLE_HEADER = delimited(RPC_pb2.ResponseHeader(call_id=PREAMBLE_CALL_ID).SerializeToString())
SECURITY_NOT_ENABLED = encode_preamble_error(worded(SecurityNotEnabledException("security is not enabled")))
"""The frame that answers `Securi` where there is no security."""
