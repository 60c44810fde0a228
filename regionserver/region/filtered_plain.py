"""Rows of a scan with a filter that are one record each, judged as they lie in the store: no cell is looked at alone.

Most rows are such: one family is read, and each column of it has one cell that is seen. The filter has to be one that
judges rows at once (`regionserver/filters/whole_rows.py`). All other rows, and results that a limit cuts, are left to
the scan's own way, cell by cell, which goes on where this one has ended.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Iterator, Mapping

from regionserver.engine.store import Snapshot
from regionserver.filters.filter import Filter
from regionserver.filters.whole_rows import Cells, GoOn, Plan
from regionserver.region.filtered_cells import FamilyRead
from regionserver.region.keys import after_row
from regionserver.region.pieces import CELL_OVERHEAD_BYTES
from regionserver.region.record import FORMAT, HEAD_BYTES, head_of, newest_of
from regionserver.region.scan import Page, PageLimits
from regionserver.region.visible import FOR_EVER_MS, NO_LIMIT, newest_are_visible
from registry.java_regex.effort import Effort

PLANS_WEIGHT_MAX = 16
"""Of more filters the answer takes too long to look at the clock only now and then."""
RECORDS_FIRST, RECORDS_MAX = 8, 256
"""So many are read together at first, and where no row is jumped over. Then others may have their turn."""
WORTH_ROWS = 8
PAUSE_ROWS = 32
"""Where fewer were found than were worth it so many are read cell by cell before it is tried again."""

_HEAD = struct.Struct(">BBIqq12xH")
"""Of a record: format, marks, cells, newest, oldest; of its first cell: the row's length."""
_ROW_AT = HEAD_BYTES + 14
_SHORTEST_BYTES = _ROW_AT + 1


class Stop(enum.Enum):
    """Why no further row is judged here."""

    LIMIT = "results are enough"
    LATE = "the client should hear something"
    TURN = "others are to have their turn"
    DONE = "nothing more passes"
    CELLS = "the next row has to be read cell by cell, or there is none"


