"""The rows of a scan with a filter, and the places that the filter has said to go on at.

Such a place is one of a family: the families of a row may be in different places, and a row is told without those that
are beyond it. Only what all families are beyond is not read.

Source: KeyValueHeap, StoreScanner#seekAsDirection, ReversedRegionScannerImpl.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from regionserver.engine.store import Snapshot
from regionserver.filters.filter import Place, SeenCell
from regionserver.region.filtered_cells import Cursor, FamilyRead, RowToFilter
from regionserver.region.keys import RowOrder, after_family, after_row, family_key, family_of, row_key_of, row_of


class RowsToFilter:
    """Those of one scan; a row is ended before the next one is asked for."""

    def __init__(
        self,
        snapshot: Snapshot,
        keys: tuple[bytes, bytes],
        prefix: bytes,
        order: RowOrder,
        families: Mapping[bytes, FamilyRead],
        now_ms: int,
        *,
        reverse: bool,
        has_enough: Callable[[], bool] | None = None,
    ) -> None:
        """`keys` from `key_range`; it owns the snapshot. `has_enough`: of a filter that may have within a row."""
        self.later: dict[bytes, FamilyRead] = {}
        """Families that are read of rows that have passed."""
        self._snapshot = snapshot
        self._lower, self._upper = keys
        self._prefix = prefix
        self._order = order
        self._families = dict(families)
        self._now_ms = now_ms
        self._reverse = reverse
        self._has_enough = has_enough
        self._at = self._lower
        """Where the cursor begins when a row is asked for."""
        self._cursor: Cursor | None = None
        self._place = b""
        """The row that was found last, as keys have it."""
        self._resume: dict[bytes, bytes] = {}
        """By family, the row as keys have it before which nothing of it is asked about."""
        self._ended: set[bytes] = set()
        """Families of which the filter had enough."""

    def leave_for_later(self, families: set[bytes]) -> None:
        """Read these only of rows that have passed."""
        self.later = {name: read for name, read in self._families.items() if name in families}
        self._families = {name: read for name, read in self._families.items() if name not in families}

    def close(self) -> None:
        """Let go of the moment."""
        self._end()
        self._snapshot.close()

    def next_place(self) -> bytes:
        """The key from which on the next row is looked for, behind those of which nothing is asked about."""
        self._pass_over_rows()
        if self._cursor is None:
            return self._at
        return self._upper if self._cursor.record is None else self._cursor.record[0]

    def go_on_at(self, key: bytes) -> None:
        """Look for the next row from this key on."""
        self._cursor, self._at = None, key

    def find(self) -> RowToFilter | None:
        """The next row that has records of what is asked about."""
        self._pass_over_rows()
        if self._reverse:
            return self._find_downwards()
        if self._cursor is None and self._at < self._upper:
            self._cursor = Cursor(self._snapshot, self._at, self._upper)
        cursor, prefix_bytes = self._cursor, len(self._prefix)
        while cursor is not None and (record := cursor.record) is not None:
            row_key = row_key_of(record[0], prefix_bytes)
            found = self._row_at(cursor, row_key)
            if found is not None:
                return found
            cursor.seek(after_row(row_key))
        return None

    def end(self, row: RowToFilter) -> None:
        """Nothing more is read of it."""
        if self._cursor is not None:
            self._cursor.seek(after_row(row.row_key))

    def later_of(self, row: RowToFilter) -> RowToFilter:
        """The cells of a row that were left for later."""
        cursor = Cursor(self._snapshot, row.row_key, after_row(row.row_key))
        return RowToFilter(cursor, row.row_key, row.row, self.later, self._now_ms, self._has_ended)

    def end_family(self, family: bytes) -> None:
        """Of this family nothing is asked about any more, in no row."""
        self._ended.add(family)

    def jump(self, row: RowToFilter, cell: SeenCell, hint: Place | None) -> None:
        """To the place of a hint, where it lies in the direction of the scan; else to the next cell."""
        if hint is not None and hint[0] == cell.row:
            if not self._reverse and hint > cell.place:
                row.skip_to(hint)
                return
        elif hint is not None:
            place = self._order(hint[0])
            if self._is_before(self._place, place):
                self._resume[cell.family] = place
                row.skip_family()
                return
        row.next()

    def _row_at(self, cursor: Cursor, row_key: bytes) -> RowToFilter | None:
        """The row that the cursor is at, if it has records of a family that is asked about; then it is at the first."""
        self._place = row_key[len(self._prefix) :]
        while (record := cursor.record) is not None and record[0].startswith(row_key):
            family = family_of(record[0], len(row_key))
            if family in self._families and not self._is_passed(family):
                row = row_of(self._place)
                return RowToFilter(cursor, row_key, row, self._families, self._now_ms, self._is_left_out)
            cursor.seek(after_family(family_key(row_key, family)))
        return None

    def _find_downwards(self) -> RowToFilter | None:
        while self._lower < self._upper:
            record = next(self._snapshot.scan(self._lower, self._upper, reverse=True), None)
            if record is None:
                return None
            row_key = self._upper = row_key_of(record[0], len(self._prefix))
            found = self._row_at(Cursor(self._snapshot, row_key, after_row(row_key)), row_key)
            if found is not None:
                return found
        return None

    def _is_passed(self, family: bytes) -> bool:
        """Whether nothing of a family is asked about in the row."""
        if family in self._ended:
            return True
        resume = self._resume.get(family)
        return resume is not None and self._is_before(self._place, resume)

    def _is_left_out(self, family: bytes) -> bool:
        """Whether nothing of a family is read in the row that was found, which has records of it."""
        return self._is_passed(family) or self._has_ended(family)

    def _has_ended(self, family: bytes) -> bool:
        """Whether the filter had enough of it, or has now that it comes to it: be there something to see, or not."""
        if self._has_enough is not None and self._has_enough():
            self._ended.add(family)
        return family in self._ended

    def _is_before(self, place: bytes, other: bytes) -> bool:
        return place > other if self._reverse else place < other

    def _pass_over_rows(self) -> None:
        """Those of which nothing is asked about in any family."""
        families = self._families.keys() - self._ended
        if not families:
            self._end()
        elif families <= self._resume.keys():
            places = [self._resume[family] for family in families]
            if self._reverse:
                self._upper = min(self._upper, after_row(self._prefix + max(places)))
            elif self._cursor is not None:
                self._cursor.seek(self._prefix + min(places))

    def _end(self) -> None:
        self._cursor = None
        self._upper = self._at = self._lower
