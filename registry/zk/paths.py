"""Where HBase keeps what in ZooKeeper.

Source: org.apache.hadoop.hbase.zookeeper.ZNodePaths.
"""

from __future__ import annotations

from registry.wire.znode import META_ZNODE, meta_replica_id

DEFAULT_ROOT = "/hbase"


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

    def child(self, parent: str, name: str) -> str:
        """The full path of a child."""
        return f"{parent}/{name}"

    def meta_children(self, children: tuple[str, ...]) -> dict[str, int]:
        """Those children of the root that tell of replicas of hbase:meta: full path to replica id."""
        found = ((name, meta_replica_id(name)) for name in children if name.startswith(META_ZNODE))
        return {f"{self.root}/{name}": replica_id for name, replica_id in found if replica_id is not None}
