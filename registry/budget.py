"""Memory that all connections share: who holds how much, and who has to go when it is too much.

Each connection is bounded by itself, but ten thousand of them, each within its bound, would still fill the machine.

Source: the idea of hbase.ipc.server.max.callqueue.size, which HBase applies to whole requests only.
"""

from __future__ import annotations

from typing import Generic, TypeVar

Owner = TypeVar("Owner")

KEEP_NUMERATOR, KEEP_DENOMINATOR = 3, 4
"""After an eviction so much of the budget is in use at most: one pass over the holders makes room for many more."""


class ByteBudget(Generic[Owner]):
    """Bytes held by owners, with a limit for their sum."""

    __slots__ = ("_held", "bytes_max", "held_bytes")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.held_bytes = 0
        """The sum over all owners."""
        self._held: dict[Owner, int] = {}

    def hold(self, owner: Owner, count_bytes: int) -> list[Owner]:
        """The owner holds `count_bytes` from now on. Gives those who must go: the largest first, often none."""
        before = self._held.get(owner, 0)
        if count_bytes:
            self._held[owner] = count_bytes
        elif before:
            del self._held[owner]
        self.held_bytes += count_bytes - before
        return self._evicted() if self.held_bytes > self.bytes_max else []

    def release(self, owner: Owner) -> None:
        """The owner holds nothing any more."""
        self.held_bytes -= self._held.pop(owner, 0)

    def _evicted(self) -> list[Owner]:
        keep_bytes = self.bytes_max * KEEP_NUMERATOR // KEEP_DENOMINATOR
        evicted: list[Owner] = []
        for owner, held in sorted(self._held.items(), key=lambda item: item[1], reverse=True):
            if self.held_bytes <= keep_bytes:
                break
            evicted.append(owner)
            self.held_bytes -= held
            del self._held[owner]
        return evicted
