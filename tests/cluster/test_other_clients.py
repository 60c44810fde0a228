"""Clients that are not Java's own read and write hbeacon's own cluster: asynchbase, and those of npm and PyPI.

Each makes the calls that it has, in its own way: cells inline, no version told, meta asked by Get or by a scan. What is
expected of each is what a real HBase 2.6.4 answered it, with what the clients themselves do wrong there.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence

import pytest

from protos.hbase import Admin_pb2, HBase_pb2, Master_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.region_info import RegionInfo
from tests.support.compatibility import ROOT, Results
from tests.support.master_calls import MasterCalls
from tests.support.old_clients import KINDS, PYPI, ClientRefusedError, OldClient, pypi_directory
from tests.support.own_cluster import OwnCluster
from tests.support.processes import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

SERVER, PATH = "hbeacon: other clients", "ZooKeeper"
SESSION_MS = 20_000
SPLITS = ("g", "p")
ROWS = 300
"""More than the hundred that npm's client asks for at once, in each region."""

Steps = Sequence[tuple[str, str]]
"""What is said to a client, and the answer."""

COMMON: Mapping[str, Steps] = {
    "put, get": [("put {t} r1 v", ""), ("get {t} r1", "v"), ("get {t} r1 r1", "v")],
    "many puts at once": [(f"load {{t}} {ROWS}", f"{ROWS}")],
    "scan over several regions": [("between {t} b r", "189 b0001=v1 q0276=v276")],
    "scan with a filter": [("matching {t} ^[a-c]0.*", "36 a0000=v0 c0288=v288")],
    "delete": [("delete {t} r1", ""), ("get {t} r1", "")],
    "many deletes at once": [("unload {t} a0000 b0001", ""), ("mget {t} a0000", "-"), ("mget {t} a0026", "v26")],
    "increment": [("increment {t} n1 5", "5"), ("increment {t} n1 -2", "3")],
    "checkAndPut": [
        ("cas {t} k1 - 1", "true"),
        ("cas {t} k1 - 2", "false"),
        ("cas {t} k1 1 2", "true"),
        ("get {t} k1", "2"),
    ],
}
OF_ONE: Mapping[str, Mapping[str, Steps]] = {
    "asynchbase": {
        "many gets at once": [("mget {t} a0026 z0025 no m0012", "v26 v25 - v12")],
        "reversed scan over several regions": [("backwards {t}", "300 z0285=v285 a0026=v26")],
        "append": [("append {t} k1 +x", ""), ("get {t} k1", "2+x")],
        "buffered increments": [
            ("increment {t} n2 0", "0"),
            ("buffered {t} n2 200", ""),
            ("increment {t} n2 0", "200"),
        ],
        "table exists": [("exists {t}", "true")],
    },
    "npm": {
        "checkAndDelete": [
            ("casdelete {t} k1 9", "false"),
            ("casdelete {t} k1 2", "true"),
            ("get {t} k1", ""),
        ],
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[OwnCluster]:
    with OwnCluster(tmp_path_factory.mktemp("own"), masters=1, session_ms=SESSION_MS) as made:
        yield made.wait_ready()


@pytest.fixture(scope="module")
def driver(cluster: OwnCluster) -> Generator[OldClient]:
    """hbase-driver, which makes tables for those that cannot."""
    made = OldClient(PYPI, cluster.zookeeper, "/hbase", cluster.directory / "driver.log")
    try:
        made.do("connect")
        yield made
    finally:
        made.close()


def told(client: OldClient, table: str, steps: Steps) -> None:
    for words, expected in steps:
        assert client.do(*words.format(t=table).split()) == expected, words


async def _regions(cluster: OwnCluster, table: str) -> list[set[str]]:
    """Of each region server, the encoded names of those of the table that it has."""
    held: list[set[str]] = []
    for port in cluster.region_server_ports:
        async with await RpcChannel.connect(Address("127.0.0.1", port), "AdminService") as server:
            online = await server.call(
                "GetOnlineRegion", Admin_pb2.GetOnlineRegionRequest(), Admin_pb2.GetOnlineRegionResponse
            )
        regions = [RegionInfo.from_message(each) for each in online.region_info]
        held.append({each.encoded_name for each in regions if each.table == table})
    return held


async def _move_all(cluster: OwnCluster, table: str) -> list[set[str]]:
    """Has every region of the table moved to the other server; where they will be."""
    servers: list[HBase_pb2.ServerName] = []
    for port in cluster.region_server_ports:
        async with await RpcChannel.connect(Address("127.0.0.1", port), "AdminService") as server:
            info = await server.call("GetServerInfo", Admin_pb2.GetServerInfoRequest(), Admin_pb2.GetServerInfoResponse)
            servers.append(info.server_info.server_name)
    held = await _regions(cluster, table)
    assert sum(map(len, held)) == len(SPLITS) + 1
    async with await RpcChannel.connect(Address("127.0.0.1", cluster.master_ports[0]), "MasterService") as master:
        for regions, there in zip(held, reversed(servers), strict=True):
            for region in regions:
                request = Master_pb2.MoveRegionRequest(dest_server_name=there)
                request.region.type = HBase_pb2.RegionSpecifier.ENCODED_REGION_NAME
                request.region.value = region.encode()
                await master.call("MoveRegion", request, Master_pb2.MoveRegionResponse)
    return held[::-1]


@pytest.mark.parametrize("kind", OF_ONE)
def test_all_calls_of_a_client(cluster: OwnCluster, driver: OldClient, results: Results, kind: str) -> None:
    name, table = KINDS[kind].name, f"of-{kind}"
    driver.do("create", table, *SPLITS)
    client = OldClient(KINDS[kind], cluster.zookeeper, "/hbase", cluster.directory / f"{kind}.log")
    try:
        with results.feature(SERVER, name, PATH, "connect"):
            client.do("connect")
        for feature, steps in {**COMMON, **OF_ONE[kind]}.items():
            with results.feature(SERVER, name, PATH, feature):
                told(client, table, steps)
        if kind == "npm":
            _npms_own_faults(cluster, client, table, results)
        else:
            with results.feature(SERVER, name, PATH, "regions move"):
                asyncio.run(_move_all(cluster, table))
                _reads_and_writes(client, table)
    finally:
        client.close()


def _npms_own_faults(cluster: OwnCluster, client: OldClient, table: str, results: Results) -> None:
    """It has them on a real HBase 2 too."""
    name = KINDS["npm"].name
    with results.feature(SERVER, name, PATH, "many gets at once"):  # in the order of its servers and regions
        assert sorted(client.do("mget", table, "a0026", "z0025", "no", "m0012").split()) == ["-", "v12", "v25", "v26"]
    count, first, _ = client.do("backwards", table).split()
    assert (int(count) < ROWS - 1, first) == (True, "z0285=v285")
    lost = "loses rows behind the first region, as it does on a real HBase"
    results.record(SERVER, name, PATH, "reversed scan over several regions", lost)
    there = asyncio.run(_move_all(cluster, table))
    wait_for("regions at their new servers", lambda: asyncio.run(_regions(cluster, table)) == there, 30, 0.2)
    with pytest.raises(ClientRefusedError, match=r"UnknownProtocolException: .* getClosestRowBefore removed"):
        _reads_and_writes(client, table)
    client.do("connect")
    _reads_and_writes(client, table)
    anew = "found by a new client: it asks for the row before, which HBase 2 does not answer"
    results.record(SERVER, name, PATH, "regions move", anew)


def _reads_and_writes(client: OldClient, table: str) -> None:
    """In all regions, and no write is lost: while they move it tries again, as it does by itself."""
    for number in range(20):
        for row in ("c-moved", "k-moved", "z-moved"):
            client.do("put", table, row, str(number))
            assert client.do("get", table, row) == str(number)
    assert client.do("get", table, "z0025") == "v25"
    assert client.do("between", table, "c-", "c0").split()[:2] == ["1", "c-moved=19"]


def test_hbase_driver(driver: OldClient, results: Results) -> None:
    """Its tables have one region here: of several made at once it remembers only one, whatever the server."""
    features: Mapping[str, Steps] = {
        "createTable": [("create {t}", "")],
        "put, get": [("put {t} r1 v", ""), ("get {t} r1", "v"), ("get {t} no", "-"), ("exists {t} r1", "True")],
        "delete": [("delete {t} r1", "True"), ("exists {t} r1", "False")],
        "many puts at once": [("load {t} 60", "60"), ("batch {t} m1 m2", "- 2")],
        "scan": [("all {t}", "61 a0000=v0 z0051=v51"), ("between {t} b r", "40 b0001=v1 q0042=v42")],
        "scan page by page": [("page {t} 5", "5 b0027")],
        "scan with a filter": [("prefixed {t} c", "3 c0002=v2 c0054=v54")],
        "increment": [("increment {t} n 5", "5"), ("increment {t} n -2", "3")],
        "append": [("append {t} m2 +x", "2+x")],
        "checkAndPut": [("cas {t} k - 1", "true"), ("cas {t} k - 2", "false"), ("cas {t} k 1 2", "true")],
        "checkAndDelete": [("casdelete {t} k 9", "false"), ("casdelete {t} k 2", "true"), ("get {t} k", "-")],
        "mutateRow": [("together {t} two", "True 2")],
        "column families added, changed, deleted": [("families {t}", "1 0")],
        "cluster status": [("cluster", "2 True ['default', 'hbase']")],
        "truncateTable": [("truncate {t}", "")],
    }
    for feature, steps in features.items():
        with results.feature(SERVER, PYPI.name, PATH, feature):
            told(driver, "drivers", steps)

    def is_empty() -> bool:
        try:
            return driver.do("all", "drivers") == "0"
        except ClientRefusedError:  # it does not wait for the end of what it has begun
            return False

    wait_for("an empty table", is_empty, 20, 0.2)
    with results.feature(SERVER, PYPI.name, PATH, "disableTable, deleteTable"):
        assert driver.do("drop", "drivers") == "False"


def test_the_readme_in_python(cluster: OwnCluster, results: Results) -> None:
    """Its lines as they stand there, but for the ports: with hbeacon's own client, and with hbase-driver."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ours, drivers = re.findall(r"```python\n((?:import hbeacon\n\nwith|from hbasedriver).*?)```", readme, re.DOTALL)
    asyncio.run(_create_greetings(cluster))
    _run(ours.replace("127.0.0.1:16000", f"127.0.0.1:{cluster.master_ports[0]}"))
    with results.feature(SERVER, PYPI.name, PATH, "the README's example"):
        _run(drivers.replace("127.0.0.1:2181", cluster.zookeeper), PYTHONPATH=str(pypi_directory()))


def _run(program: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "b'hello'\n"), done.stderr


async def _create_greetings(cluster: OwnCluster) -> None:
    async with MasterCalls.connected(Address("127.0.0.1", cluster.master_ports[0])) as master:
        await master.create("greetings")
