"""The master's orders done: regions opened, closed, handed over and dropped, beside the calls of clients.

`take` judges an order and returns; what it means is the machine's business (order_machine), and what is done is here.
Opening a region of a store that is open takes some microseconds, so these are done in slices of the loop, thousands one
after another. What waits for a disk (a store to open, rows to hand over) has a task of its own.

A region is closed when nobody finds it any more, its scanners are gone, and every write that it was given is done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path

from protos.hbase import ErrorHandling_pb2, RegionServerStatus_pb2
from protos.hbeacon import ClusterV1_pb2
from regionserver.client_service.scanners import Scanners
from regionserver.engine.store import Batch, Durability, Store, StoreError
from regionserver.hosting.committing import all_before, commit
from regionserver.hosting.gone_families import remove_families
from regionserver.hosting.hand_over import (
    HandOverError,
    remove_hand_over,
    sweep,
    take_hand_over,
    write_hand_over,
)
from regionserver.hosting.hosted import Hosted, HostedRegions
from regionserver.hosting.order_machine import Close, Effect, Open, OpenOrder, OrderMachine, Serve
from regionserver.hosting.ranges import order_of, prefix_of, range_of, where_of
from regionserver.hosting.read_orders import DropOrder, Procedure, ReadOrders, read_orders
from regionserver.hosting.reports import Report, Reports
from regionserver.hosting.reserved import drop_notes, forget, has_left
from regionserver.hosting.stores import Stores
from regionserver.region.region import Region
from regionserver.region.rules import USUAL, TableRules
from registry.clock import Clock
from registry.wire.epoch import NO_EPOCH, MasterEpoch, deposed
from registry.wire.errors import DoNotRetryIOException
from registry.wire.region_info import META_ENCODED_NAME

SLICE_MS = 2.0
"""The loop's turn for openings and closings, before calls have theirs."""
HAND_OVERS_AT_ONCE = 2
COMPACT_BYTES_MIN = 16 << 20
"""A range that held as much gives the space back at once."""

_log = logging.getLogger(__name__)


