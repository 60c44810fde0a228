"""The part that reads states of tables from hbase:meta, for whom ZooKeeper has none."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine

from registry.client.channels import Channels
from registry.client.locate import SnapshotLocator, meta_address
from registry.client.scanner import Scanner
from registry.client.settings import ClientSettings
from registry.client.table_states import READ_TIMEOUT_MS, TableStatesFollower, read_table_states
from registry.clock import Clock
from registry.config.settings import Settings
from registry.lookup.feed import RegistryFeed
from registry.lookup.snapshot import Snapshot
from registry.names import Address
from registry.role.part import Part
from registry.wire.errors import HBaseError

CLIENT = ClientSettings(
    rpc_timeout_ms=READ_TIMEOUT_MS, connect_timeout_ms=2000, read_timeout_ms=READ_TIMEOUT_MS, pause_ms=50
)
"""Shorter than what a client has: the next reading comes soon, and the states may be needed."""


class TableStatesPart(Part):
    """Follows the states while `follower.set_wanted(True)` holds. Costs nothing before that."""

    def __init__(
        self,
        feed: RegistryFeed,
        settings: Callable[[], Settings],
        clock: Clock,
        start_task: Callable[[Coroutine[None, None, None], str], None],
    ) -> None:
        """`start_task` is the server's own: a follower that fails by a fault of ours ends the server."""
        self._feed = feed
        self._start_task = start_task
        chance = random.Random()
        self._channels = Channels(CLIENT)
        self._scanner = Scanner(SnapshotLocator(lambda: feed.snapshot), self._channels, CLIENT, clock, chance)
        self.follower = TableStatesFollower(
            lambda: read_table_states(self._scanner),
            clock,
            lambda: float(settings().ms("hbeacon.tables.interval_ms")),
            chance,
            self._place,
        )

    async def start(self) -> None:
        """Begin to follow; nothing is read before somebody wants it."""
        self._feed.subscribe(self._snapshot_changed)
        self._start_task(self.follower.run(), "table states")

    async def stop(self) -> None:
        """End its connections; the server has ended the task."""
        await self._scanner.close()
        await self._channels.close()

    def _place(self) -> Address | None:
        try:
            return meta_address(self._feed.snapshot)
        except HBaseError:
            return None

    def _snapshot_changed(self, _snapshot: Snapshot) -> None:
        place = self._place()
        if place is not None:
            self._channels.keep_only(place)
        self.follower.place_changed()
