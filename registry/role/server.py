"""The base of every role: all parts made, joined and started in the order in which clients need them.

A role says what it is by deriving from `RoleServer`: its name, its services, its parts, and when it can answer.

RPC is bound first and answers as soon as ZooKeeper has been read; pages follow, loaded by a thread, because their
libraries cost more than all the rest together.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from registry.clock import Clock
from registry.config.settings import Settings
from registry.config.watch import ConfigWatch
from registry.ending import end_tasks
from registry.guarded import Beats, GuardLink, die_with_guard
from registry.logs import parse_levels, set_levels
from registry.lookup.feed import RegistryFeed
from registry.lookup.fresh_call import FreshCalls
from registry.lookup.fresh_reader import FreshReader
from registry.lookup.readiness import Check, Readiness, readiness
from registry.lookup.snapshot import FactState, Snapshot
from registry.lookup.visitors import Visitors
from registry.names import Address, ServerName
from registry.role import mapping
from registry.role.faults import fault_desk
from registry.role.firewall import FirewallPart
from registry.role.grpc import GrpcDoor
from registry.role.http import HttpDoor
from registry.role.kept import Kept
from registry.role.listening import advertised, cannot_listen, warnings_of
from registry.role.notify import Notifier
from registry.role.part import Part
from registry.role.publishing import Publisher
from registry.rpc.server import RpcServer
from registry.rpc.services import ServiceTable

if TYPE_CHECKING:
    from registry.http.cluster_status import ClusterStatus
    from registry.http.region_server_status import RegionServerStatus
    from registry.http.status import ElectionStatus, Identity, StatusSource
    from registry.lookup.selfcheck import SelfCheck
    from registry.role.facade import FacadeDoor
    from registry.role.tables import TableStatesPart

logger = logging.getLogger("registry.role")

HTTP_WAITS_MS = 300
"""Pages are loaded after the first answer; where ZooKeeper does not answer, after this long, for the probes' sake."""
TICK_MS = 200
"""How often the lease and the choice of servers are looked at."""
KEEP_MS = 10_000
"""How often the guard is told who came, besides when the snapshot changes."""


class Refused(Exception):
    """There is no point in waiting: ZooKeeper refuses us, or what lies there is not ours; `str()` is one line."""


