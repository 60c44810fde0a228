"""What a region server shows: page, health, readiness, metrics and beans, under HBase's names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from registry.cli import status
from registry.http.region_server_status import HostedRegion, RegionServerStatus, StoreReach
from registry.http.status import RpcStatus
from registry.lookup.snapshot import Fact, FactState
from tests.support.http import get
from tests.support.status import ACTIVE, IDENTITY, FakeStatus, small_snapshot

NAME = "rs1.example.org,16020,1795000000101"
REGIONS = (
    HostedRegion("orders,,1.aa.", "1", "", "m", 10, 20, 5000.0),
    HostedRegion("orders,m,1.bb.", "1", "m", "", 1, 2, 5000.0),
)


def first_of(regions: Sequence[HostedRegion]) -> Callable[[int], Sequence[HostedRegion]]:
    return lambda count: regions[:count]


SERVING = RegionServerStatus(
    server_name=NAME,
    registered=True,
    master=str(ACTIVE),
    reported_ms=900.0,
    lease_left_ms=6000.0,
    regions_count=2,
    families_count=4,
    first_regions=first_of(REGIONS),
    stores=(
        StoreReach("1", "open", home=True, owner=NAME, data_bytes=5 << 20),
        StoreReach("2", "owned", owner="x,1,2"),
    ),
    engine="rocksdb",
    read_requests=11,
    write_requests=22,
    checks_passed=3,
    checks_failed=4,
    scanners=5,
    store_file_bytes=3 << 20,
    store_files=7,
    memstore_bytes=1 << 20,
)


def of(serving: RegionServerStatus, **changes: Any) -> FakeStatus:
    counters = RpcStatus(calls=MappingProxyType({("ClientService", "Get"): 6, ("ClientService", "Multi"): 7}))
    identity = replace(IDENTITY, role="regionserver")
    return FakeStatus(identity=identity, serving=serving, counters=counters, **changes)


def without_master() -> Any:
    return replace(small_snapshot(), active_master=Fact(FactState.ABSENT, "/hbase/master"))


async def test_a_region_server_that_serves_is_healthy_and_ready() -> None:
    source = of(SERVING)
    found = (await get(source, "/health")).json()
    assert (found["status"], found["storage_connection"], found["reasons"]) == ("healthy", "connected", [])
    assert found["connections"] == {"zookeeper": "connected", "storage": "connected", "master": "connected"}
    assert found["serving"]["regions"] == 2
    assert found["serving"]["stores"][0]["data_bytes"] == 5 << 20
    assert found["cluster"] is None
    assert (await get(source, "/ready")).status_code == 200


async def test_without_an_active_master_it_is_degraded_and_goes_on() -> None:
    source = of(replace(SERVING, master="", link_problem="connection refused"), snapshot=without_master())
    found = (await get(source, "/health")).json()
    assert found["status"] == "degraded"
    assert found["reasons"] == ["no active master: rows are served, and no region can be opened or moved"]
    assert found["connections"]["master"] == "disconnected"
    ready = await get(source, "/readyz?verbose")
    assert ready.status_code == 200, "its clients have nowhere better to go"
    assert "[+]active-master ok, but: ZooKeeper has no /hbase/master" in ready.text
    assert "[+]master-link ok, but: connection refused" in ready.text


@pytest.mark.parametrize(
    ("changes", "health", "line"),
    [
        ({"registered": False, "server_name": ""}, "degraded", "[-]registered failed: no active master has taken"),
        ({"opening": ["aa", "bb", "cc", "dd"]}, "healthy", "[-]regions failed: being opened: aa, bb, cc and 1 more"),
        ({"lease_left_ms": 0.0}, "unhealthy", "[-]lease failed: ZooKeeper has been silent"),
        ({"storage_problem": "disk is full"}, "unhealthy", "[-]storage failed: disk is full"),
    ],
)
async def test_it_is_ready_when_registered_with_its_regions_open_and_able(
    changes: dict[str, Any], health: str, line: str
) -> None:
    source = of(replace(SERVING, **changes))
    ready = await get(source, "/readyz?verbose")
    assert ready.status_code == 503
    assert line in ready.text
    found = (await get(source, "/health")).json()
    assert found["status"] == health, found


async def test_metrics_and_beans_have_hbases_names() -> None:
    source = of(SERVING)
    text = (await get(source, "/metrics")).text
    values = dict(re.findall(r"^((?:server|region_server)_\w+)\{[^}]*\} (\S+)$", text, re.MULTILINE))
    assert values["server_region_count"] == "2.0"
    assert values["server_store_count"] == "4.0"
    assert values["server_total_request_count"] == "13.0"
    assert values["server_read_request_count"] == "11.0"
    assert values["server_write_request_count"] == "22.0"
    assert values["server_store_file_size"] == "3.145728e+06"
    assert values["server_rpc_get_request_count"] == "6.0"
    assert values["server_check_mutate_failed_count"] == "4.0"
    assert "server_hlog_file_size" not in values, "this engine does not tell"
    assert "region_server_num_open_connections" in values
    assert "master_num_open_connections" not in text
    assert f'servername="{NAME}"' in text
    assert 'hbeacon_store_reach{reach="owned",store="2"} 1.0' in text
    beans = {bean["name"]: bean for bean in (await get(source, "/jmx")).json()["beans"]}
    server = beans["Hadoop:service=HBase,name=RegionServer,sub=Server"]
    assert (server["regionCount"], server["writeRequestCount"], server["tag.serverName"]) == (2, 22, NAME)
    assert "Hadoop:service=HBase,name=RegionServer,sub=IPC" in beans
    assert not any("name=Master" in name for name in beans)


async def test_the_page_is_where_hbase_has_it_and_shows_regions_and_stores() -> None:
    source = of(SERVING)
    page = (await get(source, "/rs-status")).text
    for part in ("Region server", NAME, "orders,m,1.bb.", "11 rows read, 22 written", "home", "5.0 MiB", "rocksdb"):
        assert part in page, part
    assert (await get(source, "/")).status_code == 200
    assert (await get(source, "/master-status")).status_code == 404
    young = of(RegionServerStatus("", False, "", math.inf, math.inf))
    page = (await get(young, "/rs-status")).text
    for part in ("serves nothing", "none yet", "not registered", "no active master", "without end"):
        assert part in page, part
    assert (await get(FakeStatus(), "/rs-status")).status_code == 404
    tasks = await get(source, "/rs-status?format=json")
    assert (tasks.headers["content-type"], tasks.json()) == ("application/json", [])


async def test_names_of_regions_are_text_and_never_markup() -> None:
    evil = replace(REGIONS[0], name="t,<script>alert(1)</script>,1.cc.")
    page = (await get(of(replace(SERVING, first_regions=first_of([evil]))), "/rs-status")).text
    assert "<script>alert" not in page
    assert "t,&lt;script&gt;alert(1)" in page


async def test_hbeacon_status_prints_it_for_people() -> None:
    told = (await get(of(SERVING), "/health")).json()["serving"]
    assert status.serving_lines(told) == [
        f"  region server: {NAME}, registered, 2 regions, 11 rows read, 22 written",
        "    store 1: open, home",
        "    store 2: owned of x,1,2",
    ]


async def test_the_dump_has_regions_and_stores() -> None:
    text = (await get(of(SERVING), "/dump")).text
    for part in ("region orders,m,1.bb. store 1 read 1 written 2", "store 2 owned x,1,2", "engine rocksdb", NAME):
        assert part in text, part


async def test_ten_thousand_regions_do_not_make_the_page_heavy() -> None:
    many = tuple(replace(REGIONS[0], name=f"t,{number},1.x.") for number in range(10_000))
    serving = replace(SERVING, regions_count=10_000, first_regions=first_of(many))
    page = (await get(of(serving), "/rs-status")).text
    assert len(page) < 200_000
    assert "The first 200" in page
