"""A scan of one region with a filter, page by page: rows and cells are asked about one by one, as HBase does.

A row is read until a limit is met or all of it is there; only then the filter judges the row, so what limits have let
go before is told whatever it says. A filter that judges whole rows is asked with no limit but that of a row's size.
Families that the filter does not judge by are read of rows that have passed, where the client allows it.

Source: RegionScannerImpl#nextRaw, #nextInternal; StoreScanner#next; UserScanQueryMatcher#mergeFilterResponse;
RSRpcServices#scan; FilterWrapper.
"""

from __future__ import annotations

import enum

from regionserver.filters.filter import INCLUDED, Filter, ReturnCode, SeenCell
from regionserver.region.filtered_cells import FamilyRead, RowToFilter
from regionserver.region.filtered_plain import PlainRows, Stop
from regionserver.region.filtered_rows import RowsToFilter
from regionserver.region.pieces import CELL_OVERHEAD_BYTES
from regionserver.region.region import RequestCounts
from regionserver.region.scan import Page, PageLimits
from regionserver.region.visible import NO_LIMIT
from registry.java_regex.effort import Effort
from registry.wire.errors import RowTooBigException


class _Step(enum.Enum):
    """What ended the reading."""

    RESULT = "a row, or a part of it"
    ROW_END = "all of a row is read"
    CUT = "a limit within a row"
    LATE = "the client should hear something"
    TURN = "others are to have their turn"
    END = "nothing more passes"


_STEPS = {
    Stop.LIMIT: _Step.ROW_END,
    Stop.LATE: _Step.LATE,
    Stop.TURN: _Step.TURN,
    Stop.DONE: _Step.END,
    Stop.CELLS: None,
}


