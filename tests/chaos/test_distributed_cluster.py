"""deploy/start-distributed-cluster.sh and its end: three region servers, one more, deaths, and nothing left at the end.

In a network of its own, because the masters' ports are fixed; its pages are asked from outside.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.netns import ClientNamespace
from tests.support.processes import accepts, children, tool, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]
ROOT = Path(__file__).parent.parent.parent
SCRIPTS = sorted([*(ROOT / "deploy").glob("*.sh"), *(ROOT / "deploy").glob("*.bash")])
SESSION_MS = 4000


class Cluster:
    """The two scripts, with everything of theirs below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.network = ClientNamespace()
        self.host = self.network.client_address
        hbeacon = directory / "hbeacon"
        hbeacon.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m registry.cli.main "$@"\n')
        hbeacon.chmod(0o755)
        self.environment = {
            **os.environ,
            "HBEACON": str(hbeacon),
            "HOST": self.host,
            "ZK_QUORUM": f"{self.host}:2181",
            "PID_DIR": str(directory / "pids"),
            "LOG_DIR": str(directory / "logs"),
            "DATA_DIR": str(directory / "data"),
            "ZOOKEEPER_SESSION_TIMEOUT": str(SESSION_MS),
        }

    def run(self, script: str, *words: str, **environment: str) -> str:
        """What it prints; it has to end with 0."""
        argv = [*self.network.enter, str(ROOT / "deploy" / script), *words]
        done = subprocess.run(
            argv,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pid(self, name: str) -> int:
        return int((self.directory / "pids" / f"{name}.pid").read_text())

    def health(self, port: int) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self.host}:{port}/health", timeout=10) as answer:
            return json.load(answer)

    def led(self) -> dict[str, Any] | None:
        """What the active master says of its cluster."""
        return self.health(16010)["cluster"] or self.health(16110)["cluster"]

    def wait_servers(self, count: int) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            led = self.led()
            return led if led is not None and led["initialized"] and led["region_servers"] == count else None

        return wait_for(f"{count} region servers in the eyes of the master", there, SESSION_MS / 1000 + 30, 0.2)

    def processes(self) -> list[int]:
        """All that the scripts have started and that still runs, by the mark in its environment."""
        found: list[int] = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"PID_FILE={self.directory}/".encode() in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    for pid in made.processes():
        os.kill(pid, signal.SIGKILL)
    made.network.close()


def test_three_are_started_one_is_added_some_are_killed_and_nothing_is_left(cluster: Cluster) -> None:
    told = cluster.run("start-distributed-cluster.sh")
    names = ["coordinator", "master-1", "master-2", *(f"regionserver-{number}" for number in (1, 2, 3))]
    assert all(f"{name} runs as pid {cluster.pid(name)}:" in told for name in names), told
    assert f"hbase.client.bootstrap.servers={cluster.host}:16000,{cluster.host}:16100" in told
    for number in range(3):
        found = cluster.health(8080 + number)
        assert found["advertised"] == f"{cluster.host}:{16020 + number}"
        assert found["ready"], found
    cluster_id = cluster.health(8080)["cluster_id"]
    cluster.wait_servers(3)

    added = cluster.run("start-distributed-cluster.sh", SERVER_ID="4", BIND_PORT="16033", HEALTH_PORT="8093")
    assert added.splitlines()[-1].startswith(f"regionserver-4 runs as pid {cluster.pid('regionserver-4')}: rpc=")
    assert cluster.health(8093)["serving"]["registered"]
    cluster.wait_servers(4)

    guard = cluster.pid("regionserver-2")
    os.kill(guard, signal.SIGKILL)
    wait_for("its worker to end too", lambda: not accepts(cluster.host, 16021), 10)
    assert len(cluster.wait_servers(3)["dead_region_servers"]) == 1
    worker = children(cluster.pid("regionserver-3"))[0]
    os.kill(worker, signal.SIGKILL)
    wait_for("the guard's next", lambda: worker not in children(cluster.pid("regionserver-3")), 10)
    again = cluster.run("start-distributed-cluster.sh")
    assert f"regionserver-2 runs as pid {cluster.pid('regionserver-2')}:" in again
    assert again.count("runs already") == 5, again
    cluster.wait_servers(4)

    stopped = cluster.run("stop-distributed-cluster.sh")
    assert stopped.count(" has ended\n") == 7, stopped
    assert "killed" not in stopped
    assert cluster.processes() == []
    assert list((cluster.directory / "pids").iterdir()) == []
    assert cluster.run("stop-distributed-cluster.sh") == "", "there is nothing to do any more"

    cluster.run("start-distributed-cluster.sh", "1")
    assert cluster.health(8080)["cluster_id"] == cluster_id, "the data stays"
    os.kill(cluster.pid("regionserver-1"), signal.SIGSTOP)  # the guard; its worker goes on
    assert "regionserver-1" in cluster.run("stop-distributed-cluster.sh", STOP_TIMEOUT_S="3")
    assert cluster.processes() == []


def test_shellcheck_is_content() -> None:
    done = subprocess.run(
        [tool("shellcheck"), "-x", *map(str, SCRIPTS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
