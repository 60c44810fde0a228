"""The life of a region server: its stores, its registration, what it does while it is registered, and its end.

    stores open  ->  cluster up  ->  RegionServerStartup  ->  znode  ->  gate open  ->  reports, until the end

The end comes by SIGTERM or the cluster's shutdown: calls in progress are answered, stores closed, the znode removed. Or
by something that cannot be mended while others wait: the session or its lease over, the master's YouAreDeadException, a
store that failed. Then the gate is shut at once and the process ends with 1: whatever started it starts it again.

Source: HRegionServer#run, #reportForDuty, #handleReportForDutyResponse, #abort.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

from protos.hbeacon import ClusterV1_pb2
from regionserver.client_service.nonces import drop_kept
from regionserver.engine.store import StoreNotUsable
from regionserver.hosting.orders import sweep_hand_overs
from regionserver.link import Unwelcome
from regionserver.membership import Membership
from registry.lookup.snapshot import RegionServer as Entry
from registry.master.identity import DataDirectory, Memory, ProcessMemory
from registry.master.mark import Refusal
from registry.names import ServerName
from registry.role import mapping
from registry.role.part import Part
from registry.role.server import Refused
from registry.version import HBASE_VERSION
from registry.zk.session import ZooKeeperSession

if TYPE_CHECKING:
    from regionserver.server import RegionServer

logger = logging.getLogger("regionserver")

LEASE_TICK_MS = 50.0
"""How often the lease is looked at besides at each call."""
EXPIRY_TICK_MS = 1000.0
"""How often scanners are looked at whose clients stay away."""
NONCES_TICK_MS = 60_000.0
"""How often stores let go of nonces that are forgotten."""


class Ended(Exception):
    """The server cannot go on in this life; `str()` says why."""


class Life(Part):
    """Of one server. Belongs to its loop."""

    def __init__(self, server: RegionServer) -> None:
        self._server = server
        watcher = mapping.feed_settings(server.settings)
        directory = server.settings.str_("hbeacon.data.dir").strip()
        memory: Memory = DataDirectory(Path(directory)) if directory else ProcessMemory()
        self.membership = Membership(watcher.root, memory, lambda owner: ZooKeeperSession(watcher, server.clock, owner))
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._home: asyncio.Task[str] | None = None

    # --- the part -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """The advertised address is known now."""
        server = self._server
        server.feed.subscribe(server.cluster_changed)
        self._home = asyncio.create_task(asyncio.to_thread(server.stores.open_home), name="home store")
        self.membership.start()
        self._run(self._live(), "life")
        self._run(self._end_with(self.membership.over, "the ZooKeeper session is over"), "session")
        self._run(self._end_with(self._over, ""), "end")
        self._run(self._refuse_with(self.membership.refusal), "refusal")

    async def drain(self) -> None:
        """No new calls; those that have begun are answered."""
        self._server.gate.stop()

    async def stop(self) -> None:
        """Close the stores, then leave: whoever hears that we are gone finds them free."""
        server = self._server
        server.gate.stop()
        if self._home is not None:
            await asyncio.wait([self._home])
        await server.orders.close_all()
        await server.maintenance.close()
        await asyncio.to_thread(server.stores.close)
        await self.membership.leave()
        await server.link.close()

    def end(self, reason: str) -> None:
        """Go on no longer: nothing is answered from now on, and the process ends."""
        self._server.gate.abort()
        if not self._over.done():
            self._over.set_result(reason)

    # --- its course -----------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        server = self._server
        home = await self._opened()
        await self.membership.cluster_is_up()
        name = ServerName(server.advertised.host, server.advertised.port, int(server.clock.wall_ms()))
        server.stores.set_server(str(name))
        server.regions.server = name
        logger.info("%s has store %s (%s)", name, home, server.engine)
        await server.link.start_up(name)
        await self.membership.enter(Entry(name, server.info_port, HBASE_VERSION))
        server.gate.open(name, self.membership.lease)
        logger.info("%s is registered", name)
        self._run(self._watch_lease(), "lease")
        self._run(server.link.report(self._report, self._interval_ms, self._report_taken), "report")
        self._run(server.link.tell(name), "transitions")
        self._run(self._watch_cluster(), "cluster")
        self._run(self._expire(), "expiry")
        self._run(self._drop_nonces(), "nonces")
        self._run(server.maintenance.run(self._compaction_period_ms), "compactions")
        if server.stores.hand_overs is not None:
            self._run(sweep_hand_overs(server.stores.hand_overs, server.clock.wall_ms), "hand-overs")
        server.is_registered()

    async def _opened(self) -> str:
        assert self._home is not None, "started"
        try:
            return await asyncio.shield(self._home)
        except StoreNotUsable as error:
            raise Refused(str(error)) from None

    async def _report(self) -> ClusterV1_pb2.ServerReport:
        server = self._server
        assert server.gate.name is not None, "reports follow the registration"
        server.reached = await asyncio.to_thread(server.stores.reached)
        server.files = await asyncio.to_thread(server.stores.files)
        return server.server_report(server.gate.name)

    async def _report_taken(self, answer: ClusterV1_pb2.ReportTaken) -> None:
        if answer.founded:
            try:
                await self._server.stores.mark_cluster()
            except StoreNotUsable as error:
                logger.warning("%s", error)

    def _compaction_period_ms(self) -> float:
        return float(self._server.settings.ms("hbase.hregion.majorcompaction"))

    def _interval_ms(self) -> float:
        return float(self._server.settings.ms("hbase.regionserver.msginterval"))

    async def _watch_lease(self) -> None:
        while self._server.gate.lease_holds:  # noqa: ASYNC110  it ends with time alone
            await asyncio.sleep(LEASE_TICK_MS / 1000)
        self.end("ZooKeeper has been silent for two thirds of the session time-out: others may take our regions")

    async def _watch_cluster(self) -> None:
        await self.membership.cluster_goes_down()
        logger.warning("the cluster is shut down (%s/running is gone)", self.membership.paths.root)
        self._server.stop_soon()

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_TICK_MS / 1000)
            self._server.door.expire()
            self._server.names_changed()  # some server may have fallen silent

    async def _drop_nonces(self) -> None:
        """Stores need not keep what is not remembered any more."""
        while True:
            await asyncio.sleep(NONCES_TICK_MS / 1000)
            before_ms = self._server.door.nonces.forgotten_ms(self._server.clock.wall_ms())
            for each in self._server.stores:
                drop_kept(each.store, before_ms)

    # --- ends -----------------------------------------------------------------------------------------------------

    def _run(self, work: Coroutine[None, None, None], name: str) -> None:
        self._server.start_task(self._ending(work), name)

    async def _ending(self, work: Awaitable[None]) -> None:
        """What fails ends the server, and nothing is answered while it does."""
        server = self._server
        try:
            await work
        except Refusal as error:
            raise Refused(str(error)) from None
        except Exception as error:
            server.gate.abort()
            logger.error("this region server ends: %s", error)
            if server.gate.name is not None and not isinstance(error, Unwelcome):
                await server.link.tell_fatal(server.gate.name, str(error))
            raise

    async def _end_with(self, reason: asyncio.Future[str], what: str) -> None:
        said = await asyncio.shield(reason)
        self._server.gate.abort()
        raise Ended(f"{what}: {said}" if what else said)

    async def _refuse_with(self, reason: asyncio.Future[str]) -> None:
        raise Refused(await asyncio.shield(reason))
