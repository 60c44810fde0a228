"""How fast regions are opened, closed, handed over and taken over (ADR 0017).

    python -m benchmarks.region_hosting [--directory DIR]

One process and its loop, no sockets: what the master and the network add is not in it. A hand-over is timed from the
order to close until the region is open in the other store, both on the same disk; how long the loop is held up at most
is shown beside, because calls of clients wait for so long.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from protos.hbase import HBase_pb2
from protos.hbeacon import ClusterV1_pb2
from regionserver.client_service.scanners import Scanners
from regionserver.engine.store import Batch, Durability, Store
from regionserver.hosting.committing import commit
from regionserver.hosting.hosted import REGION_NAME, HostedRegions
from regionserver.hosting.orders import Orders
from regionserver.hosting.reports import Reports
from regionserver.hosting.stores import Stores
from regionserver.region.keys import family_key
from regionserver.region.record import encode_record
from registry.clock import SystemClock
from registry.names import ServerName
from registry.wire.cellblock import Cell, KeyType, encode_cell
from registry.wire.region_info import RegionInfo, table_name

REGIONS = 10_000
ORDERS_AT_ONCE = 1000
ROWS, CELLS, VALUE_BYTES = 100_000, 10, 100
LIFE = 1


class Server:
    """One region server without sockets."""

    def __init__(self, directory: Path, port: int) -> None:
        clock = SystemClock()
        self.stores = Stores(directory)
        self.stores.open_home()
        self.name = ServerName("host", port, 1)
        self.stores.set_server(str(self.name))
        self.reports = Reports()
        self.regions = HostedRegions(self.name, clock)
        self.orders = Orders(self.stores, self.regions, self.reports, Scanners(1), clock)

    async def acknowledged(self, count: int) -> None:
        """Wait for so many reports, and acknowledge them."""
        told = asyncio.Event()
        self.reports.changed = told.set
        while len(self.reports) < count:
            told.clear()
            await told.wait()
        for report in self.reports.pending():
            self.reports.acknowledged(report.number)

    def open_message(self, regions: list[RegionInfo], store_id: str, hand_over: str = "") -> bytes:
        """The order to open them, as it comes."""
        message = ClusterV1_pb2.Orders(master_epoch=1)
        schema = HBase_pb2.TableSchema(table_name=table_name("t"))
        schema.column_families.add(name=b"f")
        message.schemas.append(schema)
        request = message.open_region.add()
        for info in regions:
            request.open_info.add(region=info.message())
            message.place.add(
                region=info.encoded_name, store_id=store_id, life=LIFE, schema=0, open_seq_num=2, hand_over=hand_over
            )
            if not hand_over:
                message.place[-1].ClearField("hand_over")
        return message.SerializeToString()

    def take(self, message: bytes) -> None:
        """An order has come."""
        self.orders.take(ClusterV1_pb2.Orders.FromString(message))

    def close(self, info: RegionInfo, hand_over: str) -> None:
        """Order it closed and handed over."""
        message = ClusterV1_pb2.Orders(master_epoch=1)
        message.close_region.add(region=HBase_pb2.RegionSpecifier(type=REGION_NAME, value=info.name))
        message.hand_over.add(region=info.encoded_name, hand_over=hand_over)
        self.orders.take(message)


class Turns:
    """How long the turns of the loop are while something is done beside it."""

    def __init__(self) -> None:
        self._task = asyncio.create_task(self._watch())
        self._turns_ms: list[float] = []

    async def _watch(self) -> None:
        while True:
            began_s = time.perf_counter()
            await asyncio.sleep(0)
            self._turns_ms.append((time.perf_counter() - began_s) * 1000)

    def end(self) -> str:
        """The longest, and the one that 99 of 100 stay below."""
        self._task.cancel()
        p99_ms = statistics.quantiles(self._turns_ms, n=100)[98]
        return f"turns of the loop: p99 {p99_ms:.1f} ms, longest {max(self._turns_ms):.1f} ms"


async def fill(store: Store) -> int:
    """Rows of ten cells; their bytes."""
    total = 0
    prefix = LIFE.to_bytes(8, "big")
    for begin in range(0, ROWS, 500):
        batch = Batch()
        for number in range(begin, begin + 500):
            row = b"row%08d" % number
            cells = [Cell(row, b"f", b"q%d" % cell, 1, KeyType.PUT, bytes(VALUE_BYTES)) for cell in range(CELLS)]
            entries = [(cell.qualifier, -1, -int(KeyType.PUT), encode_cell(cell, with_tags=True)) for cell in cells]
            key, value = family_key(prefix + row + b"\0\0", b"f"), encode_record(entries)
            batch.put(key, value)
            total += len(key) + len(value)
        await commit(store, batch, Durability.PROCESS)
    return total


async def measure(directory: Path) -> None:
    """Print it."""
    first, second = Server(directory, 1), Server(directory, 2)
    home = first.stores.get(first.stores.home)
    assert home is not None
    keys = [b"", *(b"%06d" % number for number in range(1, REGIONS)), b""]
    regions = [RegionInfo("t", keys[index], keys[index + 1], 1) for index in range(REGIONS)]
    steps = range(0, REGIONS, ORDERS_AT_ONCE)
    messages = [first.open_message(regions[begin : begin + ORDERS_AT_ONCE], first.stores.home) for begin in steps]
    turns, began_s = Turns(), time.perf_counter()
    for message in messages:
        first.take(message)
        await asyncio.sleep(0)
    await first.acknowledged(REGIONS)
    took_s = time.perf_counter() - began_s
    print(f"{REGIONS} regions opened, {ORDERS_AT_ONCE} in an order: {took_s:.2f} s, {turns.end()}")

    began_s = time.perf_counter()
    await first.orders.close_all()
    print(f"{REGIONS} regions closed: {time.perf_counter() - began_s:.2f} s")

    first = Server(directory, 3)
    whole = RegionInfo("t", region_id=2)
    home = first.stores.get(first.stores.home)
    assert home is not None
    mib = await fill(home) / (1 << 20)
    first.take(first.open_message([whole], first.stores.home))
    await first.acknowledged(1)
    turns, began_s = Turns(), time.perf_counter()
    first.close(whole, "bench")
    await first.acknowledged(1)
    written_s = time.perf_counter() - began_s
    print(f"{mib:.0f} MiB written to a hand-over: {mib / written_s:.0f} MiB/s, {turns.end()}")
    turns, began_s = Turns(), time.perf_counter()
    second.take(second.open_message([whole], second.stores.home, "bench"))
    await second.acknowledged(1)
    taken_s = time.perf_counter() - began_s
    print(f"{mib:.0f} MiB taken from it: {mib / taken_s:.0f} MiB/s, {turns.end()}")
    print(f"both: {mib / (written_s + taken_s):.0f} MiB/s")

    store_id = first.stores.home
    await first.orders.close_all()
    first.stores.close()
    message = second.open_message(regions[:100], store_id)
    began_s = time.perf_counter()
    second.take(message)
    await second.acknowledged(100)
    took_ms = (time.perf_counter() - began_s) * 1000
    print(f"a store of {mib:.0f} MiB and 100 regions taken over from a dead server: {took_ms:.0f} ms")
    await second.orders.close_all()
    second.stores.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, help="on the disk to be measured; a temporary one otherwise")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as made:
        asyncio.run(measure(Path(made)))


if __name__ == "__main__":
    main()
