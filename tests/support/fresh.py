"""A source of snapshots whose ZooKeeper answers when a test says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from registry.lookup.snapshot import Snapshot, Version
from tests.support.clock import ManualClock
from tests.support.status import small_snapshot


class ScriptedSource:
    """Implements registry.lookup.fresh_reader.FreshSource; `read` is what ZooKeeper's answer does."""

    def __init__(self, clock: ManualClock, snapshot: Snapshot | None = None) -> None:
        self.clock = clock
        self.snapshot = snapshot or small_snapshot()
        self.confirmed_at_ms = clock.monotonic_ms()
        self.synced_at_ms = float("-inf")
        self.waiting: list[asyncio.Future[None]] = []
        self.asked: list[float] = []
        """Time-out of each call of `fresh`."""
        self.answers_at_once = False
        self.leader_asked = 0

    def age_ms(self) -> float:
        return self.clock.monotonic_ms() - self.confirmed_at_ms if self.snapshot.complete else float("inf")

    def read_at_ms(self) -> float:
        return self.synced_at_ms if self.snapshot.complete else float("-inf")

    async def fresh(self, *, timeout_ms: float = 1000.0) -> Snapshot:
        self.asked.append(timeout_ms)
        if self.answers_at_once:
            self.read()
            return self.snapshot
        done = asyncio.get_running_loop().create_future()
        self.waiting.append(done)
        try:
            await done
        finally:
            self.waiting.remove(done)
        return self.snapshot

    def at(self, zxid: int, generation: int = 1) -> Snapshot:
        """The snapshot moves on."""
        self.snapshot = replace(self.snapshot, version=Version(generation, zxid))
        return self.snapshot

    def beat(self) -> None:
        """A heartbeat was answered: nothing has changed that the server at the other end has heard of."""
        self.confirmed_at_ms = self.clock.monotonic_ms()

    def read(self) -> None:
        """ZooKeeper's leader was asked now, and has answered."""
        self.leader_asked += 1
        self.confirmed_at_ms = self.synced_at_ms = self.clock.monotonic_ms()
        for done in tuple(self.waiting):
            if not done.done():
                done.set_result(None)

    def run_out(self) -> None:
        """The time of all who wait is over."""
        for done in tuple(self.waiting):
            if not done.done():
                done.set_exception(TimeoutError())
