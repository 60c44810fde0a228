"""A real HBase cluster from Maven's artifacts: masters and region servers, one small JVM each."""

from __future__ import annotations

import signal
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from xml.sax.saxutils import escape

from kazoo.client import KazooClient  # pyright: ignore[reportMissingTypeStubs]
from kazoo.exceptions import NoNodeError  # pyright: ignore[reportMissingTypeStubs]

from protos.hbase import HBase_pb2, ZooKeeper_pb2
from tests.support.java import CURRENT_SERVER, JDK_FLAGS, ClassPath, jars, write_log_settings
from tests.support.processes import ManagedProcess, free_ports, tool, wait_for

SESSION_TIMEOUT_MS = 10_000  # HBase's default is 90 000: a killed master would be missed for too long in a test


def _java(name: str, heap_mb: int, conf: Path, path: ClassPath, words: list[str], log: Path) -> ManagedProcess:
    flags = [f"-Xms{heap_mb // 2}m", f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *JDK_FLAGS]
    return ManagedProcess(name, [tool("java"), *flags, "-cp", f"{conf}:{jars(path)}", *words], log, cwd=conf)


def server_name_text(name: HBase_pb2.ServerName) -> str:
    """HBase's own text, `host,port,startcode`."""
    return f"{name.host_name},{name.port},{name.start_code}"


def znode_message(data: bytes) -> bytes:
    """The message in a znode written by HBase: `FF`, int32 length, that many bytes of writer and salt, `PBUF`, message.

    Kept apart from registry.wire.znode, which is what these tests check. Source: RecoverableZooKeeper, ProtobufUtil.
    """
    assert data[:1] == b"\xff", data[:16]
    (length,) = struct.unpack(">i", data[1:5])
    payload = data[5 + length :]
    assert payload[:4] == b"PBUF", payload[:16]
    return payload[4:]


def active_master_of(data: bytes) -> str:
    """The server name in the data of `/hbase/master`."""
    return server_name_text(ZooKeeper_pb2.Master.FromString(znode_message(data)).master)


def meta_server_of(data: bytes) -> str:
    """The server name in the data of `/hbase/meta-region-server`."""
    return server_name_text(ZooKeeper_pb2.MetaRegionServer.FromString(znode_message(data)).server)


@dataclass
class Witness:
    """What ZooKeeper told a client of its own about one znode, and when: `(monotonic seconds, server name or "")`."""

    history: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    def last(self) -> str:
        return self.history[-1][1] if self.history else ""

    def learnt_s(self, value: str) -> float:
        """When it heard of that value, the last time if there were several."""
        return next(at_s for at_s, seen in reversed(self.history) if seen == value)


class ZooKeeperWitness:
    """Watches the active master and the meta location, so that answers can be held against ZooKeeper's own time."""

    def __init__(self, address: str, parent: str) -> None:
        self.master, self.meta = Witness(), Witness()
        self._parent = parent
        self._client = cast("Any", KazooClient(hosts=address, timeout=10.0))
        self._client.start(timeout=20)
        self._watch(f"{parent}/master", self.master, active_master_of)
        self._watch(f"{parent}/meta-region-server", self.meta, meta_server_of)

    def _watch(self, path: str, witness: Witness, decode: Any) -> None:
        def changed(data: bytes | None, stat: object) -> None:
            name = decode(data) if data else ""
            if not witness.history or witness.last() != name:
                witness.history.append((time.monotonic(), name))

        self._client.DataWatch(path, changed)

    def region_servers(self) -> list[str]:
        """The children of `rs`, sorted."""
        return self._children("rs")

    def backup_masters(self) -> list[str]:
        """The children of `backup-masters`, sorted."""
        return self._children("backup-masters")

    def _children(self, name: str) -> list[str]:
        try:
            return sorted(cast("list[str]", self._client.get_children(f"{self._parent}/{name}")))
        except NoNodeError:
            return []

    def close(self) -> None:
        self._client.stop()
        self._client.close()


