"""HBase's own masters and region servers on the embedded coordinator instead of ZooKeeper, with stock clients."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.compatibility import Results
from tests.support.coordinator_process import CoordinatorProcess
from tests.support.hbase import SESSION_TIMEOUT_MS, HBaseCluster
from tests.support.java import JavaClient
from tests.support.old_clients import KINDS, OldClient
from tests.support.processes import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SERVER = "HBase 2.6.4 on hbeacon coordinator"
PATH = "ZooKeeper"
SETTINGS = {"hbase.zookeeper.property.tickTime": "500"}


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Generator[CoordinatorProcess]:
    """With a data directory: it is killed and started again below the running cluster."""
    process = CoordinatorProcess(tmp_path_factory.mktemp("coordinator"), settings=SETTINGS)
    process.start()
    yield process
    process.close()


@pytest.fixture(scope="module")
def cluster(coordinator: CoordinatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Generator[HBaseCluster]:
    made = HBaseCluster(tmp_path_factory.mktemp("hbase"), coordinator.address)
    try:
        made.wait_ready()
        yield made
    finally:
        made.close()


@pytest.fixture
def old_client(
    coordinator: CoordinatorProcess, cluster: HBaseCluster, tmp_path: Path, request: pytest.FixtureRequest
) -> Generator[OldClient]:
    client = OldClient(KINDS["hbase-1.4.14"], coordinator.address, cluster.parent, tmp_path / "client.log")
    client.do("connect")
    yield client
    client.close()


def zookeeper_settings(address: str) -> dict[str, str]:
    """A client that finds its cluster by ZooKeeper's protocol."""
    host, _, port = address.partition(":")
    return {
        "hbase.client.registry.impl": "org.apache.hadoop.hbase.client.ZKConnectionRegistry",
        "hbase.zookeeper.quorum": host,
        "hbase.zookeeper.property.clientPort": port,
    }


@pytest.mark.parametrize("version", ["2.5.11", "2.6.4", "3.0.0-beta-1"])
def test_clients_of_today(
    coordinator: CoordinatorProcess, cluster: HBaseCluster, version: str, tmp_path: Path, results: Results
) -> None:
    java, table = JavaClient(version, tmp_path / "client.log"), f"t-{version}"
    try:
        with results.feature(SERVER, version, PATH, "connect"):
            java.open("c", zookeeper_settings(coordinator.address))
        with results.feature(SERVER, version, PATH, "create table, put, get, scan"):
            java.do("create", "c", table)
            java.do("put", "c", table, "r1", "v1")
            assert java.do("get", "c", table, "r1").value == "v1"
            assert java.do("scan", "c", table).value == {"r1": "v1"}
        with results.feature(SERVER, version, PATH, "drop table"):
            java.do("drop", "c", table)
    finally:
        java.close()


@pytest.mark.parametrize("kind", KINDS)
def test_clients_of_old(
    coordinator: CoordinatorProcess, cluster: HBaseCluster, old_client: OldClient, kind: str, tmp_path: Path,
    results: Results,
) -> None:  # fmt: skip
    table, name = f"t-{kind}", KINDS[kind].name
    old_client.do("create", table, timeout_s=120)
    client = OldClient(KINDS[kind], coordinator.address, cluster.parent, tmp_path / f"{kind}.log")
    try:
        with results.feature(SERVER, name, PATH, "connect"):
            client.do("connect")
        with results.feature(SERVER, name, PATH, "put, get, scan"):
            client.do("put", table, "r1", "v1")
            assert client.do("get", table, "r1") == "v1"
            assert client.do("scan", table) == "r1=v1"
    finally:
        client.close()


def test_fail_over_of_master_and_of_the_server_of_meta(
    cluster: HBaseCluster, old_client: OldClient, results: Results
) -> None:
    """Ephemeral nodes of killed servers go with their sessions, and HBase's own watches tell the others."""
    old_client.do("create", "kept", timeout_s=120)
    old_client.do("put", "kept", "r", "v")
    active, meta = cluster.witness.master.last(), cluster.witness.meta.last()
    killed_s = time.monotonic()
    cluster.kill(int(active.split(",")[1]))
    wait_for("another active master", lambda: cluster.witness.master.last() not in ("", active), 60, 0.05)
    took_s = time.monotonic() - killed_s
    assert took_s < SESSION_TIMEOUT_MS / 1000 + 5
    cluster.kill(int(meta.split(",")[1]))
    wait_for("meta elsewhere", lambda: cluster.witness.meta.last() != meta, 90, 0.1)
    assert old_client.do("get", "kept", "r", timeout_s=90) == "v"
    old_client.do("put", "kept", "r2", "v2", timeout_s=90)
    assert old_client.do("master") == cluster.witness.master.last()
    results.record_times("HBase 2.6.4 on the coordinator", "active master killed", {"another one, s": f"{took_s:.1f}"})
    cluster.revive()


def test_the_coordinator_dies_below_a_running_cluster(
    coordinator: CoordinatorProcess, cluster: HBaseCluster, old_client: OldClient
) -> None:
    """Sessions are in its journal: servers come back to theirs, and nobody is taken for dead."""
    old_client.do("create", "over-a-crash", timeout_s=120)
    before = (cluster.witness.master.last(), cluster.witness.region_servers(), cluster.witness.backup_masters())
    coordinator.kill()
    old_client.do("put", "over-a-crash", "r", "v")
    time.sleep(1)
    coordinator.start()
    wait_for(
        "the same servers",
        lambda: (
            before
            == (cluster.witness.master.last(), cluster.witness.region_servers(), cluster.witness.backup_masters())
        ),
        30,
        0.2,
    )
    time.sleep(SESSION_TIMEOUT_MS / 1000 + 1)
    assert before[1] == cluster.witness.region_servers()
    assert before[0] == cluster.witness.master.last()
    old_client.do("create", "after-a-crash", timeout_s=120)
    assert old_client.do("get", "over-a-crash", "r") == "v"
