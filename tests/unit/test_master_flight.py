"""The election's flight recorder: bounded, of two lives, and no play without a beginning."""

from __future__ import annotations

import pytest

from registry.lookup.snapshot import Master
from registry.master.election import Standing
from registry.master.flight import LINES_MAX, ElectionFlight, replay
from registry.names import ServerName
from registry.wire.znode import encode_master
from registry.zk.paths import ZNodePaths
from tests.support.clock import ManualClock


def standing(start_code: int) -> Standing:
    master = Master(ServerName("m", 16000, start_code), -1)
    return Standing(ZNodePaths(), master, encode_master(master, "master:16000", bytes(8)), "/hbase/hbeacon", b"{}")


def test_the_last_two_lives_are_kept():
    flight = ElectionFlight(ManualClock())
    for start_code in (1, 2, 3):
        flight.life(standing(start_code), start_code)
        flight.heard("connected")
        flight.heard("session_ended", "expired")
    assert len(flight.lines()) == 6
    candidate, effects = replay(flight.lines())
    assert candidate.standing.master.server_name.start_code == 3
    assert candidate.ended
    assert len(effects) == 2


def test_a_life_of_many_connections_stays_within_its_ring():
    flight = ElectionFlight(ManualClock())
    flight.life(standing(1), 1)
    for _ in range(LINES_MAX):
        flight.heard("suspended")
    assert len(flight.lines()) == LINES_MAX
    with pytest.raises(ValueError, match="before any life"):
        replay(flight.lines())
    with pytest.raises(ValueError, match="no life"):
        replay(())
