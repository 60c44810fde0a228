"""A scenario played: servers, clients and ZooKeeper put together, who asks what, and what a run must be as a whole."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from registry.client.answers import What
from registry.client.hedging.budget import HedgePool
from registry.client.hedging.policy import HedgeSettings
from registry.lookup.freshness import Wants
from tests.sim.lookup_checks import Judge, check_extra, stamp_of
from tests.sim.lookup_faults import Faults
from tests.sim.model_clients import Client, Question
from tests.sim.model_registry import Registry
from tests.sim.model_world import BEGIN_MS, SharedZooKeeper, World
from tests.sim.scenarios import Scenario

BOOTSTRAP = (What.CLUSTER_ID, What.META_LOCATIONS, What.ACTIVE_MASTER)
SETTLED_MS = 1000.0
"""Servers have read ZooKeeper before anybody asks."""
LIMIT_MS = 6000.0
"""The longest deadline of a look-up."""
BACK_SHARE = 0.02
"""Of the look-ups, for a server that has been well again for long: as many as one in fifty, which explore, find it."""


@dataclass
class Result:
    """What a run was like."""

    trace: list[str]
    counts: Counter[str]
    look_ups: list[Question] = field(default_factory=list[Question])
    bootstraps_ms: list[float] = field(default_factory=list[float])


class Run:
    """AssertionError is raised by `play`, at the event that broke the promise."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.world = World(scenario.seed)
        self.zookeeper = SharedZooKeeper(self.world)
        self.servers = [Registry(self.world, self.zookeeper, number) for number in range(scenario.servers)]
        settings = HedgeSettings()
        self.pool = HedgePool(settings.budget_ratio, settings.budget_tokens_max)
        self.clients: list[Client] = []
        self.result = Result(self.world.trace, self.world.counts)
        self._faults = Faults(self.world, self.zookeeper, self.servers, self.clients)
        self._judge = Judge(self.world, self.zookeeper, self.servers, self.clients)
        self._zxids: dict[int, int] = {}
        """Client to the highest zxid of the first history that it has seen."""

    def play(self) -> Result:
        """All of it. AssertionError where something is not as promised."""
        world, scenario = self.world, self.scenario
        world.run(SETTLED_MS)
        for happening in scenario.happenings:
            world.later(happening.at_ms, lambda each=happening: self._faults.happen(each))
        spread_ms = 1000.0 if scenario.kind == "hung" else 200.0
        for _ in range(scenario.clients):
            world.later(1.0 + world.chance.uniform(0, spread_ms), self._join)
        world.run(SETTLED_MS + scenario.duration_ms)
        world.run(SETTLED_MS + scenario.duration_ms + LIMIT_MS + 1000)  # those under way end, and none begins
        self._judge.over()
        check_whole(scenario, self.result)
        return self.result

    # --- clients ------------------------------------------------------------------------------------------------

    def _join(self) -> None:
        client = Client(self.world, len(self.clients), self.servers, self.pool)
        client.arrived = self._judge.arrived
        self.clients.append(client)
        begun_ms = self.world.now_ms
        self._bootstrap(client, list(BOOTSTRAP), begun_ms)

    def _bootstrap(self, client: Client, left: list[What], begun_ms: float) -> None:
        """The three look-ups that stand between a client object and its first row."""

        def done(question: Question) -> None:
            self._ended(question)
            if len(left) > 1:
                self._bootstrap(client, left[1:], begun_ms)
            else:
                self.result.bootstraps_ms.append(self.world.now_ms - begun_ms)
                self._think(client)

        self._ask(client, left[0], Wants(), LIMIT_MS, done)

    def _think(self, client: Client) -> None:
        """Nothing for a while, then the next look-up, as of a cache that was told to be stale."""
        chance = self.world.chance
        mean_ms = 60.0 if self.scenario.kind == "slow" else 150.0

        def ask() -> None:
            if self.world.now_ms > BEGIN_MS + SETTLED_MS + self.scenario.duration_ms:
                return
            # who gives five servers of 400 ms less than two seconds pays with calls, budget or not
            limit_ms = LIMIT_MS if self.scenario.kind == "slow" else chance.choice((1500.0, 3000.0, LIMIT_MS))
            self._ask(client, chance.choice(BOOTSTRAP), self._wants(client), limit_ms, done)

        def done(question: Question) -> None:
            self._ended(question)
            self._think(client)

        self.world.later(chance.expovariate(1 / mean_ms), ask)

    def _wants(self, client: Client) -> Wants:
        chance = self.world.chance.random()
        if self.scenario.kind != "mixed" or chance < 0.7:
            return Wants()
        if chance < 0.8:
            return Wants(fresh=True)
        if chance < 0.9:
            return Wants(min_zxid=self._zxids.get(client.number, 0), generation=0)
        return Wants(max_staleness_ms=self.world.chance.choice((0.0, 50.0, 500.0)))

    def _ask(self, client: Client, what: What, wants: Wants, limit_ms: float, done: Callable[[Question], None]) -> None:
        world = self.world
        question = Question(client.number, what, wants, world.now_ms, world.now_ms + limit_ms)
        if world.chance.random() < 0.05:
            question.late = (world.chance.choice(self.servers),)
        client.look_up(question, done)

    def _ended(self, question: Question) -> None:
        reply = question.reply
        self.result.look_ups.append(question)
        took_ms = question.ended_ms - question.begun_ms
        told = "fails" if reply is None else f"from server {reply.server}"
        what = question.what.value
        self.world.say(f"client {question.client} {what} {told} after {took_ms:.3f} ms, {question.calls} calls")
        self.world.counts["failed"] += reply is None
        self._judge.ended(question, self.pool)
        if reply is not None:
            stamp = stamp_of(reply)
            if (self.zookeeper.life.number, stamp.generation) == (0, 0):
                self._zxids[question.client] = max(self._zxids.get(question.client, 0), stamp.zxid)


def check_whole(scenario: Scenario, result: Result) -> None:
    """What holds of a run as a whole, by its kind."""
    look_ups = result.look_ups
    later = look_ups[len(look_ups) // 2 :]
    if scenario.kind == "hung":
        hung = sum(each.verb == "hang" for each in scenario.happenings)
        slowest_ms, median_ms = max(result.bootstraps_ms), statistics.median(result.bootstraps_ms)
        assert len(result.bootstraps_ms) == scenario.clients
        assert slowest_ms <= 300 + 300 * hung, f"{slowest_ms:.0f} ms to bootstrap with {hung} hung"
        assert median_ms <= 40 + 25 * hung, f"{median_ms:.0f} ms to bootstrap in the middle with {hung} hung"
    if scenario.kind == "slow":
        # two of its first three look-ups: who knows nothing yet has the patience of a quarter of a second, and no more
        unheard_of = any(each.values["by_ms"] >= 250 for each in scenario.happenings)
        check_extra(look_ups, 20 + unheard_of * 2 * scenario.clients)
        check_extra(later)
    if scenario.kind == "back":
        check_extra(later)
        for server in range(scenario.servers):
            share = sum(each.reply is not None and each.reply.server == server for each in later) / len(later)
            assert share >= BACK_SHARE / scenario.servers, f"server {server} is well, and answers {share:.1%} of all"
