"""What benchmarks beside another server have in common: a command line, a place for the run, a table and its record."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from benchmarks import load
from benchmarks.record import Record, markdown
from benchmarks.report import Reporter
from benchmarks.samples import Samples
from benchmarks.table import LOST, Row, cells
from tests.support.processes import MissingToolError


@dataclass(frozen=True)
class Run:
    """What a run measures with, and into what."""

    is_quick: bool
    """Shows that everything runs; its figures mean nothing."""
    groups: Sequence[str]
    program: Path
    """The load generator."""
    directory: Path
    """Removed when the run ends."""
    report: Reporter = field(default_factory=Reporter)
    samples: Samples = field(default_factory=Samples)
    failures: dict[str, str] = field(default_factory=dict[str, str])
    """Groups that were not measured to their end, and why."""


@dataclass(frozen=True)
class Comparison:
    """One benchmark; `about` is the docstring of its module."""

    record: Record
    about: str | None
    groups: Sequence[str]
    headings: Sequence[str]
    versions: Sequence[str]
    """That the track record names."""
    measure: Callable[[Run], None]
    table: Callable[[Run], Sequence[Row]]
    """What was measured, beside its goals."""

    def main(self) -> int:
        """Run what was asked for. 0 also when rows are lost, unless --strict (3); 1 when a round had errors."""
        options = self._options()
        # Ten thousand connections need as many descriptors here and in the server, which inherits the limit.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        groups = options.only.split(",")
        document = self.record.begun(quick=options.quick, groups=groups)
        began_s = time.perf_counter()
        try:
            program = load.build()
            with tempfile.TemporaryDirectory(prefix="hbeacon-benchmark-") as name:
                run = Run(options.quick, groups, program, Path(name))
                self.measure(run)
        except (load.LoadError, MissingToolError) as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
        rows = self.table(run)
        lost_count = sum(row.verdict == LOST for row in rows)
        document |= {"seconds": time.perf_counter() - began_s, "failures": run.failures}
        document |= {"samples": run.samples.as_json(), "table": [asdict(row) for row in rows]}
        shown = markdown(self.headings, [cells(row) for row in rows], figures=(1, 2, 3))
        notes = (f"{lost_count} rows lost",)
        path = self.record.keep(document, options, table=shown, versions=self.versions, notes=notes)
        self._show(rows)
        print(f"{lost_count} rows lost; samples: {path}")
        errors = [*run.samples.errors(), *(f"{name}: {why}" for name, why in run.failures.items())]
        for line in errors:
            print(f"errors: {line}")
        if errors:
            return 1
        return 3 if lost_count and options.strict else 0

    def _options(self) -> argparse.Namespace:
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{self.record.name}", description=self.about)
        parser.add_argument("--quick", action="store_true", help="a moment for each row: shows that all of it runs")
        parser.add_argument("--only", default=",".join(self.groups), help=f"groups, by comma: {', '.join(self.groups)}")
        parser.add_argument("--strict", action="store_true", help="exit with 3 when a row is lost")
        options = self.record.parsed(parser)
        if unknown := set(options.only.split(",")) - set(self.groups):
            parser.error(f"there is no group {', '.join(sorted(unknown))}: {', '.join(self.groups)}")
        return options

    def _show(self, rows: Sequence[Row]) -> None:
        shown = RichTable(*self.headings)
        for row in rows:
            shown.add_row(*map(escape, cells(row)), style="bold red" if row.verdict == LOST else "")
        Console(width=None if sys.stdout.isatty() else 180).print(shown)
