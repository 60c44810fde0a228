"""One question over a plain blocking socket: what start times and arrival times are measured with."""

from __future__ import annotations

import socket
import struct
import urllib.error
import urllib.request

from protos.hbase import HBase_pb2, Registry_pb2, RPC_pb2
from registry.names import Address, ServerName
from registry.wire.framing import decode_varint

TIMEOUT_S = 5.0
SOURCE = ("127.0.0.2", 0)
"""Whoever knocks on loopback until a server is there gets that server's own port as source one day, and then meets
itself (simultaneous open) and takes the port away. From another address that cannot happen."""
_PREAMBLE = b"HBas\x00\x50"
_HEADER = RPC_pb2.ConnectionHeader(
    user_info=RPC_pb2.UserInformation(effective_user="benchmark"), service_name="ClientMetaService"
).SerializeToString()
_HELLO = _PREAMBLE + struct.pack(">i", len(_HEADER)) + _HEADER


def _question(method: str) -> bytes:
    header = RPC_pb2.RequestHeader(call_id=1, method_name=method, request_param=True).SerializeToString()
    assert len(header) < 128, "its length is one byte of varint"
    return struct.pack(">i", len(header) + 2) + bytes([len(header)]) + header + b"\x00"  # header, empty parameter


_META, _MASTER = _question("GetMetaRegionLocations"), _question("GetActiveMaster")


class RegistryProbe:
    """A connection to ClientMetaService that asks the same as often as wanted."""

    def __init__(self, address: Address) -> None:
        """Connect; OSError where nobody listens."""
        self._socket = _connect(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_HELLO)

    def meta_location(self) -> ServerName | None:
        """Where replica 0 of hbase:meta is; None while the server does not know. OSError when the connection ends."""
        answer = Registry_pb2.GetMetaRegionLocationsResponse.FromString(self._ask(_META))
        for location in answer.meta_locations:
            if not location.region_info.replica_id:
                return _name(location.server_name)
        return None

    def active_master(self) -> ServerName | None:
        """The active master; None and OSError as above."""
        answer = Registry_pb2.GetActiveMasterResponse.FromString(self._ask(_MASTER))
        return _name(answer.server_name) if answer.HasField("server_name") else None

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _ask(self, question: bytes) -> bytes:
        self._socket.sendall(question)
        return _answer(self._socket)


def _connect(address: Address) -> socket.socket:
    return socket.create_connection((address.host, address.port), timeout=TIMEOUT_S, source_address=SOURCE)


def _answer(door: socket.socket) -> bytes:
    """The message in the next frame; ConnectionError for an exception, as for a closed connection."""
    frame = _exactly(door, struct.unpack(">i", _exactly(door, 4))[0])
    header_size, start = decode_varint(frame, 0)
    header = RPC_pb2.ResponseHeader.FromString(frame[start : start + header_size])
    if header.HasField("exception"):
        raise ConnectionError(header.exception.exception_class_name)
    body_size, start = decode_varint(frame, start + header_size)
    return frame[start : start + body_size]


def _exactly(door: socket.socket, size_bytes: int) -> bytes:
    pieces = b""
    while len(pieces) < size_bytes:
        piece = door.recv(size_bytes - len(pieces))
        if not piece:
            raise ConnectionError("the server hung up")
        pieces += piece
    return pieces


def _name(message: HBase_pb2.ServerName) -> ServerName:
    return ServerName(message.host_name, message.port, message.start_code)


def meta_location(address: Address) -> ServerName | None:
    """The answer of a new connection; None while nobody listens there or the answer is not known."""
    try:
        probe = RegistryProbe(address)
    except OSError:
        return None
    try:
        return probe.meta_location()
    except OSError:
        return None
    finally:
        probe.close()


def regist_answers(address: Address) -> bool:
    """Whether the `Regist` preamble is answered with a cluster id."""
    try:
        with _connect(address) as door:
            door.sendall(b"Regist")
            return bool(Registry_pb2.GetClusterIdResponse.FromString(_answer(door)).cluster_id)
    except OSError:
        return False


def http_answers(address: Address, path: str) -> bool:
    """Whether a page is there and is 200."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=TIMEOUT_S) as page:
            return page.status == 200
    except (OSError, urllib.error.URLError):
        return False
