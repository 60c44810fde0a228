"""Bootstraps of new clients, many at once: each makes a connection without history and finds its cluster.

A bootstrap is what every new client does: the cluster id, the location of hbase:meta and the active master.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from registry.client.answers import What
from registry.client.attempts import RegistryLookupError
from registry.client.connection import Connection
from registry.client.probing import Policy
from registry.client.rpc_source import RpcSource
from registry.client.settings import ClientSettings
from registry.client.target import RpcTarget
from registry.clock import Clock
from registry.names import Address
from registry.race.cases import Case, Run

UNHEDGED = "unhedged"
"""One server, chosen by each client at random, and no other whatever happens: the yardstick."""

POLICIES = (*(policy.value for policy in Policy), UNHEDGED)


@dataclass(frozen=True, slots=True)
class Course:
    """What is the same for all cases."""

    servers: Sequence[Address]
    lookups: int
    """Bootstraps in a run of a case."""
    concurrency: int
    timeout_ms: float
    """One bootstrap."""
    seed: int
    begin_ms_max: float = float("inf")
    """No bootstrap of a run begins later: clients that wait for hung servers would take all day."""


async def run_cases(course: Course, cases: Sequence[Case], clock: Clock, block_count: int = 0) -> None:
    """One run of each case. With `block_count` they take turns after so many bootstraps, in changing order.

    So what the machine does meanwhile meets all of them alike.
    """
    runs = [Run() for _ in cases]
    for case, run in zip(cases, runs, strict=True):
        case.runs.append(run)
    size = block_count or course.lookups
    for turn, first in enumerate(range(0, course.lookups, size)):
        part = range(first, min(first + size, course.lookups))
        for place in range(len(cases)):
            index = (place + turn) % len(cases)
            await _run(course, cases[index], runs[index], part, clock)


async def _run(course: Course, case: Case, run: Run, part: range, clock: Clock) -> None:
    """The bootstraps of these numbers."""
    unhedged = case.policy == UNHEDGED
    settings = ClientSettings(
        policy=Policy.RANDOM if unhedged else Policy(case.policy), retries_count=0, refresh_interval_ms=0,
        operation_timeout_ms=course.timeout_ms, meta_operation_timeout_ms=course.timeout_ms,
    )  # fmt: skip
    begun_ms = clock.monotonic_ms()
    name = f"{course.seed} {len(case.runs)}"
    numbers = iter(part)

    async def client() -> None:
        for number in itertools.takewhile(
            lambda _: run.elapsed_ms + clock.monotonic_ms() - begun_ms < course.begin_ms_max, numbers
        ):
            chance = random.Random(f"{name} {number}")
            servers = (chance.choice(course.servers),) if unhedged else tuple(course.servers)
            await bootstrap(servers, run, settings, clock, chance)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(course.concurrency, len(part))):
            group.create_task(client())
    run.elapsed_ms += clock.monotonic_ms() - begun_ms


async def bootstrap(
    servers: tuple[Address, ...], run: Run, settings: ClientSettings, clock: Clock, chance: random.Random
) -> None:
    """A client without history finds its cluster; `settings.operation_timeout_ms` bounds all of it."""
    begun_ms = clock.monotonic_ms()
    source = RpcSource(RpcTarget(servers, What.BOOTSTRAP_NODES), settings, clock, chance)
    async with Connection(source, settings, clock, chance, str(source)) as connection:
        await ask_all(connection, run, settings, clock, begun_ms)
    run.won += source.stats.hedges_won
    run.cancelled += source.stats.cancelled


async def ask_all(connection: Connection, run: Run, settings: ClientSettings, clock: Clock, begun_ms: float) -> None:
    """The questions of a bootstrap that began at `begun_ms`; `run` takes what they cost and how long they took."""
    try:
        for question in (connection.cluster_id, connection.meta_locations, connection.active_master):
            run.asked += 1
            left_ms = begun_ms + settings.operation_timeout_ms - clock.monotonic_ms()
            answer = await question(timeout_ms=left_ms)
            run.sent += answer.calls  # not in one line: others count while this one waits
    except RegistryLookupError as error:
        run.failed += 1
        run.sent += len(error.attempts)
    run.took_ms.append(clock.monotonic_ms() - begun_ms)
