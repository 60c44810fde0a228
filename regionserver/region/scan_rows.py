"""The rows of a scan, one after another, each as what is seen of it.

Most rows are one record that is seen whole, and a scan asks for one family: then a row is a key and a value of the
store, and is taken as it lies there (`take_plain`). All others are found one by one (`next`), and of those that have to
be looked into the cells come piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

from regionserver.engine.store import Snapshot
from regionserver.region.keys import ROW_END, ROW_END_BYTES, after_row, family_of, row_key_of
from regionserver.region.large_rows import visible_pieces
from regionserver.region.pieces import CELL_OVERHEAD_BYTES, OneFamily, OneRow, Pieces, Record
from regionserver.region.record import (
    FORMAT,
    HEAD,
    HEAD_BYTES,
    columns_of,
    head_of,
    newest_of,
    only_newest,
    plain_count,
)
from regionserver.region.visible import (
    FOR_EVER_MS,
    FamilyRules,
    Wanted,
    all_are_visible,
    newest_are_visible,
)

FoundRow = tuple[bytes, "bytes | Pieces", int]
"""A row's key and cells: one block of so many, all of them seen, or pieces that are looked for when they are taken."""


_PlainFamily = tuple[FamilyRules, Wanted, "frozenset[bytes] | None", bool]
"""What is asked, as if of all columns, of which columns alone, and whether cells' times and marks say all of it."""


def _plain_family(rules: FamilyRules, asked: Wanted) -> _PlainFamily:
    if asked.columns is None:
        return rules, asked, None, rules.ttl_ms == FOR_EVER_MS and not asked.is_cut
    return rules, replace(asked, columns=None), frozenset(asked.columns), False


def _seen(family: _PlainFamily, record: bytes, now_ms: int) -> tuple[bytes, int] | None:
    """Of a family's only record: cells, and how many they are; None: they have to be looked at one by one."""
    rules, asked, columns, by_head = family
    if by_head and (count := plain_count(record, asked.from_ms, asked.to_ms)):
        return record[HEAD_BYTES:], count
    head = head_of(record)
    if columns is not None and (asked.is_cut or not head.cells_count):
        return None
    if all_are_visible(head, rules, asked, now_ms):
        return (record[HEAD_BYTES:], head.cells_count) if columns is None else columns_of(record, columns)
    if newest_are_visible(head, rules, asked, now_ms):
        return newest_of(record) if columns is None else columns_of(only_newest(record)[0], columns)
    return None


