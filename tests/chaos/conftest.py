"""What several of these modules share."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.hbase_tree import HBaseTreeWriter
from tests.support.new_connections import Unguarded
from tests.support.own_cluster import OwnCluster
from tests.support.real_cluster import RealClusters
from tests.support.zookeeper import ZooKeeperServer, debian


@pytest.fixture(scope="session")
def unguarded(clusters: RealClusters) -> Generator[Unguarded]:
    """Begun by the tests of hung adapters, looked at by test_registry_unguarded: it takes two minutes of waiting."""
    started = Unguarded(clusters)
    yield started
    started.close()


@pytest.fixture
def zookeeper(tmp_path: Path) -> Generator[ZooKeeperServer]:
    server = ZooKeeperServer(debian(), tmp_path / "zookeeper")
    server.start()
    yield server
    server.close()


@pytest.fixture
def tree(zookeeper: ZooKeeperServer) -> Generator[HBaseTreeWriter]:
    writer = HBaseTreeWriter(zookeeper.address)
    writer.write()
    yield writer
    writer.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[OwnCluster]:
    with OwnCluster(tmp_path / "cluster") as made:
        yield made.wait_ready(60)
