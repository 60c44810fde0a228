"""`hbeacon coordinator` from the command line to its exit code."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient

from registry.cli.coordinator import EPILOG
from registry.config.settings import BadSetting, load_settings
from registry.coordinator.settings import role_settings
from tests.support.processes import children, free_ports, wait_for
from tests.support.zookeeper import HOST, four_letters

ROOT = Path(__file__).parent.parent.parent
HEAVY = ("google.protobuf", "kazoo", "fastapi", "grpc", "rich", "jinja2", "uvicorn", "prometheus_client", "watchfiles")
READY = re.compile(r"hbeacon coordinator ready zookeeper=127\.0\.0\.1:(\d+) http=off\n")


class Command:
    """The command with its words; standard output and error are kept."""

    def __init__(self, *words: str, env: dict[str, str] | None = None) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "registry.cli.main", "coordinator", *words],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ready_port(self) -> int:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        found = READY.fullmatch(line)
        assert found, line or self.popen.communicate(timeout=10)[1]
        return int(found.group(1))

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Exit code and standard error."""
        if number is not None:
            self.popen.send_signal(number)
        _, errors = self.popen.communicate(timeout=15)
        return self.popen.returncode, errors

    def kill(self) -> None:
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.communicate(timeout=10)


@pytest.fixture
def commands() -> Iterator[list[Command]]:
    made: list[Command] = []
    yield made
    for each in made:
        each.kill()


def started(commands: list[Command], *words: str) -> tuple[Command, int]:
    made = Command(*(words if "--listen" in words else (*words, "--listen", f"{HOST}:0")))
    commands.append(made)
    return made, made.ready_port()


def connected(port: int, **more: Any) -> Any:
    made: Any = KazooClient(f"{HOST}:{port}", timeout=10, **more)
    made.start(timeout=10)
    return made


def test_it_says_when_it_serves_and_ends_as_told(commands: list[Command]) -> None:
    began_s = time.monotonic()
    command, port = started(commands)
    print(f"ready after {(time.monotonic() - began_s) * 1000:.0f} ms")
    assert four_letters(port, "srvr").startswith("Zookeeper version: 3.9.4-hbeacon-")
    client = connected(port)
    client.create("/a", b"")
    code, errors = command.end(signal.SIGTERM)
    client.stop()
    client.close()
    assert code == 0
    assert "one node without a quorum, in memory: all is gone when it ends" in errors
    assert errors.endswith("registry.coordinator: stopped\n")


def test_a_port_in_use_ends_it_and_names_the_flag(commands: list[Command]) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        command = Command("--listen", f"{HOST}:{taken.getsockname()[1]}")
        commands.append(command)
        code, errors = command.end()
    assert code == 3
    assert errors.startswith("hbeacon coordinator: cannot listen on 127.0.0.1:")
    assert "choose another with --listen HOST:PORT" in errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--listen", "nonsense"), "hbeacon.coordinator.address"),
        (("--set", "hbase.zookeeper.property.tickTime=0"), "hbase.zookeeper.property.tickTime"),
        (("--log-level", "loud"), "hbeacon.log.level"),
    ],
)
def test_bad_settings_end_it(commands: list[Command], words: tuple[str, ...], sentence: str) -> None:
    command = Command(*words)
    commands.append(command)
    code, errors = command.end()
    assert code == 2
    assert sentence in errors
    assert len(errors.splitlines()) == 1


