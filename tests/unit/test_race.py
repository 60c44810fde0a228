"""`hbeacon race` as users run it: servers of its own, hung, slow and guarded ones among them, numbers, a report."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.cli import race
from registry.clock import SystemClock
from registry.race.bootstraps import Course, run_cases
from registry.race.cases import QUANTILES, Case, Condition, Run, Slow
from registry.race.java import NoJavaError, expanded, fetched, installed, java_and_jars, reason
from registry.race.report import histogram, page
from registry.race.running import Race, Results, run_race
from registry.race.servers import RaceServers
from tests.support.registry import bodies
from tests.support.scripted import answering
from tests.unit.test_client_blocking import server_thread

WITHOUT_JAVA = ("--java-lookups", "0")
WITHIN_S = 150


def raced(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "registry.cli.main", "race", *words, *WITHOUT_JAVA, "--json"],
        capture_output=True, text=True, timeout=WITHIN_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(180)
def test_a_race_against_hung_servers(tmp_path: Path) -> None:
    report = tmp_path / "race.html"
    told = raced("--hung", "0", "--hung", "2", "--policies", "hedged", "--lookups", "40", "--runs", "2", "--seed", "7",
                 "--html", str(report))  # fmt: skip
    assert told["seed"] == 7
    assert told["notes"] == []
    healthy, hung = told["cases"]
    assert (healthy["hung"], hung["hung"]) == (0, 2)
    for case in (healthy, hung):
        assert case["policy"] == "hedged"
        assert (case["runs"], case["lookups"]) == (2, 80)
        assert case["failed"] == 0
        assert case["p50_ms"] <= case["p90_ms"] <= case["p99_ms"] <= case["p999_ms"] <= case["max_ms"]
        assert case["sent"] >= 240
    assert hung["won"] > 0
    assert hung["cancelled"] > 0
    assert hung["max_ms"] < 10_000, "unhedged, two thirds wait for their share of a minute"
    text = report.read_text(encoding="utf-8")
    assert text.count("<svg") == 2
    assert "hedged, 2 hung" in text


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_a_race_against_slow_servers() -> None:
    told = raced("--slow", "60:50", "--slow-all", "20", "--policies", "unhedged,hedged", "--lookups", "60",
                 "--interleave", "20", "--seed", "7")  # fmt: skip
    one = {case["policy"]: case for case in told["cases"] if case["slow"] == "1 slow by 60 ms on 50 %"}
    every = {case["policy"]: case for case in told["cases"] if case["slow"] == "all slow by 20 ms"}
    assert len(told["cases"]) == 4
    assert one["unhedged"]["max_ms"] >= 60, "a third of the clients asks the slow one"
    assert one["unhedged"]["p50_ms"] < 60
    assert one["unhedged"]["extra_load_percent"] == 0
    assert one["hedged"]["won"] > 0
    for case in every.values():
        assert case["p50_ms"] >= 60, "three questions, each as late"
        assert case["failed"] == 0


@pytest.mark.chaos
async def test_a_guard_replaces_a_hung_server() -> None:
    """Everybody who has asked the hung server hears of its end, also a client that asks nobody else."""
    results = Results()
    conditions = [Condition(1, guarded=True)]
    await run_race(Race(conditions, ["unhedged", "hedged"], 30, 30, 30_000, seed=7), results, SystemClock())
    unhedged, hedged = results.cases
    assert unhedged.failed > 0
    assert max(unhedged.took_ms) < 20_000, "without a guard: half a minute"
    assert hedged.failed == 0


async def test_a_killed_server_comes_back_on_its_port() -> None:
    async with RaceServers(2) as servers:
        first = servers.each[0]
        port, pid = first.port, first.pid
        await first.kill()
        await first.start()
        assert first.port == port
        assert first.pid != pid
        assert (await first.counts())["accepted"] == 0


async def test_servers_count_what_they_take() -> None:
    async with RaceServers(1) as servers:
        case = Case("random")
        await run_cases(Course(servers.addresses, 5, 2, 30_000, seed=1), [case], SystemClock())
        counts = await servers.each[0].counts()
        assert counts["accepted"] == 5
        assert counts["calls"]["GetActiveMaster"] == 5
        assert (await servers.each[0].say("no such word")).startswith("unknown")


def test_servers_of_a_race_end_with_it() -> None:
    """Also where it is killed: their standard input ends."""
    words = [sys.executable, "-m", "registry.race.server"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        assert server.stdout.readline().startswith(b"serving ")
        server.stdin.close()
        assert server.wait(10) == 0


def test_against_a_users_own_servers(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []
    with server_thread(answering(bodies(), seen=seen)) as address:
        assert race.run([str(address), "--lookups", "5", "--policies", "random", *WITHOUT_JAVA, "--json"]) == 0
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert (case["failed"], case["sent"], case["extra_load_percent"]) == (0, 15, 0.0)
    assert set(seen) == {"GetClusterId", "GetMetaRegionLocations", "GetActiveMaster"}


@pytest.mark.parametrize(("words", "says"), [
    (["--policies", "hedged,best"], "'best' is none of"),
    (["--hung", "3"], "nobody is left to answer"),
    (["beacon1:16000", "--hung", "1"], "are not touched"),
    (["beacon1:16000", "--guard"], "are not touched"),
    (["hbase+zk://zk1:2181/hbase"], "registry servers are raced"),
])  # fmt: skip
def test_words_that_do_not_go_together(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert race.run(words) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(("words", "says"), [
    (["--slow", "200"], "write MS:SHARE"),
    (["--slow", "200:500"], "from 1 to 100"),
    (["--slow-all", "soon"], "from 1 to 60000"),
])  # fmt: skip
def test_words_that_mean_nothing(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        race.run(words)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


# --- numbers -------------------------------------------------------------------------------------------------------


def test_extra_load_counts_calls_beyond_one_for_each_question() -> None:
    case = Case("hedged", Condition(1), runs=[Run([1.0, 2.0, 300.0, 4.0], asked=12, sent=15)])
    assert case.extra_load_percent == 25.0
    assert case.quantile_ms(0.5) == 4.0
    assert case.quantile_ms(0.99) == 300.0
    text = page(Results([case], ["no <jars>"]), "a <title>")
    assert "a &lt;title&gt;" in text
    assert "no &lt;jars&gt;" in text
    assert "hedged, 1 hung" in text
    assert histogram(case).count("<rect") == 4
    assert histogram(Case("random")).count("<rect") == 0


def test_calls_of_java_clients_are_not_known() -> None:
    case = Case("hbase-client 2.6.4", Condition(2), is_counted=False, runs=[Run([20_000.0], failed=1)])
    told = case.as_dict()
    assert [told[name] for name in ("extra_load_percent", "sent", "won", "cancelled")] == [None] * 4
    assert "+0.0 %" not in page(Results([case]), "")


@given(st.lists(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=50), min_size=1, max_size=5))
def test_numbers_of_several_runs(runs: list[list[float]]) -> None:
    """Medians of the runs' quantiles lie between the runs'; they grow with the quantile, up to the longest of all."""
    case = Case("hedged", runs=[Run(took_ms, asked=len(took_ms), sent=len(took_ms)) for took_ms in runs])
    found = [case.quantile_ms(quantile) for _, quantile in QUANTILES]
    assert found == sorted(found)
    assert found[-1] <= case.max_ms == max(map(max, runs))
    for (_, quantile), value_ms in zip(QUANTILES, found, strict=True):
        each = [run.quantile_ms(quantile) for run in case.runs]
        assert min(each) <= value_ms <= max(each)
    assert sorted(case.took_ms) == sorted(took_ms for run in runs for took_ms in run)
    assert case.extra_load_percent == 0


@pytest.mark.parametrize(("condition", "text"), [
    (Condition(), "none hung"),
    (Condition(2, guarded=True), "2 hung, guarded"),
    (Condition(slow=Slow(200, 5, everywhere=False)), "1 slow by 200 ms on 5 %"),
    (Condition(slow=Slow(50, 100, everywhere=True)), "all slow by 50 ms"),
])  # fmt: skip
def test_conditions_for_people(condition: Condition, text: str) -> None:
    assert str(condition) == text


# --- Java clients, where something is missing ------------------------------------------------------------------------


def with_jar(directory: Path, name: str = "hbase-client-2.6.4.jar") -> Path:
    directory.mkdir(parents=True)
    (directory / name).touch()
    return directory


async def test_without_a_jvm_a_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoJavaError, match="no `java` command"):
        await java_and_jars("", {"PATH": str(tmp_path), "JAVA_HOME": str(tmp_path)})


async def test_without_jars_a_sentence_says_so(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    environ = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    with pytest.raises(NoJavaError, match="--java-classpath"):
        await java_and_jars("", environ)
    jars = with_jar(tmp_path / "hbeacon-tests" / "hbase-client-2.6.4")
    assert await java_and_jars("", environ) == (str(java), f"{jars}/*")
    home = with_jar(tmp_path / "hbase" / "lib").parent
    _, classpath = await java_and_jars("", environ | {"HBASE_HOME": str(home)})
    assert classpath.startswith(f"{home}/lib/*:")
    assert (await java_and_jars(str(jars), environ))[1] == f"{jars}/*"


async def test_a_jvm_that_does_not_start_costs_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho starting >&2\necho 'Error: module jdk.compiler not found' >&2\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    results = Results()
    wanted = Race([Condition()], ["hedged"], 1, 1, 30_000, seed=7, java_lookups=1, java_classpath="x.jar")
    await run_race(wanted, results, SystemClock())
    assert len(results.cases) == 1
    assert results.notes == [
        "Java clients do not race: the JVM has ended: Error: module jdk.compiler not found",
    ]


def test_where_jars_are_found(tmp_path: Path) -> None:
    jars = with_jar(tmp_path / "jars")
    assert expanded(f"{jars}:/a/b.jar::/c/*") == f"{jars}/*:/a/b.jar:/c/*"
    cache = tmp_path / "hbeacon-tests"
    for version in ("2.4.18", "2.6.4", "2.10.1", "3.0.0-beta-1"):
        with_jar(cache / f"hbase-client-{version}")
    assert fetched({"XDG_CACHE_HOME": str(tmp_path)}) == f"{cache}/hbase-client-2.10.1/*"
    assert installed({}) == installed({"HBASE_HOME": str(tmp_path)}) == ""
    assert reason("INFO begun\n") == "INFO begun"
    assert reason("") == "it says nothing"


async def test_taking_turns() -> None:
    """Each case gets all numbers of its run, and who begins changes from block to block."""
    async with RaceServers(1) as servers:
        cases = [Case("unhedged"), Case("unhedged"), Case("hedged")]
        course = Course(servers.addresses, 25, 3, 30_000, seed=1)
        await run_cases(course, cases, SystemClock(), 10)
        await run_cases(course, cases, SystemClock(), 10)
        assert [[len(run.took_ms) for run in case.runs] for case in cases] == [[25, 25]] * 3
        assert (await servers.each[0].counts())["accepted"] == 150


async def test_no_bootstrap_begins_late() -> None:
    async with RaceServers(1) as servers:
        case = Case("hedged")
        await asyncio.wait_for(
            run_cases(Course(servers.addresses, 10**6, 2, 30_000, 1, 200), [case], SystemClock()), WITHIN_S
        )
    assert 0 < len(case.took_ms) < 10**6
