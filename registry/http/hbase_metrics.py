"""The metrics that HBase has names for, under those names, so that existing dashboards and alerts go on working.

HBase builds a name from the record and the metric (`Master` + `numOpenConnections` -> master_num_open_connections) and
carries the record's tags as labels in lower case. What this server cannot know (the JVM's heap, a WAL's files where the
engine has none) is left out rather than shown as 0.
Source: org.apache.hadoop.hbase.http.prometheus.PrometheusHadoopServlet, MetricsHBaseServerSource, MetricsMasterSource;
the names that Grafana's apache-hbase-mixin asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric, UnknownMetricFamily

from registry.http.hbase_names import assignment_figures, master_figures, region_server_figures, snake_case
from registry.http.region_server_status import RegionServerStatus
from registry.http.status import StatusSource
from registry.lookup.snapshot import FactState, RegionServer

QUEUES = ("general", "priority", "read", "write", "scan", "replication")
SERVERS_IN_LABEL_MAX = 200
"""HBase puts every server name into one label; of a larger cluster the rest is only counted."""


def hbase_families(source: StatusSource) -> Iterator[Metric]:
    """HBase's families. Its counters have no _total in their names, so their type is left open (untyped)."""
    rpc, host = source.rpc(), source.identity.host
    serving = source.region_server()
    record, context = ("master", "master") if serving is None else ("region_server", "regionserver")
    for name, sentence, value in (
        ("num_open_connections", "Number of open connections.", rpc.connections_open),
        ("queue_size", "Number of bytes in the call queues.", rpc.queue_bytes),
        ("num_active_handler", "Number of active rpc handlers.", rpc.calls_executing),
        *(
            (f"num_calls_in_{queue}_queue", f"Calls in the {queue} queue.", rpc.calls_in_queue.get(queue, 0))
            for queue in QUEUES
        ),
    ):
        gauge = GaugeMetricFamily(f"{record}_{name}", sentence, labels=["context", "hostname"])
        gauge.add_metric([context, host], value)
        yield gauge
    for name, sentence, value in (
        ("authentication_successes", "Number of authentication successes.", rpc.authentication_successes),
        ("authentication_failures", "Number of authentication failures.", rpc.authentication_failures),
        ("received_bytes", "Number of bytes received.", rpc.received_bytes),
        ("sent_bytes", "Number of bytes sent.", rpc.sent_bytes),
        ("exceptions", "Exceptions caused by requests.", sum(rpc.exceptions.values())),
        ("num_general_calls_dropped", "Calls of the general queue that were dropped.", rpc.calls_expired),
    ):
        untyped = UnknownMetricFamily(f"{record}_{name}", sentence, labels=["context", "hostname"])
        untyped.add_metric([context, host], value)
        yield untyped
    if serving is not None:
        yield from region_server_families(source, serving)
    else:
        yield from _master(source)


def _master(source: StatusSource) -> Iterator[Metric]:
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
    cluster, servers = source.cluster(), snapshot.region_servers
    if cluster is not None:
        labels["deadregionservers"] = ";".join(cluster.dead_servers[:SERVERS_IN_LABEL_MAX])
    if servers.state is FactState.KNOWN:
        labels["liveregionservers"] = server_names(servers.value or ())
    family = GaugeMetricFamily("server_num_region_servers", "Number of RegionServers.", labels=list(labels))
    if servers.state is FactState.KNOWN:
        family.add_metric(list(labels.values()), len(servers.value or ()))
    yield family
    if cluster is not None:
        for name, sentence, value in master_figures(cluster):
            yield _figure("server", name, sentence, labels, value)
        of_the_host = {name: labels[name] for name in ("context", "hostname")}
        for name, sentence, value in assignment_figures(cluster):
            yield _figure("assignment_manager", name, sentence, of_the_host, value)


def server_names(servers: Sequence[RegionServer]) -> str:
    """`host,port,startcode;host,port,startcode`, as MetricsMasterWrapperImpl joins them."""
    shown = ";".join(str(server.server_name) for server in servers[:SERVERS_IN_LABEL_MAX])
    over = len(servers) - SERVERS_IN_LABEL_MAX
    return f"{shown};({over} more)" if over > 0 else shown


def region_server_families(source: StatusSource, serving: RegionServerStatus) -> Iterator[Metric]:
    """The record `Server` of a region server.

    What HBase counts up has an open type here too.
    """
    identity = source.identity
    labels = {
        "context": "regionserver",
        "hostname": identity.host,
        "clusterid": source.snapshot.cluster_id.value or "",
        "servername": serving.server_name or identity.advertised,
        "zookeeperquorum": identity.zookeeper_quorum,
    }
    for name, sentence, value, is_gauge in region_server_figures(source.rpc(), serving):
        yield _figure("server", name, sentence, labels, value, is_gauge=is_gauge)


def _figure(
    record: str, name: str, sentence: str, labels: Mapping[str, str], value: float, *, is_gauge: bool = True
) -> Metric:
    """One of HBase's by its name; its gauges called ...Count have an open type, for promtool knows no such gauges."""
    kind = GaugeMetricFamily if is_gauge and not name.endswith("Count") else UnknownMetricFamily
    family = kind(f"{record}_{snake_case(name)}", sentence, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family
