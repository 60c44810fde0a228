"""May ZooKeeper be firewalled now? What was seen in the last day, what follows from it, and what cannot be seen here.

Pure: built from a record of visitors, and from the last looks at ZooKeeper's own connections where those are taken.
The answer errs on the careful side: yes is only said by who has looked at ZooKeeper itself for a whole day.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from registry.lookup.visitors import WINDOW_MS, HostSeen, Visitors, VisitPath

NAMES_MAX = 5
"""Hosts named in a sentence; the lists have all of them."""
SETTING = "hbeacon.zookeeper.connections.interval_ms"


class FirewallVerdict(enum.Enum):
    """The answer in one word."""

    NO = "no"
    """Somebody outside of the cluster was connected to ZooKeeper."""
    NOT_YET = "not yet"
    """Nobody was seen, but not for a whole day yet."""
    CANNOT_SEE = "cannot see"
    """Nothing speaks against it here, and nobody here looks at ZooKeeper's own connections."""
    YES = "yes"
    """Nobody outside of the cluster was connected to ZooKeeper in the last day."""


@dataclass(frozen=True, slots=True)
class ZooKeeperLooks:
    """How looking at one ZooKeeper server's list of connections (the word `cons`) goes. Monotonic milliseconds."""

    server: str
    since_ms: float | None
    """The first of an unbroken row of answers; None where the last look failed, or there was none yet."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FirewallHost:
    """A host of the last day; times are milliseconds since the epoch."""

    host: str
    first_seen_ms: float
    last_seen_ms: float
    count: int


@dataclass(frozen=True, slots=True)
class FirewallAnswer:
    """The answer, with what it rests on."""

    verdict: FirewallVerdict
    sentence: str
    watching_since_ms: float
    """Milliseconds since the epoch: what came before is not known."""
    watched_ms: float
    """Of the last day; where ZooKeeper's connections are looked at, all its servers have told them for so long."""
    registry_hosts: int
    """Hosts that came by the registry path (header, preamble or HTTP)."""
    facade_hosts: int
    facade_only: tuple[FirewallHost, ...]
    """Came by the façade and not by the registry path: what they need is a ZooKeeper door, ours. Latest first."""
    zookeeper_hosts: tuple[FirewallHost, ...]
    """Were connected to ZooKeeper itself and are no members of the cluster. Latest first."""
    zookeeper_watched: bool
    blind_spots: tuple[str, ...]
    """What cannot be seen from here, in sentences."""


def firewall_answer(
    visitors: Visitors,
    now_ms: float,
    wall_ms: float,
    *,
    facade_open: bool,
    other_servers: int = 0,
    looks: Sequence[ZooKeeperLooks] = (),
    look_interval_ms: float = 0.0,
    unresolved: Collection[str] = (),
) -> FirewallAnswer:
    """The answer at this moment.

    `other_servers`: hbeacon servers of the same cluster besides this one. `looks`: one for each ZooKeeper server where
    its connections are looked at. `unresolved`: members of the cluster whose addresses are not known.
    """
    by_registry, by_facade = visitors.registry_hosts(), visitors.hosts(VisitPath.FACADE)
    to_wall_ms = wall_ms - now_ms
    facade_only = [seen for host, seen in by_facade.items() if host not in by_registry]
    outsiders = _latest_first(visitors.hosts(VisitPath.ZOOKEEPER).values(), to_wall_ms)
    # A record that made room early may have been somebody's only one.
    since_ms = max(visitors.since_ms, visitors.forgotten_ms)
    looked_since_ms = max([since_ms, *(now_ms if row.since_ms is None else row.since_ms for row in looks)])
    watched_ms = min(WINDOW_MS, now_ms - looked_since_ms)
    if outsiders:
        verdict = FirewallVerdict.NO
    elif watched_ms < WINDOW_MS:
        verdict = FirewallVerdict.NOT_YET
    else:
        verdict = FirewallVerdict.YES if looks else FirewallVerdict.CANNOT_SEE
    answer = FirewallAnswer(
        verdict=verdict,
        sentence=_sentence(verdict, [row.host for row in outsiders], watched_ms),
        watching_since_ms=looked_since_ms + to_wall_ms,
        watched_ms=watched_ms,
        registry_hosts=len(by_registry),
        facade_hosts=len(by_facade),
        facade_only=_latest_first(facade_only, to_wall_ms),
        zookeeper_hosts=outsiders,
        zookeeper_watched=bool(looks),
        blind_spots=tuple(_blind_spots(visitors, looks, look_interval_ms, other_servers, unresolved)),
    )
    return _facade_said(answer, facade_open=facade_open)


