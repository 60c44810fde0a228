"""Calls, storms and preambles, both sides in turns; then what the servers hold in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load
from benchmarks.samples import Samples
from benchmarks.servers import Side, usage

SETTLE_MS = 500.0
WARM_UP_MS_MAX = 10_000.0


@dataclass(frozen=True)
class Load:
    """One kind of load and the name under which its rounds are kept."""

    measure: str
    op: str
    connections: int
    outstanding: int


CALLS = Load("calls 16x1", "metalocations", 16, 1)
PIPELINED = Load("calls 16x16", "metalocations", 16, 16)
STORM = Load("storm", "storm", 16, 1)
REGIST = Load("regist", "regist", 16, 1)
LOADS = (CALLS, PIPELINED, STORM, REGIST)


@dataclass(frozen=True)
class Effort:
    """How long everything may take."""

    rounds: int
    measured_ms: float
    warm_up_ms: float
    jvm_warm_up_ms: float


def warm_up(program: Path, side: Side, effort: Effort, loads: Sequence[Load] = LOADS) -> None:
    """Every kind of load for a while, uncounted: a JVM compiles what it has seen often.

    That while is twice as long where nothing was answered in it: a disk may take longer for its first write.
    """
    for each in loads:
        measured_ms = effort.jvm_warm_up_ms
        while not _is_warm(program, side, each, measured_ms):
            measured_ms *= 2


def _is_warm(program: Path, side: Side, each: Load, measured_ms: float) -> bool:
    try:
        load.run(
            program,
            each.op,
            [side.rpc],
            connections=each.connections,
            outstanding=each.outstanding,
            measured_ms=measured_ms,
            warm_up_ms=0,
        )
    except load.NothingAnswered:
        if measured_ms > WARM_UP_MS_MAX:
            raise
        return False
    return True


def measure(
    program: Path,
    sides: Sequence[Side],
    effort: Effort,
    samples: Samples,
    tick: Callable[[str], None],
    loads: Sequence[Load] = LOADS,
) -> None:
    """Every load in every round, A B then B A: whatever drifts on the machine meets both sides alike."""
    for number in range(effort.rounds):
        for each in loads:
            for side in sides if number % 2 == 0 else reversed(sides):
                tick(f"{each.measure}, {side.name}")
                before = usage(side.pids())
                sample = load.run(
                    program,
                    each.op,
                    [side.rpc],
                    connections=each.connections,
                    outstanding=each.outstanding,
                    measured_ms=effort.measured_ms,
                    warm_up_ms=effort.warm_up_ms,
                )
                spent_s = usage(side.pids()).cpu_s - before.cpu_s
                share = effort.measured_ms / (effort.measured_ms + effort.warm_up_ms)
                sample["cpu_us_per_call"] = spent_s * share * 1e6 / max(sample["n"], 1)
                samples.add(each.measure, side.name, sample)


def measure_memory(
    program: Path, sides: Sequence[Side], idle_count: int, samples: Samples, tick: Callable[[str], None]
) -> None:
    """Resident memory after the load, and what idle connections add to it."""
    for side in sides:
        tick(f"{idle_count} idle connections, {side.name}")
        time.sleep(SETTLE_MS / 1000)
        before = usage(side.pids()).resident_bytes
        held = load.IdleConnections(program, side.rpc, idle_count)
        try:
            time.sleep(SETTLE_MS / 1000)
            beside = usage(side.pids()).resident_bytes
        finally:
            held.close()
        mib = 1 << 20
        samples.add(
            "memory",
            side.name,
            {"resident_mib": before / mib, "idle_mib": (beside - before) / mib, "idle_connections": idle_count},
        )