class ScanRows:
    """Those of one scan. A row is taken to its end before the next one is asked for."""

    def __init__(
        self,
        snapshot: Snapshot,
        keys: tuple[bytes, bytes],
        prefix_bytes: int,
        families: Mapping[bytes, FamilyRules],
        wanted: Mapping[bytes, Wanted],
        now_ms: int,
        *,
        reverse: bool,
    ) -> None:
        """`keys`: where it begins and ends in the store, prefixes and all."""
        self.tagged = False
        """A record with tags was read."""
        self._snapshot = snapshot
        self._prefix_bytes = prefix_bytes
        self._families = families
        self._wanted = wanted
        self._now_ms = now_ms
        self._keys = None if reverse else keys
        """Until it has begun."""
        self._records: Iterator[Record] = iter(())
        self._record: Record | None = None
        """Read from the store, and the first of a row that was not told yet."""
        self._row: OneRow | None = None
        """The row that was told last, where it may have further records."""
        self._down = self._downwards(*keys) if reverse else None
        self._plain = {
            family + b"\0": _plain_family(families[family], asked) for family, asked in wanted.items() if not asked.raw
        }
        """By the end of the key of a family's only record."""
        self._is_of_one = len(wanted) == 1
        """A record without marks is a row: what belongs to other families is none of this scan."""
        self._only: tuple[bytes, Wanted] | None = None
        """How such a record's key ends, and what is asked; no other key ends so, for a chunk's does not end with 0."""
        if self._is_of_one and self._plain and not reverse:
            [(key_end, (_, asked, _, by_head))] = self._plain.items()
            self._only = (ROW_END + key_end, asked) if by_head else None

    def begin(self, rows_count: int) -> None:
        """About so many rows will be asked for before others have a turn."""
        if self._keys is not None:
            self._records = self._snapshot.scan(*self._keys, ahead_count=rows_count)
            self._keys = None

    def close(self) -> None:
        """There is nothing more."""
        self._record = self._row = self._keys = None
        self._records = iter(())
        self._down = iter(()) if self._down is not None else None

    def take_plain(
        self, rows_max: int, bytes_max: int, row_bytes_max: int, blocks: list[bytes], counts: list[int]
    ) -> tuple[int, int, bytes]:
        """Take the next rows as they lie, up to so many, while they stay below so many bytes and none has more.

        Gives how many they are, the bytes that they count for, and the key of the last row.
        """
        if self._only is None:
            return 0, 0, b""
        self._end_row()
        key_end, asked = self._only
        from_ms, to_ms, records, read_head = asked.from_ms, asked.to_ms, self._records, HEAD.unpack_from
        taken = taken_bytes = 0
        last_key = key_end
        record, self._record = self._record, None
        for key, value in records if record is None else chain((record,), records):
            known, marks, count, newest_ms, oldest_ms = read_head(value)  # `plain_count`, without a call for each
            if marks or known != FORMAT or not count or oldest_ms < from_ms or newest_ms >= to_ms:
                self._record = key, value
                break
            size_bytes = len(value) - HEAD_BYTES + CELL_OVERHEAD_BYTES * count
            if taken_bytes + size_bytes >= bytes_max or size_bytes > row_bytes_max or not key.endswith(key_end):
                self._record = key, value
                break
            blocks.append(value[HEAD_BYTES:])
            counts.append(count)
            taken_bytes += size_bytes
            taken += 1
            last_key = key
            if taken == rows_max:
                break
        return taken, taken_bytes, last_key[: ROW_END_BYTES - len(key_end)]

    def next(self) -> FoundRow | None:
        """The next row that has records of what is asked; whether one of their cells is seen is found out later."""
        if self._down is not None:
            return next(self._down, None)
        self._end_row()
        records, prefix_bytes, now_ms = self._records, self._prefix_bytes, self._now_ms
        while (record := self._record or next(records, None)) is not None:
            self._record = None
            key, value = record
            end = key.index(ROW_END, prefix_bytes) + ROW_END_BYTES
            row_key = key[:end]
            family = self._plain.get(key[end:])
            if family is not None and self._is_alone(row_key):
                seen = _seen(family, value, now_ms)
                if seen is not None:
                    return (row_key, *seen) if seen[1] else (row_key, iter(()), 0)
            if self._is_asked(key, end):
                row = self._row = OneRow(row_key, record, self._record, records)
                self._record = None
                return row_key, self._pieces(row_key, row), 0
        return None

    def _end_row(self) -> None:
        """Pass over what is left of the row that was told last."""
        row, self._row = self._row, None
        if row is not None:
            self._record = row.rest()

    def _is_alone(self, row_key: bytes) -> bool:
        """Whether a record without marks is all of its row; the one behind it is read where that tells."""
        if self._is_of_one:
            return True
        following = self._record = next(self._records, None)
        return following is None or not following[0].startswith(row_key)

    def _downwards(self, lower: bytes, upper: bytes) -> Iterator[FoundRow]:
        while True:
            record = next(self._snapshot.scan(lower, upper, reverse=True), None)
            if record is None:
                return
            row_key = row_key_of(record[0], self._prefix_bytes)
            records = self._snapshot.scan(row_key, after_row(row_key))
            for record in records:
                if self._is_asked(record[0], len(row_key)):
                    yield row_key, self._pieces(row_key, chain((record,), records)), 0
                    break
            upper = row_key

    def _is_asked(self, key: bytes, row_key_bytes: int) -> bool:
        """Whether a record is of a family that is read: a row without one is none of this scan."""
        family = family_of(key, row_key_bytes)
        return family in self._wanted and family in self._families

    def _pieces(self, row_key: bytes, records: Iterator[Record]) -> Pieces:
        """Blocks of visible cells, by family; families that are not asked for are passed over."""
        record = next(records, None)
        while record is not None:
            family = family_of(record[0], len(row_key))
            own = OneFamily(family, len(row_key), record, records)
            rules, asked = self._families.get(family), self._wanted.get(family)
            if rules is None or asked is None:
                record = own.rest()
                continue
            value = record[1]
            head = head_of(value)
            if all_are_visible(head, rules, asked, self._now_ms):
                yield value[HEAD_BYTES:], head.cells_count
            else:
                yield from self._looked_into(own, rules, asked)
            record = own.rest()

    def _looked_into(self, records: Iterator[Record], rules: FamilyRules, asked: Wanted) -> Pieces:
        for cells, count, tagged in visible_pieces((value for _, value in records), rules, asked, self._now_ms):
            self.tagged = self.tagged or tagged
            yield cells, count
