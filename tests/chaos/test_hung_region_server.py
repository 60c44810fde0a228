"""A region server stands still while a master takes over: the rest of the cluster does not wait for its session."""

from __future__ import annotations

import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.own_cluster import HOST, OwnCluster
from tests.support.own_rows import active_of, create, read, where, write
from tests.support.processes import wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

SESSION_MS = 30_000
"""Within two thirds of it the server goes on as if nothing had been."""


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[OwnCluster]:
    with OwnCluster(tmp_path / "cluster", session_ms=SESSION_MS) as made:
        yield made.wait_ready()


async def test_tables_are_made_meanwhile_and_nothing_is_moved(cluster: OwnCluster) -> None:
    for table in ("a", "b"):
        await create(cluster, table)
        await write(cluster, table, b"kept")
    with_meta, _ = await where(cluster, "hbase:meta")
    port = next(port for port in cluster.region_server_ports if port != with_meta.port)
    hung = cluster.region_servers[cluster.region_server_ports.index(port)]
    on_it = [table for table in ("a", "b") if (await where(cluster, table))[0].port == port]
    assert on_it, "tables go by turns to both"
    active = active_of(cluster)
    hung.process.signal(signal.SIGSTOP)
    try:
        cluster.masters[active].process.signal(signal.SIGTERM)  # its session ends at once

        def taken_over() -> dict[str, Any] | None:
            told: Any = cluster.masters[1 - active].get_json("/health").get("cluster")
            return told if told and told["initialized"] else None

        told = wait_for("the next master", taken_over, SESSION_MS / 1000)
        assert told["region_servers"] == 2, "the one that stands still has its session yet"
        cluster.masters[active].close()
        cluster.start_master(active)
        await create(cluster, "meanwhile")
        assert (await where(cluster, "meanwhile", skip=port))[0] == with_meta
    finally:
        hung.process.signal(signal.SIGCONT)
    for table in on_it:
        address, _ = await where(cluster, table)
        assert (address.host, address.port) == (HOST, port), "it has what it had"
        assert await read(cluster, table) == [b"kept"]
        await write(cluster, table, b"changed")
    assert hung.process.running
