"""Metrics of our own about region servers and the cluster that a master leads; HBase's names are in hbase_metrics.py.

Only what a label can bound: stores of one machine and states are few, tables and regions are only counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from registry.http.cluster_status import ClusterStatus
from registry.http.region_server_status import RegionServerStatus
from registry.http.status import StatusSource

STORES_MAX = 50
STATES = ("OFFLINE", "OPENING", "OPEN", "CLOSING", "CLOSED", "FAILED_OPEN", "FAILED_CLOSE", "ABNORMALLY_CLOSED")
"""Of regions. Source: RegionState.State."""


def own_families(source: StatusSource) -> Iterator[Metric]:
    """Nothing for a server that is no region server and leads no cluster."""
    if (serving := source.region_server()) is not None:
        yield from _region_server(serving)
    if (cluster := source.cluster()) is not None:
        yield from _cluster(cluster)


def _region_server(serving: RegionServerStatus) -> Iterator[Metric]:
    for name, sentence, value in (
        ("hbeacon_region_server_registered", "1 while the master knows this server.", serving.registered),
        ("hbeacon_region_server_serves", "1 while calls of clients for rows are answered.", serving.serves),
        (
            "hbeacon_region_server_lease_left_seconds",
            "How long clients are served without another answer of ZooKeeper.",
            serving.lease_left_ms / 1000,
        ),
        (
            "hbeacon_region_server_report_age_seconds",
            "Since the master answered a report; +Inf before that.",
            serving.reported_ms / 1000,
        ),
        ("hbeacon_region_server_regions_opening", "Regions that are being opened.", len(serving.opening)),
        ("hbeacon_region_server_storage_ok", "1 while rows can be read and written.", not serving.storage_problem),
    ):
        yield GaugeMetricFamily(name, sentence, value=float(value))
    for name, sentence, count in (
        (
            "hbeacon_coprocessor_calls_failed",
            "Calls of users' endpoints and observers that raised what is no exception of HBase's.",
            serving.coprocessor_failed,
        ),
        ("hbeacon_coprocessor_calls_late", "Those whose time was over.", serving.coprocessor_late),
        (
            "hbeacon_coprocessor_calls_refused",
            "Those that were not begun, because others of their class did not end.",
            serving.coprocessor_refused,
        ),
    ):
        yield CounterMetricFamily(name, sentence, value=count)
    reach = GaugeMetricFamily(
        "hbeacon_store_reach",
        "1 for each store of the data directory, by how it is reached.",
        labels=["store", "reach"],
    )
    size = GaugeMetricFamily("hbeacon_store_bytes", "Of each store that tells, on the disk.", labels=["store"])
    for store in serving.stores[:STORES_MAX]:
        reach.add_metric([store.store_id, store.reach], 1)
        if store.data_bytes is not None:
            size.add_metric([store.store_id], store.data_bytes)
    yield reach
    yield size


def _cluster(cluster: ClusterStatus) -> Iterator[Metric]:
    states: Counter[str] = Counter()
    for table in cluster.tables:
        states.update(table.regions)
    regions = GaugeMetricFamily("hbeacon_cluster_regions", "Regions of all tables, by state.", labels=["state"])
    for state in STATES:
        regions.add_metric([state], states[state])
    yield regions
    for name, sentence, value in (
        ("hbeacon_cluster_initialized", "1 once tables can be created and changed.", cluster.initialized),
        (
            "hbeacon_cluster_regions_unreachable",
            "Regions whose data no live server reaches.",
            len(cluster.unreachable()),
        ),
        (
            "hbeacon_cluster_procedures",
            "Procedures that have not ended.",
            sum(not row.has_ended for row in cluster.procedures),
        ),
    ):
        yield GaugeMetricFamily(name, sentence, value=float(value))
    yield CounterMetricFamily(
        "hbeacon_cluster_fatal_errors",
        "Errors that region servers reported before they ended.",
        value=cluster.errors_seen,
    )
