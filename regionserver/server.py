"""The region server: the registry of every role, regions that the master has opened here, and the way to the master."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from protos.hbase import HBase_pb2
from protos.hbeacon import ClusterV1_pb2
from regionserver.admin_service.maintenance import Maintenance
from regionserver.admin_service.service import AdminCalls
from regionserver.bootstrap import TIMES_LIMIT, add_bootstrap_service
from regionserver.client_service.results import RESULT_BYTES_MAX
from regionserver.client_service.scanners import Scanners
from regionserver.door import ClientDoor
from regionserver.engine.store import StoreError
from regionserver.gate import Gate
from regionserver.hosting.hosted import REGION_NAME, Hosted, HostedRegions
from regionserver.hosting.orders import Orders
from regionserver.hosting.reports import Reports
from regionserver.hosting.store_files import StoreFiles
from regionserver.hosting.stores import Stores
from regionserver.life import Life
from regionserver.link import MasterLink
from regionserver.load import Loads
from regionserver.region.region import Region
from regionserver.settings import DATA_DIR, engine_of, host_settings_of, nonces_of, rules_of
from registry.clock import Clock
from registry.config.settings import Settings
from registry.guarded import GuardLink
from registry.lookup.readiness import Check
from registry.lookup.snapshot import Snapshot
from registry.names import ServerName
from registry.role import mapping
from registry.role.part import Part
from registry.role.server import RoleServer
from registry.rpc.context import RpcServerSettings
from registry.rpc.scheduler import SchedulerSettings
from registry.rpc.services import ServiceTable
from registry.wire.limits import WireLimits
from registry.wire.znode import encode_server_name

if TYPE_CHECKING:
    from registry.http.region_server_status import RegionServerStatus

logger = logging.getLogger("regionserver")

RESULT_SIZE = "hbase.server.scanner.max.result.size"
UNREAD_BYTES_MAX = 128 << 20
"""Answers that may wait for one client: one of them may have 100 MiB, and many are asked for at once."""
ALL_UNREAD_BYTES_MAX = 512 << 20


class RegionServer(RoleServer):
    """One region server in one process. `run` is its whole life; another life is another process."""

    role = "regionserver"
    needs_master = False

    def __init__(self, settings: Settings, load: Callable[[], Settings], link: GuardLink | None, clock: Clock) -> None:
        self.gate = Gate(clock)
        self.engine = engine_of(settings)
        """What keeps the rows: `rocksdb` or `memory`."""
        self.storage_problem = ""
        """Why the stores cannot be trusted any more; empty where they can."""
        self.reached: Sequence[ClusterV1_pb2.ReachedStore] = ()
        """The stores of the machine as last looked at."""
        self.files: Mapping[str, StoreFiles] = {}
        """What lies in files of those that are open here, by store id, at the same moment."""
        directory = settings.str_(DATA_DIR).strip()
        self.stores = Stores(
            Path(directory) if directory else None,
            self.engine,
            cache_bytes=settings.bytes_("hbeacon.engine.cache_bytes"),
            buffers_bytes=settings.bytes_("hbeacon.engine.buffers_bytes"),
            broken=self._store_broken,
            inherit=lambda done: self.door.nonces.inherit(done),
        )
        self.reports = Reports()
        self.regions = HostedRegions(ServerName("", 0, 0), clock)
        generation = int(clock.wall_ms()) // 10  # another life within a hundredth of a second has the same port taken
        scanners = Scanners(
            generation,
            lease_ms=float(settings.ms("hbase.client.scanner.timeout.period")),
            result_bytes_max=settings.bytes_(RESULT_SIZE),
            ahead_bytes_max=settings.bytes_("hbeacon.scanner.ahead_bytes"),
        )
        call_soon = asyncio.get_running_loop().call_soon
        self.orders = Orders(self.stores, self.regions, self.reports, scanners, clock, rules_of(settings))
        self.door = ClientDoor(
            self.gate,
            self.regions.region_of,
            scanners,
            clock,
            self.orders.check_epoch,
            call_soon,
            find=self._found,
            endpoints=host_settings_of(settings),
            nonces=nonces_of(settings),
        )
        self.regions.when_served = self._served
        self.regions.when_withdrawn = lambda hosted: self.door.observers.closed(hosted.region)
        self.loads = Loads(clock)
        self.maintenance = Maintenance(self.regions, clock)
        super().__init__(settings, load, link, clock)

    # --- what a role says of itself -------------------------------------------------------------------------------

    @staticmethod
    def rpc_settings(settings: Settings) -> RpcServerSettings:
        """HBase's own limits: requests are as long as rows are."""
        base = mapping.rpc_settings(settings)
        larger_bytes = max(settings.bytes_(RESULT_SIZE) - RESULT_BYTES_MAX, 0)
        return RpcServerSettings(
            limits=WireLimits(frame_bytes_max=settings.bytes_("hbase.ipc.max.request.size")),
            scheduler=SchedulerSettings(
                handlers_max=settings.int_("hbase.regionserver.handler.count"),
                priority_handlers_max=settings.int_("hbase.regionserver.metahandler.count"),
                queue_bytes_max=settings.bytes_("hbase.ipc.server.max.callqueue.size"),
            ),
            connections_max=base.connections_max,
            connections_per_peer_max=base.connections_per_peer_max,
            idle_timeout_ms=base.idle_timeout_ms,
            write_buffer_bytes_max=max(base.write_buffer_bytes_max, UNREAD_BYTES_MAX + larger_bytes),
            send_bytes_max=ALL_UNREAD_BYTES_MAX + larger_bytes,
        )

    def make_services(self) -> ServiceTable:
        """Those of HBase's region servers."""
        table = mapping.service_table()
        self.door.add_to(table)
        AdminCalls(
            self.regions,
            self.stores,
            self.orders,
            self.maintenance,
            check_open=self.gate.check,
            region_load=self.loads.region_load,
            info_port=lambda: self.info_port,
            reload=self._asked_to_reload,
            stop=self._stop_by_call,
        ).add_to(table)
        add_bootstrap_service(table, self.bootstrap_nodes)
        return table

    def make_parts(self) -> list[Part]:
        """Registration, and all that follows from it."""
        self.link = MasterLink(self._active_master, self.clock, self.reports)
        self.life = Life(self)
        return [*super().make_parts(), self.life]

    def answers(self, snapshot: Snapshot) -> bool:
        """Ready is who is registered: it can serve what the master opens here."""
        return super().answers(snapshot) and self.gate.is_open

    def own_names(self) -> frozenset[ServerName]:
        """All servers of the cluster but those that were asked and did not speak: they are hbeacon's, all of them."""
        snapshot = self.feed.snapshot
        if self.gate.name is None and not snapshot.region_servers.value:
            return frozenset()
        names = {server.server_name for server in snapshot.region_servers.value or ()}
        names.update(snapshot.backup_masters.value or ())
        if snapshot.active_master.value is not None:
            names.add(snapshot.active_master.value.server_name)
        if self._selfcheck is not None:
            names -= self._selfcheck.silent()
        if self.gate.name is not None:
            names.add(self.gate.name)
        return frozenset(names)

    def region_server(self) -> RegionServerStatus:
        """For pages, probes and metrics."""
        from regionserver.status import region_server_status

        return region_server_status(self)

    def more_checks(self) -> Iterable[Check]:
        """Registered, with regions open, a lease that holds, and stores that work."""
        from registry.http.region_server_status import region_server_checks

        return region_server_checks(self.region_server())

    # --- what pages and the master are told -----------------------------------------------------------------------

    @property
    def registered(self) -> bool:
        """Whether the master has taken this server in, and its znode was made."""
        return self.gate.name is not None

    @property
    def lease_left_ms(self) -> float:
        """How long clients are answered without another answer of ZooKeeper; 0 where they are not."""
        return max(0.0, self.life.membership.lease.left_ms(self.clock.monotonic_ms()))

    @property
    def info_port(self) -> int:
        """Of the pages; -1 where they are off."""
        return self.http.address.port if self.http.address else -1

    @property
    def requests_count(self) -> int:
        """Calls answered since the start, of all services."""
        return self.rpc.stats.calls.total()

    def bootstrap_nodes(self) -> Sequence[ServerName]:
        """Region servers that clients may begin with."""
        known = {server.server_name for server in self.feed.snapshot.region_servers.value or ()}
        if self.gate.name is not None:
            known.add(self.gate.name)
        speaking = sorted(known & self.own_names()) or sorted(known)
        return speaking[: TIMES_LIMIT * self.settings.int_("hbase.client.bootstrap.node.limit")]

    def server_report(self, name: ServerName) -> ClusterV1_pb2.ServerReport:
        """What RegionServerReport says now."""
        return ClusterV1_pb2.ServerReport(
            server=encode_server_name(name),
            load=self.loads.server_load(self.regions.online(), self.requests_count, self.info_port),
            store=self.reached,
        )

    # --- what happens ---------------------------------------------------------------------------------------------

    def cluster_changed(self, snapshot: Snapshot) -> None:
        """ZooKeeper tells something new; called for each snapshot."""
        del snapshot  # who needs it reads the newest
        self.names_changed()
        self.link.wake_for_master()
        self.life.membership.wake()

    def is_registered(self) -> None:
        """The ready line waits for this."""
        self.names_changed()
        self._snapshot_seen(self.feed.snapshot)

    def stop_soon(self) -> None:
        """End in order, as SIGTERM does."""
        self._stop_asked.set()

    def _stop_by_call(self, reason: str) -> None:
        logger.warning("stopped by a call: %s", reason)
        self.stop_soon()

    def _found(self, spec: HBase_pb2.RegionSpecifier) -> tuple[Region, HBase_pb2.TableSchema]:
        hosted = self.regions.hosted_of(spec)
        return hosted.region, hosted.schema

    def _served(self, hosted: Hosted) -> None:
        spec = HBase_pb2.RegionSpecifier(type=REGION_NAME, value=hosted.info.name)
        self.door.observers.opened(spec, hosted.region)

    def _active_master(self) -> ServerName | None:
        master = self.feed.snapshot.active_master.value
        return master.server_name if master is not None else None

    def _store_broken(self, error: StoreError) -> None:
        if not self.storage_problem:
            self.storage_problem = str(error)
            self.life.end(f"a store failed: {error}")
