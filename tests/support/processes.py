"""Child processes of the tests: each leads a group of its own, logs to a file and dies with the test run."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

SERVER_PORTS = (18_000, 32_000)


class MissingToolError(Exception):
    """A program or a jar that the test needs is not on this machine; the message names it and how to get it."""


def tool(name: str) -> str:
    """The path of a program; MissingToolError names tests/setup.sh as the cure."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if path is None:
        raise MissingToolError(f"{name} is not on this machine: run tests/setup.sh, which installs it")
    return path


def free_ports(host: str, count: int) -> list[int]:
    """Ports that are free on the address now; all are held until the last is known, so none comes twice.

    They lie below the range from which the kernel takes the near ends of connections: who polls a port of that range
    on loopback until somebody listens may be given the very port, connects to himself, and keeps the server out.
    """
    chance = random.SystemRandom()  # runs beside each other must not choose alike
    held: dict[int, socket.socket] = {}
    try:
        for _ in range(1000):
            if len(held) == count:
                return list(held)
            candidate = socket.socket()
            port = chance.randrange(*SERVER_PORTS)
            try:
                candidate.bind((host, port))
                held[port] = candidate
            except OSError:
                candidate.close()
        raise AssertionError(f"no {count} free ports on {host}")
    finally:
        for each in held.values():
            each.close()


def wait_for(what: str, probe: Callable[[], T | None], timeout_s: float, pause_s: float = 0.05) -> T:
    """The first answer of the probe that is neither None nor False, or AssertionError that says what never came."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = probe()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(pause_s)


def accepts(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Whether something listens there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


class ManagedProcess:
    """A child process. `log` holds its standard error, and its standard output too unless that is a pipe."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        enter: Sequence[str] = (),
        pipes: bool = False,
    ) -> None:
        """Starts at once. `enter` goes before the command (a network namespace); `pipes`: stdin and stdout as text."""
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as sink:
            # setpriv: a test run that is killed outright leaves no server behind
            self.popen = subprocess.Popen(
                [*enter, tool("setpriv"), "--pdeathsig", "KILL", *argv],
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else sink,
                stderr=sink,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                text=True,
            )
        self.pid = self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """To this process alone, not to its children."""
        self.popen.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the whole group, and wait."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._reap(10)

    def stop(self, grace_s: float = 10.0) -> int:
        """SIGTERM, then SIGKILL to what is left of the group. The exit code."""
        if self.running:
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(grace_s)
        self.kill()
        return self.popen.returncode

    def said(self) -> list[str]:
        """The lines of its standard output, where that is a pipe: a list that grows while it speaks."""
        lines: list[str] = []
        threading.Thread(target=self._hear, args=(lines,), daemon=True).start()
        return lines

    def _hear(self, lines: list[str]) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            lines.append(line.rstrip())

    def _reap(self, timeout_s: float) -> None:
        self.popen.wait(timeout_s)
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def tail(self, lines: int = 30) -> str:
        """The end of the log, for messages of failed assertions."""
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join(line[:400] for line in text[-lines:])


def resident_bytes(pid: int) -> int:
    """What the process has in memory now. Source: proc(5), /proc/pid/statm."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def children(pid: int) -> list[int]:
    """The direct children of a process. Source: proc(5), /proc/pid/task/tid/children."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in path.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
