"""The cluster of a test: how long until it is there, back at a snapshot, gone; and what a thousand leave behind.

    python -m benchmarks.fixture [--runs N] [--tests N] [--record]

The tests are those of tests/testing/many.py in a pytest of their own. There is no other side: the goal is a time.
`--record` puts the table into docs/track-record.md.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.record import Record, markdown
from benchmarks.samples import ROOT, Samples, quantile
from benchmarks.servers import pss_mib
from benchmarks.table import HELD, LOST
from registry.testing.cluster import Cluster
from registry.testing.options import ClusterOptions
from registry.testing.zygote import Zygote
from tests.support.tested_pytest import PytestRun

SIDE = "hbeacon"
START_GOAL_MS = 500.0
ROWS_COUNT, CHANGED_COUNT = 1000, 10
TESTS = "tests"
RECORD = Record("fixture")
HEADINGS = ("measure", "median", "spread", "goal", "")
Row = tuple[str, str, str, str, str]

USUAL = "start, one master and one region server, rows in memory"
KINDS = {
    USUAL: ClusterOptions(),
    "the same with rocksdb": ClusterOptions(engine="rocksdb"),
    "the same with two region servers": ClusterOptions(region_servers=2),
    "the same without region servers": ClusterOptions(region_servers=0),
    "the same with pages": ClusterOptions(pages=True),
}
FIRST, CLOSE, MEMORY = (
    "the first of a session, all loaded for it",
    "close",
    "memory of a cluster and the loaded process",
)
SNAPSHOT = f"snapshot of a table with {ROWS_COUNT} rows"
RESTORE = f"restore of it, {CHANGED_COUNT} rows changed"
REMADE = "restore of it, the table deleted meanwhile"


def timed(samples: Samples, measure: str, work: Callable[[], object]) -> None:
    """Take one time."""
    began = time.perf_counter()
    work()
    samples.add(measure, SIDE, {"ms": (time.perf_counter() - began) * 1000})


def first(samples: Samples) -> None:
    """A session's first cluster: what forks it is loaded too."""
    zygote = Zygote()
    try:
        timed(samples, FIRST, lambda: Cluster(zygote, KINDS[USUAL]))
    finally:
        zygote.close()


def starts(samples: Samples, zygote: Zygote, kind: str) -> None:
    """One cluster from start to end."""
    began = time.perf_counter()
    cluster = Cluster(zygote, KINDS[kind])
    samples.add(kind, SIDE, {"ms": (time.perf_counter() - began) * 1000})
    if kind == USUAL:
        samples.add(MEMORY, SIDE, {"mib": pss_mib([zygote.pid, *cluster.pids.values()])})
        timed(samples, CLOSE, cluster.close)
    cluster.close()


def snapshots(samples: Samples, zygote: Zygote) -> None:
    """A table saved and put back."""
    with Cluster(zygote, KINDS[USUAL]) as cluster, cluster.connect_blocking() as hbase:
        hbase.admin.create_table("t", {"f": {"VERSIONS": 1}})
        table = hbase.table("t")
        for number in range(ROWS_COUNT):
            table.put(b"row%d" % number, {"f:q": b"value"})
        timed(samples, SNAPSHOT, cluster.snapshot)
        kept = cluster.snapshot()
        for number in range(CHANGED_COUNT):
            table.put(b"row%d" % number, {"f:q": b"other"})
        timed(samples, RESTORE, lambda: cluster.restore(kept))
        hbase.admin.disable_table("t")
        hbase.admin.delete_table("t")
        timed(samples, REMADE, lambda: cluster.restore(kept))


def isolated(tests_count: int) -> list[Row]:
    """So many isolated tests in one session: how they ended, and what has grown from the fourth to the last."""
    with tempfile.TemporaryDirectory(prefix="hbeacon-tests-") as directory:
        source = (ROOT / "tests" / "testing" / "many.py").read_text()
        os.environ["TESTED_COUNT"] = str(tests_count)
        run = PytestRun(Path(directory), test_many=source)
        done = run.run("-s", "-o", "timeout=0", timeout_s=3600)
        left = f"{len(run.processes())} processes, {len(run.files())} files"
    ended = re.findall(r"^(\d+ passed.*) in ([\d.]+)s", done.stdout, re.MULTILINE)
    if not ended:
        print(done.stdout[-4000:], file=sys.stderr)
    passed, seconds = ended[-1] if ended else ("failed", "0")
    verdict = HELD if passed == f"{tests_count} passed" else LOST
    each_ms = float(seconds) * 1000 / tests_count
    rows: list[Row] = [
        (f"{tests_count} isolated tests in one session", passed, f"{each_ms:.0f} ms each", "all", verdict),
        ("left behind by them", left, "", "nothing", HELD if left == "0 processes, 0 files" else LOST),
    ]
    for name, before, after in re.findall(r"^\.?([\w ]+): (\d+), then (\d+)$", done.stdout, re.MULTILINE):
        rows.append((f"{name} meanwhile", after, f"{before} in the fourth test", "", ""))
    return rows


def rows(samples: Samples) -> list[Row]:
    """Measure, median, spread, goal, verdict."""
    found: list[Row] = []
    for measure in (FIRST, *KINDS, CLOSE, SNAPSHOT, RESTORE, REMADE, MEMORY):
        figure, unit = ("mib", "MiB") if measure == MEMORY else ("ms", "ms")
        values = samples.series(measure, SIDE, figure)
        if not values:
            continue
        middle = quantile(values, 0.5)
        goal = f"at most {START_GOAL_MS / 1000:g} s" if measure == USUAL else ""
        verdict = (HELD if middle <= START_GOAL_MS else LOST) if goal else ""
        spread = f"{min(values):.0f} to {max(values):.0f} {unit}, {len(values)} runs"
        found.append((measure, f"{middle:.0f} {unit}", spread, goal, verdict))
    return found


def main() -> int:
    """Run it; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fixture", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each measure (20)")
    parser.add_argument("--tests", type=int, default=1000, help="isolated tests in one session (1000); 0: none")
    options = RECORD.parsed(parser)
    document = RECORD.begun()
    samples, zygote = Samples(), Zygote()
    try:
        Cluster(zygote, KINDS[USUAL]).close()
        for _ in range(options.runs):
            for kind in KINDS:
                starts(samples, zygote, kind)
        for _ in range(max(1, options.runs // 4)):
            snapshots(samples, zygote)
            first(samples)
    finally:
        zygote.close()
    found = rows(samples) + (isolated(options.tests) if options.tests else [])
    document |= {"samples": samples.as_json(), "table": found}
    table = markdown(HEADINGS, found, figures=(1,))
    path = RECORD.keep(document, options, table=table, versions=("python", "uvloop"))
    for row in found:
        print("  ".join(filter(None, row)))
    print(f"samples: {path}")
    return 1 if LOST in (row[-1] for row in found) else 0


if __name__ == "__main__":
    sys.exit(main())
