"""Records of one family, read ahead for a scan that judges rows at once, and which of them it may judge so.

Most pieces are records that are all alike but for what their cells hold: then one byte of all heads is looked at
together, and their keys are not read, for each record has its row. Where they are not alike the piece is read again
with its keys, and so are those behind it for a while.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable
from operator import itemgetter
from typing import NamedTuple

from regionserver.engine.store import Snapshot
from regionserver.filters.rows_together import Reach, Rows, begins_of
from regionserver.region.filtered_cells import FamilyRead
from regionserver.region.keys import ROW_END
from regionserver.region.pieces import Record
from regionserver.region.record import FORMAT, HEAD_BYTES, head_of, only_newest
from regionserver.region.visible import FOR_EVER_MS, all_are_visible, newest_are_visible

RECORDS_FIRST, RECORDS_MAX = 8, 512
"""So many are read together at first, and where no row is jumped over. Then others may have their turn."""
KEYED_PIECES = 16
"""Read with their keys behind a piece whose records are not alike."""

_HEAD = struct.Struct(">HIqq12xH")
"""Of a record: format and marks, cells, newest, oldest; of its first cell: the row's length."""
_PLAIN = FORMAT << 8
_TIME = struct.Struct(">q")
_NEWEST_AT, _OLDEST_AT = 6, 14
_times_of, _oldest_of = itemgetter(slice(_NEWEST_AT, HEAD_BYTES)), itemgetter(slice(8, None))
_TOP_BYTE_LAST = 0x7F
"""Of a time that may be the last of all."""
_COUNT_AT = 5
"""The last byte of how many cells there are."""
_ROW_AT = HEAD_BYTES + 14
_PLAIN_BYTES = ((0, FORMAT), *[(at, 0) for at in (1, 2, 3, 4, _ROW_AT - 2)])
"""Of records without marks, with less than 256 cells and a key of less than 256 bytes: where they are, and which."""


class Piece(NamedTuple):
    """Records that were read together."""

    rows: Rows
    """Those that may be judged at once, up to the first that may not."""
    records_count: int
    """How many there are of the family."""
    pairs: list[Record] | None = None
    """The same with their keys, where these were read."""


