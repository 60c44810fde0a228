"""The benchmark runs whole: every row, beside a real HBase, in a few seconds each. Such figures mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]
ROOT = Path(__file__).parent.parent.parent
MEASURES = ("calls 16x1", "calls 16x16", "storm", "regist", "memory", "start", "change")
STATES = ("ZooKeeper up", "down", "slow (SIGSTOP)", "restarting")


def test_every_row_runs_on_both_sides(tmp_path: Path) -> None:
    out = tmp_path / "samples.json"
    command = [sys.executable, "-m", "benchmarks.registry", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    document = json.loads(out.read_text())
    taken = {(series["measure"], series["side"]) for series in document["samples"]}
    for measure in MEASURES:
        assert {side for name, side in taken if name == measure} >= {"hbeacon adapter", "HBase 2.6.4 master"}, measure
    for state in STATES:
        assert (f"look-ups, {state}", "hbeacon adapter") in taken, state
    assert document["commit"], document
    rows = {row["measure"]: row for row in document["table"]}
    assert all(row["ours"] not in ("", "-") for row in rows.values()), rows
    assert len([row for row in rows.values() if row["verdict"]]) >= 14, rows
