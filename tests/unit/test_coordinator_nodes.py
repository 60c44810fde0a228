"""Nodes as ZooKeeper keeps them: which Stat every operation leaves, which error every wrong one gets."""

from __future__ import annotations

import pytest

from registry.coordinator.codes import CreateMode, ErrorCode, OpCode
from registry.coordinator.jute import Stat
from registry.coordinator.paths import is_valid_path
from tests.support import zk_frames
from tests.support.coordinators import Client, CoordinatorBench

NOW_MS = 1_795_000_000_000


@pytest.fixture
def bench() -> CoordinatorBench:
    return CoordinatorBench()


@pytest.fixture
def client(bench: CoordinatorBench) -> Client:
    return bench.client()  # its session is zxid 1


def test_a_fresh_tree_has_zookeepers_own_nodes(client: Client) -> None:
    assert client.stat("/") == Stat(0, 0, 0, 0, 0, -1, 0, 0, 0, 1, 0)
    assert client.get_children("/").children == ["zookeeper"]
    assert client.get_children("/zookeeper").children == ["quota", "config"]
    assert client.stat("/zookeeper") == Stat(0, 0, 0, 0, 0, -2, 0, 0, 0, 2, 0)
    assert client.stat("/zookeeper/config").aversion == -1
    assert client.get_acl("/zookeeper/config").acls == ((1, "world", "anyone"),)
    assert client.set_data("/zookeeper/config", b"x").err == ErrorCode.NO_AUTH
    for path in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        assert client.delete(path).err == ErrorCode.BAD_ARGUMENTS
    assert client.machine.describe().node_count == 5


def test_create_gives_path_and_stat(client: Client) -> None:
    reply = client.create("/a", b"data")
    assert (reply.err, reply.zxid, reply.path) == (0, 2, "/a")
    assert reply.stat == Stat(2, 2, NOW_MS, NOW_MS, 0, 0, 0, 0, 4, 0, 2)
    assert client.stat("/") == Stat(0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2)
    old = client.create("/b", b"", op=OpCode.CREATE)
    assert (old.path, len(old.body)) == ("/b", 6)
    got = client.get_data("/a")
    assert (got.data, got.stat, got.zxid) == (b"data", reply.stat, 3)


def test_null_and_empty_data_stay_what_they_are(client: Client) -> None:
    client.create("/null", None)
    client.create("/empty", b"")
    assert client.get_data("/null").data is None
    assert client.get_data("/empty").data == b""
    assert client.stat("/null").data_length == 0
    client.set_data("/empty", None)
    assert client.get_data("/empty").data is None


def test_set_data_counts_versions(bench: CoordinatorBench, client: Client) -> None:
    client.create("/a", b"0")
    bench.clock.advance(5)
    stat = client.set_data("/a", b"one", version=0).stat
    assert stat == Stat(2, 3, NOW_MS, NOW_MS + 5, 1, 0, 0, 0, 3, 0, 2)
    wrong = client.set_data("/a", b"two", version=0)
    assert (wrong.err, wrong.zxid, wrong.body) == (ErrorCode.BAD_VERSION, 4, b"")
    assert client.get_data("/a").data == b"one"
    assert client.set_data("/missing", b"").err == ErrorCode.NO_NODE
    assert client.set_data("/a", b"", version=-1).stat.version == 2


def test_children_count_in_the_parents_stat(client: Client) -> None:
    client.create("/a")
    client.create("/a/b")
    client.create("/a/c")
    assert client.stat("/a")[5:] == (2, 0, 0, 0, 2, 4)
    client.delete("/a/b")
    stat = client.stat("/a")
    assert (stat.cversion, stat.num_children, stat.pzxid, stat.mzxid, stat.version) == (3, 1, 5, 2, 0)
    client.set_data("/a/c", b"x")
    assert client.stat("/a") == stat
    assert client.get_children("/a").children == ["c"]
    assert client.get_children("/a").stat == stat


def test_delete_asks_for_version_and_emptiness(client: Client) -> None:
    client.create("/a")
    client.create("/a/b")
    assert client.delete("/a").err == ErrorCode.NOT_EMPTY
    assert client.delete("/a/b", version=1).err == ErrorCode.BAD_VERSION
    assert client.delete("/a/b", version=0).err == ErrorCode.OK
    assert client.delete("/a/b").err == ErrorCode.NO_NODE
    assert client.delete("/x/y").err == ErrorCode.NO_NODE
    assert client.delete("relative").err == ErrorCode.BAD_ARGUMENTS
    assert client.delete("/a").err == ErrorCode.OK
    assert client.exists("/a").err == ErrorCode.NO_NODE


