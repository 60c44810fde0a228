"""ZooKeeperWatcher over a client that answers when told: epochs, lease, silence, clients thrown away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from registry.lookup.events import (
    Confirmed,
    Effect,
    Event,
    Read,
    RecheckForbidden,
    SessionConnected,
    SessionSuspended,
    WatchFired,
    What,
    ZnodeRead,
)
from registry.lookup.snapshot import FactState
from registry.names import Address
from registry.zk import watcher as watcher_module
from registry.zk.client import Answer, ClientState, StateChange
from registry.zk.watcher import WatcherSettings, ZooKeeperWatcher
from tests.support.clock import ManualClock

TIMEOUT_MS = 6000.0
GOOD = Answer(FactState.KNOWN)


@dataclass
class Request:
    path: str
    what: What | None
    watch: Callable[[str], None] | None
    done: Callable[[Answer], object]


@dataclass
class FakeClient:
    """What ZooKeeperClient offers, with everything in the test's hands."""

    options: dict[str, Any]
    requests: list[Request] = field(default_factory=list[Request])
    last_zxid: int = 0
    dropped: int = 0
    closed: bool = False

    def start(self) -> None:
        pass

    def close(self) -> asyncio.Future[None]:
        self.closed = True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    def drop_connection(self) -> None:
        self.dropped += 1

    def read(
        self, path: str, what: What, watch: Callable[[str], None] | None, done: Callable[[Answer], object]
    ) -> None:
        self.requests.append(Request(path, what, watch, done))

    def sync(self, done: Callable[[Answer], object]) -> None:
        self.requests.append(Request("/", None, None, done))

    def change(self, state: ClientState, session_id: int = 0, reason: str = "") -> None:
        self.options["changed"](StateChange(state, session_id, TIMEOUT_MS if session_id else 0.0, reason))

    def answer(self, zxid: int, answer: Answer = GOOD) -> Request:
        request = self.requests.pop(0)
        self.last_zxid = zxid
        request.done(answer)
        return request


class Bench:
    def __init__(self, settings: WatcherSettings) -> None:
        self.clock = ManualClock()
        self.clients: list[FakeClient] = []
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.turns = 0
        self.watcher = ZooKeeperWatcher(settings, self.clock, self._sink, self._turn)

    def _sink(self, event: Event) -> list[Effect]:
        self.events.append(event)
        effects, self.effects = self.effects, []
        return effects

    def _turn(self) -> None:
        self.turns += 1

    @property
    def client(self) -> FakeClient:
        return self.clients[-1]

    def connect(self, session_id: int = 1, zxid: int = 10) -> None:
        self.client.change(ClientState.CONNECTED, session_id)
        self.client.answer(zxid)

    def tick(self, advance_ms: float) -> None:
        self.clock.advance(advance_ms)
        self.watcher.tick()


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(WatcherSettings(hosts=(Address("zk", 2181),), session_timeout_ms=TIMEOUT_MS, reads_under_way_max=2))

    def make(hosts: object, **options: Any) -> FakeClient:
        bench.clients.append(FakeClient(options))
        return bench.client

    monkeypatch.setattr(watcher_module, "ZooKeeperClient", make)
    bench.watcher.start()
    return bench


def reads(*names: str, bulk: bool = False) -> list[Effect]:
    return [Read(number + 1, f"/hbase/{name}", What.DATA, bulk) for number, name in enumerate(names)]


async def test_nothing_is_read_before_the_server_has_caught_up(bench: Bench) -> None:
    bench.client.change(ClientState.CONNECTED, 1)
    assert [request.what for request in bench.client.requests] == [None], "a sync goes first"
    assert bench.events == []
    bench.effects = reads("a")
    sent_at_ms = bench.clock.monotonic_ms()
    bench.clock.advance(5)
    bench.client.answer(42)
    assert bench.events == [SessionConnected(1, 1, 42, sent_at_ms)]
    assert [request.path for request in bench.client.requests] == ["/hbase/a"]
    assert bench.watcher.status.state == "connected"


async def test_the_zxid_of_a_read_is_from_before_it_was_sent(bench: Bench) -> None:
    bench.effects = reads("a")
    bench.connect(zxid=10)
    bench.client.answer(99)
    event = bench.events[-1]
    assert isinstance(event, ZnodeRead)
    assert event.zxid_before == 10


async def test_reads_under_way_are_bounded_and_bulk_waits(bench: Bench) -> None:
    bench.effects = [*reads("t1", "t2", "t3", "t4", bulk=True), *reads("master")]
    bench.connect()
    assert [request.path for request in bench.client.requests] == ["/hbase/master", "/hbase/t1"]
    bench.client.answer(10)
    assert [request.path for request in bench.client.requests] == ["/hbase/t1", "/hbase/t2"]
    while bench.client.requests:
        bench.client.answer(10)
    assert len([event for event in bench.events if isinstance(event, ZnodeRead)]) == 5


async def test_answers_and_watches_of_a_lost_connection_are_not_heard(bench: Bench) -> None:
    bench.effects = reads("a")
    bench.connect()
    old = bench.client.requests.pop(0)
    bench.client.change(ClientState.SUSPENDED)
    assert isinstance(bench.events[-1], SessionSuspended)
    old.done(Answer(failed="ConnectionLoss", lost=True))
    bench.connect(zxid=11)
    count = len(bench.events)
    old.done(GOOD)
    assert old.watch is not None
    old.watch("/hbase/a")
    assert len(bench.events) == count
    assert bench.client.dropped == 0, "kazoo has dropped the connection itself"


async def test_a_watch_is_passed_on(bench: Bench) -> None:
    bench.effects = reads("a")
    bench.connect()
    watch = bench.client.answer(10).watch
    assert watch is not None
    watch("/hbase/a")
    assert bench.events[-1] == WatchFired(1, "/hbase/a")


