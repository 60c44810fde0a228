"""Scans that take longer than a turn of the loop: read turn by turn, so that everybody else has theirs in between.

Most pages are read in one turn and answered at once. Of the others only some are in the making at one time, for each
holds what it has read so far; the rest waits as calls do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from regionserver.client_service.scans import Paging
from regionserver.gate import Gate
from registry.clock import Clock
from registry.rpc.services import Call
from registry.wire.errors import HBaseError, ScannerResetException, UnknownScannerException

TURN_MS = 2.0
"""Of one scan; then the next one has its turn."""
ROUND_MS = 4.0
"""Of all scans; then the rest of the loop has its turn."""
MAKING_MAX = 30
"""Pages in the making, as many as HBase has handlers."""


class ScanTurns:
    """Of one server. Belongs to its loop."""

    def __init__(self, gate: Gate, clock: Clock, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._gate = gate
        self._clock = clock
        self._call_soon = call_soon
        self._making: deque[tuple[Call, Paging]] = deque()
        """Each has had a turn."""
        self._waiting: deque[tuple[Call, Paging]] = deque()

    def __len__(self) -> int:
        """Scans that are not answered yet."""
        return len(self._making) + len(self._waiting)

    def take(self, call: Call, paging: Paging) -> None:
        """Answer a call that was kept, now or some turns later."""
        if len(self._making) >= MAKING_MAX:
            self._waiting.append((call, paging))
        elif not self._turn(call, paging):
            self._making.append((call, paging))
            if len(self._making) == 1:
                self._call_soon(self._round)

    def _round(self) -> None:
        ends_ms = self._clock.monotonic_ms() + ROUND_MS
        while self._making and self._clock.monotonic_ms() < ends_ms:
            call, paging = self._making.popleft()
            if not self._turn(call, paging):
                self._making.append((call, paging))
            while self._waiting and len(self._making) < MAKING_MAX:
                self._making.append(self._waiting.popleft())
        if self._making:
            self._call_soon(self._round)

    def _turn(self, call: Call, paging: Paging) -> bool:
        """Whether the call is answered."""
        now_ms = self._clock.monotonic_ms()
        if not call.caller.is_open or now_ms > call.deadline_ms:
            paging.abandon(now_ms)
            call.drop()
            return True
        ends_ms = now_ms + TURN_MS
        try:
            answer = paging.turn(now_ms, lambda: self._clock.monotonic_ms() >= ends_ms)
            if answer is None:
                return False
            self._gate.check()  # it held when the last row was read
        except ScannerResetException as error:
            known = call.info.has_minimum_version(1, 4)
            call.fail(error if known else UnknownScannerException(error.message))
        except HBaseError as error:
            call.fail(error)
        else:
            call.answer(*answer)
        return True
