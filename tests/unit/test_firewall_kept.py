"""The day's watch goes on over a restart by the guard, or begins anew; never does it claim more than was watched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.lookup.firewall_kept import CHARS_MAX, kept_text, take_kept
from registry.lookup.visitors import WINDOW_MS, Visitors, VisitPath
from tests.support.clock import ManualClock
from tests.support.status import Info

HOUR_MS = 3_600_000.0


def test_the_next_worker_goes_on() -> None:
    clock = ManualClock()
    visitors = Visitors(clock)
    clock.advance(HOUR_MS)
    visitors.facade_seen("10.0.0.1")
    visitors.zookeeper_seen("fd00::7")
    visitors.facade_seen("both")
    visitors.header_seen("both", Info())
    looked_since_ms = clock.monotonic_ms()
    clock.advance(2 * HOUR_MS)
    visitors.facade_seen("10.0.0.1")
    text = kept_text(visitors, clock, looked_since_ms)
    assert " " not in text

    later = ManualClock(monotonic_ms=5_000.0, wall_ms=clock.wall_ms() + 60_000)  # of another boot even
    restored = Visitors(later)
    since_ms = take_kept(text, restored, later)
    assert since_ms == later.monotonic_ms() - 2 * HOUR_MS - 60_000
    assert restored.since_ms == later.monotonic_ms() - 3 * HOUR_MS - 60_000
    assert set(restored.hosts(VisitPath.FACADE)) == {"10.0.0.1"}, "who came by the registry too comes again"
    assert set(restored.hosts(VisitPath.ZOOKEEPER)) == {"fd00::7"}
    seen = restored.hosts(VisitPath.FACADE)["10.0.0.1"]
    assert later.monotonic_ms() - seen.last_ms == 60_000
    assert later.monotonic_ms() - seen.first_ms == 2 * HOUR_MS + 60_000
    later.advance(WINDOW_MS - HOUR_MS)
    assert set(restored.hosts(VisitPath.FACADE)) == {"10.0.0.1"}
    assert restored.hosts(VisitPath.ZOOKEEPER) == {}, "its day was over"


def test_without_a_look_at_zookeeper_none_is_claimed() -> None:
    clock = ManualClock()
    assert take_kept(kept_text(Visitors(clock), clock, None), Visitors(clock), clock) is None


def test_too_many_hosts_are_not_kept_and_the_watch_begins_anew() -> None:
    clock = ManualClock()
    visitors = Visitors(clock)
    for number in range(CHARS_MAX // 10):
        visitors.facade_seen(f"10.0.0.{number}")
    assert kept_text(visitors, clock, None) == ""


@pytest.mark.parametrize(
    "text", ["", "x", "1,2", "1795000000,1,-;f10.0.0.1", "1795000000,1,-;q10.0.0.1=1,1", "1795000000,1,y"]
)
def test_what_is_no_word_of_ours_is_left_alone(text: str) -> None:
    clock = ManualClock()
    visitors = Visitors(clock)
    assert take_kept(text, visitors, clock) is None
    assert visitors.since_ms == clock.monotonic_ms()
    assert len(visitors) == 0


@pytest.mark.parametrize("change_ms", [-HOUR_MS, WINDOW_MS])
def test_a_calendar_that_jumped_is_not_believed(change_ms: float) -> None:
    clock = ManualClock()
    text = kept_text(Visitors(clock), clock, None)
    changed = ManualClock(wall_ms=clock.wall_ms() + change_ms)
    visitors = Visitors(changed)
    take_kept(text, visitors, changed)
    assert visitors.since_ms == changed.monotonic_ms()


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    clock = ManualClock()
    visitors = Visitors(clock)
    take_kept(text, visitors, clock)
    assert visitors.since_ms <= clock.monotonic_ms()
