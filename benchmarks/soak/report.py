"""What a soak tells: the progress line, the table at its end, the JSON, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.record import Record, recorded
from benchmarks.samples import quantile, surroundings
from benchmarks.soak.growth import Course, Limits, too_much
from benchmarks.soak.java_clients import JavaTold
from benchmarks.soak.python_clients import Told

RECORD = Record("soak")
COLUMNS = (
    *("day", "commit", "seed", "minutes", "faults", "Python look-ups", "failed", "p50, p99, most"),
    *("Java connections, operations", "failed", "memory, MiB", "descriptors", "verdict"),
)
HEAD = f"| {' | '.join(COLUMNS)} |\n| --- | --- |{' ---: |' * 10} --- |"
ROWS_MAX = 20
"""Kept, newest first."""
OBSERVED = "adapter 0 worker"

QUANTILES = (0.5, 0.9, 0.99, 0.999)
SHOWN_MAX = 20
"""Of failures, in the text; the JSON has all."""


@dataclass
class Report:
    """Everything of one run."""

    seed: int
    duration_s: float = 0.0
    python: Told = field(default_factory=Told)
    java: JavaTold = field(default_factory=JavaTold)
    faults: list[str] = field(default_factory=list[str])
    courses: list[Course] = field(default_factory=list[Course])
    left: dict[str, int] = field(default_factory=dict[str, int])
    """Descriptors more than before the first client, by adapter, after the last one."""
    trouble: list[str] = field(default_factory=list[str])
    """Of the run itself: a process that ended by itself, a fault that could not be done."""
    limits: Limits = field(default_factory=Limits)

    def add(self, told: Mapping[str, Any]) -> None:
        """A line of the Python clients."""
        for name, value in told.items():
            if isinstance(value, list):
                getattr(self.python, name).extend(value)
            else:
                setattr(self.python, name, getattr(self.python, name) + value)

    def problems(self) -> list[str]:
        """What must not be; empty for a good run."""
        python, java = self.python, self.java
        grown = [
            f"{name}: {count} descriptors more than before the first client"
            for name, count in self.left.items()
            if count > self.limits.left_count
        ]
        nothing = [] if python.look_ups_ms else ["no look-up was done"]
        return [
            *(f"look-up failed: {text}" for text in python.failed),
            *(f"Java connection failed: {text}" for text in java.failed_connects),
            *(f"Java operation failed: {text}" for text in java.failed_operations),
            *(f"wrong: {text}" for text in (*python.wrong, *java.wrong)),
            *(*nothing, *too_much(self.courses, self.limits), *grown, *self.trouble),
        ]

    def line(self, at_s: float) -> str:
        """Progress, for people."""
        python, java = self.python, self.java
        recent = python.look_ups_ms[-500:]
        p99 = f"{quantile(recent, 0.99):.1f} ms" if recent else "-"
        failed = len(python.failed) + len(java.failed_connects) + len(java.failed_operations)
        return (
            f"{at_s / 60:6.1f} min  look-ups {len(python.look_ups_ms)} (p99 lately {p99}), connections"
            f" {python.connections} Python, {len(java.connects_ms)} Java, operations {len(java.operations_ms)} Java,"
            f" faults {len(self.faults)}, failed {failed}"
        )

    def text(self) -> str:
        """The whole, for people."""
        python, java = self.python, self.java
        rows: list[tuple[str, list[float], list[str]]] = [
            ("Python look-ups", python.look_ups_ms, python.failed),
            ("Python reads of hbase:meta", python.reads_ms, []),
            ("Java: connect and read a row", java.connects_ms, java.failed_connects),
            ("Java: puts and gets", java.operations_ms, java.failed_operations),
        ]
        lines = [f"seed {self.seed}, {self.duration_s / 60:.1f} minutes, {len(self.faults)} faults", ""]
        heads = "".join(f"{f'p{q * 100:g}':>10}" for q in QUANTILES)
        lines.append(f"{'milliseconds':30}{'done':>9}{'failed':>8}{heads}{'max':>10}")
        for name, values, failed in rows:
            figures = "".join(f"{each:>10.1f}" for each in _quantiles(values))
            lines.append(f"{name:30}{len(values):>9}{len(failed):>8}{figures}")
        lines += ["", f"{'process':28}{'':14}{'start':>8}{'warm':>8}{'end':>8}{'an hour':>9}"]
        lines += [
            f"{each.name:28}{each.figure:14}{each.start:>8.1f}{each.warm:>8.1f}{each.end:>8.1f}{each.slope_an_hour:>+9.1f}"
            for each in self.courses
        ]
        left = ", ".join(f"{name} {count:+}" for name, count in self.left.items())
        lines.append(f"descriptors after the last client, beside before the first: {left}")
        lines += [f"slow: {each}" for each in python.slow[:SHOWN_MAX]]
        problems = self.problems()
        lines += ["", *(f"FAILED {each[:600]}" for each in problems[:SHOWN_MAX])]
        if len(problems) > SHOWN_MAX:
            lines.append(f"... and {len(problems) - SHOWN_MAX} more")
        return "\n".join(lines) if problems else "\n".join([*lines, "nothing failed, nothing grew"])

    def document(self) -> dict[str, Any]:
        """For machines."""
        python, java = self.python, self.java
        return {
            **surroundings(),
            "seed": self.seed,
            "minutes": self.duration_s / 60,
            "look_ups": {"done": len(python.look_ups_ms), "failed": python.failed, **_figures(python.look_ups_ms)},
            "slow": python.slow,
            "reads": {"done": len(python.reads_ms), **_figures(python.reads_ms)},
            "connections": python.connections,
            "calls": python.calls,
            "java_connections": {
                "done": len(java.connects_ms),
                "failed": java.failed_connects,
                **_figures(java.connects_ms),
            },
            "java_operations": {
                "done": len(java.operations_ms),
                "failed": java.failed_operations,
                **_figures(java.operations_ms),
            },
            "faults": self.faults,
            "processes": [asdict(each) for each in self.courses],
            "descriptors_left": self.left,
            "problems": self.problems(),
        }


def record(document: str, report: Report) -> str:
    """The document with a row for this run before those of earlier ones."""
    section = document.partition(RECORD.begins)[2].partition(RECORD.ends)[0]
    earlier = [line for line in section.splitlines() if line.startswith("| 2")]
    return recorded(document, "\n".join((HEAD, _row(report), *earlier[: ROWS_MAX - 1])), RECORD.begins, RECORD.ends)


def _row(report: Report) -> str:
    python, java, around = report.python, report.java, surroundings()
    took_ms = python.look_ups_ms or [0.0]
    grown = {each.figure: f"{each.warm:.0f} to {each.end:.0f}" for each in report.courses if each.name == OBSERVED}
    problems = report.problems()
    cells = (
        around["at"][:10],
        around["commit"][:10],
        report.seed,
        f"{report.duration_s / 60:.0f}",
        len(report.faults),
        len(python.look_ups_ms),
        len(python.failed),
        f"{quantile(took_ms, 0.5):.1f}, {quantile(took_ms, 0.99):.0f}, {max(took_ms):.0f} ms",
        f"{len(java.connects_ms)}, {len(java.operations_ms)}",
        len(java.failed_connects) + len(java.failed_operations),
        grown.get("memory, MiB", "-"),
        grown.get("descriptors", "-"),
        f"**{len(problems)} problems**" if problems else "held",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _quantiles(values: Sequence[float]) -> list[float]:
    return [*(quantile(values, q) for q in QUANTILES), max(values)] if values else []


def _figures(values: Sequence[float]) -> dict[str, float]:
    names = [*(f"p{q * 100:g}_ms" for q in QUANTILES), "max_ms"]
    return dict(zip(names, _quantiles(values), strict=False))
