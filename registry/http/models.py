"""The JSON answers, as types: what /openapi.json describes.

Names end in their unit. Integers stay below 2**53, a zxid included, so JavaScript reads them exactly.
"""

from __future__ import annotations

from pydantic import BaseModel, Field


class SnapshotModel(BaseModel):
    """How new the answers are."""

    generation: int = Field(description="Rises when ZooKeeper turns out to have lost its history.")
    zxid: int = Field(description="Every change up to this ZooKeeper transaction is in the snapshot.")
    complete: bool = Field(description="False while something has not been read yet.")
    age_seconds: float | None = Field(description="Since it was last known to be all there is; null before that.")


class ElectionModel(BaseModel):
    """A master's place in the election of the active one."""

    role: str = Field(description="active, standby, or candidate while neither is known.")
    server_name: str = Field(description="host,port,startcode of the present candidate.")
    active_master: str = Field(description="host,port,startcode of the elected one; empty where there is none.")
    acting: bool = Field(description="Whether this master may act at this moment.")
    why_not: str = Field(description="Why not; empty where it may.")
    epoch: int = Field(description="ZooKeeper transaction that made our znode; 0 where there is none.")
    lease_left_seconds: float = Field(description="How long it may act without another answer of ZooKeeper.")
    lives: int = Field(description="Candidates of this process so far.")
    elections: int = Field(description="How often one of them became active.")


class StoreModel(BaseModel):
    """A directory of rows, as a region server reaches it."""

    store_id: str
    reach: str = Field(description="open here, free, or owned by another process.")
    home: bool = Field(description="The server's own, where regions without rows go.")
    owner: str = Field(description="host,port,startcode of who has it, or had it last.")
    data_bytes: int | None = Field(description="On the disk; null where it is not known.")


class ServingModel(BaseModel):
    """A region server's work."""

    server_name: str = Field(description="host,port,startcode; empty before it has one.")
    registered: bool
    serves: bool = Field(description="Whether calls of clients for rows are answered now.")
    master: str = Field(description="host,port,startcode of the master it reports to; empty where there is none.")
    reported_seconds: float | None = Field(description="Since a report was answered; null before that.")
    lease_left_seconds: float | None = Field(description="Without another answer of ZooKeeper; null: without end.")
    regions: int = Field(description="Open here.")
    regions_opening: list[str] = Field(description="Encoded names of regions that are being opened; at most 50.")
    stores: list[StoreModel]
    read_requests: int
    write_requests: int


class TransitionModel(BaseModel):
    """A region that is not where, or how, it is to be."""

    region: str
    table: str
    state: str = Field(description="HBase's RegionState, such as OPENING.")
    server: str = Field(description="host,port,startcode; empty where there is none.")
    seconds: float = Field(description="For how long.")
    reason: str = Field(description="Why it waits; empty while it is on its way.")


class FatalErrorModel(BaseModel):
    """What a region server said before it ended."""

    server_name: str
    text: str
    time: str = Field(description="ISO 8601, UTC")


class ClusterModel(BaseModel):
    """What the active master leads."""

    initialized: bool
    waits_for: str = Field(description="Empty once it is initialized.")
    meta_server: str = Field(description="host,port,startcode; empty where hbase:meta is not open.")
    region_servers: int
    dead_region_servers: list[str]
    tables: int
    regions: int
    regions_in_transition: int
    transitions: list[TransitionModel] = Field(description="The longest first, at most 50.")
    fatal_errors: list[FatalErrorModel] = Field(description="Reported by region servers, latest first.")
    procedures: int = Field(description="That have not ended.")


class HealthModel(BaseModel):
    """/health."""

    status: str = Field(description="healthy, degraded or unhealthy.")
    uptime_seconds: float
    zookeeper_connection: str = Field(description="connected, suspended or disconnected.")
    storage_connection: str | None = Field(description="connected or disconnected; null for a role without rows.")
    timestamp: str = Field(description="Now, ISO 8601 in UTC.")
    ready: bool = Field(description="The verdict of /ready.")
    reasons: list[str] = Field(description="Why it is not healthy; empty when it is.")
    not_ready: list[str] = Field(description="Why it is not ready; empty when it is.")
    connections: dict[str, str] = Field(description="Each connection: connected, suspended or disconnected.")
    role: str
    version: str
    host: str
    advertised: str = Field(description="HOST:PORT that clients are told.")
    cluster_id: str | None
    active_master: str | None = Field(description="host,port,startcode")
    snapshot: SnapshotModel
    election: ElectionModel | None = Field(description="Of a master; null for other roles.")
    serving: ServingModel | None = Field(description="Of a region server; null for other roles.")
    cluster: ClusterModel | None = Field(description="Of the active master; null for everybody else.")


