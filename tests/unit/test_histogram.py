"""Durations in buckets, and which connections are timed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.histogram import BOUNDS_S, Histogram, quantile_s


def test_nothing_has_no_quantile():
    assert quantile_s(Histogram().counts, 0.5) is None


@given(st.lists(st.floats(min_value=0, max_value=0.9), min_size=1), st.floats(min_value=0, max_value=1))
def test_a_quantile_lies_in_the_bucket_of_the_real_one(durations: list[float], quantile: float):
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    assert histogram.total == len(durations)
    assert histogram.sum_s == pytest.approx(sum(durations))
    ordered = sorted(durations)
    index = min(len(ordered) - 1, max(0, -int(-quantile * len(ordered) // 1) - 1))
    around = [ordered[max(0, index - 1)], ordered[index], ordered[min(len(ordered) - 1, index + 1)]]
    found = quantile_s(histogram.counts, quantile)
    assert found is not None
    lower = max((bound for bound in BOUNDS_S if bound < around[0]), default=0.0)
    upper = min(bound for bound in BOUNDS_S if bound >= around[2])
    assert lower <= found <= upper


def test_what_is_above_all_bounds_is_told_as_the_last():
    histogram = Histogram()
    histogram.add(77.0)
    assert histogram.counts[-1] == 1
    assert quantile_s(histogram.counts, 0.99) == BOUNDS_S[-1]


def test_a_bound_belongs_to_its_bucket():
    histogram = Histogram()
    histogram.add(BOUNDS_S[3])
    assert histogram.counts[3] == 1
