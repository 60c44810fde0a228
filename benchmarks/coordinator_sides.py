"""The two sides: a coordinator as users start it, and Debian's ZooKeeper as its operators start it."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Protocol

from benchmarks.samples import ROOT
from benchmarks.servers import LOOPBACK, elapsed_ms
from registry.names import Address
from tests.support.processes import ManagedProcess, children, free_ports, tool
from tests.support.zookeeper import ZooKeeperServer, debian

COORDINATOR = "hbeacon coordinator"
ZOOKEEPER = "ZooKeeper 3.8"
ON_DISK = ", on disk"
"""Behind the name of a side that keeps every acknowledged write through a loss of power."""
READY_S_MAX = 60.0
PROBE_PAUSE_MS = 1.0
BYTE_CODE = Path(tempfile.gettempdir()) / "hbeacon-benchmark-byte-code"
PROBE_S_MAX = 0.2
"""A ZooKeeper that takes a connection before it runs never answers on it."""
HEAP = "-Xmx1000m"
"""What zkEnv.sh gives it (ZK_SERVER_HEAP)."""
TICK_MS = 2000
"""That of zoo_sample.cfg."""

_HELLO = struct.pack(">iiqiqi16s?", 45, 0, 0, 30_000, 0, 16, bytes(16), False)
_GET_ROOT = struct.pack(">iiii1s?", 14, 1, 4, 1, b"/", False)


class ZooKeeperSide(Protocol):
    """One server under test."""

    name: str

    @property
    def rpc(self) -> Address:
        """Where it answers ZooKeeper's clients."""
        ...

    @property
    def process(self) -> ManagedProcess:
        """It."""
        ...

    def pids(self) -> list[int]:
        """All its processes: what it costs is what they cost together."""
        ...

    def stop(self) -> None:
        """As an operator does."""
        ...


class CoordinatorSide:
    """`hbeacon coordinator` with its defaults, but for the limit of connections from one host."""

    def __init__(self, directory: Path, *, on_disk: bool = False) -> None:
        """Start it on a free port."""
        self.name = COORDINATOR + (ON_DISK if on_disk else "")
        self.rpc = Address(LOOPBACK, free_ports(LOOPBACK, 1)[0])
        words = ["coordinator", "--listen", str(self.rpc), "--set", "hbase.zookeeper.property.maxClientCnxns=0"]
        if on_disk:
            words += ["--data-dir", str(directory / "data")]
        argv = [sys.executable, "-m", "registry.cli.main", *words]
        # Byte code lies ready, as pip leaves it; a checkout need not have any, or may forbid Python to write it.
        env = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(BYTE_CODE)}
        self.process = ManagedProcess(self.name, argv, directory / "coordinator.log", cwd=ROOT, env=env)

    def pids(self) -> list[int]:
        """One process."""
        return [self.process.pid, *children(self.process.pid)]

    def stop(self) -> None:
        """As an operator does."""
        self.process.stop()


class ZooKeeperAsInstalled(ZooKeeperServer):
    """One server with the heap of zkEnv.sh, all of the JVM's compilers and its own choice of collector."""

    def __init__(self, directory: Path, *, on_disk: bool = False) -> None:
        """Start it; `first_answer_ms` waits."""
        super().__init__(debian(), directory)
        self.name = ZOOKEEPER + (ON_DISK if on_disk else "")
        self._force_sync = on_disk
        config = directory / "zoo.cfg"
        lines = config.read_text().splitlines()
        config.write_text("\n".join([*(line for line in lines if "tickTime" not in line), f"tickTime={TICK_MS}", ""]))
        self.start(wait=False)

    @property
    def rpc(self) -> Address:
        """Its client port."""
        return Address(LOOPBACK, self.port)

    def pids(self) -> list[int]:
        """The JVM."""
        return [self.process.pid]

    def start(self, *, wait: bool = True) -> None:
        """Run it as zkServer.sh would."""
        assert not wait, "who measures waits by first_answer_ms"
        flags = [
            HEAP,
            "-Dzookeeper.jmx.log4j.disable=true",
            f"-Dzookeeper.forceSync={'yes' if self._force_sync else 'no'}",
        ]
        class_path = f"{self._directory}:{self._release.class_path}"
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        argv = [tool("java"), *flags, "-cp", class_path, main, str(self._directory / "zoo.cfg")]
        self._process = ManagedProcess(f"zookeeper-{self.port}", argv, self._directory / "zookeeper.log")


def first_answer_ms(side: ZooKeeperSide, since_s: float) -> float:
    """Until a server that was started at `since_s` gives a session and answers a read on it."""
    while not _answers(side.rpc):
        assert side.process.running, f"{side.name} died; its log ends:\n{side.process.tail()}"
        assert elapsed_ms(since_s) < READY_S_MAX * 1000, f"no answer from {side.name} within {READY_S_MAX:g} s"
        time.sleep(PROBE_PAUSE_MS / 1000)
    return elapsed_ms(since_s)


def _answers(address: Address) -> bool:
    try:
        with socket.create_connection((address.host, address.port), timeout=PROBE_S_MAX) as connection:
            connection.sendall(_HELLO)
            if len(_frame(connection)) < 37:
                return False
            connection.sendall(_GET_ROOT)
            return struct.unpack_from(">iqi", _frame(connection))[2] == 0
    except OSError:
        return False


def _frame(connection: socket.socket) -> bytes:
    with connection.makefile("rb", buffering=0) as stream:
        head = stream.read(4)
        if head is None or len(head) < 4:
            raise ConnectionError("the server closed the connection")
        payload = b""
        length = int.from_bytes(head, "big")
        while len(payload) < length:
            piece = stream.read(length - len(payload))
            if not piece:
                raise ConnectionError("the server closed the connection")
            payload += piece
        return payload


def prepare(program: Path, side: ZooKeeperSide) -> None:
    """Make the nodes of the loads."""
    words = [str(program), "zkprepare", "-addr", str(side.rpc)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=60)
