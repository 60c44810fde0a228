"""The façade of happybase: happybase's own tests of its API, on a real HBase 2.6.4 and on hbeacon."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from registry.testing.cluster import Cluster
from tests.support.happybase import run_api_tests
from tests.support.real_cluster import RealClusters

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]
TESTS = 25
"""That happybase 1.3.0 has."""


def _passes(directory: Path, host: str) -> None:
    done = run_api_tests(directory, host, timeout_s=150)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(rf"^{TESTS} passed", done.stdout, re.MULTILINE), done.stdout[-500:]


def test_on_a_real_hbase(clusters: RealClusters, tmp_path: Path) -> None:
    _passes(tmp_path, f"hbase+rpc://{clusters.current.masters}")


def test_on_hbeacon(hbeacon_session: Cluster, tmp_path: Path) -> None:
    _passes(tmp_path, hbeacon_session.uri)
