"""Dead cells under load: rows are written again and again, or expire soon, while others are read and regions compacted.

The load comes first, with a flush and a major compaction of the whole table in its middle, whose time is told; when it
has ended, and what expires has expired, the same is done once more and alone, until a raw scan of all versions finds
none but living cells. Clients write what the side lets them, and who takes more rows has more dead cells then: so it is
told how long it takes until they are gone, and how many are gone in a second, and the processor time of all and of
each. Then all rows are written some times on both sides, and it is told how long it takes until as many dead cells are
gone. So it is for rows that expire among others that live, too: where everything in a region has expired nobody has to
look at any of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load
from benchmarks.data_path.filters import splits
from benchmarks.data_path.sides import Side, create_table
from benchmarks.samples import Sample, Samples
from benchmarks.servers import usage
from benchmarks.speed import Effort

CELLS = 5
"""Of a row; rows of eight and more have no dead versions here, since those go when a row is written."""
VALUE_BYTES = 100
CONNECTIONS = 4
TTL_S, TTL_AMONG_S = 2, 4
"""The second is long enough for a clean-up within it: those that live meanwhile are counted behind it."""
GONE_S_MAX = 120.0
AGAIN = 3
"""So many times all rows are written once more for as many dead cells on both sides."""


@dataclass(frozen=True)
class Dying:
    """Why cells die."""

    name: str
    table: str
    attributes: Mapping[bytes, bytes]
    """Of the family."""
    ttl_s: int = 0
    """Of the family; 0: it has none, and they die of newer ones."""
    living_every: int = 0
    """Each so-many-th row is written once more when all have expired, and there is no load; 0: none is."""

    @property
    def expires(self) -> bool:
        """Whether they do by their age."""
        return self.ttl_s > 0

    @property
    def writes(self) -> str:
        """Under which name its rounds are kept."""
        return f"rows written, {self.name}"

    @property
    def reads(self) -> str:
        """The same of reads meanwhile."""
        return f"rows read, {self.name}"

    @property
    def cleaned(self) -> str:
        """The same of the clean-up meanwhile."""
        return f"clean-up under load, {self.name}"

    @property
    def gone(self) -> str:
        """And of the end of all dead cells."""
        return f"dead cells gone, {self.name}"

    @property
    def as_many(self) -> str:
        """The same of as many on both sides."""
        return f"as many dead cells gone, {self.name}"


VERSIONS = Dying("old versions", "versions", {})
EXPIRED = Dying("cells that expire", "expired", {b"TTL": b"%d" % TTL_S}, TTL_S)
AMONG = Dying(
    "cells that expire among rows that live", "among", {b"TTL": b"%d" % TTL_AMONG_S}, TTL_AMONG_S, living_every=10
)
KINDS = (VERSIONS, EXPIRED, AMONG)


def measure(
    program: Path,
    sides: Sequence[Side],
    rows: int,
    effort: Effort,
    samples: Samples,
    tick: Callable[[str], None],
) -> None:
    """All kinds in every round, A B then B A; a first round is not counted."""
    for kind in KINDS:
        for side in sides:
            tick(f"{kind.table}, {side.name}")
            create_table(side, kind.table, splits(rows), kind.attributes)
            load.job(program, "load", side.masters[0], _words(kind, rows))
    for number in range(-1 if effort.warm_up_ms else 0, effort.rounds):
        for kind in KINDS:
            for side in sides if number % 2 == 0 else reversed(sides):
                tick(f"{kind.name}, {side.name}")
                found: dict[str, Sample] = {}
                if not kind.living_every:
                    found |= _under_load(program, side, kind, rows, effort)
                    found[kind.gone] = _until_gone(program, side, kind, rows)
                for _ in range(AGAIN):
                    load.job(program, "load", side.masters[0], _words(kind, rows))
                found[kind.as_many] = _until_gone(program, side, kind, rows)
                if number >= 0:
                    for measure, sample in found.items():
                        samples.add(measure, side.name, sample)


def _words(kind: Dying, rows: int) -> tuple[str, ...]:
    return ("-table", kind.table, "-rows", str(rows), "-cells", str(CELLS), "-vlen", str(VALUE_BYTES))


def _under_load(program: Path, side: Side, kind: Dying, rows: int, effort: Effort) -> dict[str, Sample]:
    """Writes and reads at once, and a clean-up beside them."""
    words = _words(kind, rows)

    def run(op: str, more: Sequence[str] = ()) -> Sample:
        return load.run(
            program,
            op,
            side.masters[:1],
            connections=CONNECTIONS,
            outstanding=4,
            measured_ms=effort.measured_ms,
            warm_up_ms=effort.warm_up_ms,
            words=(*words, *more),
        )

    with ThreadPoolExecutor(2) as both:
        written = both.submit(run, "put")
        read = both.submit(run, "get", ["-gone"] if kind.expires else [])
        time.sleep((effort.warm_up_ms + effort.measured_ms / 3) / 1000)
        done = load.job(program, "cleanup", side.masters[0], words, limit_s=GONE_S_MAX)
        return {
            kind.writes: written.result(),
            kind.reads: read.result(),
            kind.cleaned: {"ms": done["ms"], "flush_ms": done["flush_ms"]},
        }


def _until_gone(program: Path, side: Side, kind: Dying, rows: int) -> Sample:
    if kind.expires:
        time.sleep(kind.ttl_s + 0.1)
    words, living = _words(kind, rows), 0 if kind.expires else rows * CELLS
    before = load.job(program, "filtered", side.masters[0], (*words, "-raw", "-d", "0s", "-w", "0s"))["cells"]
    if kind.living_every:
        load.job(program, "load", side.masters[0], (*words, "-every", str(kind.living_every)))
        living = len(range(0, rows, kind.living_every)) * CELLS
        before += living
    began_s, spent_s = time.perf_counter(), usage(side.pids()).cpu_s
    while True:
        done = load.job(program, "cleanup", side.masters[0], words, limit_s=GONE_S_MAX)
        took_s, cpu_s = time.perf_counter() - began_s, usage(side.pids()).cpu_s - spent_s
        left = load.job(program, "filtered", side.masters[0], (*words, "-raw", "-d", "0s", "-w", "0s"))["cells"]
        if left == living:
            dead = before - living
            each = {"per_s": dead / took_s, "cpu_us_per_cell": cpu_s * 1e6 / dead} if dead else {}
            return each | {"dead": dead, "ms": took_s * 1000, "cpu_ms": cpu_s * 1000, "flush_ms": done["flush_ms"]}
        if took_s > GONE_S_MAX or left < living:
            raise load.LoadError(f"{kind.gone}, {side.name}: {left} cells where {living} live")
