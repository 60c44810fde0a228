"""Metrics, collected when they are asked for: nothing is counted twice and nothing is kept between two scrapes.

Names of our own begin with hbeacon_ and end in their unit; docs/metrics.md lists them all. HBase's own names are in
hbase_metrics.py. Every label has a bounded number of values, also where a peer chooses them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from registry.faults.rules import FaultKind
from registry.histogram import BOUNDS_S
from registry.http.accept import Form
from registry.http.events import Hub, SubscriberLimits
from registry.http.hbase_metrics import hbase_families
from registry.http.health import CONNECTED, DISCONNECTED, SUSPENDED, HealthState, health
from registry.http.own_cluster_metrics import own_families
from registry.http.process import LoopLag, process_figures
from registry.http.status import StatusSource
from registry.lookup.firewall import FirewallVerdict
from registry.lookup.fresh_reader import FreshReader, FreshStats
from registry.lookup.freshness import Unmet
from registry.lookup.snapshot import FactState
from registry.lookup.visitors import VisitPath

LABEL_VALUES_MAX = 50
"""Of labels whose values peers or clusters choose; the least frequent of a longer list are counted as OTHER."""
OTHER = "other"

TEXT_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REGISTRY_SERVICE = "ClientMetaService"
PREAMBLE_METHODS = {"Regist": "GetClusterId", "Securi": "GetConnectionRegistrySecurityInfo"}
"""A preamble that answers something is a look-up too."""

_Rows = Iterable[tuple[Sequence[str], float]]


class StatusCollector(Collector):
    """All families of one server, read from its StatusSource at each scrape."""

    def __init__(
        self, source: StatusSource, lag: LoopLag, followers: Hub | None = None, reader: FreshReader | None = None
    ) -> None:
        self._source = source
        self._lag = lag
        self._followers = followers if followers is not None else Hub(SubscriberLimits())
        self._reader = reader

    def collect(self) -> Iterator[Metric]:
        """The families, in the order of docs/metrics.md."""
        source = self._source
        yield from hbase_families(source)
        yield from _server(source)
        yield from _registry(source)
        yield from _cluster(source)
        yield from _meta_tables(source)
        yield from _clients(source)
        yield from _firewall(source)
        yield from _zookeeper(source)
        yield from _election(source)
        yield from own_families(source)
        yield from _rpc(source)
        yield from _faults(source)
        yield from _fresh(self._reader.stats if self._reader is not None else FreshStats())
        yield from _followers(self._followers)
        yield from _process(source, self._lag)


class Exposition:
    """Metrics as text, in the two formats that Prometheus reads."""

    def __init__(self, collector: Collector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)

    def text(self, form: Form) -> tuple[bytes, str]:
        """Body and media type."""
        if form is Form.OPEN_METRICS:
            body = bytes(openmetrics.generate_latest(self._registry))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
            return body, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self._registry), TEXT_MEDIA_TYPE


def _gauge(name: str, sentence: str, value: float) -> Metric:
    return GaugeMetricFamily(name, sentence, value=value)


def _gauges(name: str, sentence: str, labels: Sequence[str], rows: _Rows) -> Metric:
    family = GaugeMetricFamily(name, sentence, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _counter(name: str, sentence: str, value: float) -> Metric:
    return CounterMetricFamily(name, sentence, value=value)


def _counters(name: str, sentence: str, labels: Sequence[str], rows: _Rows) -> Metric:
    family = CounterMetricFamily(name, sentence, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _one_of(state: str, states: Iterable[str]) -> _Rows:
    """A sample for each state: 1 for the one that applies."""
    return [((name,), float(name == state)) for name in states]


def bounded(counts: Mapping[tuple[str, ...], int], limit: int = LABEL_VALUES_MAX) -> Mapping[tuple[str, ...], int]:
    """At most `limit` label sets and one of OTHERs; the highest counts keep their names."""
    if len(counts) <= limit:
        return counts
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept = Counter(dict(ordered[:limit]))
    for labels, count in ordered[limit:]:
        kept[tuple(OTHER for _ in labels)] += count
    return kept


def _single(counts: Mapping[str, int]) -> _Rows:
    return bounded({(name,): count for name, count in counts.items()}).items()


def _server(source: StatusSource) -> Iterator[Metric]:
    identity, verdict, readiness, guard = source.identity, health(source), source.readiness(), source.guard()
    yield _gauges(
        "hbeacon_build_info",
        "1, with what runs here as labels.",
        ("role", "version", "revision"),
        [((identity.role, identity.version, identity.revision), 1)],
    )
    yield _gauge("hbeacon_uptime_seconds", "Since the role started.", source.uptime_ms() / 1000)
    yield _gauges(
        "hbeacon_health_state",
        "1 for the verdict of /health that applies, 0 for the others.",
        ("state",),
        _one_of(verdict.state.value, [state.value for state in HealthState]),
    )
    yield _gauge("hbeacon_ready", "1 when /ready is green.", readiness.ready)
    yield _gauges(
        "hbeacon_readiness_check",
        "1 for each check of /readyz?verbose that holds; only required ones keep the server from being ready.",
        ("check", "required"),
        [((check.name, str(check.required).lower()), float(check.ok)) for check in readiness.checks],
    )
    yield _gauge("hbeacon_guard_enabled", "1 when a guard process watches this one.", guard.enabled)
    yield _counter("hbeacon_guard_restarts", "Workers that the guard had to replace.", guard.restarts)


def _registry(source: StatusSource) -> Iterator[Metric]:
    snapshot, rpc, hand_out = source.snapshot, source.rpc(), source.hand_out()
    lookups: Counter[tuple[str, ...]] = Counter()
    for (service, method), count in rpc.calls.items():
        if service == REGISTRY_SERVICE:
            lookups[method, "call"] += count
    for preamble, count in rpc.preambles.items():
        if preamble in PREAMBLE_METHODS:
            lookups[PREAMBLE_METHODS[preamble], "preamble"] += count
    yield _counters(
        "hbeacon_registry_lookups",
        "Look-ups answered, by method and by how they were asked (call, preamble).",
        ("method", "path"),
        bounded(lookups).items(),
    )
    times, counted = rpc.lookup_times, 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*BOUNDS_S, float("inf")), times.counts, strict=True):
        counted += count
        buckets.append(("+Inf" if math.isinf(bound) else str(bound), counted))
    yield HistogramMetricFamily(
        "hbeacon_registry_lookup_seconds",
        "From the bytes of look-ups to their answers, of one connection in 17.",
        buckets=buckets,
        sum_value=times.sum_s,
    )
    yield _gauge(
        "hbeacon_registry_snapshot_age_seconds",
        "Since the snapshot was last known to be all there is; +Inf before that.",
        source.age_ms() / 1000,
    )
    yield _gauge("hbeacon_registry_snapshot_age_limit_seconds", "Older is not ready.", source.max_age_ms / 1000)
    yield _gauge("hbeacon_registry_snapshot_zxid", "Every change up to it is known.", snapshot.version.zxid)
    yield _gauge(
        "hbeacon_registry_snapshot_generation",
        "Rises when ZooKeeper turns out to have lost its history.",
        snapshot.version.generation,
    )
    yield _gauge("hbeacon_registry_snapshot_complete", "1 when every fact has been read.", snapshot.complete)
    yield _gauges(
        "hbeacon_registry_fact_state",
        "1 for the state that a fact is in, 0 for the others.",
        ("fact", "state"),
        [((name, state.value), float(fact.state is state)) for name, fact in snapshot.facts() for state in FactState],
    )
    yield _gauges(
        "hbeacon_registry_fact_changed_zxid",
        "ZooKeeper transaction of the last change of a fact.",
        ("fact",),
        [((name,), fact.changed_zxid) for name, fact in snapshot.facts()],
    )
    yield _gauge("hbeacon_registry_forbidden_znodes", "Znodes whose ACL keeps us out.", len(snapshot.forbidden_paths))
    yield _gauges(
        "hbeacon_registry_disagreement_seconds",
        "How long an answer has differed from a peer's; no sample while they agree.",
        ("peer", "method"),
        [((row.peer, row.method), row.seconds) for row in source.disagreements()[:LABEL_VALUES_MAX]],
    )
    yield _gauges(
        "hbeacon_registry_hand_out_servers",
        "Servers in the lists that clients are given.",
        ("list", "source"),
        [
            (("masters", hand_out.source), len(hand_out.masters)),
            (("bootstrap_nodes", hand_out.source), len(hand_out.bootstrap_nodes)),
        ],
    )


def _cluster(source: StatusSource) -> Iterator[Metric]:
    snapshot = source.snapshot
    for name, sentence, fact in (
        ("hbeacon_cluster_backup_masters", "Backup masters; no sample while unknown.", snapshot.backup_masters),
        ("hbeacon_cluster_meta_replicas", "Replicas of hbase:meta; no sample while unknown.", snapshot.meta_locations),
        ("hbeacon_cluster_region_servers", "Live region servers; no sample while unknown.", snapshot.region_servers),
    ):
        yield _gauges(name, sentence, (), [((), len(fact.value))] if fact.value is not None else [])
    tables = Counter((snapshot.table_states.value or {}).values())
    yield _gauges("hbeacon_cluster_tables", "Tables by the state that ZooKeeper mirrors.", ("state",), _single(tables))


def _clients(source: StatusSource) -> Iterator[Metric]:
    visitors = source.visitors
    yield _gauges(
        "hbeacon_registry_clients_seen",
        "Clients of the last day (host, user and service) by how they came and the version they told.",
        ("path", "client_version"),
        bounded(
            {(path.value, version or "unknown"): count for (path, version), count in visitors.versions().items()}
        ).items(),
    )
    yield _counters(
        "hbeacon_registry_bootstraps",
        "Clients that arrived, by path, again and again (zookeeper: times that one was found connected).",
        ("path",),
        [((path.value,), visitors.sightings[path]) for path in VisitPath],
    )
    yield _counter(
        "hbeacon_registry_client_records_dropped", "Records of clients that made room early.", visitors.forgotten
    )


def _firewall(source: StatusSource) -> Iterator[Metric]:
    answer = source.firewall()
    yield _gauges(
        "hbeacon_firewall_verdict",
        "May ZooKeeper be firewalled now: 1 for the answer that applies, 0 for the others.",
        ("verdict",),
        _one_of(answer.verdict.value, [verdict.value for verdict in FirewallVerdict]),
    )
    yield _gauge(
        "hbeacon_firewall_watched_seconds",
        "For how long of the last day it has been watched; a yes takes all of it.",
        answer.watched_ms / 1000,
    )
    yield _gauges(
        "hbeacon_firewall_hosts",
        "Hosts of the last day by what they need: registry, facade_only, or zookeeper where that is looked at.",
        ("needs",),
        [
            (("registry",), answer.registry_hosts),
            (("facade_only",), len(answer.facade_only)),
            *([(("zookeeper",), len(answer.zookeeper_hosts))] if answer.zookeeper_watched else []),
        ],
    )


def _meta_tables(source: StatusSource) -> Iterator[Metric]:
    """Only where there is a façade that may need them."""
    tables = source.meta_table_states()
    if tables is None:
        return
    yield _gauge(
        "hbeacon_meta_table_states_wanted", "1 while states of tables are read from hbase:meta.", tables.wanted
    )
    yield _gauge(
        "hbeacon_meta_table_states_age_seconds",
        "Since the last complete reading was begun; +Inf before the first.",
        tables.age_ms / 1000,
    )
    yield _gauge("hbeacon_meta_table_states", "Tables in that reading.", tables.tables)
    yield _counter("hbeacon_meta_table_states_readings", "Complete readings.", tables.readings)
    yield _counter("hbeacon_meta_table_states_failures", "Readings that failed.", tables.failures)


def _zookeeper(source: StatusSource) -> Iterator[Metric]:
    session = source.session
    yield _gauges(
        "hbeacon_zk_session_state",
        "1 for the state that the ZooKeeper session is in, 0 for the others.",
        ("state",),
        _one_of(session.state, (CONNECTED, SUSPENDED, DISCONNECTED)),
    )
    yield _gauge(
        "hbeacon_zk_session_state_seconds",
        "How long the session has been in its state.",
        max(0.0, source.monotonic_ms() - session.since_ms) / 1000,
    )
    yield _gauge("hbeacon_zk_session_timeout_seconds", "Granted; 0 without one.", session.negotiated_timeout_ms / 1000)
    yield _gauge("hbeacon_zk_last_zxid", "Highest zxid in an answer of ZooKeeper.", session.last_zxid)
    yield _counter("hbeacon_zk_connects", "How often a connection to ZooKeeper was made.", session.connects)
    yield _counter("hbeacon_zk_suspensions", "How often it was lost.", session.suspensions)
    yield _counter("hbeacon_zk_expirations", "How often a session ended.", session.expirations)


def _election(source: StatusSource) -> Iterator[Metric]:
    """Of masters alone."""
    election = source.election()
    if election is None:
        return
    yield _gauges(
        "hbeacon_master_role",
        "1 for what this master is, 0 for the others.",
        ("role",),
        _one_of(election.role, ("active", "standby", "candidate")),
    )
    yield _gauge("hbeacon_master_acting", "1 while this master may act as the active one.", election.acting)
    yield _gauge("hbeacon_master_epoch", "czxid of this master's own znode; 0 without one.", election.epoch)
    yield _gauge(
        "hbeacon_master_lease_left_seconds",
        "How long it may act without another answer of ZooKeeper.",
        election.lease_left_ms / 1000,
    )
    yield _counter("hbeacon_master_candidates", "Candidates of this process.", election.lives)
    yield _counter("hbeacon_master_elections", "How often one of them became active.", election.elections)


def _rpc(source: StatusSource) -> Iterator[Metric]:
    rpc = source.rpc()
    yield _counters("hbeacon_rpc_calls", "Calls answered.", ("service", "method"), bounded(dict(rpc.calls)).items())
    yield _counters("hbeacon_rpc_preambles", "Preambles answered.", ("preamble",), _single(rpc.preambles))
    yield _counters("hbeacon_rpc_exceptions", "Answers with an exception.", ("exception",), _single(rpc.exceptions))
    yield _counters(
        "hbeacon_rpc_protocol_errors", "Connections closed for their bytes.", ("kind",), _single(rpc.protocol_errors)
    )
    yield _counters(
        "hbeacon_rpc_connections_refused", "Connections refused.", ("reason",), _single(rpc.connections_refused)
    )
    for name, sentence, value in (
        ("hbeacon_rpc_connections_accepted", "Connections accepted.", rpc.connections_accepted),
        ("hbeacon_rpc_connections_closed", "Connections closed, by whichever side.", rpc.connections_closed),
        ("hbeacon_rpc_idle_closed", "Connections closed because nothing came.", rpc.idle_closed),
        ("hbeacon_rpc_slow_readers_closed", "Connections closed: the peer read nothing.", rpc.slow_readers_closed),
        ("hbeacon_rpc_slow_writers_closed", "Connections closed: requests never ended.", rpc.slow_writers_closed),
        ("hbeacon_rpc_slow_handshakes_closed", "Connections closed: no header came.", rpc.slow_handshakes_closed),
        ("hbeacon_rpc_calls_expired", "Calls dropped because their time was over.", rpc.calls_expired),
        ("hbeacon_rpc_calls_shed", "Calls refused because the queue was full.", rpc.calls_shed),
        ("hbeacon_rpc_received_bytes", "Bytes received.", rpc.received_bytes),
        ("hbeacon_rpc_sent_bytes", "Bytes sent.", rpc.sent_bytes),
    ):
        yield _counter(name, sentence, value)


def _faults(source: StatusSource) -> Iterator[Metric]:
    """Only where faults are enabled: elsewhere there is nothing to be told, and nothing to be woken by."""
    control = source.faults()
    if control is None:
        return
    set_now = Counter(row.rule.kind for row in control.rows())
    yield _gauges(
        "hbeacon_faults_set",
        "Faults that are set on purpose, by kind.",
        ("kind",),
        [((kind.value,), set_now[kind]) for kind in FaultKind],
    )
    yield _counters(
        "hbeacon_faults_applied",
        "Connections and calls that met a fault, by kind.",
        ("kind",),
        [((kind.value,), control.applied.get(kind, 0)) for kind in FaultKind],
    )


def _fresh(stats: FreshStats) -> Iterator[Metric]:
    yield _gauge("hbeacon_fresh_waiting", "Questions that wait for a newer answer now.", stats.waiting)
    yield _counter("hbeacon_fresh_waited", "Questions that what was known did not meet.", stats.waited)
    yield _counters(
        "hbeacon_fresh_refused",
        "Questions refused because what they wanted was not met, by reason.",
        ("reason",),
        [((unmet.value,), stats.refused.get(unmet, 0)) for unmet in Unmet],
    )
    yield _counter(
        "hbeacon_fresh_leader_asked", "Questions to ZooKeeper's leader; one serves all who wait.", stats.leader_asked
    )


def _followers(hub: Hub) -> Iterator[Metric]:
    stats = hub.stats
    yield _gauge("hbeacon_events_subscribers", "Who follows by server-sent events now.", len(hub))
    for name, sentence, value in (
        ("hbeacon_events_accepted", "Subscribers that were taken.", stats.accepted),
        ("hbeacon_events_refused", "Subscribers beyond a limit.", stats.refused),
        ("hbeacon_events_dropped", "Subscribers that did not read.", stats.dropped),
        ("hbeacon_events_changes", "Changes told; each is encoded once.", stats.changes),
    ):
        yield _counter(name, sentence, value)
    yield _gauge("hbeacon_events_told_seconds", "How long the latest change took to reach all.", stats.told_s)


def _process(source: StatusSource, lag: LoopLag) -> Iterator[Metric]:
    figures = process_figures()
    yield _gauge("hbeacon_event_loop_lag_seconds", "How late the loop ran what was due, latest sample.", lag.last_s)
    yield _gauge("hbeacon_event_loop_lag_max_seconds", "The same, highest of the last 30 to 60 s.", lag.max_s)
    yield _gauge("process_resident_memory_bytes", "Resident memory size in bytes.", figures.resident_bytes)
    yield _gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", figures.virtual_bytes)
    yield _counter("process_cpu_seconds", "Total user and system CPU time spent in seconds.", figures.cpu_seconds)
    yield _gauge("process_open_fds", "Number of open file descriptors.", figures.fds_open)
    yield _gauge("process_max_fds", "Maximum number of open file descriptors.", figures.fds_max)
    yield _gauge(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        source.identity.started_wall_ms / 1000,
    )
