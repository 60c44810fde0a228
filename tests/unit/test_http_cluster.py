"""What the active master shows of its cluster: tables, servers, regions in transition with their reasons, errors."""

from __future__ import annotations

import re
from dataclasses import replace

from registry.cli import status
from registry.http.cluster_status import (
    ClusterStatus,
    FatalErrorRow,
    ProcedureRow,
    ServerRow,
    TableRow,
    TransitionRow,
)
from registry.http.region_server_status import StoreReach
from registry.http.status import ElectionStatus
from tests.support.http import get
from tests.support.status import ACTIVE, IDENTITY, FakeStatus

SERVER = "rs1.example.org,16020,1795000000101"
REACH = "data not reachable: no live server reaches store 7, last of rs2.example.org,16020,1795000000102"
ELECTED = ElectionStatus("active", str(ACTIVE), str(ACTIVE), acting=True, epoch=5)
LED = ClusterStatus(
    initialized=True,
    meta_server=SERVER,
    servers=(
        ServerRow(
            SERVER, 3, 16030, False, 100, 50, None, 4 << 20, 1 << 20, 700.0, (StoreReach("1", "open", home=True),)
        ),
    ),
    tables=(TableRow("orders", "ENABLED", {"OPEN": 3}), TableRow("ns:events", "DISABLED", {"CLOSED": 2})),
)
STUCK = TransitionRow("orders,m,1.bb.", "orders", "OFFLINE", 90_000.0, "", REACH)


def of(led: ClusterStatus | None, role: str = "active") -> FakeStatus:
    return FakeStatus(identity=replace(IDENTITY, role="master"), led=led, elected=replace(ELECTED, role=role))


async def test_a_cluster_that_lacks_nothing_is_healthy() -> None:
    found = (await get(of(LED), "/health")).json()
    assert (found["status"], found["reasons"]) == ("healthy", [])
    assert found["cluster"]["tables"] == 2
    assert found["cluster"]["regions"] == 3
    assert found["storage_connection"] is None, "a master has no rows of its own"


async def test_data_that_nobody_reaches_is_said_everywhere() -> None:
    source = of(replace(LED, transitions=(STUCK,)))
    found = (await get(source, "/health")).json()
    assert found["status"] == "degraded"
    assert found["reasons"] == [f"orders,m,1.bb. is not open: {REACH}"]
    assert found["cluster"]["transitions"][0]["reason"] == REACH
    page = (await get(source, "/master-status")).text
    assert "Regions in transition" in page
    assert REACH in page
    text = (await get(source, "/metrics")).text
    assert "hbeacon_cluster_regions_unreachable 1.0" in text
    assert re.search(r"^assignment_manager_rit_count_over_threshold\{[^}]*\} 1.0$", text, re.MULTILINE)
    bean = (await get(source, "/jmx?qry=Hadoop:service=HBase,name=Master,sub=AssignmentManager")).json()["beans"][0]
    assert (bean["ritCount"], bean["ritCountOverThreshold"], bean["ritOldestAge"]) == (1, 1, 90_000.0)


async def test_many_regions_are_one_sentence() -> None:
    rows = tuple(replace(STUCK, name=f"t{number},,1.x.", table=f"t{number}") for number in range(5))
    waiting = replace(STUCK, name="slow,,1.y.", table="slow", reason="", state="OPENING")
    quick = replace(waiting, since_ms=10.0)
    found = (await get(of(replace(LED, transitions=(*rows, waiting, quick))), "/health")).json()
    assert found["reasons"] == [
        f"5 regions of t0, t1, t2, ... are not open: {REACH}",
        "slow,,1.y. is not open, in transition for 90 s",
    ]


async def test_a_master_that_is_not_initialized_says_what_it_waits_for() -> None:
    led = ClusterStatus(initialized=False, waits_for="no region server has reported")
    found = (await get(of(led), "/health")).json()
    assert found["reasons"] == ["the master is not initialized: no region server has reported"]
    page = (await get(of(led), "/master-status")).text
    for part in ("not initialized", "no region server has reported", "is not open", "tables wait for one"):
        assert part in page, part


async def test_the_page_shows_servers_tables_errors_and_procedures() -> None:
    led = replace(
        LED,
        dead_servers=("old,16020,1",),
        fatal_errors=(FatalErrorRow(SERVER, "ABORTING: <disk> is gone", 1_795_000_000_000.0),),
        errors_seen=1,
        procedures=(ProcedureRow(12, "CreateTableProcedure", "RUNNABLE", "orders", "ASSIGN_REGIONS", 1200.0),),
    )
    page = (await get(of(led), "/master-status")).text
    for part in (
        *(SERVER, "orders", "ENABLED", "ns:events", "CLOSED 2", "1 home", "4.0 MiB", "700 ms ago"),
        *("old,16020,1", "ABORTING: &lt;disk&gt; is gone", "CreateTableProcedure", "ASSIGN_REGIONS"),
    ):
        assert part in page, part
    text = (await get(of(led), "/metrics")).text
    assert "hbeacon_cluster_fatal_errors_total 1.0" in text
    assert "hbeacon_cluster_procedures 1.0" in text
    assert 'hbeacon_cluster_regions{state="OPEN"} 3.0' in text
    assert re.search(
        r'^server_num_dead_region_servers\{[^}]*deadregionservers="old,16020,1"[^}]*\} 1.0$', text, re.MULTILINE
    )
    bean = (await get(of(led), "/jmx?qry=Hadoop:service=HBase,name=Master,sub=Server")).json()["beans"][0]
    assert (bean["numDeadRegionServers"], bean["averageLoad"], bean["clusterRequests"]) == (1, 3.0, 150)


async def test_hbeacon_status_prints_it_for_people() -> None:
    led = replace(LED, transitions=(STUCK,), dead_servers=("old,16020,1",))
    told = (await get(of(led), "/health")).json()["cluster"]
    assert status.cluster_lines(told) == [
        "  cluster: initialized; 2 tables, 3 regions on 1 servers, 1 in transition, 0 procedures",
        f"    orders,m,1.bb. OFFLINE: {REACH}",
        "    dead: old,16020,1",
    ]


async def test_the_dump_has_it_all() -> None:
    led = replace(LED, transitions=(STUCK,), fatal_errors=(FatalErrorRow(SERVER, "ABORTING", 1_795_000_000_000.0),))
    text = (await get(of(led), "/dump")).text
    for part in (
        f"hbase:meta on {SERVER}",
        "table orders ENABLED {'OPEN': 3}",
        f"transition orders,m,1.bb. OFFLINE for 90000 ms  {REACH}",
        f"fatal error of {SERVER} at 2026-11-18T11:06:40.000Z: ABORTING",
    ):
        assert part in text, part


async def test_a_standby_shows_what_zookeeper_mirrors() -> None:
    page = (await get(of(None, "standby"), "/master-status")).text
    assert "<dt>ENABLED</dt><dd>2</dd>" in page
    assert "initialized" not in page
    found = (await get(of(None, "standby"), "/health")).json()
    assert found["cluster"] is None
