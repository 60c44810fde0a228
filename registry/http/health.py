"""Health: whether this process can do its work. Not readiness, which asks whether it may be sent clients now."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from registry.http.status import StatusSource
from registry.lookup.snapshot import FactState

CONNECTED, SUSPENDED, DISCONNECTED = "connected", "suspended", "disconnected"


class HealthState(enum.Enum):
    """The three verdicts of /health."""

    HEALTHY = "healthy"
    """Everything it needs is connected."""
    DEGRADED = "degraded"
    """It answers, but a connection is away, its snapshot is stale, or it has faults on purpose."""
    UNHEALTHY = "unhealthy"
    """It cannot do its work: there is nothing that it could answer."""

    @property
    def http_status(self) -> int:
        """A degraded server still answers, so only an unhealthy one is worth taking out."""
        return 503 if self is HealthState.UNHEALTHY else 200


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict, and what led to it."""

    state: HealthState
    reasons: tuple[str, ...]
    """Sentences; empty when healthy."""
    connections: tuple[tuple[str, str], ...]
    """What this server depends on, to connected, suspended or disconnected."""


def health(source: StatusSource) -> Health:
    """Judge this moment. Never raises, whatever the snapshot holds."""
    snapshot, session = source.snapshot, source.session
    connection = session.state if session.state in (CONNECTED, SUSPENDED) else DISCONNECTED
    connections = (("zookeeper", connection),)

    fatal: list[str] = []
    if session.fatal:
        fatal.append(f"ZooKeeper refuses this server: {session.fatal}")
    if source.refusing_stale():
        fatal.append("look-ups are refused because ZooKeeper is away (hbeacon.registry.stale is refuse)")
    if not snapshot.complete:
        fatal.append("the cluster has not been read from ZooKeeper yet")
    elif snapshot.cluster_id.state is not FactState.KNOWN:
        fatal.append(
            f"there is no cluster to answer for: {snapshot.cluster_id.path} is {snapshot.cluster_id.state.value}"
        )
    if fatal:
        return Health(HealthState.UNHEALTHY, tuple(fatal), connections)

    doubts: list[str] = []
    if connection != CONNECTED:
        doubts.append(f"the connection to ZooKeeper is {connection}; answers come from the last snapshot")
    age_ms, max_age_ms = source.age_ms(), source.max_age_ms
    if not age_ms <= max_age_ms:
        age = "of unknown age" if math.isinf(age_ms) or math.isnan(age_ms) else f"{age_ms / 1000:.1f} s old"
        doubts.append(f"the snapshot is {age}; {max_age_ms / 1000:g} s are allowed")
    faults = control.rows() if (control := source.faults()) is not None else ()
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        doubts.append(f"clients are let down on purpose: {faults[0].rule}{more}")
    return Health(HealthState.DEGRADED if doubts else HealthState.HEALTHY, tuple(doubts), connections)
