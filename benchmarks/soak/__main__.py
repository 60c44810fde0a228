"""`python -m benchmarks.soak --minutes 60 --seed 7`: clients heavy on look-ups, adapters that are hurt all the time.

Starts ZooKeeper, a real HBase 2.6.4 and three adapters behind proxies, Python clients (async and blocking) and stock
Java clients that connect, look up, read and write; stops, kills, restarts, delays and cuts off adapters and restarts
ZooKeeper as the seed says. Tells a line now and then, at the end what was done and what grew. Exit codes: 0 no look-up
failed and nothing grew, 3 something did, 1 it could not be run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.record import TRACK_RECORD
from benchmarks.samples import write_json
from benchmarks.soak.report import record
from benchmarks.soak.run import Plan, Soak
from tests.support.processes import MissingToolError

FAILED = 3


def main(words: Sequence[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="a long run beside faults")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long clients and faults go on (60)")
    parser.add_argument("--seed", type=int, default=1, help="of faults and clients (1)")
    parser.add_argument("--clients", type=int, default=6, help="Python clients at one time (6)")
    parser.add_argument("--no-hbase", action="store_true", help="ZooKeeper's tree alone: no Java, no rows")
    parser.add_argument("--no-faults", action="store_true", help="what it is like when all is well")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--record", action="store_true", help="add a row to docs/track-record.md")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="logs and data go there and stay")
    options = parser.parse_args(words)
    plan = Plan(
        duration_s=options.minutes * 60,
        seed=options.seed,
        clients=options.clients,
        hbase=not options.no_hbase,
        hurting=not options.no_faults,
    )
    with tempfile.TemporaryDirectory(prefix="hbeacon-soak-") as made:
        directory = options.keep or Path(made)
        directory.mkdir(parents=True, exist_ok=True)
        try:
            report = Soak(plan, directory, lambda line: print(line, flush=True)).run()
        except MissingToolError as error:
            print(error, file=sys.stderr)
            return 1
    print(report.text())
    if options.json:
        write_json(options.json, report.document())
    if options.record:
        TRACK_RECORD.write_text(record(TRACK_RECORD.read_text(), report))
    return FAILED if report.problems() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
