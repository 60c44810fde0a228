"""The benchmark of followers runs whole, with a few of them; such figures mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(200)]
ROOT = Path(__file__).parent.parent.parent


def test_everybody_is_told_and_every_row_is_there(tmp_path: Path) -> None:
    out = tmp_path / "samples.json"
    command = [sys.executable, "-m", "benchmarks.subscribers", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    document = json.loads(out.read_text())
    samples = {series["measure"]: series["rounds"] for series in document["samples"]}
    assert all(0 < sample["sse_ms"] < 20_000 and 0 < sample["grpc_ms"] < 20_000 for sample in samples["told"])
    assert len(document["table"]) == 8
