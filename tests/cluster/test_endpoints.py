"""Stock clients of HBase's coprocessor services get the lines that a real HBase 2.6.4 with hbase-endpoint gave them."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cluster.test_data_path_stories import SERVER, SESSION_MS, differences, settings_of
from tests.support.compatibility import WORKS, Results
from tests.support.java import HADOOP_3_CLIENT
from tests.support.own_cluster import OwnCluster
from tests.support.stories import MORE_PROGRAMS, recorded, told

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

VERSION = "2.6.4"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[OwnCluster]:
    made = OwnCluster(tmp_path_factory.mktemp("own"), session_ms=SESSION_MS)
    try:
        yield made.wait_ready()
    finally:
        made.close()


def test_same_lines_as_from_a_real_server(cluster: OwnCluster, results: Results, tmp_path: Path) -> None:
    settings = settings_of(cluster, VERSION, "ZooKeeper")
    ours = told(VERSION, settings, tmp_path / "client.log", programs=MORE_PROGRAMS, jars=HADOOP_3_CLIENT)
    theirs = recorded(VERSION, MORE_PROGRAMS)
    found = differences(ours, theirs)
    for feature in dict.fromkeys(line.feature for line in theirs if line.feature != "connect"):
        result = WORKS if feature not in found else f"**differs**: {found[feature].splitlines()[1].strip()[:80]}"
        results.record(SERVER, VERSION, "ZooKeeper", feature, result)
    assert not found, "".join(found.values())