class PlainRows:
    """Those of one scan."""

    def __init__(
        self,
        snapshot: Snapshot,
        keys: tuple[bytes, bytes],
        key_of: Callable[[bytes], bytes],
        family: tuple[bytes, FamilyRead],
        asked: Filter,
        plan: Plan,
        now_ms: int,
    ) -> None:
        """`key_of`: where a row begins in the store; `family`: the only one that is read."""
        self.place, self._upper = keys
        """Before it all rows have been judged."""
        self.last_row: bytes | None = None
        """The one that was judged last."""
        self.row_bytes_max = NO_LIMIT
        self._snapshot = snapshot
        self._key_of = key_of
        name, self._read = family
        self._family = bytes((len(name),)) + name
        self._filter = asked
        self._judge = plan.judge()
        self._may_be_in = plan.may_be_in
        self._counts = plan.counts
        self._now_ms = now_ms
        wanted, ttl_ms = self._read.wanted, self._read.rules.ttl_ms
        self._from_ms = wanted.from_ms if ttl_ms == FOR_EVER_MS else max(wanted.from_ms, now_ms - ttl_ms)
        self._to_ms = wanted.to_ms
        self._records_count = RECORDS_FIRST
        self._effort = asked.effort or Effort()
        self._is_dear = plan.may_fail
        """Its comparators may take long for one value."""
        self._pause_rows = 0
        self._last: bytes | None = None
        """The record of the row that was judged last, of those that were read together, and how many these are."""
        self._judged_count = 0
        self._is_cut = self._met_cells = False
        """Records of those are left; the next one has to be read cell by cell."""

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
        records, following = self._snapshot.values(self.place, self._upper, self._records_count)
        self._records_count = min(2 * self._records_count, RECORDS_MAX)
        self._last, self._judged_count, self._is_cut, self._met_cells = None, 0, False, False
        given_count = len(page.counts)
        stop, at = self._give(records, page, limits)
        page.rows_read += self._judged_count
        given_count = len(page.counts) - given_count
        page.rows_empty += self._judged_count - given_count
        page.rows_done += given_count
        page.partial += [False] * given_count
        if self._last is not None:
            self.last_row = _row_of(self._last)
        if at is not None:
            self.place = at
        elif stop is not None or self._met_cells or self._is_cut:
            self.place = self.place if self._last is None else after_row(self._key_of(_row_of(self._last)))
        else:
            self.place = following or self._upper
        if stop is None and (self._met_cells or self.place >= self._upper):
            return Stop.CELLS
        return stop

    def _give(self, records: list[bytes], page: Page, limits: PageLimits) -> tuple[Stop | None, bytes | None]:
        """Put what is given of these into the page; what has ended it, and the key to go on at if not behind them."""
        room = min(limits.results_max - len(page.counts), limits.rows_max - page.rows_done)
        counts = self._counts
        for kept in self._judged(records):
            if isinstance(kept, GoOn):
                if kept.row is None:
                    self._judged_count -= 1  # HBase counts it as dropped and not as read
                    page.rows_empty += 1
                    return Stop.DONE, self._upper
                assert self._last is not None
                if kept.row > _row_of(self._last):
                    self._records_count = RECORDS_FIRST
                    return None, self._key_of(kept.row)
                continue
            cells, count = kept
            size_bytes = len(cells) + CELL_OVERHEAD_BYTES * count
            if size_bytes > self.row_bytes_max or page.size_bytes + size_bytes >= limits.bytes_max:
                assert self._last is not None
                self._judged_count -= 1
                return Stop.CELLS, self._key_of(_row_of(self._last))
            if counts is None or counts():
                page.blocks.append(cells)
                page.counts.append(count)
                page.size_bytes += size_bytes
                room -= 1
            if counts is not None and self._filter.filter_all_remaining():
                return Stop.DONE, self._upper
            if not room:
                return Stop.LIMIT, None
        return None, None

    def _judged(self, records: list[bytes]) -> Iterator[Cells | GoOn]:
        """What the filter gives of rows, and where it says to go on, until one has to be read cell by cell."""
        head_at, family, judge = _HEAD.unpack_from, self._family, self._judge
        if self._may_be_in is not None and not self._may_be_in(b"".join(records)):
            judge = _nothing
        from_ms, to_ms, is_dear, effort = self._from_ms, self._to_ms, self._is_dear, self._effort
        judged_count = 0
        last: bytes | None = None
        for record in records:
            if is_dear and effort.left <= 0:
                self._is_cut = True
                break
            if len(record) < _SHORTEST_BYTES:
                self._met_cells = True
                break
            known, marks, count, newest_ms, oldest_ms, row_bytes = head_at(record)
            if known != FORMAT:
                self._met_cells = True
                break
            if not record.startswith(family, _ROW_AT + row_bytes):
                continue  # of a family that is not asked for
            data, at = record, HEAD_BYTES
            if marks or oldest_ms < from_ms or newest_ms >= to_ms:
                if not self._is_newest(record):
                    self._met_cells = True
                    break
                (data, count), at = newest_of(record), 0
            kept = judge(data, at, row_bytes, count)
            last = record
            judged_count += 1
            if kept is not None:
                self._last, self._judged_count = last, judged_count
                yield kept
        self._last, self._judged_count = last, judged_count

    def _is_newest(self, record: bytes) -> bool:
        """Whether the newest cell of each column is what is seen of it."""
        head = head_of(record)
        return record[0] == FORMAT and newest_are_visible(head, self._read.rules, self._read.wanted, self._now_ms)


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
    return None if plan is None else PlainRows(snapshot, keys, key_of, (family, read), asked, plan, now_ms)


def _nothing(*_: object) -> None:
    """What is given of rows of which none has what is looked for."""


def _row_of(record: bytes) -> bytes:
    return record[_ROW_AT : _ROW_AT + int.from_bytes(record[_ROW_AT - 2 : _ROW_AT], "big")]
