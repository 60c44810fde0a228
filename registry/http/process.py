"""The process as the kernel and the event loop see it."""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass
from pathlib import Path

LAG_INTERVAL_S = 0.25
LAG_WINDOW_S = 30.0
"""The highest lag is kept for one to two windows, so that a scrape every 30 s misses none."""

_PAGE_BYTES = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """What Prometheus calls process_*; 0 where the platform does not tell."""

    resident_bytes: int
    virtual_bytes: int
    cpu_seconds: float
    fds_open: int
    fds_max: int


def process_figures() -> ProcessFigures:
    """Read now; some 30 us, from /proc and from system calls, never from a disk."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    virtual_pages, resident_pages = _memory_pages()
    soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ProcessFigures(
        resident_bytes=resident_pages * _PAGE_BYTES,
        virtual_bytes=virtual_pages * _PAGE_BYTES,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        fds_open=_fds_open(),
        fds_max=soft_limit,
    )


def _memory_pages() -> tuple[int, int]:
    try:
        size, resident, *_ = Path("/proc/self/statm").read_bytes().split()
    except OSError:
        return 0, 0
    return int(size), int(resident)


def _fds_open() -> int:
    """Linux 6.2 and later tell the number as the directory's size; older kernels have it counted."""
    try:
        # Ten thousand connections would make the listing a stall of milliseconds; the size is one system call.
        return Path("/proc/self/fd").stat().st_size or sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return 0


class LoopLag:
    """How late the event loop runs what was due; the first sign of something that blocks it."""

    def __init__(self) -> None:
        self.last_s = 0.0
        """Of the latest sample."""
        self._max_now_s = 0.0
        self._max_before_s = 0.0
        self._window_ends_s = 0.0
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def max_s(self) -> float:
        """The highest of the last 30 to 60 s."""
        return max(self._max_now_s, self._max_before_s)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to sample; a second call changes nothing."""
        if self._timer is None:
            self._window_ends_s = loop.time() + LAG_WINDOW_S
            self._arm(loop)

    def stop(self) -> None:
        """End sampling."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due_s = loop.time() + LAG_INTERVAL_S
        self._timer = loop.call_at(self._due_s, self._sample, loop)

    def _sample(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        self.last_s = max(0.0, now_s - self._due_s)
        if now_s >= self._window_ends_s:
            self._max_before_s, self._max_now_s = self._max_now_s, 0.0
            self._window_ends_s = now_s + LAG_WINDOW_S
        self._max_now_s = max(self._max_now_s, self.last_s)
        self._arm(loop)
