"""What the façade shows: the znodes of one settled snapshot as nodes that read operations answer from.

Three kinds of path: *served* ones have a node; of others it is known that they are *absent*, because the list of
children of the nearest served znode above says so; of the rest it is not known, or only that they exist: they are
*not served*, and whoever asks gets NoAuth. NoNode would be a lie there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from registry.coordinator.codes import ErrorCode, KeeperException
from registry.coordinator.jute import ACL, INT, NULL, OPEN_ACL_UNSAFE, STAT, STAT_BYTES, pack_strings
from registry.lookup.snapshot import FactState, Znode, ZnodeStat

NOBODY: tuple[ACL, ...] = (ACL(0, "world", "anyone"),)
"""The ACL of what the registry itself may not read: everybody gets NoAuth."""


def stat_bytes(stat: ZnodeStat) -> bytes:
    """The 68 bytes of a Stat, as ZooKeeper sent them."""
    return STAT.pack(
        stat.czxid,
        stat.mzxid,
        stat.ctime_ms,
        stat.mtime_ms,
        stat.version,
        stat.cversion,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children,
        stat.pzxid,
    )


class FacadeNode:
    """One served znode; implements coordinator.view.ViewedNode."""

    __slots__ = ("_children", "_names", "_path", "acl", "body", "has_data", "names", "version")

    def __init__(self, znode: Znode) -> None:
        """`znode` is KNOWN or FORBIDDEN."""
        stat = znode.stat
        known = znode.state is FactState.KNOWN and stat is not None
        self._path = znode.path
        self.version = stat.version if stat is not None else 0
        self.acl = OPEN_ACL_UNSAFE if known else NOBODY
        self.names: tuple[str, ...] | None = None
        """Children, as far as they are known. Of a znode that is followed for its data it is known only that there are
        none; nobody makes children there."""
        self.has_data = known
        """Whether the data is known. Of a znode that is followed for its children it is known only when it is empty, as
        HBase leaves its directories."""
        if stat is not None and known:
            self.names = znode.children if znode.children is not None else (() if not stat.num_children else None)
            self.has_data = znode.children is None or not stat.data_length
        data = INT.pack(len(znode.data)) + znode.data if self.has_data else NULL
        self.body = data + (stat_bytes(stat) if stat is not None else bytes(STAT_BYTES))
        self._names: frozenset[str] | None = None
        self._children = b""

    def children_bytes(self) -> bytes:
        """The names of the children as a jute vector; raises NoAuth where they are not known."""
        if self.names is None:
            raise KeeperException(ErrorCode.NO_AUTH, self._path)
        if not self._children:
            self._children = pack_strings(self.names)
        return self._children

    def lists(self, name: str) -> bool:
        """Whether the name is among the children."""
        if self._names is None:
            self._names = frozenset(self.names or ())
        return name in self._names


def parent_of(path: str) -> str:
    """The path above; "/" is above "/hbase"."""
    return path.rpartition("/")[0] or "/"


class Picture:
    """All that is shown, at one zxid; implements coordinator.view.NodeView."""

    __slots__ = ("absent", "data_bytes", "made_paths", "nodes", "zxid")

    def __init__(self) -> None:
        self.zxid = 0
        self.nodes: dict[str, FacadeNode] = {}
        """By path."""
        self.absent: set[str] = set()
        """Followed znodes that are not there."""
        self.made_paths: frozenset[str] = frozenset()
        """Nodes that ZooKeeper does not have, or not so: their Stats are of no other façade."""
        self.data_bytes = 0

    def find(self, path: str, /) -> FacadeNode | None:
        """The node; None when it is known not to be there. Raises NoAuth for what is not served here."""
        node = self.nodes.get(path)
        if node is not None or path in self.absent:
            return node
        return self._find_unusual(path)

    def is_served(self, path: str) -> bool:
        """Whether `find` answers."""
        try:
            self.find(path)
        except KeeperException:
            return False
        return True

    def ephemerals(self, session_id: int) -> Iterable[str]:  # noqa: ARG002 - as NodeView has it
        """None: a session of a façade owns nothing."""
        return ()

    def descendant_count(self, path: str) -> int:
        """Not served: below what is followed there may be more."""
        raise KeeperException(ErrorCode.NO_AUTH, path)

    def update(self, znodes: Mapping[str, Znode], touched: Iterable[str]) -> None:
        """Take over the znodes of these paths from a newer snapshot; a path that is not in it any more goes."""
        for path in touched:
            before = self.nodes.pop(path, None)
            if before is not None:
                self.data_bytes -= len(path) + len(before.body) - STAT_BYTES
            self.absent.discard(path)
            znode = znodes.get(path)
            if znode is None:
                continue
            if znode.state is FactState.ABSENT:
                self.absent.add(path)
            else:
                node = self.nodes[path] = FacadeNode(znode)
                self.data_bytes += len(path) + len(node.body) - STAT_BYTES

    def _find_unusual(self, path: str) -> FacadeNode | None:
        if not path:
            return self.find("/")
        below = path
        while below != "/":
            above = parent_of(below)
            node = self.nodes.get(above)
            if node is not None:
                if node.names is None or node.lists(below.rpartition("/")[2]):
                    break
                return None
            if above in self.absent:
                return None
            below = above
        raise KeeperException(ErrorCode.NO_AUTH, path)
