"""May ZooKeeper be firewalled: a running adapter with a façade, beside a real ZooKeeper that lists its connections."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from registry.names import Address
from registry.zk.cons import ask_connections
from tests.support.adapters import ROOT, AdapterProcess
from tests.support.hbase_tree import HBaseTreeWriter
from tests.support.processes import wait_for
from tests.support.zookeeper import ZooKeeperServer, debian

pytestmark = [pytest.mark.zookeeper, pytest.mark.timeout(180)]

OLD_CLIENT = "127.0.0.77"
"""Another address of this machine: for the servers another host."""
SETTINGS = {"hbeacon.facade.address": "127.0.0.1:0", "hbeacon.zookeeper.connections.interval_ms": "100"}
CONNECT = struct.pack(">iiqiqi16s?", 45, 0, 0, 30_000, 0, 16, b"", False)
"""ConnectRequest of a client that has seen nothing."""


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Generator[ZooKeeperServer]:
    server = ZooKeeperServer(debian(), tmp_path_factory.mktemp("zookeeper"))
    server.start()
    writer = HBaseTreeWriter(server.address)
    writer.write()
    yield server
    writer.close()
    server.close()


@pytest.fixture
def adapter(tmp_path: Path, zookeeper: ZooKeeperServer) -> Generator[AdapterProcess]:
    log = tmp_path / "adapter.log"
    process = AdapterProcess("adapter", log, zookeeper=zookeeper.address, rpc="127.0.0.1:0", settings=SETTINGS)
    try:
        yield process.wait_ready()
    finally:
        process.close()


def facade_of(adapter: AdapterProcess) -> Address:
    (word,) = (word for word in adapter.lines[0].split() if word.startswith("facade="))
    return Address.parse(word.removeprefix("facade="))


@contextmanager
def zookeeper_client(address: Address) -> Generator[socket.socket]:
    """A session of a client at OLD_CLIENT."""
    with socket.create_connection((address.host, address.port), 5, (OLD_CLIENT, 0)) as client:
        client.sendall(CONNECT)
        assert len(client.recv(4096)) >= 40
        yield client


def firewall(adapter: AdapterProcess) -> dict[str, Any]:
    return adapter.get_json("/api/v1/firewall")


def test_the_answer_names_who_knows_nothing_but_the_facade(adapter: AdapterProcess) -> None:
    with zookeeper_client(facade_of(adapter)):
        pass
    with socket.create_connection(adapter.rpc_address, 5) as client:
        client.sendall(b"Regist")
        assert client.recv(4096)
    before = firewall(adapter)
    assert before["verdict"] == "not yet"
    assert [row["host"] for row in before["facade_only"]] == [OLD_CLIENT]
    assert before["sentence"].endswith(f"Keep the façade open: 1 host knows nothing else ({OLD_CLIENT}).")
    assert 'hbeacon_firewall_hosts{needs="facade_only"} 1.0' in adapter.get("/metrics")[1].decode()
    words = [sys.executable, "-m", "registry.cli.main", "status", adapter.http]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout
    assert f"    by the façade alone: {OLD_CLIENT}, last seen" in said


def test_a_worker_that_is_killed_before_anything_was_kept(adapter: AdapterProcess) -> None:
    """The watch goes on or begins anew; it never claims to have watched what it has forgotten."""
    with zookeeper_client(facade_of(adapter)):
        pass
    begun = _seconds(firewall(adapter)["watching_since"])
    os.kill(adapter.worker_pid(), signal.SIGKILL)
    wait_for("a second ready line", lambda: len(adapter.lines) == 2, 20.0)
    after = firewall(adapter)
    knows = OLD_CLIENT in [row["host"] for row in after["facade_only"]]
    assert knows or _seconds(after["watching_since"]) > begun


def test_who_came_is_kept_for_the_next_worker(adapter: AdapterProcess) -> None:
    with zookeeper_client(facade_of(adapter)):
        pass
    wait_for("the guard to have been told", lambda: _uptime_s(adapter) > 11, 30.0, 0.2)
    os.kill(adapter.worker_pid(), signal.SIGKILL)
    wait_for("a second ready line", lambda: len(adapter.lines) == 2, 20.0)
    assert _uptime_s(adapter) < 11
    after = firewall(adapter)
    assert [row["host"] for row in after["facade_only"]] == [OLD_CLIENT]
    assert after["watched_seconds"] > 11


def test_zookeepers_own_list_of_connections(adapter: AdapterProcess, zookeeper: ZooKeeperServer) -> None:
    address = Address.parse(zookeeper.address)
    with zookeeper_client(address):
        told = asyncio.run(ask_connections(address, 5000))
    hosts = {host for host, _ in told.connections}
    assert OLD_CLIENT in hosts
    assert told.own_host == "127.0.0.1"
    answer = firewall(adapter)
    assert answer["zookeeper_watched"] is True
    assert not [spot for spot in answer["blind_spots"] if "does not tell its connections" in spot]
    assert answer["zookeeper_hosts"] == [], "the adapter's own are no outsiders"


def _uptime_s(adapter: AdapterProcess) -> float:
    return adapter.get_json("/health")["uptime_seconds"]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