class PlainRecords:
    """Those of one scan."""

    def __init__(
        self,
        snapshot: Snapshot,
        keys: tuple[bytes, bytes],
        key_of: Callable[[bytes], bytes],
        family: tuple[bytes, FamilyRead],
        now_ms: int,
        *,
        with_times: bool,
        reach: Reach | None,
    ) -> None:
        """`keys`: the range; `key_of`: where a row begins in the store; `family`: the one whose they are.

        `with_times`: rows are to have theirs. `reach`: how much of each is to be had side by side; None: nothing.
        """
        self._snapshot = snapshot
        self.read_at, self._upper = keys
        """All before it has been read."""
        self._key_of = key_of
        name, self._read_as = family
        self._family_begin = bytes((len(name),)) + name
        """Of what follows the row in a cell."""
        self.family_end = name + b"\0"
        """Of a record's key."""
        self._key_end = ROW_END + self.family_end
        """The same; no key of a further chunk ends so."""
        self._now_ms = now_ms
        wanted, ttl_ms = self._read_as.wanted, self._read_as.rules.ttl_ms
        self._from_ms = wanted.from_ms if ttl_ms == FOR_EVER_MS else max(wanted.from_ms, now_ms - ttl_ms)
        self._to_ms = wanted.to_ms
        self._from_times, self._to_times = _TIME.pack(max(self._from_ms, 0)), _TIME.pack(self._to_ms)
        self._at_any_time = self._from_ms == 0 and self._to_ms == FOR_EVER_MS
        self._with_times = with_times
        self._reach = reach
        self._count = RECORDS_FIRST
        self._rows: Rows | None = None
        """Read without keys and not judged yet."""
        self._behind: bytes | None = None
        """The record that was read last, where it was read so."""
        self._pairs: list[Record] = []
        """Read with keys."""
        self._keyed_pieces = 0

    def next(self, place: bytes) -> Piece | None:
        """The records from this key on; None: there are no more. What was read and not judged comes again."""
        rows = self._left_from(place)
        if rows is None and not self._pairs and not self._keyed_pieces:
            rows = self._read_rows(place)
        self._rows = rows
        if rows is not None:
            return Piece(rows, len(rows.data))
        pairs = self._next_pairs(place)
        if not pairs:
            return None
        own = [pair for pair in pairs if pair[0].endswith(self._key_end)]
        return Piece(self._rows_of([record for _, record in own]), len(own), own)

    def key(self, piece: Piece, number: int) -> bytes:
        """Of a record of the piece."""
        return self._key(piece.rows, number) if piece.pairs is None else piece.pairs[number][0]

    def judged(self, piece: Piece, count: int) -> None:
        """So many of the piece that was given last were."""
        if count == piece.records_count:
            self._rows, self._pairs = None, []
        elif self._rows is not None:
            self._rows = piece.rows.between(count, piece.records_count)

    def jump(self, row: bytes) -> bytes:
        """Nothing before this row is wanted; where it begins."""
        place = self._key_of(row)
        rows, pairs = self._rows, self._pairs
        left = [self._key(rows, len(rows.data) - 1)] if rows is not None else [key for key, _ in pairs[-1:]]
        if not left or left[0] < place:
            self._count = RECORDS_FIRST
            self._rows, self._pairs = None, []
            self.read_at, self._behind = place, None
        return place

    def _key(self, rows: Rows, number: int) -> bytes:
        return self._key_of(rows.key(number, HEAD_BYTES)) + self.family_end

    # --- without keys ---------------------------------------------------------------------------------------------

    def _left_from(self, place: bytes) -> Rows | None:
        rows = self._rows
        if rows is None or self._key(rows, 0) >= place:
            return rows
        return self._from(rows, place)

    def _from(self, rows: Rows, place: bytes) -> Rows | None:
        count = len(rows.data)
        start = bisect_left(range(count), place, key=lambda number: self._key(rows, number))
        return rows.between(start, count) if start < count else None

    def _read_rows(self, place: bytes) -> Rows | None:
        """None: they have to be read with their keys, or there are none."""
        while True:
            if self._behind is None:  # it may be within a row
                self.read_at = max(self.read_at, place)
            records = self._snapshot.values(self.read_at, self._upper, self._count, self._behind)
            rows = self._rows_alike(records) if records else None
            if rows is None:
                self._behind, self._keyed_pieces = None, KEYED_PIECES
                return None
            self._count = min(2 * self._count, RECORDS_MAX)
            last = self._key(rows, len(records) - 1)
            self.read_at, self._behind = last + b"\0", records[-1]
            if last >= place:
                return rows if self._key(rows, 0) >= place else self._from(rows, place)
            self._behind = None  # others have read far beyond it

    def _rows_alike(self, records: list[bytes]) -> Rows | None:
        """Records that are all rows of the family, whose keys are of one short length; None: not all are such.

        The same byte of all is looked at together, which takes a third of the time that it takes to read each head.
        """
        if len(records[0]) < _ROW_AT:
            return None
        count, key_bytes = len(records), records[0][_ROW_AT - 1]
        needed = _ROW_AT + key_bytes + len(self._family_begin)
        step = needed if self._reach is None else max(needed, self._reach.size_bytes)
        begins = begins_of(records, step)
        same = (*_PLAIN_BYTES, (_ROW_AT - 1, key_bytes), *enumerate(self._family_begin, _ROW_AT + key_bytes))
        for at, byte in same:
            if begins[at::step].count(byte) != count:
                return None
        newest_tops = begins[_NEWEST_AT::step]
        if not (newest_tops.isascii() and begins[_OLDEST_AT::step].isascii()):
            return None  # there are negative ones, which bytes sort behind the others
        times: list[bytes] = []
        if self._with_times or not self._at_any_time:
            times = list(map(_times_of, records))
            if not self._at_any_time and not self._are_seen(times):
                return None
        elif _TOP_BYTE_LAST in newest_tops:
            return None
        rows = Rows(records, begins[_COUNT_AT::step], bytes((key_bytes,)) * count, times)
        return rows if self._reach is None else rows._replace(begins=begins, begin_bytes=step, reach=self._reach)

    def _are_seen(self, times: list[bytes]) -> bool:
        """Whether all of them; none is negative."""
        newest, oldest = max(times)[:8], min(map(_oldest_of, times))
        return newest < self._to_times and oldest >= self._from_times

    # --- with keys ------------------------------------------------------------------------------------------------

    def _next_pairs(self, place: bytes) -> list[Record]:
        pairs = self._pairs
        if pairs and pairs[0][0] < place:
            del pairs[: bisect_left(pairs, (place,))]
        if pairs:
            return pairs
        self._keyed_pieces -= self._keyed_pieces > 0
        pairs = self._read_pairs()
        if pairs and pairs[-1][0] < place:  # others have read far beyond it
            self.read_at = place
            pairs = self._read_pairs()
        elif pairs and pairs[0][0] < place:
            del pairs[: bisect_left(pairs, (place,))]
        self._pairs = pairs
        return pairs

    def _read_pairs(self) -> list[Record]:
        pairs = self._snapshot.pairs(self.read_at, self._upper, self._count)
        self._count = min(2 * self._count, RECORDS_MAX)
        if pairs:
            self.read_at = pairs[-1][0] + b"\0"
        return pairs

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
        return Rows(records, counts, key_bytes, list(map(_times_of, records)) if self._with_times else ())

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
