"""How many calls may be made beyond the needed ones, and who shares that.

Every look-up earns a few hundredths of an extra call. A hedge pays one, and gets it back when it wins clearly, as do
those before it in the same look-up: they were needed, for the servers before them hang or crawl. So extra calls that
bring nothing stay below a few per cent, and when all servers are slow alike the hedges stop, while a hung server costs
no budget at all.

All clients of a process that ask the same servers share one budget: a thousand clients that start at once would each
believe that theirs is the only extra call.

Source: gRPC A6 (retry throttling); Dean and Barroso, The Tail at Scale, CACM 2013.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterable


class HedgeBudget:
    """A bucket of tokens; one token is one extra call."""

    __slots__ = ("__weakref__", "_ratio", "_tokens", "denied", "tokens_max")

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


_shared: weakref.WeakValueDictionary[tuple[frozenset[Hashable], float, float], HedgeBudget] = (
    weakref.WeakValueDictionary()
)


def shared_budget(servers: Iterable[Hashable], ratio: float, tokens_max: float) -> HedgeBudget:
    """The budget of all clients in this process that ask these servers; gone with the last of them."""
    key = (frozenset(servers), ratio, tokens_max)
    budget = _shared.get(key)
    if budget is None:
        budget = _shared[key] = HedgeBudget(ratio, tokens_max)
    return budget
