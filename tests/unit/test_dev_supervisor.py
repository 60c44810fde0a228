"""The parent of `hbeacon dev`: order, restarts, back-off, signals, exit codes, and what no child may hold."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.processes import accepts, wait_for

ROOT = Path(__file__).parent.parent.parent
SERVING = [[["coordinator", "serve"]], [["master0", "serve"], ["master1", "serve"]]]


class Scripted:
    """A supervisor with scripted roles in a process of its own."""

    def __init__(self, stages: Sequence[Sequence[Sequence[str]]], directory: Path, *more: str) -> None:
        self.events_path = directory / "events"
        self.events_path.touch()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.scripted_roles", json.dumps(stages), str(self.events_path), *more],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def events(self, pattern: str = ".*") -> list[re.Match[str]]:
        return [match for line in self.events_path.read_text().splitlines() if (match := re.fullmatch(pattern, line))]

    def lives(self, name: str) -> list[re.Match[str]]:
        words = (
            r"pid=(?P<pid>\d+)",
            r"ports=(?P<port>\d+)",
            r"life=(?P<life>\d+)",
            "kept='(?P<kept>.*)'",
            "why='(?P<why>.*)'",
        )
        return self.events(" ".join((name, "start", *words)))

    def pid(self, name: str) -> int:
        return int(self.lives(name)[-1]["pid"])

    def wait_ready(self) -> Scripted:
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], 10)[0]
        assert self.process.stdout.readline() == "all ready\n", self.end()
        return self

    def wait_life(self, name: str, count: int) -> re.Match[str]:
        return wait_for(
            f"life {count} of {name}",
            lambda: self.lives(name)[count - 1] if len(self.lives(name)) >= count else None,
            10,
        )

    def end(self, timeout_s: float = 10) -> tuple[int, str]:
        """Exit code and log."""
        _, log = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, log


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Scripted]]:
    made: list[Scripted] = []
    yield made
    for each in made:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate(timeout=10)


def start(started: list[Scripted], tmp_path: Path, stages: Sequence[Sequence[Sequence[str]]], *more: str) -> Scripted:
    started.append(Scripted(stages, tmp_path, *more))
    return started[-1]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_term_ends_masters_before_the_coordinator(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, SERVING).wait_ready()
    dev.process.send_signal(signal.SIGTERM)
    code, log = dev.end()
    assert code == 0, log
    ends = [match[1] for match in dev.events(r"(\w+) end")]
    assert sorted(ends[:2]) == ["master0", "master1"]
    assert ends[2:] == ["coordinator"]


def test_region_servers_end_after_the_masters_that_were_started_before_them(
    started: list[Scripted], tmp_path: Path
) -> None:
    stages = [[["coordinator", "serve"]], [["master0", "serve"]], [["rs0", "serve"], ["rs1", "serve"]]]
    dev = start(started, tmp_path, stages, "outlives").wait_ready()
    dev.process.send_signal(signal.SIGTERM)
    code, log = dev.end()
    assert code == 0, log
    ends = [match[1] for match in dev.events(r"(\w+) end")]
    assert ends[0] == "master0"
    assert sorted(ends[1:3]) == ["rs0", "rs1"]
    assert ends[3:] == ["coordinator"]


def test_ready_waits_for_the_word_of_one_of_them(started: list[Scripted], tmp_path: Path) -> None:
    stages = [[["coordinator", "serve"]], [["master0", "serve"], ["master1", "say 300"]]]
    dev = start(started, tmp_path, stages, "awaits").wait_ready()
    assert dev.events("master1 says")


def test_each_child_holds_its_own_socket_alone_and_the_parent_none(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, SERVING).wait_ready()
    assert len(dev.events(r".* sockets=1")) == 3
    port = int(dev.lives("master0")[0]["port"])
    os.kill(dev.pid("master0"), signal.SIGKILL)
    # nobody else holds the socket: in between, clients are refused instead of waiting behind nobody
    wait_for("a refused connection", lambda: not accepts("127.0.0.1", port) or len(dev.lives("master0")) > 1, 5, 0.001)
    dev.wait_life("master0", 2)
    wait_for("the next life on the same port", lambda: accepts("127.0.0.1", port), 5)


def test_what_dies_is_started_again_on_its_port_and_told_why(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, SERVING).wait_ready()
    os.kill(dev.pid("master1"), signal.SIGKILL)
    second = dev.wait_life("master1", 2)
    assert second["port"] == dev.lives("master1")[0]["port"]
    assert second["life"] == "1"
    assert second["kept"] == "life-0"
    assert "SIGKILL" in second["why"]
    os.kill(dev.pid("coordinator"), signal.SIGKILL)
    dev.wait_life("coordinator", 2)
    dev.process.terminate()
    code, log = dev.end()
    assert code == 0
    assert "master1 (pid" in log
    assert "was ended by SIGKILL: it is started again in 100 ms" in log
    assert len(dev.lives("master0")) == 1


def test_it_waits_longer_after_each_short_life(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, SERVING).wait_ready()
    for life in (1, 2, 3):
        dev.wait_life("master0", life)
        time.sleep(0.05)
        os.kill(dev.pid("master0"), signal.SIGKILL)
    dev.wait_life("master0", 4)
    dev.process.terminate()
    _, log = dev.end()
    assert re.findall(r"again in (\d+) ms", log) == ["100", "200", "400"]


def test_a_few_deaths_before_it_is_ready_are_borne(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, [[["coordinator", "serve"]], [["master0", "die 2"]]]).wait_ready()
    assert len(dev.lives("master0")) == 3


@pytest.mark.parametrize(("does", "code"), [("exit 0", 1), ("exit 1", 1), ("raise", 1), ("die 99", 1)])
def test_who_never_gets_ready_ends_it(started: list[Scripted], tmp_path: Path, does: str, code: int) -> None:
    dev = start(started, tmp_path, [[["coordinator", "serve"]], [["master0", does], ["master1", "serve"]]])
    ended, log = dev.end()
    assert ended == code, log
    assert len(dev.lives("master0")) == 3
    assert "before it was ready, once too often: ending" in log
    assert ("RuntimeError: as planned" in log) == (does == "raise")
    assert not any(is_alive(int(life["pid"])) for name in ("coordinator", "master1") for life in dev.lives(name))


@pytest.mark.parametrize(("does", "code"), [("exit 4", 4), ("exit 2", 2), ("bad", 2)])
def test_what_another_start_would_repeat_ends_it_at_once(
    started: list[Scripted], tmp_path: Path, does: str, code: int
) -> None:
    dev = start(started, tmp_path, [[["coordinator", "serve"]], [["master0", "serve"], ["master1", does]]])
    ended, log = dev.end()
    assert ended == code, log
    assert len(dev.lives("master1")) == 1
    # on a busy machine it was told to end before it could say that it lives
    assert not [life for life in dev.lives("coordinator") if is_alive(int(life["pid"]))]
    assert ("hbase.masters = 'x' (from a test): as planned" in log) == (does == "bad")


def test_a_second_signal_ends_all_at_once(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, [[["coordinator", "serve"]], [["master0", "deaf"]]]).wait_ready()
    dev.process.send_signal(signal.SIGINT)
    dev.process.send_signal(signal.SIGINT)  # one wish, told twice in one moment
    time.sleep(0.3)
    assert dev.process.poll() is None
    dev.process.send_signal(signal.SIGINT)
    code, log = dev.end()
    assert code == 0
    assert "did not end within" not in log, "nobody was waited for"
    assert not dev.events("coordinator end")
    assert not is_alive(dev.pid("coordinator"))
    assert not is_alive(dev.pid("master0"))


def test_who_does_not_end_is_killed_and_the_others_end_in_order(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, [[["coordinator", "serve"]], [["master0", "deaf"], ["master1", "serve"]]])
    dev.wait_ready().process.terminate()
    code, log = dev.end()
    assert code == 0
    assert "master0 did not end within 1000 ms: killed" in log
    assert [match[1] for match in dev.events(r"(\w+) end")] == ["master1", "coordinator"]


def test_who_is_told_to_end_before_its_first_line_ends(started: list[Scripted], tmp_path: Path) -> None:
    """Its handlers are the parent's until then, and would swallow the signal."""
    code, log = start(started, tmp_path, [[[f"master{number}", "serve"] for number in range(8)]], "ends").end()
    assert code == 0
    assert "killed" not in log, log


