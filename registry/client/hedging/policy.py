"""Whom to ask first, how long to wait before the next, and what is learnt from each answer.

Source: Dean and Barroso, The Tail at Scale, CACM 2013 (hedged requests, tied to a quantile); HBASE-18095 and its
review (the delay that HBase's own hedging was to get in a follow-on).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from registry.client.hedging.budget import HedgePool
from registry.client.hedging.latencies import Latencies
from registry.client.hedging.standing import Standing

S = TypeVar("S", bound=Hashable)

DECISIVE_RATIO = 0.5
"""While nobody knows what is usual, a hedge that took at most half as long as the server before it was silent."""

PATIENCE_MS_MIN = 250.0
PATIENCE_USUALS = 4.0
"""Silence that no budget weighs against: a quarter of a second, or four times what is unusual."""


@dataclass(frozen=True, slots=True)
class HedgeSettings:
    """The numbers of the policy."""

    delay_unknown_ms: float = 10.0
    """Before the first hedge while nothing is known of the server asked."""
    delay_quantile: float = 0.95
    """Later: so many of its answers need no longer than the delay."""
    delay_ms_min: float = 1.0
    """A hedge sooner than this would answer the scheduler's hiccups, not the server's."""
    delay_ms_max: float = 1000.0
    budget_ratio: float = 0.05
    """Extra calls for each needed one, those not counted that win."""
    budget_tokens_max: float = 20.0
    """Extra calls that may come in a row."""
    explore_ratio: float = 0.02
    """Look-ups that try another server than the best, so that its recovery is seen."""
    as_good_ratio: float = 1.5
    as_good_ms: float = 1.0
    """Servers within this of the best share the look-ups."""


class HedgePolicy(Generic[S]):
    """What one client knows of its servers."""

    __slots__ = ("_chance", "budget", "fruitless", "latencies", "pool", "settings", "standing")

    def __init__(self, settings: HedgeSettings, pool: HedgePool, chance: random.Random) -> None:
        self.settings = settings
        self.pool = pool
        self.budget = pool.budget
        self.latencies = Latencies()
        self.standing = Standing(chance)
        self._chance = chance
        self.fruitless = 0
        """Look-ups in a row that nobody answered."""

    def choose(
        self, servers: Sequence[S], method: str, now_ms: float, late: Collection[S] = (), near: Collection[S] = ()
    ) -> S:
        """Whom to ask now; `late` are those that gave a stale answer: asked only where nobody else may be.

        `near` are those with an open connection: while nothing is known of anybody, one of them is asked, for another
        would cost a connection and teach nothing. Raises ValueError where `servers` is empty.
        """
        if not servers:
            raise ValueError("nobody is left to ask")
        standing = self.standing
        is_new = not self.latencies.knows(method)
        if is_new and not late and standing.all_good:
            return self._any([server for server in near if server in servers] or servers)
        able = [server for server in servers if standing.may_ask(server, now_ms)]
        first = ([server for server in able if server not in late] or able) if late else able
        if not first:  # all are out: the one that comes back first
            return min(servers, key=lambda server: (server in late, standing.returns_ms(server)))
        if len(first) == 1:
            return first[0]
        known_ms: list[float | None] = []
        if not is_new:
            known_ms = [self.latencies.quantile_ms(server, method, 0.5) for server in first]
        if not any(known_ms):
            return self._any([server for server in near if server in first] or first)
        if self._chance.random() < self.settings.explore_ratio:
            return self._any(first)
        medians_ms = [median_ms or 0.0 for median_ms in known_ms]
        enough_ms = min(medians_ms) * self.settings.as_good_ratio + self.settings.as_good_ms
        good = [server for server, median_ms in zip(first, medians_ms, strict=True) if median_ms <= enough_ms]
        return self._any(good)

    def _any(self, servers: Sequence[S]) -> S:
        """As random.choice, for a fifth of its price."""
        return servers[int(self._chance.random() * len(servers))]

    def delay_ms(self, server: S, method: str) -> float:
        """How long to wait for this server before the next is asked too."""
        return self.waits_ms(server, method, float("inf"))[0]

    def waits_ms(self, server: S, method: str, limit_ms: float) -> tuple[float, float]:
        """How long to wait for this server before another is asked for a token, and before one is asked without."""
        settings, usual_ms = self.settings, self.pool.usual_ms
        learnt_ms = None
        if self.latencies.knows(method):
            learnt_ms = self.latencies.quantile_ms(server, method, settings.delay_quantile)
        if learnt_ms is None:
            delay_ms = max(settings.delay_unknown_ms, usual_ms)
        else:
            delay_ms = min(max(learnt_ms, settings.delay_ms_min), settings.delay_ms_max)
        patience_ms = self.patience_ms(limit_ms)
        return min(delay_ms, patience_ms), patience_ms

    def answered(self, server: S, method: str, elapsed_ms: float, now_ms: float) -> None:
        """An answer came."""
        self.fruitless = 0
        self.pool.answered(elapsed_ms, now_ms)
        self.latencies.add(server, method, elapsed_ms, now_ms)
        self.standing.answered(server)

    def patience_ms(self, limit_ms: float) -> float:
        """After such a silence the next server is asked even where the budget is used up; at most the limit."""
        return min(limit_ms, max(PATIENCE_MS_MIN, PATIENCE_USUALS * self.pool.usual_ms))

    def is_unusual(self, silent_ms: float, own_ms: float) -> bool:
        """Whether a server was silent for so long that asking another, which took `own_ms`, was right."""
        usual_ms = self.pool.usual_ms
        return silent_ms > usual_ms if usual_ms else own_ms <= DECISIVE_RATIO * silent_ms

    def is_silent(self, silent_ms: float) -> bool:
        """Whether a server that nobody was asked to compare with was silent for too long."""
        return silent_ms >= (self.pool.usual_ms or PATIENCE_MS_MIN)

    def failed(self, server: S, now_ms: float) -> None:
        """It could not be asked, or went away, or said nonsense."""
        self.standing.struck(server, now_ms)

    def overtaken(self, server: S, method: str, elapsed_ms: float, now_ms: float) -> None:
        """Somebody asked later has answered before it: all that is known is that it takes longer than this."""
        self.latencies.add(server, method, elapsed_ms, now_ms)
        self.standing.struck(server, now_ms)
