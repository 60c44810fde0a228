"""The data path beside a real HBase: `python -m benchmarks.data_path` runs every row and prints the table.

Needs Go, Java, Debian's zookeeper package, HBase's and YCSB's jars (tests/setup.sh fetches all that); takes about
eighteen minutes, about one with --quick, which shows that everything runs and whose figures mean nothing.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import load
from benchmarks.comparison import Comparison, Run
from benchmarks.data_path import cleanup, filters, first, loads, regions, ycsb
from benchmarks.data_path.sides import REGION_SERVERS, HBaseSide, HBeaconSide, Side
from benchmarks.data_path.table import HEADINGS, MEMORY, DataPathTable
from benchmarks.record import Record
from benchmarks.servers import pss_mib
from benchmarks.speed import Effort
from benchmarks.table import Row
from registry.wire.errors import HBaseError
from tests.support.java import ClientError

RECORD = Record("data_path")
VERSIONS = ("python", "uvloop", "protobuf", "java", "go")
GROUPS = ("speed", "wide", "filters", "cleanup", "ycsb", "memory", "regions", "first", "cold")
SETTLE_S = 2.0
Tick = Callable[[str], None]
Group = tuple[str, int, Callable[[Tick], None]]
"""Name, steps, and what is done."""
FAILURES = (load.LoadError, HBaseError, ClientError, AssertionError, OSError, TimeoutError, subprocess.SubprocessError)
"""What the world may do to a measure."""


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    rows: loads.Rows
    effort: Effort
    wide_effort: Effort
    people: int
    filter_effort: Effort
    dying: int
    cleanup_effort: Effort
    ycsb_records: int
    ycsb_rounds: int
    ycsb_ms: tuple[float, float]
    regions: int
    region_rounds: int
    starts: tuple[int, int]
    cold: tuple[int, int]
    hbase_servers: int = REGION_SERVERS


FULL = Plan(
    rows=loads.Rows(20_000, 100_000),
    effort=Effort(5, 1500, 500, 5000),
    wide_effort=Effort(3, 1500, 500, 0),
    people=100_000,
    filter_effort=Effort(9, 300, 0, 2000),
    dying=20_000,
    cleanup_effort=Effort(4, 2500, 500, 0),
    ycsb_records=20_000,
    ycsb_rounds=3,
    ycsb_ms=(1000, 3000),
    regions=1000,
    region_rounds=1,
    starts=(5, 2),
    cold=(10, 1000),
)
QUICK = Plan(
    rows=loads.Rows(1000, 2000),
    effort=Effort(1, 300, 50, 100),
    wide_effort=Effort(1, 200, 0, 0),
    people=2000,
    filter_effort=Effort(1, 0, 0, 0),
    dying=500,
    cleanup_effort=Effort(1, 200, 0, 0),
    ycsb_records=500,
    ycsb_rounds=1,
    ycsb_ms=(0, 200),
    regions=20,
    region_rounds=1,
    starts=(1, 0),
    cold=(2, 20),
    hbase_servers=1,
)


class Groups:
    """Group after group; what happens to one of them leaves the others alone, and stands in the table."""

    def __init__(self, plan: Plan, run: Run) -> None:
        """Nothing runs yet."""
        self._plan, self._run = plan, run
        self._program, self._directory, self._samples = run.program, run.directory, run.samples
        self._sides: list[Side] = []

    def measure(self) -> None:
        """Those that were asked for, in their order."""
        groups = self._run.groups
        together: list[Group] = [
            ("speed", len(loads.LOADS) * (1 + self._plan.effort.rounds * 2) + 2, self._speed),
            ("wide", 2 + (1 + self._plan.wide_effort.rounds) * 2, self._wide),
            ("filters", 2 + (1 + self._plan.filter_effort.rounds) * 2 * len(filters.FILTERS), self._filters),
            ("cleanup", 4 + (1 + self._plan.cleanup_effort.rounds) * 4, self._cleanup),
            ("ycsb", 2 + (1 + self._plan.ycsb_rounds) * 2 * len(ycsb.WORKLOADS), self._ycsb),
            ("memory", 2, self._memory),
            ("regions", self._plan.region_rounds * 4, self._regions),
        ]
        wanted = [group for group in together if group[0] in groups]
        if wanted:
            with ExitStack() as stack:
                if self._group(("begin", 3, lambda tick: self._begin(stack, tick))):
                    for group in wanted:
                        self._group(group)
        alone: list[Group] = [
            ("first", 1 + sum(self._plan.starts), self._first),
            ("cold", self._plan.cold[0] * 2 + 2, self._cold),
        ]
        for group in alone:
            if group[0] in groups:
                self._group(group)

    def _group(self, group: Group) -> bool:
        name, steps, work = group
        failures = self._run.failures
        if not self._run.report.console.is_terminal:  # bars are drawn at their ends only then
            self._run.report.console.print(f"{time.strftime('%H:%M:%S')} {name}, {steps} steps")
        try:
            with self._run.report.group(name, steps) as tick:
                work(tick)
        except FAILURES as error:
            failures[name] = str(error) or type(error).__name__
            self._run.report.console.print(f"{name}: {failures[name]}", style="red", markup=False)
        return name not in failures

    def _begin(self, stack: ExitStack, tick: Tick) -> None:
        tick("both clusters")
        hbase = HBaseSide(self._directory / "hbase", servers=self._plan.hbase_servers)
        stack.callback(hbase.stop)
        flags = ("--data-dir", str(self._directory / "hbeacon" / "data"), "--regionservers", str(REGION_SERVERS))
        hbeacon = HBeaconSide(self._directory / "hbeacon", *flags)
        stack.callback(hbeacon.stop)
        self._sides = [hbeacon, hbase]
        for side in self._sides:
            side.wait_ready()
        loads.prepare(self._program, self._sides, self._plan.rows, tick)

    def _speed(self, tick: Tick) -> None:
        plan = self._plan
        loads.warm_up(self._program, self._sides[1], plan.rows, plan.effort, tick)
        loads.measure(self._program, self._sides, plan.rows, plan.effort, self._samples, tick)

    def _wide(self, tick: Tick) -> None:
        plan = self._plan
        loads.measure_wide(self._program, self._sides, plan.rows, plan.wide_effort, self._samples, tick)

    def _filters(self, tick: Tick) -> None:
        plan = self._plan
        filters.measure(self._program, self._sides, plan.people, plan.filter_effort, self._samples, tick)

    def _cleanup(self, tick: Tick) -> None:
        plan = self._plan
        cleanup.measure(self._program, self._sides, plan.dying, plan.cleanup_effort, self._samples, tick)

    def _ycsb(self, tick: Tick) -> None:
        ycsb.measure(
            self._sides,
            self._directory,
            records=self._plan.ycsb_records,
            rounds=self._plan.ycsb_rounds,
            warm_up_ms=self._plan.ycsb_ms[0],
            measured_ms=self._plan.ycsb_ms[1],
            samples=self._samples,
            tick=tick,
        )

    def _memory(self, tick: Tick) -> None:
        time.sleep(SETTLE_S)
        for side in self._sides:
            tick(side.name)
            pids = side.pids()
            self._samples.add(MEMORY, side.name, {"mib": pss_mib(pids), "processes": len(pids)})

    def _regions(self, tick: Tick) -> None:
        plan = self._plan
        regions.measure_create(self._program, self._sides, plan.regions, plan.region_rounds, self._samples, tick)

    def _first(self, tick: Tick) -> None:
        first.measure(self._directory / "first", *self._plan.starts, self._samples, tick)

    def _cold(self, tick: Tick) -> None:
        tables, each = self._plan.cold
        place = self._directory / "cold"
        regions.measure_cold_start(self._program, place, tables=tables, regions=each, samples=self._samples, tick=tick)


def _measure(run: Run) -> None:
    Groups(QUICK if run.is_quick else FULL, run).measure()


def _table(run: Run) -> Sequence[Row]:
    return DataPathTable(run.samples, run.failures).rows


if __name__ == "__main__":
    sys.exit(Comparison(RECORD, __doc__, GROUPS, HEADINGS, VERSIONS, _measure, _table).main())
