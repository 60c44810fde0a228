"""Walks through a row for what filters ask for: columns that lie side by side, or some by their number. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import repeat

from regionserver.filters.layouts import Walk, Walked
from regionserver.filters.rows_together import BEFORE_ROW, CELL_AND_KEY

NOTHING: Walked = (None, 0, (), False)
"""Of no row."""
_LENGTH = struct.Struct(">i").unpack_from
BEHIND_ALL = b"\xff" * (1 << 15)
"""Longer than any column's name."""


@lru_cache(maxsize=64)
def _length_at(begin: int) -> Callable[[bytes], tuple[int, ...]]:
    return struct.Struct(f">{begin}xi").unpack_from


class Run:
    """Columns that lie side by side: from one on, up to another without it."""

    def __init__(self, low: bytes, high: bytes | None) -> None:
        """`high` None: to the last."""
        self._low, self._high = low, BEHIND_ALL if high is None else high
        self._is_one = high == low + b"\0"
        self._is_prefix = high is not None and _high_of(low) == high

    def begin(self, data: bytes, at: int, row_bytes: int, cells_count: int) -> Walked:
        """Where they begin, or would, and how many cells are before; a row may have none of them from there on."""
        del cells_count
        lengths, low = CELL_AND_KEY.unpack_from, self._low
        before, number, here, stop = before_qualifier(data, at, row_bytes), 0, at, len(data)
        while here < stop:
            cell_bytes, key_bytes = lengths(data, here)
            if data[here + before : here + 3 + key_bytes] >= low:
                break
            here += 4 + cell_bytes
            number += 1
        if here == stop:
            return None, 0, (number - 1,), True
        return (slice(here, None), number), number, (number - 1, number), False

    def rest(self, data: bytes, begin: int, before_bytes: int) -> tuple[int, int]:
        """Where they end that begin there, and how many; `before_bytes`: of a cell before its qualifier."""
        lengths, high = CELL_AND_KEY.unpack_from, self._high
        number, here, stop = 0, begin, len(data)
        while here < stop:
            cell_bytes, key_bytes = lengths(data, here)
            if data[here + before_bytes : here + 3 + key_bytes] >= high:
                break
            here += 4 + cell_bytes
            number += 1
        return here, number

    def end_rows(self, rows: Sequence[bytes], begin: int, cells_count: int, before_bytes: int) -> bool:
        """Whether all of these rows end with them: each has so many cells from there on, where they begin."""
        here = [begin] * len(rows)
        if cells_count > 1:
            following = begin + 4
            here = [following + cell_bytes for (cell_bytes,) in map(_length_at(begin), rows)]
        for _ in range(cells_count - 2):
            here = [at + 4 + cell_bytes for at, (cell_bytes,) in zip(here, map(_LENGTH, rows, here), strict=True)]
        if self._is_prefix:  # a shorter name that is not less does not begin as it does
            columns = [at + before_bytes for at in here]
            return all(map(bytes.startswith, rows, repeat(self._low), columns))
        lengths, high = map(CELL_AND_KEY.unpack_from, rows, here), self._high
        last = zip(rows, here, lengths, strict=True)
        return all(data[at + before_bytes : at + 3 + key_bytes] < high for data, at, (_, key_bytes) in last)

    def walk(self, data: bytes, at: int, row_bytes: int, cells_count: int) -> Walked:
        """All of them."""
        begin, first, columns, is_whole = self.begin(data, at, row_bytes, cells_count)
        if begin is None:
            return begin, first, columns, is_whole
        here: int = begin[0].start
        end, taken = self.rest(data, here, before_qualifier(data, at, row_bytes))
        stop = first + taken
        if not taken:
            return None, 0, columns, False
        if self._is_one:  # no other cell has the column, so no neighbour has to be looked at
            return (slice(here, end), 1), stop, (first,), False
        if end == len(data):
            return (slice(here, None), taken), stop - 1, (*columns, stop - 1), True
        return (slice(here, end), taken), stop, (*columns, stop - 1, stop), False


def run_of_column(qualifier: bytes) -> Run:
    """One column."""
    return Run(qualifier, qualifier + b"\0")


def run_of_prefix(prefix: bytes) -> Run:
    """Columns that begin so."""
    return Run(prefix, _high_of(prefix))


def _high_of(prefix: bytes) -> bytes | None:
    """The first column behind those that begin so."""
    bare = prefix.rstrip(b"\xff")
    return bare[:-1] + bytes((bare[-1] + 1,)) if bare else None


def walk_value(family: bytes, qualifier: bytes) -> Walk:
    """What the cell of one column holds; all rows are of one family, which need not be this one."""
    lengths, run, family_begin = CELL_AND_KEY.unpack_from, run_of_column(qualifier), bytes((len(family),)) + family

    def walk(data: bytes, at: int, row_bytes: int, cells_count: int) -> Walked:
        if not data.startswith(family_begin, at + BEFORE_ROW + row_bytes):
            return NOTHING
        begin, number, columns, is_whole = run.begin(data, at, row_bytes, cells_count)
        if begin is None:
            return begin, number, columns, is_whole
        here = begin[0].start
        cell_bytes, key_bytes = lengths(data, here)
        if data[here + before_qualifier(data, at, row_bytes) : here + 3 + key_bytes] != qualifier:
            return None, 0, columns, False
        # no other cell has the column, so no neighbour has to be looked at
        return (slice(here + 12 + key_bytes, here + 4 + cell_bytes), 1), number + 1, (number,), False

    return walk


def walk_numbered(skipped_count: int, count_max: int) -> Walk:
    """So many columns behind so many."""
    lengths = CELL_AND_KEY.unpack_from
    first, end = max(skipped_count, 0), skipped_count + count_max

    def walk(data: bytes, at: int, row_bytes: int, cells_count: int) -> Walked:
        del row_bytes
        taken = min(end, cells_count) - first
        if taken <= 0:
            return None, 0, (), True
        begin = at
        for _ in range(first):
            begin += 4 + lengths(data, begin)[0]
        if end >= cells_count:
            return (slice(begin, None), taken), first, (), True
        stop = begin
        for _ in range(taken):
            stop += 4 + lengths(data, stop)[0]
        return (slice(begin, stop), taken), end, (), False

    return walk


def before_qualifier(data: bytes, at: int, row_bytes: int) -> int:
    """How far behind a cell's beginning its qualifier begins, of a row whose cells begin there."""
    before = BEFORE_ROW + row_bytes
    return before + 1 + data[at + before]
