"""The same story told by a stock Java client of two clusters, and the lines of both side by side.

The programs are tests/cluster/java/*Story.java: one line for each operation. What a real HBase 2.6.4 answered is kept
in tests/cluster/stories, a file for each program, and one more for each client version that heard something else.
`python -m tests.support.stories` writes them again from a real cluster (two masters, two region servers), after a
change of a program.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.java import (
    ENDPOINTS_2_5,
    ENDPOINTS_3,
    HADOOP_3_CLIENT,
    JAVA_SOURCES,
    JDK_FLAGS,
    ClassPath,
    program_classes,
)
from tests.support.processes import tool

RECORDED = JAVA_SOURCES.parent / "stories"
STORY_S_MAX = 280
_SINCE_2_4 = ("TableStory", "ScanStory", "AdminStory", "AsyncStory", "FilterStory")
PROGRAMS = {
    "2.6.4": _SINCE_2_4,
    "2.5.11": _SINCE_2_4,
    "3.0.0-beta-1": _SINCE_2_4,
    "1.4.14": ("OldStory", "OldAdminStory", "OldFilterStory"),
}
"""Client version and the stories that it tells, in their order."""


@dataclass(frozen=True)
class EndpointPrograms:
    """Stories for whom hbase-endpoint is on the class paths of both sides."""

    names: tuple[str, ...]
    jars: ClassPath | None = None
    beside: tuple[ClassPath, ...] = ()


ENDPOINT_PROGRAMS = {
    "2.6.4": EndpointPrograms(("EndpointStory", "AggregateStory"), jars=HADOOP_3_CLIENT),
    "2.5.11": EndpointPrograms(("EndpointStory", "AggregateStory"), beside=(ENDPOINTS_2_5,)),
    "3.0.0-beta-1": EndpointPrograms(("EndpointStory", "AggregateStory"), beside=(ENDPOINTS_3,)),
    "1.4.14": EndpointPrograms(("OldEndpointStory",)),
}
"""Client version and what it tells of coprocessors; that of 1.4 has AggregationClient by itself."""

_PARTS = {
    "FilterStory": ("Filters", "FilterLines"),
    "OldFilterStory": ("Filters", "FilterLines"),
    "EndpointStory": ("TableStory", "AggregateLines", "AggregateStory", "ServiceLines"),
    "AggregateStory": ("TableStory", "AggregateLines"),
    "OldEndpointStory": ("AggregateLines", "ServiceLines"),
}
"""What a story is compiled with, beside Story."""

_PACKAGES_3 = {
    "com.google.protobuf": "org.apache.hbase.thirdparty.com.google.protobuf",
    "org.apache.hadoop.hbase.protobuf": "org.apache.hadoop.hbase.shaded.protobuf",
}
"""What the messages of services are made of in clients of HBase 3."""

_CLIENT = {
    # six tries are enough for a cluster that is well, and an error that is retried for ever shows
    "hbase.client.retries.number": "6",
    "hbase.client.pause": "50",
    "hbase.rpc.timeout": "20000",
    "hbase.client.operation.timeout": "45000",
}
_CHOSEN = (
    # what differs from run to run: region names, servers, objects, attempts, whatever else the cluster holds
    (re.compile(r"\b\d{13}\.[0-9a-f]{32}\b"), "<time>.<hash>"),
    (re.compile(r"\b[\w.-]+,\d+,\d{13}\b"), "<server>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?:/[\d.]+)?:\d+\b"), "<address>"),
    (re.compile(r"@[0-9a-f]{5,8}\b"), "@<object>"),
    (re.compile(r"(was not found, got: )[^ ]*"), r"\1<table>"),
    # the text goes on with every attribute of the table
    (re.compile(r"(?:, \{(?:TABLE_ATTRIBUTES|NAME) => (?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})+"), ""),
    (re.compile(r" in table '([\w:.]+)'"), r" in table \1"),
)


@dataclass(frozen=True)
class Line:
    """One operation: what was done, of which feature, and what came of it."""

    feature: str
    what: str
    outcome: str

    @property
    def key(self) -> str:
        return f"{self.feature}: {self.what}"

    def __str__(self) -> str:
        return f"{self.key} | {self.outcome}"


def parsed(text: str) -> list[Line]:
    """The lines of a file or of a program's output, whatever else it printed."""
    lines: list[Line] = []
    for raw in text.splitlines():
        if raw.startswith("= ") and raw != "= end":
            key, _, outcome = raw[2:].partition(" | ")
            feature, _, what = key.partition(": ")
            for pattern, instead in _CHOSEN:
                outcome = pattern.sub(instead, outcome)
            lines.append(Line(feature, what, outcome))
    return lines


