"""Lists of filters, of which all are to pass, or one. Pure.

Each filter of a list says what becomes of a cell, and these are made one: with all to pass the longest way of going on
wins, with one the shortest. A filter of the second list is not asked about what it has said already.

Source: org.apache.hadoop.hbase.filter: FilterList, FilterListBase, FilterListWithAND, FilterListWithOR.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from regionserver.filters.filter import INCLUDED, Filter, NothingSaid, Place, ReturnCode, SeenCell
from regionserver.filters.whole_rows import Plan

_STEPS = {
    ReturnCode.INCLUDE: (True, 0),
    ReturnCode.SKIP: (False, 0),
    ReturnCode.INCLUDE_AND_NEXT_COL: (True, 1),
    ReturnCode.NEXT_COL: (False, 1),
    ReturnCode.INCLUDE_AND_SEEK_NEXT_ROW: (True, 2),
    ReturnCode.NEXT_ROW: (False, 2),
}
"""Whether a cell is taken, and how far the scan goes on: to the next cell, column or row."""
_CODES = {step: code for code, step in _STEPS.items()}


def _all_of(one: ReturnCode, other: ReturnCode) -> ReturnCode:
    """Taken where both take it; the longer of both ways. A hint is left to be asked for."""
    if ReturnCode.SEEK_NEXT_USING_HINT in (one, other):
        return ReturnCode.SEEK_NEXT_USING_HINT
    (takes, step), (takes_too, step_too) = _STEPS[one], _STEPS[other]
    return _CODES[takes and takes_too, max(step, step_too)]


def _one_of(one: ReturnCode, other: ReturnCode) -> ReturnCode:
    """Taken where one takes it; the shorter of both ways. How far a hint goes is not known, so it is no way at all."""
    hint = ReturnCode.SEEK_NEXT_USING_HINT
    if one is hint and other is hint:
        return hint
    (takes, step), (takes_too, step_too) = [(False, 0) if each is hint else _STEPS[each] for each in (one, other)]
    return _CODES[takes or takes_too, min(step, step_too)]


ALL_OF = {pair: _all_of(*pair) for pair in product(ReturnCode, repeat=2)}
ONE_OF = {pair: _one_of(*pair) for pair in product(ReturnCode, repeat=2)}


class FilterList(Filter):
    """What both lists have in common."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self.filters = list(filters)
        self.has_filter_row = any(each.has_filter_row for each in filters)
        self.outlives_row = any(each.outlives_row for each in filters)
        self.may_end = any(each.may_end for each in filters)
        self.weight = 1 + sum(each.weight for each in filters)

    def set_reversed(self) -> None:
        """See Filter."""
        super().set_reversed()
        for each in self.filters:
            each.set_reversed()

    def filter_row_cells(self, cells: list[SeenCell]) -> None:
        """See Filter."""
        for each in self.filters:
            each.filter_row_cells(cells)

    def is_family_essential(self, family: bytes) -> bool:
        """See Filter."""
        return not self.filters or any(each.is_family_essential(family) for each in self.filters)

    def _is_before(self, one: Place, other: Place) -> bool:
        """In the direction of the scan."""
        return one > other if self.is_reversed else one < other


class FilterListWithAnd(FilterList):
    """MUST_PASS_ALL."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        super().__init__(filters)
        self._hinted: list[Filter] = []
        """Those that have a hint about the last cell."""

    def reset(self) -> None:
        """See Filter."""
        for each in self.filters:
            each.reset()
        self._hinted.clear()

    def filter_all_remaining(self) -> bool:
        """See Filter."""
        return any(each.filter_all_remaining() for each in self.filters)

    def filter_row_key(self, row: bytes) -> bool:
        """See Filter. A row is left to the filters that have hints, where one of these would pass it."""
        is_out = hint_passes = False
        for each in self.filters:
            if each.filter_all_remaining():
                return True
            if each.filter_row_key(row):
                is_out = True  # the others hear of the row all the same
            elif each.is_hinting:
                hint_passes = True
        return is_out and not hint_passes

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter. Those behind one that drops a cell do not hear of it, unless they have hints."""
        code = ReturnCode.INCLUDE
        self._hinted.clear()
        filters = iter(self.filters)
        for each in filters:
            if each.filter_all_remaining():
                code = ReturnCode.NEXT_ROW
                break
            told = each.filter_cell(cell)
            if told is ReturnCode.SEEK_NEXT_USING_HINT:
                self._hinted.append(each)
            code = ALL_OF[code, told]
            if code not in INCLUDED:
                break
        for each in filters:
            if each.is_hinting and each.has_hint_at(cell):
                self._hinted.append(each)
        return ReturnCode.SEEK_NEXT_USING_HINT if self._hinted else code

    def transform_cell(self, cell: SeenCell) -> SeenCell:
        """See Filter."""
        for each in self.filters:
            cell = each.transform_cell(cell)
        return cell

    def filter_row(self) -> bool:
        """See Filter. Those behind the first that drops the row are not asked."""
        return any(each.filter_row() for each in self.filters)

    def next_cell_hint(self, cell: SeenCell) -> Place | None:
        """See Filter. The farthest."""
        farthest: Place | None = None
        for each in self._hinted:
            hint = None if each.filter_all_remaining() else each.next_cell_hint(cell)
            if hint is not None and (farthest is None or self._is_before(farthest, hint)):
                farthest = hint
        return farthest

    def plan(self) -> Plan | None:
        """See Filter."""
        made: Plan | None = Plan()
        for each in self.filters:
            following = each.plan() if made is not None else None
            made = made.then(following) if made is not None and following is not None else None
        return made


