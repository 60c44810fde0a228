"""HBase's own PerformanceEvaluation and LoadTestTool, driven by lines: they are among the tests of HBase's modules.

`python -m tests.support.hbase_tools` fetches them (tests/setup.sh calls it). They lie beside the other jars.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tests.support.java import JDK_FLAGS, ClassPath, program_classes, resolve
from tests.support.old_clients import Kind
from tests.support.processes import tool

VERSION = "2.6.4"
TOOLS = ClassPath("hbase-mapreduce", VERSION, ("log4j2", "tools"))


def _words(settings: Mapping[str, str]) -> list[str]:
    flags = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dtest.log.level=WARN", *JDK_FLAGS]
    words = [tool("java"), *flags, "-cp", program_classes(TOOLS, "Tools"), "Tools", "hbase.client.pause=50"]
    return [*words, *(f"{key}={value}" for key, value in settings.items())]


def _by_zookeeper(quorum: str, parent: str) -> list[str]:
    host, _, port = quorum.partition(":")
    found = {"hbase.zookeeper.quorum": host, "hbase.zookeeper.property.clientPort": port}
    return _words({**found, "zookeeper.znode.parent": parent})


KIND = Kind(f"tools of HBase {VERSION}", _by_zookeeper)


def by_registry(settings: Mapping[str, str]) -> Kind:
    """The same with another registry; of ZooKeeper it knows nothing."""
    return Kind(KIND.name, lambda _quorum, _parent: _words(settings))


def main() -> None:
    """Fetches and compiles."""
    sys.stderr.write(f"{TOOLS.artifact} {TOOLS.version}, with tests\n")
    resolve(TOOLS)
    program_classes(TOOLS, "Tools")


if __name__ == "__main__":
    sys.exit(main())
