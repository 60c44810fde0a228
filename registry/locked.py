"""Directories and files that one process has: a lock for as long as it lives, and a line that says who it is.

Source: flock(2).
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from registry.durable import LINE_BYTES_MAX

LOCK_PAUSE_S = 0.01


class Held(Exception):
    """Another process has the lock; `line` is what it has written into the file."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.line = line


def take_lock(path: Path, wait_s: float) -> int:
    """Lock a file, made where it is missing, until the descriptor is closed or the process ends.

    Waits for so long: a process that was killed holds its locks until the kernel is done with it. Raises Held, OSError.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except OSError as error:
            is_held = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
            if is_held and time.monotonic() < deadline_s:
                time.sleep(LOCK_PAUSE_S)
                continue
            line = os.pread(lock, LINE_BYTES_MAX, 0).decode("utf-8", "replace").strip()
            os.close(lock)
            if is_held:
                raise Held(line) from None
            raise


def write_locked(lock_fd: int, line: str) -> None:
    """Say in a locked file who has it; for whoever is told Held, so it need not survive anything."""
    data = f"{line}\n".encode()
    os.pwrite(lock_fd, data, 0)
    os.ftruncate(lock_fd, len(data))