class FilterListWithOr(FilterList):
    """MUST_PASS_ONE."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        super().__init__(filters)
        self._said: list[tuple[ReturnCode, SeenCell] | None] = [None] * len(filters)
        """What each has said, and of which cell, where it may hold of the next one, too."""
        self._includes = [False] * len(filters)
        """Whether each takes the last cell."""

    def reset(self) -> None:
        """See Filter."""
        for each in self.filters:
            each.reset()
        self._said = [None] * len(self.filters)
        self._includes = [False] * len(self.filters)

    def filter_all_remaining(self) -> bool:
        """See Filter."""
        return bool(self.filters) and all(each.filter_all_remaining() for each in self.filters)

    def filter_row_key(self, row: bytes) -> bool:
        """See Filter. All hear of the row."""
        is_out = bool(self.filters)
        for each in self.filters:
            if not each.filter_all_remaining() and not each.filter_row_key(row):
                is_out = False
        return is_out

    def filter_cell(self, cell: SeenCell) -> ReturnCode:
        """See Filter."""
        if not self.filters:
            return ReturnCode.INCLUDE
        code: ReturnCode | None = None
        for index, each in enumerate(self.filters):
            self._includes[index] = False
            if each.filter_all_remaining():
                continue
            try:
                told = self._still(each, index, cell) or each.filter_cell(cell)
            except NothingSaid:
                if code is not None:  # HBase compares the two
                    raise
                self._said[index] = None
                continue
            self._said[index] = None if told in (ReturnCode.INCLUDE, ReturnCode.SKIP) else (told, cell)
            self._includes[index] = told in INCLUDED
            code = told if code is None else ONE_OF[code, told]
        return ReturnCode.SKIP if code is None else code

    def _still(self, each: Filter, index: int, cell: SeenCell) -> ReturnCode | None:
        """What a filter has said of an earlier cell where that holds of this one; None: it has to be asked."""
        said = self._said[index]
        if said is None:
            return None
        code, before = said
        match code:
            case ReturnCode.SEEK_NEXT_USING_HINT:
                hint = each.next_cell_hint(before)
                return code if hint is not None and self._is_before(cell.place, hint) else None
            case ReturnCode.NEXT_COL | ReturnCode.INCLUDE_AND_NEXT_COL:
                is_same = before.qualifier == cell.qualifier and before.family == cell.family
                return ReturnCode.NEXT_COL if is_same else None
            case _:  # NEXT_ROW, INCLUDE_AND_SEEK_NEXT_ROW: of this family only
                return ReturnCode.NEXT_ROW if before.family == cell.family else None

    def transform_cell(self, cell: SeenCell) -> SeenCell:
        """See Filter. Only by those that take it."""
        for each, includes in zip(self.filters, self._includes, strict=True):
            if includes:
                cell = each.transform_cell(cell)
        return cell

    def filter_row(self) -> bool:
        """See Filter. Those behind the first that keeps the row are not asked."""
        return bool(self.filters) and all(each.filter_row() for each in self.filters)

    def next_cell_hint(self, cell: SeenCell) -> Place | None:
        """See Filter. The nearest, where each has one."""
        nearest: Place | None = None
        for each in self.filters:
            if each.filter_all_remaining():
                continue
            hint = each.next_cell_hint(cell)
            if hint is None:
                return None
            if nearest is None or self._is_before(hint, nearest):
                nearest = hint
        return nearest
