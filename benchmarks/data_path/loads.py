"""Rows of ten cells, read and written by the load generator on both sides in turns; a row of very many cells."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load
from benchmarks.data_path.sides import Side, create_table
from benchmarks.samples import Sample, Samples, median
from benchmarks.servers import usage
from benchmarks.speed import Effort, Load

TABLE, WIDE_TABLE = "load", "wide"
CELLS = 10
VALUE_BYTES = 100
REGIONS = 4
GET_1 = Load("Get 16x1", "get", 16, 1)
GET = Load("Get 16x16", "get", 16, 16)
PUT_1 = Load("Put 16x1", "put", 16, 1)
PUT = Load("Put 16x16", "put", 16, 16)
MUTATE_1 = Load("Put as Mutate 16x1", "mutate", 16, 1)
MUTATE = Load("Put as Mutate 16x16", "mutate", 16, 16)
MULTI = Load("Multi of 50 puts 8x2", "multi", 8, 2)
SCAN = Load("Scan of 50 rows a call 8x2", "scan", 8, 2)
LOADS = (GET_1, GET, PUT_1, PUT, MUTATE_1, MUTATE, MULTI, SCAN)
WIDE_UPDATE = Load("one cell of a row of many", "update", 1, 1)
WIDE_SCAN = "scan of a row of many cells"


@dataclass(frozen=True)
class Rows:
    """How many there are."""

    count: int
    wide_cells: int

    @property
    def words(self) -> tuple[str, ...]:
        """For the load generator."""
        return ("-table", TABLE, "-rows", str(self.count), "-cells", str(CELLS), "-vlen", str(VALUE_BYTES))

    @property
    def wide_words(self) -> tuple[str, ...]:
        """For the one row in a table of its own."""
        return ("-table", WIDE_TABLE, "-cells", str(self.wide_cells), "-vlen", str(VALUE_BYTES))

    @property
    def splits(self) -> tuple[bytes, ...]:
        """Into regions of the same size."""
        return tuple(b"row%07d" % (self.count * number // REGIONS) for number in range(1, REGIONS))


def _run(program: Path, side: Side, each: Load, effort: Effort, words: Sequence[str]) -> Sample:
    before_s = usage(side.pids()).cpu_s
    sample = load.run(
        program,
        each.op,
        side.masters[:1],
        connections=each.connections,
        outstanding=each.outstanding,
        measured_ms=effort.measured_ms,
        warm_up_ms=effort.warm_up_ms,
        words=words,
    )
    share = effort.measured_ms / (effort.measured_ms + effort.warm_up_ms)
    sample["cpu_us_per_call"] = (usage(side.pids()).cpu_s - before_s) * share * 1e6 / max(sample["n"], 1)
    return sample


def prepare(program: Path, sides: Sequence[Side], rows: Rows, tick: Callable[[str], None]) -> None:
    """Make the table on each side, fill it, and read all of it back."""
    for side in sides:
        tick(f"rows, {side.name}")
        create_table(side, TABLE, rows.splits)
        load.job(program, "load", side.masters[0], rows.words)
        load.job(program, "verify", side.masters[0], rows.words)


def warm_up(program: Path, side: Side, rows: Rows, effort: Effort, tick: Callable[[str], None]) -> None:
    """Every kind of load for a while, uncounted: a JVM compiles what it has seen often."""
    longer = Effort(1, 1, effort.jvm_warm_up_ms, 0)
    for each in LOADS:
        tick(f"warm the JVM: {each.measure}")
        with contextlib.suppress(load.NothingAnswered):  # in the one millisecond that would count
            _run(program, side, each, longer, rows.words)


def measure(
    program: Path,
    sides: Sequence[Side],
    rows: Rows,
    effort: Effort,
    samples: Samples,
    tick: Callable[[str], None],
) -> None:
    """Every load in every round, A B then B A; at the end every row is still what was written."""
    for number in range(effort.rounds):
        for each in LOADS:
            for side in sides if number % 2 == 0 else reversed(sides):
                tick(f"{each.measure}, {side.name}")
                samples.add(each.measure, side.name, _run(program, side, each, effort, rows.words))
    for side in sides:
        tick(f"all rows read again, {side.name}")
        load.job(program, "verify", side.masters[0], rows.words)


def measure_wide(
    program: Path,
    sides: Sequence[Side],
    rows: Rows,
    effort: Effort,
    samples: Samples,
    tick: Callable[[str], None],
) -> None:
    """One cell is written again and again, the whole row is read again and again; a first round is not counted."""
    for side in sides:
        tick(f"a row of {rows.wide_cells} cells, {side.name}")
        create_table(side, WIDE_TABLE)
        load.job(program, "wideload", side.masters[0], rows.wide_words)
    for number in range(-1 if effort.warm_up_ms else 0, effort.rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            tick(f"wide row, {side.name}")
            updated = _run(program, side, WIDE_UPDATE, effort, rows.wide_words)
            before_s, began_s = usage(side.pids()).cpu_s, time.perf_counter()
            scanned = load.job(program, "widescan", side.masters[0], (*rows.wide_words, "-n", "5"))
            elapsed_s, spent_s = time.perf_counter() - began_s, usage(side.pids()).cpu_s - before_s
            if number >= 0:
                samples.add(WIDE_UPDATE.measure, side.name, updated)
                figures = {
                    "ms": median(scanned["ms"]),
                    "cells": rows.wide_cells,
                    "all_ms": scanned["ms"],
                    "calls": scanned["calls"],
                }
                samples.add(WIDE_SCAN, side.name, figures | {"cpu_share": spent_s / elapsed_s})
