"""Faults planted into the machines of a look-up: the simulation finds each within a few seeds, and cuts it down."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from registry.client.hedging.budget import HedgeBudget
from registry.client.hedging.lookup import HedgedLookup
from registry.client.hedging.standing import Standing
from registry.lookup.cache import VERSION_NONE
from registry.lookup.freshness import Verdict
from registry.role.kept import Kept
from tests.sim import model_registry
from tests.sim.model_clients import Call, Client
from tests.sim.model_registry import Registry
from tests.sim.play import cut_down, verdict
from tests.sim.scenarios import invent

Plant = Callable[[pytest.MonkeyPatch], None]
SEEDS = 40


def always(value: object) -> Callable[..., object]:
    """Whatever it is asked."""
    return lambda *_words, **_more: value


def quarantine_never_ends(patch: pytest.MonkeyPatch) -> None:
    struck = Standing.struck

    def out_for_ever(self: Standing, server: object, now_ms: float) -> None:
        struck(self, server, now_ms)
        self._records[server].out_until_ms = float("inf")  # pyright: ignore[reportPrivateUsage]

    patch.setattr(Standing, "struck", out_for_ever)


def losers_are_not_cancelled(patch: pytest.MonkeyPatch) -> None:
    def forget(_self: Client, call: Call) -> None:
        call.over = True

    patch.setattr(Client, "cancel", forget)


def the_cluster_id_is_not_hedged(patch: pytest.MonkeyPatch) -> None:
    """The first question of all goes to one server after another, as HBase's preamble does."""
    first = HedgedLookup[Registry].first

    def alone(self: HedgedLookup[Registry], now_ms: float) -> Registry | None:
        server = first(self, now_ms)
        if self._method == "GetClusterId":  # pyright: ignore[reportPrivateUsage]
            self.wake_ms = None
        return server

    patch.setattr(HedgedLookup, "first", alone)


def the_budget_has_no_bottom(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HedgeBudget, "take", always(True))


def a_restart_forgets_the_version(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Kept, "parse", always(Kept(16000, 0, VERSION_NONE)))


def fresh_is_not_heard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(model_registry, "judge", always(Verdict.ANSWER))


def stale_answers_are_not_marked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Registry, "age_ms", always(0.0))


PLANTS: dict[Plant, str] = {
    quarantine_never_ends: "is well, and answers",
    losers_are_not_cancelled: "that nobody waits for",
    the_cluster_id_is_not_hedged: "cluster_id took",
    the_budget_has_no_bottom: "extra calls for",
    a_restart_forgets_the_version: " after Version",
    fresh_is_not_heard: "true since the question",
    stale_answers_are_not_marked: "true was",
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    found: list[str] = []
    for seed in range(SEEDS):
        found.append(verdict(invent(seed))[0])
        if PLANTS[plant] in found[-1]:
            return
    raise AssertionError(f"not found: {list(filter(None, found))}")


def test_a_failing_scenario_is_cut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    stale_answers_are_not_marked(monkeypatch)
    scenario = next(each for seed in range(SEEDS) if "true was" in verdict(each := invent(seed))[0])
    small = cut_down(scenario, lambda each: "true was" in verdict(each)[0])
    assert "true was" in verdict(small)[0]
    assert len(small.happenings) <= 3 < len(scenario.happenings), str(small)
    assert (small.clients, small.duration_ms) < (scenario.clients, scenario.duration_ms)
