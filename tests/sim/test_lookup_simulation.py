"""Hedged clients, registry servers and a ZooKeeper in virtual time: whatever happens, look-ups keep their promises.

What runs is what ships: HedgedLookup, HedgePolicy and the pool, RegistryCache, Publisher and its stamps, the judgement
of freshness, the client's decoders. Modelled are ZooKeeper, the network, processes that stand still, die and come back.
Checked:

* no look-up fails while one server that can answer it is reachable from its beginning to its deadline;
* the versions that one client gets from one address never go back;
* no answer is newer than ZooKeeper or older than what its stamp claims, by version and by age;
* `fresh`, `min_zxid` and `max_staleness` are met by the answers that were asked for so;
* while one server can answer nobody waits longer than the policy's patience with each of the others; with K of N
  servers hung a client without history has bootstrapped within a bound;
* when all servers are slow alike, or all is well, extra calls stay within the budget;
* a server that hung or was killed, and is well again, is asked again;
* at the end no call is under way that nobody waits for, and each client has one connection to each server at most.

The seed is the parameter of the test. HBEACON_SEEDS=5000 runs more of them; HBEACON_SEED=17 runs one. A seed that fails
leaves its scenario and its trace as text; HBEACON_SCENARIO=FILE plays such a file, or one edited by hand, and
`python -m tests.sim.play FILE --cut` makes it small.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.sim.lookup_run import Result, Run
from tests.sim.scenarios import Scenario, invent, parse
from tests.support.seeds import seeds

KEPT = Path(__file__).parent / "scenarios"
SEEDS = seeds(30)
FILES = [Path(os.environ["HBEACON_SCENARIO"])] if "HBEACON_SCENARIO" in os.environ else sorted(KEPT.glob("*.txt"))


HAPPENED = (
    *("published", "stale answers", "not known", "wants met", "waited for freshness", "failed", "kill"),
    *("waits checked", "half answers", "silent connections"),
)


@contextlib.contextmanager
def failing(scenario: Scenario, trace: list[str], how: str = "--cut") -> Generator[None]:
    """What fails inside leaves the scenario and the trace so far, and says where."""
    try:
        yield
    except AssertionError as error:
        directory = Path(tempfile.mkdtemp(prefix=f"lookup-seed-{scenario.seed}-"))
        (directory / "scenario.txt").write_text(str(scenario))
        (directory / "trace.txt").write_text("\n".join(trace))
        again = f"python -m tests.sim.play {directory}/scenario.txt {how}"
        raise AssertionError(f"{error}\nits trace is in {directory}; play it again: {again}") from error


def play(scenario: Scenario) -> Result:
    """Play it; a failure leaves scenario and trace."""
    run = Run(scenario)
    with failing(scenario, run.world.trace):
        return run.play()


@pytest.mark.parametrize("seed", SEEDS)
def test_look_ups_keep_their_promises(seed: int) -> None:
    play(invent(seed))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_kept_scenarios(file: Path) -> None:
    """Those that once found something, or show one thing clearly."""
    play(parse(file.read_text()))


@pytest.mark.parametrize("seed", [0, 2, 4])
def test_a_scenario_plays_the_same_way_twice(seed: int) -> None:
    scenario = invent(seed)
    assert parse(str(scenario)) == scenario
    assert play(scenario).trace == play(parse(str(scenario))).trace


def test_things_happen() -> None:
    """A simulation whose faults never meet a look-up proves nothing."""
    counts: Counter[str] = Counter()
    for seed in range(12):
        counts.update(play(invent(seed)).counts)
    for name in HAPPENED:
        assert counts[name], f"{name}: {counts}"


def test_a_line_that_says_nothing_is_named() -> None:
    with pytest.raises(ValueError, match="line 2: 'at 10 tickle server=1': no verb of hang"):
        parse("setup kind=mixed seed=1\nat 10 tickle server=1\n")
