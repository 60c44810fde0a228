"""What a run keeps: raw samples by measure and side, and on which machine, with which versions they were taken."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"

Sample = dict[str, Any]
"""One round: figures by name, as the load generator or a probe gave them."""


def median(values: Sequence[float]) -> float:
    """The middle of the values; the rounds of one run differ by a third, and the mean would show the worst one."""
    return statistics.median(values)


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which a share `q` of the samples lies; the highest sample for the last share."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * q), len(ordered) - 1)]


@dataclass
class Samples:
    """Rounds by (measure, side), in the order in which they were taken."""

    rounds: dict[tuple[str, str], list[Sample]] = field(default_factory=dict[tuple[str, str], list[Sample]])

    def add(self, measure: str, side: str, sample: Sample) -> None:
        """Keep one round."""
        self.rounds.setdefault((measure, side), []).append(sample)

    def series(self, measure: str, side: str, figure: str) -> list[float]:
        """One figure over all rounds; empty where the measure was not taken on that side."""
        return [float(sample[figure]) for sample in self.rounds.get((measure, side), []) if figure in sample]

    def median(self, measure: str, side: str, figure: str) -> float | None:
        """The median over the rounds; None where there are none."""
        values = self.series(measure, side, figure)
        return median(values) if values else None

    def errors(self) -> list[str]:
        """What went wrong in any round, for people: a figure beside errors is not a figure."""
        return [
            f"{measure}, {side}: {sample['errors']} errors, first: {sample.get('error', '')}"
            for (measure, side), rounds in self.rounds.items()
            for sample in rounds
            if sample.get("errors")
        ]

    def as_json(self) -> list[dict[str, Any]]:
        """One object for each measure and side."""
        return [{"measure": measure, "side": side, "rounds": rounds} for (measure, side), rounds in self.rounds.items()]


def _text_of(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=ROOT, check=False)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def surroundings() -> dict[str, Any]:
    """Commit, machine and versions, so that two result files can be compared at all."""
    memory_kib = next(
        int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _text_of("git", "rev-parse", "HEAD"),
        "changed_files": len(_text_of("git", "status", "--porcelain", "--untracked-files=no").splitlines()),
        "machine": {
            "cpu": _cpu_model(),
            "cpus": os.cpu_count(),
            "memory_mib": memory_kib // 1024,
            "kernel": platform.release(),
            "load_before": os.getloadavg(),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("uvloop", "protobuf", "kazoo", "fastapi", "uvicorn")},
            "java": next(iter(_text_of("java", "-version").splitlines()), ""),
            "go": _text_of("go", "version"),
        },
    }


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(document) + "\n")
    partial.replace(path)
