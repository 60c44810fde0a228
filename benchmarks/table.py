"""The goals, and what was measured against them. A goal that was missed is marked LOST and stays in the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import outage
from benchmarks.samples import Samples, median, quantile
from benchmarks.servers import ADAPTER, HBASE
from benchmarks.speed import CALLS, PIPELINED, REGIST, STORM

HELD, LOST, TOLD = "held", "LOST", ""


@dataclass(frozen=True)
class Row:
    """One line as people read it."""

    measure: str
    ours: str
    theirs: str
    ratio: str
    goal: str
    verdict: str


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value / 1000:.1f} k/s"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} ms" if value < 100 else f"{value / 1000:.2f} s"


def _verdict(held: bool) -> str:
    return HELD if held else LOST


class Table:
    """Rows from samples; measures that were not taken have none."""

    def __init__(self, samples: Samples) -> None:
        """Make the rows."""
        self._samples = samples
        self.rows: list[Row] = []
        for load, goal, p99_share in (
            (CALLS, 2.0, 0.5),
            (PIPELINED, 5.0, 0.25),
            (STORM, 2.5, None),
            (REGIST, 2.5, None),
        ):
            self._rate_rows(load.measure, goal, p99_share)
        self._memory_rows()
        self._start_rows()
        self._change_rows()
        self._outage_rows()

    def _rate_rows(self, measure: str, goal: float, p99_share: float | None) -> None:
        ours, theirs = (self._samples.median(measure, side, "per_s") for side in (ADAPTER, HBASE))
        if ours is None:
            return
        ratio = ours / theirs if theirs else None
        self.rows.append(
            Row(
                f"{measure}, rate",
                _rate(ours),
                _rate(theirs),
                f"{ratio:.2f}" if ratio else "-",
                f"at least {goal:g} times",
                _verdict(ratio >= goal) if ratio else TOLD,
            )
        )
        ours_us, theirs_us = (self._samples.median(measure, side, "p99_us") or 0.0 for side in (ADAPTER, HBASE))
        share = ours_us / theirs_us if theirs_us else None
        self.rows.append(
            Row(
                f"{measure}, p99",
                _ms(ours_us / 1000),
                _ms(theirs_us / 1000) if theirs_us else "-",
                f"{share:.2f}" if share else "-",
                f"at most {p99_share:g} of it" if p99_share else "",
                _verdict(share <= p99_share) if share and p99_share else TOLD,
            )
        )
        cpu, their_cpu = (self._samples.median(measure, side, "cpu_us_per_call") for side in (ADAPTER, HBASE))
        if cpu is not None:
            ratio_text = f"{cpu / their_cpu:.2f}" if their_cpu else "-"
            theirs_text = f"{their_cpu:.1f} us" if their_cpu else "-"
            self.rows.append(
                Row(f"{measure}, processor time a call", f"{cpu:.1f} us", theirs_text, ratio_text, "", TOLD)
            )

    def _memory_rows(self) -> None:
        for figure, what, goal_mib in (("resident_mib", "after the load", 100.0), ("idle_mib", "more with", 40.0)):
            ours, theirs = (self._samples.median("memory", side, figure) for side in (ADAPTER, HBASE))
            if ours is None:
                continue
            count = self._samples.median("memory", ADAPTER, "idle_connections") or 0
            name = f"memory {what}" if figure == "resident_mib" else f"memory {what} {count:.0f} idle connections"
            theirs_text = f"{theirs:.1f} MiB" if theirs is not None else "-"
            # HBase's heap is taken at its start: what connections need of it does not show as growth.
            ratio = f"{ours / theirs:.2f}" if theirs and figure == "resident_mib" else "-"
            goal = f"at most {goal_mib:g} MiB"
            self.rows.append(Row(name, f"{ours:.1f} MiB", theirs_text, ratio, goal, _verdict(ours <= goal_mib)))

    def _start_rows(self) -> None:
        theirs = self._samples.median("start", HBASE, "rpc_ms")
        for figure, what, goal_ms in (("rpc_ms", "RPC", 400.0), ("faces_ms", "every face", 1200.0)):
            ours = self._samples.median("start", ADAPTER, figure)
            if ours is None:
                continue
            beside = theirs if figure == "rpc_ms" else None
            ratio = f"{ours / beside:.3f}" if beside else "-"
            goal = f"at most {goal_ms / 1000:g} s"
            name = f"start to first right answer, {what}"
            self.rows.append(Row(name, _ms(ours), _ms(beside), ratio, goal, _verdict(ours <= goal_ms)))

    def _change_rows(self) -> None:
        names = sorted({side for measure, side in self._samples.rounds if measure == "change" and side != HBASE})
        if not names:
            return
        arrivals = [self._samples.series("change", name, "arrival_ms") for name in names]
        last = [max(each) for each in zip(*arrivals, strict=True)]
        theirs = self._samples.series("change", HBASE, "arrival_ms")
        beside = quantile(theirs, 0.99) if theirs else None
        ours = quantile(last, 0.99)
        held = _verdict(ours <= 20.0)
        name = f"ZooKeeper change to new answer on all of {len(names)}, p99 of {len(last)}"
        ratio = f"{ours / beside:.2f}" if beside else "-"
        self.rows.append(Row(name, _ms(ours), _ms(beside), ratio, "at most 20 ms", held))
        theirs_text = _ms(median(theirs)) if theirs else "-"
        self.rows.append(Row("the same, median", _ms(median(last)), theirs_text, "", "", TOLD))
        written = self._samples.series("change", names[0], "written_ms")
        both = f"{_ms(median(written))}, p99 {_ms(quantile(written, 0.99))}"
        self.rows.append(
            Row("of it until ZooKeeper has acknowledged the write, median", both, "the same", "", "", TOLD)
        )

    def _outage_rows(self) -> None:
        for state in outage.STATES:
            values = self._samples.series(f"look-ups, {state}", ADAPTER, "p99_us")
            if not values:
                continue
            spread = f"{_ms(min(values) / 1000)} to {_ms(max(values) / 1000)}"
            text = f"{_ms(median(values) / 1000)} ({spread})"
            yardstick = outage.YARDSTICK.get(state)
            goal, verdict = "", TOLD
            if yardstick:
                limit = max(self._samples.series(f"look-ups, {yardstick}", ADAPTER, "p99_us"))
                goal, verdict = f"inside the spread of: {yardstick}", _verdict(median(values) <= limit)
            self.rows.append(Row(f"p99 of look-ups, {state}", text, "-", "-", goal, verdict))


HEADINGS = ("measure", ADAPTER, HBASE, "ratio", "goal", "")


def cells(row: Row) -> Sequence[str]:
    """The row under HEADINGS."""
    return (row.measure, row.ours, row.theirs, row.ratio, row.goal, row.verdict)
