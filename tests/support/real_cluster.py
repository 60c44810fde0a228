"""The real clusters of a test run: one ZooKeeper, HBase 2.6.4, HBase 1.4.14, and the network in which clients live."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from tests.support.adapters import AdapterProcess
from tests.support.hbase import HBaseCluster
from tests.support.java import CURRENT_SERVER, OLD_SERVER, JavaClient
from tests.support.netns import ClientNamespace
from tests.support.processes import accepts, free_ports
from tests.support.zookeeper import ZooKeeperServer, debian

REGISTRIES = {
    "MasterRegistry": ("org.apache.hadoop.hbase.client.MasterRegistry", "hbase.masters"),
    "RpcConnectionRegistry": ("org.apache.hadoop.hbase.client.RpcConnectionRegistry", "hbase.client.bootstrap.servers"),
    "default": ("", "hbase.client.bootstrap.servers"),
}
"""Registry path of the compatibility page: class of hbase.client.registry.impl, and the key that lists the servers."""

QUICK_REFRESH = {
    f"hbase.client.{registry}.{key}": value
    for registry in ("bootstrap", "master_registry")
    for key, value in (
        ("min_secs_between_refreshes", "1"),
        ("refresh_interval_secs", "2"),
        ("initial_refresh_delay_secs", "1"),
    )
}
"""Refreshes that a test can wait for; HBase's own values are 60, 300 and (by a quirk) 30 000 seconds."""


def registry_settings(path: str, servers: str) -> dict[str, str]:
    """What a client is configured with: the registry and its servers, and no ZooKeeper address."""
    implementation, key = REGISTRIES[path]
    settings = {key: servers}
    if implementation:
        settings["hbase.client.registry.impl"] = implementation
    return settings


class RealClusters:
    """Starts each part when it is first asked for. `close` ends all of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ends = contextlib.ExitStack()
        self._numbers = itertools.count(1)

    @cached_property
    def network(self) -> ClientNamespace:
        """Where clients run; servers bind `network.server_address`."""
        namespace = ClientNamespace()
        self._ends.callback(namespace.close)
        return namespace

    @cached_property
    def zookeeper(self) -> ZooKeeperServer:
        """One real server on loopback, shared by both clusters under different parents."""
        server = ZooKeeperServer(debian(), self.directory / "zookeeper")
        self._ends.callback(server.close)
        server.start()
        return server

    @cached_property
    def current(self) -> HBaseCluster:
        """HBase 2.6.4: two masters and two region servers; every one of them speaks ClientMetaService."""
        cluster = HBaseCluster(
            self.directory / "current", self.zookeeper.address, server=CURRENT_SERVER, bind=self.network.server_address
        )
        self._ends.callback(cluster.close)
        cluster.wait_ready()
        return cluster

    @cached_property
    def old(self) -> HBaseCluster:
        """HBase 1.4.14: nobody in it knows ClientMetaService."""
        cluster = HBaseCluster(
            self.directory / "old",
            self.zookeeper.address,
            server=OLD_SERVER,
            bind=self.network.server_address,
            parent="/hbase-old",
            masters=1,
            region_servers=2,
        )
        self._ends.callback(cluster.close)
        cluster.wait_ready()
        return cluster

    def client(self, version: str) -> JavaClient:
        """A JVM in the clients' network, to be closed by the caller."""
        log = self.directory / f"client-{next(self._numbers)}-{version}.log"
        return JavaClient(version, log, enter=self.network.enter)

    def adapter(
        self,
        cluster: HBaseCluster,
        *,
        settings: Mapping[str, str] | None = None,
        guard: bool = True,
        zookeeper: str = "",
        port: int = 0,
    ) -> AdapterProcess:
        """An adapter beside that cluster, to be closed by the caller; `zookeeper` may be a proxy's address."""
        cluster.revive()
        name = f"adapter-{next(self._numbers)}"
        return AdapterProcess(
            name,
            self.directory / f"{name}.log",
            zookeeper=f"{zookeeper or self.zookeeper.address}{cluster.parent}",
            rpc=f"{self.network.server_address}:{port or free_ports(self.network.server_address, 1)[0]}",
            guard=guard,
            settings=settings,
        )

    def tier(
        self, cluster: HBaseCluster, count: int, *, settings: Mapping[str, str] | None = None, guard: bool = True
    ) -> list[AdapterProcess]:
        """Adapters that hand out each other (hbeacon.registry.servers), ready."""
        ports = free_ports(self.network.server_address, count)
        servers = ",".join(f"{self.network.server_address}:{port}" for port in ports)
        made = [
            self.adapter(
                cluster, settings={"hbeacon.registry.servers": servers, **(settings or {})}, guard=guard, port=port
            )
            for port in ports
        ]
        return [adapter.wait_ready() for adapter in made]

    def prove_zookeeper_unreachable(self) -> None:
        """ZooKeeper answers here; from the clients' network every way to its port is refused."""
        assert accepts("127.0.0.1", self.zookeeper.port)
        for address in ("127.0.0.1", self.network.server_address):
            met = self.network.connect(address, self.zookeeper.port)
            assert met in {"ConnectionRefusedError", "OSError", "TimeoutError"}, f"ZooKeeper at {address}: {met}"

    def close(self) -> None:
        self._ends.close()
