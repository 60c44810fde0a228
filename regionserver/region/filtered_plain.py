"""Rows of a scan with a filter that are one record each, judged as they lie in the store: no cell is looked at alone.

Most rows are such: one family is read, and each column of it has one cell that is seen. The filter has to be one that
judges rows at once (`regionserver/filters/whole_rows.py`). As many are judged together as were read together; where
a limit may be met among them it is half of them, down to one. All other rows, and results that a limit cuts, are left
to the scan's own way, cell by cell, which goes on where this one has ended.
"""

from __future__ import annotations

import enum
import struct
from bisect import bisect_left
from collections.abc import Callable, Mapping
from itertools import repeat

from regionserver.engine.store import Snapshot
from regionserver.filters.filter import Filter
from regionserver.filters.places import Rows
from regionserver.filters.whole_rows import GoOn, Judged, Plan
from regionserver.region.filtered_cells import FamilyRead
from regionserver.region.keys import ROW_END, after_row
from regionserver.region.pieces import CELL_OVERHEAD_BYTES, Record
from regionserver.region.record import FORMAT, HEAD_BYTES, head_of, only_newest
from regionserver.region.scan import Page, PageLimits
from regionserver.region.visible import FOR_EVER_MS, NO_LIMIT, all_are_visible, newest_are_visible
from registry.java_regex.effort import Effort

PLANS_WEIGHT_MAX = 16
"""Of more filters the answer takes too long to look at the clock only now and then."""
RECORDS_FIRST, RECORDS_MAX = 8, 256
"""So many are read together at first, and where no row is jumped over. Then others may have their turn."""
WORTH_ROWS = 8
PAUSE_ROWS = 32
"""Where fewer were found than were worth it so many are read cell by cell before it is tried again."""

