"""Four-letter words: ZooKeeper's text, by list."""

from __future__ import annotations

import re

import pytest

from registry.coordinator.connection import DoorConnection
from registry.coordinator.limits import DoorLimits, DoorNature
from registry.coordinator.server import DoorServer
from tests.support.clock import ManualClock
from tests.support.scripted_machine import SESSION, ScriptedMachine, framed
from tests.support.transport import RecordingTransport


class Asked:
    """A door with one client, and what it says when asked."""

    def __init__(self, *words: str) -> None:
        self.clock = ManualClock()
        self.machine = ScriptedMachine()
        limits = DoorLimits(four_letter_words=frozenset(words))
        self.server = DoorServer(self.machine, limits, self.clock, DoorNature("a door of the tests"))
        self.client = self._connect(("10.0.0.1", 4711))
        self.client.data_received(framed(b"hello"))
        self.client.data_received(framed(b"\0\0\0\x07\0\0\0\x04/a"))
        self.server.door.end_turn()
        self.clock.advance(5)

    def _connect(self, peer: tuple[str, int]) -> DoorConnection:
        made = DoorConnection(self.server.door)
        self.transport = RecordingTransport(peer)
        self.transport.connect(made)
        return made

    def ask(self, data: bytes, pieces: int = 1) -> str:
        made = self._connect(("10.0.0.2", 4712))
        size = -(-len(data) // pieces)
        for at in range(0, len(data), size):
            made.data_received(data[at : at + size])
        self.server.door.end_turn()
        assert self.transport.is_closed, "a word closes its connection"
        text = self.transport.sent.decode()
        self.transport.lose()
        return text


@pytest.fixture
async def asked() -> Asked:
    return Asked("*")


async def test_by_default_only_srvr_is_answered() -> None:
    asked = Asked("srvr")
    assert asked.ask(b"srvr").startswith("Zookeeper version: 3.9.4-hbeacon-")
    for word in (b"ruok", b"stat", b"mntr", b"wchc", b"crst"):
        assert asked.ask(word) == f"{word.decode()} is not executed because it is not in the whitelist.\n"
    assert asked.machine.calls.count("connected") == 1


async def test_srvr_is_answered_whatever_the_list_says() -> None:
    assert "Mode: standalone" in Asked("ruok").ask(b"srvr")
    assert Asked("ruok").ask(b"ruok") == "imok"


async def test_words_in_pieces_and_with_a_line_end(asked: Asked) -> None:
    assert asked.ask(b"ruok", pieces=4) == "imok"
    assert asked.ask(b"ruok\r\n") == "imok"


async def test_unknown_words_close_without_an_answer(asked: Asked) -> None:
    assert asked.ask(b"what") == ""


async def test_srvr_says_what_this_server_is_not(asked: Asked) -> None:
    lines = asked.ask(b"srvr").splitlines()
    assert lines[0].endswith(", a door of the tests")
    assert lines[1] == "Latency min/avg/max: 0/0.0/0"
    assert lines[2:4] == ["Received: 3", "Sent: 2"]
    assert lines[4:] == ["Connections: 2", "Outstanding: 0", "Zxid: 0x2a", "Mode: standalone", "Node count: 5"]


async def test_stat_lists_the_clients(asked: Asked) -> None:
    text = asked.ask(b"stat")
    clients = " /10.0.0.1:4711[1](queued=0,recved=2,sent=2)\n /10.0.0.2:4712[1](queued=0,recved=1,sent=0)\n"
    assert f"Clients:\n{clients}\n" in text
    assert text.endswith("Mode: standalone\nNode count: 5\n")


async def test_cons_tells_sessions_and_what_was_asked_last(asked: Asked) -> None:
    first = asked.ask(b"cons").splitlines()[0]
    established = asked.clock.wall_ms() - 5
    assert first == (
        f" /10.0.0.1:4711[1](queued=0,recved=2,sent=2,sid={SESSION:#x},lop=GETD,est={established:.0f},"
        "to=10000,lcxid=0x7,lzxid=0x2a)"
    )


async def test_resets(asked: Asked) -> None:
    assert asked.ask(b"crst") == "Connection stats reset.\n"
    assert " /10.0.0.1:4711[1](queued=0,recved=0,sent=0)" in asked.ask(b"stat")
    assert asked.ask(b"srst") == "Server stats reset.\n"
    assert "Received: 1\nSent: 0\n" in asked.ask(b"srvr")


async def test_watches_and_dump(asked: Asked) -> None:
    assert asked.ask(b"wchs") == "1 connections watching 2 paths\nTotal watches:2\n"
    assert asked.ask(b"wchc") == f"{SESSION:#x}\n\t/a\n\t/b\n\n"
    assert asked.ask(b"wchp") == f"/a\n\t{SESSION:#x}\n/b\n\t{SESSION:#x}\n\n"
    dump = asked.ask(b"dump")
    assert re.search(r"Session Sets \(1\)/\(1\):\n1 expire at \w{3} \w{3} \d\d \d\d:\d\d:\d\d \w+ 20\d\d:\n\t0x1", dump)
    assert f"Sessions with Ephemerals (1):\n{SESSION:#x}:\n\t/e\n" in dump
    assert f"\tip: /10.0.0.1:4711 sessionId: {SESSION:#x}\n" in dump


async def test_mntr_and_conf_and_envi_are_lines_of_names_and_values(asked: Asked) -> None:
    mntr = dict(line.split("\t") for line in asked.ask(b"mntr").splitlines())
    assert mntr["zk_server_state"] == "standalone"
    assert (mntr["zk_znode_count"], mntr["zk_watch_count"], mntr["zk_ephemerals_count"]) == ("5", "2", "1")
    assert mntr["zk_num_alive_connections"] == "2"
    assert int(mntr["zk_open_file_descriptor_count"]) > 3
    conf = dict(line.split("=", 1) for line in asked.ask(b"conf").splitlines())
    assert (conf["tickTime"], conf["maxClientCnxns"], conf["jute.maxbuffer"]) == ("500", "300", "1048575")
    envi = asked.ask(b"envi").splitlines()
    assert envi[0] == "Environment:"
    assert envi[1].startswith("zookeeper.version=3.9.4-hbeacon-"), "kazoo reads the digits"
    assert all("=" in line for line in envi[1:])


async def test_isro_and_dirs(asked: Asked) -> None:
    assert asked.ask(b"isro") == "rw"
    assert asked.ask(b"dirs") == "datadir_size: 0\nlogdir_size: 0\n"
