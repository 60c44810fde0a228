"""Sessions: made, moved, expired by the server's time, closed; and what becomes of their nodes."""

from __future__ import annotations

import pytest

from registry.coordinator.codes import CreateMode, EventType, OpCode
from registry.coordinator.jute import ConnectResponse
from tests.support import zk_frames
from tests.support.coordinators import Client, CoordinatorBench
from tests.support.zk_frames import FakePeer


@pytest.fixture
def bench() -> CoordinatorBench:
    return CoordinatorBench()


def test_a_session_is_made_with_a_negotiated_time_out(bench: CoordinatorBench) -> None:
    for asked_ms, given_ms in ((1, 4000), (30_000, 30_000), (1_000_000, 40_000)):
        session = bench.client(timeout_ms=asked_ms).session
        assert session is not None
        assert session.timeout_ms == given_ms
        assert session.session_id >> 56 == 1
        assert len(session.password) == 16
    assert bench.machine.tree.zxid == 3
    assert len(bench.machine.tracker.sessions) == 3


def test_clients_before_3_4_get_a_response_without_the_flag(bench: CoordinatorBench) -> None:
    for has_read_only, length in ((True, 37), (False, 36)):
        peer = FakePeer()
        assert bench.machine.connected(peer, zk_frames.connect(has_read_only=has_read_only))
        assert len(peer.sent[0]) == 4 + length


def test_a_client_that_has_seen_more_is_refused(bench: CoordinatorBench) -> None:
    first = bench.client()
    first.create("/a")
    assert bench.client(last_zxid_seen=2).is_accepted
    assert not bench.client(last_zxid_seen=4).is_accepted
    assert not bench.client(session=first.session, last_zxid_seen=100).is_accepted
    assert not first.peer.is_closed


def test_a_moved_session_closes_the_old_connection(bench: CoordinatorBench) -> None:
    old = bench.client()
    old.create("/e", flags=CreateMode.EPHEMERAL)
    old.exists("/e", watch=True)
    new = bench.client(session=old.session)
    assert new.session is not None
    assert old.peer.is_closed
    assert new.session_id == old.session_id
    assert old.send(zk_frames.delete(1, "/e")) == []
    bench.machine.lost(old.peer)
    new.delete("/e")
    assert old.take_events() == []
    assert bench.machine.describe().watch_count == 0
    bench.machine.lost(new.peer)
    assert bench.machine.describe().session_count == 1


def test_a_wrong_password_or_an_unknown_session_is_told_expired(bench: CoordinatorBench) -> None:
    owner = bench.client()
    assert owner.session is not None
    wrong = owner.session._replace(password=bytes(16))
    unknown = owner.session._replace(session_id=5)
    for session in (wrong, unknown):
        client = bench.client(session=session)
        assert client.session == ConnectResponse(0, 0, 0, bytes(16), False)
        assert client.peer.is_closed
        assert client.send(zk_frames.delete(1, "/a")) == []
        bench.machine.lost(client.peer)
    assert not owner.peer.is_closed


def test_a_silent_session_expires_after_its_time_out_and_within_a_tick(bench: CoordinatorBench) -> None:
    silent = bench.client(timeout_ms=10_000)
    silent.create("/e1", flags=CreateMode.EPHEMERAL)
    silent.create("/e2", flags=CreateMode.EPHEMERAL_SEQUENTIAL)
    alive = bench.client(timeout_ms=10_000)
    alive.exists("/e1", watch=True)
    alive.get_children("/", watch=True)
    for _ in range(5):
        bench.pass_ms(2000)
        alive.ask(zk_frames.request(-2, OpCode.PING).payload())
    assert not silent.peer.is_closed
    zxid = bench.machine.tree.zxid
    bench.pass_ms(2000)
    assert silent.peer.is_closed
    assert alive.take_events() == [(EventType.NODE_DELETED, "/e1"), (EventType.NODE_CHILDREN_CHANGED, "/")]
    assert bench.machine.tree.zxid == zxid + 1
    assert alive.stat("/").pzxid == zxid + 1
    assert bench.machine.describe().ephemeral_count == 0
    assert bench.client(session=silent.session).session == ConnectResponse(0, 0, 0, bytes(16), False)
    assert not alive.peer.is_closed


