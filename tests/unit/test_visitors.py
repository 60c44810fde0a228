"""Who bootstraps here: counted, bounded, forgotten after a day."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from registry.lookup.visitors import OTHERS, TEXT_CHARS_MAX, Visitors, VisitPath
from tests.support.clock import ManualClock
from tests.support.status import Info

HOUR_MS = 3_600_000.0


def test_one_row_for_each_kind_of_client():
    clock = ManualClock()
    visitors = Visitors(clock)
    visitors.header_seen("10.0.0.1", Info())
    clock.advance(5_000)
    visitors.header_seen("10.0.0.1", Info())
    visitors.header_seen("10.0.0.1", Info(version=""))
    visitors.registry_preamble_seen("10.0.0.1")
    visitors.http_seen("10.0.0.9", "curl/8")
    visitors.facade_seen("10.0.0.7")
    facade, http, preamble, silent, told = visitors.rows()
    assert (facade.path, facade.host, facade.user, facade.client_version) == (VisitPath.FACADE, "10.0.0.7", "", "")
    assert (http.path, http.host, http.client_version, http.user) == (VisitPath.HTTP, "10.0.0.9", "curl/8", "")
    assert (preamble.path, preamble.user, preamble.client_version) == (VisitPath.PREAMBLE, "", "")
    assert silent.client_version == ""
    assert (told.user, told.client_version, told.service, told.count) == ("alice", "2.6.4", "ClientMetaService", 2)
    assert told.last_seen_ms == clock.wall_ms()
    assert told.last_seen_ms - told.first_seen_ms == 5_000
    assert visitors.sightings == {
        VisitPath.HEADER: 3,
        VisitPath.PREAMBLE: 1,
        VisitPath.HTTP: 1,
        VisitPath.FACADE: 1,
        VisitPath.ZOOKEEPER: 0,
    }
    assert visitors.versions()[VisitPath.HEADER, "2.6.4"] == 1


def test_a_day_without_being_seen_ends_a_row():
    clock = ManualClock()
    visitors = Visitors(clock)
    visitors.header_seen("gone", Info())
    visitors.header_seen("stays", Info())
    clock.advance(23 * HOUR_MS)
    visitors.header_seen("stays", Info())
    clock.advance(2 * HOUR_MS)
    assert [row.host for row in visitors.rows()] == ["stays"]
    assert sum(visitors.versions().values()) == 1
    assert visitors.forgotten == 0, "its day was over"


def test_the_one_unseen_longest_makes_room():
    visitors = Visitors(ManualClock(), visitors_max=2)
    for host in ("a", "b", "a", "c"):
        visitors.registry_preamble_seen(host)
    assert [row.host for row in visitors.rows()] == ["c", "a"]
    assert visitors.forgotten == 1
    assert [row.host for row in visitors.rows(1)] == ["c"]


def test_a_host_that_invents_names_fills_its_own_share_only():
    visitors = Visitors(ManualClock(), visitors_max=100, per_host_max=4)
    visitors.header_seen("honest", Info())
    for number in range(500):
        visitors.header_seen("hostile", Info(user=f"user{number}"))
    hosts = [row.host for row in visitors.rows()]
    assert hosts.count("honest") == 1
    assert hosts.count("hostile") == 5
    others = visitors.rows()[0]
    assert (others.user, others.client_version, others.count) == (OTHERS, OTHERS, 496)


def test_the_share_of_a_host_comes_back_with_the_day():
    clock = ManualClock()
    visitors = Visitors(clock, per_host_max=1)
    visitors.header_seen("h", Info(user="monday"))
    clock.advance(25 * HOUR_MS)
    visitors.registry_preamble_seen("other")
    visitors.header_seen("h", Info(user="tuesday"))
    assert visitors.rows()[0].user == "tuesday"


def test_what_a_peer_sends_is_cut_and_cleaned():
    visitors = Visitors(ManualClock())
    visitors.header_seen("h", Info(user="x" * 10_000, version="2.6\n\x1b[31m", service="\ud800"))
    (row,) = visitors.rows()
    assert len(row.user) == TEXT_CHARS_MAX
    assert row.user.endswith("…")
    assert row.client_version == "2.6��[31m"
    row.service.encode()


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 40)), max_size=120))
def test_bounded_whatever_comes(arrivals: list[tuple[int, int, int]]):
    clock = ManualClock()
    visitors = Visitors(clock, visitors_max=7, per_host_max=3, window_ms=100.0)
    for host, user, pause_ms in arrivals:
        clock.advance(pause_ms)
        visitors.header_seen(str(host), Info(user=str(user)))
        rows = visitors.rows()
        assert rows[0].host == str(host)
        assert len(rows) == len(visitors) <= 7
        assert [row.last_seen_ms for row in rows] == sorted((row.last_seen_ms for row in rows), reverse=True)
        assert all(clock.wall_ms() - row.last_seen_ms <= 100.0 for row in rows)
        for name in {row.host for row in rows}:
            assert sum(row.host == name for row in rows) <= 4
    assert sum(visitors.sightings.values()) == len(arrivals)