class HBaseCluster:
    """Masters and region servers on one address, with a shared directory of the local file system for their data.

    `zookeeper` is its `host:port`. Verbs kill and start single servers; `witness` knows what ZooKeeper knows.
    Server names are `host,port,startcode`. `settings` go into hbase-site.xml, over what is there.
    """

    def __init__(
        self,
        directory: Path,
        zookeeper: str,
        *,
        server: ClassPath = CURRENT_SERVER,
        bind: str = "127.0.0.1",
        parent: str = "/hbase",
        masters: int = 2,
        region_servers: int = 2,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.server, self.bind, self.parent, self.zookeeper = server, bind, parent, zookeeper
        self._settings = dict(settings or {})
        ports = free_ports(bind, masters + region_servers)
        self.master_ports, self.region_server_ports = ports[:masters], ports[masters:]
        self.directory = directory
        self.processes: dict[int, ManagedProcess] = {}
        write_log_settings(directory / "conf")
        (directory / "conf" / "hbase-site.xml").write_text(self._site())
        for port in self.master_ports:
            self.start_master(port)
        for port in self.region_server_ports:
            self.start_region_server(port)
        self.witness = ZooKeeperWitness(zookeeper, parent)

    @property
    def masters(self) -> str:
        """What a client puts into hbase.masters."""
        return ",".join(f"{self.bind}:{port}" for port in self.master_ports)

    def start_master(self, port: int) -> None:
        self._start(f"master-{port}", port, "org.apache.hadoop.hbase.master.HMaster", f"-Dhbase.master.port={port}")

    def start_region_server(self, port: int) -> None:
        main = "org.apache.hadoop.hbase.regionserver.HRegionServer"
        self._start(f"regionserver-{port}", port, main, f"-Dhbase.regionserver.port={port}")

    def kill(self, port: int) -> None:
        """SIGKILL to the server of that port: ZooKeeper learns of it when the session is over."""
        self.processes.pop(port).kill()

    def stop(self, port: int) -> None:
        """SIGTERM without waiting for the end: the server closes its session itself."""
        self.processes[port].signal(signal.SIGTERM)

    def revive(self) -> None:
        """Starts what an earlier, failed test has left dead, and waits until all is well."""
        for port in (*self.master_ports, *self.region_server_ports):
            if port not in self.processes:
                (self.start_master if port in self.master_ports else self.start_region_server)(port)
        self.wait_ready()

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Until ZooKeeper holds an active master, the location of meta and every server that was started."""

        def settled() -> bool:
            for process in self.processes.values():
                assert process.running, f"{process.name} has ended:\n{process.tail()}"
            backups = len(self.processes) - len(self._region_servers_up()) - 1
            return (
                bool(self.witness.master.last())
                and self.witness.meta.last() in self.witness.region_servers()
                and len(self.witness.region_servers()) == len(self._region_servers_up())
                and len(self.witness.backup_masters()) == backups
            )

        wait_for(f"HBase {self.server.version} with all servers in ZooKeeper", settled, timeout_s, 0.2)

    def close(self) -> None:
        self.witness.close()
        for process in self.processes.values():
            process.kill()

    def _region_servers_up(self) -> list[int]:
        return [port for port in self.processes if port in self.region_server_ports]

    def _start(self, name: str, port: int, main: str, setting: str) -> None:
        conf = self.directory / "conf"
        log = self.directory / "logs" / f"{name}.log"
        self.processes[port] = _java(name, 384, conf, self.server, [main, setting, "start"], log)

    def _site(self) -> str:
        data = self.directory / "data"
        settings = {
            "hbase.rootdir": f"file://{data}/hbase",
            "hbase.wal.dir": f"file://{data}/wal",
            "hbase.tmp.dir": f"{data}/tmp",
            "hbase.cluster.distributed": "true",
            "hbase.masters": self.masters,
            "hbase.zookeeper.quorum": self.zookeeper.partition(":")[0],
            "hbase.zookeeper.property.clientPort": self.zookeeper.partition(":")[2],
            "zookeeper.znode.parent": self.parent,
            "zookeeper.session.timeout": str(SESSION_TIMEOUT_MS),
            "hbase.unsafe.stream.capability.enforce": "false",  # the local file system has no hflush
            "hbase.wal.provider": "filesystem",
            "hbase.unsafe.regionserver.hostname": self.bind,
            "hbase.master.hostname": self.bind,
            "hbase.regionserver.hostname": self.bind,
            "hbase.master.ipc.address": self.bind,
            "hbase.regionserver.ipc.address": self.bind,
            "hbase.master.info.port": "-1",
            "hbase.regionserver.info.port": "-1",
            "hbase.regionserver.handler.count": "10",
            "hbase.snapshot.enabled": "true",
            # a second server of the kind must not take system regions away while a test looks at them
            "hbase.balancer.period": "3600000",
        }
        if self.server.version.startswith("1."):
            del settings["hbase.wal.dir"], settings["hbase.wal.provider"]
        settings |= self._settings
        properties = "".join(
            f"<property><name>{name}</name><value>{escape(value)}</value></property>\n"
            for name, value in settings.items()
        )
        return f'<?xml version="1.0"?>\n<configuration>\n{properties}</configuration>\n'
