"""Procedures under many clients at once: nonces, conflicts, what is answered when, and what stops with the reign."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
from google.protobuf.message import Message

from protos.hbase import MasterProcedure_pb2
from registry.clock import SystemClock
from registry.master.procedures import classes, making
from registry.master.procedures import runner as runner_module
from registry.master.procedures.procedure import Nonce
from registry.master.procedures.runner import Ack, ProcedureRunner
from registry.names import ServerName
from registry.wire.errors import (
    HBaseIOException,
    PleaseHoldException,
    TableExistsException,
    TableNotEnabledException,
    TableNotFoundException,
)
from registry.wire.region_info import RegionInfo
from tests.support.table_calls import family, schema
from tests.support.table_cluster import ModelOutside, ModelWork, World, acting, enabled


@asynccontextmanager
async def running(world: World) -> AsyncGenerator[tuple[ProcedureRunner, ModelWork]]:
    clock = SystemClock()
    work = ModelWork(world, acting(clock))
    runner = ProcedureRunner(classes.CLASSES, work, ModelOutside(), clock)
    runner.start()
    try:
        async with asyncio.timeout(60):
            yield runner, work
    finally:
        await runner.stop()


def create(table: str) -> Sequence[Message]:
    return [making.create_table(schema(table, family()), [RegionInfo(table, region_id=5)], "me")]


async def made(runner: ProcedureRunner, table: str) -> None:
    await runner.submit(classes.CREATE_TABLE, lambda: create(table), nonce=None, owner="me", ack=Ack.ENDED)


async def test_one_nonce_from_many_clients_is_one_procedure():
    world = World()
    async with running(world) as (runner, work):
        work.pause = 3
        calls = [
            runner.submit(classes.CREATE_TABLE, lambda: create("t"), nonce=Nonce(1, 2), owner="me") for _ in range(50)
        ]
        assert len(set(await asyncio.gather(*calls))) == 1
        assert len(world.catalogue.procedures) == 1


async def test_a_nonce_that_failed_is_told_so_and_kept_for_the_next_master():
    world = World()
    async with running(world) as (runner, _):
        await made(runner, "t")
        again = Nonce(1, 2)
        with pytest.raises(TableExistsException):
            await runner.submit(classes.CREATE_TABLE, lambda: create("t"), nonce=again, owner="me")
        stored = len(world.catalogue.procedures)
        known = await runner.submit(classes.CREATE_TABLE, lambda: create("t"), nonce=again, owner="me")
        assert len(world.catalogue.procedures) == stored + 1, "whoever polls for it may ask the next master"
    async with running(world) as (runner, _):
        procedure = await runner.ended(known)
        assert procedure.failure is not None
        assert procedure.failure.java_class == TableExistsException.java_class


async def test_of_many_that_make_one_table_one_does():
    async with running(World()) as (runner, _):
        calls = [runner.submit(classes.CREATE_TABLE, lambda: create("t"), nonce=None, owner="me") for _ in range(20)]
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert sorted(type(each).__name__ for each in told) == ["TableExistsException"] * 19 + ["int"]


async def test_conflicts_wait_for_each_other():
    """Whatever comes first: each sees what the one before has left."""
    world = World()
    async with running(world) as (runner, work):
        await made(runner, "t")
        work.hold = asyncio.Event()
        disabling = asyncio.ensure_future(
            runner.submit(classes.DISABLE_TABLE, lambda: [making.disable_table("t", "me")], nonce=None, owner="me")
        )
        again = asyncio.ensure_future(
            runner.submit(classes.DISABLE_TABLE, lambda: [making.disable_table("t", "me")], nonce=None, owner="me")
        )
        deleting = asyncio.ensure_future(
            runner.submit(classes.DELETE_TABLE, lambda: [making.delete_table("t", "me")], nonce=None, owner="me")
        )
        await asyncio.wait([disabling])
        with pytest.raises(TableNotEnabledException):  # as HBase: a flush waits for nobody
            await runner.submit(classes.FLUSH_TABLE, lambda: [making.flush_table("t", [])], nonce=None, owner="me")
        await asyncio.sleep(0.01)
        assert [each.done() for each in (again, deleting)] == [False] * 2
        work.hold.set()
        with pytest.raises(TableNotEnabledException):
            await again
        await runner.ended(await deleting)
        assert not world.catalogue.tables
        with pytest.raises(TableNotFoundException):
            await runner.submit(classes.FLUSH_TABLE, lambda: [making.flush_table("t", [])], nonce=None, owner="me")


async def test_what_waits_for_its_turn_is_kept_where_its_client_polls():
    world = World()
    async with running(world) as (runner, work):
        await made(runner, "t")
        await runner.submit(
            classes.DISABLE_TABLE, lambda: [making.disable_table("t", "me")], nonce=None, owner="me", ack=Ack.ENDED
        )
        work.hold = asyncio.Event()
        enabling = await runner.submit(
            classes.ENABLE_TABLE, lambda: [making.enable_table("t", "me")], nonce=None, owner="me", ack=Ack.STORED
        )
        waiting = await runner.submit(
            classes.ENABLE_TABLE, lambda: [making.enable_table("t", "me")], nonce=None, owner="me", ack=Ack.STORED
        )
        assert {enabling, waiting} <= world.catalogue.procedures.keys()
    async with running(world) as (runner, _):
        assert (await runner.ended(enabling)).failure is None
        failure = (await runner.ended(waiting)).failure
        assert failure is not None
        assert failure.message == "tableName=t, state=ENABLED"
        assert enabled(world, "t")


async def test_a_move_that_cannot_be_tells_who_waits():
    world = World()
    async with running(world) as (runner, _):
        await made(runner, "t")
        (row,) = world.catalogue.regions_of("t")
        to = ServerName("nowhere", 1, 1)
        kind = MasterProcedure_pb2.RegionTransitionType.MOVE
        with pytest.raises(HBaseIOException, match="nowhere,1,1 is not live"):
            await runner.submit(
                classes.TRANSIT_REGION, lambda: making.transit_region(row.info, kind, to), nonce=None, owner="me",
                ack=Ack.ENDED,
            )  # fmt: skip


async def test_a_thousand_tables():
    world = World()
    async with running(world) as (runner, _):
        await asyncio.gather(*(made(runner, f"t{number}") for number in range(1000)))
        assert len(world.catalogue.tables) == 1000
        assert {row.state for row in world.catalogue.tables.values()} == {"ENABLED"}
        assert world.znodes == dict.fromkeys(world.catalogue.tables, "ENABLED")


async def test_no_more_than_a_master_can_keep(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner_module, "WAITING_MAX", 2)
    async with running(World()) as (runner, work):
        work.hold = asyncio.Event()
        for table in ("a", "b"):
            await runner.submit(classes.CREATE_TABLE, lambda table=table: create(table), nonce=None, owner="me")
        with pytest.raises(PleaseHoldException, match="2 procedures are under way"):
            await runner.submit(classes.CREATE_TABLE, lambda: create("c"), nonce=None, owner="me")
        work.hold.set()


async def test_records_go_when_nobody_asks_for_them_any_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner_module, "CLEANER_INTERVAL_MS", 5.0)
    monkeypatch.setattr("registry.master.procedures.machine.RESULT_KEPT_MS", 0)
    world = World()
    async with running(world) as (runner, _):
        for table in ("a", "b", "c"):
            await made(runner, table)
        while len(world.catalogue.procedures) > 1:
            await asyncio.sleep(0.01)
        assert list(world.catalogue.procedures) == [3], "so that its number is not given again"
