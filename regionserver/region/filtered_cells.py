"""The cells of a row that a filter is asked about, and ways to pass over those that it is not asked about.

They are what is seen of the row but for the limits that hold behind the filter: all versions that the family keeps.
Records that are passed over are not read where that is quicker; delete markers among them hide what they hide all the
same, since a jump never leaves the column in which those of the whole family lie.

Source: StoreScanner, NormalUserScanQueryMatcher, of what they do before a filter is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from regionserver.engine.store import View
from regionserver.filters.filter import Place, SeenCell
from regionserver.region.keys import after_family, chunk_key, family_key, family_of
from regionserver.region.pieces import Record
from regionserver.region.record import HEAD_BYTES, Entry, Mark, head_of, read_entries
from regionserver.region.visible import (
    FOR_EVER_MS,
    NO_LIMIT,
    VERSIONS_ALL,
    FamilyRules,
    Wanted,
    all_are_visible,
    visible,
)
from regionserver.region.written_order import entries_of

NEAR_RECORDS = 8
"""So many records are read before a place is looked up."""
NEAR_CHUNKS = 2


@dataclass(frozen=True, slots=True)
class FamilyRead:
    """What is read of a family, and what holds behind the filter."""

    rules: FamilyRules
    wanted: Wanted
    """Before the filter."""
    versions_max: int
    cells_max: int
    cells_skipped: int

    def leaves_column(self, qualifier: bytes) -> bool:
        """Whether a filter that has enough of a column is not asked about older versions of it.

        HBase stays in the column without a name, since markers of the whole family may follow there, unless the client
        names columns; where the order of writing counts it stays in each column that is named.

        Source: HBASE-18471 (ScanQueryMatcher#getKeyForNextColumn), NewVersionBehaviorTracker#getColumnHint.
        """
        return bool(qualifier) if self.wanted.columns is None else not self.rules.new_versions


def family_read(rules: FamilyRules, asked: Wanted) -> FamilyRead:
    """Take apart what a client asks of a family. Source: ScanQueryMatcher#getTrackers, UserScanQueryMatcher."""
    counts_before = rules.new_versions and not asked.raw  # of its versions those that are wanted come to the filter
    return FamilyRead(
        rules,
        replace(
            asked,
            versions_max=asked.versions_max if counts_before else VERSIONS_ALL,
            cells_max=NO_LIMIT,
            cells_skipped=0,
        ),
        asked.versions_max if asked.raw else min(asked.versions_max, rules.versions_max),
        asked.cells_max,
        asked.cells_skipped,
    )


class Cursor:
    """A place among the records of a range; it goes on and never back."""

    def __init__(self, view: View, lower: bytes, upper: bytes) -> None:
        self.view = view
        self._upper = upper
        self._records = view.scan(lower, upper)
        self.record: Record | None = next(self._records, None)
        """The one at the place; None: behind the last."""

    def advance(self) -> None:
        """To the next record."""
        self.record = next(self._records, None)

    def seek(self, key: bytes) -> None:
        """To the first record from this key on."""
        for _ in range(NEAR_RECORDS):
            if self.record is None or self.record[0] >= key:
                return
            self.advance()
        if self.record is not None and self.record[0] < key:
            self._records = self.view.scan(key, self._upper)
            self.advance()


class RowToFilter:
    """The cells of one row, one of them at a time."""

    def __init__(
        self,
        cursor: Cursor,
        row_key: bytes,
        row: bytes,
        families: Mapping[bytes, FamilyRead],
        now_ms: int,
        is_passed: Callable[[bytes], bool],
    ) -> None:
        """`cursor` is at a record of the row; families of which `is_passed` is true are not read."""
        self.row = row
        self.row_key = row_key
        self.cell: SeenCell | None = None
        """The one to ask about; None: there is none any more. At first `begin` has to be called."""
        self.read: FamilyRead | None = None
        """Of its family."""
        self.tagged = False
        """A record with tags was read."""
        self._cursor = cursor
        self._families = families
        self._now_ms = now_ms
        self._is_passed = is_passed
        self._family = b""
        self._entries: Iterator[Entry] = iter(())
        self._goal = b""
        """No column before it is asked for."""

    def begin(self) -> None:
        """To the first cell."""
        self._begin_family()

    def next(self) -> None:
        """To the next cell."""
        entry = next(self._entries, None)
        if entry is None:
            self._begin_family()
        else:
            self._set(entry)

    def skip_column(self) -> None:
        """To the first cell of another column."""
        assert self.cell is not None
        column = self.cell.qualifier
        for entry in self._entries:
            if entry[0] != column:
                self._set(entry)
                return
        self._begin_family()

    def skip_family(self) -> None:
        """To the first cell of another family."""
        self._entries = iter(())
        self._cursor.seek(after_family(family_key(self.row_key, self._family)))
        self._begin_family()

    def skip_to(self, place: Place) -> None:
        """To the first cell from a place of this row on, which is behind the cell."""
        assert self.cell is not None
        _, family, qualifier, negated_ms, negated_type = place
        if family > self._family:
            self.skip_family()
            return
        behind = (qualifier, negated_ms, negated_type)
        self._goal = qualifier
        for entry in self._entries:
            if entry[:3] >= behind:
                self._set(entry)
                return
        self._begin_family()

    def _set(self, entry: Entry) -> None:
        qualifier, negated_ms, negated_type, data = entry
        self.cell = SeenCell(self.row, self._family, qualifier, -negated_ms, -negated_type, data)

    def _begin_family(self) -> None:
        """The first cell of the next family that has one."""
        cursor, row_key = self._cursor, self.row_key
        while (record := cursor.record) is not None and record[0].startswith(row_key):
            family = family_of(record[0], len(row_key))
            read = self._families.get(family)
            if read is None or self._is_passed(family):
                cursor.seek(after_family(family_key(row_key, family)))
                continue
            self._family, self.read, self._goal = family, read, b""
            self._entries = self._seen(record[1], read)
            entry = next(self._entries, None)
            if entry is not None:
                self._set(entry)
                return
            cursor.seek(after_family(family_key(row_key, family)))
        self.cell = None

    def _seen(self, first: bytes, read: FamilyRead) -> Iterator[Entry]:
        if all_are_visible(head_of(first), read.rules, read.wanted, self._now_ms):
            self._cursor.advance()
            return iter(read_entries(first, HEAD_BYTES))
        return visible(self._all(read.rules), read.rules, read.wanted, self._now_ms)

    def _all(self, rules: FamilyRules) -> Iterator[Entry]:
        """The cells of all records of the family, but for those before the goal where it is far."""
        cursor, begin = self._cursor, family_key(self.row_key, self._family)
        chunks_before_goal = 0
        while (record := cursor.record) is not None and record[0].startswith(begin):
            self.tagged = self.tagged or bool(head_of(record[1]).marks & Mark.TAGS)
            entries = entries_of(record[1], in_order=rules.new_versions)
            cursor.advance()
            yield from entries
            chunks_before_goal = chunks_before_goal + 1 if entries and b"" < entries[-1][0] < self._goal else 0
            if chunks_before_goal > NEAR_CHUNKS:
                newest = chunk_key(begin, self._goal, FOR_EVER_MS, 255)
                found = next(cursor.view.scan(begin, newest + b"\0", reverse=True), None)
                cursor.seek(found[0] if found is not None else begin)
                chunks_before_goal = 0
