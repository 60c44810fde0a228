"""What the HTTP face shows: the one thing a role has to offer to get pages, probes and metrics.

A role implements `StatusSource` over its parts. Everything is read on the role's loop, when a page is asked for, and
nothing is kept between two reads, so plain ints and frozen values are all that is needed. The face imports no socket
and no ZooKeeper code: what those parts tell is described here by shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from registry.faults.control import FaultControl
from registry.histogram import Histogram
from registry.http.cluster_status import ClusterStatus
from registry.http.region_server_status import RegionServerStatus
from registry.lookup.agreement import Disagreement
from registry.lookup.firewall import FirewallAnswer
from registry.lookup.readiness import Readiness, SessionView
from registry.lookup.snapshot import Snapshot
from registry.lookup.visitors import Visitors


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers; fixed from the moment the doors are open."""

    role: str
    """`adapter`, `master`, ... as on the command line."""
    version: str
    """Of this program."""
    host: str
    """Name of the machine, as HBase's `hostname` label has it."""
    pid: int
    started_wall_ms: float
    """Milliseconds since the epoch."""
    advertised: str
    """`host:port` that clients are told."""
    bound: Mapping[str, str]
    """Door (`rpc`, `http`, ...) to the `host:port` it is bound to."""
    zookeeper_quorum: str
    """`host:port,host:port/chroot` that this server reads from, without credentials."""
    znode_parent: str = "/hbase"
    revision: str = ""
    """Commit of this program, where it is known."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as it applies now."""

    key: str
    value: str
    """As text; a secret is masked before it gets here."""
    origin: str
    """Where the value came from: a flag, a variable, a file, `default`."""
    sentence: str = ""
    """What the setting does."""
    final: bool = False
    """A file said `<final>true</final>`."""


class SessionStatusView(SessionView, Protocol):
    """The ZooKeeper session, with its history."""

    @property
    def since_ms(self) -> float:
        """When `state` began, on the monotonic clock of `StatusSource.monotonic_ms`."""
        ...

    @property
    def session_id(self) -> int:
        """0 without a session."""
        ...

    @property
    def negotiated_timeout_ms(self) -> float:
        """What ZooKeeper granted; 0 without a session."""
        ...

    @property
    def last_zxid(self) -> int:
        """Highest zxid seen in an answer."""
        ...

    @property
    def connects(self) -> int:
        """How often the state became connected."""
        ...

    @property
    def suspensions(self) -> int:
        """How often the connection was lost."""
        ...

    @property
    def expirations(self) -> int:
        """How often the session ended and a new one had to be made."""
        ...


@dataclass(frozen=True, slots=True)
class RpcStatus:
    """Counters of the RPC door since the start; plain ints, read when asked for.

    `connections_open`, `calls_executing` and the queues are what is now.
    """

    connections_open: int = 0
    connections_accepted: int = 0
    connections_closed: int = 0
    connections_refused: Mapping[str, int] = field(default_factory=dict[str, int])
    """By reason: the total limit, the limit of one peer, ..."""
    calls: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """(service, method) to calls answered, exceptions included."""
    preambles: Mapping[str, int] = field(default_factory=dict[str, int])
    """`Regist`, `Securi` to preambles answered."""
    exceptions: Mapping[str, int] = field(default_factory=dict[str, int])
    """Java class to answers that carried it."""
    protocol_errors: Mapping[str, int] = field(default_factory=dict[str, int])
    """Kind to connections closed for what the peer sent."""
    received_bytes: int = 0
    sent_bytes: int = 0
    queue_bytes: int = 0
    """Bytes of the calls that wait: HBase's queueSize."""
    calls_in_queue: Mapping[str, int] = field(default_factory=dict[str, int])
    """`general`, `priority`, `replication`, ... to calls that wait."""
    calls_executing: int = 0
    calls_expired: int = 0
    """Calls dropped because the client's time-out passed while they waited."""
    calls_shed: int = 0
    """Calls refused because the queue was full (CallQueueTooBigException)."""
    authentication_successes: int = 0
    authentication_failures: int = 0
    slow_readers_closed: int = 0
    slow_writers_closed: int = 0
    """Closed to keep what was received of unfinished requests within its limit."""
    slow_handshakes_closed: int = 0
    idle_closed: int = 0
    lookup_times: Histogram = field(default_factory=Histogram)
    """How long look-ups took on the connections that are timed, one in some."""


class HandOutView(Protocol):
    """The server lists that clients are given. Elements are names that `str` writes as HBase does."""

    @property
    def masters(self) -> Sequence[object]:
        """Answer of GetMasters."""
        ...

    @property
    def bootstrap_nodes(self) -> Sequence[object]:
        """Answer of GetBootstrapNodes."""
        ...

    @property
    def source(self) -> str:
        """Where the lists come from: `tier`, `cluster`, or `auto` and what it chose."""
        ...


