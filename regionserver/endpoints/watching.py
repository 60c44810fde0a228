"""The observers of one region, in the order of their priority, and calls of their hooks, in threads.

    what a hook is called for          one after another, in one thread, for a limited time
    what nobody has a hook for         not at all

They are loaded and made at the region's first call, or before. Until that is done, and where it cannot be, nothing is
done for clients: what cannot be asked must not be passed by.

Source: RegionCoprocessorHost, CoprocessorHost#execOperation (who bypasses has the last word) and
EnvironmentPriorityComparator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from regionserver.client_service.watched import Client
from regionserver.endpoints.classes import LOADING, Classes, HostSettings, Made
from regionserver.endpoints.observer import Observer, ObserverContext
from regionserver.endpoints.row_locks import RowLocks
from regionserver.endpoints.threads import Running, Threads
from regionserver.endpoints.view import Place
from regionserver.region.region import Region
from registry.clock import Clock
from registry.coprocessors import Named
from registry.wire.errors import DoNotRetryIOException, HBaseError

T = TypeVar("T")
Hook = tuple[str, tuple[object, ...]]
"""The name of a hook, and what it is given besides its context."""
Asked = bool | HBaseError
"""Whether the operation is bypassed, or what refuses it."""

HOOKS = [name for name in vars(Observer) if name.startswith(("pre_", "post_"))]


class Watching:
    """Those of one region. Belongs to its loop."""

    def __init__(
        self,
        region: Region,
        named: Sequence[Named],
        check: Callable[[], None],
        clock: Clock,
        classes: Classes,
        threads: Threads,
        settings: HostSettings,
    ) -> None:
        """`region`: as clients see it; `named`: in the order in which they are asked."""
        self.region = region
        self.check = check
        """Raises where the region is not this server's any more."""
        self.locks = RowLocks()
        self._named = named
        self._clock = clock
        self._classes = classes
        self._threads = threads
        self._settings = settings
        self._asked: dict[str, list[tuple[Named, Observer]]] | None = None
        """By hook; None until they are there."""
        self._preparing: asyncio.Task[None] | None = None

    @property
    def now_ms(self) -> int:
        """The time that rows are told."""
        return int(self._clock.wall_ms())

    @property
    def is_ready(self) -> bool:
        """Whether the observers have been made."""
        return self._asked is not None

    @property
    def is_idle(self) -> bool:
        """Nobody has any hook: the classes are endpoints and no more."""
        return self._asked is not None and not self._asked

    def has(self, *hooks: str) -> bool:
        """Whether any observer has one of these; once they are ready."""
        assert self._asked is not None, "who asks has waited for ready"
        return any(hook in self._asked for hook in hooks)

    async def ready(self) -> None:
        """Once observers can be asked. Raises what keeps them from it, and the next call tries again."""
        if self._asked is None:
            if self._preparing is None:
                self._preparing = asyncio.get_running_loop().create_task(self._prepare())
            await asyncio.shield(self._preparing)

    async def ask(
        self, client: Client, hooks: Sequence[Hook], finish: Callable[[Sequence[Asked]], T]
    ) -> tuple[Sequence[Asked], T]:
        """Call hooks one after another; what came of each, and what `finish` made of it in their thread.

        Raises what `finish` raises, and where it takes too long.
        """
        asked = self._asked or {}
        names = [named.name for hook, _ in hooks for named, _ in asked.get(hook, ())]

        def work(running: Running[tuple[Sequence[Asked], T]]) -> tuple[Sequence[Asked], T]:
            outcomes = [self._ask_one(running, hook, given, client) for hook, given in hooks]
            return outcomes, finish(outcomes)

        assert names, "who asks has looked"
        return await self._in_thread(names, work, self._settings.observer_timeout_ms)

    async def ask_one(self, client: Client, hook: str, *given: object) -> bool:
        """Call one hook, where anybody has it; whether it is bypassed. Raises what it raises."""
        if not self.has(hook):
            return False
        [outcome], _ = await self.ask(client, [(hook, given)], lambda _: None)
        if isinstance(outcome, HBaseError):
            raise outcome
        return outcome

    # --- in threads -------------------------------------------------------------------------------------------------

    def _ask_one(self, running: Running[T], hook: str, given: tuple[object, ...], client: Client) -> Asked:
        assert self._asked is not None
        try:
            for named, observer in self._asked.get(hook, ()):
                running.doing = named.name
                context = ObserverContext(running.view, client.user, client.address, named.arguments, hook=hook)
                getattr(observer, hook)(context, *given)
                if context.is_bypassed:
                    return True
        except Exception as error:  # noqa: BLE001  whatever it is, it is told to the client
            return running.as_told(error)
        return False

    def _load(
        self, unknown: Sequence[str], instances: dict[str, Made], running: Running[list[tuple[Named, Observer]]]
    ) -> list[tuple[Named, Observer]]:
        self._classes.load(unknown)
        observers: list[tuple[Named, Observer]] = []
        for named in self._named:
            running.doing = named.name
            kind = self._classes.get(named.name)
            if kind is None:
                raise DoNotRetryIOException(
                    f"coprocessor {named.name} of {self.region.where.table} cannot be loaded here"
                )
            if issubclass(kind, Observer):
                made = self._classes.make(named.name, instances)
                assert isinstance(made, Observer), "it is of that class"
                observers.append((named, made))
        return observers

    # --- on the loop ------------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        names = [named.name for named in self._named]
        work = partial(self._load, self._classes.unknown_of(names), self._classes.instances(self.region))
        try:
            observers = await self._in_thread([LOADING, *names], work, self._settings.timeout_ms)
        finally:
            self._preparing = None
        self._asked = {
            hook: having
            for hook in HOOKS
            if (having := [each for each in observers if getattr(type(each[1]), hook) is not getattr(Observer, hook)])
        }

    async def _in_thread(self, names: Sequence[str], work: Callable[[Running[T]], T], timeout_ms: float) -> T:
        end: asyncio.Future[T | HBaseError] = asyncio.get_running_loop().create_future()

        def told(outcome: T | HBaseError) -> None:
            if not end.done():
                end.set_result(outcome)

        place = Place(self.region, self.check, self._clock)
        self._threads.start(names, work, place, timeout_ms, told, may_wait=True)
        outcome = await end
        if isinstance(outcome, HBaseError):
            raise outcome
        return outcome
