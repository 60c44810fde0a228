"""kazoo's own test suite, as its package brings it, with the coordinator in the place of its Java ensemble."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.kazoo_cluster import SERVER

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent.parent

QUORUM = "needs further servers of a quorum"
RECONFIG = "changes the members of a quorum; one server has none and refuses it in its own way"
LEFT_OUT = {
    "test_build.py::TestBuildEnvironment::test_zookeeper_version": "compares a version named by kazoo's own build",
    "test_client.py::TestClient::test_update_host_list": QUORUM,
    "test_eventlet_handler.py::TestEventletClient::test_update_host_list": QUORUM,
    "test_gevent_handler.py::TestGeventClient::test_update_host_list": QUORUM,
    "test_client.py::TestReconfig::test_add_remove_observer": RECONFIG,
    "test_client.py::TestReconfig::test_bad_input": RECONFIG,
    "test_client.py::TestReconfig::test_no_super_auth": RECONFIG,
    "test_connection.py::TestReadOnlyMode::test_read_only": f"{QUORUM}: a server turns read-only when it loses them",
    "test_client.py::TestSSLClient::test_create": "TLS",
    "test_sasl.py::TestLegacySASLDigestAuthentication::test_connect_sasl_auth": "SASL",
    "test_sasl.py::TestLegacySASLDigestAuthentication::test_invalid_sasl_auth": "SASL",
    "test_sasl.py::TestSASLDigestAuthentication::test_connect_sasl_auth": "SASL",
    "test_sasl.py::TestSASLDigestAuthentication::test_invalid_sasl_auth": "SASL",
    "test_sasl.py::TestSASLGSSAPIAuthentication::test_connect_gssapi_auth": "SASL",
    "test_sasl.py::TestSASLGSSAPIAuthentication::test_invalid_gssapi_auth": "SASL",
}
"""The tests that do not count, each with its reason. They run all the same: one that passes has no place here."""
LEAST = 470
"""How many tests kazoo 2.11 has less those: a package without its tests must not pass for a success."""
SHARDS = 5
"""Runs beside each other, each with a server of its own: the tests mostly wait."""
TEST_S_MAX = 60
STILL_S_MAX = 90
"""A run of which no test ends for so long hangs in one of them."""
AGAIN_MAX = 5
"""So few that fail or hang run once more, alone: their limits of time are another's, for an idle machine. A bug fails
twice."""
SLOW_S = {
    "test_partitioner.py::KazooPartitionerTests": 21,
    "test_watchers.py::KazooChildrenWatcherTests": 15,
    "test_selectors_select.py::SelectTestCase": 11,
    "test_gevent_handler.py::TestGeventClient": 8,
    "test_client.py::TestClient": 7,
    "test_eventlet_handler.py::TestEventletClient": 7,
    "test_eventlet_handler.py::TestEventletLock": 7,
    "test_lock.py::KazooLockTests": 6,
    "test_cache.py::KazooTreeCacheTests": 6,
    "test_client.py::TestConnection": 5,
    "test_lock.py::TestSemaphore": 4,
    "test_eventlet_handler.py::TestEventletSemaphore": 4,
}
"""What the slowest classes take; the others are counted as one second. A wrong figure costs time alone."""


def _pytest(directory: Path, words: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    directory.mkdir()
    blind = {key: value for key, value in os.environ.items() if key not in ("CI", "ZOOKEEPER_VERSION")}
    # not our settings: warnings of another's tests are another's
    own = ["-c", os.devnull, "--rootdir", str(directory), "-p", "no:cacheprovider", "-p", "no:asyncio", "-q"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "--pyargs", "kazoo.tests", "-p", "tests.support.kazoo_plugin", *own, *words],
        cwd=directory,
        env={**blind, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _output(directory: Path, run: subprocess.Popen[str]) -> tuple[str, bool]:
    """All that it says, and whether it hung.

    One that hangs is ended, with its coordinator; what it has noted until then counts. A lock test that fails leaves a
    thread for which its own tearDown waits without end.
    """
    ended = -1
    while True:
        try:
            return run.communicate(timeout=STILL_S_MAX)[0], False
        except subprocess.TimeoutExpired:
            before, ended = ended, len(_noted(directory))
            if ended > before:
                continue
        tasks = Path(f"/proc/{run.pid}/task").iterdir()
        children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
        for pid in (run.pid, *children):
            os.kill(pid, signal.SIGKILL)
        return run.communicate()[0], True


def _run(directory: Path, wanted: list[str]) -> subprocess.Popen[str]:
    """These tests, with a server of their own; the directory is made for it."""
    listed = directory.with_suffix(".txt")
    listed.write_text("\n".join(wanted))
    return _pytest(
        directory,
        ["--timeout", str(TEST_S_MAX)],
        {
            "HBEACON_KAZOO_TESTS": str(listed),
            "HBEACON_KAZOO_OUTCOMES": str(directory / "outcomes"),
            SERVER: os.environ.get(SERVER, "coordinator"),
        },
    )


def _noted(directory: Path) -> dict[str, dict[str, Any]]:
    """What became of the tests of a run, by their ids."""
    path = directory / "outcomes"
    lines = path.read_text().splitlines() if path.exists() else []
    outcomes = [cast("dict[str, Any]", json.loads(line)) for line in lines]
    return {outcome["id"]: outcome for outcome in outcomes}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every test that the installed package has."""
    directory = tmp_path_factory.mktemp("kazoo") / "collect"
    listed, _ = _pytest(directory, ["--collect-only"], {}).communicate(timeout=60)
    found = [line.rpartition("kazoo/tests/")[2] for line in listed.splitlines() if "::" in line]
    assert found, listed[-2000:]
    return found