class Orders:
    """Of one server. Belongs to its loop."""

    def __init__(
        self,
        stores: Stores,
        hosted: HostedRegions,
        reports: Reports,
        scanners: Scanners,
        clock: Clock,
        rules: TableRules = USUAL,
    ) -> None:
        """`rules`: what this server says about all tables that do not say otherwise."""
        self._stores = stores
        self._hosted = hosted
        self._reports = reports
        self._scanners = scanners
        self._clock = clock
        self._rules = rules
        self._machine = OrderMachine(reports)
        self._epoch = NO_EPOCH
        self._dead: frozenset[str] = frozenset()
        self._ready: dict[str, Hosted] = {}
        """Opened, and not served yet."""
        self._queue: deque[Open | Close] = deque()
        self._running: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._hand_overs = asyncio.Semaphore(HAND_OVERS_AT_ONCE)
        self._procedures: set[int] = set()
        """Under way."""
        reports.when_acknowledged = self._acknowledged
        reports.when_refused = self._refused

    # --- the master's epoch -----------------------------------------------------------------------------------------

    @property
    def epoch(self) -> MasterEpoch:
        """The highest epoch of a master that this server has heard of."""
        return self._epoch

    def check_epoch(self, epoch: MasterEpoch) -> None:
        """A master of this epoch calls. Raises DoNotRetryIOException where a later one, or another, is known."""
        if not epoch.may_follow(self._epoch):
            raise deposed(epoch, self._epoch)
        self._epoch = epoch

    # --- taking orders ----------------------------------------------------------------------------------------------

    def take(self, message: ClusterV1_pb2.Orders) -> None:
        """Begin what is ordered. Raises DoNotRetryIOException, having begun nothing."""
        orders = read_orders(message, self._hosted.server, self._rules)
        self.check_epoch(MasterEpoch(message.master_epoch, message.master))
        self._begin(orders)

    def _begin(self, orders: ReadOrders) -> None:
        self._dead = orders.dead or self._dead
        for close in orders.closes:
            self._do(self._machine.order_close(close))
        for order in orders.opens:
            self._do(self._machine.order_open(order))
        for procedure in orders.procedures:
            if procedure.proc_id not in self._procedures:
                self._procedures.add(procedure.proc_id)
                self._spawn(self._procedure(procedure))

    def _acknowledged(self, report: Report) -> None:
        if report.region:
            self._do(self._machine.acknowledged(report))

    def _refused(self, report: Report) -> None:
        if report.region:
            _log.info("the master does not want %s here", report.region)
            self._do(self._machine.refused(report))

    # --- what is under way ------------------------------------------------------------------------------------------

    @property
    def regions_in_transition_count(self) -> int:
        """Regions that are neither served nor gone."""
        return len(self._machine) - len(self._hosted)

    async def close_all(self) -> None:
        """Close all regions, for the end of the server: when this is over, nothing writes any more."""
        self._do(self._machine.close_all())
        while self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Serve):
                self._serve(effect.region)
            else:
                if isinstance(effect, Open):
                    self._hosted.opening(effect.order.region)
                else:
                    self._hosted.withdraw(effect.opened_as.region)
                self._queue.append(effect)
        if self._queue and self._running is None:
            self._running = self._spawn(self._run())

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error  # a mistake of ours: the loop's handler tells of it

    async def _run(self) -> None:
        """Openings and closings in slices; whatever has to wait is left to a task."""
        try:
            await self._work_off()
        finally:
            self._running = None

    async def _work_off(self) -> None:
        waiting: dict[str, list[OpenOrder]] = {}
        closing: dict[int, tuple[Store | None, list[Close]]] = {}
        while self._queue:
            ends_s = time.perf_counter() + SLICE_MS / 1000
            while self._queue and time.perf_counter() < ends_s:
                match self._queue.popleft():
                    case Open(order):
                        self._begin_open(order, waiting)
                    case Close() as close:
                        store = self._begin_close(close)
                        closing.setdefault(id(store), (store, []))[1].append(close)
            for store, closes in closing.values():
                self._spawn(self._end_closes(store, closes))
            closing.clear()
            for store_id, orders in waiting.items():
                self._spawn(self._open_store(store_id, orders))
            waiting.clear()
            await asyncio.sleep(0)

    # --- opening ----------------------------------------------------------------------------------------------------

    def _begin_open(self, order: OpenOrder, waiting: dict[str, list[OpenOrder]]) -> None:
        store = self._stores.get(order.store_id)
        if store is None:
            waiting.setdefault(order.store_id, []).append(order)
        elif order.hand_over:
            self._spawn(self._open_handed_over(order, store))
        elif _gone(order) or order.region == META_ENCODED_NAME:
            self._spawn(self._open_without(order, _gone(order), store))
        else:
            self._open(order, store)

    async def _open_store(self, store_id: str, orders: list[OpenOrder]) -> None:
        try:
            await self._stores.open(store_id, self._dead)
        except StoreError as error:
            _log.error("%d regions cannot be opened: %s", len(orders), error)
            for order in orders:
                self._open_failed(order)
        else:
            self._queue.extend(Open(order) for order in orders)
            self._do([])

    async def _open_handed_over(self, order: OpenOrder, store: Store) -> None:
        directory = self._stores.hand_overs
        try:
            if directory is None:
                raise HandOverError(f"{order.hand_over}: this server has no data directory")
            async with self._hand_overs:
                began_s = time.monotonic()
                total = await take_hand_over(directory / order.hand_over, range_of(order.info, order.life), store)
            _log.info("%s was handed over: %d bytes in %.1f s", order.info, total, time.monotonic() - began_s)
        except (HandOverError, StoreError) as error:
            _log.error("%s cannot be opened: %s", order.info, error)
            self._open_failed(order)
        else:
            await self._open_without(order, _gone(order), store)

    async def _open_without(self, order: OpenOrder, families: frozenset[bytes], store: Store) -> None:
        """Once what is left of deleted families has been removed, and the store says so where it gets hbase:meta."""
        try:
            removed = await remove_families(families, range_of(order.info, order.life), store) if families else 0
            if order.region == META_ENCODED_NAME:
                await self._stores.mark_meta(order.store_id, (order.master_active_ms, order.open_seq_num))
        except StoreError as error:
            _log.error("%s cannot be opened: %s", order.info, error)
            self._open_failed(order)
            return
        if removed:
            _log.info("%s: %d records of deleted families are removed", order.info, removed)
        self._open(order, store)

    def _open(self, order: OpenOrder, store: Store) -> None:
        described = order.schema.described
        try:
            if described is None:
                raise DoNotRetryIOException(order.schema.refusal)
            if not order.hand_over and has_left(store, order.region):
                batch = Batch()
                forget(batch, order.region)
                store.commit(batch, Durability.PROCESS, lambda _error: None)
            info = order.info
            region = Region(
                where_of(info), described.families, store, prefix_of(order.life), order_of(info.table), described.rules
            )
        except (DoNotRetryIOException, StoreError) as error:
            _log.error("%s cannot be opened: %s", order.info, error)
            self._open_failed(order)
            return
        opened_ms = self._clock.wall_ms()
        self._ready[order.region] = Hosted(
            info, region, described, order.schema.message, order.store_id, order.open_seq_num, opened_ms
        )
        self._do(self._machine.opened(order.region))

    def _open_failed(self, order: OpenOrder) -> None:
        self._hosted.withdraw(order.region)
        self._do(self._machine.open_failed(order.region))

    def _serve(self, region: str) -> None:
        hosted = self._ready.pop(region)
        hosted.open_seq_num = self._machine.open_seq_num(region)
        self._hosted.serve(hosted)

    # --- closing ----------------------------------------------------------------------------------------------------

    def _begin_close(self, close: Close) -> Store | None:
        """Let nobody in; the store whose writes are to be waited for."""
        self._ready.pop(close.opened_as.region, None)
        self._scanners.close_region(str(close.opened_as.info), self._clock.monotonic_ms())
        return self._stores.get(close.opened_as.store_id)

    async def _end_closes(self, store: Store | None, closes: list[Close]) -> None:
        try:
            if store is not None:
                await all_before(store)
        except StoreError as error:
            _log.error("writes of %d regions that are closed may have failed: %s", len(closes), error)
        for close in closes:
            if close.order is not None and close.order.hand_over and store is not None:
                self._spawn(self._hand_over(close, close.order.hand_over, store))
            else:
                self._closed(close)

    async def _hand_over(self, close: Close, name: str, store: Store) -> None:
        """What fails is told by the file that is not there: whoever is to take it cannot, and the master goes back."""
        info, directory = close.opened_as.info, self._stores.hand_overs
        try:
            if directory is None:
                raise HandOverError(f"{name}: this server has no data directory")
            async with self._hand_overs:
                began_s = time.monotonic()
                total = await write_hand_over(directory / name, range_of(info, close.opened_as.life), store)
            _log.info("%s is handed over: %d bytes in %.1f s", info, total, time.monotonic() - began_s)
        except (HandOverError, StoreError) as error:
            _log.error("%s is closed and not handed over: %s", info, error)
        self._closed(close)

    def _closed(self, close: Close) -> None:
        opened_as, order = close.opened_as, close.order
        if order is not None and order.destination is not None:
            self._hosted.moved(opened_as.region, order.destination, opened_as.open_seq_num)
        self._do(self._machine.closed(opened_as.region))

    # --- procedures -------------------------------------------------------------------------------------------------

    async def _procedure(self, procedure: Procedure) -> None:
        refusal = procedure.refusal
        if procedure.drop is not None:
            try:
                refusal = await self._drop(procedure.drop)
            except (StoreError, HandOverError) as error:
                refusal = str(error)
        self._procedures.discard(procedure.proc_id)
        result = RegionServerStatus_pb2.RemoteProcedureResult
        message = result(
            proc_id=procedure.proc_id,
            status=result.ERROR if refusal else result.SUCCESS,
            initiating_master_active_time=procedure.master_active_ms,
        )
        if refusal:
            _log.warning("procedure %d was not done: %s", procedure.proc_id, refusal)
            error = ErrorHandling_pb2.GenericExceptionMessage(class_name="java.io.IOException", message=refusal)
            message.error.CopyFrom(
                ErrorHandling_pb2.ForeignExceptionMessage(source=str(self._hosted.server), generic_exception=error)
            )
        self._reports.tell_result(message)

    async def _drop(self, order: DropOrder) -> str:
        """Why it was refused; empty where the range holds nothing of the region any more."""
        region = order.info.encoded_name
        if self._machine.holds(region, order.store_id):
            return f"{order.info} is open in store {order.store_id} on {self._hosted.server}"
        store = self._stores.get(order.store_id)
        if store is None:
            return f"store {order.store_id} is not open on {self._hosted.server}"
        rows = range_of(order.info, order.life)
        if not order.hand_over or has_left(store, region, order.hand_over):
            size_bytes = store.size_bytes(rows.lower, rows.upper)
            batch = Batch()
            if next(store.scan(rows.lower, rows.upper), None) is not None:
                batch.clear(rows.lower, rows.upper)  # one that is empty would cost its readers as much
            drop_notes(batch, region)
            await commit(store, batch, Durability.PROCESS)
            if region == META_ENCODED_NAME:
                await self._stores.unmark_meta(order.store_id)
            if size_bytes >= COMPACT_BYTES_MIN:
                await asyncio.to_thread(store.compact, rows.lower, rows.upper)
        if order.hand_over and self._stores.hand_overs is not None:
            await asyncio.to_thread(remove_hand_over, self._stores.hand_overs / order.hand_over)
        return ""


def _gone(order: OpenOrder) -> frozenset[bytes]:
    """Families of which nothing may be left."""
    return order.schema.described.gone if order.schema.described is not None else frozenset()


async def sweep_hand_overs(directory: Path, wall_ms: Callable[[], float]) -> None:
    """Remove what nobody wants any more, at a start."""
    for name in await asyncio.to_thread(sweep, directory, wall_ms() / 1000):
        _log.warning("hand-over %s was asked for by nobody and is removed", name)