def _sentence(verdict: FirewallVerdict, outsiders: Sequence[str], watched_ms: float) -> str:
    if verdict is FirewallVerdict.NO:
        were = "1 host that is no member" if len(outsiders) == 1 else f"{len(outsiders)} hosts that are no members"
        return f"No: {were} of the cluster connected to ZooKeeper in the last day ({_names(outsiders)})."
    if verdict is FirewallVerdict.NOT_YET:
        return f"Not yet: an answer takes a day of watching, and this server has watched for {_span(watched_ms)}."
    if verdict is FirewallVerdict.CANNOT_SEE:
        return (
            "It cannot be told from here: nothing seen speaks against it, and nobody here looks at who connects to"
            " ZooKeeper itself."
        )
    return "Yes: in the last day nobody but members of the cluster was connected to ZooKeeper."


def _facade_said(answer: FirewallAnswer, *, facade_open: bool) -> FirewallAnswer:
    """The answer with what it asks of the façade."""
    count = len(answer.facade_only)
    if not count:
        return answer
    know = "1 host knows" if count == 1 else f"{count} hosts know"
    names = _names([row.host for row in answer.facade_only])
    said = f" Keep the façade open: {know} nothing else ({names})."
    if not facade_open:
        said = f" {know} the cluster by a façade alone, and this server's is closed ({names})."
    return replace(answer, sentence=answer.sentence + said)


def _blind_spots(
    visitors: Visitors,
    looks: Sequence[ZooKeeperLooks],
    look_interval_ms: float,
    other_servers: int,
    unresolved: Collection[str],
) -> Iterator[str]:
    yield "A client that comes less often than once a day, such as a weekly job, may not have been seen."
    if looks:
        yield f"A connection to ZooKeeper that is shorter than {look_interval_ms / 1000:g} s may not have been seen."
        yield "Clients that run on hosts of the cluster itself, this one included, are taken for members."
    else:
        yield f"Who connects to ZooKeeper itself is not seen: {SETTING} is 0, or use the firewall's own log."
    for row in looks:
        if row.since_ms is None:
            yield f"ZooKeeper server {row.server} does not tell its connections: {row.problem or 'not asked yet'}."
    if unresolved:
        yield (
            f"The addresses of {len(unresolved)} members of the cluster are not known, so they may be among the hosts"
            f" ({_names(sorted(unresolved))})."
        )
    if other_servers:
        servers = "the other server" if other_servers == 1 else f"the {other_servers} other servers"
        yield f"Clients of {servers} in hbeacon.registry.servers are counted there: ask each."
    if visitors.forgotten:
        yield f"{visitors.forgotten} records made room before their day was over: more came than are kept."
    yield "A host behind address translation hides the others behind the same address."


def _latest_first(hosts: Iterable[HostSeen], to_wall_ms: float) -> tuple[FirewallHost, ...]:
    ordered = sorted(hosts, key=lambda seen: (-seen.last_ms, seen.host))
    return tuple(
        FirewallHost(seen.host, seen.first_ms + to_wall_ms, seen.last_ms + to_wall_ms, seen.count) for seen in ordered
    )


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
    return ", ".join(names[:NAMES_MAX]) + more


def _span(ms: float) -> str:
    minutes = int(ms // 60_000)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
