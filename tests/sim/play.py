"""A scenario of the look-up simulation, played by hand and cut down.

    python -m tests.sim.play 17                     the scenario of a seed; prints its trace and what broke, if anything
    python -m tests.sim.play scenario.txt           one that a failing test has left, or one edited by hand
    python -m tests.sim.play scenario.txt --cut     as few lines, clients and seconds as still break the same promise
    python -m tests.sim.play scenario.txt --client  on the whole Python client instead of its machines

Exit code 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.sim.client_run import ClientRun
from tests.sim.lookup_run import Run
from tests.sim.scenarios import Scenario, invent, parse


def verdict(scenario: Scenario) -> tuple[str, list[str]]:
    """What broke, empty where nothing did, and the trace up to there."""
    run = Run(scenario)
    try:
        run.play()
    except AssertionError as error:
        return str(error), run.world.trace
    return "", run.world.trace


def client_verdict(scenario: Scenario) -> tuple[str, list[str]]:
    """The same of the whole Python client."""
    run = ClientRun(scenario)
    try:
        run.play()
    except AssertionError as error:
        return str(error), run.trace
    return "", run.trace


def cut_down(scenario: Scenario, breaks: Callable[[Scenario], bool]) -> Scenario:
    """The smallest scenario found that still breaks. Chance falls otherwise in each, so nothing is ruled out."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(scenario):
            if breaks(candidate):
                scenario, smaller = candidate, True
                break
    return scenario


def _smaller(scenario: Scenario) -> list[Scenario]:
    lines = scenario.happenings
    found: list[Scenario] = []
    size = len(lines) // 2
    while size:
        starts = range(0, len(lines), size)
        found += [replace(scenario, happenings=lines[:start] + lines[start + size :]) for start in starts]
        size //= 2
    if scenario.clients > 1:
        found += [replace(scenario, clients=clients) for clients in (scenario.clients // 2, scenario.clients - 1)]
    if scenario.duration_ms > 1000:
        found.append(replace(scenario, duration_ms=scenario.duration_ms * 3 // 4))
    return found


def same_promise(text: str) -> str:
    """What broke, without the numbers of one run."""
    return re.sub(r"[0-9.]+", "", text)


def main(words: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.play", description="play a look-up scenario")
    parser.add_argument("scenario", help="a file, or the number of a seed")
    parser.add_argument("--cut", action="store_true", help="cut it down to what still breaks")
    parser.add_argument("--client", action="store_true", help="the whole Python client")
    options = parser.parse_args(words)
    judged = client_verdict if options.client else verdict
    name = options.scenario
    scenario = invent(int(name)) if name.isdigit() else parse(Path(name).read_text())
    broken, trace = judged(scenario)
    if broken and options.cut:
        # the first words say which promise it is; the values behind differ from run to run
        promise = same_promise(broken)[:30]
        scenario = cut_down(scenario, lambda each: same_promise(judged(each)[0])[:30] == promise)
        broken, trace = judged(scenario)
    print("\n".join(trace))
    print(f"\n{scenario}")
    print(broken or "every promise was kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
