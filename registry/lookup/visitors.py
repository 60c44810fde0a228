"""Who bootstraps here: the clients of the last day by host, user, version and the way they came.

What follows from it for ZooKeeper's firewall is said by registry.lookup.firewall.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Protocol

from registry.clock import Clock

WINDOW_MS = 24 * 3600 * 1000.0
"""A client that has not been seen for this long is forgotten."""
VISITORS_MAX = 4096
"""Rows kept, some 400 bytes each; the one seen longest ago makes room."""
VISITORS_PER_HOST_MAX = 64
"""Rows of one host: a peer that invents user names fills its own share and pushes nobody else out."""
TEXT_CHARS_MAX = 96
"""Of a name that a peer sends."""
OTHERS = "(others)"
"""User and version of the row that counts what is over the share of its host."""


class VisitPath(enum.Enum):
    """How a client came."""

    PREAMBLE = "preamble"
    """Six bytes that ask for the cluster id, before any header: neither user nor version is told."""
    HEADER = "header"
    """A connection header of HBase RPC: user, service and, from Java clients, version."""
    HTTP = "http"
    """/api/v1/registry; the version is the User-Agent."""
    FACADE = "facade"
    """The read-only ZooKeeper door: ZooKeeper's handshake tells neither user nor version."""
    ZOOKEEPER = "zookeeper"
    """ZooKeeper itself, where its list of connections is looked at; members of the cluster are not counted."""


class HeaderInfo(Protocol):
    """What a connection header tells; empty where the client does not say."""

    @property
    def user(self) -> str:
        """Effective user."""
        ...

    @property
    def service(self) -> str:
        """The service that the connection is for, such as ClientMetaService."""
        ...

    @property
    def version(self) -> str:
        """Version as the client writes it, such as 2.6.4; gohbase and asynchbase send none."""
        ...


@dataclass(frozen=True, slots=True)
class Visitor:
    """One client as far as the handshake tells it."""

    path: VisitPath
    host: str
    user: str
    client_version: str
    service: str
    first_seen_ms: float
    """Wall clock, milliseconds since the epoch."""
    last_seen_ms: float
    count: int
    """Connections (HTTP: requests; ZooKeeper: looks that found it connected) since it was first seen."""


@dataclass(frozen=True, slots=True)
class HostSeen:
    """One host by one way, whatever users and versions it had. Times are those of the monotonic clock."""

    host: str
    first_ms: float
    last_ms: float
    count: int


_Key = tuple[VisitPath, str, str, str, str]


class _Row:
    __slots__ = ("count", "first_ms", "last_ms")

    def __init__(self, now_ms: float) -> None:
        self.first_ms = now_ms
        self.last_ms = now_ms
        self.count = 0


