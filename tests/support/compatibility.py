"""docs/compatibility.md, written by the runs.

Tests record what they saw: a cell (client, registry path, server, feature) with its result, or a row of times. Rows are
kept in docs/compatibility.json; a run replaces the rows it ran and leaves the others with the commit that ran them.
What nobody ran has no row and shows as an empty cell. `python -m tests.support.compatibility` renders the page again.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "docs" / "compatibility.json"
PAGE = ROOT / "docs" / "compatibility.md"
WORKS = "works"

_HEAD = """# Compatibility

Written by the runs of tests/cluster and tests/chaos (`make cluster`); do not edit. Every cell was seen on real parts:
the client of that version, a real HBase of the version named, adapters beside it, and ZooKeeper out of the client's
reach (the client lives in a network namespace of its own). Each cell ends with the commit that ran it. An empty cell
was not run.
"""


_NOTES = {
    "hbeacon": (
        "hbeacon's own masters and region servers, no HBase beside them. A feature works where each line of its story "
        "(tests/cluster/java: one line for each operation, with its outcome) is the line that a real HBase 2.6.4 gave "
        "the same client (tests/cluster/stories). The few lines that differ on purpose, with the reason, are in "
        "tests/cluster/test_data_path_stories.py. HBEACON_TEST_EVERY_PATH=1 tells every story over every path. The "
        "calls of gohbase are in tests/conformance/test_gohbase_calls.py, frame by frame. What the commands of the "
        "hbase shell answer is in [shell-commands.md](shell-commands.md). What is not there: HFiles "
        "cannot be loaded (BulkLoadHFile is refused), classes of Java are not run on servers, patterns are refused as "
        "below; regions are not split or merged, there are no snapshots, no replication and no quotas."
    ),
    "hbeacon: coprocessors": (
        "Told by AggregationClient and AsyncAggregationClient of hbase-endpoint, as tests/cluster/test_endpoints.py "
        "says; hbase-client 1.4 has the first by itself. Maven has none of 2.6.4, 2.5.11 and 3.0.0-beta-1: they are "
        "of 2.6.1-hadoop3, 2.5.11-hadoop3 and 3.0.0-alpha-3, beside the hbase-client of the version named."
    ),
    "hbeacon: compressed cell blocks": (
        "Told by 2.6.4 as built for Hadoop 3 (tests/cluster/test_compressed_cells.py). Those of aircompressor are of "
        "hbase-compression-aircompressor 2.6.1 beside it: of 2.6.4 Maven has none."
    ),
    "hbeacon: HBase's own tools": (
        "Those of 2.6.4, as tests/cluster/test_hbase_tools.py runs them. Over the registries that need no ZooKeeper a "
        "few are run: the calls are the same, only servers are found in another way."
    ),
    "hbeacon: other clients": (
        "Driven by tests/cluster/test_other_clients.py with what each can do; an empty cell is what it cannot, or what "
        "is called otherwise. Where one of them fails, it fails so on a real HBase 2.6.4."
    ),
    "Admin against HBase 1.4.14": (
        "Adapters make look-ups work; what a new client asks of old masters and region servers is between them. "
        "NoSuchColumnFamilyException: clients since 2.0 look for a table's state in the family `table` of hbase:meta, "
        "which HBase 1 does not have. DoNotRetryIOException: the old master does not know the method. Reading, "
        "writing and scanning need none of these."
    ),
}
"""What the table of that title needs to be understood."""


@dataclass(frozen=True)
class Cell:
    """What one client met with one feature of one server."""

    server: str
    client: str
    path: str
    feature: str
    result: str
    commit: str


@dataclass(frozen=True)
class Times:
    """One row of a table of times; `values` are its columns."""

    table: str
    row: str
    values: Mapping[str, str]
    commit: str


@dataclass
class Results:
    """The rows of the page, in the order in which they were first run. `save` writes data and page."""

    commit: str
    cells: dict[tuple[str, str, str, str], Cell] = field(default_factory=dict[tuple[str, str, str, str], Cell])
    times: dict[tuple[str, str], Times] = field(default_factory=dict[tuple[str, str], Times])
    changed: bool = False

    def record(self, server: str, client: str, path: str, feature: str, result: str) -> None:
        """One cell."""
        self.cells[server, client, path, feature] = Cell(server, client, path, feature, result, self.commit)
        self.changed = True

    @contextlib.contextmanager
    def feature(self, server: str, client: str, path: str, feature: str) -> Generator[None]:
        """Records "works" where the block ends well, and what went wrong where it does not."""
        try:
            yield
        except BaseException as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            self.record(server, client, path, feature, f"**fails**: {first[:120]}")
            raise
        self.record(server, client, path, feature, WORKS)

    def record_times(self, table: str, row: str, values: Mapping[str, str]) -> None:
        """One row of the table of that title."""
        self.times[table, row] = Times(table, row, dict(values), self.commit)
        self.changed = True

    def save(self) -> None:
        """Writes docs/compatibility.json and docs/compatibility.md."""
        data = {
            "cells": [asdict(cell) for cell in self.cells.values()],
            "times": [asdict(row) for row in self.times.values()],
        }
        DATA.write_text(json.dumps(data, indent=1) + "\n")
        PAGE.write_text(self.page())

    def page(self) -> str:
        """The page's text."""
        parts = [_HEAD]
        for server in sorted({cell.server for cell in self.cells.values()}, key=_newest_first):
            parts.append(f"\n## {server}\n")
            if server in _NOTES:
                parts.append(f"{_NOTES[server]}\n")
            parts.append(self._matrix([cell for cell in self.cells.values() if cell.server == server]))
        for table in _in_order(row.table for row in self.times.values()):
            rows = [row for _, row in sorted(self.times.items()) if row.table == table]
            columns = list(dict.fromkeys(column for row in rows for column in row.values))
            lines = [[row.row, *(row.values.get(column, "") for column in columns), row.commit] for row in rows]
            parts.append(f"\n## {table}\n")
            parts.append(_table(["", *columns, "commit"], lines))
        return "\n".join(parts)

    @staticmethod
    def _matrix(cells: Sequence[Cell]) -> str:
        columns = _in_order((cell.client, cell.path) for cell in cells)
        seen = {(cell.feature, cell.client, cell.path): cell for cell in cells}
        lines: list[list[str]] = []
        for feature in dict.fromkeys(cell.feature for cell in cells):
            found = [seen.get((feature, *column)) for column in columns]
            lines.append([feature, *(f"{cell.result} `{cell.commit}`" if cell else "" for cell in found)])
        return _table(["feature", *(f"{client}, {path}" for client, path in columns)], lines)


def _newest_first(server: str) -> tuple[bool, list[int], str]:
    """Whole servers before single interfaces of theirs; two of one version by their names."""
    return server.startswith("Admin"), [-int(number) for number in re.findall(r"\d+", server)], server


def _in_order(items: Any) -> list[Any]:
    return sorted(set(items))


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows) + "\n"


def load() -> Results:
    """What earlier runs recorded, with the commit of this run for what comes."""
    results = Results(_commit())
    if DATA.exists():
        data = json.loads(DATA.read_text())
        for each in data["cells"]:
            cell = Cell(**each)
            results.cells[cell.server, cell.client, cell.path, cell.feature] = cell
        for each in data["times"]:
            row = Times(**each)
            results.times[row.table, row.row] = row
    return results


def _commit() -> str:
    """The short commit, with a + where files that matter differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=20).stdout

    dirty = git("status", "--porcelain", "--untracked-files=no", "--", "registry", "protos", "hbeacon.py", "tests")
    return git("rev-parse", "--short=9", "HEAD").strip() + ("+" if dirty.strip() else "")


if __name__ == "__main__":
    load().save()
