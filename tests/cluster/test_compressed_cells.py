"""Stock Java clients with hbase.client.rpc.compressor, whose cell blocks are compressed, tell the story of all others.

The client is 2.6.4 as built for Hadoop 3, whose Lz4Codec and SnappyCodec are Java. ZStandardCodec needs Hadoop's native
library, which Maven does not have: its bytes are in tests/conformance/vectors. Beside it is a module of HBase's own,
hbase-compression-aircompressor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from protos.hbase import Client_pb2, HBase_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.cellblock import Cell, decode_cells
from registry.wire.header import KEY_VALUE_CODEC
from tests.cluster.test_data_path_stories import SESSION_MS, differences, settings_of
from tests.support.compatibility import WORKS, Results
from tests.support.java import AIRCOMPRESSOR, HADOOP_3_CLIENT
from tests.support.master_calls import initialized
from tests.support.own_cluster import OwnCluster
from tests.support.real_cluster import RealClusters
from tests.support.stories import recorded, told

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

VERSION = "2.6.4"
HADOOP = "org.apache.hadoop.io.compress."
HBASE = "org.apache.hadoop.hbase.io.compress."
STORIES = {
    "GzipCodec": ("TableStory", "ScanStory"),
    "DefaultCodec": ("ScanStory",),
    "Lz4Codec": ("TableStory", "ScanStory"),
    "SnappyCodec": ("TableStory", "ScanStory"),
    "aircompressor.ZstdCodec": ("TableStory", "ScanStory"),
    "aircompressor.Lz4Codec": ("ScanStory",),
    "aircompressor.SnappyCodec": ("ScanStory",),
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
    settings["hbase.client.rpc.compressor"] = f"{HBASE if '.' in codec else HADOOP}{codec}"
    log = tmp_path / "client.log"
    ours = told(VERSION, settings, log, programs=STORIES[codec], jars=HADOOP_3_CLIENT, beside=(AIRCOMPRESSOR,))
    found = differences(ours, recorded(VERSION, STORIES[codec]))
    feature = f"cell blocks compressed by {codec}"
    results.record(
        "hbeacon: compressed cell blocks", VERSION, "ZooKeeper", feature, WORKS if not found else "**differs**"
    )
    assert not found, "".join(found.values())


async def meta_rows(server: Address, compressor: str) -> list[Cell]:
    """All of hbase:meta in one answer, by our own client."""
    meta = HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=b"hbase:meta,,1")
    request = Client_pb2.ScanRequest(region=meta, scan=Client_pb2.Scan(), number_of_rows=1000, close_scanner=True)
    channel = await RpcChannel.connect(
        server, "ClientService", cell_block_codec=KEY_VALUE_CODEC, compressor=compressor and f"{HADOOP}{compressor}"
    )
    async with channel:
        answer = await channel.call_bytes("Scan", request.SerializeToString())
    return list(decode_cells(answer.cells))


@pytest.mark.parametrize("codec", ["GzipCodec", "DefaultCodec"])  # Hadoop 2 has the others for its native library only
def test_a_real_server_s_blocks_are_read(clusters: RealClusters, codec: str) -> None:
    def address(name: str) -> Address:
        host, port, _ = name.split(",")
        return Address(host, int(port))

    asyncio.run(initialized(address(clusters.current.witness.master.last())))
    server = address(clusters.current.witness.meta.last())
    plain = asyncio.run(meta_rows(server, ""))
    assert plain
    assert asyncio.run(meta_rows(server, codec)) == plain
