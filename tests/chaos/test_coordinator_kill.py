"""kill -9 of a coordinator in the middle of writes, also while it starts or makes a snapshot; and a disk that is full.

Each writer sends its operations one behind the other, so what a killed coordinator has kept of them must be all that it
acknowledged and the first few of the others: nothing lost, nothing half, versions in step. HBEACON_ROUNDS sets how
often it is killed.
"""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionClosedError, ConnectionLoss

from tests.support.coordinator_process import CoordinatorProcess
from tests.support.processes import tool, wait_for
from tests.support.zk_wire import Reader, WireConnection, answer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("HBEACON_ROUNDS", "7"))
WRITERS = 4
OUTSTANDING_MAX = 40
OPEN = [(31, "world", "anyone")]
LEAVING_MS = 1500
TICK_MS = 500
LOST = (ConnectionLoss, ConnectionClosedError)

Operation = tuple[str, int]


def connected(address: str) -> Any:
    client: Any = KazooClient(
        address, timeout=20, connection_retry={"max_tries": 100, "delay": 0.02, "max_delay": 0.2}, randomize_hosts=False
    )
    client.start(timeout=20)
    return client


class State:
    """What one writer's nodes are when these operations have been done."""

    def __init__(self, operations: list[Operation]) -> None:
        self.names = {"counter", "left", "right"}
        self.values = {"counter": (b"", 0), "left": (b"", 0), "right": (b"", 0)}
        """Data and version."""
        for kind, number in operations:
            changed = {"set": ("counter",), "pair": ("left", "right")}.get(kind, ())
            for name in changed:
                self.values[name] = (b"%d" % number, self.values[name][1] + 1)
            if kind != "set":
                self.names.add(f"{kind}{number}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and (self.names, self.values) == (other.names, other.values)

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def read(cls, client: Any, home: str) -> State:
        state = cls([])
        state.names = set(client.retry(client.get_children, home))
        for name in state.values:
            data, stat = client.retry(client.get, f"{home}/{name}")
            state.values[name] = (data, stat.version)
        return state


class Writer:
    """A client with a node of its own, below which it sends what it can."""

    def __init__(self, address: str, number: int, rng: random.Random) -> None:
        self.client = connected(address)
        self.home = f"/w{number}"
        self.rng = rng
        self.done: list[Operation] = []
        """What is known to be there, in order."""
        self.sent: list[tuple[Operation, Any]] = []
        self.number = 0
        self.acknowledged_zxid = 0
        self.client.create(self.home, b"")
        for name in State([]).names:
            self.client.create(f"{self.home}/{name}", b"")

    def write_until(self, stop: threading.Event) -> None:
        while not stop.is_set() and self.client.connected:
            self.number += 1
            operation = (self.rng.choice(("set", "set", "node", "pair", "mine")), self.number)
            self.sent.append((operation, self.send(*operation)))
            if len(self.sent) > OUTSTANDING_MAX:
                self.sent[-OUTSTANDING_MAX][1].wait(5)

    def send(self, kind: str, number: int) -> Any:
        client, data = self.client, b"%d" % number
        if kind == "set":
            return client.set_async(f"{self.home}/counter", data)
        if kind == "pair":
            multi = client.transaction()
            multi.set_data(f"{self.home}/left", data)
            multi.create(f"{self.home}/pair{number}", bytes(self.rng.choice((1, 3000))))
            multi.set_data(f"{self.home}/right", data)
            return multi.commit_async()
        return client.create_async(f"{self.home}/{kind}{number}", data, ephemeral=kind == "mine")

    def settle(self) -> list[Operation]:
        """Learn what was acknowledged; gives what nobody knows about, in the order it was sent."""
        unknown: list[Operation] = []
        for operation, result in self.sent:
            try:
                answer = result.get(timeout=20)
            except LOST:
                unknown.append(operation)
                continue
            self.done.append(operation)
            if operation[0] == "pair":
                assert not any(isinstance(each, Exception) for each in answer), answer
            elif operation[0] == "set":
                self.acknowledged_zxid = max(self.acknowledged_zxid, answer.mzxid)
        self.sent = []
        return unknown

    def check(self) -> int:
        """All that was acknowledged is there, and a beginning of the rest; gives how many were acknowledged."""
        unknown = self.settle()
        acknowledged = len(self.done)
        found = State.read(self.client, self.home)
        # kazoo sends what it still held back when it has reconnected, behind what was lost: in order by number
        for count in range(len(unknown) + 1):
            candidate = sorted([*self.done, *unknown[:count]], key=lambda operation: operation[1])
            if State(candidate) == found:
                self.done = candidate
                break
        else:
            raise AssertionError(f"{self.home}: {found.values} is no beginning; {len(unknown)} are unknown")
        for kind, number in self.done:
            if kind == "mine":
                stat = self.client.retry(self.client.exists, f"{self.home}/mine{number}")
                assert stat.owner_session_id == self.client.client_id[0]
        return acknowledged


class Leaver:
    """A client that will not come back, with an ephemeral node."""

    def __init__(self, address: str, path: str) -> None:
        self.path = path
        self.connection = WireConnection(address)
        assert self.connection.connect(LEAVING_MS) is not None
        reply = self.connection.call("create", path, b"", OPEN, 1)
        assert reply is not None
        assert reply.err == 0


@pytest.fixture(params=["on", "off"])
def coordinator(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[CoordinatorProcess]:
    settings = {
        "hbeacon.coordinator.fsync": request.param,
        "hbeacon.coordinator.snapshot_records": "400",
        "hbeacon.coordinator.snapshots_kept": "2",
    }
    process = CoordinatorProcess(tmp_path, settings=settings)
    process.start()
    yield process
    process.close()


@pytest.fixture
def writers(coordinator: CoordinatorProcess, rng: random.Random) -> Iterator[list[Writer]]:
    made = [Writer(coordinator.address, number, random.Random(rng.random())) for number in range(WRITERS)]
    yield made
    for each in made:
        each.client.stop()
        each.client.close()


def test_nothing_acknowledged_is_lost_however_often_it_is_killed(
    coordinator: CoordinatorProcess, writers: list[Writer], rng: random.Random, tmp_path: Path
) -> None:
    total = 0
    for each_round in range(ROUNDS):
        leaver = Leaver(coordinator.address, f"/leaver{each_round}")
        stop = threading.Event()
        threads = [threading.Thread(target=writer.write_until, args=(stop,)) for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(rng.uniform(0.05, 0.9))
        coordinator.kill()
        stop.set()
        leaver.connection.close()
        for thread in threads:
            thread.join(20)
        while rng.random() < 0.3:  # and once more, while it reads or has hardly begun to serve
            coordinator.start(wait=False)
            time.sleep(rng.uniform(0.0, 0.4))
            coordinator.kill()
        before_s = time.monotonic()  # a busy machine may look long after the start itself
        coordinator.start()
        began_s = time.monotonic()
        client = writers[0].client
        there = client.retry(client.exists, leaver.path)
        if time.monotonic() - before_s < LEAVING_MS / 1000:
            assert there, "the session has its whole time-out after a start"
        total += sum(writer.check() for writer in writers)
        seen_zxid = max(writer.acknowledged_zxid for writer in writers)
        client.retry(client.set, "/w0", b"round")
        assert client.retry(client.get, "/w0")[1].mzxid > seen_zxid
        left_s = (LEAVING_MS + 2 * TICK_MS) / 1000 + 2 - (time.monotonic() - began_s)
        wait_for("the end of a session without client", partial(gone, client, leaver.path), max(left_s, 0.1))
    names = [path.name for path in (tmp_path / "data").iterdir()]
    print(f"{ROUNDS} rounds, {total} operations checked, {len(names)} files")
    assert [name for name in names if name.startswith("snapshot-")]
    assert len(names) < 10 + 3 * ROUNDS


def gone(client: Any, path: str) -> bool:
    return client.retry(client.exists, path) is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KiB, at the place where CoordinatorProcess keeps data."""
    data = tmp_path / "data"
    data.mkdir()
    subprocess.run([tool("mount"), "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(data)], check=True)
    yield data
    subprocess.run([tool("umount"), "-l", str(data)], check=True)


def test_a_full_disk_ends_it_and_nothing_unwritten_is_acknowledged(small_disk: Path, tmp_path: Path) -> None:
    process = CoordinatorProcess(tmp_path)
    try:
        process.start()
        connection = WireConnection(process.address)
        assert connection.connect() is not None
        acknowledged: list[str] = []
        for number in range(2000):
            reply = connection.call("create", f"/n{number}", bytes(1000), OPEN, 0)
            if reply is None:
                break
            acknowledged.append(f"n{number}")
        wait_for("the end of the process", lambda: not process.running, 20)
        assert process.process.popen.returncode == 1
        assert "cannot be written: No space left on device" in process.process.tail()
        assert 100 < len(acknowledged) < 600
        subprocess.run([tool("mount"), "-o", "remount,size=20m", str(small_disk)], check=True)
        process.start()
        connection = WireConnection(process.address)
        assert connection.connect() is not None
        there = connection.call("getChildren", "/", False)
        connection.close()
        assert there is not None
        assert set(answer("getChildren", Reader(there.body))[0]).issuperset(acknowledged)
        assert "of a commit that was never finished" in process.process.tail()
    finally:
        process.close()
