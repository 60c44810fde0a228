"""Watches: told once, in order, to those who may read; persistent ones until they are removed."""

from __future__ import annotations

import pytest

from registry.coordinator.codes import AddWatchMode, CreateMode, ErrorCode, OpCode, WatcherType
from registry.coordinator.codes import EventType as Event
from registry.coordinator.jute import ACL
from tests.support import zk_frames
from tests.support.coordinators import Client, CoordinatorBench


@pytest.fixture
def bench() -> CoordinatorBench:
    return CoordinatorBench()


@pytest.fixture
def client(bench: CoordinatorBench) -> Client:
    return bench.client()


@pytest.fixture
def writer(bench: CoordinatorBench) -> Client:
    return bench.client()


def watch_count(client: Client) -> int:
    return client.machine.describe().watch_count


def test_exists_on_nothing_tells_the_creation_once(client: Client, writer: Client) -> None:
    assert client.exists("/a", watch=True).err == ErrorCode.NO_NODE
    writer.create("/a")
    writer.set_data("/a", b"x")
    writer.delete("/a")
    assert client.take_events() == [(Event.NODE_CREATED, "/a")]
    assert watch_count(client) == 0


def test_get_data_on_nothing_sets_no_watch(client: Client) -> None:
    assert client.get_data("/a", watch=True).err == ErrorCode.NO_NODE
    assert client.get_children("/a", watch=True).err == ErrorCode.NO_NODE
    assert watch_count(client) == 0


def test_data_watch_tells_change_or_deletion_once(client: Client, writer: Client) -> None:
    writer.create("/a")
    client.get_data("/a", watch=True)
    client.exists("/a", watch=True)
    writer.set_data("/a", b"1")
    writer.set_data("/a", b"2")
    assert client.take_events() == [(Event.NODE_DATA_CHANGED, "/a")]
    client.get_data("/a", watch=True)
    writer.delete("/a")
    assert client.take_events() == [(Event.NODE_DELETED, "/a")]
    client.create("/a")
    assert client.take_events() == []


def test_child_watch_tells_creation_and_deletion_of_children_but_not_their_data(client: Client, writer: Client) -> None:
    writer.create("/a")
    client.get_children("/a", watch=True)
    writer.set_data("/a", b"")
    assert client.take_events() == []
    writer.create("/a/b")
    writer.create("/a/c")
    assert client.take_events() == [(Event.NODE_CHILDREN_CHANGED, "/a")]
    client.get_children("/a", watch=True)
    writer.set_data("/a/b", b"")
    writer.delete("/a/b")
    assert client.take_events() == [(Event.NODE_CHILDREN_CHANGED, "/a")]


def test_deletion_is_told_once_to_who_watches_data_and_children_and_the_parent_after_it(
    client: Client, writer: Client
) -> None:
    writer.create("/a")
    client.get_data("/a", watch=True)
    client.get_children("/a", watch=True)
    client.get_children("/", watch=True)
    assert watch_count(client) == 3
    writer.delete("/a")
    assert client.take_events() == [(Event.NODE_DELETED, "/a"), (Event.NODE_CHILDREN_CHANGED, "/")]
    assert watch_count(client) == 0


def test_creation_is_told_before_the_change_of_the_parent_and_both_before_the_reply(client: Client) -> None:
    client.exists("/a", watch=True)
    client.get_children("/", watch=True)
    got = client.send(zk_frames.create(7, "/a"))
    assert [(reply.xid, reply.zxid) for reply in got] == [(-1, 2), (-1, 2), (7, 2)]
    assert client.take_events() == [(Event.NODE_CREATED, "/a"), (Event.NODE_CHILDREN_CHANGED, "/")]


def test_a_refused_write_tells_nothing(client: Client, writer: Client) -> None:
    writer.create("/a")
    writer.create("/a/b")
    client.get_data("/a", watch=True)
    client.get_children("/a", watch=True)
    writer.set_data("/a", b"", version=7)
    writer.delete("/a")
    writer.create("/a")
    assert client.take_events() == []
    assert watch_count(client) == 2