def test_one_that_was_stopped_ends_too(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, SERVING).wait_ready()
    os.kill(dev.pid("master0"), signal.SIGSTOP)
    dev.process.terminate()
    code, log = dev.end()
    assert (code, "killed" in log) == (0, False)
    assert len(dev.events(r"\w+ end")) == 3


def test_the_death_of_the_parent_ends_all(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, SERVING).wait_ready()
    pids = [dev.pid(name) for name in ("coordinator", "master0", "master1")]
    os.kill(pids[1], signal.SIGSTOP)
    dev.process.kill()
    dev.process.communicate(timeout=10)
    wait_for("the end of all children", lambda: not any(map(is_alive, pids)), 5)


def test_hup_goes_to_the_children_or_is_the_end_of_a_terminal(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, SERVING).wait_ready()
    dev.process.send_signal(signal.SIGHUP)
    wait_for("HUP in all", lambda: len(dev.events(r"\w+ HUP")) == 3, 5)
    assert dev.process.poll() is None
    (tmp_path / "terminal").mkdir()
    other = start(started, tmp_path / "terminal", SERVING, "hangup").wait_ready()
    other.process.send_signal(signal.SIGHUP)
    assert other.end()[0] == 0


def test_a_port_that_was_taken_meanwhile_is_waited_for(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, SERVING).wait_ready()
    port = int(dev.lives("master0")[0]["port"])
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        os.kill(dev.pid("master0"), signal.SIGKILL)

        def taken() -> bool:
            try:
                thief.bind(("127.0.0.1", port))
                thief.listen()
            except OSError:
                return False
            return True

        wait_for("the port", taken, 5, 0.001)
        time.sleep(0.4)
        assert len(dev.lives("master0")) == 1
    dev.wait_life("master0", 2)
    dev.process.terminate()
    code, log = dev.end()
    assert code == 0
    assert f"master0: cannot listen on 127.0.0.1:{port}: the port is in use" in log


