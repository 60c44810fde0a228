"""Rows as callers see them, and how they are read out of answers. Pure.

A Row keeps the bytes of its cells as they came, each as KeyValueCodec writes it (registry.wire.cellblock), and takes
them apart when it is looked at: who counts rows or asks for one column does not pay for all of them.

Source: org.apache.hadoop.hbase.client.Result, ResponseConverter#getResults.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from protos.hbase import Cell_pb2, Client_pb2
from registry.client.data.cells import HEAD, HEAD_BYTES, LENGTH, STAMP
from registry.client.data.names import Bytes, ColumnName, column, to_bytes
from registry.wire.cellblock import FAMILY_BYTES_MAX, ROW_BYTES_MAX, Cell, KeyType, decode_cells, encode_cell
from registry.wire.errors import ProtocolError

_PUT = int(KeyType.PUT)

COLUMNS_MAX = 10_000
"""Names of columns that are remembered with the bytes they come in: tables have few, or as many as rows."""
_columns: dict[bytes, bytes] = {}


class Row(Mapping[bytes, bytes]):
    """One row: a mapping from column (b"family:qualifier", or as str) to its newest value.

    Raises ProtocolError when it is looked at and the server's bytes are no cells.
    """

    __slots__ = ("_block", "_values", "partial")

    def __init__(self, block: bytes, *, partial: bool = False) -> None:
        """`block` is one or more cells of one row."""
        self._block = block
        self._values: dict[bytes, bytes] | None = None
        self.partial = partial
        """Whether more cells of the row follow, in another Row: only in scans with `batch_cells`."""

    @property
    def key(self) -> bytes:
        """The row key."""
        block = self._block
        end = HEAD_BYTES + int.from_bytes(block[12:14], "big")
        if len(block) < end:
            raise ProtocolError(f"a row key of {end - HEAD_BYTES} bytes in {len(block)}", kind="cell")
        return block[HEAD_BYTES:end]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, in the order in which servers keep them: by family, qualifier, newest first."""
        return tuple(decode_cells(self._block))

    @property
    def block(self) -> bytes:
        """The cells as they came."""
        return self._block

    def cell(self, name: ColumnName) -> Cell | None:
        """The newest cell of a column, None where the row has none."""
        family, qualifier = column(name)
        for cell in self.cells:
            if cell.family == family and cell.qualifier == qualifier:
                return cell
        return None

    def versions(self, name: ColumnName) -> list[tuple[int, bytes]]:
        """(timestamp in ms, value) of a column, newest first, as many as were asked for."""
        family, qualifier = column(name)
        return [
            (cell.timestamp_ms, cell.value)
            for cell in self.cells
            if cell.family == family and cell.qualifier == qualifier
        ]

    def timestamp(self, name: ColumnName) -> int | None:
        """When the newest value of a column was written, in ms."""
        cell = self.cell(name)
        return None if cell is None else cell.timestamp_ms

    def integer(self, name: ColumnName) -> int | None:
        """The value of a counter: eight bytes, big-endian. Raises ValueError for a value of another length."""
        value = self._read().get(b":".join(column(name)))
        if value is None:
            return None
        if len(value) != 8:
            raise ValueError(f"{name!r} is no counter: its value has {len(value)} bytes")
        return STAMP.unpack(value)[0]

    def to_dict(self) -> dict[bytes, bytes]:
        """Column to newest value, a copy."""
        return dict(self._read())

    # --- the mapping --------------------------------------------------------------------------------------------

    def __getitem__(self, name: Bytes) -> bytes:
        values = self._values
        if values is None:
            values = self._read()
        if type(name) is bytes:
            return values[name]
        try:
            return values[to_bytes(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Row):
            return self._block == other._block
        return self._read() == other if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Row {self.key!r} {self._read()!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _row, (self._block, self.partial)

    def _read(self) -> dict[bytes, bytes]:
        if self._values is None:
            self._values = newest_values(self._block)
        return self._values


def _row(block: bytes, partial: bool) -> Row:
    return Row(block, partial=partial)


def newest_values(block: bytes) -> dict[bytes, bytes]:
    """Column to newest value, of the cells of one row; delete markers, which raw scans give, have none.

    Raises ProtocolError.
    """
    values: dict[bytes, bytes] = {}
    head, known = HEAD.unpack_from, _columns
    offset, stop = 0, len(block)
    try:
        while offset < stop:
            cell_bytes, key_bytes, value_bytes, row_bytes = head(block, offset)
            names_at = offset + HEAD_BYTES + row_bytes
            stamp_at = offset + 3 + key_bytes
            value_at = stamp_at + 9
            offset += 4 + cell_bytes
            if value_at + value_bytes != offset or names_at >= stamp_at:
                raise ProtocolError("lengths of a cell that do not agree", kind="cell")
            names = block[names_at:stamp_at]
            name = known.get(names) or _column_of(names)
            if name not in values and block[stamp_at + 8] == _PUT:
                values[name] = block[value_at:offset]
    except struct.error:
        raise ProtocolError("a cell is cut off", kind="cell") from None
    if offset != stop:
        raise ProtocolError(f"cells of {offset} bytes in {stop}", kind="cell")
    return values


def _column_of(names: bytes) -> bytes:
    """b"family:qualifier" of the bytes [f][family f][qualifier], as cells have them."""
    family_bytes = names[0]
    if family_bytes > min(len(names) - 1, FAMILY_BYTES_MAX):
        raise ProtocolError(f"a family of {family_bytes} bytes in {len(names)}", kind="cell")
    if len(_columns) >= COLUMNS_MAX:
        _columns.clear()
    name = b"%b:%b" % (names[1 : 1 + family_bytes], names[1 + family_bytes :])
    if len(names) <= 256:
        _columns[names] = name
    return name


# --- out of answers -------------------------------------------------------------------------------------------------


class Cells:
    """The cell block of an answer, from which results take their cells one after the other."""

    __slots__ = ("_block", "_offset")

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._offset = 0

    def take(self, count: int) -> bytes:
        """The next `count` cells. Raises ProtocolError where there are fewer."""
        begin = offset = self._offset
        block = self._block
        try:
            for _ in range(count):
                offset += 4 + LENGTH.unpack_from(block, offset)[0]
        except struct.error:
            offset = len(block) + 1
        if offset > len(block):
            raise ProtocolError(f"{count} cells announced, the block ends in the middle of them", kind="cell")
        self._offset = offset
        return block[begin:offset]

    @property
    def left_bytes(self) -> int:
        """What nobody has taken."""
        return len(self._block) - self._offset


def row_of(result: Client_pb2.Result, cells: Cells) -> Row | None:
    """The row of one Result, None for one without cells. Raises ProtocolError."""
    count = result.associated_cell_count
    if count > 0:
        return Row(cells.take(count))
    return Row(inline(result.cell)) if result.cell else None


def inline(found: Sequence[Cell_pb2.Cell]) -> bytes:
    """Cells that came in a message, as a block has them. Raises ProtocolError."""
    for cell in found:
        if len(cell.row) > ROW_BYTES_MAX or len(cell.family) > FAMILY_BYTES_MAX:
            raise ProtocolError(f"a cell with a row of {len(cell.row)} bytes", kind="cell")
    return b"".join(
        [
            encode_cell(
                Cell(
                    cell.row,
                    cell.family,
                    cell.qualifier,
                    cell.timestamp - (1 << 64) if cell.timestamp >= 1 << 63 else cell.timestamp,
                    int(cell.cell_type),
                    cell.value,
                )
            )
            for cell in found
        ]
    )