class Visitors:
    """A bounded record, O(1) for each connection; belongs to one loop.

    Implements the RPC server's ConnectionObserver.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        visitors_max: int = VISITORS_MAX,
        per_host_max: int = VISITORS_PER_HOST_MAX,
        window_ms: float = WINDOW_MS,
    ) -> None:
        self._clock = clock
        self._visitors_max = visitors_max
        self._per_host_max = per_host_max
        self._window_ms = window_ms
        self._rows: OrderedDict[_Key, _Row] = OrderedDict()
        """Longest unseen first."""
        self._rows_by_host: Counter[str] = Counter()
        self.forgotten = 0
        """Rows that had to make room before their day was over."""
        self.forgotten_ms = -math.inf
        """When that happened last."""
        self.since_ms = clock.monotonic_ms()
        """Since when nobody was missed."""
        self.sightings: dict[VisitPath, int] = dict.fromkeys(VisitPath, 0)
        """Connections (HTTP: requests) since the start, by path."""

    def header_seen(self, peer_host: str, info: HeaderInfo) -> None:
        """A connection header has been read."""
        self._seen((VisitPath.HEADER, peer_host, _text(info.user), _text(info.version), _text(info.service)))

    def registry_preamble_seen(self, peer_host: str) -> None:
        """A client has asked for the cluster id by preamble."""
        self._seen((VisitPath.PREAMBLE, peer_host, "", "", ""))

    def http_seen(self, peer_host: str, user_agent: str) -> None:
        """The registry has been read over HTTP."""
        self._seen((VisitPath.HTTP, peer_host, "", _text(user_agent), ""))

    def facade_seen(self, peer_host: str) -> None:
        """A connection has come to the façade and begun ZooKeeper's handshake."""
        self._seen((VisitPath.FACADE, peer_host, "", "", ""))

    def zookeeper_seen(self, peer_host: str) -> None:
        """A host that is no member of the cluster was connected to ZooKeeper when it was looked at."""
        self._seen((VisitPath.ZOOKEEPER, peer_host, "", "", ""))

    def hosts(self, path: VisitPath) -> dict[str, HostSeen]:
        """The hosts of the last day that came by one way."""
        self._forget_old(self._clock.monotonic_ms())
        found: dict[str, HostSeen] = {}
        for key, row in self._rows.items():
            if key[0] is path:
                host = key[1]
                known = found.get(host)
                first_ms = row.first_ms if known is None else min(row.first_ms, known.first_ms)
                count = row.count if known is None else row.count + known.count
                found[host] = HostSeen(host, first_ms, row.last_ms, count)  # rows come in the order of last_ms
        return found

    def registry_hosts(self) -> set[str]:
        """The hosts of the last day that came by the registry path: header, preamble or HTTP."""
        self._forget_old(self._clock.monotonic_ms())
        facade, zookeeper = VisitPath.FACADE, VisitPath.ZOOKEEPER
        return {key[1] for key in self._rows if key[0] is not facade and key[0] is not zookeeper}

    def remember(self, path: VisitPath, host: str, first_ms: float, last_ms: float) -> None:
        """Take over what an earlier life of this server has seen; the oldest first, before anybody else comes."""
        if self._rows_by_host[host] >= self._per_host_max or len(self._rows) >= self._visitors_max:
            return
        row = self._add((path, _text(host), "", "", ""), last_ms)
        row.first_ms = first_ms

    def rows(self, limit: int | None = None) -> tuple[Visitor, ...]:
        """The clients of the last day, latest first; the latest `limit` of them where it is given."""
        now_ms = self._clock.monotonic_ms()
        self._forget_old(now_ms)
        to_wall_ms = self._clock.wall_ms() - now_ms
        return tuple(
            Visitor(path, host, user, version, service, row.first_ms + to_wall_ms, row.last_ms + to_wall_ms, row.count)
            for (path, host, user, version, service), row in itertools.islice(reversed(self._rows.items()), limit)
        )

    def versions(self) -> Counter[tuple[VisitPath, str]]:
        """How many clients of the last day came by each path with each version; empty where none is told."""
        self._forget_old(self._clock.monotonic_ms())
        return Counter((key[0], key[3]) for key in self._rows)

    def __len__(self) -> int:
        """Rows kept now."""
        return len(self._rows)

    def _seen(self, key: _Key) -> None:
        now_ms = self._clock.monotonic_ms()
        self.sightings[key[0]] += 1
        row = self._rows.get(key)
        if row is None:
            if self._rows_by_host[key[1]] >= self._per_host_max:
                key = (key[0], key[1], OTHERS, OTHERS, OTHERS)
                row = self._rows.get(key)
            if row is None:
                row = self._add(key, now_ms)
        row.last_ms = now_ms
        row.count += 1
        self._rows.move_to_end(key)

    def _add(self, key: _Key, now_ms: float) -> _Row:
        self._forget_old(now_ms)
        while len(self._rows) >= self._visitors_max:
            self._drop_oldest()
            self.forgotten += 1
            self.forgotten_ms = now_ms
        row = self._rows[key] = _Row(now_ms)
        self._rows_by_host[key[1]] += 1
        return row

    def _forget_old(self, now_ms: float) -> None:
        oldest_ms = now_ms - self._window_ms
        while self._rows and next(iter(self._rows.values())).last_ms < oldest_ms:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        (_, host, *_rest), _row = self._rows.popitem(last=False)
        self._rows_by_host[host] -= 1
        if not self._rows_by_host[host]:
            del self._rows_by_host[host]


def _text(value: str) -> str:
    """A peer's string made fit to keep: short, and without control characters that would break a line of a log."""
    if len(value) > TEXT_CHARS_MAX:
        value = value[: TEXT_CHARS_MAX - 1] + "…"
    return value if value.isprintable() else "".join(char if char.isprintable() else "�" for char in value)
