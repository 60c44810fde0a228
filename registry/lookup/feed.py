"""RegistryFeed: the snapshots of one cluster, from its ZooKeeper, as they become known.

Owns the watcher (a connection) and the cache (what is known); everything happens on the loop. Whoever answers look-ups
reads `snapshot` and never waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from registry.clock import Clock
from registry.lookup.cache import VERSION_NONE, RegistryCache
from registry.lookup.events import Effect, Event, Publish
from registry.lookup.flight import FlightRecorder
from registry.lookup.snapshot import Snapshot, Version
from registry.zk.paths import ZNodePaths
from registry.zk.watcher import SessionStatus, WatcherSettings, ZooKeeperWatcher

logger = logging.getLogger("registry.lookup")

ASKS_APART_MS = 5.0
"""Between two questions to the leader. Who asks meanwhile shares the next: however many ask, ZooKeeper gets at most 200
questions a second and this process spends some tenth of its time on them."""

FeedSettings = WatcherSettings
"""A feed is set up as its watcher is."""

__all__ = ["FeedSettings", "RegistryFeed", "SessionStatus"]


@dataclass(slots=True, eq=False)
class _Waiter:
    asked_at_ms: float
    done: asyncio.Future[Snapshot]


class RegistryFeed:
    """Follows one cluster; start it on the loop that reads it."""

    def __init__(self, settings: FeedSettings, clock: Clock, floor: Version = VERSION_NONE) -> None:
        """`floor`: the version at which an earlier life of this server has answered; ours never lies below.

        Raises ValueError where `settings.root` is no path of a znode.
        """
        self._clock = clock
        paths = ZNodePaths(settings.root)
        self._cache = RegistryCache(paths, floor, paths.others() if settings.others else ())
        self._watcher = ZooKeeperWatcher(settings, clock, self._take, self._after_turn)
        self._snapshot = self._cache.snapshot
        self._changed = False
        self._losing_history = ""
        self._subscribers: list[Callable[[Snapshot], None]] = []
        self._waiters: list[_Waiter] = []
        self._asked_at_ms = float("-inf")
        """When the leader was asked last."""
        self._asking_later: asyncio.TimerHandle | None = None
        self.leader_asked = 0
        """Questions to the leader for those who waited in `fresh`, so far."""
        self.flight = FlightRecorder(settings.root, clock, others=settings.others)
        """What the cache has heard lately."""

    @property
    def snapshot(self) -> Snapshot:
        """The newest one; immutable."""
        return self._snapshot

    @property
    def session(self) -> SessionStatus:
        """The ZooKeeper session."""
        return self._watcher.status

    def age_ms(self) -> float:
        """Since the snapshot was last known to be all there is; infinite before it was complete."""
        confirmed_at_ms = self._cache.confirmed_at_ms
        if confirmed_at_ms is None or not self._snapshot.complete:
            return float("inf")
        return max(0.0, self._clock.monotonic_ms() - confirmed_at_ms)

    def read_at_ms(self) -> float:
        """Monotonic moment from which on the leader was asked for what the snapshot holds; -inf before the first."""
        synced_at_ms = self._cache.synced_at_ms
        return float("-inf") if synced_at_ms is None or not self._snapshot.complete else synced_at_ms

    def lease_ok(self) -> bool:
        """Whether the session cannot have ended yet, by our own clock."""
        return self._watcher.lease_ok()

    def story(self, path: str) -> str:
        """What the last events did to one znode, for people."""
        return self._cache.story(path)

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        """Have `callback` called on the loop with each new snapshot; the answer ends that. It must not wait."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._subscribers.remove(callback)

        return unsubscribe

    async def start(self) -> None:
        """Begin to follow; returns at once, whether ZooKeeper is there or not."""
        self._watcher.start()

    async def stop(self) -> None:
        """End the session; returns within two seconds. The last snapshot stays."""
        for waiter in self._waiters:
            waiter.done.cancel()
        self._waiters.clear()
        if self._asking_later is not None:
            self._asking_later.cancel()
        await self._watcher.stop()

    async def fresh(self, *, timeout_ms: float = 1000.0) -> Snapshot:
        """A snapshot that holds all that ZooKeeper's leader had when this was called, and whose version says so.

        All who wait share the same requests. Raises TimeoutError when ZooKeeper does not answer in time.
        """
        waiter = _Waiter(self._clock.monotonic_ms(), asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._ask_leader()
        try:
            async with asyncio.timeout(timeout_ms / 1000.0):
                return await waiter.done
        finally:
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)

    # --- what the watcher calls ---------------------------------------------------------------------------------

    def _take(self, event: Event) -> list[Effect]:
        self.flight.record(event)
        effects = self._cache.apply(event)
        if not self._changed:
            self._changed = any(isinstance(effect, Publish) for effect in effects)
        return effects

    def _after_turn(self) -> None:
        if self._changed:
            self._changed = False
            self._publish(self._cache.snapshot)
        if self._cache.lost_history and not self._losing_history:
            logger.warning("ZooKeeper has lost its history (%s): reading everything anew", self._cache.lost_history)
        self._losing_history = self._cache.lost_history
        if self._waiters:
            self._wake_waiters()

    def _publish(self, snapshot: Snapshot) -> None:
        if snapshot is self._snapshot:
            return
        before, self._snapshot = self._snapshot, snapshot
        if snapshot.version.generation != before.version.generation:
            logger.warning("generation %d begins at zxid 0x%x", snapshot.version.generation, snapshot.version.zxid)
        for (name, fact), (_, old) in zip(snapshot.facts(), before.facts(), strict=True):
            if fact.problem and fact.problem != old.problem:
                logger.warning("%s: %s", name, fact.problem)
        for callback in tuple(self._subscribers):
            try:
                callback(snapshot)
            except Exception:
                logger.exception("a subscriber failed on snapshot %s", snapshot.version)

    def _wake_waiters(self) -> None:
        read_at_ms = self.read_at_ms()
        waiting: list[_Waiter] = []
        for waiter in self._waiters:
            if waiter.asked_at_ms > read_at_ms:
                waiting.append(waiter)
            elif not waiter.done.done():
                waiter.done.set_result(self._snapshot)
        self._waiters = waiting
        if waiting:
            self._ask_leader()

    def _ask_leader(self) -> None:
        """In the next turn of the loop, for all who ask in this one; later where the last time was just now."""
        if self._asking_later is None:
            wait_ms = self._asked_at_ms + ASKS_APART_MS - self._clock.monotonic_ms()
            self._asking_later = asyncio.get_running_loop().call_later(max(wait_ms, 0.0) / 1000.0, self._ask_now)

    def _ask_now(self) -> None:
        self._asking_later = None
        # Where one is under way, its answer brings those who wait back here.
        if self._waiters and self._watcher.ask_leader():
            self._asked_at_ms = self._clock.monotonic_ms()
            self.leader_asked += 1
