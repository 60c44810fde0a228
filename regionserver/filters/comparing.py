"""Filters that compare: a part of each cell, or one column for all of its row. Pure.

Source: org.apache.hadoop.hbase.filter: CompareFilter, RowFilter, FamilyFilter, QualifierFilter, ValueFilter,
ColumnValueFilter, DependentColumnFilter, SingleColumnValueFilter, SingleColumnValueExcludeFilter.
"""

from __future__ import annotations

from regionserver.filters.comparators import BinaryComparator, Comparator, CompareType, keeping
from regionserver.filters.filter import Filter, ReturnCode, SeenCell
from regionserver.filters.picks import (
    pick_all_if,
    pick_qualifiers,
    pick_run,
    pick_values,
    pick_values_found,
    where_column,
)
from regionserver.filters.walks import run_of_column
from regionserver.filters.whole_rows import Plan
from registry.wire.errors import IOException


class CompareFilter(Filter):
    """Those that compare one part of a cell."""

    def __init__(self, compare: CompareType, comparator: Comparator | None) -> None:
        self.keeps = keeping(compare, comparator)
        """Whether a part is in that relation."""
        self.asks_for = comparator if compare is CompareType.EQUAL else None
        """What is to be equal to it."""
        self.may_fail = comparator is None or comparator.may_fail

    def filter_row_key(self, row: bytes) -> bool:  # noqa: ARG002
        """See Filter."""
        return False


class RowFilter(CompareFilter):
    """By the row."""

    def __init__(self, compare: CompareType, comparator: Comparator | None) -> None:
        super().__init__(compare, comparator)
        self._is_out = False

    def reset(self) -> None:
        """See Filter."""
        self._is_out = False

    def filter_row_key(self, row: bytes) -> bool:
        """See Filter."""
        self._is_out = self._is_out or not self.keeps(row)
        return self._is_out

    def filter_cell(self, cell: SeenCell) -> ReturnCode:  # noqa: ARG002
        """See Filter."""
        return ReturnCode.NEXT_ROW if self._is_out else ReturnCode.INCLUDE

    def filter_row(self) -> bool:
        """See Filter."""
        return self._is_out

    def plan(self) -> Plan | None:
        """See Filter."""
        ends = self.asks_for.ends if self.asks_for is not None else ()
        return Plan(keeps_row=(self.keeps,), row_ends=ends, may_fail=self.may_fail)


class FamilyFilter(CompareFilter):
    """By the family."""

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        return ReturnCode.INCLUDE if self.keeps(cell.family) else ReturnCode.NEXT_ROW

    def plan(self) -> Plan | None:
        """See Filter."""
        return Plan(pick=pick_all_if(self.keeps), may_fail=self.may_fail)


class QualifierFilter(CompareFilter):
    """By the qualifier."""

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        return ReturnCode.INCLUDE if self.keeps(cell.qualifier) else ReturnCode.SKIP

    def plan(self) -> Plan | None:
        """See Filter."""
        if type(self.asks_for) is BinaryComparator:
            return Plan(pick=pick_run(run_of_column(self.asks_for.value)))
        return Plan(pick=pick_qualifiers(self.keeps), may_fail=self.may_fail)


class ValueFilter(CompareFilter):
    """By the value."""

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        return ReturnCode.INCLUDE if self.keeps(cell.value) else ReturnCode.SKIP

    def plan(self) -> Plan | None:
        """See Filter."""
        if self.asks_for is None:
            return Plan(pick=pick_values(self.keeps), may_fail=self.may_fail)
        may_be_in = self.asks_for.may_be_in
        pick = pick_values_found(self.keeps, may_be_in)
        return Plan(pick=pick, may_be_in=may_be_in, may_fail=self.may_fail)


class ColumnValueFilter(Filter):
    """Nothing but the cells of one column, by their values."""

    def __init__(self, family: bytes, qualifier: bytes, compare: CompareType, comparator: Comparator) -> None:
        self._family = family
        self._qualifier = qualifier
        self._keeps = keeping(compare, comparator)
        self._is_found = False

    def reset(self) -> None:
        """See Filter."""
        self._is_found = False

    def filter_row_key(self, row: bytes) -> bool:  # noqa: ARG002
        """See Filter."""
        return False

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        if cell.qualifier != self._qualifier or cell.family != self._family:
            return ReturnCode.NEXT_ROW if self._is_found else ReturnCode.NEXT_COL
        self._is_found = True
        return ReturnCode.INCLUDE if self._keeps(cell.value) else ReturnCode.SKIP

    def is_family_essential(self, family: bytes) -> bool:
        """See Filter."""
        return family == self._family


