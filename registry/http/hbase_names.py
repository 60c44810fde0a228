"""Figures of region servers and of the active master under HBase's names, for /metrics and /jmx alike.

Source: MetricsRegionServerSource, MetricsMasterSource, MetricsAssignmentManagerSource and their wrappers (2.6.4).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from registry.http.cluster_status import ClusterStatus
from registry.http.region_server_status import RegionServerStatus
from registry.http.status import RpcStatus

CLIENT_SERVICE = "ClientService"


def snake_case(name: str) -> str:
    """As PrometheusHadoopServlet writes a name: `storeFileSize` is store_file_size."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def region_server_figures(rpc: RpcStatus, serving: RegionServerStatus) -> Iterator[tuple[str, str, float, bool]]:
    """Name, sentence, value, and whether it is a gauge; what the engine does not tell is left out."""
    for name, sentence, gauge in (
        ("regionCount", "Regions that are open here.", serving.regions_count),
        ("storeCount", "Column families of those regions.", serving.families_count),
        ("storeFileCount", "Files that hold rows.", serving.store_files),
        ("storeFileSize", "Bytes of those files.", serving.store_file_bytes),
        ("memStoreSize", "Bytes that are in no such file yet.", serving.memstore_bytes),
        ("hlogFileSize", "Bytes of logs.", serving.log_bytes),
        ("averageRegionSize", "Bytes of rows, divided by the regions.", _average_bytes(serving)),
        ("activeScanners", "Scanners that are open now.", serving.scanners),
    ):
        if gauge is not None:
            yield name, sentence, gauge, True
    calls = {method: count for (service, method), count in rpc.calls.items() if service == CLIENT_SERVICE}
    for name, sentence, count in (
        ("totalRequestCount", "Calls of clients that were answered.", sum(calls.values())),
        (
            "totalRowActionRequestCount",
            "Rows read and written.",
            serving.read_requests + serving.write_requests,
        ),
        ("readRequestCount", "Rows read.", serving.read_requests),
        ("writeRequestCount", "Rows written.", serving.write_requests),
        ("rpcGetRequestCount", "Get calls.", calls.get("Get", 0)),
        ("rpcScanRequestCount", "Scan calls.", calls.get("Scan", 0)),
        ("rpcMultiRequestCount", "Multi calls.", calls.get("Multi", 0)),
        ("rpcMutateRequestCount", "Mutate calls.", calls.get("Mutate", 0)),
        ("checkMutatePassedCount", "Conditions of check-and-mutate that held.", serving.checks_passed),
        ("checkMutateFailedCount", "Conditions of check-and-mutate that did not hold.", serving.checks_failed),
        (
            "scannerLeaseExpiredCount",
            "Scanners that were closed because nobody came back to them.",
            serving.scanner_leases_expired,
        ),
    ):
        yield name, sentence, count, False


def _average_bytes(serving: RegionServerStatus) -> float | None:
    if serving.store_file_bytes is None or not serving.regions_count:
        return None
    return (serving.store_file_bytes + (serving.memstore_bytes or 0)) / serving.regions_count


def master_figures(cluster: ClusterStatus) -> Iterator[tuple[str, str, float]]:
    """Name, sentence and value of the record `Server`, beyond what every master knows."""
    yield "numDeadRegionServers", "Region servers that died and have not come back.", len(cluster.dead_servers)
    yield (
        "numDrainingRegionServers",
        "Live region servers that get no more regions.",
        sum(row.draining for row in cluster.servers),
    )
    yield (
        "averageLoad",
        "Regions for each live region server.",
        cluster.regions / len(cluster.servers) if cluster.servers else 0.0,
    )
    requests = sum(row.read_requests + row.write_requests for row in cluster.servers)
    yield "clusterRequests", "Rows read and written by all live region servers.", requests


def assignment_figures(cluster: ClusterStatus) -> Iterator[tuple[str, str, float]]:
    """Name, sentence and value of the record `AssignmentManager`."""
    yield "ritCount", "Regions in transition.", len(cluster.transitions)
    yield (
        "ritCountOverThreshold",
        "Regions in transition for more than a minute.",
        len(cluster.stuck()),
    )
    oldest_ms = max((row.since_ms for row in cluster.transitions), default=0.0)
    yield "ritOldestAge", "For how long the oldest has been, in milliseconds.", oldest_ms
