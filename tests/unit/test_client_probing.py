"""Order, groups, shares and pauses; the list of servers on a clock that is moved by hand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.client.probing import RETRY_BACKOFF, groups, pause_ms, probe_order, share_ms
from registry.client.server_list import ServerList
from registry.client.settings import ClientSettings
from registry.names import Address
from tests.support.clock import ManualClock

A, B, C, D = (Address(name, 16000) for name in "abcd")


@given(servers=st.lists(st.integers(), unique=True), seed=st.integers(), data=st.data())
def test_order_is_a_permutation_and_those_to_avoid_come_last(
    servers: list[int], seed: int, data: st.DataObject
) -> None:
    last = data.draw(st.sets(st.sampled_from(servers))) if servers else set[int]()
    order = probe_order(servers, last, random.Random(seed))
    assert sorted(order) == sorted(servers)
    late = [server in last for server in order]
    assert late == sorted(late)


def test_order_is_random() -> None:
    firsts = {probe_order([A, B, C], (), random.Random(seed))[0] for seed in range(50)}
    assert firsts == {A, B, C}


@given(servers=st.lists(st.integers()), fanout=st.integers(1, 5))
def test_groups(servers: list[int], fanout: int) -> None:
    parts = groups(servers, fanout)
    assert [server for part in parts for server in part] == servers
    assert all(len(part) == fanout for part in parts[:-1])
    assert all(parts)


def test_hanging_servers_share_the_deadline() -> None:
    """Three servers that all use their share up: together exactly the deadline, each asked."""
    remaining_ms, used = 3000.0, list[float]()
    for left in (3, 2, 1):
        used.append(share_ms(remaining_ms, left))
        remaining_ms -= used[-1]
    assert used == [1000.0, 1000.0, 1000.0]
    assert share_ms(-5.0, 2) == 0.0


def test_pauses_are_those_of_hbase() -> None:
    class NoJitter(random.Random):
        def random(self) -> float:
            return 0.0

    assert [pause_ms(100, tries, NoJitter()) for tries in range(15)] == [
        100 * factor for factor in (1, 2, 3, 5, 10, 20, 40, 100, 100, 100, 100, 200, 200, 200, 200)
    ]
    jittered = [pause_ms(100, 0, random.Random(seed)) for seed in range(100)]
    assert all(100 <= pause <= 101 for pause in jittered)
    assert len(set(jittered)) > 50
    assert len(RETRY_BACKOFF) == 13


class Fixed(random.Random):
    """Chance that always says the same."""

    def __init__(self, spread: float) -> None:
        super().__init__()
        self.spread = spread

    def random(self) -> float:
        return self.spread


def server_list(clock: ManualClock, spread: float = 0.0, **settings: float) -> ServerList:
    return ServerList((A, B, C), ClientSettings(**settings), clock, Fixed(spread))  # pyright: ignore[reportArgumentType]


def test_a_server_that_failed_is_asked_last_for_a_while() -> None:
    clock = ManualClock()
    servers = server_list(clock)
    servers.failed(A)
    assert {servers.order(random.Random(seed))[-1] for seed in range(20)} == {A}
    clock.advance(2001)
    assert {servers.order(random.Random(seed))[-1] for seed in range(20)} == {A, B, C}
    servers.failed(B)
    servers.answered(B)
    assert {servers.order(random.Random(seed))[-1] for seed in range(20)} == {A, B, C}


def test_configured_servers_stay_the_last_resort() -> None:
    servers = server_list(ManualClock())
    servers.replace([D, A])
    assert servers.current == (D, A)
    for seed in range(20):
        order = servers.order(random.Random(seed))
        assert set(order[:2]) == {D, A}
        assert set(order[2:]) == {B, C}
    servers.replace([])
    assert servers.current == (D, A), "an empty list replaces nothing"
    servers.configure([B])
    assert servers.order(random.Random(1)) == [B], "what the user writes holds at once"
    servers.configure([])
    assert servers.configured == (B,)


@pytest.mark.parametrize(("spread", "first_ms", "trouble_ms", "later_ms"), [
    (0.0, 0, 60_000, 60_000),
    (0.5, 15_000, 90_000, 180_000),
    (1.0, 30_000, 120_000, 300_000),
])  # fmt: skip
def test_when_the_list_is_renewed(spread: float, first_ms: float, trouble_ms: float, later_ms: float) -> None:
    """Within the bounds of HBase's RegistryEndpointsRefresher, anywhere: clients of one server lose it together."""
    clock = ManualClock()
    servers = server_list(
        clock, spread, refresh_interval_ms=300_000, refresh_initial_delay_ms=30_000, refresh_min_interval_ms=60_000
    )
    assert servers.next_refresh_ms() == first_ms
    servers.failed(A)
    assert servers.next_refresh_ms() == trouble_ms, "not sooner, even though there is trouble"
    clock.advance(45_000)
    assert servers.next_refresh_ms() == trouble_ms - 45_000
    clock.advance(trouble_ms)
    assert servers.next_refresh_ms() == 0
    servers.refresh_begins()
    servers.refresh_ended()
    assert servers.next_refresh_ms() == later_ms
    servers.failed(A)
    assert servers.next_refresh_ms() == trouble_ms
    servers.refresh_begins()
    servers.failed(B)
    servers.refresh_ended()
    assert servers.next_refresh_ms() == trouble_ms, "trouble during a refresh asks for another"


@pytest.mark.parametrize("interval_ms", [0, -1000])
def test_refreshes_can_be_switched_off(interval_ms: int) -> None:
    servers = server_list(ManualClock(), refresh_interval_ms=interval_ms)
    servers.failed(A)
    assert servers.next_refresh_ms() is None
