"""What a scan reads of one row: its records out of those of many, and its cells piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from regionserver.region.record import Entry, read_entries

Record = tuple[bytes, bytes]
Pieces = Iterator[tuple[bytes, int]]
"""Cell blocks, and how many cells each has."""

CELL_OVERHEAD_BYTES = 48
"""Counted for each cell besides its bytes, about as much as an object of Java has, so that limits mean the same."""


class RowCells:
    """The visible cells of one row, taken piece by piece."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._block, self._count = next(pieces, (b"", 0))
        self._cells: Iterator[Entry] | None = None
        """Set while a block is taken cell by cell; the next one is `_cell`."""
        self._cell = b""

    @property
    def has_more(self) -> bool:
        """Whether a cell is left."""
        return self._count > 0

    def take(self, cells_max: int, bytes_max: int) -> tuple[list[bytes], int, int]:
        """Cells until a limit is met, at least one: blocks, cells, and the bytes they count for."""
        blocks: list[bytes] = []
        count = size = 0
        while self._count and count < cells_max and (size < bytes_max or not count):
            block_bytes = len(self._block) + CELL_OVERHEAD_BYTES * self._count
            if self._cells is None and self._count <= cells_max - count and block_bytes <= bytes_max - size:
                blocks.append(self._block)
                count += self._count
                size += block_bytes
                self._block, self._count = next(self._pieces, (b"", 0))
            else:
                cell = self._one()
                blocks.append(cell)
                count += 1
                size += len(cell) + CELL_OVERHEAD_BYTES
        return blocks, count, size

    def _one(self) -> bytes:
        cells = self._cells
        if cells is None:
            cells = self._cells = iter(read_entries(self._block))
            self._cell = next(cells)[3]
        cell = self._cell
        self._count -= 1
        if self._count:
            self._cell = next(cells)[3]
        else:
            self._cells = None
            self._block, self._count = next(self._pieces, (b"", 0))
        return cell


class OneRow(Iterator[Record]):
    """The records of one row out of those of many, of which two were read."""

    def __init__(self, row_key: bytes, first: Record, second: Record | None, records: Iterator[Record]) -> None:
        self._row_key = row_key
        self._next: Record | None = first
        self._records = records if second is None else chain((second,), records)

    def __next__(self) -> tuple[bytes, bytes]:
        record = self._next
        if record is None or not record[0].startswith(self._row_key):
            raise StopIteration
        self._next = next(self._records, None)
        return record

    def rest(self) -> tuple[bytes, bytes] | None:
        """The first record of another row, those of this one passed over."""
        for _ in self:
            pass
        return self._next


class OneFamily(Iterator[Record]):
    """The records of one family out of those of a row."""

    def __init__(
        self, family: bytes, row_key_bytes: int, first: tuple[bytes, bytes], records: Iterator[tuple[bytes, bytes]]
    ) -> None:
        self._begin = first[0][: row_key_bytes + len(family) + 1]
        self._next: tuple[bytes, bytes] | None = first
        self._records = records

    def __next__(self) -> tuple[bytes, bytes]:
        record = self._next
        if record is None or not record[0].startswith(self._begin):
            raise StopIteration
        self._next = next(self._records, None)
        return record

    def rest(self) -> tuple[bytes, bytes] | None:
        """The first record of another family, those of this one passed over."""
        for _ in self:
            pass
        return self._next
