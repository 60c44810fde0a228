"""The status page: it shows what is known, escapes everything, and stays small on large clusters."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import httpx
import pytest

from registry.client.table_states import TableStatesView
from registry.http.app import create_app
from registry.http.grants import grants
from registry.http.pages import REGION_SERVERS_MAX, VISITORS_MAX, duration
from registry.http.status import GuardStatus, RpcStatus
from registry.lookup.agreement import Disagreement
from registry.lookup.firewall import ZooKeeperLooks
from registry.lookup.snapshot import Fact, FactState, MetaLocation, RegionServer
from registry.names import ServerName
from tests.support.http import asking
from tests.support.status import (
    ACTIVE,
    CLUSTER_ID,
    FakeStatus,
    HandOut,
    Info,
    Session,
    forbid,
    small_snapshot,
    unread_snapshot,
)

VOID = {"meta", "link", "br"}
OWN_SCRIPT = [("src", "/static/page.js"), ("defer", None)]


class Balance(HTMLParser):
    """Fails where tags are not closed in order, or a script is there besides our own; collects the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script" or (attrs == OWN_SCRIPT and self.open == ["html", "head"])
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]
        self.text += " "
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert self.open[-1:] != ["script"], "nothing but its file"
        self.text += data


async def page(source: FakeStatus, path: str = "/") -> httpx.Response:
    async with asking(create_app(source)) as client:
        return await client.get(path)


async def text(source: FakeStatus) -> str:
    parser = Balance()
    answer = await page(source)
    assert answer.status_code == 200
    parser.feed(answer.text)
    parser.close()
    assert parser.open == []
    return " ".join(parser.text.split())


async def test_what_is_known():
    source = FakeStatus(
        counters=RpcStatus(connections_accepted=5120, calls={("ClientMetaService", "GetClusterId"): 3011}),
        guarded=GuardStatus(True, 1000.0, 77, 2, "silent for 1000 ms"),
    )
    source.visitors.header_seen("10.0.0.1", Info(user="etl", version="2.5.11"))
    source.visitors.registry_preamble_seen("10.0.0.2")
    found = await text(source)
    for part in (
        CLUSTER_ID,
        str(ACTIVE),
        "0x200000107 of generation 1",
        "age 120 ms",
        "GetMetaRegionLocations",
        "hand-out: tier",
        "2.5.11 \u00d7 1",
        "cluster id by preamble: 1 hosts",
        "etl",
        "ENABLED 2",
        "DISABLED 1",
        "GetClusterId 3,011",
        "connected 1, suspended 0, expired 0 times",
        "May ZooKeeper be firewalled now?",
        "pid 77, 1.0 s, 2 restarted (silent for 1000 ms)",
    ):
        assert part in found
    assert "may not be read" not in found
    assert "differ from a peer" not in found


async def test_may_zookeeper_be_firewalled():
    source = FakeStatus(meta_tables=TableStatesView(True, 1500.0, 12, 5, 1, "ScanFailed: <slow>"))
    source.visitors.facade_seen("old-1")
    source.visitors.header_seen("new-1", Info())
    found = await text(source)
    for part in (
        "May ZooKeeper be firewalled now? not yet",
        "this server has watched for 0 min. Keep the façade open: 1 host knows nothing else (old-1).",
        "By the registry 1 hosts of the last day",
        "1 hosts, 1 of them by nothing else: old-1",
        "By ZooKeeper not looked at",
        "What cannot be seen from here:",
        "12 states were read from hbase:meta 1.5 s ago; then: ScanFailed: <slow>",
    ):
        assert part in found, part
    source.looks = [ZooKeeperLooks("zk1:2181", source.clock.monotonic_ms())]
    assert "nobody but members of the cluster" in await text(source)
    for number in range(60):
        source.visitors.zookeeper_seen(f"10.0.7.{number}")
    found = await text(source)
    assert "May ZooKeeper be firewalled now? no" in found
    assert "60 hosts that are no members of the cluster: 10.0.7.0 10.0.7.1 " in found
    assert "and 10 more" in found


async def test_the_firewall_as_json():
    source = FakeStatus()
    source.visitors.facade_seen("old-1")
    answer = (await page(source, "/api/v1/firewall")).json()
    assert answer["verdict"] == "not yet"
    assert answer["sentence"].startswith("Not yet: ")
    assert [row["host"] for row in answer["facade_only"]] == ["old-1"]
    assert answer["watching_since"].endswith("Z")
    assert (answer["watched_seconds"], answer["zookeeper_watched"], answer["zookeeper_hosts"]) == (0.0, False, [])
    assert len(answer["blind_spots"]) >= 3
    dump = (await page(source, "/dump")).text
    assert "façade alone old-1" in dump


