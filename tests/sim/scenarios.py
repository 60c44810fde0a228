"""What happens in a run, as text, one event a line: a failing seed can be kept, read, cut down and played again.

    setup kind=mixed seed=17 servers=3 clients=4 duration_ms=5000
    at 1200 hang server=1 for_ms=900
    at 1500 part client=2 server=0 for_ms=600

Verbs: `hang` (SIGSTOP), `kill` (and started again after `for_ms` by the guard), `slow`, `half` (answers break off),
`part` (a client from a server), `reset` (one connection), `cut` (a server from ZooKeeper), `outage` (ZooKeeper),
`master`, `meta`, `gone` (no master for a while), `noise`, `wipe` (ZooKeeper loses its history).
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

KINDS = ("mixed", "hung", "slow", "back")
"""Everything at once; K of N hang for good and clients come without history; all servers are slow alike; some hang or
die for a while, and then all is well for long."""
VERBS = ("hang", "kill", "slow", "half", "part", "reset", "cut", "outage", "master", "meta", "gone", "noise", "wipe")
LASTING_MS = (20, 100, 300, 700, 1500, 3000)


@dataclass(frozen=True)
class Happening:
    """One line."""

    at_ms: int
    verb: str
    values: dict[str, int] = field(default_factory=dict[str, int])

    def __str__(self) -> str:
        words = " ".join(f"{name}={value}" for name, value in self.values.items())
        return f"at {self.at_ms} {self.verb} {words}".rstrip()


@dataclass(frozen=True)
class Scenario:
    """All of a run: played twice, it gives the same trace twice."""

    kind: str
    seed: int
    servers: int
    clients: int
    duration_ms: int
    happenings: tuple[Happening, ...]

    def __str__(self) -> str:
        setup = f"setup kind={self.kind} seed={self.seed} servers={self.servers} clients={self.clients}"
        return "\n".join((f"{setup} duration_ms={self.duration_ms}", *map(str, self.happenings), ""))


def parse(text: str) -> Scenario:
    """Read a scenario; raises ValueError that names the line."""
    setup: dict[str, str] = {}
    happenings: list[Happening] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        try:
            if not words:
                continue
            if words[0] == "setup":
                setup = _values(words[1:])
            elif words[0] == "at" and words[2] in VERBS:
                values = {name: int(value) for name, value in _values(words[3:]).items()}
                happenings.append(Happening(int(words[1]), words[2], values))
            else:
                raise ValueError(f"no verb of {', '.join(VERBS)}")
        except (IndexError, ValueError) as error:
            raise ValueError(f"line {number}: {line!r}: {error}") from None
    numbers = {name: int(setup[name]) for name in ("seed", "servers", "clients", "duration_ms")}
    return Scenario(setup["kind"], happenings=tuple(happenings), **numbers)


def invent(seed: int) -> Scenario:
    """The scenario of a seed; the kinds take turns."""
    chance = random.Random(f"scenario {seed}")
    kind = KINDS[(0, 0, 1, 0, 2, 3)[seed % 6]]
    servers = chance.randint(2, 5) if kind in {"hung", "back"} else chance.choice((1, 2, 3, 3, 3, 5))
    if kind == "hung":
        hung = chance.sample(range(servers), chance.randint(1, servers - 1))
        happenings = [Happening(0, "hang", {"server": server, "for_ms": 1_000_000}) for server in hung]
        return Scenario(kind, seed, servers, 24, 3000, tuple(happenings))
    if kind == "slow":
        by_ms = chance.choice((5, 20, 60, 150, 400))
        happenings = [
            Happening(at_ms=0, verb="slow", values={"server": server, "by_ms": by_ms, "for_ms": 1_000_000})
            for server in range(servers)
        ]
        return Scenario(kind, seed, servers, 12, 8000, tuple(happenings))
    if kind == "back":
        happenings = [
            Happening(chance.randint(500, 3000), verb, {"server": server, "for_ms": chance.randint(100, 3000)})
            for server in chance.sample(range(servers), chance.randint(1, servers - 1))
            for verb in (chance.choice(("hang", "kill")),)
        ]
        return Scenario(kind, seed, servers, 4, 25_000, tuple(happenings))
    duration_ms = chance.choice((3000, 6000, 10_000))
    happenings = list(_mixed(chance, servers, clients := chance.randint(2, 5), duration_ms))
    return Scenario(kind, seed, servers, clients, duration_ms, tuple(sorted(happenings, key=lambda each: each.at_ms)))


def _mixed(chance: random.Random, servers: int, clients: int, duration_ms: int) -> Iterable[Happening]:
    # Some runs have a healthy server all along, so that there is no excuse for a look-up that fails.
    spared = chance.randrange(servers) if servers > 1 and chance.random() < 0.5 else None
    hurt = [server for server in range(servers) if server != spared]
    verbs = [verb for verb in VERBS if verb != "wipe"]
    for _ in range(chance.randint(3, 14)):
        verb = chance.choice(verbs)
        values: dict[str, int] = {}
        if verb in {"part", "reset"}:
            values["client"] = chance.randrange(clients)
        if verb in {"hang", "kill", "slow", "half", "part", "reset", "cut"}:
            values["server"] = chance.choice(hurt)
        if verb == "slow":
            values["by_ms"] = chance.choice((20, 100, 200))
        if verb in {"master", "meta"}:
            values["to"] = chance.randint(1, 9)
        if verb not in {"reset", "master", "meta", "noise"}:
            values["for_ms"] = chance.choice(LASTING_MS)
        yield Happening(chance.randint(0, duration_ms), verb, values)
    if chance.random() < 0.2:
        yield Happening(chance.randint(duration_ms // 4, duration_ms), "wipe")


def _values(words: Iterable[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words)
