"""What HBase keeps in znodes: the envelope around every value, and the values that lookups need.

Layout of the data of a znode, integers big-endian:

    [0xFF][int32 n][n bytes: writer, such as `master:16000`, and 8 random bytes][payload]

A znode without data has no envelope. The payload is, except in the oldest clusters, `PBUF` and a message that is not
delimited. What has no 0xFF in front is taken as the payload, as HBase does.

All functions are pure. They raise ProtocolError when the bytes are not what HBase writes there.

Source: ZKMetadata (RecoverableZooKeeper before 2.2), ProtobufMagic, ProtobufUtil, MasterAddressTracker, ClusterId.
"""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from protos.hbase import ClusterId_pb2, ClusterStatus_pb2, HBase_pb2, ZooKeeper_pb2
from registry.lookup.snapshot import Master, MetaLocation, RegionServer
from registry.names import PORT_MAX, ServerName
from registry.wire.errors import ProtocolError
from registry.wire.text import is_text, lenient_text

ENVELOPE_MAGIC = 0xFF
SALT_BYTES = 8
PBUF = b"PBUF"
WRITER_BYTES_MAX = 65_000
"""gohbase takes no longer writer and salt than this; HBase itself writes some 20 bytes."""

META_ZNODE = "meta-region-server"
"""Name of the znode of the first replica of hbase:meta; the others have `-1`, `-2` behind it."""

TEXT_BYTES_MAX = 4096
"""Longest cluster id or date taken; HBase writes 36 and 28 bytes."""

TABLE_STATES = ("ENABLED", "DISABLED", "DISABLING", "ENABLING")

M = TypeVar("M", bound=Message)


def wrap(payload: bytes, writer: str, salt: bytes) -> bytes:
    """The data of a znode with `payload` in it, as the server `writer` would write it.

    `salt` is 8 random bytes: they let a server recognise its own write after a lost connection.
    """
    assert len(salt) == SALT_BYTES, "HBase expects a salt of eight bytes"
    if not payload:
        return b""
    name = writer.encode() + salt
    return b"".join((bytes((ENVELOPE_MAGIC,)), len(name).to_bytes(4, "big"), name, payload))


def unwrap(data: bytes) -> bytes:
    """The payload in the data of a znode; data without an envelope is the payload."""
    if not data or data[0] != ENVELOPE_MAGIC:
        return data
    if len(data) < 5:
        raise ProtocolError(f"envelope of a znode is cut off after {len(data)} bytes", kind="znode")
    name_bytes = int.from_bytes(data[1:5], "big", signed=True)
    if not 0 <= name_bytes <= min(WRITER_BYTES_MAX, len(data) - 5):
        raise ProtocolError(
            f"envelope of a znode announces {name_bytes} bytes of writer, {len(data) - 5} are there", kind="znode"
        )
    return data[5 + name_bytes :]


def wrap_message(message: Message, writer: str, salt: bytes) -> bytes:
    """The data of a znode with a message in it: envelope, `PBUF`, message."""
    return wrap(PBUF + message.SerializeToString(), writer, salt)


def encode_cluster_id(cluster_id: str, writer: str, salt: bytes) -> bytes:
    """Data of `hbaseid`."""
    return wrap_message(ClusterId_pb2.ClusterId(cluster_id=cluster_id), writer, salt)


def decode_cluster_id(data: bytes) -> str:
    """The cluster id from the data of `hbaseid`: a ClusterId, or plain text as before 0.96."""
    payload = unwrap(data)
    if payload.startswith(PBUF):
        cluster_id = _text(_parse(ClusterId_pb2.ClusterId, payload).cluster_id, "cluster id")
    else:
        try:
            cluster_id = payload.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise ProtocolError("cluster id is neither a message nor text", kind="znode") from None
    if not cluster_id or not cluster_id.isprintable() or len(cluster_id) > TEXT_BYTES_MAX:
        raise ProtocolError(f"cluster id of {len(payload)} bytes holds no printable text", kind="znode")
    return cluster_id


def encode_master(master: Master, writer: str, salt: bytes) -> bytes:
    """Data of `master` and of the children of `backup-masters`."""
    message = ZooKeeper_pb2.Master(
        master=encode_server_name(master.server_name), rpc_version=0, info_port=master.info_port & 0xFFFF_FFFF
    )
    return wrap_message(message, writer, salt)


def decode_master(data: bytes) -> Master:
    """The master from the data of `master` or of a child of `backup-masters`."""
    message = _parse(ZooKeeper_pb2.Master, unwrap(data))
    return Master(decode_server_name(message.master), _info_port(message.info_port))


def meta_replica_id(child: str) -> int | None:
    """Replica of hbase:meta that a child of the root znode tells of, or None for other children."""
    if not child.startswith(META_ZNODE):
        return None
    suffix = child[len(META_ZNODE) :]
    if not suffix:
        return 0
    digits = suffix[1:]
    well_formed = suffix[0] == "-" and digits.isascii() and digits.isdigit() and len(digits) <= 9
    return int(digits) if well_formed else None


