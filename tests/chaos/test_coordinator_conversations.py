"""Conversations that no well-behaved client has, word for word on the coordinator and on a real ZooKeeper 3.9."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.support.coordinator_process import CoordinatorProcess
from tests.support.zk_wire import OPS, Reader, WireConnection, answer, buffer, request_bytes, ustring
from tests.support.zookeeper import TICK_MS, ZooKeeperServer, maven

pytestmark = [pytest.mark.zookeeper, pytest.mark.timeout(120)]

OPEN = [(31, "world", "anyone")]
FRAME_MAX = 0xFFFFF
Conversation = Callable[[str], list[Any]]


def session(address: str, timeout_ms: int = 10_000) -> WireConnection:
    connection = WireConnection(address)
    assert connection.connect(timeout_ms) is not None
    return connection


def over(*connections: WireConnection) -> None:
    for each in connections:
        if each.open:
            each.call("closeSession")
        each.close()


def outcome(connection: WireConnection, op: str, *args: Any) -> Any:
    """The error of the answer, or "closed"."""
    reply = connection.call(op, *args)
    return "closed" if reply is None else reply.err


def time_outs(address: str) -> list[Any]:
    told: list[Any] = []
    for asked_ms in (-1, 0, 1, 999, 1000, 4321, 10_000, 10_001, 2**31 - 1):
        connection = WireConnection(address)
        granted = connection.connect(asked_ms)
        assert granted is not None
        told.append((asked_ms, granted.timeout_ms, granted.protocol, granted.read_only, granted.session_id != 0))
        over(connection)
    return told


def handshakes(address: str) -> list[Any]:
    told: list[Any] = []
    for session_id, password, last_zxid, read_only in (
        (0, bytes(16), 0, None),
        (0, bytes(16), 0, True),
        (0, None, 0, False),
        (0, b"short", 0, False),
        (0, bytes(16), 2**60, False),
        (0, bytes(16), -5, False),
        (77, bytes(16), 0, False),
        (77, bytes(16), 0, None),
        (77, None, 0, False),
        (-1, b"x" * 16, 0, False),
    ):
        connection = WireConnection(address)
        granted = connection.connect(5000, session_id, password, last_zxid, read_only=read_only)
        if granted is None:
            told.append("closed")
            continue
        size = None if granted.password is None else len(granted.password)
        told.append((granted.timeout_ms, granted.session_id != 0, size, granted.read_only, outcome(connection, "ping")))
        over(connection)
    return told


def wrong_password(address: str) -> list[Any]:
    """ZooKeeper closes the owner's connection before it looks at the password; the coordinator looks first."""
    first = WireConnection(address)
    granted = first.connect(5000)
    assert granted is not None
    told: list[Any] = []
    for password in (bytes(16), None, b"", granted.password):
        again = WireConnection(address)
        met = again.connect(5000, granted.session_id, password)
        told.append(None if met is None else (met.session_id == granted.session_id, met.timeout_ms))
        told.append(outcome(again, "ping"))
        if met is not None and met.session_id:
            over(again)
        again.close()
    first.close()
    return told


def broken_beginnings(address: str) -> list[Any]:
    told: list[Any] = []
    for data in (
        struct.pack(">i", 0),
        struct.pack(">i", -1),
        struct.pack(">i", FRAME_MAX + 1),
        struct.pack(">i", 10) + bytes(10),
        struct.pack(">i", 28) + bytes(28),
        struct.pack(">i", 44) + struct.pack(">iqiq", 0, 0, 5000, 0) + struct.pack(">i", 1000) + bytes(16),
    ):
        connection = WireConnection(address)
        connection.send_bytes(data)
        frame = connection.receive_frame()
        told.append(None if frame is None else len(frame))
        connection.close()
    return told


def broken_requests(address: str) -> list[Any]:
    told: list[Any] = []
    bodies = [b"", ustring(None), ustring("/"), ustring("/x")[:-1], struct.pack(">i", 2**31 - 1), struct.pack(">i", -7)]
    for op, code in OPS.items():
        if op in ("ping", "error", "createSession", "closeSession", "deleteContainer", "reconfig"):
            continue
        for body in bodies:
            connection = session(address)
            connection.send_frame(struct.pack(">ii", 1, code) + body)
            reply = connection.receive()
            told.append((op, body[:12], "closed" if reply is None else reply.err, outcome(connection, "ping")))
            over(connection)
    return told


def broken_frames(address: str) -> list[Any]:
    told: list[Any] = []
    for data in (
        struct.pack(">i", 0),
        struct.pack(">i", 4) + bytes(4),
        struct.pack(">i", -2),
        struct.pack(">i", FRAME_MAX + 1),
        b"ruok",
    ):
        connection = session(address)
        connection.send_bytes(data)
        reply = connection.receive()
        told.append((data, "closed" if reply is None else reply.err))
        connection.close()
    return told


