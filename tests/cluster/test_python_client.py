"""The Python client against real HBase servers: what it finds by RPC is what ZooKeeper says.

The servers tell no version and no age; `Regist` and the calls go to active master, standby and region server alike.
"""

from __future__ import annotations

import json

import pytest

import hbeacon
from registry.cli import lookup
from registry.rpc.client import fetch_cluster_id
from tests.support.real_cluster import RealClusters

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

TIMEOUT_MS = 20_000


def _servers(clusters: RealClusters) -> list[hbeacon.Address]:
    cluster = clusters.current
    return [hbeacon.Address(cluster.bind, port) for port in (*cluster.master_ports, *cluster.region_server_ports)]


async def test_every_real_server_tells_what_zookeeper_says(clusters: RealClusters) -> None:
    async with hbeacon.connect(f"hbase+zk://{clusters.zookeeper.address}{clusters.current.parent}") as truth:
        cluster_id = (await truth.cluster_id(timeout_ms=TIMEOUT_MS)).value
        active_master = (await truth.active_master()).value
        meta = (await truth.meta_locations()).value
        masters = {(each.server_name, each.is_active) for each in (await truth.masters()).value}
    for server in _servers(clusters):
        assert await fetch_cluster_id(server, TIMEOUT_MS) == cluster_id
        async with hbeacon.connect(str(server)) as cluster:
            answer = await cluster.cluster_id(timeout_ms=TIMEOUT_MS)
            assert (answer.value, answer.server, answer.version) == (cluster_id, str(server), None)
            assert (await cluster.active_master(timeout_ms=TIMEOUT_MS)).value == active_master
            told = {(each.server_name, each.is_active) for each in (await cluster.masters()).value}
            assert told <= masters, "a real server may not have noticed yet that a standby has come"
            assert (active_master, True) in told
            found = (await cluster.meta_locations(timeout_ms=TIMEOUT_MS)).value
            assert [(each.replica_id, each.server_name) for each in found] == [
                (each.replica_id, each.server_name) for each in meta
            ]
            await cluster.bootstrap_nodes(timeout_ms=TIMEOUT_MS)


@pytest.mark.parametrize("policy", ["random", "fanout"])
def test_lookup_by_masters(clusters: RealClusters, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--masters", clusters.current.masters, "--policy", policy, "--json", "--timeout", str(TIMEOUT_MS)]
    assert lookup.run(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["policy"] == policy
    assert report["active_master"]["value"] == clusters.current.witness.master.last()


async def test_servers_that_do_not_know_the_service_say_so_in_the_error(clusters: RealClusters) -> None:
    """HBase 1.4 closes the connection; the client says that, for each address, and does not hang."""
    settings = {"hbase.client.retries.number": "0"}
    async with hbeacon.connect(masters=clusters.old.masters, settings=settings) as cluster:
        with pytest.raises(hbeacon.RegistryLookupError) as caught:
            await cluster.cluster_id(timeout_ms=TIMEOUT_MS)
    for address in clusters.old.masters.split(","):
        assert address in str(caught.value)
    async with hbeacon.connect(f"hbase+zk://{clusters.zookeeper.address}{clusters.old.parent}") as cluster:
        assert (await cluster.meta_locations(timeout_ms=TIMEOUT_MS)).value[0].server_name is not None
        assert (await cluster.active_master(timeout_ms=TIMEOUT_MS)).value is not None
