"""Rows of a scan: the pieces that answers carry, joined to whole rows.

A server cuts a row where its answer grows too long (partial) or where the scan asks for batches of cells. Every piece
but the last is flagged; a row is whole when a piece without the flag came, when another row follows, or when there is
nothing more in the region.

Source: org.apache.hadoop.hbase.client.CompleteScanResultCache, ResponseConverter#getResults.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from protos.hbase import Cell_pb2, Client_pb2
from registry.wire.cellblock import FAMILY_BYTES_MAX, ROW_BYTES_MAX, Cell, decode_cells
from registry.wire.errors import ProtocolError, RowTooBigException

CELL_OVERHEAD_BYTES = 24
"""Added for each cell when memory is counted, so that many small cells count too."""


class Row(NamedTuple):
    """One row: its key and its cells in the order in which the server keeps them."""

    key: bytes
    cells: tuple[Cell, ...]

    def value(self, family: bytes, qualifier: bytes) -> bytes | None:
        """The newest value of a column, None where the row has none."""
        for cell in self.cells:
            if cell.family == family and cell.qualifier == qualifier:
                return cell.value
        return None


class Piece(NamedTuple):
    """One Result of an answer; `partial` says that more cells of the row may follow."""

    cells: tuple[Cell, ...]
    partial: bool


def pieces(response: Client_pb2.ScanResponse, block: bytes) -> list[Piece]:
    """The Results of an answer, from its cell block or from the message itself.

    Raises ProtocolError where counts and cells do not agree, or where one Result has cells of several rows.
    """
    counts, flags = response.cells_per_result, response.partial_flag_per_result
    if flags and len(flags) != len(counts):
        raise ProtocolError(f"{len(flags)} partial flags for {len(counts)} results", kind="scan")
    found = [
        Piece(tuple(_inline(cell) for cell in result.cell), result.partial)
        for result in response.results
        if not result.associated_cell_count
    ]
    if len(found) != len(response.results):
        raise ProtocolError("results in a message count cells of a block", kind="scan")
    if counts or block:
        if found:
            raise ProtocolError("results both in the message and in a cell block", kind="scan")
        found = list(_counted(response, block))
    for piece in found:
        if any(cell.row != piece.cells[0].row for cell in piece.cells):
            raise ProtocolError(f"one result with cells of row {piece.cells[0].row!r} and another", kind="scan")
    return found


def _counted(response: Client_pb2.ScanResponse, block: bytes) -> Iterator[Piece]:
    counts, flags = response.cells_per_result, response.partial_flag_per_result
    cells = decode_cells(block)
    for index, count in enumerate(counts):
        own = tuple(islice(cells, count))
        if len(own) != count:
            raise ProtocolError(f"result {index} has {count} cells, the block {len(own)} more", kind="scan")
        yield Piece(own, bool(flags) and flags[index])
    if next(cells, None) is not None:
        raise ProtocolError(f"the block has more than the {sum(counts)} cells of its results", kind="scan")


def _inline(cell: Cell_pb2.Cell) -> Cell:
    if len(cell.row) > ROW_BYTES_MAX or len(cell.family) > FAMILY_BYTES_MAX:
        raise ProtocolError(f"a cell with a row of {len(cell.row)} bytes, a family of {len(cell.family)}", kind="cell")
    return Cell(
        cell.row, cell.family, cell.qualifier, _signed(cell.timestamp), int(cell.cell_type), cell.value, cell.tags
    )


def _signed(timestamp: int) -> int:
    """Java's long, which the message has as uint64."""
    return timestamp - (1 << 64) if timestamp >= 1 << 63 else timestamp


class RowJoiner:
    """Joins pieces to rows; at most one row is unfinished, and it is bounded."""

    def __init__(self, row_bytes_max: int) -> None:
        self._row_bytes_max = row_bytes_max
        self._cells: list[Cell] = []
        self._cells_bytes = 0

    def add(self, piece: Piece) -> Iterator[Row]:
        """Take the next piece; gives the rows that are whole by it. Raises RowTooBigException."""
        if not piece.cells:
            return
        if self._cells and self._cells[0].row != piece.cells[0].row:
            yield from self.finish()
        self._cells_bytes += cells_bytes(piece.cells)
        if self._cells_bytes > self._row_bytes_max:
            raise RowTooBigException(f"row {piece.cells[0].row[:64]!r} has more than {self._row_bytes_max} bytes")
        self._cells += piece.cells
        if not piece.partial:
            yield from self.finish()

    def finish(self) -> Iterator[Row]:
        """The unfinished row is whole: nothing of it follows."""
        if self._cells:
            row = Row(self._cells[0].row, tuple(self._cells))
            self.drop()
            yield row

    def drop(self) -> None:
        """Forget the unfinished row: it will be read again from its beginning."""
        self._cells = []
        self._cells_bytes = 0


class RowReader:
    """Whole rows of a scan's answers, each cell copied out."""

    given_in_part: bytes | None = None

    def __init__(self, row_bytes_max: int) -> None:
        self._joiner = RowJoiner(row_bytes_max)

    def take(self, response: Client_pb2.ScanResponse, block: bytes) -> tuple[list[Row], bool]:
        """The rows that are whole by an answer. Raises ProtocolError, RowTooBigException."""
        found = pieces(response, block)
        return [row for piece in found for row in self._joiner.add(piece)], bool(found)

    def finish(self) -> list[Row]:
        """The unfinished row."""
        return list(self._joiner.finish())

    def drop(self) -> None:
        """Forget it."""
        self._joiner.drop()


def cells_bytes(cells: tuple[Cell, ...]) -> int:
    """Memory that cells take, roughly."""
    return sum(
        len(cell.row) + len(cell.family) + len(cell.qualifier) + len(cell.value) + CELL_OVERHEAD_BYTES for cell in cells
    )
