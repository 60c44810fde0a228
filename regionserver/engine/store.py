"""The ordered store under regions: keys and values are bytes, and nothing here knows what HBase makes of them.

A store belongs to one process and one loop. Its calls are synchronous and short, but for those that say otherwise:
these let other threads run, so that a thread beside the loop may wait for them. `commit` tells its end by a call,
because an engine may have to hear from other machines first (a replicated log, then the view made of it); whatever a
store returns is what was committed, in the order of the commits.

Versions, delete markers, time to live, filters and locks are the region's business, not the store's.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class Durability(enum.IntEnum):
    """What an acknowledged batch survives. Source: HBase's Durability, of which each has one here."""

    MEMORY = 0
    """Nothing: it may be gone with the process (SKIP_WAL)."""
    LATER = 1
    """The process's death, some time later (ASYNC_WAL)."""
    PROCESS = 2
    """kill -9 of every process at once (SYNC_WAL)."""
    POWER = 3
    """Loss of power too: it was synced to the disk (FSYNC_WAL)."""


class StoreError(Exception):
    """What a store cannot do; `str()` is one line that names the store."""


class StoreNotUsable(StoreError):
    """It cannot be opened: another process has it, it is damaged, or a newer version has written it."""


class StoreBusy(StoreError):
    """It cannot take more now; the same call will do later. The region answers RegionTooBusyException."""


class StoreBroken(StoreError):
    """Nothing it was told last is certain any more (a write or a sync failed): its owner has to end."""


@dataclass(slots=True)
class Batch:
    """Changes that are applied together or not at all, in this order."""

    changes: list[tuple[bytes, bytes | None]] = field(default_factory=list[tuple[bytes, "bytes | None"]])
    """Key and value; None deletes. The later of two for one key wins."""
    cleared: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    """Ranges [from, to) emptied before any change of this batch."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set a key."""
        self.changes.append((key, value))

    def delete(self, key: bytes) -> None:
        """Remove a key, which need not be there."""
        self.changes.append((key, None))

    def clear(self, lower: bytes, upper: bytes) -> None:
        """Remove all keys of [lower, upper), before the changes of this batch."""
        if lower < upper:
            self.cleared.append((lower, upper))

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        return bool(self.changes or self.cleared)


class View(Protocol):
    """Something that is read; one moment of a store, or always its newest state."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        ...

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Keys of [lower, upper) with their values, in the order of bytes or against it.

        What it gives is one moment, that of the call, also while the store is written to. An iterator that is not
        read to its end is closed by `close()` of the generator, or with its view.
        """
        ...


class Snapshot(View, Protocol):
    """One moment of a store, for as long as it is open. It costs the store what has changed since."""

    def scan(
        self, lower: bytes, upper: bytes, *, reverse: bool = False, ahead_count: int = 1
    ) -> Iterator[tuple[bytes, bytes]]:
        """The same. `ahead_count`: how many will be taken, which may be read before they are, but not much of them."""
        ...

    def pairs(self, lower: bytes, upper: bytes, count_max: int) -> list[tuple[bytes, bytes]]:
        """The first keys of [lower, upper) with their values then; to go on right behind the last of them is cheap.

        At least one where there are any, at most so many, and not much of them.
        """
        ...

    def values(self, lower: bytes, upper: bytes, count_max: int, behind: bytes | None = None) -> list[bytes]:
        """The values alone of those, where that is cheaper; nothing: `pairs` has to be asked, for whatever reason.

        `behind`: the value that was given last, where `lower` is right behind its key.
        """
        ...

    def close(self) -> None:
        """Let go of it; more often is as good as once."""
        ...


Committed = Callable[[StoreError | None], None]
"""Called once when a commit is over: with None when it was applied and is as durable as was asked."""


class Store(View, Protocol):
    """An open store."""

    @property
    def name(self) -> str:
        """The engine and the place, for messages and pages."""
        ...

    @property
    def keeps(self) -> Durability:
        """The most that it can promise."""
        ...

    @property
    def uncommitted(self) -> View:
        """The newest state with all that was given to `commit`, over or not: changes are made from it, not answers."""
        ...

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        """Apply a batch whole. `committed` may be called before this returns; then the batch can be read.

        Batches are applied in the order of these calls. Raises StoreBusy, or tells `committed` of it, having changed
        nothing. How large keys and values are is the caller's to limit.
        """
        ...

    def snapshot(self) -> Snapshot:
        """The moment of the call, kept."""
        ...

    def size_bytes(self, lower: bytes, upper: bytes) -> int:
        """About how much [lower, upper) takes; cheap, and wrong by what has changed lately."""
        ...

    def flush(self) -> None:
        """Write what is only in the log into the store's own files. Takes long; for a thread."""
        ...

    def compact(self, lower: bytes, upper: bytes) -> None:
        """Give back what deleted keys of [lower, upper) take. Takes long; for a thread."""
        ...

    def checkpoint(self, directory: Path) -> None:
        """A copy of this moment as a store of its own, in a directory that does not exist yet. For a thread."""
        ...

    def close(self) -> None:
        """Close it; snapshots and iterators end too. Everything committed with LATER is kept then."""
        ...
