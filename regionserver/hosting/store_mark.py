"""What a store remembers of its cluster, for a master that has lost everything else: none is founded beside rows.

    DATA/stores/N/cluster    one JSON line: {"format": 1, "meta": [epoch, open_seq_num] or null}

The file is there once its server knows of an hbase:meta, wherever that is. `meta` is there from the first time on that
hbase:meta is opened in this store, by the newest order, durable before the opening is reported; a leftover that is
dropped takes it along. Of all stores of the machine the one with the highest pair has the rows of hbase:meta.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.durable import read_line, write_line
from registry.kept_object import read_kept

FILE = "cluster"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class StoreMark:
    """Of one store."""

    in_cluster: bool = False
    meta: tuple[int, int] | None = None
    """Epoch of the master and number of the opening."""


UNMARKED = StoreMark()


def read_mark(directory: Path) -> StoreMark:
    """Of the store in a directory, whoever has it. Raises OSError, and ValueError with one line."""
    line = read_line(directory / FILE)
    if line is None:
        return UNMARKED

    def fields(row: dict[str, Any]) -> StoreMark:
        meta = row["meta"]
        return StoreMark(True, None if meta is None else (int(meta[0]), int(meta[1])))

    return read_kept(str(directory / FILE), line, FORMAT, fields, ValueError)


def write_mark(directory: Path, mark: StoreMark) -> None:
    """Durable when this returns. Raises OSError."""
    write_line(directory / FILE, json.dumps({"format": FORMAT, "meta": mark.meta}))
