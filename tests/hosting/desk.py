"""One server's stores, regions and orders without sockets, and orders as a master writes them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from protos.hbase import HBase_pb2, RegionServerStatus_pb2
from protos.hbeacon import ClusterV1_pb2
from regionserver.client_service.scanners import Scanners
from regionserver.hosting.hosted import REGION_NAME, HostedRegions
from regionserver.hosting.orders import Orders
from regionserver.hosting.reports import Reports
from regionserver.hosting.stores import ROCKSDB, Stores
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region
from registry.clock import SystemClock
from registry.names import ServerName
from registry.wire.cellblock import KeyType, decode_cells
from registry.wire.region_info import RegionInfo, table_name
from registry.wire.znode import encode_server_name

WAIT_S = 20.0
LIFE = 7
NOW_MS = 1_800_000_000_000
TIMES_MS = itertools.count(NOW_MS)
"""Of writes: no two are of the same time, whichever server they are sent to."""


def schema(table: str = "t", **attributes: str) -> HBase_pb2.TableSchema:
    message = HBase_pb2.TableSchema(table_name=table_name(table))
    message.column_families.add(name=b"f")
    for name, value in attributes.items():
        message.attributes.add(first=name.encode(), second=value.encode())
    return message


def infos(count: int, table: str = "t") -> list[RegionInfo]:
    """So many regions of one table."""
    keys = [b"", *(b"%06d" % number for number in range(1, count)), b""]
    return [RegionInfo(table, keys[index], keys[index + 1], 1_700_000_000_000) for index in range(count)]


def specifier(info: RegionInfo) -> HBase_pb2.RegionSpecifier:
    return HBase_pb2.RegionSpecifier(type=REGION_NAME, value=info.name)


@dataclass
class Desk:
    """A server; `stores` may outlive it, as what is on a disk does."""

    stores: Stores
    name: ServerName
    reports: Reports = field(default_factory=Reports)

    def __post_init__(self) -> None:
        clock = SystemClock()
        self.regions = HostedRegions(self.name, clock)
        self.scanners = Scanners(1)
        self.orders = Orders(self.stores, self.regions, self.reports, self.scanners, clock)

    def open_message(
        self,
        regions: Sequence[RegionInfo],
        store_id: str = "",
        *,
        hand_over: str = "",
        epoch: int = 1,
        seq_num: int = 2,
        table: HBase_pb2.TableSchema | None = None,
        dead: Sequence[ServerName] = (),
    ) -> ClusterV1_pb2.Orders:
        message = ClusterV1_pb2.Orders(master_epoch=epoch, dead=[encode_server_name(name) for name in dead])
        message.schemas.append(table or schema())
        request = message.open_region.add(serverStartCode=self.name.start_code, initiating_master_active_time=99)
        for info in regions:
            request.open_info.add(region=info.message(), open_proc_id=5)
            message.place.add(
                region=info.encoded_name,
                store_id=store_id or self.stores.home,
                life=LIFE,
                schema=0,
                open_seq_num=seq_num,
                hand_over=hand_over or None,
            )
        return message

    def close_message(
        self, info: RegionInfo, hand_over: str = "", destination: ServerName | None = None
    ) -> ClusterV1_pb2.Orders:
        message = ClusterV1_pb2.Orders(master_epoch=1)
        request = message.close_region.add(
            region=specifier(info), serverStartCode=self.name.start_code, close_proc_id=6
        )
        if destination is not None:
            request.destination_server.CopyFrom(encode_server_name(destination))
        if hand_over:
            message.hand_over.add(region=info.encoded_name, hand_over=hand_over)
        return message

    def drop_message(self, info: RegionInfo, store_id: str, hand_over: str = "") -> ClusterV1_pb2.Orders:
        place = ClusterV1_pb2.RegionPlace(
            region=info.encoded_name,
            store_id=store_id,
            life=LIFE,
            schema=0,
            open_seq_num=1,
            dropped=info.message(),
            hand_over=hand_over or None,
        )
        message = ClusterV1_pb2.Orders(master_epoch=1)
        message.proc.add(proc_id=9, proc_class="hbeacon.DropRange", proc_data=place.SerializeToString())
        return message

    async def told(self, count: int = 1) -> list[RegionServerStatus_pb2.RegionStateTransition]:
        """The transitions, once there are so many reports; all are acknowledged."""
        await self.await_reports(count)
        pending = self.reports.pending()
        for report in pending:
            self.reports.acknowledged(report.number)
        return [report.transition for report in pending if report.transition is not None]

    async def result(self) -> RegionServerStatus_pb2.RemoteProcedureResult:
        """Of a procedure; acknowledged."""
        await self.await_reports(1)
        (report,) = self.reports.pending()
        self.reports.acknowledged(report.number)
        assert report.result is not None
        return report.result

    async def await_reports(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while len(self.reports) < count:
                await asyncio.sleep(0.001)

    async def open(self, *regions: RegionInfo, store_id: str = "", hand_over: str = "") -> None:
        """Opened, acknowledged and served."""
        self.orders.take(self.open_message(regions, store_id, hand_over=hand_over))
        told = await self.told(len(regions))
        assert {each.transition_code for each in told} == {RegionServerStatus_pb2.RegionStateTransition.OPENED}

    def region(self, info: RegionInfo) -> Region:
        return self.regions.region_of(specifier(info))

    async def put(self, info: RegionInfo, row: bytes, value: bytes | None) -> None:
        """Acknowledged; None deletes the row."""
        done = asyncio.get_running_loop().create_future()
        region = self.region(info)
        now_ms = next(TIMES_MS)
        if value is None:
            mutation = Mutation(MutationKind.DELETE, row, [])
        else:
            mutation = Mutation(MutationKind.PUT, row, [Change(b"f", b"q", now_ms, KeyType.PUT, value)])
        region.mutate([mutation], region.rules.durability, lambda error: done.set_result(error), now_ms)
        assert await done is None

    def rows(self, info: RegionInfo, rows: Sequence[bytes]) -> dict[bytes, bytes]:
        """What a client reads."""
        found = {row: self.region(info).get(row, {}, 2 * NOW_MS).block for row in rows}
        return {row: next(iter(decode_cells(block, with_tags=True))).value for row, block in found.items() if block}


def server(data_dir: Path | None, port: int = 1, engine: str = ROCKSDB) -> Desk:
    """A new process on a data directory."""
    stores = Stores(data_dir, engine)
    stores.open_home()
    name = ServerName("host", port, 1)
    stores.set_server(str(name))
    return Desk(stores, name)


@asynccontextmanager
async def open_desk(data_dir: Path) -> AsyncGenerator[Desk]:
    """One until then."""
    made = server(data_dir)
    try:
        yield made
    finally:
        await made.orders.close_all()
        made.stores.close()
