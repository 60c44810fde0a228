"""Where a run is kept: its raw samples as a file, its table in docs/track-record.md with what makes it believable."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.samples import RESULTS, ROOT, surroundings, write_json

TRACK_RECORD = ROOT / "docs" / "track-record.md"


@dataclass(frozen=True)
class Record:
    """One benchmark's result files and its section of the track record. `name` is that of its module."""

    name: str

    @property
    def begins(self) -> str:
        """The line before its section."""
        return f"<!-- {self.name}: written by python -m benchmarks.{self.name} --record -->"

    @property
    def ends(self) -> str:
        """The line behind its section."""
        return f"<!-- {self.name}: end -->"

    def parsed(self, parser: argparse.ArgumentParser, words: Sequence[str] | None = None) -> argparse.Namespace:
        """What the command line says, with --record and --out, which this adds."""
        parser.add_argument("--record", action="store_true", help="put the table into docs/track-record.md too")
        parser.add_argument("--out", type=Path, default=None, help="the result file (default: benchmarks/results)")
        options = parser.parse_args(words)
        if options.record and options.out:
            parser.error("--record links the raw samples, so they must lie in benchmarks/results: leave --out away")
        return options

    def begun(self, **facts: Any) -> dict[str, Any]:
        """The document of a run that begins now: which benchmark, `facts`, and where it runs."""
        return {"benchmark": self.name, **facts, **surroundings()}

    def keep(
        self,
        document: dict[str, Any],
        options: argparse.Namespace,
        *,
        table: str,
        versions: Sequence[str],
        notes: Sequence[str] = (),
    ) -> Path:
        """Write the document, and the section where --record asks for it. `versions`: those that the section names.

        Gives the file that was written.
        """
        stamp = str(document["at"])[:19].replace(":", "")
        path = options.out or RESULTS / f"{self.name}-{stamp}-{str(document['commit'])[:10]}.json"
        write_json(path, document)
        if options.record:
            section = f"{provenance(document, path, versions, notes)}\n\n{table}"
            TRACK_RECORD.write_text(recorded(TRACK_RECORD.read_text(), section, self.begins, self.ends))
        return path


def provenance(document: dict[str, Any], path: Path, versions: Sequence[str], notes: Sequence[str]) -> str:
    """Of which day, commit and machine a table is, and where its raw samples lie. Java and Go tell their own names."""
    machine, known = document["machine"], document["versions"]
    dirty = f", {document['changed_files']} files changed since" if document["changed_files"] else ""
    named = ", ".join(f"{name} {known[name]}" for name in versions if name not in ("java", "go"))
    told = "; ".join([named, *(known[name] for name in versions if name in ("java", "go"))])
    sentences = (
        f"Load average {machine['load_before'][0]:.1f} before the start",
        *notes,
        f"Raw samples: [{path.name}](../{path.resolve().relative_to(ROOT)})",
    )
    return (
        f"{str(document['at'])[:10]}, commit `{str(document['commit'])[:10]}`{dirty}; {machine['cpus']} processors "
        f"({machine['cpu']}), Linux {machine['kernel']}; {told}. {'. '.join(sentences)}."
    )


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], *, figures: Sequence[int]) -> str:
    """A table for documents; the columns of that number hold figures and are aligned to the right."""
    marks = ["---:" if number in figures else "---" for number in range(len(headings))]
    return "".join(f"| {' | '.join(row)} |\n" for row in (headings, marks, *rows))


def recorded(document: str, section: str, begins: str, ends: str) -> str:
    """The document with what stands between two lines of it replaced; ValueError where it lacks one of them."""
    before, found, rest = document.partition(begins)
    _, found_end, after = rest.partition(ends)
    if not found or not found_end:
        raise ValueError(f"the document has no section between {begins} and {ends}")
    return f"{before}{begins}\n\n{section.strip()}\n\n{ends}{after}"
