"""Which cells of a row and family a reader sees: delete markers, versions, time range, time to live.

It decides cell by cell, in the order in which records have them, as HBase's matchers do, so that the answers are the
same where the two could differ too: a column is left as soon as no older cell of it can count, and expired cells count
for the least number of versions only.

Source: org.apache.hadoop.hbase.regionserver.querymatcher: NormalUserScanQueryMatcher, RawScanQueryMatcher,
ScanDeleteTracker, ScanWildcardColumnTracker, ExplicitColumnTracker, NewVersionBehaviorTracker.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from regionserver.region.new_versions import NewVersions
from regionserver.region.record import Entry, Head, Mark, has_tags
from regionserver.region.written_order import bare, sequence_of
from registry.wire.cellblock import KeyType, TagType, decode_cell, decode_tags

FOR_EVER_MS = (1 << 63) - 1
VERSIONS_ALL = 0x7FFF_FFFF
"""Java's Integer.MAX_VALUE."""
NO_LIMIT = 1 << 62
_PUT = -int(KeyType.PUT)
_VERSIONS = int(Mark.VERSIONS)
"""Older versions, and neither markers nor tags nor further chunks."""


class KeepDeleted(enum.Enum):
    """KEEP_DELETED_CELLS: whether what a marker hides is still there for who reads the time before it."""

    FALSE = "FALSE"
    TRUE = "TRUE"
    TTL = "TTL"


