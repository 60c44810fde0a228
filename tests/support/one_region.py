"""One region of our own behind a real socket, on RocksDB, by the clocks of the machine; in a process that is killed."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from protos.hbase import HBase_pb2
from regionserver.client_service.nonces import read_kept
from regionserver.client_service.scanners import Scanners
from regionserver.door import ClientDoor
from regionserver.engine.grouped import GroupedStore
from regionserver.engine.rocksdb import RocksMemory, RocksStore
from regionserver.gate import Gate
from regionserver.region.cleaning import RegionCleaning
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.clock import SystemClock
from registry.names import Address, ServerName
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import ServiceTable
from registry.zk.lease import Lease

NAME = ServerName("rs1", 16020, 1_795_000_000_000)
LEASE_MS = 3_600_000.0


class OneRegion:
    """Serves it until `stop`."""

    def __init__(self, directory: Path, table: str, families: Mapping[bytes, FamilyRules]) -> None:
        self.name = f"{table},,1.aa.".encode()
        self._table, self._families, self._directory = table, families, directory
        self.clock = SystemClock()
        self._memory = RocksMemory.of(8 << 20, 32 << 20)
        self.address = Address("", 0)
        self._server: RpcServer | None = None

    async def start(self) -> None:
        gate, lease = Gate(self.clock), Lease()
        lease.granted(LEASE_MS * 1.5)
        lease.answered(self.clock.monotonic_ms())
        gate.open(NAME, lease)
        self._open()
        call_soon = asyncio.get_running_loop().call_soon
        scanners = Scanners(int(self.clock.wall_ms()))  # another life's ids are none of this one's
        door = ClientDoor(gate, self._region_of, scanners, self.clock, lambda epoch: None, call_soon)
        door.nonces.inherit(read_kept(self._store))
        table = ServiceTable()
        door.add_to(table)
        self._server = RpcServer(RpcServerSettings(), table, self.clock)
        self.address = await self._server.start("127.0.0.1", 0)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
        self._store.close()

    def reopen(self) -> None:
        """Close the store and open it again, as the next owner would."""
        self._store.close()
        self._open()

    def compact(self) -> None:
        """All dead cells go, and their markers."""
        passed = RegionCleaning(self.region)
        while passed.slice(int(self.clock.wall_ms())):
            pass
        self._store.write()

    def _open(self) -> None:
        store = RocksStore(self._directory / "db", self._memory)
        self._store = GroupedStore(store, asyncio.get_running_loop().call_soon)
        where = RegionRange(self._table, self.name.decode())
        self.region = Region(where, self._families, self._store, b"prefix00")

    def _region_of(self, spec: HBase_pb2.RegionSpecifier) -> Region:
        assert spec.value == self.name
        return self.region


PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])
WAIT_S = 30.0


class RegionProcess:
    """The same in a process of its own, which may be killed and started again on its directory."""

    def __init__(self, directory: Path, table: str, families: Mapping[bytes, FamilyRules]) -> None:
        self.name = f"{table},,1.aa.".encode()
        self._words = directory, table, dict(families)
        self.address = Address("", 0)

    def start(self) -> None:
        """Until it serves, at an address of its own."""
        self._pipe, far = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=_serve, args=(far, *self._words), daemon=True)
        self._process.start()
        far.close()
        self.address = self._heard()

    def clean(self) -> None:
        """Dead cells go; then close the store and open it again, as the next owner would."""
        self._pipe.send("clean")
        self._heard()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join(WAIT_S)
        self._pipe.close()

    def _heard(self) -> Address:
        assert self._pipe.poll(WAIT_S), "the region's process is silent"
        return self._pipe.recv()


def _serve(pipe: Connection, directory: Path, table: str, families: Mapping[bytes, FamilyRules]) -> None:
    asyncio.run(_served(pipe, OneRegion(directory, table, families)))


async def _served(pipe: Connection, region: OneRegion) -> None:
    """Until it is killed; every word is to clean up."""
    await region.start()
    while True:
        pipe.send(region.address)
        await asyncio.to_thread(pipe.recv)
        region.compact()
        region.reopen()
