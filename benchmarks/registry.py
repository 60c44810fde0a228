"""The registry beside a real HBase: `python -m benchmarks.registry` runs every row and prints the table.

Needs Go, Java, Debian's zookeeper package and HBase's jars (tests/setup.sh fetches all that); takes about five
minutes, a minute with --quick, which shows that everything runs and whose figures mean nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import moments, outage, speed
from benchmarks.comparison import Comparison, Run
from benchmarks.record import Record
from benchmarks.servers import HBASE, Adapter, HBaseAsInstalled, Side
from benchmarks.table import HEADINGS, Row, Table
from registry.names import ServerName
from tests.support.hbase_tree import HBaseTreeWriter
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


def _beside_hbase(plan: Plan, run: Run) -> None:
    groups, program, directory, samples, report = run.groups, run.program, run.directory, run.samples, run.report
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


def _without_hbase(plan: Plan, run: Run) -> None:
    directory = run.directory / "outage"
    with ExitStack() as stack, run.report.group("outage", 1 + plan.outage_rounds * len(outage.STATES)) as tick:
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
            run.program,
            zookeeper,
            bystander,
            adapters,
            rounds=plan.outage_rounds,
            measured_ms=plan.outage_ms,
            samples=run.samples,
            tick=tick,
        )


def _measure(run: Run) -> None:
    plan = QUICK if run.is_quick else FULL
    if set(run.groups) - {"outage"}:
        _beside_hbase(plan, run)
    if "outage" in run.groups:
        _without_hbase(plan, run)


def _table(run: Run) -> Sequence[Row]:
    return Table(run.samples).rows


if __name__ == "__main__":
    sys.exit(Comparison(RECORD, __doc__, GROUPS, HEADINGS, VERSIONS, _measure, _table).main())
