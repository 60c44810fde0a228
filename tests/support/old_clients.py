"""Clients that know no registry but ZooKeeper, driven by lines: hbase-client 1.4, asynchbase, those of npm and PyPI.

`python -m tests.support.old_clients` fetches them (tests/setup.sh calls it). They lie beside the other jars.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.java import JAVA_SOURCES, JDK_FLAGS, ClassPath, cache_dir, program_classes, resolve
from tests.support.processes import ManagedProcess, MissingToolError, tool

HBASE_1 = ClassPath("hbase-client", "1.4.14", ())
ASYNCHBASE = ClassPath("asynchbase", "1.8.2", (), group="org.hbase")
NPM_CLIENT, NPM_VERSION = "hbase-rpc-client", "0.1.15"
NODE_SOURCE = JAVA_SOURCES.parent / "node" / "client.js"
PYPI_CLIENT, PYPI_VERSION = "hbase-driver", "1.1.1"
PYTHON_SOURCE = JAVA_SOURCES.parent / "python" / "driver.py"


class ClientRefusedError(Exception):
    """What a client answered to a command that failed."""


def _npm_directory() -> Path:
    return cache_dir() / f"{NPM_CLIENT}-{NPM_VERSION}"


def pypi_directory() -> Path:
    """Beside the environment of the tests, whose messages have the names of the driver's."""
    return cache_dir() / f"{PYPI_CLIENT}-{PYPI_VERSION}"


def _java_words(path: ClassPath, program: str) -> list[str]:
    flags = ["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *JDK_FLAGS]
    return [tool("java"), *flags, "-cp", program_classes(path, program), program]


def _hbase_1(quorum: str, parent: str) -> list[str]:
    host, _, port = quorum.partition(":")
    settings = {
        "hbase.zookeeper.quorum": host,
        "hbase.zookeeper.property.clientPort": port,
        "zookeeper.znode.parent": parent,
        "hbase.client.retries.number": "8",
        "zookeeper.recovery.retry": "2",
    }
    return [*_java_words(HBASE_1, "OldClient"), *(f"{key}={value}" for key, value in settings.items())]


def _asynchbase(quorum: str, parent: str) -> list[str]:
    return [*_java_words(ASYNCHBASE, "AsyncClient"), quorum, parent]


def _npm(quorum: str, parent: str) -> list[str]:
    if not _npm_directory().is_dir():
        raise MissingToolError(f"npm's {NPM_CLIENT} {NPM_VERSION} is not here: run tests/setup.sh, which fetches it")
    return [tool("node"), "--no-deprecation", str(NODE_SOURCE), quorum, parent]


def _pypi(quorum: str, parent: str) -> list[str]:
    assert parent == "/hbase", "it knows no other"
    if not pypi_directory().is_dir():
        raise MissingToolError(f"{PYPI_CLIENT} {PYPI_VERSION} is not here: run tests/setup.sh, which fetches it")
    return [sys.executable, str(PYTHON_SOURCE), quorum]


@dataclass(frozen=True)
class Kind:
    """One of the clients: its name on the compatibility page and how it is run."""

    name: str
    words: Callable[[str, str], list[str]]


KINDS = {
    "hbase-1.4.14": Kind("hbase-client 1.4.14", _hbase_1),
    "asynchbase": Kind("asynchbase 1.8.2", _asynchbase),
    "npm": Kind("npm hbase-rpc-client 0.1.15", _npm),
}
PYPI = Kind(f"{PYPI_CLIENT} {PYPI_VERSION}", _pypi)


class OldClient:
    """A process of one client, given a quorum of one and the parent znode. One command at a time."""

    def __init__(self, kind: Kind, quorum: str, parent: str, log: Path, *, enter: Sequence[str] = ()) -> None:
        environ = {"NODE_PATH": str(_npm_directory() / "node_modules"), "PYTHONPATH": str(pypi_directory())}
        enter = [*enter, tool("env"), *(f"{name}={value}" for name, value in environ.items())]
        self.kind = kind
        self.process = ManagedProcess(kind.name, kind.words(quorum, parent), log, enter=enter, pipes=True)
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name=kind.name, daemon=True)
        self._reader.start()

    def do(self, verb: str, *words: str, timeout_s: float = 60.0) -> str:
        """The words of the answer; ClientRefusedError where the client failed, AssertionError where it hangs."""
        assert self.process.popen.stdin is not None
        self.process.popen.stdin.write(" ".join([verb, *words]) + "\n")
        self.process.popen.stdin.flush()
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            late = f"{self.kind.name} did not answer `{verb}` within {timeout_s:g} s"
            raise AssertionError(f"{late}; its log ends:\n{self.process.tail()}") from None
        outcome, _, rest = answer.partition(" ")
        if outcome != "ok":
            raise ClientRefusedError(rest or answer)
        return rest

    def close(self) -> None:
        self.process.kill()
        self._reader.join(5)

    def _read(self) -> None:
        assert self.process.popen.stdout is not None
        for line in self.process.popen.stdout:
            if line.startswith(("ok", "failed")):  # libraries print too
                self._answers.put(line.rstrip("\n"))
        self._answers.put("failed the process has gone")


def main() -> None:
    """Fetches and compiles all."""
    for path, program in ((HBASE_1, "OldClient"), (ASYNCHBASE, "AsyncClient")):
        sys.stderr.write(f"{path.artifact} {path.version}\n")
        resolve(path)
        for jar in path.directory.glob("netty-3.2.*.jar"):
            jar.unlink()  # asynchbase needs its own 3.9, which has another name in Maven, so that both are fetched
        program_classes(path, program)
    if not _npm_directory().is_dir():
        sys.stderr.write(f"npm {NPM_CLIENT} {NPM_VERSION}\n")
        partial = _npm_directory().with_name(f"{_npm_directory().name}.partial-{os.getpid()}")
        partial.mkdir(parents=True)
        words = ["install", "--no-audit", "--no-fund", "--prefix", str(partial), f"{NPM_CLIENT}@{NPM_VERSION}"]
        subprocess.run([tool("npm"), *words], check=True, stdin=subprocess.DEVNULL, timeout=600)
        partial.rename(_npm_directory())
    if not pypi_directory().is_dir():
        sys.stderr.write(f"{PYPI_CLIENT} {PYPI_VERSION}\n")
        partial = pypi_directory().with_name(f"{pypi_directory().name}.partial-{os.getpid()}")
        words = ["install", "-q", "--no-deps", "--target", str(partial), f"{PYPI_CLIENT}=={PYPI_VERSION}"]
        subprocess.run([sys.executable, "-m", "pip", *words], check=True, stdin=subprocess.DEVNULL, timeout=600)
        partial.rename(pypi_directory())
    for stale in cache_dir().glob("*.partial-*"):
        shutil.rmtree(stale)


if __name__ == "__main__":
    sys.exit(main())
