"""Virtual time, a network and a ZooKeeper that several servers follow: no socket, no loop, one source of chance."""

from __future__ import annotations

import heapq
import random
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from registry.client.answers import What
from registry.lookup.events import Confirmed, Effect
from registry.lookup.snapshot import Master, MetaLocation
from registry.names import ServerName
from registry.wire import znode
from registry.zk.paths import ZNodePaths
from tests.sim.model_zookeeper import Life, ModelZooKeeper

PATHS = ZNodePaths("/hbase")
SALT = b"\0" * 8
ZXID_FIRST = 1000
"""So that a history that begins anew is seen to be one: it is behind the old one when servers meet it."""
BEGIN_MS = 1_000_000.0
"""Of virtual time; traces count from here."""
QUESTIONS_OF = {What.CLUSTER_ID: PATHS.cluster_id, What.ACTIVE_MASTER: PATHS.master, What.META_LOCATIONS: PATHS.meta}


class Timer:
    """What is to happen; `cancel` and it does not."""

    __slots__ = ("work",)

    def __init__(self, work: Callable[[], None]) -> None:
        self.work: Callable[[], None] | None = work

    def cancel(self) -> None:
        self.work = None


class World:
    """One queue of events. Implements registry.clock.Clock."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"world {seed}")
        self.now_ms = BEGIN_MS
        self.trace: list[str] = []
        self.counts: Counter[str] = Counter()
        """What was seen to happen: a simulation in which nothing happens finds nothing."""
        self._queue: list[tuple[float, int, Timer]] = []
        self._number = 0

    def monotonic_ms(self) -> float:
        return self.now_ms

    def wall_ms(self) -> float:
        return 1_795_000_000_000.0 + self.now_ms

    def say(self, line: str) -> None:
        """One line of the trace."""
        self.trace.append(f"{self.now_ms - BEGIN_MS:10.3f} {line}")

    def later(self, delay_ms: float, work: Callable[[], None]) -> Timer:
        """Events of the same moment happen in the order in which they were asked for."""
        timer = Timer(work)
        self._number += 1
        heapq.heappush(self._queue, (self.now_ms + max(delay_ms, 0.0), self._number, timer))
        return timer

    def run(self, until_ms: float) -> None:
        """Everything until then, counted from the beginning."""
        end_ms = BEGIN_MS + until_ms
        while self._queue and self._queue[0][0] <= end_ms:
            self.now_ms, _, timer = heapq.heappop(self._queue)
            if timer.work is not None:
                timer.work()
        self.now_ms = end_ms

    def latency_ms(self) -> float:
        """Of one message: a fraction of a millisecond, and sometimes some more."""
        chance = self.chance.random()
        return 0.2 + chance + (self.chance.uniform(5, 25) if chance < 0.01 else 0.0)


class Path:
    """Between one client and one server: messages arrive in order; a partition holds them back, as TCP does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._held: list[Callable[[], None]] = []
        self._last_ms = 0.0
        self.is_cut = False
        self.disturbed_ms = 0.0
        """When it last was cut, or lost connections."""

    def send(self, arrive: Callable[[], None]) -> None:
        """Have `arrive` called at the other end."""
        world = self._world
        at_ms = max(world.now_ms + world.latency_ms(), self._last_ms)
        self._last_ms = at_ms
        world.later(at_ms - world.now_ms, lambda: self._arrive(arrive))

    def cut(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self.is_cut = True

    def heal(self) -> None:
        """What was held back arrives late."""
        self.is_cut = False
        self.disturbed_ms = self._world.now_ms
        held, self._held = self._held, []
        for arrive in held:
            self.send(arrive)

    def _arrive(self, arrive: Callable[[], None]) -> None:
        if self.is_cut:
            self._held.append(arrive)
        else:
            arrive()


@dataclass(frozen=True)
class Moment:
    """What was true from then on."""

    at_ms: float
    life: int
    zxid: int
    values: Mapping[What, object]


class Link(ModelZooKeeper):
    """One server's connection to the shared ZooKeeper; messages take time, and none while it is frozen."""

    def __init__(self, world: World, life: Life, take: Callable[[], None]) -> None:
        super().__init__()
        self.life = life
        self._world = world
        self._take = take
        self.frozen = False
        """By a partition, or because the process stands still."""
        self._turn_due = False
        self._sync_sent_ms: float | None = None
        """Of the `sync` under way, or of the heartbeat that follows it."""
        self._sync_answered = False

    def carry_out(self, effects: list[Effect]) -> None:
        self.now_ms = self._world.now_ms
        before = len(self.requests)
        super().carry_out(effects)
        for _ in range(len(self.requests) - before):
            self._world.later(self._world.latency_ms(), self._serve)

    def heartbeat(self) -> None:
        self.now_ms = self._world.now_ms
        super().heartbeat()
        self._world.later(self._world.latency_ms(), self._serve)

    def ask_leader(self) -> None:
        """A `sync`, and when it is answered a heartbeat, as ZooKeeperWatcher.ask_leader has it; one at a time."""
        if self.connected and self._sync_sent_ms is None:
            self._sync_sent_ms, self._sync_answered = self._world.now_ms, False
            self._world.later(2 * self._world.latency_ms(), lambda epoch=self.epoch: self._leader_answered(epoch))

    def _leader_answered(self, epoch: int) -> None:
        if epoch != self.epoch or self.frozen or self._sync_sent_ms is None or self._sync_answered:
            return
        self._sync_answered = True
        self.last_zxid = max(self.last_zxid, self.life.zxid)
        self.after_sync[self._world.now_ms] = self._sync_sent_ms
        self.heartbeat()

    def connect(self, *, new_session: bool = False) -> None:
        self.now_ms = self._world.now_ms
        super().connect(new_session=new_session)
        self._pass_on()

    def disconnect(self) -> None:
        super().disconnect()
        self._sync_sent_ms = None
        self._pass_on()

    def hear(self, path: str, kind: str) -> None:
        """Something was changed: the server tells if there is a watch."""
        before = len(self.wire)
        self._fire(path, kind)
        if len(self.wire) > before:
            self._world.later(self._world.latency_ms(), self._receive)

    def thaw(self) -> None:
        """What was held back comes late."""
        self.frozen = False
        for _ in self.requests:
            self._world.later(self._world.latency_ms(), self._serve)
        for _ in self.wire:
            self._world.later(self._world.latency_ms(), self._receive)
        self._world.later(self._world.latency_ms(), lambda epoch=self.epoch: self._leader_answered(epoch))
        self._pass_on()

    def _serve(self) -> None:
        if not self.frozen and self.requests:
            self.answer_one()
            self._world.later(self._world.latency_ms(), self._receive)

    def _receive(self) -> None:
        if not self.frozen:
            self.receive_one()
            last = self.loop[-1] if self.loop else None
            if isinstance(last, Confirmed) and last.synced_at_ms is not None:
                self._sync_sent_ms = None
            self._pass_on()

    def _pass_on(self) -> None:
        if self.loop and not self._turn_due:
            self._turn_due = True
            self._world.later(0.05, self._turn)

    def _turn(self) -> None:
        self._turn_due = False
        self._take()


class SharedZooKeeper(ModelZooKeeper):
    """The ZooKeeper that all servers follow, what was written to it, and when."""

    def __init__(self, world: World) -> None:
        self.moments: list[Moment] = []
        self.links: list[Link] = []
        self._world = world
        self._meaning: dict[bytes, object] = {}
        super().__init__()
        self.life.zxid = ZXID_FIRST
        self.found()

    def found(self) -> None:
        """What a cluster needs to be one."""
        cluster_id = str(uuid.UUID(int=self.life.number))
        self.create(PATHS.root)
        self.create(PATHS.rs)
        self._put(PATHS.cluster_id, znode.encode_cluster_id(cluster_id, "m", SALT), cluster_id)
        self.master(0)
        self.meta(0)

    def master(self, number: int) -> None:
        """Another master is active."""
        name = ServerName(f"m{number}", 16000, self.life.zxid)
        self._put(PATHS.master, znode.encode_master(Master(name, 16010), "m", SALT), name)

    def meta(self, number: int) -> None:
        """hbase:meta is on another server."""
        name = ServerName(f"r{number}", 16020, self.life.zxid)
        self._put(PATHS.meta, znode.encode_meta_location(MetaLocation(0, name, "OPEN"), "m", SALT), name)

    def lose_history(self) -> None:
        """All is gone, and another cluster is founded at once."""
        for link in self.links:
            link.disconnect()
        self.wipe()
        for link in self.links:
            link.life = self.life
        self.found()

    def zxid_at(self, at_ms: float) -> tuple[int, int]:
        """Life and zxid then."""
        now = next(moment for moment in reversed(self.moments) if moment.at_ms <= at_ms)
        return now.life, now.zxid

    def true_since(self, what: What, life: int, zxid: int, since_ms: float, until_ms: float) -> set[object]:
        """Every value that was there between the zxid, or the moment where it is later, and `until_ms`."""
        begin = 0
        for index, moment in enumerate(self.moments):
            if moment.at_ms <= since_ms or (moment.life, moment.zxid) <= (life, zxid):
                begin = index
        # several changes of one moment: whoever looked then may have seen any of them
        return {
            moment.values[what]
            for moment in self.moments[begin:]
            if moment.life == life and moment.at_ms <= until_ms and what in moment.values
        }

    def _put(self, path: str, data: bytes, meaning: object) -> None:
        self._meaning[data] = meaning
        if path in self.life.nodes:
            self.set(path, data)
        else:
            self.create(path, data)

    def _remember(self) -> None:
        super()._remember()
        nodes = self.life.nodes
        values = {what: self._meaning[nodes[path].data] for what, path in QUESTIONS_OF.items() if path in nodes}
        self.moments.append(Moment(self._world.now_ms, self.life.number, self.life.zxid, values))

    def _fire(self, path: str, kind: str) -> None:
        for link in self.links:
            link.hear(path, kind)
