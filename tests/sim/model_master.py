"""Masters in virtual time: what they are made of is real, what they speak to is not; see model_cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from google.protobuf.message import Message

from protos.hbase import Admin_pb2
from protos.hbeacon import ClusterV1_pb2
from registry.lookup.snapshot import Fact, FactState, RegionServer, ZnodeStat
from registry.master.active import ActiveWork
from registry.master.cluster_work import ClusterWork
from registry.master.epoch import Deposed, NotActing, Token
from registry.master.epoch_base import EpochBase
from registry.master.meta_place import MetaPlace, MetaStore
from registry.master.reign import Reign
from registry.master.status_service import SERVICE, StatusService
from registry.names import ServerName
from registry.rpc.services import ServiceTable
from registry.wire.epoch import MasterEpoch
from registry.wire.errors import (
    ServerNotRunningYetException,
)
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Check, Create, Get, Multi, Reply, Request, Result, SetData
from tests.sim.model_meta import ModelMeta
from tests.sim.model_region_server import Tasks

if TYPE_CHECKING:
    from tests.sim.model_cluster import World


M = TypeVar("M", bound=Message)


class ModelMemory:
    """The data directory of masters."""

    def __init__(self) -> None:
        self.store: MetaStore | None = None

    async def load(self) -> MetaStore | None:
        return self.store

    async def save(self, store: MetaStore) -> None:
        self.store = store


class ModelMaster:
    """A master from its election on."""

    def __init__(self, world: World, number: int, czxid: int) -> None:
        self.world = world
        self.epoch = czxid
        self.in_name = MasterEpoch(czxid, f"m,16000,{number}")
        self.alive = True
        self.reign: Reign | None = None
        self.tasks: Tasks = {}
        self.procedures: Tasks = {}
        self.view: frozenset[ServerName] = frozenset(world.rs)
        self.watchers: list[Callable[[object], None]] = []
        table = ServiceTable()
        StatusService(lambda: cast("Any", self), cast("Any", world.loop), lambda: 16010).add_to(table)
        self.methods = table.methods(SERVICE)
        world.spawn(self._run(), self.tasks)

    async def _run(self) -> None:
        """As Cluster does."""
        base = EpochBase(ZNodePaths(), self.ask, cast("Token", self))
        try:
            while True:
                try:
                    self.in_name = MasterEpoch(await base.read() + self.epoch, self.in_name.master)
                    await self._reign()
                except Deposed as error:
                    self.world.note(f"{self.in_name}: {error}")
                    await base.raise_to(error.known)
        except NotActing as error:
            self.world.note(f"{self.in_name}: {error}")

    async def _reign(self) -> None:
        token, memory = cast("Token", self), self.world.memory
        reign = self.reign = Reign(
            token,
            self.world.loop,
            cast("Any", self),
            self.ask,
            MetaPlace(ZNodePaths(), self.ask, token, "master:16000", lambda count: b"0" * count, memory),
            "/hbase/draining",
            ActiveWork,
            [self._begin],
            lambda: None,
            lambda where: ModelMeta(self, where),
            cast("Any", self),
        )
        try:
            await reign.run()
        finally:
            self.reign = None
            for task in tuple(self.procedures):
                task.cancel()
            await reign.close()

    async def _begin(self, work: ClusterWork) -> None:
        self.world.spawn(self.world.work_off(work), self.procedures)

    def kill(self) -> None:
        """At whatever it is doing."""
        self.alive = False
        for task in (*self.tasks, *self.procedures):
            task.cancel()

    def acting(self) -> Reign:
        if not self.alive or self.reign is None:
            raise ServerNotRunningYetException("Server is not running yet")
        return self.reign

    # --- its token ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Its lease: it may hold on when there is another already."""
        if not self.alive:
            raise NotActing(f"this master may not act as 0x{self.epoch:x}")

    # --- its ZooKeeper ------------------------------------------------------------------------------------------

    async def ask(self, request: Request) -> Reply:
        await asyncio.sleep(self.world.chance.uniform(0.2, 3) / 1000)
        if self.world.rough and self.world.chance.random() < 0.02:
            return Reply(Result.LOST)
        if not self.alive or self.world.master is not self:
            return Reply(Result.LOST)  # its session is over
        nodes = self.world.nodes
        match request:
            case Get(path):
                stat = ZnodeStat(self.epoch, 0, 0, 0, self.world.elections, 0, 0, 0, 0, 0, 0)
                return Reply(Result.OK, nodes[path], stat) if path in nodes else Reply(Result.NO_NODE)
            case Multi((Check(_, version), write)):
                assert not isinstance(write, Check)
                return await self.ask(write) if version == self.world.elections else Reply(Result.BAD_VERSION)
            case SetData(path, data):
                if path not in nodes:
                    return Reply(Result.NO_NODE)
                nodes[path] = data
            case Create(path, data):
                if path in nodes:
                    return Reply(Result.NODE_EXISTS)
                nodes[path] = data
            case _:
                pass
        return Reply(Result.OK)

    @property
    def snapshot(self) -> object:
        servers = tuple(RegionServer(name) for name in sorted(self.view))
        return SimpleNamespace(region_servers=Fact(FactState.KNOWN, "/hbase/rs", servers))

    async def fresh(self, *, timeout_ms: float) -> object:
        del timeout_ms
        await asyncio.sleep(0.002)
        self.see()
        return self.snapshot

    def subscribe(self, callback: Callable[[object], None]) -> Callable[[], None]:
        self.watchers.append(callback)
        return lambda: self.watchers.remove(callback)

    def see(self) -> None:
        """What /hbase/rs holds reaches it."""
        self.view = frozenset(self.world.rs)
        if self.alive:
            for watcher in self.watchers:
                watcher(self.snapshot)

    # --- its calls to servers -----------------------------------------------------------------------------------

    async def call(self, server: ServerName, method: str, request: Message, response_type: type[M]) -> M:
        to = await self.world.reach(server)
        times = 2 if self.world.rough and self.world.chance.random() < 0.03 else 1
        if method == "ExecuteProcedures":
            assert isinstance(request, ClusterV1_pb2.Orders)
            orders = ClusterV1_pb2.Orders.FromString(request.SerializeToString())
            for _ in range(times):
                await self.world.within(5000, to.execute(orders))
            await self.world.hop()
            return response_type()
        await self.world.within(5000, to.awake())
        online = Admin_pb2.GetOnlineRegionResponse(
            region_info=[order.info.message() for order, _ in to.orders if order.region in to.serving]
        )
        await self.world.hop()
        return cast("M", online)

    def drop(self, server: ServerName) -> None:
        """There is no connection to end."""

    async def close(self) -> None:
        """As above."""
