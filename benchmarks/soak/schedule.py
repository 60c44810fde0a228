"""What is done to adapters and ZooKeeper, and when: all of it follows from the seed, and is text.

    at 12.4 stop adapter=1
    at 15.0 delay adapter=0 for_s=2.5 by_ms=80

Adapter 0 is never stopped, killed or started again: its memory and its descriptors tell of the whole run. Paths to it
are hurt as those to the others are, and so is its ZooKeeper. At most all adapters but one are hurt at one time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

PAUSE_S = (2.0, 6.0)
"""Between two faults, least and most."""
FIRST_S = 3.0
REPLACED_S = 5.0
"""A worker that was stopped or killed answers again after this, on a busy machine too."""
ZOOKEEPER_APART_S = 40.0
"""HBase's own sessions are to outlive what happens to ZooKeeper: it is the registry that is tried here."""

WEIGHTS = {
    "stop": 3,  # SIGSTOP to the worker; the guard kills it
    "kill": 3,  # SIGKILL to the worker; the guard starts the next
    "restart": 2,  # guard and worker ended in order and started again
    "reset": 3,  # all connections of clients
    "delay": 3,  # on the way between clients and adapter
    "hole": 2,  # clients' bytes vanish for a while
    "part": 3,  # the adapter does not reach ZooKeeper
    "fault": 4,  # on demand: what the adapter itself does wrong
    "zookeeper-pause": 1,  # SIGSTOP for a while
    "zookeeper-restart": 1,
}
OWN_PROCESS = frozenset({"stop", "kill", "restart"})
SILENCING = OWN_PROCESS | {"hole", "fault"}
KINDS = ("delay", "hang", "half", "reset", "refuse", "hang-accept")
"""Faults on demand; not those that tell lies, for each answer is checked."""


@dataclass(frozen=True)
class Fault:
    """One line."""

    at_s: float
    verb: str
    adapter: int | None = None
    for_s: float = 0.0
    words: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        adapter = "" if self.adapter is None else f" adapter={self.adapter}"
        lasting = f" for_s={self.for_s:.1f}" if self.for_s else ""
        return f"at {self.at_s:.1f} {self.verb}{adapter}{lasting}" + "".join(f" {k}={v}" for k, v in self.words.items())


def faults(seed: int, adapters: int, duration_s: float) -> Iterator[Fault]:
    """All of a run, in order."""
    chance = random.Random(f"soak {seed}")
    free_s = [0.0] * adapters
    """From when on an adapter may be hurt again."""
    answers_s = [0.0] * adapters
    zookeeper_s = 15.0
    at_s = FIRST_S
    while at_s < duration_s:
        verb = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        lasting_s = round(chance.uniform(0.5, 4.0), 1)
        kind, by_ms = chance.choice(KINDS), chance.choice((20, 80, 200))
        probability = chance.choice(("0.2", "0.5", "1.0"))
        adapter = chance.randrange(1 if verb in OWN_PROCESS and adapters > 1 else 0, adapters)
        pause_s = chance.uniform(*PAUSE_S)
        if verb.startswith("zookeeper"):
            if at_s >= zookeeper_s:
                zookeeper_s = at_s + ZOOKEEPER_APART_S
                yield Fault(at_s, verb, for_s=lasting_s if verb.endswith("pause") else 0.0)
                at_s += pause_s
                continue
            verb = "reset"
        others_silent = sum(until_s > at_s for number, until_s in enumerate(answers_s) if number != adapter)
        if free_s[adapter] > at_s or (verb in SILENCING and others_silent >= adapters - 1):
            at_s += 0.5
            continue
        over_s = at_s + (REPLACED_S if verb in OWN_PROCESS else 0.0 if verb == "reset" else lasting_s + 0.5)
        free_s[adapter] = over_s
        if verb in SILENCING:
            answers_s[adapter] = over_s
        words = {"kind": kind, "probability": probability} if verb == "fault" else {}
        if verb == "delay" or (verb == "fault" and kind == "delay"):
            words["by_ms"] = str(by_ms)
        yield Fault(at_s, verb, adapter, 0.0 if verb in OWN_PROCESS or verb == "reset" else lasting_s, words)
        at_s += pause_s
