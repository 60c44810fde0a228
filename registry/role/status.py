"""What a server tells its pages: a `StatusSource` over its parts, read on the loop when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Generic, TypeVar

from registry.client.table_states import TableStatesView
from registry.clock import Clock
from registry.config.keys import KEYS
from registry.config.settings import Settings
from registry.faults.control import FaultControl
from registry.guarded import GuardLink
from registry.http.cluster_status import ClusterStatus
from registry.http.region_server_status import RegionServerStatus
from registry.http.status import ElectionStatus, GuardStatus, Identity, RpcStatus, SettingRow
from registry.lookup.agreement import Disagreement
from registry.lookup.feed import RegistryFeed, SessionStatus
from registry.lookup.firewall import FirewallAnswer
from registry.lookup.handout import HandOut
from registry.lookup.readiness import Readiness
from registry.lookup.snapshot import Snapshot
from registry.lookup.visitors import Visitors
from registry.rpc.stats import RpcStats

RECENT_MS = 200.0
"""A page, its health and its metrics ask several times in one moment, and each answer may go through thousands of
regions."""

T = TypeVar("T")


class _Recent(Generic[T]):
    """What `make` gives, made anew after a moment."""

    def __init__(self, clock: Clock, make: Callable[[], T]) -> None:
        self._clock = clock
        self._make = make
        self._made: tuple[float, T] | None = None

    def __call__(self) -> T:
        now_ms = self._clock.monotonic_ms()
        if self._made is None or now_ms - self._made[0] >= RECENT_MS:
            self._made = now_ms, self._make()
        return self._made[1]


class RoleStatus:
    """Implements registry.http.status.StatusSource. The callables give what changes while the server runs."""

    def __init__(
        self,
        identity: Identity,
        clock: Clock,
        feed: RegistryFeed,
        stats: Callable[[], RpcStats],
        visitors: Visitors,
        *,
        link: GuardLink | None,
        settings: Callable[[], Settings],
        hand_out: Callable[[], HandOut],
        disagreements: Callable[[], Sequence[Disagreement]],
        refusing: Callable[[], bool],
        readiness: Callable[[], Readiness],
        election: Callable[[], ElectionStatus | None],
        election_lines: Callable[[], Sequence[str]],
        region_server: Callable[[], RegionServerStatus | None],
        cluster: Callable[[], ClusterStatus | None],
        firewall: Callable[[], FirewallAnswer],
        tables: Callable[[], TableStatesView | None],
        faults: FaultControl | None,
    ) -> None:
        self.identity = identity
        self.visitors = visitors
        self._clock = clock
        self._feed = feed
        self._stats = stats
        self._link = link
        self._settings = settings
        self._hand_out = hand_out
        self._disagreements = disagreements
        self._refusing = refusing
        self._readiness = readiness
        self._election = election
        self._election_lines = election_lines
        self._region_server = _Recent(clock, region_server)
        self._cluster = _Recent(clock, cluster)
        self._firewall = firewall
        self._tables = tables
        self._faults = faults
        self._started_ms = clock.monotonic_ms()

    @property
    def snapshot(self) -> Snapshot:
        """What is answered now."""
        return self._feed.snapshot

    @property
    def session(self) -> SessionStatus:
        """The ZooKeeper session."""
        return self._feed.session

    @property
    def max_age_ms(self) -> float:
        """As it applies now."""
        return float(self._settings().ms("hbeacon.registry.ready.max_age_ms"))

    def wall_ms(self) -> float:
        """The calendar."""
        return self._clock.wall_ms()

    def monotonic_ms(self) -> float:
        """The clock that never goes back."""
        return self._clock.monotonic_ms()

    def uptime_ms(self) -> float:
        """Of this worker; a guard's restarts begin anew."""
        return self._clock.monotonic_ms() - self._started_ms

    def age_ms(self) -> float:
        """Of the snapshot."""
        return self._feed.age_ms()

    def refusing_stale(self) -> bool:
        """Whether look-ups are refused now."""
        return self._refusing()

    def readiness(self) -> Readiness:
        """Whether clients may be sent here now."""
        return self._readiness()

    def disagreements(self) -> Sequence[Disagreement]:
        """Answers that differ from a peer's."""
        return self._disagreements()

    def hand_out(self) -> HandOut:
        """The lists that clients are given now."""
        return self._hand_out()

    def rpc(self) -> RpcStatus:
        """Counters of the RPC door."""
        # Not asdict: it makes a Counter of pairs out of a Counter.
        stats = self._stats()
        return RpcStatus(**{row.name: getattr(stats, row.name) for row in fields(RpcStatus)})

    def guard(self) -> GuardStatus:
        """What the guard told when it started this worker."""
        timeout_ms = float(self._settings().ms("hbeacon.guard.timeout_ms"))
        if self._link is None:
            return GuardStatus(False, timeout_ms)
        link = self._link
        return GuardStatus(True, timeout_ms, link.guard_pid, link.restarts, link.reason, link.restart_wall_ms)

    def election(self) -> ElectionStatus | None:
        """A master's place in the election."""
        return self._election()

    def region_server(self) -> RegionServerStatus | None:
        """A region server's regions, stores and links."""
        return self._region_server()

    def cluster(self) -> ClusterStatus | None:
        """The cluster that this master leads."""
        return self._cluster()

    def firewall(self) -> FirewallAnswer:
        """Whether ZooKeeper may be firewalled now."""
        return self._firewall()

    def meta_table_states(self) -> TableStatesView | None:
        """How reading states of tables from hbase:meta goes."""
        return self._tables()

    def faults(self) -> FaultControl | None:
        """The faults of the RPC door."""
        return self._faults

    def election_lines(self) -> Sequence[str]:
        """What a master's candidates have heard."""
        return self._election_lines()

    def settings(self) -> Sequence[SettingRow]:
        """Every setting, sorted by key."""
        settings = self._settings()
        return [
            SettingRow(
                name,
                settings.shown(name),
                settings.origin(name),
                KEYS[name].sentence if name in KEYS else "",
            )
            for name in sorted(settings)
        ]

    def flight_lines(self) -> Sequence[str]:
        """The flight recorder."""
        return self._feed.flight.lines()
