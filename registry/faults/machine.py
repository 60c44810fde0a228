"""Which fault a connection or a call meets: rules with their own seeded chance, counts and ends. Knows no clock.

Each rule draws twice for each event that is for it (whether it fires, and how much), whether or not another rule has
fired before. So what a rule would do with its n-th event follows from its seed alone. The first that fires is applied,
and only that one is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from registry.faults.rules import BadFault, FaultKind, Rule, made_cluster_id, parse_peer

RULES_MAX = 100
"""Each is looked at for each call; a person sets a handful."""

ALL_KINDS = frozenset(FaultKind)


class Chance(Protocol):
    """Numbers of one seed."""

    def random(self) -> float:
        """The next, from 0 on and below 1."""
        ...


@dataclass(frozen=True, slots=True)
class FaultRow:
    """A fault that is set, as it is now."""

    number: int
    rule: Rule
    """With its seed, and all else that was chosen for it."""
    matched: int
    """Connections or calls that were for it."""
    applied: int
    left_ms: float | None
    """Until it ends by itself; None where no duration was given."""


class Decision(NamedTuple):
    """What happens to one connection or call."""

    number: int
    rule: Rule
    delay_ms: float


class _SetFault:
    __slots__ = ("applied", "chance", "ends_ms", "matched", "number", "rule")

    def __init__(self, number: int, rule: Rule, chance: Chance, ends_ms: float) -> None:
        self.number = number
        self.rule = rule
        self.chance = chance
        self.ends_ms = ends_ms
        self.matched = 0
        self.applied = 0


class Faults:
    """The faults of one server. Times are milliseconds of one clock that never goes back."""

    def __init__(self, chance: Callable[[int], Chance], new_seed: Callable[[], int]) -> None:
        """`chance` gives the numbers of a seed; `new_seed` chooses one where the rule says none."""
        self._chance = chance
        self._new_seed = new_seed
        self._set: list[_SetFault] = []
        self._last_number = 0
        self.applied: Counter[FaultKind] = Counter()
        """Since the start, of faults that are gone too."""

    def __len__(self) -> int:
        """How many are set."""
        return len(self._set)

    def add(self, rule: Rule, now_ms: float) -> FaultRow:
        """Set a fault; raises BadFault where there are too many."""
        if len(self._set) >= RULES_MAX:
            raise BadFault(f"{RULES_MAX} faults are set already: clear some")
        seed = rule.seed if rule.seed is not None else self._new_seed()
        rule = replace(rule, seed=seed)
        if rule.kind is FaultKind.WRONG_CLUSTER_ID and not rule.cluster_id:
            rule = replace(rule, cluster_id=made_cluster_id(seed))
        self._last_number += 1
        ends_ms = now_ms + rule.duration_ms if rule.duration_ms is not None else float("inf")
        fault = _SetFault(self._last_number, rule, self._chance(seed), ends_ms)
        self._set.append(fault)
        return _row(fault, now_ms)

    def remove(self, number: int) -> bool:
        """Take one away; False where there is none of that number."""
        kept = [fault for fault in self._set if fault.number != number]
        found = len(kept) < len(self._set)
        self._set = kept
        return found

    def clear(self) -> int:
        """Take all away; gives how many there were."""
        count, self._set = len(self._set), []
        return count

    def expire(self, now_ms: float) -> list[FaultRow]:
        """Take away those whose time is over; gives them."""
        over = [fault for fault in self._set if fault.ends_ms <= now_ms]
        if over:
            self._set = [fault for fault in self._set if fault.ends_ms > now_ms]
        return [_row(fault, now_ms) for fault in over]

    def rows(self, now_ms: float) -> tuple[FaultRow, ...]:
        """Those that are set, in the order in which they were."""
        return tuple(_row(fault, now_ms) for fault in self._set)

    def at_accept(self, peer_host: str, now_ms: float) -> Decision | None:
        """What happens to a new connection."""
        return self._decide(None, peer_host, now_ms)

    def at_call(
        self, method: str, peer_host: str, now_ms: float, kinds: Container[FaultKind] = ALL_KINDS
    ) -> Decision | None:
        """What happens to a call, or to a preamble that asks something; faults of other `kinds` are not for it."""
        return self._decide(method, peer_host, now_ms, kinds)

    def _decide(
        self, method: str | None, peer_host: str, now_ms: float, kinds: Container[FaultKind] = ALL_KINDS
    ) -> Decision | None:
        peer = parse_peer(peer_host)
        chosen: _SetFault | None = None
        chosen_share = 0.0
        for fault in self._set:
            if fault.ends_ms <= now_ms or fault.rule.kind not in kinds or not fault.rule.meets(method, peer):
                continue
            fault.matched += 1
            fires, share = fault.chance.random() < fault.rule.probability, fault.chance.random()
            if fires and chosen is None:
                chosen, chosen_share = fault, share
        if chosen is None:
            return None
        rule = chosen.rule
        chosen.applied += 1
        self.applied[rule.kind] += 1
        if chosen.applied == rule.count:
            self._set.remove(chosen)
        least_ms, most_ms = rule.delay_ms
        return Decision(chosen.number, rule, least_ms + (most_ms - least_ms) * chosen_share)


def _row(fault: _SetFault, now_ms: float) -> FaultRow:
    left_ms = max(0.0, fault.ends_ms - now_ms) if fault.rule.duration_ms is not None else None
    return FaultRow(fault.number, fault.rule, fault.matched, fault.applied, left_ms)
