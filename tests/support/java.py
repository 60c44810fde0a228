"""Class paths from Maven, and stock Java clients driven by lines.

`python -m tests.support.java` resolves every class path and compiles the client against each (tests/setup.sh calls it).
The jars live in ${XDG_CACHE_HOME:-~/.cache}/hbeacon-tests, one directory a class path; one that exists is complete.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tests.support.processes import ManagedProcess, MissingToolError, tool

JAVA_SOURCES = Path(__file__).parent.parent / "cluster" / "java"


@dataclass(frozen=True)
class ClassPath:
    """One Maven artifact with all it needs at run time."""

    artifact: str
    version: str
    profiles: tuple[str, ...] = ("log4j2",)
    group: str = "org.apache.hbase"
    alone: bool = False
    """Without what it needs, which another class path has."""

    @property
    def directory(self) -> Path:
        return cache_dir() / f"{self.artifact}-{self.version}"


CLIENT_VERSIONS = ("2.3.7", "2.4.18", "2.5.11", "2.6.4", "3.0.0-beta-1")
CURRENT_SERVER = ClassPath("hbase-server", "2.6.4", ("log4j2", "mapreduce"))
OLD_SERVER = ClassPath("hbase-server", "1.4.14", ())
"""Has no ClientMetaService (2.3 brought it, and 1.7 by a backport). It comes with log4j 1.2."""
HADOOP_3_CLIENT = ClassPath("hbase-client", "2.6.4-hadoop3", ("log4j2", "lz4", "endpoint"))
"""With compressors in Java, while those of Hadoop 2, which 2.6.4 brings by itself, need libraries of the machine;
and with hbase-endpoint."""
ENDPOINTS_2_5 = ClassPath("hbase-endpoint", "2.5.11-hadoop3", (), alone=True)
ENDPOINTS_3 = ClassPath("hbase-endpoint", "3.0.0-alpha-3", (), alone=True)
"""Beside the hbase-client of that version: of 2.5.11 itself and of 3.0.0-beta-1 Maven has none."""
AIRCOMPRESSOR = ClassPath("hbase-compression-aircompressor", "2.6.1", ("aircompressor",), alone=True)
"""HBase's own compressors in Java, beside a client of 2.6: of 2.6.4 itself Maven has none."""
YCSB = ClassPath("core", "0.17.0", (), "site.ycsb")
CLASS_PATHS = (
    CURRENT_SERVER,
    OLD_SERVER,
    HADOOP_3_CLIENT,
    ENDPOINTS_2_5,
    ENDPOINTS_3,
    AIRCOMPRESSOR,
    YCSB,
    *(ClassPath("hbase-client", version) for version in CLIENT_VERSIONS),
)

_OPENED = ("java.io", "java.lang", "java.lang.invoke", "java.lang.reflect", "java.net", "java.nio", "java.util")
JDK_FLAGS = (
    # what bin/hbase adds on JDK 11 and later. Source: hbase-config and bin/hbase of HBase 2.5
    "-Dorg.apache.hbase.thirdparty.io.netty.tryReflectionSetAccessible=true",
    "-Djava.net.preferIPv4Stack=true",
    "--add-modules=jdk.unsupported",
    *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED),
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
    "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "--add-exports=java.base/sun.net.dns=ALL-UNNAMED",
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
)

_LOG4J2 = """status = warn
appender.e.type = Console
appender.e.target = SYSTEM_ERR
appender.e.name = E
appender.e.layout.type = PatternLayout
appender.e.layout.pattern = %d{ISO8601} %-5p [%t] %c{2}: %.1000m%n%ex
rootLogger = ${sys:test.log.level:-INFO},E
"""
_LOG4J1 = """log4j.rootLogger=INFO,e
log4j.appender.e=org.apache.log4j.ConsoleAppender
log4j.appender.e.target=System.err
log4j.appender.e.layout=org.apache.log4j.PatternLayout
log4j.appender.e.layout.ConversionPattern=%d{ISO8601} %-5p [%t] %c{2}: %m%n
"""


