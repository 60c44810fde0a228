"""The Python client against a real ZooKeeper, and against adapters beside it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

import hbeacon
from registry.cli import lookup
from registry.names import ServerName
from tests.support.adapters import AdapterProcess
from tests.support.hbase_tree import CLUSTER_ID, MASTER, STANDBY, WORKER, HBaseTreeWriter
from tests.support.zookeeper import ZooKeeperServer

pytestmark = [pytest.mark.zookeeper, pytest.mark.timeout(180)]


async def test_zookeeper_uri(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter) -> None:
    with blockbuster_ctx():
        async with hbeacon.connect(f"hbase+zk://{zookeeper.address}/hbase") as cluster:
            answer = await cluster.cluster_id(timeout_ms=10_000)
            assert answer.value == CLUSTER_ID
            assert answer.server == f"zookeeper {zookeeper.address}/hbase"
            assert answer.version is not None
            assert answer.version.zxid > 0
            assert (await cluster.active_master()).cached, "one session has read everything"
            assert (await cluster.active_master()).value == MASTER
            masters = (await cluster.masters()).value
            assert [(each.server_name, each.is_active) for each in masters] == [(MASTER, True), (STANDBY, False)]
            (location,) = (await cluster.meta_locations()).value
            assert (location.replica_id, location.server_name) == (0, WORKER)
            assert (await cluster.bootstrap_nodes()).value == (WORKER,)
    tree.elect(STANDBY)
    async with hbeacon.connect(
        settings={
            "hbase.client.registry.impl": "org.apache.hadoop.hbase.client.ZKConnectionRegistry",
            "hbase.zookeeper.quorum": zookeeper.address,
        }
    ) as cluster:
        assert (await cluster.active_master(timeout_ms=10_000)).value == STANDBY


async def test_how_new_it_has_to_be(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter) -> None:
    settings = {"hbase.client.retries.number": "0"}
    async with hbeacon.connect(f"hbase+zk://{zookeeper.address}/hbase", settings=settings) as cluster:
        first = await cluster.meta_locations(timeout_ms=10_000)
        zxid = tree.move_meta(ServerName("moved", 16020, 5))
        assert (await cluster.meta_locations()).value == first.value, "kept, and nobody wants more"
        moved = await cluster.meta_locations(min_zxid=zxid, timeout_ms=10_000)
        assert moved.value[0].server_name == ServerName("moved", 16020, 5)
        assert moved.version is not None
        assert moved.version.zxid >= zxid
        again = tree.move_meta(ServerName("again", 16020, 5))
        fresh = await cluster.meta_locations(fresh=True, timeout_ms=10_000)
        assert fresh.value[0].server_name == ServerName("again", 16020, 5)
        with pytest.raises(hbeacon.RegistryLookupError, match="not as far as is asked for"):
            await cluster.meta_locations(min_zxid=again + 1000, timeout_ms=10_000)


async def test_no_cluster_there(zookeeper: ZooKeeperServer) -> None:
    settings = {"hbase.client.retries.number": "0"}
    async with hbeacon.connect(f"hbase+zk://{zookeeper.address}/nothing", settings=settings) as cluster:
        with pytest.raises(hbeacon.RegistryLookupError, match="/nothing/master does not exist"):
            await cluster.active_master(timeout_ms=10_000)


def test_lookup_by_both_ways_tells_the_same(
    zookeeper: ZooKeeperServer, tree: HBaseTreeWriter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = AdapterProcess("adapter", tmp_path / "adapter.log", zookeeper=zookeeper.address, rpc="127.0.0.1:0")
    try:
        adapter.wait_ready()
        reports: list[dict[str, dict[str, object]]] = []
        for uri in (f"hbase+rpc://{adapter.rpc}", f"hbase+zk://{zookeeper.address}/hbase"):
            assert lookup.run([uri, "--json", "--timeout", "10000"]) == 0
            reports.append(json.loads(capsys.readouterr().out))
        by_rpc, by_zookeeper = reports
        for name in ("cluster_id", "active_master"):
            assert by_rpc[name]["value"] == by_zookeeper[name]["value"]
        assert by_rpc["meta_locations"]["value"] == by_zookeeper["meta_locations"]["value"]
        assert by_rpc["cluster_id"]["version"], "an adapter stamps its answers"
        assert by_rpc["cluster_id"]["age_ms"] is not None
    finally:
        adapter.close()


async def test_a_change_arrives_when_the_old_answer_is_called_stale(
    zookeeper: ZooKeeperServer, tree: HBaseTreeWriter, tmp_path: Path
) -> None:
    adapter = AdapterProcess("adapter", tmp_path / "adapter.log", zookeeper=zookeeper.address, rpc="127.0.0.1:0")
    try:
        adapter.wait_ready()
        async with hbeacon.connect(adapter.rpc) as cluster:
            answer = await cluster.active_master(timeout_ms=10_000)
            assert answer.value == MASTER
            tree.elect(STANDBY)
            until_s = time.monotonic() + 20
            while answer.value != STANDBY and time.monotonic() < until_s:
                await asyncio.sleep(0.005)
                cluster.stale(answer)
                answer = await cluster.active_master(timeout_ms=10_000)
            assert answer.value == STANDBY
    finally:
        adapter.close()