def strange_names(address: str) -> list[Any]:
    connection = session(address)
    told: list[Any] = []
    for name in (
        b"/\xff\xfe",
        b"/\xed\xa0\x80",
        b"/\xf0\x9f\x98\x80",
        b"/e\xcc\x81",
        b"/\xef\xbf\xbd",
        b"/\xc2\x85",
        b"/ ",
    ):
        body = buffer(name) + buffer(b"") + request_bytes("create", ["", None, OPEN, 0])[8:]
        reply = connection.call("raw", OPS["create"], body)
        told.append((name, "closed" if reply is None else (reply.err, reply.body)))
        if reply is not None and not reply.err:
            told.append(outcome(connection, "raw", OPS["delete"], reply.body + struct.pack(">i", -1)))
    over(connection)
    return told


def sizes(address: str) -> list[Any]:
    connection = session(address)
    told: list[Any] = [outcome(connection, "create", "/big", b"", OPEN, 0)]
    fits = FRAME_MAX - 8 - len(request_bytes("setData", ["/big", b"", -1]))
    for size in (fits, fits + 1):
        told.append((size - fits, outcome(connection, "setData", "/big", b"z" * size, -1)))
        if not connection.open:
            connection = session(address)
        reply = connection.call("getData", "/big", False)
        told.append(None if reply is None else (reply.err, len(reply.body)))
    told.append(outcome(connection, "delete", "/big", -1))
    over(connection)
    return told


def one_write(address: str) -> list[Any]:
    """A hundred requests in one packet: answers in order, each event before the answer of the change that it tells."""
    connection = session(address)
    reply = connection.call("ping")
    assert reply is not None
    ops: list[tuple[str, Any]] = [("create", ["/p", b"", OPEN, 0])]
    for number in range(12):
        ops += [
            ("getData", ["/p", True]),
            ("getChildren", ["/p", True]),
            ("exists", [f"/p/{number}", True]),
            ("create", [f"/p/{number}", b"", OPEN, number % 2]),
            ("setData", ["/p", b"new", -1]),
            ("setData", ["/p", b"old", 99]),
            ("delete", [f"/p/{number}", -1]),
            ("sync", ["/p"]),
        ]
    ops += [("delete", ["/p", -1]), ("closeSession", [])]
    data = b""
    for xid, (op, args) in enumerate(ops, 1):
        payload = struct.pack(">ii", xid, OPS[op]) + request_bytes(op, args)
        data += struct.pack(">i", len(payload)) + payload
    connection.send_bytes(data)
    told: list[Any] = []
    while (frame := connection.receive_frame()) is not None:
        xid, zxid, err = Reader(frame).take("iqi")
        told.append((xid, zxid - reply.zxid, err) if xid > 0 else frame[16:])
    return told


def silence(address: str) -> list[Any]:
    """A session that says nothing is over between its time-out and two ticks later, and its ephemerals with it."""
    quiet, other = session(address, 1500), session(address)
    told: list[Any] = [
        outcome(other, "create", "/s", b"", OPEN, 0),
        outcome(quiet, "create", "/s/e", b"", OPEN, 1),
    ]
    began_s = time.monotonic()  # before its last word is heard
    told += [outcome(quiet, "create", "/s/f", b"", OPEN, 1), outcome(other, "addWatch", "/s", 1)]
    while len(other.events) < 2 and time.monotonic() < began_s + 8:
        told_err = outcome(other, "ping")
        assert told_err == 0
        time.sleep(0.02)
    took_ms = (time.monotonic() - began_s) * 1000
    told.append(1400 <= took_ms <= 1500 + 2 * TICK_MS + 400 or took_ms)
    told.append(sorted((event.type, event.state, event.path) for event in other.events))
    told.append(outcome(quiet, "ping"))
    told.append(outcome(other, "delete", "/s", -1))
    over(quiet, other)
    return told


def strange_auth(address: str) -> list[Any]:
    told: list[Any] = []
    for scheme, token in (
        ("digest", b""),
        ("digest", b"a"),
        ("digest", b"a:"),
        ("digest", None),
        (None, b"a:b"),
        ("", b""),
    ):
        connection = session(address)
        reply = connection.call("auth", scheme, token)
        told.append((scheme, token, "closed" if reply is None else (reply.xid, reply.err), outcome(connection, "ping")))
        if connection.open:
            reply = connection.call("whoAmI")
            told.append(None if reply is None else answer("whoAmI", Reader(reply.body)))
        over(connection)
    return told


CONVERSATIONS: list[Conversation] = [
    time_outs, handshakes, wrong_password, broken_beginnings, broken_requests, broken_frames, strange_names, sizes,
    one_write, silence, strange_auth,
]  # fmt: skip


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[str, str]]:
    directory = tmp_path_factory.mktemp("conversations")
    real = ZooKeeperServer(maven(), directory / "zookeeper")
    ours = CoordinatorProcess(
        directory / "coordinator", keep=False, settings={"hbase.zookeeper.property.tickTime": str(TICK_MS)}
    )
    try:
        real.start()
        ours.start()
        yield real.address, ours.address
    finally:
        ours.close()
        real.close()


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda conversation: conversation.__name__)
def test_word_for_word(addresses: tuple[str, str], conversation: Conversation) -> None:
    expected, met = (conversation(address) for address in addresses)
    different = [(one, other) for one, other in zip(expected, met, strict=False) if one != other]
    assert not different, "of ZooKeeper and of the coordinator"
    assert len(met) == len(expected)