def cache_dir() -> Path:
    """Where jars and classes are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hbeacon-tests"


def jars(path: ClassPath) -> str:
    """The `-cp` word of a resolved class path; MissingToolError where tests/setup.sh has not run."""
    if not path.directory.is_dir():
        what = f"{path.artifact} {path.version}"
        raise MissingToolError(f"the jars of {what} are not here: run tests/setup.sh, which fetches them")
    return f"{path.directory}/*"


def write_log_settings(directory: Path) -> None:
    """log4j 1 and 2 files that send all to standard error; the directory goes first on a class path."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "log4j2.properties").write_text(_LOG4J2)
    (directory / "log4j.properties").write_text(_LOG4J1)


def resolve(path: ClassPath) -> None:
    """Fetches the jars with Maven unless they are here; the directory appears whole or not at all."""
    if path.directory.is_dir():
        return
    partial = path.directory.with_name(f"{path.directory.name}.partial-{os.getpid()}")
    profiles = [f"-P{','.join(path.profiles)}"] if path.profiles else []
    subprocess.run(
        [
            *(tool("mvn"), "-B", "-q", "-Dstyle.color=never", "-f", str(JAVA_SOURCES / "pom.xml"), *profiles),
            "dependency:copy-dependencies",
            f"-Dhbase.group={path.group}",
            *(f"-Dhbase.artifact={path.artifact}", f"-Dhbase.version={path.version}"),
            *(
                f"-DoutputDirectory={partial}",
                "-DincludeScope=runtime",
                f"-DexcludeTransitive={str(path.alone).lower()}",
            ),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=1800,
    )
    if "log4j2" in path.profiles:
        # HBase brings other backends of slf4j along; two on one class path log to neither's settings
        for pattern in ("slf4j-reload4j-*.jar", "reload4j-*.jar", "log4j-1.2.1*.jar", "slf4j-log4j12*.jar"):
            for jar in partial.glob(pattern):
                jar.unlink()
    partial.rename(path.directory)


def client_classes(version: str) -> str:
    """The class path of the line-driven client for that hbase-client; compiles it where the source has changed."""
    return program_classes(ClassPath("hbase-client", version), "RegistryClient")


def program_classes(
    path: ClassPath,
    *programs: str,
    directory: Path = JAVA_SOURCES,
    beside: Sequence[ClassPath] = (),
    packages: Mapping[str, str] | None = None,
) -> str:
    """The class path of programs compiled together against these jars; compiles where a source has changed.

    `directory` holds the sources; the jars of `beside` come behind those of `path`. `packages`: what these jars have
    some of the packages under that the sources import.
    """
    libraries = ":".join(map(jars, (path, *beside)))
    texts = {program: (directory / f"{program}.java").read_text() for program in programs}
    for name, instead in (packages or {}).items():
        texts = {program: text.replace(f"import {name}.", f"import {instead}.") for program, text in texts.items()}
    digest = hashlib.sha256("".join(texts.values()).encode()).hexdigest()[:16]
    classes = cache_dir() / f"classes-{path.artifact}-{path.version}-{digest}"
    if not classes.is_dir():
        partial = classes.with_name(f"{classes.name}.partial-{os.getpid()}")
        write_log_settings(partial)
        sources = [partial / f"{program}.java" for program in programs]
        for source, text in zip(sources, texts.values(), strict=True):
            source.write_text(text)
        done = subprocess.run(
            [tool("javac"), "-nowarn", "--release", "11", "-d", str(partial), "-cp", libraries, *map(str, sources)],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"javac of {programs} against {path.artifact} {path.version}: {done.stderr}"
        partial.rename(classes)
    return f"{classes}:{libraries}"


class ClientError(Exception):
    """What the Java client answered to a command that failed: classes and messages of the exception and its causes."""


@dataclass(frozen=True)
class Answer:
    """The result of a command and the milliseconds it took inside the client."""

    ms: float
    value: Any


@dataclass(frozen=True)
class LoopEvent:
    """One operation of a steady loop; `at_s` is the harness's monotonic clock when the line arrived."""

    op: str
    ok: bool
    ms: float
    error: str
    at_s: float


class JavaClient:
    """A JVM with one version of hbase-client. Commands may overlap; see RegistryClient.java for the verbs."""

    def __init__(
        self, version: str, log: Path, *, enter: Sequence[str] = (), heap_mb: int = 256, optimised: bool = False
    ) -> None:
        """`optimised`: with the JVM's second compiler, as users have it; a test is over before it pays."""
        self.version = version
        compilers = () if optimised else ("-XX:TieredStopAtLevel=1",)
        self.events: dict[str, list[LoopEvent]] = {}
        self._ids = itertools.count(1)
        self._waiting: dict[str, concurrent.futures.Future[Answer]] = {}
        self.process = ManagedProcess(
            f"hbase-client {version}",
            [
                *(tool("java"), f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", *compilers, "-Dtest.log.level=WARN"),
                *(*JDK_FLAGS, "-cp", client_classes(version), "RegistryClient"),
            ],
            log,
            enter=enter,
            pipes=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"client {version}", daemon=True)
        self._reader.start()

    def submit(self, verb: str, *words: str | int) -> concurrent.futures.Future[Answer]:
        """Sends a command; the future has its answer or ClientError."""
        identity = str(next(self._ids))
        future: concurrent.futures.Future[Answer] = concurrent.futures.Future()
        self._waiting[identity] = future
        assert self.process.popen.stdin is not None
        self.process.popen.stdin.write(" ".join([identity, verb, *map(str, words)]) + "\n")
        self.process.popen.stdin.flush()
        return future

    def do(self, verb: str, *words: str | int, timeout_s: float = 60.0) -> Answer:
        """Sends a command and waits; AssertionError where no answer comes in time."""
        try:
            return self.submit(verb, *words).result(timeout_s)
        except concurrent.futures.TimeoutError:
            late = f"hbase-client {self.version} did not answer `{verb}` within {timeout_s:g} s"
            raise AssertionError(f"{late}; its log ends:\n{self.process.tail()}") from None

    def open(self, name: str, settings: Mapping[str, str], timeout_s: float = 60.0) -> Answer:
        """A new Connection with these settings over the client's own defaults."""
        return self.do("open", name, *(f"{key}={value}" for key, value in settings.items()), timeout_s=timeout_s)

    def close(self) -> None:
        self.process.kill()
        self._reader.join(5)

    def _read(self) -> None:
        assert self.process.popen.stdout is not None
        try:
            for line in self.process.popen.stdout:
                self._take(cast("dict[str, Any]", json.loads(line)))
        except ValueError as error:  # the pipe was closed under the reader, or a line was cut by a kill
            if self.process.running:
                raise AssertionError(f"hbase-client {self.version} printed what is not JSON: {error}") from error
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ClientError("the JVM has gone"))

    def _take(self, line: dict[str, Any]) -> None:
        if "loop" in line:
            self.events.setdefault(line["loop"], []).append(
                LoopEvent(line["op"], line["ok"], line["ms"], line.get("error", ""), time.monotonic())
            )
            return
        future = self._waiting.pop(line["id"])
        if line["ok"]:
            future.set_result(Answer(line["ms"], line["value"]))
        else:
            future.set_exception(ClientError(line["error"]))


def main() -> None:
    """Fetches and compiles all."""
    for path in CLASS_PATHS:
        sys.stderr.write(f"{path.artifact} {path.version}\n")
        resolve(path)
    for version in CLIENT_VERSIONS:
        client_classes(version)
    for stale in cache_dir().glob("*.partial-*"):
        shutil.rmtree(stale)


if __name__ == "__main__":
    sys.exit(main())
