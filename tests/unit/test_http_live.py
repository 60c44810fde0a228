"""Followers over real sockets: everything at first, each change, who comes back, who does not read, and how many."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import MappingProxyType

import pytest

from registry.http import events, live
from registry.http.app import create_app
from registry.http.events import SubscriberLimits
from registry.http.headers import HEADERS
from registry.http.options import FaceOptions
from registry.http.serve import HttpServer, serve
from registry.lookup.snapshot import Fact, FactState, Version
from registry.lookup.visitors import VisitPath
from tests.support.events import Follower
from tests.support.http import asking
from tests.support.status import CLUSTER_ID, FakeStatus, Session

SECTIONS = {
    *("now", "snapshot", "server", "cluster_id", "active_master", "backup_masters", "meta_locations"),
    *("region_servers", "table_states", "hand_out"),
}


class Face:
    """A running face over a status that a test sets."""

    def __init__(self, limits: SubscriberLimits | None = None) -> None:
        self.source = FakeStatus()
        self.app = create_app(self.source, None, FaceOptions(limits or SubscriberLimits()))
        self.server: HttpServer | None = None
        self.opened: list[Follower] = []

    async def start(self) -> Face:
        self.server = await serve(self.app, "127.0.0.1", 0)
        return self

    async def follow(self, query: str = "", **headers: str) -> Follower:
        assert self.server is not None
        self.opened.append(await Follower.open(self.server.address, query, **headers))
        return self.opened[-1]

    async def stop(self) -> None:
        assert self.server is not None
        await self.server.stop()
        for follower in self.opened:
            await follower.close()

    def publish(self, **facts: object) -> None:
        """Another snapshot, one transaction later."""
        assert self.server is not None
        before = self.source.snapshot
        version = Version(before.version.generation, before.version.zxid + 1)
        self.source.snapshot = replace(before, version=version, **facts)  # type: ignore[arg-type]
        self.server.changed()

    @property
    def followers(self) -> int:
        return len(self.app.state.live.hub)


def cluster_id(value: str) -> dict[str, object]:
    return {"cluster_id": Fact(FactState.KNOWN, "/hbase/hbaseid", value, 0x2_0000_0108)}


def tables(count: int, state: str) -> dict[str, object]:
    states = MappingProxyType({f"table-of-some-length-{number}": state for number in range(count)})
    return {"table_states": Fact(FactState.KNOWN, "/hbase/table", states, 0x2_0000_0109)}


async def until(what: str, condition: Callable[[], bool]) -> None:
    deadline_s = asyncio.get_running_loop().time() + 20
    while not condition():
        assert asyncio.get_running_loop().time() < deadline_s, what
        await asyncio.sleep(0.01)


@pytest.fixture
async def face() -> AsyncIterator[Face]:
    running = await Face().start()
    yield running
    await running.stop()


async def test_everything_first_then_each_change_with_version_and_age(face: Face) -> None:
    follower = await face.follow(user_agent="watcher/1")
    assert follower.status == 200
    assert follower.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert follower.headers["cache-control"] == "no-store"
    for name, value in HEADERS:
        assert follower.headers[name.decode()] == value.decode()
    first = await follower.event("snapshot")
    assert first.data.keys() == SECTIONS
    assert first.data["cluster_id"]["value"] == CLUSTER_ID
    assert first.data["snapshot"] == {"generation": 1, "zxid": 0x2_0000_0107, "complete": True, "age_seconds": 0.12}
    assert first.data["server"]["ready"] is True
    assert events.RETRY_MS[0] <= follower.retry_ms <= events.RETRY_MS[1]
    face.source.age = 3_000.0
    face.publish(**cluster_id("another"))
    change = await follower.event("change")
    assert change.data.keys() == {"now", "snapshot", "cluster_id"}
    assert change.data["cluster_id"]["value"] == "another"
    assert (change.data["snapshot"]["zxid"], change.data["snapshot"]["age_seconds"]) == (0x2_0000_0108, 3.0)
    assert face.source.visitors.sightings[VisitPath.HTTP] == 1
    assert face.source.visitors.rows()[0].client_version == "watcher/1"


async def test_a_change_of_the_answers_alone_tells_version_and_age_too(face: Face) -> None:
    """What is handed out changes with the configuration, without any transaction."""
    follower = await face.follow()
    await follower.event("snapshot")
    face.source.handed_out = replace(face.source.handed_out, source="auto: another")
    change = await follower.event("change")
    assert change.data.keys() == {"now", "snapshot", "hand_out"}


async def test_health_and_readiness_are_seen_without_a_change_of_the_snapshot(face: Face) -> None:
    follower = await face.follow()
    await follower.event("snapshot")
    face.source.session = Session(state="suspended")
    change = await follower.event("change")
    assert change.data["server"]["health"] == "degraded"
    assert change.data["server"]["connections"]["zookeeper"] == "suspended"


async def test_who_comes_back_gets_what_it_missed(face: Face) -> None:
    follower, witness = await face.follow(), await face.follow()
    first = await follower.event("snapshot")
    await witness.event("snapshot")
    await follower.close()
    face.publish(**cluster_id("missed"))
    missed = await witness.event("change")
    again = await face.follow(last_event_id=first.id)
    change = await again.event("change")
    assert (change.id, change.data["cluster_id"]["value"]) == (missed.id, "missed")
    stranger = await face.follow(last_event_id="of-another-life-7")
    assert (await stranger.next()).kind == "snapshot"


async def test_who_comes_late_is_told_the_age_of_now(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_S", 0.05)
    await (await face.follow()).event("snapshot")
    await asyncio.sleep(0.3)
    face.source.age = 42_000.0
    late = await (await face.follow()).event("snapshot")
    assert late.data["snapshot"]["age_seconds"] == 42.0


async def test_heartbeats_tell_version_and_age(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.05)
    follower = await face.follow()
    await follower.event("snapshot")
    face.source.age = 7_000.0
    beat = await follower.event("heartbeat")
    assert beat.comment == "heartbeat"
    assert beat.id == "", "it is no change to come back to"
    assert beat.data["snapshot"]["age_seconds"] == 7.0
    page = await face.follow("?as=page")
    while (event := await page.next()).comment != "heartbeat":
        pass
    assert event.kind == ""


async def test_changes_that_follow_fast_are_told_together(face: Face) -> None:
    follower = await face.follow()
    await follower.event("snapshot")
    for number in range(500):
        face.publish(**cluster_id(f"id-{number}"))
    told = 0
    while (await follower.event("change")).data.get("cluster_id", {}).get("value") != "id-499":
        told += 1
    assert told < 5


async def test_a_version_that_moves_alone_is_told_now_and_then(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for fresh answers all the time does not have thousands of followers told each of them."""
    monkeypatch.setattr(live, "VERSION_INTERVAL_S", 3600.0)
    monkeypatch.setattr(live, "LOOK_S", 3600.0)  # the first look tells everything, whenever a busy machine comes to it
    follower = await face.follow()
    await follower.event("snapshot")
    face.publish(**cluster_id("first"))
    assert (await follower.event("change")).data["cluster_id"]["value"] == "first"
    for _ in range(50):
        face.publish()
        await asyncio.sleep(0.002)
    face.publish(**cluster_id("second"))
    change = await follower.event("change")
    assert change.data["cluster_id"]["value"] == "second", "what has changed waits for nothing"
    assert change.data["snapshot"]["zxid"] == face.source.snapshot.version.zxid


