"""States of tables from hbase:meta: what the values say, and who reads them when."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import pytest

from protos.hbase import HBase_pb2
from registry.client.channels import Channels
from registry.client.rows import Row
from registry.client.scanner import Scanner
from registry.client.settings import ClientSettings
from registry.client.table_states import (
    BACK_OFF_MAX_MS,
    TableStatesFollower,
    decode_table_states,
    read_table_states,
    until_next_ms,
)
from registry.clock import Clock, SystemClock
from registry.facade.tables import TableStates
from registry.names import Address
from registry.wire.errors import IOException, NoSuchColumnFamilyException
from tests.support.clock import ManualClock
from tests.support.region_server import ScriptedRegionServer, cell, region_server
from tests.support.rpc import eventually
from tests.unit.test_scanner import Places

META = {"hbase:meta": "ENABLED"}
HERE, THERE = Address("rs1", 16020), Address("rs2", 16020)


def row(name: str | bytes, value: bytes) -> Row:
    one = cell(name, value)
    return Row(one.row, (one,))


def test_values_as_hbase_writes_them() -> None:
    states, unreadable = decode_table_states(
        [
            row("hbase:namespace", bytes.fromhex("0800")),
            row("t1", bytes.fromhex("0801")),
            row("ns:t2", bytes.fromhex("0802")),
            row("ns:t3", bytes.fromhex("0803")),
            row("gone", b""),
            row("later", bytes.fromhex("0809")),
            row("nothing", bytes.fromhex("1001")),
            row("cut", b"\x08"),
            row(b"\xff", bytes.fromhex("0800")),
            Row(b"t1,,1.x.", (cell("t1,,1.x.", b"", family=b"info"),)),
        ]
    )
    assert states == META | {
        "hbase:namespace": "ENABLED",
        "t1": "DISABLED",
        "ns:t2": "DISABLING",
        "ns:t3": "ENABLING",
    }
    assert unreadable == ("later", "nothing", "cut", "\\xff")


async def test_read_from_a_server() -> None:
    async with region_server(ScriptedRegionServer([[cell("t1", bytes.fromhex("0801"))]])) as server:
        settings = ClientSettings(pause_ms=1)
        channels = Channels(settings)
        scanner = Scanner(Places(server.address), channels, settings, SystemClock(), random.Random(1))
        assert await read_table_states(scanner) == META | {"t1": "DISABLED"}
        (scan,) = server.openings
        assert [(column.family, list(column.qualifier)) for column in scan.column] == [(b"table", [b"state"])]
        server.fail(NoSuchColumnFamilyException("Column family table does not exist in region hbase:meta,,1"))
        assert await read_table_states(scanner) == {}, "HBase 1.x keeps them in ZooKeeper"
        await channels.close()


class Meta:
    """A reading that answers, fails or hangs as it is told."""

    def __init__(self) -> None:
        self.states: Mapping[str, str] = {"t1": "ENABLED"}
        self.error: Exception | None = None
        self.hangs = False
        self.readings = 0
        self.place: Address | None = HERE
        self.interval_ms = 5.0

    async def read(self) -> Mapping[str, str]:
        self.readings += 1
        if self.hangs:
            await asyncio.sleep(60)
        if self.error is not None:
            raise self.error
        return dict(self.states)


@asynccontextmanager
async def following(
    meta: Meta, clock: Clock | None = None, *, wanted: bool = True
) -> AsyncGenerator[TableStatesFollower]:
    follower = TableStatesFollower(
        meta.read, clock or SystemClock(), lambda: meta.interval_ms, random.Random(1), lambda: meta.place
    )
    follower.start()
    follower.set_wanted(wanted)
    try:
        yield follower
    finally:
        async with asyncio.timeout(5):
            await follower.stop()


def test_it_is_what_the_facade_asks_for() -> None:
    def takes(states: TableStates) -> None:
        assert states.states is None

    takes(TableStatesFollower(Meta().read, SystemClock(), lambda: 1.0, random.Random(1), lambda: None))


async def test_nothing_is_read_before_somebody_wants_it_nor_after() -> None:
    meta = Meta()
    async with following(meta, wanted=False) as follower:
        await asyncio.sleep(0.03)
        assert (meta.readings, follower.states, follower.age_ms()) == (0, None, float("inf"))
        follower.set_wanted(True)
        await eventually(lambda: meta.readings > 3)
        follower.set_wanted(False)
        await asyncio.sleep(0)
        readings = meta.readings
        await asyncio.sleep(0.03)
        assert meta.readings == readings
        assert follower.states == {"t1": "ENABLED"}, "what was read stays"
        follower.set_wanted(True)
        await eventually(lambda: meta.readings > readings)


async def test_a_change_makes_another_mapping_and_is_told_once() -> None:
    meta, told = Meta(), list[Mapping[str, str] | None]()
    async with following(meta) as follower:
        unsubscribe = follower.subscribe(lambda: told.append(follower.states))
        follower.subscribe(_raises)
        await eventually(lambda: told)
        first = follower.states
        await eventually(lambda: meta.readings > 4)
        assert follower.states is first, "the same states are the same mapping"
        meta.states = {"t1": "DISABLED"}
        await eventually(lambda: follower.states == {"t1": "DISABLED"})
        assert first == {"t1": "ENABLED"}
        assert told == [{"t1": "ENABLED"}, {"t1": "DISABLED"}]
        unsubscribe()
        unsubscribe()
        meta.states = {}
        await eventually(lambda: follower.states == {})
        assert len(told) == 2


def _raises() -> None:
    raise RuntimeError("a subscriber's own fault")


async def test_the_age_counts_from_the_question() -> None:
    meta, clock = Meta(), ManualClock()

    async def slow() -> Mapping[str, str]:
        clock.advance(400)
        return {"t1": "ENABLED"}

    meta.interval_ms = 60_000.0
    meta.read = slow
    async with following(meta, clock) as follower:
        await eventually(lambda: follower.states is not None)
        assert follower.age_ms() == 400
        clock.advance(1000)
        assert follower.age_ms() == 1400


async def test_failures_are_counted_told_and_lead_to_longer_pauses() -> None:
    meta = Meta()
    async with following(meta) as follower:
        await eventually(lambda: follower.states is not None)
        meta.error = IOException("hbase:meta,,1 was not read")
        await eventually(lambda: follower.view().failures >= 3)
        view = follower.view()
        assert view.problem == "IOException: hbase:meta,,1 was not read"
        assert (view.wanted, view.tables, follower.states) == (True, 1, {"t1": "ENABLED"})
        meta.error = None
        await eventually(lambda: not follower.view().problem)


def test_pauses_grow_to_a_limit_by_chance() -> None:
    chance = random.Random(7)
    waits = [[until_next_ms(2000.0, failures, chance) for _ in range(200)] for failures in range(12)]
    assert set(waits[0]) == {2000.0}
    assert 2000 <= min(waits[1]) < 2400
    assert 5500 < max(waits[1]) <= 6000
    assert max(waits[11]) <= 2000 + BACK_OFF_MAX_MS
    assert min(waits[11]) < 6000, "full jitter: some come back soon"


async def test_a_reading_that_hangs_is_left_when_meta_moves() -> None:
    meta = Meta()
    meta.hangs = True
    async with following(meta) as follower:
        await eventually(lambda: meta.readings == 1)
        follower.place_changed()
        await asyncio.sleep(0.01)
        assert meta.readings == 1, "nothing has moved"
        meta.place, meta.hangs = THERE, False
        follower.place_changed()
        await eventually(lambda: follower.states is not None)
        assert follower.view().failures == 0


async def test_a_long_pause_after_failures_ends_when_meta_moves() -> None:
    meta = Meta()
    meta.interval_ms, meta.error = 30_000.0, IOException("away")
    async with following(meta) as follower:
        await eventually(lambda: follower.view().failures == 1)
        meta.place, meta.error = THERE, None
        follower.place_changed()
        await eventually(lambda: follower.states is not None)


async def test_the_interval_is_as_it_applies_now() -> None:
    meta = Meta()
    async with following(meta) as follower:
        await eventually(lambda: meta.readings > 2)
        meta.interval_ms = 60_000.0
        await asyncio.sleep(0.05)
        readings = meta.readings
        await asyncio.sleep(0.05)
        assert meta.readings == readings
        assert not follower.view().problem


@pytest.mark.parametrize("hangs", [False, True])
async def test_it_ends_at_once(hangs: bool) -> None:
    meta = Meta()
    meta.hangs = hangs
    async with following(meta) as follower:
        await eventually(lambda: meta.readings)
        if hangs:
            meta.place = THERE
            follower.place_changed()  # in the same turn as the end
    await follower.stop()


def test_every_state_of_hbase_has_a_name() -> None:
    assert HBase_pb2.TableState.State.keys() == ["ENABLED", "DISABLED", "DISABLING", "ENABLING"]
