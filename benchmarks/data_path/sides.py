"""The two clusters: `hbeacon dev` as users start it, and a real HBase with as many servers of each kind.

A coordinator or ZooKeeper, two masters and two region servers on each side, all rows in memory, every put with
SYNC_WAL: acknowledged when it is written to the log, so that it survives the process and not the loss of power.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from benchmarks.coordinator_sides import BYTE_CODE, ZooKeeperAsInstalled, first_answer_ms
from benchmarks.probe import RegistryProbe
from benchmarks.servers import HBaseAsInstalled, with_descendants
from registry.names import Address
from registry.wire.errors import PleaseHoldException
from tests.support.dev import DevProcess
from tests.support.java import CURRENT_SERVER
from tests.support.master_calls import MasterCalls
from tests.support.processes import wait_for

HBEACON = "hbeacon"
HBASE = f"HBase {CURRENT_SERVER.version}"
REGION_SERVERS = 2
"""And as many masters: `hbeacon dev` starts two."""
READY_S_MAX = 180.0
CREATE_S_MAX = 300.0
HEAP = ("-Xmx1g",)
"""As HBASE_HEAPSIZE=1G says it to each of HBase's servers: nothing about what it begins with."""


class Side(Protocol):
    """One cluster under test."""

    name: str

    def wait_ready(self) -> None:
        """Until clients may come."""
        ...

    @property
    def masters(self) -> list[Address]:
        """They all answer ClientMetaService."""
        ...

    @property
    def zookeeper(self) -> Address:
        """Where clients find the cluster."""
        ...

    def pids(self) -> list[int]:
        """All processes."""
        ...

    def tail(self) -> str:
        """The end of its logs."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


class HBeaconSide:
    """`hbeacon dev` on free ports, with more flags."""

    def __init__(self, directory: Path, *flags: str) -> None:
        """Start it, with its log in the directory; `wait_ready` waits."""
        self.name = HBEACON
        # Byte code lies ready, as pip leaves it; a checkout need not have any, or may forbid Python to write it.
        env = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(BYTE_CODE)}
        self.dev = DevProcess(directory / "dev.log", *flags, env=env)

    def wait_ready(self) -> None:
        """Until tables can be created."""
        self.dev.wait_ready(READY_S_MAX)

    @property
    def masters(self) -> list[Address]:
        """Both."""
        return [Address.parse(text) for text in self.dev.masters]

    @property
    def region_servers(self) -> list[Address]:
        """As the ready line names them."""
        words = dict(word.split("=", 1) for word in self.dev.lines[0].split() if "=" in word)
        return [Address.parse(text) for text in words["regionservers"].split(",")]

    @property
    def zookeeper(self) -> Address:
        """The coordinator."""
        return Address.parse(self.dev.zookeeper)

    def pids(self) -> list[int]:
        """Supervisor, coordinator, masters, region servers."""
        return with_descendants(self.dev.process.pid)

    def tail(self) -> str:
        """Of all roles: they share a log."""
        return self.dev.process.tail()

    def stop(self) -> None:
        """As Ctrl-C does."""
        self.dev.process.stop(60)


class HBaseSide:
    """ZooKeeper and HBase's servers, one JVM each."""

    def __init__(self, directory: Path, *, servers: int = REGION_SERVERS) -> None:
        """Start ZooKeeper, then HBase with so many servers of each kind; `wait_ready` waits."""
        self.name = HBASE
        self._zookeeper = ZooKeeperAsInstalled(directory / "zookeeper")
        first_answer_ms(self._zookeeper, time.perf_counter())
        self._cluster = HBaseAsInstalled(
            directory / "hbase",
            str(self._zookeeper.rpc),
            masters=servers,
            region_servers=servers,
            heap=HEAP,
        )

    def wait_ready(self) -> None:
        """Until all servers are in ZooKeeper and the master has finished its start."""
        self._cluster.wait_ready(READY_S_MAX)

    @property
    def masters(self) -> list[Address]:
        """Both."""
        return [Address(self._cluster.bind, port) for port in self._cluster.master_ports]

    @property
    def zookeeper(self) -> Address:
        """ZooKeeper."""
        return self._zookeeper.rpc

    def pids(self) -> list[int]:
        """All five JVMs."""
        return [self._zookeeper.process.pid, *(process.pid for process in self._cluster.processes.values())]

    def tail(self) -> str:
        """Of each server."""
        return "\n".join(f"{process.name}:\n{process.tail(10)}" for process in self._cluster.processes.values())

    def stop(self) -> None:
        """Without ceremony."""
        self._cluster.close()
        self._zookeeper.stop()


def active_master(side: Side) -> Address:
    """Who does what MasterService asks."""

    def asked() -> Address | None:
        for address in side.masters:
            try:
                probe = RegistryProbe(address)
                try:
                    found = probe.active_master()
                finally:
                    probe.close()
            except (OSError, AssertionError):
                continue
            if found is not None:
                return found.address
        return None

    return wait_for(f"an active master of {side.name}", asked, READY_S_MAX)


def create_table(
    side: Side, name: str, splits: tuple[bytes, ...] = (), attributes: Mapping[bytes, bytes] | None = None
) -> float:
    """Make a table with one family `f`; seconds until its procedure has ended, all regions open."""

    async def created() -> float:
        async with asyncio.timeout(READY_S_MAX + CREATE_S_MAX):
            while True:
                async with MasterCalls.connected(active_master(side), CREATE_S_MAX) as master:
                    began_s = time.perf_counter()
                    try:
                        await master.create(name, splits, attributes or {})
                        return time.perf_counter() - began_s
                    except PleaseHoldException:  # an HBase master is active long before it has finished its start
                        await asyncio.sleep(0.2)

    return asyncio.run(created())


def drop_table(side: Side, name: str) -> None:
    """Disable and delete it."""

    async def dropped() -> None:
        async with MasterCalls.connected(active_master(side), CREATE_S_MAX) as master:
            await master.disable(name)
            await master.delete(name)

    asyncio.run(dropped())


def java_settings(side: Side) -> Mapping[str, str]:
    """What a Java client is configured with: the ZooKeeper path, which 2.6 takes unless told otherwise."""
    return {
        "hbase.zookeeper.quorum": side.zookeeper.host,
        "hbase.zookeeper.property.clientPort": str(side.zookeeper.port),
    }
