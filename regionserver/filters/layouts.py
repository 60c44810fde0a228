"""Where rows have what is looked for: in most of them it lies where a row before has it, and that is tried first.

A row is a cell block that has to be read from its beginning, cell by cell, since each says how long it is. Rows of one
table are much alike, though: what was found in one by such a walk holds for all that have the same lengths and columns
in those places on which it hangs. These are read at once, and of all rows together.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import compress, repeat
from operator import itemgetter, not_
from typing import NamedTuple

from regionserver.filters.rows_together import AROUND_COLUMN, BEFORE_ROW, CELL_AND_KEY, Rows, other_bytes

LAYOUTS_MAX = 3
"""Tried with the rows that are judged together; to try more takes as long as to walk through the rows."""
ROWS_MIN = 8
"""Fewer are walked through."""
TRIED_MIN = 3
"""Fewer that are left are walked through."""
FEW_SHARE = 6
"""Where fewer of the rows than one in so many have to go, they are taken out one by one."""
WALKED_SHARE = 4
"""Where more of the rows are left than one in so many, rows are too different to look for layouts for a while."""
PAUSE_MAX = 32
"""That while is so many times at most: two at first, and twice as many each time that they still are."""
SHORT_BYTES = 0xFFFF
"""Cells that are not longer have keys of which the length begins with two zero bytes."""

Where = tuple[slice, int] | None
"""Bytes of a row, and how many cells they are; None: nothing of it."""
_NOWHERE = slice(0), 0
Walked = tuple[Where, int, tuple[int, ...], bool]
"""What was found in a row, and what that hangs on: how long so many cells are, from the first on; the columns of these
cells, by number (those that are not there do not count), and the lengths of all before them; whether it hangs on how
many cells the row has."""
Walk = Callable[[bytes, int, int, int], Walked]
"""Of a row: its bytes, where its cell block begins, how long its key is, and how many cells it has."""


class Group(NamedTuple):
    """Some of the rows."""

    where: Where
    """The same in all of them."""
    numbers: Sequence[int]
    data: Sequence[bytes]


class _Layout:
    """What was found in a row, for all that are like it."""

    __slots__ = ("_bytes", "_cells_count", "_end", "_key_bytes", "_misses", "_unlike", "hits_count", "where")

    def __init__(self, walked: Walked, data: bytes, at: int, key_bytes: int, cells_count: int) -> None:
        self.where, lengths_count, columns, is_whole = walked
        there = frozenset([number for number in columns if 0 <= number < cells_count])
        self._bytes = [(place, data[place]) for place in _places(lengths_count, there, data, at, key_bytes)]
        """Where a row has to have which bytes."""
        self._end = self._bytes[-1][0] + 1 if self._bytes else 0
        self._key_bytes = key_bytes if there else None
        """Behind which its columns are."""
        self._cells_count = cells_count if is_whole else None
        self.hits_count = 0
        """Of the rows that it was tried with last."""
        self._misses = 0
        """Those of them that are not like it: a byte each, which is 0 for the others."""
        self._unlike: list[int] = []
        """The same by number."""

    def unlike(self, rows: Rows) -> list[int]:
        """The rows that are not like it, by number.

        The same byte of all is looked at together, which takes less time than to read each row.
        """
        total = len(rows.data)
        begins, step = rows.begins_to(self._end)
        misses = other_bytes(begins, step, self._bytes, total) if total > 1 else self._unlike_one(begins)
        if self._cells_count is not None:
            misses |= _others(rows.counts, self._cells_count)
        if self._key_bytes is not None:
            misses |= _others(rows.key_bytes, self._key_bytes)
        self._misses = misses
        if not misses:
            self.hits_count = total
            self._unlike = []
        else:
            are_unlike = misses.to_bytes(total, "big")
            self.hits_count = are_unlike.count(0)
            self._unlike = list(compress(range(total), are_unlike))
        return self._unlike

    def _unlike_one(self, data: bytes) -> int:
        return int(any(data[place] != byte for place, byte in self._bytes))

    def like(self, rows: Rows, numbers: Sequence[int]) -> Group:
        """Of the rows that it was tried with last, which have these numbers, those that are like it."""
        if not self._misses:
            return Group(self.where, numbers, rows.data)
        if len(self._unlike) * FEW_SHARE < len(numbers):
            like, data = list(numbers), list(rows.data)
            for index in reversed(self._unlike):
                del like[index], data[index]
            return Group(self.where, like, data)
        are_like = list(map(not_, self._misses.to_bytes(len(numbers), "big")))
        return Group(self.where, list(compress(numbers, are_like)), list(compress(rows.data, are_like)))

    def holding(self, rows: Rows, value: bytes) -> list[int]:
        """Of the rows that it was tried with last those that hold this there, by number."""
        total = len(rows.data)
        if self.where is None or self.where[0].stop - self.where[0].start != len(value):
            return []
        start, stop = self.where[0].start, self.where[0].stop
        if stop > rows.begin_bytes or total < 2:
            found = enumerate(zip(rows.data, self._misses.to_bytes(total, "big"), strict=True))
            return [number for number, (data, is_unlike) in found if not is_unlike and data[start:stop] == value]
        others = self._misses | other_bytes(rows.begins, rows.begin_bytes, enumerate(value, start), total)
        return list(compress(range(total), map(not_, others.to_bytes(total, "big")))) if others else list(range(total))


def _others(numbers: Sequence[int], wanted: int) -> int:
    """Which of them are others: a byte each, 0 for those that are not."""
    if numbers.count(wanted) == len(numbers):
        return 0
    return int.from_bytes([each != wanted for each in numbers], "big")


def _places(lengths_count: int, columns: frozenset[int], data: bytes, at: int, row_bytes: int) -> list[int]:
    """On which bytes of a row it hangs, besides its key's length; its family is that of all rows."""
    last = max(columns, default=-1)
    places: list[int] = []
    for number in range(max(last + 1, lengths_count)):
        cell_bytes, key_bytes = CELL_AND_KEY.unpack_from(data, at)
        has_length = number < max(last, lengths_count)
        if has_length:
            places += range(at, at + 4)
        if number in columns:
            family_at = at + BEFORE_ROW + row_bytes
            column_at = family_at + 1 + data[family_at]
            # how long the key is, which is not longer than the cell
            places += range(at + 6 if has_length and cell_bytes <= SHORT_BYTES else at + 4, at + 8)
            places += range(column_at, family_at + key_bytes - AROUND_COLUMN - row_bytes)
        at += 4 + cell_bytes
    return places


