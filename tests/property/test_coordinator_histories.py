"""Random histories against a small model of ZooKeeper that shares no code with the coordinator.

The model keeps counts instead of Stats and a plain list of watches; replies, Stats, events and what a restart brings
back must be what it says.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.coordinator.codes import AddWatchMode, CreateMode, ErrorCode, EventType, OpCode
from registry.coordinator.jute import OPEN_ACL_UNSAFE
from tests.support import zk_frames
from tests.support.coordinators import Client, CoordinatorBench, MemoryLog
from tests.support.seeds import examples

PATHS = ("/a", "/b", "/a/x", "/a/y", "/a/x/z", "/b/w")
CLIENTS = 3
Write = tuple[str, str, int]
"""create (path, flags), delete and set (path, expected version)."""
Told = tuple[EventType, str]


@dataclass
class ModelNode:
    czxid: int
    mzxid: int
    pzxid: int
    owner: int = 0
    data: bytes = b""
    version: int = 0
    creations: int = 0
    deletions: int = 0


class Refused(Exception):
    pass


@dataclass
class Model:
    """What must be true. Sessions are numbered as the test's clients."""

    zxid: int = 0
    nodes: dict[str, ModelNode] = field(default_factory=dict[str, ModelNode])
    watches: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    """Client, kind (data, child, persistent, recursive), path."""

    def children(self, path: str) -> list[str]:
        """Names; the root's without ZooKeeper's own."""
        prefix = path.rstrip("/") + "/"
        names = [each.removeprefix(prefix) for each in self.nodes if each.startswith(prefix)]
        return [name for name in names if name and "/" not in name]

    def parent(self, path: str) -> ModelNode:
        """Raises NoNode; the root is a node like others here."""
        above = path.rpartition("/")[0] or "/"
        if above not in self.nodes:
            raise Refused(ErrorCode.NO_NODE)
        return self.nodes[above]

    def write(self, client: int, write: Write, zxid: int, changes: list[Told]) -> str:
        """Do it and note what was changed, or raise. Gives the path it was done to."""
        kind, path, number = write
        if kind == "create":
            parent = self.parent(path)
            if number in (CreateMode.PERSISTENT_SEQUENTIAL, CreateMode.EPHEMERAL_SEQUENTIAL):
                path = f"{path}{parent.creations:010d}"
            if path in self.nodes:
                raise Refused(ErrorCode.NODE_EXISTS)
            if parent.owner:
                raise Refused(ErrorCode.NO_CHILDREN_FOR_EPHEMERALS)
            parent.creations += 1
            parent.pzxid = zxid
            self.nodes[path] = ModelNode(zxid, zxid, zxid, client + 1 if number & 1 else 0)
            changes += [
                (EventType.NODE_CREATED, path),
                (EventType.NODE_CHILDREN_CHANGED, path.rpartition("/")[0] or "/"),
            ]
            return path
        if kind == "delete":
            self.parent(path)
        if path not in self.nodes:
            raise Refused(ErrorCode.NO_NODE)
        node = self.nodes[path]
        if number not in (-1, node.version):
            raise Refused(ErrorCode.BAD_VERSION)
        if kind == "set":
            node.version, node.mzxid, node.data = node.version + 1, zxid, b"%d" % zxid
            changes.append((EventType.NODE_DATA_CHANGED, path))
        else:
            if self.children(path):
                raise Refused(ErrorCode.NOT_EMPTY)
            self.remove(path, zxid, changes)
        return path

    def remove(self, path: str, zxid: int, changes: list[Told]) -> None:
        parent = self.parent(path)
        parent.pzxid = zxid
        parent.deletions += 1
        del self.nodes[path]
        changes += [(EventType.NODE_DELETED, path), (EventType.NODE_CHILDREN_CHANGED, path.rpartition("/")[0] or "/")]

    def close(self, client: int, zxid: int, changes: list[Told]) -> None:
        for path in [path for path, node in self.nodes.items() if node.owner == client + 1]:
            self.remove(path, zxid, changes)

    def tell(self, changes: list[Told]) -> dict[int, list[Told]]:
        """What each client is told; spent watches go."""
        told: dict[int, list[Told]] = {client: [] for client in range(CLIENTS)}
        for event, path in changes:
            kinds = {"data", "persistent"}
            if event == EventType.NODE_CHILDREN_CHANGED:
                kinds = {"child", "persistent"}
            elif event == EventType.NODE_DELETED:
                kinds.add("child")
            for client in range(CLIENTS):
                mine = [watch for watch in self.watches if watch[0] == client]
                hit = [watch for watch in mine if watch[1] in kinds and watch[2] == path]
                around = [
                    watch
                    for watch in mine
                    if watch[1] == "recursive"
                    and event != EventType.NODE_CHILDREN_CHANGED
                    and (path + "/").startswith(watch[2].rstrip("/") + "/")
                ]
                if hit or around:
                    told[client].append((event, path))
                self.watches = [watch for watch in self.watches if watch not in hit or watch[1] == "persistent"]
        return told


