"""The end of a cluster that a client asks for: who ends when, and who begins again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from registry.clock import SystemClock
from registry.master.epoch import Token
from registry.master.shutdown import Shutdown
from registry.zk.requests import Create
from tests.support.table_cluster import ModelZooKeeper, World, acting

RUNNING, MARK = "/hbase/running", "/hbase/hbeacon/shutdown"


@dataclass
class Master:
    zookeeper: ModelZooKeeper
    stood_by: bool = False
    servers_count: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.shutdown = Shutdown(
            "/hbase", self.zookeeper.ask, lambda: self.stood_by, lambda: self.servers_count, self.stopped.set
        )
        self._duty = self.shutdown.unless_begun(self._keep_up)
        self._token = acting(SystemClock()).token()

    async def _keep_up(self, token: Token) -> None:
        del token
        await self.zookeeper.ask(Create(RUNNING, b"up"))

    async def turn(self) -> None:
        await self._duty(self._token)


async def test_region_servers_end_first_then_every_master():
    zookeeper = ModelZooKeeper(World())
    first = Master(zookeeper, servers_count=2)
    await first.turn()
    assert RUNNING in zookeeper.nodes
    await first.shutdown.begin()
    await first.shutdown.begin()
    async with asyncio.timeout(30):
        while RUNNING in zookeeper.nodes:
            await asyncio.sleep(0.01)
        await first.turn()
        assert RUNNING not in zookeeper.nodes, "it stays away"
        assert not first.stopped.is_set()
        first.servers_count = 0
        await first.stopped.wait()
    follower = Master(zookeeper, stood_by=True)
    await follower.turn()
    assert follower.stopped.is_set()
    await follower.turn()
    assert RUNNING not in zookeeper.nodes
    fresh = Master(zookeeper)
    await fresh.turn()
    assert RUNNING in zookeeper.nodes
    assert MARK not in zookeeper.nodes
    assert not fresh.stopped.is_set()


async def test_who_follows_a_master_that_died_begins():
    zookeeper = ModelZooKeeper(World())
    follower = Master(zookeeper, stood_by=True)
    await follower.turn()
    assert RUNNING in zookeeper.nodes
    assert not follower.stopped.is_set()
