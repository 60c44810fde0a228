"""Stock Java clients with hbase.client.rpc.compressor, whose cell blocks are compressed, tell the story of all others.

The client is 2.6.4 as built for Hadoop 3, whose Lz4Codec and SnappyCodec are Java. ZStandardCodec needs Hadoop's native
library, which Maven does not have: its bytes are in tests/conformance/vectors.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cluster.test_data_path_stories import SERVER, SESSION_MS, differences, settings_of
from tests.support.compatibility import WORKS, Results
from tests.support.java import HADOOP_3_CLIENT
from tests.support.own_cluster import OwnCluster
from tests.support.stories import recorded, told

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

VERSION = "2.6.4"
STORIES = {
    "GzipCodec": ("TableStory", "ScanStory"),
    "DefaultCodec": ("ScanStory",),
    "Lz4Codec": ("TableStory", "ScanStory"),
    "SnappyCodec": ("TableStory", "ScanStory"),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[OwnCluster]:
    made = OwnCluster(tmp_path_factory.mktemp("own"), session_ms=SESSION_MS)
    try:
        yield made.wait_ready()
    finally:
        made.close()


@pytest.mark.parametrize("codec", STORIES)
def test_compressed_cells_are_the_same_cells(cluster: OwnCluster, results: Results, tmp_path: Path, codec: str) -> None:
    settings = settings_of(cluster, VERSION, "ZooKeeper")
    settings["hbase.client.rpc.compressor"] = f"org.apache.hadoop.io.compress.{codec}"
    ours = told(VERSION, settings, tmp_path / "client.log", programs=STORIES[codec], jars=HADOOP_3_CLIENT)
    found = differences(ours, recorded(VERSION, STORIES[codec]))
    feature = f"cell blocks compressed by {codec}"
    results.record(SERVER, VERSION, "ZooKeeper", feature, WORKS if not found else "**differs**")
    assert not found, "".join(found.values())
