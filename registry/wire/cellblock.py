"""Cell blocks: cells outside the messages, as KeyValueCodec and KeyValueCodecWithTags write them.

A cell block is cells in a row, each of them, integers big-endian:

    [int32 n]                              bytes that follow for this cell
    [int32 key][int32 value]               lengths of the key and of the value
    [uint16 r][row r][uint8 f][family f][qualifier][int64 timestamp][uint8 key type]     the key
    [value]
    [uint16 t][tags t]                     with KeyValueCodecWithTags, and only where there are tags

and tags are `[uint16 n][uint8 type][n - 1 bytes]` in a row. How many cells belong to which result is told by the
messages; the codec does not know. The MVCC number is not written.

Source: org.apache.hadoop.hbase.KeyValue, codec.KeyValueCodec, codec.KeyValueCodecWithTags, Tag, KeyValueUtil.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from registry.wire.errors import ProtocolError

ROW_BYTES_MAX = 0x7FFF
"""HBase's HConstants.MAX_ROW_LENGTH: a signed short."""
FAMILY_BYTES_MAX = 0x7F
"""A signed byte."""
TAGS_BYTES_MAX = 0xFFFF
"""An unsigned short, all tags of a cell together."""
INT32_MAX = 0x7FFF_FFFF
LATEST_TIMESTAMP = (1 << 63) - 1
"""Stands for "now" until the server puts its own time in its place."""

_LENGTHS = struct.Struct(">iiiH")  # cell, key, value, row
_TIMESTAMP_TYPE = struct.Struct(">qB")
_KEY_FIXED_BYTES = 2 + 1 + 8 + 1  # lengths of row and family, timestamp, key type


class KeyType(enum.IntEnum):
    """What a cell does; the same numbers as CellType in Cell.proto. Other bytes are kept as they are."""

    MINIMUM = 0
    PUT = 4
    DELETE = 8
    DELETE_FAMILY_VERSION = 10
    DELETE_COLUMN = 12
    DELETE_FAMILY = 14
    MAXIMUM = 255


CELL_TYPES: Mapping[int, str] = {
    KeyType.PUT: "Put",
    KeyType.DELETE: "Delete",
    KeyType.DELETE_FAMILY_VERSION: "DeleteFamilyVersion",
    KeyType.DELETE_COLUMN: "DeleteColumn",
    KeyType.DELETE_FAMILY: "DeleteFamily",
}
"""What clients may write, by the names of Cell.Type."""


class TagType(enum.IntEnum):
    """What a tag is for; other bytes are kept as they are."""

    ACL = 1
    VISIBILITY = 2
    LOG_REPLAY = 3
    VISIBILITY_EXP_SERIALIZATION = 4
    MOB_REFERENCE = 5
    TTL = 8


class Cell(NamedTuple):
    """One cell. `timestamp_ms` is signed, `key_type` is the byte as it was, `tags` are as on the wire."""

    row: bytes
    family: bytes
    qualifier: bytes
    timestamp_ms: int
    key_type: int
    value: bytes
    tags: bytes = b""


class Tag(NamedTuple):
    """One tag of a cell."""

    tag_type: int
    value: bytes


def encode_cell(cell: Cell, *, with_tags: bool = False) -> bytes:
    """The bytes of one cell; tags are left out unless `with_tags`, as KeyValueCodec does.

    The caller has checked the lengths: a cell that no client could read is a bug of ours (AssertionError).
    """
    row, family, qualifier, timestamp_ms, key_type, value, tags = cell
    assert len(row) <= ROW_BYTES_MAX, "a row fits a signed short"
    assert len(family) <= FAMILY_BYTES_MAX, "a family fits a signed byte"
    assert len(tags) <= TAGS_BYTES_MAX, "the tags fit an unsigned short"
    key_bytes = _KEY_FIXED_BYTES + len(row) + len(family) + len(qualifier)
    tail = len(tags).to_bytes(2, "big") + tags if with_tags and tags else b""
    cell_bytes = 8 + key_bytes + len(value) + len(tail)
    assert cell_bytes <= INT32_MAX, "Java keeps the length of a cell in an int"
    return b"".join(
        (
            _LENGTHS.pack(cell_bytes, key_bytes, len(value), len(row)),
            row,
            bytes((len(family),)),
            family,
            qualifier,
            _TIMESTAMP_TYPE.pack(timestamp_ms, key_type),
            value,
            tail,
        )
    )


def encode_cells(cells: Iterable[Cell], *, with_tags: bool = False) -> bytes:
    """A cell block; empty bytes for no cells, and then the header must not announce a block."""
    return b"".join([encode_cell(cell, with_tags=with_tags) for cell in cells])


