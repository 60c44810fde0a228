"""A short soak: Python and Java clients beside a real HBase and adapters that are hurt; nothing fails, nothing grows.

`python -m benchmarks.soak --minutes 60 --seed N` is the same for an hour.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.soak.run import Plan, Soak
from tests.support.adapters import ROOT

MINUTES = "0.75"
SEED = "5"


@pytest.mark.cluster
@pytest.mark.timeout(400)
def test_a_short_soak(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    words = ["--minutes", MINUTES, "--seed", SEED, "--json", str(out), "--keep", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks.soak", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-4000:]}"
    document = json.loads(out.read_text())
    assert document["look_ups"]["done"] > 500, document["look_ups"]
    assert document["java_connections"]["done"] > 10, document["java_connections"]
    assert len(document["faults"]) >= 8, document["faults"]


@pytest.mark.zookeeper
@pytest.mark.timeout(120)
def test_a_descriptor_lost_with_each_connection_is_found(tmp_path: Path) -> None:
    """A planted fault; ten seconds and no faults beside it."""
    leaky = ("tests.support.leaky_adapter", "adapter")
    plan = Plan(duration_s=10.0, hbase=False, hurting=False, pause_ms=50.0, command=leaky, idle_s_max=5.0)
    problems = Soak(plan, tmp_path, print).run().problems()
    assert any("descriptors more than before the first client" in problem for problem in problems), problems
    assert not any("failed" in problem for problem in problems), problems
