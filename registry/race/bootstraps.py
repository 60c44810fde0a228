"""Bootstraps of new clients, many at once: each makes a connection without history and finds its cluster.

A bootstrap is what every new client does: the cluster id, the location of hbase:meta and the active master.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from registry.client.answers import What
from registry.client.attempts import RegistryLookupError
from registry.client.connection import Connection
from registry.client.probing import Policy
from registry.client.rpc_source import RpcSource
from registry.client.settings import ClientSettings
from registry.client.target import RpcTarget
from registry.clock import Clock
from registry.names import Address

QUESTIONS_EACH = 3
QUANTILES = (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p999_ms", 0.999))


@dataclass(slots=True)
class Case:
    """What one policy met with so many servers hung."""

    policy: str
    hung: int
    took_ms: list[float] = field(default_factory=list[float])
    """Of each bootstrap that came to its end, failed ones too."""
    failed: int = 0
    sent: int = 0
    """Calls."""
    won: int = 0
    """Extra calls that brought the answer."""
    cancelled: int = 0

    @property
    def extra_load_percent(self) -> float:
        """Calls beyond one for each question, for a hundred of those."""
        needed = QUESTIONS_EACH * len(self.took_ms)
        return 100.0 * (self.sent - needed) / needed if needed else 0.0

    def quantile_ms(self, quantile: float) -> float:
        """So many milliseconds were enough for this share of the bootstraps."""
        ordered = sorted(self.took_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))] if ordered else 0.0

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "policy": self.policy,
            "hung": self.hung,
            "lookups": len(self.took_ms),
            "failed": self.failed,
            **{name: round(self.quantile_ms(quantile), 3) for name, quantile in QUANTILES},
            "max_ms": round(max(self.took_ms, default=0.0), 3),
            "extra_load_percent": round(self.extra_load_percent, 2),
            "sent": self.sent,
            "won": self.won,
            "cancelled": self.cancelled,
        }


@dataclass(frozen=True, slots=True)
class Course:
    """What is the same for all cases."""

    servers: Sequence[Address]
    lookups: int
    concurrency: int
    timeout_ms: float
    """One bootstrap."""
    seed: int


async def run_case(course: Course, case: Case, clock: Clock) -> None:
    """All bootstraps of one case; the case fills while it runs."""
    numbers = iter(range(course.lookups))
    settings = ClientSettings(
        policy=Policy(case.policy), retries_count=0, refresh_interval_ms=0, operation_timeout_ms=course.timeout_ms,
        meta_operation_timeout_ms=course.timeout_ms,
    )  # fmt: skip

    async def client() -> None:
        for number in numbers:
            await _bootstrap(course, case, settings, clock, random.Random(f"{course.seed} {number}"))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(course.concurrency, course.lookups)):
            group.create_task(client())


async def _bootstrap(course: Course, case: Case, settings: ClientSettings, clock: Clock, chance: random.Random) -> None:
    begun_ms = clock.monotonic_ms()
    source = RpcSource(RpcTarget(tuple(course.servers), What.BOOTSTRAP_NODES), settings, clock, chance)
    async with Connection(source, settings, clock, chance, str(source)) as connection:
        try:
            for question in (connection.cluster_id, connection.meta_locations, connection.active_master):
                left_ms = begun_ms + course.timeout_ms - clock.monotonic_ms()
                answer = await question(timeout_ms=left_ms)
                case.sent += answer.calls  # not in one line: others count while this one waits
        except RegistryLookupError as error:
            case.failed += 1
            case.sent += len(error.attempts)
        case.took_ms.append(clock.monotonic_ms() - begun_ms)
    case.won += source.stats.hedges_won
    case.cancelled += source.stats.cancelled