def decode_cells(block: bytes | memoryview, *, with_tags: bool = False) -> Iterator[Cell]:
    """The cells of a block one by one, their parts copied out of it; the whole block must be cells.

    Raises ProtocolError that names the byte at which the bad cell begins, after the cells before it were given.
    """
    view = memoryview(block)
    offset, stop = 0, len(view)
    while offset < stop:
        cell, offset = decode_cell(view, offset, with_tags=with_tags)
        yield cell


def decode_cell(block: memoryview[int], offset: int, *, with_tags: bool = False) -> tuple[Cell, int]:
    """The cell that begins at `offset`, and the offset behind it."""
    body = offset + 4
    if len(block) - offset < _LENGTHS.size:
        raise _bad(offset, f"{len(block) - offset} bytes are left, a cell has at least {4 + 8 + _KEY_FIXED_BYTES}")
    lengths: tuple[int, int, int, int] = _LENGTHS.unpack_from(block, offset)
    cell_bytes, key_bytes, value_bytes, row_bytes = lengths
    if not 0 <= cell_bytes <= len(block) - body:
        raise _bad(offset, f"{cell_bytes} bytes announced, {len(block) - body} are there")
    tags_bytes = cell_bytes - 8 - key_bytes - value_bytes
    if key_bytes < _KEY_FIXED_BYTES or value_bytes < 0 or tags_bytes < 0:
        raise _bad(offset, f"a key of {key_bytes} and a value of {value_bytes} bytes in {cell_bytes}")
    if row_bytes > ROW_BYTES_MAX or row_bytes > key_bytes - _KEY_FIXED_BYTES:
        raise _bad(offset, f"a row of {row_bytes} bytes in a key of {key_bytes}")
    family_at = body + 8 + 2 + row_bytes
    family_bytes = block[family_at]
    qualifier_at = family_at + 1 + family_bytes
    key_stop = body + 8 + key_bytes
    if family_bytes > FAMILY_BYTES_MAX or qualifier_at > key_stop - _TIMESTAMP_TYPE.size:
        raise _bad(offset, f"a family of {family_bytes} bytes in a key of {key_bytes}")
    timestamp_ms, key_type = _TIMESTAMP_TYPE.unpack_from(block, key_stop - _TIMESTAMP_TYPE.size)
    value_stop = key_stop + value_bytes
    return (
        Cell(
            bytes(block[family_at - row_bytes : family_at]),
            bytes(block[family_at + 1 : qualifier_at]),
            bytes(block[qualifier_at : key_stop - _TIMESTAMP_TYPE.size]),
            timestamp_ms,
            key_type,
            bytes(block[key_stop:value_stop]),
            _tags(block, offset, value_stop, tags_bytes, with_tags=with_tags) if tags_bytes else b"",
        ),
        body + cell_bytes,
    )


def encode_tags(tags: Iterable[Tag]) -> bytes:
    """Tags as `Cell.tags` holds them."""
    return b"".join(
        [b"".join(((len(value) + 1).to_bytes(2, "big"), bytes((tag_type,)), value)) for tag_type, value in tags]
    )


def decode_tags(tags: bytes) -> Iterator[Tag]:
    """The tags of a cell one by one; ProtocolError names the byte within `tags`."""
    offset = 0
    while offset < len(tags):
        length = int.from_bytes(tags[offset : offset + 2], "big")
        if length < 1 or offset + 2 + length > len(tags):
            raise ProtocolError(f"tag at byte {offset} of {len(tags)} announces {length} bytes", kind="cell")
        yield Tag(tags[offset + 2], tags[offset + 3 : offset + 2 + length])
        offset += 2 + length


def _tags(block: memoryview[int], cell_at: int, tags_at: int, tags_bytes: int, *, with_tags: bool) -> bytes:
    """What lies behind the value: nothing but tags may, and only where the codec has them."""
    if not with_tags:
        raise _bad(cell_at, f"{tags_bytes} bytes behind the value")
    announced = int.from_bytes(block[tags_at : tags_at + 2], "big")
    if tags_bytes < 2 or announced != tags_bytes - 2:
        raise _bad(cell_at, f"{announced} bytes of tags announced in the {tags_bytes} bytes behind the value")
    return bytes(block[tags_at + 2 : tags_at + tags_bytes])


def _bad(offset: int, what: str) -> ProtocolError:
    return ProtocolError(f"cell at byte {offset}: {what}", kind="cell")
