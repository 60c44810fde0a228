"""What a stock hbase-client 2.6.4 meets that connects anew, again and again, to a tier of three adapters."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from tests.support.adapters import AdapterProcess, addresses
from tests.support.java import Answer, JavaClient
from tests.support.real_cluster import RealClusters, registry_settings

VERSION, PATH = "2.6.4", "RpcConnectionRegistry"
TABLE = "Hung adapters: new connections of a stock hbase-client 2.6.4 (JVM warmed), three adapters"


def warmed(clusters: RealClusters, adapters: Sequence[AdapterProcess]) -> tuple[JavaClient, list[str]]:
    """A client that has connected before, and the settings for its next bursts."""
    java = clusters.client(VERSION)
    words = [f"{key}={value}" for key, value in registry_settings(PATH, addresses(adapters)).items()]
    java.do("burst", 40, 4, 0, "hbase:meta", *words, timeout_s=60)
    return java, words


def summary(samples: list[dict[str, Any]]) -> dict[str, str]:
    """A row of the compatibility page."""
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


def _quantile(sorted_values: Sequence[float], share: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


class Unguarded:
    """Connections under way to tiers without a guard, of which one and two of three hang for good: they only wait."""

    def __init__(self, clusters: RealClusters) -> None:
        self.asked: dict[int, Future[Answer]] = {}
        """By how many hang."""
        with contextlib.ExitStack() as ends:
            for hung in (1, 2):
                adapters = clusters.tier(clusters.current, 3, guard=False)
                for adapter in adapters:
                    ends.callback(adapter.close)
                java, words = warmed(clusters, adapters)
                ends.callback(java.close)
                for adapter in adapters[:hung]:
                    os.kill(adapter.worker_pid(), signal.SIGSTOP)
                self.asked[hung] = java.submit("burst", 24, 24, 0, "-", *words)
            self._ends = ends.pop_all()

    def close(self) -> None:
        """Twice is no error."""
        self._ends.close()
