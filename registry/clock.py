"""Time as a parameter, so that whatever waits or ages can be tested without waiting."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one that never goes back, for ages and leases, and the calendar, for people."""

    def monotonic_ms(self) -> float:
        """Milliseconds since some fixed point; never goes back."""
        ...

    def wall_ms(self) -> float:
        """Milliseconds since 1970-01-01 UTC; may jump."""
        ...


class SystemClock:
    """The clocks of this machine."""

    __slots__ = ()

    def monotonic_ms(self) -> float:
        """Milliseconds of CLOCK_MONOTONIC."""
        return time.monotonic() * 1000.0

    def wall_ms(self) -> float:
        """Milliseconds since the epoch."""
        return time.time() * 1000.0
