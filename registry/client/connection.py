"""A client's connection to one cluster: look-ups with a cache, one deadline for each, no global state.

Source: org.apache.hadoop.hbase.client.ConnectionRegistry, AsyncRpcRetryingCaller (retries and their pauses).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self, Unpack

from registry.client.admin.admin import Admin
from registry.client.answers import Answer, Found, RegionLocation, RegistryMaster, What
from registry.client.attempts import AttemptLog
from registry.client.data.calls import Calls, calls_of
from registry.client.data.names import table_name
from registry.client.data.operations import Durability
from registry.client.data.table import Table
from registry.client.last_resort import LastResortSource
from registry.client.probing import pause_ms
from registry.client.rpc_source import RpcSource
from registry.client.settings import ClientSettings
from registry.client.wanted import Kept, LookupOptions, wants_of
from registry.clock import Clock
from registry.lookup.freshness import NOTHING, Wants
from registry.names import Address, ServerName
from registry.wire.errors import StoppedRpcClientException

logger = logging.getLogger("registry.client")

PAUSE_MARGIN_MS = 1.0
"""A pause ends this long before the deadline, so that one more try may see it."""


class Source(Protocol):
    """Where answers come from: registry servers or ZooKeeper."""

    async def ask(
        self,
        what: What,
        remaining_ms: Callable[[], float],
        log: AttemptLog,
        avoid: Collection[str] = (),
        wants: Wants = NOTHING,
    ) -> list[tuple[What, Found]]:
        """One pass; whatever became known by it that is as new as wanted, or nothing, and then `log` says why."""
        ...

    async def close(self) -> None:
        """End everything."""
        ...


class Connection:
    """Where one cluster is. Made by `hbeacon.connect`; belongs to one loop.

    Answers are kept until they are called stale, so asking again costs nothing. Every look-up takes a deadline,
    `timeout_ms`, that bounds all its retries; without one HBase's operation time-outs hold. It may also say how new
    the answer has to be (LookupOptions): then nothing older is ever given, and servers that cannot tell, as HBase's
    own, are asked in vain. Raises RegistryLookupError, which names each server that was asked and what it said, and
    ValueError where an option is no number.
    """

    def __init__(
        self, source: Source, settings: ClientSettings, clock: Clock, chance: random.Random, name: str
    ) -> None:
        self.settings = settings
        self.name = name
        """Whom this connection asks, for people."""
        self._source = source
        self._clock = clock
        self._chance = chance
        self._answers: dict[What, Kept] = {}
        self._avoid: dict[What, str] = {}
        """Who gave the answer that turned out to be stale: asked last the next time."""
        self._asking: dict[What, asyncio.Lock] = {what: asyncio.Lock() for what in What}
        self._logs: dict[What, AttemptLog] = {}
        """Logs of the look-ups under way, for the errors of those who wait for them."""
        self._scopes: set[asyncio.Timeout] = set()
        """Time-outs of the look-ups under way: `close` lets them all run out at once."""
        self._number = 0
        self._follower: asyncio.Task[None] | None = None
        self._calls: Calls | None = None
        """What the tables share; made with the first."""
        self._admin: Admin | None = None
        self._closed = False

    # --- look-ups -----------------------------------------------------------------------------------------------

    async def cluster_id(self, **options: Unpack[LookupOptions]) -> Answer[str]:
        """The id of the cluster."""
        return await self._lookup(What.CLUSTER_ID, options)

    async def active_master(self, **options: Unpack[LookupOptions]) -> Answer[ServerName]:
        """The active master."""
        return await self._lookup(What.ACTIVE_MASTER, options)

    async def masters(self, **options: Unpack[LookupOptions]) -> Answer[tuple[RegistryMaster, ...]]:
        """The masters that the server hands out: of the cluster, or registry servers in their place."""
        return await self._lookup(What.MASTERS, options)

    async def meta_locations(self, **options: Unpack[LookupOptions]) -> Answer[tuple[RegionLocation, ...]]:
        """Where hbase:meta is, by replica id; at least one replica is somewhere."""
        return await self._lookup(What.META_LOCATIONS, options)

    async def bootstrap_nodes(self, **options: Unpack[LookupOptions]) -> Answer[tuple[ServerName, ...]]:
        """The servers that clients are told to ask from now on; may be none."""
        return await self._lookup(What.BOOTSTRAP_NODES, options)

    # --- rows ---------------------------------------------------------------------------------------------------

    def table(
        self,
        name: str | bytes,
        *,
        timeout_ms: float | None = None,
        durability: Durability = Durability.USE_DEFAULT,
    ) -> Table:
        """A table, `name` or `namespace:name`; nobody is asked whether there is one.

        `timeout_ms` is the deadline of each of its calls that has none of its own; `durability` that of its writes.
        """
        return Table(self._data, table_name(name), timeout_ms, durability)

    @property
    def admin(self) -> Admin:
        """Tables, namespaces, regions and the cluster."""
        if self._admin is None:
            self._admin = Admin(self, self._data)
        return self._admin

    @property
    def _data(self) -> Calls:
        if self._calls is None:
            self._refuse_if_closed()
            self._calls = calls_of(self, self.settings, self._clock, self._chance)
        return self._calls

    # --- the cache ----------------------------------------------------------------------------------------------

    def stale(self, answer: Answer[object]) -> bool:
        """Say that an answer did not hold: the next look-up asks again, and who gave it comes last.

        False where the cache already holds another answer, or none.
        """
        cached = self._answers.get(answer.what)
        if cached is None or cached.answer.number != answer.number:
            return False
        del self._answers[answer.what]
        self._avoid[answer.what] = answer.server
        return True

    def refresh(self, *what: What) -> None:
        """Forget the answers to these questions, or to all: the next look-ups ask again."""
        for each in what or tuple(What):
            self._answers.pop(each, None)

    def cached(self, what: What) -> Answer[Any] | None:
        """The answer that the next look-up would give without asking."""
        kept = self._answers.get(what)
        return None if kept is None else replace(kept.answer, cached=True)

    # --- life ---------------------------------------------------------------------------------------------------

    def use_servers(self, servers: Iterable[Address]) -> None:
        """Take another list of registry servers from now on; without effect on a ZooKeeper connection."""
        if (registry := self._registry) is not None:
            registry.configure(servers)

    @property
    def servers(self) -> tuple[Address, ...]:
        """The registry servers in use: configured or handed out; empty on a ZooKeeper connection."""
        return registry.servers.current if (registry := self._registry) is not None else ()

    @property
    def _registry(self) -> RpcSource | None:
        source = self._source.registry if isinstance(self._source, LastResortSource) else self._source
        return source if isinstance(source, RpcSource) else None

    def follow(self, changes: Callable[[], Awaitable[None]]) -> None:
        """Keep `changes()`, which calls `use_servers`, running until the connection is closed."""
        assert self._follower is None, "one file is followed"
        self._follower = asyncio.create_task(_run(changes))

    async def close(self) -> None:
        """End every connection and task; look-ups under way fail. May be called again."""
        self._closed = True
        for scope in self._scopes:
            if not scope.expired():
                scope.reschedule(asyncio.get_running_loop().time())
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
            self._follower = None
        if self._admin is not None:
            await self._admin.close()
        if self._calls is not None:
            await self._calls.close()
        await self._source.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<hbeacon.Connection to {self.name}{' (closed)' if self._closed else ''}>"

    # --- how a look-up goes -------------------------------------------------------------------------------------

    async def _lookup(self, what: What, options: LookupOptions) -> Answer[Any]:
        wants = wants_of(options)
        asked_at_ms = self._clock.monotonic_ms() if wants else 0.0
        if (answer := self._kept_for(what, wants, asked_at_ms)) is not None:
            return answer
        timeout_ms = options.get("timeout_ms")
        settings = self.settings
        meta = what is What.META_LOCATIONS
        limit_ms = settings.meta_operation_timeout_ms if meta else settings.operation_timeout_ms
        limit_ms = limit_ms if timeout_ms is None else min(limit_ms, max(timeout_ms, 0.0))
        deadline_ms = self._clock.monotonic_ms() + limit_ms
        log = AttemptLog(self._clock)
        scope = asyncio.timeout(limit_ms / 1000)
        try:
            async with scope:
                self._scopes.add(scope)
                async with self._asking[what]:
                    # Somebody else may have asked meanwhile.
                    if (answer := self._kept_for(what, wants, asked_at_ms)) is not None:
                        return answer
                    self._logs[what] = log
                    try:
                        return await self._ask(what, deadline_ms, log, wants)
                    finally:
                        del self._logs[what]
        except TimeoutError:
            self._refuse_if_closed()
            if not log.count and not log.calls:
                log = self._logs.get(what, log)
            raise log.error(what, timed_out=True) from None
        finally:
            self._scopes.discard(scope)

    def _kept_for(self, what: What, wants: Wants, asked_at_ms: float) -> Answer[Any] | None:
        kept = self._answers.get(what)
        return None if kept is None or not kept.meets(wants, asked_at_ms) else self.cached(what)

    async def _ask(self, what: What, deadline_ms: float, log: AttemptLog, wants: Wants) -> Answer[Any]:
        """Passes through the servers with growing pauses, until one answers, none ever will, or retries are used up."""

        def remaining_ms() -> float:
            return deadline_ms - self._clock.monotonic_ms()

        asked_at_ms = self._clock.monotonic_ms()
        avoid = {self._avoid[what]} if what in self._avoid else set[str]()
        for tries in range(self.settings.retries_count + 1):
            self._refuse_if_closed()
            start = log.count
            found = await self._source.ask(what, remaining_ms, log, avoid, wants)
            if found:
                return self._keep(what, found, log, asked_at_ms, was_fresh=wants.fresh)
            if log.hopeless_since(start) or tries == self.settings.retries_count:
                break
            wait_ms = min(pause_ms(self.settings.pause_ms, tries, self._chance), remaining_ms() - PAUSE_MARGIN_MS)
            if wait_ms <= 0:
                break
            await asyncio.sleep(wait_ms / 1000)
        raise log.error(what)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoppedRpcClientException("the connection was closed")

    def _keep(
        self, what: What, found: list[tuple[What, Found]], log: AttemptLog, asked_at_ms: float, *, was_fresh: bool
    ) -> Answer[Any]:
        """Make the answer; what else became known is kept only where nothing is known yet."""
        self._number += 1
        self._avoid.pop(what, None)
        for each, fact in found:
            if each is what or each not in self._answers:
                answer = Answer(
                    each,
                    fact.value,
                    fact.server,
                    fact.version,
                    fact.age_ms,
                    fact.changed_zxid,
                    calls=log.calls,
                    elapsed_ms=log.elapsed_ms,
                    number=self._number,
                )
                self._answers[each] = Kept(answer, asked_at_ms, was_fresh)
        return self._answers[what].answer


async def _run(changes: Callable[[], Awaitable[None]]) -> None:
    try:
        await changes()
    except Exception:
        logger.exception("the configuration is not followed any more")
