"""Thousands of seeds of every simulation: `python -m tests.sim.campaign --seeds 4000`, or `make campaign`.

One simulation after another, in processes of their own; a failure is printed as pytest prints it, with what to type to
see it again. With --record the rows in docs/track-record.md are replaced. Exit code 1 where anything failed.

Campaigns of real processes that are killed (`make campaign-chaos`) take most of a minute for a seed: there are a
thousandth as many, one after another, until the time is up that --minutes gives to each. Only what was run is recorded.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from defusedxml import ElementTree

from benchmarks.record import TRACK_RECORD, recorded
from benchmarks.samples import ROOT

BEGINS = "<!-- campaigns: written by python -m tests.sim.campaign --record -->"
ENDS = "<!-- campaigns: end -->"
HEAD = "| campaign | commit | seeds | minutes | failures |\n| --- | --- | ---: | ---: | ---: |"
OF_A_SEED = re.compile(r"\[\d+\]$")
TIMEOUT_S = 4 * 3600
REAL_SHARE = 1000
DATA_PATH = "tests/chaos/test_data_path_faults.py"


@dataclass(frozen=True)
class Campaign:
    """One simulation, or one test of real processes."""

    title: str
    file: str
    """In tests/sim, or the test as pytest is told of it."""
    is_real: bool = False
    share: int = 1
    """Of the seeds: a run that costs so many times as much as others takes so many times fewer."""

    @property
    def words(self) -> list[str]:
        """What pytest is to run."""
        if self.is_real:
            return ["-m", "chaos", self.file]
        return [self.file if "/" in self.file else f"tests/sim/{self.file}"]

    def seeds(self, asked: int) -> int:
        """How many it runs where so many are asked for."""
        return max(1, asked // (REAL_SHARE if self.is_real else self.share))


CAMPAIGNS = (
    Campaign("cache against a model ZooKeeper", "test_cache_simulation.py"),
    Campaign("masters' election against a model ZooKeeper", "test_election_simulation.py"),
    Campaign("coordinator's journal over crashes", "test_journal_crash.py"),
    Campaign("façades against a model ZooKeeper", "test_facade_simulation.py"),
    Campaign("look-ups: policy, caches and freshness in virtual time", "test_lookup_simulation.py"),
    Campaign("look-ups: the whole Python client in virtual time", "test_client_simulation.py"),
    Campaign("masters and region servers in virtual time", "test_cluster_simulation.py"),
    Campaign("data path: a region's store over crashes", "test_store_crash.py"),
    Campaign("data path: filters that mean harm", "tests/hostile/test_hostile_filters.py", share=10),
    Campaign(
        "data path, chaos: a list without holes, servers killed, stopped, moved from",
        f"{DATA_PATH}::test_the_list_has_no_holes_whatever_happens_to_servers",
        is_real=True,
    ),
    Campaign(
        "data path, chaos: kill -9 of any process under load",
        f"{DATA_PATH}::test_any_process_is_killed_at_any_moment",
        is_real=True,
    ),
    Campaign(
        "data path, chaos: single rows are linearizable (porcupine)",
        f"{DATA_PATH}::test_single_rows_are_linearizable_under_faults",
        is_real=True,
    ),
    Campaign(
        "data path, chaos: tables while masters are killed",
        "tests/chaos/test_tables_faults.py::test_tables_while_masters_are_killed",
        is_real=True,
    ),
)


@dataclass(frozen=True)
class Outcome:
    """Of one campaign."""

    seeds: int
    failures: int
    minutes: float


def run(campaign: Campaign, seeds: int, first: int, minutes_max: float) -> Outcome:
    """All its seeds; what pytest says goes to standard output."""
    begun_s = time.monotonic()
    if not campaign.is_real:
        return outcome(*_pytest(campaign, {"HBEACON_SEEDS": str(seeds)}))
    total = Outcome(0, 0, 0.0)
    for seed in range(first, first + seeds):
        found = outcome(*_pytest(campaign, {"HBEACON_SEED": str(seed)}))
        minutes = (time.monotonic() - begun_s) / 60
        total = Outcome(total.seeds + found.seeds, total.failures + found.failures, minutes)
        if found.failures:
            print(f"again: HBEACON_SEED={seed} python -m pytest {' '.join(campaign.words)}", flush=True)
        if minutes + found.minutes > minutes_max:
            break
    return total


def _pytest(campaign: Campaign, environ: dict[str, str]) -> tuple[str, float]:
    """Its report, and the minutes that it took."""
    with tempfile.TemporaryDirectory(prefix="campaign-") as directory:
        report = Path(directory) / "report.xml"
        command = [sys.executable, "-m", "pytest", *campaign.words, "-q", "--tb=short"]
        command += ["--timeout", "1800", "-p", "no:cacheprovider", f"--junit-xml={report}"]
        begun_s = time.monotonic()
        subprocess.run(command, cwd=ROOT, env={**os.environ, **environ}, timeout=TIMEOUT_S, check=False)
        return report.read_text(), (time.monotonic() - begun_s) / 60


def outcome(report: str, minutes: float) -> Outcome:
    """From pytest's report: how many tests were of one seed, and how many of all failed."""
    cases = list(ElementTree.fromstring(report).iter("testcase"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    names = (case.get("name", "") for case in cases)
    return Outcome(sum(bool(OF_A_SEED.search(name)) for name in names), failed, minutes)


def record(document: str, campaign: Campaign, commit: str, found: Outcome) -> str:
    """The document with the row of this campaign replaced, or added."""
    section = document.partition(BEGINS)[2].partition(ENDS)[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| camp"))]
    row = f"| {campaign.title} | {commit} | {found.seeds} | {found.minutes:.1f} | {found.failures} |"
    kept = [each for each in rows if not each.startswith(f"| {campaign.title} |")]
    return recorded(document, "\n".join((HEAD, *kept, row)), BEGINS, ENDS)


def main(words: Sequence[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.campaign", description="many seeds of the simulations")
    parser.add_argument("names", nargs="*", help="parts of the titles; none: all")
    parser.add_argument("--seeds", type=int, default=4000, help="of each (4000)")
    parser.add_argument("--chaos", action="store_true", help="only those of real processes, so many seeds of each")
    parser.add_argument("--first", type=int, default=0, help="the first seed of those (0)")
    parser.add_argument("--minutes", type=float, default=30.0, help="at most about so long for each of those (30)")
    parser.add_argument("--record", action="store_true", help="write the rows of docs/track-record.md")
    options = parser.parse_args(words)
    chosen = [
        each
        for each in CAMPAIGNS
        if (not options.names or any(name in each.title + each.file for name in options.names))
        and (each.is_real or not options.chaos)
    ]
    commit = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True
    ).stdout.strip()
    failures = 0
    for campaign in chosen:
        seeds = options.seeds if options.chaos else campaign.seeds(options.seeds)
        print(f"{campaign.title}, {seeds} seeds", flush=True)
        found = run(campaign, seeds, options.first, options.minutes)
        failures += found.failures
        print(f"{found.seeds} seeds in {found.minutes:.1f} minutes, {found.failures} failures", flush=True)
        if options.record:
            TRACK_RECORD.write_text(record(TRACK_RECORD.read_text(), campaign, commit, found))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
