"""Runs a machine of region states: writes what has changed, then lets orders go and tells who waits.

All that happens while one write is under way goes into the next, so a thousand regions that open at once are a few
writes. The sink of user regions is hbase:meta, that of hbase:meta is ZooKeeper.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from registry.clock import Clock
from registry.master.catalogue import RegionRow
from registry.master.epoch import Deposed, NotActing
from registry.master.held import Held
from registry.master.region_states import RegionStates

TICK_MS = 200.0
"""How late a retry may be."""
REMIND_EVERY_MS = 5000.0
ROWS_AT_ONCE = 250
"""Of one write: their cells are made between two turns of the loop, some 5 ms."""

Rows = list[tuple[RegionRow | None, RegionRow]]
Sink = Callable[[Rows], Awaitable[None]]
"""Writes rows, each given with what is there for certain; returns when they are durable."""


class _Wait:
    """Somebody who waits until regions are settled."""

    __slots__ = ("done", "names")

    def __init__(self, names: Iterable[str]) -> None:
        self.names = set(names)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Assignment:
    """Belongs to the loop; `run` is its life."""

    def __init__(self, states: RegionStates, sink: Sink, clock: Clock, orders: Callable[[], None]) -> None:
        """`orders` is called when there may be some to bring to servers."""
        self.states = states
        self.wrote: Callable[[list[RegionRow]], None] = lambda _: None
        """Hears what is durable now, before anybody else."""
        self._sink = sink
        self._clock = clock
        self._orders = orders
        self._awake = asyncio.Event()
        self._durable: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._waits: dict[str, list[_Wait]] = {}
        self._ended: BaseException | None = None

    def kick(self) -> None:
        """Something was wanted, or told."""
        self._awake.set()

    async def durable(self) -> None:
        """Until all that is changed by now is written. Raises what ended `run`."""
        self._raise_ended()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._durable.append((self.states.changes, done))
        self.kick()
        await done

    async def settled(self, names: Iterable[str]) -> None:
        """Until these regions are as they should be, and it is written; regions that are gone are. Raises as above."""
        self._raise_ended()
        wait = _Wait(name for name in names if not self._is_settled(name))
        self.kick()
        if not wait.names:
            return
        for name in wait.names:
            self._waits.setdefault(name, []).append(wait)
        try:
            await wait.done
        finally:
            for name in wait.names:
                others = [other for other in self._waits.get(name, ()) if other is not wait]
                if others:
                    self._waits[name] = others
                else:
                    self._waits.pop(name, None)

    def forgotten(self, names: Iterable[str]) -> None:
        """These regions are gone: nobody waits for them any more."""
        for name in names:
            self.states.forget(name)
            self._look(name)

    async def run(self) -> None:
        """Until cancelled, or until the sink may not write any more: that is raised, here and to all who wait."""
        try:
            await self._run()
        except BaseException as error:
            self._end(error)
            raise

    async def _run(self) -> None:
        remind_at_ms = self._clock.monotonic_ms() + REMIND_EVERY_MS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_MS / 1000):
                    await self._awake.wait()
            self._awake.clear()
            now_ms = self._clock.monotonic_ms()
            if now_ms >= remind_at_ms:
                remind_at_ms = now_ms + REMIND_EVERY_MS
                self.states.remind(now_ms)
            stepped = self.states.advance(now_ms)
            self._orders()
            if self.states.is_dirty:
                batch = self.states.take_changes(ROWS_AT_ONCE)
                await self._sink(batch.rows)
                names = self.states.written(batch)
                self.wrote([row for _, row in batch.rows])
                for name in names:
                    self._look(name)
                self._awake.set()  # there may be more, and what was written may have consequences
            while self._durable and self._durable[0][0] < self.states.oldest_dirty:
                _, done = self._durable.popleft()
                if not done.done():
                    done.set_result(None)
            for name in stepped:
                self._look(name)

    def _is_settled(self, name: str) -> bool:
        held: Held | None = self.states.held.get(name)
        return held is None or held.is_settled

    def _look(self, name: str) -> None:
        if name not in self._waits or not self._is_settled(name):
            return
        for wait in self._waits.pop(name):
            wait.names.discard(name)
            if not wait.names and not wait.done.done():
                wait.done.set_result(None)

    def _raise_ended(self) -> None:
        if self._ended is not None:
            raise ending(self._ended)

    def _end(self, error: BaseException) -> None:
        self._ended = error
        waits = {id(wait): wait for waits in self._waits.values() for wait in waits}
        for done in [*(done for _, done in self._durable), *(wait.done for wait in waits.values())]:
            if not done.done():
                done.set_exception(ending(error))
                done.exception()  # whoever waited may be gone, too
        self._durable.clear()


def ending(error: BaseException) -> NotActing:
    """What those are told who wait: that this master does not act any more, whatever ended it."""
    if isinstance(error, Deposed):
        return Deposed(str(error), error.known)
    text = str(error) if isinstance(error, NotActing) else f"this master does not assign regions any more: {error}"
    return NotActing(text)
