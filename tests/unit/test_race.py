"""`hbeacon race` as a user runs it: servers of its own, hung ones among them, numbers and a report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from registry.cli import race
from registry.race.bootstraps import Case
from registry.race.report import histogram, page
from tests.support.registry import bodies
from tests.support.scripted import answering
from tests.unit.test_client_blocking import server_thread


def test_a_race_against_hung_servers(tmp_path: Path) -> None:
    words = ["race", "--servers", "3", "--hung", "0", "--hung", "2", "--policies", "hedged", "--lookups", "40"]
    report = tmp_path / "race.html"
    done = subprocess.run(
        [sys.executable, "-m", "registry.cli.main", *words, "--seed", "7", "--json", "--html", str(report)],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["seed"] == 7
    healthy, hung = told["cases"]
    assert (healthy["hung"], hung["hung"]) == (0, 2)
    for case in (healthy, hung):
        assert case["policy"] == "hedged"
        assert case["lookups"] == 40
        assert case["failed"] == 0
        assert case["p50_ms"] <= case["p90_ms"] <= case["p99_ms"] <= case["p999_ms"] <= case["max_ms"]
        assert case["sent"] >= 120
    assert hung["won"] > 0
    assert hung["cancelled"] > 0
    assert hung["max_ms"] < 10_000, "unhedged, two thirds wait for their share of a minute"
    text = report.read_text(encoding="utf-8")
    assert text.count("<svg") == 2
    assert "hedged, 2 hung" in text


def test_servers_of_a_race_end_with_it() -> None:
    """Also where it is killed: their standard input ends."""
    words = [sys.executable, "-m", "registry.race.server"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        assert server.stdout.readline().strip().isdigit()
        server.stdin.close()
        assert server.wait(10) == 0


def test_against_a_users_own_servers(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []
    with server_thread(answering(bodies(), seen=seen)) as address:
        assert race.run([str(address), "--lookups", "5", "--policies", "random", "--json"]) == 0
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert (case["failed"], case["sent"], case["extra_load_percent"]) == (0, 15, 0.0)
    assert set(seen) == {"GetClusterId", "GetMetaRegionLocations", "GetActiveMaster"}


@pytest.mark.parametrize(("words", "says"), [
    (["--policies", "hedged,best"], "'best' is none of"),
    (["--hung", "3"], "nobody is left to answer"),
    (["beacon1:16000", "--hung", "1"], "are not hung by it"),
    (["hbase+zk://zk1:2181/hbase"], "registry servers are raced"),
])  # fmt: skip
def test_words_that_do_not_go_together(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert race.run(words) == 2
    assert says in capsys.readouterr().err


def test_extra_load_counts_calls_beyond_one_for_each_question() -> None:
    case = Case("hedged", 1, took_ms=[1.0, 2.0, 300.0, 4.0], sent=15)
    assert case.extra_load_percent == 25.0
    assert case.quantile_ms(0.5) == 4.0
    assert case.quantile_ms(0.99) == 300.0
    assert "histogram" not in page([case], "a <title>")
    assert "a &lt;title&gt;" in page([case], "a <title>")
    assert histogram(case).count("<rect") == 4
    assert histogram(Case("random", 0)).count("<rect") == 0
