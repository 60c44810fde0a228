"""A scan with a filter as HBase makes it, cell by cell: the classes of HBase written down, and nothing passed over.

Families are lists of cells in the order of the scan, without those that a reader does not see. Of a row and family of
which nothing is seen one stands there that is passed over: filters hear of the key of its row. Places are reached by
going on one by one.

Source: RegionScannerImpl#nextInternal, StoreScanner#next, UserScanQueryMatcher, FilterWrapper.
"""

from __future__ import annotations

from collections.abc import Mapping

from regionserver.filters.filter import Filter, Place, ReturnCode, SeenCell
from regionserver.region.filtered_cells import FamilyRead

Result = list[SeenCell]
INCLUDES = (ReturnCode.INCLUDE, ReturnCode.INCLUDE_AND_NEXT_COL, ReturnCode.INCLUDE_AND_SEEK_NEXT_ROW)


def unseen(row: bytes, family: bytes) -> SeenCell:
    """In the place of cells of a row and family of which none is seen."""
    return SeenCell(row, family, b"", 0, 0, b"")


class ModelStore:
    """StoreScanner and its matcher."""

    def __init__(self, cells: list[SeenCell], read: FamilyRead, asked: Filter, reverse: bool) -> None:
        self.cells = cells
        self._read = read
        self._filter = asked
        self._reverse = reverse
        self.row: bytes | None = None
        self._count_of_row = self._count = 0
        self._column: tuple[bytes, bytes] | None = None

    def peek(self) -> SeenCell | None:
        return self.cells[0] if self.cells else None

    def next(self, out: Result, batch: int) -> None:
        """Cells of one row that pass, until there are `batch` in `out` (0: no limit)."""
        if self.cells and self.row is None:
            self._count_of_row = 0
            self.row = self.cells[0].row
        while self.cells:
            cell = self.cells[0]
            if self._filter.filter_all_remaining():
                self.cells.clear()
                return
            if self.row is None or cell.row != self.row:
                self.row = None
                return
            if not cell.data:
                self.cells.pop(0)
                continue
            code = self._match(cell)
            if code not in INCLUDES:
                self._go_on(cell, code)
                continue
            made = self._filter.transform_cell(cell)
            self._count_of_row += 1
            if self._count_of_row > self._read.cells_skipped:
                out.append(made)
                if self._count_of_row >= self._read.cells_max + self._read.cells_skipped:
                    self._go_on(cell, ReturnCode.NEXT_ROW)
                    return
            self._go_on(cell, code)
            if batch and len(out) >= batch:
                return

    def _match(self, cell: SeenCell) -> ReturnCode:
        code = self._filter.filter_cell(cell)
        if code not in INCLUDES:
            return code
        if self._column != (cell.row, cell.qualifier):
            self._column, self._count = (cell.row, cell.qualifier), 0
        self._count += 1
        if self._count > self._read.versions_max:
            return ReturnCode.NEXT_ROW if code is ReturnCode.INCLUDE_AND_SEEK_NEXT_ROW else ReturnCode.NEXT_COL
        return code

    def _go_on(self, cell: SeenCell, code: ReturnCode) -> None:
        # Markers of the family may follow in the column without a name, so HBase never leaves it (HBASE-18471), but
        # where columns are named.
        leaves = cell.qualifier or self._read.wanted.columns is not None
        match code:
            case ReturnCode.NEXT_COL | ReturnCode.INCLUDE_AND_NEXT_COL if leaves:
                while self.cells and (self.cells[0].row, self.cells[0].qualifier) == (cell.row, cell.qualifier):
                    self.cells.pop(0)
            case ReturnCode.NEXT_ROW | ReturnCode.INCLUDE_AND_SEEK_NEXT_ROW:
                self.row = None
                while self.cells and self.cells[0].row == cell.row:
                    self.cells.pop(0)
            case ReturnCode.SEEK_NEXT_USING_HINT:
                self._seek(cell, self._filter.next_cell_hint(cell))
            case _:
                self.cells.pop(0)

    def _seek(self, cell: SeenCell, hint: Place | None) -> None:
        if hint is not None and not self._reverse and hint > cell.place:
            while self.cells and self.cells[0].place < hint:
                self.cells.pop(0)
        elif hint is not None and self._reverse and hint[0] < cell.row:
            while self.cells and self.cells[0].row > hint[0]:
                self.cells.pop(0)
        else:
            self.cells.pop(0)


