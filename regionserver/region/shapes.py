"""Puts that look like one before: their cells go from a cell block into a record without being taken apart.

A shape is what a put's cells have in common with the next one's: lengths, family, columns and types. Where the bytes
agree with it, the row and the time are all that is left to read, and the cells are already sorted, of one family and
without tags. Whatever does not agree is read cell by cell, so a shape that is not known costs time and changes nothing.
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct

from regionserver.region.record import CHUNK_BYTES, HEAD_BYTES, Entry, versions_record
from registry.wire.cellblock import LATEST_TIMESTAMP, ROW_BYTES_MAX, Cell, KeyType, decode_cell
from registry.wire.errors import ProtocolError

_HEADER_BYTES = 14
"""Lengths of a cell, its key, its value and its row."""
_FIELDS = 5
_TIME = Struct(">q")
_LATEST = _TIME.pack(LATEST_TIMESTAMP)
SHAPES_MAX = 4
"""Of one count and first header; puts that differ more often are read cell by cell."""
KEYS_MAX = 1024
CREDIT_MAX = 4096
LEARNING_CREDIT, HIT_CREDIT, MISS_CREDIT = 64, 8, 1
"""To learn a shape costs as much as to read some ten puts: it is done for 64, once for 8 puts that were known, and now
and then where none was."""


class Shape:
    """The cells of one put: of one row and family, each column once and sorted, all puts, without tags."""

    def __init__(self, cells: list[Cell]) -> None:
        """Of cells that `is_plain`."""
        self.count = len(cells)
        self.family = cells[0].family
        self._qualifiers = [cell.qualifier for cell in cells]
        layout: list[str] = []
        self._offsets: list[int] = []
        self._time_offsets: list[int] = []
        at = 0
        for cell in cells:
            row_bytes, middle_bytes = len(cell.row), 1 + len(cell.family) + len(cell.qualifier)
            layout.append(f"{_HEADER_BYTES}s{row_bytes}s{middle_bytes}sqB{len(cell.value)}x")
            self._offsets.append(at)
            self._time_offsets.append(at + _HEADER_BYTES + row_bytes + middle_bytes)
            at += _HEADER_BYTES + row_bytes + middle_bytes + 9 + len(cell.value)
        self._layout = Struct(">" + "".join(layout))
        self.size_bytes = at
        self._offsets.append(at)
        self.cell_bytes_max = max(stop - start for start, stop in zip(self._offsets, self._offsets[1:], strict=False))
        self._headers: tuple[bytes, ...] = ()
        self._middles: tuple[bytes, ...] = ()
        self._types = (int(KeyType.PUT),) * self.count

    def learn(self, block: bytes | memoryview, at: int) -> None:
        """Take over what the cells it was made of have in common."""
        fields = self._layout.unpack_from(block, at)
        self._headers, self._middles = fields[0::_FIELDS], fields[2::_FIELDS]

    def read(self, block: bytes | memoryview, at: int) -> tuple[bytes, int] | None:
        """Row and time of cells of this shape; None where they are not, or have several. Enough bytes are there."""
        fields = self._layout.unpack_from(block, at)
        if fields[0::_FIELDS] != self._headers or fields[2::_FIELDS] != self._middles:
            return None
        rows, times = fields[1::_FIELDS], fields[3::_FIELDS]
        if fields[4::_FIELDS] != self._types or rows.count(rows[0]) != self.count:
            return None
        return (rows[0], times[0]) if times.count(times[0]) == self.count else None

    def cells(self, block: bytes | memoryview, at: int, timestamp_ms: int | None) -> bytes:
        """The cells; with that time, if one is given, in the place of LATEST_TIMESTAMP."""
        cells = bytes(block[at : at + self.size_bytes])
        if timestamp_ms is None:
            return cells
        time = _TIME.pack(timestamp_ms)
        if cells.count(_LATEST) == self.count:  # none in a value, and two never overlap
            return cells.replace(_LATEST, time)
        made = bytearray(cells)
        for offset in self._time_offsets:
            made[offset : offset + 8] = time
        return bytes(made)

    def time_of(self, record: bytes) -> int | None:
        """When the cells of a record were written; None where it has others than one of each column, of one time."""
        if len(record) != HEAD_BYTES + self.size_bytes or (found := self.read(record, HEAD_BYTES)) is None:
            return None
        return found[1]

    def with_older(self, cells: bytes, timestamp_ms: int, older: bytes, older_ms: int) -> bytes:
        """The record of both."""
        pieces: list[bytes] = []
        for start, stop in pairwise(self._offsets):
            pieces += (cells[start:stop], older[start:stop])
        return versions_record(b"".join(pieces), 2 * self.count, timestamp_ms, older_ms)

    def entries(self, cells: bytes, timestamp_ms: int) -> list[Entry]:
        """The same as entries of a record."""
        offsets = self._offsets
        return [
            (qualifier, -timestamp_ms, -4, cells[start:stop])
            for qualifier, start, stop in zip(self._qualifiers, offsets, offsets[1:], strict=False)
        ]


class Shaped:
    """One put of a known shape."""

    __slots__ = ("_at", "_block", "row", "shape", "timestamp_ms")

    def __init__(self, shape: Shape, row: bytes, timestamp_ms: int, block: bytes | memoryview, at: int) -> None:
        self.shape = shape
        self.row = row
        self.timestamp_ms = timestamp_ms
        """LATEST_TIMESTAMP: that of the server."""
        self._block = block
        self._at = at

    @property
    def family(self) -> bytes:
        """Of all its cells."""
        return self.shape.family

    def cells(self, now_ms: int) -> tuple[bytes, int]:
        """The cells as they are written, and their time."""
        if self.timestamp_ms == LATEST_TIMESTAMP:
            return self.shape.cells(self._block, self._at, now_ms), now_ms
        return self.shape.cells(self._block, self._at, None), self.timestamp_ms


class Learning:
    """Which puts are learned from. Where nearly each has a shape of its own that is one in sixty."""

    def __init__(self) -> None:
        """At first, all."""
        self._credit = CREDIT_MAX

    def hit(self) -> None:
        """One was of a known shape."""
        self._credit = min(self._credit + HIT_CREDIT, CREDIT_MAX)

    def pays(self) -> bool:
        """One was of none; whether to learn from it."""
        self._credit += MISS_CREDIT
        if self._credit < LEARNING_CREDIT:
            return False
        self._credit -= LEARNING_CREDIT
        return True


class _Known:
    __slots__ = ("hits_count", "misses_count", "shapes")

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.hits_count = self.misses_count = 0


class Shapes:
    """Those that were met lately. For one loop."""

    def __init__(self) -> None:
        """None yet."""
        self._known: dict[tuple[int, bytes], _Known] = {}
        self._learning = Learning()

    def find(self, block: bytes | memoryview, at: int, count: int) -> Shaped | None:
        """The next `count` cells as a put of a known shape. Raises nothing."""
        key = count, bytes(block[at : at + _HEADER_BYTES])
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= KEYS_MAX:
                self._known.clear()
            known = self._known[key] = _Known()
        for shape in known.shapes:
            if len(block) - at < shape.size_bytes:
                continue
            found = shape.read(block, at)
            if found is not None:
                known.hits_count += 1
                self._learning.hit()
                return Shaped(shape, found[0], found[1], block, at)
        known.misses_count += 1
        if self._learning.pays():
            made = shape_of(block, at, count)
            if made is not None:
                known.shapes.insert(0, made)
                del known.shapes[SHAPES_MAX:]
        elif HIT_CREDIT * known.hits_count < known.misses_count:
            known.shapes.clear()  # they all differ: no more looking
        return None


def shape_of(block: bytes | memoryview, at: int, count: int) -> Shape | None:
    """The shape of the next `count` cells; None where they can have none."""
    view = memoryview(block)
    cells: list[Cell] = []
    begin = at
    try:
        while len(cells) < count and at < len(view) and at - begin <= CHUNK_BYTES:
            cell, at = decode_cell(view, at)
            cells.append(cell)
    except ProtocolError:
        return None
    if len(cells) < count or at - begin > CHUNK_BYTES or not is_plain(cells):
        return None
    shape = Shape(cells)
    shape.learn(block, begin)
    return shape


def is_plain(cells: list[Cell]) -> bool:
    """Whether they can be a record as they are, but for their times."""
    row, family = cells[0].row, cells[0].family
    return 0 < len(row) <= ROW_BYTES_MAX and all(
        cell.row == row and cell.family == family and cell.key_type == KeyType.PUT and not cell.tags
        and (number == 0 or cells[number - 1].qualifier < cell.qualifier)
        for number, cell in enumerate(cells)
    )  # fmt: skip
