"""Cells as their bytes: what the loops over many of them share, which make no object for each. Pure.

    [uint32 n][uint32 key][uint32 value][uint16 r][row r][uint8 f][family f][qualifier][int64 timestamp][uint8 key type]
    [value]

as registry.wire.cellblock has it; Java's lengths are signed, and a negative one, read unsigned, is a very long one.

Source: org.apache.hadoop.hbase.codec.KeyValueCodec.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable
from typing import TypeAlias

from registry.wire.cellblock import INT32_MAX

HEAD = struct.Struct(">IIIH")
"""Cell, key, value, row: lengths. The cell's does not count itself."""
HEAD_BYTES = HEAD.size
LENGTH = struct.Struct(">I")
"""The cell's alone."""
STAMP = struct.Struct(">q")
_STAMP_TYPE = struct.Struct(">qB")
_KEY_FIXED_BYTES = 2 + _STAMP_TYPE.size
NAMES_REMEMBERED_MAX = 1024

Column: TypeAlias = tuple[bytes, bytes]
"""Family and qualifier."""
Change: TypeAlias = tuple[Column, int, bytes]
"""What a mutation does to one column: key type and value."""


@functools.lru_cache(maxsize=NAMES_REMEMBERED_MAX)
def names_of(column: Column) -> bytes:
    """[f][family f][qualifier]: a column as cells have it."""
    family, qualifier = column
    return bytes((len(family),)) + family + qualifier


def cells_of(row: bytes, changes: Iterable[Change], timestamp_ms: int) -> bytes:
    """The cells that a mutation writes; row and families are of lengths that they may have. Raises ValueError."""
    row_bytes = len(row)
    parts: list[bytes] = []
    try:
        for column, key_type, value in changes:
            names = names_of(column)
            key_bytes = _KEY_FIXED_BYTES + row_bytes + len(names)
            value_bytes = len(value)
            lengths = HEAD.pack(8 + key_bytes + value_bytes, key_bytes, value_bytes, row_bytes)
            parts += (lengths, row, names, _STAMP_TYPE.pack(timestamp_ms, key_type), value)
        block = b"".join(parts)
    except struct.error:
        block = None
    if block is None or len(block) > INT32_MAX:
        raise ValueError(f"the cells of row {row[:64]!r} have more than the {INT32_MAX} bytes that Java can count")
    return block
