"""A RegistryFeed under watch: what it must never do is checked at every snapshot it publishes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from registry.clock import SystemClock
from registry.lookup.feed import FeedSettings, RegistryFeed
from registry.lookup.snapshot import Fact, FactState, Snapshot, Version
from registry.names import Address, ServerName


class WatchedFeed:
    """Keeps every snapshot with its time, and fails at once when a version goes back within a generation."""

    def __init__(self, feed: RegistryFeed) -> None:
        self.feed = feed
        self.seen: list[tuple[float, Snapshot]] = []
        self.violations: list[str] = []
        self._published = asyncio.Event()
        feed.subscribe(self._published_one)

    def _published_one(self, snapshot: Snapshot) -> None:
        before: Version = self.seen[-1][1].version if self.seen else Version(0, 0)
        if snapshot.version < before:
            self.violations.append(f"{snapshot.version} after {before}")
        if self.seen and self.seen[-1][1].complete and not snapshot.complete:
            self.violations.append("complete, then not complete")
        self.seen.append((time.monotonic(), snapshot))
        self._published.set()

    async def until(self, what: str, condition: Callable[[Snapshot], bool], timeout_s: float = 20.0) -> Snapshot:
        """The first snapshot, the present one included, for which the condition holds."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition(self.feed.snapshot):
                    self._published.clear()
                    await self._published.wait()
        except TimeoutError:
            raise AssertionError(
                f"{what}: not within {timeout_s} s\n{self.feed.snapshot}\n{self.feed.session}\n"
                + "\n".join(self.feed.flight.lines()[-40:])
            ) from None
        return self.feed.snapshot

    async def until_state(self, what: str, condition: Callable[[RegistryFeed], bool], timeout_s: float = 20.0) -> None:
        """Wait for something that no snapshot tells of."""
        deadline = time.monotonic() + timeout_s
        while not condition(self.feed):
            assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s\n{self.feed.session}"
            await asyncio.sleep(0.01)


def knows_meta(server: ServerName) -> Callable[[Snapshot], bool]:
    """Replica 0 of hbase:meta is there."""
    return lambda snapshot: bool(
        snapshot.meta_locations.value and snapshot.meta_locations.value[0].server_name == server
    )


def knows_master(server: ServerName) -> Callable[[Snapshot], bool]:
    """It is the active master."""
    return lambda snapshot: bool(snapshot.active_master.value and snapshot.active_master.value.server_name == server)


def is_complete(snapshot: Snapshot) -> bool:
    """Every fact has been read."""
    return snapshot.complete


def state_of(fact: Fact[object]) -> FactState:
    """For conditions."""
    return fact.state


@asynccontextmanager
async def watched_feed(
    hosts: str,
    *,
    session_timeout_ms: float = 2000.0,
    auth: tuple[tuple[str, str], ...] = (),
    root: str = "/hbase",
    recheck_forbidden_ms: float = 30_000.0,
) -> AsyncGenerator[WatchedFeed]:
    """A started feed; at the end it is stopped, and what it violated fails the test."""
    settings = FeedSettings(
        hosts=tuple(Address.parse(host) for host in hosts.split(",")),
        root=root,
        session_timeout_ms=session_timeout_ms,
        auth=auth,
        recheck_forbidden_ms=recheck_forbidden_ms,
    )
    feed = RegistryFeed(settings, SystemClock())
    watched = WatchedFeed(feed)
    await feed.start()
    try:
        yield watched
    finally:
        await feed.stop()
    assert not watched.violations, watched.violations
