"""A StatusSource whose every part a test can set, with a small cluster behind it to begin with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from registry.client.table_states import TableStatesView
from registry.faults.control import FaultAccess, FaultControl
from registry.faults.machine import Faults
from registry.http.cluster_status import ClusterStatus
from registry.http.region_server_status import RegionServerStatus, region_server_checks
from registry.http.status import ElectionStatus, GuardStatus, Identity, RpcStatus, SettingRow
from registry.lookup.agreement import Disagreement
from registry.lookup.firewall import FirewallAnswer, ZooKeeperLooks, firewall_answer
from registry.lookup.readiness import Readiness, readiness
from registry.lookup.snapshot import (
    Fact,
    FactState,
    Master,
    MetaLocation,
    RegionServer,
    Snapshot,
    Version,
    Znode,
)
from registry.lookup.visitors import Visitors
from registry.names import ServerName
from registry.rpc.context import RpcServerSettings
from registry.rpc.fault_desk import FaultDesk
from registry.rpc.server import RpcServer
from registry.rpc.services import ServiceTable
from tests.support.clock import ManualClock
from tests.support.rpc import BODIES, SERVICE

CLUSTER_ID = "0c3b7a5e-9f7e-4f0c-8a55-0f1f5f4f2d11"
ACTIVE = ServerName("m1.example.org", 16000, 1_795_000_000_001)
STANDBY = ServerName("m2.example.org", 16000, 1_795_000_000_002)


IDENTITY = Identity(
    role="adapter",
    version="0.1.0",
    host="gate-1",
    pid=4242,
    started_wall_ms=1_795_000_000_000.0,
    advertised="gate-1.example.org:16000",
    bound=MappingProxyType({"rpc": "0.0.0.0:16000", "http": "0.0.0.0:16010"}),
    zookeeper_quorum="zk1:2181,zk2:2181,zk3:2181",
    revision="0123abc",
)


@dataclass(frozen=True)
class Session:
    state: str = "connected"
    fatal: str = ""
    since_ms: float = 1_000_000.0
    session_id: int = 0x1000_0A0B_0C0D
    negotiated_timeout_ms: float = 40_000.0
    last_zxid: int = 0x2_0000_0107
    connects: int = 1
    suspensions: int = 0
    expirations: int = 0


@dataclass(frozen=True)
class HandOut:
    masters: Sequence[ServerName] = (ACTIVE, STANDBY)
    bootstrap_nodes: Sequence[ServerName] = ()
    source: str = "tier"


@dataclass(frozen=True)
class Info:
    """What a connection header tells."""

    user: str = "alice"
    service: str = "ClientMetaService"
    version: str = "2.6.4"


def small_snapshot() -> Snapshot:
    servers = [ServerName(f"rs{number}.example.org", 16020, 1_795_000_000_100 + number) for number in range(3)]
    return Snapshot(
        version=Version(1, 0x2_0000_0107),
        complete=True,
        cluster_id=Fact(FactState.KNOWN, "/hbase/hbaseid", CLUSTER_ID, 0x1_0000_0005),
        active_master=Fact(FactState.KNOWN, "/hbase/master", Master(ACTIVE, 16010), 0x2_0000_0010),
        backup_masters=Fact(FactState.KNOWN, "/hbase/backup-masters", (STANDBY,), 0x2_0000_0011),
        meta_locations=Fact(
            FactState.KNOWN, "/hbase/meta-region-server", (MetaLocation(0, servers[0], "OPEN"),), 0x2_0000_0040
        ),
        region_servers=Fact(
            FactState.KNOWN,
            "/hbase/rs",
            tuple(RegionServer(server, 16030, "2.6.4") for server in servers),
            0x2_0000_0041,
        ),
        table_states=Fact(
            FactState.KNOWN,
            "/hbase/table",
            MappingProxyType({"orders": "ENABLED", "ns:events": "ENABLED", "old": "DISABLED"}),
            0x2_0000_0060,
        ),
        znodes=MappingProxyType(
            {
                "/hbase/hbaseid": Znode("/hbase/hbaseid", FactState.KNOWN, b"\xff..."),
                "/hbase/master": Znode("/hbase/master", FactState.KNOWN, b"\xff..."),
            }
        ),
    )


def unread_snapshot() -> Snapshot:
    """What there is before ZooKeeper has said anything."""
    return Snapshot(
        version=Version(0, 0),
        complete=False,
        cluster_id=Fact(FactState.UNREAD, "/hbase/hbaseid"),
        active_master=Fact(FactState.UNREAD, "/hbase/master"),
        backup_masters=Fact(FactState.UNREAD, "/hbase/backup-masters"),
        meta_locations=Fact(FactState.UNREAD, "/hbase/meta-region-server"),
        region_servers=Fact(FactState.UNREAD, "/hbase/rs"),
        table_states=Fact(FactState.UNREAD, "/hbase/table"),
    )


def forbid(snapshot: Snapshot, *paths: str) -> Snapshot:
    """The snapshot of a reader whom ZooKeeper keeps out of the paths."""
    nodes = {path: Znode(path, FactState.FORBIDDEN) for path in paths}
    changed = replace(snapshot, znodes=MappingProxyType({**snapshot.znodes, **nodes}))
    if "/hbase/backup-masters" in paths:
        changed = replace(changed, backup_masters=Fact(FactState.FORBIDDEN, "/hbase/backup-masters"))
    return changed


@dataclass
class FakeStatus:
    """Implements registry.http.status.StatusSource."""

    clock: ManualClock = field(default_factory=ManualClock)
    identity: Identity = IDENTITY
    snapshot: Snapshot = field(default_factory=small_snapshot)
    session: Session = field(default_factory=Session)
    max_age_ms: float = 30_000.0
    age: float = 120.0
    refusing: bool = False
    draining: bool = False
    disagreeing: Sequence[Disagreement] = ()
    handed_out: HandOut = field(default_factory=HandOut)
    counters: RpcStatus = field(default_factory=RpcStatus)
    guarded: GuardStatus = field(default_factory=lambda: GuardStatus(enabled=False))
    setting_rows: Sequence[SettingRow] = (
        SettingRow("hbase.zookeeper.quorum", "zk1,zk2,zk3", "/etc/hbase/conf/hbase-site.xml", final=True),
        SettingRow("hbeacon.zookeeper.auth", "********", "environment HBEACON_ZOOKEEPER_AUTH"),
    )
    elected: ElectionStatus | None = None
    serving: RegionServerStatus | None = None
    led: ClusterStatus | None = None
    flight: Sequence[str] = ("session-connected 0x20000000107", "znode-read /hbase/master")

    looks: Sequence[ZooKeeperLooks] = ()
    meta_tables: TableStatesView | None = None
    fault_control: FaultControl | None = None

    def __post_init__(self) -> None:
        self.visitors = Visitors(self.clock)

    def wall_ms(self) -> float:
        return self.clock.wall_ms()

    def monotonic_ms(self) -> float:
        return self.clock.monotonic_ms()

    def uptime_ms(self) -> float:
        return self.clock.wall_ms() - self.identity.started_wall_ms

    def age_ms(self) -> float:
        return self.age

    def refusing_stale(self) -> bool:
        return self.refusing

    def readiness(self) -> Readiness:
        return readiness(
            self.snapshot,
            self.age,
            self.session,
            self.disagreeing,
            self.max_age_ms,
            refusing_stale=self.refusing,
            draining=self.draining,
            faults=[str(row.rule) for row in self.fault_control.rows()] if self.fault_control is not None else (),
            needs_master=self.serving is None,
            more=region_server_checks(self.serving) if self.serving is not None else (),
        )

    def disagreements(self) -> Sequence[Disagreement]:
        return self.disagreeing

    def hand_out(self) -> HandOut:
        return self.handed_out

    def rpc(self) -> RpcStatus:
        return self.counters

    def guard(self) -> GuardStatus:
        return self.guarded

    def election(self) -> ElectionStatus | None:
        return self.elected

    def region_server(self) -> RegionServerStatus | None:
        return self.serving

    def cluster(self) -> ClusterStatus | None:
        return self.led

    def firewall(self) -> FirewallAnswer:
        return firewall_answer(
            self.visitors,
            self.clock.monotonic_ms(),
            self.clock.wall_ms(),
            facade_open=True,
            looks=self.looks,
            look_interval_ms=10_000,
        )

    def meta_table_states(self) -> TableStatesView | None:
        return self.meta_tables

    def faults(self) -> FaultControl | None:
        return self.fault_control

    def election_lines(self) -> Sequence[str]:
        return ('{"heard": "life"}',) if self.elected else ()

    def settings(self) -> Sequence[SettingRow]:
        return self.setting_rows

    def flight_lines(self) -> Sequence[str]:
        return self.flight


def allow_faults(source: FakeStatus, access: FaultAccess | None = None) -> FaultDesk:
    """Behind an RPC door that is closed; nobody needs a loop until a fault has a count or an end."""
    server = RpcServer(RpcServerSettings(), ServiceTable(), source.clock)
    server.set_ready(SERVICE, BODIES)
    made = server.allow_faults(Faults(random.Random, lambda: 1), access or FaultAccess())
    source.fault_control = made
    return made
