"""Frames of calls and answers, encoded and taken apart.

    request:  [int32 total][varint n][RequestHeader n][varint m][request m][cell block]
    answer:   [int32 total][varint n][ResponseHeader n]([varint m][answer m][cell block], unless it is an exception)

An answer without exception has a message even where that is empty, one byte 00: Java and gohbase both miss it.

Source: org.apache.hadoop.hbase.ipc.ServerCall#setResponse, IPCUtil#write, ServerRpcConnection#processRequest.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from google.protobuf.message import DecodeError

from protos.hbase import HBase_pb2, RPC_pb2
from registry.wire.errors import HBaseError, ProtocolError, decode_exception, encode_exception
from registry.wire.framing import decode_delimited, delimited, encode_frame, encode_length, encode_varint

CALL_ID_SIGN = 0x8000_0000

_TAG_CALL_ID = b"\x08"
_TAG_CELL_BLOCK_META = b"\x1a"
_TAG_REQUEST_CELL_BLOCK_META = b"\x2a"
_TAG_PRIORITY = b"\x30"
_TAG_TIMEOUT = b"\x38"

REMEMBERED_MAX = 256
"""Encoded parts of request headers: methods and attributes that this process uses, which are a few dozen."""
REMEMBERED_SIZES_MAX = 4096
"""Sizes of cell blocks whose announcement is remembered: rows of a table are of few sizes."""
REMEMBERED_BYTES_MAX = 64
"""Longer attributes are a caller's own and differ each time."""


class AnswerParts(NamedTuple):
    """What an answer's frame holds: `error`, or a message and perhaps cells."""

    call_id: int
    error: HBaseError | None
    message: bytes
    cells: bytes
    header_bytes: bytes


def encode_request(
    call_id: int,
    method: str,
    param: bytes,
    *,
    timeout_ms: int = 0,
    priority: int = 0,
    cells: bytes = b"",
    attributes: Mapping[str, bytes] | None = None,
) -> bytes:
    """The frame of one call. A time-out or priority of 0 is left out, as is an empty cell block.

    The header is put together from parts, in the order of its fields, because most clients ask the same all day.
    """
    header = _TAG_CALL_ID + encode_varint(call_id) + _named(method)
    if cells:
        header += _TAG_REQUEST_CELL_BLOCK_META + delimited(_TAG_CALL_ID + encode_varint(len(cells)))
    if priority:
        header += _TAG_PRIORITY + encode_varint(priority)
    if timeout_ms:
        header += _TAG_TIMEOUT + encode_varint(timeout_ms)
    for name, value in (attributes or {}).items():
        header += _attribute(name, value) if len(value) <= REMEMBERED_BYTES_MAX else _attribute.__wrapped__(name, value)
    return encode_frame(delimited(header), delimited(param), cells)


@functools.lru_cache(maxsize=REMEMBERED_MAX)
def _named(method: str) -> bytes:
    return RPC_pb2.RequestHeader(method_name=method, request_param=True).SerializeToString()


@functools.lru_cache(maxsize=REMEMBERED_MAX)
def _attribute(name: str, value: bytes) -> bytes:
    pair = HBase_pb2.NameBytesPair(name=name, value=value)
    return RPC_pb2.RequestHeader(attribute=[pair]).SerializeToString()


def encode_answer(call_id: int, message: bytes, cells: bytes = b"", header_extra: bytes = b"") -> bytes:
    """The frame of an answer; `header_extra` are encoded fields put at the end of ResponseHeader."""
    call_field = _TAG_CALL_ID + encode_varint(call_id)
    before, meta, message_length = _around(len(call_field) + len(header_extra), len(message), len(cells))
    return b"".join((before, call_field, meta, header_extra, message_length, message, cells))


@functools.lru_cache(maxsize=REMEMBERED_SIZES_MAX)
def _around(fields_bytes: int, message_bytes: int, cells_bytes: int) -> tuple[bytes, bytes, bytes]:
    """What stands before the call id, the field that announces a cell block, and the length of the message.

    `fields_bytes` has the header besides. Answers of few sizes are all that most clients get.
    """
    meta = _TAG_CELL_BLOCK_META + delimited(_TAG_CALL_ID + encode_varint(cells_bytes)) if cells_bytes else b""
    header_length, message_length = encode_varint(fields_bytes + len(meta)), encode_varint(message_bytes)
    frame_bytes = len(header_length) + fields_bytes + len(meta) + len(message_length) + message_bytes + cells_bytes
    return encode_length(frame_bytes) + header_length, meta, message_length


def encode_error(call_id: int, error: BaseException) -> bytes:
    """The frame of an answer that is an error."""
    header = RPC_pb2.ResponseHeader(call_id=call_id, exception=encode_exception(error))
    return encode_frame(delimited(header.SerializeToString()))


def decode_answer(frame: bytes) -> AnswerParts:
    """Take an answer's frame apart. The call id is Java's int: -1 for the answers to preambles.

    Raises ProtocolError. What follows the announced cells is ignored.
    """
    start, stop = decode_delimited(frame, 0)
    header_bytes = frame[start:stop]
    try:
        header = RPC_pb2.ResponseHeader.FromString(header_bytes)
    except DecodeError as error:
        raise ProtocolError(f"the header of an answer cannot be read: {error}", kind="header") from None
    call_id = header.call_id - 2 * CALL_ID_SIGN if header.call_id >= CALL_ID_SIGN else header.call_id
    if header.HasField("exception"):
        return AnswerParts(call_id, decode_exception(header.exception), b"", b"", header_bytes)
    start, stop = decode_delimited(frame, stop)
    cells_bytes = header.cell_block_meta.length
    if cells_bytes > len(frame) - stop:
        there = len(frame) - stop
        raise ProtocolError(f"cell block of {cells_bytes} bytes announced, {there} are there", kind="length")
    cells = frame[stop : stop + cells_bytes] if cells_bytes else b""
    return AnswerParts(call_id, None, frame[start:stop], cells, header_bytes)


def decode_request_header(header_bytes: bytes) -> RPC_pb2.RequestHeader:
    """Read the header of a request; raises ProtocolError."""
    try:
        return RPC_pb2.RequestHeader.FromString(header_bytes)
    except DecodeError as error:
        raise ProtocolError(f"the header of a request cannot be read: {error}", kind="header") from None


def short_debug_string(header: RPC_pb2.RequestHeader) -> str:
    """The header in one line, as Java's TextFormat writes it; cut after 1000 characters."""
    return " ".join(str(header).split())[:1000]
