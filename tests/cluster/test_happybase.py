"""The façade of happybase, on a real HBase 2.6.4 and on hbeacon: happybase's own tests of its API, and a program.

The program's lines were told by happybase 1.3.0 itself through HBase's Thrift server 2.5.8, on a real HBase 2.6.4.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from registry.testing.cluster import Cluster
from tests.support.happybase import run_api_tests, told
from tests.support.real_cluster import RealClusters

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]
TESTS = 25
"""That happybase 1.3.0 has."""
STORY = Path(__file__).parent / "stories" / "happybase-1.3.0-thrift-2.5.8.txt"
REFUSED_HERE = {
    "put a family: an error of the server": "put a family: ValueError",
    "row without key: an error of the server": "row without key: ValueError",
    "scan of nonsense: an error of the server": "scan of nonsense: FilterSyntaxError",
}
"""What the Thrift server raises an error of its own for is refused before anything is sent, as the ValueError it is."""


def _passes(directory: Path, host: str) -> None:
    done = run_api_tests(directory, host, timeout_s=150)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(rf"^{TESTS} passed", done.stdout, re.MULTILINE), done.stdout[-500:]


def test_on_a_real_hbase(clusters: RealClusters, tmp_path: Path) -> None:
    _passes(tmp_path, f"hbase+rpc://{clusters.current.masters}")


def test_on_hbeacon(hbeacon_session: Cluster, tmp_path: Path) -> None:
    _passes(tmp_path, hbeacon_session.uri)


def _tells_the_same(directory: Path, host: str) -> None:
    assert told(directory, host) == [REFUSED_HERE.get(line, line) for line in STORY.read_text().splitlines()]


def test_a_program_hears_what_it_heard_through_thrift(clusters: RealClusters, tmp_path: Path) -> None:
    _tells_the_same(tmp_path, f"hbase+rpc://{clusters.current.masters}")


def test_a_program_hears_it_on_hbeacon_too(hbeacon_session: Cluster, tmp_path: Path) -> None:
    _tells_the_same(tmp_path, hbeacon_session.uri)
