"""Where rows have the cell of a column: in most of them it lies where the row before has it, and that is tried first.

A row is a cell block that has to be read from its beginning, cell by cell, since each says how long it is. Rows of one
table are much alike, though, so all that would be read up to the column is read at once, and is as it was before.

Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Rows(NamedTuple):
    """Rows of which each column has one cell, sorted; what is known of them lies side by side."""

    data: Sequence[bytes]
    """Bytes of which a part is the row's cell block, the rest of them; where it begins is told apart from it."""
    counts: Sequence[int]
    """Of each, how many cells it has."""
    key_bytes: Sequence[int]
    """And how long its key is."""
    times_ms: Sequence[tuple[int, int]] = ()
    """The newest and the oldest time, where a plan is `by_times`."""

    def only(self, indexes: Sequence[int]) -> Rows:
        """Those alone."""
        if len(indexes) == len(self.data):
            return self
        data, counts, key_bytes, times_ms = self
        return Rows(
            [data[index] for index in indexes],
            [counts[index] for index in indexes],
            [key_bytes[index] for index in indexes],
            [times_ms[index] for index in indexes] if times_ms else (),
        )

    def between(self, start: int, stop: int) -> Rows:
        """From one number up to another, without that one."""
        data, counts, key_bytes, times_ms = self
        return Rows(data[start:stop], counts[start:stop], key_bytes[start:stop], times_ms[start:stop])

    def keys(self, at: int) -> list[bytes]:
        """The keys of the rows. `at` is where cell blocks begin."""
        begin, first_bytes = at + BEFORE_ROW, self.key_bytes[0] if self.key_bytes else 0
        if self.key_bytes.count(first_bytes) == len(self.key_bytes):
            key = slice(begin, begin + first_bytes)
            return [data[key] for data in self.data]
        return [data[begin : begin + key_bytes] for data, key_bytes in zip(self.data, self.key_bytes, strict=True)]


MISSES_MAX = 16
"""Among the rows that are looked at together; after more of them no further row is tried so."""
SHAPES_MAX = 64
"""Remembered of one column."""
BEFORE_ROW = 14
"""Lengths of a cell, its key, its value and its row."""
AROUND_COLUMN = 2 + 8 + 1
"""Of a key, without row, family and qualifier: the row's length, time, type."""
CELL_AND_KEY = struct.Struct(">ii")

_Shape = tuple[int, Callable[[bytes], tuple[object, ...]], tuple[object, ...], slice]
"""Bytes that a row has at least, what to read of it, what that is where the row is so, and where the cell lies."""
_NO_SHAPE: _Shape = (1 << 62, lambda _: (), (), slice(0))


class Places:
    """Those of one column, in the rows of one scan."""

    def __init__(self, family: bytes, qualifier: bytes, *, of_value: bool = False) -> None:
        """`of_value`: where what it holds lies."""
        self._column = bytes((len(family),)) + family + qualifier
        self._of_value = of_value
        self._shape = _NO_SHAPE
        self._shapes: dict[tuple[int, ...], _Shape] = {}
        """By the lengths of the row's key and of the cells up to the column."""
        self._is_tried = True

    def find(self, rows: Rows, at: int) -> list[slice | None]:
        """For each row; None: it has no such cell. `at` is where cell blocks begin."""
        found: list[slice | None] = []
        column, lengths = self._column, CELL_AND_KEY.unpack_from
        around_bytes, begin = AROUND_COLUMN + len(column), 12 if self._of_value else 0
        misses_left = MISSES_MAX
        least_bytes, read, expected, place = self._shape
        for data, row_bytes in zip(rows.data, rows.key_bytes, strict=True):
            if len(data) >= least_bytes and read(data) == expected:
                found.append(place)
                continue
            here, stop = at, len(data)
            key_bytes_wanted, before = around_bytes + row_bytes, BEFORE_ROW + row_bytes
            while here < stop:
                cell_bytes, key_bytes = lengths(data, here)
                if key_bytes == key_bytes_wanted and data.startswith(column, here + before):
                    break
                here += 4 + cell_bytes
            else:
                found.append(None)
                continue
            found.append(slice(here + begin + key_bytes if begin else here, here + 4 + cell_bytes))
            if self._is_tried:
                misses_left -= 1
                self._is_tried = misses_left > 0
                self._shape = self._shape_of(data, at, row_bytes, here) if misses_left else _NO_SHAPE
                least_bytes, read, expected, place = self._shape
        return found

    def _shape_of(self, data: bytes, at: int, row_bytes: int, cell_at: int) -> _Shape:
        """That of a row whose cell was found."""
        lengths = [row_bytes]
        here = at
        while here <= cell_at:
            lengths.append(CELL_AND_KEY.unpack_from(data, here)[0])
            here += 4 + lengths[-1]
        shape = self._shapes.get(tuple(lengths))
        if shape is None:
            passed_over = "".join([f"i{cell_bytes}x" for cell_bytes in lengths[1:-1]])
            what = struct.Struct(f">{at}x{passed_over}ii4xH{row_bytes}x{len(self._column)}s")
            key_bytes = AROUND_COLUMN + row_bytes + len(self._column)
            place = slice(cell_at + 12 + key_bytes if self._of_value else cell_at, cell_at + 4 + lengths[-1])
            if len(self._shapes) >= SHAPES_MAX:
                self._shapes.clear()
            shape = max(what.size, place.stop), what.unpack_from, what.unpack_from(data), place
            self._shapes[tuple(lengths)] = shape
        return shape
