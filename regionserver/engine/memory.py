"""The store in memory: the model that the other engines are held against, and the data of tests; nothing survives it.

Each key has its values by the number of the commit that made them. A read looks for the newest one that is not newer
than its moment; what no open moment can see any more is dropped when the key is written again or the moment ends.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from regionserver.engine.store import Batch, Committed, Durability, StoreNotUsable

_Values = list[tuple[int, "bytes | None"]]
"""Number of the commit and value, oldest first; None: deleted by it."""


class MemoryStore:
    """A store without a place."""

    name = "memory"
    keeps = Durability.MEMORY

    def __init__(self) -> None:
        """An empty one."""
        self._values: dict[bytes, _Values] = {}
        self._order: list[bytes] = []
        """Its keys, sorted. To insert moves what lies behind: some 10 us among 100 000 keys."""
        self._number = 0
        """Of the newest commit."""
        self._moments: Counter[int] = Counter()
        """Numbers that open snapshots and iterators read at, and how many of them."""
        self._outdated: set[bytes] = set()
        """Keys with values that only open moments can see."""
        self._is_closed = False

    # --- reading --------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        return self.get_at(key, self._number)

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Keys of [lower, upper) with their values at the moment of the call."""
        return self.scan_at(lower, upper, self.hold(), reverse=reverse)

    def get_at(self, key: bytes, number: int) -> bytes | None:
        """The value as the commit of this number left it."""
        self._check_open()
        return _seen(self._values.get(key, ()), number)

    def scan_at(
        self, lower: bytes, upper: bytes, number: int, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Read at a moment that was taken by `hold`, and let go of it at the end."""
        return _Scan(self, lower, upper, number, reverse=reverse)

    def neighbour(self, key: bytes, *, reverse: bool, inclusive: bool) -> bytes | None:
        """The next key from `key` on, or the one before it, whatever its values."""
        self._check_open()
        order = self._order
        index = (bisect_right if inclusive is reverse else bisect_left)(order, key) - reverse
        return order[index] if 0 <= index < len(order) else None

    def snapshot(self) -> MemorySnapshot:
        """The moment of the call, kept."""
        return MemorySnapshot(self, self.hold())

    def hold(self) -> int:
        """Keep this moment; its number."""
        self._check_open()
        self._moments[self._number] += 1
        return self._number

    def let_go(self, number: int) -> None:
        """A holder of this moment has ended."""
        self._moments[number] -= 1
        if not self._moments[number]:
            del self._moments[number]
            if not self._moments:
                for key in self._outdated:
                    self._drop_unseen(key)
                self._outdated.clear()

    # --- writing --------------------------------------------------------------------------------------------------

    @property
    def uncommitted(self) -> MemoryStore:
        """Itself: a commit is over when it returns."""
        return self

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        """Apply a batch; it lasts as long as the process, whatever was asked."""
        del durability
        self._check_open()
        self._number += 1
        for lower, upper in batch.cleared:
            for key in self._between(lower, upper):
                self._write(key, None)
        for key, value in batch.changes:
            self._write(key, value)
        committed(None)

    def _write(self, key: bytes, value: bytes | None) -> None:
        values = self._values.get(key)
        if values is None:
            if value is not None:
                self._values[key] = [(self._number, value)]
                insort(self._order, key)
            return
        values.append((self._number, value))
        self._drop_unseen(key)
        if len(values) > 1 or value is None:
            self._outdated.add(key)

    def _drop_unseen(self, key: bytes) -> None:
        values = self._values.get(key)
        if values is None:
            return
        oldest = min(self._moments, default=self._number)
        seen = 0
        while seen + 1 < len(values) and values[seen + 1][0] <= oldest:
            seen += 1
        del values[:seen]
        while len(values) > 1 and values[0][0] == values[1][0]:  # written twice by one commit
            del values[0]
        if len(values) == 1 and values[0][1] is None and values[0][0] <= oldest:
            del self._values[key]
            del self._order[bisect_left(self._order, key)]

    def _between(self, lower: bytes, upper: bytes) -> list[bytes]:
        return self._order[bisect_left(self._order, lower) : bisect_left(self._order, upper)]

    # --- the rest -------------------------------------------------------------------------------------------------

    def size_bytes(self, lower: bytes, upper: bytes) -> int:
        """What [lower, upper) takes, old values included."""
        return sum(
            len(key) + sum(len(value or b"") for _, value in self._values[key]) for key in self._between(lower, upper)
        )

    def flush(self) -> None:
        """Nothing is elsewhere."""

    def compact(self, lower: bytes, upper: bytes) -> None:
        """Nothing is kept for long."""

    def checkpoint(self, directory: Path) -> None:
        """It has no files."""
        raise StoreNotUsable(f"{directory}: a store in memory cannot be copied into a directory")

    def close(self) -> None:
        """Everything is gone."""
        self._is_closed = True
        self._values.clear()
        self._order.clear()

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreNotUsable("memory: the store is closed")


class MemorySnapshot:
    """One moment of it."""

    def __init__(self, store: MemoryStore, number: int) -> None:
        self._store = store
        self._number = number
        self._is_closed = False

    def get(self, key: bytes) -> bytes | None:
        """The value of a key then."""
        self._check_open()
        return self._store.get_at(key, self._number)

    def scan(
        self, lower: bytes, upper: bytes, *, reverse: bool = False, ahead_count: int = 1
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys of [lower, upper) with their values then."""
        del ahead_count  # nothing is gained by it here
        self._check_open()
        for key, value in _Scan(self._store, lower, upper, self._number, reverse=reverse, holds=False):
            self._check_open()
            yield key, value

    def pairs(self, lower: bytes, upper: bytes, count_max: int) -> list[tuple[bytes, bytes]]:
        """The first of [lower, upper)."""
        return list(islice(self.scan(lower, upper), count_max))

    def values(self, lower: bytes, upper: bytes, count_max: int, behind: bytes | None = None) -> list[bytes]:
        """The values alone."""
        del behind  # it finds its place anyway
        return [value for _, value in self.pairs(lower, upper, count_max)]

    def close(self) -> None:
        """Let go of it."""
        if not self._is_closed:
            self._is_closed = True
            self._store.let_go(self._number)

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreNotUsable("memory: the snapshot is closed")


class _Scan(Iterator[tuple[bytes, bytes]]):
    """Goes from key to key by search: the dictionary may change in between."""

    def __init__(
        self, store: MemoryStore, lower: bytes, upper: bytes, number: int, *, reverse: bool, holds: bool = True
    ) -> None:
        self._store = store
        self._lower, self._upper = lower, upper
        self._at = upper if reverse else lower
        self._inclusive = not reverse
        self._number = number
        self._reverse = reverse
        self._holds = holds

    def __next__(self) -> tuple[bytes, bytes]:
        while (key := self._next_key()) is not None:
            self._at, self._inclusive = key, False
            value = self._store.get_at(key, self._number)
            if value is not None:
                return key, value
        self.close()
        raise StopIteration

    def _next_key(self) -> bytes | None:
        key = self._store.neighbour(self._at, reverse=self._reverse, inclusive=self._inclusive)
        return key if key is not None and self._lower <= key < self._upper else None

    def close(self) -> None:
        """Let go of the moment."""
        if self._holds:
            self._holds = False
            self._store.let_go(self._number)

    def __del__(self) -> None:
        self.close()


def _seen(values: _Values | tuple[()], number: int) -> bytes | None:
    for made_by, value in reversed(values):
        if made_by <= number:
            return value
    return None
