"""A row of a million columns and cells of ten megabytes, in a process that is measured."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1 << 20
COLUMNS = int(os.environ.get("HBEACON_COLUMNS", "1000000"))

PROGRAM = '''
import resource, sys, time
from pathlib import Path
from regionserver.engine.rocksdb import RocksMemory, RocksStore
from regionserver.engine.store import Durability, StoreBusy
from regionserver.region.cleaning import RegionCleaning
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region, RegionRange
from regionserver.region.scan import PageLimits, ScanRange, ScanShape, open_scan
from regionserver.region.visible import FamilyRules, Wanted

columns, cells = int(sys.argv[2]), int(sys.argv[3])
store = RocksStore(Path(sys.argv[1]) / "db", RocksMemory.of(8 << 20, 16 << 20), write_buffer_bytes=8 << 20)
region = Region(RegionRange("t", "t,,1.aa."), {b"f": FamilyRules()}, store, b"prefix00")

def ended(error):
    assert error is None

def put(changes):
    mutation = Mutation(MutationKind.PUT, b"row", changes)
    while True:
        try:
            region.mutate([mutation], Durability.PROCESS, ended, 1000)
            return
        except StoreBusy:  # the client comes again
            time.sleep(0.05)

def scan(bytes_max):
    """Every cell, in pages."""
    found, largest = 0, 0
    reading = open_scan(region, ScanRange(), ScanShape({b"f": Wanted()}), 1000)
    while True:
        page = reading.page(PageLimits(bytes_max=bytes_max, partial=True))
        found += sum(page.counts)
        largest = max(largest, sum(map(len, page.blocks)))
        if not page.more_in_region:
            reading.close()
            return found, largest

begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for start in range(0, columns, 20_000):
    put([Change(b"f", b"%07d" % number, 5, 4, b"value") for number in range(start, min(start + 20_000, columns))])
for number in range(cells):
    put([Change(b"f", b"large%d" % number, 5, 4, bytes(10 * 1024 * 1024 - 100))])
store.flush()
found, largest = scan(2 << 20)
assert found == columns + cells, found
assert largest < (13 << 20), largest
put([Change(b"f", b"%07d" % (columns // 2), 6, 4, b"changed")])
put([Change(b"f", b"%07d" % (columns // 3), 4, 4, b"older")])
one = region.get(b"row", {b"f": Wanted((b"%07d" % (columns // 2),))}, 1000)
assert one.cells_count == 1 and b"changed" in one.block
cleaning = RegionCleaning(region)
while cleaning.slice(1000):
    pass
assert cleaning.cells_dropped_count == 1, cleaning.cells_dropped_count
print("grown by", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun) // 1024, "MiB")
'''


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("columns", "cells"), [(100_000, 5), pytest.param(COLUMNS, 40, marks=pytest.mark.cluster)], ids=["some", "many"]
)
def test_a_large_row_is_written_read_changed_and_cleaned_in_bounded_memory(tmp_path: Path, columns: int, cells: int):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(columns), str(cells)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [grown] = re.findall(r"grown by (\d+) MiB", done.stdout)
    print(f"{columns} columns and {cells} cells of 10 MiB: grown by {grown} MiB")
    assert int(grown) < 400  # mostly buffers of RocksDB, each with some of the large cells
