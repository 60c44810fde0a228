"""Names of registry servers that stand for several addresses: each address is a server of its own.

One name with many A records is how servers behind DNS are listed. Left to the socket it would be one server, and the
first address, hung or not, would be asked for ever. Names are resolved again while they are used, so servers may come
and go behind them.

Source: HBASE-22041, HBASE-26022 (addresses that were kept too long).
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from registry.clock import Clock
from registry.names import Address

logger = logging.getLogger("registry.client")

KEPT_MS = 30_000.0
"""Then a name is resolved again; the old addresses serve meanwhile, and where it does not resolve any more."""

Resolve = Callable[[str], Awaitable[list[tuple[int, str]]]]
"""Host name to (family, address)."""


@dataclass(slots=True)
class _Name:
    addresses: tuple[str, ...]
    """Empty: the name is used as it is."""
    at_ms: float


class Resolver:
    """Belongs to one loop."""

    def __init__(self, clock: Clock, resolve: Resolve | None = None) -> None:
        self._clock = clock
        self._resolve = resolve or _resolve
        self._names: dict[str, _Name] = {}
        self._literal: tuple[Address, ...] = ()
        """A list that holds addresses alone."""
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def knows(self, servers: tuple[Address, ...]) -> bool:
        """Whether `expand` would give this very list again, as it does for one without names."""
        return servers is self._literal

    async def expand(self, servers: Iterable[Address]) -> tuple[Address, ...]:
        """The servers with names of several addresses replaced by those. Waits for names seen for the first time."""
        servers = tuple(servers)
        if all(_is_literal(server.host) for server in servers):
            self._literal = servers
            return servers
        unknown: set[asyncio.Task[None]] = set()
        for host in {server.host for server in servers if not _is_literal(server.host)}:
            known = self._names.get(host)
            if known is None or self._clock.monotonic_ms() - known.at_ms >= KEPT_MS:
                task = self._begin(host)
                if known is None:
                    unknown.add(task)
        if unknown:
            await asyncio.wait(unknown)
        found: list[Address] = []
        for server in servers:
            known = self._names.get(server.host)
            several = known.addresses if known is not None else ()
            found.extend([Address(address, server.port) for address in several] or [server])
        return tuple(dict.fromkeys(found))

    async def close(self) -> None:
        """Wait for nothing any more."""
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, host: str) -> asyncio.Task[None]:
        task = self._under_way.get(host)
        if task is None:
            task = self._under_way[host] = asyncio.create_task(self._look_up(host), name=f"resolve {host}")
            task.add_done_callback(lambda _: self._under_way.pop(host, None))
        return task

    async def _look_up(self, host: str) -> None:
        before = self._names.get(host)
        try:
            found = list(dict.fromkeys(await self._resolve(host)))
        except OSError as error:
            addresses = before.addresses if before is not None else ()
            if addresses:
                logger.warning("%s does not resolve (%s): its last addresses are used", host, error)
        else:
            families = [family for family, _ in found]
            # one address of each family is one server that speaks both; the socket tries both by itself
            several = any(families.count(family) > 1 for family in families)
            addresses = tuple(address for _, address in found) if several else ()
        self._names[host] = _Name(addresses, self._clock.monotonic_ms())


async def _resolve(host: str) -> list[tuple[int, str]]:
    infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [(family, str(address[0])) for family, _, _, _, address in infos]


@functools.lru_cache(maxsize=1024)
def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
