"""The coordinator's benchmark runs whole: every row, beside a real ZooKeeper. Such figures mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.coordinator_sides import COORDINATOR, ON_DISK, ZOOKEEPER
from benchmarks.coordinator_table import DISK_LOADS, LOADS, MEMORY, START, WATCHES

pytestmark = [pytest.mark.zookeeper, pytest.mark.timeout(200)]
ROOT = Path(__file__).parent.parent.parent


def test_every_row_runs_on_both_sides(tmp_path: Path) -> None:
    out = tmp_path / "samples.json"
    command = [sys.executable, "-m", "benchmarks.coordinator", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    document = json.loads(out.read_text())
    taken = {(series["measure"], series["side"]) for series in document["samples"]}
    for measure in (*(load.measure for load in LOADS), WATCHES, MEMORY, START):
        assert {(measure, COORDINATOR), (measure, ZOOKEEPER)} <= taken, measure
    for load in DISK_LOADS:
        assert {(load.measure, COORDINATOR + ON_DISK), (load.measure, ZOOKEEPER + ON_DISK)} <= taken, load.measure
    assert len([row for row in document["table"] if row["verdict"]]) >= 14, document["table"]