class DependentColumnFilter(CompareFilter):
    """Cells of the same times as those of one column that pass."""

    has_filter_row = True

    def __init__(
        self,
        family: bytes | None,
        qualifier: bytes | None,
        compare: CompareType,
        comparator: Comparator | None,
        *,
        drops: bool,
    ) -> None:
        """`drops`: the column itself is not given. Without a comparator all of its cells pass."""
        super().__init__(compare, comparator)
        self._family = family or b""
        self._qualifier = qualifier or b""
        self._compares = comparator is not None
        self._drops = drops
        self._times_ms: set[int] = set()

    def reset(self) -> None:
        """See Filter."""
        self._times_ms.clear()

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter. What is not of the column is judged when the row is read."""
        if cell.qualifier != self._qualifier or cell.family != self._family:
            return ReturnCode.INCLUDE
        if self._compares and not self.keeps(cell.value):
            return ReturnCode.SKIP
        self._times_ms.add(cell.timestamp_ms)
        return ReturnCode.SKIP if self._drops else ReturnCode.INCLUDE

    def filter_row_cells(self, cells: list[SeenCell]) -> None:
        """See Filter."""
        cells[:] = [cell for cell in cells if cell.timestamp_ms in self._times_ms]


class SingleColumnValueFilter(Filter):
    """A row, by the value of one of its columns."""

    has_filter_row = True

    def __init__(
        self,
        family: bytes | None,
        qualifier: bytes | None,
        compare: CompareType,
        comparator: Comparator,
        *,
        filter_if_missing: bool,
        latest_version_only: bool,
    ) -> None:
        self.family = family or b""
        self.qualifier = qualifier or b""
        self._keeps = _never_compared if compare is CompareType.NO_OP else keeping(compare, comparator)
        self._may_fail = comparator.may_fail or compare is CompareType.NO_OP
        is_one = compare is CompareType.EQUAL and type(comparator) is BinaryComparator
        self._only = comparator.value if is_one else None
        """The value that it keeps, where it is one."""
        self._filter_if_missing = filter_if_missing
        self._latest_version_only = latest_version_only
        self._is_found = self._matches = False

    def reset(self) -> None:
        """See Filter."""
        self._is_found = self._matches = False

    def filter_row_key(self, row: bytes) -> bool:  # noqa: ARG002
        """See Filter."""
        return False

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        if self._matches:
            return ReturnCode.INCLUDE
        if self._latest_version_only and self._is_found:
            return ReturnCode.NEXT_ROW
        if cell.qualifier != self.qualifier or cell.family != self.family:
            return ReturnCode.INCLUDE
        self._is_found = True
        if not self._keeps(cell.value):
            return ReturnCode.NEXT_ROW if self._latest_version_only else ReturnCode.INCLUDE
        self._matches = True
        return ReturnCode.INCLUDE

    def filter_row(self) -> bool:
        """See Filter."""
        return not self._matches if self._is_found else self._filter_if_missing

    def is_family_essential(self, family: bytes) -> bool:
        """See Filter. A row without the family passes where the column need not be there."""
        return not self._filter_if_missing or family == self.family

    def plan(self) -> Plan | None:
        """See Filter."""
        keeps = where_column(
            self.family,
            self.qualifier,
            self._keeps,
            passes_missing=not self._filter_if_missing,
            only=self._only,
        )
        return Plan(of_column=(keeps,), may_fail=self._may_fail)


class SingleColumnValueExcludeFilter(SingleColumnValueFilter):
    """The same, without the column itself."""

    def filter_row_cells(self, cells: list[SeenCell]) -> None:
        """See Filter."""
        cells[:] = [cell for cell in cells if cell.qualifier != self.qualifier or cell.family != self.family]

    def plan(self) -> Plan | None:
        """See Filter."""
        return None


def _never_compared(_: bytes) -> bool:
    raise IOException("Unknown Compare op NO_OP")
