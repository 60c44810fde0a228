"""The coordinator beside a real ZooKeeper: `python -m benchmarks.coordinator` runs every row and prints the table.

Needs Go, Java and Debian's zookeeper package (tests/setup.sh fetches all that); takes about three minutes, half a
minute with --quick, which shows that everything runs and whose figures mean nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import speed
from benchmarks.comparison import Comparison, Run
from benchmarks.coordinator_sides import CoordinatorSide, ZooKeeperAsInstalled, ZooKeeperSide, first_answer_ms, prepare
from benchmarks.coordinator_table import (
    DISK_LOADS,
    HEADINGS,
    LOADS,
    MEMORY,
    START,
    WATCHES,
    CoordinatorTable,
)
from benchmarks.record import Record
from benchmarks.samples import Samples
from benchmarks.servers import usage
from benchmarks.table import Row

GROUPS = ("speed", "watches", "start", "disk")
RECORD = Record("coordinator")
VERSIONS = ("python", "uvloop", "java", "go")
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
QUICK = Plan(speed.Effort(1, 300, 100, 300), speed.Effort(1, 1500, 100, 300), 500, 1, 2, 1)


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


def _measure(run: Run) -> None:
    plan = QUICK if run.is_quick else FULL
    groups, program, directory, samples, report = run.groups, run.program, run.directory, run.samples, run.report
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


def _table(run: Run) -> Sequence[Row]:
    return CoordinatorTable(run.samples).rows


if __name__ == "__main__":
    sys.exit(Comparison(RECORD, __doc__, GROUPS, HEADINGS, VERSIONS, _measure, _table).main())
