"""What the active master tells of its cluster: servers, tables, regions in transition, errors, procedures.

Read on the role's loop when a page is asked for, as all of registry.http.status; spans are milliseconds at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from registry.http.region_server_status import StoreReach

STUCK_MS = 60_000.0
"""HBase's hbase.metrics.rit.stuck.warning.threshold: a region that long in transition wants somebody to look."""
DATA_NOT_REACHABLE = "data not reachable"
"""Begins the reason of a region that no live server may open, because none reaches its store."""


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One live region server."""

    server_name: str
    regions: int
    info_port: int = -1
    draining: bool = False
    """/hbase/draining names it: nothing is opened there."""
    read_requests: int = 0
    write_requests: int = 0
    requests_per_s: float | None = None
    store_file_bytes: int = 0
    memstore_bytes: int = 0
    reported_ms: float | None = None
    """Since its last report; None before the first to this master."""
    stores: Sequence[StoreReach] = ()


@dataclass(frozen=True, slots=True)
class TableRow:
    """One table."""

    name: str
    state: str
    """ENABLED, DISABLED, ENABLING, DISABLING."""
    regions: Mapping[str, int] = field(default_factory=dict[str, int])
    """HBase's state of a region (OPEN, OPENING, ...) to how many are in it."""

    @property
    def total(self) -> int:
        """How many regions it has."""
        return sum(self.regions.values())

    @property
    def open(self) -> int:
        """How many of them are open."""
        return self.regions.get("OPEN", 0)


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """One region that is to be elsewhere, or otherwise, than it is."""

    name: str
    """As HBase writes it, the encoded name at its end."""
    table: str
    state: str
    since_ms: float
    """How long it has been in transition."""
    server: str = ""
    """Where it was last, or is being opened."""
    reason: str = ""
    """Why it waits, in words; empty while it is on its way."""


@dataclass(frozen=True, slots=True)
class FatalErrorRow:
    """What a region server said before it ended (ReportRSFatalError)."""

    server_name: str
    text: str
    wall_ms: float


@dataclass(frozen=True, slots=True)
class ProcedureRow:
    """One procedure that has not ended, or has ended lately."""

    proc_id: int
    kind: str
    """HBase's class of it, such as CreateTableProcedure."""
    state: str
    """RUNNABLE, WAITING, SUCCESS, FAILED, ROLLEDBACK, ..."""
    target: str = ""
    """Table, namespace, region or server that it is about."""
    step: str = ""
    since_ms: float = 0.0
    problem: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is done for it."""
        return self.state in ("SUCCESS", "FAILED", "ROLLEDBACK")


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """One moment of the cluster, as its active master knows it."""

    initialized: bool
    """Until then tables can be read and written where they are, and not changed."""
    waits_for: str = ""
    """What the master waits for, in words; empty once it is initialized."""
    meta_server: str = ""
    """Where hbase:meta is open; empty where it is not."""
    servers: Sequence[ServerRow] = ()
    dead_servers: Sequence[str] = ()
    """Server names that died under this master and have no later life yet."""
    tables: Sequence[TableRow] = ()
    transitions: Sequence[TransitionRow] = ()
    fatal_errors: Sequence[FatalErrorRow] = ()
    """Latest first."""
    errors_seen: int = 0
    """Since this master has become active; more than `fatal_errors` keeps."""
    procedures: Sequence[ProcedureRow] = ()
    """Those that run first, then the latest."""

    @property
    def regions(self) -> int:
        """Of all live servers."""
        return sum(server.regions for server in self.servers)

    def unreachable(self) -> Sequence[TransitionRow]:
        """Regions that wait for a server that reaches their data."""
        return [row for row in self.transitions if row.reason.startswith(DATA_NOT_REACHABLE)]

    def stuck(self) -> Sequence[TransitionRow]:
        """Regions that have been in transition for too long."""
        return [row for row in self.transitions if row.since_ms > STUCK_MS]


def cluster_doubts(status: ClusterStatus) -> Iterator[str]:
    """Why the cluster is not healthy, a sentence each; nothing when it is."""
    if not status.initialized:
        yield f"the master is not initialized: {status.waits_for or 'it has just become active'}"
    if unreachable := status.unreachable():
        yield f"{_regions(unreachable)}: {unreachable[0].reason}"
    if stuck := [row for row in status.stuck() if row not in unreachable]:
        longest = max(stuck, key=lambda row: row.since_ms)
        why = f": {longest.reason}" if longest.reason else ""
        yield f"{_regions(stuck)}, in transition for {longest.since_ms / 1000:.0f} s{why}"


def _regions(rows: Sequence[TransitionRow]) -> str:
    if len(rows) == 1:
        return f"{rows[0].name} is not open"
    tables = sorted({row.table for row in rows})
    return f"{len(rows)} regions of {', '.join(tables[:3])}{', ...' if len(tables) > 3 else ''} are not open"
