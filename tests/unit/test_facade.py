"""The façade beside the coordinator it follows, both without sockets: what one answers, the other does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from registry.coordinator.codes import AddWatchMode, ErrorCode, EventType, OpCode
from registry.coordinator.jute import ACL, OPEN_ACL_UNSAFE
from registry.facade.machine import HELD_FRAMES_MAX
from registry.names import ServerName
from tests.support import zk_frames
from tests.support.coordinators import Client
from tests.support.facades import FollowedFacade, HBaseUpstream, children_of

CREATED, DELETED = EventType.NODE_CREATED, EventType.NODE_DELETED
CHANGED, CHILDREN = EventType.NODE_DATA_CHANGED, EventType.NODE_CHILDREN_CHANGED
NOT_SERVED = ("/zookeeper", "/hbase/splitWAL", "/hbase/master-maintenance", "/hbase/online-snapshot")
META, MASTER, RS, TABLE = "/hbase/meta-region-server", "/hbase/master", "/hbase/rs", "/hbase/table"
OTHER = ServerName("elsewhere", 16020, 7)


@pytest.fixture
def upstream() -> HBaseUpstream:
    return HBaseUpstream()


@pytest.fixture
def door(upstream: HBaseUpstream) -> FollowedFacade:
    return FollowedFacade(upstream.machine, upstream.clock).follow()


# --- reading ------------------------------------------------------------------------------------------------------


def test_every_followed_znode_is_answered_byte_for_byte(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    ours, theirs = door.client(), upstream.client()
    door.pump()
    for path in upstream.paths():
        if path in NOT_SERVED or path == "/hbase/flush-table-proc":
            assert ours.get_data(path).err == ErrorCode.NO_AUTH
            continue
        assert ours.get_data(path).body == theirs.get_data(path).body, path
        assert ours.exists(path).body == theirs.exists(path).body, path
        assert children_of(ours.get_children(path)) == children_of(theirs.get_children(path)), path
        assert ours.get_data(path).zxid == upstream.zxid


def test_what_is_not_there_and_what_is_not_served(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    """asynchbase takes anything but NoNode for a broken session when it looks for root-region-server."""
    client = door.client()
    for path in ("/hbase/root-region-server", "/hbase/meta-region-server-1", "/hbase/rs/nobody,1,2", "/nothing/at/all"):
        for ask in (client.get_data, client.exists, client.get_children):
            assert ask(path).err == ErrorCode.NO_NODE, path
    for path in (*NOT_SERVED, "/zookeeper/config", "/hbase/splitWAL/some"):
        for ask in (client.get_data, client.exists, client.get_children):
            assert ask(path).err == ErrorCode.NO_AUTH, path
    assert client.get_acl(MASTER).err == ErrorCode.NO_AUTH
    assert client.get_acl("/hbase/root-region-server").err == ErrorCode.NO_NODE


def test_nobody_is_let_in_before_all_has_been_read(upstream: HBaseUpstream) -> None:
    door = FollowedFacade(upstream.machine, upstream.clock)
    assert not door.client().is_accepted
    door.connect()
    while not door.cache.snapshot.settled:
        assert not door.client().is_accepted
        door.take_one()
        door.send_one()
    assert door.client().is_accepted


def test_what_the_registry_may_not_read_nobody_may(upstream: HBaseUpstream) -> None:
    upstream.writer.set_acl("/hbase/backup-masters", [ACL(0, "world", "anyone")])
    upstream.writer.set_acl(f"{RS}/{upstream.tree.workers[0]}", [ACL(0, "world", "anyone")])
    client = FollowedFacade(upstream.machine, upstream.clock).follow().client()
    for path in (
        "/hbase/backup-masters",
        f"/hbase/backup-masters/{upstream.tree.backups[0]}",
        f"{RS}/{upstream.tree.workers[0]}",
    ):
        for ask in (client.get_data, client.exists, client.get_children):
            assert ask(path).err == ErrorCode.NO_AUTH, path
    assert client.get_children(RS).children == [str(upstream.tree.workers[0])]


def test_a_directory_with_data_is_listed_but_its_data_is_not_told(upstream: HBaseUpstream) -> None:
    upstream.writer.set_data("/hbase/draining", b"odd")
    client, theirs = FollowedFacade(upstream.machine, upstream.clock).follow().client(), upstream.client()
    assert client.get_data("/hbase/draining").err == ErrorCode.NO_AUTH
    assert client.exists("/hbase/draining").body == theirs.exists("/hbase/draining").body
    assert client.get_children("/hbase/draining").body == theirs.get_children("/hbase/draining").body


def test_the_other_reads(door: FollowedFacade) -> None:
    client = door.client()
    assert client.ask(zk_frames.with_path(1, OpCode.SYNC, MASTER)).path == MASTER
    assert client.ask(zk_frames.request(-2, OpCode.PING).payload()).xid == -2
    assert client.ask(zk_frames.with_path(1, OpCode.GET_ALL_CHILDREN_NUMBER, "/hbase")).err == ErrorCode.NO_AUTH
    assert client.ask(zk_frames.with_path(1, OpCode.GET_EPHEMERALS, "/")).children == []
    assert client.auth("digest", b"user:password").err == ErrorCode.OK
    multi = client.ask(
        zk_frames.multi(
            1,
            [
                (OpCode.GET_DATA, zk_frames.with_path(0, 0, MASTER, False)[8:]),
                (OpCode.GET_DATA, zk_frames.with_path(0, 0, "/zookeeper", False)[8:]),
            ],
            OpCode.MULTI_READ,
        )
    ).multi_results()
    assert [result.err for result in multi] == [ErrorCode.OK, ErrorCode.NO_AUTH]
    assert multi[0].data == client.get_data(MASTER).data


# --- writing ------------------------------------------------------------------------------------------------------


def test_writes_are_refused_for_lack_of_permission(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    client, before = door.client(), upstream.zxid
    for reply in (
        client.create("/hbase/new"),
        client.create("/hbase/new", op=OpCode.CREATE),
        client.create("/hbase/new-", flags=3),
        client.create("/zookeeper/new"),
        client.set_data(MASTER, b""),
        client.delete(MASTER),
        client.set_acl(MASTER, OPEN_ACL_UNSAFE),
    ):
        assert reply.err == ErrorCode.NO_AUTH
        assert reply.body == b""
    for reply in (client.create("/no/where"), client.set_data("/hbase/gone", b""), client.delete("/no/where")):
        assert reply.err == ErrorCode.NO_NODE
    assert client.create("relative").err == ErrorCode.BAD_ARGUMENTS
    assert client.delete("/").err == ErrorCode.BAD_ARGUMENTS
    assert upstream.zxid == before


def test_a_multi_fails_at_its_first_write(door: FollowedFacade) -> None:
    client = door.client()
    create = (OpCode.CREATE, zk_frames.create_record("/hbase/new", b"", OPEN_ACL_UNSAFE, 0))
    check = (OpCode.CHECK, zk_frames.version_record(MASTER, 0))
    held = client.multi(check, create, check).multi_results()
    assert [result.err for result in held] == [ErrorCode.OK, ErrorCode.NO_AUTH, ErrorCode.RUNTIME_INCONSISTENCY]
    wrong = client.multi((OpCode.CHECK, zk_frames.version_record(MASTER, 3))).multi_results()
    assert [result.err for result in wrong] == [ErrorCode.BAD_VERSION]
    assert [(result.op, result.err) for result in client.multi(check).multi_results()] == [(OpCode.CHECK, 0)]


# --- watching -----------------------------------------------------------------------------------------------------


def watch_all(client: Client) -> None:
    """Every standard watch that a client can have here."""
    for path in ("/", "/hbase", META, MASTER, RS, TABLE, "/hbase/backup-masters", "/hbase/running", "/hbase/draining"):
        client.get_children(path, watch=True)
        client.get_data(path, watch=True)
    for path in (f"{META}-1", f"{RS}/{OTHER}", f"{TABLE}/t1", "/elsewhere"):
        client.exists(path, watch=True)


CHANGES: dict[str, Callable[[HBaseUpstream], object]] = {
    "meta moves": lambda up: up.writer.set_data(META, up.tree.meta_data(OTHER)),
    "master goes": lambda up: up.writer.delete(MASTER),
    "region server comes": lambda up: up.writer.create(f"{RS}/{OTHER}", b"", flags=1),
    "region server goes": lambda up: up.writer.delete(f"{RS}/{up.tree.workers[0]}"),
    "replica comes": lambda up: up.writer.create(f"{META}-1", up.tree.meta_data(OTHER)),
    "table comes": lambda up: up.writer.create(f"{TABLE}/t1", b"x"),
    "table goes": lambda up: up.writer.delete(f"{TABLE}/hbase:meta"),
    "cluster stops": lambda up: up.writer.delete("/hbase/running"),
    "decommission": lambda up: up.writer.create(f"/hbase/draining/{OTHER}", b""),
    "something unserved comes": lambda up: up.writer.create("/hbase/new", b""),
    "something unserved goes": lambda up: up.writer.delete("/hbase/splitWAL"),
    "something elsewhere": lambda up: up.writer.create("/elsewhere", b""),
    "nothing to see": lambda up: up.writer.create("/hbase/splitWAL/task", b""),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("mode", ["standard", "persistent", "recursive"])
def test_one_change_fires_what_zookeeper_fires(
    upstream: HBaseUpstream, door: FollowedFacade, name: str, mode: str
) -> None:
    ours, theirs = door.client(), upstream.client()
    for client in (ours, theirs):
        if mode == "standard":
            watch_all(client)
        elif mode == "persistent":
            for path in ("/", "/hbase", META, RS, TABLE, MASTER):
                client.add_watch(path, AddWatchMode.PERSISTENT)
        else:
            client.add_watch("/hbase", AddWatchMode.PERSISTENT_RECURSIVE)
        client.take_events()
    CHANGES[name](upstream)
    door.pump()
    expected = theirs.take_events()
    if name == "nothing to see" and mode == "recursive":
        expected = []  # below what is not served nothing is told
    assert ours.take_events() == expected
    CHANGES[name](upstream)  # once more: those that fire once have fired
    door.pump()


def test_a_client_sees_the_master_change(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    client = door.client()
    client.add_watch("/hbase", AddWatchMode.PERSISTENT_RECURSIVE)
    standby = upstream.tree.backups[0]
    upstream.writer.delete(MASTER)
    upstream.writer.create(MASTER, upstream.tree.master_data(standby), flags=1)
    upstream.writer.delete(f"/hbase/backup-masters/{standby}")
    door.pump()
    assert client.take_events() == [
        (DELETED, MASTER),
        (CREATED, MASTER),
        (DELETED, f"/hbase/backup-masters/{standby}"),
    ]
    assert client.get_data(MASTER).data == upstream.writer.get_data(MASTER).data


def test_several_changes_are_told_in_the_order_of_their_zxids(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    client = door.client()
    client.add_watch("/hbase", AddWatchMode.PERSISTENT_RECURSIVE)
    upstream.writer.create(f"{TABLE}/t1", b"")
    upstream.writer.set_data(META, upstream.tree.meta_data(OTHER))
    upstream.writer.create(f"{RS}/{OTHER}", b"", flags=1)
    upstream.writer.set_data("/hbase/running", b"")
    upstream.writer.create(f"{TABLE}/t2", b"")
    door.pump()
    events = [reply for reply in client.peer.take() if reply.xid == -1]
    paths = [reply.event.path for reply in events if reply.event is not None]
    assert paths == [f"{TABLE}/t1", META, f"{RS}/{OTHER}", "/hbase/running", f"{TABLE}/t2"]
    assert [reply.zxid for reply in events] == sorted(reply.zxid for reply in events)


def test_a_watch_below_what_becomes_unserved_is_not_left_waiting(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    client = door.client()
    assert client.exists("/hbase/replication/peers", watch=True).err == ErrorCode.NO_NODE
    upstream.writer.create("/hbase/replication", b"")
    door.pump()
    assert [path for _, path in client.take_events()] == ["/hbase/replication/peers"]
    assert client.exists("/hbase/replication/peers", watch=True).err == ErrorCode.NO_AUTH


def test_a_watch_below_what_may_not_be_read_any_more_is_not_left_waiting(
    upstream: HBaseUpstream, door: FollowedFacade
) -> None:
    """The list of rs says what is there; without it nothing is known, and with it again anything may have happened."""
    client, path = door.client(), f"{RS}/{OTHER}"
    assert client.exists(path, watch=True).err == ErrorCode.NO_NODE
    upstream.writer.set_acl(RS, [ACL(30, "world", "anyone")])
    door.follow()
    assert client.take_events() == [(CHANGED, path)], "the client shall look again"
    assert client.exists(path, watch=True).err == ErrorCode.NO_AUTH
    upstream.writer.create(path, b"", flags=1)
    upstream.writer.set_acl(RS, OPEN_ACL_UNSAFE)
    door.follow()
    assert client.exists(path, watch=True).err == ErrorCode.OK
    assert client.take_events() == []


def test_what_is_read_later_is_not_shown_before_its_time(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    """The new meta is read while a change of rs is not: until both are, the old picture is shown whole."""
    client, before = door.client(), upstream.zxid
    upstream.writer.set_data(META, upstream.tree.meta_data(OTHER))
    upstream.writer.create(f"{RS}/{OTHER}", b"", flags=1)
    upstream.writer.set_data("/hbase/hbaseid", b"\xff")
    old = client.get_data(META).body
    while client.get_data(META).body == old:
        assert client.get_data(META).zxid == before
        door.take_one()
        door.send_one()
    assert client.get_data(META).zxid == upstream.zxid
    assert client.get_children(RS).stat.num_children == 2


# --- moving -------------------------------------------------------------------------------------------------------


def test_a_client_goes_on_at_another_facade(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    other = FollowedFacade(upstream.machine, upstream.clock, name=2).follow()
    client = door.client()
    session = client.session
    assert session is not None
    for path in (META, MASTER, "/hbase/running"):
        client.get_data(path, watch=True)
    upstream.writer.set_data(META, upstream.tree.meta_data(OTHER))
    upstream.writer.delete(MASTER)
    assert not other.client(session, last_zxid_seen=upstream.zxid).is_accepted, "it has not seen so much yet"
    other.pump()
    moved = other.client(session, last_zxid_seen=client.exists("/").zxid)
    assert moved.session_id == client.session_id
    moved.send(
        zk_frames.set_watches(
            client.exists("/").zxid,
            data=[META, MASTER, "/hbase/running"],
            exist=["/hbase/balancer", TABLE],
            child=[RS, "/hbase", "/hbase/splitWAL"],
        )
    )
    assert set(moved.take_events()) == {
        (CHANGED, META),
        (DELETED, MASTER),
        (CREATED, TABLE),
        (CHILDREN, "/hbase"),
        (CHILDREN, "/hbase/splitWAL"),  # not served: the client has to look again
    }
    upstream.writer.set_data("/hbase/running", b"")
    upstream.writer.create("/hbase/balancer", b"")
    other.pump()
    assert moved.take_events() == [(CHANGED, "/hbase/running"), (CREATED, "/hbase/balancer")]


def test_sessions_need_their_password_and_their_cluster(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    session = door.client().session
    assert session is not None
    for stranger in (session._replace(password=b"\0" * 16), session._replace(session_id=session.session_id + 1)):
        refused = door.client(stranger)
        assert refused.session_id == 0
        assert refused.peer.is_closed
    elsewhere = HBaseUpstream()
    elsewhere.writer.set_data("/hbase/hbaseid", b"another-cluster")
    assert FollowedFacade(elsewhere.machine, elsewhere.clock).follow().client(session).session_id == 0
    assert door.client(session).session_id == session.session_id


def test_ids_are_unique_and_a_moved_session_has_one_connection(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    other = FollowedFacade(upstream.machine, upstream.clock, name=2).follow()
    ids = [each.client().session_id for each in (door, other) for _ in range(100)]
    assert len(set(ids)) == 200
    assert all(0 < session_id < 1 << 63 for session_id in ids)
    first = door.client()
    assert door.client(first.session).session_id == first.session_id
    assert first.peer.is_closed


def test_silence_closes_the_connection_and_nothing_else(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    client, talker = door.client(), door.client()
    client.get_data(META, watch=True)
    for _ in range(8):
        door.pass_ms(5_000)
        talker.exists("/")
    assert client.peer.is_closed
    assert not talker.peer.is_closed
    door.facade.lost(client.peer)
    assert door.facade.describe().session_count == 1
    assert door.facade.describe().watch_count == 0
    assert door.client(client.session).session_id == client.session_id
    assert upstream.machine.describe().session_count == 2, "the writer's and the one of the façade"


def test_a_lost_history_ends_sessions_and_lets_nobody_wait(upstream: HBaseUpstream) -> None:
    door = FollowedFacade(upstream.machine, upstream.clock, asks_leader=True).follow()
    client = door.client()
    last = client.exists("/").zxid
    wiped = HBaseUpstream(leave_out=("table", "draining", "rs", "running"))
    assert wiped.zxid < last
    fresh = FollowedFacade(wiped.machine, wiped.clock, name=2, asks_leader=True).follow()
    door.upstream = wiped.machine
    door.follow()
    assert door.cache.snapshot.version.generation == 1
    assert client.peer.is_closed
    for each in (door, fresh):  # one has seen the change, the other was started after it
        assert not each.client(client.session, last).is_accepted
        assert not each.client(client.session, last).is_accepted, "the leader has not answered yet"
        each.facade.caught_up(True)
        expired = each.client(client.session, last)
        assert expired.is_accepted
        assert expired.session_id == 0
        assert expired.peer.is_closed
    while wiped.zxid <= last:
        wiped.writer.set_data("/hbase/hbaseid", b"x")
    door.pump()
    assert door.client(client.session, last).session_id == 0, "of another history, though zxids have passed it"
    assert door.client().is_accepted


def test_who_is_ahead_is_not_taken_for_lost(upstream: HBaseUpstream) -> None:
    door = FollowedFacade(upstream.machine, upstream.clock, asks_leader=True).follow()
    session = door.client().session
    upstream.writer.set_data(META, upstream.tree.meta_data(OTHER))
    assert not door.client(session, upstream.zxid).is_accepted
    assert door.rounds == 1
    door.pump()
    door.facade.caught_up(True)
    assert door.client(session, upstream.zxid).session is not None
    assert not door.client(session, upstream.zxid + 1).is_accepted
    door.facade.caught_up(False)
    assert not door.client(session, upstream.zxid + 1).is_accepted, "nobody has said that it is lost"


def test_who_refuses_old_answers_has_no_clients(door: FollowedFacade) -> None:
    client = door.client()
    door.facade.set_refusing(True)
    assert client.peer.is_closed
    assert not door.client(client.session).is_accepted
    door.facade.set_refusing(False)
    assert door.client(client.session).session_id == client.session_id


# --- sync ---------------------------------------------------------------------------------------------------------


def test_a_sync_waits_for_the_leader_and_holds_what_is_behind_it(upstream: HBaseUpstream) -> None:
    door = FollowedFacade(upstream.machine, upstream.clock, asks_leader=True).follow()
    client, other = door.client(), door.client()
    upstream.writer.set_data(META, upstream.tree.meta_data(OTHER))
    sync, read = zk_frames.with_path(1, OpCode.SYNC, "/"), zk_frames.with_path(2, OpCode.GET_DATA, META, False)
    assert client.send(read, sync, read, sync, read)[0].xid == 2
    assert client.send(read) == []
    assert other.send(sync) == []
    assert other.send(zk_frames.request(-2, OpCode.PING).payload()) == []
    door.pump()
    assert door.rounds == 1
    door.facade.caught_up(True)
    assert [reply.xid for reply in client.take()] == [1, 2]
    assert other.take() == [], "asked while the first round was under way"
    assert door.rounds == 2
    door.facade.caught_up(True)
    assert [reply.xid for reply in other.take()] == [1, -2]
    assert [reply.xid for reply in client.take()] == [1, 2, 2] or door.rounds == 3


def test_a_sync_that_nobody_answers_ends_the_connection(upstream: HBaseUpstream) -> None:
    door = FollowedFacade(upstream.machine, upstream.clock, asks_leader=True).follow()
    client, gone, greedy, quiet = (door.client() for _ in range(4))
    sync = zk_frames.with_path(1, OpCode.SYNC, "/")
    for each in (client, gone, greedy):
        each.send(sync)
    door.facade.lost(gone.peer)
    greedy.send(*[sync] * HELD_FRAMES_MAX)
    assert greedy.peer.is_closed
    door.facade.caught_up(False)
    door.facade.caught_up(False)
    assert client.peer.is_closed
    assert not quiet.peer.is_closed
    assert quiet.exists("/").err == ErrorCode.OK


# --- who comes ----------------------------------------------------------------------------------------------------


def test_who_comes_is_seen(door: FollowedFacade) -> None:
    door.client(host="10.1.2.3")
    assert door.seen == ["10.1.2.3"]


def test_clients_before_3_4_get_their_form_of_answer(door: FollowedFacade) -> None:
    peer = zk_frames.FakePeer()
    assert door.facade.connected(peer, zk_frames.connect(has_read_only=False))
    assert len(peer.sent[0]) == 4 + 36
    assert not door.facade.connected(zk_frames.FakePeer(), b"short")
