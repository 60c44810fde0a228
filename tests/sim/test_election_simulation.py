"""Masters against a model ZooKeeper: whatever happens in whatever order, no two act at one time.

What runs is what runs in `hbeacon master`: Campaign, found, Candidate, Mastership. Modelled are ZooKeeper, the network,
time, and processes that stand still for seconds (SIGSTOP) or die and come back at the same address. Each process takes
tokens all the time and checks them later, as actions do; each check that passes is an effect, and of those must hold:

* one epoch is one process's (invariant 3), epochs rise, and the `/hbase/master` that gave the epoch is there;
* when everything works again, somebody acts within the session time-out and a second.

Where an operator deletes `/hbase/master` or ends the session of a living master, the second half of the first rule
cannot hold (that is what the epoch on every order is for), so those runs check only that no epoch has two masters.

The seed is the parameter of the test. HBEACON_SEEDS=5000 runs more of them; HBEACON_SEED=17 runs one.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from registry.clock import Clock
from registry.master.campaign import Campaign, Place
from registry.master.epoch import Mastership, NotActing, Token
from registry.master.flight import replay
from registry.master.identity import Memory, ProcessMemory
from registry.names import Address
from registry.zk.session import SessionOwner
from tests.sim.model_sessions import ModelServer, ModelSession
from tests.support.seeds import seeds

TIMEOUT_MS = 2000.0
STEPS = 3000
SEEDS = seeds(50)


class ModelClock:
    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def monotonic_ms(self) -> float:
        return self._server.now_ms

    def wall_ms(self) -> float:
        return 1_795_000_000_000.0 + self._server.now_ms


class ModelTimer:
    def __init__(self, due_ms: float, work: Callable[[], None]) -> None:
        self.due_ms = due_ms
        self.work: Callable[[], None] | None = work

    def cancel(self) -> None:
        self.work = None


class Process:
    """One life of one master process at one address."""

    def __init__(
        self, server: ModelServer, number: int, mastership: Callable[[Clock], Mastership], memory: Memory
    ) -> None:
        self.server = server
        self.number = number
        self.sessions: list[ModelSession] = []
        self.timers: list[ModelTimer] = []
        self.stopped_until_ms = 0.0
        self.cut_until_ms = 0.0
        self.pending: list[Token] = []
        clock = ModelClock(server)
        self.mastership = mastership(clock)
        self.campaign = Campaign(
            "/hbase",
            clock,
            self.mastership,
            memory,
            self.open,
            self.later,
            founded_by="simulation",
            changed=lambda: None,
        )
        self.campaign.start(Place(Address(f"m{number}", 16000), 16010))

    def open(self, owner: SessionOwner) -> ModelSession:
        self.sessions.append(ModelSession(self.server, owner))
        return self.sessions[-1]

    def later(self, delay_ms: float, work: Callable[[], None]) -> ModelTimer:
        self.timers.append(ModelTimer(self.server.now_ms + delay_ms, work))
        return self.timers[-1]

    @property
    def session(self) -> ModelSession:
        return self.sessions[-1]

    @property
    def runs(self) -> bool:
        return self.server.now_ms >= self.stopped_until_ms

    def turn(self) -> None:
        """Timers, in whatever order with what the network brings."""
        self.session.reachable = self.server.now_ms >= self.cut_until_ms
        for timer in list(self.timers):
            if timer.due_ms <= self.server.now_ms:
                self.timers.remove(timer)
                if timer.work is not None:
                    timer.work()
        self.session.turn()


class Simulation:
    def __init__(self, seed: int, mastership: Callable[[Clock], Mastership] = Mastership) -> None:
        self.random = random.Random(seed)
        self.server = ModelServer(self.random, TIMEOUT_MS)
        self.deletions = seed % 4 == 3
        self._mastership = mastership
        self.memory = ProcessMemory()
        """One data directory for all."""
        self.processes = [self.process(number) for number in range(self.random.randint(2, 4))]
        self.epochs: dict[int, Process] = {}
        self.last_epoch = 0
        self.effects = 0
        self.faults = True
        self.server_down_until_ms = 0.0

    def process(self, number: int) -> Process:
        return Process(self.server, number, self._mastership, self.memory)

    # --- what may happen ----------------------------------------------------------------------------------------

    def step(self) -> None:
        rng, server = self.random, self.server
        server.now_ms += rng.choice((0, 0, 1, 2, 5, 10, 20))
        if not server.up and server.now_ms >= self.server_down_until_ms:
            server.restart()
        if rng.random() < 0.1:
            server.expire()
        if self.faults and rng.random() < 0.02:
            self.fault()
        for process in rng.sample(self.processes, len(self.processes)):
            if process.runs:
                self.run(process)

    def run(self, process: Process) -> None:
        rng = self.random
        for _ in range(rng.randint(0, 4)):
            connection = process.session.connection
            choice = rng.random()
            if choice < 0.35 and connection is not None and process.session.reachable:
                self.server.work(connection)
            elif choice < 0.7:
                process.session.receive()
            elif choice < 0.85:
                process.turn()
            else:
                self.act(process)

    def act(self, process: Process) -> None:
        """Begin an action, or let one take effect that was begun some time ago."""
        if process.pending and self.random.random() < 0.6:
            token = process.pending.pop(self.random.randrange(len(process.pending)))
            try:
                token.check()
            except NotActing:
                return
            self.effect(process, token.epoch)
        else:
            try:
                process.pending.append(process.mastership.token())
            except NotActing:
                return

    def effect(self, process: Process, epoch: int) -> None:
        self.effects += 1
        assert self.epochs.setdefault(epoch, process) is process, f"two masters act as 0x{epoch:x}"
        if self.deletions:
            return
        assert epoch >= self.last_epoch, f"0x{epoch:x} acts after 0x{self.last_epoch:x}"
        self.last_epoch = epoch
        gone_ms = self.server.past_epochs.get(epoch)
        assert gone_ms is None, f"0x{epoch:x} acts {self.server.now_ms - (gone_ms or 0):.0f} ms after its znode went"

    def fault(self) -> None:
        rng, server = self.random, self.server
        process = rng.choice(self.processes)
        duration_ms = rng.choice((50, 300, 1000, TIMEOUT_MS * 2 / 3, TIMEOUT_MS, TIMEOUT_MS * 1.5, TIMEOUT_MS * 3))
        choice = rng.randint(0, 9)
        if choice <= 2:
            process.stopped_until_ms = server.now_ms + duration_ms
        elif choice <= 4:
            process.cut_until_ms = server.now_ms + duration_ms
        elif choice == 5:
            process.session.lose_connection()
        elif choice == 6:
            self.processes[self.processes.index(process)] = self.process(process.number)
        elif choice == 7 and rng.random() < 0.5:
            server.up = False
            self.server_down_until_ms = server.now_ms + duration_ms
            for other in self.processes:
                other.session.lose_connection()
            if rng.random() < 0.3:
                server.wipe()
        elif choice == 8 and self.deletions:
            server.delete("/hbase/master")
        elif choice == 9 and self.deletions:
            server.end(process.session.session_id)

    # --- the end ------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Everything works from now on."""
        self.faults = False
        now_ms = self.server.now_ms
        self.server_down_until_ms = now_ms
        for process in self.processes:
            process.stopped_until_ms = process.cut_until_ms = now_ms
        self.until_somebody_acts("everything works again")

    def kill_the_active(self) -> None:
        """kill -9, and nothing else is wrong."""
        self.processes = [process for process in self.processes if not process.mastership.epoch]
        self.until_somebody_acts("the active master was killed")

    def until_somebody_acts(self, why: str) -> None:
        now_ms = self.server.now_ms
        while not any(process.mastership.is_acting for process in self.processes):
            self.step()
            took_ms = self.server.now_ms - now_ms
            assert took_ms <= TIMEOUT_MS + 1000, f"nobody acts {took_ms:.0f} ms after {why}"


