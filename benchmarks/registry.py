"""The registry beside a real HBase: `python -m benchmarks.registry` runs every row and prints the table.

Needs Go, Java, Debian's zookeeper package and HBase's jars (tests/setup.sh fetches all that); takes about five
minutes, a minute with --quick, which shows that everything runs and whose figures mean nothing.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from benchmarks import load, moments, outage, speed
from benchmarks.record import Record, markdown
from benchmarks.report import Reporter
from benchmarks.samples import Samples
from benchmarks.servers import HBASE, Adapter, HBaseAsInstalled, Side
from benchmarks.table import HEADINGS, LOST, Row, Table, cells
from registry.names import ServerName
from tests.support.hbase_tree import HBaseTreeWriter
from tests.support.processes import MissingToolError
from tests.support.zookeeper import ZooKeeperServer, debian

GROUPS = ("speed", "memory", "change", "start", "outage")
HBASE_READY_S_MAX = 120.0
RECORD = Record("registry")
VERSIONS = ("python", "uvloop", "protobuf", "kazoo", "fastapi", "uvicorn", "java", "go")
ADAPTERS_WATCHING = 3
ADAPTERS_IN_OUTAGE = 2


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    effort: speed.Effort
    idle_connections: int
    starts: int
    changes: int
    outage_rounds: int
    outage_ms: float


FULL = Plan(speed.Effort(5, 2000, 500, 4000), 10_000, 7, 300, 5, 2000)
QUICK = Plan(speed.Effort(1, 400, 100, 300), 500, 2, 20, 1, 1000)


def _beside_hbase(
    plan: Plan, groups: Sequence[str], program: Path, directory: Path, samples: Samples, report: Reporter
) -> None:
    with ExitStack() as stack:
        with report.group("begin", 4) as tick:
            tick("ZooKeeper")
            zookeeper = ZooKeeperServer(debian(), directory / "zookeeper")
            stack.callback(zookeeper.close)
            zookeeper.start()
            tick("HBase: a master and a region server")
            since_s = time.perf_counter()
            hbase = HBaseAsInstalled(directory / "hbase", zookeeper.address)
            stack.callback(hbase.close)
            samples.add("start", HBASE, {"rpc_ms": moments.first_answer_ms(hbase.rpc, since_s, HBASE_READY_S_MAX)})
            hbase.wait_ready(HBASE_READY_S_MAX)
            # Now: later the witness may still tell of a location that was only written to be seen changing.
            expected = ServerName.parse(hbase.witness.meta.last())
            tick("adapter")
            adapter = Adapter(zookeeper.address, directory / "adapter.log")
            stack.callback(adapter.stop)
            adapter.wait_ready()
            tick("warm the JVM")
            sides: list[Side] = [adapter, hbase]
            if {"speed", "change"} & set(groups):
                speed.warm_up(program, hbase, plan.effort)
        if "speed" in groups:
            with report.group("speed", plan.effort.rounds * len(speed.LOADS) * 2) as tick:
                speed.measure(program, sides, plan.effort, samples, tick)
        if "memory" in groups:
            with report.group("memory", 2) as tick:
                speed.measure_memory(program, sides, plan.idle_connections, samples, tick)
        if "change" in groups:
            # Started only now: they would have taken processor time from both sides.
            for number in range(1, ADAPTERS_WATCHING):
                another = Adapter(zookeeper.address, directory / f"adapter-{number}.log", number=number)
                stack.callback(another.stop)
                another.wait_ready()
                sides.append(another)
            with report.group("change", plan.changes) as tick:
                moments.measure_changes(zookeeper.address, sides, plan.changes, samples, tick)
        if "start" in groups:
            with report.group("start", plan.starts) as tick:
                moments.measure_starts(zookeeper.address, expected, directory, plan.starts, samples, tick)


def _without_hbase(plan: Plan, program: Path, directory: Path, samples: Samples, report: Reporter) -> None:
    with ExitStack() as stack, report.group("outage", 1 + plan.outage_rounds * len(outage.STATES)) as tick:
        tick("two ZooKeepers, adapters")
        zookeeper, bystander = (ZooKeeperServer(debian(), directory / name) for name in ("zookeeper", "bystander"))
        for server in (zookeeper, bystander):
            stack.callback(server.close)
            server.start()
        tree = HBaseTreeWriter(zookeeper.address)
        stack.callback(tree.close)
        tree.write()
        adapters = [
            Adapter(zookeeper.address, directory / f"adapter-{number}.log", number=number)
            for number in range(ADAPTERS_IN_OUTAGE)
        ]
        for adapter in adapters:
            stack.callback(adapter.stop)
            adapter.wait_ready()
        outage.measure(
            program,
            zookeeper,
            bystander,
            adapters,
            rounds=plan.outage_rounds,
            measured_ms=plan.outage_ms,
            samples=samples,
            tick=tick,
        )


def _show(rows: Sequence[Row]) -> None:
    shown = RichTable(*HEADINGS)
    for row in rows:
        shown.add_row(*map(escape, cells(row)), style="bold red" if row.verdict == LOST else "")
    Console(width=None if sys.stdout.isatty() else 180).print(shown)


def main() -> int:
    """Run what was asked for. 0 also when rows are lost, unless --strict; 1 when a round had errors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.registry", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds for each group: shows that all of it runs")
    parser.add_argument("--only", default=",".join(GROUPS), help=f"groups, by comma: {', '.join(GROUPS)}")
    parser.add_argument("--strict", action="store_true", help="exit with 3 when a row is lost")
    options = RECORD.parsed(parser)
    groups = options.only.split(",")
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"there is no group {', '.join(sorted(unknown))}: {', '.join(GROUPS)}")
    # Ten thousand connections need as many descriptors here and in the server, which inherits the limit.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    plan, samples, report = QUICK if options.quick else FULL, Samples(), Reporter()
    document = RECORD.begun(quick=options.quick, groups=groups)
    began_s = time.perf_counter()
    try:
        program = load.build()
        with tempfile.TemporaryDirectory(prefix="hbeacon-benchmark-") as name:
            if set(groups) - {"outage"}:
                _beside_hbase(plan, groups, program, Path(name), samples, report)
            if "outage" in groups:
                _without_hbase(plan, program, Path(name) / "outage", samples, report)
    except (load.LoadError, MissingToolError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    table = Table(samples)
    document |= {"seconds": time.perf_counter() - began_s, "samples": samples.as_json()}
    document |= {"table": [asdict(row) for row in table.rows]}
    shown = markdown(HEADINGS, [cells(row) for row in table.rows], figures=(1, 2, 3))
    path = RECORD.keep(document, options, table=shown, versions=VERSIONS, notes=(f"{len(table.lost)} rows lost",))
    _show(table.rows)
    print(f"{len(table.lost)} rows lost; samples: {path}")
    for line in samples.errors():
        print(f"errors: {line}")
    if samples.errors():
        return 1
    return 3 if table.lost and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
