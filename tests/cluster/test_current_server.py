"""Stock clients of a real HBase 2.6.4 that know adapters and no ZooKeeper."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager

import pytest

from tests.support.adapters import AdapterProcess, addresses
from tests.support.compatibility import Results
from tests.support.java import JavaClient
from tests.support.processes import free_ports, wait_for
from tests.support.real_cluster import QUICK_REFRESH, RealClusters, registry_settings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SERVER = "HBase 2.6.4"
CLIENTS = [
    ("2.3.7", "MasterRegistry"),
    ("2.4.18", "MasterRegistry"),
    ("2.5.11", "MasterRegistry"),
    ("2.5.11", "RpcConnectionRegistry"),
    ("2.6.4", "MasterRegistry"),
    ("2.6.4", "RpcConnectionRegistry"),
    ("3.0.0-beta-1", "default"),
]
KNOWS_NO_REFRESH = "2.3.7"


@pytest.fixture(scope="module")
def tier(clusters: RealClusters) -> Generator[list[AdapterProcess]]:
    adapters = clusters.tier(clusters.current, 2)
    yield adapters
    for adapter in adapters:
        adapter.close()


@pytest.fixture(params=CLIENTS, ids=lambda pair: "-".join(pair))
def client(request: pytest.FixtureRequest, clusters: RealClusters) -> Generator[tuple[JavaClient, str]]:
    version, path = request.param
    java = clusters.client(version)
    yield java, path
    java.close()


def test_reads_and_writes_through_adapters_alone(
    clusters: RealClusters, tier: list[AdapterProcess], client: tuple[JavaClient, str], results: Results
) -> None:
    java, path = client
    clusters.prove_zookeeper_unreachable()
    table = f"t-{java.version}-{path}"

    def feature(name: str) -> AbstractContextManager[None]:
        return results.feature(SERVER, java.version, path, name)

    with feature("connect"):
        java.open("c", registry_settings(path, addresses(tier)))
    with feature("create table"):
        java.do("create", "c", table)
    with feature("put, get"):
        java.do("put", "c", table, "r1", "v1")
        java.do("put", "c", table, "r2", "v2")
        assert java.do("get", "c", table, "r1").value == "v1"
    with feature("scan"):
        assert java.do("scan", "c", table).value == {"r1": "v1", "r2": "v2"}
    with feature("delete"):
        java.do("delete", "c", table, "r1")
        assert java.do("get", "c", table, "r1").value is None
    with feature("active master, meta location"):
        assert java.do("master", "c").value == clusters.current.witness.master.last()
        assert java.do("locate", "c", "hbase:meta").value == clusters.current.witness.meta.last()
    with feature("drop table"):
        java.do("drop", "c", table)


def test_survives_a_failed_connection_and_the_refresh_after_it(
    clusters: RealClusters, client: tuple[JavaClient, str], results: Results
) -> None:
    """The list holds one adapter and one address where nobody listens; later the adapter dies as well.

    The first failed connection starts a refresh; its answer replaces the list; what then keeps the client alive is the
    adapter that it was never told of.
    """
    java, path = client
    known, other = clusters.tier(clusters.current, 2)
    nobody = f"{clusters.network.server_address}:{free_ports(clusters.network.server_address, 1)[0]}"
    settings = registry_settings(path, f"{known.rpc},{nobody}") | QUICK_REFRESH
    for registry in ("bootstrap", "master_registry"):  # nothing but the failure may start the refresh
        settings[f"hbase.client.{registry}.refresh_interval_secs"] = "300"
        del settings[f"hbase.client.{registry}.initial_refresh_delay_secs"]
    try:
        with results.feature(SERVER, java.version, path, "failed connection"):
            java.open("c", settings)
            for _ in range(5):
                assert java.do("locate", "c", "hbase:meta").value == clusters.current.witness.meta.last()
        if java.version == KNOWS_NO_REFRESH:
            results.record(SERVER, java.version, path, "refresh after it", "has none (fixed list)")
            return
        # GetMasters marks the active master for clients of 2.4, which look for it there
        _, master_port, _ = clusters.current.witness.master.last().split(",")
        also = {f"{clusters.current.bind}:{master_port}"} if path == "MasterRegistry" else set[str]()
        with results.feature(SERVER, java.version, path, "refresh after it"):

            def refreshed() -> bool:
                java.do("locate", "c", "hbase:meta")  # asks the registry, and meets the dead address now and then
                return set(java.do("servers", "c").value) == {known.rpc, other.rpc, *also}

            wait_for("the list of the tier in the client", refreshed, 30, 0.3)
            known.close()
            for _ in range(5):
                assert java.do("locate", "c", "hbase:meta").value == clusters.current.witness.meta.last()
            java.do("create", "c", f"after-{java.version}-{path}")
    finally:
        known.close()
        other.close()
