"""The benchmark of the data path runs whole, every row for a moment beside a real HBase. Such figures mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.data_path import cleanup, filters, first, loads, regions, ycsb
from benchmarks.data_path.sides import HBASE, HBEACON
from benchmarks.data_path.table import MEMORY

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]
ROOT = Path(__file__).parent.parent.parent
OF_BOTH = (
    *(load.measure for load in (*loads.LOADS, loads.WIDE_UPDATE)),
    *(ycsb.measure_of(workload) for workload in ycsb.WORKLOADS),
    loads.WIDE_SCAN,
    *(each.measure for each in filters.FILTERS),
    *(
        measure
        for kind in (cleanup.VERSIONS, cleanup.EXPIRED)
        for measure in (kind.writes, kind.reads, kind.cleaned, kind.gone)
    ),
    *(kind.as_many for kind in cleanup.KINDS),
    MEMORY,
    regions.CREATE,
)


def test_every_row_runs_on_both_sides(tmp_path: Path) -> None:
    out = tmp_path / "samples.json"
    command = [sys.executable, "-m", "benchmarks.data_path", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    document = json.loads(out.read_text())
    assert not document["failures"]
    taken = {(series["measure"], series["side"]) for series in document["samples"]}
    for measure in OF_BOTH:
        assert {(measure, HBEACON), (measure, HBASE)} <= taken, measure
    for measure in (first.FIRST, regions.COLD_START):
        assert (measure, HBEACON) in taken, measure
    assert len([row for row in document["table"] if row["verdict"]]) >= 20, document["table"]
