"""Which cells of a row and family nobody will see again, so that a store need not keep them.

Dead are puts that a marker hides, versions beyond those that the family keeps, and what its time to live is over for.
A marker may go when nothing that it hides is left; until then it hides what is still to come with an older time, too.
Who reads a time range may have seen a version beyond the family's number, or what a marker hid: those go here, as in
HBase when it compacts. Cells that will expire by a time to live of their own never make another one dead: it would be
seen again afterwards. Where deleted cells are kept, those that a marker hides do not count against the others.

Source: MinorCompactionScanQueryMatcher, StripeCompactionScanQueryMatcher, DropDeletesCompactionScanQueryMatcher,
ScanWildcardColumnTracker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from regionserver.region.record import Entry, Head, Mark, has_tags
from regionserver.region.visible import FOR_EVER_MS, FamilyRules, Hidden, KeepDeleted, Wanted, own_ttl_ms
from registry.wire.cellblock import KeyType

_PUT = -KeyType.PUT
_EVERYTHING = Wanted(from_ms=-FOR_EVER_MS - 1)
_OF_FAMILIES = (KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION)

LOOKED_AT_CELLS = 32
"""A chunk is looked at when it has so many, and at each doubling: a cell or two for each write."""
LOOKED_AT_NEW = 8
"""And when so many are written at once, or more, and it has three times as many then: a row that is written again and
again as a whole has two versions, then one, and is never far from what is read of it."""
AT_ONCE_COLUMNS = 8
"""A record of so many columns is never looked at for puts: what they hide goes with them."""

MarkerMayGo = Callable[[bytes, int], bool]
"""By qualifier and key type: whether all cells that such a marker can hide are among those that are looked at."""


def no_marker(qualifier: bytes, key_type: int) -> bool:
    """Only a part of the cells is known."""
    del qualifier, key_type
    return False


def every_marker(qualifier: bytes, key_type: int) -> bool:
    """All cells of the row and family are known."""
    del qualifier, key_type
    return True


def may_have_dead(head: Head, rules: FamilyRules, now_ms: int) -> bool:
    """Whether its cells are worth a look."""
    return bool(head.marks & (Mark.MARKERS | Mark.VERSIONS | Mark.TAGS)) or (
        rules.ttl_ms != FOR_EVER_MS and head.oldest_ms < now_ms - rules.ttl_ms
    )


def go_at_once(columns_count: int, rules: FamilyRules) -> bool:
    """Whether puts over a record of puts without tags take the places of what they hide.

    It is dead at once then, as if a flush of HBase had come between: reading stays as cheap as it was, however often
    columns are written. Rows of few columns keep what a reader of the past may ask for until they have grown.
    """
    return columns_count >= AT_ONCE_COLUMNS and rules.keeps_newest


def are_looked_at(earlier_count: int, count: int, new_count: int) -> bool:
    """Whether a chunk that has got new cells is looked at for dead ones."""
    if new_count >= LOOKED_AT_NEW and 3 * new_count <= count <= 4 * new_count:
        return True
    return count >= LOOKED_AT_CELLS and count.bit_length() > earlier_count.bit_length()


def living(
    entries: Sequence[Entry],
    rules: FamilyRules,
    now_ms: int,
    may_go: MarkerMayGo = no_marker,
    above: Iterable[Entry] = (),
) -> Sequence[Entry]:
    """Those of sorted cells that are to be kept.

    `above`: cells before them that are kept, those of columns that go on here and what hides the whole family.
    """
    oldest_ms = -FOR_EVER_MS if rules.ttl_ms == FOR_EVER_MS else now_ms - rules.ttl_ms
    own_ttls = [own_ttl_ms(entry[3]) if has_tags(entry[3]) else None for entry in entries]
    if any(ttl_ms is not None and entry[2] != _PUT for entry, ttl_ms in zip(entries, own_ttls, strict=True)):
        return entries  # a marker that expires: no client of HBase can write one
    kept = _Kept(rules, oldest_ms)
    for qualifier, negated_ms, negated_type, cell in above:
        if negated_type == _PUT:
            kept.put(qualifier, -negated_ms, expires=has_tags(cell) and own_ttl_ms(cell) is not None)
        else:
            kept.meet(qualifier, -negated_ms, -negated_type)
    left: list[Entry] = []
    for entry, ttl_ms in zip(entries, own_ttls, strict=True):
        qualifier, negated_ms, negated_type, _ = entry
        timestamp_ms = -negated_ms
        if timestamp_ms < oldest_ms and rules.versions_min <= 0:
            continue
        if ttl_ms is not None and timestamp_ms + ttl_ms < now_ms:
            continue
        if negated_type == _PUT:
            if kept.put(qualifier, timestamp_ms, expires=ttl_ms is not None):
                left.append(entry)
        elif kept.marker(qualifier, timestamp_ms, -negated_type):
            left.append(entry)
    return _without_markers(left, rules, oldest_ms, now_ms - rules.markers_stay_ms, may_go)


class _Kept:
    """Decides cell by cell, in their order."""

    def __init__(self, rules: FamilyRules, oldest_ms: int) -> None:
        self._rules = rules
        self._oldest_ms = oldest_ms
        self._gone = Hidden(sees_past=False, wanted=_EVERYTHING)
        """What its markers hide is hidden from all."""
        self._past = Hidden(sees_past=False, wanted=_EVERYTHING)
        """What its markers hide may be seen by who reads the time before them."""
        self._column: bytes | None = None
        self._seen_count = self._puts_count = 0
        """Of this column, for ever: seen by all; and those that markers hide too."""

    def meet(self, qualifier: bytes, timestamp_ms: int, key_type: int) -> None:
        keep = self._rules.keep_deleted
        is_old = timestamp_ms < self._oldest_ms
        hides_for_all = keep is KeepDeleted.FALSE or (keep is KeepDeleted.TTL and is_old)
        (self._gone if hides_for_all else self._past).add(qualifier, timestamp_ms, key_type)

    def marker(self, qualifier: bytes, timestamp_ms: int, key_type: int) -> bool:
        if self._rules.keep_deleted is KeepDeleted.FALSE and self._gone.covers(qualifier, timestamp_ms, key_type):
            return False
        self.meet(qualifier, timestamp_ms, key_type)
        return True

    def put(self, qualifier: bytes, timestamp_ms: int, *, expires: bool) -> bool:
        if self._gone.hides(qualifier, timestamp_ms):
            return False
        if qualifier != self._column:
            self._column, self._seen_count, self._puts_count = qualifier, 0, 0
        is_past = self._past.hides(qualifier, timestamp_ms)
        newer_count = self._puts_count if is_past else self._seen_count
        if newer_count >= self._rules.versions_max:
            return False
        if timestamp_ms < self._oldest_ms and newer_count >= self._rules.versions_min:
            return False
        if not expires:
            self._puts_count += 1
            self._seen_count += not is_past
        return True


def _without_markers(
    left: list[Entry], rules: FamilyRules, oldest_ms: int, stays_from_ms: int, may_go: MarkerMayGo
) -> Sequence[Entry]:
    """Drops markers that hide nothing any more; those that are not kept for readers of the past hide nothing here."""
    needed: list[Entry] = []
    puts: list[Entry] | None = None
    for entry in left:
        qualifier, negated_ms, negated_type, _ = entry
        stays = rules.markers_stay_ms > 0 and -negated_ms >= stays_from_ms
        if negated_type == _PUT or stays or not may_go(qualifier, -negated_type):
            needed.append(entry)
            continue
        keep = rules.keep_deleted
        if keep is KeepDeleted.FALSE or (keep is KeepDeleted.TTL and -negated_ms < oldest_ms):
            continue
        if puts is None:
            puts = [each for each in left if each[2] == _PUT]
        if any(_is_under(put, entry) for put in puts):
            needed.append(entry)
    return needed


def _is_under(put: Entry, marker: Entry) -> bool:
    key_type = -marker[2]
    if key_type not in _OF_FAMILIES and put[0] != marker[0]:
        return False
    if key_type in (KeyType.DELETE_FAMILY, KeyType.DELETE_COLUMN):
        return put[1] >= marker[1]
    return put[1] == marker[1]
