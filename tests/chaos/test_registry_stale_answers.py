"""One of three adapters is cut off from ZooKeeper while the master fails over and meta moves.

It goes on answering what it knew, as it is told to (`hbeacon.registry.stale` is `serve`). Stock clients meet its stale
answers, and recover by themselves; the adapter stops being ready.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import registry_probe
from tests.support.adapters import AdapterProcess, addresses
from tests.support.compatibility import Results
from tests.support.faultproxy import TcpFaultProxy
from tests.support.hbase import HBaseCluster
from tests.support.java import JavaClient
from tests.support.processes import free_ports, wait_for
from tests.support.real_cluster import RealClusters, registry_settings

pytestmark = [pytest.mark.cluster, pytest.mark.chaos, pytest.mark.timeout(420)]

CLIENTS = [
    ("2.5.11", "MasterRegistry"),
    ("2.6.4", "MasterRegistry"),
    ("2.6.4", "RpcConnectionRegistry"),
    ("3.0.0-beta-1", "default"),
]
TABLE = "Stale answers: one adapter of three cut off while the active master died and meta moved"
MAX_AGE_MS = 5000
NEW_CONNECTIONS = 24
RECOVERY_S_MAX = 60.0
"""A stock client's own back-off; the page has the real times."""


@dataclass
class Tier:
    """Three adapters; the last one's way to ZooKeeper leads through `proxy`."""

    adapters: list[AdapterProcess]
    proxy: TcpFaultProxy

    @property
    def fresh(self) -> list[AdapterProcess]:
        return self.adapters[:2]

    @property
    def stale(self) -> AdapterProcess:
        return self.adapters[2]


@pytest.fixture
def tier(clusters: RealClusters) -> Generator[Tier]:
    proxy = TcpFaultProxy(("127.0.0.1", clusters.zookeeper.port))
    host = clusters.network.server_address
    ports = free_ports(host, 3)
    settings = {
        "hbeacon.registry.servers": ",".join(f"{host}:{port}" for port in ports),
        "hbeacon.registry.ready.max_age_ms": str(MAX_AGE_MS),
    }
    adapters = [
        clusters.adapter(clusters.current, settings=settings, zookeeper=proxy.address if index == 2 else "", port=port)
        for index, port in enumerate(ports)
    ]
    try:
        yield Tier([adapter.wait_ready() for adapter in adapters], proxy)
    finally:
        for adapter in adapters:
            adapter.close()
        proxy.close()


@dataclass
class Old:
    """What was true when the adapter was cut off."""

    master: str
    meta: str


def test_clients_recover_and_the_stale_adapter_is_not_ready(
    clusters: RealClusters, tier: Tier, results: Results
) -> None:
    clusters.prove_zookeeper_unreachable()
    cluster = clusters.current
    old = Old(cluster.witness.master.last(), cluster.witness.meta.last())
    with contextlib.ExitStack() as ends:
        loaded: list[tuple[JavaClient, str]] = []
        for version, path in CLIENTS:
            java = clusters.client(version)
            ends.callback(java.close)
            java.open("cached", registry_settings(path, addresses(tier.adapters)))
            java.open("control", registry_settings(path, addresses(tier.fresh)))
            java.do("create", "cached", f"stale-{version}-{path}")
            java.do("master", "cached")
            java.submit("loop", "cached", f"stale-{version}-{path}", 20)
            loaded.append((java, path))

        tier.proxy.black_hole()
        cut_s = time.monotonic()
        _all_change(cluster, old, loaded[2][0])
        changed_s = time.monotonic()
        assert registry_probe.active_master(tier.stale.rpc_address) == old.master, "not stale: nothing would be shown"
        assert registry_probe.meta_location(tier.stale.rpc_address) == old.meta
        for adapter in tier.fresh:
            _wait_right(adapter, cluster, 10)

        with ThreadPoolExecutor(len(loaded)) as threads:  # they mostly wait
            asked = [threads.submit(_what_it_takes, java, path, tier, cluster) for java, path in loaded]
        rows = [each.result() for each in asked]
        cluster.start_master(_port(old.master))
        for (java, path), row in zip(loaded, rows, strict=True):
            wait_for(f"{java.version} going on", lambda java=java: java.events["cached"][-1].at_s > changed_s + 1, 60)
            java.do("stop", "cached")
            events = java.events["cached"]
            longest_s = max(event.ms for event in events) / 1000
            row["cached meta: longest operation, s"] = f"{longest_s:.1f}"
            row["failed"] = str(int(row["failed"]) + sum(not event.ok for event in events))
            results.record_times(TABLE, f"{java.version}, {path}", row)
            works = row["failed"] == "0"
            results.record("HBase 2.6.4", java.version, path, "stale answers", "works" if works else "**fails**")

        _not_ready_until_healed(tier, cluster, cut_s, results)
        for (java, path), row in zip(loaded, rows, strict=True):
            assert row["failed"] == "0", (java.version, path, row)
            assert float(row["new connection and read: max, s"]) < RECOVERY_S_MAX, (java.version, path, row)


