"""The whole Python client in virtual time: its tasks, time-outs, connections and bytes, against seeded faults.

tests/sim/test_lookup_simulation.py drives the machines; this one drives what is around them: `hedge`, RpcSource,
Connection and RpcChannel on an asyncio loop whose time is made, and the server's own protocol behind each address.
Callers give up, cancel and ask three things at once. Checked:

* no look-up fails, or waits longer than the policy's patience, while one server can answer it;
* answers are those of their version, and versions never go back on one connection;
* what is cancelled ends at once, and leaves its caller as it was;
* when a client has closed, no task and no connection is left, and no error that nobody has heard of.

HBEACON_SEEDS, HBEACON_SEED and HBEACON_SCENARIO as there; a run costs ten times as much, so there are a tenth of them.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.client import rpc_source
from registry.rpc.client import RpcChannel
from tests.sim.client_run import ClientRun
from tests.sim.play import client_verdict
from tests.sim.scenarios import Scenario, invent, parse
from tests.sim.test_lookup_plants import always, the_cluster_id_is_not_hedged
from tests.sim.test_lookup_simulation import FILES, SEEDS, failing


def play(scenario: Scenario) -> ClientRun:
    """Play it; a failure leaves scenario and trace."""
    run = ClientRun(scenario)
    with failing(scenario, run.trace, "--client"):
        return run.play()


@pytest.mark.parametrize("seed", SEEDS if "HBEACON_SEED" in os.environ else SEEDS[: max(12, len(SEEDS) // 10)])
def test_clients_keep_their_promises(seed: int) -> None:
    play(invent(seed))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_kept_scenarios(file: Path) -> None:
    play(parse(file.read_text()))


def test_a_scenario_plays_the_same_way_twice() -> None:
    for seed in (0, 5):
        assert play(invent(seed)).trace == play(invent(seed)).trace


def test_things_happen() -> None:
    counts: Counter[str] = Counter()
    look_ups = 0
    for seed in (0, 1, 3, 6, 7, 9, 18):
        run = play(invent(seed))
        counts.update(run.counts)
        look_ups += run.look_ups
    assert look_ups > 500
    for name in ("kill", "hang", "part", "half answers", "given up", "waits checked", "failed", "connections"):
        assert counts[name], f"{name}: {counts}"
    assert counts["waits checked"] > look_ups / 2


def a_cancelled_call_goes_on(patch: pytest.MonkeyPatch) -> None:
    call_bytes = RpcChannel.call_bytes

    async def in_spite_of_all(self: RpcChannel, *words: Any, **more: Any) -> Any:
        return await asyncio.shield(asyncio.ensure_future(call_bytes(self, *words, **more)))

    patch.setattr(RpcChannel, "call_bytes", in_spite_of_all)


def connections_stay_open(patch: pytest.MonkeyPatch) -> None:
    async def at_once(_self: RpcChannel) -> None:
        pass

    patch.setattr(RpcChannel, "close", always(None))
    patch.setattr(RpcChannel, "wait_closed", at_once)


def silent_connections_are_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rpc_source, "SILENT_MS_MAX", float("inf"))


PLANTS: dict[Callable[[pytest.MonkeyPatch], None], str] = {
    a_cancelled_call_goes_on: "nobody has heard of this",
    connections_stay_open: "but not its connections",
    silent_connections_are_kept: "could answer",
    the_cluster_id_is_not_hedged: "could answer",
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    found: list[str] = []
    for scenario in (*(parse(file.read_text()) for file in FILES), *map(invent, range(12))):
        found.append(client_verdict(scenario)[0])
        if PLANTS[plant] in found[-1]:
            return
    raise AssertionError(f"not found: {[each[:200] for each in found if each]}")
