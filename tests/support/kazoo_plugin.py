"""pytest plugin for a run of kazoo's own tests: gives their harness our cluster, and writes down what became of each.

HBEACON_KAZOO_TESTS is a file with the ids that shall run, one a line (without it, all); HBEACON_KAZOO_OUTCOMES the file
that gets one JSON object a test: id, outcome, seconds and the text of a failure.
The ids are `test_client.py::TestClient::test_create`, below kazoo/tests.
"""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path

import pytest

from tests.support import kazoo_cluster


def _take_the_ensembles_place() -> None:
    # kazoo.testing.common starts Java and needs pyOpenSSL and pyjks for the keys of its TLS tests
    common = types.ModuleType("kazoo.testing.common")
    common.__dict__["ZookeeperCluster"] = kazoo_cluster.KazooCluster
    sys.modules["kazoo.testing.common"] = common
    from kazoo.testing import harness  # pyright: ignore[reportMissingTypeStubs]

    harness.__dict__["get_global_cluster"] = kazoo_cluster.get_global_cluster


_take_the_ensembles_place()


def short_id(node_id: str) -> str:
    """The id below kazoo/tests, wherever the package is installed."""
    return node_id.rpartition("kazoo/tests/")[2]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps those that were asked for."""
    chosen = os.environ.get("HBEACON_KAZOO_TESTS")
    if chosen is None:
        return
    wanted = set(Path(chosen).read_text().split())
    config.hook.pytest_deselected(items=[item for item in items if short_id(item.nodeid) not in wanted])
    items[:] = [item for item in items if short_id(item.nodeid) in wanted]


_seconds: dict[str, float] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One line a test, when its last phase that matters is over."""
    sink = os.environ.get("HBEACON_KAZOO_OUTCOMES")
    if sink is None:
        return
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration
    if report.when == "call" or not report.passed:
        line = {
            "id": short_id(report.nodeid),
            "outcome": report.outcome,
            "s": round(_seconds[report.nodeid], 2),
            "text": "" if report.passed else str(report.longrepr)[-4000:],
        }
        with Path(sink).open("a") as lines:
            lines.write(json.dumps(line) + "\n")