@dataclass(frozen=True, slots=True)
class FamilyRules:
    """What the descriptor of a family says about its cells."""

    versions_max: int = 1
    versions_min: int = 0
    """So many stay when all have expired."""
    ttl_ms: int = FOR_EVER_MS
    keep_deleted: KeepDeleted = KeepDeleted.FALSE
    new_versions: bool = False
    """NEW_VERSION_BEHAVIOR: what was written later decides. Entries have their sequences then: `written_order`."""
    markers_stay_ms: int = 0
    """hbase.hstore.time.to.purge.deletes: no marker goes before it is so old."""

    @property
    def keeps_newest(self) -> bool:
        """Whether of puts without tags the newest of each column stays and no other, whatever the time is."""
        return (
            self.versions_max == 1
            and self.keep_deleted is KeepDeleted.FALSE
            and self.ttl_ms == FOR_EVER_MS
            and not self.new_versions
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a Get or Scan asks of one family."""

    columns: tuple[bytes, ...] | None = None
    """Qualifiers, sorted, each once; None for all."""
    versions_max: int = 1
    from_ms: int = 0
    to_ms: int = FOR_EVER_MS
    """Exclusive."""
    raw: bool = False
    """Markers and what they hide too; it is asked of all columns only."""
    cells_max: int = NO_LIMIT
    """Of the row's cells in this family (store_limit), after so many were passed over (store_offset)."""
    cells_skipped: int = 0

    @property
    def is_cut(self) -> bool:
        """Whether cells are counted."""
        return self.cells_max != NO_LIMIT or self.cells_skipped > 0


NEWEST = Wanted()


def all_are_visible(head: Head, rules: FamilyRules, wanted: Wanted, now_ms: int) -> bool:
    """Whether a record can be answered as it is. One in chunks cannot: a column may lie in two of them."""
    return (
        not head.marks
        and wanted.columns is None
        and wanted.from_ms <= head.oldest_ms
        and head.newest_ms < wanted.to_ms
        and (rules.ttl_ms == FOR_EVER_MS or head.oldest_ms >= now_ms - rules.ttl_ms)
        and head.cells_count <= wanted.cells_max
        and not wanted.cells_skipped
    )


def newest_are_visible(head: Head, rules: FamilyRules, wanted: Wanted, now_ms: int) -> bool:
    """Whether of a record the newest cell of each column is seen and no other: `record.newest_of`."""
    return (
        head.marks == _VERSIONS
        and (wanted.versions_max == 1 or rules.versions_max == 1)
        and not wanted.raw
        and wanted.columns is None
        and wanted.from_ms <= head.oldest_ms
        and head.newest_ms < wanted.to_ms
        and (rules.ttl_ms == FOR_EVER_MS or head.oldest_ms >= now_ms - rules.ttl_ms)
        and head.cells_count <= wanted.cells_max
        and not wanted.cells_skipped
    )


def visible(entries: Iterable[Entry], rules: FamilyRules, wanted: Wanted, now_ms: int) -> Iterator[Entry]:
    """The cells that are seen, in their order. `entries` are those of one row and family, sorted.

    With a filter the caller asks for all the versions that the family keeps, and counts again behind the filter.
    """
    if wanted.raw:
        if rules.new_versions:
            entries = _latest_living(entries, now_ms)
        return _limited(_raw(entries, wanted, now_ms), wanted)
    versions_max = min(wanted.versions_max, rules.versions_max)
    oldest_ms = -FOR_EVER_MS if rules.ttl_ms == FOR_EVER_MS else now_ms - rules.ttl_ms
    if rules.new_versions:
        return _limited(_in_order(entries, rules, wanted, versions_max, oldest_ms, now_ms), wanted)
    hidden = Hidden(sees_past=rules.keep_deleted is not KeepDeleted.FALSE, wanted=wanted)
    seen = _seen(entries, rules, wanted, now_ms, oldest_ms, hidden)
    if wanted.columns is None:
        return _limited(_of_all_columns(seen, rules, versions_max, oldest_ms), wanted)
    return _limited(_of_columns(seen, rules, wanted.columns, versions_max, oldest_ms), wanted)


def _limited(entries: Iterator[Entry], wanted: Wanted) -> Iterator[Entry]:
    if wanted.cells_max == NO_LIMIT and not wanted.cells_skipped:
        return entries
    return islice(entries, wanted.cells_skipped, wanted.cells_skipped + wanted.cells_max)


class Hidden:
    """The delete markers met so far in a row and family, and what they hide."""

    def __init__(self, *, sees_past: bool, wanted: Wanted) -> None:
        """`sees_past`: markers behind the time range hide nothing in it."""
        self._sees_past = sees_past
        self._wanted = wanted
        self._family_ms = -FOR_EVER_MS - 1
        """Everything up to it is hidden."""
        self._family_versions: set[int] = set()
        self._column: bytes | None = None
        self._column_ms = -FOR_EVER_MS - 1
        self._versions: set[int] = set()

    def add(self, qualifier: bytes, timestamp_ms: int, key_type: int) -> None:
        """A marker."""
        if timestamp_ms < self._wanted.from_ms or (self._sees_past and timestamp_ms >= self._wanted.to_ms):
            return
        if key_type == KeyType.DELETE_FAMILY:
            self._family_ms = max(self._family_ms, timestamp_ms)
        elif key_type == KeyType.DELETE_FAMILY_VERSION:
            self._family_versions.add(timestamp_ms)
        else:
            self._enter(qualifier)
            if key_type == KeyType.DELETE_COLUMN:
                self._column_ms = max(self._column_ms, timestamp_ms)
            else:
                self._versions.add(timestamp_ms)

    def hides(self, qualifier: bytes, timestamp_ms: int) -> bool:
        """Whether a put is hidden; markers come before what they hide."""
        if timestamp_ms <= self._family_ms or timestamp_ms in self._family_versions:
            return True
        if qualifier != self._column:
            return False
        return timestamp_ms <= self._column_ms or timestamp_ms in self._versions

    def covers(self, qualifier: bytes, timestamp_ms: int, key_type: int) -> bool:
        """Whether all that such a marker would hide is hidden already."""
        if timestamp_ms <= self._family_ms:
            return True
        if key_type == KeyType.DELETE:
            return self.hides(qualifier, timestamp_ms)
        return key_type == KeyType.DELETE_COLUMN and qualifier == self._column and timestamp_ms <= self._column_ms

    def _enter(self, qualifier: bytes) -> None:
        if qualifier != self._column:
            self._column, self._column_ms = qualifier, -FOR_EVER_MS - 1
            self._versions.clear()


def _seen(
    entries: Iterable[Entry], rules: FamilyRules, wanted: Wanted, now_ms: int, oldest_ms: int, hidden: Hidden
) -> Iterator[Entry]:
    """Puts that are neither hidden nor out of time; versions are not counted yet."""
    for entry in entries:
        qualifier, negated_ms, negated_type, cell = entry
        timestamp_ms = -negated_ms
        if timestamp_ms < oldest_ms and rules.versions_min <= 0:
            continue
        if has_tags(cell) and own_ttl_is_over(cell, timestamp_ms, now_ms):
            continue
        if negated_type != _PUT:
            hidden.add(qualifier, timestamp_ms, -negated_type)
        elif not hidden.hides(qualifier, timestamp_ms) and wanted.from_ms <= timestamp_ms < wanted.to_ms:
            yield entry


def _of_all_columns(entries: Iterable[Entry], rules: FamilyRules, versions_max: int, oldest_ms: int) -> Iterator[Entry]:
    column: bytes | None = None
    count = 0
    for entry in entries:
        if entry[0] != column:
            column, count = entry[0], 0
        count += 1
        if count <= versions_max and (count <= rules.versions_min or -entry[1] >= oldest_ms):
            yield entry


def _of_columns(
    entries: Iterable[Entry], rules: FamilyRules, columns: Sequence[bytes], versions_max: int, oldest_ms: int
) -> Iterator[Entry]:
    """As above, but for one thing that HBase does: the first expired cell behind the least number is still given."""
    wanted = frozenset(columns)
    column: bytes | None = None
    count = 0
    is_done = False
    for entry in entries:
        if entry[0] not in wanted:
            continue
        if entry[0] != column:
            column, count, is_done = entry[0], 0, False
        if is_done:
            continue
        count += 1
        is_done = count >= versions_max or (count >= rules.versions_min and -entry[1] < oldest_ms)
        yield entry


def _raw(entries: Iterable[Entry], wanted: Wanted, now_ms: int) -> Iterator[Entry]:
    """Markers are given and counted as no version; the time to live of the family does not matter."""
    column: bytes | None = None
    count = 0
    for entry in entries:
        qualifier, negated_ms, negated_type, cell = entry
        if has_tags(cell) and own_ttl_is_over(cell, -negated_ms, now_ms):
            continue
        if not wanted.from_ms <= -negated_ms < wanted.to_ms:
            continue
        if qualifier != column:
            column, count = qualifier, 0
        if negated_type == _PUT:
            count += 1
        if count <= wanted.versions_max:
            yield entry


def _latest_living(entries: Iterable[Entry], now_ms: int) -> Iterator[Entry]:
    """Of each column, time and type the one that was written last, but for what has expired by a time of its own."""
    before: tuple[bytes, int, int] | None = None
    for entry in entries:
        if has_tags(entry[3]) and own_ttl_is_over(entry[3], -entry[1], now_ms):
            continue
        if entry[:3] != before:
            before = entry[:3]
            yield bare(entry)


def _in_order(
    entries: Iterable[Entry], rules: FamilyRules, wanted: Wanted, versions_max: int, oldest_ms: int, now_ms: int
) -> Iterator[Entry]:
    """What is seen where the order of writing decides; versions out of the time range are versions, too."""
    versions = NewVersions(rules.versions_max)
    sees_past = rules.keep_deleted is not KeepDeleted.FALSE
    columns = None if wanted.columns is None else frozenset(wanted.columns)
    column: bytes | None = None
    count = 0
    is_done = False
    for entry in entries:
        qualifier, negated_ms, negated_type, cell = entry
        timestamp_ms = -negated_ms
        if has_tags(cell) and own_ttl_is_over(cell, timestamp_ms, now_ms):
            continue
        if negated_type != _PUT:
            if timestamp_ms >= wanted.from_ms and not (sees_past and timestamp_ms >= wanted.to_ms):
                versions.add(qualifier, timestamp_ms, -negated_type, sequence_of(entry))
            continue
        if qualifier != column:
            column, count, is_done = qualifier, 0, False
        if is_done or (columns is not None and qualifier not in columns):
            continue
        if versions.hides(qualifier, timestamp_ms, sequence_of(entry)):
            continue
        if not wanted.from_ms <= timestamp_ms < wanted.to_ms:
            continue
        count += 1
        is_old = timestamp_ms < oldest_ms
        is_done = count >= versions_max or (is_old and count >= rules.versions_min)
        if not is_old or count <= rules.versions_min:
            yield bare(entry)


def own_ttl_is_over(cell: bytes, timestamp_ms: int, now_ms: int) -> bool:
    """Whether the first tag with a time to live says that the cell has expired."""
    ttl_ms = own_ttl_ms(cell)
    if ttl_ms is None:
        return False
    until_ms = timestamp_ms + ttl_ms
    return (until_ms if until_ms <= FOR_EVER_MS else until_ms - (1 << 64)) < now_ms  # it wraps, as Java's long does


def own_ttl_ms(cell: bytes) -> int | None:
    """The time to live that a cell with tags has of its own."""
    tags = decode_cell(memoryview(cell), 0, with_tags=True)[0].tags
    for tag in decode_tags(tags):
        if tag.tag_type == TagType.TTL:
            return int.from_bytes(tag.value, "big", signed=True)
    return None
