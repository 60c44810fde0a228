"""The directory that holds all state of one `hbeacon dev`, or a temporary one that goes with it.

    DIR/format       one line: who wrote the directory, and in which format
    DIR/lock         flock(2) for as long as a process of this dev lives
    DIR/cluster-id   the id of the cluster, which its masters keep there so that it is never founded twice
    DIR/meta-store   where the rows of hbase:meta lie, for a coordinator that has forgotten it
    DIR/coordinator/ the coordinator's journal
    DIR/stores/      rows of tables: a store for each region server (regionserver.engine.place)
    DIR/hand-over/   regions on their way from one store to another

Source: flock(2); HBase keeps hbase.id and hbase.version in its root directory for the same ends (FSUtils).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from registry.durable import read_line, write_line
from registry.locked import Held, take_lock, write_locked

CLUSTER_ID_FILE = "cluster-id"
"""Written by registry.master.identity."""
FORMAT_NAME = "hbeacon dev"
FORMAT = 1
LOCK, FORMAT_FILE, COORDINATOR = "lock", "format", "coordinator"
UNFINISHED = frozenset({LOCK, f"{FORMAT_FILE}.new"})
"""What lies there when the very first start was cut off."""
LOCK_WAIT_S = 1.0
"""Children of a dev that was killed end within milliseconds, and hold its lock until then."""
TEMPORARY_PREFIX = "hbeacon-dev-"


class DataDirError(Exception):
    """The directory cannot be used; `str()` is one line that names it and says why."""


class DataDir:
    """An open directory, locked until `close`. The lock is inherited by children, and held until the last ends."""

    def __init__(self, path: Path, *, temporary: bool) -> None:
        """Take the directory as it is, or make it. Raises DataDirError."""
        self.path = path
        self.temporary = temporary
        """It is removed by `close`."""
        self._pid = os.getpid()
        self._lock_fd = _locked(path)
        try:
            self._check_format()
            self.founded_before = bool(self.cluster_id())
            """An earlier run has chosen the id of the cluster."""
            self.coordinator = path / COORDINATOR
            self.coordinator.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            os.close(self._lock_fd)
            raise DataDirError(f"{path} cannot be used: {error.strerror or error}") from None
        except DataDirError:
            os.close(self._lock_fd)
            raise

    @classmethod
    def open(cls, text: str) -> DataDir:
        """The directory of that name, or a temporary one where it is empty. Raises DataDirError."""
        if text:
            return cls(Path(text).absolute(), temporary=False)
        try:
            remove_abandoned(Path(tempfile.gettempdir()))
            made = tempfile.mkdtemp(prefix=TEMPORARY_PREFIX)
        except OSError as error:
            raise DataDirError(f"no temporary directory: {error.strerror or error}; name one with --data-dir") from None
        return cls(Path(made), temporary=True)

    def close(self) -> None:
        """Let go of the directory; remove it where it is a temporary one. Changes nothing in a forked child."""
        if self._lock_fd < 0 or os.getpid() != self._pid:
            return
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock_fd)
        self._lock_fd = -1

    def cluster_id(self) -> str:
        """The id that the masters keep here; empty before one of them has founded the cluster.

        What is damaged there, the masters say it.
        """
        text = read_line(self.path / CLUSTER_ID_FILE)
        try:
            return str(json.loads(text)["cluster_id"]) if text else ""
        except (ValueError, KeyError, TypeError):
            return ""

    def _check_format(self) -> None:
        text = read_line(self.path / FORMAT_FILE)
        if text is None:
            others = sorted(entry.name for entry in self.path.iterdir() if entry.name not in UNFINISHED)
            if others:
                shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
                raise DataDirError(
                    f"{self.path} was not made by `hbeacon dev` and holds {shown}: name an empty directory, or none yet"
                )
            write_line(self.path / FORMAT_FILE, f"{FORMAT_NAME} {FORMAT}")
            return
        match = re.fullmatch(rf"{FORMAT_NAME} (\d+)", text)
        if match is None:
            raise DataDirError(f"{self.path / FORMAT_FILE} is damaged: it says {text[:50]!r}")
        if int(match[1]) > FORMAT:
            raise DataDirError(
                f"{self.path} is of format {match[1]}, and this version of hbeacon knows {FORMAT}: use a newer hbeacon"
            )


def remove_abandoned(parent: Path) -> None:
    """Remove temporary directories whose dev was killed before it could: ours, complete, and locked by nobody.

    The format is written under the lock, so one that has it and is not locked has no owner any more.
    """
    for path in parent.glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or not (path / FORMAT_FILE).exists():
                continue
            fd = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(fd)


def _locked(path: Path) -> int:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = take_lock(path / LOCK, LOCK_WAIT_S)
    except Held as held:
        who = f"hbeacon dev (pid {held.line})" if held.line.isdigit() else "another hbeacon dev"
        raise DataDirError(f"{path} is in use by {who}: stop that, or name another directory") from None
    except OSError as error:
        raise DataDirError(f"{path} cannot be used: {error.strerror or error}") from None
    write_locked(lock, str(os.getpid()))
    return lock
