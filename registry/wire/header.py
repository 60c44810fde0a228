"""The connection header: who calls, for which service, and how cells are to be written.

Layout after the preamble: `[int32 big-endian n][ConnectionHeader n]`; the message is not varint-delimited.

Source: org.apache.hadoop.hbase.ipc.ServerRpcConnection#processConnectionHeader, VersionInfoUtil.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from protos.hbase import HBase_pb2, RPC_pb2
from registry.wire.compression import COMPRESSORS
from registry.wire.errors import (
    EmptyServiceNameException,
    ProtocolError,
    UnsupportedCellCodecException,
    UnsupportedCompressionCodecException,
)
from registry.wire.framing import encode_frame
from registry.wire.text import lenient_text

KEY_VALUE_CODEC = "org.apache.hadoop.hbase.codec.KeyValueCodec"
KEY_VALUE_CODEC_WITH_TAGS = "org.apache.hadoop.hbase.codec.KeyValueCodecWithTags"
CELL_BLOCK_CODECS = frozenset((KEY_VALUE_CODEC, KEY_VALUE_CODEC_WITH_TAGS))
"""Codecs that `registry.wire.cellblock` reads and writes; a client that names another is closed, as by HBase."""

NO_ATTRIBUTES: Mapping[str, bytes] = {}

ENCODED_MAX = 64
"""Headers remembered as bytes: a client says the same to all servers, one for each service that it uses."""


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """What the connection header says; empty strings for what it leaves out."""

    service: str
    user: str = ""
    real_user: str = ""
    cell_block_codec: str = ""
    """Java class; empty where no cell blocks travel on the connection."""
    cell_block_compressor: str = ""
    """Java class, of `registry.wire.compression.COMPRESSORS`; empty where cell blocks travel as they are."""
    version: str = ""
    """The client's version as it writes it, such as `2.6.4`; Java clients send it, others do not."""
    version_major: int = 0
    version_minor: int = 0
    attributes: Mapping[str, bytes] = field(default_factory=lambda: NO_ATTRIBUTES)

    def has_minimum_version(self, major_number: int, minor_number: int) -> bool:
        """Whether the client says it is at least `major.minor`; one that says nothing is older than all."""
        return (self.version_major, self.version_minor) >= (major_number, minor_number)


def encode_connection_header(
    service: str,
    user: str,
    *,
    cell_block_codec: str = "",
    cell_block_compressor: str = "",
    version: HBase_pb2.VersionInfo | None = None,
) -> bytes:
    """The header with its length, as it follows the preamble."""
    version_bytes = None if version is None else version.SerializeToString()
    return _encoded(service, user, cell_block_codec, cell_block_compressor, version_bytes)


@functools.lru_cache(maxsize=ENCODED_MAX)
def _encoded(
    service: str, user: str, cell_block_codec: str, cell_block_compressor: str, version: bytes | None
) -> bytes:
    header = RPC_pb2.ConnectionHeader(user_info=RPC_pb2.UserInformation(effective_user=user), service_name=service)
    if cell_block_codec:
        header.cell_block_codec_class = cell_block_codec
    if cell_block_compressor:
        header.cell_block_compressor_class = cell_block_compressor
    if version is not None:
        header.version_info.ParseFromString(version)
    return encode_frame(header.SerializeToString())


def decode_connection_header(message: bytes) -> ConnectionInfo:
    """Read the message behind the length.

    Raises ProtocolError when it is no ConnectionHeader, EmptyServiceNameException, UnsupportedCellCodecException
    and UnsupportedCompressionCodecException. A compressor without a codec is not looked at. What newer clients
    add is ignored.
    """
    try:
        header = RPC_pb2.ConnectionHeader.FromString(message)
        if not header.service_name:
            raise EmptyServiceNameException("the connection header names no service")
        codec = lenient_text(header.cell_block_codec_class)
        if codec and codec not in CELL_BLOCK_CODECS:
            raise UnsupportedCellCodecException(codec)
        compressor = lenient_text(header.cell_block_compressor_class) if codec else ""
        if compressor and compressor not in COMPRESSORS:
            raise UnsupportedCompressionCodecException(compressor)
        version = header.version_info
        major, minor = _major_minor(version)
        return ConnectionInfo(
            service=lenient_text(header.service_name),
            user=lenient_text(header.user_info.effective_user),
            real_user=lenient_text(header.user_info.real_user),
            cell_block_codec=codec,
            cell_block_compressor=compressor,
            version=lenient_text(version.version),
            version_major=major,
            version_minor=minor,
            attributes={lenient_text(pair.name): pair.value for pair in header.attribute} or NO_ATTRIBUTES,
        )
    except DecodeError as error:
        raise ProtocolError(f"the connection header cannot be read: {error}", kind="header") from None


def _major_minor(version: HBase_pb2.VersionInfo) -> tuple[int, int]:
    """The fields of 2.0 and later, else what stands before the first two dots, else nothing."""
    if version.HasField("version_major") and version.HasField("version_minor"):
        return version.version_major, version.version_minor
    parts = lenient_text(version.version).split(".", 2)
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts[:2]):
        return 0, 0
    return int(parts[0]), int(parts[1])
