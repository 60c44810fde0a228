"""Filters around another filter. Pure.

The direction of a scan is not told to the filter inside, as in HBase.

Source: org.apache.hadoop.hbase.filter: SkipFilter, WhileMatchFilter, FilterWrapper.
"""

from __future__ import annotations

from regionserver.filters.filter import Filter, NothingSaid, Place, ReturnCode, SeenCell


class SkipFilter(Filter):
    """A row is dropped where the filter does not include each of its cells."""

    has_filter_row = True

    def __init__(self, inner: Filter) -> None:
        self._inner = inner
        self.outlives_row = inner.outlives_row
        self.weight = inner.weight + 1
        self._is_out = False

    def reset(self) -> None:
        """See Filter."""
        self._inner.reset()
        self._is_out = False

    def filter_row_key(self, row: bytes) -> bool:  # noqa: ARG002
        """See Filter. The filter inside is not asked."""
        return False

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        was_out, self._is_out = self._is_out, True  # also where nothing is said
        code = self._inner.filter_cell(cell)
        self._is_out = was_out or code is not ReturnCode.INCLUDE
        return code

    def transform_cell(self, cell: SeenCell) -> SeenCell:
        """See Filter."""
        return self._inner.transform_cell(cell)

    def filter_row(self) -> bool:
        """See Filter."""
        return self._is_out

    def is_family_essential(self, family: bytes) -> bool:
        """See Filter."""
        return self._inner.is_family_essential(family)


class WhileMatchFilter(Filter):
    """The scan ends where the filter drops a row or does not include a cell."""

    has_filter_row = True
    outlives_row = True
    may_end = True

    def __init__(self, inner: Filter) -> None:
        self._inner = inner
        self.weight = inner.weight + 1
        self._is_over = False

    def reset(self) -> None:
        """See Filter."""
        self._inner.reset()

    def filter_all_remaining(self) -> bool:
        """See Filter."""
        return self._is_over or self._inner.filter_all_remaining()

    def filter_row_key(self, row: bytes) -> bool:
        """See Filter."""
        return self.filter_all_remaining() or self._over_if(self._inner.filter_row_key(row))

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        try:
            code = self._inner.filter_cell(cell)
        except NothingSaid:
            self._over_if(True)
            raise
        self._over_if(code is not ReturnCode.INCLUDE)
        return code

    def transform_cell(self, cell: SeenCell) -> SeenCell:
        """See Filter."""
        return self._inner.transform_cell(cell)

    def filter_row(self) -> bool:
        """See Filter."""
        return self._over_if(self._inner.filter_row())

    def is_family_essential(self, family: bytes) -> bool:
        """See Filter."""
        return self._inner.is_family_essential(family)

    def _over_if(self, is_out: bool) -> bool:
        self._is_over = self._is_over or is_out
        return is_out


class FilterWrapper(Filter):
    """The filter inside, as a server wraps each."""

    def __init__(self, inner: Filter) -> None:
        self._inner = inner
        self.has_filter_row = inner.has_filter_row
        self.outlives_row = inner.outlives_row
        self.may_end = inner.may_end
        self.weight = inner.weight + 1

    def reset(self) -> None:
        """See Filter."""
        self._inner.reset()

    def filter_all_remaining(self) -> bool:
        """See Filter."""
        return self._inner.filter_all_remaining()

    def filter_row_key(self, row: bytes) -> bool:
        """See Filter."""
        return self.filter_all_remaining() or self._inner.filter_row_key(row)

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        return self._inner.filter_cell(cell)

    def transform_cell(self, cell: SeenCell) -> SeenCell:
        """See Filter."""
        return self._inner.transform_cell(cell)

    def filter_row_cells(self, cells: list[SeenCell]) -> None:
        """See Filter. What is left is judged at once; `filter_row` judges it again where two are nested."""
        self._inner.filter_row_cells(cells)
        if cells and self._inner.filter_row():
            cells.clear()

    def filter_row(self) -> bool:
        """See Filter."""
        return self._inner.filter_row()

    def next_cell_hint(self, cell: SeenCell) -> Place | None:
        """See Filter."""
        return self._inner.next_cell_hint(cell)

    def is_family_essential(self, family: bytes) -> bool:
        """See Filter."""
        return self._inner.is_family_essential(family)
