"""What a façade and the ZooKeeper behind it answer, side by side and byte for byte, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.support.adapters import AdapterProcess
from tests.support.zk_wire import Reader, Reply, WireConnection

NO_NODE, NO_AUTH = -101, -102
SERVED_CHILDREN = (
    "hbaseid",
    "master",
    "backup-masters",
    "meta-region-server",
    "meta-region-server-1",
    "rs",
    "table",
    "running",
    "draining",
    "balancer",
)
"""Of the root, as far as tests make them."""
PATIENCE_S = 10.0


@contextmanager
def facades(directory: Path, zookeeper: str, count: int = 2, **settings: str) -> Generator[list[AdapterProcess]]:
    """Ready adapters, each with a façade on a free port."""
    made = [
        AdapterProcess(
            f"adapter-{number}",
            directory / f"adapter-{number}.log",
            zookeeper=zookeeper,
            rpc="127.0.0.1:0",
            http="off",
            guard=False,
            settings={"hbeacon.facade.address": "127.0.0.1:0", "hbeacon.selfcheck.interval_ms": "0"}
            | {key.replace("__", "."): value for key, value in settings.items()},
        )
        for number in range(count)
    ]
    try:
        for adapter in made:
            adapter.wait_ready()
        yield made
    finally:
        for adapter in made:
            adapter.close()


class Wires:
    """Connections that are closed at the end, whatever has happened."""

    def __init__(self) -> None:
        self._made: list[WireConnection] = []

    def open(self, address: str) -> WireConnection:
        """One that has not said anything yet."""
        self._made.append(WireConnection(address))
        return self._made[-1]

    def connected(self, address: str, timeout_ms: int = 10_000) -> WireConnection:
        """One with a new session."""
        connection = self.open(address)
        assert connection.connect(timeout_ms) is not None, f"{address} refuses"
        return connection

    def close(self) -> None:
        """All of them."""
        for connection in self._made:
            connection.close()


def asked(connection: WireConnection, op: str, *args: object) -> Reply:
    """The answer, which must come."""
    reply = connection.call(op, *args)
    assert reply is not None, f"{op} {args}: the server has closed the connection"
    return reply


def differences(real: WireConnection, facade: WireConnection) -> list[str]:
    """What is answered otherwise; `sync` goes first on both, so that they speak of the same moment."""
    asked(real, "sync", "/")
    asked(facade, "sync", "/")
    found: list[str] = []
    for path in paths_of(real):
        for op in ("getData", "exists", "getChildren2"):
            theirs, ours = asked(real, op, path, False), asked(facade, op, path, False)
            if (theirs.err, _comparable(op, theirs.body)) != (ours.err, _comparable(op, ours.body)):
                found.append(f"{op} {path}: {theirs} and {ours}")
    return found


def paths_of(real: WireConnection) -> list[str]:
    """Paths of what a façade shows, there or not, as the real ZooKeeper lists them."""
    found = ["/", "/hbase"]
    for name in SERVED_CHILDREN:
        path = f"/hbase/{name}"
        found.append(path)
        reply = asked(real, "getChildren", path, False)
        if not reply.err:
            reader = Reader(reply.body)
            found += [f"{path}/{child}" for child in reader.vector(reader.ustring) or ()]
    return found


def until_events(connections: list[WireConnection], count: int) -> list[list[tuple[int, str | None]]]:
    """Type and path of the events of each connection, once each has at least so many; pings bring them."""
    deadline = time.monotonic() + PATIENCE_S
    while any(len(connection.events) < count for connection in connections) and time.monotonic() < deadline:
        for connection in connections:
            asked(connection, "ping")
        time.sleep(0.01)
    taken = [[(event.type, event.path) for event in connection.events] for connection in connections]
    for connection in connections:
        connection.events.clear()
    return taken


def _comparable(op: str, body: bytes) -> object:
    """ZooKeeper promises no order of children."""
    if op != "getChildren2" or not body:
        return body
    reader = Reader(body)
    names = reader.vector(reader.ustring) or []
    return sorted(str(name) for name in names), body[len(body) - 68 :]
