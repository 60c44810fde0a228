"""YCSB's workloads A to F through hbase-client, both clusters from one warm JVM in turns."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from benchmarks.data_path.sides import Side, create_table, java_settings
from benchmarks.load import LoadError
from benchmarks.samples import ROOT, Sample, Samples
from benchmarks.servers import usage
from tests.support.java import JDK_FLAGS, YCSB, ClassPath, program_classes
from tests.support.processes import ManagedProcess, tool

SOURCES = ROOT / "benchmarks" / "ycsb"
CLIENT = ClassPath("hbase-client", "2.6.4")
WORKLOADS = ("a", "b", "c", "d", "e", "f")
THREADS = 8
TABLE = "usertable"
SPLITS = (b"user3", b"user5", b"user7")
"""YCSB's keys are `user` and a hash of up to nineteen digits."""
ANSWER_S_MAX = 120.0
HEAP = "-Xmx1g"


def measure_of(workload: str) -> str:
    """Under which name its rounds are kept."""
    return f"YCSB {workload.upper()}"


class YcsbClient:
    """The JVM; YcsbClient.java tells its commands."""

    def __init__(self, log: Path) -> None:
        """Compile it where its source has changed, and start it."""
        words = [HEAP, "-Dtest.log.level=WARN", *JDK_FLAGS]
        classes = program_classes(CLIENT, "YcsbClient", directory=SOURCES, beside=(YCSB,))
        self._process = ManagedProcess("YCSB", [tool("java"), *words, "-cp", classes, "YcsbClient"], log, pipes=True)
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.popen.stdout is not None
        for line in self._process.popen.stdout:
            self._lines.put(line)
        self._lines.put("")

    def do(self, *words: object) -> Sample:
        """One command and its answer. Raises LoadError where it failed."""
        command = " ".join(map(str, words))
        assert self._process.popen.stdin is not None
        self._process.popen.stdin.write(command + "\n")
        self._process.popen.stdin.flush()
        try:
            line = self._lines.get(timeout=ANSWER_S_MAX)
        except queue.Empty:
            raise LoadError(f"YCSB, {command}: no answer within {ANSWER_S_MAX:g} s; {self._process.tail(5)}") from None
        answer = cast("dict[str, Any]", json.loads(line or '{"ok": false, "error": "the JVM has gone"}'))
        if not answer.pop("ok"):
            raise LoadError(f"YCSB, {command}: {answer['error']}; its log ends: {self._process.tail(5)}")
        return answer

    def open(self, name: str, settings: Mapping[str, str]) -> None:
        """A connection under that name."""
        self.do("open", name, *(f"{key}={value}" for key, value in settings.items()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()


def _name(side: Side) -> str:
    return side.name.replace(" ", "-")


def measure(
    sides: Sequence[Side],
    directory: Path,
    *,
    records: int,
    rounds: int,
    warm_up_ms: float,
    measured_ms: float,
    samples: Samples,
    tick: Callable[[str], None],
) -> None:
    """Rows are loaded, then each workload runs on both sides, A B then B A; a first round warms all JVMs."""
    with YcsbClient(directory / "ycsb.log") as client:
        for side in sides:
            tick(f"rows, {side.name}")
            create_table(side, TABLE, SPLITS)
            client.open(_name(side), java_settings(side))
            loaded = client.do("load", _name(side), TABLE, records, THREADS)
            if loaded["failed"]:
                raise LoadError(f"YCSB, load of {side.name}: {loaded}")
        for number in range(-1 if warm_up_ms else 0, rounds):
            for workload in WORKLOADS:
                for side in sides if number % 2 == 0 else reversed(sides):
                    tick(f"{measure_of(workload)}, {side.name}")
                    warm_ms, ms = (warm_up_ms, measured_ms) if number >= 0 else (0.0, warm_up_ms + measured_ms)
                    before_s = usage(side.pids()).cpu_s
                    words = ("run", _name(side), TABLE, records, THREADS, workload, round(warm_ms), round(ms))
                    sample = client.do(*words)
                    spent_s = (usage(side.pids()).cpu_s - before_s) * ms / (ms + warm_ms)
                    sample["cpu_us_per_call"] = spent_s * 1e6 / max(sample["n"], 1)
                    if number >= 0:
                        samples.add(measure_of(workload), side.name, sample)
