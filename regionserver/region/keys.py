"""Where rows lie in a store: keys whose order of bytes is the order of rows, families and columns.

    [prefix][row, escaped][0 0][family][0]                  the record of a row and family, or its first chunk
    [prefix][row, escaped][0 0][family][0][column, sorted]  its further chunks, by the first column of each

The prefix is that of a table's life, so a region is a range of keys, and to split or merge regions moves nothing. A
zero byte of a row is written as 0 ff, its end as 0 0: a row that continues another comes behind all keys of that one.

Rows of hbase:meta are ordered by parts, TABLE,START,ID, and not by their bytes: a comma sorts before every byte of a
name or a start key. The first and the last comma become 0 1 there, which is less than any byte (0 ff for a zero) and
more than an end.

Source: CellComparatorImpl, MetaCellComparator#compareRows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

RowOrder = Callable[[bytes], bytes]
"""A row as keys have it, its end included."""

ROW_END = b"\0\0"
ROW_END_BYTES = len(ROW_END)
_AFTER_ROW = b"\0\1"
_PART_END = b"\0\1"
_ZERO, _ESCAPED_ZERO = b"\0", b"\0\xff"
_SORTED = struct.Struct(">QB")
_TIMESTAMP_TOP = 1 << 63


def plain_order(row: bytes) -> bytes:
    """Rows in the order of their bytes: all tables but hbase:meta."""
    return (row.replace(_ZERO, _ESCAPED_ZERO) if _ZERO in row else row) + ROW_END


def meta_order(row: bytes) -> bytes:
    """Rows of hbase:meta: by table, then by start key, then by what follows the last comma."""
    table, comma, rest = row.partition(b",")
    if not comma:
        return plain_order(table)
    start, comma, identity = rest.rpartition(b",")
    if not comma:  # one comma alone: no region is called so, and it has its own place before those that have two
        return _escaped(table) + _PART_END + plain_order(identity)
    return _escaped(table) + _PART_END + _escaped(start) + _PART_END + plain_order(identity)


def row_of(place: bytes) -> bytes:
    """The row of which an order made this, its end included; of either order."""
    parts = place[: -len(ROW_END)].split(_PART_END)
    return b",".join([part.replace(_ESCAPED_ZERO, _ZERO) for part in parts])


def row_key_of(key: bytes, prefix_bytes: int) -> bytes:
    """The beginning of all keys of the row that a key belongs to."""
    return key[: key.index(ROW_END, prefix_bytes) + len(ROW_END)]


def family_of(key: bytes, row_key_bytes: int) -> bytes:
    """The family that a key of a row belongs to."""
    return key[row_key_bytes : key.index(0, row_key_bytes)]


def after_row(row_key: bytes) -> bytes:
    """The least key behind all those of a row; `row_key` is prefix and row with its end."""
    return row_key[: -len(ROW_END)] + _AFTER_ROW


def family_key(row_key: bytes, family: bytes) -> bytes:
    """The record of a row and family, or its first chunk. A family's name has no zero byte."""
    return row_key + family + _ZERO


def after_family(family_key: bytes) -> bytes:
    """The least key behind all chunks of that record."""
    return family_key[:-1] + b"\1"


def chunk_key(family_key: bytes, qualifier: bytes, timestamp_ms: int, key_type: int) -> bytes:
    """A further chunk, by its first cell: by qualifier, then newest first, then by type, greatest first."""
    newest_first = 2 * _TIMESTAMP_TOP - 1 - (timestamp_ms + _TIMESTAMP_TOP)
    return family_key + plain_order(qualifier) + _SORTED.pack(newest_first, 255 - key_type)


def _escaped(part: bytes) -> bytes:
    return part.replace(_ZERO, _ESCAPED_ZERO) if _ZERO in part else part