@pytest.fixture(scope="module")
def outcomes(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of every test, by its id; classes stay together, as each of them clears the server away."""
    base = tmp_path_factory.mktemp("kazoo")
    classes = {name.rpartition("::")[0]: 1 for name in sorted(names)} | SLOW_S
    shards: list[list[str]] = [[] for _ in range(SHARDS)]
    for name in sorted(classes, key=lambda name: -classes[name]):
        min(shards, key=lambda shard: sum(classes[each] for each in shard)).append(name)
    runs: list[tuple[Path, subprocess.Popen[str]]] = []
    for number, shard in enumerate(shards):
        directory = base / str(number)
        runs.append((directory, _run(directory, [name for name in names if name.rpartition("::")[0] in shard])))
    seen: dict[str, dict[str, Any]] = {}
    hung = 0
    for directory, run in runs:
        text, hangs = _output(directory, run)
        hung += hangs
        assert (directory / "outcomes").exists(), text[-4000:]
        seen |= _noted(directory)
    failed = [name for name in seen if name not in LEFT_OUT and seen[name]["outcome"] != "passed"]
    # one that hangs, and those behind it, which had no chance yet
    lost = [name for name in names if name not in seen]
    if (failed or lost) and len(failed) + hung <= AGAIN_MAX:
        print("once more:", *failed, *lost)
        _output(base / "again", _run(base / "again", failed + lost))
        seen |= _noted(base / "again")
    return seen


def test_the_list_of_what_is_left_out_names_tests_that_exist(names: list[str]) -> None:
    assert LEFT_OUT.keys() <= set(names)
    assert len(names) - len(LEFT_OUT) >= LEAST


def test_every_test_passes(names: list[str], outcomes: dict[str, dict[str, Any]]) -> None:
    bad = {
        name: f"{outcome['outcome']}: {outcome['text']}"
        for name, outcome in outcomes.items()
        if outcome["outcome"] != "passed" and name not in LEFT_OUT
    }
    bad |= dict.fromkeys(set(names) - set(outcomes), "it was not run to its end")
    assert not bad, f"{len(bad)} of {len(names)}:\n" + "\n".join(f"--- {name}\n{text}" for name, text in bad.items())


def test_nothing_is_left_out_that_would_pass(outcomes: dict[str, dict[str, Any]]) -> None:
    assert [name for name in LEFT_OUT if name in outcomes and outcomes[name]["outcome"] == "passed"] == []
