"""A real HBase 1.4.14, whose servers know nothing of ClientMetaService: adapters make new clients at home there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from concurrent.futures import Future

import pytest

from tests.support import registry_probe
from tests.support.adapters import AdapterProcess, addresses
from tests.support.compatibility import Results
from tests.support.java import Answer, ClientError, JavaClient
from tests.support.processes import wait_for
from tests.support.real_cluster import QUICK_REFRESH, RealClusters, registry_settings
from tests.support.registry_probe import ChannelClosedError

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SERVER = "HBase 1.4.14"
CLIENTS = [
    ("2.5.11", "MasterRegistry"),
    ("2.5.11", "RpcConnectionRegistry"),
    ("2.6.4", "MasterRegistry"),
    ("2.6.4", "RpcConnectionRegistry"),
    ("3.0.0-beta-1", "default"),
]
SURVEYED = {"2.5.11": "RpcConnectionRegistry", "2.6.4": "RpcConnectionRegistry", "3.0.0-beta-1": "default"}
IMPATIENT = {"hbase.client.retries.number": "2", "hbase.client.operation.timeout": "10000"}


@pytest.fixture(scope="module")
def tier(clusters: RealClusters) -> Generator[list[AdapterProcess]]:
    adapters = clusters.tier(clusters.old, 2)
    yield adapters
    for adapter in adapters:
        adapter.close()


@pytest.fixture(scope="module")
def untiered(clusters: RealClusters) -> Generator[AdapterProcess]:
    """An adapter that was told of no tier: `auto` finds nobody here that may be handed out."""
    adapter = clusters.adapter(clusters.old).wait_ready()
    yield adapter
    adapter.close()


@pytest.fixture(params=CLIENTS, ids=lambda pair: "-".join(pair))
def client(request: pytest.FixtureRequest, clusters: RealClusters) -> Generator[tuple[JavaClient, str]]:
    version, path = request.param
    java = clusters.client(version)
    yield java, path
    java.close()


def _create(java: JavaClient, table: str) -> None:
    def created() -> bool:
        try:
            java.do("create", "c", table)
        except ClientError as error:
            if "PleaseHold" not in str(error) and "TableExists" not in str(error):
                raise
            return "TableExists" in str(error)
        return True

    wait_for("the old master taking orders", created, 60, 1.0)


@pytest.fixture(scope="module", autouse=True)
def surveys(clusters: RealClusters, tier: list[AdapterProcess]) -> Generator[dict[str, Future[Answer]]]:
    """Every call of Admin by every version, on tables of its own; beside all else: mostly they wait and ask again."""
    with contextlib.ExitStack() as ends:
        asked: dict[str, Future[Answer]] = {}
        for version, path in SURVEYED.items():
            java = clusters.client(version)
            ends.callback(java.close)
            java.open("c", registry_settings(path, addresses(tier)) | IMPATIENT)
            _create(java, f"ready-{version}")
            asked[version] = java.submit("survey", "c", f"survey{version.replace('.', '')}")
        yield asked


def test_reads_and_writes_with_the_refresh(
    clusters: RealClusters,
    tier: list[AdapterProcess],
    untiered: AdapterProcess,
    client: tuple[JavaClient, str],
    results: Results,
) -> None:
    java, path = client
    clusters.prove_zookeeper_unreachable()
    table = f"t-{java.version}-{path}"
    with results.feature(SERVER, java.version, path, "connect"):
        java.open("c", registry_settings(path, addresses(tier)) | QUICK_REFRESH)
        java.open("untiered", registry_settings(path, untiered.rpc) | QUICK_REFRESH)
    with results.feature(SERVER, java.version, path, "create table"):
        _create(java, table)
    with results.feature(SERVER, java.version, path, "put, get"):
        java.do("put", "c", table, "r1", "v1")
        assert java.do("get", "c", table, "r1").value == "v1"
    with results.feature(SERVER, java.version, path, "scan"):
        assert java.do("scan", "untiered", table).value == {"r1": "v1"}
    with results.feature(SERVER, java.version, path, "refresh"):
        _wait_for_refreshes(java, {"c": sorted(adapter.rpc for adapter in tier), "untiered": [untiered.rpc]})
        java.do("put", "untiered", table, "r2", "v2")
        assert java.do("scan", "c", table).value == {"r1": "v1", "r2": "v2"}


def _connect_and_ask(java: JavaClient, settings: dict[str, str]) -> None:
    """Some versions open a connection without a cluster id and fail at the first question."""
    java.open("c", settings, timeout_s=90)
    java.do("get", "c", "hbase:meta", "r", timeout_s=90)


def _wait_for_refreshes(java: JavaClient, servers: dict[str, list[str]]) -> None:
    """Refreshes come every two seconds: after five, two have been taken in by each connection."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for connection, expected in servers.items():
            assert java.do("servers", connection).value == expected
        time.sleep(0.25)


def test_nobody_is_handed_out_who_would_close_the_connection(
    clusters: RealClusters, tier: list[AdapterProcess], untiered: AdapterProcess
) -> None:
    names = [adapter.rpc for adapter in tier]
    for adapter in tier:
        masters, nodes = registry_probe.handed_out(adapter.rpc_address)
        assert masters == names
        assert sorted(nodes) == sorted(names), "their order takes turns"
    assert registry_probe.handed_out(untiered.rpc_address) == ([], [])


def test_new_client_and_old_server_gets_a_closed_channel(
    clusters: RealClusters, client: tuple[JavaClient, str], results: Results
) -> None:
    """What adapters are for: without one, the old master closes the connection at the new service's name."""
    java, path = client
    port = clusters.old.master_ports[0]
    with pytest.raises(ChannelClosedError):
        registry_probe.call((clusters.network.server_address, port), "GetClusterId")
    with pytest.raises(ClientError) as refused:
        _connect_and_ask(java, registry_settings(path, clusters.old.masters) | IMPATIENT)
    assert "RegistryFetchException" in str(refused.value) or "ConnectionClosed" in str(refused.value)
    results.record(SERVER, java.version, path, "connect without an adapter", "refused: the server closes the channel")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", SURVEYED)
def test_what_of_admin_works(surveys: dict[str, Future[Answer]], version: str, results: Results) -> None:
    """Every call runs; the page lists what each met. What a reader or writer of tables cannot do without must work."""
    path, outcomes = SURVEYED[version], surveys[version].result(500).value
    for call, outcome in outcomes.items():
        met = "works" if outcome == "ok" else _short(outcome)
        results.record(f"Admin against {SERVER}", version, path, call, met)
    for call in ("createTable", "listTableNames", "getDescriptor", "getClusterMetrics"):
        assert outcomes[call] == "ok", (call, outcomes[call])


def _short(outcome: str) -> str:
    """The exception's own name, without its package, or the message of the harness's own."""
    name, _, message = outcome.partition(": ")
    if name == "java.lang.IllegalStateException":
        return message
    return name.rpartition(".")[2] if "." in name else outcome
