"""The pages of a running adapter as a browser and as Prometheus see them: real ZooKeeper, Chromium, promtool."""

from __future__ import annotations

import html
import re
import socket
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest
from kazoo.security import make_digest_acl  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from tests.support.adapters import AdapterProcess
from tests.support.hbase_tree import HBaseTreeWriter
from tests.support.processes import tool, wait_for
from tests.support.zookeeper import ZooKeeperServer, debian

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

CHROMIUM = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture
def zookeeper(tmp_path: Path) -> Generator[ZooKeeperServer]:
    server = ZooKeeperServer(debian(), tmp_path / "zookeeper")
    server.start()
    yield server
    server.close()


@pytest.fixture
def tree(zookeeper: ZooKeeperServer) -> Generator[HBaseTreeWriter]:
    writer = HBaseTreeWriter(zookeeper.address)
    writer.write()
    yield writer
    writer.close()


@pytest.fixture
def adapter(tmp_path: Path, zookeeper: ZooKeeperServer, tree: HBaseTreeWriter) -> Generator[AdapterProcess]:
    acl = cast("Any", make_digest_acl)("hbase", "secret", all=True)
    tree.client.set_acls(f"{tree.tree.root}/backup-masters", [acl])
    process = AdapterProcess("pages", tmp_path / "adapter.log", zookeeper=zookeeper.address, rpc="127.0.0.1:0")
    try:
        yield process.wait_ready()
    finally:
        process.close()


def browse(adapter: AdapterProcess, directory: Path, path: str = "/?refresh=off") -> str:
    """The document as Chromium holds it after loading the page, style sheet included."""
    argv = [tool("chromium"), *CHROMIUM, f"--user-data-dir={directory / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [*argv, f"http://{adapter.http}{path}"], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def words(document: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", document)).split())


def test_a_browser_shows_the_answers_and_then_the_trouble(
    adapter: AdapterProcess, zookeeper: ZooKeeperServer, tree: HBaseTreeWriter, tmp_path: Path
) -> None:
    with socket.create_connection(adapter.rpc_address, 5) as client:
        client.sendall(b"Regist")
        assert client.recv(4096)
    shown = words(browse(adapter, tmp_path))
    for part in (
        "healthy ready zookeeper connected",
        tree.tree.cluster_id,
        str(tree.tree.master),
        f"{tree.tree.workers[0]} OPEN",
        "Znodes that may not be read",
        f"setAcl {tree.tree.root}/backup-masters",
        "cluster id by preamble: 1 hosts",
        "May ZooKeeper be firewalled now? not yet Not yet: an answer takes a day of watching",
        "By the registry 1 hosts of the last day By the façade 0 hosts By ZooKeeper not looked at",
        "What cannot be seen from here: A client that comes less often than once a day",
        "Regist 1",
    ):
        assert part in shown, part
    zookeeper.kill()
    wait_for("the session to be away", lambda: adapter.get_json("/health")["status"] == "degraded", 30)
    shown = words(browse(adapter, tmp_path))
    assert re.search("degraded (not )?ready zookeeper (suspended|disconnected)", shown), shown
    assert tree.tree.cluster_id in shown, "answers go on"


def test_the_policy_lets_the_page_load_what_it_needs(adapter: AdapterProcess, tmp_path: Path) -> None:
    """A page that its own Content-Security-Policy keeps from its style sheet says so on the browser's console."""
    argv = [tool("chromium"), *CHROMIUM, f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]
    address = f"http://{adapter.http}/?refresh=off"
    done = subprocess.run([*argv, "--dump-dom", address], capture_output=True, text=True, timeout=60, check=True)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []


def test_prometheus_itself_takes_the_metrics(adapter: AdapterProcess) -> None:
    for path in ("/metrics", "/prometheus"):
        status, body = adapter.get(path)
        assert status == 200
        done = subprocess.run(
            [tool("promtool"), "check", "metrics"], input=body, capture_output=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        assert b"hbeacon_registry_snapshot_zxid" in body
