"""Java programs that load a cluster while servers die under it: a list that grows, and registers for a checker.

tests/cluster/java/Ingest.java and Registers.java say what they do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from tests.support.java import JDK_FLAGS, program_classes
from tests.support.processes import ManagedProcess, tool, wait_for
from tests.support.stories import client_path

PATIENT = {
    "hbase.client.retries.number": "60",
    "hbase.client.pause": "100",
    "hbase.rpc.timeout": "5000",
    "hbase.client.operation.timeout": "60000",
    "hbase.client.scanner.timeout.period": "20000",
    "zookeeper.recovery.retry": "10",
}
"""An operation may take a minute, as long as it ends well; a hung server is left after five seconds."""


class _Program:
    def __init__(self, program: str, log: Path, words: list[str], settings: Mapping[str, str], version: str) -> None:
        self.process = ManagedProcess(
            program,
            [
                *(tool("java"), "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dtest.log.level=WARN"),
                *(*JDK_FLAGS, "-cp", program_classes(client_path(version), program), program, *words),
                *(f"{key}={value}" for key, value in {**PATIENT, **settings}.items()),
            ],
            log,
            pipes=True,
        )
        self.lines = self.process.said()

    def last(self, word: str) -> str:
        """The last line that begins so; empty where there is none."""
        return next((line for line in reversed(self.lines) if line.split(" ")[0] == word), "")

    def wait_for_line(self, word: str, timeout_s: float) -> str:
        def found() -> str:
            assert self.process.running or self.last(word), f"{self.process.name} has ended:\n{self.process.tail()}"
            return self.last(word)

        return wait_for(f"`{word}` of {self.process.name}", lambda: found() or None, timeout_s)

    def say(self, word: str) -> None:
        assert self.process.popen.stdin is not None
        self.process.popen.stdin.write(word + "\n")
        self.process.popen.stdin.flush()

    def close(self) -> None:
        self.process.kill()


class Ingest(_Program):
    """A list that grows. Acknowledged rows, operations and what was wrong are counted by name."""

    def __init__(
        self,
        table: str,
        log: Path,
        settings: Mapping[str, str],
        *,
        writers: int = 4,
        moves_ms: int = 0,
        counters: int = 0,
        seed: int = 0,
        version: str = "2.6.4",
    ) -> None:
        """`counters`: so many threads increment and append, which is exact as long as no region is moved."""
        own = {"test.seed": str(seed), "test.counters": str(counters)}
        super().__init__("Ingest", log, [table, str(writers), str(moves_ms)], {**settings, **own}, version)

    def counts(self) -> dict[str, int]:
        """The newest numbers."""
        line = self.last("progress") or self.last("verified")
        return {word.partition("=")[0]: int(word.partition("=")[2]) for word in line.split(" ")[1:]}

    def wait_grown(self, *names: str, timeout_s: float = 60, by: int = 20) -> None:
        """Until each of these counts is so much higher than now."""
        self.wait_for_line("progress", timeout_s)
        before = self.counts()
        for name in names:
            more = min(by, 2) if name == "scans" else by
            wait_for(
                f"{more} more {name} than {before}, now {self.counts()}",
                lambda name=name, more=more: self.counts()[name] >= before[name] + more,
                timeout_s,
            )

    def stop(self, timeout_s: float = 120) -> dict[str, int]:
        """Ends the writers and goes through the list; AssertionError names what is not as it was acknowledged."""
        self.say("stop")
        self.wait_for_line("end", timeout_s)
        wrong = [line for line in self.lines if line.startswith(("wrong", "broken"))]
        assert not wrong, f"{len(wrong)} wrong, see {self.process.log}:\n" + "\n".join(wrong[:20])
        line = self.last("verified")
        counts = {word.partition("=")[0]: int(word.partition("=")[2]) for word in line.split(" ")[1:]}
        assert counts["rows"] >= counts["acked"] > 0, counts
        return counts


class Registers(_Program):
    """Reads, writes, conditions and increments on a few rows; `stop` gives their history."""

    def __init__(
        self, table: str, log: Path, settings: Mapping[str, str], *, threads: int, rows: int, seed: int = 0
    ) -> None:
        self._history = log.with_suffix(".history")
        words = [table, str(threads), str(rows), str(self._history)]
        super().__init__("Registers", log, words, {**settings, "test.seed": str(seed)}, "2.6.4")

    def stop(self, timeout_s: float = 120) -> list[dict[str, Any]]:
        self.say("stop")
        self.wait_for_line("end", timeout_s)
        broken = [line for line in self.lines if line.startswith("broken")]
        assert not broken, broken
        return [cast("dict[str, Any]", json.loads(line)) for line in self._history.read_text().splitlines()]
