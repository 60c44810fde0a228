"""multi: all or nothing, each operation with its own result."""

from __future__ import annotations

import pytest

from registry.coordinator.codes import AddWatchMode, CreateMode, ErrorCode, OpCode
from registry.coordinator.codes import EventType as Event
from registry.coordinator.jute import OPEN_ACL_UNSAFE
from tests.support import zk_frames
from tests.support.coordinators import Client, CoordinatorBench
from tests.support.zk_frames import create_record, set_data_record, version_record


@pytest.fixture
def bench() -> CoordinatorBench:
    return CoordinatorBench()


@pytest.fixture
def client(bench: CoordinatorBench) -> Client:
    return bench.client()


def make(path: str, flags: int = 0, op: int = OpCode.CREATE, ttl_ms: int | None = None) -> tuple[int, bytes]:
    return op, create_record(path, b"data", OPEN_ACL_UNSAFE, flags, ttl_ms)


def drop(path: str, version: int = -1) -> tuple[int, bytes]:
    return OpCode.DELETE, version_record(path, version)


def put(path: str, version: int = -1) -> tuple[int, bytes]:
    return OpCode.SET_DATA, set_data_record(path, b"new", version)


def expect(path: str, version: int = -1) -> tuple[int, bytes]:
    return OpCode.CHECK, version_record(path, version)


def test_operations_see_what_came_before_them(bench: CoordinatorBench, client: Client) -> None:
    reply = client.multi(
        make("/a"),
        make("/a/b", op=OpCode.CREATE2),
        put("/a/b", version=0),
        expect("/a/b", version=1),
        put("/a/b", version=1),
        make("/a/s-", flags=CreateMode.PERSISTENT_SEQUENTIAL),
        make("/a/s-", flags=CreateMode.PERSISTENT_SEQUENTIAL),
        drop("/a/b", version=2),
        make("/a/c", flags=CreateMode.CONTAINER, op=OpCode.CREATE_CONTAINER),
        make("/a/t", flags=CreateMode.PERSISTENT_WITH_TTL, op=OpCode.CREATE_TTL, ttl_ms=5),
    )
    results = reply.multi_results()
    assert (reply.err, reply.zxid) == (0, 2)
    assert [result.op for result in results] == [1, 15, 5, 13, 5, 1, 1, 2, 15, 15]
    assert [result.path for result in results if result.path] == [
        "/a", "/a/b", "/a/s-0000000001", "/a/s-0000000002", "/a/c", "/a/t",
    ]  # fmt: skip
    assert results[1].stat is not None
    assert (results[1].stat.version, results[1].stat.czxid) == (0, 2)
    assert [result.stat.version for result in results[2:5] if result.stat is not None] == [1, 2]
    assert client.get_children("/a").children == ["s-0000000001", "s-0000000002", "c", "t"]
    stat = client.stat("/a")
    assert (stat.cversion, stat.num_children, stat.pzxid, stat.czxid) == (6, 4, 2, 2)
    assert list(bench.machine.tree.unowned) == ["/a/c", "/a/t"]


def test_a_failure_undoes_all_and_names_itself(client: Client) -> None:
    client.create("/a", b"old")
    before = client.stat("/"), client.stat("/a")
    watcher = client
    watcher.add_watch("/", AddWatchMode.PERSISTENT_RECURSIVE)
    reply = client.multi(put("/a"), make("/b"), drop("/a"), make("/a/b"), make("/c"), drop("/b"))
    assert (reply.err, reply.zxid) == (0, 3)
    assert [(result.op, result.err) for result in reply.multi_results()] == [
        (-1, 0), (-1, 0), (-1, 0), (-1, ErrorCode.NO_NODE), (-1, -2), (-1, -2),
    ]  # fmt: skip
    assert (client.stat("/"), client.stat("/a")) == before
    assert client.get_data("/a").data == b"old"
    assert client.take_events() == []
    assert client.multi(make("/s-", flags=2)).multi_results()[0].path == "/s-0000000001"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (drop("/full"), ErrorCode.NOT_EMPTY),
        (drop("/full/x", 3), ErrorCode.BAD_VERSION),
        (drop("/zookeeper"), ErrorCode.BAD_ARGUMENTS),
        (put("/no"), ErrorCode.NO_NODE),
        (put("bad"), ErrorCode.BAD_ARGUMENTS),
        (expect("/no"), ErrorCode.NO_NODE),
        (expect("/full", 1), ErrorCode.BAD_VERSION),
        (make("/full"), ErrorCode.NODE_EXISTS),
        (make("/e/x"), ErrorCode.NO_CHILDREN_FOR_EPHEMERALS),
    ],
)
def test_each_error(client: Client, operation: tuple[int, bytes], code: int) -> None:
    client.create("/full")
    client.create("/full/x")
    client.create("/e", flags=CreateMode.EPHEMERAL)
    results = client.multi(operation).multi_results()
    assert [(result.op, result.err) for result in results] == [(-1, code)]


def test_a_deleted_parent_and_a_full_one_within_a_multi(client: Client) -> None:
    client.create("/a")
    results = client.multi(make("/a/b"), drop("/a")).multi_results()
    assert [result.err for result in results] == [0, ErrorCode.NOT_EMPTY]
    results = client.multi(make("/a/b"), drop("/a/b"), drop("/a"), make("/a"), expect("/a", 0)).multi_results()
    assert [result.op for result in results] == [1, 2, 2, 1, 13]
    assert client.stat("/a").num_children == 0


def test_the_root_has_one_record_under_both_names(client: Client) -> None:
    results = client.multi(put("/"), make("/a"), put("/", version=1), expect("/", version=2)).multi_results()
    assert [result.err for result in results] == [0, 0, 0, 0]
    assert client.stat("/").version == 2


def test_events_of_a_multi_come_in_its_order_before_the_reply(client: Client) -> None:
    client.add_watch("/", AddWatchMode.PERSISTENT_RECURSIVE)
    got = client.send(zk_frames.multi(5, [make("/a"), put("/a"), drop("/a")]))
    assert [reply.xid for reply in got] == [-1, -1, -1, 5]
    assert client.take_events() == [
        (Event.NODE_CREATED, "/a"), (Event.NODE_DATA_CHANGED, "/a"), (Event.NODE_DELETED, "/a"),
    ]  # fmt: skip


def test_nothing_is_a_multi_too(client: Client) -> None:
    reply = client.multi()
    assert (reply.err, reply.zxid, reply.multi_results()) == (0, 2, [])


def test_what_is_no_multi_is_a_marshalling_error_and_takes_a_zxid(client: Client) -> None:
    read = (OpCode.GET_DATA, zk_frames.with_path(0, 0, "/", False)[8:])
    for operations in ([read], [make("/a"), read], [(99, b"")], [make("/a", flags=9)]):
        assert client.multi(*operations).err == ErrorCode.MARSHALLING_ERROR
    cut = zk_frames.multi(5, [make("/a")])[:-4]
    reply = client.ask(cut)
    assert (reply.err, reply.zxid) == (ErrorCode.MARSHALLING_ERROR, 6)
    assert client.exists("/a").err == ErrorCode.NO_NODE
