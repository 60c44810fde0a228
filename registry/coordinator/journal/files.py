"""The few things that the journal asks of a directory, and the directory itself.

All names are plain names in one directory. The protocol is so small that a model of a disk can take its place
(tests/support/crash_files.py).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

from registry.coordinator.journal.format import DataNotUsable
from registry.durable import sync_directory
from registry.locked import Held, take_lock, write_locked

LOCK_NAME = "lock"
LOCK_WAIT_S = 2.0
"""A process that was killed holds its lock until the kernel is done with its last write."""


class WritableFile(Protocol):
    """A file that grows at its end."""

    def write(self, data: bytes) -> None:
        """Append all of it, or raise OSError; then any part of it may have been written."""
        ...

    def sync(self) -> None:
        """Everything written survives a loss of power; OSError: nothing is known about it any more."""
        ...

    def close(self) -> None:
        """Close; makes nothing durable."""
        ...


class Files(Protocol):
    """One directory."""

    @property
    def place(self) -> str:
        """Its path, for messages."""
        ...

    def names(self) -> list[str]:
        """The files in it."""
        ...

    def read(self, name: str, bytes_max: int = -1) -> bytes:
        """The content, or its beginning."""
        ...

    def create(self, name: str) -> WritableFile:
        """An empty file; what it held before is gone."""
        ...

    def cut(self, name: str, length: int) -> None:
        """Drop what lies behind the first `length` bytes, durably."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Replace what has the new name: at no moment is there nothing or half of it."""
        ...

    def remove(self, name: str) -> None:
        """Remove the file; one that is not there is no error."""
        ...

    def sync_names(self) -> None:
        """Creations, renamings and removals survive a loss of power."""
        ...


class DirectoryFiles:
    """A directory of this machine, made where it is missing, for one coordinator at a time."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = Path(directory)
        self._lock: int | None = None

    @property
    def place(self) -> str:
        """Its path."""
        return str(self._directory)

    def lock(self, wait_s: float = LOCK_WAIT_S) -> None:
        """Take the directory for this process, until `unlock` or its end. DataNotUsable when another one has it."""
        self._make()
        try:
            lock = take_lock(self._directory / LOCK_NAME, wait_s)
        except Held as held:
            named = f" (process {held.line})" if held.line else ""
            raise DataNotUsable(f"{self.place} is in use by another coordinator{named}") from None
        write_locked(lock, str(os.getpid()))
        self._lock = lock

    def _make(self) -> None:
        missing = [path for path in (self._directory, *self._directory.parents) if not path.exists()]
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in missing:
            sync_directory(path.parent)

    def unlock(self) -> None:
        """Give the directory back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def names(self) -> list[str]:
        """The files in it."""
        return [path.name for path in self._directory.iterdir()]

    def read(self, name: str, bytes_max: int = -1) -> bytes:
        """The content, or its beginning."""
        with (self._directory / name).open("rb", buffering=0) as file:
            if bytes_max >= 0:
                return file.read(bytes_max) or b""
            return file.read()

    def create(self, name: str) -> WritableFile:
        """An empty file for this user alone: nodes and passwords of sessions are in it."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        return _DirectoryFile(os.open(self._directory / name, flags, 0o600))

    def cut(self, name: str, length: int) -> None:
        """Drop what lies behind the first `length` bytes, durably."""
        descriptor = os.open(self._directory / name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, length)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        """Replace what has the new name."""
        (self._directory / old).replace(self._directory / new)

    def remove(self, name: str) -> None:
        """Remove the file; one that is not there is no error."""
        with contextlib.suppress(FileNotFoundError):
            (self._directory / name).unlink()

    def sync_names(self) -> None:
        """Creations, renamings and removals survive a loss of power."""
        sync_directory(self._directory)


class _DirectoryFile:
    """A descriptor; no buffer of our own, because one commit is one write."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        written = os.write(self._descriptor, data)
        while written < len(data):  # a full disk takes a part first and says so at the next write
            written += os.write(self._descriptor, memoryview(data)[written:])

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)
