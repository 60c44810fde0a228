"""Rounds of asking ZooKeeper's leader how far it is: whoever wants to know waits for a round that begins later.

Pure: the owner begins a round when told to, and tells when it has ended. One is under way at a time.
"""

from __future__ import annotations

from collections.abc import Callable


class CatchUp:
    """Counts rounds from 1."""

    def __init__(self, begin: Callable[[], None]) -> None:
        """`begin` starts a round; `ended` is called later, never from within it."""
        self._begin = begin
        self._begun = 0
        self._under_way = False
        self._wanted = False
        self.succeeded = 0
        """The last round after which what is shown held all that the leader had when the round began."""

    def want(self) -> int:
        """The number of the first round that begins now or later; it will take place."""
        if self._under_way:
            self._wanted = True
            return self._begun + 1
        self._start()
        return self._begun

    def ended(self, succeeded: bool) -> int:
        """The round under way is over; gives its number. The next begins at once where somebody wants it."""
        number = self._begun
        self._under_way = False
        if succeeded:
            self.succeeded = number
        if self._wanted:
            self._wanted = False
            self._start()
        return number

    def _start(self) -> None:
        self._begun += 1
        self._under_way = True
        self._begin()