versions = st.sampled_from([-1, -1, 0, 1, 2])
creates = st.tuples(st.just("create"), st.sampled_from(PATHS), st.sampled_from([0, 0, 1, 2, 3]))
others = st.tuples(st.sampled_from(["delete", "set"]), st.sampled_from(PATHS), versions)
writes = st.one_of(creates, others)
watching = st.tuples(
    st.sampled_from(["exists", "getData", "getChildren", "persistent", "recursive"]), st.sampled_from(("/", *PATHS))
)
steps = st.one_of(
    st.tuples(st.just("write"), st.integers(0, CLIENTS - 1), writes),
    st.tuples(st.just("multi"), st.integers(0, CLIENTS - 1), st.lists(writes, max_size=4)),
    st.tuples(st.just("watch"), st.integers(0, CLIENTS - 1), watching),
    st.tuples(st.just("close"), st.integers(0, CLIENTS - 1), st.none()),
    st.tuples(st.just("move"), st.integers(0, CLIENTS - 1), st.none()),
)


class History:
    """A coordinator and the model, side by side."""

    def __init__(self) -> None:
        self.bench = CoordinatorBench(log=MemoryLog())
        self.model = Model(nodes={"/": ModelNode(0, 0, 0)})
        self.clients = [self.connect() for _ in range(CLIENTS)]

    def connect(self) -> Client:
        self.model.zxid += 1
        return self.bench.client()

    def write(self, index: int, write: Write) -> None:
        kind, path, number = write
        client = self.clients[index]
        self.model.zxid += 1
        changes: list[Told] = []
        expected, expected_path = ErrorCode.OK, path
        try:
            expected_path = self.model.write(index, write, self.model.zxid, changes)
        except Refused as refused:
            expected = refused.args[0]
        if kind == "create":
            reply = client.create(path, b"", flags=number)
            assert expected or reply.path == expected_path
        elif kind == "delete":
            reply = client.delete(path, number)
        else:
            reply = client.set_data(path, b"%d" % self.model.zxid, number)
        assert (reply.err, reply.zxid) == (expected, self.model.zxid)
        self.check_events(changes)

    def multi(self, index: int, operations: list[Write]) -> None:
        self.model.zxid += 1
        trial = copy.deepcopy(self.model)
        changes: list[Told] = []
        expected = [0] * len(operations)
        for position, operation in enumerate(operations):
            try:
                trial.write(index, operation, trial.zxid, changes)
            except Refused as refused:
                expected[position:] = [refused.args[0], *[-2] * (len(operations) - position - 1)]
                changes.clear()
                break
        else:
            self.model = trial
        packed: list[tuple[int, bytes]] = []
        for kind, path, number in operations:
            if kind == "create":
                packed.append((OpCode.CREATE2, zk_frames.create_record(path, b"", OPEN_ACL_UNSAFE, number)))
            elif kind == "delete":
                packed.append((OpCode.DELETE, zk_frames.version_record(path, number)))
            else:
                packed.append((OpCode.SET_DATA, zk_frames.set_data_record(path, b"%d" % self.model.zxid, number)))
        reply = self.clients[index].multi(*packed)
        assert [result.err for result in reply.multi_results()] == expected
        assert (reply.err, reply.zxid) == (0, self.model.zxid)
        self.check_events(changes)

    def watch(self, index: int, watching: tuple[str, str]) -> None:
        kind, path = watching
        client, is_there = self.clients[index], path in self.model.nodes
        if kind == "exists":
            reply = client.exists(path, watch=True)
        elif kind == "getData":
            reply = client.get_data(path, watch=True)
        elif kind == "getChildren":
            reply = client.get_children(path, watch=True)
        else:
            mode = AddWatchMode.PERSISTENT if kind == "persistent" else AddWatchMode.PERSISTENT_RECURSIVE
            assert client.add_watch(path, mode).err == ErrorCode.OK
            self.model.watches.append((index, kind, path))
            return
        assert reply.err == (ErrorCode.OK if is_there else ErrorCode.NO_NODE)
        if is_there or kind == "exists":
            self.model.watches.append((index, "child" if kind == "getChildren" else "data", path))

    def close(self, index: int) -> None:
        self.model.zxid += 1
        changes: list[Told] = []
        self.model.close(index, self.model.zxid, changes)
        assert self.clients[index].close_session().zxid == self.model.zxid
        self.check_events(changes)
        self.gone(index)
        self.clients[index] = self.connect()

    def move(self, index: int) -> None:
        old = self.clients[index]
        self.clients[index] = self.bench.client(session=old.session)
        assert old.peer.is_closed
        self.bench.machine.lost(old.peer)
        self.gone(index, is_lost=True)

    def gone(self, index: int, is_lost: bool = False) -> None:
        if not is_lost:
            self.bench.machine.lost(self.clients[index].peer)
        self.model.watches = [watch for watch in self.model.watches if watch[0] != index]

    def check_events(self, changes: list[Told]) -> None:
        told = self.model.tell(changes)
        for index, client in enumerate(self.clients):
            assert client.take_events() == told[index]

    def check_state(self) -> None:
        client = self.clients[0]
        paths = [path for path in self.bench.machine.tree.nodes if path and not path.startswith("/zookeeper")]
        assert sorted(paths) == sorted(self.model.nodes)
        for path, node in self.model.nodes.items():
            reply = client.get_data(path)
            stat = reply.stat
            children = self.model.children(path) + ["zookeeper"] * (path == "/")
            owner = self.clients[node.owner - 1].session_id if node.owner else 0
            assert reply.data == node.data
            assert sorted(client.get_children(path).children) == sorted(children)
            own = -1 if path == "/" else 0  # ZooKeeper's own child of the root was never counted as created
            assert stat[:2] == (node.czxid, node.mzxid)
            assert (stat.version, stat.cversion, stat.pzxid) == (
                node.version, node.creations + node.deletions + own, node.pzxid,
            )  # fmt: skip
            assert (stat.ephemeral_owner, stat.num_children) == (owner, len(children))
            assert stat.data_length == len(node.data)

    def check_restart(self) -> None:
        picture = self.bench.picture()
        for with_dump in (False, True):
            other = self.bench.restarted(with_dump=with_dump)
            assert other.picture() == picture
            assert other.machine.describe().data_bytes == self.bench.machine.describe().data_bytes
            assert other.machine.inspect().ephemerals == self.bench.machine.inspect().ephemerals


@settings(max_examples=examples(120))
@given(st.lists(steps, max_size=40))
def test_histories(history: list[tuple[str, int, object]]) -> None:
    side_by_side = History()
    for kind, index, argument in history:
        if argument is None:
            getattr(side_by_side, kind)(index)
        else:
            getattr(side_by_side, kind)(index, argument)
    side_by_side.check_state()
    side_by_side.check_restart()
