"""Stock Java clients tell the same story of hbeacon's own cluster as of a real HBase 2.6.4, line by line.

tests.support.stories says what the lines are. Where hbeacon answers something else on purpose, DIFFERENCES says why.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from registry.names import Address
from tests.support.compatibility import WORKS, Results
from tests.support.master_calls import initialized
from tests.support.own_cluster import OwnCluster
from tests.support.real_cluster import RealClusters, registry_settings
from tests.support.stories import PROGRAMS, Line, recorded, told, zookeeper_settings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SERVER, OLD_SERVER = "hbeacon", "hbeacon: the old hbase-client"
"""Clients before HBase 2 call what they can by other names."""
SESSION_MS = 20_000
CLIENTS = [
    ("2.6.4", "ZooKeeper"),
    ("2.6.4", "MasterRegistry"),
    ("2.6.4", "RpcConnectionRegistry"),
    ("2.5.11", "ZooKeeper"),
    ("2.5.11", "MasterRegistry"),
    ("2.5.11", "RpcConnectionRegistry"),
    ("3.0.0-beta-1", "ZooKeeper"),
    ("3.0.0-beta-1", "MasterRegistry"),
    ("3.0.0-beta-1", "RpcConnectionRegistry"),
    ("1.4.14", "ZooKeeper"),
]
SHORT: Mapping[tuple[str, str], tuple[str, ...]] = {
    # these paths differ from the others of their version in how servers are found, not in what is asked of them;
    # 2.5.11 tells each story over one of its three
    ("2.6.4", "MasterRegistry"): ("AdminStory",),
    ("2.6.4", "RpcConnectionRegistry"): ("AsyncStory",),
    ("2.5.11", "ZooKeeper"): ("FilterStory",),
    ("2.5.11", "MasterRegistry"): ("TableStory", "AdminStory"),
    ("2.5.11", "RpcConnectionRegistry"): ("ScanStory", "AsyncStory"),
    ("3.0.0-beta-1", "ZooKeeper"): ("TableStory",),
    ("3.0.0-beta-1", "MasterRegistry"): ("AsyncStory",),
}
"""What is told over them unless HBEACON_TEST_EVERY_PATH is set: then it is everything."""

_NO_MACHINE = "refused with a sentence: it cannot be followed in bounded time"
DIFFERENCES: Mapping[str, tuple[str, str]] = {
    "large cells: append beyond it": (
        r"! DoNotRetryIOException: .*Cell with size 10486691 exceeds limit of 10485760 bytes in region story,g,.*",
        "a real server puts the name of a Java object where it means the region",
    ),
    "scan: answers of two hundred bytes, partial rows, limit": (
        r"\[f0\{a:first@5=1 .*, f0\{b:first@7=3 b:second@8=4\}, .* h0\{.*b:second@8=4\}\]",
        "a real server loses the last cell of the last row here: it counts a part of a row as a row of the limit",
    ),
    "deleteTable: get from it": (
        r"! TableNotFoundException: (?:adm|oldadm|Table 'oldadm' was not found, got: <table>)(?:\.)?",
        "hbase-client 1.4 names the table before it in hbase:meta, where there is one",
    ),
    "services: of all regions in batches": (
        r"\{region =3, region g=2, region n=2, region t=3\}",
        "in batches clients name HBase's own services with their package, and a real server knows them without it only",
    ),
    "filters: MultiRowRangeFilter without an end, reversed": (
        "the same",
        "downwards a real server sorts ranges by their stop rows and takes the empty one for the least: it loses rows",
    ),
    "patterns that refer back or look ahead: ahead": (
        r"! DoNotRetryIOException: .*looking ahead is not supported in patterns: h\(\?=6\).*",
        _NO_MACHINE,
    ),
    "patterns that refer back or look ahead: back": (
        r"! DoNotRetryIOException: .*a back reference is not supported in patterns: \(h\)\\1.*",
        _NO_MACHINE,
    ),
    "JONI's own classes of characters: letters and digits": (
        r"! DoNotRetryIOException: .*JONI's classes of characters are not supported in patterns: .*",
        "refused with a sentence: patterns are Java's for both engines",
    ),
}
"""`feature: what` of a line, with what hbeacon answers (a pattern) and why."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[OwnCluster]:
    with OwnCluster(tmp_path_factory.mktemp("own"), session_ms=SESSION_MS) as made:
        yield made.wait_ready()


def settings_of(cluster: OwnCluster, version: str, path: str) -> dict[str, str]:
    if path == "ZooKeeper":
        return zookeeper_settings(cluster.zookeeper, version)
    servers = cluster.master_addresses if path == "MasterRegistry" else cluster.region_server_addresses
    return registry_settings(path, servers)


def record(
    results: Results, server: str, version: str, path: str, theirs: Sequence[Line], found: Mapping[str, str]
) -> None:
    """A cell for each feature; where every line of one differs on purpose, the reason."""
    client = f"hbase-client {version}" if version.startswith("1.") else version
    for feature in dict.fromkeys(line.feature for line in theirs):
        keys = [line.key for line in theirs if line.feature == feature]
        result = WORKS if any(key not in DIFFERENCES for key in keys) else DIFFERENCES[keys[0]][1]
        if feature in found:
            result = f"**differs**: {found[feature].splitlines()[1].strip()[:80]}"
        results.record(server, client, path, feature, result)


def differences(ours: Iterable[Line], theirs: Iterable[Line]) -> dict[str, str]:
    """Feature and the first of its lines that are not as they should be."""
    answered = {line.key: line.outcome for line in ours}
    found: dict[str, str] = {}
    for line in theirs:
        outcome = answered.get(line.key, "no such line")
        if line.key in DIFFERENCES:
            fits = re.fullmatch(DIFFERENCES[line.key][0], outcome, re.DOTALL) is not None
        else:
            fits = outcome == line.outcome
        if not fits:
            more = f"\n  {line.key}\n    HBase   {line.outcome[:600]}\n    hbeacon {outcome[:600]}"
            found[line.feature] = found.get(line.feature, "") + more
    return found


@pytest.mark.parametrize(("version", "path"), CLIENTS)
def test_same_lines_as_from_a_real_server(
    cluster: OwnCluster, results: Results, tmp_path: Path, version: str, path: str
) -> None:
    every = bool(os.environ.get("HBEACON_TEST_EVERY_PATH"))
    programs: Sequence[str] = PROGRAMS[version] if every else SHORT.get((version, path), PROGRAMS[version])
    ours = told(version, settings_of(cluster, version, path), tmp_path / "client.log", programs=programs)
    theirs = recorded(version, programs)
    found = differences(ours, theirs)
    record(results, OLD_SERVER if version.startswith("1.") else SERVER, version, path, theirs, found)
    assert not found, f"{version} over {path}:" + "".join(found.values())


def test_the_recorded_lines_are_those_of_a_real_server(clusters: RealClusters, tmp_path: Path) -> None:
    """One of the programs once more, so that the files cannot drift away from what they were taken from."""
    settings = zookeeper_settings(clusters.zookeeper.address, "2.6.4")
    settings |= {"zookeeper.znode.parent": clusters.current.parent}
    host, port, _ = clusters.current.witness.master.last().split(",")
    asyncio.run(initialized(Address(host, int(port))))
    assert told("2.6.4", settings, tmp_path / "client.log", programs=["TableStory"]) == recorded(
        "2.6.4", ["TableStory"]
    )
