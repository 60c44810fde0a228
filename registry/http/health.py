"""Health: whether this process can do its work. Not readiness, which asks whether it may be sent clients now."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from registry.http.cluster_status import cluster_doubts
from registry.http.region_server_status import RegionServerStatus
from registry.http.status import StatusSource
from registry.lookup.snapshot import FactState

CONNECTED, SUSPENDED, DISCONNECTED = "connected", "suspended", "disconnected"


class HealthState(enum.Enum):
    """The three verdicts of /health."""

    HEALTHY = "healthy"
    """Everything it needs is connected."""
    DEGRADED = "degraded"
    """It answers, but a connection is away, its snapshot is stale, regions wait, or it has faults on purpose."""
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
    connections = [("zookeeper", connection)]
    serving = source.region_server()
    if serving is not None:
        connections += _own_connections(serving)

    fatal: list[str] = []
    if serving is not None:
        fatal += _unable(serving)
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
        return Health(HealthState.UNHEALTHY, tuple(fatal), tuple(connections))

    doubts = [] if serving is None else _alone(serving)
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
    if (cluster := source.cluster()) is not None:
        doubts += cluster_doubts(cluster)
    return Health(HealthState.DEGRADED if doubts else HealthState.HEALTHY, tuple(doubts), tuple(connections))


def _own_connections(serving: RegionServerStatus) -> list[tuple[str, str]]:
    """What a region server depends on beside ZooKeeper."""
    link = CONNECTED if serving.master and not serving.link_problem else DISCONNECTED
    return [("storage", DISCONNECTED if serving.storage_problem else CONNECTED), ("master", link)]


def _unable(serving: RegionServerStatus) -> list[str]:
    """Why a region server can serve nothing."""
    reasons: list[str] = []
    if serving.storage_problem:
        reasons.append(f"rows cannot be read and written: {serving.storage_problem}")
    if serving.registered and serving.lease_left_ms <= 0:
        reasons.append("the lease is over: calls of clients are refused until ZooKeeper answers")
    return reasons


def _alone(serving: RegionServerStatus) -> list[str]:
    """What a region server lacks that still serves the regions it has."""
    if not serving.master:
        return ["no active master: rows are served, and no region can be opened or moved"]
    if not serving.registered:
        return [f"not registered with the master: {serving.link_problem or 'it has not answered yet'}"]
    if serving.link_problem:
        return [f"the master does not answer: {serving.link_problem}"]
    return []