def test_persistent_watch_tells_data_and_children_again_and_again(client: Client, writer: Client) -> None:
    reply = client.add_watch("/a", AddWatchMode.PERSISTENT)
    assert (reply.err, reply.number) == (0, 0)
    assert watch_count(client) == 2
    for _ in range(2):
        writer.create("/a")
        writer.set_data("/a", b"")
        writer.create("/a/b")
        writer.set_data("/a/b", b"")
        writer.delete("/a/b")
        writer.delete("/a")
        assert client.take_events() == [
            (Event.NODE_CREATED, "/a"),
            (Event.NODE_DATA_CHANGED, "/a"),
            (Event.NODE_CHILDREN_CHANGED, "/a"),
            (Event.NODE_CHILDREN_CHANGED, "/a"),
            (Event.NODE_DELETED, "/a"),
        ]


def test_recursive_watch_tells_all_below_but_no_changes_of_children(client: Client, writer: Client) -> None:
    client.add_watch("/a", AddWatchMode.PERSISTENT_RECURSIVE)
    writer.create("/a")
    writer.create("/a/b")
    writer.create("/a/b/c")
    writer.set_data("/a/b/c", b"")
    writer.create("/ab")
    writer.delete("/a/b/c")
    assert client.take_events() == [
        (Event.NODE_CREATED, "/a"),
        (Event.NODE_CREATED, "/a/b"),
        (Event.NODE_CREATED, "/a/b/c"),
        (Event.NODE_DATA_CHANGED, "/a/b/c"),
        (Event.NODE_DELETED, "/a/b/c"),
    ]
    client.add_watch("/", AddWatchMode.PERSISTENT_RECURSIVE)
    client.exists("/a/b", watch=True)
    writer.set_data("/a/b", b"")
    assert client.take_events() == [(Event.NODE_DATA_CHANGED, "/a/b")]


def test_modes_on_one_path_live_side_by_side(client: Client, writer: Client) -> None:
    writer.create("/a")
    client.add_watch("/a", AddWatchMode.PERSISTENT)
    client.get_data("/a", watch=True)
    client.get_children("/a", watch=True)
    assert watch_count(client) == 2
    writer.set_data("/a", b"1")
    writer.set_data("/a", b"2")
    assert client.take_events() == [(Event.NODE_DATA_CHANGED, "/a")] * 2
    assert client.ask(remove("/a", WatcherType.DATA)).err == ErrorCode.NO_WATCHER
    assert client.ask(remove("/a", WatcherType.CHILDREN)).err == ErrorCode.OK
    assert client.ask(remove("/a", WatcherType.PERSISTENT)).err == ErrorCode.OK
    assert watch_count(client) == 0


def remove(path: str, watcher_type: int, op: int = OpCode.REMOVE_WATCHES) -> bytes:
    return zk_frames.path_and_number(1, op, path, watcher_type)


def test_watches_are_checked_and_removed_by_type(client: Client, writer: Client) -> None:
    writer.create("/a")
    for set_watch, fitting in (
        (lambda: client.get_data("/a", watch=True), WatcherType.DATA),
        (lambda: client.get_children("/a", watch=True), WatcherType.CHILDREN),
        (lambda: client.add_watch("/a", AddWatchMode.PERSISTENT), WatcherType.PERSISTENT),
        (lambda: client.add_watch("/a", AddWatchMode.PERSISTENT_RECURSIVE), WatcherType.PERSISTENT_RECURSIVE),
    ):
        for watcher_type in WatcherType:
            set_watch()
            fits = watcher_type in (fitting, WatcherType.ANY)
            expected = ErrorCode.OK if fits else ErrorCode.NO_WATCHER
            assert client.ask(remove("/a", watcher_type, OpCode.CHECK_WATCHES)).err == expected
            assert client.ask(remove("/a", watcher_type)).err == expected
            assert (watch_count(client) == 0) is fits
        client.ask(remove("/a", WatcherType.ANY))
    assert writer.ask(remove("/a", WatcherType.ANY)).err == ErrorCode.NO_WATCHER
    assert client.ask(remove("/a", 9)).err == ErrorCode.MARSHALLING_ERROR
    assert client.add_watch("/a", 2).err == ErrorCode.MARSHALLING_ERROR
    writer.set_data("/a", b"")
    assert client.take_events() == []


