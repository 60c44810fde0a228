"""What is read of a scan before its client asks for it, while that looks at the page before.

A client that was told a large page, and that there is more, comes back for it. A scan reads one moment, so what is read
now is what it would be told then. It may ask for less: it is told the beginning, and the rest is kept.

Nobody waits for what is read ahead: it is read while no call has anything to do, not for long, and of all scans
together only so much is held as `Room` has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from regionserver.engine.store import StoreError
from regionserver.region.filtered_scan import FilteredScan
from regionserver.region.scan import Page, PageLimits, RegionScan
from registry.wire.errors import HBaseError

ANSWER_BYTES_MIN = 64 * 1024
"""Behind a smaller page nothing is read: it is over before its client has asked."""
PAGE_BYTES_MAX = 4 << 20
"""A page that is read ahead ends there, where its client would take more."""
HELD_BYTES_MAX = 64 << 20
"""hbeacon.scanner.ahead_bytes: of all scans of a server."""
TURNS_MAX = 100
"""Of one page; what is left then is read when its client asks."""


class Room:
    """How much may still be held."""

    def __init__(self, bytes_max: int = HELD_BYTES_MAX) -> None:
        self.left_bytes = bytes_max

    def take(self, size_bytes: int) -> bool:
        """Whether there was so much."""
        if size_bytes > self.left_bytes:
            return False
        self.left_bytes -= size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """It is not needed any more."""
        self.left_bytes += size_bytes


class Taken(NamedTuple):
    """What a call is told of it."""

    page: Page
    is_whole: bool
    """Else the call reads on."""
    is_within_row: bool
    """Whether cells are left of the last row of a whole page."""
    has_rest: bool
    """There is more, for the next call."""


class Ahead:
    """A page of one scan, whole or not; the scan is behind it."""

    def __init__(self, scan: RegionScan | FilteredScan, limits: PageLimits, room: Room) -> None:
        """Room for `limits.bytes_max` was taken."""
        self._scan = scan
        self._limits = limits
        self._room = room
        self._turns_left = TURNS_MAX
        self._error: Exception | None = None
        self._page = Page()
        self._is_whole = False
        self._is_within_row = False
        self._is_over = False

    def read(self, is_turn_over: Callable[[], bool]) -> bool:
        """Read on until the turn is over; whether that is all. What goes wrong is kept for the call."""
        if self._is_over:
            return True
        page = self._page
        self._turns_left -= 1
        page.turn_over = False
        try:
            page.extend(self._scan.page(self._limits.left(page)._replace(is_turn_over=is_turn_over)))
        except (HBaseError, StoreError) as error:
            self.fail(error)
            return True
        self._is_whole = not page.turn_over
        self._is_within_row = self._scan.is_within_row
        self._is_over = self._is_whole or not self._turns_left
        return self._is_over

    def fail(self, error: Exception) -> None:
        """There is nothing to be told but this."""
        self._error, self._is_over = error, True

    def take(self, results_max: int, rows_max: int) -> Taken:
        """At most so many results, of so many whole rows. Raises what reading has raised."""
        page, self._is_over = self._page, True
        if self._error is not None:
            self._end()
            raise self._error
        rest = page.cut(results_max, rows_max)
        if rest is None:
            self._end()
            return Taken(page, self._is_whole, self._is_within_row, has_rest=False)
        self._page = rest
        return Taken(page, is_whole=True, is_within_row=page.partial[-1:] == [True], has_rest=True)

    def drop(self) -> None:
        """The scan is closed, and nobody was told."""
        self._scan.counts.reads_count -= self._page.rows_read
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._page = Page()
        self._room.give_back(self._limits.bytes_max)
