"""Filters that take more than a turn, behind a real socket: large ones, large rows, and conditions."""

from __future__ import annotations

import asyncio

import pytest

from protos.hbase import Client_pb2, Filter_pb2
from regionserver.client_service import writes
from registry.rpc.client import RpcChannel
from registry.wire.cellblock import decode_cells
from registry.wire.errors import DoNotRetryIOException, RegionServerStoppedException
from tests.support import filters as f
from tests.support.region_door import (
    TABLE,
    RegionDoor,
    fill,
    get,
    mutate,
    open_scan,
    put,
    region_door,
    scan,
    spec,
    values,
)
from tests.support.rpc import eventually

COLUMNS = 3000
MANY = f.listed(*[f.envelope(Filter_pb2.PageFilter(page_size=5))] * 500)


async def wide_row(channel: RpcChannel) -> None:
    request = put(b"wide")
    column = request.mutation.column_value[0]
    for number in range(COLUMNS):
        column.qualifier_value.add(qualifier=b"%06d" % number, value=b"v")
    await mutate(channel, request)


def odd_columns() -> Filter_pb2.Filter:
    return f.envelope(Filter_pb2.QualifierFilter(compare_filter=f.compared(f.EQUAL, f.regex("[13579]$"))))


async def filtered(channel: RpcChannel, asked: Filter_pb2.Filter, row: bytes = b"wide", timeout_ms: float = 1e8) -> int:
    """How many cells a Get gives."""
    request = get(row)
    request.get.filter.CopyFrom(asked)
    answer = await channel.call_bytes("Get", request.SerializeToString(), timeout_ms=timeout_ms)
    return sum(1 for _ in decode_cells(answer.cells))


def turns_count(door: RegionDoor) -> int:
    return len(door.door._turns)  # pyright: ignore[reportPrivateUsage]


async def test_a_get_of_a_wide_row_has_turns_in_it() -> None:
    async with region_door() as door, await door.connect() as channel, await door.connect() as other:
        await wide_row(channel)
        await mutate(channel, put(b"other"))
        door.slow(0.9)
        long = asyncio.create_task(filtered(channel, odd_columns()))
        await eventually(lambda: turns_count(door) == 1)
        assert await values(other, b"other", timeout_ms=1e8) == [b"v"]
        assert turns_count(door) == 1
        assert await long == COLUMNS // 2


async def test_gets_that_nobody_waits_for_are_dropped() -> None:
    async with region_door() as door, await door.connect() as channel:
        await wide_row(channel)
        door.slow(0.9)
        other = await door.connect()
        long = asyncio.create_task(filtered(other, odd_columns()))
        await eventually(lambda: turns_count(door) == 1)
        other.close()
        await asyncio.gather(long, return_exceptions=True)
        door.clock.step_ms = 2.1  # each look at the clock ends a turn: there are many left
        await eventually(lambda: turns_count(door) == 0)


async def test_a_get_is_not_answered_when_the_lease_is_over() -> None:
    async with region_door() as door, await door.connect() as channel:
        await wide_row(channel)
        door.slow(0.9)
        long = asyncio.create_task(filtered(channel, odd_columns()))
        await eventually(lambda: turns_count(door) == 1)
        door.lease.end()
        with pytest.raises(RegionServerStoppedException):
            await long


