"""Very many regions: a table created with a thousand of them, and ten thousand opened after a cold start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks import load
from benchmarks.data_path.sides import HBeaconSide, Side, create_table, drop_table
from benchmarks.samples import Samples
from protos.hbase import Admin_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import HBaseError

CREATE, COLD_START = "regions created", "regions, cold start"
TABLE = "regions"
COLD_SERVERS = 4
OPEN_S_MAX = 300.0
ASK_EVERY_S = 0.5
CALL_MS_MAX = 60_000.0


def _splits(regions: int) -> tuple[bytes, ...]:
    """One row a region: row n lies in region n."""
    return tuple(b"row%07d" % number for number in range(1, regions))


def _words(table: str, regions: int) -> tuple[str, ...]:
    return ("-table", table, "-rows", str(regions), "-cells", "1")


def measure_create(
    program: Path,
    sides: Sequence[Side],
    regions: int,
    rounds: int,
    samples: Samples,
    tick: Callable[[str], None],
) -> None:
    """Until the procedure has ended; then every region is scanned, and the table goes."""
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            tick(f"{regions} regions, {side.name}")
            seconds = create_table(side, TABLE, _splits(regions))
            samples.add(CREATE, side.name, {"s": seconds, "regions": regions})
            # A row in each would cost HBase 2 MiB of its heap for each region (MSLAB), more than it has.
            done = load.job(program, "verify", side.masters[0], _words(TABLE, 0))
            if done["regions"] != regions:
                raise load.LoadError(f"{side.name}: {done['regions']} of {regions} regions")
            tick(f"table of {regions} regions dropped, {side.name}")
            drop_table(side, TABLE)


async def _online(servers: Iterable[Address], names: set[str]) -> int:
    """How many different regions of these tables the servers have open."""
    found: set[bytes] = set()
    for address in servers:
        async with await RpcChannel.connect(address, "AdminService") as channel:
            response = await channel.call(
                "GetOnlineRegion",
                Admin_pb2.GetOnlineRegionRequest(),
                Admin_pb2.GetOnlineRegionResponse,
                timeout_ms=CALL_MS_MAX,
            )
        for info in response.region_info:
            if info.table_name.qualifier.decode() in names:
                found.add(info.table_name.qualifier + b"," + info.start_key)
    return len(found)


def _until_open(side: HBeaconSide, names: set[str], regions: int) -> None:
    deadline, count = time.monotonic() + OPEN_S_MAX, 0
    while count < regions:
        if time.monotonic() > deadline:
            raise load.LoadError(f"{count} of {regions} regions are open after {OPEN_S_MAX:g} s; {side.tail()}")
        time.sleep(ASK_EVERY_S)
        try:
            count = asyncio.run(_online(side.region_servers, names))
        except HBaseError:  # it has not yet registered
            continue


def measure_cold_start(
    program: Path, directory: Path, *, tables: int, regions: int, samples: Samples, tick: Callable[[str], None]
) -> None:
    """A cluster of four servers makes tables, ends in order, and is started again: until every region is open.

    A row in each region is read afterwards.
    """
    names = [f"cold{number}" for number in range(tables)]
    flags = ("--data-dir", str(directory / "data"), "--regionservers", str(COLD_SERVERS))
    side = HBeaconSide(directory / "first", *flags)
    try:
        side.wait_ready()
        for name in names:
            tick(f"{regions} regions made")
            create_table(side, name, _splits(regions))
            load.job(program, "load", side.masters[0], _words(name, regions))
    finally:
        tick("the end of all servers")
        side.stop()
    tick(f"{tables * regions} regions opened")
    began_s = time.perf_counter()
    side = HBeaconSide(directory / "second", *flags)
    try:
        side.wait_ready()
        ready_s = time.perf_counter() - began_s
        _until_open(side, set(names), tables * regions)
        figures = {"s": time.perf_counter() - began_s, "ready_s": ready_s, "regions": tables * regions}
        for name in names:
            tick(f"rows of {name} read")
            load.job(program, "verify", side.masters[0], _words(name, regions))
        samples.add(COLD_START, side.name, figures)
    finally:
        side.stop()
