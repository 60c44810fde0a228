"""One hedged look-up as a machine: told of answers, failures and time, it says whom to ask next.

    lookup = HedgedLookup(policy, servers, "GetClusterId", now_ms, limit_ms)
    ask(lookup.first())                  then, as things happen:
    lookup.woken(now_ms)                 at lookup.wake_ms: perhaps another server, or the end
    lookup.failed(server, now_ms)        perhaps another server, at once
    lookup.answered(server, now_ms)      over: the others are to be cancelled

Each server is asked once at most. A hedge needs a token of the budget; a server that takes the place of one that
failed, or that has been silent for longer than the caller's patience, needs none.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from registry.client.hedging.policy import HedgePolicy

S = TypeVar("S", bound=Hashable)

LAST_WORD_MS = 1000.0
LAST_WORD_DELAYS = 4.0
LAST_WORD_DOUBLINGS_MAX = 6
"""When nobody is left to ask and some have failed, those that are silent get so long, or so many of their delays,
before the look-up fails and its caller tries all of them again: who has failed may be back long before who hangs. Twice
as long after each look-up in a row that nobody answered: they may just be slow."""

LATE_MS_MIN = 5.0
OWN_DELAY_MS_MAX = 2000.0
"""A caller that wakes this much too late is busy itself: what it should have heard may lie unread in its sockets. So
much of a silence is its own, up to a bound, and is not held against the server."""


@dataclass(slots=True)
class Asked:
    """One call of the look-up."""

    at_ms: float
    is_hedge: bool
    """It was paid for by the budget."""


class HedgedLookup(Generic[S]):
    """Of one question. Knows no sockets and no clock: time is passed in."""

    __slots__ = (
        "_delay_ms", "_has_failed", "_is_given_up", "_is_impatient", "_late", "_left", "_limit_ms", "_method", "_near",
        "_own_delay_ms", "_patient_until_ms", "_policy", "asked", "cancelled", "hedge_won", "hedges",
        "wake_ms", "winner",
    )  # fmt: skip

    def __init__(
        self,
        policy: HedgePolicy[S],
        servers: Sequence[S],
        method: str,
        now_ms: float,
        limit_ms: float,
        late: Collection[S] = (),
        near: Collection[S] = (),
    ) -> None:
        """`limit_ms`: after such a silence, or sooner, the next server is asked whatever the budget says.

        `servers` has each of them once; `late` and `near` as in HedgePolicy.choose.
        """
        self._policy = policy
        self._left = list(servers)
        self._method = method
        self._late = late
        self._near = near
        self._limit_ms = limit_ms
        self._delay_ms = 0.0
        self._has_failed = False
        """Somebody has."""
        self._is_given_up = False
        self._is_impatient = False
        self._patient_until_ms = now_ms
        self._own_delay_ms = 0.0
        """For so long the caller could not have heard an answer."""
        self.asked: dict[S, Asked] = {}
        """Calls under way."""
        self.wake_ms: float | None = None
        """When to call `woken`; None where nothing changes by time alone."""
        self.hedges = 0
        """Extra calls that were made."""
        self.hedge_won = False
        self.winner: S | None = None
        self.cancelled: tuple[S, ...] = ()
        """Calls that were under way when somebody else answered."""
        policy.budget.earn()

    @property
    def is_over(self) -> bool:
        """Somebody has answered, or everybody has failed."""
        return self.winner is not None or (not self.asked and not self._left)

    def first(self, now_ms: float) -> S | None:
        """Whom to ask first; None where there is nobody."""
        return self._ask(now_ms, is_hedge=False)

    def woken(self, now_ms: float) -> S | None:
        """Time has passed: whom to ask too, or None."""
        if self.winner is not None or self.wake_ms is None or now_ms < self.wake_ms:
            return None
        late_ms = min(now_ms - self.wake_ms, OWN_DELAY_MS_MAX - self._own_delay_ms)
        if late_ms >= LATE_MS_MIN:
            self._own_delay_ms += late_ms
            self._patient_until_ms += late_ms
            self.wake_ms = now_ms + late_ms
            return None
        if not self._left:
            self.given_up(now_ms)
            return None
        if now_ms >= self._patient_until_ms:
            if self._is_impatient or self._policy.pool.may_lose_patience():
                self._is_impatient = True
                return self._ask(now_ms, is_hedge=False)
            self._patient_until_ms = now_ms + self._policy.patience_ms(self._limit_ms)
        if self._policy.budget.take():
            return self._ask(now_ms, is_hedge=True)
        self.wake_ms = self._patient_until_ms
        return None

    def failed(self, server: S, now_ms: float, *, is_there: bool = False) -> S | None:
        """A call has failed: whom to ask in its place. `is_there`: the server answers, but does not know."""
        self.asked.pop(server, None)
        self._has_failed = True
        if is_there:
            self._policy.standing.answered(server)
        else:
            self._policy.failed(server, now_ms)
        if self.winner is not None:
            return None
        if not self._left and self.asked:
            self.wake_ms = now_ms + self._last_word_ms
            return None
        return self._ask(now_ms, is_hedge=False)

    def answered(self, server: S, now_ms: float) -> None:
        """The answer is there; `cancelled` says whose calls are to be given up."""
        if self.winner is not None:
            return
        call = self.asked.pop(server)
        self.winner = server
        self._settle()
        self.hedge_won = call.is_hedge
        self.wake_ms = None
        own_ms = now_ms - call.at_ms
        self._policy.answered(server, self._method, own_ms, now_ms)
        needed = call.is_hedge
        for other, its in self.asked.items():
            silent_ms = now_ms - its.at_ms
            if its.at_ms > call.at_ms:
                self._policy.standing.released(other)
            elif self._policy.is_unusual(silent_ms, own_ms):
                self._policy.overtaken(other, self._method, silent_ms, now_ms)
                if its.is_hedge:
                    self._policy.budget.give_back()
            else:
                self._policy.latencies.add(other, self._method, silent_ms, now_ms)
                self._policy.standing.released(other)
                needed = False
        if needed:
            self._policy.budget.give_back()
        self.cancelled = tuple(self.asked)

    def given_up(self, now_ms: float) -> None:
        """The caller's time is over, or all have failed: who was asked and was silent for too long has failed too.

        A caller that leaves early holds nothing against servers that had no time to answer.
        """
        if not self._is_given_up:
            self._is_given_up = True
            self._policy.fruitless += 1
            self._settle()
        for server, call in self.asked.items():
            if self._policy.is_silent(now_ms - call.at_ms):
                self._policy.failed(server, now_ms)
            else:
                self._policy.standing.released(server)
        self.asked.clear()
        self._left.clear()
        self.wake_ms = None

    def _settle(self) -> None:
        """It is over."""
        if self._is_impatient:
            self._is_impatient = False
            self._policy.pool.impatient -= 1

    def _ask(self, now_ms: float, *, is_hedge: bool) -> S | None:
        if not self._left:
            self.wake_ms = None
            return None
        server = self._policy.choose(self._left, self._method, now_ms, self._late, self._near)
        self._left.remove(server)
        self._policy.standing.asked(server, now_ms)
        self.asked[server] = Asked(now_ms, is_hedge)
        self.hedges += is_hedge
        self._delay_ms, patience_ms = self._policy.waits_ms(server, self._method, self._limit_ms)
        self._patient_until_ms = now_ms + patience_ms
        if self._left:
            self.wake_ms = now_ms + self._delay_ms
        else:
            self.wake_ms = now_ms + self._last_word_ms if self._has_failed else None
        return server

    @property
    def _last_word_ms(self) -> float:
        doublings = min(self._policy.fruitless, LAST_WORD_DOUBLINGS_MAX)
        return max(LAST_WORD_MS, LAST_WORD_DELAYS * self._delay_ms) * 2**doublings