_HEAD = struct.Struct(">HIqq12xH")
"""Of a record: format and marks, cells, newest, oldest; of its first cell: the row's length."""
_PLAIN = FORMAT << 8
_TIMES = struct.Struct(">qq")
_TIMES_AT = 6
_TOP_BYTE_LAST = 0x7F
"""Of a time that may be the last of all."""
_COUNT_AT = 5
"""The last byte of how many cells there are."""
_ROW_AT = HEAD_BYTES + 14
_PLAIN_BYTES = ((0, FORMAT), *[(at, 0) for at in (1, 2, 3, 4, _ROW_AT - 2)])
"""Of records without marks, with less than 256 cells and a key of less than 256 bytes: where they are, and which."""


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
        name, self._read_as = family
        self._family_begin = bytes((len(name),)) + name
        """Of what follows the row in a cell."""
        self._family_end = name + b"\0"
        self._key_end = ROW_END + self._family_end
        """Of a record's key; no key of a further chunk ends so."""
        self._filter = asked
        self._plan = plan
        self._now_ms = now_ms
        wanted, ttl_ms = self._read_as.wanted, self._read_as.rules.ttl_ms
        self._from_ms = wanted.from_ms if ttl_ms == FOR_EVER_MS else max(wanted.from_ms, now_ms - ttl_ms)
        self._to_ms = wanted.to_ms
        self._at_any_time = self._from_ms == 0 and self._to_ms == FOR_EVER_MS and not plan.by_times
        self._effort = asked.effort or Effort()
        self._is_dear = plan.may_fail
        """Its comparators may take long for one value, and no value is to be looked at that need not be."""
        self._pause_rows = 0
        self._pairs: list[Record] = []
        """Read, and not judged yet."""
        self._read_at = self.place
        """Where to read on."""
        self._records_count = RECORDS_FIRST

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
        pairs = self._next_pairs()
        if not pairs:
            self.place = self._upper
            return Stop.CELLS
        own, rows = pairs, self._rows_alike([record for _, record in pairs])
        if rows is None:
            own = [pair for pair in pairs if pair[0].endswith(self._key_end)]
            rows = self._rows_of([record for _, record in own])
        given_count = len(page.counts)
        done, go_on, stop = self._give(rows, page, limits)
        given_count = len(page.counts) - given_count
        page.partial += [False] * given_count
        page.rows_done += given_count
        page.rows_read += done
        page.rows_empty += done - given_count
        if stop is None and go_on is None and done == len(rows.data) < len(own):
            stop = Stop.CELLS
        if done:
            last = own[done - 1][0]
            self.place = after_row(last[: -len(self._family_end)])
            self.last_row = rows.between(done - 1, done).keys(HEAD_BYTES)[0]
        else:
            self.place = own[0][0] if own else self._read_at
        if go_on is not None:
            stop = self._go_on(go_on, page)
        elif done == len(own):
            pairs.clear()
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
            judged = self._fitting(left, room, limits.bytes_max - page.size_bytes)
            if judged is None:
                return done, None, Stop.CELLS
            done += judged.rows_count
            blocks, cells_counts = judged.cells
            page.blocks += blocks
            page.counts += cells_counts
            page.size_bytes += _size_bytes(judged)
            if judged.go_on is not None:
                return done, judged.go_on, None
            if counts is not None:
                counts.count_rows(len(blocks))
                if self._filter.filter_all_remaining():
                    return done, None, Stop.DONE
            if len(blocks) == room:
                return done, None, Stop.LIMIT
            if self._is_dear and self._effort.left <= 0:
                break
        return done, None, None

    def _fitting(self, rows: Rows, room: int, bytes_max: int) -> Judged | None:
        """What is given of these, or of so few of them that it stays below the limits; None: not even of the first."""
        count = 1 if self._is_dear else len(rows.data)
        bytes_max = min(bytes_max, self.row_bytes_max + 1)
        if self._plan.of_row:  # what it has heard of it may not hear again
            count = min(count, room)
            while count > 1 and _most_bytes(rows.between(0, count)) >= bytes_max:
                count //= 2
        while True:
            judged = self._plan.judge(rows.between(0, count) if count < len(rows.data) else rows, HEAD_BYTES)
            if len(judged.cells[0]) <= room and _size_bytes(judged) < bytes_max:
                return judged
            if count == 1:
                return None
            count //= 2

    def _go_on(self, said: GoOn, page: Page) -> Stop | None:
        """Where the filter says, behind the row that was judged last."""
        if said.row is None:
            page.rows_read -= 1  # HBase counts it as dropped and not as read
            return Stop.DONE
        assert self.last_row is not None
        if said.row > self.last_row:
            self.place = self._key_of(said.row)
            if self._pairs[-1][0] < self.place:
                self._records_count = RECORDS_FIRST
                self._pairs, self._read_at = [], self.place
        return None

    def _next_pairs(self) -> list[Record]:
        """From the place on. What was read and not judged is taken before more is read."""
        pairs = self._pairs
        if pairs and pairs[0][0] < self.place:
            del pairs[: bisect_left(pairs, (self.place,))]
        if pairs:
            return pairs
        pairs = self._read()
        if pairs and pairs[-1][0] < self.place:  # others have read far beyond it
            self._read_at = self.place
            pairs = self._read()
        elif pairs and pairs[0][0] < self.place:
            del pairs[: bisect_left(pairs, (self.place,))]
        self._pairs = pairs
        return pairs

    def _read(self) -> list[Record]:
        pairs = self._snapshot.pairs(self._read_at, self._upper, self._records_count)
        self._records_count = min(2 * self._records_count, RECORDS_MAX)
        if pairs:
            self._read_at = pairs[-1][0] + b"\0"
        return pairs

    def _rows_alike(self, records: list[bytes]) -> Rows | None:
        """Records that are all rows of the family, whose keys are of one short length; None: not all are such.

        The same byte of all is looked at together, which takes a third of the time that it takes to read each head.
        """
        if len(records[0]) < _ROW_AT:
            return None
        count, key_bytes = len(records), records[0][_ROW_AT - 1]
        step = _ROW_AT + key_bytes + len(self._family_begin)
        begins = b"".join([record[:step] for record in records])
        same = (*_PLAIN_BYTES, (_ROW_AT - 1, key_bytes), *enumerate(self._family_begin, _ROW_AT + key_bytes))
        if len(begins) != step * count or any(begins[at::step].count(byte) != count for at, byte in same):
            return None
        times_ms: list[tuple[int, int]] = []
        if self._at_any_time:
            newest, oldest = begins[_TIMES_AT::step], begins[_TIMES_AT + 8 :: step]
            if max(newest) >= _TOP_BYTE_LAST or max(oldest) > _TOP_BYTE_LAST:
                return None
        else:
            times_ms = list(map(_TIMES.unpack_from, records, repeat(_TIMES_AT)))
            newest, oldest = zip(*times_ms, strict=True)
            if max(newest) >= self._to_ms or min(oldest) < self._from_ms:
                return None
        return Rows(records, begins[_COUNT_AT::step], bytes((key_bytes,)) * count, times_ms)

    def _rows_of(self, records: list[bytes]) -> Rows:
        """Records of the family, up to the first that has to be read cell by cell."""
        try:
            heads = list(map(_HEAD.unpack_from, records))
        except struct.error:  # one without a cell
            heads = []
        from_ms, to_ms = self._from_ms, self._to_ms
        plain = [known == _PLAIN and newest < to_ms and oldest >= from_ms for known, _, newest, oldest, _ in heads]
        if not plain or not all(plain):
            records = self._all_seen(records)
            heads = list(map(_HEAD.unpack_from, records))
        counts, key_bytes = [head[1] for head in heads], [head[4] for head in heads]
        return Rows(records, counts, key_bytes, [head[2:4] for head in heads])

    def _all_seen(self, records: list[bytes]) -> list[bytes]:
        seen: list[bytes] = []
        for record in records:
            if (as_seen := self._seen(record)) is None:
                break
            seen.append(as_seen)
        return seen

    def _seen(self, record: bytes) -> bytes | None:
        """As a record without marks; None: its cells have to be looked at."""
        if len(record) <= _ROW_AT or record[0] != FORMAT:
            return None
        head, rules, wanted = head_of(record), self._read_as.rules, self._read_as.wanted
        if all_are_visible(head, rules, wanted, self._now_ms):
            return record
        return only_newest(record)[0] if newest_are_visible(head, rules, wanted, self._now_ms) else None


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


def _size_bytes(judged: Judged) -> int:
    blocks, counts = judged.cells
    return sum(map(len, blocks)) + CELL_OVERHEAD_BYTES * sum(counts)


def _most_bytes(rows: Rows) -> int:
    """That rows may count for: values may be changed to their lengths."""
    return sum(map(len, rows.data)) + (CELL_OVERHEAD_BYTES + 4) * sum(rows.counts)
