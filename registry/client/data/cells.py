"""Cells as their bytes: what the loops over many of them share, which make no object for each. Pure.

    [uint32 n][uint32 key][uint32 value][uint16 r][row r][uint8 f][family f][qualifier][int64 timestamp][uint8 key type]
    [value]

as registry.wire.cellblock has it; Java's lengths are signed, and a negative one, read unsigned, is a very long one.

Source: org.apache.hadoop.hbase.codec.KeyValueCodec.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from registry.client.data.names import Bytes, ColumnName, column, to_bytes
from registry.wire.cellblock import INT32_MAX

HEAD = struct.Struct(">IIIH")
"""Cell, key, value, row: lengths. The cell's does not count itself."""
HEAD_BYTES = HEAD.size
LENGTH = struct.Struct(">I")
"""The cell's alone."""
STAMP = struct.Struct(">q")
STAMP_TYPE = struct.Struct(">qB")
_KEY_FIXED_BYTES = 2 + STAMP_TYPE.size
NAMES_REMEMBERED_MAX = 1024

Column: TypeAlias = tuple[bytes, bytes]
"""Family and qualifier."""
Written: TypeAlias = tuple[bytes, bytes, bytes]
"""A cell but its row: `names_of` its column, `STAMP_TYPE` of its time and key type, and the value."""


@functools.lru_cache(maxsize=NAMES_REMEMBERED_MAX)
def names_of(column: Column) -> bytes:
    """[f][family f][qualifier]: a column as cells have it."""
    family, qualifier = column
    return bytes((len(family),)) + family + qualifier


def cells_of(row: bytes, written: Iterable[Written]) -> bytes:
    """The cells that a mutation writes; row and families are of lengths that they may have. Raises ValueError."""
    row_bytes = len(row)
    parts: list[bytes] = []
    try:
        for names, stamp, value in written:
            key_bytes = _KEY_FIXED_BYTES + row_bytes + len(names)
            value_bytes = len(value)
            lengths = HEAD.pack(8 + key_bytes + value_bytes, key_bytes, value_bytes, row_bytes)
            parts += (lengths, row, names, stamp, value)
    except struct.error:
        raise _too_long(row) from None
    return _joined(row, parts)


def cells_of_values(row: bytes, values: Mapping[ColumnName, Bytes], stamp: bytes) -> bytes:
    """The same for {column: value} of one time and key type, as callers give them. Raises ValueError.

    A loop of its own: batches of puts spend a fifth of their time here.
    """
    row_bytes = len(row)
    fixed_bytes = _KEY_FIXED_BYTES + row_bytes
    head, named = HEAD.pack, _names_of_name
    parts: list[bytes] = []
    try:
        for name, value in values.items():
            given = value if type(value) is bytes else to_bytes(value)
            names = named(name)
            key_bytes = fixed_bytes + len(names)
            value_bytes = len(given)
            parts += (head(8 + key_bytes + value_bytes, key_bytes, value_bytes, row_bytes), row, names, stamp, given)
    except struct.error:
        raise _too_long(row) from None
    return _joined(row, parts)


@functools.lru_cache(maxsize=NAMES_REMEMBERED_MAX)
def _names_of_name(name: ColumnName) -> bytes:
    return names_of(column(name))


def _joined(row: bytes, parts: list[bytes]) -> bytes:
    block = b"".join(parts)
    if len(block) > INT32_MAX:
        raise _too_long(row)
    return block


def _too_long(row: bytes) -> ValueError:
    return ValueError(f"the cells of row {row[:64]!r} have more than the {INT32_MAX} bytes that Java can count")
