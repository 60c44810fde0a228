"""The znodes of a stand-alone HBase 2.6.4, to be written into a real ZooKeeper: the recorded tree of tests and demo.

Paths, kinds and bytes are those of a recording (see tests/conformance); hosts and start codes may be given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from kazoo.client import KazooClient  # pyright: ignore[reportMissingTypeStubs]
from kazoo.exceptions import NodeExistsError, NoNodeError  # pyright: ignore[reportMissingTypeStubs]

from registry.lookup.snapshot import Master, MetaLocation, RegionServer
from registry.names import ServerName
from registry.wire import znode

SALT = bytes.fromhex("5a17c0de5a17c0de")
CLUSTER_ID = "9dece594-c8c0-4618-a767-92cb9707d79b"
MASTER = ServerName("localhost", 27900, 1795249216047)
STANDBY = ServerName("localhost", 27901, 1795249853678)
WORKER = ServerName("localhost", 27920, 1795249223143)
EMPTY_DIRECTORIES = ("draining", "splitWAL", "master-maintenance", "online-snapshot", "flush-table-proc")


@dataclass(frozen=True)
class HBaseTree:
    """A cluster as ZooKeeper sees it."""

    root: str = "/hbase"
    cluster_id: str = CLUSTER_ID
    master: ServerName = MASTER
    backups: tuple[ServerName, ...] = (STANDBY,)
    workers: tuple[ServerName, ...] = (WORKER,)
    meta: tuple[ServerName, ...] = (WORKER,)
    """Server of each replica of hbase:meta, the first is replica 0."""
    tables: tuple[str, ...] = ("hbase:meta", "hbase:namespace")

    def znodes(self) -> Iterator[tuple[str, bytes, bool]]:
        """(path, data, ephemeral) in an order in which parents come first."""
        writer = f"master:{self.master.port}"
        yield self.root, b"", False
        for name in ("backup-masters", "rs", "table", *EMPTY_DIRECTORIES):
            yield f"{self.root}/{name}", b"", False
        yield f"{self.root}/hbaseid", znode.encode_cluster_id(self.cluster_id, writer, SALT), False
        yield f"{self.root}/master", self.master_data(self.master), True
        for backup in self.backups:
            data = znode.encode_master(Master(backup, -1), f"master:{backup.port}", SALT)
            yield f"{self.root}/backup-masters/{backup}", data, True
        up = znode.encode_cluster_up("Sat Nov 21 08:20:29 UTC 2026", writer, SALT)
        yield f"{self.root}/running", up, False
        for worker in self.workers:
            yield f"{self.root}/rs/{worker}", self.worker_data(worker), True
        for replica_id, server in enumerate(self.meta):
            yield self.meta_path(replica_id), self.meta_data(server, replica_id), False
        for table in self.tables:
            yield f"{self.root}/table/{table}", znode.encode_table_state("ENABLED", writer, SALT), False

    def meta_path(self, replica_id: int = 0) -> str:
        """Where the location of one replica is kept."""
        return f"{self.root}/meta-region-server{f'-{replica_id}' if replica_id else ''}"

    def meta_data(self, server: ServerName, replica_id: int = 0) -> bytes:
        """What the master writes there."""
        return znode.encode_meta_location(MetaLocation(replica_id, server, "OPEN"), f"master:{self.master.port}", SALT)

    def master_data(self, master: ServerName) -> bytes:
        """What an active master writes; the recorded cluster's pages were off."""
        return znode.encode_master(Master(master, -1), f"master:{master.port}", SALT)

    def worker_data(self, worker: ServerName) -> bytes:
        """What a region server writes."""
        return znode.encode_region_server(RegionServer(worker, -1, "2.6.4"), f"regionserver:{worker.port}", SALT)


class HBaseTreeWriter:
    """Writes the tree and changes it as masters do; its session holds the ephemeral znodes."""

    def __init__(self, hosts: str, tree: HBaseTree | None = None) -> None:
        self.tree = tree or HBaseTree()
        self.client: Any = cast("Any", KazooClient(hosts=hosts, timeout=10.0))
        self.client.start(timeout=30)

    def write(self, leave_out: Iterable[str] = ()) -> None:
        """Create what is not there yet; names of children of the root in `leave_out` are not created."""
        skipped = {f"{self.tree.root}/{name}" for name in leave_out}
        for path, data, ephemeral in self.tree.znodes():
            if path in skipped or path.rpartition("/")[0] in skipped:
                continue
            try:
                self.client.create(path, data, ephemeral=ephemeral, makepath=False)
            except NodeExistsError:
                self.client.set(path, data)

    def move_meta(self, server: ServerName, replica_id: int = 0) -> int:
        """Meta is served by another region server; the mzxid of the change."""
        stat = self.client.set(self.tree.meta_path(replica_id), self.tree.meta_data(server, replica_id))
        return int(stat.mzxid)

    def remove_master(self) -> None:
        """The active master is gone."""
        try:
            self.client.delete(f"{self.tree.root}/master")
        except NoNodeError:
            return

    def elect(self, master: ServerName) -> None:
        """A master becomes active: it creates `master`, then leaves the backups."""
        self.remove_master()
        self.client.create(f"{self.tree.root}/master", self.tree.master_data(master), ephemeral=True)
        try:
            self.client.delete(f"{self.tree.root}/backup-masters/{master}")
        except NoNodeError:
            return

    def close(self) -> None:
        """End the session: the ephemeral znodes go."""
        self.client.stop()
        self.client.close()