class RoleServer:
    """One server in one process. `run` is its whole life."""

    role: ClassVar[str]
    """The word of the command line."""
    rpc_settings = staticmethod(mapping.rpc_settings)
    """How much the RPC door takes on."""
    needs_master: ClassVar[bool] = True
    """Whether it is not ready while the cluster has no active master."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], link: GuardLink | None, clock: Clock) -> None:
        """Check what can be checked without the network. Raises BadSetting."""
        self.check(settings)
        self.clock = clock
        self.listeners: Mapping[str, socket.socket] = {}
        """Sockets that listen already, by the flag of the address: who started this process opened them."""
        self._link = link
        self._kept = Kept.parse(link.kept if link else "")
        self._watch = ConfigWatch(settings, lambda: self._checked(load()), self._settings_changed)
        self._stop_asked = asyncio.Event()
        self._answers = asyncio.Event()
        """What `answers` waits for has come."""
        self._draining = False
        self._speaking: frozenset[ServerName] = frozenset()
        self._levels = parse_levels(settings.str_("hbeacon.log.level"))
        self._tasks: list[asyncio.Task[None]] = []
        self._selfcheck: SelfCheck | None = None
        self._notifier = Notifier(os.environ, link.guard_pid if link else 0)
        self._beats = Beats(link, settings.ms("hbeacon.guard.timeout_ms"), self._orphaned) if link else None
        self.visitors = Visitors(clock)
        self.feed = RegistryFeed(mapping.feed_settings(settings), clock, self._kept.version)
        self.rpc = RpcServer(self.rpc_settings(settings), self.make_services(), clock)
        self.faults = fault_desk(self.rpc, settings)
        self.publisher = Publisher(self.rpc, self.feed, clock, mapping.handout_settings(settings), os.getpid())
        fresh_ms = "hbeacon.registry.fresh.timeout_ms"
        self.reader = FreshReader(
            self.feed, clock, lambda: float(self.settings.ms(fresh_ms)), lambda: self.publisher.refusing
        )
        self.rpc.set_meet(FreshCalls(self.reader))
        self.http = HttpDoor(self.reader)
        self.grpc = GrpcDoor(self.feed, self.publisher, self.reader, lambda: self.readiness().ready)
        self.facade: FacadeDoor | None = None
        self.tables: TableStatesPart | None = None
        """Reads states of tables from hbase:meta for the façade, where there is one."""
        self.firewall = FirewallPart(
            self.visitors,
            self.feed,
            lambda: self.settings,
            clock,
            self._kept.watch,
            self.start_task,
            facade_open=lambda: self.facade is not None,
            advertised=lambda: self.advertised,
        )
        self.parts = [*self.make_parts(), self.firewall]
        """In the order of their start; they end the other way round."""

    # --- what a role says of itself -----------------------------------------------------------------------------

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Raise BadSetting for what is well-formed and still cannot be used by this role."""
        mapping.check(settings)

    def make_services(self) -> ServiceTable:
        """What the RPC door offers besides answers that lie ready. Called once, before anything else is made."""
        return mapping.service_table()

    def make_parts(self) -> list[Part]:
        """What runs beside the registry. Called once, when all but the pages is made."""
        return self._make_facade()

    def answers(self, snapshot: Snapshot) -> bool:
        """Whether look-ups get right answers by now: the ready line waits for it, and it is asked no more then."""
        known = FactState.KNOWN
        return snapshot.complete and snapshot.cluster_id.state is known and snapshot.active_master.state is known

    def own_names(self) -> frozenset[ServerName]:
        """Under which names this server itself may be handed out by `auto`; nobody asks itself whether it speaks."""
        return frozenset()

    def election(self) -> ElectionStatus | None:
        """What a master tells of its place; None for other roles. Asked for each page."""
        return None

    def election_lines(self) -> list[str]:
        """The flight recorder of a master's candidates; empty for other roles."""
        return []

    def region_server(self) -> RegionServerStatus | None:
        """A region server's regions, stores and links; None for other roles. Asked for each page."""
        return None

    def cluster(self) -> ClusterStatus | None:
        """What the active master tells of its cluster; None for everybody else. Asked for each page."""
        return None

    def more_checks(self) -> Iterable[Check]:
        """What /ready asks of this role beside what it asks of every registry."""
        return ()

    def make_status(self, identity: Identity) -> StatusSource:
        """What pages, probes and metrics show. Called when the pages are loaded."""
        from registry.role.status import RoleStatus

        return RoleStatus(
            identity,
            self.clock,
            self.feed,
            lambda: self.rpc.stats,
            self.visitors,
            link=self._link,
            settings=lambda: self.settings,
            hand_out=lambda: self.publisher.hand_out,
            disagreements=lambda: self._selfcheck.disagreements() if self._selfcheck else (),
            refusing=lambda: self.publisher.refusing,
            readiness=self.readiness,
            election=self.election,
            election_lines=self.election_lines,
            region_server=self.region_server,
            cluster=self.cluster,
            firewall=self.firewall.answer,
            tables=lambda: self.tables.follower.view() if self.tables is not None else None,
            faults=self.faults,
        )

    # --- what parts use -----------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """As they apply now."""
        return self._watch.settings

    def start_task(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run `work` until it ends or the server does; where it fails, the server ends with its error."""
        self._tasks.append(asyncio.create_task(work, name=name))

    def names_changed(self) -> None:
        """`own_names` gives others now."""
        self.publisher.set_speaking(self._speaking | self.own_names())

    def tell_parent(self, word: str) -> None:
        """Say more than that this server is ready, to a parent that waits for it (registry.dev)."""
        if self._beats is not None:
            self._beats.say(word)

    def readiness(self) -> Readiness:
        """Whether clients may be sent here now, and why not."""
        return readiness(
            self.feed.snapshot,
            self.feed.age_ms(),
            self.feed.session,
            self._selfcheck.disagreements() if self._selfcheck else (),
            float(self.settings.ms("hbeacon.registry.ready.max_age_ms")),
            refusing_stale=self.publisher.refusing,
            draining=self._draining,
            faults=[str(row.rule) for row in self.faults.rows()] if self.faults is not None else (),
            needs_master=self.needs_master,
            more=self.more_checks(),
        )

    async def run(self) -> None:
        """Serve until told to stop. Raises CannotListen, BadSetting or Refused."""
        if self._beats is not None:
            self._beats.start()
        self._notifier.start_watchdog()
        self._take_signals()
        try:
            await self._open_doors()
            for part in self.parts:
                await part.start()
            self.feed.subscribe(self._snapshot_changed)
            await self.feed.start()
            self.start_task(self._look_after(), "look-after")
            self.start_task(self._finish_start(), "start")
            await self._until_stopped()
            await self._drain()
        finally:
            await self._close()

    # --- starting -----------------------------------------------------------------------------------------------

    async def _open_doors(self) -> None:
        settings = self.settings
        rpc = settings.address("hbeacon.rpc.address")
        assert rpc is not None, "the kind of the key has no off"
        self.rpc.observer = self.visitors
        self.rpc.set_version_stamp(self.publisher.stamp)
        self.publisher.publish()  # what is not read yet is left out of the answers, as HBase leaves it out
        self.rpc_address = await self._open_rpc(rpc)
        await self.http.reserve(
            settings.address("hbeacon.http.address"), self.listeners.get("--http"), self._kept.http_port
        )
        await self.grpc.reserve(settings.address("hbeacon.grpc.address"), self._kept.grpc_port)
        self.advertised = advertised(settings, self.rpc_address)
        for warning in warnings_of(self.rpc_address, self.advertised, settings.addresses("hbeacon.registry.servers")):
            logger.warning("%s", warning)
        self._keep(self.feed.snapshot)
        logger.info("listening on rpc=%s http=%s", self.rpc_address, self.http.address or "off")

    async def _open_rpc(self, address: Address) -> Address:
        if (listener := self.listeners.get("--rpc")) is not None:
            return await self.rpc.start(address.host, address.port, listener)
        kept_port = self._kept.rpc_port
        if address.port == 0 and kept_port:
            with contextlib.suppress(OSError):  # somebody else took it meanwhile: any free one then
                return await self.rpc.start(address.host, kept_port)
        try:
            return await self.rpc.start(address.host, address.port)
        except OSError as error:
            raise cannot_listen(address, "--rpc", error) from None

    def _make_facade(self) -> list[Part]:
        if self.settings.address("hbeacon.facade.address") is None:
            return []
        from registry.role.facade import FacadeDoor, facade_settings
        from registry.role.tables import TableStatesPart

        root = mapping.feed_settings(self.settings).root
        chosen = facade_settings(self.settings, root, self._kept.facade_port)
        assert chosen is not None, "there is an address"
        self.tables = TableStatesPart(self.feed, lambda: self.settings, self.clock, self.start_task)
        self.facade = FacadeDoor(
            chosen,
            self.feed,
            self.clock,
            self.start_task,
            listeners=lambda: self.listeners,
            tables=self.tables.follower,
            seen=self.visitors.facade_seen,
        )
        return [self.tables, self.facade]

    async def _finish_start(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HTTP_WAITS_MS / 1000):
                await self._answers.wait()
        await self.http.open(self.settings, self._status_of)
        await self.grpc.open(self.settings, self.faults)
        if self._link is not None and not await asyncio.to_thread(die_with_guard, self._link.guard_pid):
            logger.debug("the kernel cannot tie this process to its guard; the pipe does")
        await self._answers.wait()
        self._start_selfcheck()
        self._say_ready()
        # What is there now stays: without it a full collection walks over all modules, tens of milliseconds each time.
        gc.collect()
        gc.freeze()
        self.start_task(self._watch.run(), "configuration")

    def _status_of(self, version: str) -> StatusSource:
        from registry.http.status import Identity

        return self.make_status(
            Identity(
                role=self.role,
                version=version,
                host=socket.gethostname(),
                pid=os.getpid(),
                started_wall_ms=self.clock.wall_ms(),
                advertised=str(self.advertised),
                bound=dict(word.split("=") for word in self._doors()),
                zookeeper_quorum=mapping.zookeeper_text(self.settings),
                znode_parent=self.settings.str_("zookeeper.znode.parent"),
            )
        )

    def _start_selfcheck(self) -> None:
        from registry.lookup.ask import ask_over_rpc
        from registry.lookup.selfcheck import SelfCheck

        port = self.rpc_address.port
        own = {self.rpc_address, self.advertised}
        own |= {Address(host, port) for host in ("localhost", "127.0.0.1", "::1", socket.gethostname())}
        settings = mapping.selfcheck_settings(self.settings, frozenset(own))
        if settings.interval_ms <= 0:
            return
        self._selfcheck = SelfCheck(
            settings,
            ask_over_rpc,
            self.clock,
            lambda: (self.feed.snapshot, self.feed.age_ms()),
            self._speakers_changed,
        )
        self._selfcheck.start()

    def _doors(self) -> list[str]:
        off = "off"
        return [f"rpc={self.rpc_address}", f"http={self.http.address or off}", f"grpc={self.grpc.address or off}"]

    def _say_ready(self) -> None:
        zookeeper = mapping.zookeeper_text(self.settings)
        words = [*self._doors(), f"zookeeper={zookeeper}"]
        words += [word for part in self.parts for word in part.ready_words()]
        with contextlib.suppress(OSError):  # nobody reads it: the server is there all the same
            os.write(sys.stdout.fileno(), f"hbeacon {self.role} ready {' '.join(words)}\n".encode())
        logger.info("ready, advertised as %s", self.advertised)
        self._notifier.send("READY=1", f"STATUS=ready at {self.advertised}")

    # --- while it runs ------------------------------------------------------------------------------------------

    def _snapshot_changed(self, snapshot: Snapshot) -> None:
        self.publisher.publish()
        self.http.changed()
        self._keep(snapshot)
        self._snapshot_seen(snapshot)

    def _snapshot_seen(self, snapshot: Snapshot) -> None:
        is_open = self.facade is None or self.facade.machine.shown is not None
        if is_open and not self._answers.is_set() and self.answers(snapshot):
            self._answers.set()

    def _keep(self, snapshot: Snapshot) -> None:
        """Leave with the guard what the next worker needs for clients to see one server at one address."""
        if self._beats is not None:
            http_port = self.http.address.port if self.http.address else 0
            facade = self.facade.address if self.facade is not None else None
            facade_port = facade.port if facade is not None else 0
            grpc_port = self.grpc.address.port if self.grpc.address else 0
            kept = Kept(
                self.rpc_address.port, http_port, snapshot.version, facade_port, self.firewall.kept_text(), grpc_port
            )
            self._beats.keep(kept.text())

    def _speakers_changed(self, speaking: frozenset[ServerName]) -> None:
        self._speaking = speaking
        self.names_changed()

    async def _look_after(self) -> None:
        """The lease and the choice of servers change with time alone."""
        kept_ms = self.clock.monotonic_ms()
        while True:
            await asyncio.sleep(TICK_MS / 1000)
            if self.clock.monotonic_ms() - kept_ms >= KEEP_MS:
                kept_ms = self.clock.monotonic_ms()
                self._keep(self.feed.snapshot)
            refusing = self.settings.choice("hbeacon.registry.stale") == "refuse" and not self.feed.lease_ok()
            self.publisher.set_refusing(refusing)
            if self.facade is not None:
                self.facade.machine.set_refusing(refusing)
            self.publisher.tick()

    def _checked(self, settings: Settings) -> Settings:
        self.check(settings)
        return settings

    def _settings_changed(self, settings: Settings, changed: frozenset[str]) -> None:
        from registry.config.keys import KEYS

        now = sorted(name for name in changed if name in KEYS and KEYS[name].live)
        later = sorted(name for name in changed if name in KEYS and not KEYS[name].live)
        if now:
            logger.info("the configuration changed: %s", ", ".join(f"{name}={settings.shown(name)}" for name in now))
        if later:
            logger.warning("these settings changed and need a restart: %s", ", ".join(later))
        self.publisher.set_settings(mapping.handout_settings(settings))
        if self._selfcheck is not None:
            self._selfcheck.set_peers(settings.addresses("hbeacon.registry.servers"))
        levels = parse_levels(settings.str_("hbeacon.log.level"))
        set_levels(levels, earlier=self._levels)
        self._levels = levels

    async def _until_stopped(self) -> None:
        stop = asyncio.create_task(self._stop_asked.wait(), name="stop")
        try:
            while not stop.done():
                await asyncio.wait([stop, *self._tasks], timeout=TICK_MS / 1000, return_when=asyncio.FIRST_COMPLETED)
                if self.feed.session.fatal:
                    raise Refused(self.feed.session.fatal)
                for task in [task for task in self._tasks if task.done()]:
                    self._tasks.remove(task)
                    task.result()  # a part that fails ends the server: the guard starts a whole one
        finally:
            stop.cancel()

    # --- ending -------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        self._draining = True
        self._notifier.send("STOPPING=1", "STATUS=stopping")
        logger.info("stopping: calls in progress may end")
        self.grpc.drain()
        for part in reversed(self.parts):
            await part.drain()
        await self.rpc.drain(self.settings.ms("hbeacon.drain.timeout_ms"))

    async def _close(self) -> None:
        await end_tasks(self._tasks)
        for part in reversed(self.parts):
            await part.stop()
        if self._selfcheck is not None:
            await self._selfcheck.stop()
        await self.grpc.stop()
        await self.http.stop()
        await self.rpc.stop()
        await self.feed.stop()
        self._notifier.stop_watchdog()
        if self._beats is not None:
            self._beats.stop()

    # --- signals ------------------------------------------------------------------------------------------------

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload)
        loop.add_signal_handler(signal.SIGQUIT, _write_stacks)

    def _asked_to_stop(self) -> None:
        if self._stop_asked.is_set():
            logger.warning("told to stop a second time: ending at once")
            os._exit(0)
        self._stop_asked.set()

    def _asked_to_reload(self) -> None:
        async def reload() -> None:
            if not await self._watch.reload() and not self._watch.problem:
                logger.info("the configuration was read again: nothing changed")

        self.start_task(reload(), "reload")

    def _orphaned(self) -> None:
        logger.error("the guard has ended: ending too, the service manager starts both again")
        os._exit(1)


def _write_stacks() -> None:
    from registry.http.stacks import stacks_text

    sys.stderr.write(stacks_text())
