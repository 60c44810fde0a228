"""From what the server knows to the JSON models."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypedDict

from registry.http import models
from registry.http.cluster_status import ClusterStatus
from registry.http.health import Health
from registry.http.region_server_status import RegionServerStatus
from registry.http.status import ElectionStatus, HandOutView, SettingRow, StatusSource
from registry.lookup.firewall import FirewallAnswer, FirewallHost
from registry.lookup.readiness import Readiness
from registry.lookup.snapshot import Fact, Snapshot

ROWS_MAX = 50
"""Of one list in /health; pages and metrics have the rest."""


def iso_time(wall_ms: float) -> str:
    """Milliseconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def snapshot_model(snapshot: Snapshot, age_ms: float) -> models.SnapshotModel:
    """Version and age; JSON has no infinity, so an unknown age is null."""
    return models.SnapshotModel(
        generation=snapshot.version.generation,
        zxid=snapshot.version.zxid,
        complete=snapshot.complete,
        age_seconds=round(age_ms / 1000, 3) if math.isfinite(age_ms) else None,
    )


def health_model(source: StatusSource, verdict: Health, readiness: Readiness) -> models.HealthModel:
    """/health."""
    identity, snapshot = source.identity, source.snapshot
    connections = dict(verdict.connections)
    master = snapshot.active_master.value
    return models.HealthModel(
        status=verdict.state.value,
        uptime_seconds=round(source.uptime_ms() / 1000, 3),
        zookeeper_connection=connections["zookeeper"],
        storage_connection=connections.get("storage"),
        timestamp=iso_time(source.wall_ms()),
        ready=readiness.ready,
        reasons=list(verdict.reasons),
        not_ready=list(readiness.reasons),
        connections=connections,
        role=identity.role,
        version=identity.version,
        host=identity.host,
        advertised=identity.advertised,
        cluster_id=snapshot.cluster_id.value,
        active_master=str(master.server_name) if master else None,
        snapshot=snapshot_model(snapshot, source.age_ms()),
        election=election_model(source.election()),
        serving=serving_model(serving) if (serving := source.region_server()) is not None else None,
        cluster=cluster_model(cluster) if (cluster := source.cluster()) is not None else None,
    )


def serving_model(serving: RegionServerStatus) -> models.ServingModel:
    """A region server's part of /health."""
    return models.ServingModel(
        server_name=serving.server_name,
        registered=serving.registered,
        serves=serving.serves,
        master=serving.master,
        reported_seconds=_seconds(serving.reported_ms),
        lease_left_seconds=_seconds(serving.lease_left_ms),
        regions=serving.regions_count,
        regions_opening=list(serving.opening[:ROWS_MAX]),
        stores=[
            models.StoreModel(
                store_id=row.store_id, reach=row.reach, home=row.home, owner=row.owner, data_bytes=row.data_bytes
            )
            for row in serving.stores
        ],
        read_requests=serving.read_requests,
        write_requests=serving.write_requests,
    )


def cluster_model(cluster: ClusterStatus) -> models.ClusterModel:
    """The active master's part of /health."""
    longest = sorted(cluster.transitions, key=lambda row: -row.since_ms)
    return models.ClusterModel(
        initialized=cluster.initialized,
        waits_for=cluster.waits_for,
        meta_server=cluster.meta_server,
        region_servers=len(cluster.servers),
        dead_region_servers=list(cluster.dead_servers[:ROWS_MAX]),
        tables=len(cluster.tables),
        regions=cluster.regions,
        regions_in_transition=len(cluster.transitions),
        transitions=[
            models.TransitionModel(
                region=row.name,
                table=row.table,
                state=row.state,
                server=row.server,
                seconds=round(row.since_ms / 1000, 3),
                reason=row.reason,
            )
            for row in longest[:ROWS_MAX]
        ],
        fatal_errors=[
            models.FatalErrorModel(server_name=row.server_name, text=row.text, time=iso_time(row.wall_ms))
            for row in cluster.fatal_errors[:ROWS_MAX]
        ],
        procedures=sum(not row.has_ended for row in cluster.procedures),
    )


def _seconds(span_ms: float) -> float | None:
    return round(span_ms / 1000, 3) if math.isfinite(span_ms) else None


