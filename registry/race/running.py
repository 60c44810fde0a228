"""A whole race: servers are started, conditions follow one another, policies and Java clients run under each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from registry.clock import Clock
from registry.names import Address
from registry.race.bootstraps import Course, run_cases
from registry.race.cases import Case, Condition
from registry.race.java import JavaClients, NoJavaError, java_and_jars
from registry.race.servers import RaceServers


@dataclass(frozen=True, slots=True)
class Race:
    """What is asked for."""

    conditions: Sequence[Condition]
    policies: Sequence[str]
    lookups: int
    """Bootstraps in a run of a case."""
    concurrency: int
    timeout_ms: float
    """One bootstrap."""
    seed: int
    servers: Sequence[Address] = ()
    """Those of the user; empty for servers that the race starts."""
    servers_count: int = 3
    """So many are started."""
    runs: int = 1
    block_count: int = 0
    """Policies take turns after so many bootstraps; 0: one after the other."""
    begin_ms_max: float = float("inf")
    """No bootstrap of a run begins later."""
    java_lookups: int = 0
    java_classpath: str = ""
    """Empty: where jars of hbase-client usually are."""


@dataclass(slots=True)
class Results:
    """What has become of it so far; it fills while the race runs."""

    cases: list[Case] = field(default_factory=list[Case])
    notes: list[str] = field(default_factory=list[str])
    """What could not be raced, and why."""


async def run_race(race: Race, results: Results, clock: Clock) -> None:
    """Run all of it. Raises OSError, TimeoutError where a server of the race cannot be started."""
    async with contextlib.AsyncExitStack() as ends:
        started: dict[bool, RaceServers] = {}
        for guarded in dict.fromkeys(condition.guarded for condition in race.conditions):
            if not race.servers:
                servers = RaceServers(race.servers_count, guarded=guarded)
                started[guarded] = await ends.enter_async_context(servers)
        addresses = race.servers or next(iter(started.values())).addresses
        running = _Running(race, results, clock, started, await _java(race, results, ends, addresses))
        for number in range(race.runs):
            for condition in race.conditions:
                await running.condition(condition, number)


class _Running:
    def __init__(
        self, race: Race, results: Results, clock: Clock, started: dict[bool, RaceServers], java: JavaClients | None
    ) -> None:
        self._race = race
        self._results = results
        self._clock = clock
        self._started = started
        """By whether they are guarded; empty where the user's are raced."""
        self._java = java
        self._cases: dict[Condition, list[Case]] = {}

    async def condition(self, condition: Condition, number: int) -> None:
        """One run of all policies, then the Java clients."""
        race = self._race
        cases = self._cases.setdefault(condition, [Case(policy, condition) for policy in race.policies])
        for group in [cases] if race.block_count else [[case] for case in cases]:
            self._show(group)
            servers = await self._servers(condition, number)
            course = Course(servers, race.lookups, race.concurrency, race.timeout_ms, race.seed, race.begin_ms_max)
            await run_cases(course, group, self._clock, race.block_count)
        if self._java is not None:
            await self._run_java(self._java, condition, number)

    async def _run_java(self, java: JavaClients, condition: Condition, number: int) -> None:
        found = [case for case in self._results.cases if case.policy == java.policy and case.condition == condition]
        case = found[0] if found else Case(java.policy, condition, is_counted=False)
        self._show([case])
        servers = await self._servers(condition, number)
        try:
            await java.run(case, servers, self._race.java_lookups, self._race.timeout_ms)
        except NoJavaError as error:
            self._results.notes.append(f"Java clients left the race: {error}")
            self._java = None

    async def _servers(self, condition: Condition, number: int) -> Sequence[Address]:
        """Who is raced now; servers of the race are made as the condition says, anew for each: a guard mends them."""
        servers = self._started.get(condition.guarded)
        if servers is None:
            return self._race.servers
        await servers.become(condition, self._race.seed + number)
        return servers.addresses

    def _show(self, cases: Sequence[Case]) -> None:
        self._results.cases.extend(case for case in cases if not case.runs)


async def _java(
    race: Race, results: Results, ends: contextlib.AsyncExitStack, servers: Sequence[Address]
) -> JavaClients | None:
    """Java clients, warm; None where none are wanted, or where something is missing, which a note then tells."""
    if not race.java_lookups:
        return None
    try:
        java = await ends.enter_async_context(JavaClients(*await java_and_jars(race.java_classpath, os.environ)))
        await java.warm_up(servers)
    except NoJavaError as error:
        results.notes.append(f"Java clients do not race: {error}")
        return None
    return java