def test_data_that_cannot_be_used_ends_it(commands: list[Command], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    command = Command("--data-dir", str(tmp_path / "file"), "--listen", f"{HOST}:0")
    commands.append(command)
    code, errors = command.end()
    assert code == 4, errors
    assert str(tmp_path / "file") in errors
    assert len(errors.splitlines()) == 1


def test_acknowledged_writes_and_sessions_survive_kill_9(commands: list[Command], tmp_path: Path) -> None:
    address = f"{HOST}:{free_ports(HOST, 1)[0]}"
    words = ("--listen", address, "--data-dir", str(tmp_path / "data"))
    command, port = started(commands, *words)
    client = connected(port)
    client.create("/kept", b"value")
    client.create("/mine", b"", ephemeral=True)
    session = client.client_id
    os.kill(command.popen.pid, signal.SIGKILL)
    command.popen.wait(10)
    started(commands, *words)
    assert client.retry(client.get, "/kept")[0] == b"value"
    assert client.exists("/mine").owner_session_id == session[0], "the client came back with its session"
    assert client.client_id == session
    assert "on disk" in four_letters(port, "srvr")
    client.stop()
    client.close()


def test_two_on_one_directory_are_one_too_many(commands: list[Command], tmp_path: Path) -> None:
    started(commands, "--data-dir", str(tmp_path))
    second = Command("--data-dir", str(tmp_path), "--listen", f"{HOST}:0")
    commands.append(second)
    code, errors = second.end()
    assert code == 4
    assert str(tmp_path) in errors


def test_the_files_of_hbase_are_understood(commands: list[Command], tmp_path: Path) -> None:
    port = free_ports(HOST, 1)[0]
    properties = {
        "clientPort": port,
        "tickTime": 700,
        "maxSessionTimeout": 33_000,
        "dataDir": tmp_path / "zookeeper",
        "4lw.commands.whitelist": "conf",
        "maxClientCnxns": 44,
    }
    lines = "".join(
        f"<property><name>hbase.zookeeper.property.{name}</name><value>{value}</value></property>"
        for name, value in properties.items()
    )
    (tmp_path / "hbase-site.xml").write_text(f"<configuration>{lines}</configuration>")
    command = Command("--conf", str(tmp_path))
    commands.append(command)
    assert command.ready_port() == port
    conf = dict(line.split("=", 1) for line in four_letters(port, "conf").splitlines())
    assert (conf["tickTime"], conf["minSessionTimeout"], conf["maxSessionTimeout"]) == ("700", "1400", "33000")
    assert conf["maxClientCnxns"] == "44"
    assert conf["dataDir"] == str(tmp_path / "zookeeper" / "hbeacon-coordinator")
    assert (tmp_path / "zookeeper" / "hbeacon-coordinator").is_dir()


def test_session_bounds_without_and_with_a_tick() -> None:
    prefix = "hbase.zookeeper.property."
    plain = role_settings(load_settings(environ={})).machine
    assert (plain.tick_ms, plain.session_timeout_ms_min, plain.session_timeout_ms_max) == (500, 1000, 60_000)
    ticked = role_settings(load_settings({prefix + "tickTime": "2000"}, environ={})).machine
    assert (ticked.session_timeout_ms_min, ticked.session_timeout_ms_max) == (4000, 40_000)
    flags = {prefix + "minSessionTimeout": "5000", prefix + "maxSessionTimeout": "4000"}
    with pytest.raises(BadSetting, match="maxSessionTimeout"):
        role_settings(load_settings(flags, environ={}))


def test_it_loads_only_what_it_needs() -> None:
    code = "import sys, registry.cli.coordinator, registry.coordinator.process; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "registry.coordinator.machine" in loaded
    assert not [name for name in HEAVY if name in loaded]


def test_a_guard_needs_a_directory(commands: list[Command]) -> None:
    command = Command("--guard", "on", "--listen", f"{HOST}:0")
    commands.append(command)
    code, errors = command.end()
    assert code == 2
    assert "--data-dir" in errors


@pytest.mark.chaos
def test_under_a_guard_sessions_survive_a_worker_that_hangs(commands: list[Command], tmp_path: Path) -> None:
    command, port = started(commands, "--guard", "on", "--data-dir", str(tmp_path))
    client = connected(port)
    client.create("/mine", b"", ephemeral=True)
    session = client.client_id
    (worker,) = children(command.popen.pid)
    with socket.create_connection((HOST, port), timeout=20) as waits:
        waits.sendall(bytes(2))  # the beginning of a request
        time.sleep(0.1)
        os.kill(worker, signal.SIGSTOP)
        stopped_s = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert waits.recv(1) == b""
        assert time.monotonic() - stopped_s < 5, "who waits is reset after about a second"
    wait_for("another worker", lambda: children(command.popen.pid) not in ([worker], []), 10)
    assert client.retry(client.exists, "/mine").owner_session_id == session[0]
    assert client.client_id == session
    client.stop()
    client.close()
    assert command.end(signal.SIGTERM)[0] == 0


def test_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    from registry.cli.main import main

    with pytest.raises(SystemExit):
        main(["coordinator", "--help"])
    text = capsys.readouterr().out
    for word in ("--listen HOST:PORT", "--data-dir DIR", "quorum", "exit codes", "hbase.zookeeper.quorum"):
        assert word in text
    assert EPILOG in text
