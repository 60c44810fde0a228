"""A ZooKeeper small enough to be right by inspection, with its past kept, and a connection that loses what kazoo loses.

It keeps ZooKeeper's promises and no more: requests of one connection are answered in order, a watch event is sent
before any answer that shows the change, watches fire once and die with the connection. And it has kazoo's habits: an
event for which no answer has registered a watch is dropped, and `last_zxid` moves when an answer arrives, before the
loop has taken what came earlier.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from registry.lookup.events import (
    Confirmed,
    Effect,
    Event,
    Read,
    SessionConnected,
    SessionSuspended,
    WatchFired,
    What,
    ZnodeRead,
)
from registry.lookup.snapshot import FactState, ZnodeStat


@dataclass(frozen=True)
class Node:
    data: bytes
    czxid: int
    mzxid: int
    pzxid: int
    version: int = 0
    cversion: int = 0
    readable: bool = True

    def stat(self, children: int) -> ZnodeStat:
        return ZnodeStat(
            czxid=self.czxid,
            mzxid=self.mzxid,
            ctime_ms=0,
            mtime_ms=0,
            version=self.version,
            cversion=self.cversion,
            aversion=0,
            ephemeral_owner=0,
            data_length=len(self.data),
            num_children=children,
            pzxid=self.pzxid,
        )


@dataclass
class Life:
    """One history of the tree: what each path held from which zxid on."""

    number: int
    zxid: int = 0
    nodes: dict[str, Node] = field(default_factory=lambda: {"/": Node(b"", 0, 0, 0)})
    past: list[tuple[int, dict[str, Node]]] = field(default_factory=list[tuple[int, dict[str, Node]]])

    def children(self, path: str, nodes: dict[str, Node] | None = None) -> tuple[str, ...]:
        prefix = path.rstrip("/") + "/"
        tree = self.nodes if nodes is None else nodes
        names = (p[len(prefix) :] for p in tree if p.startswith(prefix))
        return tuple(sorted(name for name in names if name and "/" not in name))

    def tree_at(self, zxid: int) -> dict[str, Node]:
        """The tree at `zxid`."""
        return self.trees_from(zxid)[0]

    def trees_from(self, zxid: int) -> list[dict[str, Node]]:
        """The tree at `zxid` and at each later change."""
        first = max((index for index, (at, _) in enumerate(self.past) if at <= zxid), default=0)
        return [tree for _, tree in self.past[first:]]


class ModelZooKeeper:
    """The server, its network and the part of the client that is not the cache."""

    def __init__(self) -> None:
        self.life = Life(0)
        self.lives = [self.life]
        self.now_ms = 1000.0
        self.epoch = 0
        self.session_id = 1
        self.connected = False
        self.requests: deque[tuple[Read | None, int, float]] = deque()
        """Sent and not answered; None stands for the heartbeat."""
        self.after_sync: dict[float, float] = {}
        """Heartbeats that were sent when a `sync` had been answered, by when they were sent: when the sync was."""
        self.wire: deque[tuple[int, Event, tuple[str, str] | None, str]] = deque()
        """From the server: zxid of the header, event, watch that the answer registers, kind of a fired watch."""
        self.loop: deque[Event] = deque()
        """Handed to the loop and not taken yet."""
        self.last_zxid = 0
        self.server_watches: set[tuple[str, str]] = set()
        self.client_watches: set[tuple[str, str]] = set()
        self._remember()

    # --- changes ------------------------------------------------------------------------------------------------

    def create(self, path: str, data: bytes = b"", *, readable: bool = True) -> None:
        parent = path.rpartition("/")[0] or "/"
        if path in self.life.nodes or parent not in self.life.nodes:
            return
        zxid = self._next()
        self.life.nodes[path] = Node(data, zxid, zxid, zxid, readable=readable)
        self._touch(parent, zxid)
        self._remember()
        self._fire(path, "data")
        self._fire(parent, "children")

    def set(self, path: str, data: bytes) -> None:
        node = self.life.nodes.get(path)
        if node is None:
            return
        self.life.nodes[path] = replace(node, data=data, mzxid=self._next(), version=node.version + 1)
        self._remember()
        self._fire(path, "data")

    def delete(self, path: str) -> None:
        if path not in self.life.nodes:
            return
        for child in self.life.children(path):
            self.delete(f"{path}/{child}")
        zxid = self._next()
        del self.life.nodes[path]
        parent = path.rpartition("/")[0] or "/"
        self._touch(parent, zxid)
        self._remember()
        self._fire(path, "data")
        self._fire(path, "children")
        self._fire(parent, "children")

    def noise(self) -> None:
        """A change somewhere that nobody here watches."""
        self._next()
        self._remember()

    def wipe(self) -> None:
        """All history is lost; the zxids begin anew. Call it without a connection."""
        assert not self.connected
        self.life = Life(self.life.number + 1)
        self.lives.append(self.life)
        self.noise()
        self.session_id += 1
        self.last_zxid = 0

    def _next(self) -> int:
        self.life.zxid += 1
        return self.life.zxid

    def _touch(self, parent: str, zxid: int) -> None:
        node = self.life.nodes.get(parent)
        if node is not None:
            self.life.nodes[parent] = replace(node, pzxid=zxid, cversion=node.cversion + 1)

    def _remember(self) -> None:
        self.life.past.append((self.life.zxid, dict(self.life.nodes)))

    def _fire(self, path: str, kind: str) -> None:
        if (path, kind) in self.server_watches:
            self.server_watches.discard((path, kind))
            self.wire.append((-1, WatchFired(self.epoch, path), None, kind))

    # --- the connection -----------------------------------------------------------------------------------------

    def connect(self, *, new_session: bool = False) -> None:
        self.disconnect()
        if new_session:
            self.session_id += 1
            self.last_zxid = 0
        self.connected = True
        self.epoch += 1
        self.last_zxid = self.life.zxid
        self.loop.append(SessionConnected(self.epoch, self.session_id, self.life.zxid, self.now_ms))

    def disconnect(self) -> None:
        if not self.connected:
            return
        self.connected = False
        self.requests.clear()
        self.after_sync.clear()
        self.wire.clear()
        self.server_watches.clear()
        self.client_watches.clear()
        self.loop.append(SessionSuspended(self.epoch))

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Read) and self.connected:
                self.requests.append((effect, self.last_zxid, self.now_ms))

    def heartbeat(self) -> None:
        if self.connected:
            self.requests.append((None, self.last_zxid, self.now_ms))

    def answer_one(self) -> None:
        """The server works on one request."""
        if not self.requests:
            return
        read, zxid_before, sent_at_ms = self.requests.popleft()
        if read is None:
            confirmed = Confirmed(self.epoch, zxid_before, sent_at_ms, self.after_sync.pop(sent_at_ms, None))
            self.wire.append((self.life.zxid, confirmed, None, ""))
            return
        node = self.life.nodes.get(read.path)
        outcome, data, stat, children = FactState.ABSENT, b"", None, None
        watch: tuple[str, str] | None = None
        if node is not None and not node.readable and read.what is not What.EXISTS:
            outcome = FactState.FORBIDDEN
        elif node is not None:
            names = self.life.children(read.path)
            outcome, stat = FactState.KNOWN, node.stat(len(names))
            data = node.data if read.what is What.DATA else b""
            children = names if read.what is What.CHILDREN else None
        if outcome is FactState.KNOWN or read.what is What.EXISTS:
            watch = (read.path, "children" if read.what is What.CHILDREN else "data")
            self.server_watches.add(watch)
        event = ZnodeRead(
            *(self.epoch, read.ticket, read.path, read.what, outcome, zxid_before, sent_at_ms, data, stat, children),
            zxid_after=self.life.zxid,
        )
        self.wire.append((self.life.zxid, event, watch, ""))

    def receive_one(self) -> None:
        """The client's thread takes one message from the network."""
        if not self.wire:
            return
        zxid, event, watch, fired = self.wire.popleft()
        if zxid > 0:
            self.last_zxid = zxid
        if isinstance(event, WatchFired):
            if (event.path, fired) not in self.client_watches:
                return  # nobody registered it: kazoo drops it
            self.client_watches.discard((event.path, fired))
        if watch is not None:
            self.client_watches.add(watch)
        self.loop.append(event)
