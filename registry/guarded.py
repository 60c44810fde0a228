"""The worker's end of the guard (registry.guard): beats from the loop, and an end when the guard ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

from registry.guard import BEATS_PER_TIMEOUT, LINE_BYTES_MAX, LINK_VARIABLE

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class GuardLink:
    """What the guard told this worker when it started it."""

    beat_fd: int
    life_fd: int
    guard_pid: int
    restarts: int
    """Workers started after the first one."""
    restart_wall_ms: float
    """When this worker was started in place of another; 0 for the first."""
    reason: str
    """Why the last worker was replaced."""
    kept: str
    """What the last worker asked to keep."""

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> GuardLink | None:
        """Read the link and remove it, so that no child process inherits it; None without a guard."""
        text = environ.pop(LINK_VARIABLE, "")
        if not text:
            return None
        beat, life, pid, restarts, wall_ms, reason, kept = text.split("|", 6)
        link = cls(int(beat), int(life), int(pid), int(restarts), float(wall_ms), reason, kept)
        for fd in (link.beat_fd, link.life_fd):
            os.set_inheritable(fd, False)
            os.set_blocking(fd, False)
        return link


class Beats:
    """Beats on the loop from `start` to `stop`. Costs one timer per fifth of the time-out."""

    def __init__(self, link: GuardLink, timeout_ms: int, on_orphaned: Callable[[], None]) -> None:
        self.link = link
        self.timeout_ms = timeout_ms
        self._on_orphaned = on_orphaned
        self._period_s = timeout_ms / BEATS_PER_TIMEOUT / 1000
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin: the guard waits for the first beat only so long."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.link.life_fd, self._orphaned)
        self._write(f"timeout {self.timeout_ms}\n")
        self._beat()

    def keep(self, text: str) -> None:
        """Ask the guard to hand `text` (one line of ASCII) to the next worker."""
        if len(text) >= LINE_BYTES_MAX or "\n" in text:
            raise ValueError(f"{len(text)} characters do not fit a line of the guard's")
        self._write(f"keep {text}\n")

    def say(self, word: str) -> None:
        """Tell a parent that waits for more than the ready line (`hbeacon dev`); the guard itself does not listen."""
        self._write(f"say {word}\n")

    def stop(self) -> None:
        """No more beats: the process is about to end, and the guard gives it some seconds for that."""
        self._write("ending\n")
        if self._timer is not None:
            self._timer.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self.link.life_fd)

    def _beat(self) -> None:
        if self._loop is not None and self._write("beat\n"):
            self._timer = self._loop.call_later(self._period_s, self._beat)

    def _write(self, line: str) -> bool:
        try:
            os.write(self.link.beat_fd, line.encode("ascii", "replace"))
        except BlockingIOError:
            pass  # the guard itself stands still: its pipe is full of beats, and this one says nothing new
        except OSError:
            self._orphaned()
            return False
        return True

    def _orphaned(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self.link.life_fd)
        self._on_orphaned()


def die_with_guard(guard_pid: int) -> bool:
    """Have the kernel kill this process when the guard dies, also while it hangs. False where that is not possible.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    try:
        import ctypes

        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (ImportError, OSError, AttributeError, MemoryError):  # MemoryError: no writable and executable pages allowed
        return False
    if prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        return False
    if os.getppid() != guard_pid:  # it died before the call above
        os.kill(os.getpid(), signal.SIGKILL)
    return True
