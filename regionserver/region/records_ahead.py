"""Records of a range at one moment, of which the next is known, and mostly those behind it: they are read together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from regionserver.engine.store import Snapshot
from regionserver.region.keys import after_family
from regionserver.region.newest_cell import NEVER_MS
from regionserver.region.pieces import Record
from regionserver.region.record import head_of


class RecordsAhead(Iterator[Record]):
    """Taken one by one, by family, or many at once."""

    def __init__(self, moment: Snapshot, lower: bytes, upper: bytes, together_count: int) -> None:
        """It owns the moment. At most so many records are read together."""
        self._moment, self._upper, self._together_count = moment, upper, together_count
        self._found = moment.pairs(lower, upper, together_count)
        self._at = 0
        """Of the next among those that were found; behind the last of them only where that is the end."""
        self.read_bytes = 0
        """Of those that were taken."""
        self.count = 0
        self.newest_ms = NEVER_MS
        """Of the cells of those that were taken one by one, or by family."""

    @property
    def peek(self) -> Record | None:
        """The next; None: there is none."""
        return self._found[self._at] if self._found else None

    @property
    def together(self) -> Sequence[Record]:
        """The next, and those that were read with it."""
        return self._found[self._at :] if self._at else self._found

    def __next__(self) -> Record:
        record = self.peek
        if record is None:
            raise StopIteration
        self.newest_ms = max(self.newest_ms, head_of(record[1]).newest_ms)
        self._pass(1, len(record[0]) + len(record[1]))
        return record

    def pass_over(self, count: int) -> int:
        """Take so many of those that were read together; their bytes."""
        size_bytes = sum([len(value) for _, value in self._found[self._at : self._at + count]])
        self._pass(count, size_bytes)
        return size_bytes

    def take(self, family_key: bytes, bytes_max: int) -> tuple[list[Record], bool]:
        """Chunks of a family, and whether these are all of them."""
        end = after_family(family_key)
        stop_bytes = self.read_bytes + bytes_max
        chunks: list[Record] = []
        while (record := self.peek) is not None and record[0] < end:
            if self.read_bytes > stop_bytes:
                return chunks, False
            chunks.append(next(self))
        return chunks, True

    def close(self) -> None:
        """Let go of the store."""
        self._moment.close()

    def _pass(self, count: int, size_bytes: int) -> None:
        self.count += count
        self.read_bytes += size_bytes
        self._at += count
        if self._at == len(self._found) and count:
            behind = self._found[-1][0] + b"\0"
            self._found, self._at = self._moment.pairs(behind, self._upper, self._together_count), 0
