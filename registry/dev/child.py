"""One forked role: how it is started from the loaded parent, and what the parent keeps of it.

A child is forked and never executes another program: it begins with every module loaded and shares their memory. It
takes three pipes along: its standard output (the ready line tells the parent that it can answer), and the two of the
guard's link (registry.guard): its beats with what it wishes to keep for its next life, and the parent's life. Where the
kernel can (Linux), it is tied to the parent's death as well.

Source: fork(2), prctl(2) PR_SET_PDEATHSIG and PR_SET_NAME.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from registry.config.settings import BadSetting
from registry.exits import BAD_SETTING, FAILED
from registry.guard import LINE_BYTES_MAX, LINK_VARIABLE, Silence
from registry.guarded import die_with_guard
from registry.names import Address

PR_SET_NAME = 15
NAME_BYTES_MAX = 15
"""Of a process, as ps and top show it."""
READ_BYTES = 65536
OF_THE_SERVICE_MANAGER = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""The parent is the service; what one role tells is not what all of them are."""
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD)
"""By the parent. A child that is told to end before it has forgotten those handlers would hear nothing: they are held
back until then."""

Serve = Callable[[Mapping[str, socket.socket]], int]
"""Runs in the child: serves on the given sockets, by flag, until stopped, and gives the exit code."""


@dataclass(frozen=True, slots=True)
class Role:
    """What to run."""

    name: str
    """As people read it: `coordinator`, `master0`."""
    serve: Serve
    doors: Mapping[str, Address]
    """The real addresses by flag: the next life listens there again."""
    ends_with: frozenset[int]
    """Exit codes that another start would only repeat."""


@dataclass(slots=True)
class Child:
    """One role and the process that runs it, as the parent sees them."""

    role: Role
    pid: int = 0
    """0: none runs."""
    out_fd: int = -1
    beats_fd: int = -1
    life_fd: int = -1
    is_ready: bool = False
    said: set[str] = field(default_factory=set[str])
    """Words of this life beyond its ready line, such as `initialized` of an active master."""
    starts: int = 0
    failed_starts: int = 0
    """In a row."""
    started_ms: float = 0.0
    restart_ms: float | None = None
    """When it is to be started again."""
    stays_down: bool = False
    """What ends it next is meant to: it is not started again by itself."""
    kept: str = ""
    """What the last life asked to keep for the next."""
    reason: str = ""
    """Why the last life ended."""
    silence: Silence = field(default_factory=lambda: Silence(0))
    hung: str = ""
    """Why the parent has killed it; empty where it has not."""
    _out: bytes = b""
    _beats: bytes = field(default=b"")

    def parents_fds(self) -> list[int]:
        """The parent's ends of its pipes, which no child may hold."""
        return [fd for fd in (self.out_fd, self.beats_fd, self.life_fd) if fd >= 0]

    def close(self) -> None:
        """Close the parent's ends."""
        for fd in self.parents_fds():
            os.close(fd)
        self.out_fd = self.beats_fd = self.life_fd = -1
        self._out = self._beats = b""

    def read_out(self) -> list[str]:
        """Whole lines of its standard output."""
        *lines, self._out = (self._out + self._read("out_fd")).split(b"\n")
        self._out = self._out[-LINE_BYTES_MAX:]
        return [line.decode("utf-8", "replace") for line in lines]

    def read_beats(self) -> None:
        """Take its beats, and what it asks to keep."""
        *lines, self._beats = (self._beats + self._read("beats_fd")).split(b"\n")
        self._beats = self._beats[-LINE_BYTES_MAX:]
        beaten = False
        for line in lines:
            word, _, rest = line.partition(b" ")
            if word == b"keep":
                self.kept = rest[:LINE_BYTES_MAX].decode("ascii", "replace")
            elif word == b"say":
                self.said.add(rest.decode("ascii", "replace"))
            else:
                beaten |= self.silence.take(line)
        if beaten:
            self.silence.heard()

    def _read(self, name: str) -> bytes:
        fd: int = getattr(self, name)
        if fd < 0:
            return b""
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:  # it has ended, or is about to
            os.close(fd)
            setattr(self, name, -1)
        return data


def fork(
    child: Child,
    listeners: Mapping[str, socket.socket],
    foreign: Iterable[int],
    *,
    now_ms: float,
    wall_ms: float,
) -> None:
    """Start the role in a process of its own. `foreign`: descriptors of the parent's that it must not hold.

    No thread and no loop may exist in the parent. Returns in the parent only.
    """
    out_fd, out_child = os.pipe()
    beats_fd, beats_child = os.pipe()
    life_child, life_fd = os.pipe()
    for fd in (out_fd, beats_fd):
        os.set_blocking(fd, False)
    restart_wall_ms = int(wall_ms) if child.starts else 0
    link = (beats_child, life_child, os.getpid(), child.starts, restart_wall_ms, child.reason, child.kept)
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()  # what is loaded stays out of every child's collections, and its pages stay shared
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        pid = os.fork()
        if pid == 0:
            foreign = [out_fd, beats_fd, life_fd, *foreign]
            _live(child.role, listeners, foreign, out_child, "|".join(map(str, link)), mask)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for fd in (out_child, beats_child, life_child):
        os.close(fd)
    with contextlib.suppress(OSError):  # the child does the same; whoever comes first
        os.setpgid(pid, pid)
    child.pid, child.out_fd, child.beats_fd, child.life_fd = pid, out_fd, beats_fd, life_fd
    child.is_ready = False
    child.said.clear()
    child.silence, child.hung = Silence(pid, child.silence.timeout_ms), ""
    child.starts += 1
    child.started_ms = now_ms
    child.restart_ms = None


def ending(status: int) -> tuple[int | None, str]:
    """The exit code (None where a signal ended it) and the words for it."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return None, f"was ended by {signal.Signals(number).name}"
        except ValueError:
            return None, f"was ended by signal {number}"
    code = os.WEXITSTATUS(status)
    return code, f"ended with exit code {code}"


def _live(
    role: Role,
    listeners: Mapping[str, socket.socket],
    foreign: Iterable[int],
    out_fd: int,
    link: str,
    mask: Iterable[int],
) -> NoReturn:
    """The child's whole life, from fork to _exit: nothing of the parent's may run on in it."""
    code = FAILED
    try:
        parent_pid = int(link.split("|", 3)[2])
        # A group of its own: Ctrl-C in a terminal reaches the parent alone, which ends its children in order.
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        die_with_guard(parent_pid)
        for fd in foreign:
            os.close(fd)
        os.dup2(out_fd, 1)
        os.close(out_fd)
        for name in OF_THE_SERVICE_MANAGER:
            os.environ.pop(name, None)
        os.environ[LINK_VARIABLE] = link
        threading.current_thread().name = role.name  # the log's context
        _name_process(role.name)
        gc.enable()
        code = role.serve(listeners)
    except BadSetting as error:
        sys.stderr.write(f"hbeacon dev: {role.name}: {error}\n")
        code = BAD_SETTING
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else FAILED
    except BaseException:  # noqa: BLE001  nothing may escape into the parent's code
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _name_process(name: str) -> None:
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_NAME, f"hbeacon-{name}"[:NAME_BYTES_MAX].encode(), 0, 0, 0)
