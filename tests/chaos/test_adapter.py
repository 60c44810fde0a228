"""`hbeacon adapter` against a real ZooKeeper: ready when it can answer, right after any of its processes is hurt."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from registry.names import ServerName
from tests.support.adapters import ROOT, AdapterProcess
from tests.support.hbase_tree import CLUSTER_ID, HBaseTreeWriter
from tests.support.processes import wait_for
from tests.support.zookeeper import ZooKeeperServer
from tests.unit.test_config_files import site

pytestmark = [pytest.mark.zookeeper, pytest.mark.timeout(180)]

HOST = "127.0.0.1"
READY = re.compile(
    r"hbeacon adapter ready rpc=127\.0\.0\.1:\d+ http=127\.0\.0\.1:\d+ grpc=off zookeeper=127\.0\.0\.1:\d+"
)
OTHER = ServerName("rs9", 16020, 9)


Start = Callable[..., AdapterProcess]


@pytest.fixture
def start(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter, tmp_path: Path) -> Generator[Start]:
    made: list[AdapterProcess] = []

    def one(**options: Any) -> AdapterProcess:
        name = f"adapter{len(made)}"
        options = {"zookeeper": zookeeper.address, "rpc": f"{HOST}:0"} | options
        made.append(AdapterProcess(name, tmp_path / f"{name}.log", **options))
        return made[-1]

    yield one
    for adapter in made:
        adapter.close()


def cluster_id(adapter: AdapterProcess, timeout_s: float = 5.0) -> str:
    """By preamble, as a 2.6 client asks; empty where nobody answers."""
    try:
        with socket.create_connection(adapter.rpc_address, timeout=timeout_s) as client:
            client.sendall(b"Regist")
            answer = client.recv(4096)
    except OSError:
        return ""
    return CLUSTER_ID if CLUSTER_ID.encode() in answer else ""


def look_up(adapter: AdapterProcess) -> dict[str, Any]:
    """`hbeacon lookup --json`."""
    words = [sys.executable, "-m", "registry.cli.main", "lookup", "--json", f"hbase+rpc://{adapter.rpc}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ready_means_that_it_answers(start: Start) -> None:
    adapter = start().wait_ready()
    assert READY.fullmatch(adapter.lines[0])
    assert cluster_id(adapter) == CLUSTER_ID
    assert adapter.get("/readyz")[0] == 200
    assert CLUSTER_ID in json.dumps(look_up(adapter))
    assert adapter.process.stop() == 0


def test_a_change_reaches_look_ups(start: Start, tree: HBaseTreeWriter) -> None:
    adapter = start().wait_ready()
    tree.move_meta(OTHER)
    wait_for("the new location", lambda: str(OTHER) in adapter.get("/api/v1/registry")[1].decode(), 2.0, 0.005)
    assert str(OTHER) in json.dumps(look_up(adapter))


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_worker_that_hangs_or_dies_is_replaced_and_the_next_answers(start: Start, how: signal.Signals) -> None:
    adapter = start().wait_ready()
    before = adapter.get_json("/api/v1/registry")["snapshot"]
    pid = adapter.worker_pid()
    start_s = time.monotonic()
    os.kill(pid, how)
    wait_for("an answer", lambda: cluster_id(adapter, 0.3) == CLUSTER_ID, 10.0, 0.02)
    took_s = time.monotonic() - start_s
    assert took_s < (4.0 if how is signal.SIGSTOP else 3.0)
    assert adapter.worker_pid() != pid
    wait_for("a second ready line", lambda: len(adapter.lines) == 2, 10.0)
    assert adapter.lines[0] == adapter.lines[1], "the same ports"
    after = adapter.get_json("/api/v1/registry")["snapshot"]
    assert (after["generation"], after["zxid"]) >= (before["generation"], before["zxid"])


def test_the_tier_is_followed_without_a_restart(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site(tmp_path, **{"hbeacon.registry.servers": "beacon1,beacon2:17000"})
    monkeypatch.setenv("HBASE_CONF_DIR", str(tmp_path))
    adapter = start(settings={"hbeacon.selfcheck.interval_ms": "0"}).wait_ready()

    def handed_out() -> list[str]:
        return sorted(adapter.get_json("/api/v1/registry")["hand_out"]["masters"])

    assert handed_out() == ["beacon1,16000,-1", "beacon2,17000,-1"]
    site(tmp_path, "next", **{"hbeacon.registry.servers": "beacon1,beacon2:17000,beacon3"})
    (tmp_path / "next").rename(tmp_path / "hbase-site.xml")
    wait_for("the third server", lambda: len(handed_out()) == 3, 10.0)

    def complaints(count: int) -> Callable[[], bool]:
        return lambda: adapter.process.log.read_text().count("stays in force") == count

    (tmp_path / "hbase-site.xml").write_text("<configuration>")
    wait_for("a complaint", complaints(1), 10.0)
    site(tmp_path, **{"hbeacon.log.level": "loud"})
    wait_for("another complaint", complaints(2), 10.0)
    assert len(handed_out()) == 3
    assert adapter.get("/readyz")[0] == 200


def test_stale_answers_are_refused_where_that_is_asked_for(start: Start, zookeeper: ZooKeeperServer) -> None:
    settings = {"hbeacon.registry.stale": "refuse", "zookeeper.session.timeout": "1000"}
    adapter = start(settings=settings).wait_ready()
    assert cluster_id(adapter) == CLUSTER_ID
    zookeeper.pause()
    try:
        wait_for("the refusal", lambda: cluster_id(adapter) == "", 10.0)
        assert adapter.get("/readyz")[0] == 503
        assert adapter.get("/livez")[0] == 200
    finally:
        zookeeper.resume()
    wait_for("answers again", lambda: cluster_id(adapter) == CLUSTER_ID, 20.0)


def test_a_credential_that_zookeeper_refuses_ends_the_start(start: Start) -> None:
    adapter = start(settings={"hbeacon.zookeeper.auth": "nosuchscheme:x"})
    assert adapter.process.popen.wait(20) == 4
    text = adapter.process.log.read_text()
    assert "hbeacon adapter: ZooKeeper refuses the credential of hbeacon.zookeeper.auth (nosuchscheme)" in text
    assert not adapter.lines
