"""The adapter as a process where there is no ZooKeeper yet: it waits, says so, and obeys."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from protos.hbase import Registry_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel, fetch_cluster_id
from tests.support.adapters import AdapterProcess
from tests.support.processes import children, free_ports, wait_for
from tests.unit.test_config_files import site

HOST = "127.0.0.1"
PATIENCE_S = 20.0
LISTENING = re.compile(r"listening on rpc=127\.0\.0\.1:(\d+) http=127\.0\.0\.1:(\d+)")


class Waiting:
    """An adapter whose ZooKeeper does not answer."""

    def __init__(self, log: Path, *, guard: bool = True, **settings: str) -> None:
        nobody = f"{HOST}:{free_ports(HOST, 1)[0]}"
        values = {key.replace("__", "."): value for key, value in settings.items()}
        self.process = AdapterProcess(
            "adapter",
            log,
            zookeeper=nobody,
            rpc=f"{HOST}:0",
            guard=guard,
            settings={"hbeacon.selfcheck.interval_ms": "0"} | values,
        )
        self.log = log

    def ports(self, lives: int = 1) -> tuple[int, int]:
        """Ports of RPC and pages of the last worker, once it is the `lives`-th."""
        found = wait_for(
            "the doors", lambda: f if len(f := LISTENING.findall(self.log.read_text())) >= lives else None, PATIENCE_S
        )
        return int(found[-1][0]), int(found[-1][1])

    def get(self, path: str) -> tuple[int, str]:
        """HTTP status and text; waits until the pages are loaded."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.ports()[1]}{path}", timeout=PATIENCE_S) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def worker(self) -> int:
        return self.process.worker_pid()

    def told(self, number: signal.Signals) -> None:
        self.process.process.signal(number)

    def exit_code(self) -> int:
        return self.process.process.popen.wait(PATIENCE_S)


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Waiting]:
    made = Waiting(tmp_path / "adapter.log")
    try:
        yield made
    finally:
        made.process.close()


def test_without_zookeeper_it_lives_is_not_ready_and_says_why(waiting: Waiting) -> None:
    assert waiting.get("/livez") == (200, "ok")
    status, text = waiting.get("/readyz?verbose")
    assert status == 503
    assert "cluster-id" in text
    assert waiting.get("/health")[0] == 503
    assert not waiting.process.lines, "no ready line before it can answer"
    waiting.told(signal.SIGTERM)
    assert waiting.exit_code() == 0
    assert "stopped" in waiting.log.read_text()


@pytest.mark.chaos
def test_the_worker_that_hangs_is_replaced_on_the_same_ports(waiting: Waiting) -> None:
    rpc, http = waiting.ports()
    assert waiting.get("/livez")[0] == 200
    pid = waiting.worker()
    with socket.create_connection((HOST, rpc), timeout=PATIENCE_S) as client:
        client.sendall(b"Reg")
        time.sleep(0.1)
        os.kill(pid, signal.SIGSTOP)
        start_s = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
        assert time.monotonic() - start_s < 10
    assert waiting.ports(lives=2) == (rpc, http)
    assert waiting.worker() != pid
    assert waiting.get("/livez")[0] == 200
    assert "silent for" in waiting.get("/dump")[1]


def test_stacks_are_written_when_asked_for(waiting: Waiting) -> None:
    waiting.get("/livez")
    waiting.told(signal.SIGQUIT)
    wait_for("stacks", lambda: "run_adapter" in waiting.log.read_text(), PATIENCE_S)
    assert waiting.get("/livez")[0] == 200


@pytest.mark.parametrize("guard", [True, False])
def test_signals(tmp_path: Path, guard: bool) -> None:
    made = Waiting(tmp_path / "adapter.log", guard=guard)
    try:
        made.ports()
        if guard:  # its own handlers are there from the start; the worker's once it listens
            assert made.worker() != made.process.process.pid
        made.told(signal.SIGHUP)
        wait_for("a reload", lambda: "read again" in made.log.read_text(), PATIENCE_S)
        made.told(signal.SIGINT)
        assert made.exit_code() == 0
        assert not children(made.process.process.pid)
    finally:
        made.process.close()


def test_a_guard_that_the_files_switch_off_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site(tmp_path, **{"hbeacon.guard": "off"})
    monkeypatch.setenv("HBASE_CONF_DIR", str(tmp_path))
    made = AdapterProcess("adapter", tmp_path / "log", zookeeper=f"{HOST}:1", rpc=f"{HOST}:0", guard=True)
    try:
        # The flag says on, and flags win over files.
        wait_for("the doors", lambda: LISTENING.search((tmp_path / "log").read_text()), PATIENCE_S)
        assert made.worker_pid() != made.process.pid
    finally:
        made.close()


def test_a_busy_port_ends_the_start_with_the_flag_that_mends_it(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        address = f"{HOST}:{taken.getsockname()[1]}"
        for flag, rpc, http in (("--rpc", address, f"{HOST}:0"), ("--http", f"{HOST}:0", address)):
            log = tmp_path / f"log{flag}"
            made = AdapterProcess("adapter", log, zookeeper=f"{HOST}:1", rpc=rpc, http=http)
            try:
                assert made.process.popen.wait(PATIENCE_S) == 3
                assert f"cannot listen on {address}: the port is in use: choose another with {flag}" in log.read_text()
            finally:
                made.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hbeacon.registry.handout": "tier"}, "there is no tier to hand out"),
        ({"hbeacon.grpc.address": "16005"}, "hbeacon.grpc.address"),
        ({"hbeacon.log.level": "loud"}, "hbeacon.log.level"),
        ({"hbase.zookeeper.property.clientPort": "x"}, "clientPort"),
    ],
)
def test_a_setting_that_cannot_be_used_ends_guard_and_worker(
    tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    log = tmp_path / "log"
    made = AdapterProcess("adapter", log, zookeeper=f"{HOST}:1", rpc=f"{HOST}:0", settings=settings)
    try:
        assert made.process.popen.wait(PATIENCE_S) == 2
        assert message in log.read_text()
        assert len(log.read_text().splitlines()) == 1
    finally:
        made.close()


def test_before_anything_is_read_answers_are_empty(waiting: Waiting) -> None:
    """As HBase's own servers answer then: the field is left out, and `Regist` is not known yet."""
    address = Address(HOST, waiting.ports()[0])

    async def ask() -> tuple[bool, int, str | None]:
        async with await RpcChannel.connect(address, "ClientMetaService") as channel:
            cluster_id = await channel.call(
                "GetClusterId", Registry_pb2.GetClusterIdRequest(), Registry_pb2.GetClusterIdResponse
            )
            meta = await channel.call(
                "GetMetaRegionLocations",
                Registry_pb2.GetMetaRegionLocationsRequest(),
                Registry_pb2.GetMetaRegionLocationsResponse,
            )
        by_preamble = await fetch_cluster_id(address, PATIENCE_S * 1000)
        return cluster_id.HasField("cluster_id"), len(meta.meta_locations), by_preamble

    assert asyncio.run(ask()) == (False, 0, None)


def test_being_told_to_stop_twice_in_one_moment_still_drains(waiting: Waiting) -> None:
    """timeout(1) signals the process, then its group: taken for a second SIGTERM, that ended the worker at once."""
    waiting.ports()
    waiting.told(signal.SIGTERM)
    time.sleep(0.01)  # two signals that are pending together are one
    waiting.told(signal.SIGTERM)
    assert waiting.exit_code() == 0
    assert "a second time" not in waiting.log.read_text()
