"""Clean-up of a region: dead cells leave its store, record by record, in slices of a few milliseconds.

It is what a major compaction is in HBase: markers that hide nothing any more go too. Scans that are open read the
moment at which they were opened and lose nothing. A slice reads and writes without anybody in between; where it cannot
be written because the store is busy, nothing of it is done, and the next pass comes to it again. A region whose newest
cell has expired, as far as is known, is cleared without reading it.

A family that is larger than FAMILY_BYTES_WHOLE is cleaned chunk by chunk. What is known of a column there is what
one slice has read of it, so markers go only with columns that lie in one chunk, and those of the whole family stay.

Source: HStore#compact, StoreScanner with ScanType.COMPACT_DROP_DELETES.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from regionserver.engine.store import Batch, Durability, StoreBusy, StoreError
from regionserver.region.cleaning_by_head import ByHead
from regionserver.region.cleaning_in_order import FAMILY_BYTES_WHOLE, clean_in_order
from regionserver.region.dead import every_marker, living, may_have_dead
from regionserver.region.family import put_family
from regionserver.region.keys import family_of, row_key_of
from regionserver.region.newest_alike import NewestOf
from regionserver.region.newest_cell import NEVER_MS
from regionserver.region.pieces import Record
from regionserver.region.record import Entry, Mark, encode_record, head_of
from regionserver.region.records_ahead import RecordsAhead
from regionserver.region.region import Region
from regionserver.region.scan import ScanRange, key_range
from regionserver.region.visible import FOR_EVER_MS, FamilyRules
from regionserver.region.written_order import entries_of, with_cells
from registry.wire.cellblock import KeyType

SLICE_BYTES = 128 * 1024
"""Of records that are looked into in one slice: a millisecond or two."""
LOOKED_INTO_BYTES = 256
"""A record of which cells are looked at takes as long as if it had so many bytes more."""
PASSED_OVER, PASSED_OVER_BYTES = 8, 64
"""One of which only the head is looked at counts for such a share of its bytes, and so many more."""
TOGETHER_MAX = 256
"""Records that are read at once."""
_OF_FAMILIES = (-KeyType.DELETE_FAMILY, -KeyType.DELETE_FAMILY_VERSION)


class RegionCleaning:
    """One pass over a region. Belongs to the loop of its store."""

    def __init__(self, region: Region) -> None:
        """Begins at the region's first row."""
        self._region = region
        self._at, self._end = key_range(ScanRange(), region.where, region.prefix, region.order)
        self._large = b""
        """The key of the large family that the last slice ended in."""
        self._above: list[Entry] = []
        """Markers of all of that family."""
        self._begun: list[Entry] = []
        """Cells of the column that the chunk before has ended in; of this slice, for they may change until the next."""
        self._ranges_count = 0
        """Of records that went together."""
        self._newest_of = NewestOf()
        self._has_begun = False
        self._left_ms = NEVER_MS
        """The newest cell of what stays, and of what was looked into."""
        self.done = False
        self.cleared_whole = False
        """Everything had expired; nobody has counted it."""
        self.records_read_count = 0
        self.cells_dropped_count = 0
        self.slices_refused_count = 0

    def slice(self, now_ms: int, slice_bytes: int = SLICE_BYTES) -> bool:
        """Clean a little; whether more is left. Raises StoreError where the store can be read no longer."""
        if self.done:
            return False
        if not self._has_begun:
            self._has_begun = True
            if clear_expired(self._region, now_ms):
                self.done = self.cleared_whole = True
                return False
            self._region.newest.cleaning_begins()
        self._begun = []
        batch = Batch()
        together_count = min(TOGETHER_MAX, 1 + slice_bytes // LOOKED_INTO_BYTES)
        moment = self._region.store.snapshot()
        with closing(RecordsAhead(moment, self._at, self._end, together_count)) as records:
            dropped_count = self._judge(records, batch, now_ms, slice_bytes)
            self.records_read_count += records.count
            self.done = records.peek is None
            self._at = records.peek[0] if records.peek is not None else self._end
            self._left_ms = max(self._left_ms, records.newest_ms)
        if batch:
            self._commit(batch, dropped_count)
        if self.done and not self.slices_refused_count:
            self._region.newest.cleaning_ended(self._left_ms)
        return not self.done

    def _judge(self, records: RecordsAhead, batch: Batch, now_ms: int, slice_bytes: int) -> int:
        """So many as take the time of a slice; how many cells go."""
        by_head = ByHead(self._region.families, now_ms, self._ranges_count, self._newest_of)
        spent_bytes = dropped_count = 0
        while records.peek is not None and spent_bytes + by_head.changed_bytes < slice_bytes:
            if count := by_head.judge(records.together, batch):
                spent_bytes += records.pass_over(count) // PASSED_OVER + count * PASSED_OVER_BYTES
                continue
            by_head.end(batch)
            before_bytes = records.read_bytes
            dropped_count += self._look_into(records, batch, now_ms)
            spent_bytes += records.read_bytes - before_bytes + LOOKED_INTO_BYTES
        by_head.end(batch)
        self._ranges_count = by_head.ranges_count
        self._left_ms = max(self._left_ms, by_head.left_ms)
        return dropped_count + by_head.dropped_count

    def _look_into(self, records: RecordsAhead, batch: Batch, now_ms: int) -> int:
        """The next record, or all that belong to it; how many cells go."""
        record = records.peek
        assert record is not None
        row_key = row_key_of(record[0], len(self._region.prefix))
        family = family_of(record[0], len(row_key))
        rules = self._region.families.get(family)
        if rules is None:
            records.pass_over(1)
            self._left_ms = FOR_EVER_MS  # whoever knows the family may see it for ever
            return 0
        family_key = record[0][: len(row_key) + len(family) + 1]
        if rules.new_versions:
            return clean_in_order(records, self._region.store, batch, family_key, rules, now_ms)
        if record[0] != family_key or head_of(record[1]).marks & Mark.MORE:
            return self._chunks(records, batch, family_key, rules, now_ms)
        return _record(next(records), batch, rules, now_ms)

    def _commit(self, batch: Batch, dropped_count: int) -> None:
        def committed(error: StoreError | None) -> None:
            if error is None:
                self.cells_dropped_count += dropped_count
            else:
                self.slices_refused_count += 1

        try:
            self._region.store.commit(batch, Durability.LATER, committed)
        except StoreBusy as busy:
            committed(busy)

    def _chunks(self, records: RecordsAhead, batch: Batch, family_key: bytes, rules: FamilyRules, now_ms: int) -> int:
        """All chunks of a family where they are few, else the next one."""
        if self._large != family_key:
            chunks, ended = records.take(family_key, FAMILY_BYTES_WHOLE)
            if ended:
                return _whole(chunks, batch, family_key, rules, now_ms)
            self._large = family_key
            self._above, self._begun = [], []
        else:
            chunks = [next(records)]
        return sum(self._chunk(chunk, batch, family_key, rules, now_ms) for chunk in chunks)

    def _chunk(self, chunk: Record, batch: Batch, family_key: bytes, rules: FamilyRules, now_ms: int) -> int:
        key, record = chunk
        head = head_of(record)
        entries = entries_of(record, in_order=False)
        if not entries:
            return 0
        open_columns = (b"", entries[0][0], entries[-1][0])
        kept = living(
            entries, rules, now_ms, lambda qualifier, _: qualifier not in open_columns, [*self._above, *self._begun]
        )
        self._above += [entry for entry in kept if entry[0] == b"" and entry[2] in _OF_FAMILIES]
        last = entries[-1][0]
        self._begun = [entry for entry in (*self._begun, *kept) if entry[0] == last]
        dropped_count = len(entries) - len(kept)
        if kept or key == family_key:
            if dropped_count:
                batch.put(key, with_cells(record, kept, more=bool(head.marks & Mark.MORE)))
        else:
            batch.delete(key)
        return dropped_count


def clear_expired(region: Region, now_ms: int) -> bool:
    """Take all cells of a region out of its store, where all have expired; whether that was done."""
    if not region.newest.has_expired(region.families.values(), now_ms):
        return False
    batch = Batch()
    batch.clear(*key_range(ScanRange(), region.where, region.prefix, region.order))
    errors: list[StoreError | None] = []
    try:
        region.store.commit(batch, Durability.LATER, errors.append)
    except StoreBusy:
        return False
    if errors != [None]:
        return False
    region.newest.cleared()
    return True


def _record(record: Record, batch: Batch, rules: FamilyRules, now_ms: int) -> int:
    """A family that is one record."""
    key, value = record
    head = head_of(value)
    if not may_have_dead(head, rules, now_ms):
        return 0
    kept = living(entries_of(value, in_order=False), rules, now_ms, every_marker)
    if not kept:
        batch.delete(key)
    elif len(kept) < head.cells_count:
        batch.put(key, encode_record(kept))
    return head.cells_count - len(kept)


def _whole(chunks: Sequence[Record], batch: Batch, family_key: bytes, rules: FamilyRules, now_ms: int) -> int:
    """A family of a few chunks: written anew where anything of it goes, in one if it is small enough by now."""
    entries = [entry for _, value in chunks for entry in entries_of(value, in_order=False)]
    kept = living(entries, rules, now_ms, every_marker)
    if len(kept) < len(entries) or not kept:  # a first chunk may have been left without a cell
        for key, _ in chunks:
            batch.delete(key)
        if kept:
            put_family(batch, family_key, kept)
    return len(entries) - len(kept)
