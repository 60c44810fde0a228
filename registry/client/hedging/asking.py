"""The face of a hedged look-up: tasks and one timer around the machine."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine, Hashable
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


class _Calls(Generic[S, A]):
    """The calls of one look-up. One future is waited for: asyncio.wait costs three times that, for each question."""

    __slots__ = ("_ask", "_happened", "_loop", "ended", "running")

    def __init__(self, ask: Callable[[S], Coroutine[Any, Any, A | Refusal]]) -> None:
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._happened: asyncio.Future[None] = self._loop.create_future()
        self.running: dict[asyncio.Task[A | Refusal], S] = {}
        self.ended: list[asyncio.Task[A | Refusal]] = []

    def begin(self, server: S | None) -> None:
        if server is not None:
            task = self._loop.create_task(self._ask(server))
            task.add_done_callback(self._has_ended)
            self.running[task] = server

    async def wait(self, wait_ms: float | None) -> None:
        """Until one has ended, or so long."""
        timer = None if wait_ms is None else self._loop.call_later(max(0.0, wait_ms) / 1000, self._wake)
        try:
            await self._happened
        finally:
            if timer is not None:
                timer.cancel()
        self._happened = self._loop.create_future()

    async def cancel(self) -> None:
        if self.running:
            for task in self.running:
                task.cancel()
            await asyncio.gather(*self.running, return_exceptions=True)

    def _has_ended(self, task: asyncio.Task[A | Refusal]) -> None:
        self.ended.append(task)
        self._wake()

    def _wake(self) -> None:
        if not self._happened.done():
            self._happened.set_result(None)


async def hedge(
    lookup: HedgedLookup[S], ask: Callable[[S], Coroutine[Any, Any, A | Refusal]], clock: Clock
) -> A | None:
    """The first answer; None when all servers have failed. Calls that lose are cancelled, not waited for.

    Belongs to the loop. Cancelling it cancels all its calls; who was asked by then counts as failed.
    """
    calls = _Calls(ask)
    calls.begin(lookup.first(clock.monotonic_ms()))
    try:
        while calls.running:
            await calls.wait(None if lookup.wake_ms is None else lookup.wake_ms - clock.monotonic_ms())
            while calls.ended:
                task = calls.ended.pop(0)
                server, answer = calls.running.pop(task), task.result()
                if not isinstance(answer, Refusal):
                    lookup.answered(server, clock.monotonic_ms())
                    return answer
                calls.begin(lookup.failed(server, clock.monotonic_ms(), is_there=answer is Refusal.DOES_NOT_KNOW))
            calls.begin(lookup.woken(clock.monotonic_ms()))
            if lookup.is_over:
                break
        return None
    finally:
        if lookup.winner is None:
            lookup.given_up(clock.monotonic_ms())
        await calls.cancel()
