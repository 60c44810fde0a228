"""ZooKeeper 3.9's own Java client and Curator's recipes, driven by lines: RecipeClient.java.

`python -m tests.support.recipes` fetches and compiles them (tests/setup.sh calls it).
"""

from __future__ import annotations

import concurrent.futures
import itertools
import sys
import threading
from pathlib import Path

from tests.support.java import JDK_FLAGS, ClassPath, program_classes, resolve
from tests.support.processes import ManagedProcess, tool

CURATOR = ClassPath("curator-recipes", "5.9.0", group="org.apache.curator")
"""It brings ZooKeeper 3.9's client."""


class RecipeError(Exception):
    """What a command met: the Java exception's class and message."""


class RecipeClient:
    """A JVM with clients and recipes by name. Commands of one name run in order, those of several beside each other."""

    def __init__(self, log: Path) -> None:
        flags = ["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dtest.log.level=WARN", *JDK_FLAGS]
        words = [tool("java"), *flags, "-cp", program_classes(CURATOR, "RecipeClient"), "RecipeClient"]
        self.process = ManagedProcess("recipes", words, log, pipes=True)
        self._ids = itertools.count(1)
        self._waiting: dict[str, concurrent.futures.Future[str]] = {}
        self._reader = threading.Thread(target=self._read, name="recipes", daemon=True)
        self._reader.start()

    def submit(self, verb: str, name: str, *words: str | int) -> concurrent.futures.Future[str]:
        """Sends a command; the future has the text of its answer, or RecipeError."""
        identity = str(next(self._ids))
        future: concurrent.futures.Future[str] = concurrent.futures.Future()
        self._waiting[identity] = future
        assert self.process.popen.stdin is not None
        self.process.popen.stdin.write(" ".join([identity, verb, name, *map(str, words)]) + "\n")
        self.process.popen.stdin.flush()
        return future

    def do(self, verb: str, name: str, *words: str | int, timeout_s: float = 30.0) -> str:
        """Sends a command and waits."""
        try:
            return self.submit(verb, name, *words).result(timeout_s)
        except concurrent.futures.TimeoutError:
            raise AssertionError(f"no answer to `{verb} {name}`; the log ends:\n{self.process.tail()}") from None

    def close(self) -> None:
        self.process.kill()
        self._reader.join(5)

    def _read(self) -> None:
        assert self.process.popen.stdout is not None
        for line in self.process.popen.stdout:
            identity, _, answer = line.rstrip("\n").partition(" ")
            outcome, _, text = answer.partition(" ")
            future = self._waiting.pop(identity)
            if outcome == "ok":
                future.set_result(text)
            else:
                future.set_exception(RecipeError(text))
        for future in self._waiting.values():
            future.set_exception(RecipeError("the JVM has gone"))


def main() -> None:
    """Fetches and compiles."""
    resolve(CURATOR)
    program_classes(CURATOR, "RecipeClient")


if __name__ == "__main__":
    sys.exit(main())
