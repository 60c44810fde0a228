"""How many calls may be made beyond the needed ones, and who shares that.

Every look-up earns a few hundredths of an extra call. A hedge pays one, and gets it back when it wins over a server
that has been silent for unusually long, as do those before it in the same look-up: they were needed. So extra calls
that bring nothing stay below a few per cent, and when all servers are slow alike the hedges stop, while a hung server
costs no budget at all.

All clients of a process that ask the same servers share one budget: a thousand clients that start at once would each
believe that theirs is the only extra call.

Source: gRPC A6 (retry throttling); Dean and Barroso, The Tail at Scale, CACM 2013.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterable

from registry.client.hedging.latencies import Recent

USUAL_MEDIANS = 3.0
"""A few outliers, such as the first answers of a cold process, do not move a median."""


IMPATIENT_MAX = 64
"""Look-ups of a process that have asked another server without paying, and wait. Where one server hangs and others are
well, each gets its answer at once and makes room; where everything is slow, or this process itself, more of them would
only add to it."""

SAMPLE_MS = 5.0
"""Two hundred samples a second tell a median as well as all answers do."""


class HedgeBudget:
    """A bucket of tokens; one token is one extra call."""

    __slots__ = ("_ratio", "_tokens", "denied", "tokens_max")

    def __init__(self, ratio: float, tokens_max: float) -> None:
        self._ratio = ratio
        self.tokens_max = tokens_max
        self._tokens = tokens_max
        self.denied = 0
        """Hedges that were not sent for want of a token."""

    @property
    def tokens(self) -> float:
        """Extra calls that may be made now."""
        return self._tokens

    def earn(self) -> None:
        """A look-up has begun."""
        self._tokens = min(self.tokens_max, self._tokens + self._ratio)

    def take(self) -> bool:
        """Pay for a hedge; False where there is nothing left."""
        if self._tokens < 1.0:
            self.denied += 1
            return False
        self._tokens -= 1.0
        return True

    def give_back(self) -> None:
        """The hedge has won."""
        self._tokens = min(self.tokens_max, self._tokens + 1.0)


class HedgePool:
    """What all clients of a process share that ask the same servers: the budget, and how long answers take."""

    __slots__ = ("__weakref__", "_answers", "_sampled_ms", "budget", "impatient")

    def __init__(self, ratio: float, tokens_max: float) -> None:
        self.budget = HedgeBudget(ratio, tokens_max)
        self._answers: Recent | None = None
        self._sampled_ms = 0.0
        self.impatient = 0
        """Look-ups that have lost their patience and wait still."""

    def may_lose_patience(self) -> bool:
        """Whether one more look-up may ask another server without paying; it then counts until it is over."""
        if self.impatient >= IMPATIENT_MAX:
            return False
        self.impatient += 1
        return True

    def answered(self, elapsed_ms: float, now_ms: float) -> None:
        """Some server has answered some client; once enough is known, one of those that come together is a sample."""
        if self._answers is None:
            self._answers = Recent(now_ms)
        elif 0 <= now_ms - self._sampled_ms < SAMPLE_MS and self._answers.is_known:
            return
        self._sampled_ms = now_ms
        self._answers.add(max(elapsed_ms, 0.0), now_ms)

    @property
    def usual_ms(self) -> float:
        """Longer than this is unusual, whoever was asked; 0 while too little is known.

        It holds what this process itself adds when it is busy: a client that cannot keep up must not take its own
        delay for the servers'.
        """
        median_ms = None if self._answers is None else self._answers.quantile_ms(0.5)
        return 0.0 if median_ms is None else USUAL_MEDIANS * median_ms


_pools: weakref.WeakValueDictionary[tuple[frozenset[Hashable], float, float], HedgePool] = weakref.WeakValueDictionary()


def shared_pool(servers: Iterable[Hashable], ratio: float, tokens_max: float) -> HedgePool:
    """The pool of all clients in this process that ask these servers; gone with the last of them."""
    key = (frozenset(servers), ratio, tokens_max)
    pool = _pools.get(key)
    if pool is None:
        pool = _pools[key] = HedgePool(ratio, tokens_max)
    return pool
