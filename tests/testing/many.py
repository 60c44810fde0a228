"""Isolated tests one after another, and what they cost: run by test_plugin.py, a thousand of them by `make tested`."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from registry.testing.cluster import Cluster

COUNT = int(os.environ.get("TESTED_COUNT", "8"))
WARM = 3
"""After so many all that is kept for good is there."""
KIB_MAX = 4096
before: dict[str, int] = {}


def costs(zygote_pid: int) -> dict[str, int]:
    """Open files and memory of this process and of the one that forks clusters; processes and files of all."""
    gc.collect()
    pid = os.getpid()
    running = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    temporary = Path(os.environ["TMPDIR"])
    files = [*temporary.glob("hbeacon-*"), *temporary.glob("hbeacon-testing-*/*")]
    return {
        "processes": len([each for each in running if parent_of(each) in (pid, zygote_pid)]),
        "files in the temporary directory": len(files),
        "open files of pytest": open_files(pid),
        "open files of the loaded process": open_files(zygote_pid),
        "KiB of pytest": own_kib(pid),
        "KiB of the loaded process": own_kib(zygote_pid),
    }


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def own_kib(pid: int) -> int:
    """Memory that nobody else has."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


@pytest.mark.parametrize("number", range(COUNT))
def test_alone(hbeacon: Cluster, number: int) -> None:
    with hbeacon.connect_blocking() as hbase:
        assert hbase.admin.tables() == []
        hbase.admin.create_table("t", {"f": {"VERSIONS": 1}})
        table = hbase.table("t")
        assert table.get("row") is None
        table.put("row", {"f:q": str(number)})
        row = table.get("row")
        assert row is not None
        assert row["f:q"] == str(number).encode()
    zygote_pid = parent_of(hbeacon.pids["cluster"])
    if number == WARM:
        before.update(costs(zygote_pid))
    if number == COUNT - 1:
        after = costs(zygote_pid)
        print("\n".join(f"{name}: {before[name]}, then {after[name]}" for name in after))
        grown = {name: after[name] - before[name] for name in after}
        assert not [name for name, more in grown.items() if more > (KIB_MAX if name.startswith("KiB") else 0)], grown