@dataclass(frozen=True, slots=True)
class GuardStatus:
    """The parent process that restarts a server whose loop stands still."""

    enabled: bool
    timeout_ms: float = 0.0
    pid: int = 0
    """Of the guard."""
    restarts: int = 0
    """Workers started after the first one."""
    last_reason: str = ""
    """Why the last worker was replaced."""
    last_restart_wall_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class ElectionStatus:
    """A master's place in the election of the active one."""

    role: str
    """`active`, `standby`, or `candidate` while neither is known."""
    server_name: str
    """host,port,startcode of the present life; empty between two."""
    active_master: str
    """Whom the election has made active, as this master saw it last; empty where it has not."""
    acting: bool
    """Whether an action may begin now; an active master that has not heard from ZooKeeper may not."""
    why_not: str = ""
    epoch: int = 0
    """czxid of our own znode; 0 where there is none."""
    lease_left_ms: float = 0.0
    lives: int = 0
    """Candidates of this process, the present one included."""
    elections: int = 0
    """How often one of them became active."""
    since_ms: float = 0.0
    """When `epoch` last changed, on the monotonic clock of the source."""
    session_id: int = 0
    session_connected: bool = False


class MetaTableStatesView(Protocol):
    """How reading states of tables from hbase:meta goes, for a façade over a ZooKeeper that has none."""

    @property
    def wanted(self) -> bool:
        """Whether they are needed now."""
        ...

    @property
    def age_ms(self) -> float:
        """Since the last complete reading was begun; infinite before the first."""
        ...

    @property
    def tables(self) -> int:
        """How many were read."""
        ...

    @property
    def readings(self) -> int:
        """Complete ones since the start."""
        ...

    @property
    def failures(self) -> int:
        """Readings that failed since the start."""
        ...

    @property
    def problem(self) -> str:
        """Why the last one failed; empty where it did not."""
        ...


class StatusSource(Protocol):
    """What a role tells about itself. Every member returns at once and never raises."""

    @property
    def identity(self) -> Identity:
        """Who answers."""
        ...

    @property
    def snapshot(self) -> Snapshot:
        """What is answered now."""
        ...

    @property
    def session(self) -> SessionStatusView:
        """The ZooKeeper session."""
        ...

    @property
    def visitors(self) -> Visitors:
        """Who has bootstrapped here."""
        ...

    @property
    def max_age_ms(self) -> float:
        """`hbeacon.registry.ready.max_age_ms` as it applies now."""
        ...

    def wall_ms(self) -> float:
        """Now, milliseconds since the epoch."""
        ...

    def monotonic_ms(self) -> float:
        """Now, on a clock that never goes back."""
        ...

    def uptime_ms(self) -> float:
        """Since the role started."""
        ...

    def age_ms(self) -> float:
        """Age of `snapshot`: since it was last known to be all there is; infinite before the first complete one."""
        ...

    def refusing_stale(self) -> bool:
        """Whether look-ups are refused now because ZooKeeper has been silent for too long."""
        ...

    def readiness(self) -> Readiness:
        """The verdict of `registry.lookup.readiness`."""
        ...

    def disagreements(self) -> Sequence[Disagreement]:
        """Answers that differ from a peer's now, young ones too."""
        ...

    def hand_out(self) -> HandOutView:
        """The lists that clients are given now."""
        ...

    def rpc(self) -> RpcStatus:
        """Counters of the RPC door."""
        ...

    def guard(self) -> GuardStatus:
        """The guard, or that there is none."""
        ...

    def election(self) -> ElectionStatus | None:
        """A master's; None for a role that does not stand."""
        ...

    def region_server(self) -> RegionServerStatus | None:
        """A region server's regions, stores and links; None for other roles, always for them."""
        ...

    def cluster(self) -> ClusterStatus | None:
        """The cluster, of the active master that leads it; None for everybody else."""
        ...

    def firewall(self) -> FirewallAnswer:
        """Whether ZooKeeper may be firewalled now."""
        ...

    def meta_table_states(self) -> MetaTableStatesView | None:
        """How reading states of tables from hbase:meta goes; None where nobody may need them."""
        ...

    def faults(self) -> FaultControl | None:
        """The faults that are set on the RPC door; None where they are not enabled."""
        ...

    def election_lines(self) -> Sequence[str]:
        """What a master's candidates have heard, oldest first; nothing of other roles."""
        ...

    def settings(self) -> Sequence[SettingRow]:
        """Every setting, sorted by key; secrets masked."""
        ...

    def flight_lines(self) -> Sequence[str]:
        """The flight recorder, oldest first, in the scenario format."""
        ...
