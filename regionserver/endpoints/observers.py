"""Which regions have observers, and calls of clients on those.

A region is looked at when a client first asks for it: where no class of users is named it is plain from then on, and
nothing here is asked again. Of tables of the system there are no observers, whatever settings name: clients find all
regions by hbase:meta, and code of users that hangs there would be everybody's loss.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import NoReturn, TypeVar

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.multi_answer import Part
from regionserver.client_service.results import Answer, CellForm, get_answer, get_result
from regionserver.client_service.rows import DELTAS, RowCalls, as_hbase
from regionserver.client_service.scanners import Scanners
from regionserver.client_service.scans import Paging, ScanCalls
from regionserver.client_service.service_calls import RunService, run_service
from regionserver.client_service.watched import ChangeRow, Client, OwnCells, RowChanged, Watched
from regionserver.client_service.writes import MutationAsked, read_mutation
from regionserver.endpoints.classes import Classes, HostSettings
from regionserver.endpoints.threads import RUNNING_MAX, Threads
from regionserver.endpoints.watched_reads import WatchedReads
from regionserver.endpoints.watched_writes import WatchedWrites
from regionserver.endpoints.watching import Watching
from regionserver.engine.store import StoreError
from regionserver.gate import Gate
from regionserver.master_calls import client_view
from regionserver.region.conditions import Condition
from regionserver.region.region import Region
from regionserver.turns import ScanWork, Turns, scan_error
from registry import coprocessors
from registry.clock import Clock
from registry.coprocessors import OWN, PRIORITY_SYSTEM, Named
from registry.rpc.services import Call
from registry.wire.errors import (
    DoNotRetryIOException,
    HBaseError,
    NotServingRegionException,
    ProtocolError,
)

logger = logging.getLogger("regionserver.endpoints")

T = TypeVar("T")
SYSTEM = "hbase:"
Found = tuple[Region, HBase_pb2.TableSchema]
Find = Callable[[HBase_pb2.RegionSpecifier], Found]


class UsersCode:
    """What endpoints and observers share."""

    def __init__(self, settings: HostSettings) -> None:
        self.settings = settings
        self.classes = Classes(settings)
        self.threads = Threads()


class ObserverHost:
    """Those of one server. Belongs to its loop."""

    def __init__(
        self,
        find: Find,
        gate: Gate,
        clock: Clock,
        turns: Turns,
        users: UsersCode,
        scanners: Scanners,
        rows: RowCalls,
    ) -> None:
        """`find` gives a region with its table's schema, or raises NotServingRegionException and its kind."""
        self.gate = gate
        self.clock = clock
        self.turns = turns
        self.scanners = scanners
        self.rows = rows
        self.run: RunService = _no_services
        self.noting = asyncio.Semaphore(RUNNING_MAX)
        """Regions come and go by thousands: they do not wait for threads where calls of clients do."""
        self._find = find
        self._users = users
        self._watched: dict[Region, RegionCalls] = {}
        """Those that were looked at and are not plain, until they are closed."""
        self._tasks: set[asyncio.Task[None]] = set()

    def seen_by_clients(self, spec: HBase_pb2.RegionSpecifier, region: Region) -> Region:
        """A region that is not known to be plain, as clients see it. Raises Watched where it has observers."""
        calls = self._watched.get(region)
        if calls is None:
            view = client_view(region)
            of_system = region.where.table.startswith(SYSTEM)
            named = () if of_system else self._named_of(self._find(spec)[1])
            if not named:
                region.is_plain = view is region
                return view
            calls = self._watched[region] = self._calls_of(spec, region, named)
        raise Watched(calls.region, calls)

    def calls_of(self, spec: HBase_pb2.RegionSpecifier, region: Region) -> RegionCalls | None:
        """The same; None where there are none."""
        if not region.is_plain:
            try:
                self.seen_by_clients(spec, region)
            except Watched:
                return self._watched[region]
        return None

    def opened(self, spec: HBase_pb2.RegionSpecifier, region: Region) -> None:
        """It is served now."""
        calls = self.calls_of(spec, region)
        if calls is not None:
            self.spawn(calls.note("post_open"))

    def closed(self, region: Region) -> None:
        """It is not served any more."""
        calls = self._watched.pop(region, None)
        if calls is not None and calls.is_ready and not region.is_plain:
            self.spawn(calls.note("post_close"))

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Do it beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _named_of(self, schema: HBase_pb2.TableSchema) -> Sequence[Named]:
        """Users' classes in the order in which they are asked; each once."""
        settings = [*self._users.settings.classes, *self._users.settings.user_classes]
        named = [Named(name, PRIORITY_SYSTEM + number) for number, name in enumerate(settings)]
        if self._users.settings.of_tables:
            named += coprocessors.named_of(schema)
        found: dict[str, Named] = {}
        for each in sorted(named, key=lambda each: each.priority):
            if each.name and each.name not in OWN:
                found.setdefault(each.name, each)
        return list(found.values())

    def _calls_of(self, spec: HBase_pb2.RegionSpecifier, region: Region, named: Sequence[Named]) -> RegionCalls:
        by_name = HBase_pb2.RegionSpecifier(type=spec.type, value=spec.value)

        def check() -> None:
            self.gate.check()
            if self._find(by_name)[0] is not region:
                raise NotServingRegionException(f"{region.where.name} was opened anew")

        users = self._users
        watching = Watching(client_view(region), named, check, self.clock, users.classes, users.threads, users.settings)
        return RegionCalls(self, by_name, region, watching)


