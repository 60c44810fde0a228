"""Faults over HTTP: who may change them, what is answered to who may not, and how everybody sees that they are set."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from registry.config.settings import BadSetting, load_settings
from registry.faults.control import FaultAccess
from registry.http.app import create_app
from registry.role.faults import fault_access
from tests.support.status import FakeStatus, allow_faults

PATH = "/api/v1/faults"
HANG = {"kind": "hang", "methods": ["Regist"], "seed": 3}
ANY = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
TOKEN = {"authorization": "Bearer sesame"}
CHANGES = (("POST", PATH), ("DELETE", PATH), ("DELETE", f"{PATH}/1"))


@asynccontextmanager
async def visiting(source: FakeStatus, host: str = "127.0.0.1") -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(source), raise_app_exceptions=False, client=(host, 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://gate-1:16010") as client:
        yield client


@pytest.mark.parametrize(
    ("access", "host", "headers", "why_not"),
    [
        (FaultAccess(), "127.0.0.1", {}, ""),
        (FaultAccess(), "127.8.9.1", {}, ""),
        (FaultAccess(), "::1", {}, ""),
        (FaultAccess(), "::ffff:127.0.0.1", {}, ""),
        (FaultAccess(), "192.0.2.7", {}, "hbeacon.faults.peers names the addresses that may"),
        (FaultAccess(), "::ffff:192.0.2.7", {}, "hbeacon.faults.peers"),
        (FaultAccess(), "", {}, "hbeacon.faults.peers"),
        (FaultAccess(peers=ANY), "192.0.2.7", {}, "give this server a hbeacon.faults.token"),
        (FaultAccess(), "127.0.0.1", {"origin": "http://gate-1:16010"}, "web pages"),
        (FaultAccess(), "127.0.0.1", {"origin": "null"}, "web pages"),
        (FaultAccess("sesame"), "127.0.0.1", {"origin": "null", **TOKEN}, "web pages"),
        (FaultAccess(), "127.0.0.1", {"sec-fetch-mode": "no-cors"}, "browsers"),
        (FaultAccess(), "127.0.0.1", {"x-forwarded-for": "192.0.2.7"}, "through a proxy"),
        (FaultAccess(), "127.0.0.1", {"via": "1.1 gate"}, "through a proxy"),
        (FaultAccess(), "127.0.0.1", {"forwarded": "for=192.0.2.7"}, "through a proxy"),
        (FaultAccess("sesame"), "127.0.0.1", {}, "a token is needed"),
        (FaultAccess("sesame"), "127.0.0.1", {"authorization": "Bearer sesam"}, "the token is another one"),
        (FaultAccess("sesame"), "127.0.0.1", {"authorization": "Basic sesame"}, "a token is needed"),
        (FaultAccess("sesame"), "127.0.0.1", TOKEN, ""),
        (FaultAccess("sesame"), "127.0.0.1", {"authorization": "bearer  sesame "}, ""),
        (FaultAccess("sesame"), "127.0.0.1", {"x-forwarded-for": "192.0.2.7", **TOKEN}, ""),
        (FaultAccess("sesame"), "192.0.2.7", TOKEN, "hbeacon.faults.peers"),
        (FaultAccess("sesame", ANY), "192.0.2.7", TOKEN, ""),
        (FaultAccess("sesame", ANY), "192.0.2.7", {}, "a token is needed"),
    ],
)
async def test_who_may(access: FaultAccess, host: str, headers: dict[str, str], why_not: str) -> None:
    source = FakeStatus()
    control = allow_faults(source, access)
    async with visiting(source, host) as client:
        answer = await client.post(PATH, json=HANG, headers=headers)
        assert answer.status_code == (403 if why_not else 201), answer.text
        assert why_not in answer.json().get("error", "")
        assert len(control.rows()) == (0 if why_not else 1)
        for method, path in CHANGES[1:]:
            changed = await client.request(method, path, headers=headers)
            assert (changed.status_code == 403) is bool(why_not), changed.text
        assert (await client.get(PATH)).status_code == 200, "to see them is no change"


async def test_where_they_are_not_enabled_everybody_is_told_how() -> None:
    async with visiting(FakeStatus()) as client:
        assert (await client.get(PATH)).json() == {"enabled": False, "faults": [], "applied": {}}
        for method, path in CHANGES:
            answer = await client.request(method, path, headers=TOKEN)
            assert answer.status_code == 403
            assert "set hbeacon.faults.enabled to true" in answer.json()["error"]


async def test_set_listed_and_cleared() -> None:
    source = FakeStatus()
    control = allow_faults(source)
    async with visiting(source) as client:
        made = (await client.post(PATH, json=HANG)).json()
        assert (made["id"], made["kind"], made["methods"], made["seed"]) == (1, "hang", ["Regist"], 3)
        assert made["sentence"] == "hang of Regist, seed 3"
        delay = (await client.post(PATH, json={"kind": "delay", "delay_ms": 50, "count": 2, "duration_ms": 900})).json()
        assert (delay["delay_ms"], delay["count"], delay["seed"]) == ([50.0, 50.0], 2, 1)
        source.clock.advance(300)
        assert control.at_call("Regist", "10.0.0.1") is not None
        listed = (await client.get(PATH)).json()
        assert [(row["id"], row["applied"], row["matched"], row["left_ms"]) for row in listed["faults"]] == [
            (1, 1, 1, None),
            (2, 0, 1, 600.0),
        ]
        assert listed["applied"] == {"hang": 1}
        assert (await client.delete(f"{PATH}/1")).json() == {"cleared": 1}
        missing = await client.delete(f"{PATH}/1")
        assert missing.status_code == 404
        assert "GET /api/v1/faults" in missing.json()["error"]
        assert (await client.delete(PATH)).json() == {"cleared": 1}
        assert (await client.get(PATH)).json()["faults"] == []


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        (b"", 400, "no JSON"),
        (b"kind=hang", 400, "no JSON"),
        (b"[" * 60_000, 400, "no JSON"),
        (b"\xff", 400, "no JSON"),
        (b"[]", 400, "write a JSON object"),
        (b"{}", 400, "a fault has a kind"),
        (b'{"kind": "hung"}', 400, "did you mean hang"),
        (b'{"kind": "hang", "method": ["Regist"]}', 400, "did you mean methods"),
        (b'{"kind": "hang", "methods": ["GetClusterID"]}', 400, "did you mean GetClusterId"),
        (b'{"kind": "hang", "probability": NaN}', 400, "from 0 to 1"),
        (b'{"kind": "hang-accept", "methods": ["Regist"]}', 400, "before a method is known"),
        (b'{"kind": "delay"}', 400, "delay_ms"),
        (b" " * 70_000, 413, "at most"),
    ],
)
async def test_what_is_no_fault(body: bytes, status: int, part: str) -> None:
    source = FakeStatus()
    control = allow_faults(source)
    async with visiting(source) as client:
        answer = await client.post(PATH, content=body)
    assert answer.status_code == status
    assert part in answer.json()["error"]
    assert not control.rows()


async def test_no_more_than_so_many() -> None:
    source = FakeStatus()
    allow_faults(source)
    async with visiting(source) as client:
        answers = [await client.post(PATH, json=HANG) for _ in range(101)]
    assert [answer.status_code for answer in answers] == [201] * 100 + [400]
    assert "clear some" in answers[-1].json()["error"]


async def test_everybody_sees_them(caplog: pytest.LogCaptureFixture) -> None:
    source = FakeStatus()
    control = allow_faults(source)
    sentence = "hang of Regist, seed 3"
    async with visiting(source) as client:

        async def seen(path: str) -> bool:
            answer = await client.get(path)
            assert answer.status_code == 200, "it goes on with its work"
            return sentence in answer.text

        places = ["/", "/health", "/readyz?verbose", PATH]
        assert not any([await seen(path) for path in places])
        assert 'hbeacon_faults_set{kind="hang"} 0' in (await client.get("/metrics")).text
        await client.post(PATH, json=HANG)
        assert all([await seen(path) for path in places])
        assert (await client.get("/health")).json()["status"] == "degraded"
        assert "hbeacon fault clear" in (await client.get("/")).text
        control.at_call("Regist", "10.0.0.1")
        metrics = (await client.get("/metrics")).text
        assert 'hbeacon_faults_set{kind="hang"} 1' in metrics
        assert 'hbeacon_faults_applied_total{kind="hang"} 1' in metrics
        await client.delete(PATH)
        assert not any([await seen(path) for path in places])
    messages = [record.getMessage() for record in caplog.records]
    assert f"fault 1 set by 127.0.0.1: {sentence}" in messages
    assert any(message.startswith("all faults (1) cleared by 127.0.0.1") for message in messages)


async def test_refusals_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    source = FakeStatus()
    allow_faults(source)
    async with visiting(source, "192.0.2.7") as client:
        for _ in range(50):
            assert (await client.delete(PATH)).status_code == 403
        source.clock.advance(1500)
        await client.delete(PATH)
    assert sum("was refused" in record.getMessage() for record in caplog.records) == 2


@pytest.mark.parametrize(
    ("values", "key", "cure"),
    [
        ({"enabled": "perhaps"}, "hbeacon.faults.enabled", "write on or off"),
        ({"peers": "beacon1"}, "hbeacon.faults.peers", "IP addresses or networks such as"),
        ({"enabled": "on", "peers": "10.0.0.0/33"}, "hbeacon.faults.peers", "IP addresses or networks such as"),
        ({"enabled": "on", "peers": ","}, "hbeacon.faults.peers", "IP addresses or networks such as"),
        ({"enabled": "on", "peers": "127.0.0.1,10.0.0.0/8"}, "hbeacon.faults.peers", "set hbeacon.faults.token too"),
        ({"enabled": "on", "token": "caf\u00e9"}, "hbeacon.faults.token", "visible ASCII"),
    ],
)
def test_bad_settings(values: dict[str, str], key: str, cure: str) -> None:
    with pytest.raises(BadSetting) as caught:
        fault_access(load_settings({f"hbeacon.faults.{name}": text for name, text in values.items()}, {}))
    assert caught.value.key == key
    assert cure in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "caf" not in str(caught.value)


def test_settings_become_access() -> None:
    assert fault_access(load_settings({}, {})) is None
    assert fault_access(load_settings({"hbeacon.faults.token": "x"}, {})) is None
    assert fault_access(load_settings({"hbeacon.faults.enabled": "true"}, {})) == FaultAccess()
    values = {"enabled": "on", "token": " sesame ", "peers": "10.1.2.3/16, ::1"}
    found = fault_access(load_settings({f"hbeacon.faults.{name}": text for name, text in values.items()}, {}))
    assert found == FaultAccess("sesame", (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("::1/128")))
