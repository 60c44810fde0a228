"""In which order servers are asked, how long each may take, and how long to pause: pure, chance passed in.

Source: AbstractRpcBasedConnectionRegistry#groupCall (fan-out), ConnectionUtils#getPauseTime, HConstants.RETRY_BACKOFF.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Collection, Sequence
from typing import TypeVar

T = TypeVar("T")

RETRY_BACKOFF = (1, 2, 3, 5, 10, 20, 40, 100, 100, 100, 100, 200, 200)
"""Factors of hbase.client.pause, by the number of tries so far; the last stays."""

JITTER_RATIO = 0.01


class Policy(enum.Enum):
    """How a list of servers is asked."""

    RANDOM = "random"
    """One after the other in random order until the list is exhausted."""
    HEDGED = "hedged"
    """The best one, and another when it takes longer than it usually does; see registry.client.hedging."""
    FANOUT = "fanout"
    """As HBase: as many at once as hbase.client.bootstrap.hedged.fanout says, the next group when all have failed."""


def probe_order(servers: Sequence[T], last: Collection[T], chance: random.Random) -> list[T]:
    """The servers in random order; those in `last`, which failed a moment ago or answered stale, come last."""
    order = list(servers)
    chance.shuffle(order)
    order.sort(key=lambda server: server in last)  # stable: the order within both parts stays random
    return order


def groups(order: Sequence[T], fanout: int) -> list[tuple[T, ...]]:
    """Servers that are asked at once, group by group."""
    return [tuple(order[start : start + fanout]) for start in range(0, len(order), fanout)]


def share_ms(remaining_ms: float, groups_left: int) -> float:
    """How long a group may take: what is left, shared with the groups behind it.

    So a server that hangs takes its part of a caller's deadline and never all of it.
    """
    return max(remaining_ms, 0.0) / max(groups_left, 1)


def pause_ms(pause_base_ms: float, tries: int, chance: random.Random) -> float:
    """How long to wait after `tries` failed passes, counted from 0; up to 1 % longer, so that clients spread."""
    normal_ms = pause_base_ms * RETRY_BACKOFF[min(tries, len(RETRY_BACKOFF) - 1)]
    return normal_ms * (1 + JITTER_RATIO * chance.random())
