"""Region servers and their stores in virtual time: each is a life of one; see model_cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from protos.hbase import RegionServerStatus_pb2
from protos.hbeacon import ClusterV1_pb2
from regionserver.hosting.order_machine import Close, Effect, Open, OpenOrder, OrderMachine
from regionserver.hosting.read_orders import Procedure, read_orders
from regionserver.hosting.reports import Report, Reports
from registry.names import ServerName
from registry.wire.epoch import NO_EPOCH, MasterEpoch, deposed
from registry.wire.errors import (
    ConnectionClosedException,
    HBaseError,
    YouAreDeadException,
)
from registry.wire.region_info import META_ENCODED_NAME
from registry.wire.znode import encode_server_name

if TYPE_CHECKING:
    from tests.sim.model_cluster import World

SESSION_MS = 3000.0
LEASE_MS = SESSION_MS * 2 / 3
REPORT_MS = 500.0

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
