"""The face of a hedged look-up: tasks and one timer around the machine.

The first call runs in the caller's own task, for most look-ups need no other. Where another call answers before it, it
is cancelled as asyncio.timeout cancels what it surrounds.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Collection, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from registry.client.hedging.lookup import HedgedLookup
from registry.clock import Clock

S = TypeVar("S", bound=Hashable)
A = TypeVar("A")


class Refusal(enum.Enum):
    """Why a server gave no answer."""

    FAILED = "failed"
    DOES_NOT_KNOW = "does not know"
    """It is there, and says that it cannot tell."""


def hedge(
    lookup: HedgedLookup[S], ask: Callable[[S], Coroutine[Any, Any, A | Refusal]], clock: Clock
) -> Coroutine[Any, Any, A | None]:
    """Await it for the first answer; None when all servers have failed. Calls that lose are cancelled, not waited for.

    Belongs to the loop. Cancelling it cancels all its calls; who was asked by then counts as failed.
    """
    return _Asking(lookup, ask, clock).run()


class _Asking(Generic[S, A]):
    """The calls of one look-up: the first in the task that runs it, the others in tasks of their own."""

    __slots__ = (
        "_answer",
        "_ask",
        "_clock",
        "_error",
        "_first",
        "_is_over",
        "_lookup",
        "_loop",
        "_over",
        "_tasks",
        "_timer",
    )

    def __init__(
        self, lookup: HedgedLookup[S], ask: Callable[[S], Coroutine[Any, Any, A | Refusal]], clock: Clock
    ) -> None:
        self._lookup = lookup
        self._ask = ask
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[asyncio.Task[A | Refusal], S] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._first: asyncio.Task[Any] | None = None
        """Our caller's task, while the first call runs in it."""
        self._over: asyncio.Future[None] | None = None
        """What the caller waits for after that."""
        self._is_over = False
        self._answer: A | None = None
        self._error: BaseException | None = None

    async def run(self) -> A | None:
        task = asyncio.current_task()
        server = self._lookup.first(self._clock.monotonic_ms())
        if server is None or task is None:
            return None
        cancelled_before = task.cancelling()
        try:
            self._set_timer()
            self._first = task
            try:
                answer = await self._ask(server)
            except asyncio.CancelledError:
                # Ours, because another call has answered; or the caller's, who wants no answer any more.
                if not self._is_over or task.uncancel() > cancelled_before:
                    raise
            else:
                self._first = None
                self._take(server, answer)
            self._first = None
            if not self._is_over:
                self._over = self._loop.create_future()
                await self._over
            if self._error is not None:
                raise self._error
            return self._answer
        finally:
            self._first = None
            left = self._end()
            if left:
                await asyncio.gather(*left, return_exceptions=True)

    def _take(self, server: S, answer: A | Refusal) -> None:
        """One call has come to its end."""
        now_ms = self._clock.monotonic_ms()
        if not isinstance(answer, Refusal):
            self._lookup.answered(server, now_ms)
            self._answer = answer
            self._finish()
            return
        self._begin(self._lookup.failed(server, now_ms, is_there=answer is Refusal.DOES_NOT_KNOW))
        self._go_on()

    def _go_on(self) -> None:
        """Do what is due by time alone."""
        if self._is_over:
            return
        self._begin(self._lookup.woken(self._clock.monotonic_ms()))
        if self._lookup.is_over:
            self._finish()
        else:
            self._set_timer()

    def _begin(self, server: S | None) -> None:
        if server is not None:
            task = self._loop.create_task(self._ask(server))
            task.add_done_callback(self._ended)
            self._tasks[task] = server

    def _ended(self, task: asyncio.Task[A | Refusal]) -> None:
        server = self._tasks.pop(task, None)
        if server is None or self._is_over:
            return
        self._error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self._error is not None:
            self._finish()
        else:
            self._take(server, task.result())

    def _finish(self) -> None:
        self._is_over = True
        if self._first is not None:
            self._first.cancel()
        elif self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (wake_ms := self._lookup.wake_ms) is not None:
            wait_ms = max(0.0, wake_ms - self._clock.monotonic_ms())
            self._timer = self._loop.call_later(wait_ms / 1000, self._go_on)

    def _end(self) -> Collection[asyncio.Task[A | Refusal]]:
        """No more calls; gives those that are left, cancelled."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._lookup.winner is None:
            self._lookup.given_up(self._clock.monotonic_ms())
        left = tuple(self._tasks)
        for task in left:
            task.cancel()
        return left