class FilteredScan:
    """An open scan: its snapshot, its filter, and the place in it. Belongs to the loop of its store."""

    def __init__(self, rows: RowsToFilter, asked: Filter) -> None:
        """It owns both."""
        self.counts = RequestCounts()
        """Of its region."""
        self.batch = 0
        """Cells of one result; 0: the whole row. Not with a filter that judges whole rows."""
        self.row_bytes_max = NO_LIMIT
        self.plain: PlainRows | None = None
        """Judges rows at once where that can be done."""
        self._rows = rows
        self._filter = asked
        self._effort = asked.effort or Effort()
        self._row: RowToFilter | None = None
        self._begun = False
        """The filter has heard of the row's key; after each result it hears of it again."""
        self._is_dropped = False
        """It does not want the row."""
        self._is_later = False
        """The row has passed, and what is left for later is read."""
        self._parts_told = False
        self._collected: list[SeenCell] = []
        self._collected_bytes = 0
        self._family: FamilyRead | None = None
        """Of the cell that was asked about last, and how many of its cells and versions have passed."""
        self._cells_count = self._versions_count = 0
        self._column: bytes | None = None
        self._met_batch = False
        self._tagged = False
        self._last_row: bytes | None = None

    def close(self) -> None:
        """Let go of the moment."""
        self._row = None
        self._collected.clear()
        self._rows.close()

    @property
    def is_within_row(self) -> bool:
        """Whether cells are left of the row that was told last."""
        return self._row is not None and self._parts_told

    def page(self, limits: PageLimits) -> Page:
        """The next results. Raises RowTooBigException, and what filters raise."""
        page = Page()
        self._effort.pause(looks=limits.has_clock)
        while len(page.counts) < limits.results_max and page.rows_done < limits.rows_max:
            step = self._take_plain(page, limits) or self._step(page, limits)
            if step is _Step.RESULT:
                step = self._after_result(page, limits)
            if step is _Step.END:
                page.more_in_region = False
            page.stopped_late = step is _Step.LATE
            page.turn_over = step is _Step.TURN
            if step is not _Step.ROW_END:
                break
        page.last_row = self._last_row if page.rows_read or page.counts else None
        # A real server that has met the batch looks no further: the next call finds that nothing is left.
        if page.counts:
            self._met_batch = page.counts[-1] == self.batch
        if page.more_in_region and self._row is None and not self._met_batch and not page.turn_over:
            page.more_in_region = self._find_row()
        page.tagged = self._tagged
        page.filter_is_done = self._filter.filter_all_remaining()
        self.counts.reads_count += page.rows_read
        return page

    def _after_result(self, page: Page, limits: PageLimits) -> _Step:
        """Whether the page goes on (ROW_END)."""
        if self._filter.filter_all_remaining():
            return _Step.END
        if page.size_bytes >= limits.bytes_max:
            return _Step.CUT
        return self._look(limits) or _Step.ROW_END

    def _look(self, limits: PageLimits) -> _Step | None:
        self._effort.pause(looks=limits.has_clock)
        if limits.is_late is not None and limits.is_late():
            return _Step.LATE
        if limits.is_turn_over is not None and limits.is_turn_over():
            return _Step.TURN
        return None

    # --- one result -----------------------------------------------------------------------------------------------

    def _step(self, page: Page, limits: PageLimits) -> _Step:
        """Read on until there is a result, or it has to end."""
        while True:
            if self._row is None and not self._find_row():
                return _Step.END
            row = self._row
            assert row is not None
            is_new = not (self._begun or self._is_dropped or self._is_later)
            if is_new and not self._pass_key(row, page):
                if self._filter.filter_all_remaining():
                    return _Step.END
                self._is_dropped = True
            if self._is_dropped:
                if not self._hear_rest(row, limits):
                    return _Step.TURN
                self._end_row(page)
            else:
                step = self._fill(row, page, limits)
                if step is _Step.CUT:
                    self._tell(page, partial=True)
                    return _Step.RESULT
                if step is not _Step.ROW_END:
                    return step
                if not self._is_later and self._passes_row():
                    self._begin_later()
                    continue
                if self._collected:
                    self._tell(page, partial=False)
                    return _Step.RESULT
                page.rows_empty += 1
                self._end_row(page)
            if (stop := self._behind_row(page, limits)) is not None:
                return stop

    def _behind_row(self, page: Page, limits: PageLimits) -> _Step | None:
        """Of a row nothing more is given; what ends the reading here: the next row may be judged at once again."""
        if page.rows_done >= limits.rows_max:  # parts of it were given before
            return _Step.ROW_END
        return self._look(limits) or (None if self.plain is None else _Step.ROW_END)

    def _take_plain(self, page: Page, limits: PageLimits) -> _Step | None:
        """Rows that need not be read cell by cell; None: the next one has to be."""
        plain, row = self.plain, self._row
        if plain is None or plain.pauses() or (row is not None and row.read is not None):
            return None
        if self._filter.filter_all_remaining():
            return None
        plain.place, plain.row_bytes_max = self._rows.next_place(), self.row_bytes_max
        stop = plain.take(page, limits)
        self._row = None
        self._rows.go_on_at(plain.place)
        self._last_row = plain.last_row or self._last_row
        return _STEPS[stop]

    def _pass_key(self, row: RowToFilter, page: Page) -> bool:
        """Whether the filter wants to hear of the row's cells."""
        self._last_row = row.row
        if self._filter.filter_all_remaining() or self._filter.filter_row_key(row.row):
            page.rows_empty += 1
            return False
        self._begun = True
        if row.read is None:
            row.begin()
        return True

    def _passes_row(self) -> bool:
        """Whether families left for later are to be read of a row that was read; what has passed is in `_collected`."""
        asked, collected = self._filter, self._collected
        is_empty = not collected
        if asked.has_filter_row:
            asked.filter_row_cells(collected)
            if collected and asked.filter_row():
                collected.clear()
                return False
        elif not is_empty and asked.filter_row():
            collected.clear()
        if is_empty:
            return bool(self._rows.later) and self._parts_told
        return bool(self._rows.later) and (bool(collected) or asked.has_filter_row)

    def _begin_later(self) -> None:
        row = self._row
        assert row is not None
        self._tagged = self._tagged or row.tagged
        self._row = self._rows.later_of(row)
        self._is_later, self._family = True, None
        self._row.begin()

    def _tell(self, page: Page, *, partial: bool) -> None:
        """What was collected is a result, and there is some; `partial`: a limit was met."""
        collected = self._collected
        if self._is_later:
            collected.sort(key=lambda cell: cell.family)
        row = self._row
        assert row is not None
        self._tagged = self._tagged or row.tagged
        has_more = row.cell is not None or (bool(self._rows.later) and not self._is_later)
        blocks = [cell.data for cell in collected]
        page.blocks += blocks
        page.counts.append(len(blocks))
        page.partial.append(partial and has_more)
        page.size_bytes += sum(map(len, blocks)) + CELL_OVERHEAD_BYTES * len(blocks)
        self._collected = []
        self._collected_bytes = 0
        self._parts_told = True
        self._begun = False
        if not page.partial[-1]:
            self._end_row(page)

    def _end_row(self, page: Page) -> None:
        """The row is over, whether it was told or not."""
        row = self._row
        assert row is not None
        page.rows_read += 1
        page.rows_done += self._parts_told
        self._rows.end(row)
        self._row = self._family = None
        self._begun = self._is_dropped = self._is_later = self._parts_told = False
        self._collected = []
        self._collected_bytes = 0
        self._filter.reset()

    # --- cells ----------------------------------------------------------------------------------------------------

    def _hear_rest(self, row: RowToFilter, limits: PageLimits) -> bool:
        """Tell the filter of what is left of a row that it does not want, where that may matter to it later.

        Whether all was told before others are to have their turn.
        """
        asked, effort = self._filter, self._effort
        if not asked.outlives_row:
            return True
        if row.read is None:
            row.begin()
        while row.cell is not None:
            self._ask(row, row.cell)
            effort.left -= asked.weight
            if effort.left <= 0:
                effort.pause(looks=limits.has_clock)
                if limits.is_turn_over is not None and limits.is_turn_over():
                    return False
        return True

    def _fill(self, row: RowToFilter, page: Page, limits: PageLimits) -> _Step:
        """Collect cells that pass until the row ends or a limit is met."""
        batch, effort, weight = self.batch, self._effort, self._filter.weight
        may_cut = limits.partial and not self._filter.has_filter_row
        bytes_max = limits.bytes_max - page.size_bytes if may_cut else NO_LIMIT
        while (cell := row.cell) is not None:
            made = self._ask(row, cell)
            if made is not None:
                self._collected.append(made)
                self._collected_bytes += len(made.data) + CELL_OVERHEAD_BYTES
                if (batch and len(self._collected) >= batch) or self._collected_bytes >= bytes_max:
                    return _Step.CUT
                if self._collected_bytes > self.row_bytes_max:
                    raise RowTooBigException(
                        f"Max row size allowed: {self.row_bytes_max}, but the row is bigger than that."
                    )
            effort.left -= weight
            if effort.left <= 0:
                effort.pause(looks=limits.has_clock)
                if limits.is_turn_over is not None and limits.is_turn_over():
                    return _Step.TURN
                if may_cut and limits.is_late is not None and limits.is_late():
                    return self._late(page)
        return _Step.ROW_END

    def _late(self, page: Page) -> _Step:
        """What was collected is told, and the row goes on with the next call."""
        self._begun = False
        if self._collected:
            self._tell(page, partial=True)
        return _Step.LATE

    def _ask(self, row: RowToFilter, cell: SeenCell) -> SeenCell | None:
        """What is given of a cell, if it is; then the row is at the next one to ask about."""
        asked, read = self._filter, row.read
        assert read is not None
        if read is not self._family:
            self._family, self._column, self._cells_count = read, None, 0
        if asked.may_end and asked.filter_all_remaining():
            self._end_family(row, cell)
            return None
        code = asked.filter_cell(cell)
        if code not in INCLUDED:
            self._pass_over(row, cell, code)
            self._check_end(row, cell)
            return None
        if cell.qualifier != self._column:
            self._column, self._versions_count = cell.qualifier, 0
        self._versions_count += 1
        if self._versions_count > read.versions_max:
            to_row = code is ReturnCode.INCLUDE_AND_SEEK_NEXT_ROW
            self._pass_over(row, cell, ReturnCode.NEXT_ROW if to_row else ReturnCode.NEXT_COL)
            self._check_end(row, cell)
            return None
        made = asked.transform_cell(cell)
        self._cells_count += 1
        is_taken = self._cells_count > read.cells_skipped
        if is_taken and self._cells_count >= read.cells_max + read.cells_skipped:
            row.skip_family()
            return made
        self._pass_over(row, cell, code)
        self._check_end(row, cell)
        return made if is_taken else None

    def _pass_over(self, row: RowToFilter, cell: SeenCell, code: ReturnCode) -> None:
        """To the next cell to ask about."""
        assert row.read is not None
        match code:
            case ReturnCode.NEXT_COL | ReturnCode.INCLUDE_AND_NEXT_COL if row.read.leaves_column(cell.qualifier):
                row.skip_column()
            case ReturnCode.INCLUDE | ReturnCode.SKIP | ReturnCode.NEXT_COL | ReturnCode.INCLUDE_AND_NEXT_COL:
                row.next()
            case ReturnCode.NEXT_ROW | ReturnCode.INCLUDE_AND_SEEK_NEXT_ROW:
                row.skip_family()
            case ReturnCode.SEEK_NEXT_USING_HINT:
                self._rows.jump(row, cell, self._filter.next_cell_hint(cell))

    def _check_end(self, row: RowToFilter, cell: SeenCell) -> None:
        """Behind the last cell of a family the filter is asked once more whether it had enough."""
        following, asked = row.cell, self._filter
        is_last = following is None or following.family != cell.family
        if asked.may_end and is_last and asked.filter_all_remaining():
            self._rows.end_family(cell.family)

    def _end_family(self, row: RowToFilter, cell: SeenCell) -> None:
        """The filter had enough: of this family nothing is read any more, in no row."""
        self._rows.end_family(cell.family)
        row.skip_family()

    def _find_row(self) -> bool:
        """Whether there is another row, which is `_row` then."""
        self._row = self._rows.find()
        return self._row is not None
