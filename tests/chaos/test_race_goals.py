"""The benchmark of hedged look-ups runs whole, with a few clients. Such figures mean nothing, but none may fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
ROOT = Path(__file__).parent.parent.parent
PARTS = ("healthy", "slow", "hung1", "hung2", "slowall", "killed", "crowd")


def test_every_part_runs_and_no_look_up_fails(tmp_path: Path) -> None:
    out = tmp_path / "race.json"
    words = ["--only", ",".join(PARTS), "--runs", "1", "--lookups", "200", "--clients", "1000", "--refresh", "3000"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.race", *words, "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, timeout=220, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), f"{done.stdout}\n{done.stderr[-4000:]}"  # 1: a goal was missed
    document = json.loads(out.read_text())
    assert set(document["parts"]) == set(PARTS)
    for part, figures in document["parts"].items():
        for figure in figures:
            assert figure["failed"] == 0, part
    rows = {row[0]: row for row in document["table"]}
    verdicts = [row[4] for row in rows.values() if row[4]]
    assert len(verdicts) >= 12
    (crowd,) = document["parts"]["crowd"]
    # The goal is 1.1 on a quiet machine; on a busy one the budget is spent, 5 of 100 calls, 3 calls to a connection.
    assert crowd["connections_per_client"] <= 1.25
    assert crowd["refused"] == 0
