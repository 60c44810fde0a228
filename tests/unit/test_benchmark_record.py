"""What a benchmark leaves behind: raw samples, and its own section of the track record and nothing else."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks import record
from benchmarks.record import TRACK_RECORD, Record, markdown, provenance, recorded
from benchmarks.samples import RESULTS

NAMES = ("registry", "coordinator", "dev", "race", "subscribers", "soak", "data_path")
DOCUMENT = {
    "at": "2026-11-21T16:23:29+00:00",
    "commit": "3f57cc97745c",
    "changed_files": 0,
    "machine": {"cpu": "a processor", "cpus": 2, "kernel": "6.18", "load_before": [0.5, 0.4, 0.3]},
    "versions": {"python": "3.11.7", "uvloop": "0.23.0", "java": "openjdk 17", "go": "go version go1.26"},
}


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_has_its_section(name: str) -> None:
    text = TRACK_RECORD.read_text()
    assert "new" in recorded(text, "new", Record(name).begins, Record(name).ends)


def test_a_section_is_replaced_and_the_rest_stays() -> None:
    assert recorded("before\n<a>\nold\n<b>\nafter\n", "new\n", "<a>", "<b>") == "before\n<a>\n\nnew\n\n<b>\nafter\n"
    for document in ("", "<a>", "<b>", "<b> <a>"):
        with pytest.raises(ValueError, match="no section"):
            recorded(document, "new", "<a>", "<b>")


def test_the_line_that_says_where_figures_are_from() -> None:
    line = provenance(DOCUMENT, RESULTS / "dev-1.json", ("python", "uvloop", "java"), ("0 rows lost",))
    assert line == (
        "2026-11-21, commit `3f57cc9774`; 2 processors (a processor), Linux 6.18; python 3.11.7, uvloop 0.23.0; "
        "openjdk 17. Load average 0.5 before the start. 0 rows lost. "
        "Raw samples: [dev-1.json](../benchmarks/results/dev-1.json)."
    )
    assert ", 3 files changed since; " in provenance(DOCUMENT | {"changed_files": 3}, RESULTS / "x", ("python",), ())


def test_samples_are_kept_and_the_track_record_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, own = tmp_path / "page.md", Record("dev")
    page.write_text(f"before\n{own.begins}\nold\n{own.ends}\nafter\n")
    monkeypatch.setattr(record, "TRACK_RECORD", page)
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(record, "ROOT", tmp_path)
    quiet = own.parsed(argparse.ArgumentParser(), ["--out", str(tmp_path / "out.json")])
    assert own.keep(DOCUMENT, quiet, table="| t |\n", versions=("python",)) == tmp_path / "out.json"
    assert json.loads((tmp_path / "out.json").read_text())["commit"] == DOCUMENT["commit"]
    assert "old" in page.read_text()
    path = own.keep(
        DOCUMENT, own.parsed(argparse.ArgumentParser(), ["--record"]), table="| t |\n", versions=("python",)
    )
    assert path.name == "dev-2026-11-21T162329-3f57cc9774.json"
    assert "old" not in page.read_text()
    assert page.read_text().endswith(f"({path.name}).\n\n| t |\n\n{own.ends}\nafter\n".replace("(", "(../", 1))


def test_a_record_needs_its_samples_in_the_repository(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Record("dev").parsed(argparse.ArgumentParser(), ["--record", "--out", "elsewhere"])
    assert "leave --out away" in capsys.readouterr().err


def test_tables() -> None:
    assert markdown(("a", "b"), [("x", "1")], figures=(1,)) == "| a | b |\n| --- | ---: |\n| x | 1 |\n"
