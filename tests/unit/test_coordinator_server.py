"""The coordinator's door on real sockets: kazoo as everybody uses it, and peers that mean harm."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError
from kazoo.protocol.states import WatchedEvent

from tests.support.coordinator_process import CoordinatorProcess
from tests.support.processes import resident_bytes, wait_for
from tests.support.scripted_machine import framed
from tests.support.zookeeper import HOST, four_letters

MIB = 1 << 20
HELLO = framed(struct.pack(">iqiqi16s?", 0, 0, 30_000, 0, 16, bytes(16), False))
WORDS = {"hbase.zookeeper.property.4lw.commands.whitelist": "*", "hbase.zookeeper.property.maxClientCnxns": "0"}


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[CoordinatorProcess]:
    made = CoordinatorProcess(tmp_path, keep=False, settings=WORDS)
    made.start()
    yield made
    made.close()


@pytest.fixture
def client(coordinator: CoordinatorProcess) -> Iterator[Any]:
    made: Any = KazooClient(coordinator.address, timeout=10)
    made.start(timeout=10)
    yield made
    made.stop()
    made.close()


def ignore(event: WatchedEvent) -> None:
    """A watch that is only there."""
    del event


def get_data(xid: int, path: str, *, watch: bool = False) -> bytes:
    name = path.encode()
    return framed(struct.pack(f">iii{len(name)}s?", xid, 4, len(name), name, watch))


def connect(port: int, data: bytes = HELLO) -> socket.socket:
    connected = socket.create_connection((HOST, port), timeout=30)
    connected.sendall(data)
    return connected


def is_closed(connected: socket.socket) -> bool:
    """Whether the server closes it, after whatever it has sent."""
    with connected, suppress(ConnectionResetError):
        connected.settimeout(5)
        while connected.recv(65536):
            pass
    return True


# --- what clients do -------------------------------------------------------------------------------------------------


def test_kazoo_creates_reads_watches_and_locks(client: Any) -> None:
    events: list[Any] = []
    seen = threading.Event()

    def watch(event: Any) -> None:
        events.append(event)
        seen.set()

    client.create("/a", b"one")
    with pytest.raises(NodeExistsError):
        client.create("/a", b"again")
    data, stat = client.get("/a", watch=watch)
    assert (data, stat.version) == (b"one", 0)
    assert client.set("/a", b"two").version == 1
    assert seen.wait(5)
    assert [(event.type, event.path) for event in events] == [("CHANGED", "/a")]
    assert client.create("/a/n-", b"", ephemeral=True, sequence=True) == "/a/n-0000000000"
    with client.Lock("/lock", "me"):
        assert len(client.get_children("/lock")) == 1
    transaction = client.transaction()
    transaction.create("/m", b"1")
    transaction.set_data("/m", b"2")
    transaction.check("/m", version=1)
    assert not any(isinstance(each, Exception) for each in transaction.commit())
    assert client.get("/m")[0] == b"2"


def test_ephemerals_go_with_their_session_and_a_session_outlives_its_connection(
    coordinator: CoordinatorProcess, client: Any
) -> None:
    other: Any = KazooClient(coordinator.address, timeout=10)
    other.start(timeout=10)
    other.create("/mine", b"", ephemeral=True)
    session = other.client_id
    other._connection._socket.shutdown(socket.SHUT_RDWR)
    wait_for("the same session again", lambda: other.retry(other.exists, "/mine"), 10)
    assert other.client_id == session
    other.stop()
    other.close()
    assert client.exists("/mine") is None


def test_a_dead_client_is_missed_soon_after_its_time_out(coordinator: CoordinatorProcess, client: Any) -> None:
    dying = connect(coordinator.port, framed(struct.pack(">iqiqi16s?", 0, 0, 1000, 0, 16, bytes(16), False)))
    dying.recv(1000)
    path = b"/dying"
    acl = struct.pack(">iii5si6s", 1, 31, 5, b"world", 6, b"anyone")
    body = struct.pack(f">iii{len(path)}si", 1, 1, len(path), path, 0) + acl + struct.pack(">i", 1)
    dying.sendall(framed(body))
    dying.recv(1000)
    began_s = time.monotonic()
    assert client.exists("/dying") is not None
    wait_for("the end of its session", lambda: client.exists("/dying") is None, 5, 0.02)
    assert time.monotonic() - began_s > 0.9, "not before its time-out"
    assert is_closed(dying), "its connection is closed with it"


def test_words_over_the_socket(coordinator: CoordinatorProcess, client: Any) -> None:
    assert four_letters(coordinator.port, "ruok") == "imok"
    text = four_letters(coordinator.port, "srvr")
    assert "one node without a quorum" in text
    assert "Mode: standalone" in text
    assert client.server_version() == (3, 9, 4)
    client.get_children("/", watch=ignore)
    client.create("/w", b"", ephemeral=True)
    client.get("/w", watch=ignore)
    session = f"{client.client_id[0]:#x}"
    assert f"{session}\n\t/w\n" in four_letters(coordinator.port, "wchc")
    dump = four_letters(coordinator.port, "dump")
    assert f"\t{session}\n" in dump
    assert f"{session}:\n\t/w\n" in dump
    assert f",sid={session},lop=GETD," in four_letters(coordinator.port, "cons")
    assert "zk_ephemerals_count\t1\n" in four_letters(coordinator.port, "mntr")


def test_a_session_that_is_not_known_is_told_so(coordinator: CoordinatorProcess) -> None:
    hello = struct.pack(">iqiqi16s?", 0, 0, 5000, 0x1234, 16, b"x" * 16, False)
    stranger = connect(coordinator.port, framed(hello))
    assert struct.unpack_from(">iiiq", stranger.recv(1000)) == (37, 0, 0, 0), "no time-out, no session: it has expired"
    assert is_closed(stranger)


# --- peers that mean harm --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\x00\x0f\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        framed(b""),
        framed(b"x" * 44),
    ],
)
def test_bad_first_bytes_close_their_own_connection(coordinator: CoordinatorProcess, client: Any, data: bytes) -> None:
    assert is_closed(connect(coordinator.port, data))
    assert client.exists("/") is not None


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x00\x10\x00\x00", framed(b"abc")])
def test_bad_requests_close_their_own_connection(coordinator: CoordinatorProcess, client: Any, data: bytes) -> None:
    assert is_closed(connect(coordinator.port, HELLO + data))
    assert client.exists("/") is not None
    assert client.connected


def test_half_frames_wait_and_cost_nothing(coordinator: CoordinatorProcess, client: Any) -> None:
    client.create("/half", b"data")
    before = resident_bytes(coordinator.process.pid)
    whole = get_data(7, "/half")
    halves = [connect(coordinator.port) for _ in range(200)]
    for half in halves:
        half.sendall(struct.pack(">i", 1_000_000) + b"\0\0\0\1")
    patient = connect(coordinator.port)
    patient.recv(1000)
    for at in range(len(whole)):
        patient.sendall(whole[at : at + 1])
    assert b"data" in patient.recv(1000)
    assert resident_bytes(coordinator.process.pid) - before < 10 * MIB
    for each in (*halves, patient):
        each.close()


def test_who_does_not_read_costs_little_and_is_not_read_from(coordinator: CoordinatorProcess, client: Any) -> None:
    """One hundred peers ask for half a megabyte two thousand times each, and read nothing of the 100 GB."""
    client.create("/large", bytes(500_000))
    before = resident_bytes(coordinator.process.pid)
    questions = b"".join(get_data(number, "/large") for number in range(2000))
    with contextlib.ExitStack() as ends:
        for _ in range(100):
            greedy = ends.enter_context(socket.socket())
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.connect((HOST, coordinator.port))
            greedy.sendall(HELLO)
            greedy.setblocking(False)
            greedy.send(questions)
        slowest_s = 0.0
        for _ in range(20):
            began_s = time.monotonic()
            assert client.exists("/large") is not None
            slowest_s = max(slowest_s, time.monotonic() - began_s)
            time.sleep(0.05)
        grown = resident_bytes(coordinator.process.pid) - before
        print(f"grown by {grown / MIB:.0f} MiB, slowest answer for others {slowest_s * 1000:.0f} ms")
        assert grown < 600 * MIB
        assert slowest_s < 10
        wait_for("its word", lambda: "slow_readers_closed" in four_letters(coordinator.port, "mntr"), 20)


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_ten_thousand_idle_sessions_cost_little(coordinator: CoordinatorProcess) -> None:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = 10_000
    assert hard >= count + 300, "ulimit -Hn must allow ten thousand connections"
    lasting = framed(struct.pack(">iqiqi16s?", 0, 0, 60_000, 0, 16, bytes(16), False))
    idle = [connect(coordinator.port, lasting) for _ in range(200)]
    settled = resident_bytes(coordinator.process.pid)
    idle += [connect(coordinator.port, lasting) for _ in range(count - len(idle))]
    for each in idle:
        assert len(each.recv(100)) == 41
    grown = resident_bytes(coordinator.process.pid) - settled
    print(f"grown by {grown / MIB:.1f} MiB")
    assert "Connections: 10001" in four_letters(coordinator.port, "srvr")
    for each in idle:
        each.close()
    assert grown < 50 * MIB, f"{count} sessions cost {grown / MIB:.1f} MiB"


def test_connections_of_one_host_are_limited(tmp_path: Path) -> None:
    made = CoordinatorProcess(tmp_path, keep=False, settings=WORDS | {"hbase.zookeeper.property.maxClientCnxns": "3"})
    made.start()
    try:
        first = [connect(made.port) for _ in range(3)]
        assert [len(each.recv(100)) for each in first] == [41, 41, 41]
        assert is_closed(connect(made.port))
        first[0].close()
        wait_for("room again", lambda: "zk_num_alive" in four_letters(made.port, "mntr"), 5)
        for each in first:
            each.close()
    finally:
        made.close()
