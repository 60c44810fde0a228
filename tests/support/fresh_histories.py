"""Histories of writes to ZooKeeper and of fresh look-ups elsewhere, and what must be true of them.

One writer gives one znode the values 1, 2, 3 ... A session's requests take effect in their order, also those that were
never acknowledged, so the values are the order of the writes, and a history can be explained by one register that all
share (it is linearizable) exactly where for each look-up

* nothing newer than its value was acknowledged before it was asked,
* its value had been begun to be written when it was answered,
* no look-up that had been answered before it was asked has seen a newer value.

All moments are of one monotonic clock. Source: Herlihy and Wing, "Linearizability: a correctness condition for
concurrent objects", for a register whose order of writes is known.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Write:
    """One change."""

    value: int
    began_s: float
    acked_s: float | None = None
    """None where nobody knows whether it has taken effect."""
    zxid: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """One look-up that was answered."""

    protocol: str
    server: str
    """`host:port` that answered, of one process from its start to its end."""
    asked_s: float
    answered_s: float
    value: int
    generation: int
    zxid: int
    min_zxid: int = 0
    """That was asked for; 0 where it was asked to be fresh."""

    def __str__(self) -> str:
        asked = f"min_zxid 0x{self.min_zxid:x}" if self.min_zxid else "fresh"
        return f"{self.protocol} {asked} of {self.server}: {self.value} at {self.generation}:0x{self.zxid:x}"


@dataclass(slots=True)
class History:
    """What happened; added to in the order of the answers."""

    writes: list[Write] = field(default_factory=list[Write])
    looks: list[Look] = field(default_factory=list[Look])
    refused: Counter[str] = field(default_factory=Counter[str])
    """Look-ups that were not answered, by protocol."""
    lies: list[str] = field(default_factory=list[str])
    """Refusals that say what cannot be."""

    @property
    def acked(self) -> Write | None:
        """The last write that was acknowledged."""
        return next((write for write in reversed(self.writes) if write.acked_s is not None), None)


def problems(history: History) -> list[str]:
    """What cannot be, one sentence each."""
    return [
        *history.lies,
        *_unfresh(history),
        *_from_the_future(history),
        *_back_in_time(history.looks),
        *_versions_back(history.looks),
    ]


def _unfresh(history: History) -> Iterable[str]:
    acked = [(write.acked_s, write) for write in history.writes if write.acked_s is not None]
    moments = [acked_s for acked_s, _ in acked]
    for look in history.looks:
        if look.min_zxid:
            if look.zxid < look.min_zxid:
                yield f"{look}: not as far as was asked"
            continue
        count = bisect.bisect_left(moments, look.asked_s)
        if not count:
            continue
        acked_s, write = acked[count - 1]
        if look.value < write.value:
            late_ms = (look.asked_s - acked_s) * 1000
            yield f"{look}: {write.value} was acknowledged {late_ms:.1f} ms before the question"
        if look.zxid < write.zxid:
            yield f"{look}: 0x{write.zxid:x} was acknowledged before the question"


def _from_the_future(history: History) -> Iterable[str]:
    began_s = {write.value: write.began_s for write in history.writes}
    for look in history.looks:
        if look.value not in began_s:
            yield f"{look}: nobody wrote that"
        elif began_s[look.value] > look.answered_s:
            yield f"{look}: it was written only afterwards"


def _back_in_time(looks: Iterable[Look]) -> Iterable[str]:
    """Over all servers and protocols."""
    fresh = [look for look in looks if not look.min_zxid]
    newest: Look | None = None
    answered = sorted(fresh, key=lambda look: look.answered_s)
    index = 0
    for look in sorted(fresh, key=lambda look: look.asked_s):
        while index < len(answered) and answered[index].answered_s < look.asked_s:
            if newest is None or answered[index].value > newest.value:
                newest = answered[index]
            index += 1
        if newest is not None and look.value < newest.value:
            yield f"{look}: before it was asked, {newest} had been answered"


def _versions_back(looks: Iterable[Look]) -> Iterable[str]:
    """On one server, whatever was asked."""
    every = list(looks)
    for server in sorted({look.server for look in every}):
        own = [look for look in every if look.server == server]
        answered = sorted(own, key=lambda look: look.answered_s)
        index, highest = 0, (0, 0)
        for look in sorted(own, key=lambda look: look.asked_s):
            while index < len(answered) and answered[index].answered_s < look.asked_s:
                highest = max(highest, (answered[index].generation, answered[index].zxid))
                index += 1
            if (look.generation, look.zxid) < highest:
                yield f"{look}: version {highest[0]}:0x{highest[1]:x} had been answered before it was asked"
