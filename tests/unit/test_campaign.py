"""Rows of campaigns come from pytest's own reports."""

from __future__ import annotations

from tests.sim.campaign import BEGINS, CAMPAIGNS, ENDS, TRACK_RECORD, Outcome, outcome, record
from tests.support.adapters import ROOT

REPORT = """<testsuites><testsuite tests="4">
<testcase name="test_seed[0]"/><testcase name="test_seed[17]"><failure message="x">y</failure></testcase>
<testcase name="test_kept[two_hung]"/><testcase name="test_twice"><error message="x">y</error></testcase>
</testsuite></testsuites>"""


def test_seeds_and_failures_are_counted() -> None:
    assert outcome(REPORT, 1.5) == Outcome(2, 2, 1.5)


def test_a_row_is_replaced_and_the_others_stay() -> None:
    first, second = CAMPAIGNS[:2]
    document = f"before\n{BEGINS}\n{ENDS}\nafter\n"
    document = record(document, first, "aaa", Outcome(10, 1, 0.5))
    document = record(document, second, "bbb", Outcome(20, 0, 2.0))
    document = record(document, first, "ccc", Outcome(30, 0, 1.25))
    rows = [line for line in document.splitlines() if line.startswith("|")]
    assert rows[2:] == [f"| {second.title} | bbb | 20 | 2.0 | 0 |", f"| {first.title} | ccc | 30 | 1.2 | 0 |"]
    assert document.startswith("before\n")
    assert document.endswith("after\n")


def test_of_real_processes_there_are_fewer() -> None:
    real, simulated = (next(each for each in CAMPAIGNS if each.is_real == is_real) for is_real in (True, False))
    assert [real.seeds(asked) for asked in (10, 4000)] == [1, 4]
    assert simulated.seeds(10) == 10
    [filters] = [each for each in CAMPAIGNS if "hostile" in each.file]
    assert (filters.seeds(4000), filters.words) == (400, ["tests/hostile/test_hostile_filters.py"])


def test_campaigns_are_those_that_take_seeds() -> None:
    files = {path.name for path in (ROOT / "tests" / "sim").glob("test_*.py") if " = seeds(" in path.read_text()}
    others = {"test_client_simulation.py", "tests/hostile/test_hostile_filters.py"}
    assert files | others == {campaign.file for campaign in CAMPAIGNS if not campaign.is_real}
    for campaign in CAMPAIGNS:
        if campaign.is_real:
            file, _, name = campaign.file.partition("::")
            assert '@pytest.mark.parametrize("seed", ' in (ROOT / file).read_text().partition(f"def {name}(")[0][-80:]
    assert BEGINS in TRACK_RECORD.read_text()
