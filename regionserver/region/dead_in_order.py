"""Dead cells of families with NEW_VERSION_BEHAVIOR.

What is hidden there is hidden for ever, and no marker hides what is still to come: so all that markers hide goes at
once with them, column by column, and so does what is beyond the family's number. A column of which not all cells are
known is left as it is, for a marker that was not met may have ended a version that another one seems to be beyond. So
is one with a cell that will expire by a time of its own, which counts until then and not afterwards.

Where deleted cells are kept, who reads the past may see them: there go versions beyond the number of those that were
written behind all markers, and markers before which nothing was written. HBase counts markers as versions there when it
compacts, and loses what a reader still sees.

Source: MajorCompactionScanQueryMatcher with NewVersionBehaviorTracker.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from operator import itemgetter

from regionserver.region.new_versions import NOW, OF_FAMILIES, NewVersions
from regionserver.region.record import Entry, has_tags
from regionserver.region.visible import FOR_EVER_MS, FamilyRules, KeepDeleted, own_ttl_is_over, own_ttl_ms
from regionserver.region.written_order import sequence_of
from registry.wire.cellblock import KeyType

_PUT = -int(KeyType.PUT)
_OF_FAMILIES = tuple(-int(kind) for kind in OF_FAMILIES)
_OF_COLUMNS = (-int(KeyType.DELETE), -int(KeyType.DELETE_COLUMN))


def living_in_order(
    entries: Sequence[Entry],
    rules: FamilyRules,
    now_ms: int,
    above: Sequence[Entry] | None = None,
    open_columns: Collection[bytes] = (),
) -> Sequence[Entry]:
    """Those of sorted cells, with their sequences, that are to be kept.

    `above`: all markers of the family, where these are not all of its cells; of `open_columns` not all are here.
    """
    if any(entry[2] != _PUT and _expires(entry) for entry in entries):
        return entries  # a marker that expires: no client of HBase can write one
    of_family = [entry for entry in entries if entry[2] in _OF_FAMILIES] if above is None else above
    looked = _Look(rules, now_ms, of_family)
    left: list[Entry] = []
    all_looked_into = above is None
    for name, cells in groupby(entries, itemgetter(0)):
        lives = [entry for entry in cells if not looked.is_over(entry)]
        if name in open_columns or any(map(_expires, lives)):
            all_looked_into = False
            left += lives
        else:
            left += looked.column(lives)
    return looked.needed(left, _OF_FAMILIES) if all_looked_into else left


class _Look:
    """At whole columns of one row and family, in their order."""

    def __init__(self, rules: FamilyRules, now_ms: int, of_family: Sequence[Entry]) -> None:
        """With the markers of the family."""
        self.keeps = rules.keep_deleted is not KeepDeleted.FALSE
        """Deleted cells, for readers of the past."""
        self._rules = rules
        self._now_ms = now_ms
        self._oldest_ms = -FOR_EVER_MS if rules.ttl_ms == FOR_EVER_MS else now_ms - rules.ttl_ms
        self._newest = max(map(sequence_of, of_family), default=-1)
        """Of the markers of the family."""
        self._versions = NewVersions(rules.versions_max)
        for marker in of_family:
            self._versions.add(b"", -marker[1], -marker[2], sequence_of(marker))

    def is_over(self, entry: Entry) -> bool:
        """Whether its time is, whatever else there is."""
        timestamp_ms = -entry[1]
        if timestamp_ms < self._oldest_ms and self._rules.versions_min <= 0:
            return True
        return has_tags(entry[3]) and own_ttl_is_over(entry[3], timestamp_ms, self._now_ms)

    def column(self, cells: Sequence[Entry]) -> list[Entry]:
        """What stays of all cells of a column; markers of the family do in any case."""
        return self._kept(cells) if self.keeps else self._seen(cells)

    def _seen(self, cells: Sequence[Entry]) -> list[Entry]:
        left: list[Entry] = []
        count = 0
        for entry in cells:
            qualifier, negated_ms, negated_type, _ = entry
            if negated_type in _OF_FAMILIES:
                left.append(entry)
            elif negated_type != _PUT:
                self._versions.add(qualifier, -negated_ms, -negated_type, sequence_of(entry))
                left.append(entry)
            elif not self._versions.hides(qualifier, -negated_ms, sequence_of(entry)):
                count += 1
                if -negated_ms >= self._oldest_ms or count <= self._rules.versions_min:
                    left.append(entry)
        return self.needed(left, _OF_COLUMNS)

    def _kept(self, cells: Sequence[Entry]) -> list[Entry]:
        """A put is beyond the number where so many came behind all markers, which then no reader leaves out."""
        newest = max([sequence_of(entry) for entry in cells if entry[2] != _PUT], default=self._newest)
        newest = max(newest, self._newest)
        left: list[Entry] = []
        count = 0
        before_ms: int | None = None
        for entry in cells:
            if entry[2] == _PUT:
                again, before_ms = entry[1] == before_ms, entry[1]
                is_newer = sequence_of(entry) > newest
                if count >= self._rules.versions_max or (again and is_newer):
                    continue
                if newest < 0 and -entry[1] < self._oldest_ms and count >= self._rules.versions_min:
                    continue
                count += is_newer
            left.append(entry)
        return self.needed(left, _OF_COLUMNS)

    def needed(self, left: list[Entry], kinds: Collection[int]) -> list[Entry]:
        """Without markers of these kinds that are old enough to go and that no reader notices.

        A reader of the past does where one of the puts was written before.
        """
        first = NOW
        if self.keeps:
            first = min([sequence_of(entry) for entry in left if entry[2] == _PUT], default=NOW)
        stay_ms = self._rules.markers_stay_ms
        from_ms = self._now_ms - stay_ms if stay_ms > 0 else FOR_EVER_MS + 1
        return [entry for entry in left if entry[2] not in kinds or -entry[1] >= from_ms or sequence_of(entry) >= first]


def _expires(entry: Entry) -> bool:
    return has_tags(entry[3]) and own_ttl_ms(entry[3]) is not None
