"""Calls that take longer than a turn of the loop: done turn by turn, so that everybody else has theirs in between.

Most calls are done in one turn and answered at once. Of the others only some are under way at one time, for each holds
what it has read or done so far; the rest waits as calls do.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator
from typing import Protocol

from regionserver.client_service.ahead import Ahead
from regionserver.client_service.scans import Paging
from regionserver.gate import Gate
from registry.clock import Clock
from registry.rpc.services import Call
from registry.wire.errors import HBaseError, IOException, ScannerResetException, UnknownScannerException

logger = logging.getLogger("regionserver.turns")

TURN_MS = 2.0
"""Of one call; then the next one has its turn."""
IDLE_TURN_MS = 1.0
"""Of what nobody waits for; then the loop looks whether anybody asks."""
ROUND_MS = 4.0
"""Of all of them; then the rest of the loop has its turn."""
UNDER_WAY_MAX = 30
"""As many as HBase has handlers."""

IsOver = Callable[[], bool]


class Work(Protocol):
    """One call, begun or not."""

    def turn(self, now_ms: float, is_over: IsOver) -> bool:
        """Go on until the turn is over; whether all is done."""
        ...

    def fail(self, error: HBaseError) -> None:
        """A turn has raised what it should not, and there is none after it."""
        ...


class Turns:
    """Of one server. Belongs to its loop."""

    def __init__(self, clock: Clock, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._clock = clock
        self._call_soon = call_soon
        self._under_way: deque[Work] = deque()
        """Each has had a turn."""
        self._waiting: deque[Work] = deque()
        self._idle: deque[Work] = deque()
        """What nobody waits for."""
        self._is_due = False
        """A round is to come."""

    def __len__(self) -> int:
        """How many are not done yet."""
        return len(self._under_way) + len(self._waiting)

    def take(self, work: Work) -> None:
        """Do it, now or some turns later."""
        if len(self._under_way) >= UNDER_WAY_MAX:
            self._waiting.append(work)
        elif not self._turn(work, TURN_MS):
            self._under_way.append(work)
            self._call()

    def take_when_idle(self, work: Work) -> None:
        """Do it while there is nothing else to do."""
        self._idle.append(work)
        self._call()

    def _call(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._call_soon(self._round)

    def _round(self) -> None:
        self._is_due = False
        ends_ms = self._clock.monotonic_ms() + ROUND_MS
        try:
            if not self._under_way and self._idle:
                work = self._idle.popleft()
                if not self._turn(work, IDLE_TURN_MS):
                    self._idle.append(work)
            while self._under_way and self._clock.monotonic_ms() < ends_ms:
                work = self._under_way.popleft()
                if not self._turn(work, TURN_MS):
                    self._under_way.append(work)
                while self._waiting and len(self._under_way) < UNDER_WAY_MAX:
                    self._under_way.append(self._waiting.popleft())
        finally:
            if self._under_way or self._idle:
                self._call()

    def _turn(self, work: Work, turn_ms: float) -> bool:
        now_ms = self._clock.monotonic_ms()
        ends_ms = now_ms + turn_ms
        try:
            return work.turn(now_ms, lambda: self._clock.monotonic_ms() >= ends_ms)
        except Exception as error:  # as of a handler: it is its client's error, and the others have their turns
            logger.exception("a call failed in the middle")
            work.fail(IOException(f"{type(error).__name__}: {error}"))
            return True


class ScanWork:
    """A page of a scan, for a call that was kept."""

    __slots__ = ("_call", "_gate", "_paging", "_turns")

    def __init__(self, call: Call, paging: Paging, gate: Gate, turns: Turns) -> None:
        """`turns`: where the page behind it may be read ahead."""
        self._call = call
        self._paging = paging
        self._gate = gate
        self._turns = turns

    def turn(self, now_ms: float, is_over: IsOver) -> bool:
        """Read on; the whole page is answered."""
        call = self._call
        if not call.caller.is_open or now_ms > call.deadline_ms:
            self._paging.abandon(now_ms)
            call.drop()
            return True
        try:
            answer = self._paging.turn(now_ms, is_over)
            if answer is None:
                return False
            self._gate.check()  # it held when the last row was read
        except HBaseError as error:
            call.fail(scan_error(call, error))
        else:
            call.answer(*answer)
            ahead = self._paging.ahead()
            if ahead is not None:
                self._turns.take_when_idle(AheadWork(call, ahead))
        return True

    def fail(self, error: HBaseError) -> None:
        """Tell the client."""
        self._call.fail(error)


class AheadWork:
    """The page behind one that was answered, while its client is there."""

    __slots__ = ("_ahead", "_caller")

    def __init__(self, call: Call, ahead: Ahead) -> None:
        self._caller = call.caller
        self._ahead = ahead

    def turn(self, now_ms: float, is_over: IsOver) -> bool:
        """Read on; whether that is all."""
        del now_ms
        return not self._caller.is_open or self._ahead.read(is_over)

    def fail(self, error: HBaseError) -> None:
        """Tell who asks for it."""
        self._ahead.fail(error)


def scan_error(call: Call, error: HBaseError) -> HBaseError:
    """What the client of a scan is told: those before 1.4 do not know that scanners are reset."""
    if isinstance(error, ScannerResetException) and not call.info.has_minimum_version(1, 4):
        return UnknownScannerException(error.message)
    return error


class StepsWork:
    """A call that is done in steps: a Multi, or what has a filter that takes long.

    It goes on to its end where its client has gone, too: a half of a Multi helps nobody. Others look for themselves.
    """

    __slots__ = ("_call", "_gate", "_is_over", "_steps")

    def __init__(self, call: Call, gate: Gate) -> None:
        self._call = call
        self._gate = gate
        self._is_over: IsOver = bool
        self._steps: Generator[None, None, None]

    def begin(self, steps: Generator[None, None, None]) -> StepsWork:
        """The steps ask `is_over` when they shall give way; they answer by themselves."""
        self._steps = steps
        return self

    def is_over(self) -> bool:
        """Of the turn of the moment."""
        return self._is_over()

    def turn(self, now_ms: float, is_over: IsOver) -> bool:
        """Go on; when it is done it has been answered, or waits for its commits."""
        del now_ms
        self._is_over = is_over
        try:
            doubt = self._gate.doubt()
            if doubt is not None:
                self._steps.throw(doubt)  # our regions may be somebody else's: nothing more is written
            else:
                next(self._steps)
        except StopIteration:
            return True
        except HBaseError as error:
            self._call.fail(error)  # it has not begun
            return True
        return False

    def fail(self, error: HBaseError) -> None:
        """Tell the client."""
        self._call.fail(error)
