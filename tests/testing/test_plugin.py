"""The plugin within pytest runs of their own: what tests are given, what they are told, and that nothing is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import wait_for
from tests.support.tested_pytest import ROOT, PytestRun

USES = """
    import os, signal, sys, time
    import pytest
    from tests.support.tested_rows import Tables
"""
WAITS = (
    USES
    + """
    def test_it(hbeacon):
        Tables(hbeacon).create("t")
        print("under way", flush=True)
        {}
        time.sleep(60)
"""
)
GONE_S = 20
SERVERS = {"hbeacon-master0", "hbeacon-rs0", "hbeacon-coordin"}


def test_each_test_has_a_cluster_of_its_own_made_as_it_says(tmp_path: Path) -> None:
    run = PytestRun(
        tmp_path,
        test_them=USES
        + """
    @pytest.mark.parametrize("number", range(2))
    def test_alone(hbeacon, number):
        tables = Tables(hbeacon)
        assert tables.names() == []
        tables.create("t")
        tables.put("t", b"row", b"value")

    @pytest.mark.hbeacon(region_servers=2, settings={"hbase.client.scanner.timeout.period": 1234})
    class TestMore:
        def test_two(self, hbeacon):
            assert len(hbeacon.region_servers) == 2
            assert len(hbeacon.masters) == 1
            assert hbeacon.options.settings["hbase.client.scanner.timeout.period"] == "1234"
            assert hbeacon.options.settings["hbase.regionserver.handler.count"] == "7"

        @pytest.mark.hbeacon(region_servers=0, masters=2)
        def test_none(self, hbeacon):
            assert (hbeacon.region_servers, len(hbeacon.masters)) == ([], 2)

    def test_first_of_the_session(hbeacon_session):
        Tables(hbeacon_session).create("kept")

    def test_second_of_the_session(hbeacon_session, hbeacon):
        assert hbeacon_session.uri != hbeacon.uri
        assert Tables(hbeacon_session).names() == ["kept"]
        assert Tables(hbeacon).names() == []
    """,
    )
    run.add_to_ini("hbeacon_settings =\n    hbase.regionserver.handler.count = 7\n")
    done = run.run("-p", "no:randomly")
    assert "6 passed" in done.stdout, done.stdout + done.stderr
    assert (run.processes(), run.files()) == ({}, [])


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_many_tests_leave_nothing_behind_and_nothing_grows(tmp_path: Path) -> None:
    """The same with a thousand: `make tested`."""
    run = PytestRun(tmp_path, test_many=(ROOT / "tests" / "testing" / "many.py").read_text())
    done = run.run(timeout_s=150)
    assert "8 passed" in done.stdout, done.stdout + done.stderr
    assert (run.processes(), run.files()) == ({}, [])


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_processes_of_xdist_have_clusters_beside_each_other(tmp_path: Path) -> None:
    run = PytestRun(
        tmp_path,
        test_them=USES
        + """
    @pytest.mark.parametrize("number", range(2))
    def test_alone(hbeacon, hbeacon_session, number, worker_id):
        tables = Tables(hbeacon)
        assert tables.names() == []
        tables.create("t")
        assert worker_id.startswith("gw")
    """,
    )
    done = run.run("-n", "2", timeout_s=150)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert (run.processes(), run.files()) == ({}, [])


NEVER_BEGIN = {
    "region_server=2": "'region_server' is no option of a cluster: did you mean region_servers?",
    "engine='lsm'": "engine='lsm': write memory or rocksdb",
    "2": "the options of the marker hbeacon have names: hbeacon(region_servers=2)",
    "settings={'hbeacon.drain.timeout_ms': 'soon'}": "the cluster does not start: hbeacon.drain.timeout_ms = 'soon'",
    "start_timeout_s=0.01": "the cluster was not ready within 0.01 s; its log",
    "settings={'hbeacon.faults.peers': 'everywhere'}": "the cluster does not start: it ended with exit code 2",
}


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_what_cannot_start_is_told_in_a_sentence_and_what_fails_shows_its_log(tmp_path: Path) -> None:
    tests = [
        f"@pytest.mark.hbeacon({mark})\ndef test_{number}(hbeacon):\n    raise AssertionError\n"
        for number, mark in enumerate(NEVER_BEGIN)
    ]
    fails = [
        f"""
