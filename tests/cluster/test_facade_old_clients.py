"""Clients that know only ZooKeeper read and write real clusters through a façade, with ZooKeeper out of their reach."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

import pytest

from tests.support.adapters import AdapterProcess
from tests.support.compatibility import Results
from tests.support.hbase import HBaseCluster
from tests.support.old_clients import KINDS, ClientRefusedError, OldClient
from tests.support.processes import free_ports, wait_for
from tests.support.real_cluster import RealClusters

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

PATH = "façade"
META_ENCODED = "1588230740"
"""The encoded name of the one region of hbase:meta."""


class Fronted:
    """A real cluster with an adapter whose façade is all that clients know."""

    def __init__(self, clusters: RealClusters, cluster: HBaseCluster) -> None:
        address = clusters.network.server_address
        self.clusters, self.cluster = clusters, cluster
        self.facade = f"{address}:{free_ports(address, 1)[0]}"
        self.adapter: AdapterProcess = clusters.adapter(cluster, settings={"hbeacon.facade.address": self.facade})
        self.adapter.wait_ready()

    @property
    def server(self) -> str:
        return f"HBase {self.cluster.server.version}"

    def client(self, kind: str) -> OldClient:
        log = self.clusters.directory / f"old-client-{kind}-{self.cluster.server.version}.log"
        return OldClient(KINDS[kind], self.facade, self.cluster.parent, log, enter=self.clusters.network.enter)


@pytest.fixture(scope="module", params=["current", "old"])
def fronted(request: pytest.FixtureRequest, clusters: RealClusters) -> Generator[Fronted]:
    made = Fronted(clusters, getattr(clusters, request.param))
    yield made
    made.adapter.close()


@pytest.fixture(scope="module")
def table(fronted: Fronted) -> str:
    """Made by the oldest client, through the façade; its wait for the table reads ZooKeeper's table node."""
    client = fronted.client("hbase-1.4.14")
    name = "through-the-facade"
    try:
        client.do("connect")

        def created() -> bool:
            try:
                client.do("create", name, timeout_s=120)
            except ClientRefusedError as error:
                if "PleaseHold" not in str(error) and "TableExists" not in str(error):
                    raise
                return "TableExists" in str(error)
            return True

        wait_for("the master taking orders", created, 120, 1.0)
    finally:
        client.close()
    return name


@pytest.mark.parametrize("kind", KINDS)
def test_reads_and_writes(fronted: Fronted, table: str, kind: str, results: Results) -> None:
    fronted.clusters.prove_zookeeper_unreachable()
    name, server, row = KINDS[kind].name, fronted.server, f"row-of-{kind}"
    client = fronted.client(kind)
    try:
        with results.feature(server, name, PATH, "connect"):
            client.do("connect")
            client.do("get", table, row)
        with results.feature(server, name, PATH, "put, get"):
            client.do("put", table, row, "v1")
            assert client.do("get", table, row) == "v1"
        with results.feature(server, name, PATH, "scan"):
            assert client.do("scan", table) == f"{row}=v1"
        with results.feature(server, name, PATH, "delete"):
            client.do("delete", table, row)
            assert client.do("scan", table) == ""
    finally:
        client.close()


def test_admin_of_the_oldest_client(fronted: Fronted, table: str, results: Results) -> None:
    """Its answers about states of tables come from ZooKeeper: the façade has to follow each change."""
    name, server = KINDS["hbase-1.4.14"].name, fronted.server
    client = fronted.client("hbase-1.4.14")
    try:
        client.do("connect")
        with results.feature(server, name, PATH, "isTableEnabled, tableExists, isTableAvailable"):
            assert client.do("enabled", table) == "true false"
            assert client.do("exists", table) == "true"
            assert client.do("available", table) == "true"
        with results.feature(server, name, PATH, "disableTable, enableTable"):
            client.do("disable", table)
            assert client.do("enabled", table) == "false true"
            client.do("enable", table)
            assert client.do("enabled", table) == "true false"
        with results.feature(server, name, PATH, "getClusterStatus, listTableNames, getTableRegions"):
            assert client.do("master") == fronted.cluster.witness.master.last()
            assert client.do("servers") == "2"
            assert table in client.do("tables").split()
            assert client.do("regions", table)
        with results.feature(server, name, PATH, "create and drop table"):
            client.do("create", "short-lived", timeout_s=120)
            client.do("drop", "short-lived", timeout_s=120)
            assert client.do("exists", "short-lived") == "false"
    finally:
        client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_sees_meta_move(
    clusters: RealClusters, fronted: Fronted, table: str, kind: str, results: Results
) -> None:
    """What was connected before finds its way, and so does a client that comes after."""
    name, server, cluster = KINDS[kind].name, fronted.server, fronted.cluster
    client, mover = fronted.client(kind), fronted.client("hbase-1.4.14")
    try:
        with results.feature(server, name, PATH, "meta moves"):
            client.do("connect")
            client.do("put", table, "before", kind)
            mover.do("connect")
            here = cluster.witness.meta.last()
            there = next(other for other in cluster.witness.region_servers() if other != here)
            mover.do("move", "hbase:meta", META_ENCODED, there)
            wait_for("meta at its new server", lambda: cluster.witness.meta.last() == there, 60, 0.1)
            wait_for("the mover seeing it", lambda: mover.do("meta") == there, 10, 0.1)
            client.do("put", table, "after", kind)
            assert client.do("get", table, "after") == kind
            fresh = fronted.client(kind)
            try:
                fresh.do("connect")
                assert fresh.do("get", table, "before") == kind
            finally:
                fresh.close()
            client.do("delete", table, "before")
            client.do("delete", table, "after")
    finally:
        client.close()
        mover.close()


def test_writers_of_znodes_are_refused(fronted: Fronted) -> None:
    """The façade is for readers: whatever would change a znode is told NoAuth, and the client stays connected."""
    from kazoo.client import KazooClient  # pyright: ignore[reportMissingTypeStubs]
    from kazoo.exceptions import NoAuthError  # pyright: ignore[reportMissingTypeStubs]

    client = cast("Any", KazooClient(hosts=fronted.facade, timeout=10.0))
    client.start(timeout=10)
    try:
        for change in (
            lambda: client.create(f"{fronted.cluster.parent}/intruder", b""),
            lambda: client.set(f"{fronted.cluster.parent}/master", b""),
            lambda: client.delete(f"{fronted.cluster.parent}/master"),
        ):
            with pytest.raises(NoAuthError):
                change()
        assert client.exists(f"{fronted.cluster.parent}/master") is not None
    finally:
        client.stop()
        client.close()