def test_a_session_without_a_connection_lives_until_its_time_out(bench: CoordinatorBench) -> None:
    client = bench.client(timeout_ms=10_000)
    client.create("/e", flags=CreateMode.EPHEMERAL)
    bench.machine.lost(client.peer)
    bench.pass_ms(8000)
    again = bench.client(timeout_ms=20_000, session=client.session)
    assert again.session is not None
    assert again.session.timeout_ms == 20_000
    bench.machine.lost(again.peer)
    bench.pass_ms(18_000)
    assert again.machine.describe().session_count == 1
    bench.pass_ms(6000)
    assert again.machine.describe().session_count == 0


def test_our_own_pause_is_not_the_clients_silence(bench: CoordinatorBench) -> None:
    client = bench.client(timeout_ms=10_000)
    bench.clock.advance(3_600_000)
    bench.machine.tick()
    assert not client.peer.is_closed
    bench.pass_ms(14_000)
    assert client.peer.is_closed


def test_close_takes_the_ephemerals_and_answers_last(bench: CoordinatorBench) -> None:
    client = bench.client()
    client.create("/e", flags=CreateMode.EPHEMERAL)
    client.exists("/e", watch=True)
    got = client.send(
        zk_frames.request(9, OpCode.CLOSE_SESSION).payload(), zk_frames.with_path(10, OpCode.EXISTS, "/", False)
    )
    assert [reply.xid for reply in got] == [-1, 9]
    assert (got[1].err, got[1].zxid) == (0, 3)
    assert client.peer.is_closed
    bench.machine.lost(client.peer)
    figures = bench.machine.describe()
    assert (figures.session_count, figures.ephemeral_count, figures.connection_count) == (0, 0, 0)


def test_session_ids_never_come_again(bench: CoordinatorBench) -> None:
    ids: set[int] = set()
    for _ in range(50):
        client = bench.client()
        ids.add(client.session_id)
        client.close_session()
    assert len(ids) == 50


def test_what_is_told_of_sessions(bench: CoordinatorBench) -> None:
    client = bench.client(timeout_ms=10_000)
    client.create("/e", flags=CreateMode.EPHEMERAL)
    client.exists("/e", watch=True)
    client.get_children("/", watch=True)
    details = bench.machine.inspect()
    detail = details.sessions[client.session_id]
    assert detail.timeout_ms == 10_000
    assert 10_000 < detail.expires_in_ms <= 12_000
    assert detail.peer is client.peer
    assert details.ephemerals == {client.session_id: ["/e"]}
    assert details.data_watches == {"/e": [client.session_id]}


def test_a_connect_request_that_is_cut_is_refused(bench: CoordinatorBench) -> None:
    frame = zk_frames.connect(has_read_only=False)
    for end in range(len(frame)):
        assert not bench.machine.connected(FakePeer(), frame[:end])
    assert not bench.machine.connected(FakePeer(), frame[:24] + b"\x7f\xff\xff\xff" + frame[28:])
    assert bench.machine.tree.zxid == 0


def test_many_sessions_expire_together(bench: CoordinatorBench) -> None:
    clients: list[Client] = [bench.client(timeout_ms=4000) for _ in range(100)]
    bench.pass_ms(8000)
    assert all(client.peer.is_closed for client in clients)
    assert bench.machine.tracker.sessions == {}
    assert bench.machine.describe().ephemeral_count == 0


def test_clients_of_a_coordinator_that_has_forgotten_all_are_told_so(bench: CoordinatorBench) -> None:
    bench.machine.begin_without_past()
    client = bench.client()
    last = [client.create("/a/b") for _ in range(100)][-1]
    other = CoordinatorBench()
    other.clock.advance(1)
    other.machine.begin_without_past()
    again = other.client(session=client.session, last_zxid_seen=last.zxid)
    assert again.session == ConnectResponse(0, 0, 0, bytes(16), False)
    assert other.client(last_zxid_seen=last.zxid).create("/a").zxid > last.zxid
    assert not other.client(last_zxid_seen=1 << 60).is_accepted
