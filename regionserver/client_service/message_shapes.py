"""Puts whose messages look like one before: from row and values straight to a cell block.

A shape is what a message's encoded column has in common with the next one's: lengths, family, qualifiers, times that
are the server's. Where its bytes agree, only the values are left to take, all in one go. Whatever does not agree is
read value by value, so a shape that is not known costs time and changes nothing.
"""

from __future__ import annotations

from struct import Struct
from typing import TypeAlias

from protos.hbase import Client_pb2
from regionserver.region.plain_puts import PlainPut
from regionserver.region.shapes import Learning, Shape, Shaped, shape_of
from registry.wire.cellblock import LATEST_TIMESTAMP, KeyType
from registry.wire.framing import encode_varint

SHAPED_MIN = 4
"""Cells of a message: fewer are sooner read one by one."""
LENGTHS_MAX = 256
SHAPES_MAX = 4
"""Of one length."""
_TAG_BYTES = 1
_PIECES = 5
"""Of a cell: header, row, family with qualifier, time with type, value."""
_HEADER_BYTES = 14
_TIME_TYPE = Struct(">qB")
_PUT = int(KeyType.PUT)

Column: TypeAlias = Client_pb2.MutationProto.ColumnValue


class MessageShapes:
    """Those that were met lately. For one loop."""

    def __init__(self) -> None:
        """None yet."""
        self._known: dict[tuple[int, int], list[_MessageShape]] = {}
        """By the lengths of column and row."""
        self._learning = Learning()

    def find(self, encoded: bytes, row: bytes, now_ms: int) -> Shaped | None:
        """A put as a block, by the bytes of its only column."""
        for each in self._known.get((len(encoded), len(row)), ()):
            block = each.block_of(encoded, row, now_ms)
            if block is not None:
                self._learning.hit()
                return Shaped(each.shape, row, now_ms, block, 0)
        return None

    def missed(self, encoded: bytes, column: Column, put: PlainPut) -> None:
        """It was not found, and read by other means: `put`."""
        made = _learned(encoded, column, put) if self._learning.pays() else None
        if made is None:
            return
        if len(self._known) >= LENGTHS_MAX:
            self._known.clear()
        shapes = self._known.setdefault((len(encoded), len(put.row)), [])
        shapes.insert(0, made)
        del shapes[SHAPES_MAX:]


class _MessageShape:
    def __init__(self, shape: Shape, between: list[bytes], values: list[bytes], pieces: list[bytes]) -> None:
        """`between`: what the column has around its values; `pieces` of all cells, those that differ empty."""
        self.shape = shape
        self._between = tuple(between)
        sizes = [len(each) for pair in zip(between, [*values, b""], strict=True) for each in pair]
        self._layout = Struct("".join([f"{size}s" for size in sizes]))
        self._pieces = pieces

    def block_of(self, encoded: bytes, row: bytes, now_ms: int) -> bytes | None:
        """The cells, of this time; None where the column differs. It and the row are as long as the first one's."""
        fields = self._layout.unpack(encoded)
        if fields[0::2] != self._between:
            return None
        count, pieces = self.shape.count, self._pieces.copy()
        pieces[1::_PIECES] = [row] * count
        pieces[3::_PIECES] = [_TIME_TYPE.pack(now_ms, _PUT)] * count
        pieces[4::_PIECES] = fields[1:-1:2]
        return b"".join(pieces)


def _learned(encoded: bytes, column: Column, put: PlainPut) -> _MessageShape | None:
    """None where cells have times of their own, or are too many."""
    if any(timestamp_ms != LATEST_TIMESTAMP for _, timestamp_ms, _ in put.cells):
        return None
    entries = put.entries(0)
    shape = shape_of(b"".join([entry[3] for entry in entries]), 0, len(entries))
    if shape is None:
        return None
    values = [value for _, _, value in put.cells]
    between: list[bytes] = []
    pieces: list[bytes] = []
    begin, at = 0, _field_bytes(len(column.family))
    for each, value, (qualifier, _, _, cell) in zip(column.qualifier_value, values, entries, strict=True):
        stop = at + _field_bytes(each.ByteSize())
        at = stop - each.ByteSize() + (_field_bytes(len(qualifier)) if each.HasField("qualifier") else 0)
        at += _field_bytes(len(value)) - len(value)
        if encoded[at : at + len(value)] != value:
            return None  # fields in another order than this
        between.append(encoded[begin:at])
        begin, at = at + len(value), stop
        before_time = len(cell) - len(value) - _TIME_TYPE.size
        pieces += (cell[:_HEADER_BYTES], b"", cell[_HEADER_BYTES + len(put.row) : before_time], b"", b"")
    return _MessageShape(shape, [*between, encoded[begin:]], values, pieces)


def _field_bytes(value_bytes: int) -> int:
    """What a field of so many bytes takes with its tag and its length."""
    return _TAG_BYTES + len(encode_varint(value_bytes)) + value_bytes
