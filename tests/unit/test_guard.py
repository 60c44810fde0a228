"""The guard with real processes: whatever holds a worker, its clients are reset and another one answers."""

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

import pytest

from registry import guard
from registry.guarded import GuardLink

WORKER = Path(__file__).parent.parent / "support" / "guarded_worker.py"
PATIENCE_S = 10.0
RESET_S_MAX = 3.0
"""The worker's time-out is 0.3 s; the rest is for a busy machine."""


class Guarded:
    """A guard with a worker of tests.support.guarded_worker."""

    def __init__(self, *arguments: str, timeout_ms: int = 300) -> None:
        command = [sys.executable, "-I", "-S", guard.__file__, sys.executable, "-P", str(WORKER), *arguments]
        environ = {key: value for key, value in os.environ.items() if key != guard.LINK_VARIABLE}
        environ["GUARDED_WORKER_TIMEOUT_MS"] = str(timeout_ms)
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ, start_new_session=True
        )
        self.port = 0

    def next_worker(self) -> tuple[int, int, str]:
        """Process id, count of restarts, and reason, as the next worker prints them."""
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline().strip()) == "HUP":
            pass
        assert line, self.process.communicate(timeout=PATIENCE_S)
        port, pid, restarts, *reason = line.split(" ", 3)
        self.port = self.port or int(port)
        assert int(port) == self.port, "the port must outlive a worker"
        return int(pid), int(restarts), reason[0] if reason else ""

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def ask(self) -> int:
        with self.connect() as client:
            client.sendall(b"?")
            return int(client.recv(100))

    def end(self) -> str:
        if self.process.poll() is None:
            self.process.kill()
        _, err = self.process.communicate(timeout=PATIENCE_S)
        return err


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    made = Guarded("0")
    try:
        yield made
    finally:
        made.end()


def gone(pid: int) -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":  # nobody waits for an orphan where there is no init
            return True
        time.sleep(0.01)
    return False


def reset_after_s(client: socket.socket) -> float:
    start_s = time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(100) == b""
    return time.monotonic() - start_s


def test_a_stopped_worker_is_replaced_and_its_clients_are_reset(guarded: Guarded) -> None:
    pid, restarts, _ = guarded.next_worker()
    assert (restarts, guarded.ask()) == (0, pid)
    with guarded.connect() as client:
        os.kill(pid, signal.SIGSTOP)
        client.sendall(b"?")
        assert reset_after_s(client) < RESET_S_MAX
    new_pid, restarts, reason = guarded.next_worker()
    assert new_pid != pid
    assert restarts == 1
    assert reason.startswith("silent for")
    assert guarded.ask() == new_pid


def test_a_worker_in_an_endless_loop_is_replaced(guarded: Guarded) -> None:
    pid, *_ = guarded.next_worker()
    with guarded.connect() as client:
        client.sendall(b"stall")
        assert reset_after_s(client) < RESET_S_MAX
    new_pid, _, _ = guarded.next_worker()
    assert new_pid != pid
    assert guarded.ask() == new_pid


@pytest.mark.parametrize("how", ["kill", "crash"])
def test_a_worker_that_dies_is_replaced_at_once(guarded: Guarded, how: str) -> None:
    pid, *_ = guarded.next_worker()
    if how == "kill":
        os.kill(pid, signal.SIGKILL)
    else:
        with guarded.connect() as client:
            client.sendall(b"crash")
    new_pid, restarts, reason = guarded.next_worker()
    assert (restarts, reason) == (1, "ended by signal 9" if how == "kill" else "ended with exit code 1")
    assert guarded.ask() == new_pid