async def test_gets_of_a_multi_have_turns_in_them() -> None:
    async with region_door() as door, await door.connect() as channel, await door.connect() as other:
        await wide_row(channel)
        await mutate(channel, put(b"other"))
        request = Client_pb2.MultiRequest()
        actions = request.regionAction.add(region=spec()).action
        actions.add(index=0, mutation=put(b"other", b"changed").mutation)
        actions.add(index=1, get=Client_pb2.Get(row=b"wide", filter=odd_columns()))
        actions.add(index=2, get=Client_pb2.Get(row=b"other", filter=Filter_pb2.Filter(name="NoFilter")))
        actions.add(index=3, get=Client_pb2.Get(row=b"other"))
        door.slow(0.9)
        long = asyncio.create_task(channel.call_bytes("Multi", request.SerializeToString(), timeout_ms=1e8))
        await eventually(lambda: turns_count(door) == 1)
        assert await values(other, b"other", timeout_ms=1e8) == [b"changed"]
        assert turns_count(door) == 1
        answer = await long
        results = Client_pb2.MultiResponse.FromString(answer.message).regionActionResult[0].resultOrException
        assert [each.result.associated_cell_count for each in results] == [0, COLUMNS // 2, 0, 1]
        assert b"ClassNotFoundException: NoFilter" in results[2].exception.value


async def test_a_region_that_goes_in_the_middle_of_a_get_of_a_multi() -> None:
    async with region_door() as door, await door.connect() as channel:
        await wide_row(channel)
        request = Client_pb2.MultiRequest()
        actions = request.regionAction.add(region=spec()).action
        actions.add(index=0, get=Client_pb2.Get(row=b"wide", filter=odd_columns()))
        actions.add(index=1, mutation=put(b"other").mutation)
        door.slow(0.9)
        long = asyncio.create_task(channel.call_bytes("Multi", request.SerializeToString(), timeout_ms=1e8))
        await eventually(lambda: turns_count(door) == 1)
        region = door.regions.pop(TABLE)
        results = Client_pb2.MultiResponse.FromString((await long).message).regionActionResult[0].resultOrException
        assert results[0].result.associated_cell_count == COLUMNS // 2
        assert results[1].exception.name.endswith("NotServingRegionException")
        assert not region.get(b"other", {}, int(door.clock.wall_ms())).cells_count


async def test_filters_are_parsed_turn_by_turn() -> None:
    async with region_door() as door, await door.connect() as channel, await door.connect() as other:
        rows = await fill(channel, 9)
        door.slow(0.9)
        request = open_scan()
        request.scan.filter.CopyFrom(MANY)
        long = asyncio.create_task(scan(channel, request, timeout_ms=1e8))
        await eventually(lambda: turns_count(door) == 1)
        assert await values(other, rows[0], timeout_ms=1e8) == [b"v"]
        assert len(door.door.scanners) == 0, "it is not opened yet"
        _, found = await long
        assert found == rows[:5]
        assert await filtered(channel, MANY, rows[0]) == 1


async def test_what_is_wrong_deep_in_a_large_filter_is_told() -> None:
    async with region_door() as door, await door.connect() as channel:
        await fill(channel, 3)
        wrong = f.listed(*[MANY] * 3, Filter_pb2.Filter(name="NoFilter"))
        request = open_scan()
        request.scan.filter.CopyFrom(wrong)
        with pytest.raises(DoNotRetryIOException, match="ClassNotFoundException: NoFilter"):
            await scan(channel, request)
        with pytest.raises(DoNotRetryIOException, match="ClassNotFoundException: NoFilter"):
            await filtered(channel, wrong)
        assert len(door.door.scanners) == 0


async def test_a_condition_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = 0
    parse = writes.parse_filter

    def counting(*arguments: object) -> object:
        nonlocal parsed
        parsed += 1
        return parse(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(writes, "parse_filter", counting)
    async with region_door() as door, await door.connect() as channel:
        await mutate(channel, put(b"r"))
        request = put(b"r", b"changed")
        request.condition.CopyFrom(Client_pb2.Condition(row=b"r", filter=odd_columns()))
        assert not (await mutate(channel, request)).processed
        assert parsed == 1
        request.condition.filter.CopyFrom(f.envelope(Filter_pb2.PageFilter(page_size=1)))
        assert (await mutate(channel, request)).processed
        assert parsed == 2


async def test_a_condition_that_costs_too_much_is_refused() -> None:
    async with region_door() as door, await door.connect() as channel:
        await wide_row(channel)
        request = put(b"wide", b"changed", qualifier=b"new")
        request.condition.CopyFrom(Client_pb2.Condition(row=b"wide", filter=f.listed(*[odd_columns()] * 400, one=True)))
        with pytest.raises(DoNotRetryIOException, match="costs too much"):
            await mutate(channel, request)
        assert await filtered(channel, f.envelope(Filter_pb2.ColumnPrefixFilter(prefix=b"new"))) == 0
