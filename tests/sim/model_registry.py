"""A registry server in virtual time: the cache, the publisher and the judgement of freshness that ship, and its faults.

Around them is what a process has: a guard that keeps the floor of versions, a session with ZooKeeper, a queue of
calls that waits while the process stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from registry.client.answers import What
from registry.client.questions import QUESTIONS
from registry.lookup.cache import RegistryCache
from registry.lookup.freshness import Verdict, Wants, judge
from registry.lookup.handout import HandOutMode, HandOutSettings
from registry.lookup.snapshot import Snapshot, Version
from registry.names import Address
from registry.role.kept import Kept
from registry.role.publishing import Publisher
from tests.sim.model_world import PATHS, QUESTIONS_OF, Link, SharedZooKeeper, World

SESSION_MS = 1500.0
"""Silence after which a connection to ZooKeeper is given up."""
HEARTBEAT_MS = 200.0
START_MS = 150.0
"""From the end of a worker to the first byte that its successor answers."""
FRESH_MS_MAX = 1000.0


@dataclass(frozen=True)
class Reply:
    """What leaves a server: the bytes, and for the judge when and by which life of it."""

    body: bytes
    stamp: bytes
    server: int
    at_ms: float


Answer = Callable[[Reply | None], None]
"""Called with the reply, or with None where the wants of the question are not met."""


@dataclass
class Waiting:
    """A question whose wants the snapshot does not meet yet."""

    method: str
    wants: Wants
    since_ms: float
    answer: Answer


class Registry:
    """One address; its processes come and go."""

    def __init__(self, world: World, zookeeper: SharedZooKeeper, number: int) -> None:
        self.number = number
        self.address = Address(f"s{number}", 16000)
        self.life = 0
        """Of the process: connections belong to one."""
        self.up = False
        self.hung = False
        self.cut = False
        """From ZooKeeper."""
        self._slow_ms = self.slow_ms_most = 0.0
        self.half = False
        self.disturbed_ms = 0.0
        """When it last was none that can answer."""
        self.unsure_ms = 0.0
        """When it last had no working connection to ZooKeeper."""
        self.known_since_ms: dict[What, float] = {}
        self.life_of: dict[int, int] = {}
        """Generation to the history of ZooKeeper that it means."""
        self._world = world
        self._zookeeper = zookeeper
        self._kept = ""
        self._inbox: list[Callable[[], None]] = []
        self._waiting: list[Waiting] = []
        self._bodies: Mapping[str, bytes] = {}
        self._cache: RegistryCache
        self._snapshot: Snapshot
        self._link: Link | None = None
        self._publisher: Publisher
        self.start()
        world.later(world.chance.uniform(0, HEARTBEAT_MS), self._beat)

    @property
    def slow_ms(self) -> float:
        """Added to each answer; `slow_ms_most` is the most of it so far."""
        return self._slow_ms

    @slow_ms.setter
    def slow_ms(self, by_ms: float) -> None:
        self._slow_ms, self.slow_ms_most = by_ms, max(by_ms, self.slow_ms_most)

    # --- the process --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A worker, after its predecessor's end or for the first time."""
        world = self._world
        self.life += 1
        self.up, self.hung = True, False
        self.disturbed_ms = self.unsure_ms = world.now_ms
        self._cache = RegistryCache(PATHS, Kept.parse(self._kept).version)
        self._snapshot = self._cache.snapshot
        settings = HandOutSettings(HandOutMode.TIER, tuple(Address(f"s{each}", 16000) for each in range(3)))
        self._publisher = Publisher(self, self, world, settings, self.number)
        self._publisher.publish()
        self._link = Link(world, self._zookeeper.life, self._turn)
        self._link.frozen = self.cut
        self._zookeeper.links.append(self._link)
        world.later(world.latency_ms() * 5, self._connect)
        world.say(f"server {self.number} life {self.life} starts, floor {self._cache.snapshot.version}")

    def kill(self) -> None:
        """SIGKILL: connections are reset, and until the next start refused."""
        self.up = False
        self.life += 1
        self.known_since_ms.clear()
        self._inbox.clear()
        self._waiting.clear()
        if self._link is not None:
            self._zookeeper.links.remove(self._link)
            self._link = None

    def stop(self) -> None:
        """SIGSTOP."""
        if self.up and not self.hung:
            self.hung = True
            assert self._link is not None
            self._link.frozen = True
            life = self.life
            self._world.later(SESSION_MS, lambda: self._expire(life))

    def resume(self) -> None:
        """SIGCONT: what has come meanwhile is worked on."""
        if self.up and self.hung:
            self.hung = False
            self.disturbed_ms = self._world.now_ms
            self._thaw()
            inbox, self._inbox = self._inbox, []
            for work in inbox:
                work()

    # --- ZooKeeper ----------------------------------------------------------------------------------------------

    def cut_off(self) -> None:
        """Nothing passes between it and ZooKeeper."""
        self.cut = True
        if self._link is not None:
            self._link.frozen = True
            life = self.life
            self._world.later(SESSION_MS, lambda: self._expire(life))

    def reach_again(self) -> None:
        """The partition is over."""
        self.cut = False
        self._thaw()

    def lose_session(self) -> None:
        """ZooKeeper resets the connection."""
        if self._link is not None:
            self._link.disconnect()

    def _thaw(self) -> None:
        if self._link is None or self.hung or self.cut:
            return
        self.unsure_ms = self._world.now_ms
        self._link.thaw()
        if not self._link.connected:
            self._world.later(self._world.latency_ms() * 5, self._connect)

    def _expire(self, life: int) -> None:
        if life == self.life and self._link is not None and self._link.frozen:
            self._link.disconnect()

    def _connect(self) -> None:
        link = self._link
        if link is not None and not link.frozen and not link.connected and not self.hung:
            link.connect(new_session=True)

    def _beat(self) -> None:
        self._world.later(HEARTBEAT_MS, self._beat)
        if self._link is not None and not self.hung and not self.cut:
            if self._link.connected:
                self._link.heartbeat()
            else:
                self._connect()

    def _turn(self) -> None:
        """The loop takes what ZooKeeper has sent."""
        link = self._link
        if link is None or self.hung:
            return
        while link.loop:
            link.carry_out(self._cache.apply(link.loop.popleft()))
        if not link.connected:
            self.unsure_ms = self._world.now_ms
        self._cache.validate()
        snapshot = self._cache.snapshot
        if snapshot is not self._snapshot:
            assert snapshot.version >= self._snapshot.version, "a version goes back in one process"
            self.life_of.setdefault(snapshot.version.generation, link.life.number)
            self._snapshot = snapshot
            self._publisher.publish()
            self._kept = Kept(16000, 0, snapshot.version).text()
            self._world.counts["published"] += 1
        self._look_at_waiting()

    # --- what the publisher needs -------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        """As the feed has it: taken at the end of a turn."""
        return self._snapshot

    def age_ms(self) -> float:
        """As the feed counts it."""
        confirmed_at_ms = self._cache.confirmed_at_ms
        if confirmed_at_ms is None or not self._snapshot.complete:
            return float("inf")
        return max(0.0, self._world.now_ms - confirmed_at_ms)

    def set_ready(self, service: str, bodies: Mapping[str, bytes]) -> None:
        """The RPC door: these bytes are answered from now on."""
        del service
        self._bodies = bodies
        facts = dict(self._snapshot.facts())
        for what in QUESTIONS_OF:
            if facts[what.value].value is None:
                self.known_since_ms.pop(what, None)
            else:
                self.known_since_ms.setdefault(what, self._world.now_ms)

    def set_cluster_id(self, cluster_id: str | None) -> None:
        """The preamble is not asked here."""

    # --- calls --------------------------------------------------------------------------------------------------

    def call(self, what: What, wants: Wants, answer: Answer) -> None:
        """A call has arrived; `answer` is called once, or never where the process ends first."""
        if self.hung:
            self._inbox.append(lambda: self.call(what, wants, answer))
            return
        life = self.life
        slow_ms = self.slow_ms * self._world.chance.uniform(0.9, 1.1)

        def work() -> None:
            if self.life != life:
                return
            if self.hung:
                self._inbox.append(work)
            else:
                self._answer(Waiting(QUESTIONS[what].method, wants, self._world.now_ms, answer))

        self._world.later(0.02 + slow_ms, work)

    def can_answer_since_ms(self, what: What, wants: Wants) -> float:
        """Since when a look-up of this kind would succeed here; infinite where it would not."""
        known_ms = self.known_since_ms.get(what)
        if not self.up or self.hung or self.half or known_ms is None:
            return float("inf")
        since_ms = max(self.disturbed_ms, known_ms)
        if wants:
            if self.cut or self._link is None or not self._link.connected or not self._snapshot.complete:
                return float("inf")
            since_ms = max(since_ms, self.unsure_ms)
        return since_ms

    @property
    def version(self) -> Version:
        """Of the newest snapshot."""
        return self._snapshot.version

    def _answer(self, question: Waiting) -> None:
        if self._judge(question) is Verdict.ANSWER:
            self._reply(question)
            return
        self._world.counts["waited for freshness"] += 1
        self._waiting.append(question)
        self._world.later(FRESH_MS_MAX, lambda: self._too_late(question))
        self._ask_leader()

    def _judge(self, question: Waiting, *, was_read: bool = False) -> Verdict:
        waited_ms = self._world.now_ms - question.since_ms
        complete = self._snapshot.complete
        return judge(
            question.wants, self.version, self.age_ms(), complete=complete, waited_ms=waited_ms, was_read=was_read
        )

    def _look_at_waiting(self) -> None:
        """As the feed wakes those who wait, and FreshReader judges then."""
        synced_at_ms = self._cache.synced_at_ms
        for question in list(self._waiting):
            if synced_at_ms is None or synced_at_ms < question.since_ms or not self._snapshot.complete:
                continue
            self._waiting.remove(question)
            if self._judge(question, was_read=True) is Verdict.ANSWER:
                self._reply(question)
            else:
                question.answer(None)
        if self._waiting:
            self._ask_leader()

    def _ask_leader(self) -> None:
        if self._link is not None:
            self._link.ask_leader()

    def _too_late(self, question: Waiting) -> None:
        if question not in self._waiting:
            return
        self._waiting.remove(question)
        if self._judge(question) is Verdict.ANSWER:
            self._reply(question)
        else:
            question.answer(None)

    def _reply(self, question: Waiting) -> None:
        body, stamp = self._bodies[question.method], self._publisher.stamp(question.method)
        question.answer(Reply(body, stamp, self.number, self._world.now_ms))
