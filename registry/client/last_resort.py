"""Registry servers first, and ZooKeeper where none of them answers and the configuration names one.

A program that moves from ZooKeeper to registry servers keeps working while they are not there yet, or no longer; the
answer tells who gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from registry.client.answers import Found, What
from registry.client.attempts import AttemptLog
from registry.client.rpc_source import RpcSource
from registry.client.zookeeper_source import ZooKeeperSource
from registry.lookup.freshness import NOTHING, Wants

REGISTRY_MS_MAX = 10_000.0
"""At most so long, and at most half of what is left, before ZooKeeper is asked."""


class LastResortSource:
    """Owns both; belongs to one loop."""

    def __init__(self, registry: RpcSource, zookeeper: ZooKeeperSource) -> None:
        self.registry = registry
        self._zookeeper = zookeeper

    def __str__(self) -> str:
        return f"{self.registry}, else {self._zookeeper}"

    async def ask(
        self,
        what: What,
        remaining_ms: Callable[[], float],
        log: AttemptLog,
        avoid: Collection[str] = (),
        wants: Wants = NOTHING,
    ) -> list[tuple[What, Found]]:
        """One pass through the registry servers, then one reading of ZooKeeper; empty when both have failed."""
        until_ms = remaining_ms() - min(REGISTRY_MS_MAX, remaining_ms() / 2)
        found = await self.registry.ask(what, lambda: remaining_ms() - until_ms, log, avoid, wants)
        return found or await self._zookeeper.ask(what, remaining_ms, log, avoid, wants)

    async def close(self) -> None:
        """End both."""
        await self.registry.close()
        await self._zookeeper.close()