class CheckModel(BaseModel):
    """One check of /readyz."""

    name: str
    ok: bool
    required: bool = Field(description="False: only told, it never makes the server unready.")
    sentence: str


class ReadinessModel(BaseModel):
    """/ready and /readyz, where JSON is asked for."""

    ready: bool
    checks: list[CheckModel]


class FactModel(BaseModel):
    """How well one thing is known."""

    state: str = Field(description="unread, absent, forbidden, undecodable or known.")
    znode: str
    changed_zxid: int = Field(description="ZooKeeper transaction of the last change; 0 while unread.")
    problem: str = Field(description="Why it is missing, or partly missing; empty otherwise.")


class ClusterIdFact(FactModel):
    """Answer of GetClusterId."""

    value: str | None


class ActiveMaster(BaseModel):
    """The master that acts."""

    server_name: str = Field(description="host,port,startcode")
    host: str
    port: int
    start_code: int
    info_port: int = Field(description="Port of its pages; -1 where they are off.")


class ActiveMasterFact(FactModel):
    """Answer of GetActiveMaster."""

    value: ActiveMaster | None


class ServerNamesFact(FactModel):
    """Servers by name: host,port,startcode."""

    value: list[str] | None


class MetaReplica(BaseModel):
    """Where one replica of hbase:meta is."""

    replica_id: int
    server_name: str
    state: str = Field(description="HBase's RegionState, such as OPEN.")


class MetaLocationsFact(FactModel):
    """Answer of GetMetaRegionLocations."""

    value: list[MetaReplica] | None


class RegionServerModel(BaseModel):
    """A live region server."""

    server_name: str
    info_port: int = Field(description="-1 where it may not be read.")
    version: str = Field(description="Empty where it may not be read.")


class RegionServersFact(FactModel):
    """The region servers that are alive."""

    value: list[RegionServerModel] | None


class TableStatesFact(FactModel):
    """Table states as ZooKeeper mirrors them; absent on clusters that keep them in hbase:meta alone."""

    value: dict[str, str] | None


class HandOutModel(BaseModel):
    """The server lists that clients are given."""

    masters: list[str] = Field(description="Answer of GetMasters.")
    bootstrap_nodes: list[str] = Field(description="Answer of GetBootstrapNodes.")
    source: str = Field(description="tier, cluster, or what auto chose.")


class RegistryModel(BaseModel):
    """/api/v1/registry: everything that look-ups answer, at one version."""

    snapshot: SnapshotModel
    cluster_id: ClusterIdFact
    active_master: ActiveMasterFact
    backup_masters: ServerNamesFact
    meta_locations: MetaLocationsFact
    region_servers: RegionServersFact
    table_states: TableStatesFact
    hand_out: HandOutModel


class FirewallHostModel(BaseModel):
    """A host of the last day."""

    host: str
    first_seen: str = Field(description="ISO 8601, UTC")
    last_seen: str = Field(description="ISO 8601, UTC")
    count: int = Field(description="Connections; of ZooKeeper's: looks that found it connected.")


class FirewallModel(BaseModel):
    """/api/v1/firewall: whether ZooKeeper may be firewalled now."""

    verdict: str = Field(description="no, not yet, cannot see, or yes.")
    sentence: str
    watching_since: str = Field(description="ISO 8601, UTC: what came before is not known.")
    watched_seconds: float = Field(description="Of the last day; a yes takes all of it.")
    registry_hosts: int = Field(description="Hosts that came by the registry path in the last day.")
    facade_hosts: int = Field(description="Hosts that came by the façade.")
    facade_only: list[FirewallHostModel] = Field(description="Hosts that came by the façade alone, latest first.")
    zookeeper_watched: bool = Field(description="Whether it is looked at who is connected to ZooKeeper itself.")
    zookeeper_hosts: list[FirewallHostModel] = Field(
        description="Hosts that were connected to ZooKeeper and are no members of the cluster, latest first."
    )
    blind_spots: list[str] = Field(description="What this server cannot see, in sentences.")


class PropertyModel(BaseModel):
    """One setting, under the names that Hadoop's /conf uses."""

    key: str
    value: str
    isFinal: bool  # noqa: N815 - Hadoop's own spelling
    resource: str = Field(description="Where the value came from.")


class ConfModel(BaseModel):
    """/conf?format=json. Source: org.apache.hadoop.conf.Configuration.dumpConfiguration."""

    properties: list[PropertyModel]


class ErrorModel(BaseModel):
    """What every error looks like."""

    error: str
    path: str
    paths: list[str] = Field(default_factory=list[str], description="What there is, when the path is unknown.")
