"""Rows that have given bytes in given places, with the next row that may. Pure.

A mask has a byte for each of the key: fixed or any. Clients write it in three ways, as themselves or as they keep it.

Source: org.apache.hadoop.hbase.filter.FuzzyRowFilter, HBASE-15676 (is_mask_v2).
"""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Iterable, Sequence

from regionserver.filters.filter import Filter, Place, ReturnCode, SeenCell, first_on_row
from regionserver.filters.rows import behind_prefix
from regionserver.filters.whole_rows import GoOn, OfRow, Passes, Plan

FIXED = 0xFF
ANY_V1, ANY_V2 = 0, 2
"""As clients keep a place that is not fixed, before HBASE-15676 and after it."""


class FuzzyKey:
    """A key, and which of its bytes are fixed."""

    def __init__(self, key: bytes, mask: bytes, *, is_mask_v2: bool) -> None:
        """They are of one length."""
        any_byte = ANY_V2 if is_mask_v2 else ANY_V1
        is_kept = all(each in (FIXED, any_byte) for each in mask)
        self.fixed = [each == FIXED or (each == 0 and not is_kept) for each in mask]
        self.key = bytes([byte if fixed else 0 for byte, fixed in zip(key, self.fixed, strict=True)])
        self.reach = max([index + 1 for index, fixed in enumerate(self.fixed) if fixed], default=0)
        """Rows that have the same so many bytes match all or not at all."""
        self._mask = int.from_bytes(bytes([FIXED * fixed for fixed in self.fixed]), "big")
        self._bits = int.from_bytes(self.key, "big")

    def matches(self, row: bytes) -> bool:
        """Whether a row has the bytes, as far as it reaches."""
        begin = row[: len(self.key)]
        missing_bits = 8 * (len(self.key) - len(begin))
        return int.from_bytes(begin, "big") & (self._mask >> missing_bits) == self._bits >> missing_bits

    def next_row(self, row: bytes, *, downwards: bool) -> bytes | None:
        """From where on a row behind this one may match; None: nowhere. A row is read as if zeros followed it."""
        key, fixed = self.key, self.fixed
        row += bytes(max(0, len(key) - len(row)))
        last, step, first = (0, -1, 0xFF) if downwards else (0xFF, 1, 0)
        made = bytearray([first]) * len(row)
        stepped_at = -1
        is_behind = False
        for index, byte in enumerate(row):
            if index >= len(key) or not fixed[index]:
                made[index] = byte
                if byte != last:
                    stepped_at = index
                continue
            made[index] = key[index]
            if byte != key[index]:
                is_behind = (byte > key[index]) if downwards else (byte < key[index])
                break
        if not is_behind:
            if stepped_at < 0:
                return None
            made[stepped_at] += step
            made[stepped_at + 1 :] = bytes([first]) * (len(made) - stepped_at - 1)
        for index, is_fixed in enumerate(fixed):
            if is_fixed:
                made[index] = key[index]
        found = bytes(made[: max(self.reach, stepped_at + 1)])
        return (behind_prefix(found) or row) if downwards else found


class FuzzyRowFilter(Filter):
    """Rows that match one of these."""

    outlives_row = True
    may_end = True
    is_hinting = True

    def __init__(self, keys: Iterable[FuzzyKey]) -> None:
        """At least one."""
        self._keys = list(keys)
        self.weight = len(self._keys)
        self._last = self._keys[0]
        """The one that matched last is tried first."""
        self._is_out = False
        self._is_done = False
        self._next: list[tuple[bytes, int]] | None = None
        """Where each key may match next, ascending, once a row was passed over."""

    def reset(self) -> None:
        """See Filter."""
        self._is_out = False

    def filter_all_remaining(self) -> bool:
        """See Filter."""
        return self._is_done

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        if self._matches(cell.row):
            return ReturnCode.INCLUDE
        self._is_out = True
        return ReturnCode.SEEK_NEXT_USING_HINT

    def _matches(self, row: bytes) -> bool:
        if self._last.matches(row):
            return True
        for key in self._keys:
            if key.matches(row):
                self._last = key
                return True
        return False

    def filter_row(self) -> bool:
        """See Filter."""
        return self._is_out

    def next_cell_hint(self, cell: SeenCell) -> Place | None:
        """See Filter."""
        row = self._next_row(cell.row)
        return None if row is None else first_on_row(row)

    def _next_row(self, row: bytes) -> bytes | None:
        """From where on a row behind one that does not match may match; None: nowhere."""
        if self._next is None:
            self._next = []
            for index in range(len(self._keys)):
                self._note_next(row, index)
        else:
            while self._next and self._is_reached(row):
                _, index = self._next.pop(-1 if self.is_reversed else 0)
                self._note_next(row, index)
        if not self._next:
            self._is_done = True
            return None
        return self._next[-1 if self.is_reversed else 0][0]

    def plan(self) -> Plan | None:
        """See Filter."""
        return Plan(of_row=(OfRow(self._passes, self._passes_between, self._passing_first),))

    def _passes_between(self, first: bytes, last: bytes) -> bool:
        """Where both begin alike, as far as anything is fixed, so do all between them."""
        reach = self._last.reach
        return first[:reach] == last[:reach] and reach <= len(first) and self._last.matches(first)

    def _passing_first(self, rows: Sequence[bytes]) -> int:
        reach = self._last.reach
        begin = rows[0][:reach]
        if reach > len(begin) or not self._last.matches(begin):
            return 0
        return bisect(rows, False, key=lambda row: row[:reach] != begin)

    def _passes(self, row: bytes) -> Passes:
        return True if self._matches(row) else GoOn(self._next_row(row))

    def _is_reached(self, row: bytes) -> bool:
        """Rows that may match begin with the next one, downwards below it."""
        assert self._next
        return row < self._next[-1][0] if self.is_reversed else row >= self._next[0][0]

    def _note_next(self, row: bytes, index: int) -> None:
        assert self._next is not None
        found = self._keys[index].next_row(row, downwards=self.is_reversed)
        if found is not None:
            insort(self._next, (found, index))
