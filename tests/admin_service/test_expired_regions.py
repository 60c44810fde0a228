"""Regions in which everything has expired: a flush writes nothing of them, and a compaction does not read them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from protos.hbase import Admin_pb2, RegionServerStatus_pb2
from regionserver.admin_service.maintenance import Maintenance
from regionserver.hosting.ranges import range_of
from registry.wire.region_info import RegionInfo
from tests.hosting.desk import LIFE, NOW_MS, Desk, infos, open_desk, schema, specifier
from tests.support.clock import ManualClock

OPENED = RegionServerStatus_pb2.RegionStateTransition.OPENED
TTL_S = 60
WAIT_S = 20
ROWS = [b"%06d row" % number for number in range(100)]
VALUE_BYTES = 10_000
OLD, USED = infos(3)[1:]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk]:
    """Its regions have a time to live."""
    async with open_desk(tmp_path) as made:
        await open_regions(made, OLD, USED)
        yield made


async def open_regions(desk: Desk, *regions: RegionInfo) -> None:
    table = schema()
    table.column_families[0].attributes.add(first=b"TTL", second=b"%d" % TTL_S)
    desk.orders.take(desk.open_message(regions, table=table))
    assert {each.transition_code for each in await desk.told(len(regions))} == {OPENED}


@pytest.fixture
async def maintenance(desk: Desk) -> Maintenance:
    """Both regions were compacted once, and written since; some of the rows of one have not expired."""
    clock = ManualClock(wall_ms=NOW_MS + 1000)
    made = Maintenance(desk.regions, clock)
    await compact(desk, made, OLD, USED)
    for row in ROWS:
        await desk.put(OLD, b"000001" + row, os.urandom(VALUE_BYTES))
    await desk.put(USED, b"000002 old", b"old")
    clock.advance(1000 * TTL_S + 100_000)
    region = desk.region(USED)
    region.newest.written_ms = int(clock.wall_ms())  # of a row that was just written
    return made


async def compact(desk: Desk, maintenance: Maintenance, *regions: RegionInfo) -> None:
    for info in regions:
        maintenance.compact(desk.regions.hosted_of(specifier(info)), major=True)
    async with asyncio.timeout(WAIT_S):
        while any(maintenance.compaction_state(info.encoded_name) != Admin_pb2.GetRegionInfoResponse.NONE
                  for info in regions):  # fmt: skip
            await asyncio.sleep(0.005)


def kept(desk: Desk, info: RegionInfo) -> int:
    """Records of a region."""
    where = range_of(info, LIFE)
    return len(list(desk.region(info).store.scan(where.lower, where.upper)))


def in_files_bytes(desk: Desk, info: RegionInfo) -> int:
    where = range_of(info, LIFE)
    return desk.region(info).store.size_bytes(where.lower, where.upper)


async def flush(desk: Desk, maintenance: Maintenance) -> None:
    hosted = desk.regions.hosted_of(specifier(OLD))
    await maintenance.flush(hosted.store_id, hosted.region.store)


async def test_a_flush_writes_nothing_of_them(desk: Desk, maintenance: Maintenance):
    await flush(desk, maintenance)
    assert (kept(desk, OLD), kept(desk, USED)) == (0, 1)
    assert in_files_bytes(desk, OLD) < len(ROWS) * VALUE_BYTES / 10


async def test_nothing_goes_where_compactions_are_switched_off(desk: Desk, maintenance: Maintenance):
    maintenance.compactions_enabled = False
    await flush(desk, maintenance)
    assert kept(desk, OLD) == len(ROWS)
    assert in_files_bytes(desk, OLD) > len(ROWS) * VALUE_BYTES / 2


async def test_a_compaction_does_not_read_them(desk: Desk, maintenance: Maintenance, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        await compact(desk, maintenance, OLD, USED)
    assert (kept(desk, OLD), kept(desk, USED)) == (0, 0)
    told = [record.getMessage() for record in caplog.records if "compacted" in record.getMessage()]
    assert [text.partition(": ")[2] for text in told] == ["every cell had expired", "1 records read, 1 cells dropped"]


async def test_a_region_that_was_opened_again_is_read_first(desk: Desk, maintenance: Maintenance):
    desk.orders.take(desk.close_message(OLD))
    await desk.told()
    await open_regions(desk, OLD)
    await flush(desk, maintenance)
    assert kept(desk, OLD) == len(ROWS)