def test_a_failed_write_takes_a_zxid_and_a_read_does_not(client: Client) -> None:
    assert client.exists("/a").zxid == 1
    assert client.set_data("/a", b"").zxid == 2
    assert client.create("bad").zxid == 3
    assert client.get_data("/").zxid == 3
    assert client.create("/a").stat.czxid == 4


def test_sequential_names_come_from_the_count_of_creations(client: Client) -> None:
    client.create("/q")
    first = client.create("/q/n-", flags=CreateMode.PERSISTENT_SEQUENTIAL)
    assert first.path == "/q/n-0000000000"
    client.create("/q/other")
    client.delete("/q/other")
    assert client.create("/q/n-", flags=CreateMode.EPHEMERAL_SEQUENTIAL).path == "/q/n-0000000002"
    assert client.create("/q/", flags=CreateMode.PERSISTENT_SEQUENTIAL).path == "/q/0000000003"


def test_creation_errors(client: Client) -> None:
    client.create("/e", flags=CreateMode.EPHEMERAL)
    assert client.create("/e/child").err == ErrorCode.NO_CHILDREN_FOR_EPHEMERALS
    assert client.create("/e").err == ErrorCode.NODE_EXISTS
    assert client.create("/").err == ErrorCode.NODE_EXISTS
    assert client.create("/x/y").err == ErrorCode.NO_NODE
    for path in ("a", "", "/a/", "/a//b", "/a\0", "/\u007f", "/a/./b", "/..", "/\ue000", "/\U0001f600"):
        assert client.create(path).err in (ErrorCode.BAD_ARGUMENTS, ErrorCode.NO_NODE), path
    assert client.create("/f", flags=7).err == ErrorCode.BAD_ARGUMENTS
    assert client.create("/f", flags=-1).err == ErrorCode.BAD_ARGUMENTS
    assert client.create("/f", flags=CreateMode.PERSISTENT_WITH_TTL).err == ErrorCode.BAD_ARGUMENTS
    assert client.create("/f", acls=()).err == ErrorCode.INVALID_ACL
    assert client.exists("/f").err == ErrorCode.NO_NODE


@pytest.mark.parametrize("path", ["/", "/a", "/a/b.c", "/...", "/a..", "/.a/b", "/ä/日本", "/ /x"])
def test_valid_paths(path: str) -> None:
    assert is_valid_path(path)


@pytest.mark.parametrize(
    "path", ["", "a", "/a/", "//", "/a//b", "/.", "/..", "/a/.", "/./a", "/a/../b", "/\x01", "/\x9f"]
)
def test_invalid_paths(path: str) -> None:
    assert not is_valid_path(path)


def test_containers_go_when_their_children_have_gone(bench: CoordinatorBench, client: Client) -> None:
    assert client.create("/c", op=OpCode.CREATE_CONTAINER, flags=CreateMode.CONTAINER).stat.ephemeral_owner == 0
    client.create("/never", op=OpCode.CREATE_CONTAINER, flags=CreateMode.CONTAINER)
    client.create("/c/x")
    for _ in range(4):
        bench.pass_ms(28_000)
        client.exists("/")
    assert client.stat("/c").num_children == 1
    client.delete("/c/x")
    before = bench.machine.tree.zxid
    bench.pass_ms(20_000)
    client.exists("/")
    bench.pass_ms(20_000)
    client.exists("/")
    bench.pass_ms(20_000)
    gone = client.exists("/c")
    assert (gone.err, gone.zxid) == (ErrorCode.NO_NODE, before + 1)
    assert client.exists("/never").err == ErrorCode.OK
    for _ in range(10):
        bench.pass_ms(20_000)
        client.exists("/")
    assert client.exists("/never").err == ErrorCode.NO_NODE


def test_nodes_with_a_ttl_go_when_unchanged_and_childless(bench: CoordinatorBench, client: Client) -> None:
    def create(path: str, ttl_ms: int) -> int:
        flags = CreateMode.PERSISTENT_WITH_TTL
        return client.create(path, flags=flags, op=OpCode.CREATE_TTL, ttl_ms=ttl_ms).err

    assert create("/t", 100_000) == ErrorCode.OK
    assert create("/parent", 1) == ErrorCode.OK
    client.create("/parent/child")
    assert client.stat("/t").ephemeral_owner == 0, "as DataNode.copyStat shows it"
    for ttl_ms in (0, -1, 1 << 40):
        assert create("/bad", ttl_ms) == ErrorCode.BAD_ARGUMENTS
    named = client.create(
        "/t-", flags=CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, op=OpCode.CREATE_TTL, ttl_ms=(1 << 40) - 1
    )
    assert named.path == "/t-0000000002"
    for _ in range(3):
        bench.pass_ms(20_000)
        client.set_data("/t", b"")
    for _ in range(4):
        bench.pass_ms(20_000)
        assert client.exists("/t").err == ErrorCode.OK
    for _ in range(3):
        bench.pass_ms(20_000)
        client.exists("/")
    assert client.exists("/t").err == ErrorCode.NO_NODE
    assert client.exists("/parent").err == ErrorCode.OK
    assert client.exists("/t-0000000002").err == ErrorCode.OK
    client.delete("/parent/child")
    bench.pass_ms(20_000)
    client.exists("/")
    bench.pass_ms(20_000)
    client.exists("/")
    bench.pass_ms(20_000)
    assert client.exists("/parent").err == ErrorCode.NO_NODE