def encode_meta_location(location: MetaLocation, writer: str, salt: bytes) -> bytes:
    """Data of `meta-region-server`; which replica it is stands in the name of the znode."""
    message = ZooKeeper_pb2.MetaRegionServer(
        server=encode_server_name(location.server_name),
        rpc_version=0,
        state=location.state,
    )
    return wrap_message(message, writer, salt)


def decode_meta_location(data: bytes, replica_id: int) -> MetaLocation:
    """Where a replica of hbase:meta is. A missing state means OPEN, as does one this HBase does not know."""
    message = _parse(ZooKeeper_pb2.MetaRegionServer, unwrap(data))
    state = ClusterStatus_pb2.RegionState.OPEN if not message.HasField("state") else message.state
    return MetaLocation(replica_id, decode_server_name(message.server), ClusterStatus_pb2.RegionState.State.Name(state))


def encode_region_server(server: RegionServer, writer: str, salt: bytes) -> bytes:
    """Data of a child of `rs`; the server's name is the name of the znode."""
    message = HBase_pb2.RegionServerInfo(infoPort=server.info_port)
    if server.version:
        version, fields = message.version_info, server.version.split(".")
        version.version = server.version
        version.url = version.revision = version.user = version.date = version.src_checksum = ""
        if len(fields) > 1 and fields[0].isdigit() and fields[1].isdigit():
            version.version_major, version.version_minor = int(fields[0]), int(fields[1])
    return wrap_message(message, writer, salt)


def decode_region_server(child: str, data: bytes) -> RegionServer:
    """A live region server from the name and the data of a child of `rs`; the data may be empty."""
    try:
        server_name = ServerName.parse(child)
    except ValueError as error:
        raise ProtocolError(str(error), kind="znode") from None
    payload = unwrap(data)
    if not payload:
        return RegionServer(server_name)
    message = _parse(HBase_pb2.RegionServerInfo, payload)
    return RegionServer(
        server_name,
        message.infoPort if 0 < message.infoPort <= PORT_MAX else -1,
        lenient_text(message.version_info.version)[:TEXT_BYTES_MAX],
    )


def encode_table_state(state: str, writer: str, salt: bytes) -> bytes:
    """Data of a child of `table`."""
    message = ZooKeeper_pb2.DeprecatedTableState(state=state)
    return wrap_message(message, writer, salt)


def decode_table_state(data: bytes) -> str:
    """ENABLED, DISABLED, DISABLING or ENABLING; 1.x calls the message Table, 2.x DeprecatedTableState."""
    message = _parse(ZooKeeper_pb2.DeprecatedTableState, unwrap(data))
    return ZooKeeper_pb2.DeprecatedTableState.State.Name(message.state)


def encode_cluster_up(start_date: str, writer: str, salt: bytes) -> bytes:
    """Data of `running`; `start_date` in the form of Java's Date.toString."""
    return wrap_message(ZooKeeper_pb2.ClusterUp(start_date=start_date), writer, salt)


def decode_cluster_up(data: bytes) -> str:
    """When the cluster was started, as the master wrote it."""
    start_date = lenient_text(_parse(ZooKeeper_pb2.ClusterUp, unwrap(data)).start_date)
    if len(start_date) > TEXT_BYTES_MAX:
        raise ProtocolError(f"start date of {len(start_date)} characters", kind="znode")
    return start_date


def encode_server_name(server_name: ServerName) -> HBase_pb2.ServerName:
    """The message for a server's name; Java's -1 for an unknown start code becomes 2^64-1."""
    return HBase_pb2.ServerName(
        host_name=server_name.host, port=server_name.port, start_code=server_name.start_code & (1 << 64) - 1
    )


def decode_server_name(message: HBase_pb2.ServerName) -> ServerName:
    """The name in a message of a peer; ProtocolError when the host is no text or the port is no port."""
    host = _text(message.host_name, "host name")
    if not host or len(host) > 255 or not host.isprintable() or " " in host or "," in host:
        raise ProtocolError(f"{host[:300]!r} is not a host name", kind="server name")
    if message.port > PORT_MAX:
        raise ProtocolError(f"{message.port} is not a port", kind="server name")
    start_code = message.start_code if message.HasField("start_code") else -1
    return ServerName(host, message.port, start_code - (1 << 64) if start_code >= 1 << 63 else start_code)


def _parse(kind: type[M], payload: bytes) -> M:
    if not payload.startswith(PBUF):
        raise ProtocolError(
            f"{kind.DESCRIPTOR.name} is expected, {len(payload)} bytes without PBUF are there", kind="znode"
        )
    try:
        message = kind.FromString(payload[len(PBUF) :])
    except DecodeError as error:
        raise ProtocolError(f"{kind.DESCRIPTOR.name} in a znode: {error}", kind="znode") from None
    if not message.IsInitialized():  # Java refuses it when it parses, the C implementation of Python's does not
        raise ProtocolError(f"{kind.DESCRIPTOR.name} in a znode lacks a required field", kind="znode")
    return message


def _text(value: str, what: str) -> str:
    if not is_text(value):
        raise ProtocolError(f"{what} is not UTF-8: {lenient_text(value)[:300]}", kind="znode")
    return value


def _info_port(info_port: int) -> int:
    """Port of the pages; -1, the uint32 of it, 0 and whatever is no port mean that there are none."""
    return info_port if 0 < info_port <= PORT_MAX else -1
