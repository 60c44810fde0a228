"""Filters that pick rows by their keys, or so many of them. Pure, but that chance is passed in.

Source: org.apache.hadoop.hbase.filter: PrefixFilter, InclusiveStopFilter, PageFilter, RandomRowFilter.
"""

from __future__ import annotations

from collections.abc import Callable

from regionserver.filters.filter import Filter, Place, ReturnCode, SeenCell, first_on_row
from regionserver.filters.whole_rows import GoOn, OfRow, Passes, Plan


class PrefixFilter(Filter):
    """Rows that begin so; the scan ends behind them."""

    outlives_row = True
    is_hinting = True

    def __init__(self, prefix: bytes | None) -> None:
        """None: no row passes, and the scan goes on."""
        self._prefix = prefix
        self._is_passed = False
        self._is_out = True
        self._hints = False

    def reset(self) -> None:
        """See Filter."""
        self._is_out = True

    def filter_all_remaining(self) -> bool:
        """See Filter."""
        return self._is_passed

    def filter_row_key(self, row: bytes) -> bool:
        """See Filter. Of a row before them it says nothing yet, so that it is asked for the hint."""
        if self._prefix is None or self._is_passed:
            return True
        begin = row[: len(self._prefix)]
        is_before, is_after = begin < self._prefix, begin > self._prefix
        if self.is_reversed:
            is_before, is_after = is_after, is_before
        self._is_passed = is_after
        self._is_out = is_before or is_after
        self._hints = is_before
        return self._is_passed

    def filter_cell(self, cell: SeenCell) -> ReturnCode:  # noqa: ARG002
        """See Filter."""
        if self._hints:
            return ReturnCode.SEEK_NEXT_USING_HINT
        return ReturnCode.NEXT_ROW if self._is_out else ReturnCode.INCLUDE

    def filter_row(self) -> bool:
        """See Filter."""
        return self._is_out

    def next_cell_hint(self, cell: SeenCell) -> Place | None:  # noqa: ARG002
        """See Filter."""
        place = behind_prefix(self._prefix or b"") if self.is_reversed else self._prefix
        return None if place is None else first_on_row(place)

    def plan(self) -> Plan | None:
        """See Filter."""
        prefix = self._prefix

        def passes(row: bytes) -> Passes:
            if prefix is None or row.startswith(prefix):
                return prefix is not None
            return GoOn(None if self.filter_row_key(row) else prefix)

        def passes_between(first: bytes, last: bytes) -> bool:
            return prefix is not None and first.startswith(prefix) and last.startswith(prefix)

        return Plan(of_row=(OfRow(passes, passes_between),))


class InclusiveStopFilter(Filter):
    """Rows up to this one."""

    def __init__(self, stop_row: bytes) -> None:
        self._stop_row = stop_row
        self._is_done = False

    def filter_all_remaining(self) -> bool:
        """See Filter."""
        return self._is_done

    def filter_row_key(self, row: bytes) -> bool:
        """See Filter."""
        if not self._is_done:
            self._is_done = row < self._stop_row if self.is_reversed else row > self._stop_row
        return self._is_done

    def filter_cell(self, cell: SeenCell) -> ReturnCode:  # noqa: ARG002
        """See Filter."""
        return ReturnCode.NEXT_ROW if self._is_done else ReturnCode.INCLUDE

    def plan(self) -> Plan | None:
        """See Filter."""
        return Plan(of_row=(OfRow(self._passes, self._passes_between),))

    def _passes(self, row: bytes) -> Passes:
        return GoOn(None) if self.filter_row_key(row) else True

    def _passes_between(self, _: bytes, last: bytes) -> bool:
        return not self._is_done and last <= self._stop_row


class PageFilter(Filter):
    """So many rows of each region."""

    has_filter_row = True

    def __init__(self, page_rows: int) -> None:
        self._page_rows = page_rows
        self._passed_count = 0

    def filter_all_remaining(self) -> bool:
        """See Filter."""
        return self._passed_count >= self._page_rows

    def filter_row(self) -> bool:
        """See Filter."""
        self._passed_count += 1
        return self._passed_count > self._page_rows

    def plan(self) -> Plan | None:
        """See Filter."""
        return Plan(counts=self)

    def rows_left(self) -> int:
        """See Counting."""
        return self._page_rows - self._passed_count

    def count_rows(self, rows_count: int) -> None:
        """See Counting."""
        self._passed_count += rows_count


class RandomRowFilter(Filter):
    """Rows by chance."""

    has_filter_row = True

    def __init__(self, passing_share: float, roll: Callable[[], float]) -> None:
        """`roll` gives a number of [0, 1)."""
        self._share = passing_share
        self._roll = roll
        self._is_out = False

    def reset(self) -> None:
        """See Filter."""
        self._is_out = False

    def filter_row_key(self, row: bytes) -> bool:  # noqa: ARG002
        """See Filter."""
        if self._share < 0:
            self._is_out = True
        else:
            self._is_out = self._share <= 1 and not self._roll() < self._share
        return self._is_out

    def filter_cell(self, cell: SeenCell) -> ReturnCode:  # noqa: ARG002
        """See Filter."""
        return ReturnCode.NEXT_ROW if self._is_out else ReturnCode.INCLUDE

    def filter_row(self) -> bool:
        """See Filter."""
        return self._is_out


def behind_prefix(prefix: bytes) -> bytes | None:
    """The least row behind all that begin so; None: there is none.

    HBase counts with signed bytes and may name a row before them then, or the one that the scan is at: such scans lose
    rows there, or never end.
    """
    begin = prefix.rstrip(b"\xff")
    return begin[:-1] + bytes((begin[-1] + 1,)) if begin else None
