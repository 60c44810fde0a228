"""Where HBase keeps what in ZooKeeper.

Source: org.apache.hadoop.hbase.zookeeper.ZNodePaths.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.wire.znode import META_ZNODE, meta_replica_id

DEFAULT_ROOT = "/hbase"

OTHER_VALUES = ("running", "balancer", "normalizer", "snapshot-cleanup")
OTHER_DIRECTORIES = ("draining", "switch")


@dataclass(frozen=True, slots=True)
class Followed:
    """A znode that is followed though no fact rests on it."""

    path: str
    children: bool
    """Its list of children is followed, not its data."""
    members: bool = False
    """And the data of each child."""


class ZNodePaths:
    """Full paths below one `zookeeper.znode.parent`. Immutable; the root has no trailing slash."""

    __slots__ = ("backup_masters", "cluster_id", "master", "meta", "root", "rs", "table")

    def __init__(self, root: str = DEFAULT_ROOT) -> None:
        if not root.startswith("/") or root == "/" or "//" in root or root.endswith("/"):
            raise ValueError(f"{root!r} is not the path of a znode: write it as /hbase")
        self.root = root
        self.cluster_id = f"{root}/hbaseid"
        self.master = f"{root}/master"
        self.backup_masters = f"{root}/backup-masters"
        self.rs = f"{root}/rs"
        self.table = f"{root}/table"
        self.meta = f"{root}/{META_ZNODE}"

    def others(self) -> tuple[Followed, ...]:
        """What clients before 2.5, shells and people read besides the facts, and what tells them that a znode is not.

        The lists of children of all ancestors of the root are among it: they say what else there is and is not.
        """
        names = self.root.split("/")[1:-1]
        above = ("/", *("/" + "/".join(names[: depth + 1]) for depth in range(len(names))))
        return (
            *(Followed(path, children=True) for path in above),
            Followed(self.backup_masters, children=True, members=True),
            *(Followed(f"{self.root}/{name}", children=False) for name in OTHER_VALUES),
            *(Followed(f"{self.root}/{name}", children=True, members=True) for name in OTHER_DIRECTORIES),
        )

    def child(self, parent: str, name: str) -> str:
        """The full path of a child."""
        return f"{parent}/{name}"

    def meta_children(self, children: tuple[str, ...]) -> dict[str, int]:
        """Those children of the root that tell of replicas of hbase:meta: full path to replica id."""
        found = ((name, meta_replica_id(name)) for name in children if name.startswith(META_ZNODE))
        return {f"{self.root}/{name}": replica_id for name, replica_id in found if replica_id is not None}
