"""Porcupine, a public checker of linearizability, on histories of a register or of rows: tests/support/porcupine_check.

`python -m tests.support.porcupine` builds it (tests/setup.sh calls it). It shares no code with
tests.support.fresh_histories, whose sentences say what is wrong; this one only says whether.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.fresh_histories import History
from tests.support.processes import tool

SOURCES = Path(__file__).parent / "porcupine_check"
CHECK_S_MAX = 90.0


def build() -> Path:
    """The program, compiled where its sources have changed since the last time."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hbeacon-tests"
    program = cache / f"porcupine-{digest}"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = program.with_suffix(f".{os.getpid()}")
        words = [tool("go"), "build", "-o", str(partial), "."]
        subprocess.run(words, cwd=SOURCES, env={**os.environ, "CGO_ENABLED": "0"}, timeout=300, check=True)
        partial.replace(program)
    return program


def verdict(history: History) -> str:
    """`ok`, `illegal`, or `unknown` where it took too long: writes and all fresh look-ups as one register."""
    operations: list[dict[str, object]] = [
        {
            "client": 0,
            "write": True,
            "value": write.value,
            "call": _ns(write.began_s),
            "return": -1 if write.acked_s is None else _ns(write.acked_s),
        }
        for write in history.writes
    ]
    clients: dict[tuple[str, str], int] = {}
    for look in history.looks:
        if not look.min_zxid:
            number = clients.setdefault((look.protocol, look.server), len(clients) + 1)
            call, answered = _ns(look.asked_s), _ns(look.answered_s)
            operations.append({"client": number, "write": False, "value": look.value, "call": call, "return": answered})
    return _run([], operations)


def verdict_on_rows(operations: Sequence[Mapping[str, object]]) -> str:
    """`ok`, `illegal`, or `unknown`: reads, writes, conditions and increments, as Registers.java writes them down."""
    return _run(["rows"], operations)


def _run(words: Sequence[str], operations: Sequence[Mapping[str, object]]) -> str:
    done = subprocess.run(
        [str(build()), *words],
        input=json.dumps(operations),
        capture_output=True,
        text=True,
        timeout=CHECK_S_MAX,
        check=True,
    )
    return done.stdout.strip()


def _ns(moment_s: float) -> int:
    return round(moment_s * 1e9)


if __name__ == "__main__":
    build()