class ModelScan:
    """RegionScannerImpl."""

    def __init__(
        self,
        cells: Mapping[bytes, list[SeenCell]],
        reads: Mapping[bytes, FamilyRead],
        asked: Filter,
        *,
        reverse: bool,
        on_demand: bool,
        batch: int,
    ) -> None:
        """`cells` by family, in the order of the scan."""
        self._filter = asked
        self._batch = batch
        self._reverse = reverse
        later = {family for family in cells if on_demand and not asked.is_family_essential(family)}
        made = {family: ModelStore(cells[family], reads[family], asked, reverse) for family in sorted(cells)}
        self._stores = [store for family, store in made.items() if family not in later]
        self._later = [store for family, store in made.items() if family in later]
        self.rows_filtered = 0

    def results(self) -> list[Result]:
        """All there are."""
        found: list[Result] = []
        more = True
        while more:
            out: Result = []
            more, is_cut = self._next(out)
            if not is_cut:
                self._filter.reset()
            if out:
                found.append(out)
            more = more and not self._filter.filter_all_remaining()
        return found

    def _peek(self) -> SeenCell | None:
        heads = [(store.peek(), store) for store in self._stores]
        cells = [cell for cell, _ in heads if cell is not None]
        if not cells:
            return None
        row = max(cell.row for cell in cells) if self._reverse else min(cell.row for cell in cells)
        return min((cell for cell in cells if cell.row == row), key=lambda cell: cell.place)

    def _next(self, out: Result) -> tuple[bool, bool]:
        """Whether there may be more, and whether it is of the same row."""
        asked = self._filter
        while True:
            current = self._peek()
            if current is None:
                return False, False
            if asked.filter_all_remaining() or asked.filter_row_key(current.row):
                self.rows_filtered += 1
                if asked.filter_all_remaining():
                    return False, False
                self._next_row(current.row)
                continue
            if self._populate(out, self._stores, current.row):
                return True, True
            is_empty = not out
            is_out = False
            if asked.has_filter_row:
                asked.filter_row_cells(out)
                if out and asked.filter_row():
                    out.clear()
                    is_out = True
            if is_empty or is_out or (not asked.has_filter_row and asked.filter_row()):
                self.rows_filtered += 1
                out.clear()
                self._next_row(current.row)
                continue
            self._populate_later(out, current.row)
            if out:
                return self._peek() is not None, False
            self.rows_filtered += 1
            self._next_row(current.row)

    def _populate(self, out: Result, stores: list[ModelStore], row: bytes) -> bool:
        """Whether it ended by the batch within the row."""
        for store in stores:
            while (cell := store.peek()) is not None and cell.row == row:
                store.next(out, self._batch)
                rest = any((each := one.peek()) is not None and each.row == row for one in stores)
                if rest and self._batch and len(out) >= self._batch:
                    return True
        return False

    def _populate_later(self, out: Result, row: bytes) -> None:
        for store in self._later:
            while (cell := store.peek()) is not None and (cell.row > row if self._reverse else cell.row < row):
                store.cells.pop(0)
            store.row = None
        self._populate(out, self._later, row)
        out.sort(key=lambda cell: cell.place)

    def _next_row(self, row: bytes) -> None:
        for store in self._stores:
            while (cell := store.peek()) is not None and cell.row == row:
                store.next([], 0)
        self._filter.reset()
