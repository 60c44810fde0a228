"""The alert rules of deploy/prometheus, as Prometheus itself reads and evaluates them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.processes import tool

pytestmark = pytest.mark.cluster
RULES = Path(__file__).parent.parent.parent / "deploy" / "prometheus"


@pytest.mark.parametrize(
    "words",
    [("check", "config", "prometheus.yml"), ("test", "rules", "hbeacon.rules.test.yml")],
    ids=["configuration", "rules"],
)
def test_promtool_is_content(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [tool("promtool"), *words], cwd=RULES, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
