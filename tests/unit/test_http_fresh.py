"""/api/v1/registry with wants: waited for, met, or refused with a status and a sentence."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from registry.http.app import create_app
from registry.http.fresh import STATUS
from registry.http.options import FaceOptions
from registry.lookup.fresh_reader import WAITING_MAX, FreshReader
from registry.lookup.freshness import Unmet
from tests.support.clock import ManualClock
from tests.support.fresh import ScriptedSource
from tests.support.http import asking
from tests.support.rpc import eventually
from tests.support.status import FakeStatus, small_snapshot

PATH = "/api/v1/registry"
ZXID = small_snapshot().version.zxid


class Face:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.source = ScriptedSource(self.clock)
        self.refusing = False
        self.reader = FreshReader(self.source, self.clock, lambda: 2000.0, lambda: self.refusing)
        self.status = FakeStatus()
        self.app = create_app(self.status, options=FaceOptions(reader=self.reader))

    async def get(self, query: str) -> httpx.Response:
        async with asking(self.app) as client:
            return await client.get(f"{PATH}?{query}")

    async def begin(self, query: str) -> asyncio.Task[httpx.Response]:
        waiting = len(self.source.waiting)
        task = asyncio.create_task(self.get(query))
        await eventually(lambda: len(self.source.waiting) == waiting + 1)
        self.clock.advance(1.0)
        return task


async def test_what_is_new_enough_waits_for_nothing() -> None:
    face = Face()
    for query in ("", "fresh=false", f"min_zxid={ZXID}", f"min_zxid=0x{ZXID:x}", "max_staleness_ms=0"):
        answer = await face.get(query)
        assert (answer.status_code, answer.json()["snapshot"]["zxid"]) == (200, ZXID), query
        assert not face.source.asked


@pytest.mark.parametrize("query", ["fresh", "fresh=true", "max_staleness_ms=0", f"min_zxid={ZXID + 5}&generation=1"])
async def test_else_one_read_is_waited_for(query: str) -> None:
    face = Face()
    face.clock.advance(100.0)
    task = await face.begin(query)
    face.status.snapshot = face.source.at(ZXID + 5)
    face.source.read()
    answer = await task
    assert (answer.status_code, answer.json()["snapshot"]["zxid"]) == (200, ZXID + 5)


async def test_what_is_no_number() -> None:
    face = Face()
    for query in ("fresh=perhaps", "min_zxid=-1", "min_zxid=", "max_staleness_ms=soon", "generation=1.5"):
        answer = await face.get(query)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(query.partition("=")[0])


async def test_refusals() -> None:
    face = Face()
    task = await face.begin(f"min_zxid={ZXID + 5}")
    face.source.read()
    behind = await task
    assert behind.status_code == 409
    assert f"0x{ZXID + 5:x} is asked for" in behind.json()["error"]
    assert "retry-after" not in behind.headers
    face.clock.advance(1.0)
    task = await face.begin("fresh")
    face.source.run_out()
    silent = await task
    assert (silent.status_code, silent.headers["retry-after"]) == (503, "1")
    assert "has not answered" in silent.json()["error"]
    face.reader.waiting_count = WAITING_MAX
    assert (await face.get("fresh")).status_code == 503
    face.refusing = True
    assert "hbeacon.registry.stale" in (await face.get("max_staleness_ms=1")).json()["error"]
    assert set(STATUS) == set(Unmet)
    async with asking(face.app) as client:
        metrics = (await client.get("/metrics")).text
    assert 'hbeacon_fresh_refused_total{reason="not reached"} 1.0' in metrics
    assert 'hbeacon_fresh_refused_total{reason="stale"} 1.0' in metrics
    assert "hbeacon_fresh_waited_total 2.0" in metrics
    assert "hbeacon_fresh_leader_asked_total 1.0" in metrics


async def test_a_face_that_cannot_tell_says_so() -> None:
    async with asking(create_app(FakeStatus())) as client:
        assert (await client.get(f"{PATH}?fresh")).status_code == 501
        assert (await client.get(PATH)).status_code == 200
