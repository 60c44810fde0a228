"""The metrics that HBase has names for, under those names, so that existing dashboards and alerts go on working.

HBase builds a name from the record and the metric (`Master` + `numOpenConnections` -> master_num_open_connections) and
carries the record's tags as labels in lower case. What this server cannot know (dead region servers, the JVM's heap)
is left out rather than shown as 0.
Source: org.apache.hadoop.hbase.http.prometheus.PrometheusHadoopServlet, MetricsHBaseServerSource, MetricsMasterSource;
the names that Grafana's apache-hbase-mixin asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric, UnknownMetricFamily

from registry.http.status import StatusSource
from registry.lookup.snapshot import FactState, RegionServer

QUEUES = ("general", "priority", "read", "write", "scan", "replication")
SERVERS_IN_LABEL_MAX = 200
"""HBase puts every server name into one label; of a larger cluster the rest is only counted."""


def hbase_families(source: StatusSource) -> Iterator[Metric]:
    """HBase's families. Its counters have no _total in their names, so their type is left open (untyped)."""
    rpc, host = source.rpc(), source.identity.host
    for name, sentence, value in (
        ("master_num_open_connections", "Number of open connections.", rpc.connections_open),
        ("master_queue_size", "Number of bytes in the call queues.", rpc.queue_bytes),
        ("master_num_active_handler", "Number of active rpc handlers.", rpc.calls_executing),
        *(
            (f"master_num_calls_in_{queue}_queue", f"Calls in the {queue} queue.", rpc.calls_in_queue.get(queue, 0))
            for queue in QUEUES
        ),
    ):
        gauge = GaugeMetricFamily(name, sentence, labels=["context", "hostname"])
        gauge.add_metric(["master", host], value)
        yield gauge
    for name, sentence, value in (
        ("master_authentication_successes", "Number of authentication successes.", rpc.authentication_successes),
        ("master_authentication_failures", "Number of authentication failures.", rpc.authentication_failures),
        ("master_received_bytes", "Number of bytes received.", rpc.received_bytes),
        ("master_sent_bytes", "Number of bytes sent.", rpc.sent_bytes),
        ("master_exceptions", "Exceptions caused by requests.", sum(rpc.exceptions.values())),
        ("master_num_general_calls_dropped", "Calls of the general queue that were dropped.", rpc.calls_expired),
    ):
        untyped = UnknownMetricFamily(name, sentence, labels=["context", "hostname"])
        untyped.add_metric(["master", host], value)
        yield untyped
    yield _region_servers(source)


def _region_servers(source: StatusSource) -> Metric:
    identity, snapshot, election = source.identity, source.snapshot, source.election()
    labels = {
        "context": "master",
        "hostname": identity.host,
        "clusterid": snapshot.cluster_id.value or "",
        "servername": identity.advertised,
        "zookeeperquorum": identity.zookeeper_quorum,
        # An adapter watches a cluster that has its own active master; it is none.
        "isactivemaster": "true" if election is not None and election.acting else "false",
        "liveregionservers": "",
        "deadregionservers": "",
    }
    servers = snapshot.region_servers
    if servers.state is FactState.KNOWN:
        labels["liveregionservers"] = server_names(servers.value or ())
    family = GaugeMetricFamily("server_num_region_servers", "Number of RegionServers.", labels=list(labels))
    if servers.state is FactState.KNOWN:
        family.add_metric(list(labels.values()), len(servers.value or ()))
    return family


def server_names(servers: Sequence[RegionServer]) -> str:
    """`host,port,startcode;host,port,startcode`, as MetricsMasterWrapperImpl joins them."""
    shown = ";".join(str(server.server_name) for server in servers[:SERVERS_IN_LABEL_MAX])
    over = len(servers) - SERVERS_IN_LABEL_MAX
    return f"{shown};({over} more)" if over > 0 else shown
