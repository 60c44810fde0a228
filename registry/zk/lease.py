"""For how long a session cannot have ended, by our own clock: whoever acts in its name stops in time.

ZooKeeper counts a session's time-out from a request's arrival, we count from its sending, which was earlier; and we
stop after two thirds of the time, so that clocks may differ in speed by far more than clocks do.
"""

from __future__ import annotations

import math

LEASE_SHARE = 2.0 / 3.0
"""Of the time-out that ZooKeeper granted."""


class Lease:
    """Of one session. Pure: every moment is passed in, in milliseconds of a clock that never goes back."""

    __slots__ = ("_proved_ms", "length_ms")

    def __init__(self) -> None:
        self.length_ms = 0.0
        """How long one proof lasts; 0 before ZooKeeper has granted a time-out."""
        self._proved_ms = -math.inf

    def granted(self, timeout_ms: float) -> None:
        """ZooKeeper has granted this session time-out."""
        self.length_ms = timeout_ms * LEASE_SHARE

    def answered(self, sent_at_ms: float) -> None:
        """A request that was sent at this moment has been answered: the session was alive then."""
        self._proved_ms = max(self._proved_ms, sent_at_ms)

    def end(self) -> None:
        """The session is over: nothing proves it any more."""
        self.length_ms, self._proved_ms = 0.0, -math.inf

    def left_ms(self, now_ms: float) -> float:
        """What is left of it; negative or zero when it is over."""
        return self._proved_ms + self.length_ms - now_ms if self.length_ms else 0.0

    def holds(self, now_ms: float) -> bool:
        """Whether the session cannot have ended yet."""
        return self.left_ms(now_ms) > 0
