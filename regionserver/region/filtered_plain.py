"""Rows of a scan with a filter that are one record each, judged as they lie in the store: no cell is looked at alone.

Most rows are such: one family is read, and each column of it has one cell that is seen. The filter has to be one that
judges rows at once (`regionserver/filters/whole_rows.py`). As many are judged together as were read together, and of
these are given as many as stay below the limits. All other rows, and results that a limit cuts, are left to the scan's
own way, cell by cell, which goes on where this one has ended.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Callable, Mapping

from regionserver.engine.store import Snapshot
from regionserver.filters.filter import Filter
from regionserver.filters.rows_together import Reach, Rows
from regionserver.filters.whole_rows import Cells, GoOn, Judged, Plan
from regionserver.region.filtered_cells import FamilyRead
from regionserver.region.keys import after_row
from regionserver.region.pieces import CELL_OVERHEAD_BYTES
from regionserver.region.plain_records import PlainRecords
from regionserver.region.record import CELL_LENGTHS, HEAD_BYTES
from regionserver.region.scan import Page, PageLimits
from regionserver.region.visible import NO_LIMIT
from registry.java_regex.effort import Effort

PLANS_WEIGHT_MAX = 16
"""Of more filters the answer takes too long to look at the clock only now and then."""
BEGIN_BYTES = 128
"""Of each row at first: what lies in columns is looked for in all of them together."""
WORTH_ROWS = 8
PAUSE_ROWS = 32
"""Where fewer were found than were worth it so many are read cell by cell before it is tried again."""


class Stop(enum.Enum):
    """Why no further row is judged here."""

    LIMIT = "results are enough"
    LATE = "the client should hear something"
    TURN = "others are to have their turn"
    DONE = "nothing more passes"
    CELLS = "the next row has to be read cell by cell, or there is none"


class PlainRows:
    """Those of one scan."""

    def __init__(self, records: PlainRecords, keys: tuple[bytes, bytes], asked: Filter, plan: Plan) -> None:
        """`keys`: the range of the records."""
        self.place, self._upper = keys
        """Before it all rows have been judged."""
        self.last_row: bytes | None = None
        """The one that was judged last."""
        self.row_bytes_max = NO_LIMIT
        self._filter = asked
        self._plan = plan
        self._records = records
        self._effort = asked.effort or Effort()
        self._is_dear = plan.may_fail
        """Its comparators may take long for one value, and no value is to be looked at that need not be."""
        self._pause_rows = 0

    def pauses(self) -> bool:
        """Whether the next row is not worth a look; asked once for each."""
        self._pause_rows -= self._pause_rows > 0
        return self._pause_rows > 0

    def take(self, page: Page, limits: PageLimits) -> Stop:
        """Judge rows from the place on until something ends it; the page and the place say how far it is."""
        read_count = page.rows_read
        self._effort.begin()
        while (stop := self._take_some(page, limits)) is None:
            if limits.is_late is not None and limits.is_late():
                return Stop.LATE
            if limits.is_turn_over is not None and limits.is_turn_over():
                return Stop.TURN
            self._effort.begin()
        if stop is Stop.CELLS and page.rows_read - read_count < WORTH_ROWS:
            self._pause_rows = PAUSE_ROWS
        return stop

    def _take_some(self, page: Page, limits: PageLimits) -> Stop | None:
        """As many as are read together; None: there may be more."""
        records = self._records
        piece = records.next(self.place)
        if piece is None:
            self.place = self._upper
            return Stop.CELLS
        rows = piece.rows
        given_count = len(page.counts)
        done, go_on, stop = self._give(rows, page, limits)
        given_count = len(page.counts) - given_count
        page.partial += [False] * given_count
        page.rows_done += given_count
        page.rows_read += done
        page.rows_empty += done - given_count
        if stop is None and go_on is None and done == len(rows.data) < piece.records_count:
            stop = Stop.CELLS
        if done:
            self.place = after_row(records.key(piece, done - 1)[: -len(records.family_end)])
            self.last_row = rows.key(done - 1, HEAD_BYTES)
        else:
            self.place = records.key(piece, 0) if piece.records_count else records.read_at
        records.judged(piece, done)
        if go_on is not None:
            stop = self._go_on(go_on, page)
        if stop is Stop.DONE:
            self.place = self._upper
        return stop

    def _give(self, rows: Rows, page: Page, limits: PageLimits) -> tuple[int, GoOn | None, Stop | None]:
        """Put what is given of these into the page; how many were judged, where to go on, and what has ended it."""
        done, counts = 0, self._plan.counts
        while done < len(rows.data):
            room = min(limits.results_max - len(page.counts), limits.rows_max - page.rows_done)
            if counts is not None:
                room = min(room, counts.rows_left())
            left = rows.between(done, len(rows.data)) if done else rows
            fitting = self._fitting(left, room, limits.bytes_max - page.size_bytes)
            if fitting is None:
                return done, None, Stop.CELLS
            judged, size_bytes = fitting
            done += judged.rows_count
            blocks, cells_counts = judged.cells
            page.blocks += blocks
            page.counts += cells_counts
            page.size_bytes += size_bytes
            if counts is not None:
                counts.count_rows(len(cells_counts))
            if judged.go_on is not None:
                return done, judged.go_on, None
            if counts is not None and self._filter.filter_all_remaining():
                return done, None, Stop.DONE
            if len(cells_counts) == room:
                return done, None, Stop.LIMIT
            if self._is_dear and self._effort.left <= 0:
                break
        return done, None, None

    def _fitting(self, rows: Rows, room: int, bytes_max: int) -> tuple[Judged, int] | None:
        """What is given of these, or of so few that it stays below the limits, and how many bytes it counts for.

        None: not even of the first.
        """
        count = 1 if self._is_dear else len(rows.data)
        bytes_max = min(bytes_max, self.row_bytes_max + 1)
        if self._plan.of_row:  # what it has heard of it may not hear again
            count = min(count, room)
            while count > 1 and _most_bytes(rows.between(0, count)) >= bytes_max:
                count //= 2
        rows = rows.between(0, count) if count < len(rows.data) else rows
        judged = self._plan.judge(rows, HEAD_BYTES)
        blocks, cells_counts = judged.cells
        size_bytes = sum(map(len, blocks)) + CELL_OVERHEAD_BYTES * sum(cells_counts)
        if len(cells_counts) <= room and size_bytes < bytes_max:
            return judged, size_bytes
        return _first_fitting(rows, judged.cells, room, bytes_max)

    def _go_on(self, said: GoOn, page: Page) -> Stop | None:
        """Where the filter says, behind the row that was judged last."""
        if said.row is None:
            page.rows_read -= 1  # HBase counts it as dropped and not as read
            return Stop.DONE
        assert self.last_row is not None
        if said.row > self.last_row:
            self.place = self._records.jump(said.row)
        return None


def plain_rows(
    snapshot: Snapshot,
    keys: tuple[bytes, bytes],
    key_of: Callable[[bytes], bytes],
    reads: Mapping[bytes, FamilyRead],
    asked: Filter,
    now_ms: int,
) -> PlainRows | None:
    """None where the scan, or its filter, asks for more than can be told of rows at once."""
    if len(reads) != 1 or asked.weight > PLANS_WEIGHT_MAX:
        return None
    [(family, read)] = reads.items()
    is_cut = read.cells_skipped > 0 or read.cells_max != NO_LIMIT or read.versions_max < 1
    if is_cut or read.wanted.raw or read.wanted.columns is not None:
        return None
    plan = asked.plan()
    if plan is None:
        return None
    reach = None
    if plan.of_column or plan.pick is not None:
        reach = Reach(BEGIN_BYTES)
    elif plan.row_ends:
        reach = Reach(0)  # what is looked at of heads has their keys
    records = PlainRecords(snapshot, keys, key_of, (family, read), now_ms, with_times=plan.by_times, reach=reach)
    return PlainRows(records, keys, asked, plan)


def _first_fitting(rows: Rows, cells: Cells, room: int, bytes_max: int) -> tuple[Judged, int] | None:
    """Of what is given of these as much as stays below the limits, and how many bytes it counts for; None: nothing.

    Rows up to the first whose result does not, or up to the last one for which there is room.
    """
    cells_counts = cells[1]
    blocks = _of_each_row(cells)
    size_bytes = fitting = 0
    for block, cells_count in zip(blocks, cells_counts, strict=True):
        with_it = size_bytes + len(block) + CELL_OVERHEAD_BYTES * cells_count
        if with_it >= bytes_max or fitting == room:
            break
        size_bytes, fitting = with_it, fitting + 1
    is_full = 0 < fitting == room
    rows_count = _number_of(rows, blocks[fitting - 1]) + 1 if is_full else _number_of(rows, blocks[fitting])
    if not rows_count:
        return None
    return Judged((blocks[:fitting], cells_counts[:fitting]), rows_count, None), size_bytes


def _of_each_row(cells: Cells) -> list[bytes]:
    """A cell block for each row: some may be one by now."""
    blocks, cells_counts = cells
    if len(blocks) == len(cells_counts):
        return blocks
    block, at = b"".join(blocks), 0
    apart: list[bytes] = []
    for count in cells_counts:
        begin = at
        for _ in range(count):
            at += 4 + CELL_LENGTHS.unpack_from(block, at)[0]
        apart.append(block[begin:at])
    return apart


def _number_of(rows: Rows, block: bytes) -> int:
    """Of the row whose cells these are."""
    key = Rows((block,), b"", (CELL_LENGTHS.unpack_from(block)[3],)).key(0, 0)
    return bisect_left(range(len(rows.data)), key, key=lambda number: rows.key(number, HEAD_BYTES))


def _most_bytes(rows: Rows) -> int:
    """That rows may count for: values may be changed to their lengths."""
    return sum(map(len, rows.data)) + (CELL_OVERHEAD_BYTES + 4) * sum(rows.counts)
