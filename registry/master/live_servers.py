"""Region servers as the active master knows them: who lives, who is dead, what each reaches. Pure.

A server lives while its znode below /hbase/rs is there and nobody newer has its address. Dead is for ever: the name of
a life never comes back. What it reaches, and its load, are of its own reports.

Source: ServerManager, RegionServerTracker, DeadServer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from protos.hbase import ClusterStatus_pb2
from protos.hbeacon import ClusterV1_pb2
from registry.names import ServerName
from registry.wire.errors import ClockOutOfSyncException, YouAreDeadException

MAX_CLOCK_SKEW_MS = 30_000
"""hbase.master.maxclockskew"""
UNHEARD_MS = 60_000
"""A process that holds a store for so long without being in ZooKeeper does not start: it hangs, and no master that
still lives has seen it end."""
DEAD_MAX, FATAL_MAX, STORES_MAX = 1000, 100, 10_000
FATAL_TEXT_MAX = 20_000

OPEN, FREE, OWNED = ClusterV1_pb2.ReachedStore.OPEN, ClusterV1_pb2.ReachedStore.FREE, ClusterV1_pb2.ReachedStore.OWNED


@dataclass(frozen=True, slots=True)
class Reached:
    """A store that a server sees."""

    store_id: str
    reach: int
    """OPEN, FREE or OWNED of ClusterV1.ReachedStore."""
    home: bool = False
    owner: str = ""
    """Name of the server that has it, or had it last."""
    in_cluster: bool = False
    """A server with it was in a cluster that had an hbase:meta."""
    meta: tuple[int, int] | None = None
    """hbase:meta was: by an order of this epoch, with this number. The highest of all stores has its rows."""


@dataclass(slots=True)
class LiveServer:
    """One server that is not known to be dead."""

    name: ServerName
    started_ms: float
    """When this master first heard of it, monotonic."""
    in_zookeeper: bool = False
    """Its znode has been seen: before that it gets no orders."""
    is_met: bool = False
    """It knows the epoch of this master, and this master what it serves: before that it gets no orders either."""
    reported_ms: float | None = None
    stores: dict[str, Reached] = field(default_factory=dict[str, Reached])
    load: ClusterStatus_pb2.ServerLoad = field(default_factory=ClusterStatus_pb2.ServerLoad)

    @property
    def home(self) -> str:
        """Id of its own store; empty before it has said so."""
        return next((store.store_id for store in self.stores.values() if store.home and store.reach == OPEN), "")

    @property
    def is_usable(self) -> bool:
        """Whether regions may be opened there."""
        return self.in_zookeeper and self.is_met and self.reported_ms is not None


@dataclass(frozen=True, slots=True)
class FatalError:
    """What a region server told before it ended."""

    server: ServerName
    text: str
    at_wall_ms: float


class LiveServers:
    """Belongs to one master in one epoch; times are given by the caller."""

    def __init__(self) -> None:
        self.known: dict[ServerName, LiveServer] = {}
        self.dead: dict[ServerName, float] = {}
        """To the wall time at which it was found dead; the oldest are forgotten."""
        self.draining: frozenset[ServerName] = frozenset()
        self.fatal: deque[FatalError] = deque(maxlen=FATAL_MAX)
        self.fatal_count = 0
        """All that were told, also those that `fatal` keeps no more."""
        self.changes = 0
        """Rises when regions may find a place that had none before."""
        self._unheard: dict[str, float] = {}
        """Owners of stores that nobody has heard of, to when this master first heard of them from others, monotonic."""
        self._given_up: set[str] = set()
        """Those of them that hang."""

    # --- what is asked ------------------------------------------------------------------------------------------

    def live(self) -> list[LiveServer]:
        """Those that are in ZooKeeper, by name."""
        return sorted((server for server in self.known.values() if server.in_zookeeper), key=lambda each: each.name)

    def usable(self) -> list[LiveServer]:
        """Those that orders may go to, by name."""
        return [server for server in self.live() if server.is_usable]

    def is_dead(self, name: ServerName) -> bool:
        """Whether that life is over for good: found dead, or its address has a newer one."""
        return name in self.dead or any(
            other.address == name.address and other.start_code > name.start_code for other in self.known
        )

    def owner_is_gone(self, owner: str) -> bool:
        """Whether the one that a store names as its owner is dead, so that the store may be taken from it.

        It hangs and is dead, too, where a master has forgotten it that ended before this one began.
        """
        try:
            name = ServerName.parse(owner)
        except ValueError:
            return False
        return self.is_dead(name) or (owner in self._given_up and name not in self.known)

    # --- what is told -------------------------------------------------------------------------------------------

    def startup(self, name: ServerName, its_wall_ms: float, wall_ms: float, now_ms: float) -> list[ServerName]:
        """A server begins; gives the older lives of its address, which are over: have them `died`.

        Raises ClockOutOfSyncException, YouAreDeadException.
        """
        skew_ms = abs(wall_ms - its_wall_ms)
        if skew_ms > MAX_CLOCK_SKEW_MS:
            raise ClockOutOfSyncException(
                f"Server {name} has been rejected; Reported time is too far out of sync with master. "
                f" Time difference of {skew_ms:.0f}ms > max allowed of {MAX_CLOCK_SKEW_MS}ms"
            )
        self._refuse_dead(name, "STARTUP")
        older = [other for other in self.known if other.address == name.address and other != name]
        self.known.setdefault(name, LiveServer(name, now_ms))
        return older

    def report(
        self, name: ServerName, stores: Iterable[Reached], load: ClusterStatus_pb2.ServerLoad, now_ms: float
    ) -> bool:
        """What a server reaches now; whether that is something else than before. Raises YouAreDeadException."""
        self._refuse_dead(name, "REPORT")
        server = self.known.setdefault(name, LiveServer(name, now_ms))
        reached = {store.store_id: store for store in list(stores)[:STORES_MAX]}
        changed = server.stores != reached or server.reported_ms is None
        server.reported_ms, server.stores, server.load = now_ms, reached, load
        if changed:
            self.changes += 1
        self._listen_for({store.owner for store in reached.values() if store.reach == OWNED}, now_ms)
        return changed

    def _listen_for(self, owners: set[str], now_ms: float) -> None:
        """Owners that a server meets: those of whom nothing else is heard for long are given up."""
        if not owners and not self._unheard:
            return
        heard = {str(name) for name in (*self.known, *self.dead)}
        for owner in owners - heard - self._given_up:
            if now_ms - self._unheard.setdefault(owner, now_ms) >= UNHEARD_MS:
                self._given_up.add(owner)
                self.changes += 1
        for owner in self._unheard.keys() & heard:
            del self._unheard[owner]

    def fatal_error(self, name: ServerName, text: str, wall_ms: float) -> None:
        """Kept for people."""
        self.fatal_count += 1
        self.fatal.append(FatalError(name, text[:FATAL_TEXT_MAX], wall_ms))

    def seen(self, names: Sequence[ServerName], now_ms: float) -> tuple[list[ServerName], list[ServerName]]:
        """Which znodes are below /hbase/rs: who has come, and who is dead by that: have them `died`."""
        there = set(names)
        come: list[ServerName] = []
        for name in names:
            if self.is_dead(name):
                continue  # its session has not ended yet
            server = self.known.setdefault(name, LiveServer(name, now_ms))
            if not server.in_zookeeper:
                server.in_zookeeper = True
                self.changes += 1
                come.append(name)
        gone = [server.name for server in self.known.values() if server.in_zookeeper and server.name not in there]
        older = [name for name in self.known if name not in gone and self.is_dead(name)]
        return come, gone + older

    def met(self, name: ServerName) -> None:
        """It knows our epoch, and we what it serves."""
        server = self.known.get(name)
        if server is not None and not server.is_met:
            server.is_met = True
            self.changes += 1

    def died(self, name: ServerName, wall_ms: float) -> bool:
        """It is dead; whether that is news."""
        if name in self.dead:
            return False
        self.known.pop(name, None)
        self.dead[name] = wall_ms
        while len(self.dead) > DEAD_MAX:
            del self.dead[next(iter(self.dead))]
        self.changes += 1
        return True

    def drain(self, names: Iterable[ServerName]) -> None:
        """These get no more regions."""
        drained = frozenset(names)
        if drained != self.draining:
            self.draining = drained
            self.changes += 1

    def _refuse_dead(self, name: ServerName, what: str) -> None:
        if self.is_dead(name):
            raise YouAreDeadException(f"Server {what} rejected; currently processing {name} as dead server")
