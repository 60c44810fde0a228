"""Rows from Python, beside happybase through HBase's own Thrift server and hbase-driver, on one real HBase 2.6.4.

    python -m benchmarks.python_rows [--runs N] [--rows N] [--record]

All clients use one table of one cluster, one call after the other, in turns: a round of each, then the next. Medians
over the rounds; a ratio above 1 is in favour of hbeacon. Needs what tests/setup.sh installs, and fetches happybase and
the Thrift server (2.5.8, the newest that is to be had as a package) when they are not there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import hbeacon
from benchmarks.python_rows.sides import ASYNC, BLOCKING, DRIVER, FACADE, HAPPYBASE, KINDS, Client, Kind, ThriftServer
from benchmarks.record import Record, markdown
from benchmarks.samples import Samples
from benchmarks.table import HELD, LOST
from tests.support.real_cluster import RealClusters

RECORD = Record("python_rows")
TABLE = "python-rows"
FIGURES = {"put": "us", "get": "us", "batch": "rows_per_second", "scan": "rows_per_second"}
WORDS = {
    "put": "single put",
    "get": "single get",
    "batch": "batch of 1000 puts",
    "scan": "scan",
}
DRIVER_GOAL = 3.0
HEADINGS = ("measure", "client", "median", "beside", "ratio", "goal", "")
Row = tuple[str, str, str, str, str, str, str]


def prepare(uri: str, rows_count: int) -> None:
    """The table, with rows to scan."""
    with hbeacon.connect_blocking(uri) as hbase:
        hbase.admin.create_table(TABLE, {"cf": {"VERSIONS": 1}}, timeout_ms=60_000)
        table = hbase.table(TABLE, timeout_ms=60_000)
        with table.batch_writer(rows_max=1000) as writer:
            for number in range(rows_count):
                writer.put(b"s%07d" % number, {b"cf:a": b"v" * 100, b"cf:b": b"%d" % number})


def rows(samples: Samples) -> list[Row]:
    """Every client beside happybase, scans beside hbase-driver too."""
    found: list[Row] = []
    for measure in FIGURES:
        found += [
            (WORDS[measure], kind.name, _shown(measure, told), "", "", "", "")
            for kind in (HAPPYBASE, DRIVER)
            if (told := _median(samples, measure, kind)) is not None
        ]
        for kind in (FACADE, BLOCKING, ASYNC):
            found += _beside(samples, measure, kind, HAPPYBASE, 1.0)
            if measure == "scan" and kind is not FACADE:
                found += _beside(samples, measure, kind, DRIVER, DRIVER_GOAL)
    return found


def _beside(samples: Samples, measure: str, kind: Kind, other: Kind, goal: float) -> list[Row]:
    own, theirs = _median(samples, measure, kind), _median(samples, measure, other)
    if own is None or theirs is None:
        return []
    ratio = theirs / own if FIGURES[measure] == "us" else own / theirs
    verdict = HELD if ratio >= goal else LOST
    row = (WORDS[measure], kind.name, _shown(measure, own), other.name, f"{ratio:.2f}", f"at least {goal:g}", verdict)
    return [row]


def _median(samples: Samples, measure: str, kind: Kind) -> float | None:
    return samples.median(measure, kind.name, FIGURES[measure])


def _shown(measure: str, figure: float) -> str:
    return f"{figure:.0f} us" if FIGURES[measure] == "us" else f"{figure / 1000:.1f} k rows/s"


def main() -> int:
    """Run it; 1 when a round had errors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.python_rows", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="rounds of each measure (5); one more warms up")
    parser.add_argument("--rows", type=int, default=50_000, help="rows that are scanned (50000)")
    options = RECORD.parsed(parser)
    document = RECORD.begun(rows=options.rows)
    samples = Samples()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hbeacon-python-rows-")))
        clusters = RealClusters(directory / "clusters")
        stack.callback(clusters.close)
        uri = f"hbase+rpc://{clusters.current.masters}"
        zookeeper = str(clusters.zookeeper.address)
        prepare(uri, options.rows)
        thrift = ThriftServer(directory, zookeeper)
        stack.callback(thrift.process.stop)
        targets = {HAPPYBASE: f"127.0.0.1 {thrift.port}", DRIVER: zookeeper}
        clients = [
            stack.enter_context(closing(Client(kind, targets.get(kind, uri), TABLE, directory))) for kind in KINDS
        ]
        for round_number in range(-1, options.runs):
            for measure in FIGURES:
                for client in clients:
                    if measure in client.kind.measures:
                        sample = client.do(measure)
                        print(f"{WORDS[measure]}, {client.kind.name}: {sample}", file=sys.stderr)
                        if round_number >= 0 or sample.get("errors"):
                            samples.add(measure, client.kind.name, sample)
    found = rows(samples)
    document |= {"samples": samples.as_json(), "table": found}
    path = RECORD.keep(document, options, table=markdown(HEADINGS, found, figures=(2, 4)), versions=("python", "java"))
    for row in found:
        print("  ".join(filter(None, row)))
    print(f"samples: {path}")
    for line in samples.errors():
        print(f"errors: {line}")
    return 1 if samples.errors() else 0


if __name__ == "__main__":
    sys.exit(main())
