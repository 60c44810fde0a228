"""The master: the registry of every role, and a candidate in the election of the active one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from registry.clock import Clock
from registry.config.settings import Settings
from registry.guarded import GuardLink
from registry.lookup.snapshot import Snapshot
from registry.master.admin_service import MasterAdmin
from registry.master.campaign import Campaign, Place
from registry.master.cluster import Cluster
from registry.master.duties import Duties, Duty, keep_cluster_up
from registry.master.epoch import Mastership
from registry.master.identity import DataDirectory, Memory, ProcessMemory
from registry.master.reign import Reign
from registry.master.services import add_master_services
from registry.master.shutdown import Shutdown
from registry.master.status_service import StatusService
from registry.master.tables.mirror import Mirror
from registry.master.tables.outside import TablesOutside
from registry.master.tables.service import TableService
from registry.master.tables.switches import KeptSwitches
from registry.names import ServerName
from registry.role import mapping
from registry.role.part import Part
from registry.role.server import Refused, RoleServer
from registry.rpc.services import ServiceTable
from registry.version import HBASE_VERSION, VERSION
from registry.zk.requests import Reply, Request
from registry.zk.session import ZooKeeperSession

if TYPE_CHECKING:
    from registry.http.cluster_status import ClusterStatus
    from registry.http.status import ElectionStatus


class Master(RoleServer):
    """One master in one process. `run` is its whole life, which may hold several candidates'."""

    role = "master"

    def __init__(self, settings: Settings, load: Callable[[], Settings], link: GuardLink | None, clock: Clock) -> None:
        self.mastership = Mastership(clock)
        super().__init__(settings, load, link, clock)

    def make_services(self) -> ServiceTable:
        """Those of HBase's masters."""
        table = mapping.service_table()
        self.table_service = self._make_table_service()
        add_master_services(table, self, self.table_service.handlers(), self.table_service.refuse)
        MasterAdmin(lambda: self.cluster_part.work(), self._asked_to_reload).add_to(table)
        StatusService(lambda: self.cluster_part, self.clock, lambda: self.info_port).add_to(table)
        return table

    def make_parts(self) -> list[Part]:
        """Standing for election."""
        settings = self.settings
        directory = settings.str_("hbeacon.data.dir").strip()
        memory: Memory = DataDirectory(Path(directory)) if directory else ProcessMemory()
        watcher = mapping.feed_settings(settings)
        loop = asyncio.get_running_loop()
        self.campaign = Campaign(
            watcher.root,
            self.clock,
            self.mastership,
            memory,
            lambda owner: ZooKeeperSession(watcher, self.clock, owner),
            lambda delay_ms, work: loop.call_later(delay_ms / 1000, work),
            founded_by=f"hbeacon {VERSION}",
            changed=self._campaign_changed,
        )
        self.duties = Duties(self.mastership, self.make_duties())
        self.cluster_part = Cluster(self.mastership, self.campaign, self.feed, self.clock)
        self.cluster_part.kept_in = Path(directory) if directory else None
        self.cluster_part.initialized = lambda: self.tell_parent("initialized")
        self.cluster_part.begin.append(self.table_service.begin)
        self.cluster_part.ended.append(self.table_service.ended)
        return [*super().make_parts(), _Candidacy(self)]

    def make_duties(self) -> list[Duty]:
        """What the active master does by itself."""
        return [self.shutdown.unless_begun(keep_cluster_up(self.campaign, self.clock, os.urandom))]

    def _make_table_service(self) -> TableService:
        """Before there is a campaign, which is asked for when it is needed."""
        root = mapping.feed_settings(self.settings).root

        async def ask(request: Request) -> Reply:
            return await self.campaign.ask(request)

        self.shutdown = Shutdown(root, ask, lambda: self.campaign.stood_by, self._servers_count, self._asked_to_stop)
        mirror = Mirror(root, ask, lambda: self.campaign.writer, os.urandom)
        return TableService(
            lambda: self.cluster_part.work(),
            TablesOutside(mirror),
            KeptSwitches(root, ask),
            self.clock,
            self._asked_to_stop,
            self.shutdown.begin,
        )

    def _servers_count(self) -> int:
        return len(self.reign.servers.live()) if self.reign is not None else 0

    def own_names(self) -> frozenset[ServerName]:
        """A master speaks ClientMetaService: `auto` hands it out like the others that were seen to."""
        return frozenset((self.campaign.name,)) if self.campaign.name else frozenset()

    def election(self) -> ElectionStatus:
        """For pages, /health and metrics."""
        from registry.http.status import ElectionStatus

        campaign, mastership = self.campaign, self.mastership
        role = "active" if mastership.epoch else "standby" if campaign.active else "candidate"
        session = campaign.session
        return ElectionStatus(
            role=role,
            server_name=str(campaign.name or ""),
            active_master=str(campaign.active or ""),
            acting=mastership.is_acting,
            why_not=mastership.why_not(),
            epoch=mastership.epoch,
            lease_left_ms=mastership.lease_left_ms(),
            lives=campaign.lives,
            elections=mastership.elections,
            since_ms=mastership.since_ms,
            session_id=session.session_id if session else 0,
            session_connected=session is not None and session.is_connected,
        )

    def election_lines(self) -> list[str]:
        """The flight recorder of the candidates."""
        return self.campaign.flight.lines()

    # --- what the services show ---------------------------------------------------------------------------------

    @property
    def name(self) -> ServerName | None:
        """Of the present candidate."""
        return self.campaign.name

    @property
    def snapshot(self) -> Snapshot:
        """The cluster as it is known now."""
        return self.feed.snapshot

    @property
    def hbase_version(self) -> str:
        """Of HBase, whose behaviour clients may expect."""
        return HBASE_VERSION

    @property
    def info_port(self) -> int:
        """Of the pages."""
        return self.http.address.port if self.http.address else -1

    def acts(self) -> bool:
        """Whether this master is the active one at this moment."""
        return self.mastership.is_acting

    @property
    def balancer_on(self) -> bool:
        """Where its switch is."""
        return self.table_service.balancer_on

    @property
    def reign(self) -> Reign | None:
        """What this master knows of the cluster while it acts."""
        return self.cluster_part.reign

    def cluster(self) -> ClusterStatus | None:
        """For pages and metrics."""
        from registry.master.cluster_view import cluster_status

        reign = self.reign
        return (
            None if reign is None else cluster_status(reign, self.cluster_part.problem, self.table_service.procedures)
        )

    def _campaign_changed(self) -> None:
        self.names_changed()
        self.duties.wake()
        self.cluster_part.wake()


class _Candidacy(Part):
    """The campaign as a part of the server."""

    def __init__(self, master: Master) -> None:
        self._master = master

    async def start(self) -> None:
        """The advertised address is known now, and stands in the znodes."""
        master = self._master
        master.campaign.start(Place(master.advertised, master.info_port))
        master.start_task(master.duties.run(), "duties")
        master.start_task(master.cluster_part.run(), "cluster")
        master.start_task(self._refusal(), "refusal")

    async def drain(self) -> None:
        """First of all the others learn that they may follow."""
        await self._master.campaign.stop()

    async def stop(self) -> None:
        """The same where there was no time to drain."""
        await self._master.campaign.stop()

    async def _refusal(self) -> None:
        raise Refused(await self._master.campaign.refusal)
