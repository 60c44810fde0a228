"""Rows that are judged together, of which each column has one cell: what is known of them lies side by side. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import compress
from operator import itemgetter, not_
from typing import NamedTuple

BEFORE_ROW = 14
"""Lengths of a cell, its key, its value and its row."""
AROUND_COLUMN = 2 + 8 + 1
"""Of a key, without row, family and qualifier: the row's length, time, type."""
CELL_AND_KEY = struct.Struct(">ii")
REACH_BYTES_MAX = 1024
"""Of each row, of some hundred at once."""


_BYTES = [bytes((byte,)) for byte in range(256)]


class Reach:
    """How much of each row is cut out at once and laid side by side: as much as was asked for before, up to a limit."""

    __slots__ = ("size_bytes",)

    def __init__(self, size_bytes: int) -> None:
        """At first."""
        self.size_bytes = size_bytes

    def asked_for(self, size_bytes: int) -> None:
        """So much was, and was not there."""
        self.size_bytes = max(self.size_bytes, min(size_bytes, REACH_BYTES_MAX))


class Rows(NamedTuple):
    """Rows of which each column has one cell, sorted; what is known of them lies side by side."""

    data: Sequence[bytes]
    """Bytes of which a part is the row's cell block, the rest of them; where it begins is told apart from it."""
    counts: Sequence[int]
    """Of each, how many cells it has."""
    key_bytes: Sequence[int]
    """And how long its key is."""
    times: Sequence[bytes] = ()
    """The newest and the oldest time as heads have them, where a plan is `by_times`."""
    begins: bytes = b""
    """So many bytes of each, side by side; none: they have to be cut out of the rows."""
    begin_bytes: int = 0
    reach: Reach | None = None
    """Hears of it where more of each is asked for."""

    def begins_to(self, size_bytes: int) -> tuple[bytes, int]:
        """At least so many bytes of each row, side by side, and how many; those of a shorter row end with bytes of 255.

        No length begins so, and no row has a part of one: its bytes are as many as its lengths say.
        """
        if size_bytes <= self.begin_bytes:
            return self.begins, self.begin_bytes
        if self.reach is not None:
            self.reach.asked_for(size_bytes)
        return begins_of(self.data, size_bytes), size_bytes

    def only(self, indexes: Sequence[int]) -> Rows:
        """Those alone."""
        if len(indexes) == len(self.data):
            return self
        data, counts, key_bytes, times, _, _, _ = self
        if len(indexes) < 2:
            start, stop = (indexes[0], indexes[0] + 1) if indexes else (0, 0)
            return self.between(start, stop)
        those, total = itemgetter(*indexes), len(data)
        is_even = counts.count(counts[0]) == total and key_bytes.count(key_bytes[0]) == total
        counts = [counts[0]] * len(indexes) if is_even else those(counts)
        key_bytes = [key_bytes[0]] * len(indexes) if is_even else those(key_bytes)
        return Rows(those(data), counts, key_bytes, those(times) if times else ())

    def between(self, start: int, stop: int) -> Rows:
        """From one number up to another, without that one."""
        data, counts, key_bytes, times, begins, step, reach = self
        begins = begins[start * step : stop * step]
        return Rows(data[start:stop], counts[start:stop], key_bytes[start:stop], times[start:stop], begins, step, reach)

    def ending(self, ends: Sequence[bytes], at: int) -> list[int] | None:
        """The numbers of those whose keys end with one of these; None: that cannot be told of all together."""
        total, key_bytes = len(self.data), self.key_bytes[0] if self.data else 0
        stop = at + BEFORE_ROW + key_bytes
        if not 0 < max(map(len, ends)) <= key_bytes or stop > self.begin_bytes:
            return None
        if self.key_bytes.count(key_bytes) != total:
            return None
        last_bytes = self.begins[stop - 1 :: self.begin_bytes]
        found: set[int] = set()
        for end in ends:
            if end[-1:] in last_bytes:
                others = other_bytes(self.begins, self.begin_bytes, enumerate(end, stop - len(end)), total)
                found.update(compress(range(total), map(not_, others.to_bytes(total, "big"))))
        return sorted(found)

    def key(self, number: int, at: int) -> bytes:
        """The key of one of them. `at` is where cell blocks begin."""
        begin = at + BEFORE_ROW
        return self.data[number][begin : begin + self.key_bytes[number]]

    def keys(self, at: int) -> list[bytes]:
        """The keys of the rows. `at` is where cell blocks begin."""
        begin, first_bytes = at + BEFORE_ROW, self.key_bytes[0] if self.key_bytes else 0
        if self.key_bytes.count(first_bytes) == len(self.key_bytes):
            return list(map(itemgetter(slice(begin, begin + first_bytes)), self.data))
        return [data[begin : begin + key_bytes] for data, key_bytes in zip(self.data, self.key_bytes, strict=True)]

    def family(self, at: int) -> bytes:
        """That of all of them."""
        data = self.data[0]
        begin = at + BEFORE_ROW + self.key_bytes[0]
        return data[begin + 1 : begin + 1 + data[begin]]

    def before_qualifier(self, at: int) -> int:
        """How far behind a cell's beginning its qualifier begins, without the row."""
        return BEFORE_ROW + 1 + len(self.family(at))


def begins_of(rows: Sequence[bytes], size_bytes: int) -> bytes:
    """So many bytes of each side by side, those of a shorter one filled up with bytes of 255."""
    cut = list(map(itemgetter(slice(size_bytes)), rows))
    begins = b"".join(cut)
    if len(begins) != size_bytes * len(cut):
        begins = b"".join([each.ljust(size_bytes, b"\xff") for each in cut])
    return begins


def other_bytes(begins: bytes, begin_bytes: int, wanted: Iterable[tuple[int, int]], rows_count: int) -> int:
    """Which of so many rows, side by side, have another byte somewhere: a byte each, 0 for those that have not."""
    found, same = 0, b"\1" * rows_count
    ones = int.from_bytes(same, "big")
    for place, byte in wanted:
        there = begins[place::begin_bytes]
        if there != _BYTES[byte] * rows_count:
            found |= int.from_bytes(there, "big") ^ (byte * ones)
    return found
