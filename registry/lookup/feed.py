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

ASK_AGAIN_MS = 20.0
"""Pause between two requests for those who wait for a zxid that ZooKeeper has not reached."""

FeedSettings = WatcherSettings
"""A feed is set up as its watcher is."""

__all__ = ["FeedSettings", "RegistryFeed", "SessionStatus"]


@dataclass(slots=True, eq=False)
class _Waiter:
    asked_at_ms: float
    min_zxid: int
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
        self._asked_again_ms = 0.0
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
        await self._watcher.stop()

    async def fresh(self, *, min_zxid: int = 0, timeout_ms: float = 1000.0) -> Snapshot:
        """A snapshot that holds all that ZooKeeper's leader had when this was called, and reaches `min_zxid`.

        All who wait share the same requests. Raises TimeoutError when ZooKeeper does not answer in time.
        """
        waiter = _Waiter(self._clock.monotonic_ms(), min_zxid, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._watcher.beat_now()
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
        confirmed_at_ms = self._cache.confirmed_at_ms
        for waiter in tuple(self._waiters):
            if waiter.done.done() or confirmed_at_ms is None or confirmed_at_ms < waiter.asked_at_ms:
                continue
            if self._snapshot.complete and self._snapshot.version.zxid >= waiter.min_zxid:
                waiter.done.set_result(self._snapshot)
                self._waiters.remove(waiter)
        now_ms = self._clock.monotonic_ms()
        if self._waiters and now_ms - self._asked_again_ms >= ASK_AGAIN_MS:
            self._asked_again_ms = now_ms
            self._watcher.beat_now()
