"""Filters that mean harm, through a server's door: each call ends in what HBase would find, or in HBase's own error.

None holds the loop for long, whoever asks properly beside them is served all the time, the connection stays, and memory
is bounded. A seed is one test: a plain run takes the first few, `make campaign` thousands.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter

import pytest

from protos.hbase import Aggregate_pb2, Client_pb2, Filter_pb2
from regionserver.filters.filter import SeenCell
from regionserver.filters.parsing import parse_filter
from regionserver.region.family import read_cells
from regionserver.region.filtered_cells import family_read
from regionserver.region.keys import family_key
from regionserver.region.region import Region
from regionserver.region.visible import FamilyRules, Wanted, visible
from registry.coprocessors import AGGREGATE
from registry.rpc.client import RpcChannel
from registry.wire.cellblock import decode_cells
from registry.wire.errors import HBaseError
from tests.region.filter_model import ModelScan
from tests.support.hostile_filters import HostileFilters
from tests.support.processes import resident_bytes
from tests.support.region_door import META, TABLE, RegionDoor, mutate, put, region_door, spec
from tests.support.seeds import seeds

pytestmark = pytest.mark.timeout(120)

ROWS = [b"a", b"ab", b"ab\0", b"b", b"row7", b"row8", b"wide"]
QUALIFIERS = [b"", b"p", b"pq", b"q", b"zz"]
TEXT = "".join("ab"[number.bit_count() % 2] for number in range(3000)).encode()
VALUES = [b"", b"1", b"value", b"\0" * 8, b"\xff" * 12, "äß\u0130".encode(), b"a" * 2000, TEXT]
WIDE_COLUMNS = 150
FILTERS_EACH = 8
HOLD_MS_MAX = 1000.0
"""Of this processor, client and server together; what a single cell may cost is a tenth of it."""
GROWTH_BYTES_MAX = 300 << 20
KINDS = {
    "DoNotRetryIOException",
    "IOException",  # where Java's would fail on a value
    "RowTooBigException",
}
MODEL_WEIGHT_MAX = 60
"""Of more filters it takes too long."""


async def fill(channel: RpcChannel) -> None:
    requests = [
        put(row, VALUES[(index + number) % len(VALUES)], qualifier=qualifier)
        for number, row in enumerate(ROWS[:-1])
        for index, qualifier in enumerate(QUALIFIERS[number % 3 :])
    ]
    requests += [put(b"wide", VALUES[each % 7], qualifier=b"%06d" % each) for each in range(WIDE_COLUMNS)]
    await asyncio.gather(*(mutate(channel, each) for each in requests))


class Hold:
    """The longest time for which nobody else had the loop, in time of this thread: others use the machine, too."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            begun_s = time.thread_time()
            await asyncio.sleep(0)
            self.longest_ms = max(self.longest_ms, (time.thread_time() - begun_s) * 1000.0)

    def end(self) -> None:
        self._task.cancel()


async def ask(
    channel: RpcChannel, rng: random.Random, asked: Filter_pb2.Filter
) -> tuple[str, list[list[bytes]] | None]:
    """One call, as a client might; what it was, and the results of a scan."""
    match rng.randrange(7):
        case 0:
            request = Client_pb2.GetRequest(region=spec(), get=Client_pb2.Get(row=rng.choice(ROWS), filter=asked))
            await channel.call_bytes("Get", request.SerializeToString())
            return "a Get", None
        case 1:
            multi = Client_pb2.MultiRequest()
            actions = multi.regionAction.add(region=spec()).action
            for index, row in enumerate(ROWS):
                actions.add(index=index, get=Client_pb2.Get(row=row, filter=asked))
            answer = await channel.call_bytes("Multi", multi.SerializeToString())
            results = Client_pb2.MultiResponse.FromString(answer.message).regionActionResult[0].resultOrException
            names = {each.exception.name.rpartition(".")[2] for each in results if each.HasField("exception")}
            assert names <= KINDS, names
            return "a Multi of Gets", None
        case 2:
            request = put(rng.choice(ROWS[:-1]), VALUES[0], qualifier=QUALIFIERS[-1])
            request.condition.CopyFrom(Client_pb2.Condition(row=request.mutation.row, filter=asked))
            await channel.call("Mutate", request, Client_pb2.MutateResponse)
            return "a condition", None
        case 3:
            scan = Client_pb2.Scan(filter=asked, column=[Client_pb2.Column(family=b"f")])
            of = Aggregate_pb2.AggregateRequest(
                interpreter_class_name="org.apache.hadoop.hbase.client.coprocessor.LongColumnInterpreter", scan=scan
            )
            call = Client_pb2.CoprocessorServiceCall(
                row=b"", service_name="AggregateService", method_name="GetRowNum", request=of.SerializeToString()
            )
            await channel.call_bytes(
                "ExecService", Client_pb2.CoprocessorServiceRequest(region=spec(), call=call).SerializeToString()
            )
            return "an aggregation", None
        case _:
            scan = Client_pb2.Scan(filter=asked, reversed=rng.random() < 0.3)
            return "a scan", await scanned(channel, scan, rng.choice([1, 3, 100]), rng.random() < 0.5)