@pytest.mark.parametrize("fault", ["hang", "refuse", ""])
def test_it_fails_{name}({name}, fault):
    if fault:
        {name}.fault(fault)
    assert {name}.uri == "elsewhere"
"""
        for name in ("hbeacon", "hbeacon_session")
    ]
    run = PytestRun(tmp_path, test_it="\n".join(["import pytest", *tests, *fails]))
    told = run.run("-rN", timeout_s=150).stdout
    assert f"6 failed, {len(NEVER_BEGIN)} errors" in told
    sentences = [line.removeprefix("hbeacon: ") for line in told.splitlines() if line.startswith("hbeacon: ")]
    for sentence, expected in zip(sentences, NEVER_BEGIN.values(), strict=True):
        assert sentence.startswith(expected)
    assert "hbeacon.faults.peers = 'everywhere' (from options of the test)" in told, "the end of the log says why"
    _, *sections = re.split(r"\n_+ test_it_fails_(\w+\[\w*\]) _+\n", told)
    logs = {name: text.count("log of <Cluster") for name, text in zip(sections[::2], sections[1::2], strict=True)}
    for name in ("hbeacon[hang]", "hbeacon[refuse]", "hbeacon_session[hang]", "hbeacon_session[refuse]"):
        assert logs[name] == 1, "its cluster said something meanwhile"
    for each in ("fault 1 set by the test: hang", "fault 2 set by the test: refuse"):
        assert f"[master0] registry.rpc.fault_desk: {each}, seed " in told
    assert "fault 1 set" not in told.partition("fault 2 set")[2]
    assert "Traceback" not in told
    assert (run.processes(), run.files()) == ({}, [])


@pytest.mark.chaos
def test_a_killed_pytest_takes_all_of_it_along(tmp_path: Path) -> None:
    run = PytestRun(tmp_path, test_it=WAITS.format(""))
    _ends(run, lambda process: process.kill())


@pytest.mark.chaos
def test_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    """Files go, too, of a cluster that was killed and could not remove them."""
    run = PytestRun(tmp_path, test_it=WAITS.format(""))

    def end(process: subprocess.Popen[str]) -> None:
        stats = [Path(f"/proc/{pid}/stat").read_text() for pid, name in run.processes().items() if name in SERVERS]
        (cluster_pid,) = {int(stat.rpartition(")")[2].split()[1]) for stat in stats}
        os.kill(cluster_pid, signal.SIGKILL)
        os.killpg(process.pid, signal.SIGINT)

    _ends(run, end)


@pytest.mark.chaos
def test_a_crash_within_a_test_ends_all_of_it(tmp_path: Path) -> None:
    run = PytestRun(tmp_path, test_it=WAITS.format("os.abort()"))
    _ends(run, lambda process: process.wait(GONE_S))


def _ends(run: PytestRun, end: Callable[[subprocess.Popen[str]], object]) -> None:
    process = run.begin()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "under way" in line:
                break
        else:
            raise AssertionError("it did not begin")
        names = set(run.processes().values())
        assert names >= SERVERS or process.poll() is not None
        end(process)
        process.communicate(timeout=GONE_S)
        wait_for("the end of all", lambda: not run.processes(), GONE_S)
        wait_for("the end of all files", lambda: not run.files(), GONE_S)
    finally:
        process.kill()
        process.communicate()


def test_who_does_not_use_it_pays_next_to_nothing(tmp_path: Path) -> None:
    """Of hbeacon the plugin's own module is loaded, and nothing else."""
    run = PytestRun(
        tmp_path,
        test_it="""
    import sys

    def test_it(pytestconfig):
        assert pytestconfig.pluginmanager.has_plugin("hbeacon")
        tops = ("registry", "protos", "regionserver", "hbeacon")
        ours = {name for name in sys.modules if name.partition(".")[0] in tops}
        assert ours == {"registry", "registry.testing", "registry.testing.plugin"}
    """,
    )
    done = run.run()
    assert "1 passed" in done.stdout, done.stdout
