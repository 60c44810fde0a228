"""ZooKeeper is lost beside kept rows: what comes after it counts from the start and knows of no hbase:meta.

Masters whose data directory is lost, too, begin with the cluster's id alone. Nobody founds a second hbase:meta, tables
and rows are found again, and they can be changed.
"""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from kazoo.client import KazooClient

from registry.wire.errors import HBaseError
from tests.support.own_cluster import OwnCluster
from tests.support.own_rows import active_of, create, read, write
from tests.support.processes import wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

TRANSACTIONS = 500
"""More than a new ZooKeeper has seen when the cluster is founded on it again."""


def make_epochs_high(cluster: OwnCluster) -> None:
    """Many transactions, then another master: its epoch is one that hbase:meta keeps."""
    client: Any = KazooClient(cluster.zookeeper)
    client.start(10)
    try:
        for _ in range(TRANSACTIONS):
            client.set("/zookeeper", b"")
    finally:
        client.stop()
        client.close()
    number = active_of(cluster)
    cluster.masters[number].process.stop()  # it hands over, and nobody waits for the end of its session
    wait_for("another master", lambda: active_of(cluster) >= 0 or None, 60)
    cluster.start_master(number)


def lose(cluster: OwnCluster, *, masters_too: bool) -> None:
    """ZooKeeper, and with it every region server, for their sessions are over."""
    cluster.coordinator.kill()
    cluster.coordinator.wipe()
    if masters_too:
        for master in cluster.masters:
            master.close()
        shutil.rmtree(cluster.directory / "master")
        (cluster.directory / "master").mkdir()
        # The id alone, as docs/operations.md says: region servers join no other cluster.
        shutil.copy(cluster.directory / "rows" / "cluster-id", cluster.directory / "master")
    cluster.coordinator.start()
    for number, server in enumerate(cluster.region_servers):
        wait_for("the end of a region server without a session", lambda server=server: not server.process.running, 60)
        server.close()
        cluster.start_region_server(number)
    if masters_too:
        for number in range(len(cluster.masters)):
            cluster.start_master(number)


@pytest.mark.parametrize("masters_too", [False, True], ids=["masters remember", "masters lost everything, too"])
async def test_tables_and_rows_are_found_again(cluster: OwnCluster, masters_too: bool) -> None:
    await create(cluster, "before")
    await write(cluster, "before", b"kept")
    for turn in range(2):
        make_epochs_high(cluster)
        lose(cluster, masters_too=masters_too)
        cluster.wait_ready(60)
        assert await read(cluster, "before") == [b"kept"]
        await create(cluster, f"after{turn}")
        await write(cluster, f"after{turn}", b"new")
    assert [await read(cluster, f"after{turn}") for turn in range(2)] == [[b"new"]] * 2
    with pytest.raises(HBaseError, match="TableExists"):
        await create(cluster, "before")
