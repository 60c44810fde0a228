"""Older versions taken out of many records at once: most records of a table have their cells in the same places.

To take them out of one record it is walked through, cell by cell, since each says how long it is. What such a walk has
found holds for all records that are as long and have the same lengths and columns in the same places: these bytes are
compared in all of them together, and what stays is cut out as in the first.

Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter

from regionserver.filters.rows_together import BEFORE_ROW, other_bytes
from regionserver.region.record import CELL_LENGTHS, HEAD, HEAD_BYTES, TIMESTAMP_TYPE, Mark, only_newest

TOGETHER_MIN = 8
"""Fewer that are as long are walked through."""
LAYOUTS_MAX = 3
"""Looked for among the records that are as long; what is left then is walked through."""
SIZE_BYTES_MAX = 0xFFFF
"""Of a record: longer ones are walked through."""
_LENGTH_ENDS = (2, 3, 6, 7)
"""Bytes of a cell's beginning that say how long it and its key are; those before them are 0 in so short a record."""
_TIMES_AT = 6
"""Of a head, which has format, marks and the number of cells before them."""
_NOTHING = b"", 0


class NewestOf:
    """Of many records, for who does it again and again: what was found is tried first with those that come next."""

    def __init__(self) -> None:
        """Nothing is known of any record."""
        self._known: dict[int, list[_Layout]] = {}
        """By how long records are."""

    def __call__(self, records: Sequence[bytes]) -> list[tuple[bytes, int]]:
        """Of each record what `only_newest` gives of it, in their order; each has puts without tags alone."""
        by_size: defaultdict[int, list[int]] = defaultdict(list)
        for number, record in enumerate(records):
            by_size[len(record)].append(number)
        made: list[tuple[bytes, int]] = [_NOTHING] * len(records)
        before, self._known = self._known, {}
        for size_bytes, numbers in by_size.items():
            left = numbers
            if size_bytes <= SIZE_BYTES_MAX:
                left = self._alike(records, numbers, made, before.get(size_bytes, []))
            for number in left:
                made[number] = only_newest(records[number])
        return made

    def _alike(
        self, records: Sequence[bytes], numbers: list[int], made: list[tuple[bytes, int]], known: list[_Layout]
    ) -> list[int]:
        """Does those that are like others, of records that are equally long; who is left."""
        left, tried = numbers, iter(known)
        kept: list[_Layout] = []
        while len(left) >= TOGETHER_MIN and len(kept) < LAYOUTS_MAX:
            layout = next(tried, None) or _Layout(records[left[0]])
            unlike = layout.take([records[number] for number in left], left, made)
            if len(unlike) < len(left):
                kept.append(layout)
            left = unlike
        if kept:
            self._known[len(records[numbers[0]])] = kept
        return left


class _Layout:
    """Where a record has what stays, and what tells others that are like it."""

    def __init__(self, record: bytes) -> None:
        size_bytes = len(record)
        row_bytes: int = CELL_LENGTHS.unpack_from(record, HEAD_BYTES)[3]
        row_at = HEAD_BYTES + BEFORE_ROW
        column_at = BEFORE_ROW + row_bytes + 1 + record[row_at + row_bytes]
        places = [1, row_at - 2, row_at - 1, row_at + row_bytes]
        """Of marks and of how long row and family are, which all cells of a record have in common."""
        slices: list[slice] = []
        begin, at, count = _TIMES_AT, HEAD_BYTES, 0
        column: bytes | None = None
        while at < size_bytes:
            cell_bytes, key_bytes, _, _ = CELL_LENGTHS.unpack_from(record, at)
            column_end = at + 12 + key_bytes - TIMESTAMP_TYPE.size
            places += [at + byte for byte in _LENGTH_ENDS]
            places += range(at + column_at, column_end)
            qualifier = record[at + column_at : column_end]
            end = at + 4 + cell_bytes
            if qualifier == column:
                if begin < at:
                    slices.append(slice(begin, at))
                begin = end
            else:
                column = qualifier
                count += 1
            at = end
        slices.append(slice(begin, size_bytes))  # of nothing where older versions are the last: there are two at least
        self._size_bytes = size_bytes
        self._places = [(place, record[place]) for place in places]
        self._cut = itemgetter(*slices, slice(0))
        known, marks, _, newest_ms, oldest_ms = HEAD.unpack_from(record)
        self._begin = HEAD.pack(known, marks & ~Mark.VERSIONS, count, newest_ms, oldest_ms)[:_TIMES_AT]
        self._count = count

    def take(self, records: Sequence[bytes], numbers: list[int], made: list[tuple[bytes, int]]) -> list[int]:
        """Do those of some that are as long which are like this one; the numbers of the others."""
        total = len(records)
        misses = other_bytes(b"".join(records), self._size_bytes, self._places, total)
        begin, count, cut, join = self._begin, self._count, self._cut, b"".join
        left: list[int] = []
        for number, record, is_unlike in zip(numbers, records, misses.to_bytes(total, "big"), strict=True):
            if is_unlike:
                left.append(number)
            else:
                made[number] = begin + join(cut(record)), count
        return left
