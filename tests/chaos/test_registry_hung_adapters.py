"""Adapters whose process hangs (SIGSTOP): how long stock clients wait for a new connection, with and without guard."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from tests.support.adapters import AdapterProcess, addresses
from tests.support.compatibility import Results
from tests.support.java import Answer, JavaClient
from tests.support.real_cluster import RealClusters, registry_settings

pytestmark = [pytest.mark.cluster, pytest.mark.chaos, pytest.mark.timeout(300)]

VERSION, PATH = "2.6.4", "RpcConnectionRegistry"
TABLE = "Hung adapters: new connections of a stock hbase-client 2.6.4 (JVM warmed), three adapters"
P99_S_MAX = 3.0
CONNECTIONS, AT_ONCE, PACE_MS = 300, 10, 400  # about a dozen seconds of new connections
CONNECTIONS_UNHURT = 100
STOP_EVERY_S = 2.5
Unguarded = dict[int, Future[Answer]]
"""How many hang, and what new connections met."""


def _quantile(sorted_values: Sequence[float], share: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def _warmed(clusters: RealClusters, adapters: Sequence[AdapterProcess]) -> tuple[JavaClient, list[str]]:
    java = clusters.client(VERSION)
    words = [f"{key}={value}" for key, value in registry_settings(PATH, addresses(adapters)).items()]
    java.do("burst", 40, 4, 0, "hbase:meta", *words, timeout_s=60)
    return java, words


def _summary(samples: list[dict[str, Any]]) -> dict[str, str]:
    connects = sorted(sample["connect_ms"] / 1000 for sample in samples if "connect_ms" in sample)
    totals = sorted(sample["total_ms"] / 1000 for sample in samples)
    failed = sum(not sample["ok"] for sample in samples)
    return {
        "connections": str(len(samples)),
        "failed": str(failed),
        "connect p50, s": f"{_quantile(connects, 0.5):.3f}",
        "connect p99, s": f"{_quantile(connects, 0.99):.2f}",
        "connect max, s": f"{connects[-1]:.2f}",
        "with a first read p99, s": f"{_quantile(totals, 0.99):.2f}",
        "max, s": f"{totals[-1]:.2f}",
    }


@contextlib.contextmanager
def _hanging_again_and_again(adapters: Sequence[AdapterProcess]) -> Generator[list[int]]:
    """Stops the workers of these adapters now, and every new worker again; the list counts the stops."""
    stops: list[int] = []
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            for adapter in adapters:
                with contextlib.suppress(AssertionError, ProcessLookupError):
                    stops.append(adapter.freeze())
            over.wait(STOP_EVERY_S)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield stops
    finally:
        over.set()
        thread.join(20)


@pytest.fixture(scope="module", autouse=True)
def unguarded(clusters: RealClusters) -> Generator[Unguarded]:
    """Connections under way to tiers of which one and two of three hang for good: they only wait, beside all else."""
    waiting: Unguarded = {}
    with contextlib.ExitStack() as ends:
        for hung in (1, 2):
            adapters = clusters.tier(clusters.current, 3, guard=False)
            for adapter in adapters:
                ends.callback(adapter.close)
            java, words = _warmed(clusters, adapters)
            ends.callback(java.close)
            for adapter in adapters[:hung]:
                os.kill(adapter.worker_pid(), signal.SIGSTOP)
            waiting[hung] = java.submit("burst", 24, 24, 0, "-", *words)
        yield waiting


@pytest.mark.parametrize("hung", [0, 1, 2])
def test_with_guard_the_99th_of_100_new_connections_takes_three_seconds_at_most(
    clusters: RealClusters, hung: int, results: Results
) -> None:
    clusters.prove_zookeeper_unreachable()
    adapters = clusters.tier(clusters.current, 3)
    java: JavaClient | None = None
    try:
        java, words = _warmed(clusters, adapters)
        with _hanging_again_and_again(adapters[:hung]) as stops:
            connections = CONNECTIONS if hung else CONNECTIONS_UNHURT
            asked = java.submit("burst", connections, AT_ONCE, PACE_MS, "hbase:meta", *words)
            samples = asked.result(200).value
        assert len(set(stops)) >= 3 * hung, f"workers were not replaced: {stops}"
    finally:
        for adapter in adapters:
            adapter.close()
        if java is not None:
            java.close()
    summary = _summary(samples)
    what = f"{hung} of 3 hung every {STOP_EVERY_S:g} s" if hung else "none hung"
    results.record_times(TABLE, f"guard on, {what}", summary)
    assert summary["failed"] == "0", [sample["error"] for sample in samples if not sample["ok"]][:3]
    if not hung:
        return  # what the machine takes by itself, for the table
    assert float(summary["connect p99, s"]) <= P99_S_MAX, summary
    assert float(summary["with a first read p99, s"]) <= P99_S_MAX, summary


def test_without_guard_for_contrast(unguarded: Unguarded, results: Results) -> None:
    """One and two of three hung for good: what the guard is for."""
    for hung, asked in unguarded.items():
        summary = _summary(asked.result(200).value)
        results.record_times(TABLE, f"guard off, {hung} of 3 hung for good", summary)
        assert float(summary["connect max, s"]) >= 10, f"nothing hung, so nothing was shown: {summary}"