@pytest.mark.parametrize("seed", SEEDS)
async def test_at_most_one_master_acts(seed: int) -> None:
    simulation = Simulation(seed)
    for _ in range(STEPS):
        simulation.step()
    simulation.heal()
    for _ in range(300):
        simulation.step()
    simulation.kill_the_active()
    for _ in range(100):
        simulation.step()
    assert simulation.effects > 0
    acting = [process for process in simulation.processes if process.mastership.is_acting]
    assert len(acting) <= 1 or simulation.deletions
    for process in simulation.processes:
        check_flight(process.campaign)


def check_flight(campaign: Campaign) -> None:
    """What the recorder kept, played again, is the candidate that there is."""
    if campaign.candidate is None:
        return
    played, _ = replay(campaign.flight.lines())
    assert (played.epoch, played.ended) == (campaign.candidate.epoch, campaign.candidate.ended)
    assert played.standing.master == campaign.candidate.standing.master


class CarelessMastership(Mastership):
    """Believes what it was told last, as a master does that waits for ZooKeeper to say that its session is lost."""

    def why_not(self) -> str:
        return "" if self.epoch else "not elected"


async def test_the_simulation_notices_a_master_without_a_lease() -> None:
    caught = 0
    for seed in range(12):
        simulation = Simulation(seed * 4, CarelessMastership)
        try:
            for _ in range(STEPS):
                simulation.step()
        except AssertionError:
            caught += 1
    assert caught >= 2, f"{caught} of 12 runs showed it"
