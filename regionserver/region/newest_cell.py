"""How new the newest cell of a region may be: where even that has expired, all of it goes at once, and nothing is read.

A table of sessions that nobody uses any more, or the older regions of rows that begin with their time, are such. What
has been written since the region was opened says it for that alone, so it is known when a clean-up has gone through
what was there: each notes what the newest of all that it left is. A bound may be too high, and is never too low.

What was written before a clean-up began counts until the next one has ended, though it has been gone through: nobody
has to show that a change was to be read the moment it was made.

Source: TimeRangeTracker, which each of HBase's files has; HStore#removeUnneededFiles, SortedCompactionPolicy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from regionserver.region.record import Entry
from regionserver.region.visible import FOR_EVER_MS, FamilyRules

NEVER_MS = -FOR_EVER_MS - 2
"""Before all times: there is no cell."""


class NewestCell:
    """Of one region, markers counted as cells. Times are in ms since 1970."""

    __slots__ = ("_before_ms", "_left_ms", "written_ms")

    def __init__(self) -> None:
        """Of a region whose cells nobody knows."""
        self.written_ms = NEVER_MS
        """Of what was written since the last clean-up began. Whoever writes raises it before the store is told."""
        self._before_ms = NEVER_MS
        """Of what was written in the time between the one before and that one."""
        self._left_ms: int | None = None
        """What a clean-up has left, and all that was written before it; None: none has gone through yet."""

    @property
    def latest_ms(self) -> int | None:
        """No cell is newer. NEVER_MS: there is none; None: not known."""
        return None if self._left_ms is None else max(self._left_ms, self._before_ms, self.written_ms)

    def written(self, entries: Sequence[Entry]) -> None:
        """These cells are about to be."""
        for entry in entries:
            if -entry[1] > self.written_ms:
                self.written_ms = -entry[1]

    def cleaning_begins(self) -> None:
        """All that is there is gone through from here on."""
        if self._left_ms is not None:
            self._left_ms = max(self._left_ms, self._before_ms)
        self._before_ms, self.written_ms = self.written_ms, NEVER_MS

    def cleaning_ended(self, left_ms: int) -> None:
        """It came to the region's end, and of what it left this is the newest."""
        self._left_ms = left_ms

    def cleared(self) -> None:
        """Nothing is left."""
        self._left_ms = self._before_ms = self.written_ms = NEVER_MS

    def has_expired(self, families: Iterable[FamilyRules], now_ms: int) -> bool:
        """Whether there are cells, as far as is known, and each of them has, whichever of the families it is of."""
        latest_ms = self.latest_ms
        if latest_ms is None or latest_ms == NEVER_MS:
            return False
        return all(
            rules.ttl_ms != FOR_EVER_MS and rules.versions_min <= 0 and latest_ms < now_ms - rules.ttl_ms
            for rules in families
        )
