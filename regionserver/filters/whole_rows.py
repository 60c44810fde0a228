"""What filters say of rows at once, of which each column has one cell.

Such a row is a cell block: cells of one family, sorted by column. Most rows of most scans are such, and to ask of each
cell costs ten times as much. What a filter says of a row at once is what it comes to when it is asked cell by cell; a
filter whose answer hangs on more has no plan, and neither has a list in whose order of questions more is hidden.

Pure. Source: the same classes of HBase as those of the filters.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

_LENGTHS = struct.Struct(">iii")  # cell, key, value
_CELL_AND_KEY = struct.Struct(">ii")
_SIZE = struct.Struct(">i")
_TIME = struct.Struct(">q")
_BEFORE_ROW = 14
"""Lengths of a cell, its key, its value and its row."""
_AROUND_COLUMN = 2 + 8 + 1
"""Of a key, without row, family and qualifier: the row's length, time, type."""


class GoOn:
    """Not this row; none passes before the one named here. None: no row passes any more."""

    __slots__ = ("row",)

    def __init__(self, row: bytes | None) -> None:
        self.row = row


Passes = bool | GoOn
Cells = tuple[bytes, int]
"""A cell block, and how many cells it has."""
OfRow = Callable[[bytes], Passes]
OfColumn = Callable[[bytes, int, int], bool]
"""A block's bytes, where it begins in them, and how long its row is."""
Pick = Callable[[bytes, int, int, int], Cells | None]
"""The same, and how many cells it has; what is given of them, None: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a filter judges rows; each part is asked where those before it let the row pass."""

    of_row: tuple[OfRow, ...] = ()
    of_column: tuple[OfColumn, ...] = ()
    """Whether the row passes, by one of its cells."""
    pick: Pick | None = None
    """None: all cells."""
    hears_all: bool = True
    """Cells behind those that `pick` gives are asked about all the same."""
    change: Callable[[bytes], bytes] | None = None
    """What is given instead of cells."""
    counts: Callable[[], bool] | None = None
    """Whether one more row passes; asked once for each that nothing else drops."""
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
            of_column=self.of_column + other.of_column,
            pick=self.pick or other.pick,
            hears_all=self.hears_all and other.hears_all,
            change=(lambda cells: following(change(cells))) if change and following else change or following,
            counts=self.counts or other.counts,
            may_be_in=self.may_be_in or other.may_be_in,
        )

    def judge(self) -> Callable[[bytes, int, int, int], Cells | GoOn | None]:
        """What is given of a row, but for `counts`; asked with what `Pick` is asked with."""
        of_row, of_column, pick, change = self.of_row, self.of_column, self.pick, self.change
        may_be_in = self.may_be_in
        if len(of_column) == 1 and not of_row and pick is None and change is None:
            [passes] = of_column
            return lambda data, at, row_bytes, count: (data[at:], count) if passes(data, at, row_bytes) else None
        if pick is not None and not of_row and not of_column and change is None and may_be_in is None:
            return pick

        def judged(data: bytes, at: int, row_bytes: int, count: int) -> Cells | GoOn | None:
            if of_row:
                said = _all_of(of_row, data[at + _BEFORE_ROW : at + _BEFORE_ROW + row_bytes])
                if said is not True:
                    return said or None
            for each in of_column:
                if not each(data, at, row_bytes):
                    return None
            if may_be_in is not None and not may_be_in(data):
                return None
            cells = (data[at:], count) if pick is None else pick(data, at, row_bytes, count)
            return cells if cells is None or change is None else (change(cells[0]), cells[1])

        return judged


def _all_of(asked: tuple[OfRow, ...], row: bytes) -> Passes:
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


def value_finder(family: bytes, qualifier: bytes) -> Callable[[bytes, int, int], bytes | None]:
    """What the cell of a column holds, of those of a row; None: there is none."""
    column = bytes((len(family),)) + family + qualifier
    around_bytes = _AROUND_COLUMN + len(column)
    lengths = _CELL_AND_KEY.unpack_from

    def find(data: bytes, at: int, row_bytes: int) -> bytes | None:
        stop, wanted_bytes, before = len(data), around_bytes + row_bytes, _BEFORE_ROW + row_bytes
        while at < stop:
            cell_bytes, key_bytes = lengths(data, at)
            if key_bytes == wanted_bytes and data.startswith(column, at + before):
                return data[at + 12 + key_bytes : at + 4 + cell_bytes]
            at += 4 + cell_bytes
        return None

    return find


def value_at(data: bytes, at: int) -> bytes:
    """What the cell there holds."""
    cell_bytes, key_bytes = _CELL_AND_KEY.unpack_from(data, at)
    return data[at + 12 + key_bytes : at + 4 + cell_bytes]


def family_at(data: bytes, at: int, row_bytes: int) -> bytes:
    """The family of the cell there."""
    begin = at + _BEFORE_ROW + 1 + row_bytes
    return data[begin : begin + data[begin - 1]]