def _wait_right(adapter: AdapterProcess, cluster: HBaseCluster, timeout_s: float) -> None:
    """Until it answers what is true now."""
    at, told = adapter.rpc_address, cluster.witness
    wait_for("the right master", lambda: registry_probe.active_master(at) == told.master.last(), timeout_s)
    wait_for("the right meta", lambda: registry_probe.meta_location(at) == told.meta.last(), timeout_s)


def _port(server_name: str) -> int:
    return int(server_name.split(",")[1])


def _all_change(cluster: HBaseCluster, old: Old, java: JavaClient) -> None:
    """The active master is killed; when there is another, meta moves to the other region server."""
    cluster.kill(_port(old.master))
    wait_for("another master", lambda: cluster.witness.master.last() not in {"", old.master}, 90)
    destination = next(name for name in cluster.witness.region_servers() if name != old.meta)
    java.do("move", "control", "hbase:meta", destination, timeout_s=120)
    wait_for("meta at its new server", lambda: cluster.witness.meta.last() == destination, 60)


def _what_it_takes(java: JavaClient, path: str, tier: Tier, cluster: HBaseCluster) -> dict[str, str]:
    """Seconds for what a client that may meet stale answers does; "failed" counts what did not succeed at all."""
    settings = registry_settings(path, addresses(tier.adapters))
    words = [f"{key}={value}" for key, value in settings.items()]
    table = f"stale-{java.version}-{path}"
    burst: list[dict[str, Any]] = java.do("burst", NEW_CONNECTIONS, 4, 0, table, *words, timeout_s=180).value
    totals = sorted(sample["total_ms"] / 1000 for sample in burst)
    masters: list[float] = []
    for number in range(6):
        name = f"new-{number}"
        java.open(name, settings)
        asked = java.do("master", name, timeout_s=120)
        assert asked.value == cluster.witness.master.last()
        masters.append(asked.ms / 1000)
        java.do("close", name)
    cached_master = java.do("master", "cached", timeout_s=120)
    assert cached_master.value == cluster.witness.master.last()
    return {
        "new connection and read: p50, s": f"{totals[len(totals) // 2]:.2f}",
        "new connection and read: max, s": f"{totals[-1]:.2f}",
        "new connection, call to the master: max, s": f"{max(masters):.2f}",
        "cached master: next call, s": f"{cached_master.ms / 1000:.2f}",
        "failed": str(sum(not sample["ok"] for sample in burst)),
    }


def _not_ready_until_healed(tier: Tier, cluster: HBaseCluster, cut_s: float, results: Results) -> None:
    """`/readyz` is red on the stale adapter once its snapshot is too old, green on the others; healing mends it."""
    wait_for("the stale adapter not ready", lambda: tier.stale.get("/readyz")[0] == 503, MAX_AGE_MS / 1000 + 10)
    assert time.monotonic() - cut_s > 1.0
    status, why = tier.stale.get("/readyz?verbose")
    assert status == 503
    for adapter in tier.fresh:
        assert adapter.get("/readyz")[0] == 200, adapter.get("/readyz?verbose")
    tier.proxy.heal()
    healed_s = time.monotonic()
    _wait_right(tier.stale, cluster, 60)
    right_s = time.monotonic()
    wait_for("the healed adapter ready", lambda: tier.stale.get("/readyz")[0] == 200, 60)
    times = {"right answers after the network healed, s": f"{right_s - healed_s:.1f}"}
    results.record_times("Stale adapter", f"max_age_ms {MAX_AGE_MS}", times)
    assert why, "verbose readiness says why"


def test_not_ready_after_max_age(tier: Tier) -> None:
    """How soon: the age counts from the last moment at which ZooKeeper was heard."""
    assert tier.stale.get("/readyz")[0] == 200
    tier.proxy.black_hole()
    last_ok_s = cut_s = time.monotonic()

    def not_ready() -> bool:
        nonlocal last_ok_s
        asked_s = time.monotonic()  # taken before the question, so that no stall makes it longer
        status, _ = tier.stale.get("/readyz")
        if status == 200:
            last_ok_s = asked_s
        return status == 503

    wait_for("the stale adapter not ready", not_ready, MAX_AGE_MS / 1000 + 10, 0.02)
    took_s = last_ok_s - cut_s
    assert took_s < MAX_AGE_MS / 1000 + 1.0, f"{took_s:.2f} s"
    assert tier.stale.get("/livez")[0] == 200
