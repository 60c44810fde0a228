"""The registry servers a connection knows: those configured, those handed out since, and which failed lately.

A machine without sockets: what happened goes in, the order to ask in comes out.

Source: ConnectionRegistryRpcStubHolder, FailedServers, RegistryEndpointsRefresher (HBASE-26173).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable

from registry.client.probing import probe_order
from registry.client.settings import ClientSettings
from registry.clock import Clock
from registry.names import Address


class ServerList:
    """Where HBase replaces its list by whatever it is handed, the configured servers here stay as the last resort."""

    def __init__(
        self, configured: Iterable[Address], settings: ClientSettings, clock: Clock, chance: random.Random
    ) -> None:
        self.configured = tuple(dict.fromkeys(configured))
        """What the user gave; asked after `current` has failed."""
        self.current = self.configured
        """Configured or handed out; never empty."""
        assert self.configured, "a target has servers"
        self._settings = settings
        self._clock = clock
        self._failed_ms: dict[Address, float] = {}
        """When a server last failed; entries older than the expiry mean nothing."""
        self._chance = chance
        self._spread = chance.random()
        """Where in its interval the next refresh lies, 0 to 1: clients that started together part at once."""
        self._refreshed_ms = clock.monotonic_ms()
        self._refreshed_once = False
        self._trouble = False
        """A connection has failed since the last refresh."""

    def order(self, chance: random.Random, avoid: Collection[Address] = ()) -> list[Address]:
        """Whom to ask, one after the other; `avoid` and those that failed a moment ago come last in their part."""
        late = {*self._failed_now(), *avoid}
        rest = [server for server in self.configured if server not in self.current]
        return probe_order(self.current, late, chance) + probe_order(rest, late, chance)

    def failed(self, server: Address) -> None:
        """`server` could not be reached or went away: time to look for others."""
        self._failed_ms[server] = self._clock.monotonic_ms()
        self._trouble = True

    def answered(self, server: Address) -> None:
        """`server` answers."""
        self._failed_ms.pop(server, None)

    def configure(self, servers: Iterable[Address]) -> None:
        """The user's list has changed: it is in force at once."""
        servers = tuple(dict.fromkeys(servers))
        if servers and servers != self.configured:
            self.configured = self.current = servers
            self._failed_ms.clear()

    def replace(self, servers: Iterable[Address]) -> None:
        """Servers were handed out, and at least one of them answered; an empty list changes nothing."""
        servers = tuple(dict.fromkeys(servers))
        if servers:
            self.current = servers

    def next_refresh_ms(self) -> float | None:
        """Milliseconds until the list is to be renewed, 0 for now; None for never.

        With full jitter: anywhere between the shortest pause that HBase's settings allow and the interval, or, after
        trouble, which all clients of a server have at once, twice that pause.
        """
        settings = self._settings
        if settings.refresh_interval_ms <= 0:
            return None
        least_ms = settings.refresh_min_interval_ms
        if self._trouble:
            most_ms = 2 * least_ms
        elif self._refreshed_once:
            most_ms = settings.refresh_interval_ms
        else:
            least_ms, most_ms = 0.0, settings.refresh_initial_delay_ms
        wait_ms = least_ms + max(0.0, most_ms - least_ms) * self._spread
        return max(0.0, self._refreshed_ms + wait_ms - self._clock.monotonic_ms())

    def refresh_begins(self) -> None:
        """A refresh is under way: trouble from now on asks for another."""
        self._trouble = False
        self._refreshed_once = True

    def refresh_ended(self) -> None:
        """It is over, whatever came of it: intervals are counted from now."""
        self._refreshed_ms = self._clock.monotonic_ms()
        self._spread = self._chance.random()

    def _failed_now(self) -> list[Address]:
        oldest_ms = self._clock.monotonic_ms() - self._settings.failed_server_expiry_ms
        for server in [server for server, failed_ms in self._failed_ms.items() if failed_ms < oldest_ms]:
            del self._failed_ms[server]
        return list(self._failed_ms)