async def test_the_page_comes_in_parts_that_are_those_of_the_page(face: Face) -> None:
    follower = await face.follow("?as=page")
    first = (await follower.event("snapshot")).data
    async with asking(face.app) as client:
        whole = (await client.get("/")).text
    places = set(re.findall(r'data-live="([a-z-]+)"', whole))
    assert places == set(first) - {"now"}
    assert whole.count("<!--/live-->") == len(places)
    assert CLUSTER_ID in first["answers"]
    face.publish(**cluster_id("<b>evil</b>"))
    answers = ""
    while "evil" not in answers:
        answers = (await follower.event("change")).data.get("answers", "")
    assert "&lt;b&gt;evil" in answers
    face.source.draining = True
    while "title" not in (change := (await follower.event("change")).data):
        pass
    assert "not ready: hbeacon" in change["title"]


async def test_nobody_writes_the_marks_of_the_parts(face: Face) -> None:
    face.publish(**cluster_id("<!--/live--><!--live:pills-->"))
    first = (await (await face.follow("?as=page")).event("snapshot")).data
    assert "&lt;!--/live--&gt;" in first["answers"]
    assert "ready" in first["pills"]


async def test_who_does_not_read_is_dropped_and_the_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STALLED_S", 0.2)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(live, "CHANGE_INTERVAL_S", 0.0)
    monkeypatch.setattr(live, "LOOK_S", 0.05)
    face = await Face().start()
    assert face.server is not None
    stuck = socket.create_connection((face.server.address.host, face.server.address.port))
    try:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(b"GET /api/v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
        await until("it follows", lambda: face.followers == 1)
        reader = await face.follow()
        await reader.event("snapshot")
        stats = face.app.state.live.stats
        for number in range(400):
            face.publish(**tables(4000, f"S{number}"))
            while (await reader.event("change")).data.get("table_states", {}).get("value", {}).get(
                "table-of-some-length-0"
            ) != f"S{number}":
                pass
            if stats.dropped:
                break
        assert stats.dropped == 1
        await until("it has left", lambda: face.followers == 1)  # it is told to go, and goes in its own turn
    finally:
        stuck.close()
        await face.stop()


async def test_more_than_the_limits_are_told_to_come_later() -> None:
    face = await Face(SubscriberLimits(total_max=3, per_peer_max=2)).start()
    assert face.server is not None
    try:
        first, _ = await face.follow(), await face.follow()
        refused = await face.follow()
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        await first.close()
        await until("it has left", lambda: face.followers == 1)
        assert (await face.follow()).status == 200
        async with asking(face.app) as client:
            metrics = (await client.get("/metrics")).text
        assert "hbeacon_events_subscribers 2.0" in metrics
        assert "hbeacon_events_refused_total 1.0" in metrics
    finally:
        await face.stop()


async def test_followers_do_not_take_the_places_of_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    from registry.http import serve as serve_module

    monkeypatch.setattr(serve_module, "CONNECTIONS_MAX", 2)
    monkeypatch.setattr(serve_module, "STALLED_S", 0.05)
    face = await Face().start()
    assert face.server is not None
    try:
        followers = [await face.follow() for _ in range(10)]
        await asyncio.sleep(0.2)
        face.publish(**cluster_id("all are told"))
        for follower in followers:
            assert (await follower.event("change")).data["cluster_id"]["value"] == "all are told"
    finally:
        await face.stop()


async def test_the_end_closes_every_stream(face: Face) -> None:
    follower = await face.follow()
    assert face.server is not None
    await asyncio.wait_for(face.server.stop(), 5)
    assert await follower.is_closed()


async def test_other_forms_and_a_single_look(face: Face) -> None:
    assert (await face.follow("?as=nonsense")).status == 400
    async with asking(face.app) as client:
        answer = await client.get("/api/v1/events?as=registry")
    assert answer.text.startswith("retry: 1000\n\nid: ")
    assert "event: snapshot\ndata: {" in answer.text


async def test_where_nobody_follows_nothing_is_rendered(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[object] = []
    await face.stop()
    monkeypatch.setattr(live, "INTERVAL_S", 0.01)
    monkeypatch.setattr(face.app.state.live, "refresh", rendered.append)
    await face.start()
    face.publish(**cluster_id("x"))
    activity = face.app.state.live.activity
    await until("the picture goes on", lambda: len(activity.seconds) > 3)
    assert rendered == []