async def test_trouble_is_on_top_with_its_cure():
    source = FakeStatus(
        snapshot=forbid(small_snapshot(), "/hbase/backup-masters"),
        session=Session(state="suspended", fatal=""),
        age=42_000.0,
        disagreeing=[Disagreement("gate-2:16000", "GetActiveMaster", 12.5, "x", "", True)],
        handed_out=HandOut((), (), "auto: nobody answers"),
    )
    found = await text(source)
    for part in (
        "degraded not ready zookeeper suspended",
        "the snapshot is 42.0 s old; 30 s are allowed",
        "setAcl /hbase/backup-masters sasl:hbase:cdrwa,world:anyone:r",
        "getAcl /hbase/backup-masters",
        "gate-2:16000 GetActiveMaster 12.5 s x nothing the peer is behind",
        "clients keep the servers they were configured with",
    ):
        assert part in found
    assert "not ready: hbeacon adapter" in (await page(source)).text


async def test_before_anything_is_known():
    source = FakeStatus(
        snapshot=unread_snapshot(),
        age=math.inf,
        session=Session(state="disconnected", session_id=0, negotiated_timeout_ms=0.0, connects=0),
    )
    found = await text(source)
    assert "unhealthy not ready zookeeper disconnected" in found
    assert "the cluster has not been read from ZooKeeper yet" in found
    assert "never complete" in found


async def test_meta_replicas_are_told_apart():
    server = ServerName("rs1", 16020, 5)
    locations = (MetaLocation(0, server, "OPEN"), MetaLocation(1, server, "OPENING"))
    snapshot = replace(small_snapshot(), meta_locations=Fact(FactState.KNOWN, "/hbase/meta-region-server", locations))
    found = await text(FakeStatus(snapshot=snapshot))
    assert "rs1,16020,5 OPENING replica 1" in found


async def test_everything_a_peer_or_znode_says_is_escaped():
    evil = "<script>alert(1)</script>\"'&"
    snapshot = small_snapshot()
    snapshot = forbid(
        replace(
            snapshot,
            cluster_id=Fact(FactState.KNOWN, evil, evil, 1, evil),
            table_states=Fact(FactState.KNOWN, evil, {evil: evil}, 1, evil),
            region_servers=Fact(FactState.KNOWN, evil, (RegionServer(ServerName(evil, 1, 1), 1, evil),), 1),
        ),
        f"/hbase/{evil}",
    )
    source = FakeStatus(
        snapshot=snapshot,
        session=Session(fatal=evil),
        disagreeing=[Disagreement(evil, evil, 9.0, evil, evil, False)],
        counters=RpcStatus(exceptions={evil: 1}, calls={(evil, evil): 1}, preambles={evil: 1}),
    )
    source.visitors.header_seen(evil, Info(evil, evil, evil))
    await text(source)
    assert (await page(source)).text.count("<script") == 1
    assert "<script" not in (await page(source, "/?refresh=off")).text


async def test_large_clusters_are_cut_with_a_note():
    servers = tuple(RegionServer(ServerName(f"rs{number}", 16020, 1)) for number in range(1000))
    source = FakeStatus(
        snapshot=replace(small_snapshot(), region_servers=Fact(FactState.KNOWN, "/hbase/rs", servers)),
        handed_out=HandOut([server.server_name for server in servers], (), "cluster"),
    )
    for number in range(1000):
        source.visitors.registry_preamble_seen(f"10.0.{number // 250}.{number % 250}")
    answer = (await page(source)).text
    assert len(answer) < 150_000
    assert answer.count("<td>preamble</td>") == VISITORS_MAX
    assert f"The first {REGION_SERVERS_MAX};" in answer
    assert "The latest 200 of 1000" in answer
    assert "and 988 more" in answer


async def test_nothing_comes_from_elsewhere_and_it_refreshes_itself_where_there_are_no_scripts():
    answer = await page(FakeStatus())
    addresses = re.findall(r'(?:href|src|action)="([^"]*)"', answer.text)
    assert addresses
    assert all(address.startswith(("/", "?", "data:,")) and not address.startswith("//") for address in addresses)
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in answer.text
    still = (await page(FakeStatus(), "/?refresh=off")).text
    assert "http-equiv" not in still
    assert "data-events" not in still
    assert "url(" not in (await page(FakeStatus(), "/static/page.css")).text
    script = (await page(FakeStatus(), "/static/page.js")).text
    assert not re.search(r"https?:|\beval\b|\bimport\b|document\.write|new Function", script)


def test_grants_name_lasting_znodes_one_by_one_and_servers_together():
    children = [f"/hbase/rs/rs{number},16020,1" for number in range(5)]
    found = grants(forbid(small_snapshot(), "/hbase/backup-masters", *children), "/hbase")
    assert [grant.paths.split(",")[0] for grant in found] == ["/hbase/backup-masters", "/hbase/rs/rs0"]
    assert found[0].command == "setAcl /hbase/backup-masters sasl:hbase:cdrwa,world:anyone:r"
    assert found[1].paths == f"{', '.join(children[:3])} and 2 more"
    assert found[1].command == ""
    assert "hbeacon.zookeeper.auth" in found[1].cure
    assert grants(small_snapshot(), "/hbase") == ()


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0.0, "0 ms"),
        (999.0, "999 ms"),
        (1_000.0, "1.0 s"),
        (61_000.0, "1 min 1 s"),
        (3_600_000.0, "1 h 0 min"),
        (180_000_000.0, "2 d 2 h"),
        (math.inf, "unknown"),
    ],
)
def test_durations(ms: float, text: str):
    assert duration(ms) == text
