"""AdminService method by method and the commands of the hbase shell, of hbeacon's own cluster: line by line as kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from registry.names import Address
from tests.support import admin_calls, shell_commands
from tests.support.own_cluster import HOST, OwnCluster
from tests.support.shell_commands import CALLS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SESSION_MS = 20_000


def active_master(cluster: OwnCluster) -> Address:
    told = [master.get_json("/health")["cluster"] for master in cluster.masters]
    [active] = [
        port for port, each in zip(cluster.master_ports, told, strict=True) if each is not None and each["initialized"]
    ]
    return Address(HOST, active)


def test_methods_and_commands_answer_as_they_are_kept(tmp_path: Path) -> None:
    """In one cluster: the commands end by stopping servers."""
    with OwnCluster(tmp_path / "own", session_ms=SESSION_MS) as cluster:
        cluster.wait_ready()
        servers = [Address(HOST, port) for port in cluster.region_server_ports]
        assert not admin_calls.wrong(asyncio.run(admin_calls.lines(active_master(cluster), servers)))
        told = shell_commands.tell(cluster.zookeeper, tmp_path / "client.log")
    ours = {line.key: line.outcome for line in told if line.what != CALLS}
    kept = {line.key: line.outcome for line in shell_commands.of_hbeacon() if line.what != CALLS}
    assert ours == kept
