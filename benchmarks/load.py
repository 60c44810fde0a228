"""The load generator: built once from benchmarks/loadgen, run as a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from benchmarks.samples import ROOT, Sample
from registry.names import Address

SOURCES = ROOT / "benchmarks" / "loadgen"
ANSWER_S_MAX = 60.0
JOB_S_MAX = 180.0


class LoadError(Exception):
    """The load generator could not be built or gave no figures; the message says why."""


class NothingAnswered(LoadError):
    """It ran, and no call that counts was answered without an error."""


def build() -> Path:
    """The program, compiled where its sources have changed since the last time."""
    go = shutil.which("go")
    if go is None:
        raise LoadError("go is not on this machine: the load generator is a Go program (apt install golang-go)")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.glob("*.go")))).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hbeacon-benchmarks"
    program = cache / f"hbload-{digest}"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = program.with_suffix(f".{os.getpid()}")
        done = subprocess.run(
            [go, "build", "-o", str(partial), "."],
            cwd=SOURCES,
            env={**os.environ, "CGO_ENABLED": "0"},  # no C compiler is needed then
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise LoadError(f"go build in {SOURCES}: {done.stderr.strip()}")
        partial.replace(program)
    return program


def _words(program: Path, op: str, targets: Sequence[Address], connections: int) -> list[str]:
    return [str(program), op, "-addr", ",".join(map(str, targets)), "-c", str(connections)]


def run(
    program: Path,
    op: str,
    targets: Sequence[Address],
    *,
    connections: int,
    outstanding: int = 1,
    measured_ms: float,
    warm_up_ms: float,
    rate_per_second: float = 0.0,
    enter: Sequence[str] = (),
    words: Sequence[str] = (),
) -> Sample:
    """One round of load: the line that the program prints. `enter` goes before the command, `words` behind it.

    Raises LoadError when nothing was answered.
    """
    command = [
        *enter,
        *_words(program, op, targets, connections),
        *("-p", str(outstanding), "-d", f"{measured_ms:g}ms", "-w", f"{warm_up_ms:g}ms"),
        *("-rate", f"{rate_per_second:g}"),
        *words,
    ]
    return _line(command, ANSWER_S_MAX + (measured_ms + warm_up_ms) / 1000)


def job(program: Path, op: str, target: Address, words: Sequence[str], *, limit_s: float = JOB_S_MAX) -> Sample:
    """What is done once: rows written or compared. Raises LoadError where one is not as it should be."""
    return _line([*_words(program, op, [target], 1), *words], limit_s)


def _line(command: Sequence[str], limit_s: float) -> Sample:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise LoadError(f"{' '.join(command)}: not done within {limit_s:g} s") from None
    told = f"{' '.join(command)} {done.stderr.strip()}"
    try:
        line = cast("Sample", json.loads(done.stdout))
    except ValueError:
        raise LoadError(f"it printed {done.stdout.strip()!r}: {told}") from None
    if done.returncode:
        kind = NothingAnswered if line.get("n") == 0 else LoadError
        raise kind(f"{line.get('error', 'nothing was answered')}: {told}")
    return line


class IdleConnections:
    """Connections that have asked once and now only exist, until this is closed."""

    def __init__(self, program: Path, target: Address, count: int) -> None:
        """Open them all; LoadError when one of them fails."""
        self._popen = subprocess.Popen(
            _words(program, "idle", [target], count), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        opened = cast("dict[str, Any]", json.loads(line or "{}"))
        if opened.get("open") != count:
            self.close()
            raise LoadError(f"{count} idle connections to {target}: {line.strip() or 'the load generator died'}")

    def close(self) -> None:
        """Close them, and wait until the program has gone."""
        self._popen.communicate(timeout=ANSWER_S_MAX)
