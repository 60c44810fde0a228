"""Each procedure, by a master that is killed after each of its effects: the next one ends what it began."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from google.protobuf.message import Message

from protos.hbase import HBase_pb2, MasterProcedure_pb2
from registry.master.catalogue import Changes, RegionState, TableState
from registry.master.procedures import classes, making
from registry.master.procedures.procedure import Nonce, Procedure
from registry.master.procedures.runner import Ack, ProcedureRunner
from registry.master.procedures.steps import Class
from registry.wire.errors import DoNotRetryIOException, HBaseError, PleaseHoldException
from registry.wire.gone_families import gone_families
from registry.wire.region_info import RegionInfo
from tests.support.clock import ManualClock
from tests.support.table_calls import family, schema
from tests.support.table_cluster import SERVERS, ModelOutside, ModelWork, World, acting, state_of

SPLIT = [RegionInfo("t", b"", b"m", 5), RegionInfo("t", b"m", b"", 5)]
Operation = tuple[Class, Sequence[Message]]


def operations() -> dict[str, list[Operation]]:
    """Each by name: what comes before it, then itself."""
    create = (classes.CREATE_TABLE, [making.create_table(schema("t", family()), SPLIT, "me")])
    disable = (classes.DISABLE_TABLE, [making.disable_table("t", "me")])
    made = HBase_pb2.NamespaceDescriptor(name=b"ns")
    changed = HBase_pb2.NamespaceDescriptor(name=b"ns", configuration=[HBase_pb2.NameStringPair(name="k", value="v")])
    create_namespace = (
        classes.CREATE_NAMESPACE,
        [MasterProcedure_pb2.CreateNamespaceStateData(namespace_descriptor=made)],
    )
    more = schema("t", family(), family("g"))
    modify = making.modify_table(schema("t", family()), more, "me", should_check_descriptor=True, reopen_regions=True)
    kinds = MasterProcedure_pb2.RegionTransitionType
    less = making.modify_table(more, schema("t", family()), "me", should_check_descriptor=False, reopen_regions=True)
    again = making.modify_table(schema("t", family()), more, "me", should_check_descriptor=False, reopen_regions=True)
    create_two = (classes.CREATE_TABLE, [making.create_table(more, SPLIT, "me")])
    enable = (classes.ENABLE_TABLE, [making.enable_table("t", "me")])
    return {
        "create": [create],
        "disable": [create, disable],
        "enable": [create, disable, enable],
        "delete": [create, disable, (classes.DELETE_TABLE, [making.delete_table("t", "me")])],
        "truncate": [
            create,
            disable,
            (classes.TRUNCATE_TABLE, [making.truncate_table("t", "me", preserve_splits=False)]),
        ],
        "truncate, splits kept": [
            create,
            disable,
            (classes.TRUNCATE_TABLE, [making.truncate_table("t", "me", preserve_splits=True)]),
        ],
        "modify": [create, (classes.MODIFY_TABLE, [modify])],
        "modify while disabled": [create, disable, (classes.MODIFY_TABLE, [modify])],
        "delete a family": [create_two, (classes.MODIFY_TABLE, [less])],
        "delete a family while disabled, enable": [create_two, disable, (classes.MODIFY_TABLE, [less]), enable],
        "make a deleted family again while disabled": [
            *(create_two, disable, (classes.MODIFY_TABLE, [less]), (classes.MODIFY_TABLE, [again])),
        ],
        "make a deleted family again while disabled, enable": [
            *(create_two, disable, (classes.MODIFY_TABLE, [less]), (classes.MODIFY_TABLE, [again]), enable),
        ],
        "create namespace": [create_namespace],
        "modify namespace": [
            create_namespace,
            (classes.MODIFY_NAMESPACE, [MasterProcedure_pb2.ModifyNamespaceStateData(namespace_descriptor=changed)]),
        ],
        "delete namespace": [
            create_namespace,
            (classes.DELETE_NAMESPACE, [MasterProcedure_pb2.DeleteNamespaceStateData(namespace_name="ns")]),
        ],
        "flush": [create, (classes.FLUSH_TABLE, [making.flush_table("t", [b"f"])])],
        "move": [create, (classes.TRANSIT_REGION, making.transit_region(SPLIT[0], kinds.MOVE, SERVERS[1]))],
        "unassign": [create, (classes.TRANSIT_REGION, making.transit_region(SPLIT[0], kinds.UNASSIGN))],
    }


async def reign(
    world: World, doing: Sequence[Operation], effects: int = 1_000_000, clock: ManualClock | None = None
) -> tuple[list[int], ModelWork]:
    """A master that begins, does these and ends; what it told clients of."""
    clock = clock or ManualClock()
    work = ModelWork(world, acting(clock), effects)
    outside = ModelOutside()
    await outside.mirror_all(work)
    runner = ProcedureRunner(classes.CLASSES, work, outside, clock)
    runner.start()
    told: list[int] = []
    try:
        for kind, parts in doing:
            told_apart = b"".join([kind.class_name.encode(), *(part.SerializeToString() for part in parts)])
            nonce = Nonce(1, 1 + zlib.crc32(told_apart))
            submitted = asyncio.ensure_future(
                runner.submit(kind, lambda parts=parts: parts, nonce=nonce, owner="me", ack=Ack.CHECKED)
            )
            await until(lambda submitted=submitted: submitted.done() or work.effects <= 0)
            if not submitted.done():
                submitted.cancel()
                break
            told.append(submitted.result())
            proc_id = submitted.result()
            await until(lambda proc_id=proc_id: is_finished(runner, proc_id) or work.effects <= 0)
        await until(lambda: not runner.machine.running_count or work.effects <= 0)
        for _ in range(20):
            await asyncio.sleep(0)
    finally:
        await runner.stop()
    return told, work


def is_finished(runner: ProcedureRunner, proc_id: int) -> bool:
    found = runner.machine.find(proc_id)
    return found is not None and found.is_finished


async def until(true: object) -> None:
    assert callable(true)
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0)


@pytest.mark.parametrize("name", operations())
async def test_killed_after_each_effect(name: str):
    *before, itself = operations()[name]
    start = World()
    await reign(start, before)
    whole = start.copy()
    _, work = await reign(whole, [itself])
    effects_count = 1_000_000 - work.effects
    assert effects_count >= 2
    expected = state_of(whole)
    for effects in range(effects_count):
        world = start.copy()
        told, _ = await reign(world, [itself], effects)
        began = len(world.catalogue.procedures) > len(start.catalogue.procedures)
        assert began or not told, "a client was told of what is lost"
        for more in (1, 2, 3):  # the next ones do not live long either
            await reign(world, [], more)
        await reign(world, [] if began else [itself])
        if not world.flushed and began:
            await reign(world, [itself])
        assert state_of(world) == expected, f"{name}, killed after {effects} effects"
        assert not unfinished(world)


def unfinished(world: World) -> list[bytes]:
    return [value for value in world.catalogue.procedures.values() if not Procedure.from_value(value).is_finished]


@pytest.mark.parametrize(("name", "starts"), [("truncate", [b""]), ("truncate, splits kept", [b"", b"m"])])
async def test_truncated_regions_are_others(name: str, starts: list[bytes]):
    """Under the old names the old rows could come back."""
    *before, itself = operations()[name]
    world = World()
    await reign(world, before)
    old, life = set(world.catalogue.regions), world.catalogue.tables["t"].life
    await reign(world, [itself])
    rows = world.catalogue.regions_of("t")
    assert [row.info.start_key for row in rows] == starts
    assert not old & set(world.catalogue.regions)
    assert {row.life for row in rows} == {world.catalogue.tables["t"].life} != {life}
    assert all(row.state is RegionState.OPEN for row in rows)


async def test_a_deleted_table_leaves_nothing():
    world = World()
    await reign(world, operations()["delete"])
    assert (world.rows, world.cells, world.catalogue.tables, world.catalogue.regions, world.znodes) == (
        *(set(), set()),
        *({}, {}, {}),
    )


async def test_a_client_that_asks_again_after_the_kill():
    """The nonce is known to the next master: the same procedure, and no second one."""
    create = operations()["create"][0]
    for effects in range(12):
        world = World()
        await reign(world, [create], effects)
        await reign(world, [create])
        assert [len(world.catalogue.procedures), world.znodes] == [1, {"t": "ENABLED"}], effects


async def test_what_is_stopped_says_so_to_who_waits():
    clock = ManualClock()
    work = ModelWork(World(), acting(clock))
    work.hold = asyncio.Event()
    runner = ProcedureRunner(classes.CLASSES, work, ModelOutside(), clock)
    runner.start()
    kind, parts = operations()["create"][0]
    waiting = asyncio.ensure_future(runner.submit(kind, lambda: parts, nonce=None, owner="me", ack=Ack.ENDED))
    await asyncio.sleep(0.01)
    await runner.stop()
    with pytest.raises(PleaseHoldException):
        await waiting
    with pytest.raises(HBaseError):
        await runner.submit(kind, lambda: parts, nonce=None, owner="me")


async def test_a_deleted_family_does_not_come_back():
    """One of its name that is made while the table is disabled has nothing of it."""
    create, disable, delete, again, enable = operations()["make a deleted family again while disabled, enable"]
    world = World()
    await reign(world, [create, disable, delete])
    assert gone_families(world.catalogue.tables["t"].schema) == {b"g"}
    await reign(world, [again])
    assert gone_families(world.catalogue.tables["t"].schema) == {b"g"}, "what was in it is still there"
    await reign(world, [enable])
    assert not gone_families(world.catalogue.tables["t"].schema)
    assert set(world.cleared.values()) == {frozenset([b"g"])}
    assert {name for _, name in world.cells} == {b"f", b"g"}
    assert all(not gone_families(opened_with) for opened_with in world.schemas.values()), "they serve all families"


async def test_a_deleted_family_is_not_made_again_while_a_region_may_have_it():
    """In a table that is enabled: one of its regions could not be opened when it was deleted."""
    create, disable, delete, again, enable = operations()["make a deleted family again while disabled, enable"]
    world, clock = World(), ManualClock()
    await reign(world, [create])
    stuck = world.catalogue.regions_of("t")[0]
    world.catalogue.apply(Changes(regions=[replace(stuck, state=RegionState.OPENING)]))
    await reign(world, [delete])
    runner = ProcedureRunner(classes.CLASSES, ModelWork(world, acting(clock)), ModelOutside(), clock)
    runner.start()
    for kind, parts in (again, disable, again, enable):
        submitted = runner.submit(kind, lambda parts=parts: parts, nonce=None, owner="me", ack=Ack.ENDED)
        if parts is again[1] and world.catalogue.tables["t"].state is TableState.ENABLED:
            with pytest.raises(DoNotRetryIOException, match="'g' was deleted from table t"):
                await submitted
        else:
            await submitted
    await runner.stop()
    assert world.cleared[stuck.info.encoded_name] == {b"g"}
