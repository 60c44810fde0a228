"""The coordinator beside a real ZooKeeper: `python -m benchmarks.coordinator` runs every row and prints the table.

Needs Go, Java and Debian's zookeeper package (tests/setup.sh fetches all that); takes about three minutes, half a
minute with --quick, which shows that everything runs and whose figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
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

from benchmarks import load, speed
from benchmarks.coordinator_sides import CoordinatorSide, ZooKeeperAsInstalled, ZooKeeperSide, first_answer_ms, prepare
from benchmarks.coordinator_table import (
    DISK_LOADS,
    HEADINGS,
    LOADS,
    MEMORY,
    START,
    WATCHES,
    CoordinatorTable,
    Row,
    cells,
)
from benchmarks.record import Record, markdown
from benchmarks.report import Reporter
from benchmarks.samples import Samples
from benchmarks.servers import usage
from benchmarks.table import LOST
from tests.support.processes import MissingToolError

GROUPS = ("speed", "watches", "start", "disk")
RECORD = Record("coordinator")
MIB = 1 << 20
SETTLE_S = 1.0
WATCH_S_MAX = 120.0


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    effort: speed.Effort
    disk_effort: speed.Effort
    sessions: int
    watch_rounds: int
    starts: int
    jvm_starts: int


FULL = Plan(speed.Effort(5, 1500, 400, 4000), speed.Effort(3, 1500, 400, 2000), 10_000, 5, 9, 2)
QUICK = Plan(speed.Effort(1, 300, 100, 300), speed.Effort(1, 300, 100, 100), 500, 1, 2, 1)


def _sides(directory: Path, stack: ExitStack, samples: Samples, *, on_disk: bool) -> list[ZooKeeperSide]:
    """Both, one after the other, so that each start has the machine to itself; they run until the stack is closed."""
    made: list[ZooKeeperSide] = []
    for name, kind in (("coordinator", CoordinatorSide), ("zookeeper", ZooKeeperAsInstalled)):
        since_s = time.perf_counter()
        side = kind(directory / name, on_disk=on_disk)
        stack.callback(side.stop)
        samples.add(START, side.name, {"first_answer_ms": first_answer_ms(side, since_s)})
        made.append(side)
    return made


def _loads(
    plan: speed.Effort,
    loads: Sequence[speed.Load],
    program: Path,
    sides: Sequence[ZooKeeperSide],
    samples: Samples,
    tick: Callable[[str], None],
) -> None:
    for side in sides:
        prepare(program, side)
    tick("warm the JVM")
    speed.warm_up(program, sides[1], plan, loads)
    speed.measure(program, sides, plan, samples, tick, loads)


def _resident_mib(side: ZooKeeperSide) -> float:
    return usage(side.pids()).resident_bytes / MIB


def _watches(
    plan: Plan, program: Path, side: ZooKeeperSide, samples: Samples, memory: dict[str, dict[str, float]]
) -> None:
    prepare(program, side)
    words = [str(program), "zkwatch", "-addr", str(side.rpc), "-c", str(plan.sessions), "-n", str(plan.watch_rounds)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as generator:
        assert generator.stdout is not None
        line = json.loads(generator.stdout.readline() or "{}")
        for sample in line.get("rounds", [{"errors": 1, "error": line.get("error", "the load generator died")}]):
            samples.add(WATCHES, side.name, sample)
        memory[side.name]["sessions_mib"] = _resident_mib(side)
        generator.communicate(timeout=WATCH_S_MAX)


def _starts(plan: Plan, directory: Path, samples: Samples, tick: Callable[[str], None]) -> None:
    for number in range(plan.starts):
        for kind, count in ((CoordinatorSide, plan.starts), (ZooKeeperAsInstalled, plan.jvm_starts)):
            if number >= count:
                continue
            tick(f"start {number + 1}")
            since_s = time.perf_counter()
            side = kind(directory / f"start-{kind.__name__}-{number}")
            try:
                samples.add(START, side.name, {"first_answer_ms": first_answer_ms(side, since_s)})
            finally:
                side.stop()


def _run(plan: Plan, groups: Sequence[str], program: Path, directory: Path, samples: Samples, report: Reporter) -> None:
    if {"speed", "watches"} & set(groups):
        with ExitStack() as stack:
            sides = _sides(directory / "memory", stack, samples, on_disk=False)
            memory: dict[str, dict[str, float]] = {side.name: {} for side in sides}
            if "speed" in groups:
                with report.group("speed", 1 + plan.effort.rounds * len(LOADS) * 2) as tick:
                    _loads(plan.effort, LOADS, program, sides, samples, tick)
                time.sleep(SETTLE_S)
                for side in sides:
                    memory[side.name]["resident_mib"] = _resident_mib(side)
            if "watches" in groups:
                with report.group("watches", 2) as tick:
                    for side in sides:
                        tick(side.name)
                        _watches(plan, program, side, samples, memory)
            for name, figures in memory.items():
                samples.add(MEMORY, name, figures)
    if "disk" in groups:
        with ExitStack() as stack:
            sides = _sides(directory / "disk", stack, samples, on_disk=True)
            with report.group("disk", 1 + plan.disk_effort.rounds * len(DISK_LOADS) * 2) as tick:
                _loads(plan.disk_effort, DISK_LOADS, program, sides, samples, tick)
    if "start" in groups:
        with report.group("start", plan.starts + plan.jvm_starts) as tick:
            _starts(plan, directory, samples, tick)


def _show(rows: Sequence[Row]) -> None:
    shown = RichTable(*HEADINGS)
    for row in rows:
        shown.add_row(*map(escape, cells(row)), style="bold red" if row.verdict == LOST else "")
    Console(width=None if sys.stdout.isatty() else 180).print(shown)


def main() -> int:
    """Run what was asked for. 0 also when rows are lost, unless --strict; 1 when a round had errors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coordinator", description=__doc__)
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
            _run(plan, groups, program, Path(name), samples, report)
    except (load.LoadError, MissingToolError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    table = CoordinatorTable(samples)
    document |= {"seconds": time.perf_counter() - began_s, "samples": samples.as_json()}
    document |= {"table": [asdict(row) for row in table.rows]}
    path = RECORD.keep(
        document,
        options,
        table=markdown(HEADINGS, [cells(row) for row in table.rows], figures=(1, 2, 3)),
        versions=("python", "uvloop", "java", "go"),
        notes=(f"{len(table.lost)} rows lost",),
    )
    _show(table.rows)
    print(f"{len(table.lost)} rows lost; samples: {path}")
    for line in samples.errors():
        print(f"errors: {line}")
    if samples.errors():
        return 1
    return 3 if table.lost and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
