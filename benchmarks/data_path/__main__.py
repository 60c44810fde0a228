"""The data path beside a real HBase: `python -m benchmarks.data_path` runs every row and prints the table.

Needs Go, Java, Debian's zookeeper package, HBase's and YCSB's jars (tests/setup.sh fetches all that); takes about
fifteen minutes, about one with --quick, which shows that everything runs and whose figures mean nothing.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from benchmarks import load
from benchmarks.coordinator_table import Row, cells
from benchmarks.data_path import first, loads, regions, ycsb
from benchmarks.data_path.sides import REGION_SERVERS, HBaseSide, HBeaconSide, Side
from benchmarks.data_path.table import HEADINGS, MEMORY, DataPathTable
from benchmarks.record import Record, markdown
from benchmarks.report import Reporter
from benchmarks.samples import Samples
from benchmarks.servers import pss_mib
from benchmarks.speed import Effort
from benchmarks.table import LOST
from registry.wire.errors import HBaseError
from tests.support.java import ClientError
from tests.support.processes import MissingToolError

RECORD = Record("data_path")
VERSIONS = ("python", "uvloop", "protobuf", "java", "go")
GROUPS = ("speed", "wide", "ycsb", "memory", "regions", "first", "cold")
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
    ycsb_records=500,
    ycsb_rounds=1,
    ycsb_ms=(0, 200),
    regions=20,
    region_rounds=1,
    starts=(1, 0),
    cold=(2, 20),
    hbase_servers=1,
)


class Run:
    """Group after group; what happens to one of them leaves the others alone, and stands in the table."""

    def __init__(self, plan: Plan, program: Path, directory: Path, report: Reporter) -> None:
        """Nothing runs yet."""
        self.samples = Samples()
        self.failures: dict[str, str] = {}
        self._plan, self._program, self._directory, self._report = plan, program, directory, report
        self._sides: list[Side] = []

    def all_of(self, groups: Sequence[str]) -> None:
        """Those groups, in their order."""
        together: list[Group] = [
            ("speed", len(loads.LOADS) * (1 + self._plan.effort.rounds * 2) + 2, self._speed),
            ("wide", 2 + (1 + self._plan.wide_effort.rounds) * 2, self._wide),
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
        if not self._report.console.is_terminal:  # bars are drawn at their ends only then
            self._report.console.print(f"{time.strftime('%H:%M:%S')} {name}, {steps} steps")
        try:
            with self._report.group(name, steps) as tick:
                work(tick)
        except FAILURES as error:
            self.failures[name] = f"{type(error).__name__}: {error}"
            self._report.console.print(f"{name}: {self.failures[name]}", style="red", markup=False)
        return name not in self.failures

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
        loads.measure(self._program, self._sides, plan.rows, plan.effort, self.samples, tick)

    def _wide(self, tick: Tick) -> None:
        plan = self._plan
        loads.measure_wide(self._program, self._sides, plan.rows, plan.wide_effort, self.samples, tick)

    def _ycsb(self, tick: Tick) -> None:
        ycsb.measure(
            self._sides,
            self._directory,
            records=self._plan.ycsb_records,
            rounds=self._plan.ycsb_rounds,
            warm_up_ms=self._plan.ycsb_ms[0],
            measured_ms=self._plan.ycsb_ms[1],
            samples=self.samples,
            tick=tick,
        )

    def _memory(self, tick: Tick) -> None:
        time.sleep(SETTLE_S)
        for side in self._sides:
            tick(side.name)
            pids = side.pids()
            self.samples.add(MEMORY, side.name, {"mib": pss_mib(pids), "processes": len(pids)})

    def _regions(self, tick: Tick) -> None:
        plan = self._plan
        regions.measure_create(self._program, self._sides, plan.regions, plan.region_rounds, self.samples, tick)

    def _first(self, tick: Tick) -> None:
        first.measure(self._directory / "first", *self._plan.starts, self.samples, tick)

    def _cold(self, tick: Tick) -> None:
        tables, each = self._plan.cold
        place = self._directory / "cold"
        regions.measure_cold_start(self._program, place, tables=tables, regions=each, samples=self.samples, tick=tick)


def _show(rows: Sequence[Row]) -> None:
    shown = RichTable(*HEADINGS)
    for row in rows:
        shown.add_row(*map(escape, cells(row)), style="bold red" if row.verdict == LOST else "")
    Console(width=None if sys.stdout.isatty() else 180).print(shown)


def main() -> int:
    """Run what was asked for. 0 also when rows are lost, unless --strict; 1 when a round had errors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_path", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a moment for each row: shows that all of it runs")
    parser.add_argument("--only", default=",".join(GROUPS), help=f"groups, by comma: {', '.join(GROUPS)}")
    parser.add_argument("--strict", action="store_true", help="exit with 3 when a row is lost")
    options = RECORD.parsed(parser)
    groups = options.only.split(",")
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"there is no group {', '.join(sorted(unknown))}: {', '.join(GROUPS)}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    document = RECORD.begun(quick=options.quick, groups=groups)
    began_s = time.perf_counter()
    try:
        program = load.build()
        with tempfile.TemporaryDirectory(prefix="hbeacon-benchmark-") as name:
            run = Run(QUICK if options.quick else FULL, program, Path(name), Reporter())
            run.all_of(groups)
    except (load.LoadError, MissingToolError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    samples = run.samples
    table = DataPathTable(samples, run.failures)
    document |= {"seconds": time.perf_counter() - began_s, "failures": run.failures, "samples": samples.as_json()}
    document |= {"table": [asdict(row) for row in table.rows]}
    shown = markdown(HEADINGS, [cells(row) for row in table.rows], figures=(1, 2, 3))
    path = RECORD.keep(document, options, table=shown, versions=VERSIONS, notes=(f"{len(table.lost)} rows lost",))
    _show(table.rows)
    print(f"{len(table.lost)} rows lost; samples: {path}")
    errors = [*samples.errors(), *(f"{name}: {why}" for name, why in run.failures.items())]
    for line in errors:
        print(f"errors: {line}")
    if errors:
        return 1
    return 3 if table.lost and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
