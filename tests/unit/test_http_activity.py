"""The last two minutes, from counters; and the picture that is drawn of them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.histogram import BOUNDS_S, Histogram
from registry.http.activity import SECONDS_KEPT, Activity, Second
from registry.http.picture import HEIGHT, WIDTH, draw, shown_s
from registry.http.process import LoopLag
from registry.http.status import RpcStatus
from registry.lookup.visitors import VisitPath
from tests.support.status import FakeStatus, Info

LOOK_UP = ("ClientMetaService", "GetClusterId")


def test_a_second_is_the_difference_of_counters() -> None:
    times = Histogram()
    source = FakeStatus(counters=RpcStatus(calls={LOOK_UP: 1000}, preambles={"Regist": 50}, lookup_times=times))
    activity = Activity(source, LoopLag())
    assert activity.latest.calls_per_s == 0.0
    for _ in range(98):
        times.add(0.000_015)
    for _ in range(2):
        times.add(0.3)
    source.counters = RpcStatus(
        calls={LOOK_UP: 1300, ("MasterService", "IsMasterRunning"): 7},
        preambles={"Regist": 80, "Securi": 5},
        lookup_times=times,
    )
    source.visitors.header_seen("10.0.0.1", Info())
    source.clock.advance(2000)
    activity.sample()
    second = activity.latest
    assert (second.calls_per_s, second.preambles_per_s) == (150.0, 15.0)
    assert second.p50_s == pytest.approx(0.000_015, rel=0.4)
    assert second.p99_s is not None
    assert 0.2 <= second.p99_s <= 0.5
    assert activity.paths_per_s[VisitPath.HEADER] == 0.5
    source.clock.advance(1000)
    activity.sample()
    assert (activity.latest.calls_per_s, activity.latest.p50_s) == (0.0, None)
    assert activity.p50_s == pytest.approx(0.000_015, rel=0.4), "of all the seconds kept"


def test_what_is_older_than_two_minutes_is_forgotten() -> None:
    times = Histogram()
    source = FakeStatus(counters=RpcStatus(lookup_times=times))
    activity = Activity(source, LoopLag())
    times.add(0.01)
    for _ in range(SECONDS_KEPT):
        source.clock.advance(1000)
        activity.sample()
    assert activity.p50_s is not None
    source.clock.advance(1000)
    activity.sample()
    assert activity.p50_s is None
    assert len(activity.seconds) == SECONDS_KEPT


def test_a_clock_that_stands_still_divides_by_nothing() -> None:
    activity = Activity(FakeStatus(), LoopLag())
    activity.sample()
    assert activity.latest.calls_per_s == 0.0


def points(pieces: tuple[str, ...]) -> list[list[tuple[int, int]]]:
    return [[(int(x), int(y)) for x, y in re.findall(r"(-?\d+),(-?\d+)", piece)] for piece in pieces]


seconds = st.builds(
    Second,
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.none() | st.floats(0, 100),
    st.none() | st.floats(0, 100),
    st.floats(0, 10),
)


@given(st.lists(seconds, max_size=SECONDS_KEPT))
def test_every_point_lies_in_the_picture(rows: list[Second]) -> None:
    picture = draw(rows)
    for line in (*picture.rates, *picture.latencies):
        for piece in points(line.pieces):
            assert len(piece) >= 2, "one point alone would not be seen"
            for x, y in piece:
                assert -2 <= x <= WIDTH
                assert 4 <= y <= HEIGHT
    assert all(row.calls_per_s + row.preambles_per_s <= picture.top_per_s for row in rows)
    assert math.log10(picture.top_per_s) >= 1
    timed = sum(row.p50_s is not None for row in rows)
    drawn = sum(len(piece) for piece in points(picture.latencies[1].pieces))
    assert timed <= drawn <= 2 * timed


def test_now_is_at_the_right_edge_and_gaps_stay_gaps() -> None:
    def second(p50_s: float | None) -> Second:
        return Second(10.0, 0.0, p50_s, p50_s, 0.0)

    picture = draw([second(0.001), second(0.001), second(None), second(1.0)])
    first, last = points(picture.latencies[1].pieces)
    assert [x for x, _ in first] == sorted(x for x, _ in first)
    assert last[0] == (WIDTH, 4), "one second, the upper end of the scale"
    assert picture.top_per_s == 10
    assert points(picture.rates[0].pieces)[0][-1] == (WIDTH, 4)
    assert points(picture.rates[1].pieces)[0][-1] == (WIDTH, HEIGHT)


def test_a_picture_of_two_minutes_is_small() -> None:
    rows = [Second(1234.5 * index, 17.3 * index, 0.000_02, 0.004, 0.0) for index in range(SECONDS_KEPT)]
    picture = draw(rows)
    assert sum(len(piece) for line in (*picture.rates, *picture.latencies) for piece in line.pieces) < 4500


@pytest.mark.parametrize(
    ("span_s", "text"),
    [(None, "none timed"), (0.000_012, "12 µs"), (0.001_234, "1.23 ms"), (0.2, "200 ms"), (12.0, "12 s")],
)
def test_spans_for_people(span_s: float | None, text: str) -> None:
    assert shown_s(span_s) == text


def test_the_steps_of_the_scale_are_bounds_of_the_buckets() -> None:
    from registry.http.picture import LATENCY_STEPS_S

    assert set(LATENCY_STEPS_S) <= set(BOUNDS_S)
