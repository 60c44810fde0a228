"""What comparing with patterns may take: shared by all that are asked together, so that many cost no more than one.

A unit is a state of a machine or a test of a character that had to be worked out, or some characters that were read.
What is found once is remembered, and how much of that there may be is counted here as well.
"""

from __future__ import annotations

from collections.abc import Callable

from registry.wire.errors import DoNotRetryIOException

EFFORT_MAX = 400_000
"""Units until somebody else has had a turn: about a tenth of a second of states."""
EFFORT_BETWEEN_LOOKS = 256
"""Units, or questions to filters, between two looks at the clock."""
STATE_COST = 4
"""Of making one; all states of one filter's patterns are some 15 MiB then."""
TEXT_UNIT_BYTES = 64
"""Of a text that is read; 25 MB are as many as EFFORT_MAX allows."""
REMEMBERED_MAX = 100_000
"""States in all sets that are remembered, and characters: some MiB."""


class Effort:
    """Of one scan, or of one pattern that stands by itself."""

    __slots__ = ("_forget", "left", "remembered")

    def __init__(self) -> None:
        self.left = EFFORT_BETWEEN_LOOKS
        """Units until the clock should be looked at; the scan counts its questions here, too."""
        self.remembered = 0
        self._forget: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """The clock was looked at."""
        self.left = EFFORT_BETWEEN_LOOKS

    def spend(self, states_count: int) -> None:
        """Raises DoNotRetryIOException where it was too much."""
        self.left -= states_count
        if self.left < -EFFORT_MAX:
            raise DoNotRetryIOException("this costs too much to be compared")

    def pause(self, *, looks: bool) -> None:
        """To be called when nothing is `left`. `looks`: there is a clock, and it is looked at now.

        Without one all of it together may cost no more than that: raises what `spend` does.
        """
        if looks:
            self.begin()
        else:
            self.spend(0)

    def read(self, text_bytes: int) -> None:
        """A text is looked at. Raises what `spend` does."""
        if text_bytes >= TEXT_UNIT_BYTES:
            self.spend(text_bytes // TEXT_UNIT_BYTES)

    def remember(self, count: int, forget: Callable[[], None]) -> None:
        """So much more is remembered; where that is too much, all who remember something are told to `forget` it."""
        self.remembered += count
        self._forget.add(forget)
        if self.remembered > REMEMBERED_MAX:
            for each in self._forget:
                each()
            self._forget.clear()
            self.remembered = 0