def pick_column(qualifier: bytes) -> Pick:
    """One column."""
    lengths = _CELL_AND_KEY.unpack_from

    def pick(data: bytes, at: int, row_bytes: int, count: int) -> Cells | None:
        del count
        stop = len(data)
        before = _BEFORE_ROW + 1 + row_bytes + data[at + _BEFORE_ROW + row_bytes]
        wanted_bytes = before + len(qualifier) - 3
        while at < stop:
            cell_bytes, key_bytes = lengths(data, at)
            if key_bytes == wanted_bytes and data.startswith(qualifier, at + before):
                return data[at : at + 4 + cell_bytes], 1
            at += 4 + cell_bytes
        return None

    return pick


def pick_prefix(prefix: bytes) -> Pick:
    """Columns that begin so: they lie side by side."""
    lengths = _CELL_AND_KEY.unpack_from

    def pick(data: bytes, at: int, row_bytes: int, count: int) -> Cells | None:
        del count
        stop, taken, begin = len(data), 0, at
        before = _BEFORE_ROW + 1 + row_bytes + data[at + _BEFORE_ROW + row_bytes]
        least_bytes = before - 3 + len(prefix)
        while at < stop:
            cell_bytes, key_bytes = lengths(data, at)
            if key_bytes >= least_bytes and data.startswith(prefix, at + before):
                if not taken:
                    begin = at
                taken += 1
            elif taken:
                return data[begin:at], taken
            at += 4 + cell_bytes
        return (data[begin:], taken) if taken else None

    return pick


def pick_numbered(skipped_count: int, count_max: int) -> Pick:
    """So many columns behind so many."""
    sizes = _SIZE.unpack_from

    def pick(data: bytes, at: int, row_bytes: int, count: int) -> Cells | None:
        del row_bytes
        begin, end = max(skipped_count, 0), min(skipped_count + count_max, count)
        if begin >= end:
            return None
        for _ in range(begin):
            at += 4 + sizes(data, at)[0]
        if end == count:
            return data[at:], end - begin
        begins_at = at
        for _ in range(end - begin):
            at += 4 + sizes(data, at)[0]
        return data[begins_at:at], end - begin

    return pick


def pick_where(keeps: Callable[[bytes, int, int, int], bool]) -> Pick:
    """Cells that pass: of the bytes, where the cell begins, and where its qualifier does, and how long its key is."""
    lengths = _CELL_AND_KEY.unpack_from

    def pick(data: bytes, at: int, row_bytes: int, count: int) -> Cells | None:
        del count
        stop = len(data)
        before = _BEFORE_ROW + 1 + row_bytes + data[at + _BEFORE_ROW + row_bytes]
        pieces: list[bytes] = []
        while at < stop:
            cell_bytes, key_bytes = lengths(data, at)
            end = at + 4 + cell_bytes
            if keeps(data, at, at + before, key_bytes):
                pieces.append(data[at:end])
            at = end
        return (b"".join(pieces), len(pieces)) if pieces else None

    return pick


def pick_qualifiers(keeps: Callable[[bytes], bool]) -> Pick:
    """Cells whose qualifiers pass."""
    return pick_where(lambda data, at, column_at, key_bytes: keeps(data[column_at : at + 3 + key_bytes]))


def pick_values(keeps: Callable[[bytes], bool]) -> Pick:
    """Cells whose values pass."""
    return pick_where(lambda data, at, _, __: keeps(value_at(data, at)))


def pick_all_if(keeps: Callable[[bytes], bool]) -> Pick:
    """All cells, where their family passes."""
    return lambda data, at, row_bytes, count: (data[at:], count) if keeps(family_at(data, at, row_bytes)) else None


def pick_times(times_ms: frozenset[int]) -> Pick:
    """Cells of these times."""
    lengths, times = _CELL_AND_KEY.unpack_from, _TIME.unpack_from

    def pick(data: bytes, at: int, row_bytes: int, count: int) -> Cells | None:
        del row_bytes, count
        stop = len(data)
        pieces: list[bytes] = []
        while at < stop:
            cell_bytes, key_bytes = lengths(data, at)
            end = at + 4 + cell_bytes
            if times(data, at + 3 + key_bytes)[0] in times_ms:
                pieces.append(data[at:end])
            at = end
        return (b"".join(pieces), len(pieces)) if pieces else None

    return pick


def without_values(len_as_val: bool) -> Callable[[bytes], bytes]:
    """Cells with nothing in them, or the length of what was."""

    def change(cells: bytes) -> bytes:
        pieces: list[bytes] = []
        at, stop = 0, len(cells)
        while at < stop:
            cell_bytes, key_bytes, value_bytes = _LENGTHS.unpack_from(cells, at)
            key = cells[at + 12 : at + 12 + key_bytes]
            if len_as_val:
                pieces += (_LENGTHS.pack(12 + key_bytes, key_bytes, 4), key, value_bytes.to_bytes(4, "big"))
            else:
                pieces += (_LENGTHS.pack(8 + key_bytes, key_bytes, 0), key)
            at += 4 + cell_bytes
        return b"".join(pieces)

    return change
