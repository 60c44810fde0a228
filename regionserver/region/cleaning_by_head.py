"""Clean-up of records whose heads say what is to be done, many of them at once: that is most of all.

They stay as they are, have expired as a whole, or have older versions of which none is kept, and those may have expired
or not. Records that have expired lie side by side, for rows are written in their order, or not any more: many of them
go as one range. A store writes that in no time, and who reads beside it passes over it at once, where deletes of single
records are passed one by one. What lies between them and is written anew, without its older versions, does not end a
range: it comes back by the same batch.

RocksDB sorts all ranges that are not in files yet anew for who reads first behind one that came: so the more there
are, the longer has a range to be.

Source: https://rocksdb.org/blog/2018/11/21/delete-range.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from regionserver.engine.store import Batch
from regionserver.region.newest_alike import NewestOf
from regionserver.region.newest_cell import NEVER_MS
from regionserver.region.pieces import Record
from regionserver.region.record import FORMAT, HEAD, Mark, puts_since
from regionserver.region.visible import FOR_EVER_MS, FamilyRules

CLEARED_TOGETHER = 16
"""So many records that follow each other go as a range, which is written as fast as a few deletes."""
CLEARED_SHARE = 16
"""And as many as there were ranges before divided by this: to delete them one by one takes as long as sorting those."""
DELETED_BYTES = 96
"""To delete a record by itself takes as long as to look into so many bytes."""
NEWEST_SHARE, NEWEST_BYTES = 4, 256
"""To take older versions out of one as long as to look into such a share of its bytes, and so many more."""
_EXPIRES_WHOLE = int(Mark.MARKERS | Mark.VERSIONS)
"""Marks of records that are dead when their newest cell is: further chunks are not known, tags may say otherwise."""
_VERSIONS = int(Mark.VERSIONS)
_END = b"\0"


class _Family(NamedTuple):
    dead_before_ms: int
    """Of the newest cell of a record that has expired as a whole."""
    living_from_ms: int
    """Of the oldest cell of a record of which nothing has expired."""
    newest_from_ms: int
    """Of the oldest cell of a record of puts of which the newest of each column stay, if they have not expired."""


class ByHead:
    """Of one slice. Whatever it does not know is another's to look into."""

    def __init__(
        self, families: Mapping[bytes, FamilyRules], now_ms: int, ranges_count: int, newest_of: NewestOf
    ) -> None:
        """`ranges_count`: so many went before, in slices of the same pass, which have `newest_of` in common."""
        self._families = {_END + name + _END: _family(rules, now_ms) for name, rules in families.items()}
        """By what the keys of their first records end with."""
        self._dead: list[bytes] = []
        """Keys of records between which none stays as it is."""
        self._older: list[tuple[bytes, bytes, int, int]] = []
        """Records of which older versions go, how many cells they have, and since when those must be that stay, where
        some are not: many of them at once."""
        self._newest_of = newest_of
        self.ranges_count = ranges_count
        self.changed_bytes = 0
        """What changes took, as if so much had been looked into."""
        self.dropped_count = 0
        """Cells."""
        self.left_ms = NEVER_MS
        """The newest cell of records that stay."""

    def judge(self, records: Sequence[Record], batch: Batch) -> int:
        """How many of the first records are done with.

        What is dead goes with `end` at the latest, which has to come before anything that lies behind.
        """
        family_of, head_of, dead, older = self._families.get, HEAD.unpack_from, self._dead, self._older
        count = dropped_count = changed_bytes = 0
        left_ms = self.left_ms
        end: bytes | None = None
        dead_before_ms = living_from_ms = NEVER_MS
        newest_from_ms = FOR_EVER_MS
        for key, record in records:
            # A first record's key ends with its family between two zero bytes, and that of a further chunk with none.
            if end is None or not key.endswith(end):
                end = key[key.rfind(_END, 0, -1) :]
                family = family_of(end)
                if family is None:
                    break
                dead_before_ms, living_from_ms, newest_from_ms = family
            known, marks, cells_count, newest_ms, oldest_ms = head_of(record)
            if known != FORMAT:
                break
            if newest_ms < dead_before_ms and not marks & ~_EXPIRES_WHOLE:
                dead.append(key)
                dropped_count += cells_count
            elif (oldest_ms < newest_from_ms or marks != _VERSIONS) and (oldest_ms < living_from_ms or marks):
                break
            else:
                if newest_ms > left_ms:
                    left_ms = newest_ms
                if not marks:
                    if dead:
                        self._clear(batch)
                else:
                    from_ms = living_from_ms if oldest_ms < living_from_ms else NEVER_MS
                    older.append((key, record, cells_count, from_ms))
                    changed_bytes += len(record) // NEWEST_SHARE + NEWEST_BYTES
            count += 1
        self.dropped_count += dropped_count
        self.changed_bytes += changed_bytes
        self.left_ms = left_ms
        return count

    def end(self, batch: Batch) -> None:
        """What follows is not known: remove what was found until here."""
        self._clear(batch)
        if self._older:
            made = self._newest_of([record for _, record, _, _ in self._older])
            for (key, _, cells_count, from_ms), (newest, columns_count) in zip(self._older, made, strict=True):
                if from_ms > NEVER_MS:
                    newest, columns_count = puts_since(newest, from_ms)
                if columns_count:
                    batch.put(key, newest)
                else:
                    batch.delete(key)
                self.dropped_count += cells_count - columns_count
            self._older.clear()

    def _clear(self, batch: Batch) -> None:
        dead = self._dead
        if len(dead) >= max(CLEARED_TOGETHER, self.ranges_count // CLEARED_SHARE):
            batch.clear(dead[0], dead[-1] + _END)
            self.ranges_count += 1
        else:
            for key in dead:
                batch.delete(key)
            self.changed_bytes += len(dead) * DELETED_BYTES
        dead.clear()


def _family(rules: FamilyRules, now_ms: int) -> _Family:
    oldest_ms = NEVER_MS if rules.ttl_ms == FOR_EVER_MS else now_ms - rules.ttl_ms
    dead_before_ms, newest_from_ms = (oldest_ms, NEVER_MS) if rules.versions_min <= 0 else (NEVER_MS, oldest_ms)
    if rules.versions_max != 1 or rules.new_versions:
        newest_from_ms = FOR_EVER_MS
    return _Family(dead_before_ms, oldest_ms, newest_from_ms)
