"""`hbeacon testing`: a cluster around a command, and clusters by lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

import hbeacon as client
from registry.testing.zygote import ClusterError
from tests.support.processes import wait_for

HBEACON = [sys.executable, "-m", "registry.cli.main", "testing"]
TIMEOUT_S = 50


def test_a_command_runs_beside_a_cluster_and_gives_its_exit_code() -> None:
    script = """
import os, sys
import hbeacon
with hbeacon.connect_blocking(conf_dir=os.environ["HBASE_CONF_DIR"]) as found:
    cluster_id = found.cluster_id(timeout_ms=5000).value
uri = f"hbase+zk://{os.environ['HBASE_ZOOKEEPER_QUORUM']}{os.environ['ZOOKEEPER_ZNODE_PARENT']}"
with hbeacon.connect_blocking(uri) as found:
    assert found.cluster_id(timeout_ms=5000).value == cluster_id
print(os.environ["HBASE_MASTERS"])
sys.exit(7)
"""
    command = [*HBEACON, "--masters", "2", "--regionservers", "0", "--", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, done.stderr) == (7, "")
    masters = done.stdout.strip().split(",")
    assert len(masters) == 2
    with client.connect_blocking(masters=masters) as found, pytest.raises(client.HBaseError):
        found.cluster_id(timeout_ms=1000)


def test_what_cannot_be_run_is_told(tmp_path: Path) -> None:
    command = [*HBEACON, "--regionservers", "0", "--", str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, done.stderr) == (2, f"hbeacon testing: {tmp_path / 'nothing'} is no command here\n")
    done = subprocess.run([*HBEACON, "--masters", "0"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, done.stderr) == (2, "hbeacon testing: masters=0: write a number from 1 to 16\n")


class Lines:
    """The command, spoken to by lines."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(HBEACON, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line: str) -> dict[str, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        first, *words = self.process.stdout.readline().split()
        if first == "error":
            raise ClusterError(" ".join(words))
        assert first == "ok"
        return dict(word.partition("=")[::2] for word in words)


@pytest.fixture
def lines() -> Generator[Lines]:
    found = Lines()
    yield found
    found.process.kill()
    found.process.wait()
    for stream in (found.process.stdin, found.process.stdout):
        assert stream is not None
        stream.close()


@pytest.mark.chaos
def test_clusters_come_and_go_by_lines(lines: Lines) -> None:
    first = lines.ask("start hbase.client.scanner.timeout.period=1234")
    second = lines.ask("start region_servers=0 masters=2")
    assert (first["cluster"], second["cluster"]) == ("1", "2")
    assert len(second["masters"].split(",")) == 2
    assert (Path(first["conf"]) / "zookeeper" / "hbase-site.xml").exists()
    assert lines.ask("snapshot 1") == {"snapshot": "1"}
    for line in ("advance 1 hours=3", "restore 1 1", "clear 1", "kill 2 master0", "ready 2", "stop 2"):
        assert lines.ask(line) == {}, line
    assert lines.ask("fault 1 delay methods=Get,Scan delay_ms=5 on=regionserver seed=7")["seed"] == "7"
    for line, told in {
        "advance": "write advance and the number of a cluster: 1, 2",
        "advance 3 hours=1": "write advance and the number of a cluster",
        "advance 1 hours=-1": "never goes back",
        "advance 2 hours=1": "this cluster was closed",
        "restore 1 2": "that of one of its snapshots",
        "travel 1": "'travel' is no request: write start, advance",
        "start region_server=1": "did you mean region_servers",
        "fault 1 hang methods=Gett": "did you mean Get",
        "kill 1 master7": "no process of this cluster",
        "fault 1": "missing",
        'kill 1 "': "No closing quotation",
    }.items():
        with pytest.raises(ClusterError, match=told):
            lines.ask(line)
    with client.connect_blocking(first["uri"]) as found:
        assert found.cluster_id(timeout_ms=5000).value
        assert lines.process.stdin is not None
        lines.process.stdin.close()
        assert lines.process.wait(20) == 0
        found.refresh()
        with pytest.raises(client.HBaseError):
            found.cluster_id(timeout_ms=1000)


@pytest.mark.chaos
def test_who_speaks_to_it_may_die_at_any_time(lines: Lines) -> None:
    told = lines.ask("start region_servers=0")
    lines.process.kill()
    with client.connect_blocking(told["uri"]) as found:

        def gone() -> bool:
            found.refresh()
            try:
                found.cluster_id(timeout_ms=500)
            except client.HBaseError:
                return True
            return False

        wait_for("the end of the cluster", gone, 20)
    wait_for("the end of its files", lambda: not Path(told["conf"]).parent.exists(), 20)
