"""`hbeacon race` with stock Java clients beside our own, and its report in a real browser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.java import ClassPath, jars
from tests.support.processes import tool

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

VERSION = "2.6.4"
BOOTSTRAPS = 24
GIVEN_UP_MS = 10_000
"""Far below the 20 s for which hbase-client waits for a hung server: those that hit one are given up and counted."""
CHROMIUM = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--enable-logging=stderr"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def raced(*words: str) -> dict[str, Any]:
    jar_directory = jars(ClassPath("hbase-client", VERSION)).removesuffix("/*")
    done = subprocess.run(
        [sys.executable, "-m", "registry.cli.main", "race", *words, "--java-classpath", jar_directory, "--json"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_java_clients_wait_for_a_hung_server_and_a_guard_helps_them(tmp_path: Path) -> None:
    """With one of three hung, some new Java connections take 20 s; none of ours does, and none behind a guard."""
    report = tmp_path / "race.html"
    told = raced("--hung", "0", "--hung", "1", "--guard", "--policies", "hedged", "--lookups", "60", "--seed", "3",
                 "--timeout", str(GIVEN_UP_MS), "--java-lookups", str(BOOTSTRAPS), "--html", str(report))  # fmt: skip
    assert told["notes"] == []
    cases = {(case["policy"], case["hung"], case["guarded"]): case for case in told["cases"]}
    java = f"hbase-client {VERSION}"
    assert cases[java, 0, False]["failed"] == 0
    assert cases[java, 0, False]["lookups"] == BOOTSTRAPS
    assert cases[java, 1, False]["failed"] > 0, "of twenty-four a third asks the hung server first"
    assert cases[java, 1, False]["max_ms"] >= GIVEN_UP_MS
    assert cases[java, 1, True]["failed"] == 0, "the guard has replaced the hung server long before"
    assert cases[java, 1, True]["sent"] is None
    for guarded in (False, True):
        assert cases["hedged", 1, guarded]["failed"] == 0
        assert cases["hedged", 1, guarded]["max_ms"] < GIVEN_UP_MS

    words = [tool("chromium"), *CHROMIUM, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", report.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    for case in told["cases"]:
        condition = ", ".join(["1 hung"] * case["hung"] + ["guarded"] * case["guarded"]) or "none hung"
        assert f"<h2>{case['policy']}, {condition}</h2>" in done.stdout
    assert done.stdout.count("<svg") == len(told["cases"]) == 6
    assert done.stdout.count("<rect") >= 6