def firewall_model(answer: FirewallAnswer) -> models.FirewallModel:
    """/api/v1/firewall."""
    return models.FirewallModel(
        verdict=answer.verdict.value,
        sentence=answer.sentence,
        watching_since=iso_time(answer.watching_since_ms),
        watched_seconds=round(answer.watched_ms / 1000, 3),
        registry_hosts=answer.registry_hosts,
        facade_hosts=answer.facade_hosts,
        facade_only=_firewall_hosts(answer.facade_only),
        zookeeper_watched=answer.zookeeper_watched,
        zookeeper_hosts=_firewall_hosts(answer.zookeeper_hosts),
        blind_spots=list(answer.blind_spots),
    )


def _firewall_hosts(hosts: Iterable[FirewallHost]) -> list[models.FirewallHostModel]:
    return [
        models.FirewallHostModel(
            host=row.host,
            first_seen=iso_time(row.first_seen_ms),
            last_seen=iso_time(row.last_seen_ms),
            count=row.count,
        )
        for row in hosts
    ]


def election_model(election: ElectionStatus | None) -> models.ElectionModel | None:
    """A master's part of /health."""
    if election is None:
        return None
    return models.ElectionModel(
        role=election.role,
        server_name=election.server_name,
        active_master=election.active_master,
        acting=election.acting,
        why_not=election.why_not,
        epoch=election.epoch,
        lease_left_seconds=round(election.lease_left_ms / 1000, 3),
        lives=election.lives,
        elections=election.elections,
    )


def readiness_model(readiness: Readiness) -> models.ReadinessModel:
    """/ready as JSON."""
    return models.ReadinessModel(
        ready=readiness.ready,
        checks=[
            models.CheckModel(name=check.name, ok=check.ok, required=check.required, sentence=check.sentence)
            for check in readiness.checks
        ],
    )


def registry_model(snapshot: Snapshot, age_ms: float, hand_out: HandOutView) -> models.RegistryModel:
    """/api/v1/registry."""
    master = snapshot.active_master.value
    metas = snapshot.meta_locations.value
    servers = snapshot.region_servers.value
    backups = snapshot.backup_masters.value
    tables = snapshot.table_states.value
    return models.RegistryModel(
        snapshot=snapshot_model(snapshot, age_ms),
        cluster_id=models.ClusterIdFact(value=snapshot.cluster_id.value, **_fact(snapshot.cluster_id)),
        active_master=models.ActiveMasterFact(
            value=models.ActiveMaster(
                server_name=str(master.server_name),
                host=master.server_name.host,
                port=master.server_name.port,
                start_code=master.server_name.start_code,
                info_port=master.info_port,
            )
            if master
            else None,
            **_fact(snapshot.active_master),
        ),
        backup_masters=models.ServerNamesFact(
            value=[str(name) for name in backups] if backups is not None else None, **_fact(snapshot.backup_masters)
        ),
        meta_locations=models.MetaLocationsFact(
            value=[
                models.MetaReplica(replica_id=meta.replica_id, server_name=str(meta.server_name), state=meta.state)
                for meta in metas
            ]
            if metas is not None
            else None,
            **_fact(snapshot.meta_locations),
        ),
        region_servers=models.RegionServersFact(
            value=[
                models.RegionServerModel(
                    server_name=str(server.server_name), info_port=server.info_port, version=server.version
                )
                for server in servers
            ]
            if servers is not None
            else None,
            **_fact(snapshot.region_servers),
        ),
        table_states=models.TableStatesFact(
            value=dict(tables) if tables is not None else None, **_fact(snapshot.table_states)
        ),
        hand_out=models.HandOutModel(
            masters=[str(name) for name in hand_out.masters],
            bootstrap_nodes=[str(name) for name in hand_out.bootstrap_nodes],
            source=hand_out.source,
        ),
    )


class _FactFields(TypedDict):
    state: str
    znode: str
    changed_zxid: int
    problem: str


def _fact(fact: Fact[object]) -> _FactFields:
    return {
        "state": fact.state.value,
        "znode": fact.path,
        "changed_zxid": fact.changed_zxid,
        "problem": fact.problem,
    }


def registry_etag(model: models.RegistryModel) -> str:
    """Weak, because the age moves on while the answer stays: the version, and a checksum of all but the age.

    The checksum is needed: the hand-out changes with the configuration, without any transaction of ZooKeeper.
    """
    content = model.model_dump_json(exclude={"snapshot": {"age_seconds"}})
    return f'W/"{model.snapshot.generation}-{model.snapshot.zxid:x}-{zlib.crc32(content.encode()):08x}"'


def conf_model(settings: Iterable[SettingRow]) -> models.ConfModel:
    """/conf?format=json."""
    return models.ConfModel(
        properties=[
            models.PropertyModel(key=row.key, value=row.value, isFinal=row.final, resource=row.origin)
            for row in settings
        ]
    )
