"""The tree of nodes and the one way to change it: `apply`.

A node keeps its data and Stat as the bytes of the reply, so that a read is a look-up and a header. That also is the
smallest form: a node of few bytes takes about 450, path and the parent's entry included.
Source: DataTree, DataNode.copyStat (the cversion shown counts deletions too), EphemeralType.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from struct import Struct
from typing import cast

from registry.coordinator.acl import intern_acl
from registry.coordinator.jute import (
    ACL,
    INT,
    NULL,
    OPEN_ACL_UNSAFE,
    READ_ACL_UNSAFE,
    STAT,
    STAT_BYTES,
    MarshallingError,
    Reader,
    Stat,
    pack_acls,
    pack_string,
)
from registry.coordinator.transactions import (
    Change,
    CloseSession,
    Create,
    Delete,
    Multi,
    SetACL,
    SetData,
    Transaction,
)
from registry.coordinator.watches import WatchManager

CONTAINER_OWNER = -(1 << 63)
"""The ephemeralOwner of containers. It is ZooKeeper's own: clients are shown 0, as for nodes with a TTL."""
TTL_OWNER_BASE = -(1 << 56)
"""The ephemeralOwner of a node with a TTL is this plus the TTL in ms: first byte 0xff, then feature 0."""
TTL_MS_MAX = (1 << 40) - 1
NO_CHILDREN = INT.pack(0)
SPECIAL_PATHS = frozenset(("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"))
"""Nodes that are always there and cannot be deleted."""
CREATIONS_MASK = (1 << 31) - 1
_CVERSION = INT
_OWNER = Struct(">q")
_CHILDREN_AND_PZXID = Struct(">iq")
_int_at = INT.unpack_from
_pack_stat = STAT.pack


def ttl_ms_of(owner: int) -> int:
    """The TTL that an ephemeralOwner says; 0 where it is none."""
    ttl_ms = owner - TTL_OWNER_BASE
    return ttl_ms if 0 < ttl_ms <= TTL_MS_MAX else 0


def is_session(owner: int) -> bool:
    """Whether an ephemeralOwner is a session: EphemeralType.NORMAL."""
    return owner != 0 and owner != CONTAINER_OWNER and not ttl_ms_of(owner)


def creation_count_of(cversion: int, child_count: int) -> int:
    """ZooKeeper's internal cversion, of which the one in the Stat is twice, less the children there are.

    Exact for the first two thousand million creations below one node.
    """
    return ((cversion + child_count) >> 1) & CREATIONS_MASK


class Children:
    """The children of a node, by their full paths (the very strings that key the tree), in order of creation."""

    __slots__ = ("packed", "paths")

    def __init__(self) -> None:
        self.paths: dict[str, None] = {}
        self.packed: bytes | None = None
        """The vector of names, until it changes."""


class Node:
    """A node: the bytes of its GetDataResponse, its ACL, its children. A registry.coordinator.view.ViewedNode."""

    __slots__ = ("acl", "body", "children")

    def __init__(self, body: bytes, acl: tuple[ACL, ...]) -> None:
        self.body = body
        self.acl = acl
        self.children: Children | None = None

    @property
    def data(self) -> bytes | None:
        """The data."""
        return None if self.body.startswith(NULL) else self.body[4:-STAT_BYTES]

    @property
    def stat(self) -> Stat:
        """The Stat, unpacked."""
        return Stat(*STAT.unpack_from(self.body, len(self.body) - STAT_BYTES))

    def creation_count(self) -> int:
        """How often a child has been created here: ZooKeeper's internal cversion, from which sequential names come."""
        (cversion,) = _int_at(self.body, len(self.body) - 32)
        return creation_count_of(cversion, self.child_count())

    def version(self) -> int:
        """The version of the data."""
        (version,) = _int_at(self.body, len(self.body) - 36)
        return version

    def child_count(self) -> int:
        """How many children there are."""
        return 0 if self.children is None else len(self.children.paths)

    def children_bytes(self) -> bytes:
        """The names of the children as a jute vector."""
        children = self.children
        if children is None or not children.paths:
            return NO_CHILDREN
        if children.packed is None:
            names = [path[path.rfind("/") + 1 :].encode() for path in children.paths]
            parts = [INT.pack(len(names))]
            for name in names:
                parts += (INT.pack(len(name)), name)
            children.packed = b"".join(parts)
        return children.packed

    def set_child_facts(self, creation_count: int, pzxid: int) -> None:
        """Write numChildren, pzxid and the cversion that follows from both counts into the Stat."""
        body = self.body
        child_count = self.child_count()
        cversion = (2 * creation_count - child_count + (1 << 31)) % (1 << 32) - (1 << 31)
        self.body = b"".join(
            (body[:-32], _CVERSION.pack(cversion), body[-28:-12], _CHILDREN_AND_PZXID.pack(child_count, pzxid))
        )


