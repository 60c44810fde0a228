"""What filters say of rows at once, of which each column has one cell.

Such a row is a cell block: cells of one family, sorted by column. Most rows of most scans are such, and to ask of each
cell costs ten times as much. What a filter says of a row at once is what it comes to when it is asked cell by cell; a
filter whose answer hangs on more has no plan, and neither has a list in whose order of questions more is hidden.

Pure. Source: the same classes of HBase as those of the filters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import NamedTuple, Protocol

from regionserver.filters.rows_together import Rows


class GoOn:
    """Not this row; none passes before the one named here. None: no row passes any more."""

    __slots__ = ("row",)

    def __init__(self, row: bytes | None) -> None:
        self.row = row


Cells = tuple[list[bytes], list[int]]
"""Cell blocks of all rows of which something is given, in their order, one each or all in one, and how many cells of
each row they have."""
Passes = bool | GoOn
OfColumn = Callable[[Rows, int], list[int]]
"""The numbers of those that pass; the number that it is given says where cell blocks begin."""
Pick = Callable[[Rows, int], Cells]
"""What is given of them, without those of which nothing is."""


class OfRow(NamedTuple):
    """Judges rows by their keys, in their order, and may say where to go on."""

    passes: Callable[[bytes], Passes]
    passes_between: Callable[[bytes, bytes], bool] = lambda first, last: False  # noqa: ARG005
    """Whether all from one to another pass, as far as can be told by these; then it need not hear of them."""
    passing_first: Callable[[Sequence[bytes]], int] = lambda rows: 0  # noqa: ARG005
    """How many of the first of these pass, of which it need not hear either."""


class Counting(Protocol):
    """Lets so many rows pass, of those that nothing else drops."""

    def rows_left(self) -> int:
        """How many more."""
        ...

    def count_rows(self, rows_count: int) -> None:
        """So many have passed."""
        ...


class Judged(NamedTuple):
    """Of rows."""

    cells: Cells
    rows_count: int
    """How many rows were judged; less than all where it says to go on elsewhere."""
    go_on: GoOn | None
    """Of the last of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a filter judges rows; each part is asked where those before it let the row pass."""

    of_row: tuple[OfRow, ...] = ()
    keeps_row: tuple[Callable[[bytes], bool], ...] = ()
    """Whether a row passes by its key, whatever was asked before."""
    row_ends: tuple[bytes, ...] = ()
    """The keys of rows that `keeps_row` keeps end with one of these; none: that is not known."""
    of_column: tuple[OfColumn, ...] = ()
    """Whether it does by one of its cells."""
    pick: Pick | None = None
    """None: all cells."""
    hears_all: bool = True
    """Cells behind those that `pick` gives are asked about all the same."""
    by_times: bool = False
    """It looks at the times of heads."""
    change: Callable[[Cells], Cells] | None = None
    """What is given instead of cells: as many."""
    counts: Counting | None = None
    may_be_in: Callable[[bytes], bool] | None = None
    """Whether a row may pass of which these bytes have all that is known; of more rows, whether one of them may."""
    may_fail: bool = False
    """There are cells that its comparator raises an error for."""

    def then(self, other: Plan) -> Plan | None:
        """Both have to let a cell pass; the other hears of what this one takes. None: it is more than that."""
        if self.may_fail or other.may_fail:
            return None  # whether the second one fails hangs on what the first one has said of other cells
        if self.pick is not None and (other.pick is not None or other.of_column):
            return None
        if self.of_column and not other.hears_all:
            return None
        if self.counts is not None and (other.counts is not None or other.of_column):
            return None
        change, following = self.change, other.change
        return Plan(
            of_row=self.of_row + other.of_row,
            keeps_row=self.keeps_row + other.keeps_row,
            row_ends=self.row_ends or other.row_ends,
            of_column=self.of_column + other.of_column,
            pick=self.pick or other.pick,
            hears_all=self.hears_all and other.hears_all,
            by_times=self.by_times or other.by_times,
            change=(lambda cells: following(change(cells))) if change and following else change or following,
            counts=self.counts or other.counts,
            may_be_in=self.may_be_in or other.may_be_in,
        )

    def judge(self, rows: Rows, at: int) -> Judged:
        """What is given of rows, but for `counts`; at least one, sorted."""
        count, go_on = len(rows.data), None
        if self.of_row:
            rows, count, go_on = self._by_row(rows, at)
        if self.keeps_row:
            rows = self._by_key(rows, at)
        for of_column in self.of_column:
            if rows.data:
                rows = rows.only(of_column(rows, at))
        if not rows.data or (self.may_be_in is not None and not self.may_be_in(b"".join(rows.data))):
            return Judged(([], []), count, go_on)
        cells = (self.pick or pick_all)(rows, at)
        return Judged(cells if self.change is None else self.change(cells), count, go_on)

    def _by_row(self, rows: Rows, at: int) -> tuple[Rows, int, GoOn | None]:
        count = len(rows.data)
        first, last = rows.key(0, at), rows.key(count - 1, at)
        asked = [each for each in self.of_row if not each.passes_between(first, last)]
        if not asked:
            return rows, count, None
        of_row, keys = [each.passes for each in asked], rows.keys(at)
        passing_count = min([each.passing_first(keys) for each in asked])
        passed = list(range(passing_count))
        for index, key in enumerate(islice(keys, passing_count, None), passing_count):
            said = _all_of(of_row, key)
            if said is True:
                passed.append(index)
            elif isinstance(said, GoOn):
                return rows.only(passed), index + 1, said
        return rows.only(passed), count, None

    def _by_key(self, rows: Rows, at: int) -> Rows:
        ends = self.row_ends
        passing = rows.ending(ends, at) if ends else None
        if passing is not None:
            rows, ends = rows.only(passing), ()
        keys = rows.keys(at)
        passed = [index for index, key in enumerate(keys) if key.endswith(ends)] if ends else list(range(len(keys)))
        for keeps in self.keeps_row:
            passed = [index for index in passed if keeps(keys[index])]
        return rows.only(passed)


def pick_all(rows: Rows, at: int) -> Cells:
    """All cells."""
    return list(map(itemgetter(slice(at, None)), rows.data)), list(rows.counts)


def _all_of(asked: Sequence[Callable[[bytes], Passes]], row: bytes) -> Passes:
    """All hear of the row; the farthest way to go on wins."""
    passes: Passes = True
    for each in asked:
        said = each(row)
        if isinstance(said, GoOn):
            if not isinstance(passes, GoOn) or said.row is None or (passes.row is not None and passes.row < said.row):
                passes = said
        elif not isinstance(passes, GoOn):
            passes = passes and said
    return passes
