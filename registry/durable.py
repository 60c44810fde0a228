"""Small files that hold one line, written whole and kept through a loss of power.

Source: fsync(2), rename(2).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

LINE_BYTES_MAX = 4096
"""Ours hold one short line; what is longer is somebody else's."""


def read_line(path: Path) -> str | None:
    """The line in a file; None where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(LINE_BYTES_MAX).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return None


def write_line(path: Path, line: str) -> None:
    """Put the line there whole and for good, or not at all."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    with contextlib.suppress(OSError):  # some file systems know no fsync of directories
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Creations, renamings and removals in it survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
