"""The directory of one store: what it is, who has it, and the files of its engine.

    DIR/format   one JSON line: name, format, engine, the store's id, the version that wrote it; never changed
    DIR/owner    flock(2) for as long as its owner lives; one JSON line: pid, start of that process, server name
    DIR/db/      the engine's files

The id says which regions lie here, whatever the directory is called and whoever serves it. A newer format, or a
directory that is none of ours, stops the start and changes nothing.

Source: flock(2), proc(5); HBase keeps hbase.id and hbase.version in its root directory for the same ends (FSUtils).
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from regionserver.engine.store import StoreNotUsable
from registry.durable import read_line, write_line
from registry.locked import Held, take_lock, write_locked
from registry.version import VERSION

NAME = "hbeacon region store"
FORMAT = 1
FORMAT_FILE, OWNER_FILE, DATABASE = "format", "owner", "db"
LOCK_WAIT_S = 2.0
"""A process that was killed holds its lock until the kernel is done with its last write."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has, or had, a store."""

    pid: int
    started: int
    """When that process started, in ticks since the machine did: a pid alone may be another's by now."""
    server: str
    """Its server name, as HBase writes it; empty before it has one."""

    @property
    def is_alive(self) -> bool:
        """Whether that very process is still there, running or stopped."""
        return process_started(self.pid) == self.started

    def as_line(self) -> str:
        """As the file holds it."""
        return json.dumps({"pid": self.pid, "started": self.started, "server": self.server})


class StoreInUse(StoreNotUsable):
    """Another process has its lock, and may not have said yet who it is."""


class StorePlace:
    """A directory that this process owns until `close`. Belongs to whoever opens it; its calls touch the disk."""

    def __init__(self, directory: Path, engine: str, server: str = "", wait_s: float = LOCK_WAIT_S) -> None:
        """Take it, or make it, which one process may do at a time. Raises StoreNotUsable, which changes nothing."""
        self.directory = directory
        self.database = directory / DATABASE
        self._lock = -1
        self._server: str | None = None
        try:
            known = read_line(directory / FORMAT_FILE)
            if known is None:
                _check_empty(directory)
            else:
                _checked(directory, known, engine)
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = take_lock(directory / OWNER_FILE, wait_s)
            self.store_id = self._identity(engine)
            self.database.mkdir(mode=0o700, exist_ok=True)
            self.set_server(server)
        except Held as held:
            owner = _owner(held.line)
            named = f"process {owner.pid} {owner.server}".rstrip() if owner is not None else "another process"
            raise StoreInUse(f"{directory} is in use by {named}") from None
        except OSError as error:
            self.close()
            raise StoreNotUsable(f"{directory} cannot be used: {error.strerror or error}") from None
        except StoreNotUsable:
            self.close()
            raise

    def set_server(self, server: str) -> None:
        """Say under which name this process serves."""
        pid = os.getpid()
        write_locked(self._lock, Owner(pid, process_started(pid) or 0, server).as_line())
        self._server = server

    def close(self) -> None:
        """Let go of it; the name of who had it stays there."""
        if self._lock >= 0:
            if self._server is not None:
                write_locked(self._lock, Owner(0, 0, self._server).as_line())
            os.close(self._lock)
            self._lock = -1

    def _identity(self, engine: str) -> str:
        known = read_line(self.directory / FORMAT_FILE)  # under the lock: another may have made it meanwhile
        if known is not None:
            return _checked(self.directory, known, engine)
        store_id = str(uuid.uuid4())
        line = {"name": NAME, "format": FORMAT, "engine": engine, "store_id": store_id, "written_by": VERSION}
        write_line(self.directory / FORMAT_FILE, json.dumps(line))
        return store_id


def identity_of(directory: Path, engine: str) -> str | None:
    """The id of the store in a directory, whoever has it; None where none was made yet. Raises StoreNotUsable."""
    try:
        known = read_line(directory / FORMAT_FILE)
    except OSError as error:
        raise StoreNotUsable(f"{directory} cannot be used: {error.strerror or error}") from None
    return None if known is None else _checked(directory, known, engine)


def owner_of(directory: Path) -> Owner | None:
    """Who wrote itself into a store last; None where nobody has, or it cannot be read."""
    with contextlib.suppress(OSError):
        return _owner(read_line(directory / OWNER_FILE) or "")
    return None


def _owner(line: str) -> Owner | None:
    try:
        known = json.loads(line)
        return Owner(int(known["pid"]), int(known["started"]), str(known["server"]))
    except (ValueError, KeyError, TypeError):
        return None


def process_started(pid: int) -> int | None:
    """When a process started, in clock ticks since the machine did; None where there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def _check_empty(directory: Path) -> None:
    """What a first start that was cut off has left is nobody's; anything else is."""
    if not directory.exists():
        return
    ours = {OWNER_FILE, f"{FORMAT_FILE}.new"}
    others = sorted(entry.name for entry in directory.iterdir() if entry.name not in ours)
    if others:
        shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise StoreNotUsable(f"{directory} is no region store and holds {shown}: name an empty directory, or none yet")


def _checked(directory: Path, line: str, engine: str) -> str:
    try:
        known = cast("Mapping[str, object]", json.loads(line))
        name, number, store_id = known["name"], known["format"], known["store_id"]
    except (ValueError, KeyError, TypeError):
        raise StoreNotUsable(f"{directory / FORMAT_FILE} is damaged: it says {line[:60]!r}") from None
    if name != NAME or not isinstance(number, int):
        raise StoreNotUsable(f"{directory} is no region store: its {FORMAT_FILE} says {line[:60]!r}")
    if number > FORMAT:
        raise StoreNotUsable(
            f"{directory} is of format {number}, written by hbeacon {known.get('written_by')}, and this one knows"
            f" {FORMAT}: use a newer hbeacon"
        )
    if known.get("engine") != engine:
        raise StoreNotUsable(f"{directory} was made by the engine {known.get('engine')}, and {engine} is asked for")
    return str(store_id)
