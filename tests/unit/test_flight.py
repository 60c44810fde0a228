"""The flight recorder: its lines lead a new cache to the present, also when the ring has run over."""

from __future__ import annotations

import json
import random

import pytest

from registry.lookup.cache import RegistryCache
from registry.lookup.events import Confirmed, SessionConnected
from registry.lookup.flight import FlightRecorder, replay
from tests.sim.test_cache_simulation import PATHS, Simulation
from tests.support.clock import ManualClock


def recorded(seed: int, steps: int, events_max: int) -> tuple[FlightRecorder, RegistryCache]:
    """A simulated life with everything recorded."""
    recorder = FlightRecorder(PATHS.root, ManualClock(), events_max, others=bool(seed % 2))
    simulation = Simulation(seed)
    apply = simulation.cache.apply

    def recording(event: object) -> object:
        recorder.record(event)  # type: ignore[arg-type]
        return apply(event)  # type: ignore[arg-type]

    simulation.cache.apply = recording  # type: ignore[method-assign]
    simulation.zookeeper.create(PATHS.root)
    simulation.zookeeper.connect()
    for _ in range(steps):
        simulation.step()
    simulation.finish()
    return recorder, simulation.cache


def played(lines: list[str]) -> RegistryCache:
    cache: RegistryCache | None = None
    for cache in replay(lines):
        cache.validate()
    assert cache is not None
    return cache


def test_the_whole_life_is_played_again() -> None:
    recorder, cache = recorded(1, 600, 100_000)
    assert recorder.dropped == 0
    again = played(recorder.lines())
    assert again.snapshot == cache.snapshot
    assert again.confirmed_at_ms == cache.confirmed_at_ms


@pytest.mark.parametrize("events_max", [1, 10, 60])
def test_what_has_left_the_ring_is_folded(events_max: int, rng: random.Random) -> None:
    recorder, cache = recorded(rng.randrange(1_000_000), 4000, events_max)
    assert recorder.dropped
    again = played(recorder.lines())
    for (name, fact), (_, wanted) in zip(again.snapshot.facts(), cache.snapshot.facts(), strict=True):
        assert (fact.state, fact.value, fact.problem) == (wanted.state, wanted.value, wanted.problem), name
    assert again.snapshot.version.zxid == cache.snapshot.version.zxid


def test_lines_are_json_with_the_root_first() -> None:
    clock = ManualClock(monotonic_ms=5.0)
    recorder = FlightRecorder("/hbase", clock)
    recorder.record(SessionConnected(1, 2, 3, 4.5))
    recorder.record(Confirmed(1, 3, 4.75))
    assert [json.loads(line) for line in recorder.lines()] == [
        {"root": "/hbase", "dropped": 0},
        {"at_ms": 5.0, "event": "SessionConnected", "epoch": 1, "session_id": 2, "zxid": 3, "sent_at_ms": 4.5},
        {"at_ms": 5.0, "event": "Confirmed", "epoch": 1, "zxid_before": 3, "sent_at_ms": 4.75, "synced_at_ms": None},
    ]


def test_what_is_no_line_is_refused() -> None:
    with pytest.raises(ValueError, match="no event"):
        list(replay(['{"root":"/hbase","dropped":0}', '{"at_ms":1,"event":"Nonsense"}']))