def test_what_stands_still_is_replaced_where_a_guard_was_asked_for(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, SERVING, "guards").wait_ready()
    for count, name in enumerate(("master1", "coordinator"), 1):
        first = dev.lives(name)[0]
        with socket.create_connection(("127.0.0.1", int(first["port"])), timeout=10) as client:
            os.kill(int(first["pid"]), signal.SIGSTOP)
            stopped_s = time.monotonic()
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
            assert 0.3 < time.monotonic() - stopped_s < 5, "the time-out of scripted roles is 0.6 s"
        second = dev.wait_life(name, 2)
        assert second["port"] == first["port"]
        assert second["kept"] == "life-0"
        assert second["why"].startswith("silent for ")
        assert len(dev.events(r".* start .*")) == 3 + count, "the others go on"
    dev.process.terminate()
    code, log = dev.end()
    assert code == 0
    assert "master1 (pid " in log
    assert "is killed: silent for" in log


@pytest.mark.chaos
def test_what_stalls_writes_its_stacks_first(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, [[["coordinator", "serve"], ["master0", "stall 1"]]], "guards").wait_ready()
    assert dev.wait_life("master0", 2)["why"].startswith("silent for ")
    assert len(dev.events("master0 stacks")) == 1
    time.sleep(1.0)
    assert len(dev.lives("master0")) == 2, "who beats is left alone"
    assert len(dev.lives("coordinator")) == 1


@pytest.mark.chaos
def test_without_a_guard_a_debugger_may_take_its_time(started: list[Scripted], tmp_path: Path) -> None:
    dev = start(started, tmp_path, SERVING).wait_ready()
    os.kill(dev.pid("master0"), signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(dev.pid("master0"), signal.SIGCONT)
    assert len(dev.lives("master0")) == 1


@pytest.mark.chaos
def test_a_frozen_parent_kills_nobody_after_the_thaw(started: list[Scripted], tmp_path: Path) -> None:
    patient = [[["coordinator", "serve 2000"]], [["master0", "serve 2000"], ["master1", "serve 2000"]]]
    dev = start(started, tmp_path, patient, "guards").wait_ready()
    pid = dev.pid("master0")
    for each in (dev.process.pid, pid):
        os.kill(each, signal.SIGSTOP)
    time.sleep(3.0)
    os.kill(dev.process.pid, signal.SIGCONT)
    time.sleep(0.05)
    os.kill(pid, signal.SIGCONT)
    time.sleep(3.0)
    assert len(dev.lives("master0")) == 1
