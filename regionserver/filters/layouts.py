"""Where rows have what is looked for: in most of them it lies where a row before has it, and that is tried first.

A row is a cell block that has to be read from its beginning, cell by cell, since each says how long it is. Rows of one
table are much alike, though: what was found in one by such a walk holds for all that have the same lengths and columns
in those places on which it hangs. These are read at once, and of all rows together.

Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import compress, repeat
from operator import eq, not_

from regionserver.filters.rows_together import AROUND_COLUMN, CELL_AND_KEY, Rows

LAYOUTS_MAX = 3
"""Tried with the rows that are judged together; to try more takes as long as to walk through the rows."""
ROWS_MIN = 8
"""Fewer are walked through."""
WALKED_SHARE = 4
"""Where more of the rows are left than one in so many, rows are too different to look for layouts for a while."""
PAUSE_MAX = 32
"""That while is so many times at most: two at first, and twice as many each time that they still are."""

Where = tuple[slice, int] | None
"""Bytes of a row, and how many cells they are; None: nothing of it."""
Walked = tuple[Where, int, tuple[int, ...], bool]
"""What was found in a row, and what that hangs on: how long so many cells are, from the first on; the columns of these
cells, by number (those that are not there do not count), and the lengths of all before them; whether it hangs on how
many cells the row has."""
Walk = Callable[[bytes, int, int, int], Walked]
"""Of a row: its bytes, where its cell block begins, how long its key is, and how many cells it has."""


class _Layout:
    """What was found in a row, for all that are like it."""

    __slots__ = ("_cells_count", "_least_bytes", "_read", "_wanted", "hits_count", "where")

    def __init__(self, walked: Walked, data: bytes, at: int, key_bytes: int, cells_count: int) -> None:
        self.where, lengths_count, columns, is_whole = walked
        there = frozenset([number for number in columns if 0 <= number < cells_count])
        what = struct.Struct(_format(lengths_count, there, data, at, key_bytes))
        self.hits_count = 0
        """Of the rows that it was tried with last."""
        self._read: Callable[[bytes], tuple[object, ...]] = what.unpack_from
        end = None if self.where is None else self.where[0].stop
        self._least_bytes = what.size if end is None else max(what.size, end)
        self._cells_count = cells_count if is_whole else None
        told = what.unpack_from(data)
        self._wanted: object = (told, cells_count) if is_whole else told

    def unlike(self, rows: Rows, row_bytes_min: int) -> list[int]:
        """The rows that are not like it, by number; none has fewer bytes than `row_bytes_min`."""
        if row_bytes_min >= self._least_bytes:
            told: list[object] = list(map(self._read, rows.data))
        else:
            told = [self._read(data) if len(data) >= self._least_bytes else None for data in rows.data]
        if self._cells_count is not None:
            told = list(zip(told, rows.counts, strict=True))
        are_like = list(map(eq, told, repeat(self._wanted)))
        self.hits_count = are_like.count(True)
        if self.hits_count == len(told):
            return []
        return list(compress(range(len(told)), map(not_, are_like)))


def _format(lengths_count: int, columns: frozenset[int], data: bytes, at: int, row_bytes: int) -> str:
    """What to read of a row, as `struct` writes it."""
    stop = max(columns, default=-1) + 1
    lengths_count = max(lengths_count, stop - 1)
    stop = max(stop, lengths_count)
    row_length = "H"  # once: all cells have the same
    parts = [f">{at}x"]
    for number in range(stop):
        cell_bytes, key_bytes = CELL_AND_KEY.unpack_from(data, at)
        at += 4 + cell_bytes
        parts.append("i" if number < lengths_count else "4x")
        read_bytes = 0
        if number in columns:
            column_bytes = key_bytes - AROUND_COLUMN - row_bytes
            parts.append(f"i4x{row_length}{row_bytes}x{column_bytes}s")
            row_length, read_bytes = "2x", 10 + row_bytes + column_bytes
        if number + 1 < stop:
            parts.append(f"{cell_bytes - read_bytes}x")
    return "".join(parts)


class Layouts:
    """Looks for one thing in the rows of one scan."""

    def __init__(self, walk: Walk) -> None:
        """`walk` finds it."""
        self._walk = walk
        self._known: list[_Layout] = []
        """Those that most rows had first."""
        self._pause, self._pause_next = 0, 2

    def find(self, rows: Rows, at: int) -> list[Where]:
        """For each row. `at` is where cell blocks begin."""
        return self.look(rows, at) or self.walk(rows, at)

    def walk(self, rows: Rows, at: int) -> list[Where]:
        """The same through each of them."""
        return [walked[0] for walked in map(self._walk, rows.data, repeat(at), rows.key_bytes, rows.counts)]

    def look(self, rows: Rows, at: int) -> list[Where] | None:
        """The same of what is known; None: they are too few, or were too different lately."""
        total = len(rows.data)
        if total < ROWS_MIN:
            return None
        if self._pause:
            self._pause -= 1
            return None
        left: list[int] = list(range(total))
        tried: Rows = rows
        found: list[Where] = [None] * total
        row_bytes_min = min(map(len, rows.data))
        known = iter(self._known)
        kept: list[_Layout] = []
        while left and len(kept) < LAYOUTS_MAX:
            layout = next(known, None) or self._learn(rows, left[0], at)
            unlike = layout.unlike(tried, row_bytes_min)
            if not layout.hits_count:
                continue
            kept.append(layout)
            if len(left) == total:
                found = [layout.where] * total
            else:
                for number in left:
                    found[number] = layout.where
            left = [left[index] for index in unlike]  # what these have comes later
            tried = rows.only(left)
        for number in left:
            found[number] = self._walk(rows.data[number], at, rows.key_bytes[number], rows.counts[number])[0]
        if len(left) * WALKED_SHARE > total:
            self._pause = self._pause_next
            self._pause_next = min(2 * self._pause_next, PAUSE_MAX)
        else:
            self._pause_next = 2
        self._known = sorted(kept, key=_hits_count, reverse=True)
        return found

    def _learn(self, rows: Rows, number: int, at: int) -> _Layout:
        row = rows.data[number], at, rows.key_bytes[number], rows.counts[number]
        return _Layout(self._walk(*row), *row)


def _hits_count(layout: _Layout) -> int:
    return layout.hits_count