@pytest.mark.parametrize("stopped", [False, True])
def test_the_worker_ends_with_the_guard(guarded: Guarded, stopped: bool) -> None:
    pid, *_ = guarded.next_worker()
    if stopped:  # it cannot notice anything by itself
        os.kill(pid, signal.SIGSTOP)
    guarded.process.kill()
    assert gone(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_being_told_to_stop_is_passed_on(guarded: Guarded, number: int) -> None:
    pid, *_ = guarded.next_worker()
    guarded.process.send_signal(number)
    assert guarded.process.wait(PATIENCE_S) == 0
    assert gone(pid)


def test_ctrl_c_in_a_terminal_stops_once(guarded: Guarded) -> None:
    """The terminal signals the whole foreground group; a worker that heard it too would take it for the second one."""
    pid, *_ = guarded.next_worker()
    os.killpg(guarded.process.pid, signal.SIGINT)
    assert guarded.process.wait(PATIENCE_S) == 0
    assert gone(pid)
    assert "KeyboardInterrupt" not in guarded.end()


def test_a_worker_that_hangs_while_stopping_does_not_hold_the_guard(guarded: Guarded) -> None:
    pid, *_ = guarded.next_worker()
    os.kill(pid, signal.SIGSTOP)
    guarded.process.send_signal(signal.SIGTERM)
    assert guarded.process.wait(PATIENCE_S) == 1
    assert gone(pid)


def test_hup_is_passed_on(guarded: Guarded) -> None:
    guarded.next_worker()
    guarded.process.send_signal(signal.SIGHUP)
    assert guarded.process.stdout is not None
    assert guarded.process.stdout.readline() == "HUP\n"


@pytest.mark.chaos
def test_a_frozen_guard_kills_nobody_after_the_thaw() -> None:
    """A suspended machine or a paused container stops guard and worker; the worker must get time to beat again."""
    made = Guarded("0", timeout_ms=2000)
    try:
        pid, *_ = made.next_worker()
        for process in (made.process.pid, pid):
            os.kill(process, signal.SIGSTOP)
        time.sleep(3.0)
        os.kill(made.process.pid, signal.SIGCONT)
        time.sleep(0.1)
        os.kill(pid, signal.SIGCONT)
        time.sleep(3.0)
        assert made.ask() == pid
    finally:
        made.end()


@pytest.mark.parametrize("code", [0, 2, 3, 4])
def test_codes_that_another_start_would_repeat_end_the_guard(code: int) -> None:
    made = Guarded("0", str(code))
    try:
        assert made.process.wait(PATIENCE_S) == code
    finally:
        made.end()


def test_a_worker_that_cannot_start_is_not_started_in_a_storm() -> None:
    made = Guarded("0", "1")
    begun_s, pauses_ms = time.monotonic(), list[int]()
    try:
        assert made.process.stderr is not None
        while len(pauses_ms) < 4:
            pauses_ms += map(int, re.findall(r"next one in (\d+) ms", made.process.stderr.readline()))
        assert time.monotonic() - begun_s >= 0.3, "it did wait"
        assert made.process.poll() is None
        made.process.terminate()
        assert made.process.wait(PATIENCE_S) == 0
    finally:
        made.end()
    assert pauses_ms == [0, 100, 200, 400]


def test_a_worker_that_waits_for_a_processor_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    made = guard.Silence(1, 1000)
    made.has_beaten = True
    made.silent_ms, made.starved_ms_before = 1100.0, 50_000.0
    waited = {1: 0.0}
    monkeypatch.setattr(guard, "starved_ms", waited.__getitem__)
    for waited_ms, hangs in ((50_000.0, True), (50_050.0, True), (50_200.0, False)):
        waited[1] = waited_ms
        assert made.is_too_long() is hangs
    made.silent_ms, waited[1] = 3100.0, 90_000.0
    assert made.is_too_long(), "there is an end to patience"
    monkeypatch.undo()
    assert guard.starved_ms(os.getpid()) >= 0.0
    assert guard.starved_ms(2**22 + 1) == 0.0


def test_the_guard_is_small(guarded: Guarded) -> None:
    guarded.next_worker()
    rollup = Path(f"/proc/{guarded.process.pid}/smaps_rollup").read_text()
    pss_kib = int(rollup.partition("\nPss:")[2].split()[0])
    assert pss_kib < 8 * 1024
    modules = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import runpy, sys; runpy.run_path({guard.__file__!r}); print(*sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"asyncio", "logging", "argparse", "socket", "dataclasses", "threading"} & set(modules)


def test_the_link_is_taken_once() -> None:
    read_fd, write_fd = os.pipe()
    try:
        environ = {guard.LINK_VARIABLE: f"{write_fd}|{read_fd}|1|2|3|silent|16000 a|b"}
        link = GuardLink.take(environ)
        assert link is not None
        assert (link.guard_pid, link.restarts, link.reason, link.kept) == (1, 2, "silent", "16000 a|b")
        assert environ == {}
        assert GuardLink.take(environ) is None
    finally:
        os.close(read_fd)
        os.close(write_fd)
