"""Filters that pick columns and versions of each row, and what is given of a cell. Pure.

Source: org.apache.hadoop.hbase.filter: ColumnPrefixFilter, MultipleColumnPrefixFilter, ColumnRangeFilter,
ColumnCountGetFilter, ColumnPaginationFilter, FirstKeyOnlyFilter, FirstKeyValueMatchingQualifiersFilter, KeyOnlyFilter,
TimestampsFilter.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from regionserver.filters.filter import (
    OLDEST_MS,
    Filter,
    Place,
    ReturnCode,
    SeenCell,
    first_on_column,
)
from regionserver.filters.picks import pick_numbered, pick_run, pick_times, without_values
from regionserver.filters.walks import Run, run_of_prefix
from regionserver.filters.whole_rows import Plan
from registry.wire.cellblock import KeyType


class _ColumnFilter(Filter):
    """Rows are nothing to it."""

    def filter_row_key(self, row: bytes) -> bool:  # noqa: ARG002
        """See Filter."""
        return False


class ColumnPrefixFilter(_ColumnFilter):
    """Columns that begin so."""

    is_hinting = True

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        qualifier = cell.qualifier
        if qualifier.startswith(self._prefix):
            return ReturnCode.INCLUDE
        return ReturnCode.SEEK_NEXT_USING_HINT if qualifier < self._prefix else ReturnCode.NEXT_ROW

    def next_cell_hint(self, cell: SeenCell) -> Place | None:
        """See Filter."""
        return first_on_column(cell, self._prefix)

    def plan(self) -> Plan | None:
        """See Filter."""
        return Plan(pick=pick_run(run_of_prefix(self._prefix)), hears_all=False)


class MultipleColumnPrefixFilter(_ColumnFilter):
    """Columns that begin with one of these."""

    is_hinting = True

    def __init__(self, prefixes: Iterable[bytes]) -> None:
        self._prefixes = sorted(prefixes)
        self._hint = b""

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        prefixes = self._prefixes
        index = bisect_right(prefixes, cell.qualifier)
        if not prefixes or (index and cell.qualifier.startswith(prefixes[index - 1])):
            return ReturnCode.INCLUDE
        if index == len(prefixes):
            return ReturnCode.NEXT_ROW
        self._hint = prefixes[index]
        return ReturnCode.SEEK_NEXT_USING_HINT

    def next_cell_hint(self, cell: SeenCell) -> Place | None:
        """See Filter."""
        return first_on_column(cell, self._hint)


class ColumnRangeFilter(_ColumnFilter):
    """Columns from one to another; None: from the first, or to the last."""

    is_hinting = True

    def __init__(
        self, min_column: bytes | None, max_column: bytes | None, *, min_inclusive: bool, max_inclusive: bool
    ) -> None:
        self._min = min_column
        self._max = max_column
        self._min_inclusive = min_inclusive
        self._max_inclusive = max_inclusive

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        qualifier = cell.qualifier
        if self._min is not None:
            if qualifier < self._min:
                return ReturnCode.SEEK_NEXT_USING_HINT
            if qualifier == self._min and not self._min_inclusive:
                return ReturnCode.NEXT_COL
        if self._max is None or qualifier < self._max or (qualifier == self._max and self._max_inclusive):
            return ReturnCode.INCLUDE
        return ReturnCode.NEXT_ROW

    def next_cell_hint(self, cell: SeenCell) -> Place | None:
        """See Filter."""
        return first_on_column(cell, self._min or b"")

    def plan(self) -> Plan | None:
        """See Filter."""
        low = (self._min or b"") + (b"" if self._min is None or self._min_inclusive else b"\0")
        high = None if self._max is None else self._max + (b"\0" if self._max_inclusive else b"")
        return Plan(pick=pick_run(Run(low, high)), hears_all=False)


class ColumnCountGetFilter(Filter):
    """So many columns of one row; a scan ends with the row that has more."""

    outlives_row = True
    may_end = True

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0

    def reset(self) -> None:
        """See Filter."""
        self._count = 0

    def filter_all_remaining(self) -> bool:
        """See Filter."""
        return self._count > self._limit

    def filter_cell(self, cell: SeenCell) -> ReturnCode:  # noqa: ARG002
        """See Filter."""
        self._count += 1
        return ReturnCode.NEXT_COL if self._count > self._limit else ReturnCode.INCLUDE_AND_NEXT_COL


class ColumnPaginationFilter(_ColumnFilter):
    """So many columns of each row behind an offset: a number of columns, or the first column."""

    def __init__(self, limit: int, offset: int, column_offset: bytes | None = None) -> None:
        self._limit = limit
        self._offset = offset
        self._column_offset = column_offset
        self._count = 0

    def reset(self) -> None:
        """See Filter."""
        self._count = 0

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        if self._column_offset is not None:
            if self._count >= self._limit:
                return ReturnCode.NEXT_ROW
            if not self._count and cell.qualifier < self._column_offset:
                return ReturnCode.SEEK_NEXT_USING_HINT
            self._count += 1
            return ReturnCode.INCLUDE_AND_NEXT_COL
        if self._count >= self._offset + self._limit:
            return ReturnCode.NEXT_ROW
        self._count += 1
        return ReturnCode.NEXT_COL if self._count <= self._offset else ReturnCode.INCLUDE_AND_NEXT_COL

    def next_cell_hint(self, cell: SeenCell) -> Place | None:
        """See Filter."""
        return first_on_column(cell, self._column_offset or b"")

    def plan(self) -> Plan | None:
        """See Filter."""
        if self._column_offset is not None:
            return None
        return Plan(pick=pick_numbered(self._offset, self._limit), hears_all=False)


class FirstKeyOnlyFilter(_ColumnFilter):
    """The first cell of each row."""

    def __init__(self) -> None:
        self.is_found = False

    def reset(self) -> None:
        """See Filter."""
        self.is_found = False

    def filter_cell(self, cell: SeenCell) -> ReturnCode:  # noqa: ARG002
        """See Filter."""
        if self.is_found:
            return ReturnCode.NEXT_ROW
        self.is_found = True
        return ReturnCode.INCLUDE

    def plan(self) -> Plan | None:
        """See Filter."""
        return Plan(pick=pick_numbered(0, 1), hears_all=False)


class FirstKeyValueMatchingQualifiersFilter(FirstKeyOnlyFilter):
    """The cells of each row up to the first of one of these columns."""

    def __init__(self, qualifiers: Iterable[bytes]) -> None:
        super().__init__()
        self._qualifiers = frozenset(qualifiers)

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        if self.is_found:
            return ReturnCode.NEXT_ROW
        self.is_found = cell.qualifier in self._qualifiers
        return ReturnCode.INCLUDE

    def plan(self) -> Plan | None:
        """See Filter."""
        return None


class KeyOnlyFilter(_ColumnFilter):
    """Cells without their values, or with their lengths as values."""

    def __init__(self, *, len_as_val: bool) -> None:
        self._len_as_val = len_as_val

    def transform_cell(self, cell: SeenCell) -> SeenCell:
        """See Filter."""
        return cell.with_value(len(cell.value).to_bytes(4, "big") if self._len_as_val else b"")

    def plan(self) -> Plan | None:
        """See Filter."""
        return Plan(change=without_values(self._len_as_val))


class TimestampsFilter(_ColumnFilter):
    """Cells of these times."""

    is_hinting = True

    def __init__(self, timestamps_ms: Iterable[int], *, can_hint: bool) -> None:
        self._sorted_ms = sorted(set(timestamps_ms))
        self._oldest_ms = self._sorted_ms[0] if self._sorted_ms else (1 << 63) - 1
        self._times_ms = frozenset(self._sorted_ms)
        self._can_hint = can_hint

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        if cell.timestamp_ms in self._times_ms:
            return ReturnCode.INCLUDE
        if cell.timestamp_ms < self._oldest_ms:
            return ReturnCode.NEXT_COL
        return ReturnCode.SEEK_NEXT_USING_HINT if self._can_hint else ReturnCode.SKIP

    def next_cell_hint(self, cell: SeenCell) -> Place | None:
        """See Filter."""
        if not self._can_hint:
            return None
        index = bisect_left(self._sorted_ms, cell.timestamp_ms)
        if not index:
            return cell.row, cell.family, cell.qualifier, -OLDEST_MS, -KeyType.MINIMUM
        return cell.row, cell.family, cell.qualifier, -self._sorted_ms[index - 1], -KeyType.MAXIMUM

    def plan(self) -> Plan | None:
        """See Filter."""
        return Plan(pick=pick_times(self._times_ms), by_times=True)
