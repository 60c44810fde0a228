"""Scans of a whole table with the commonest filters, which give back few rows or many, on both sides in turns.

What is common is what HBase's book, the help of its shell and its users' questions have again and again: rows by their
keys (PrefixFilter, RowFilter with a pattern, FuzzyRowFilter, MultiRowRangeFilter), rows by the value of a column
(SingleColumnValueFilter, alone and in a list of two), cells by value, column or time (ValueFilter, QualifierFilter,
ColumnPrefixFilter, TimestampsFilter), to count (FirstKeyOnlyFilter with KeyOnlyFilter), and to turn pages (PageFilter,
ColumnPaginationFilter).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load
from benchmarks.data_path.sides import Side, create_table
from benchmarks.samples import Samples, median
from benchmarks.servers import usage
from benchmarks.speed import Effort
from protos.hbase import Filter_pb2, HBase_pb2
from tests.support import filters as f

TABLE = "people"
REGIONS = 4
CLEANED_S_MAX = 120.0


@dataclass(frozen=True)
class Filtered:
    """A filter of the table of people (benchmarks/loadgen/filtered.go)."""

    name: str
    filter: Filter_pb2.Filter

    @property
    def measure(self) -> str:
        """Under which name its rounds are kept."""
        return f"scan with {self.name}"


def _column(compare: int, column: bytes, value: bytes) -> Filter_pb2.Filter:
    return f.envelope(f.single_column(b"f", column, compare, f.binary(value), missing=True))


def _range(first: int, last: int) -> Filter_pb2.RowRange:
    return Filter_pb2.RowRange(
        start_row=b"row%07d" % first, start_row_inclusive=True, stop_row=b"row%07d" % last, stop_row_inclusive=False
    )


def _fuzzy(key: bytes) -> HBase_pb2.BytesBytesPair:
    return HBase_pb2.BytesBytesPair(first=key.replace(b"?", b"\0"), second=bytes([each == ord("?") for each in key]))


FILTERS = (
    Filtered("PrefixFilter", f.envelope(Filter_pb2.PrefixFilter(prefix=b"row000"))),
    Filtered(
        "RowFilter (pattern)",
        f.envelope(Filter_pb2.RowFilter(compare_filter=f.compared(f.EQUAL, f.regex("^row.*77$")))),
    ),
    Filtered("FuzzyRowFilter", f.envelope(Filter_pb2.FuzzyRowFilter(fuzzy_keys_data=[_fuzzy(b"row???77??")]))),
    Filtered(
        "MultiRowRangeFilter",
        f.envelope(
            Filter_pb2.MultiRowRangeFilter(row_range_list=[_range(at, at + 50) for at in range(0, 100_000, 5000)])
        ),
    ),
    Filtered("SingleColumnValueFilter, few rows", _column(f.EQUAL, b"city", b"city42")),
    Filtered("SingleColumnValueFilter, many rows", _column(f.LESS, b"city", b"city50")),
    Filtered(
        "FilterList of two", f.listed(_column(f.EQUAL, b"city", b"city42"), _column(f.GREATER_OR_EQUAL, b"age", b"50"))
    ),
    Filtered(
        "ValueFilter (substring)",
        f.envelope(Filter_pb2.ValueFilter(compare_filter=f.compared(f.EQUAL, f.substring("n 777")))),
    ),
    Filtered(
        "QualifierFilter", f.envelope(Filter_pb2.QualifierFilter(compare_filter=f.compared(f.EQUAL, f.binary(b"mail"))))
    ),
    Filtered("ColumnPrefixFilter", f.envelope(Filter_pb2.ColumnPrefixFilter(prefix=b"n"))),
    Filtered("ColumnPaginationFilter", f.envelope(Filter_pb2.ColumnPaginationFilter(limit=2, offset=1))),
    Filtered("PageFilter", f.envelope(Filter_pb2.PageFilter(page_size=10_000))),
    Filtered(
        "FirstKeyOnlyFilter, KeyOnlyFilter",
        f.listed(f.envelope(Filter_pb2.FirstKeyOnlyFilter()), f.envelope(Filter_pb2.KeyOnlyFilter(len_as_val=False))),
    ),
    Filtered(
        "TimestampsFilter",
        f.envelope(
            Filter_pb2.TimestampsFilter(timestamps=[1_700_000_000_000 + 7 * at for at in range(10)], can_hint=False)
        ),
    ),
)


def splits(rows: int) -> tuple[bytes, ...]:
    """Into regions of the same size."""
    return tuple(b"row%07d" % (rows * number // REGIONS) for number in range(1, REGIONS))


def measure(
    program: Path,
    sides: Sequence[Side],
    rows: int,
    effort: Effort,
    samples: Samples,
    tick: Callable[[str], None],
    filters: Sequence[Filtered] = FILTERS,
) -> None:
    """The table is written and lies in files; every filter in every round, and both sides must give the same cells."""
    words = ("-table", TABLE, "-rows", str(rows))
    for side in sides:
        tick(f"people, {side.name}")
        create_table(side, TABLE, splits(rows))
        load.job(program, "people", side.masters[0], words)
        load.job(program, "cleanup", side.masters[0], words, limit_s=CLEANED_S_MAX)
    for number in range(-1 if effort.jvm_warm_up_ms else 0, effort.rounds):
        for each in filters:
            found: set[tuple[int, int, int]] = set()
            for side in sides if number % 2 == 0 else reversed(sides):
                tick(f"{each.measure}, {side.name}")
                # a JVM compiles what it has seen often; ours is warm when it has run once
                long = number < 0 and side is sides[1]
                lasts_ms = effort.jvm_warm_up_ms if long else effort.measured_ms if number >= 0 else 0
                scanned = (
                    *words,
                    "-filter",
                    each.filter.SerializeToString().hex(),
                    "-d",
                    f"{lasts_ms:g}ms",
                    "-w",
                    "0s",
                )
                before_s, began_s = usage(side.pids()).cpu_s, time.perf_counter()
                done = load.job(program, "filtered", side.masters[0], scanned)
                spent_s, elapsed_s = usage(side.pids()).cpu_s - before_s, time.perf_counter() - began_s
                found.add((done["rows"], done["cells"], done["sum"]))
                scans = len(done["ms"]) + 1  # the first is not counted
                figures = {"per_s": rows * 1000 / median(done["ms"]), "scan_ms": median(done["ms"])}
                figures |= {"cpu_ms": spent_s * 1000 / scans, "cpu_share": spent_s / elapsed_s}
                if number >= 0:
                    samples.add(each.measure, side.name, done | figures)
            if len(found) != 1:
                raise load.LoadError(f"{each.measure}: the sides give (rows, cells, sum) {sorted(found)}")
