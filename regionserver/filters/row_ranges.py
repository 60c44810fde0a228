"""Rows of several ranges, each of which is jumped to. Pure.

Source: org.apache.hadoop.hbase.filter.MultiRowRangeFilter.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from regionserver.filters.filter import Filter, NothingSaid, Place, ReturnCode, SeenCell, first_on_row
from regionserver.filters.whole_rows import GoOn, OfRow, Passes, Plan


@dataclass(frozen=True, slots=True)
class RowRange:
    """From one row to another; an empty stop row: to the end."""

    start: bytes
    stop: bytes
    start_inclusive: bool = True
    stop_inclusive: bool = False

    @property
    def is_valid(self) -> bool:
        """Whether a row may be in it."""
        return not self.stop or self.start < self.stop or (self.start == self.stop and self.stop_inclusive)

    def __contains__(self, row: bytes) -> bool:
        if row < self.start or (row == self.start and not self.start_inclusive):
            return False
        return not self.stop or row < self.stop or (row == self.stop and self.stop_inclusive)


def merged(ranges: Iterable[RowRange]) -> list[RowRange]:
    """Sorted, and those that meet made one. All are valid."""
    made: list[RowRange] = []
    for each in sorted(ranges, key=lambda one: one.start):
        last = made[-1] if made else None
        if last is None or not _meet(last, each):
            made.append(each)
        elif last.stop and (not each.stop or each.stop > last.stop):
            made[-1] = replace(last, stop=each.stop, stop_inclusive=each.stop_inclusive)
        elif each.stop == last.stop:
            made[-1] = replace(last, stop_inclusive=last.stop_inclusive or each.stop_inclusive)
    return made


def _meet(last: RowRange, following: RowRange) -> bool:
    if not last.stop or last.stop > following.start:
        return True
    return last.stop == following.start and (last.stop_inclusive or following.start_inclusive)


class MultiRowRangeFilter(Filter):
    """Rows of these ranges; the scan ends behind the last."""

    outlives_row = True
    is_hinting = True

    def __init__(self, ranges: Sequence[RowRange]) -> None:
        """At least one, sorted and apart from each other."""
        self._ranges = list(ranges)
        self._range: RowRange | None = None
        """That of the last row, or the one to go on with."""
        self._code: ReturnCode | None = None
        """Of the row; None: it was not asked about one, as within a SkipFilter, which does not ask about rows."""
        self._is_done = False

    def set_reversed(self) -> None:
        """See Filter."""
        super().set_reversed()
        self._ranges.reverse()

    def filter_all_remaining(self) -> bool:
        """See Filter."""
        return self._is_done

    def filter_row_key(self, row: bytes) -> bool:
        """See Filter. No row is dropped here, so that it is asked for the hint."""
        if self._is_done:
            return True
        if self._range is not None and row in self._range:
            self._code = ReturnCode.INCLUDE
            return False
        found = self._reached(row)
        if found is None:
            self._is_done = True
            self._code = ReturnCode.NEXT_ROW
            return False
        self._range = found
        if row in found:
            self._code = ReturnCode.INCLUDE
        elif row == self._begin_of(found):  # it is left out, and the range goes on behind it
            self._code = ReturnCode.NEXT_ROW
        else:
            self._code = ReturnCode.SEEK_NEXT_USING_HINT
        return False

    def filter_cell(self, cell: SeenCell) -> ReturnCode:  # noqa: ARG002
        """See Filter."""
        if self._code is None:
            raise NothingSaid('Cannot invoke "Filter$ReturnCode.ordinal()" because "filterResponse" is null')
        return self._code

    def has_hint_at(self, cell: SeenCell) -> bool:  # noqa: ARG002
        """See Filter. A list compares the code that was never made, which is no NullPointerException."""
        return self._code is ReturnCode.SEEK_NEXT_USING_HINT

    def next_cell_hint(self, cell: SeenCell) -> Place | None:  # noqa: ARG002
        """See Filter."""
        return None if self._range is None else first_on_row(self._begin_of(self._range))

    def plan(self) -> Plan | None:
        """See Filter."""
        return Plan(of_row=(OfRow(self._passes, self._passes_between, self._passing_first),))

    def _passes(self, row: bytes) -> Passes:
        if self.filter_row_key(row) or self._is_done:
            return GoOn(None)
        match self._code:
            case ReturnCode.INCLUDE:
                return True
            case ReturnCode.SEEK_NEXT_USING_HINT:
                assert self._range is not None
                return GoOn(self._begin_of(self._range))
            case _:
                return False

    def _passes_between(self, first: bytes, last: bytes) -> bool:
        return not self._is_done and self._range is not None and first in self._range and last in self._range

    def _passing_first(self, rows: Sequence[bytes]) -> int:
        if self._is_done or self.is_reversed or self._range is None or rows[0] not in self._range:
            return 0
        at = bisect_right if self._range.stop_inclusive else bisect_left
        return at(rows, self._range.stop) if self._range.stop else len(rows)

    def _begin_of(self, each: RowRange) -> bytes:
        """The end at which the scan comes to it."""
        return each.stop if self.is_reversed else each.start

    def _reached(self, row: bytes) -> RowRange | None:
        """The first range that is not behind this row."""
        low, high = 0, len(self._ranges)
        while low < high:
            middle = (low + high) // 2
            if self._is_behind(self._ranges[middle], row):
                low = middle + 1
            else:
                high = middle
        return self._ranges[low] if low < len(self._ranges) else None

    def _is_behind(self, each: RowRange, row: bytes) -> bool:
        """Whether the scan has passed a range when it is at this row."""
        if self.is_reversed:
            return row < each.start or (row == each.start and not each.start_inclusive)
        return bool(each.stop) and (row > each.stop or (row == each.stop and not each.stop_inclusive))
