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

from registry.durable import read_line, write_line

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
    """Of the store in a directory, whoever has it. Raises OSError, and ValueError where the file says nothing."""
    line = read_line(directory / FILE)
    if line is None:
        return UNMARKED
    try:
        meta = json.loads(line)["meta"]
        return StoreMark(True, None if meta is None else (int(meta[0]), int(meta[1])))
    except (ValueError, KeyError, TypeError, IndexError):
        raise ValueError(f"{directory / FILE} is damaged: it says {line[:60]!r}") from None


def write_mark(directory: Path, mark: StoreMark) -> None:
    """Durable when this returns. Raises OSError."""
    write_line(directory / FILE, json.dumps({"format": FORMAT, "meta": mark.meta}))
