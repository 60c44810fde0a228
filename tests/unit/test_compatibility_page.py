"""The page of what was seen: nothing shows as working that did not, nothing at all where nothing ran."""

from __future__ import annotations

import pytest

from tests.support import compatibility
from tests.support.compatibility import PAGE, Results


def test_the_committed_page_is_what_the_committed_rows_say() -> None:
    assert PAGE.read_text() == compatibility.load().page()


def test_cells_of_what_ran_and_of_what_did_not() -> None:
    results = Results("abc123")
    with results.feature("HBase 9", "1.0", "MasterRegistry", "connect"):
        pass
    with results.feature("HBase 9", "2.0", "MasterRegistry", "put"):
        pass
    rows = [line for line in results.page().splitlines() if line.startswith("|")]
    assert rows[0] == "| feature | 1.0, MasterRegistry | 2.0, MasterRegistry |"
    assert rows[2:] == ["| connect | works `abc123` |  |", "| put |  | works `abc123` |"]


def test_a_failure_is_recorded_over_an_older_success() -> None:
    results = Results("abc123")
    results.record("HBase 9", "1.0", "MasterRegistry", "connect", compatibility.WORKS)

    def fails() -> None:
        with results.feature("HBase 9", "1.0", "MasterRegistry", "connect"):
            raise AssertionError("no | answer\nand more")

    with pytest.raises(AssertionError):
        fails()
    assert "| connect | **fails**: no \\| answer `abc123` |" in results.page()
    assert compatibility.WORKS not in results.page()


def test_times_of_one_table_share_their_columns() -> None:
    results = Results("abc123")
    results.record_times("Times", "one", {"p50": "1"})
    results.record_times("Times", "two", {"p50": "2", "p99": "3"})
    assert "|  | p50 | p99 | commit |" in results.page()
    assert "| one | 1 |  | abc123 |" in results.page()
