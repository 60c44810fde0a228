"""The part that knows whether ZooKeeper may be firewalled; its day of watching goes on over restarts by the guard."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Coroutine

from registry.clock import Clock
from registry.config.settings import Settings
from registry.lookup.feed import RegistryFeed
from registry.lookup.firewall import FirewallAnswer, firewall_answer
from registry.lookup.firewall_kept import kept_text, take_kept
from registry.lookup.visitors import Visitors
from registry.lookup.zookeeper_users import ZooKeeperUsers
from registry.names import Address
from registry.role.mapping import zookeeper_hosts
from registry.role.part import Part
from registry.zk.cons import ask_connections, resolve

INTERVAL = "hbeacon.zookeeper.connections.interval_ms"
KEPT_MS = 10_000
"""As much of who came may be unknown after a restart."""


class FirewallPart(Part):
    """One for each server. Costs nothing while the setting is 0."""

    def __init__(
        self,
        visitors: Visitors,
        feed: RegistryFeed,
        settings: Callable[[], Settings],
        clock: Clock,
        kept: str,
        start_task: Callable[[Coroutine[None, None, None], str], None],
        *,
        facade_open: Callable[[], bool],
        advertised: Callable[[], Address],
    ) -> None:
        self._visitors = visitors
        self._settings = settings
        self._clock = clock
        self._start_task = start_task
        self._facade_open = facade_open
        self._advertised = advertised
        self._kept = kept
        self._kept_ms = clock.monotonic_ms()
        self.users = ZooKeeperUsers(
            zookeeper_hosts(settings()),
            ask_connections,
            resolve,
            clock,
            visitors,
            lambda: feed.snapshot,
            self._friends,
            lambda: float(settings().ms(INTERVAL)),
            take_kept(kept, visitors, clock),
        )

    async def start(self) -> None:
        """Begin to look at ZooKeeper's connections, when the setting says so."""
        self._start_task(self.users.run(), "zookeeper's connections")

    def answer(self) -> FirewallAnswer:
        """Whether ZooKeeper may be firewalled now."""
        own = self._advertised()
        servers = self._settings().addresses("hbeacon.registry.servers")
        return firewall_answer(
            self._visitors,
            self._clock.monotonic_ms(),
            self._clock.wall_ms(),
            facade_open=self._facade_open(),
            other_servers=sum(server != own for server in servers),
            looks=self.users.looks(),
            look_interval_ms=self.users.interval_ms,
            unresolved=self.users.unresolved(),
        )

    def kept_text(self) -> str:
        """For the next worker; written anew at most every KEPT_MS, since all hosts are gone through."""
        now_ms = self._clock.monotonic_ms()
        if now_ms - self._kept_ms >= KEPT_MS:
            self._kept_ms = now_ms
            self._kept = kept_text(self._visitors, self._clock, self.users.looked_since_ms())
        return self._kept

    def _friends(self) -> set[str]:
        settings = self._settings()
        hosts = {server.host for server in settings.addresses("hbeacon.registry.servers")}
        hosts |= {server.host for server in zookeeper_hosts(settings)}
        hosts.add(self._advertised().host)
        return {host for host in hosts if not _is_any(host)}


def _is_any(host: str) -> bool:
    """Whether it is an address that means all of a machine's."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
