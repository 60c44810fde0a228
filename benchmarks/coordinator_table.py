"""The coordinator's goals, and what was measured against them. A goal that was missed is marked LOST and stays."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.coordinator_sides import COORDINATOR, ON_DISK, ZOOKEEPER
from benchmarks.samples import Samples, median
from benchmarks.speed import Load
from benchmarks.table import HELD, LOST, TOLD, Row

READS_1 = Load("getData 16x1", "zkget", 16, 1)
READS = Load("getData 16x16", "zkget", 16, 16)
SETS = Load("setData 16x16", "zkset", 16, 16)
CREATES = Load("create 16x16", "zkcreate", 16, 16)
MIXED = Load("getData and setData 4:1, 16x16", "zkmixed", 16, 16)
LOADS = (READS_1, READS, SETS, CREATES, MIXED)
SETS_1 = Load("setData 16x1", "zkset", 16, 1)
DISK_LOADS = (SETS_1, SETS)

WATCHES, MEMORY, START = "watches", "memory", "start"
WATCH_GOAL_MS = 500.0
START_GOAL_MS = 300.0
MEMORY_SHARE = 1 / 3

HEADINGS = ("measure", COORDINATOR, ZOOKEEPER, "ratio", "goal", "")


def _verdict(held: bool) -> str:
    return HELD if held else LOST


def _rate(value: float) -> str:
    return f"{value / 1000:.1f} k/s"


def _ms(value: float) -> str:
    return f"{value:.2f} ms" if value < 100 else f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms"


def _us(value: float) -> str:
    return _ms(value / 1000)


class CoordinatorTable:
    """Rows from samples; measures that were not taken have none."""

    def __init__(self, samples: Samples) -> None:
        """Make the rows."""
        self._samples = samples
        self.rows: list[Row] = []
        for load in LOADS:
            self._load_rows(load, "")
        self._memory_row("resident_mib", "memory after the load")
        sessions = self._samples.median(WATCHES, COORDINATOR, "n") or 0
        self._memory_row("sessions_mib", f"memory with {sessions:.0f} sessions and a watch of each")
        self._start_row("", "start to first answer", START_GOAL_MS)
        self._watch_rows()
        for load in DISK_LOADS:
            self._load_rows(load, ON_DISK)
        self._start_row(ON_DISK, "start to first answer, on disk", None)

    def _both(self, measure: str, figure: str, place: str = "") -> tuple[float, float] | None:
        ours = self._samples.median(measure, COORDINATOR + place, figure)
        theirs = self._samples.median(measure, ZOOKEEPER + place, figure)
        return None if ours is None or theirs is None else (ours, theirs)

    def _row(
        self, name: str, both: tuple[float, float], text: Callable[[float], str], ratio: str, goal: str, verdict: str
    ) -> None:
        self.rows.append(Row(name, text(both[0]), text(both[1]), ratio, goal, verdict))

    def _load_rows(self, load: Load, place: str) -> None:
        rates = self._both(load.measure, "per_s", place)
        if rates is None:
            return
        name, has_goal = load.measure + place, not place
        ratio = rates[0] / rates[1]
        goal = "at least as many" if has_goal else ""
        verdict = _verdict(ratio >= 1) if has_goal else TOLD
        self._row(f"{name}, rate", rates, _rate, f"{ratio:.2f}", goal, verdict)
        for figure, goal in (("p50_us", ""), ("p99_us", "no more" if has_goal else "")):
            late = self._both(load.measure, figure, place)
            assert late is not None, "rounds with a rate have latencies"
            share = late[0] / late[1]
            verdict = _verdict(share <= 1) if goal else TOLD
            self._row(f"{name}, {figure[:3]}", late, _us, f"{share:.2f}", goal, verdict)
        cpu = self._both(load.measure, "cpu_us_per_call", place)
        if cpu is not None:
            self._row(f"{name}, processor time a call", cpu, "{:.1f} us".format, f"{cpu[0] / cpu[1]:.2f}", "", TOLD)

    def _memory_row(self, figure: str, name: str) -> None:
        both = self._both(MEMORY, figure)
        if both is not None:
            share = both[0] / both[1]
            verdict = _verdict(share <= MEMORY_SHARE)
            self._row(name, both, "{:.1f} MiB".format, f"{share:.2f}", "at most a third", verdict)

    def _start_row(self, place: str, name: str, goal_ms: float | None) -> None:
        both = self._both(START, "first_answer_ms", place)
        if both is not None:
            goal = f"at most {goal_ms / 1000:g} s" if goal_ms else ""
            verdict = _verdict(both[0] <= goal_ms) if goal_ms else TOLD
            self._row(name, both, _ms, f"{both[0] / both[1]:.3f}", goal, verdict)

    def _watch_rows(self) -> None:
        sides = [self._samples.series(WATCHES, side, "p100_us") for side in (COORDINATOR, ZOOKEEPER)]
        if not all(sides):
            return
        sessions = self._samples.median(WATCHES, COORDINATOR, "n") or 0
        worst = (max(sides[0]), max(sides[1]))
        middle = (median(sides[0]), median(sides[1]))
        name = f"{sessions:.0f} sessions with a watch each, one change: all told"
        goal = f"at most {WATCH_GOAL_MS:g} ms"
        ratio = f"{worst[0] / worst[1]:.2f}"
        verdict = _verdict(worst[0] <= WATCH_GOAL_MS * 1000)
        self._row(f"{name}, worst of {len(sides[0])}", worst, _us, ratio, goal, verdict)
        self._row("the same, median", middle, _us, f"{middle[0] / middle[1]:.2f}", "", TOLD)
