"""Faults on demand before an unmodified Java client: what `hbeacon fault` shows of clients that are not ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import hbeacon
from registry.cli.main import main
from tests.support.adapters import AdapterProcess, addresses
from tests.support.coordinator_process import CoordinatorProcess
from tests.support.hbase_tree import CLUSTER_ID, HBaseTreeWriter
from tests.support.java import JavaClient
from tests.support.real_cluster import registry_settings

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

VERSION, PATH = "2.6.4", "RpcConnectionRegistry"
READ_TIMEOUT_MS = 2000
"""hbase.ipc.client.socket.timeout.read of the Java client, whose default of 20 s a test need not wait for."""


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[AdapterProcess]]:
    """Three adapters of one recorded cluster, without a guard, that may have faults."""
    folder = tmp_path_factory.mktemp("tier")
    coordinator = CoordinatorProcess(folder, keep=False)
    coordinator.start()
    tree = HBaseTreeWriter(coordinator.address)
    tree.write()
    made = [
        AdapterProcess(
            f"adapter{number}",
            folder / f"adapter{number}.log",
            zookeeper=coordinator.address,
            rpc="127.0.0.1:0",
            guard=False,
            settings={"hbeacon.faults.enabled": "true"},
        )
        for number in range(3)
    ]
    try:
        yield [each.wait_ready() for each in made]
    finally:
        for each in made:
            each.close()
        tree.close()
        coordinator.close()


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaClient]:
    made = JavaClient(VERSION, tmp_path_factory.mktemp("java") / "java.log")
    yield made
    made.close()


def fault(server: AdapterProcess, *words: str) -> None:
    assert main(["fault", "set", words[0], server.http, *words[1:]]) == 0


def java_connects_ms(java: JavaClient, tier: Sequence[AdapterProcess], count: int) -> list[float]:
    """New connections of the Java client, up to 15 at once; each has found its cluster."""
    settings = registry_settings(PATH, addresses(tier))
    settings["hbase.ipc.client.socket.timeout.read"] = str(READ_TIMEOUT_MS)
    words = [f"{key}={value}" for key, value in settings.items()]
    samples: list[dict[str, Any]] = java.do("burst", count, min(count, 15), 0, "-", *words, timeout_s=60).value
    assert all(sample["ok"] for sample in samples), [sample.get("error") for sample in samples]
    return sorted(sample["connect_ms"] for sample in samples)


async def python_connects_ms(tier: Sequence[AdapterProcess], count: int) -> list[float]:
    """The same of hbeacon's client, one after the other, each without history."""
    taken: list[float] = []
    for _ in range(count):
        begun_s = time.monotonic()
        async with hbeacon.connect(masters=[each.rpc for each in tier]) as cluster:
            assert (await cluster.cluster_id(timeout_ms=30_000)).value == CLUSTER_ID
        taken.append((time.monotonic() - begun_s) * 1000)
    return sorted(taken)


def test_two_of_three_hang(tier: list[AdapterProcess], java: JavaClient) -> None:
    """One after it accepts, one on the preamble alone: Java waits its time-out and passes, hedged nobody waits."""
    healthy = java_connects_ms(java, tier, 6)
    fault(tier[0], "hang-accept")
    fault(tier[1], "hang", "--method", "Regist")
    try:
        hung = java_connects_ms(java, tier, 12)
        hedged = asyncio.run(python_connects_ms(tier, 12))
    finally:
        assert main(["fault", "clear", *(each.http for each in tier)]) == 0
    print(f"connects, ms: Java healthy {healthy[-1]:.0f}, hung {hung[-1]:.0f}; hedged {hedged[-1]:.0f}")
    assert hung[-1] >= READ_TIMEOUT_MS * 0.9, f"nothing hung, so nothing was shown: {hung}"
    assert hedged[6] < READ_TIMEOUT_MS / 2, hedged
    assert java_connects_ms(java, tier, 6)[-1] < READ_TIMEOUT_MS, "and afterwards all is as before"


@pytest.mark.parametrize(
    "words", [("reset",), ("refuse",), ("half",), ("half", "--bytes", "1"), ("delay", "--delay", "50-300")]
)
def test_java_passes_by(tier: list[AdapterProcess], java: JavaClient, words: tuple[str, ...]) -> None:
    fault(tier[0], *words)
    try:
        java_connects_ms(java, tier, 30)  # by chance nobody met it: once in 200 000
        applied = tier[0].get_json("/api/v1/faults")["faults"][0]["applied"]
    finally:
        assert main(["fault", "clear", tier[0].http]) == 0
    assert applied, "nobody met the fault, so nothing was shown"
