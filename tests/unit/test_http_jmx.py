"""/jmx under HBase's bean names, with HBase's queries; whoever asks badly is told so."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.histogram import Histogram
from registry.http.app import create_app
from registry.http.jmx import BadQuery, ObjectName, jmx
from registry.http.status import ElectionStatus, RpcStatus
from tests.support.http import asking
from tests.support.status import ACTIVE, CLUSTER_ID, FakeStatus, unread_snapshot

SERVER = "Hadoop:service=HBase,name=Master,sub=Server"
IPC = "Hadoop:service=HBase,name=Master,sub=IPC"
RUNTIME = "java.lang:type=Runtime"


async def ask(source: FakeStatus, query: str = "") -> httpx.Response:
    async with asking(create_app(source)) as client:
        return await client.get(f"/jmx{query}")


async def beans(source: FakeStatus, query: str = "") -> dict[str, dict[str, Any]]:
    answer = await ask(source, query)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    return {bean["name"]: bean for bean in answer.json()["beans"]}


async def test_the_beans_of_a_master() -> None:
    source = FakeStatus(
        elected=ElectionStatus("active", str(ACTIVE), str(ACTIVE), acting=True, epoch=12, since_ms=1_000_000.0)
    )
    found = await beans(source)
    assert {SERVER, IPC, RUNTIME, "java.lang:type=OperatingSystem", "java.lang:type=Threading"} == found.keys()
    server = found[SERVER]
    assert server["modelerType"] == "Master,sub=Server"
    assert server["tag.clusterId"] == CLUSTER_ID
    assert server["tag.isActiveMaster"] == "true"
    assert server["tag.serverName"] == str(ACTIVE)
    assert server["tag.zookeeperQuorum"] == "zk1:2181,zk2:2181,zk3:2181"
    assert server["tag.liveRegionServers"].count(";") == 2
    assert server["numRegionServers"] == 3
    assert server["masterStartTime"] == 1_795_000_000_000
    assert server["masterActiveTime"] == 1_795_000_000_000
    assert "numDeadRegionServers" not in server, "nobody has counted them"
    assert found[RUNTIME]["Name"] == "4242@gate-1"


async def test_an_adapter_is_no_active_master_and_unknown_is_left_out() -> None:
    server = (await beans(FakeStatus(snapshot=unread_snapshot())))[SERVER]
    assert server["tag.isActiveMaster"] == "false"
    assert server["tag.serverName"] == "gate-1.example.org:16000"
    assert "numRegionServers" not in server
    assert "masterActiveTime" not in server


async def test_figures_of_the_rpc_door() -> None:
    times = Histogram()
    times.add(0.002)
    times.add(0.004)
    source = FakeStatus(
        counters=RpcStatus(
            connections_open=3,
            queue_bytes=99,
            calls_in_queue={"priority": 2},
            exceptions={"org.apache.hadoop.hbase.ipc.UnknownServiceException": 4},
            lookup_times=times,
        )
    )
    ipc = (await beans(source, f"?qry={IPC}"))[IPC]
    assert (ipc["numOpenConnections"], ipc["queueSize"], ipc["numCallsInPriorityQueue"]) == (3, 99, 2)
    assert (ipc["exceptions"], ipc["exceptions.UnknownServiceException"]) == (4, 4)
    assert (ipc["ProcessCallTime_num_ops"], ipc["ProcessCallTime_mean"]) == (2, 3.0)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("*:*", {SERVER, IPC, RUNTIME, "java.lang:type=OperatingSystem", "java.lang:type=Threading"}),
        ("Hadoop:*", {SERVER, IPC}),
        ("java.lang:type=*", {RUNTIME, "java.lang:type=OperatingSystem", "java.lang:type=Threading"}),
        ("java.lang:type=?untime", {RUNTIME}),
        ("Hadoop:service=HBase,name=Master,sub=*", {SERVER, IPC}),
        ("Hadoop:sub=Server,service=HBase,name=Master", {SERVER}),
        ("Hadoop:sub=IPC,*", {IPC}),
        ("Hadoop:service=HBase", set[str]()),
        ("Hadoop:service=HBase,name=RegionServer,sub=Server", set[str]()),
        ("*:type=[R]untime", set[str]()),
    ],
)
async def test_queries_are_patterns_of_object_names(query: str, names: set[str]) -> None:
    assert (await beans(FakeStatus(), f"?qry={query}")).keys() == names


async def test_one_attribute() -> None:
    answer = await ask(FakeStatus(), f"?get={SERVER}::tag.clusterId")
    assert answer.json() == {
        "beans": [{"name": SERVER, "modelerType": "Master,sub=Server", "tag.clusterId": CLUSTER_ID}]
    }
    missing = await ask(FakeStatus(), f"?get={SERVER}::nonsense")
    assert missing.status_code == 404
    assert missing.json()["beans"][0]["message"] == "No attribute with name nonsense was found."


async def test_attributes_by_pattern_as_hbase_has_them() -> None:
    """From the documentation of JMXJsonServlet: `[a-zA-z_0-9]*memStoreSize,[a-zA-z_0-9]*storeFileSize`."""
    found = (await beans(FakeStatus(), f"?get={IPC}::[a-zA-z_0-9]*Queue,received*"))[IPC]
    assert set(found) - {"name", "modelerType"} >= {"numCallsInGeneralQueue", "numCallsInReadQueue", "receivedBytes"}
    assert "queueSize" not in found
    assert "sentBytes" not in found


@pytest.mark.parametrize(
    "query",
    [
        *("?qry=", "?qry=Hadoop", "?qry=Hadoop:", "?qry=:", "?qry=Hadoop:name", "?qry=Hadoop:=x", "?qry=Hadoop:a="),
        *("?get=", "?get=x", f"?get={SERVER}", f"?get={SERVER}::", "?get=::a", f"?get={SERVER}::a::b"),
        *(f"?get={SERVER}::(a*)*b", f"?get={SERVER}::****a****b", f"?get={SERVER}::[z-a]*", "?qry=a:" + "b" * 300),
    ],
)
async def test_bad_queries(query: str) -> None:
    answer = await ask(FakeStatus(), query)
    if query == "?qry=":
        assert answer.status_code == 200, "empty is all"
    else:
        assert (answer.status_code, answer.json()["result"]) == (400, "ERROR")


@given(st.text(max_size=60), st.text(max_size=300))
def test_nothing_makes_it_fail_or_think(query: str, get: str) -> None:
    source = FakeStatus()
    begun_s = time.perf_counter()
    for answer in (jmx(source, query, None), jmx(source, None, get), jmx(source, None, f"*:*::{get}")):
        assert answer[0] in (200, 400, 404)
        json.dumps(answer[1])
    assert time.perf_counter() - begun_s < 10


def test_no_pattern_takes_long() -> None:
    """Stars that go back and forth over a long name are what makes regular expressions explode."""
    begun_s = time.perf_counter()
    for pattern in ("[a-zA-Z.]*" * 3 + "!", "a" * 200 + "*", ".*.*.*x", "*" * 3 + "y"):
        jmx(FakeStatus(), None, f"*:*::{pattern}")
    assert time.perf_counter() - begun_s < 10


def test_names_of_beans() -> None:
    name = ObjectName("a:k=v, l=w")
    assert (name.domain, name.keys, name.is_open) == ("a", {"k": "v", "l": "w"}, False)
    assert ObjectName("a:k=v,*").is_open
    with pytest.raises(BadQuery, match=re.escape("not a name of beans: nothing")):
        ObjectName("nothing")