async def test_a_heartbeat_confirms_with_the_zxid_from_before(bench: Bench) -> None:
    bench.connect(zxid=10)
    bench.tick(1000)
    sent_at_ms = bench.clock.monotonic_ms()
    beat = bench.client.requests[0]
    assert (beat.path, beat.what, beat.watch) == ("/hbase", What.EXISTS, None)
    bench.tick(300)
    assert len(bench.client.requests) == 1, "one heartbeat at a time"
    bench.client.answer(17)
    assert bench.events[-1] == Confirmed(1, 10, sent_at_ms)


async def test_the_lease_counts_from_the_sending_of_the_last_answered_request(bench: Bench) -> None:
    bench.connect()
    assert bench.watcher.lease_ok()
    bench.tick(1000)
    bench.clock.advance(500)
    bench.client.answer(10)
    bench.clock.advance(TIMEOUT_MS * 2 / 3 - 501)
    assert bench.watcher.lease_ok()
    bench.clock.advance(2)
    assert not bench.watcher.lease_ok()
    assert bench.watcher.status.state == "disconnected"


async def test_suspended_while_the_lease_is_good_then_disconnected(bench: Bench) -> None:
    bench.connect()
    bench.client.change(ClientState.SUSPENDED)
    assert bench.watcher.status.state == "suspended"
    assert bench.watcher.status.suspensions == 1
    bench.tick(TIMEOUT_MS)
    assert bench.watcher.status.state == "disconnected"


async def test_silence_ends_a_connection(bench: Bench) -> None:
    bench.connect()
    bench.tick(1000)
    bench.tick(1999)
    assert bench.client.dropped == 0
    bench.tick(2)
    assert bench.client.dropped == 1
    assert isinstance(bench.events[-1], SessionSuspended)
    bench.client.change(ClientState.SUSPENDED)
    assert bench.watcher.status.suspensions == 1, "counted once"


async def test_a_refused_request_ends_the_connection(bench: Bench) -> None:
    bench.effects = reads("a")
    bench.connect()
    bench.client.answer(10, Answer(failed="ThrottledOpError"))
    assert bench.client.dropped == 1


async def test_a_client_that_stays_away_is_replaced(bench: Bench) -> None:
    bench.connect()
    bench.client.change(ClientState.SUSPENDED)
    bench.tick(2 * TIMEOUT_MS - 1)
    assert len(bench.clients) == 1
    bench.tick(2)
    assert len(bench.clients) == 2
    assert bench.clients[0].closed
    bench.connect(session_id=2, zxid=3)
    assert bench.events[-1] == SessionConnected(2, 2, 3, bench.clock.monotonic_ms())


async def test_a_client_that_was_never_connected_goes_on_trying(bench: Bench) -> None:
    bench.tick(10 * TIMEOUT_MS)
    assert len(bench.clients) == 1
    assert bench.watcher.status.state == "disconnected"


async def test_a_dead_client_is_replaced_soon(bench: Bench) -> None:
    bench.connect()
    bench.client.change(ClientState.DEAD, reason="RuntimeError: invalid")
    bench.tick(100)
    assert len(bench.clients) == 1
    bench.tick(1000)
    assert len(bench.clients) == 2


async def test_a_refused_credential_is_fatal(bench: Bench) -> None:
    bench.client.change(ClientState.REFUSED)
    assert "hbeacon.zookeeper.auth" in bench.watcher.status.fatal


async def test_an_expired_session_is_counted(bench: Bench) -> None:
    bench.connect()
    bench.client.change(ClientState.EXPIRED)
    assert bench.watcher.status.expirations == 1
    bench.connect(session_id=2)
    assert bench.watcher.status.connects == 2
    assert bench.watcher.status.session_id == 2


async def test_forbidden_znodes_are_looked_at_again(bench: Bench) -> None:
    bench.connect()
    for _ in range(31):
        bench.tick(1000)
        while bench.client.requests:
            bench.client.answer(10)
    assert RecheckForbidden(1) in bench.events


async def test_asking_the_leader_syncs_first_and_is_shared(bench: Bench) -> None:
    bench.connect()
    asked_at_ms = bench.clock.monotonic_ms()
    assert bench.watcher.ask_leader()
    assert not bench.watcher.ask_leader()
    assert [request.what for request in bench.client.requests] == [None]
    bench.clock.advance(7)
    bench.client.answer(44)
    assert [request.what for request in bench.client.requests] == [What.EXISTS]
    assert not bench.watcher.ask_leader(), "what it tells is not known yet"
    bench.client.answer(45)
    assert bench.events[-1] == Confirmed(1, 44, asked_at_ms + 7, asked_at_ms)
    assert bench.watcher.ask_leader()


async def test_a_heartbeat_is_no_word_of_the_leader(bench: Bench) -> None:
    bench.connect()
    bench.tick(1000)
    assert bench.watcher.ask_leader(), "a heartbeat under way does not stand for it"
    bench.client.answer(50)
    assert bench.events[-1] == Confirmed(1, 10, bench.clock.monotonic_ms())
    bench.client.change(ClientState.SUSPENDED)
    assert not bench.watcher.ask_leader()
    bench.client.change(ClientState.CONNECTED, 1)
    assert not bench.watcher.ask_leader(), "the sync that goes first is not answered yet"
    bench.client.requests[:] = bench.client.requests[-1:]
    bench.client.answer(60)
    assert bench.watcher.ask_leader(), "the question of the lost connection is forgotten"


async def test_stop_closes_the_client(bench: Bench) -> None:
    bench.connect()
    await bench.watcher.stop()
    assert bench.client.closed
    assert bench.watcher.status.suspensions == 0
