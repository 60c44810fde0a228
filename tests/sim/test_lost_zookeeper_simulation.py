"""ZooKeeper is lost, and what comes after it counts to the very numbers that were there before: two such cases."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from registry.master.cluster_work import ClusterWork
from registry.wire.region_info import META_ENCODED_NAME
from tests.sim.model_cluster import World
from tests.sim.model_region_server import ModelStore
from tests.support.virtual_loop import VirtualLoop


async def nothing(work: ClusterWork) -> None:
    """There are no procedures."""
    del work


def play(story: Callable[[World], Awaitable[None]]) -> None:
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    world = World(loop, random.Random(1), nothing)
    world.rough = False
    try:
        world.start_server(0, 0)
        loop.run_until_complete(story(world))
        assert not world.broken, world.broken
    finally:
        tasks = list(asyncio.all_tasks(loop))
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()
        asyncio.set_event_loop(None)


async def take_over(world: World) -> int:
    """Another master, until it is initialised; its epoch."""
    world.elect()
    for _ in range(600):
        await asyncio.sleep(0.1)
        if world.master is not None and world.master.reign is not None and world.master.reign.is_initialized:
            return world.master.in_name.number
    raise AssertionError("it does not get ready")


def meta_store(world: World) -> ModelStore:
    (server,) = [server for server in world.servers if server.alive]
    return server.serving[META_ENCODED_NAME]


def lose(world: World) -> None:
    world.lose_zookeeper()
    world.memory = None
    world.start_server(0, 0)


def test_the_mark_of_an_opening_never_sinks():
    async def story(world: World) -> None:
        for _ in range(5):
            await take_over(world)
        world.servers[-1].kill()
        await asyncio.sleep(4)
        world.start_server(0, 0)
        assert await take_over(world) == 6
        before = meta_store(world).meta
        assert before is not None
        assert before[0] == 6
        lose(world)
        assert await take_over(world) > 6
        after = meta_store(world).meta
        assert after is not None
        assert after > before, "or a copy that was left behind could pass for the newer one"

    play(story)


def test_the_same_number_is_not_the_same_master():
    async def story(world: World) -> None:
        await take_over(world)
        assert await take_over(world) == 2
        assert meta_store(world).meta == (1, 2), "it was left open"
        assert meta_store(world).epoch.number == 2
        lose(world)
        world.elect()  # and dies at once
        assert await take_over(world) > 2, "2 is of the master before the loss"

    play(story)
