"""The table of the data path's benchmark: what is held, what is lost, and what could not be measured."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.data_path import cleanup, filters, first, loads, regions, ycsb
from benchmarks.data_path.sides import HBASE, HBEACON
from benchmarks.data_path.table import MEMORY, DataPathTable, in_a_line
from benchmarks.samples import Samples
from benchmarks.table import HELD, LOST


def both(measure: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Samples:
    samples = Samples()
    samples.add(measure, HBEACON, ours)
    samples.add(measure, HBASE, theirs)
    return samples


def rate(per_s: float, **more: float) -> dict[str, Any]:
    return {"per_s": per_s, "rows_per_s": per_s * 50, "p50_us": 100.0, "p99_us": 900.0, "cpu_us_per_call": 50.0, **more}


def verdicts(samples: Samples) -> dict[str, str]:
    return {row.measure: row.verdict for row in DataPathTable(samples, {}).rows if row.verdict}


@pytest.mark.parametrize(
    ("measure", "goal", "name"),
    [
        (loads.GET.measure, 3.0, "Get 16x16, rate"),
        (loads.PUT_1.measure, 1.5, "Put 16x1, rate"),
        (loads.MULTI.measure, 1.0, "Multi of 50 puts 8x2, rows"),
        (loads.SCAN.measure, 3.0, "Scan of 50 rows a call 8x2, rows"),
        (ycsb.measure_of("e"), 1.5, "YCSB E, rate"),
    ],
)
def test_rates_are_held_by_their_ratio(measure: str, goal: float, name: str) -> None:
    assert verdicts(both(measure, rate(1000 * goal + 1), rate(1000)))[name] == HELD
    assert verdicts(both(measure, rate(1000 * goal - 1), rate(1000)))[name] == LOST


def test_what_shall_be_small() -> None:
    update, scan = loads.WIDE_UPDATE.measure, loads.WIDE_SCAN
    assert verdicts(both(update, rate(1, p50_us=199), rate(1)))["one cell in a row of 0 cells, p50"] == HELD
    assert verdicts(both(update, rate(1, p50_us=201), rate(1)))["one cell in a row of 0 cells, p50"] == LOST
    scanned = both(scan, {"ms": 201.0, "cells": 100_000}, {"ms": 100.0, "cells": 100_000})
    assert verdicts(scanned) == {"scan of a row of 100000 cells": LOST}
    for mib, verdict in ((199.0, HELD), (201.0, LOST)):
        samples = both(MEMORY, {"mib": mib, "processes": 6}, {"mib": 1000.0, "processes": 5})
        assert verdicts(samples) == {"memory of all processes after the load (6, 5)": verdict}


def test_scans_with_filters_and_the_end_of_dead_cells() -> None:
    scan, kind = filters.FILTERS[0], cleanup.EXPIRED
    assert verdicts(both(scan.measure, rate(1000), rate(1000))) == {"scan with PrefixFilter, rows": HELD}
    assert verdicts(both(scan.measure, rate(999), rate(1000))) == {"scan with PrefixFilter, rows": LOST}
    gone = both(
        kind.gone,
        {"ms": 99.0, "cpu_ms": 201.0, "dead": 5000, "per_s": 999.0, "cpu_us_per_cell": 40.0},
        {"ms": 100.0, "cpu_ms": 200.0, "dead": 2000, "per_s": 1000.0, "cpu_us_per_cell": 100.0},
    )
    assert verdicts(gone) == {
        "dead cells gone, cells that expire, 5000 and 2000 of them": HELD,
        "of it processor time, cells that expire": LOST,
        "dead cells gone, cells that expire in a second": LOST,
        "of it processor time a cell, cells that expire": HELD,
    }
    as_many = both(
        kind.as_many, {"ms": 99.0, "cpu_ms": 201.0, "dead": 300}, {"ms": 100.0, "cpu_ms": 200.0, "dead": 300}
    )
    assert verdicts(as_many) == {
        "as many dead cells gone, cells that expire, 300 of them": HELD,
        "of it processor time, as many, cells that expire": LOST,
    }
    for ms, verdict in ((100.0, HELD), (101.0, LOST)):
        cleaned = both(kind.cleaned, {"ms": ms}, {"ms": 100.0})
        assert verdicts(cleaned) == {"clean-up under load, cells that expire": verdict}
    written = both(kind.writes, rate(1001, p99_us=2000.0), rate(1000, p99_us=1999.0))
    assert list(verdicts(written).values()) == [HELD, LOST]


def test_times_are_held_by_themselves_with_and_without_another_side() -> None:
    samples = Samples()
    samples.add(first.FIRST, HBEACON, {"ready_ms": 900.0, "created_ms": 1300.0, "read_ms": 1501.0})
    samples.add(regions.CREATE, HBEACON, {"s": 4.9, "regions": 1000})
    samples.add(regions.COLD_START, HBEACON, {"s": 61.0, "regions": 10_000})
    assert list(verdicts(samples).values()) == [LOST, HELD, LOST]
    samples.add(first.FIRST, HBASE, {"ready_ms": 9000.0, "created_ms": 13_000.0, "read_ms": 15_010.0})
    rows = {row.measure: row for row in DataPathTable(samples, {}).rows}
    assert rows["command to first put and get of a Java client"].ratio == "0.100"
    assert rows["10000 regions, 4 servers, start to all open"].theirs == "-"


def test_a_group_that_failed_is_a_row_that_was_lost() -> None:
    table = DataPathTable(Samples(), {"ycsb": "no | answer\nand a log"})
    assert [(row.measure, row.goal, row.verdict) for row in table.rows] == [
        ("ycsb: not measured to its end", "no / answer", LOST)
    ]


def test_why_a_group_failed_is_told_with_the_first_error_of_the_log() -> None:
    log = "12:00:01 INFO [rs1] begins\n12:00:02 ERROR [rs1] the disk is full\n12:00:03 ERROR [dev] rs1 ended"
    said = in_a_line(f"hbeacon dev has ended; its log ends:\n{log}")
    assert said == "hbeacon dev has ended; its log ends: [rs1] the disk is full"


def test_the_median_of_the_rounds_is_what_counts() -> None:
    samples = Samples()
    for ours in (100.0, 2000.0, 5000.0):
        samples.add(loads.GET_1.measure, HBEACON, rate(ours, p99_us=ours))
        samples.add(loads.GET_1.measure, HBASE, rate(1000.0, p99_us=4000.0))
    assert verdicts(samples) == {"Get 16x1, rate": HELD, "Get 16x1, p99": HELD}