def test_set_watches_tells_what_was_missed_and_watches_the_rest(client: Client, writer: Client) -> None:
    writer.create("/old")
    writer.create("/changed")
    writer.create("/parent")
    seen = writer.create("/quiet").zxid
    writer.set_data("/changed", b"")
    writer.create("/parent/child")
    got = client.send(
        zk_frames.set_watches(
            seen, data=["/old", "/changed", "/gone"], exist=["/quiet", "/to-come"], child=["/old", "/parent", "/gone"]
        )
    )
    assert [reply.xid for reply in got] == [-1, -1, -1, -1, -1, -8]
    assert all(reply.zxid == -1 for reply in got[:-1])
    assert client.take_events() == [
        (Event.NODE_DATA_CHANGED, "/changed"),
        (Event.NODE_DELETED, "/gone"),
        (Event.NODE_CREATED, "/quiet"),
        (Event.NODE_CHILDREN_CHANGED, "/parent"),
        (Event.NODE_DELETED, "/gone"),
    ]
    assert watch_count(client) == 3
    writer.create("/to-come")
    writer.create("/old/x")
    writer.set_data("/old", b"")
    assert client.take_events() == [
        (Event.NODE_CREATED, "/to-come"),
        (Event.NODE_CHILDREN_CHANGED, "/old"),
        (Event.NODE_DATA_CHANGED, "/old"),
    ]
    client.send(zk_frames.set_watches(seen, persistent=["/p"], recursive=["/r"]))
    writer.create("/p")
    writer.create("/r")
    writer.create("/r/x")
    writer.create("/p/x")
    assert client.take_events() == [
        (Event.NODE_CREATED, "/p"),
        (Event.NODE_CREATED, "/r"),
        (Event.NODE_CREATED, "/r/x"),
        (Event.NODE_CHILDREN_CHANGED, "/p"),
    ]


def test_who_may_not_read_is_not_told_and_the_watch_is_spent(client: Client, writer: Client) -> None:
    writer.auth("digest", b"user:secret")
    writer.create("/a")
    client.get_data("/a", watch=True)
    client.add_watch("/", AddWatchMode.PERSISTENT_RECURSIVE)
    writer.add_watch("/", AddWatchMode.PERSISTENT_RECURSIVE)
    writer.set_acl("/a", [ACL(31, "auth", "")])
    writer.set_data("/a", b"")
    assert client.take_events() == []
    assert writer.take_events() == [(Event.NODE_DATA_CHANGED, "/a")]
    assert client.ask(remove("/a", WatcherType.DATA)).err == ErrorCode.NO_WATCHER


def test_watches_end_with_their_connection(bench: CoordinatorBench, client: Client, writer: Client) -> None:
    writer.create("/a")
    for watcher in (client, writer):
        watcher.get_data("/a", watch=True)
        watcher.add_watch("/a", AddWatchMode.PERSISTENT_RECURSIVE)
    bench.machine.lost(client.peer)
    assert watch_count(writer) == 1
    writer.set_data("/a", b"")
    assert client.peer.sent == []
    bench.machine.lost(writer.peer)
    assert bench.machine.describe().watched_path_count == 0
    assert bench.machine.describe().watch_count == 0


def test_ten_thousand_watchers_are_each_told_once(bench: CoordinatorBench, writer: Client) -> None:
    writer.create("/a")
    clients = [bench.client() for _ in range(10_000)]
    for client in clients:
        client.exists("/a", watch=True)
    assert watch_count(writer) == 10_000
    writer.set_data("/a", b"")
    writer.set_data("/a", b"")
    assert all(client.take_events() == [(Event.NODE_DATA_CHANGED, "/a")] for client in clients)
    assert watch_count(writer) == 0


def test_ephemerals_tell_their_deletion_in_order(bench: CoordinatorBench, client: Client, writer: Client) -> None:
    for name in ("/c", "/a", "/b"):
        writer.create(name, flags=CreateMode.EPHEMERAL)
        client.exists(name, watch=True)
    writer.close_session()
    assert client.take_events() == [(Event.NODE_DELETED, "/c"), (Event.NODE_DELETED, "/a"), (Event.NODE_DELETED, "/b")]
