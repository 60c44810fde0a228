"""Where the one region of hbase:meta is: from a snapshot of ZooKeeper's facts, or from a registry's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from registry.client.answers import Answer, RegionLocation
from registry.lookup.snapshot import FactState, Snapshot
from registry.names import Address
from registry.wire.errors import NotServingRegionException

OPEN = "OPEN"
"""The state of a region that serves; HBase's RegionState."""


class Locator(Protocol):
    """Finds the server of one region. Belongs to one loop."""

    async def locate(self) -> Address:
        """Where it is now. Raises an HBaseError where that is not known, and is asked again later."""
        ...

    def refused(self, address: Address) -> None:
        """The server at `address` does not have it, or does not answer."""
        ...


class SnapshotLocator:
    """By a snapshot, which follows ZooKeeper itself: there is nothing to ask and nothing to forget."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    async def locate(self) -> Address:
        """The server of replica 0 as ZooKeeper has it. Raises NotServingRegionException."""
        return meta_address(self._snapshot())

    def refused(self, address: Address) -> None:
        """ZooKeeper will tell."""


def meta_address(snapshot: Snapshot) -> Address:
    """The server of replica 0 in a snapshot. Raises NotServingRegionException where it is not known or not open."""
    fact = snapshot.meta_locations
    for location in fact.value or ():
        if location.replica_id == 0:
            if location.state != OPEN:
                raise NotServingRegionException(f"hbase:meta is {location.state} on {location.server_name}")
            return location.server_name.address
    state = fact.state.value if fact.state is not FactState.KNOWN else "not assigned"
    raise NotServingRegionException(f"where hbase:meta is: {fact.path} is {state}")


class MetaAnswers(Protocol):
    """The part of registry.client.connection.Connection that is needed here."""

    async def meta_locations(self) -> Answer[tuple[RegionLocation, ...]]:
        """Replicas of hbase:meta and their servers."""
        ...

    def stale(self, answer: Answer[object]) -> bool:
        """`answer` has turned out to be wrong: ask anew."""
        ...


class RegistryLocator:
    """By the answers of a connection to a registry."""

    def __init__(self, answers: MetaAnswers) -> None:
        self._answers = answers
        self._last: Answer[tuple[RegionLocation, ...]] | None = None

    async def locate(self) -> Address:
        """The server of replica 0 as the registry answers it; kept until it is refused."""
        self._last = answer = await self._answers.meta_locations()
        for location in answer.value:
            if location.replica_id == 0 and location.server_name is not None:
                return location.server_name.address
        self._answers.stale(answer)
        raise NotServingRegionException("the registry knows no server of hbase:meta")

    def refused(self, address: Address) -> None:
        """Have the registry asked again, if the answer was its."""
        if self._last is not None and any(
            row.server_name is not None and row.server_name.address == address for row in self._last.value
        ):
            self._answers.stale(self._last)
