"""Real ZooKeeper servers for tests: Debian's 3.8 and Maven's 3.9, alone or as an ensemble, with verbs to hurt them.

`python -m tests.support.zookeeper` fetches what is needed (tests/setup.sh calls it).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.java import cache_dir, write_log_settings
from tests.support.processes import ManagedProcess, MissingToolError, accepts, free_ports, tool, wait_for

HOST = "127.0.0.1"
DEBIAN_JAR = Path("/usr/share/java/zookeeper.jar")
MAVEN_VERSION = "3.9.4"
TICK_MS = 500
"""Short, so that the smallest session time-out is a second: ZooKeeper grants 2 to 20 ticks."""

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>hbeacon.tests</groupId><artifactId>zookeeper</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.zookeeper</groupId><artifactId>zookeeper</artifactId><version>{version}</version></dependency>
    <!-- the server's request metrics, optional in ZooKeeper's own pom and yet loaded at its start -->
    <dependency><groupId>io.dropwizard.metrics</groupId><artifactId>metrics-core</artifactId><version>4.1.12.1</version></dependency>
    <dependency><groupId>org.xerial.snappy</groupId><artifactId>snappy-java</artifactId><version>1.1.10.5</version></dependency>
  </dependencies>
</project>
"""


@dataclass(frozen=True)
class Release:
    """A ZooKeeper release and where its jars are."""

    name: str
    class_path: str


def debian() -> Release:
    """3.8 from Debian's package `zookeeper`."""
    if not DEBIAN_JAR.exists():
        raise MissingToolError(
            "Debian's package zookeeper is not on this machine: run tests/setup.sh, which installs it"
        )
    return Release("3.8", str(DEBIAN_JAR))


def maven() -> Release:
    """3.9 from Maven's artifacts."""
    directory = _maven_directory()
    if not directory.is_dir():
        raise MissingToolError(
            f"the jars of zookeeper {MAVEN_VERSION} are not here: run tests/setup.sh, which fetches them"
        )
    return Release("3.9", f"{directory}/*")


RELEASES = {"3.8": debian, "3.9": maven}


def _maven_directory() -> Path:
    return cache_dir() / f"zookeeper-{MAVEN_VERSION}"


def resolve() -> None:
    """Fetch the Maven release unless it is here; the directory appears whole or not at all."""
    directory = _maven_directory()
    if directory.is_dir():
        return
    partial = directory.with_name(f"{directory.name}.partial-{os.getpid()}")
    partial.mkdir(parents=True)
    pom = partial / "pom.xml"
    pom.write_text(_POM.format(version=MAVEN_VERSION))
    words = ["-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
    subprocess.run([tool("mvn"), *words, "-DincludeScope=runtime"], check=True, stdin=subprocess.DEVNULL, timeout=900)
    partial.rename(directory)


class ZooKeeperServer:
    """One server process. It may be stopped, killed, paused, wiped and started again on the same port and data."""

    def __init__(self, release: Release, directory: Path, *, port: int = 0, members: str = "", number: int = 0) -> None:
        """Writes the configuration; `start` runs it. `members` are the server.N lines of an ensemble."""
        self.port = port or free_ports(HOST, 1)[0]
        self._release = release
        self._directory = directory
        self._process: ManagedProcess | None = None
        write_log_settings(directory)
        self._data.mkdir(parents=True, exist_ok=True)
        if number:
            (self._data / "myid").write_text(f"{number}\n")
        (directory / "zoo.cfg").write_text(
            f"tickTime={TICK_MS}\ninitLimit=20\nsyncLimit=10\ndataDir={self._data}\nclientPort={self.port}\n"
            f"clientPortAddress={HOST}\nmaxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n{members}"
        )

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def process(self) -> ManagedProcess:
        assert self._process is not None, "not started"
        return self._process

    def start(self, *, wait: bool = True) -> None:
        """Run it; with `wait`, until it accepts connections."""
        flags = ["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dzookeeper.jmx.log4j.disable=true"]
        flags += ["-Dzookeeper.forceSync=no", "-Dzookeeper.extendedTypesEnabled=true"]
        class_path = f"{self._directory}:{self._release.class_path}"
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        argv = [tool("java"), *flags, "-cp", class_path, main, str(self._directory / "zoo.cfg")]
        self._process = ManagedProcess(f"zookeeper-{self.port}", argv, self._directory / "zookeeper.log")
        if wait:
            wait_for(f"ZooKeeper at {self.address}", self._serves, 60)

    def _serves(self) -> bool:
        assert self.process.running, self.process.tail()
        return accepts(HOST, self.port) and four_letters(self.port, "srvr").startswith("Zookeeper version")

    def stop(self) -> None:
        """Let it end in order."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def pause(self) -> None:
        """SIGSTOP: connections stay, nobody answers."""
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Forget all data; the server must not run."""
        identity = self._data / "myid"
        kept = identity.read_text() if identity.exists() else ""
        shutil.rmtree(self._data)
        self._data.mkdir()
        if kept:
            identity.write_text(kept)

    def close(self) -> None:
        """End it whatever its state."""
        if self._process is not None:
            self._process.kill()


class ZooKeeperEnsemble:
    """Three servers that elect a leader."""

    def __init__(self, release: Release, directory: Path, size: int = 3) -> None:
        ports = free_ports(HOST, 3 * size)
        lines = (
            f"server.{number}={HOST}:{ports[size + index]}:{ports[2 * size + index]};{HOST}:{ports[index]}"
            for index, number in enumerate(range(1, size + 1))
        )
        members = "\n".join(lines) + "\n"
        self.servers = [
            ZooKeeperServer(release, directory / str(index + 1), port=ports[index], members=members, number=index + 1)
            for index in range(size)
        ]

    @property
    def address(self) -> str:
        return ",".join(server.address for server in self.servers)

    def start(self) -> None:
        """Run all and wait until there is a leader and everyone serves."""
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            wait_for(f"ZooKeeper at {server.address}", lambda server=server: mode(server.port) != "", 60)

    def leader(self) -> ZooKeeperServer:
        """The server that leads; waited for, as an election may be under way."""

        def leads() -> ZooKeeperServer | None:
            return next((server for server in self.servers if mode(server.port) == "leader"), None)

        return wait_for("a leader of ZooKeeper", leads, 30)

    def close(self) -> None:
        """End all."""
        for server in self.servers:
            server.close()


def four_letters(port: int, word: str) -> str:
    """Ask a four-letter word; the empty text when nobody answers.

    Source: ZooKeeper administrator's guide, The Four Letter Words.
    """
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(word.encode())
            pieces: list[bytes] = []
            while piece := connection.recv(65536):
                pieces.append(piece)
            return b"".join(pieces).decode()
    except OSError:
        return ""


def mode(port: int) -> str:
    """`leader`, `follower`, `standalone`, or the empty text of a server that does not serve."""
    lines = four_letters(port, "srvr").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("Mode: ")), "")


if __name__ == "__main__":
    resolve()
