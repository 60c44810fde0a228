"""Tokens: what may begin, what may take effect, and what time does to both."""

from __future__ import annotations

import pytest

from registry.master.epoch import Mastership, NotActing
from registry.zk.lease import Lease
from tests.support.clock import ManualClock


def lease(timeout_ms: float, at_ms: float) -> Lease:
    made = Lease()
    made.granted(timeout_ms)
    made.answered(at_ms)
    return made


def test_nobody_acts_before_an_election():
    mastership = Mastership(ManualClock())
    with pytest.raises(NotActing, match="not elected"):
        mastership.token()
    assert not mastership.is_acting
    assert mastership.lease_left_ms() == 0


def test_a_lease_lasts_two_thirds_of_the_time_out():
    clock = ManualClock()
    mastership, held = Mastership(clock), lease(3000, clock.monotonic_ms())
    mastership.begin(12, held)
    token = mastership.token()
    clock.advance(1999)
    token.check()
    assert mastership.lease_left_ms() == pytest.approx(1)
    clock.advance(2)
    with pytest.raises(NotActing, match="as 0xc: it has not heard from ZooKeeper"):
        token.check()
    held.answered(clock.monotonic_ms() - 100)
    token.check()  # the same node, the same epoch: it goes on


def test_an_answer_proves_the_moment_it_was_asked_not_the_moment_it_came():
    clock = ManualClock()
    sent_ms = clock.monotonic_ms()
    mastership, held = Mastership(clock), Lease()
    held.granted(3000)
    mastership.begin(12, held)
    clock.advance(10_000)  # stopped
    held.answered(sent_ms)  # what lay in the socket
    assert not mastership.is_acting


def test_a_token_is_good_for_its_own_epoch_alone():
    clock = ManualClock()
    mastership = Mastership(clock)
    mastership.begin(12, lease(3000, clock.monotonic_ms()))
    token = mastership.token()
    mastership.end("is over")
    with pytest.raises(NotActing, match="is over"):
        token.check()
    mastership.begin(20, lease(3000, clock.monotonic_ms()))
    mastership.token().check()
    with pytest.raises(NotActing, match="acts as 0x14 now"):
        token.check()
    assert mastership.elections == 2


def test_after_another_connection_the_node_must_be_seen_first():
    clock = ManualClock()
    mastership, held = Mastership(clock), lease(3000, clock.monotonic_ms())
    mastership.begin(12, held)
    token = mastership.token()
    mastership.doubt()
    with pytest.raises(NotActing, match="has not seen yet"):
        token.check()
    mastership.begin(12, held)
    token.check()
    assert mastership.elections == 1


def test_a_lease_of_a_session_that_is_over_proves_nothing():
    held = lease(3000, 0)
    assert held.holds(100)
    held.end()
    assert not held.holds(100)
    held.answered(100)
    assert not held.holds(100)
