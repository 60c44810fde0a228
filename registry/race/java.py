"""Stock Java clients in a race: one JVM that makes new connections of hbase-client when it is told to.

Nothing is fetched: the jars are those that the user names, those of an HBase that is installed here, or those that
hbeacon's own tests have fetched. Without a JVM or jars a sentence says what is missing.

Source: bin/hbase (`hbase classpath`), JEP 330 (a source file that the `java` command runs).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from registry.names import Address
from registry.race.cases import Case, Run

SOURCE = Path(__file__).with_name("RaceClient.java")
POLICY = "hbase-client"
START_S_MAX = 60.0
"""The JVM compiles the source and reads the configuration; a busy machine takes its time."""
CLASSPATH_S_MAX = 15.0
END_S_MAX = 5.0
WARM_COUNT = 3
LATE_MS = 10_000.0
"""After the time-out of its bootstraps a JVM that says nothing is given up."""
HEAP = "-Xmx256m"
JARS_IN_HOME = ("lib/*", "lib/client-facing-thirdparty/*")
"""Where bin/hbase looks, under HBASE_HOME."""
STDERR_BYTES_MAX = 65_536
"""The end of what a JVM complains of: enough for the reason why it has not started."""


class NoJavaError(Exception):
    """Java clients cannot race; `str()` says what is missing."""


class JavaClients:
    """A JVM with hbase-client; used in `async with`. Belongs to the loop."""

    def __init__(self, java: str, classpath: str) -> None:
        self.version = ""
        """Of hbase-client, known once it has started."""
        self._command = [java, HEAP, "-XX:+UseSerialGC", "-cp", classpath, str(SOURCE)]
        self._process: Process | None = None
        self._complaints = bytearray()
        self._reading: asyncio.Task[None] | None = None

    @property
    def policy(self) -> str:
        """Its name beside the other policies."""
        return f"{POLICY} {self.version}"

    async def __aenter__(self) -> Self:
        """Start it; raises NoJavaError."""
        try:
            await self._start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def warm_up(self, servers: Sequence[Address]) -> None:
        """Some connections that do not count: the first ones load half of hbase-client. Raises NoJavaError."""
        await self.run(Case(self.policy), servers, WARM_COUNT, 1000 * START_S_MAX)

    async def run(self, case: Case, servers: Sequence[Address], count: int, timeout_ms: float) -> None:
        """One run of the case: so many new connections at once. Raises NoJavaError where the JVM has gone."""
        run = Run()
        case.runs.append(run)
        begun_s = asyncio.get_running_loop().time()
        self._say(f"run {count} {round(timeout_ms)} {','.join(map(str, servers))}")
        try:
            async with asyncio.timeout((timeout_ms + LATE_MS) / 1000):
                while (words := (await self._line()).split()) != ["done"]:
                    run.took_ms.append(float(words[1]))
                    run.failed += words[0] == "failed"
        except TimeoutError:
            raise NoJavaError("the JVM does not answer any more") from None
        run.elapsed_ms = 1000 * (asyncio.get_running_loop().time() - begun_s)

    async def _start(self) -> None:
        try:
            self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        except OSError as error:
            raise NoJavaError(f"{self._command[0]}: {error.strerror}") from None
        self._reading = asyncio.create_task(self._read_complaints(self._process))
        try:
            async with asyncio.timeout(START_S_MAX):
                self.version = (await self._line()).removeprefix("ready ")
        except TimeoutError:
            raise NoJavaError(f"the JVM was not ready within {START_S_MAX:.0f} s") from None

    def _say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode().strip()
        if not line:
            assert self._reading is not None
            await asyncio.wait((self._reading,), timeout=END_S_MAX)
            raise NoJavaError(f"the JVM has ended: {reason(self._complaints.decode(errors='replace'))}")
        return line

    async def _read_complaints(self, process: Process) -> None:
        """All it writes to standard error must be read, or it would wait for that."""
        assert process.stderr is not None
        while data := await process.stderr.read(STDERR_BYTES_MAX):
            self._complaints += data
            del self._complaints[:-STDERR_BYTES_MAX]

    async def _end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            async with asyncio.timeout(END_S_MAX):
                await self._process.wait()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)


async def java_and_jars(given: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The `java` command and a class path that has hbase-client; raises NoJavaError."""
    home = environ.get("JAVA_HOME", "")
    java = shutil.which("java", path=f"{home}/bin" if home else environ.get("PATH"))
    if java is None:
        raise NoJavaError("there is no `java` command: install a JDK (11 or later), or set JAVA_HOME")
    if given:
        return java, expanded(given)
    found = installed(environ) or await _told_by_hbase(environ) or fetched(environ)
    if not found:
        raise NoJavaError("no jars of hbase-client: name them by --java-classpath, or set HBASE_HOME")
    return java, found


def expanded(classpath: str) -> str:
    """The class path with directories that hold jars replaced by those jars; other words stay."""
    words = [word for word in classpath.split(os.pathsep) if word]
    return os.pathsep.join(f"{word.rstrip('/')}/*" if _has_jars(Path(word)) else word for word in words)


def installed(environ: Mapping[str, str]) -> str:
    """The jars under HBASE_HOME; empty where there are none."""
    home = environ.get("HBASE_HOME", "")
    if not home or not _has_jars(Path(home, "lib")):
        return ""
    return os.pathsep.join(f"{home}/{part}" for part in JARS_IN_HOME)


def fetched(environ: Mapping[str, str]) -> str:
    """The newest stable hbase-client that hbeacon's tests have fetched; empty where they have not run."""
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hbeacon-tests"
    found = {
        tuple(map(int, version[1].split("."))): path
        for path in cache.glob("hbase-client-*")
        if (version := re.fullmatch(r"hbase-client-(\d+\.\d+\.\d+)", path.name))
    }
    return f"{found[max(found)]}/*" if found else ""


async def _told_by_hbase(environ: Mapping[str, str]) -> str:
    """What `hbase classpath` says; empty where there is no such command, or it fails."""
    hbase = shutil.which("hbase", path=environ.get("PATH"))
    if hbase is None:
        return ""
    process = await asyncio.create_subprocess_exec(hbase, "classpath", stdout=PIPE, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(CLASSPATH_S_MAX):
            told, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    return told.decode().strip() if process.returncode == 0 else ""


def _has_jars(directory: Path) -> bool:
    return any(directory.glob("*.jar"))


def reason(complaints: str) -> str:
    """The line of a JVM's standard error that says why it has ended, as well as it can be told."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"\berror\b|Exception|Error", line)]
    return (telling or lines or ["it says nothing"])[0][:200]
