"""How much of a store lies in files: what pages and metrics tell of a database without asking it.

Source: RocksDB's names of files, NNNNNN.sst for tables and NNNNNN.log for what is not in a table yet.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """Of one store, or of several together."""

    tables_count: int = 0
    tables_bytes: int = 0
    log_bytes: int = 0

    def __add__(self, other: StoreFiles) -> StoreFiles:
        return StoreFiles(
            self.tables_count + other.tables_count,
            self.tables_bytes + other.tables_bytes,
            self.log_bytes + other.log_bytes,
        )

    @property
    def all_bytes(self) -> int:
        """On the disk."""
        return self.tables_bytes + self.log_bytes


def files_of(database: Path) -> StoreFiles:
    """As they are now; touches the disk. What goes while it looks is not counted, a directory that is gone has none."""
    tables_count = tables_bytes = log_bytes = 0
    with contextlib.suppress(OSError), os.scandir(database) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name.endswith(".sst"):
                    tables_count += 1
                    tables_bytes += entry.stat().st_size
                elif entry.name.endswith(".log"):
                    log_bytes += entry.stat().st_size
    return StoreFiles(tables_count, tables_bytes, log_bytes)