class RegionCalls:
    """Calls of clients on one region that has observers, or may have; implements WatchedCalls."""

    def __init__(self, host: ObserverHost, spec: HBase_pb2.RegionSpecifier, whole: Region, watching: Watching) -> None:
        """`whole`: the region with all that clients do not see."""
        self.region = watching.region
        self._whole = whole
        self.reads = WatchedReads(watching, host.turns)
        self.writes = WatchedWrites(watching)
        self._host = host
        self._spec = spec
        self._watching = watching
        self._scans = ScanCalls(host.scanners, lambda _: watching.region)

    @property
    def is_ready(self) -> bool:
        """Whether its observers have been made."""
        return self._watching.is_ready

    # --- calls of their own -----------------------------------------------------------------------------------------

    def get(self, call: Call, request: Client_pb2.GetRequest, form: CellForm) -> None:
        """Answer a Get that is kept."""

        async def answer() -> Answer:
            found, existence_only = await self.reads.get(client_of(call), request.get)
            self._host.gate.check()  # it held when the row was read
            return get_answer(found, form, existence_only=existence_only)

        self._answered(call, answer)

    def change_row(self, client: Client) -> ChangeRow:
        """Mutations of a row for that client."""

        def change(
            region: Region,
            asked: Sequence[MutationAsked],
            condition: Condition | None,
            now_ms: int,
            note: bytes,
            told: Callable[[RowChanged | HBaseError], None],
        ) -> None:
            del region, now_ms  # they are of this region, and written when their hooks are done
            self.told(partial(self.writes.change_row, client, asked, condition, note), told)

        return change

    def scan(self, call: Call, request: Client_pb2.ScanRequest, form: CellForm, is_late: Callable[[], bool]) -> None:
        """Open a scan that is kept, and answer it."""

        async def begin() -> Answer | None:
            seen = Client_pb2.ScanRequest()
            seen.CopyFrom(request)
            seen.scan.CopyFrom(await self.reads.opening(client_of(call), request.scan))
            self._watching.check()
            clock = self._host.clock
            begun = self._scans.begin(seen, form, self._watching.now_ms, clock.monotonic_ms(), is_late)
            if isinstance(begun, Answer):
                return begun
            if not self._watching.has("post_scanner_next"):
                self._host.turns.take(ScanWork(call, begun, self._host.gate, self._host.turns))
                return None
            begun.scanner.watched = partial(self.page, scan=seen.scan)
            return await self._paged(call, seen.scan, begun)

        self._answered(call, begin)

    def page(self, call: Call, paging: Paging, scan: Client_pb2.Scan) -> None:
        """Answer the next page of such a scan, which is kept."""
        self._answered(call, partial(self._paged, call, scan, paging))

    async def _paged(self, call: Call, scan: Client_pb2.Scan, paging: Paging) -> Answer | None:
        host = self._host
        try:
            is_wanted = await self.reads.page(call, client_of(call), scan, paging)
            if is_wanted:
                self._watching.check()  # it held when the rows were read
        except HBaseError as error:
            paging.fail(host.clock.monotonic_ms())
            raise scan_error(call, error) from error
        if not is_wanted:
            paging.abandon(host.clock.monotonic_ms())
            call.drop()
            return None
        return paging.answer(host.clock.monotonic_ms())

    async def note(self, hook: str) -> None:
        """Call a hook that no client waits for."""
        async with self._host.noting:
            try:
                await self._ready()
                await self._watching.ask_one(Client(), hook)
            except HBaseError as error:
                logger.warning("%s of %s: %s", hook, self.region.where.name, error)

    # --- parts of a Multi -------------------------------------------------------------------------------------------

    def multi(self, part: Part, own: OwnCells, nonce_group: int, form: CellForm, client: Client) -> None:
        """Actions one by one, with their cells of the block; the part is one that is awaited."""

        def ended(outcome: HBaseError | None) -> None:
            if outcome is not None:
                part.fail(outcome)
            part.whole.drop_one()

        self.told(partial(self._multi, part, own, nonce_group, form, client), ended)

    async def _multi(self, part: Part, own: OwnCells, nonce_group: int, form: CellForm, client: Client) -> None:
        puts: dict[int, MutationAsked] = {}
        """By place, of different rows."""
        for index, (action, cells) in enumerate(own):
            try:
                asked = None
                if not action.HasField("get") and action.HasField("mutation"):
                    asked = read_mutation(action.mutation, iter(cells))
                    if asked.mutation.kind not in DELTAS:
                        if any(each.mutation.row == asked.mutation.row for each in puts.values()):
                            await self._write(part, puts, client)
                        puts[index] = asked
                        continue
                await self._write(part, puts, client)
                if asked is not None:
                    await self._apply(part, index, asked, nonce_group, form, client)
                elif action.HasField("get"):
                    part.whole.check_size()
                    found, existence_only = await self.reads.get(client, action.get)
                    if not existence_only:
                        part.whole.size_bytes += len(found.block)
                    part.set(index, get_result(found, form, existence_only=existence_only))
                elif action.HasField("service_call"):
                    part.whole.expect_one()
                    run_service(self._host.run, self._spec, action.service_call, partial(part.served, index))
                else:
                    raise DoNotRetryIOException("an action that is neither Get nor mutation")
            except (HBaseError, StoreError, ProtocolError) as error:
                part.set(index, as_hbase(error))
        await self._write(part, puts, client)

    async def _write(self, part: Part, puts: dict[int, MutationAsked], client: Client) -> None:
        if not puts:
            return
        indexes, asked = list(puts), list(puts.values())
        puts.clear()
        try:
            outcomes: Sequence[HBaseError | None] = await self.writes.change_each(client, asked)
        except (HBaseError, StoreError, ProtocolError) as error:
            outcomes = [as_hbase(error)] * len(indexes)
        for index, outcome in zip(indexes, outcomes, strict=True):
            if outcome is not None:
                part.set(index, outcome)

    async def _apply(
        self, part: Part, index: int, asked: MutationAsked, nonce_group: int, form: CellForm, client: Client
    ) -> None:
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        told = part.expect(index)

        def reply(outcome: Answer | HBaseError) -> None:
            told(outcome)
            end.set_result(None)

        now_ms = self._watching.now_ms
        try:
            change = self.change_row(client)
            self._host.rows.apply(self.region, asked, nonce_group, None, form, now_ms, reply, change)
        except (HBaseError, StoreError) as error:
            reply(as_hbase(error))
        await end

    # --- how they end -----------------------------------------------------------------------------------------------

    def told(self, work: Callable[[], Awaitable[T]], told: Callable[[T | HBaseError], None]) -> None:
        """Do it, and tell what came of it."""

        async def do() -> None:
            try:
                await self._ready()
                outcome: T | HBaseError = await work()
            except (HBaseError, StoreError, ProtocolError) as error:
                outcome = as_hbase(error)
            except Exception as error:
                logger.exception("a call of %s failed", self.region.where.name)
                outcome = DoNotRetryIOException(f"{type(error).__name__}: {error}")
            told(outcome)

        self._host.spawn(do())

    def _answered(self, call: Call, work: Callable[[], Awaitable[Answer | None]]) -> None:
        def told(outcome: Answer | HBaseError | None) -> None:
            if isinstance(outcome, HBaseError):
                call.fail(outcome)
            elif outcome is not None:
                call.answer(*outcome)

        self.told(work, told)

    async def _ready(self) -> None:
        """Once observers can be asked; where there are but endpoints the region is plain from then on."""
        await self._watching.ready()
        if self._watching.is_idle:
            self._whole.is_plain = self._whole is self.region


def client_of(call: Call) -> Client:
    """Whose call it is."""
    return Client(call.info.user, call.peer_host)


def _no_services(spec: HBase_pb2.RegionSpecifier, *_: object) -> NoReturn:
    raise NotServingRegionException(f"{spec.value!r} has no services yet")
