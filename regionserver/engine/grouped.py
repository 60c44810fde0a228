"""Group commit: what is committed within one turn of the loop reaches the store below as one batch, synced once.

A commit is over when the batch that it is in is; all of its commits end alike, with the error too. Whoever reads the
store sees only what has reached the store below: where something waits that would be read, it is written first. Changes
are made from `uncommitted`, which has what waits as well, so that ten increments of one cell in one turn are one write.

Belongs to the loop of the store below. Source: HBase's AbstractFSWAL syncs many appends at once for the same end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from regionserver.engine.store import Batch, Committed, Durability, Snapshot, Store, StoreError, StoreNotUsable, View

LOG = logging.getLogger(__name__)
WAITING_BYTES_MAX = 4 * 1024 * 1024
"""What waits is written at once beyond it: a turn's changes are in memory twice until then."""

CallSoon = Callable[[Callable[[], None]], object]
"""Calls it when this turn of the loop is over: `loop.call_soon`."""


class GroupedStore:
    """A store whose commits wait for the end of the turn."""

    def __init__(self, store: Store, call_soon: CallSoon) -> None:
        """It owns the store below."""
        self._store = store
        self._call_soon = call_soon
        self._waiting: dict[bytes, bytes | None] = {}
        """What is to be written, the last value of each key."""
        self._waiting_bytes = 0
        self._durability = Durability.MEMORY
        self._ends: list[Committed] = []
        self._is_called = False
        """A turn's end will come."""
        self._is_closed = False
        self._uncommitted = _Uncommitted(store, self._waiting)
        self.writes_count = 0
        """Batches given to the store below."""
        self.commits_count = 0

    @property
    def name(self) -> str:
        """That of the store below."""
        return self._store.name

    @property
    def keeps(self) -> Durability:
        """The most that the store below can promise."""
        return self._store.keeps

    @property
    def uncommitted(self) -> View:
        """The newest state with all that was given to `commit`."""
        return self._uncommitted

    # --- writing --------------------------------------------------------------------------------------------------

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        """Take a batch; it is applied, or refused with StoreBusy, at the end of this turn or before.

        Raises StoreError where the store is closed.
        """
        self.commits_count += 1
        if batch.cleared:
            self.write()
            self.writes_count += 1
            self._store.commit(batch, durability, committed)
            return
        if not self._is_called:
            if self._is_closed:  # of a turn that ends nobody would hear
                raise StoreNotUsable(f"{self.name}: the store is closed")
            self._is_called = True
            self._call_soon(self._turn_over)
        waiting, size_bytes = self._waiting, self._waiting_bytes
        for key, value in batch.changes:
            waiting[key] = value
            size_bytes += len(key) + (len(value) if value is not None else 0)
        self._waiting_bytes = size_bytes
        self._durability = max(self._durability, durability)
        self._ends.append(committed)
        if size_bytes > WAITING_BYTES_MAX:
            self.write()

    def write(self) -> None:
        """Give what waits to the store below now. Those who wait hear how it went; raises nothing of the store's."""
        ends = self._ends
        if not ends:
            return
        batch, durability = Batch(list(self._waiting.items())), self._durability
        self._waiting.clear()
        self._waiting_bytes = 0
        self._durability, self._ends = Durability.MEMORY, []
        self.writes_count += 1

        def committed(error: StoreError | None) -> None:
            for each in ends:
                try:
                    each(error)
                except Exception:
                    LOG.exception("%s: whoever waited for a commit failed at its end", self.name)

        try:
            self._store.commit(batch, durability, committed)
        except StoreError as error:
            committed(error)

    def _turn_over(self) -> None:
        self._is_called = False
        self.write()

    # --- reading --------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        if key in self._waiting:
            self.write()
        return self._store.get(key)

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Keys of [lower, upper) with their values at the moment of the call."""
        self.write()
        return self._store.scan(lower, upper, reverse=reverse)

    def snapshot(self) -> Snapshot:
        """The moment of the call, kept."""
        self.write()
        return self._store.snapshot()

    # --- the rest -------------------------------------------------------------------------------------------------

    def size_bytes(self, lower: bytes, upper: bytes) -> int:
        """Without what waits."""
        return self._store.size_bytes(lower, upper)

    def flush(self) -> None:
        """Write what is only in the log into the store's own files; what waits is of the loop, and no matter here."""
        self._store.flush()

    def compact(self, lower: bytes, upper: bytes) -> None:
        """Give back what deleted keys take."""
        self._store.compact(lower, upper)

    def checkpoint(self, directory: Path) -> None:
        """A copy of this moment; what waits is not in it."""
        self._store.checkpoint(directory)

    def close(self) -> None:
        """Write what waits, and close."""
        self.write()
        self._is_closed = True
        self._store.close()


class _Uncommitted:
    """Read by those who make changes. It writes nothing: a change that is half made must not outlive a refusal."""

    def __init__(self, store: Store, waiting: dict[bytes, bytes | None]) -> None:
        self._store = store
        self._waiting = waiting

    def get(self, key: bytes) -> bytes | None:
        waiting = self._waiting
        return waiting[key] if key in waiting else self._store.get(key)

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        below = self._store.scan(lower, upper, reverse=reverse)
        keys = sorted([key for key in self._waiting if lower <= key < upper], reverse=reverse)
        return _merged(below, [(key, self._waiting[key]) for key in keys], reverse=reverse) if keys else below


def _merged(
    below: Iterator[tuple[bytes, bytes]], waiting: list[tuple[bytes, bytes | None]], *, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    found = next(below, None)
    for key, value in waiting:
        while found is not None and (found[0] > key if reverse else found[0] < key):
            yield found
            found = next(below, None)
        if found is not None and found[0] == key:
            found = next(below, None)
        if value is not None:
            yield key, value
    while found is not None:
        yield found
        found = next(below, None)
