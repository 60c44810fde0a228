"""What the settings say of the pages, at an adapter as a process."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

import pytest

from registry.config.settings import BadSetting, load_settings
from registry.role import mapping
from tests.unit.test_adapter_process import HOST, PATIENCE_S, Waiting

TOKEN = "t0ken-of-a-test"


def test_settings_reach_the_pages(tmp_path: Path) -> None:
    made = Waiting(
        tmp_path / "adapter.log",
        guard=False,
        hbeacon__loglevel__enabled="on",
        hbeacon__loglevel__token=TOKEN,
        hbeacon__http__subscribers_max="1",
    )
    try:
        port = made.ports()[1]
        change = urllib.request.Request(
            f"http://{HOST}:{port}/logLevel?log=registry.zk&level=debug",
            method="PUT",
            headers={"authorization": f"Bearer {TOKEN}"},
        )
        with urllib.request.urlopen(change, timeout=PATIENCE_S) as answer:
            assert answer.read() == b"registry.zk: DEBUG\n"
        assert "Effective Level: <b>DEBUG</b>" in made.get("/logLevel?log=registry.zk")[1]
        assert TOKEN not in made.get("/conf")[1] + made.get("/dump")[1]
        with socket.create_connection((HOST, port), PATIENCE_S) as follower:
            follower.sendall(b"GET /api/v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
            assert follower.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream")
            status, text = made.get("/api/v1/events")
            assert (status, "1 follow already" in text) == (503, True)
    finally:
        made.process.close()
    assert "the log level of registry.zk was set to DEBUG over HTTP" in made.log.read_text()
    assert TOKEN not in made.log.read_text()


def test_levels_without_a_token_are_a_mistake() -> None:
    settings = load_settings({"hbeacon.loglevel.enabled": "on", "hbeacon.loglevel.token": " "}, {})
    with pytest.raises(BadSetting, match=r"set hbeacon\.loglevel\.token too"):
        mapping.check(settings)
