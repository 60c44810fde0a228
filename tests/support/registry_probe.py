"""Asks a server for registry answers with a plain socket, and keeps the bytes that came back.

Nothing of registry.wire or registry.rpc is used: these are what is being checked. One connection per question, as a
starting client does; the bytes of a question are those of hbase-client 2.6.4. Source: NettyRpcConnection, RPC.proto.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from protos.hbase import Registry_pb2, RPC_pb2
from tests.support.hbase import server_name_text

METHODS = ("GetClusterId", "GetActiveMaster", "GetMasters", "GetMetaRegionLocations", "GetBootstrapNodes")
REGISTRY_PREAMBLE = b"Regist"
SECURITY_PREAMBLE = b"Securi"


class ChannelClosedError(Exception):
    """The server closed or reset the connection before it had answered."""


@dataclass(frozen=True)
class RawAnswer:
    """A frame that answers a call: its parts, without the length prefixes."""

    header: bytes
    body: bytes

    @property
    def exception(self) -> str:
        """The Java class of the error, or nothing."""
        return RPC_pb2.ResponseHeader.FromString(self.header).exception.exception_class_name


def varint(number: int) -> bytes:
    """Protobuf's base-128 varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _cut_varint(data: bytes, offset: int) -> tuple[int, int]:
    shift = number = 0
    while True:
        byte = data[offset]
        number |= (byte & 0x7F) << shift
        offset += 1
        if byte < 0x80:
            return number, offset
        shift += 7


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            piece = connection.recv(count - len(data))
        except ConnectionResetError as error:
            raise ChannelClosedError("reset") from error
        if not piece:
            raise ChannelClosedError(f"closed after {data!r}")
        data += piece
    return data


def _frame(connection: socket.socket) -> bytes:
    (length,) = struct.unpack(">i", _exactly(connection, 4))
    return _exactly(connection, length)


def _answer(frame: bytes) -> RawAnswer:
    length, offset = _cut_varint(frame, 0)
    header, rest = frame[offset : offset + length], frame[offset + length :]
    if not rest:
        return RawAnswer(header, b"")
    length, offset = _cut_varint(rest, 0)
    return RawAnswer(header, rest[offset : offset + length])


def call(
    address: tuple[str, int],
    method: str,
    *,
    service: str = "ClientMetaService",
    body: bytes = b"",
    call_id: int = 0,
    timeout_s: float = 5.0,
) -> RawAnswer:
    """Connects, sends preamble, connection header and one call, and gives the frame that answers it."""
    hello = RPC_pb2.ConnectionHeader(service_name=service)
    hello.user_info.effective_user = "probe"
    hello.cell_block_codec_class = "org.apache.hadoop.hbase.codec.KeyValueCodec"
    hello_bytes = hello.SerializeToString()
    header = RPC_pb2.RequestHeader(call_id=call_id, method_name=method, request_param=True).SerializeToString()
    parts = varint(len(header)) + header + varint(len(body)) + body
    request = struct.pack(">i", len(hello_bytes)) + hello_bytes + struct.pack(">i", len(parts)) + parts
    with socket.create_connection(address, timeout=timeout_s) as connection:
        connection.sendall(b"HBas\x00\x50" + request)
        return _answer(_frame(connection))


def preamble(address: tuple[str, int], word: bytes, timeout_s: float = 5.0) -> RawAnswer:
    """Sends six bytes and gives the answer: the first field is taken as ResponseHeader, as hbase-client 2.6 does."""
    with socket.create_connection(address, timeout=timeout_s) as connection:
        connection.sendall(word)
        return _answer(_frame(connection))


def raw_exchange(address: tuple[str, int], data: bytes, timeout_s: float = 5.0) -> bytes:
    """Every byte the server sends until it closes, or until it has been silent for the time-out."""
    received = b""
    with socket.create_connection(address, timeout=timeout_s) as connection:
        connection.sendall(data)
        try:
            while piece := connection.recv(65536):
                received += piece
        except (TimeoutError, ConnectionResetError):
            pass
    return received


def active_master(address: tuple[str, int]) -> str:
    """`host,port,startcode` as the server answers now, or nothing where it leaves the field out."""
    answer = Registry_pb2.GetActiveMasterResponse.FromString(call(address, "GetActiveMaster").body)
    return server_name_text(answer.server_name) if answer.HasField("server_name") else ""


def meta_location(address: tuple[str, int]) -> str:
    """The server of replica 0 as the server answers now, or nothing."""
    answer = Registry_pb2.GetMetaRegionLocationsResponse.FromString(call(address, "GetMetaRegionLocations").body)
    for location in answer.meta_locations:
        if location.region_info.replica_id == 0:
            return server_name_text(location.server_name)
    return ""


def handed_out(address: tuple[str, int]) -> tuple[list[str], list[str]]:
    """The addresses in GetMasters and in GetBootstrapNodes, each `host:port`."""
    masters = Registry_pb2.GetMastersResponse.FromString(call(address, "GetMasters").body)
    nodes = Registry_pb2.GetBootstrapNodesResponse.FromString(call(address, "GetBootstrapNodes").body)
    return (
        [f"{entry.server_name.host_name}:{entry.server_name.port}" for entry in masters.master_servers],
        [f"{name.host_name}:{name.port}" for name in nodes.server_name],
    )
