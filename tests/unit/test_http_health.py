"""/health: three verdicts, their status codes, and no state of the snapshot that makes it raise."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.http.app import create_app
from registry.http.health import HealthState, health
from registry.http.status import ElectionStatus
from registry.lookup.snapshot import Fact, FactState, Snapshot
from tests.support.http import asking
from tests.support.seeds import examples
from tests.support.status import CLUSTER_ID, FakeStatus, Session, small_snapshot, unread_snapshot
from tests.unit.test_readiness import snapshots


def test_healthy_when_all_is_connected():
    found = health(FakeStatus())
    assert found.state is HealthState.HEALTHY
    assert found.reasons == ()
    assert dict(found.connections) == {"zookeeper": "connected"}


@pytest.mark.parametrize(
    ("session", "age_ms", "reason"),
    [
        (Session(state="suspended"), 10.0, "suspended"),
        (Session(state="disconnected"), 10.0, "disconnected"),
        (Session(), 30_001.0, "30.0 s old"),
        (Session(), math.inf, "unknown age"),
        (Session(), math.nan, "unknown age"),
    ],
)
def test_degraded_while_it_still_answers(session: Session, age_ms: float, reason: str):
    found = health(FakeStatus(session=session, age=age_ms))
    assert found.state is HealthState.DEGRADED
    assert found.state.http_status == 200
    assert reason in found.reasons[0]


def test_unhealthy_when_there_is_nothing_to_answer():
    absent = replace(small_snapshot(), cluster_id=Fact(FactState.ABSENT, "/hbase/hbaseid"))
    for source in (
        FakeStatus(snapshot=unread_snapshot(), age=math.inf),
        FakeStatus(snapshot=absent),
        FakeStatus(refusing=True),
        FakeStatus(session=Session(state="disconnected", fatal="no chroot /x")),
    ):
        found = health(source)
        assert found.state is HealthState.UNHEALTHY
        assert found.state.http_status == 503
        assert found.reasons


async def test_json_of_a_healthy_server():
    source = FakeStatus()
    source.clock.advance(65_000)
    async with asking(create_app(source)) as client:
        answer = await client.get("/health")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "status": "healthy",
        "uptime_seconds": 65.0,
        "zookeeper_connection": "connected",
        "storage_connection": None,
        "timestamp": "2026-11-18T11:07:45.000Z",
        "ready": True,
        "reasons": [],
        "not_ready": [],
        "connections": {"zookeeper": "connected"},
        "role": "adapter",
        "version": "0.1.0",
        "host": "gate-1",
        "advertised": "gate-1.example.org:16000",
        "cluster_id": CLUSTER_ID,
        "active_master": "m1.example.org,16000,1795000000001",
        "snapshot": {"generation": 1, "zxid": 0x2_0000_0107, "complete": True, "age_seconds": 0.12},
        "election": None,
        "serving": None,
        "cluster": None,
    }


async def test_a_master_tells_its_place():
    source = FakeStatus(elected=ElectionStatus("active", "m,16000,1", "m,16000,1", True, "", 12, 1333.0, 2, 1))
    async with asking(create_app(source)) as client:
        answer = await client.get("/health")
        page = await client.get("/master-status")
    assert answer.json()["election"] == {
        "role": "active",
        "server_name": "m,16000,1",
        "active_master": "m,16000,1",
        "acting": True,
        "why_not": "",
        "epoch": 12,
        "lease_left_seconds": 1.333,
        "lives": 2,
        "elections": 1,
    }
    assert "active, acts" in page.text
    assert "0xc" in page.text


async def test_metrics_where_the_accept_header_asks_for_them():
    source = FakeStatus(snapshot=unread_snapshot(), age=math.inf)
    async with asking(create_app(source)) as client:
        plain = await client.get("/health", headers={"accept": "text/plain;version=0.0.4"})
        browser = await client.get("/health", headers={"accept": "text/html,*/*;q=0.8"})
    assert plain.status_code == 200, "a scraper drops the body of an error"
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'hbeacon_health_state{state="unhealthy"} 1.0' in plain.text
    assert browser.status_code == 503
    assert browser.json()["snapshot"]["age_seconds"] is None


@given(
    snapshot=snapshots(),
    age_ms=st.one_of(st.floats(min_value=0), st.just(math.nan)),
    state=st.sampled_from(["connected", "suspended", "disconnected", "made up"]),
    fatal=st.sampled_from(["", "refused"]),
    refusing=st.booleans(),
)
def test_never_raises_and_says_why(snapshot: Snapshot, age_ms: float, state: str, fatal: str, refusing: bool):
    source = FakeStatus(snapshot=snapshot, age=age_ms, session=Session(state=state, fatal=fatal), refusing=refusing)
    found = health(source)
    assert (found.state is HealthState.HEALTHY) == (not found.reasons)
    assert dict(found.connections)["zookeeper"] in ("connected", "suspended", "disconnected")
    if source.readiness().ready and state == "connected":
        assert found.state is HealthState.HEALTHY


@settings(max_examples=examples(25), deadline=None)
@given(snapshot=snapshots(), age_ms=st.one_of(st.floats(min_value=0), st.just(math.nan)))
async def test_every_page_answers_for_every_snapshot(snapshot: Snapshot, age_ms: float):
    source = FakeStatus(snapshot=snapshot, age=age_ms)
    async with asking(create_app(source)) as client:
        for path in ("/health", "/readyz?verbose", "/metrics", "/api/v1/registry", "/dump", "/"):
            answer = await client.get(path)
            assert answer.status_code in (200, 503), (path, answer.text)