async def scanned(
    channel: RpcChannel, scan: Client_pb2.Scan, number_of_rows: int, knows_parts: bool
) -> list[list[bytes]]:
    """All pages of it: rows with their columns."""
    request = Client_pb2.ScanRequest(
        region=spec(), scan=scan, number_of_rows=number_of_rows, client_handles_partials=knows_parts
    )
    found: list[list[bytes]] = []
    for _ in range(1000):
        answer = await channel.call_bytes("Scan", request.SerializeToString())
        response = Client_pb2.ScanResponse.FromString(answer.message)
        cells = decode_cells(answer.cells)
        for count in response.cells_per_result:
            some = [next(cells) for _ in range(count)]
            if not found or found[-1][0] != some[0].row:
                found.append([some[0].row])
            found[-1] += [each.qualifier for each in some]
        if not response.more_results or not response.more_results_in_region:
            return found
        request = Client_pb2.ScanRequest(
            scanner_id=response.scanner_id, number_of_rows=number_of_rows, client_handles_partials=knows_parts
        )
    raise AssertionError("it never ends")


def expected(region: Region, scan: Client_pb2.Scan, asked: Filter_pb2.Filter, now_ms: int) -> list[list[bytes]] | None:
    """What HBase's way of going on finds; None: it takes too long. Raises what filters do."""
    filter_ = parse_filter(asked, lambda: 0.5)
    if filter_.weight > MODEL_WEIGHT_MAX:
        return None
    if scan.reversed:
        filter_.set_reversed()
    read = family_read(FamilyRules(), Wanted())
    cells: list[SeenCell] = []
    for row in sorted(ROWS, reverse=scan.reversed):
        key = family_key(region.row_key(row), b"f")
        first = region.store.get(key)
        assert first is not None
        entries = visible(read_cells(region.store, key, first), read.rules, read.wanted, now_ms)
        cells += [SeenCell(row, b"f", each[0], -each[1], -each[2], each[3]) for each in entries]
    model = ModelScan({b"f": cells}, {b"f": read}, filter_, reverse=scan.reversed, on_demand=not scan.reversed, batch=0)
    return [[each[0].row, *[cell.qualifier for cell in each]] for each in model.results()]


async def keep_asking(door: RegionDoor, over: asyncio.Event) -> int:
    """Gets a row of another region until it is over; how often it was right."""
    right = 0
    channel = await door.connect()
    request = Client_pb2.GetRequest(region=spec(META), get=Client_pb2.Get(row=b"safe"))
    while not over.is_set():
        answer = await channel.call_bytes("Get", request.SerializeToString())
        assert [cell.value for cell in decode_cells(answer.cells)] == [b"safe"]
        right += 1
        await asyncio.sleep(0.001)
    channel.close()
    return right


async def outcome_of(channel: RpcChannel, rng: random.Random, asked: Filter_pb2.Filter) -> str:
    told: HBaseError | None = None
    try:
        what, _ = await ask(channel, rng, asked)
    except HBaseError as error:
        told, what = error, error.java_class.rpartition(".")[2]
    assert told is None or (what in KINDS and "Traceback" not in str(told)), repr(told)
    return what


async def scan_as_the_model(
    door: RegionDoor, channel: RpcChannel, rng: random.Random, asked: Filter_pb2.Filter
) -> None:
    scan = Client_pb2.Scan(filter=asked, reversed=rng.random() < 0.3)
    found: list[list[bytes]] | str
    wanted: list[list[bytes]] | str | None
    try:
        found = await scanned(channel, scan, rng.choice([1, 3, 100]), knows_parts=rng.random() < 0.5)
    except HBaseError as error:
        found = str(error).rstrip()
    try:
        wanted = expected(door.regions[TABLE], scan, asked, int(door.clock.wall_ms()))
    except HBaseError as error:
        wanted = str(error).rstrip()
    if wanted is not None and "costs too much" not in f"{found!r} {wanted!r}":
        assert found == wanted, str(asked)[:2000]


@pytest.mark.parametrize("seed", seeds(5))
async def test_hostile_filters(seed: int) -> None:
    rng = random.Random(seed)
    made = HostileFilters(rng, ROWS, QUALIFIERS, VALUES)
    async with region_door() as door, await door.connect() as channel:
        door.schema.attributes.add(first=b"coprocessor$1", second=f"|{AGGREGATE}|1|".encode())
        await fill(channel)
        await mutate(channel, put(b"safe", b"safe", region=META, family=b"info"))
        door.lease.granted(1e9)
        door.clock.monotonic_ms = lambda: 1e6 + time.thread_time() * 1000.0  # type: ignore[method-assign]
        before, over, hold = resident_bytes(os.getpid()), asyncio.Event(), Hold()
        beside = asyncio.create_task(keep_asking(door, over))
        outcomes: Counter[str] = Counter()
        for _ in range(FILTERS_EACH):
            asked = made.filter()
            outcomes[await outcome_of(channel, rng, asked)] += 1
            await scan_as_the_model(door, channel, rng, asked)
            assert hold.longest_ms < HOLD_MS_MAX, f"{hold.longest_ms:.0f} ms for {str(asked)[:2000]}"
        over.set()
        hold.end()
        assert await beside > 0
        assert channel.is_open
        grown = resident_bytes(os.getpid()) - before
        assert grown < GROWTH_BYTES_MAX, f"{grown >> 20} MiB more after {outcomes}"
        assert len(door.door.scanners) == 0
