"""A calendar that tests can advance, the same for all processes of a cluster.

The processes are forked from the one that made it, and share the eight bytes by which their calendar is ahead of the
machine's. The clock that never goes back stays as it is: leases of scanners, sessions and time-outs do not pass by it.

Source: EnvironmentEdgeManager and ManualEnvironmentEdge, by which HBase's own tests do the same within one JVM.
"""

from __future__ import annotations

import mmap
import struct

from registry.clock import SystemClock

_AHEAD = struct.Struct("d")


class SharedClock(SystemClock):
    """The machine's clocks, the calendar ahead of it by what `advance` was told."""

    __slots__ = ("_shared",)

    def __init__(self) -> None:
        """Before anything is forked that is to share it."""
        self._shared = mmap.mmap(-1, _AHEAD.size)

    def wall_ms(self) -> float:
        """Milliseconds since the epoch, and what was added."""
        return super().wall_ms() + self.ahead_ms

    @property
    def ahead_ms(self) -> float:
        """How much was added so far."""
        return _AHEAD.unpack_from(self._shared)[0]

    def advance(self, more_ms: float) -> None:
        """Add so much, for all processes at once. Only one of them may: the parent."""
        _AHEAD.pack_into(self._shared, 0, self.ahead_ms + more_ms)
