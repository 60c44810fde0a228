"""The routes: probes, JSON, configuration, errors, headers."""

from __future__ import annotations

import asyncio
import math
import threading
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from registry.http.app import PATHS, create_app
from registry.http.headers import HEADERS
from registry.http.status import SettingRow
from registry.lookup.snapshot import Fact, FactState
from registry.lookup.visitors import VisitPath
from registry.names import ServerName
from tests.support.http import asking, get
from tests.support.status import (
    ACTIVE,
    CLUSTER_ID,
    STANDBY,
    FakeStatus,
    HandOut,
    Session,
    small_snapshot,
    unread_snapshot,
)


def red() -> FakeStatus:
    return FakeStatus(snapshot=unread_snapshot(), age=math.inf, session=Session(state="disconnected"))


@pytest.mark.parametrize("path", ["/ready", "/readyz"])
async def test_ready_is_short_when_green_and_tells_all_when_red(path: str):
    green = await get(FakeStatus(), path)
    assert (green.status_code, green.text) == (200, "ok")
    answer = await get(red(), path)
    assert answer.status_code == 503
    assert "[-]cluster-id failed: /hbase/hbaseid has not been read yet\n" in answer.text
    assert answer.text.endswith("readyz check failed\n")


async def test_readyz_verbose_as_kubernetes_writes_it():
    backups: Fact[tuple[ServerName, ...]] = Fact(FactState.FORBIDDEN, "/hbase/backup-masters", problem="run setAcl")
    answer = await get(FakeStatus(snapshot=replace(small_snapshot(), backup_masters=backups)), "/readyz?verbose")
    lines = answer.text.splitlines()
    assert answer.status_code == 200
    assert "[+]snapshot-complete ok" in lines
    assert any(line.startswith("[+]backup-masters ok, but: ") and line.endswith("run setAcl") for line in lines)
    assert not any(line.startswith("[-]") for line in lines)
    assert lines[-1] == "readyz check passed"


async def test_checks_can_be_excluded():
    source = FakeStatus(age=99_000.0)
    assert (await get(source, "/readyz")).status_code == 503
    answer = await get(source, "/readyz?verbose&exclude=snapshot-age&exclude=nonsense")
    assert answer.status_code == 200
    assert "snapshot-age" not in answer.text
    assert "warn: no check to exclude is called 'nonsense'" in answer.text


async def test_ready_as_json_where_it_is_preferred():
    answer = await get(red(), "/ready", accept="application/json")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert {"name", "ok", "required", "sentence"} == set(answer.json()["checks"][0])


async def test_alive_whatever_zookeeper_does():
    answer = await get(red(), "/livez")
    assert (answer.status_code, answer.text) == (200, "ok")


async def test_registry_tells_the_whole_answer():
    source = FakeStatus(handed_out=HandOut((ACTIVE,), (STANDBY,), "auto: real servers"))
    answer = await get(source, "/api/v1/registry", **{"user-agent": "curl/8"})
    body = answer.json()
    assert answer.status_code == 200
    assert body["snapshot"] == {"generation": 1, "zxid": 0x2_0000_0107, "complete": True, "age_seconds": 0.12}
    assert body["cluster_id"]["value"] == CLUSTER_ID
    assert body["active_master"] == {
        "state": "known",
        "znode": "/hbase/master",
        "changed_zxid": 0x2_0000_0010,
        "problem": "",
        "value": {
            "server_name": str(ACTIVE),
            "host": "m1.example.org",
            "port": 16000,
            "start_code": 1_795_000_000_001,
            "info_port": 16010,
        },
    }
    assert body["backup_masters"]["value"] == [str(STANDBY)]
    assert body["meta_locations"]["value"][0]["state"] == "OPEN"
    assert len(body["region_servers"]["value"]) == 3
    assert body["table_states"]["value"]["ns:events"] == "ENABLED"
    assert body["hand_out"] == {
        "masters": [str(ACTIVE)],
        "bootstrap_nodes": [str(STANDBY)],
        "source": "auto: real servers",
    }
    assert source.visitors.sightings[VisitPath.HTTP] == 1
    assert source.visitors.rows()[0].host == "192.0.2.7"


async def test_registry_before_anything_is_known():
    body = (await get(red(), "/api/v1/registry")).json()
    assert body["snapshot"]["age_seconds"] is None
    assert {body[name]["state"] for name in body if name not in ("snapshot", "hand_out")} == {"unread"}
    assert body["region_servers"]["value"] is None


async def test_etag_names_version_and_content_but_not_age():
    source = FakeStatus()
    async with asking(create_app(source)) as client:
        first = (await client.get("/api/v1/registry")).headers["etag"]
        source.age = 5_000.0
        same = await client.get("/api/v1/registry", headers={"if-none-match": f'"other", {first}'})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first)
        strong = await client.get("/api/v1/registry", headers={"if-none-match": first.removeprefix("W/")})
        assert strong.status_code == 304
        source.handed_out = HandOut((), (), "tier")
        changed = await client.get("/api/v1/registry", headers={"if-none-match": first})
        assert changed.status_code == 200
        assert changed.headers["etag"] != first
    assert first.startswith('W/"1-200000107-')


