"""The goals of the data path, and what was measured against them. A goal that was missed is marked LOST and stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.data_path import cleanup, filters, first, loads, regions, ycsb
from benchmarks.data_path.sides import HBASE, HBEACON
from benchmarks.samples import Samples, median
from benchmarks.table import HELD, LOST, TOLD, Row

HEADINGS = ("measure", HBEACON, HBASE, "ratio", "goal", "")
MEMORY = "memory"
MEMORY_SHARE = 0.2
YCSB_GOAL = 1.5
FIRST_GOAL_MS = 1500.0
WIDE_GOAL = 2.0
WHY_CHARACTERS_MAX = 240
RATE_GOALS = {
    loads.GET_1: 2.0,
    loads.GET: 3.0,
    loads.PUT_1: 1.5,
    loads.PUT: 2.5,
    loads.MUTATE_1: 1.5,
    loads.MUTATE: 2.5,
    loads.MULTI: 1.0,
    loads.SCAN: 3.0,
}
P99_GOALS = {loads.GET_1: 0.5}
REGIONS_GOAL_S = {regions.CREATE: 5.0, regions.COLD_START: 60.0}


def _rate(value: float) -> str:
    return f"{value / 1000:.2f} k/s" if value < 10_000 else f"{value / 1000:.1f} k/s"


def _ms(value: float) -> str:
    return f"{value:.2f} ms" if value < 100 else f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def _us(value: float) -> str:
    return _ms(value / 1000)


def _verdict(held: bool) -> str:
    return HELD if held else LOST


class DataPathTable:
    """Rows from samples; measures that were not taken have none."""

    def __init__(self, samples: Samples, failures: Mapping[str, str]) -> None:
        """Make the rows. `failures`: groups that ended before their end, and why."""
        self._samples = samples
        self.rows: list[Row] = []
        for load, goal in RATE_GOALS.items():
            figure = "rows_per_s" if load in (loads.MULTI, loads.SCAN) else "per_s"
            self._load_rows(load.measure, figure, goal, P99_GOALS.get(load))
        for workload in ycsb.WORKLOADS:
            self._load_rows(ycsb.measure_of(workload), "per_s", YCSB_GOAL, None)
        self._wide_rows()
        self._filter_rows()
        self._cleanup_rows()
        self._memory_row()
        self._first_rows()
        self._region_rows()
        for name, why in failures.items():
            self.rows.append(Row(f"{name}: not measured to its end", "-", "-", "-", in_a_line(why), LOST))

    def _both(self, measure: str, figure: str) -> tuple[float, float] | None:
        ours, theirs = (self._samples.median(measure, side, figure) for side in (HBEACON, HBASE))
        return None if ours is None or theirs is None else (ours, theirs)

    def _row(
        self,
        name: str,
        both: tuple[float, float] | None,
        text: Callable[[float], str],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """One line with the ratio of ours to theirs, judged where there is a goal."""
        if both is None:
            return
        ratio = both[0] / both[1] if both[1] else 0.0
        goal, verdict = "", TOLD
        if at_least is not None:
            goal = f"at least {at_least:g} times" if at_least != 1 else "at least as many"
            verdict = _verdict(ratio >= at_least)
        elif at_most is not None:
            goal = (
                f"at most {at_most:g} of it"
                if at_most < 1
                else f"at most {at_most:g} times"
                if at_most > 1
                else "no more"
            )
            verdict = _verdict(ratio <= at_most)
        self.rows.append(Row(name, text(both[0]), text(both[1]), f"{ratio:.2f}", goal, verdict))

    def _load_rows(self, measure: str, figure: str, goal: float, p99_share: float | None) -> None:
        rates = self._both(measure, figure)
        if rates is None:
            return
        what = "rows" if figure == "rows_per_s" else "rate"
        self._row(f"{measure}, {what}", rates, _rate, at_least=goal)
        self._row(f"{measure}, p50", self._both(measure, "p50_us"), _us)
        self._row(f"{measure}, p99", self._both(measure, "p99_us"), _us, at_most=p99_share)
        cpu = self._both(measure, "cpu_us_per_call")
        self._row(f"{measure}, processor time a call", cpu, "{:.0f} us".format)

    def _wide_rows(self) -> None:
        cells = self._samples.median(loads.WIDE_SCAN, HBEACON, "cells") or 0
        update = self._both(loads.WIDE_UPDATE.measure, "p50_us")
        self._row(f"one cell in a row of {cells:.0f} cells, p50", update, _us, at_most=WIDE_GOAL)
        self._row("the same, p99", self._both(loads.WIDE_UPDATE.measure, "p99_us"), _us)
        scan = self._both(loads.WIDE_SCAN, "ms")
        self._row(f"scan of a row of {cells:.0f} cells", scan, _ms, at_most=WIDE_GOAL)

    def _filter_rows(self) -> None:
        for each in filters.FILTERS:
            self._row(f"{each.measure}, rows", self._both(each.measure, "per_s"), _rate, at_least=1)

    def _cleanup_rows(self) -> None:
        for kind in cleanup.KINDS:
            for measure in (kind.writes, kind.reads):
                self._row(f"{measure}, rate", self._both(measure, "per_s"), _rate, at_least=1)
                self._row(f"{measure}, p99", self._both(measure, "p99_us"), _us, at_most=1)
            self._row(kind.cleaned, self._both(kind.cleaned, "ms"), _ms, at_most=1)
            for measure, name in ((kind.gone, kind.name), (kind.as_many, f"as many, {kind.name}")):
                dead = self._both(measure, "dead") or (0, 0)
                counts = " and ".join([f"{each:.0f}" for each in dict.fromkeys(dead)])
                self._row(f"{measure}, {counts} of them", self._both(measure, "ms"), _ms, at_most=1)
                self._row(f"of it processor time, {name}", self._both(measure, "cpu_ms"), _ms, at_most=1)
            self._row(f"{kind.gone} in a second", self._both(kind.gone, "per_s"), _rate, at_least=1)
            each = self._both(kind.gone, "cpu_us_per_cell")
            self._row(f"of it processor time a cell, {kind.name}", each, "{:.1f} us".format, at_most=1)

    def _memory_row(self) -> None:
        processes = [self._samples.median(MEMORY, side, "processes") or 0 for side in (HBEACON, HBASE)]
        name = f"memory of all processes after the load ({processes[0]:.0f}, {processes[1]:.0f})"
        self._row(name, self._both(MEMORY, "mib"), "{:.0f} MiB".format, at_most=MEMORY_SHARE)

    def _first_rows(self) -> None:
        ours, theirs = (self._samples.median(first.FIRST, side, "read_ms") for side in (HBEACON, HBASE))
        if ours is None:
            return
        goal, verdict = f"at most {FIRST_GOAL_MS / 1000:g} s", _verdict(ours <= FIRST_GOAL_MS)
        name = "command to first put and get of a Java client"
        beside = (_ms(theirs), f"{ours / theirs:.3f}") if theirs else ("-", "-")
        self.rows.append(Row(name, _ms(ours), *beside, goal, verdict))
        self._row("of it until it is ready", self._both(first.FIRST, "ready_ms"), _ms)
        self._row("of it until the table is there", self._both(first.FIRST, "created_ms"), _ms)

    def _region_rows(self) -> None:
        for measure, words in ((regions.CREATE, "a table of {} regions made"), (regions.COLD_START, "")):
            values = self._samples.series(measure, HBEACON, "s")
            if not values:
                continue
            count = f"{self._samples.median(measure, HBEACON, 'regions') or 0:.0f}"
            name = words.format(count) or f"{count} regions, {regions.COLD_SERVERS} servers, start to all open"
            ours, theirs = median(values), self._samples.median(measure, HBASE, "s")
            ratio = f"{ours / theirs:.3f}" if theirs else "-"
            goal = REGIONS_GOAL_S[measure]
            beside = f"{theirs:.2f} s" if theirs else "-"
            verdict = _verdict(ours <= goal)
            self.rows.append(Row(name, f"{ours:.2f} s", beside, ratio, f"at most {goal:g} s", verdict))


def in_a_line(why: str) -> str:
    """Why a group has ended, in a cell of a table: its first line, and the first error of the log that may follow."""
    said, *log = why.splitlines()
    errors = [line.partition(" ERROR ")[2].strip() for line in log if " ERROR " in line]
    return " ".join([said, *errors[:1]]).replace("|", "/")[:WHY_CHARACTERS_MAX]
