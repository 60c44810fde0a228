"""May ZooKeeper be firewalled: the answer errs on the careful side, and says what it cannot see."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from registry.lookup.firewall import FirewallAnswer, FirewallVerdict, ZooKeeperLooks, firewall_answer
from registry.lookup.visitors import VISITORS_PER_HOST_MAX, WINDOW_MS, Visitors, VisitPath
from tests.support.clock import ManualClock
from tests.support.status import Info

HOUR_MS = 3_600_000.0


class Watch:
    """A record of visitors, and the answer from it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.visitors = Visitors(self.clock)
        self.looks: list[ZooKeeperLooks] = []

    def look_at_zookeeper(self) -> None:
        self.looks = [ZooKeeperLooks("zk1:2181", self.clock.monotonic_ms())]

    def answer(self, *, facade_open: bool = True, others: int = 0, unresolved: Sequence[str] = ()) -> FirewallAnswer:
        return firewall_answer(
            self.visitors,
            self.clock.monotonic_ms(),
            self.clock.wall_ms(),
            facade_open=facade_open,
            other_servers=others,
            looks=self.looks,
            look_interval_ms=10_000,
            unresolved=unresolved,
        )


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_five_minutes_cannot_vouch_for_a_day(watch: Watch) -> None:
    watch.look_at_zookeeper()
    watch.clock.advance(5 * 60_000)
    answer = watch.answer()
    assert answer.verdict is FirewallVerdict.NOT_YET
    assert answer.sentence.startswith(
        "Not yet: an answer takes a day of watching, and this server has watched for 5 min"
    )
    assert answer.watching_since_ms == watch.clock.wall_ms() - 5 * 60_000


def test_a_day_without_a_look_at_zookeeper_says_that_it_cannot_see(watch: Watch) -> None:
    watch.clock.advance(WINDOW_MS)
    answer = watch.answer()
    assert answer.verdict is FirewallVerdict.CANNOT_SEE
    assert any("hbeacon.zookeeper.connections.interval_ms is 0" in spot for spot in answer.blind_spots)
    assert not answer.zookeeper_watched


def test_a_day_of_looking_at_zookeeper_says_yes(watch: Watch) -> None:
    watch.look_at_zookeeper()
    watch.clock.advance(WINDOW_MS - 1)
    assert watch.answer().verdict is FirewallVerdict.NOT_YET
    watch.clock.advance(1)
    assert watch.answer().verdict is FirewallVerdict.YES
    assert any("shorter than 10 s" in spot for spot in watch.answer().blind_spots)


def test_every_server_of_zookeeper_has_to_be_looked_at_for_a_day(watch: Watch) -> None:
    watch.look_at_zookeeper()
    watch.clock.advance(WINDOW_MS)
    watch.looks.append(ZooKeeperLooks("zk2:2181", None, "cons is not executed because it is not in the whitelist"))
    answer = watch.answer()
    assert (answer.verdict, answer.watched_ms) == (FirewallVerdict.NOT_YET, 0.0)
    assert any("zk2:2181 does not tell its connections: cons is not executed" in spot for spot in answer.blind_spots)
    watch.looks[1] = ZooKeeperLooks("zk2:2181", watch.clock.monotonic_ms())
    watch.clock.advance(2 * HOUR_MS)
    assert watch.answer().watched_ms == 2 * HOUR_MS
    assert "watched for 2 h 0 min" in watch.answer().sentence


def test_one_outsider_is_a_no_at_once_and_for_a_day(watch: Watch) -> None:
    watch.look_at_zookeeper()
    watch.visitors.zookeeper_seen("10.0.0.9")
    watch.visitors.zookeeper_seen("10.0.0.9")
    answer = watch.answer()
    assert answer.verdict is FirewallVerdict.NO
    assert answer.sentence == (
        "No: 1 host that is no member of the cluster connected to ZooKeeper in the last day (10.0.0.9)."
    )
    assert [(row.host, row.count) for row in answer.zookeeper_hosts] == [("10.0.0.9", 2)]
    watch.clock.advance(23 * HOUR_MS)
    assert watch.answer().verdict is FirewallVerdict.NO
    watch.clock.advance(2 * HOUR_MS)
    assert watch.answer().verdict is FirewallVerdict.YES


def test_many_outsiders_are_counted_and_some_are_named(watch: Watch) -> None:
    for number in range(8):
        watch.visitors.zookeeper_seen(f"h{number}")
        watch.clock.advance(1)
    assert "8 hosts that are no members" in watch.answer().sentence
    assert "(h7, h6, h5, h4, h3 and 3 more)" in watch.answer().sentence


def test_hosts_that_know_nothing_but_the_facade_are_named(watch: Watch) -> None:
    watch.look_at_zookeeper()
    watch.clock.advance(WINDOW_MS)
    for host in ("old-1", "both"):
        watch.visitors.facade_seen(host)
    watch.visitors.header_seen("both", Info())
    watch.visitors.registry_preamble_seen("new")
    watch.visitors.http_seen("new", "curl")
    answer = watch.answer()
    assert answer.verdict is FirewallVerdict.YES
    assert answer.sentence.endswith(" Keep the façade open: 1 host knows nothing else (old-1).")
    assert [row.host for row in answer.facade_only] == ["old-1"]
    assert (answer.registry_hosts, answer.facade_hosts) == (2, 2)
    assert "this server's is closed (old-1)" in watch.answer(facade_open=False).sentence


def test_what_cannot_be_seen_is_said(watch: Watch) -> None:
    spots = watch.answer(others=2, unresolved=["rs9.example.org"]).blind_spots
    for part in ("weekly job", "the 2 other servers", "rs9.example.org", "address translation"):
        assert any(part in spot for spot in spots), part
    assert any("the other server in" in spot for spot in watch.answer(others=1).blind_spots)


def test_a_record_that_made_room_begins_the_watch_anew() -> None:
    watch = Watch()
    watch.visitors = Visitors(watch.clock, visitors_max=2)
    watch.look_at_zookeeper()
    watch.clock.advance(WINDOW_MS)
    for host in ("a", "b", "c"):
        watch.visitors.registry_preamble_seen(host)
    answer = watch.answer()
    assert (answer.verdict, answer.watched_ms) == (FirewallVerdict.NOT_YET, 0.0)
    assert any("1 records made room" in spot for spot in answer.blind_spots)


def test_hosts_are_one_row_each_whatever_users_they_have() -> None:
    clock = ManualClock()
    visitors = Visitors(clock)
    first_ms = clock.monotonic_ms()
    for number in range(VISITORS_PER_HOST_MAX + 5):
        visitors.header_seen("busy", Info(user=f"u{number}"))
        clock.advance(10)
    seen = visitors.hosts(VisitPath.HEADER)["busy"]
    assert (seen.first_ms, seen.last_ms, seen.count) == (first_ms, clock.monotonic_ms() - 10, VISITORS_PER_HOST_MAX + 5)
