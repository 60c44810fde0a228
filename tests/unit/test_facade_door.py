"""Façades of two adapters over one coordinator, all of them processes, as kazoo and bare sockets use them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError, NoNodeError

from registry.names import ServerName
from tests.support.adapters import AdapterProcess
from tests.support.coordinator_process import CoordinatorProcess
from tests.support.facade_views import NO_AUTH, Wires, asked, differences, facades, until_events
from tests.support.hbase_tree import HBaseTreeWriter
from tests.support.processes import wait_for
from tests.support.zk_wire import Reply, WireConnection
from tests.support.zookeeper import four_letters

META = "/hbase/meta-region-server"
ELSEWHERE = ServerName("elsewhere", 16020, 7)


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoordinatorProcess]:
    words = {"hbase.zookeeper.property.4lw.commands.whitelist": "*"}
    made = CoordinatorProcess(tmp_path_factory.mktemp("coordinator"), keep=False, settings=words)
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def tree(coordinator: CoordinatorProcess) -> Iterator[HBaseTreeWriter]:
    writer = HBaseTreeWriter(coordinator.address)
    writer.write()
    yield writer
    writer.close()


@pytest.fixture(scope="module")
def doors(
    coordinator: CoordinatorProcess, tree: HBaseTreeWriter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[AdapterProcess]]:
    assert tree.tree.root == "/hbase"
    with facades(tmp_path_factory.mktemp("adapters"), coordinator.address) as made:
        yield made


@pytest.fixture
def wires() -> Iterator[Wires]:
    made = Wires()
    yield made
    made.close()


@pytest.fixture
def client(doors: list[AdapterProcess]) -> Iterator[Any]:
    made: Any = cast("Any", KazooClient(",".join(door.facade for door in doors), timeout=5.0))
    made.start(timeout=10)
    yield made
    made.stop()
    made.close()


def test_the_two_doors_answer_alike(
    wires: Wires, coordinator: CoordinatorProcess, doors: list[AdapterProcess], tree: HBaseTreeWriter
) -> None:
    real = wires.connected(coordinator.address)
    for door in doors:
        tree.move_meta(ELSEWHERE)
        assert not differences(real, wires.connected(door.facade))


def test_kazoo_reads_watches_and_may_not_write(client: Any, tree: HBaseTreeWriter) -> None:
    moved = threading.Event()
    seen: list[Any] = []

    def watch(event: Any) -> None:
        seen.append((event.type, event.path))
        moved.set()

    client.sync("/")
    before, stat = client.get(META, watch=watch)
    assert stat.version >= 0
    tree.move_meta(ServerName("another", 16020, 8))
    assert moved.wait(10)
    assert seen == [("CHANGED", META)]
    client.sync("/hbase")
    assert client.get(META)[0] != before
    with pytest.raises(NoAuthError):
        client.create("/hbase/new", b"")
    with pytest.raises(NoAuthError):
        client.set(META, b"")
    with pytest.raises(NoAuthError):
        client.get("/zookeeper")
    with pytest.raises(NoNodeError):
        client.get("/hbase/root-region-server")
    assert client.ensure_path("/hbase/rs")


def test_a_sync_shows_what_was_written_before_it(
    wires: Wires, doors: list[AdapterProcess], tree: HBaseTreeWriter
) -> None:
    connection = wires.connected(doors[0].facade)
    for number in range(20):
        zxid = tree.move_meta(ServerName("moving", 16020, number))
        connection.send("sync", "/")
        connection.send("exists", META, False)
        assert connection.receive() is not None
        reply = connection.receive()
        assert reply is not None
        assert int.from_bytes(reply.body[8:16], "big") == zxid, "mzxid"


def test_a_session_moves_to_the_other_door(wires: Wires, doors: list[AdapterProcess], tree: HBaseTreeWriter) -> None:
    first = wires.open(doors[0].facade)
    granted = first.connect(5000)
    assert granted is not None
    assert granted.timeout_ms == 5000
    last_zxid = asked(first, "getData", META, True).zxid
    first.close()
    moved = wait_for("the other one to be as new", lambda: _moved(wires, doors[1], granted, last_zxid), 5)
    tree.move_meta(ServerName("after", 16020, 9))
    asked(moved, "sync", "/")
    asked(moved, "setWatches", last_zxid, [META], [], [])
    assert until_events([moved], 1) == [[(3, META)]]
    strange = wires.open(doors[1].facade)
    refused = strange.connect(5000, granted.session_id, b"x" * 16)
    assert refused is not None
    assert refused.session_id == 0


def _moved(wires: Wires, door: AdapterProcess, granted: Any, last_zxid: int) -> WireConnection | None:
    connection = wires.open(door.facade)
    again = connection.connect(5000, granted.session_id, granted.password, last_zxid)
    if again is None:
        return None
    assert again.session_id == granted.session_id
    return connection


def test_clients_cost_the_real_zookeeper_nothing(
    wires: Wires, coordinator: CoordinatorProcess, doors: list[AdapterProcess], tree: HBaseTreeWriter
) -> None:
    def figure(name: str) -> int:
        lines = four_letters(coordinator.port, "mntr").splitlines()
        return next(int(line.split("\t")[1]) for line in lines if line.startswith(name))

    def settled(name: str) -> int:
        """A watch that has fired counts again when the adapter has read what it told of."""
        last, same = figure(name), 0
        while same < 5:
            time.sleep(0.05)
            now = figure(name)
            last, same = now, same + 1 if now == last else 0
        return last

    sessions, watches = figure("zk_global_sessions"), settled("zk_watch_count")
    crowd = [wires.connected(doors[number % 2].facade) for number in range(100)]
    for each in crowd:
        each.send("getData", META, True)
        each.send("getChildren", "/hbase/rs", True)
        assert each.receive() is not None
        assert each.receive() is not None
    tree.move_meta(ServerName("crowded", 16020, 10))
    assert until_events(crowd, 1) == [[(3, META)]] * 100
    assert figure("zk_global_sessions") == sessions
    assert settled("zk_watch_count") == watches


def test_people_are_told_what_it_is(wires: Wires, doors: list[AdapterProcess]) -> None:
    port = int(doors[0].facade.rpartition(":")[2])
    assert "Mode: read-only" in four_letters(port, "srvr")
    reply = wires.connected(doors[0].facade).call("setData", META, b"", -1)
    assert reply is not None
    assert reply.err == NO_AUTH


def test_the_guard_brings_the_door_back_where_it_was(
    wires: Wires, coordinator: CoordinatorProcess, tree: HBaseTreeWriter, tmp_path: Path
) -> None:
    """The next worker knows the session, and shows nothing older than the last one did."""
    adapter = AdapterProcess(
        "guarded",
        tmp_path / "guarded.log",
        zookeeper=coordinator.address,
        rpc="127.0.0.1:0",
        http="off",
        settings={"hbeacon.facade.address": "127.0.0.1:0"},
    )
    try:
        adapter.wait_ready()
        first = wires.open(adapter.facade)
        granted = first.connect(5000)
        assert granted is not None
        last = asked(first, "getData", META, False)
        os.kill(adapter.worker_pid(), signal.SIGKILL)

        def back() -> Reply | None:
            with contextlib.suppress(OSError):
                again = wires.open(adapter.facade)
                if (found := again.connect(5000, granted.session_id, granted.password, last.zxid)) is not None:
                    assert found.session_id == granted.session_id
                    return asked(again, "getData", META, False)
            return None

        reply = wait_for("the door to be open again", back, 15)
        assert reply.zxid >= last.zxid
        assert reply.body == last.body
        assert tree.client.connected
    finally:
        adapter.close()
