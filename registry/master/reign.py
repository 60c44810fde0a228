"""One epoch of the active master: takes the cluster over, then keeps every region where it is wanted.

    ZooKeeper read afresh -> live servers know the epoch and have said what is open there -> hbase:meta is open ->
    the catalogue is read -> regions are reconciled: what is open where it should be stays -> procedures go on -> ready

Servers die and come at any moment of it. What was on a dead one is opened elsewhere, if its rows are reached there. One
that lives and does not answer is not waited for long: what is on it stays as it is, and it gets no orders, until it
answers or is dead.

Source: HMaster#finishActiveMasterInitialization, AssignmentManager#joinCluster, ServerManager, ServerCrashProcedure.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence

from protos.hbase import HBase_pb2
from registry.clock import Clock
from registry.lookup.feed import RegistryFeed
from registry.lookup.snapshot import FactState
from registry.master.assignment import Assignment, Rows
from registry.master.catalogue import Catalogue, Changes, RegionRow, RegionState, TableState
from registry.master.cluster_work import ClusterWork
from registry.master.drops import Drop, Drops
from registry.master.epoch import Deposed, Token
from registry.master.held import Goal
from registry.master.live_servers import LiveServers
from registry.master.meta_finding import find_meta
from registry.master.meta_place import MetaPlace
from registry.master.meta_rows import cells_of, region_cells
from registry.master.meta_schema import meta_schema
from registry.master.meta_table import MetaRows
from registry.master.order_sender import OrderSender, Talk
from registry.master.orders import close_strays
from registry.master.placement import Placement
from registry.master.region_states import RegionStates
from registry.names import ServerName
from registry.wire.errors import HBaseError
from registry.wire.region_info import META_ENCODED_NAME, META_TABLE, RegionInfo
from registry.zk.requests import Children, Reply, Request

logger = logging.getLogger("registry.master")

FRESH_TIMEOUT_MS = 1000.0
MEET_PAUSE_MS = 50.0
MEET_WAIT_MS = 1000.0
"""For servers that do not answer: others would have their regions opened, and tables be changed, meanwhile."""
DRAINING_EVERY_MS = 1000.0
NAMESPACES = (b"default", b"hbase")
"""Those that are there from the founding on."""

Begin = Callable[[ClusterWork], Awaitable[None]]
Make = Callable[["Reign"], ClusterWork]


class Reign:
    """Belongs to the loop. `run` is its life; then `close`."""

    def __init__(
        self,
        token: Token,
        clock: Clock,
        feed: RegistryFeed,
        ask: Callable[[Request], Awaitable[Reply]],
        place: MetaPlace,
        draining_path: str,
        make_work: Make,
        begin: Sequence[Begin],
        initialized: Callable[[], None],
        meta_table: Callable[[Callable[[], ServerName | None]], MetaRows],
        talk: Talk,
    ) -> None:
        """`begin` is called in turn once the catalogue is read, before the master says that it is initialised.

        `initialized` is called then. `meta_table` is made with what tells who has hbase:meta.
        """
        self.token = token
        self.clock = clock
        self.waits_for = "ZooKeeper has been read"
        """What the take-over waits for, for people; empty once it is done."""
        self.servers = LiveServers()
        self.catalogue = Catalogue()
        self.placement = Placement(self.servers)
        self.work: ClusterWork | None = None
        """Once the catalogue is read."""
        self._next_id = int(clock.wall_ms()) << 20
        self.meta_states = RegionStates(self.placement, self.new_id, meta_is_fresh=True)
        self.states = RegionStates(self.placement, self.new_id)
        self.meta_table = meta_table(self.meta_server)
        self.sender = OrderSender(
            token,
            self.servers,
            self.placement,
            (self.meta_states.outbox, self.states.outbox),
            self._schema_of,
            clock,
            self._fail,
            talk,
        )
        self.meta = Assignment(self.meta_states, place.write, clock, self.sender.wake)
        self.regions = Assignment(self.states, self._write_regions, clock, self.sender.wake)
        self.regions.wrote = self._regions_written
        self.drops = Drops(
            token.in_name,
            self.servers,
            self.sender.call,
            self.new_id,
            self._leftovers,
            lambda: self.catalogue,
            self._dropped,
        )
        self.knows_meta = self.knows_regions = False
        self._feed = feed
        self._ask = ask
        self._place = place
        self._draining_path = draining_path
        self._make_work = make_work
        self._begin = begin
        self._initialized = initialized
        self._meta_schema = meta_schema(hidden=True)
        self._online: dict[ServerName, dict[str, RegionInfo]] = {}
        self._compared: set[tuple[ServerName, RegionStates]] = set()
        self._changed = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: dict[asyncio.Task[None], None] = {}

    @property
    def is_initialized(self) -> bool:
        """Whether tables may be changed."""
        return not self.waits_for

    async def run(self) -> None:
        """Until cancelled. Raises NotActing, Unreadable, or a fault of ours."""
        stop = self._feed.subscribe(lambda _: self.look_at_servers())
        try:
            self._spawn(self._take_over(), "take-over")
            self._spawn(self._follow_draining(), "draining")
            await self._failure
        finally:
            stop()

    async def close(self) -> None:
        """End all that is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.sender.close()
        await self.meta_table.close()

    def new_id(self) -> int:
        """A number for an order or a remote procedure; no other master's, for it begins with the time."""
        self._next_id += 1
        return self._next_id

    def meta_server(self) -> ServerName | None:
        """Who has hbase:meta open, as ZooKeeper tells everybody."""
        held = self.meta_states.held.get(META_ENCODED_NAME)
        if held is None or held.written is None or held.written.state is not RegionState.OPEN:
            return None
        return held.written.sn if held.row.state is RegionState.OPEN else None

    # --- servers ------------------------------------------------------------------------------------------------

    def look_at_servers(self) -> None:
        """Take what /hbase/rs says."""
        fact = self._feed.snapshot.region_servers
        if fact.state is not FactState.KNOWN or fact.value is None:
            return
        come, gone = self.servers.seen([server.server_name for server in fact.value], self.clock.monotonic_ms())
        for name in gone:
            self.died(name)
        for name in come:
            self._spawn(self._meet(name), f"meet {name}")
        if come:
            self.servers_changed()

    def died(self, name: ServerName) -> None:
        """That life of a server is over."""
        if not self.servers.died(name, self.clock.wall_ms()):
            return
        logger.warning("region server %s is dead; %d regions were there", name, len(self.states.on(name)))
        self.sender.gone(name)
        self._online.pop(name, None)
        self._lose(name)

    def _lose(self, name: ServerName) -> None:
        self.meta_states.died(name)
        self.states.died(name)
        self.servers_changed()

    def servers_changed(self) -> None:
        """Regions that wait may find a place now, and drops a server."""
        self.meta_states.look_again()
        self.states.look_again()
        self.meta.kick()
        self.regions.kick()
        self.drops.kick()
        self._changed.set()

    async def _meet(self, name: ServerName) -> None:
        """Make the epoch known to a server and hear what is open there, however often that must be asked."""
        while not self.servers.is_dead(name):
            self.token.check()
            try:
                online = await self.sender.online(name)
            except HBaseError as error:
                logger.debug("%s does not answer yet: %s", name, error)
                await asyncio.sleep(MEET_PAUSE_MS / 1000)
                continue
            if self.servers.is_dead(name):
                return
            self._online[name] = {info.encoded_name: info for info in online}
            logger.info("region server %s is there, with %d regions", name, len(online))
            await self._reconcile([name])
            self.servers.met(name)
            self.servers_changed()
            return

    def _unmet(self) -> list[ServerName]:
        """Live servers that this master has not heard yet."""
        return [server.name for server in self.servers.live() if not server.is_met]

    async def _reconcile(self, names: Iterable[ServerName]) -> None:
        """Compare what servers have with what is known of regions, as far as that has been read by now, once each."""
        strays: list[Coroutine[None, None, None]] = []
        for name in names:
            online = self._online.get(name)
            for states, is_known in ((self.meta_states, self.knows_meta), (self.states, self.knows_regions)):
                if online is None or not is_known or (name, states) in self._compared:
                    continue
                self._compared.add((name, states))
                is_meta = states is self.meta_states
                own = [region for region in online if (region == META_ENCODED_NAME) == is_meta]
                stray = [online[region] for region in states.met(name, own, states.on(name))]
                if stray:
                    logger.warning("%d regions are open on %s that should not be: closing them", len(stray), name)
                    strays.append(self._close_strays(name, stray))
        await asyncio.gather(*strays)

    async def _close_strays(self, name: ServerName, stray: list[RegionInfo]) -> None:
        """Once: a server that does not hear it has no right to serve them either, for nobody is told that it does."""
        try:
            await self.sender.call(name, close_strays(self.token.in_name, name, stray, self.new_id))
        except HBaseError as error:
            logger.warning("%s was not told to close regions: %s", name, error)

    def _bury(self, rows: Iterable[RegionRow]) -> None:
        """Servers that rows name and that do not live are dead."""
        named = {name for row in rows for name in (row.sn, row.server) if name is not None}
        for name in sorted(named):
            if self.servers.is_dead(name):
                self._lose(name)  # it died before anybody knew what it had
            elif name not in self.servers.known:
                self.died(name)

    async def _follow_draining(self) -> None:
        while True:
            reply = await self._ask(Children(self._draining_path))
            if reply.ok:
                before = self.servers.draining
                self.servers.drain(_server_names(reply.children))
                if before != self.servers.draining:
                    logger.info("draining servers: %s", ", ".join(map(str, sorted(self.servers.draining))) or "none")
                    self.servers_changed()
            await asyncio.sleep(DRAINING_EVERY_MS / 1000)

    # --- taking over --------------------------------------------------------------------------------------------

    async def _take_over(self) -> None:
        await self._read_zookeeper()
        row = await self._place.read()
        self._wait_for("every live region server knows of this master")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MEET_WAIT_MS / 1000):
                await self._until(lambda: not self._unmet())
        for name in self._unmet():
            logger.warning("%s does not answer: its regions stay as they are until it does, or is dead", name)
        if not self._place.is_certain:
            row = await self._find_meta(row)
        self.meta_states.meta_is_fresh = not self._place.store.founded
        self.meta_states.put(row, Goal.OPEN)
        self.knows_meta = True
        self._bury([row])
        await self._reconcile(list(self._online))
        self._wait_for("hbase:meta is open")
        self._spawn(self.meta.run(), "assignment of hbase:meta")
        await self.meta.settled([META_ENCODED_NAME])
        self._wait_for("hbase:meta is read")
        await self._read_catalogue()
        self._spawn(self.regions.run(), "assignment")
        self._spawn(self.drops.run(), "drops")
        self._wait_for("procedures go on")
        work = self.work = self._make_work(self)
        for begin in self._begin:
            await begin(work)
        self.waits_for = ""
        self._initialized()
        logger.info("master initialised: %d tables, %d regions", len(self.catalogue.tables), len(self.states.held))

    async def _find_meta(self, row: RegionRow) -> RegionRow:
        """ZooKeeper knows of no hbase:meta with a catalogue: it is never founded beside the rows of another.

        Raises Deposed where it was opened by a master whose epoch ours does not follow.
        """
        remembered = self._place.store.store if self._place.store.founded else ""
        self._wait_for("all region servers, and one at least, have said what their stores hold")
        while True:
            await self._until(
                lambda: bool(self.servers.usable()) and all(each.is_usable for each in self.servers.live())
            )
            found = find_meta(self.servers.live(), remembered)
            if not isinstance(found, str):
                break
            self._wait_for(found)
            self._changed.clear()
            await self._changed.wait()
        if found is None:
            return row
        if found.epoch >= self.token.in_name.number:
            raise Deposed(f"hbase:meta in store {found.store_id} was opened by epoch {found.epoch}", found.epoch)
        logger.warning("ZooKeeper does not know where hbase:meta is: it is in store %s", found.store_id)
        return await self._place.found_in(row, found.store_id, found.open_seq_num)

    def _wait_for(self, what: str) -> None:
        if what != self.waits_for:
            logger.info("waiting until %s", what)
        self.waits_for = what

    async def _read_zookeeper(self) -> None:
        while True:
            self.token.check()
            try:
                await self._feed.fresh(timeout_ms=FRESH_TIMEOUT_MS)
            except TimeoutError:
                continue
            break
        self.look_at_servers()

    async def _read_catalogue(self) -> None:
        catalogue = await self.meta_table.load(self.token)
        for problem in catalogue.problems:
            logger.error("%s", problem)
        missing = [name for name in NAMESPACES if name.decode() not in catalogue.namespaces]
        if missing:
            changes = Changes(namespaces=[HBase_pb2.NamespaceDescriptor(name=name) for name in missing])
            await self.meta_table.write(lambda at_ms: cells_of(changes, at_ms), self.token)
            catalogue.apply(changes)
        if not self._place.store.founded:
            await self._place.founded()
            self.meta_states.meta_is_fresh = False
        self.catalogue = catalogue
        for row in catalogue.regions.values():
            self.states.put(row, self._goal_of(row))
        self.knows_regions = True
        self._bury(catalogue.regions.values())
        await self._reconcile(list(self._online))

    def _goal_of(self, row: RegionRow) -> Goal:
        """What holds for a region before any procedure has said otherwise."""
        table = self.catalogue.tables.get(row.info.table)
        if table is None or table.state not in (TableState.ENABLED, TableState.DISABLED):
            return Goal.AS_IS
        if table.state == TableState.DISABLED:
            return Goal.CLOSED
        return Goal.AS_IS if row.state is RegionState.CLOSED else Goal.OPEN  # somebody has closed it by hand

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    # --- what is written ----------------------------------------------------------------------------------------

    async def _write_regions(self, rows: Rows) -> None:
        await self.meta_table.write(
            lambda at_ms: [region_cells(before, after, at_ms) for before, after in rows], self.token
        )

    def _regions_written(self, rows: list[RegionRow]) -> None:
        for row in rows:
            if row.info.encoded_name in self.states.held:
                self.catalogue.put_region(row)
        if any(row.leftover for row in rows):
            self.drops.kick()

    async def _dropped(self, drops: Sequence[Drop]) -> None:
        gone = [drop.place.region for drop in drops if not drop.leftover]
        if gone:
            changes = Changes(no_drops=gone)
            await self.meta_table.write(lambda at_ms: cells_of(changes, at_ms), self.token)
            self.catalogue.apply(changes)
        for drop in drops:
            if drop.leftover:
                self.meta_states.leftover_gone(drop.place.region, drop.leftover)
                self.states.leftover_gone(drop.place.region, drop.leftover)
        self.meta.kick()
        self.regions.kick()

    def _leftovers(self) -> Iterator[RegionRow]:
        """Rows that are durable and say so: before that the old copy may be the only one that counts."""
        for states in (self.meta_states, self.states):
            for held in states.held.values():
                if held.row.leftover and held.version == held.written_version:
                    yield held.row

    def _schema_of(self, table: str) -> HBase_pb2.TableSchema:
        if table == META_TABLE:
            return self._meta_schema
        row = self.catalogue.tables.get(table)
        return row.schema if row is not None else HBase_pb2.TableSchema()

    # --- tasks --------------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)


def _server_names(children: Iterable[str]) -> list[ServerName]:
    names: list[ServerName] = []
    for child in children:
        try:
            names.append(ServerName.parse(child))
        except ValueError:
            logger.debug("%r below draining is no server name", child)
    return names