def node_body(data: bytes | None, stat: bytes) -> bytes:
    """Data and packed Stat as a GetDataResponse."""
    return NULL + stat if data is None else INT.pack(len(data)) + data + stat


def _with_owner(body: bytes, owner: int) -> bytes:
    return b"".join((body[:-24], _OWNER.pack(owner), body[-16:]))


class DataTree:
    """All nodes by path. A registry.coordinator.view.NodeView; the root is known as "" too."""

    def __init__(self, watches: WatchManager) -> None:
        self.watches = watches
        self.zxid = 0
        """The last transaction that has been applied."""
        self.nodes: dict[str, Node] = {}
        self.find = self.nodes.get
        self.session_paths: dict[int, dict[str, None]] = {}
        """Ephemeral nodes by session."""
        self.ephemeral_count = 0
        self.unowned: dict[str, int] = {}
        """Containers and nodes with a TTL, and the ephemeralOwner that says which; their Stat shows none."""
        self.data_bytes = 0
        """Paths and data together, as ZooKeeper's approximate data size."""
        self._before_dump: dict[str, tuple[bytes, tuple[ACL, ...]]] | None = None
        """While a dump is under way: nodes as they were when it began, where they have changed since."""
        table: dict[type[Change], Callable[..., Node]] = {
            Create: self._create,
            Delete: self._delete,
            SetData: self._set_data,
            SetACL: self._set_acl,
        }
        self._appliers = cast("dict[type[Change], Callable[[Change, Transaction], Node]]", table)
        self._found()

    def apply(self, transaction: Transaction, stats: list[bytes] | None = None) -> Node | None:
        """Do one transaction and tell the watches; gives the node of a single change.

        `stats` gets the packed Stat of each node that a Multi changes, as it is after that change. The transaction must
        fit the tree: writes have been checked before, and a journal holds what fitted once. One that does not raises
        KeyError.
        """
        step = transaction.step
        applier = self._appliers.get(type(step))  # pyright: ignore[reportArgumentType]
        self.zxid = transaction.zxid
        if applier is not None:
            return applier(cast("Change", step), transaction)
        if isinstance(step, Multi):
            for change in step.changes:
                node = self._appliers[type(change)](change, transaction)
                if stats is not None:
                    stats.append(node.body[-STAT_BYTES:])
        elif isinstance(step, CloseSession):
            for path in self.session_paths.pop(transaction.session_id, {}):
                self.ephemeral_count -= 1
                self._delete(Delete(path), transaction)
        return None

    def ephemerals(self, session_id: int) -> Iterable[str]:
        """Paths of the session's ephemeral nodes, in order of creation."""
        return self.session_paths.get(session_id, ())

    def descendant_count(self, path: str) -> int:
        """How many nodes lie below the path."""
        if path in ("", "/"):
            return len(self.nodes) - (2 if path else 1)  # the root lies below its other name, the empty one
        count, waiting = 0, [path]
        while waiting:
            node = self.nodes[waiting.pop()]
            if node.children is not None:
                count += len(node.children.paths)
                waiting += node.children.paths
        return count

    def dump(self) -> Iterator[bytes]:
        """A record of each node as it is now, parents first. The tree may change while it is read; one at a time."""
        assert self._before_dump is None, "a dump is under way"
        self._before_dump = {}
        records = self._dumped(list(self.nodes)[1:])  # without the root's other name
        next(records)  # from here on its `finally` ends the dump, also when nobody reads to the end
        return records

    def clear(self) -> None:
        """Remove everything, the special nodes too: records of a dump are to follow."""
        self.nodes.clear()
        self.session_paths.clear()
        self.unowned.clear()
        self.ephemeral_count = self.data_bytes = 0

    def load(self, record: bytes | memoryview) -> None:
        """Add a node that `dump` gave; raises MarshallingError."""
        reader = Reader(record)
        path, acl = reader.text(), reader.acls()
        start = reader.offset
        reader.buffer()  # the data
        if reader.remaining() != STAT_BYTES:
            raise MarshallingError(f"node {path} is cut")
        reader.offset = start
        node = Node(reader.take(reader.remaining()), intern_acl(acl))
        if path == "/":
            self.nodes[""] = node
        else:
            parent = self.nodes.get(path[: path.rfind("/")])
            if parent is None:
                raise MarshallingError(f"node {path} has no parent")
            if parent.children is None:
                parent.children = Children()
            parent.children.paths[path] = None
        (owner,) = _OWNER.unpack_from(node.body, len(node.body) - 24)
        self._enter(path, node, owner)

    def _dumped(self, paths: list[str]) -> Iterator[bytes]:
        changed = self._before_dump
        assert changed is not None
        packed_acls: dict[tuple[ACL, ...], bytes] = {}
        try:
            yield b""
            for path in paths:
                kept = changed.pop(path, None)
                if kept is None:
                    node = self.nodes[path]
                    kept = self._whole_body(path, node), node.acl
                body, acl = kept
                if acl not in packed_acls:
                    packed_acls[acl] = pack_acls(acl)
                yield pack_string(path) + packed_acls[acl] + body
        finally:
            self._before_dump = None

    def _keep(self, path: str, node: Node) -> None:
        """Remember a node for the dump that is under way, before its first change."""
        if self._before_dump is not None:
            self._before_dump.setdefault(path or "/", (self._whole_body(path, node), node.acl))

    def _whole_body(self, path: str, node: Node) -> bytes:
        """The body with the owner that clients are not shown."""
        owner = self.unowned.get(path)
        return node.body if owner is None else _with_owner(node.body, owner)

    def _found(self) -> None:
        """The nodes that every tree has. Source: DataTree's constructor, ZOOKEEPER-2014 (the config node's ACL)."""
        empty = INT.pack(0) + bytes(STAT_BYTES)
        self.nodes[""] = Node(empty, OPEN_ACL_UNSAFE)
        self._enter("/", self.nodes[""], 0)
        for path in ("/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
            parent = self.nodes[path[: path.rfind("/")]]
            if parent.children is None:
                parent.children = Children()
            parent.children.paths[path] = None
            parent.set_child_facts(0, 0)
            self._enter(path, Node(empty, OPEN_ACL_UNSAFE), 0)
        config = self.nodes["/zookeeper/config"]
        config.acl = intern_acl(READ_ACL_UNSAFE)
        config.body = node_body(b"", Stat(0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0).encode())

    def _enter(self, path: str, node: Node, owner: int) -> None:
        self.nodes[path] = node
        self.data_bytes += len(path) + len(node.body) - STAT_BYTES - 4
        if owner == 0:
            return
        if not is_session(owner):
            self.unowned[path] = owner
            node.body = _with_owner(node.body, 0)
        else:
            self.session_paths.setdefault(owner, {})[path] = None
            self.ephemeral_count += 1

    def _create(self, change: Create, transaction: Transaction) -> Node:
        zxid, time_ms, _, _ = transaction
        path, data, acl, owner, parent_cversion = change
        parent_path = path[: path.rfind("/")]
        parent = self.nodes[parent_path]
        self._keep(parent_path, parent)
        length = 0 if data is None else len(data)
        stat = _pack_stat(zxid, zxid, time_ms, time_ms, 0, 0, 0, owner, length, 0, zxid)
        node = Node(node_body(data, stat), acl if acl is OPEN_ACL_UNSAFE else intern_acl(acl))
        children = parent.children
        if children is None:
            children = parent.children = Children()
        children.paths[path] = None
        children.packed = None
        parent.set_child_facts(parent_cversion, zxid)
        self._enter(path, node, owner)
        self.watches.node_created(path, node.acl, parent_path, parent.acl, zxid)
        return node

    def _delete(self, change: Delete, transaction: Transaction) -> Node:
        path = change.path
        parent_path = path[: path.rfind("/")]
        parent = self.nodes[parent_path]
        self._keep(parent_path, parent)
        node = self.nodes.pop(path)
        self._keep(path, node)
        creation_count = parent.creation_count()
        assert parent.children is not None
        del parent.children.paths[path]
        parent.children.packed = None
        parent.set_child_facts(creation_count, transaction.zxid)
        self.data_bytes -= len(path) + len(node.body) - STAT_BYTES - 4
        (owner,) = _OWNER.unpack_from(node.body, len(node.body) - 24)
        if owner == 0:
            self.unowned.pop(path, None)
        elif (paths := self.session_paths.get(owner)) is not None:
            del paths[path]
            self.ephemeral_count -= 1
            if not paths:
                del self.session_paths[owner]
        self.watches.node_deleted(path, node.acl, parent_path, parent.acl, transaction.zxid)
        return node

    def _set_data(self, change: SetData, transaction: Transaction) -> Node:
        path, data, version = change
        node = self.nodes[path]
        self._keep(path, node)
        before = node.body
        start = len(before) - STAT_BYTES
        czxid, _, ctime, _, _, cversion, aversion, owner, _, child_count, pzxid = STAT.unpack_from(before, start)
        length = 0 if data is None else len(data)
        zxid = transaction.zxid
        stat = _pack_stat(
            czxid, zxid, ctime, transaction.time_ms, version, cversion, aversion, owner, length, child_count, pzxid
        )
        node.body = node_body(data, stat)
        self.data_bytes += len(node.body) - len(before)
        self.watches.data_changed(path, node.acl, zxid)
        return node

    def _set_acl(self, change: SetACL, _transaction: Transaction) -> Node:
        node = self.nodes[change.path]
        self._keep(change.path, node)
        node.acl = intern_acl(change.acl)
        node.body = node_body(node.data, node.stat._replace(aversion=change.version).encode())
        return node
