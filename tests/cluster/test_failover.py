"""The active master dies and meta moves under a steady load: clients go on, adapters are right within a second."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence

import pytest

from tests.support.adapters import AdapterProcess, addresses
from tests.support.answer_watch import AnswerWatch, delay_s
from tests.support.compatibility import Results
from tests.support.hbase import HBaseCluster, Witness
from tests.support.java import JavaClient
from tests.support.processes import wait_for
from tests.support.real_cluster import RealClusters, registry_settings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

SERVER = "HBase 2.6.4"
DELAY_S_MAX = 1.0
"""The goal; they need far less, as the table of delays says."""
CLIENTS = [("2.5.11", "MasterRegistry"), ("2.6.4", "RpcConnectionRegistry"), ("3.0.0-beta-1", "default")]
TABLE_OF_DELAYS = "Adapters: seconds from ZooKeeper's news to the new answer"
TABLE_OF_LOADS = "Clients: longest operation of a steady load while servers die and move"


@pytest.fixture
def tier(clusters: RealClusters) -> Generator[list[AdapterProcess]]:
    adapters = clusters.tier(clusters.current, 2)
    yield adapters
    for adapter in adapters:
        adapter.close()


@pytest.fixture
def loaded(clusters: RealClusters, tier: list[AdapterProcess]) -> Generator[list[tuple[JavaClient, str]]]:
    """Clients of three versions, each in a steady loop of puts and gets on a table of its own."""
    with contextlib.ExitStack() as ends:
        clients: list[tuple[JavaClient, str]] = []
        for version, path in CLIENTS:
            java = clusters.client(version)
            ends.callback(java.close)
            java.open("c", registry_settings(path, addresses(tier)))
            java.do("create", "c", f"load-{version}")
            clients.append((java, path))
        for java, _ in clients:
            java.submit("loop", "c", f"load-{java.version}", 20)
        yield clients


def test_clients_go_on_and_adapters_know_within_a_second(
    clusters: RealClusters, tier: list[AdapterProcess], loaded: list[tuple[JavaClient, str]], results: Results
) -> None:
    clusters.prove_zookeeper_unreachable()
    cluster = clusters.current
    with contextlib.ExitStack() as ends:
        watches = [AnswerWatch(adapter.rpc_address) for adapter in tier]
        for watch in watches:
            ends.callback(watch.close)
        for each in (*watches, cluster.witness):
            wait_for("the first answers", lambda each=each: each.master.last() and each.meta.last(), 20)
        _steady(loaded, 1.0)

        delays = {"active master killed": _kill_active_master(cluster, watches, loaded)}
        _steady(loaded, 2.0)
        delays["meta moved by Admin"] = _move_meta(cluster, loaded[1][0], watches)
        _steady(loaded, 2.0)
        delays["server of meta killed"] = _kill_meta_server(cluster, watches)
        _steady(loaded, 4.0)
        cluster.wait_ready()
        _record(results, delays, loaded)
        for what, seconds in delays.items():
            assert max(seconds) <= DELAY_S_MAX, f"{what}: adapters were late by {seconds} s"
        for java, path in loaded:
            java.do("stop", "c")
            java.open("new", registry_settings(path, addresses(tier)))
            assert java.do("master", "new").value == cluster.witness.master.last()
            failed = [event.error for event in java.events["c"] if not event.ok]
            assert not failed, f"hbase-client {java.version}: {len(failed)} operations failed, the first: {failed[0]}"


def _steady(loaded: Sequence[tuple[JavaClient, str]], seconds: float) -> None:
    """Until every client has gone on for that long since now."""
    begin = time.monotonic()
    for java, _ in loaded:

        def goes_on(java: JavaClient = java) -> bool:
            events = java.events.get("c", [])
            return bool(events) and events[-1].ok and events[-1].at_s > begin + seconds

        wait_for(f"hbase-client {java.version} going on", goes_on, 120)


def _new_value(what: str, witness: Witness, old: str) -> str:
    return wait_for(what, lambda: witness.last() if witness.last() not in {"", old} else None, 90)


def _delays(watches: Sequence[AnswerWatch], fact: str, witness: Witness, value: str) -> list[float]:
    def all_know() -> bool:
        return all(getattr(watch, fact).last() == value for watch in watches)

    wait_for(f"{value} in the answers of every adapter", all_know, 30, 0.02)
    return [delay_s(getattr(watch, fact), witness, value) for watch in watches]


def _kill_active_master(
    cluster: HBaseCluster, watches: Sequence[AnswerWatch], loaded: Sequence[tuple[JavaClient, str]]
) -> list[float]:
    """Its clients are asked before it comes back: 3.0.0-beta-1 sticks to a standby at an address that it has cached.

    (Whatever registry it uses: it forgets a master on ServerNotRunningYetException only where that comes unwrapped.)
    """
    old = cluster.witness.master.last()
    port = int(old.split(",")[1])
    cluster.kill(port)
    new = _new_value("another active master in ZooKeeper", cluster.witness.master, old)
    delays = _delays(watches, "master", cluster.witness.master, new)
    for java, _ in loaded:
        assert java.do("master", "c", timeout_s=120).value == new
    cluster.start_master(port)
    return delays


def _move_meta(cluster: HBaseCluster, java: JavaClient, watches: Sequence[AnswerWatch]) -> list[float]:
    old = cluster.witness.meta.last()
    destination = next(name for name in cluster.witness.region_servers() if name != old)
    java.do("move", "c", "hbase:meta", destination, timeout_s=90)
    new = _new_value("another location of meta in ZooKeeper", cluster.witness.meta, old)
    assert new == destination
    return _delays(watches, "meta", cluster.witness.meta, new)


def _kill_meta_server(cluster: HBaseCluster, watches: Sequence[AnswerWatch]) -> list[float]:
    old = cluster.witness.meta.last()
    port = int(old.split(",")[1])
    cluster.kill(port)
    new = _new_value("another location of meta in ZooKeeper", cluster.witness.meta, old)
    delays = _delays(watches, "meta", cluster.witness.meta, new)
    cluster.start_region_server(port)
    return delays


def _record(results: Results, delays: dict[str, list[float]], loaded: Sequence[tuple[JavaClient, str]]) -> None:
    for what, seconds in delays.items():
        results.record_times(TABLE_OF_DELAYS, what, {"slowest adapter": f"{max(seconds):.3f}"})
    for java, path in loaded:
        events = java.events["c"]
        works = all(event.ok for event in events)
        results.record(SERVER, java.version, path, "steady load through fail-over", "works" if works else "**fails**")
        longest = {"longest, s": f"{max(event.ms for event in events) / 1000:.1f}"}
        counts = {"operations": str(len(events)), "failed": str(sum(not event.ok for event in events))}
        results.record_times(TABLE_OF_LOADS, f"{java.version}, {path}", longest | counts)