async def test_conf_as_xml_and_json():
    source = FakeStatus(
        setting_rows=[
            SettingRow("a.key", "x < y & \x01z", "hbase-site.xml", final=True),
            SettingRow("b", "", "default"),
        ]
    )
    answer = await get(source, "/conf")
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    first, second = ET.fromstring(answer.text)  # our own output
    assert {child.tag: child.text for child in first} == {
        "name": "a.key",
        "value": "x < y & �z",
        "final": "true",
        "source": "hbase-site.xml",
    }
    assert second.findtext("final") == "false"
    as_json = (await get(source, "/conf?format=json")).json()
    assert as_json["properties"][1] == {"key": "b", "value": "", "isFinal": False, "resource": "default"}
    bad = await get(source, "/conf?format=yaml")
    assert (bad.status_code, bad.json()["error"]) == (400, "Bad format: yaml")


async def test_stacks_show_threads_and_what_tasks_wait_for():
    reached, release = threading.Event(), threading.Event()

    def stand_here() -> None:
        reached.set()
        release.wait()

    async def wait_here() -> None:
        await asyncio.Event().wait()

    thread = threading.Thread(target=stand_here, name="standing")
    thread.start()
    task = asyncio.create_task(wait_here(), name="waiting")
    try:
        await asyncio.sleep(0)
        assert reached.wait(5)
        text = (await get(FakeStatus(), "/stacks")).text
    finally:
        release.set()
        thread.join()
        task.cancel()
    assert 'Thread "standing"' in text
    assert "stand_here" in text
    assert 'Task "waiting"' in text
    assert "wait_here" in text


async def test_dump_has_everything_and_no_secret():
    source = FakeStatus()
    source.visitors.registry_preamble_seen("10.1.1.1")
    text = (await get(source, "/dump")).text
    for part in (CLUSTER_ID, "zk1:2181", "readyz check passed", "znode-read /hbase/master", "10.1.1.1", "Thread"):
        assert part in text
    assert "hbeacon.zookeeper.auth=******** (environment" in text


@pytest.mark.parametrize("path", [path for path, _ in PATHS])
async def test_head_answers_like_get_without_a_body(path: str):
    async with asking(create_app(FakeStatus())) as client:
        got, head = await client.get(path), await client.head(path)
    assert got.status_code == head.status_code == 200
    assert got.headers["content-type"] == head.headers["content-type"]


async def test_unknown_paths_list_the_known_ones():
    answer = await get(FakeStatus(), "/master-status<script>")
    assert answer.status_code == 404
    assert answer.json()["paths"] == [path for path, _ in PATHS]
    page = await get(FakeStatus(), "/%3Cscript%3E", accept="text/html")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "&lt;script&gt;" in page.text
    assert "<script" not in page.text
    assert 'href="/readyz"' in page.text


async def test_other_methods_are_refused_in_json():
    async with asking(create_app(FakeStatus())) as client:
        answer = await client.post("/health", content=b"{}")
    assert answer.status_code == 405
    assert answer.json() == {"error": "Method Not Allowed", "path": "/health", "paths": []}
    assert answer.headers["allow"]


async def test_a_failure_is_json_and_tells_nothing(monkeypatch: pytest.MonkeyPatch):
    def broken(self: FakeStatus) -> object:
        raise RuntimeError("secret")

    monkeypatch.setattr(FakeStatus, "hand_out", broken)
    answer = await get(FakeStatus(), "/api/v1/registry")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["path"] == "/api/v1/registry"


async def test_every_answer_carries_the_headers():
    async with asking(create_app(FakeStatus())) as client:
        for path in [path for path, _ in PATHS] + ["/nothing", "/static/page.css"]:
            answer = await client.get(path)
            for name, value in HEADERS:
                assert answer.headers[name.decode()] == value.decode(), path
            assert answer.headers["cache-control"] in ("no-store", "no-cache")


async def test_the_interface_is_described():
    document = (await get(FakeStatus(), "/openapi.json")).json()
    described = {path for path in document["paths"] if "{" not in path}
    assert described == {path for path, _ in PATHS} - {"/", "/master-status", "/openapi.json"}
    assert document["components"]["schemas"]["RegistryModel"]["properties"]["snapshot"]
    assert (await get(FakeStatus(), "/docs")).status_code == 404


@pytest.mark.parametrize("name", ["..%2fapp.py", "status.html", "page.css%00", ""])
async def test_nothing_but_the_style_sheet_and_the_script_is_static(name: str):
    assert (await get(FakeStatus(), f"/static/{name}")).status_code == 404
    style = await get(FakeStatus(), "/static/page.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    script = await get(FakeStatus(), "/static/page.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    again = await get(FakeStatus(), "/static/page.css", **{"if-none-match": style.headers["etag"]})
    assert again.status_code == 304