def test_counts_of_descendants_and_of_own_ephemerals(bench: CoordinatorBench, client: Client) -> None:
    for path in ("/a", "/a/b", "/a/b/c", "/ab"):
        client.create(path)
    other = bench.client()
    for path in ("/a/e1", "/ab/e2"):
        client.create(path, flags=CreateMode.EPHEMERAL)
    other.create("/a/e3", flags=CreateMode.EPHEMERAL)

    def ask(op: int, path: str) -> zk_frames.Reply:
        return client.ask(zk_frames.with_path(1, op, path))

    assert ask(OpCode.GET_ALL_CHILDREN_NUMBER, "/a").number == 4
    assert ask(OpCode.GET_ALL_CHILDREN_NUMBER, "/").number == 10
    assert ask(OpCode.GET_ALL_CHILDREN_NUMBER, "/no").err == ErrorCode.NO_NODE
    assert ask(OpCode.GET_EPHEMERALS, "/").children == ["/a/e1", "/ab/e2"]
    assert ask(OpCode.GET_EPHEMERALS, "").children == ["/a/e1", "/ab/e2"]
    assert ask(OpCode.GET_EPHEMERALS, "/a/").children == ["/a/e1"]
    assert bench.machine.describe().ephemeral_count == 3


def test_operations_of_reading_only(client: Client) -> None:
    assert client.ask(zk_frames.with_path(5, OpCode.SYNC, "/any")).path == "/any"
    ping = client.ask(zk_frames.request(-2, OpCode.PING).payload())
    assert ping == (-2, 1, 0, b"")
    client.create("/a", b"x")
    client.create("/a/b")
    children = client.ask(zk_frames.with_path(7, OpCode.GET_CHILDREN, "/a", False))
    assert (children.children, len(children.body)) == (["b"], 9)
    reads = [
        (OpCode.GET_DATA, zk_frames.with_path(0, 0, "/a", True)[8:]),
        (OpCode.GET_CHILDREN, zk_frames.with_path(0, 0, "/no", False)[8:]),
        (OpCode.GET_CHILDREN, zk_frames.with_path(0, 0, "/a", False)[8:]),
    ]
    results = client.ask(zk_frames.multi(8, reads, OpCode.MULTI_READ)).multi_results()
    assert [result.err for result in results] == [0, ErrorCode.NO_NODE, 0]
    assert (results[0].data, results[2].children) == (b"x", ["b"])
    assert client.machine.describe().watch_count == 0
    writes = [(OpCode.DELETE, zk_frames.version_record("/a/b"))]
    assert client.ask(zk_frames.multi(9, writes, OpCode.MULTI_READ)).err == ErrorCode.MARSHALLING_ERROR
    assert client.exists("/a/b").err == ErrorCode.OK


def test_reconfig_is_refused_and_unknown_operations_close(client: Client) -> None:
    assert client.ask(zk_frames.request(1, OpCode.RECONFIG).payload()).err == ErrorCode.RECONFIG_DISABLED
    assert client.ask(zk_frames.request(2, OpCode.SASL).buffer(b"token").payload()).data is None
    reply = client.send(zk_frames.request(3, 99).payload(), zk_frames.with_path(4, OpCode.EXISTS, "/", False))
    assert reply == [(3, -1, ErrorCode.UNIMPLEMENTED, b"")]
    assert client.peer.is_closed


@pytest.mark.parametrize("op", [OpCode.CHECK, OpCode.NOTIFICATION, OpCode.CREATE_SESSION, OpCode.DELETE_CONTAINER])
def test_operations_that_are_no_requests(client: Client, op: int) -> None:
    client.create("/a")
    assert client.send(zk_frames.with_path(3, op, "/a", True))[0].err == ErrorCode.UNIMPLEMENTED
    assert client.peer.is_closed
