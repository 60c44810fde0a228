"""A cluster in virtual time: region servers, stores, ZooKeeper and the network are models, what masters do is real.

Real are Reign with all that it is made of, ActiveWork, StatusService, the messages between masters and servers, and at
the servers registry's counterpart that is pure: read_orders, OrderMachine and Reports. A server dies, stands still and
comes back; calls are late, lost on the way there or on the way back, and done twice. A master that was deposed acts on
for a while. ZooKeeper is lost: who comes then counts its transactions from the start and remembers nothing, or little.

A store holds a number for each region, of the writes that were acknowledged: whoever begins to serve a region must
find there as many as there were.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from protos.hbase import Admin_pb2, RegionServerStatus_pb2
from protos.hbeacon import ClusterV1_pb2
from regionserver.hosting.order_machine import Close, Effect, Open, OpenOrder, OrderMachine
from regionserver.hosting.read_orders import Procedure, read_orders
from regionserver.hosting.reports import Report, Reports
from registry.client.rows import Row
from registry.lookup.snapshot import Fact, FactState, RegionServer, ZnodeStat
from registry.master.active import ActiveWork
from registry.master.catalogue import Catalogue
from registry.master.cluster_work import ClusterWork
from registry.master.epoch import Deposed, NotActing, Token, raise_deposed
from registry.master.epoch_base import EpochBase
from registry.master.meta_place import MetaPlace, MetaStore
from registry.master.meta_rows import Written, take_row
from registry.master.reign import Reign
from registry.master.status_service import SERVICE, StatusService
from registry.names import ServerName
from registry.rpc.services import Call, ServiceTable
from registry.wire.cellblock import Cell, KeyType
from registry.wire.epoch import NO_EPOCH, MasterEpoch, deposed
from registry.wire.errors import (
    ConnectionClosedException,
    HBaseError,
    NotServingRegionException,
    ServerNotRunningYetException,
    YouAreDeadException,
)
from registry.wire.region_info import META_ENCODED_NAME
from registry.wire.znode import encode_server_name
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Check, Create, Get, Multi, Reply, Request, Result, SetData
from tests.support.virtual_loop import VirtualLoop

SESSION_MS = 3000.0
LEASE_MS = SESSION_MS * 2 / 3
REPORT_MS = 500.0

M = TypeVar("M", bound=Message)
Tasks = dict[asyncio.Task[None], None]
"""Not a set: its order would differ from run to run."""
Pb = RegionServerStatus_pb2


class ModelStore:
    """A directory with rows."""

    def __init__(self, store_id: str, machine: int) -> None:
        self.store_id = store_id
        self.machine = machine
        self.owner: ModelServer | None = None
        self.last_owner = ""
        self.rows: dict[str, int] = {}
        self.cells: dict[tuple[bytes, bytes, bytes], tuple[int, bytes | None]] = {}
        """Of hbase:meta, where it is here."""
        self.epoch = NO_EPOCH
        """The highest that hbase:meta has heard of."""
        self.left: dict[str, str] = {}
        """Region to the hand-over by which it left."""
        self.in_cluster = False
        """Its server knew of an hbase:meta."""
        self.meta: tuple[int, int] | None = None
        """By which order hbase:meta was opened here last."""


class ModelServer:
    """One life of one region server."""

    def __init__(self, world: World, number: int, machine: int) -> None:
        self.world = world
        self.number = number
        self.machine = machine
        self.name = ServerName("rs", 16020 + number, int(world.loop.wall_ms()))
        self.alive = True
        self.paused: asyncio.Event = asyncio.Event()
        self.paused.set()
        self.has_lease = True
        self.epoch = NO_EPOCH
        self.dead: frozenset[str] = frozenset()
        self.reports = Reports()
        self.reports.when_acknowledged = lambda report: self._answered(report, taken=True)
        self.reports.when_refused = lambda report: self._answered(report, taken=False)
        self.orders = OrderMachine(self.reports)
        self.serving: dict[str, ModelStore] = {}
        self.tasks: Tasks = {}
        free = [store for store in world.stores.values() if store.machine == machine and store.owner is None]
        self.home = free[0] if free else world.new_store(machine)
        self._take(self.home)
        self.spawn(self._life())

    @property
    def serves(self) -> bool:
        """Whether clients get answers."""
        return self.alive and self.has_lease and self.paused.is_set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.world.spawn(work, self.tasks)

    def kill(self) -> None:
        """SIGKILL; ZooKeeper hears of it when the session has run out."""
        if not self.alive:
            return
        self.alive = False
        self.serving.clear()
        for store in self.world.stores.values():
            if store.owner is self:
                store.owner = None
        for task in tuple(self.tasks):
            task.cancel()
        self.world.later(self.world.chance.uniform(10, SESSION_MS), lambda: self.world.rs_gone(self.name))

    def pause(self, for_ms: float) -> None:
        """SIGSTOP for so long; its lease and its session run on."""
        if not self.serves:
            return
        self.paused.clear()
        if for_ms > LEASE_MS:
            self.world.later(LEASE_MS, self._lease_over)
        if for_ms > SESSION_MS:
            self.world.later(SESSION_MS, lambda: self.world.rs_gone(self.name))
        self.world.later(for_ms, self._resume)

    def _lease_over(self) -> None:
        self.has_lease = False

    def _resume(self) -> None:
        if self.alive:
            self.paused.set()
            if not self.has_lease:
                self.kill()

    async def step(self, most_ms: float = 20.0) -> None:
        """Some work of this process."""
        await asyncio.sleep(self.world.chance.uniform(0, most_ms) / 1000)
        await self.paused.wait()

    # --- orders -------------------------------------------------------------------------------------------------

    async def awake(self) -> None:
        """Until this process can do something. Raises ConnectionClosedException where it has ended."""
        await self.paused.wait()
        if not self.alive:
            raise ConnectionClosedException(f"{self.name} has ended")

    def hear(self, epoch: MasterEpoch) -> None:
        """Raises DoNotRetryIOException."""
        if not epoch.may_follow(self.epoch):
            raise deposed(epoch, self.epoch)
        self.epoch = epoch

    async def execute(self, orders: ClusterV1_pb2.Orders) -> None:
        await self.awake()
        self.hear(MasterEpoch(orders.master_epoch, orders.master))
        read = read_orders(orders, self.name)
        self.dead = read.dead or self.dead
        for close in read.closes:
            self._do(self.orders.order_close(close))
        for order in read.opens:
            self._do(self.orders.order_open(order))
        for procedure in read.procedures:
            self.spawn(self._drop(procedure))

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Open):
                self.spawn(self._open(effect.order))
            elif isinstance(effect, Close):
                self.serving.pop(effect.opened_as.region, None)
                self.spawn(self._close(effect))
            else:
                self._serve(effect.region)

    async def _open(self, order: OpenOrder) -> None:
        await self.step()
        store = self.world.stores.get(order.store_id)
        if store is None or not self._reach(store) or (self.world.rough and self.world.chance.random() < 0.03):
            self._do(self.orders.open_failed(order.region))
            return
        if order.hand_over:
            await self.step()
            handed_over = self.world.hand_overs.get(order.hand_over)
            if handed_over is None:
                self._do(self.orders.open_failed(order.region))
                return
            store.rows[order.region], cells, epoch = handed_over
            if order.region == META_ENCODED_NAME:
                store.cells, store.epoch = dict(cells), epoch
        store.left.pop(order.region, None)
        if order.region == META_ENCODED_NAME:
            store.in_cluster = True
            store.meta = (order.master_active_ms, order.open_seq_num)
        self._do(self.orders.opened(order.region))

    def _reach(self, store: ModelStore) -> bool:
        if store.owner is self:
            return True
        if store.machine != self.machine:
            return False
        if store.owner is not None:
            if str(store.owner.name) not in self.dead:
                return False
            self.world.check(store.owner.name not in self.world.rs, f"{store.owner.name} is killed alive")
            store.owner.kill()
        self._take(store)
        return True

    def _take(self, store: ModelStore) -> None:
        store.owner, store.last_owner = self, str(self.name)

    async def _close(self, close: Close) -> None:
        await self.step()
        store = self.world.stores[close.opened_as.store_id]
        region, order = close.opened_as.region, close.order
        if order is not None and order.hand_over and self.world.chance.random() > 0.1:
            self.world.hand_overs[order.hand_over] = (store.rows.get(region, 0), dict(store.cells), store.epoch)
            store.left[region] = order.hand_over
        await self.step()
        self._do(self.orders.closed(region))

    async def _drop(self, procedure: Procedure) -> None:
        await self.step()
        drop = procedure.drop
        assert drop is not None, procedure.refusal
        store, region = self.world.stores[drop.store_id], drop.info.encoded_name
        result = Pb.RemoteProcedureResult(proc_id=procedure.proc_id, status=Pb.RemoteProcedureResult.SUCCESS)
        if store.owner is not self or self.orders.holds(region, drop.store_id):
            result.status = Pb.RemoteProcedureResult.ERROR
        elif not drop.hand_over or store.left.get(region) == drop.hand_over:
            store.rows.pop(region, None)
            store.left.pop(region, None)
            if region == META_ENCODED_NAME:
                store.meta = None
        self.reports.tell_result(result)

    def _serve(self, region: str) -> None:
        order = next(order for order, _ in self.orders if order.region == region)
        store = self.world.stores[order.store_id]
        self.world.check(store.owner is self, f"{self.name} serves {region} of store {store.store_id} of another")
        for other in self.world.servers:
            both = other is not self and other.serves and region in other.serving
            self.world.check(not both, f"{self.name} and {other.name} serve {region}")
        there, written = store.rows.get(region, 0), self.world.written.get(region, 0)
        self.world.check(there == written, f"{region}: {written} writes, {there} of them in store {store.store_id}")
        self.serving[region] = store

    # --- what it tells ------------------------------------------------------------------------------------------

    def _answered(self, report: Report, *, taken: bool) -> None:
        if report.region:
            self._do(self.orders.acknowledged(report) if taken else self.orders.refused(report))

    async def _life(self) -> None:
        startup = Pb.RegionServerStartupRequest(
            port=self.name.port,
            server_start_code=self.name.start_code,
            server_current_time=int(self.world.loop.wall_ms()),
            use_this_hostname_instead=self.name.host,
        )
        while not await self._tell("RegionServerStartup", startup):
            await self.step(200)
        self.world.rs_come(self.name)
        self.spawn(self._tell_reports())
        while True:
            report = ClusterV1_pb2.ServerReport(server=encode_server_name(self.name))
            for store in self.world.stores.values():
                if store.machine == self.machine:
                    reach = "OPEN" if store.owner is self else "OWNED" if store.owner else "FREE"
                    row = report.store.add(store_id=store.store_id, reach=reach, home=store is self.home)
                    if store.last_owner:
                        row.owner = store.last_owner
                    row.in_cluster = store.in_cluster
                    if store.meta is not None:
                        row.meta_epoch, row.meta_open_seq_num = store.meta
            answer = await self._tell("RegionServerReport", report)
            if isinstance(answer, ClusterV1_pb2.ReportTaken) and answer.founded:
                for store in self.world.stores.values():
                    store.in_cluster = store.in_cluster or store.owner is self
            await self.step(REPORT_MS)

    async def _tell_reports(self) -> None:
        while True:
            await self.step(30)
            pending = self.reports.pending(100)
            transitions = [(each.number, each.transition) for each in pending if each.transition is not None]
            results = [(each.number, each.result) for each in pending if each.result is not None]
            if transitions:
                request = Pb.ReportRegionStateTransitionRequest(
                    server=encode_server_name(self.name), transition=[message for _, message in transitions]
                )
                taken = await self._tell("ReportRegionStateTransition", request)
                if taken is not None:
                    assert isinstance(taken, ClusterV1_pb2.TransitionsTaken)
                    for index, (number, _) in enumerate(transitions):
                        if index in taken.refused:
                            self.reports.refused(number)
                        elif index not in taken.too_early:
                            self.reports.acknowledged(number)
            if results:
                done = Pb.ReportProcedureDoneRequest(result=[result for _, result in results])
                if await self._tell("ReportProcedureDone", done):
                    for number, _ in results:
                        self.reports.acknowledged(number)

    async def _tell(self, method: str, request: Message) -> Message | None:
        """None where no answer came."""
        try:
            master = self.world.master
            if master is None:
                return None
            await self.world.hop()
            await self.paused.wait()
            answer = await self.world.by_master(master, method, request)
            await self.world.hop()
            await self.paused.wait()
            return answer
        except YouAreDeadException:
            self.kill()
            raise asyncio.CancelledError from None
        except HBaseError:
            return None


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


class ModelMeta:
    """hbase:meta to a master: cells in the store of whoever serves it."""

    def __init__(self, master: ModelMaster, where: Callable[[], ServerName | None]) -> None:
        self.master = master
        self.world = master.world
        self.where = where
        self.in_name = master.in_name
        self.lock = asyncio.Lock()
        self.newest_ms = 0

    async def load(self, token: Token) -> Catalogue:
        while True:
            token.check()
            try:
                store = await self._store()
                await self.world.hop()
            except HBaseError:
                await asyncio.sleep(0.02)
                continue
            catalogue = read(store)
            self.newest_ms = max(self.newest_ms, catalogue.newest_ms)
            return catalogue

    async def write(self, make: Callable[[int], Sequence[Written]], token: Token) -> None:
        async with self.lock:
            self.newest_ms = max(int(self.world.loop.wall_ms()), self.newest_ms + 1)
            rows = make(self.newest_ms)
            while True:
                token.check()
                try:
                    store = await self._store()
                    self._apply(store, rows)
                    await self.world.hop()
                except HBaseError:
                    await asyncio.sleep(0.02)
                else:
                    return

    async def close(self) -> None:
        """There is no connection to end."""

    async def _store(self) -> ModelStore:
        name = self.where()
        if name is None:
            raise NotServingRegionException("hbase:meta is not open")
        server = await self.world.reach(name)
        await self.world.within(5000, server.awake())
        store = server.serving.get(META_ENCODED_NAME)
        if store is None or not server.serves:
            raise NotServingRegionException(META_ENCODED_NAME)
        try:
            server.hear(self.in_name)
            if not self.in_name.may_follow(store.epoch):
                raise deposed(self.in_name, store.epoch)
        except HBaseError as error:
            raise_deposed(error)
        store.epoch = self.in_name
        return store

    def _apply(self, store: ModelStore, rows: Sequence[Written]) -> None:
        for row in rows:
            for cell in row.deletes:
                columns = [
                    column
                    for column in store.cells
                    if column[:2] == (cell.row, cell.family)
                    and (cell.key_type == KeyType.DELETE_FAMILY or column[2] == cell.qualifier)
                ]
                for column in columns:
                    if store.cells[column][0] <= cell.timestamp_ms:
                        store.cells[column] = (cell.timestamp_ms, None)
            for cell in row.puts:
                column = (cell.row, cell.family, cell.qualifier)
                if store.cells.get(column, (0, None))[0] < cell.timestamp_ms or store.cells[column][1] == cell.value:
                    store.cells[column] = (cell.timestamp_ms, cell.value)
        store.rows[META_ENCODED_NAME] = store.rows.get(META_ENCODED_NAME, 0) + 1
        self.world.written[META_ENCODED_NAME] = self.world.written.get(META_ENCODED_NAME, 0) + 1


def read(store: ModelStore) -> Catalogue:
    """What hbase:meta says."""
    rows: dict[bytes, list[Cell]] = {}
    for (row, family, qualifier), (timestamp_ms, value) in store.cells.items():
        if value is not None:
            rows.setdefault(row, []).append(Cell(row, family, qualifier, timestamp_ms, KeyType.PUT, value))
    catalogue = Catalogue()
    for key, cells in rows.items():
        take_row(catalogue, Row(key, tuple(cells)))
    assert not catalogue.problems, catalogue.problems
    return catalogue


class World:
    """All of it."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, work_off: Callable[[ClusterWork], Any]) -> None:
        self.loop = loop
        self.chance = chance
        self.work_off = work_off
        self.rough = True
        """Whether calls get lost."""
        self.stores: dict[str, ModelStore] = {}
        self.servers: list[ModelServer] = []
        self.master: ModelMaster | None = None
        self.masters = 0
        self.elections = 0
        """Of this ZooKeeper: version of the mark, and czxid of /hbase/master."""
        self.memory: ModelMemory | None = ModelMemory()
        self.rs: dict[ServerName, None] = {}
        self.nodes: dict[str, bytes] = {"/hbase/hbeacon": b""}
        self.hand_overs: dict[str, tuple[int, Any, MasterEpoch]] = {}
        self.written: dict[str, int] = {}
        """Region to acknowledged writes."""
        self.broken: list[str] = []
        self.trace: list[str] = []
        self.tasks: Tasks = {}

    def note(self, text: str) -> None:
        self.trace.append(f"{self.loop.monotonic_ms() - 1_000_000:9.1f} {text}")

    def check(self, holds: bool, text: str) -> None:
        if not holds:
            self.note(f"BROKEN: {text}")
            self.broken.append(text)

    def spawn(self, work: Coroutine[Any, Any, None], tasks: Tasks) -> None:
        task = self.loop.create_task(work)
        tasks[task] = None

        def ended(task: asyncio.Task[None]) -> None:
            tasks.pop(task, None)
            if not task.cancelled() and (error := task.exception()) is not None:
                self.check(isinstance(error, NotActing), f"a task failed: {error!r}")

        task.add_done_callback(ended)

    def later(self, delay_ms: float, work: Callable[[], object]) -> None:
        self.loop.call_later(delay_ms / 1000, work)

    def new_store(self, machine: int) -> ModelStore:
        store = ModelStore(f"store-{len(self.stores) + 1}", machine)
        self.stores[store.store_id] = store
        return store

    def start_server(self, number: int, machine: int) -> None:
        """Unless it runs."""
        if not any(server.alive and server.number == number for server in self.servers):
            self.servers.append(ModelServer(self, number, machine))
            self.note(f"{self.servers[-1].name} starts with {self.servers[-1].home.store_id}")

    def rs_come(self, name: ServerName) -> None:
        self.rs[name] = None
        self._rs_changed()

    def rs_gone(self, name: ServerName) -> None:
        self.note(f"{name} is gone from ZooKeeper")
        self.rs.pop(name, None)
        self._rs_changed()

    def _rs_changed(self) -> None:
        master = self.master
        if master is not None:
            self.later(self.chance.uniform(1, 50), master.see)

    def elect(self) -> None:
        """Another master; the one before has lost its session, and may not know."""
        if self.master is not None:
            self.depose(self.master)
        self.masters += 1
        self.elections += 1
        self.nodes["/hbase/master"] = b""
        self.note(f"master {self.masters}, epoch {self.elections}")
        self.master = ModelMaster(self, self.masters, self.elections)

    def depose(self, master: ModelMaster) -> None:
        """It goes on for as long as its lease does."""
        if self.rough:
            self.later(self.chance.choice((0, 0, 100, LEASE_MS)), master.kill)
        else:
            master.kill()

    def lose_zookeeper(self) -> None:
        """All that it knew, and the sessions; maybe the data directory of the masters, too."""
        if self.chance.random() < 0.5:
            self.memory = self.chance.choice((None, ModelMemory()))
        if self.master is not None:
            self.depose(self.master)
            self.master = None
        self.elections = 0
        self.nodes = {"/hbase/hbeacon": b""}
        self.rs.clear()
        for server in self.servers:
            if server.alive:
                server.has_lease = False
                if server.paused.is_set():
                    server.kill()  # one that stands still ends when it goes on

    async def hop(self) -> None:
        """A message on its way."""
        await asyncio.sleep((0.2 + self.chance.expovariate(1.0)) / 1000)
        if self.rough and self.chance.random() < 0.02:
            raise ConnectionClosedException("lost")

    async def reach(self, name: ServerName) -> ModelServer:
        """The server, once a message has come there."""
        await self.hop()
        for server in self.servers:
            if server.alive and server.name.address == name.address:
                return server
        raise ConnectionClosedException(f"{name} does not listen")

    async def within(self, timeout_ms: float, work: Coroutine[Any, Any, object]) -> None:
        try:
            await asyncio.wait_for(work, timeout_ms / 1000)
        except TimeoutError:
            raise ConnectionClosedException("no answer") from None

    async def by_master(self, master: ModelMaster, method: str, request: Message) -> Message:
        """What the master answers; it goes on with it when nobody waits any more."""
        done: asyncio.Future[Message] = self.loop.create_future()
        known = master.methods[method]
        parsed = known.request_type.FromString(request.SerializeToString())
        call = cast("Call", SimpleNamespace(request=parsed, peer_host="rs"))

        async def handle() -> None:
            try:
                answer = known.handler(call)
                answer = answer if isinstance(answer, Message) else await cast("Any", answer)
                if not done.done():
                    done.set_result(answer)
            except HBaseError as error:
                if not done.done():
                    done.set_exception(error)
            finally:
                if not done.done():
                    done.set_exception(ConnectionClosedException("the master is gone"))
                if not done.cancelled():
                    done.exception()

        self.spawn(handle(), master.tasks)
        return await done
