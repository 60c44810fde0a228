"""The two sides: an adapter as users start it, and a real HBase as its operators start it, on one ZooKeeper."""

from __future__ import annotations

import json
import os
import re
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry.names import Address
from tests.support.adapters import AdapterProcess
from tests.support.hbase import HBaseCluster
from tests.support.java import CURRENT_SERVER, JDK_FLAGS, jars
from tests.support.processes import ManagedProcess, children, free_ports, tool, wait_for

LOOPBACK = "127.0.0.1"
ADAPTER = "hbeacon adapter"
HBASE = f"HBase {CURRENT_SERVER.version} master"
READY_S_MAX = 30.0


class Side(Protocol):
    """One server under test."""

    @property
    def name(self) -> str:
        """Its column in the table."""
        ...

    @property
    def rpc(self) -> Address:
        """Where it answers."""
        ...

    def pids(self) -> list[int]:
        """All its processes: what it costs is what they cost together."""
        ...


@dataclass(frozen=True)
class Usage:
    """What processes have used until now, added up."""

    resident_bytes: int
    cpu_s: float


def usage(pids: Sequence[int]) -> Usage:
    """Resident memory now and processor time so far. Source: proc(5), statm and stat."""
    page, tick = resource.getpagesize(), os.sysconf("SC_CLK_TCK")
    resident, ticks = 0, 0
    for pid in pids:
        resident += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime
    return Usage(resident, ticks / tick)


def pss_mib(pids: Sequence[int]) -> float:
    """What processes add to the memory in use, together: pages that are shared count in parts. Source: proc(5)."""
    total = 0.0
    for pid in pids:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        assert found is not None, f"the kernel says nothing about the memory of {pid}"
        total += int(found[1]) / 1024
    return total


def with_descendants(pid: int) -> list[int]:
    """A process, its children, theirs, and so on."""
    found = [pid]
    for each in found:
        found += children(each)
    return found


class Adapter:
    """`hbeacon adapter` with its defaults: guard on, all faces."""

    def __init__(self, zookeeper: str, log: Path, *, number: int = 0) -> None:
        """Start it on free ports; `wait_ready` says when it answers."""
        rpc_port, http_port = free_ports(LOOPBACK, 2)
        self.name = f"{ADAPTER} {number + 1}" if number else ADAPTER
        self.rpc, self.http = Address(LOOPBACK, rpc_port), Address(LOOPBACK, http_port)
        self._running = AdapterProcess(self.name, log, zookeeper=zookeeper, rpc=str(self.rpc), http=str(self.http))

    def wait_ready(self) -> None:
        """Until the ready line is there."""
        self._running.wait_ready(READY_S_MAX)

    def wait_healthy(self) -> None:
        """Until it is connected to ZooKeeper again: /health says so."""

        def healthy() -> bool:
            return json.loads(self._running.get("/health")[1] or "{}").get("status") == "healthy"

        try:
            wait_for(f"{self.name} connected to ZooKeeper", healthy, READY_S_MAX)
        except AssertionError as error:
            raise AssertionError(f"{error}; its log ends:\n{self._running.process.tail()}") from error

    def tail(self) -> str:
        """The end of its log."""
        return self._running.process.tail()

    def pids(self) -> list[int]:
        """Guard and worker."""
        return with_descendants(self._running.process.pid)

    def stop(self) -> None:
        """As an operator does."""
        self._running.process.stop()


class HBaseAsInstalled(HBaseCluster):
    """Masters and region servers with the JVM flags and the handlers that bin/hbase and hbase-default.xml give.

    The clusters of the tests are made small and quick to start; to be compared with, HBase has what it has in
    production: both JIT compilers, G1, a heap of 1 GiB, 30 handlers.
    """

    name = HBASE

    def __init__(
        self,
        directory: Path,
        zookeeper: str,
        *,
        masters: int = 1,
        region_servers: int = 1,
        heap: Sequence[str] = ("-Xms1g", "-Xmx1g"),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Start all servers; `wait_ready` waits."""
        self._heap = heap
        super().__init__(directory, zookeeper, masters=masters, region_servers=region_servers, settings=settings)

    @property
    def rpc(self) -> Address:
        """The master's address."""
        return Address(self.bind, self.master_ports[0])

    def pids(self) -> list[int]:
        """The master's JVM."""
        return [self.processes[self.master_ports[0]].pid]

    def _start(self, name: str, port: int, main: str, setting: str) -> None:
        conf = self.directory / "conf"
        flags = [*self._heap, "-XX:+UseG1GC", *JDK_FLAGS]
        words = [tool("java"), *flags, "-cp", f"{conf}:{jars(self.server)}", main, setting, "start"]
        self.processes[port] = ManagedProcess(name, words, self.directory / "logs" / f"{name}.log", cwd=conf)

    def _site(self) -> str:
        return re.sub(r"(handler\.count</name><value>)\d+", r"\g<1>30", super()._site())


def elapsed_ms(since_s: float) -> float:
    """Milliseconds since a moment of `time.perf_counter`."""
    return (time.perf_counter() - since_s) * 1000
