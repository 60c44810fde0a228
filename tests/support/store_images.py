"""What a crash at this moment would leave of a RocksDB that is open, as a directory of its own.

*Killed*: what was written is there, of the write in progress any beginning. *Power*: of its log what was synced is
there, of the rest any beginning, and where the end of one log is lost, so are later logs. Taken for granted: the disk
writes files in their order and no wrong bytes; a sync is one of all logs there are; other files are synced before
anything refers to them. (Wrong bytes are refused, see tests/engines/test_rocksdb.py; but RocksDB may not come back from
reading them: https://github.com/facebook/rocksdb/issues/13333.)
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from tests.support.crash_files import Crash

TRIES = 200
"""Threads of RocksDB write, too: a copy counts if nothing has changed while it was made."""
LOG = ".log"


def log_sizes(database: Path) -> dict[str, int]:
    """Its logs and how long each is."""
    return {name: size for name, (_, size, _) in _state(database).items() if name.endswith(LOG)}


class Image:
    """A copy of a database, with what its logs were at two earlier moments."""

    def __init__(self, database: Path, target: Path) -> None:
        for _ in range(TRIES):
            before = _state(database)
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            try:
                for name in before:
                    shutil.copyfile(database / name, target / name)
            except FileNotFoundError:
                continue
            if _state(database) == before:
                break
        else:
            raise AssertionError(f"{database} does not stand still")
        self.directory = target
        self.sizes = log_sizes(target)
        """Of its logs."""
        self._logs = sorted(target.glob(f"*{LOG}"), key=lambda path: int(path.stem))

    def after(self, crash: Crash, rng: random.Random, written: dict[str, int], synced: dict[str, int]) -> None:
        """Make it what the crash leaves. `written`: log sizes that certainly were; `synced`: those that were synced."""
        kept = written if crash is Crash.KILLED else synced
        for number, path in enumerate(self._logs):
            size, sure = path.stat().st_size, kept.get(path.name, 0)
            assert size >= sure
            if size == sure or rng.random() < 0.2:
                continue
            os.truncate(path, rng.choice((sure, sure, rng.randint(sure, size))))
            for later in self._logs[number + 1 :]:
                later.unlink()
            return


def _state(database: Path) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    for path in database.iterdir():
        if path.name == "LOCK" or path.name.startswith("LOG"):  # a lock, and lines for people
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found[path.name] = status.st_ino, status.st_size, status.st_mtime_ns
    return found
