"""Who is connected to ZooKeeper itself without being a member of the cluster: looked at now and then, where asked for.

Asking and resolving are passed in, so that this file knows no sockets; `registry.zk.cons` asks. Members are
known by name and ZooKeeper's list has addresses, so names are resolved. A server that starts is connected
some time before it is known as a member, and one that ends is forgotten a little before its connection: whoever is no
member is counted only when it has still not become one after a while, and who was a member stays one for a day.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from registry.clock import Clock
from registry.lookup.firewall import ZooKeeperLooks
from registry.lookup.snapshot import Snapshot
from registry.lookup.visitors import VISITORS_MAX, WINDOW_MS, Visitors
from registry.names import Address

logger = logging.getLogger("registry.firewall")

LOOK_TIMEOUT_MS = 5000.0
OFF_MS = 1000.0
"""How often it is seen whether the setting has been switched on."""
BECOMES_MEMBER_MS = 60_000.0
"""A region server opens its session first and registers when the master has answered it."""
GAPS_MAX = 3
"""Looks that may be missed in a row, such as by a process that was stopped, before the watch counts as broken."""
RESOLVED_MS = 600_000.0
"""How long the addresses of a name are believed."""


class NotTold(Exception):
    """A ZooKeeper server does not tell its connections; the text says why."""


@dataclass(frozen=True, slots=True)
class Connected:
    """What one server told: host and port of its connections, and our own address as it sees it."""

    connections: frozenset[tuple[str, int]]
    own_host: str


Ask = Callable[[Address, float], Awaitable[Connected]]
"""The connections of one server within `timeout_ms`. Raises NotTold."""
Resolve = Callable[[str], Awaitable[Collection[str]]]
"""The addresses of a name, in the form that `Ask` gives them. Raises OSError."""


@dataclass(slots=True)
class _Server:
    since_ms: float | None = None
    last_ms: float = 0.0
    problem: str = ""
    connections: frozenset[tuple[str, int]] = frozenset()


@dataclass(slots=True)
class _Resolved:
    at_ms: float
    addresses: frozenset[str]


class ZooKeeperUsers:
    """Looks at every server of the ensemble and tells `visitors` of outsiders; one task on the loop."""

    def __init__(
        self,
        servers: Sequence[Address],
        ask: Ask,
        resolve: Resolve,
        clock: Clock,
        visitors: Visitors,
        snapshot: Callable[[], Snapshot],
        friends: Callable[[], Collection[str]],
        interval_ms: Callable[[], float],
        looked_since_ms: float | None = None,
    ) -> None:
        """`friends`: names or addresses of hosts that belong to the cluster besides those in the snapshot.

        `interval_ms`: 0 or less asks nobody. `looked_since_ms`: since when an earlier life of this server looked at
        all of them; it counts if they tell soon.
        """
        now_ms = clock.monotonic_ms()
        self._servers = {server: _Server(since_ms=looked_since_ms, last_ms=now_ms) for server in servers}
        self._ask = ask
        self._resolve = resolve
        self._clock = clock
        self._visitors = visitors
        self._snapshot = snapshot
        self._friends = friends
        self._interval_ms = interval_ms
        self._resolved: dict[str, _Resolved] = {}
        self._unresolved: set[str] = set()
        self._members: dict[str, float] = {}
        """Address to the last moment at which it was a member's."""
        self._strangers: dict[str, float] = {}
        """Address to the first moment at which it was seen without being a member's, not counted yet."""
        self._on = looked_since_ms is not None

    @property
    def interval_ms(self) -> float:
        """Between two looks; 0 where nobody looks."""
        return max(0.0, self._interval_ms())

    def looks(self) -> tuple[ZooKeeperLooks, ...]:
        """How it goes at each server; none while nobody looks."""
        if self.interval_ms <= 0:
            return ()
        return tuple(ZooKeeperLooks(str(server), row.since_ms, row.problem) for server, row in self._servers.items())

    def looked_since_ms(self) -> float | None:
        """Since when all servers have told without a break; None where one has not, or nobody looks."""
        looks = self.looks()
        since = [row.since_ms for row in looks if row.since_ms is not None]
        return max(since) if looks and len(since) == len(looks) else None

    def unresolved(self) -> frozenset[str]:
        """Members whose addresses are not known."""
        return frozenset(self._unresolved)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            interval_ms = self.interval_ms
            if interval_ms > 0:
                await self.look()
            elif self._on:
                self._forget()
            self._on = interval_ms > 0
            await asyncio.sleep((interval_ms or OFF_MS) / 1000)

    async def look(self) -> None:
        """Ask every server once, and count who is no member."""
        if not self._snapshot().complete:  # everybody would be a stranger
            for row in self._servers.values():
                if self._is_broken(row):
                    row.since_ms = None
                row.problem = "the members of the cluster are not known yet"
            return
        asked = await asyncio.gather(*(self._look_at(server) for server in self._servers))
        await self._follow_members([own for own in asked if own])
        now_ms = self._clock.monotonic_ms()
        present = {host for row in self._servers.values() for host, _ in row.connections}
        for host in present:
            if len(self._strangers) < VISITORS_MAX:
                self._strangers.setdefault(host, now_ms)
        for host, since_ms in tuple(self._strangers.items()):
            if self._is_member(host, now_ms):
                del self._strangers[host]
            elif now_ms - since_ms >= BECOMES_MEMBER_MS:
                self._visitors.zookeeper_seen(host)
                if host not in present:
                    del self._strangers[host]

    async def _look_at(self, server: Address) -> str:
        """Our own address as the server sees it; empty where it does not answer."""
        row = self._servers[server]
        try:
            told = await self._ask(server, LOOK_TIMEOUT_MS)
        except NotTold as error:
            if not row.problem:
                logger.warning("ZooKeeper server %s does not tell its connections: %s", server, error)
            row.since_ms, row.problem, row.connections = None, str(error), frozenset()
            return ""
        now_ms = self._clock.monotonic_ms()
        if row.since_ms is None or self._is_broken(row):
            row.since_ms = now_ms
        row.last_ms, row.problem, row.connections = now_ms, "", told.connections
        return told.own_host

    def _is_broken(self, row: _Server) -> bool:
        """Whether too many looks were missed for the watch to count as unbroken."""
        return self._clock.monotonic_ms() - row.last_ms > GAPS_MAX * self.interval_ms + LOOK_TIMEOUT_MS

    async def _follow_members(self, own_hosts: Collection[str]) -> None:
        names = {*_hosts(self._snapshot()), *self._friends(), *own_hosts}
        self._unresolved &= names
        found = await asyncio.gather(*(self._addresses(name) for name in names))
        now_ms = self._clock.monotonic_ms()
        self._members = {host: at_ms for host, at_ms in self._members.items() if now_ms - at_ms < WINDOW_MS}
        self._members |= {address: now_ms for addresses in found for address in addresses}
        self._resolved = {name: row for name, row in self._resolved.items() if name in names}

    async def _addresses(self, name: str) -> frozenset[str]:
        """The addresses of a member, from memory where they are young or cannot be had anew."""
        now_ms = self._clock.monotonic_ms()
        known = self._resolved.get(name)
        if known is not None and now_ms - known.at_ms < RESOLVED_MS:
            return known.addresses
        try:
            addresses = frozenset(await self._resolve(name))
        except OSError:
            if known is None:
                self._unresolved.add(name)
            return known.addresses if known is not None else frozenset()
        self._unresolved.discard(name)
        self._resolved[name] = _Resolved(now_ms, addresses)
        return addresses

    def _is_member(self, host: str, now_ms: float) -> bool:
        at_ms = self._members.get(host)
        return at_ms is not None and now_ms - at_ms < WINDOW_MS

    def _forget(self) -> None:
        """Switched off: what was unbroken is broken."""
        self._servers = {server: _Server() for server in self._servers}
        self._strangers.clear()


def _hosts(snapshot: Snapshot) -> set[str]:
    """Host names of the cluster's members."""
    hosts = {row.server_name.host for row in snapshot.region_servers.value or ()}
    hosts |= {name.host for name in snapshot.backup_masters.value or ()}
    hosts |= {location.server_name.host for location in snapshot.meta_locations.value or ()}
    if snapshot.active_master.value is not None:
        hosts.add(snapshot.active_master.value.server_name.host)
    return hosts
