"""Memory and descriptors of processes over a run, and whether they grow."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.processes import resident_bytes

MIB = 1 << 20
WARM_SHARE = 0.25
"""Of a run: caches fill, memory is taken that is used again later."""


@dataclass(frozen=True)
class Limits:
    """What still counts as flat."""

    memory_mib: float = 8.0
    """Between the first third after the warm-up and the last, by the medians of both."""
    descriptors_count: float = 25.0
    """The same; while clients come and go and one of three is away the others have their connections."""
    left_count: int = 3
    """Descriptors more than before the first client, when the last has gone. A leak of one for each reconnect, or for
    each thousand of them, is found here."""


@dataclass(frozen=True)
class Sample:
    """Of one process at one moment of the run."""

    at_s: float
    memory_bytes: int
    descriptors_count: int


@dataclass
class Life:
    """One process, from its first sample to its last."""

    name: str
    pid: int
    samples: list[Sample] = field(default_factory=list[Sample])

    def take(self, at_s: float) -> None:
        """One sample more; nothing where the process has gone."""
        found = sample(self.pid, at_s)
        if found is not None:
            self.samples.append(found)


@dataclass(frozen=True)
class Course:
    """How one figure of one process went."""

    name: str
    figure: str
    start: float
    warm: float
    end: float
    slope_an_hour: float
    """By least squares, after the warm-up."""

    @property
    def grown(self) -> float:
        """From after the warm-up to the end."""
        return self.end - self.warm


def sample(pid: int, at_s: float) -> Sample | None:
    """What a process has now; None where it has gone. Source: proc(5), /proc/pid/fd."""
    try:
        return Sample(at_s, resident_bytes(pid), len(os.listdir(Path("/proc") / str(pid) / "fd")))  # noqa: PTH208
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None


def courses(lives: Sequence[Life], duration_s: float) -> list[Course]:
    """Of every process that was there from the warm-up to the end."""
    found: list[Course] = []
    warm_s = WARM_SHARE * duration_s
    for life in lives:
        warm = [each for each in life.samples if each.at_s >= warm_s]
        if len(warm) < 6 or life.samples[0].at_s > warm_s or life.samples[-1].at_s < duration_s * 0.9:
            continue
        third = len(warm) // 3
        for figure, values in (
            ("memory, MiB", [each.memory_bytes / MIB for each in (life.samples[0], *warm)]),
            ("descriptors", [float(each.descriptors_count) for each in (life.samples[0], *warm)]),
        ):
            start, *rest = values
            slope = slope_per_s([each.at_s for each in warm], rest) * 3600
            begin, end = statistics.median(rest[:third]), statistics.median(rest[-third:])
            found.append(Course(life.name, figure, start, begin, end, slope))
    return found


def slope_per_s(at_s: Sequence[float], values: Sequence[float]) -> float:
    """Of the line through the samples, by least squares."""
    return statistics.linear_regression(at_s, values).slope if len(set(at_s)) > 1 else 0.0


def too_much(found: Sequence[Course], limits: Limits) -> list[str]:
    """What has grown, for people."""
    bounds = {"memory, MiB": limits.memory_mib, "descriptors": limits.descriptors_count}
    return [
        f"{each.name}: {each.figure} from {each.warm:.1f} after the warm-up to {each.end:.1f}, at most"
        f" {bounds[each.figure]:g} more is allowed"
        for each in found
        if each.grown > bounds[each.figure]
    ]
