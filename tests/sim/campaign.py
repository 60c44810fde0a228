"""Thousands of seeds of every simulation: `python -m tests.sim.campaign --seeds 4000`, or `make campaign`.

One simulation after another, in processes of their own; a failure is printed as pytest prints it, with what to type to
see it again. With --record the rows in docs/track-record.md are replaced. Exit code 1 where anything failed.
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


@dataclass(frozen=True)
class Campaign:
    """One simulation."""

    title: str
    file: str


CAMPAIGNS = (
    Campaign("cache against a model ZooKeeper", "test_cache_simulation.py"),
    Campaign("masters' election against a model ZooKeeper", "test_election_simulation.py"),
    Campaign("coordinator's journal over crashes", "test_journal_crash.py"),
    Campaign("façades against a model ZooKeeper", "test_facade_simulation.py"),
    Campaign("look-ups: policy, caches and freshness in virtual time", "test_lookup_simulation.py"),
    Campaign("look-ups: the whole Python client in virtual time", "test_client_simulation.py"),
    Campaign("masters and region servers in virtual time", "test_cluster_simulation.py"),
)


@dataclass(frozen=True)
class Outcome:
    """Of one campaign."""

    seeds: int
    failures: int
    minutes: float


def run(campaign: Campaign, seeds: int) -> Outcome:
    """All its seeds; what pytest says goes to standard output."""
    with tempfile.TemporaryDirectory(prefix="campaign-") as directory:
        report = Path(directory) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"tests/sim/{campaign.file}", "-q", "--tb=short"]
        command += ["--timeout", "1800", "-p", "no:cacheprovider", f"--junit-xml={report}"]
        environ = {**os.environ, "HBEACON_SEEDS": str(seeds)}
        begun_s = time.monotonic()
        subprocess.run(command, cwd=ROOT, env=environ, timeout=TIMEOUT_S, check=False)
        minutes = (time.monotonic() - begun_s) / 60
        return outcome(report.read_text(), minutes)


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
    parser.add_argument("--record", action="store_true", help="write the rows of docs/track-record.md")
    options = parser.parse_args(words)
    chosen = [
        each for each in CAMPAIGNS if not options.names or any(name in each.title + each.file for name in options.names)
    ]
    commit = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True
    ).stdout.strip()
    failures = 0
    for campaign in chosen:
        print(f"{campaign.title}, {options.seeds} seeds", flush=True)
        found = run(campaign, options.seeds)
        failures += found.failures
        print(f"{found.seeds} seeds in {found.minutes:.1f} minutes, {found.failures} failures", flush=True)
        if options.record:
            TRACK_RECORD.write_text(record(TRACK_RECORD.read_text(), campaign, commit, found))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
