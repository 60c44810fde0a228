"""ClientService of one region in memory behind a real socket, with a lease and a clock that move when told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.message import Message

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.scanners import Scanners
from regionserver.door import ClientDoor
from regionserver.endpoints.classes import HostSettings
from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch, Committed, Durability, StoreBusy
from regionserver.gate import Gate
from regionserver.master_calls import HIDDEN_FAMILY
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.names import Address, ServerName
from registry.rpc.client import RpcChannel
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import ServiceTable
from registry.wire.cellblock import decode_cells
from registry.wire.epoch import NO_EPOCH, MasterEpoch, deposed
from registry.wire.errors import NotServingRegionException
from registry.wire.header import KEY_VALUE_CODEC
from registry.zk.lease import Lease
from tests.support.clock import ManualClock

NAME = ServerName("rs1", 16020, 1_795_000_000_000)
TABLE, META = b"t1,,1.aa.", b"hbase:meta,,1"
LEASE_MS = 20_000.0


class SlowStore(MemoryStore):
    """Commits end when told."""

    def __init__(self) -> None:
        super().__init__()
        self.is_slow = False
        self.is_busy = False
        self.ends: list[Callable[[], None]] = []

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        if self.is_busy:
            raise StoreBusy("memory: the disk is behind")
        super().commit(batch, durability, lambda _error: None)
        if self.is_slow:
            self.ends.append(lambda: committed(None))
        else:
            committed(None)

    def end_all(self) -> None:
        ends, self.ends = self.ends, []
        for end in ends:
            end()


class RegionDoor:
    """Two regions: one of a table with family f, and one of hbase:meta with families info and hbeacon."""

    def __init__(self, endpoints: HostSettings | None = None) -> None:
        self.clock = ManualClock()
        self.schema = HBase_pb2.TableSchema()
        """What tables say of coprocessors."""
        self.gate = Gate(self.clock)
        self.lease = Lease()
        self.store = SlowStore()
        self.epoch = NO_EPOCH
        self.address = Address("", 0)
        self.regions = {
            TABLE: Region(RegionRange("t1", TABLE.decode()), {b"f": FamilyRules()}, self.store, b"prefix00"),
            META: Region(
                RegionRange("hbase:meta", META.decode()),
                {b"info": FamilyRules(), HIDDEN_FAMILY: FamilyRules()},
                self.store,
                b"prefix01",
            ),
        }
        call_soon = asyncio.get_running_loop().call_soon
        scanners = Scanners(7, lease_ms=60_000)
        self.door = ClientDoor(
            self.gate,
            lambda name: self.region_of(name),
            scanners,
            self.clock,
            self.check_epoch,
            call_soon,
            find=lambda spec: (self.region_of(spec), self.schema),
            endpoints=endpoints,
        )
        self.table = ServiceTable()
        self.door.add_to(self.table)

    def region_of(self, spec: HBase_pb2.RegionSpecifier) -> Region:
        if spec.value not in self.regions:
            raise NotServingRegionException(f"{spec.value.decode()} is not online on {NAME}")
        return self.regions[spec.value]

    def check_epoch(self, epoch: MasterEpoch) -> None:
        if not epoch.may_follow(self.epoch):
            raise deposed(epoch, self.epoch)
        self.epoch = epoch

    def open(self) -> None:
        """Registered, with a lease that has just begun."""
        self.lease.granted(LEASE_MS * 1.5)
        self.lease.answered(self.clock.monotonic_ms())
        self.gate.open(NAME, self.lease)

    def slow(self, step_ms: float) -> None:
        """So much time passes with each look at the clock; the lease stays."""
        self.clock.step_ms = step_ms
        self.lease.granted(1e9)

    async def connect(self, *, codec: str = KEY_VALUE_CODEC, version: str = "2.6.4") -> RpcChannel:
        """As a client of that version, or one that says nothing."""
        info = HBase_pb2.VersionInfo(
            version=version, url="", revision="", user="", date="", src_checksum=""
        )  # without the numbers that 2.x adds: the text is read
        return await RpcChannel.connect(
            self.address, "ClientService", cell_block_codec=codec, version=info if version else None
        )


@asynccontextmanager
async def region_door(*, is_open: bool = True, endpoints: HostSettings | None = None) -> AsyncGenerator[RegionDoor]:
    """It, behind a socket of its own."""
    door = RegionDoor(endpoints)
    server = RpcServer(RpcServerSettings(), door.table, door.clock)
    door.address = await server.start("127.0.0.1", 0)
    if is_open:
        door.open()
    try:
        yield door
    finally:
        await server.stop()


def spec(name: bytes = TABLE) -> HBase_pb2.RegionSpecifier:
    return HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=name)


def put(
    row: bytes, value: bytes = b"v", *, region: bytes = TABLE, family: bytes = b"f", qualifier: bytes = b"q"
) -> Client_pb2.MutateRequest:
    """One cell, in the message."""
    request = Client_pb2.MutateRequest(region=spec(region))
    request.mutation.row = row
    request.mutation.mutate_type = Client_pb2.MutationProto.PUT
    column = request.mutation.column_value.add(family=family)
    column.qualifier_value.add(qualifier=qualifier, value=value)
    return request


def get(row: bytes, *, region: bytes = TABLE) -> Client_pb2.GetRequest:
    """The whole row."""
    return Client_pb2.GetRequest(region=spec(region), get=Client_pb2.Get(row=row))


async def mutate(channel: RpcChannel, request: Client_pb2.MutateRequest, **more: Any) -> Client_pb2.MutateResponse:
    """What came of a mutation."""
    return await channel.call("Mutate", request, Client_pb2.MutateResponse, **more)


async def values(channel: RpcChannel, row: bytes, **more: Any) -> list[bytes]:
    """Of a row, by whichever way its cells come."""
    answer = await channel.call_bytes("Get", get(row).SerializeToString(), **more)
    result = Client_pb2.GetResponse.FromString(answer.message).result
    cells = [cell.value for cell in decode_cells(answer.cells)]
    assert len(cells) == result.associated_cell_count
    return cells or [cell.value for cell in result.cell]


def open_scan(**fields: Any) -> Client_pb2.ScanRequest:
    """Of all rows of the region."""
    defaults: dict[str, Any] = {"number_of_rows": 1000, "client_handles_partials": True, **fields}
    return Client_pb2.ScanRequest(region=spec(), scan=Client_pb2.Scan(), **defaults)


async def scan(channel: RpcChannel, request: Message, **more: Any) -> tuple[Client_pb2.ScanResponse, list[bytes]]:
    """The answer, and the row of each cell."""
    answer = await channel.call_bytes("Scan", request.SerializeToString(), **more)
    rows = [cell.row for cell in decode_cells(answer.cells)]
    return Client_pb2.ScanResponse.FromString(answer.message), rows


async def fill(channel: RpcChannel, count: int) -> list[bytes]:
    """Put so many rows; gives their keys."""
    rows = [b"row%04d" % number for number in range(count)]
    await asyncio.gather(*(mutate(channel, put(row)) for row in rows))
    return rows
