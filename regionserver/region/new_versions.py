"""Which cells of a row and family with NEW_VERSION_BEHAVIOR a reader sees: what was written later decides.

A marker hides what was written before it and nothing that comes later, whatever their times are. A put that once was
beyond the family's number of versions is so for ever, also when a newer one is deleted.

The writing of a column is taken in sections, each ended by a marker and the last by now. A put counts in each section
from the one in which it was written to the one that a marker of its version ends; where one of these is full already
with puts of later times, it is not seen.

Two markers of one change have one sequence; of those that hide all versions up to a time the one that is met last
counts for both, as in HBase. HBase fails, or overlooks the family's markers, in columns without a name, and counts
puts of one change and column as one until it compacts; here such columns and puts are like any other. Of three puts
and more of one column and time HBase takes the last for the one that has replaced all of the others, so that what is
seen of older times hangs on whether it has compacted between them; here each has replaced the one before it.

Source: NewVersionBehaviorTracker, NormalUserScanQueryMatcher; HBASE-15968.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from registry.wire.cellblock import KeyType

NOW = 1 << 64
"""Behind all sequences."""
OF_FAMILIES = (KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION)
OF_VERSIONS = (KeyType.DELETE, KeyType.DELETE_FAMILY_VERSION)


class _Section:
    """What lies between two markers of all versions; markers of one version cut it further."""

    def __init__(self, hidden_to_ms: int | None) -> None:
        self.hidden_to_ms = hidden_to_ms
        """Of the marker that ends it; None: now."""
        self.deletes: dict[int, list[int]] = {}
        """Sequences of markers of one version, by its time."""
        self.ends = [NOW]
        self.counted: list[set[tuple[int, int]]] = [set()]
        """Sequences and times of the puts that count, by the end of the part."""

    def copy(self) -> _Section:
        made = _Section(self.hidden_to_ms)
        made.deletes = {timestamp_ms: list(found) for timestamp_ms, found in self.deletes.items()}
        made.ends, made.counted = list(self.ends), [set(found) for found in self.counted]
        return made

    def delete_version(self, timestamp_ms: int, sequence: int) -> None:
        deletes = self.deletes.setdefault(timestamp_ms, [])
        if sequence not in deletes:
            insort(deletes, sequence)
        at = bisect_left(self.ends, sequence)
        before = {put for put in self.counted[at] if put[0] < sequence}
        if self.ends[at] == sequence:
            self.counted[at] = before
        else:
            self.ends.insert(at, sequence)
            self.counted.insert(at, before)


class NewVersions:
    """Of one row and family; it has to hear of every cell, in their order."""

    def __init__(self, versions_max: int) -> None:
        """`versions_max` of the family."""
        self._versions_max = versions_max
        self._ends = [NOW]
        self._of_family = {NOW: _Section(None)}
        """By the sequence of the marker that ends each: those of the whole family."""
        self._column: bytes | None = None
        self._column_ends: list[int] = []
        self._of_column: dict[int, _Section] = {}
        """Of this column, once they differ from those of the family."""
        self._put_ms: int | None = None
        self._put_sequence = 0
        """Of the put before."""

    def add(self, qualifier: bytes, timestamp_ms: int, key_type: int, sequence: int) -> None:
        """A marker."""
        is_of_family = key_type in OF_FAMILIES
        if not is_of_family:
            self._enter(qualifier)
        if self._column is not None:  # those of the family lie in the column without a name
            ends = self._column_ends
            end = self._end(ends, key_type, sequence)
            if key_type in OF_VERSIONS:
                self._section(end).delete_version(timestamp_ms, sequence)
            else:
                self._of_column[end] = _Section(timestamp_ms)
        if is_of_family:
            end = self._end(self._ends, key_type, sequence)
            if key_type in OF_VERSIONS:
                self._of_family[end].delete_version(timestamp_ms, sequence)
            else:
                self._of_family[end] = _Section(timestamp_ms)

    @staticmethod
    def _end(ends: list[int], key_type: int, sequence: int) -> int:
        """Of the section in which a marker lies, or which it ends."""
        at = bisect_left(ends, sequence)
        if key_type not in OF_VERSIONS and ends[at] != sequence:
            ends.insert(at, sequence)
        return ends[at]

    def hides(self, qualifier: bytes, timestamp_ms: int, sequence: int) -> bool:
        """Whether a put is not seen. It counts from now on."""
        self._enter(qualifier)
        again = timestamp_ms == self._put_ms
        written_again = self._put_sequence if again else NOW
        self._put_ms, self._put_sequence = timestamp_ms, sequence
        ends = self._column_ends
        for number in range(bisect_left(ends, sequence), len(ends)):
            section = self._section(ends[number])
            deletes = section.deletes.get(timestamp_ms, ())
            at = bisect_left(deletes, sequence)
            deleted = deletes[at] if at < len(deletes) else NOW
            stop = min(written_again, deleted)
            for part in range(bisect_left(section.ends, sequence), len(section.ends)):
                if section.ends[part] > stop:
                    break
                counted = section.counted[part]
                if len(counted) >= self._versions_max:
                    return True
                counted.add((sequence, timestamp_ms))
            if deleted < NOW or (section.hidden_to_ms is not None and timestamp_ms <= section.hidden_to_ms):
                return True
        return again

    def _enter(self, qualifier: bytes) -> None:
        if qualifier != self._column:
            self._column, self._column_ends, self._put_ms = qualifier, list(self._ends), None
            self._of_column.clear()

    def _section(self, end: int) -> _Section:
        found = self._of_column.get(end)
        if found is None:
            found = self._of_column[end] = self._of_family[end].copy()
        return found
