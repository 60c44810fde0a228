"""Where a region may be opened: only where its rows are. Pure.

* A region that has rows goes to the live server that has its store open; else to one that sees the store free, or
  owned by a server that is dead. All regions of one store go to the same one.
* A region that never was open goes by turns to the homes of servers that are not drained.
* Else it waits, with a reason.

Source of the balance: RoundRobin of BaseLoadBalancer#roundRobinAssignment.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from registry.master.live_servers import FREE, OPEN, OWNED, LiveServer, LiveServers
from registry.names import ServerName

NOT_REACHABLE = "data not reachable"
"""How the reason of a region begins whose store nobody has and nobody can take."""
NO_SERVER = "no region server that is not drained has a store of its own"


@dataclass(frozen=True, slots=True)
class Spot:
    """A server and the store it is to use."""

    server: ServerName
    store_id: str


class Placement:
    """Gives out spots by turns; remembers who was told to take which store."""

    def __init__(self, servers: LiveServers) -> None:
        self._servers = servers
        self._turn = 0
        self._adopters: dict[str, ServerName] = {}
        self._failures: dict[tuple[str, ServerName], int] = {}
        self._found: dict[str, Spot | str] = {}
        """Of stores, as long as nothing changes: ten thousand regions have few of them."""
        self._homes: list[LiveServer] = []
        self._known_changes = -1

    def of_store(self, store_id: str) -> Spot | str:
        """For a region with rows; a text says why there is no spot."""
        self._look_again()
        found = self._found.get(store_id)
        if found is None:
            found = self._found[store_id] = self._find(store_id)
            if isinstance(found, Spot):
                self._adopters[store_id] = found.server
        return found

    def fresh(self, near: str, avoid: Collection[ServerName]) -> Spot | str:
        """For a region without rows; `near` is the store it was to go to before, if any."""
        self._look_again()
        if near:
            for server in self._homes:
                if server.home == near and server.name not in avoid:
                    return Spot(server.name, near)
        homes = [server for server in self._homes if server.name not in avoid] if avoid else self._homes
        homes = homes or self._homes
        if not homes:
            return NO_SERVER
        self._turn += 1
        server = homes[self._turn % len(homes)]
        return Spot(server.name, server.home)

    def failed(self, store_id: str, server: ServerName) -> None:
        """That server could not open a region there: another is asked next, where there is another."""
        self._failures[store_id, server] = self._failures.get((store_id, server), 0) + 1
        self._adopters.pop(store_id, None)
        self._found.pop(store_id, None)

    def home_of(self, server: ServerName) -> str:
        """The home of a usable server; empty where it is none."""
        live = self._servers.known.get(server)
        return live.home if live is not None and live.is_usable else ""

    def owners_to_end(self, server: ServerName, store_ids: Collection[str]) -> list[ServerName]:
        """Dead servers from which `server` takes these stores."""
        live = self._servers.known.get(server)
        if live is None:
            return []
        reached = (live.stores.get(store_id) for store_id in store_ids)
        owners = {store.owner for store in reached if store is not None and store.reach != OPEN and store.owner}
        return sorted(ServerName.parse(owner) for owner in owners if self._servers.owner_is_gone(owner))

    def _look_again(self) -> None:
        if self._known_changes == self._servers.changes:
            return
        self._known_changes = self._servers.changes
        self._found.clear()
        draining = self._servers.draining
        self._homes = [server for server in self._servers.usable() if server.home and server.name not in draining]

    def _find(self, store_id: str) -> Spot | str:
        usable = self._servers.usable()
        for server in usable:
            store = server.stores.get(store_id)
            if store is not None and store.reach == OPEN:
                return Spot(server.name, store_id)
        takers = [server for server in usable if self._may_take(server, store_id)]
        if takers:
            told = self._adopters.get(store_id)
            if any(server.name == told for server in takers):
                assert told is not None, "it is the name of one of them"
                return Spot(told, store_id)
            draining = self._servers.draining
            # Who has adopted fewest; a drained one where there is no other: better served there than not at all.
            chosen = min(
                takers,
                key=lambda server: (
                    server.name in draining,
                    self._failures.get((store_id, server.name), 0),
                    self._adopted(server.name),
                    server.name,
                ),
            )
            return Spot(chosen.name, store_id)
        return f"{NOT_REACHABLE}: {self._why(usable, store_id)}"

    def _may_take(self, server: LiveServer, store_id: str) -> bool:
        store = server.stores.get(store_id)
        if store is None:
            return False
        return store.reach == FREE or (store.reach == OWNED and self._servers.owner_is_gone(store.owner))

    def _adopted(self, server: ServerName) -> int:
        return sum(adopter == server for adopter in self._adopters.values())

    def _why(self, usable: list[LiveServer], store_id: str) -> str:
        if not usable:
            return "there is no region server"
        seen = [server.stores[store_id] for server in usable if store_id in server.stores]
        if not seen:
            return f"no live region server sees store {store_id}"
        owners = sorted({store.owner or "a process without a name" for store in seen})
        return f"store {store_id} is held by {', '.join(owners)}, which is not known to be dead"
