"""A scenario played on the whole Python client: its loop, tasks, time-outs and bytes are the real ones, time is not.

Of a scenario's lines those count that are about servers, paths and what is answered; what happens to ZooKeeper is
another simulation's (tests/sim/lookup_run.py).
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

from registry.client.answers import Answer, What
from registry.client.attempts import RegistryLookupError
from registry.client.connection import Connection
from registry.client.rpc_source import RpcSource
from registry.client.settings import ClientSettings
from registry.client.target import RpcTarget
from registry.names import Address, ServerName
from tests.sim.lookup_checks import PATIENCE_MS, PATIENCE_USUALS, SLACK_MS
from tests.sim.memory_network import CLIENT, MemoryServer, Network
from tests.sim.scenarios import Happening, Scenario
from tests.support.registry import CLUSTER_ID, bodies
from tests.support.virtual_loop import VirtualLoop

START_MS = 150.0
"""From the end of a worker to the first byte that its successor answers."""
PROMPT_MS = 50.0
"""A look-up that is cancelled has ended by then."""
CLOSED_MS = 5000.0
LIMITS_MS = (1500.0, 3000.0, 6000.0)
KINDS = (What.CLUSTER_ID, What.ACTIVE_MASTER, What.META_LOCATIONS)
RUNS = itertools.count(1)
"""Clients of one process that ask the same servers share a budget: each run has addresses of its own."""


class ClientRun:
    """AssertionError is raised by `play`."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.trace: list[str] = []
        self.look_ups = 0
        self.loop = VirtualLoop()
        self._chance = random.Random(f"clients {scenario.seed}")
        run = next(RUNS)
        host = f"10.{run >> 16 & 255}.{run >> 8 & 255}.{run & 255}"
        self._addresses = [Address(host, 16000 + number) for number in range(scenario.servers)]
        self.network = Network(self.loop, self._chance, self._addresses, bodies())
        self.counts = self.network.counts
        self._truth: dict[int, dict[What, object]] = {}
        """Every zxid, and what was so from then on."""
        self._says(ServerName("m0", 16000, 1), ServerName("r0", 16020, 1))
        self._broken: list[str] = []
        self._begun_ms = self.loop.monotonic_ms()

    def play(self) -> ClientRun:
        """All of it."""
        self.loop.set_exception_handler(self._unhandled)
        try:
            self.loop.run_until_complete(self._run())
            self.loop.run_for(CLOSED_MS)
            assert not self._broken, self._broken[0]
            left = asyncio.all_tasks(self.loop)
            assert not left, f"tasks are left: {left}"
            for client in range(self.scenario.clients):
                assert not self.network.open_count(client), f"client {client} has closed, but not its connections"
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_for(1)
            self.loop.close()
        return self

    def say(self, line: str) -> None:
        """One line of the trace."""
        self.trace.append(f"{self.loop.monotonic_ms() - self._begun_ms:10.3f} {line}")

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._broken.append(f"nobody has heard of this: {context['message']}: {context.get('exception')!r}")

    async def _run(self) -> None:
        for happening in self.scenario.happenings:
            self.network.later(happening.at_ms, lambda each=happening: self._happen(each))
        clients = [asyncio.create_task(self._client(number)) for number in range(self.scenario.clients)]
        await asyncio.gather(*clients)

    # --- what happens -------------------------------------------------------------------------------------------

    def _happen(self, each: Happening) -> None:
        work = getattr(self, f"_{each.verb}", None)
        if work is not None:
            self.say(f"! {each}")
            self.counts[each.verb] += 1
            work(**each.values)

    def _hang(self, server: int, for_ms: int) -> None:
        it = self.network.servers[server]
        it.stop()
        self.network.later(for_ms, it.resume)

    def _kill(self, server: int, for_ms: int) -> None:
        it = self.network.servers[server]
        if it.up:
            it.kill()
            self.network.later(max(for_ms, START_MS), lambda: None if it.up else it.start())

    def _slow(self, server: int, by_ms: int, for_ms: int) -> None:
        it = self.network.servers[server]
        it.slow_ms, it.slow_ms_most = by_ms, max(it.slow_ms_most, by_ms)
        self.network.later(for_ms, lambda: setattr(it, "slow_ms", 0.0))

    def _half(self, server: int, for_ms: int) -> None:
        it = self.network.servers[server]
        it.half = True

        def whole() -> None:
            it.half = False
            it.settle()

        self.network.later(for_ms, whole)

    def _part(self, client: int, server: int, for_ms: int) -> None:
        path = self.network.path(client, server)
        path.cut()
        self.network.later(for_ms, path.heal)

    def _reset(self, client: int, server: int) -> None:
        path = self.network.path(client, server)
        path.settle()
        for pipe in tuple(self.network.servers[server].pipes):
            if pipe.path is path:
                pipe.server_end.abort()

    def _master(self, to: int) -> None:
        now = self._truth[self.network.zxid]
        self._says(ServerName(f"m{to}", 16000, self.network.zxid), now[What.META_LOCATIONS])

    def _meta(self, to: int) -> None:
        now = self._truth[self.network.zxid]
        self._says(now[What.ACTIVE_MASTER], ServerName(f"r{to}", 16020, self.network.zxid))

    def _says(self, master: object, meta: object) -> None:
        assert isinstance(master, ServerName)
        assert isinstance(meta, ServerName)
        self.network.publish(bodies(master=master, meta=meta))
        self._truth[self.network.zxid] = {
            What.CLUSTER_ID: CLUSTER_ID,
            What.ACTIVE_MASTER: master,
            What.META_LOCATIONS: meta,
        }

    # --- clients ------------------------------------------------------------------------------------------------

    async def _client(self, number: int) -> None:
        CLIENT.set(number)
        chance = random.Random(f"client {self.scenario.seed} {number}")
        await asyncio.sleep(chance.uniform(0.0, 0.2))
        end_ms = self._begun_ms + self.scenario.duration_ms
        while self.loop.monotonic_ms() < end_ms:
            settings = ClientSettings()
            source = RpcSource(RpcTarget(tuple(self._addresses), What.BOOTSTRAP_NODES), settings, self.loop, chance)
            async with Connection(source, settings, self.loop, chance, "sim") as connection:
                seen: dict[str, int] = {}
                for _ in range(chance.randint(3, 40)):
                    await self._turn(number, connection, source, chance, seen)
                    connection.refresh()
                    await asyncio.sleep(chance.expovariate(1 / 0.1))
                    if self.loop.monotonic_ms() >= end_ms:
                        break

    async def _turn(
        self, number: int, connection: Connection, source: RpcSource, chance: random.Random, seen: dict[str, int]
    ) -> None:
        """One question, or three at once, or one that its asker gives up."""
        how = chance.random()
        if how < 0.1:
            await self._given_up(number, connection, chance)
            return
        kinds = KINDS if how < 0.2 else (chance.choice(KINDS),)
        limit_ms = chance.choice(LIMITS_MS)
        await asyncio.gather(*(self._look_up(number, connection, source, what, limit_ms, seen) for what in kinds))
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling(), "a look-up that has ended leaves its caller cancelled"

    async def _given_up(self, number: int, connection: Connection, chance: random.Random) -> None:
        """By a time-out of the caller's own, or cancelled."""
        after_ms = chance.choice((0.0, 1.0, 5.0, 30.0, 200.0))
        what = chance.choice(KINDS)
        begun_ms = self.loop.monotonic_ms()
        self.counts["given up"] += 1
        ended = "answered"
        if chance.random() < 0.5:
            try:
                async with asyncio.timeout(after_ms / 1000):
                    await _ask(connection, what, 6000.0)
            except TimeoutError:
                ended = "timed out"
        else:
            task = asyncio.create_task(_ask(connection, what, 6000.0))
            await asyncio.sleep(after_ms / 1000)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=PROMPT_MS / 1000)
            assert done, f"client {number}: a look-up that was cancelled goes on"
            ended = "cancelled" if task.cancelled() else "answered"
        took_ms = self.loop.monotonic_ms() - begun_ms
        self.say(f"client {number} {what.value} {ended} by its asker after {took_ms:.3f} ms")
        assert took_ms <= after_ms + PROMPT_MS, f"client {number}: given up after {after_ms} ms, ended at {took_ms:.0f}"

    async def _look_up(
        self,
        number: int,
        connection: Connection,
        source: RpcSource,
        what: What,
        limit_ms: float,
        seen: dict[str, int],
    ) -> None:
        begun_ms, zxid = self.loop.monotonic_ms(), self.network.zxid
        self.look_ups += 1
        try:
            answer = await _ask(connection, what, limit_ms)
        except RegistryLookupError as error:
            told = "fails"
            self._check_failure(number, begun_ms, error)
        else:
            told = f"from server {self._number_of(answer.server)}"
            self._check_answer(answer, zxid, seen)
        took_ms = self.loop.monotonic_ms() - begun_ms
        self.say(f"client {number} {what.value} {told} after {took_ms:.3f} ms")
        self._check_wait(number, source, what, begun_ms, took_ms)

    # --- what must hold -----------------------------------------------------------------------------------------

    def _able(self, client: int, since_ms: float) -> list[MemoryServer]:
        """Who could have answered all the time."""
        paths = {server.number: self.network.path(client, server.number) for server in self.network.servers}
        return [
            server
            for server in self.network.servers
            if server.up and not (server.hung or server.half) and server.disturbed_ms < since_ms
            if not paths[server.number].is_cut and paths[server.number].disturbed_ms < since_ms
        ]

    def _check_failure(self, client: int, begun_ms: float, error: RegistryLookupError) -> None:
        self.counts["failed"] += 1
        able = self._able(client, begun_ms)
        if able:
            raise AssertionError(f"client {client}: fails although server {able[0].number} could answer: {error}")

    def _check_wait(self, client: int, source: RpcSource, what: What, begun_ms: float, took_ms: float) -> None:
        able = self._able(client, begun_ms)
        if not able:
            return
        self.counts["waits checked"] += 1
        usual_ms = source._policy.pool.usual_ms  # pyright: ignore[reportPrivateUsage]
        share_ms = max(PATIENCE_MS, PATIENCE_USUALS * usual_ms)
        slowest_ms = max(server.slow_ms_most for server in able)
        # connecting, and the answer on a connection that is kept: two round trips
        limit_ms = (len(self._addresses) - 1) * share_ms + 2.2 * slowest_ms + 2 * SLACK_MS
        assert took_ms <= limit_ms, (
            f"client {client}: {what.value} took {took_ms:.0f} ms, at most {limit_ms:.0f}"
            f" as server {able[0].number} could answer"
        )

    def _check_answer(self, answer: Answer[Any], asked_zxid: int, seen: dict[str, int]) -> None:
        assert answer.version is not None
        zxid = answer.version.zxid
        assert zxid >= seen.get(answer.server, 0), f"{answer.server} goes back to {zxid}"
        seen[answer.server] = zxid
        value = answer.value[0].server_name if answer.what is What.META_LOCATIONS else answer.value
        was_so = [self._truth[each][answer.what] for each in range(min(asked_zxid, zxid), self.network.zxid + 1)]
        assert value in was_so, f"{answer.what.value} is {value} at {zxid}, was {was_so}"

    def _number_of(self, server: str) -> int:
        return next(number for number, address in enumerate(self._addresses) if str(address) == server)


async def _ask(connection: Connection, what: What, limit_ms: float) -> Answer[Any]:
    asks = {
        What.CLUSTER_ID: connection.cluster_id,
        What.ACTIVE_MASTER: connection.active_master,
        What.META_LOCATIONS: connection.meta_locations,
    }
    return await asks[what](timeout_ms=limit_ms)