def client_path(version: str) -> ClassPath:
    """The class path of that hbase-client."""
    return ClassPath("hbase-client", version, () if version.startswith("1.") else ("log4j2",))


def told(
    version: str,
    settings: Mapping[str, str],
    log: Path,
    *,
    programs: Sequence[str] = (),
    step_ms: int = 60_000,
    jars: ClassPath | None = None,
    beside: Sequence[ClassPath] = (),
) -> list[Line]:
    """Runs the stories of that client version to their end; AssertionError where the program does not come to it.

    `jars`: others than those that the version has from Maven by itself; `beside`: more of them.
    """
    path = jars or client_path(version)
    chosen = tuple(programs) or PROGRAMS[version]
    known = PROGRAMS[version] if set(chosen) <= set(PROGRAMS[version]) else chosen  # compiled once for all of them
    compiled = dict.fromkeys(["Story", *known, *(part for each in known for part in _PARTS.get(each, ()))])
    words = [
        *(tool("java"), "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dtest.log.level=WARN", *JDK_FLAGS),
        f"-Dtest.step.ms={step_ms}",
        *(
            "-cp",
            program_classes(path, *compiled, beside=beside, packages=_PACKAGES_3 if version.startswith("3.") else None),
            "Story",
            ",".join(chosen),
        ),
        *(f"{key}={value}" for key, value in {**_CLIENT, **settings}.items()),
    ]
    with log.open("ab") as sink:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sink, text=True, timeout=STORY_S_MAX
        )
    log.with_suffix(".lines").write_text(done.stdout)
    assert "= end" in done.stdout.splitlines(), f"the story of {version} has no end, see {log}:\n{done.stdout[-2000:]}"
    return parsed(done.stdout)


def recorded(version: str, programs: Sequence[str] = ()) -> list[Line]:
    """What a real HBase 2.6.4 answered to that client."""
    chosen = tuple(programs) or PROGRAMS[version]
    return [line for program in chosen for line in parsed(_kept(version, program).read_text())]


def _kept(version: str, program: str) -> Path:
    """Its own lines, or those of the client of 2.6.4 where it has the same."""
    own = RECORDED / f"{version}-{program}.txt"
    return own if own.exists() else RECORDED / f"2.6.4-{program}.txt"


def keep(version: str, program: str, lines: Sequence[Line]) -> None:
    """Writes what a real HBase has answered."""
    own = RECORDED / f"{version}-{program}.txt"
    own.unlink(missing_ok=True)
    if version == "2.6.4" or not _kept(version, program).exists() or recorded(version, [program]) != lines:
        own.write_text("".join(f"= {line}\n" for line in lines))


def zookeeper_settings(address: str, version: str) -> dict[str, str]:
    """What a client is configured with to find the cluster by ZooKeeper."""
    host, _, port = address.partition(":")
    settings = {"hbase.zookeeper.quorum": host, "hbase.zookeeper.property.clientPort": port}
    if not version.startswith("1."):
        settings["hbase.client.registry.impl"] = "org.apache.hadoop.hbase.client.ZKConnectionRegistry"
    return settings


def record() -> None:
    """Tells every story of a real cluster and keeps the lines."""
    from tests.support.hbase import HBaseCluster
    from tests.support.zookeeper import ZooKeeperServer, debian

    RECORDED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        zookeeper = ZooKeeperServer(debian(), Path(directory) / "zookeeper")
        zookeeper.start()
        cluster = HBaseCluster(Path(directory) / "hbase", zookeeper.address)
        [endpoints] = HADOOP_3_CLIENT.directory.glob("hbase-endpoint-*.jar")
        zipfile.ZipFile(endpoints).extractall(cluster.directory / "conf")  # which is on the servers' class path
        try:
            cluster.wait_ready()
            for version, programs in PROGRAMS.items():
                settings = zookeeper_settings(zookeeper.address, version)
                more = ENDPOINT_PROGRAMS[version]
                for program in (*programs, *more.names):
                    jars, beside = (more.jars, more.beside) if program in more.names else (None, ())
                    log = Path(directory) / f"{version}.log"
                    lines = told(version, settings, log, programs=[program], jars=jars, beside=beside)
                    keep(version, program, lines)
                    sys.stderr.write(f"{version} {program}: {len(lines)} lines\n")
        finally:
            cluster.close()
            zookeeper.close()


if __name__ == "__main__":
    record()