class Layouts:
    """Looks for one thing in the rows of one scan."""

    def __init__(self, walk: Walk) -> None:
        """`walk` finds it."""
        self._walk = walk
        self._known: list[_Layout] = []
        """Those that most rows had first."""
        self._left: Sequence[int] = ()
        """Of the rows that were tried last those that are like none of them."""
        self._pause, self._pause_next = 0, 2

    def walk(self, rows: Rows, at: int) -> list[Where]:
        """For each row, through each of them. `at` is where cell blocks begin."""
        return [walked[0] for walked in map(self._walk, rows.data, repeat(at), rows.key_bytes, rows.counts)]

    def blocks(self, rows: Rows, at: int) -> tuple[list[bytes], list[int]] | None:
        """What is found of those rows that have it, in their order, and of how many cells.

        None: they are too few, or were too different lately.
        """
        if self._passes_over(rows):
            return None
        total = len(rows.data)
        blocks, counts = [b""] * total, [0] * total
        for layout, numbers, tried in self._tried(rows, at):
            where, count = layout.where or _NOWHERE
            some = map(itemgetter(where), tried.data)
            if len(numbers) == total:
                blocks, counts = list(some), [count] * total
            else:
                for number, block in zip(numbers, some, strict=True):
                    blocks[number], counts[number] = block, count  # what has another one comes later
        for number in self._left:
            where, counts[number] = self._walked(rows, number, at)[0] or _NOWHERE
            blocks[number] = rows.data[number][where]
        return there(blocks, counts)

    def walk_blocks(self, rows: Rows, at: int) -> tuple[list[bytes], list[int]]:
        """The same through each of them."""
        found = [where or _NOWHERE for where in self.walk(rows, at)]
        blocks = [data[where] for data, (where, _) in zip(rows.data, found, strict=True)]
        return there(blocks, [count for _, count in found])

    def groups(self, rows: Rows, at: int) -> list[Group] | None:
        """Rows that have it in the same place; None as `blocks`."""
        if self._passes_over(rows):
            return None
        made: list[Group] = []
        for layout, numbers, tried in self._tried(rows, at):
            made.append(layout.like(tried, numbers))
        made += [Group(self._walked(rows, number, at)[0], [number], [rows.data[number]]) for number in self._left]
        return made

    def holding(self, rows: Rows, at: int, value: bytes) -> list[int]:
        """The rows, by number, that hold nothing else where it is looked for."""
        if self._passes_over(rows):
            found = enumerate(self.walk(rows, at))
            return [number for number, where in found if where is not None and rows.data[number][where[0]] == value]
        holding: list[int] = []
        for layout, numbers, tried in self._tried(rows, at, value):
            holding += [numbers[index] for index in layout.holding(tried, value)]
        for number in self._left:
            where = self._walked(rows, number, at)[0]
            if where is not None and rows.data[number][where[0]] == value:
                holding.append(number)
        holding.sort()
        return holding

    def _passes_over(self, rows: Rows) -> bool:
        if len(rows.data) < ROWS_MIN:
            return True
        self._pause -= self._pause > 0
        return self._pause > 0

    def _tried(self, rows: Rows, at: int, part: bytes = b"") -> Iterator[tuple[_Layout, Sequence[int], Rows]]:
        """Layouts that some have of the rows that were not like one before; and those, with their numbers.

        `part`: of the rows that are not like the first one those that have these bytes somewhere.
        """
        total = len(rows.data)
        left: list[int] = list(range(total))
        tried: Rows = rows
        known = iter(self._known)
        kept: list[_Layout] = []
        while left and len(kept) < LAYOUTS_MAX:
            layout = next(known, None) or self._learn(rows, left[0], at)
            unlike = layout.unlike(tried)
            if not layout.hits_count:
                continue
            kept.append(layout)
            yield layout, left, tried
            left = [left[index] for index in unlike] if len(left) < total else unlike
            if part:
                data = rows.data
                left = [number for number in left if part in data[number]]
            if len(left) < TRIED_MIN:
                break
            tried = rows.only(left)
        self._left = left
        if len(left) * WALKED_SHARE > total:
            self._pause = self._pause_next + 1
            self._pause_next = min(2 * self._pause_next, PAUSE_MAX)
        else:
            self._pause_next = 2
        self._known = sorted(kept, key=_hits_count, reverse=True)

    def _walked(self, rows: Rows, number: int, at: int) -> Walked:
        return self._walk(rows.data[number], at, rows.key_bytes[number], rows.counts[number])

    def _learn(self, rows: Rows, number: int, at: int) -> _Layout:
        row = rows.data[number], at, rows.key_bytes[number], rows.counts[number]
        return _Layout(self._walk(*row), *row)


def there(blocks: list[bytes], counts: list[int]) -> tuple[list[bytes], list[int]]:
    """Those that have cells."""
    return (list(compress(blocks, counts)), list(filter(None, counts))) if 0 in counts else (blocks, counts)


def _hits_count(layout: _Layout) -> int:
    return layout.hits_count
