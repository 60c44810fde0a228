"""HBase's own PerformanceEvaluation, every command of it, and LoadTestTool, which checks what it reads, on our cluster.

The tools are those of 2.6.4. What fails on a real HBase 2.6.4 too is not here: LoadTestTool's -batchupdate beside
readers, PerformanceEvaluation's --filterAll, whose filter is a class that no server has.
"""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from tests.support.compatibility import Results
from tests.support.hbase_tools import KIND, VERSION, by_registry
from tests.support.old_clients import OldClient
from tests.support.own_cluster import OwnCluster
from tests.support.real_cluster import registry_settings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

SERVER, PATH = "hbeacon: HBase's own tools", "ZooKeeper"

COMMANDS = {
    # command of PerformanceEvaluation: what is said with it, how many rows
    "sequentialWrite": ("", 1000),
    "sequentialRead": ("", 500),
    "randomWrite": ("--multiPut=20 --autoFlush=true", 500),
    "randomRead": ("--multiGet=20", 500),
    "scan": ("", 1000),
    "reverseScan": ("", 500),
    "filterScan": ("", 20),
    "randomSeekScan": ("", 30),
    "scanRange10": ("", 30),
    "scanRange100": ("", 30),
    "scanRange1000": ("", 10),
    "scanRange10000": ("", 3),
    "append": ("", 100),
    "increment": ("", 100),
    "checkAndMutate": ("", 100),
    "checkAndPut": ("", 100),
    "checkAndDelete": ("", 100),
    "asyncSequentialWrite": ("", 500),
    "asyncSequentialRead": ("", 500),
    "asyncRandomWrite": ("", 500),
    "asyncRandomRead": ("--multiGet=20", 500),
    "asyncScan": ("", 500),
    "randomDelete": ("", 100),
    "sequentialDelete": ("", 1000),
}
ON_META = ("metaWrite", "metaRandomRead", "cleanMeta")
"""The last one deletes the regions of its table from hbase:meta."""
WIDE = (
    "--columns=3 --families=2 --valueSize=200 --valueRandom --usetags=true --numoftags=2 --bloomFilter=ROW "
    "--blockEncoding=FAST_DIFF --inmemory=true --writeToWAL=false --oneCon=true"
)
"""More of its options, those of table and family among them."""

WITH_TAGS = "org.apache.hadoop.hbase.util.LoadTestDataGeneratorWithTags"
LOADS = {
    # what LoadTestTool does: its words
    "writes, then reads": (
        "-tn LoadOne -write 3:64:2 -num_keys 500 -num_regions_per_server 2",
        "-tn LoadOne -read 100:2 -num_keys 500 -skip_init",
    ),
    "writes, updates and reads at once": (
        "-tn LoadTwo -write 3:64:2 -read 100:2 -update 30:2:0 -num_keys 500 -multiput -num_regions_per_server 2",
        "-tn LoadTwo -read 100:2 -num_keys 500 -skip_init -multiget_batchsize 10",
    ),
    "cells with tags": (f"-tn LoadTags -write 2:64:2 -read 100:2 -num_keys 200 -generator {WITH_TAGS}:2:3:10:20",),
}

OTHER_PATHS = ("MasterRegistry", "RpcConnectionRegistry")
OVER_OTHER_PATHS = ("sequentialWrite", "randomRead", "scan", "checkAndMutate", "asyncRandomWrite", "asyncRandomRead")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[OwnCluster]:
    with OwnCluster(tmp_path_factory.mktemp("own"), masters=1, session_ms=10_000) as made:
        yield made.wait_ready()


@pytest.fixture(scope="module")
def tools(cluster: OwnCluster) -> Generator[OldClient]:
    made = OldClient(KIND, cluster.zookeeper, "/hbase", cluster.directory / "tools.log")
    try:
        yield made
    finally:
        made.close()


def ran(tools: OldClient, words: str) -> None:
    """A run of a tool that ended well; a failure is in its log."""
    assert tools.do(*words.split(), timeout_s=100) == "0", f"{words}\n{tools.process.tail()}"


def test_performance_evaluation(tools: OldClient, results: Results) -> None:
    for command, (options, rows) in COMMANDS.items():
        with results.feature(SERVER, VERSION, PATH, f"PerformanceEvaluation {command}"):
            ran(tools, f"pe --nomapred --table=Perf --presplit=3 --rows={rows} {options} {command} 1")
        if command == "sequentialWrite":
            assert tools.do("rows", "Perf") == str(rows)
    assert tools.do("regions", "Perf") == "3"
    for command in ON_META:
        with results.feature(SERVER, VERSION, PATH, f"PerformanceEvaluation {command}"):
            ran(tools, f"pe --nomapred --table=PerfMeta --presplit=3 --rows=100 {command} 1")
    with results.feature(SERVER, VERSION, PATH, "PerformanceEvaluation of wide rows with tags"):
        for command in ("sequentialWrite 2", "sequentialRead 2", "--asyncPrefetch=true --caching=10 scan 2"):
            ran(tools, f"pe --nomapred --table=Wide --rows=200 {WIDE} {command}")
        assert tools.do("rows", "Wide") == "400"


@pytest.mark.parametrize("path", OTHER_PATHS)
def test_over_other_registries(cluster: OwnCluster, results: Results, path: str) -> None:
    """Some of the commands and a load; how servers are found is what differs."""
    servers = cluster.master_addresses if path == "MasterRegistry" else cluster.region_server_addresses
    kind = by_registry(registry_settings(path, servers))
    tools = OldClient(kind, "", "", cluster.directory / f"tools-{path}.log")
    try:
        for command in OVER_OTHER_PATHS:
            options, rows = COMMANDS[command]
            with results.feature(SERVER, VERSION, path, f"PerformanceEvaluation {command}"):
                ran(tools, f"pe --nomapred --table=Perf{path} --presplit=3 --rows={rows} {options} {command} 1")
        assert tools.do("regions", f"Perf{path}") == "3"
        load = "writes, updates and reads at once"
        with results.feature(SERVER, VERSION, path, f"LoadTestTool {load}"):
            for words in LOADS[load]:
                ran(tools, f"ltt {words.replace('LoadTwo', f'Load{path}')}")
    finally:
        tools.close()


@pytest.mark.parametrize("load", LOADS)
def test_load_test_tool(tools: OldClient, results: Results, load: str) -> None:
    with results.feature(SERVER, VERSION, PATH, f"LoadTestTool {load}"):
        for words in LOADS[load]:
            ran(tools, f"ltt {words}")


def test_load_test_tool_while_a_region_server_is_killed(
    cluster: OwnCluster, tools: OldClient, results: Results
) -> None:
    """What it was told is written it finds again, with the right bytes, and none of its keys failed."""
    with results.feature(SERVER, VERSION, PATH, "LoadTestTool while a region server is killed"):
        killer = threading.Timer(2.0, cluster.region_servers[1].process.kill)
        killer.start()
        try:
            ran(tools, "ltt -tn LoadHurt -write 2:256:2 -read 100:2 -num_keys 4000 -num_regions_per_server 2")
        finally:
            killer.join()
        assert not cluster.region_servers[1].process.running, "it ended before the kill"
        ran(tools, "ltt -tn LoadHurt -read 100:2 -num_keys 4000 -skip_init")
