"""What a soak does to adapters, and how it tells that something grows."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.soak import report as report_module
from benchmarks.soak.growth import Course, Life, Limits, Sample, courses, too_much
from benchmarks.soak.report import OBSERVED, RECORD, ROWS_MAX, Report, record
from benchmarks.soak.schedule import KINDS, OWN_PROCESS, REPLACED_S, SILENCING, WEIGHTS, Fault, faults

SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.integers(1, 5))
def test_a_seed_gives_the_same_faults_and_one_adapter_is_left(seed: int, adapters: int) -> None:
    found = list(faults(seed, adapters, 600.0))
    assert list(map(str, found)) == list(map(str, faults(seed, adapters, 600.0)))
    assert [each.at_s for each in found] == sorted(each.at_s for each in found)
    silent_s = [0.0] * adapters
    for each in found:
        if each.adapter is None:
            continue
        assert adapters == 1 or not (each.verb in OWN_PROCESS and each.adapter == 0), each
        if each.verb in SILENCING:
            assert silent_s[each.adapter] <= each.at_s, f"{each} comes while its adapter is silent"
            silent_s[each.adapter] = each.at_s + (REPLACED_S if each.verb in OWN_PROCESS else each.for_s)
            assert sum(until_s > each.at_s for until_s in silent_s) < max(adapters, 2), each


def test_an_hour_has_all_kinds_of_faults() -> None:
    found = list(faults(1, 3, 3600.0))
    assert {each.verb for each in found} == set(WEIGHTS)
    assert {each.words["kind"] for each in found if each.verb == "fault"} == set(KINDS)
    assert len(found) > 500
    zookeeper_s = [each.at_s for each in found if each.adapter is None]
    assert min(later - earlier for earlier, later in itertools.pairwise(zookeeper_s)) >= 40.0


def test_a_fault_is_a_line() -> None:
    assert str(Fault(12.34, "delay", 0, 2.5, {"by_ms": "80"})) == "at 12.3 delay adapter=0 for_s=2.5 by_ms=80"
    assert str(Fault(1.0, "zookeeper-restart")) == "at 1.0 zookeeper-restart"


def life(descriptors_an_hour: float, *, until_s: float = 600.0, noise: int = 6) -> Life:
    chance = random.Random(1)
    made = Life("adapter 0 worker", 1)
    for at_s in range(0, round(until_s), 2):
        count = 25 + round(descriptors_an_hour * at_s / 3600) + chance.randint(-noise, noise)
        made.samples.append(Sample(at_s, (60 << 20) + count, count))
    return made


def test_what_grows_is_told_and_what_fluctuates_is_not() -> None:
    assert not too_much(courses([life(0)], 600.0), Limits())
    (problem,) = too_much(courses([life(400)], 600.0), Limits())
    assert problem.startswith("adapter 0 worker: descriptors from ")


def test_the_slope_is_that_of_the_line() -> None:
    found = next(each for each in courses([life(500, noise=0)], 600.0) if each.figure == "descriptors")
    assert found.slope_an_hour == pytest.approx(500, rel=0.02)


def test_who_was_not_there_all_the_time_is_not_judged() -> None:
    """A worker that was killed half-way has no end to compare with."""
    assert courses([life(10_000, until_s=300.0)], 600.0) == []


def test_problems_are_all_there_is_to_complain_of() -> None:
    report = Report(1)
    assert report.problems() == ["no look-up was done"]
    report.add({"look_ups_ms": [1.0, 2.0], "reads_ms": [], "failed": [], "wrong": [], "connections": 1, "calls": 2})
    report.duration_s = 60.0
    assert report.problems() == []
    assert "nothing failed" in report.text()
    assert "look-ups 2 (p99 lately 2.0 ms)" in report.line(30.0)
    report.add({"failed": ["meta_locations: nobody"], "wrong": ["went back"]})
    report.left = {"adapter 0": 3, "adapter 1": 4}
    report.courses = [Course("adapter 0 worker", "memory, MiB", 60.0, 61.0, 70.0, 9.0)]
    report.trouble = ["HBase has ended"]
    assert len(report.problems()) == 5
    assert "FAILED look-up failed: meta_locations: nobody" in report.text()
    document = report.document()
    assert document["look_ups"]["failed"] == ["meta_locations: nobody"]
    assert len(document["problems"]) == 5


def test_a_row_comes_before_those_of_earlier_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    around = {"at": "2026-11-21T17:00:00+00:00", "commit": "a" * 40}
    monkeypatch.setattr(report_module, "surroundings", around.copy)  # it starts processes
    document = f"before\n{RECORD.begins}\n{RECORD.ends}\nafter\n"
    for seed in range(1, ROWS_MAX + 3):
        report = Report(seed, duration_s=1200.0)
        report.add({"look_ups_ms": [1.0, 2.0, 30.0], "failed": ["nobody"] * (seed == ROWS_MAX + 2)})
        report.courses = [Course(OBSERVED, "memory, MiB", 60.0, 61.0, 62.0, 9.0)]
        document = record(document, report)
    rows = [line.split(" | ") for line in document.splitlines() if line.startswith("| 2")]
    assert [row[2] for row in rows] == [str(seed) for seed in range(ROWS_MAX + 2, 2, -1)]
    assert rows[0][-1] == "**1 problems** |"
    assert rows[1][3:8] == ["20", "0", "3", "0", "2.0, 30, 30 ms"]
    assert rows[1][-3:] == ["61 to 62", "-", "held |"]
