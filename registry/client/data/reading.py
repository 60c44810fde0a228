"""Rows of a scan's answers, their cells left as they came: what registry.client.scan.RegionScan makes rows with. Pure.

Source: CompleteScanResultCache, BatchScanResultCache, ResponseConverter#getResults.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from protos.hbase import Client_pb2
from registry.client.data.cells import LENGTH
from registry.client.data.results import Cells, Row, inline
from registry.wire.cellblock import Cell, decode_cells, encode_cells
from registry.wire.errors import ProtocolError, RowTooBigException

ROW_BYTES_MAX = 256 << 20
"""A longer row ends a scan with an error: nobody may fill our memory with one row. `batch_cells` reads it in parts."""


class WholeRows:
    """Joins the parts of rows that servers have cut."""

    __slots__ = ("_parts", "_parts_bytes")
    given_in_part: bytes | None = None

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        """Of the unfinished row."""
        self._parts_bytes = 0

    def take(self, response: Client_pb2.ScanResponse, block: bytes) -> tuple[list[Row], bool]:
        """The rows that are whole by an answer. Raises ProtocolError, RowTooBigException."""
        counts, flags = response.cells_per_result, response.partial_flag_per_result
        if flags and len(flags) != len(counts):
            raise ProtocolError(f"{len(flags)} partial flags for {len(counts)} results", kind="scan")
        if self._parts or not counts or (flags and True in flags):
            rows: list[Row] = []
            any_found = False
            for piece, partial in pieces(response, block):
                any_found = True
                rows += self._add(piece, partial=partial)
            return rows, any_found
        if response.results:
            raise ProtocolError("results both in the message and in a cell block", kind="scan")
        return _rows(counts, block), True

    def finish(self) -> list[Row]:
        """The unfinished row is whole."""
        parts, self._parts, self._parts_bytes = self._parts, [], 0
        return [Row(b"".join(parts))] if parts else []

    def drop(self) -> None:
        """Forget the unfinished row."""
        self._parts, self._parts_bytes = [], 0

    def _add(self, piece: bytes, *, partial: bool) -> list[Row]:
        rows = self.finish() if self._parts and Row(self._parts[0]).key != Row(piece).key else []
        self._parts.append(piece)
        self._parts_bytes += len(piece)
        if self._parts_bytes > ROW_BYTES_MAX:
            raise RowTooBigException(f"row {Row(piece).key[:64]!r} has more than {ROW_BYTES_MAX} bytes")
        return rows if partial else rows + self.finish()


class RowParts:
    """Rows in parts of so many cells; what was given of a row is not given again by another scanner."""

    def __init__(self, batch_cells: int) -> None:
        self._batch_cells = batch_cells
        self._cells: list[Cell] = []
        """Of the row that is read, not yet given."""
        self._last: Cell | None = None
        """The last that was given of the row that is read."""

    @property
    def given_in_part(self) -> bytes | None:
        """The row of which some was given, and more may follow."""
        return None if self._last is None else self._last.row

    def take(self, response: Client_pb2.ScanResponse, block: bytes) -> tuple[list[Row], bool]:
        """The parts that are full by an answer, and the rest of each row that ends. Raises ProtocolError."""
        rows: list[Row] = []
        any_found = False
        for piece, partial in pieces(response, block):
            any_found = True
            cells = list(decode_cells(piece))
            if self._row is not None and self._row != cells[0].row:
                rows += self.finish()
            self._cells += [cell for cell in cells if self._last is None or _order(cell) > _order(self._last)]
            while len(self._cells) > self._batch_cells or (partial and len(self._cells) == self._batch_cells):
                rows.append(self._part(partial=True))
            if not partial:
                rows += self.finish()
        return rows, any_found

    def finish(self) -> list[Row]:
        """The rest of the row."""
        rows = [self._part(partial=False)] if self._cells else []
        self._last = None
        return rows

    def drop(self) -> None:
        """Forget what was not given: it will be read again."""
        self._cells = []

    @property
    def _row(self) -> bytes | None:
        return self._cells[0].row if self._cells else self.given_in_part

    def _part(self, *, partial: bool) -> Row:
        given, self._cells = self._cells[: self._batch_cells], self._cells[self._batch_cells :]
        self._last = given[-1]
        return Row(encode_cells(given), partial=partial)


def _order(cell: Cell) -> tuple[bytes, bytes, int, int]:
    """As servers order the cells of a row; raw scans give markers of deletes and puts of one time, markers first."""
    return cell.family, cell.qualifier, -cell.timestamp_ms, -cell.key_type


def pieces(response: Client_pb2.ScanResponse, block: bytes) -> list[tuple[bytes, bool]]:
    """The cells of each Result of an answer, and whether more of its row may follow. Raises ProtocolError."""
    counts, flags = response.cells_per_result, response.partial_flag_per_result
    if not counts:
        if block:
            raise ProtocolError("a cell block without results", kind="scan")
        return [(inline(result.cell), result.partial) for result in response.results if result.cell]
    cells = Cells(block)
    found = [(cells.take(count), bool(flags) and flags[index]) for index, count in enumerate(counts)]
    if cells.left_bytes:
        raise ProtocolError(f"the block has more than the {sum(counts)} cells of its results", kind="scan")
    return [(piece, partial) for piece, partial in found if piece]


def _rows(counts: Iterable[int], block: bytes) -> list[Row]:
    """One row for each result; the loop that a long scan spends its time in."""
    length_at = LENGTH.unpack_from
    offset = 0
    rows: list[Row] = []
    add = rows.append
    try:
        for count in counts:
            begin = offset
            for _ in range(count):
                offset += 4 + length_at(block, offset)[0]
            if count:
                add(Row(block[begin:offset]))
    except struct.error:
        offset = -1
    if offset != len(block):
        raise ProtocolError("the cell block of a scan does not have the cells that were announced", kind="scan")
    return rows
