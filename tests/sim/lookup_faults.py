"""What a scenario does to servers, clients and ZooKeeper: one method for each verb."""

from __future__ import annotations

from collections.abc import Sequence

from tests.sim.model_clients import Client
from tests.sim.model_registry import START_MS, Registry
from tests.sim.model_world import SharedZooKeeper, World
from tests.sim.scenarios import VERBS, Happening


class Faults:
    """Carries out happenings; `clients` may still grow."""

    def __init__(
        self, world: World, zookeeper: SharedZooKeeper, servers: Sequence[Registry], clients: Sequence[Client]
    ) -> None:
        self._world = world
        self._zookeeper = zookeeper
        self._servers = servers
        self._clients = clients
        self._by_verb = {verb: getattr(self, f"_{verb}") for verb in VERBS}

    def happen(self, each: Happening) -> None:
        """Begin it; it ends by itself where it lasts."""
        self._world.say(f"! {each}")
        self._world.counts[each.verb] += 1
        self._by_verb[each.verb](**each.values)

    # --- servers ------------------------------------------------------------------------------------------------

    def _hang(self, server: int, for_ms: int) -> None:
        self._servers[server].stop()
        self._world.later(for_ms, self._servers[server].resume)

    def _kill(self, server: int, for_ms: int) -> None:
        it = self._servers[server]
        if it.up:
            it.kill()
            self._world.later(max(for_ms, START_MS), lambda: None if it.up else it.start())

    def _slow(self, server: int, by_ms: int, for_ms: int) -> None:
        it = self._servers[server]
        it.slow_ms = by_ms
        self._world.later(for_ms, lambda: setattr(it, "slow_ms", 0.0))

    def _half(self, server: int, for_ms: int) -> None:
        it = self._servers[server]
        it.half = True

        def whole() -> None:
            it.half = False
            it.disturbed_ms = self._world.now_ms

        self._world.later(for_ms, whole)

    # --- the network --------------------------------------------------------------------------------------------

    def _part(self, client: int, server: int, for_ms: int) -> None:
        if client < len(self._clients):
            path = self._clients[client].paths[server]
            path.cut()
            self._world.later(for_ms, path.heal)

    def _reset(self, client: int, server: int) -> None:
        if client < len(self._clients):
            self._clients[client].reset(self._servers[server])

    def _cut(self, server: int, for_ms: int) -> None:
        self._servers[server].cut_off()
        self._world.later(for_ms, self._servers[server].reach_again)

    # --- ZooKeeper ----------------------------------------------------------------------------------------------

    def _outage(self, for_ms: int) -> None:
        for every in self._servers:
            every.lose_session()
            every.cut_off()
            self._world.later(for_ms, every.reach_again)

    def _master(self, to: int) -> None:
        self._zookeeper.master(to)

    def _meta(self, to: int) -> None:
        self._zookeeper.meta(to)

    def _gone(self, for_ms: int) -> None:
        self._zookeeper.delete("/hbase/master")
        self._world.later(for_ms, lambda: self._zookeeper.master(0))

    def _noise(self) -> None:
        self._zookeeper.noise()

    def _wipe(self) -> None:
        self._zookeeper.lose_history()
