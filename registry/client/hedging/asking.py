"""The face of a hedged look-up: tasks and one timer around the machine."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from registry.client.hedging.lookup import HedgedLookup
from registry.clock import Clock

S = TypeVar("S", bound=Hashable)
A = TypeVar("A")


class Refusal(enum.Enum):
    """Why a server gave no answer."""

    FAILED = "failed"
    DOES_NOT_KNOW = "does not know"
    """It is there, and says that it cannot tell."""


async def hedge(
    lookup: HedgedLookup[S], ask: Callable[[S], Coroutine[Any, Any, A | Refusal]], clock: Clock
) -> A | None:
    """The first answer; None when all servers have failed. Calls that lose are cancelled, not waited for.

    Belongs to the loop. Cancelling it cancels all its calls; who was asked by then counts as failed.
    """
    tasks: dict[asyncio.Task[A | Refusal], S] = {}

    def begin(server: S | None) -> None:
        if server is not None:
            tasks[asyncio.create_task(ask(server), name=f"ask {server}")] = server

    begin(lookup.first(clock.monotonic_ms()))
    try:
        while tasks:
            wait_s = None
            if lookup.wake_ms is not None:
                wait_s = max(0.0, lookup.wake_ms - clock.monotonic_ms()) / 1000
            done, _ = await asyncio.wait(tasks, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                server, answer = tasks.pop(task), task.result()
                if not isinstance(answer, Refusal):
                    lookup.answered(server, clock.monotonic_ms())
                    return answer
                begin(lookup.failed(server, clock.monotonic_ms(), is_there=answer is Refusal.DOES_NOT_KNOW))
            begin(lookup.woken(clock.monotonic_ms()))
            if lookup.is_over:
                break
        return None
    finally:
        if lookup.winner is None:
            lookup.given_up(clock.monotonic_ms())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
