"""A ZooKeeper of one leader and followers that lag, and a client of it in the place of registry.zk.client's.

What counts for freshness is as in ZooKeeper and no better: a follower answers reads from what it has applied, which may
be long behind; `sync` waits until it has what the leader had when the leader heard of it, and holds up the requests
behind it; a watch event is sent before any answer that shows its change; a client is refused by a follower that has
seen less than it; and a follower that has lost its leader goes on answering.

Source: ZooKeeper Programmer's Guide (consistency guarantees, sync); CommitProcessor, FollowerRequestProcessor;
ZooKeeperServer.processConnectRequest.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.lookup.events import What
from registry.lookup.snapshot import FactState, ZnodeStat
from registry.zk.client import Answer, ClientState, StateChange
from tests.support.virtual_loop import VirtualLoop

TIMEOUT_MS = 6000.0
CLUSTER = "/hbase"


@dataclass(frozen=True)
class Node:
    data: bytes
    czxid: int
    mzxid: int
    pzxid: int


@dataclass(frozen=True)
class Entry:
    """One change, and the tree after it."""

    zxid: int
    path: str
    tree: Mapping[str, Node]


class Ensemble:
    def __init__(self, loop: VirtualLoop, chance: random.Random, tree: Mapping[str, bytes], followers: int = 3) -> None:
        self.loop = loop
        self.chance = chance
        first = {path: Node(data, number, number, number) for number, (path, data) in enumerate(tree.items(), 1)}
        self.log = [Entry(len(first), "", first)]
        self.followers = [Follower(self) for _ in range(followers)]
        self.clients: list[ModelClient] = []
        self.syncs = 0
        """Asked of the leader."""
        self.sync_is_skipped = False
        """The fault that tests plant: followers answer `sync` by themselves."""

    @property
    def zxid(self) -> int:
        """Of the last change that was acknowledged to who made it."""
        return self.log[-1].zxid

    def write(self, path: str, data: bytes) -> int:
        """Create or set; acknowledged at once. Gives the zxid."""
        last = self.log[-1]
        zxid = last.zxid + 1
        tree = dict(last.tree)
        before = tree.get(path)
        if before is None:
            tree[path] = Node(data, zxid, zxid, zxid)
            parent = path.rpartition("/")[0]
            if parent in tree:
                above = tree[parent]
                tree[parent] = Node(above.data, above.czxid, above.mzxid, zxid)
        else:
            tree[path] = Node(data, before.czxid, zxid, before.pzxid)
        self.log.append(Entry(zxid, path, tree))
        for follower in self.followers:
            follower.hear()
        return zxid

    def later(self, work: Callable[[], None], longest_ms: float = 4.0) -> None:
        self.loop.call_later(self.chance.uniform(0.1, longest_ms) / 1000.0, work)


@dataclass(eq=False)
class Request:
    what: What | None
    """None is `sync`."""
    path: str
    watch: Callable[[str], None] | None
    done: Callable[[Answer], object]
    synced_to: int | None = None
    """Index in the log that the follower has to reach; None while the leader has not said."""
    is_asked: bool = False


class Follower:
    def __init__(self, ensemble: Ensemble) -> None:
        self.ensemble = ensemble
        self.applied = 0
        """Index in the log."""
        self.is_cut_off = False
        """No word from or to the leader."""
        self.applied_at: list[tuple[float, int]] = [(0.0, ensemble.log[0].zxid)]
        """(moment, zxid), for who checks ages."""

    @property
    def zxid(self) -> int:
        return self.ensemble.log[self.applied].zxid

    def zxid_at(self, moment_ms: float) -> int:
        return max(zxid for at_ms, zxid in self.applied_at if at_ms <= moment_ms or at_ms == 0.0)

    def hear(self) -> None:
        """The leader has something new."""
        self.ensemble.later(self._apply, self.ensemble.chance.choice((2.0, 40.0)))

    def heal(self) -> None:
        self.is_cut_off = False
        self.hear()

    def _apply(self) -> None:
        if self.is_cut_off:
            return
        log = self.ensemble.log
        while self.applied < len(log) - 1:
            self.applied += 1
            entry = log[self.applied]
            self.applied_at.append((self.ensemble.loop.monotonic_ms(), entry.zxid))
            for client in self.ensemble.clients:
                if client.link is not None and client.link.follower is self:
                    client.link.changed(entry)
        for client in self.ensemble.clients:
            if client.link is not None and client.link.follower is self:
                client.link.work()


class Link:
    """One connection of a client to a follower."""

    def __init__(self, client: ModelClient, follower: Follower) -> None:
        self.client = client
        self.follower = follower
        self.requests: deque[Request] = deque()
        """Arrived at the follower, in order."""
        self.watches: dict[tuple[str, bool], set[Callable[[str], None]]] = {}
        """By path and whether it is of the children."""
        self.arrives_s = 0.0

    @property
    def is_open(self) -> bool:
        return self.client.link is self

    def send(self, request: Request) -> None:
        self._in_order(lambda: self._arrived(request))

    def reply(self, zxid: int, item: Callable[[], object]) -> None:
        self._in_order(lambda: self.client.received(self, zxid, item))

    def changed(self, entry: Entry) -> None:
        if not entry.path:
            return
        parent = entry.path.rpartition("/")[0]
        created = entry.tree[entry.path].czxid == entry.zxid
        for key in ((entry.path, False), *([(parent, True)] if created else [])):
            for watch in self.watches.pop(key, ()):
                self.reply(-1, lambda watch=watch, path=key[0]: watch(path))

    def work(self) -> None:
        """Answer in order; a `sync` holds up what is behind it."""
        while self.requests and self.is_open:
            request = self.requests[0]
            if request.what is None and not self.follower.ensemble.sync_is_skipped:
                if not request.is_asked and not self.follower.is_cut_off:
                    request.is_asked = True
                    self.follower.ensemble.later(lambda request=request: self._leader_hears(request))
                if request.synced_to is None or self.follower.applied < request.synced_to:
                    return
            self.requests.popleft()
            answer = Answer(FactState.KNOWN) if request.what is None else self._read(request)
            self.reply(self.follower.zxid, lambda request=request, answer=answer: request.done(answer))

    def _in_order(self, arrive: Callable[[], None]) -> None:
        loop = self.follower.ensemble.loop
        at_s = max(self.arrives_s, loop.time() + self.follower.ensemble.chance.uniform(0.05, 2.0) / 1000.0)
        self.arrives_s = at_s + 1e-6
        loop.call_at(self.arrives_s, lambda: arrive() if self.is_open else None)

    def _arrived(self, request: Request) -> None:
        self.requests.append(request)
        self.work()

    def _leader_hears(self, request: Request) -> None:
        ensemble = self.follower.ensemble
        if self.follower.is_cut_off:
            request.is_asked = False  # lost on the way; asked again when the follower hears of its leader
            return
        ensemble.syncs += 1
        request.synced_to = len(ensemble.log) - 1
        ensemble.later(self.work)

    def _read(self, request: Request) -> Answer:
        tree = self.follower.ensemble.log[self.follower.applied].tree
        node = tree.get(request.path)
        is_children = request.what is What.CHILDREN
        if request.watch is not None and (node is not None or request.what is What.EXISTS):
            self.watches.setdefault((request.path, is_children), set()).add(request.watch)
        if node is None:
            return Answer(FactState.ABSENT)
        names = sorted(
            path.rpartition("/")[2] for path in tree if path.rpartition("/")[0] == request.path and path != request.path
        )
        stat = ZnodeStat(node.czxid, node.mzxid, 0, 0, 0, 0, 0, 0, len(node.data), len(names), node.pzxid)
        data = node.data if request.what is What.DATA else b""
        return Answer(FactState.KNOWN, data, stat, tuple(names) if is_children else None)


@dataclass(eq=False)
class ModelClient:
    """What registry.zk.client.ZooKeeperClient offers; made by whoever is given the class."""

    ensemble: Ensemble
    changed: Callable[[StateChange], None]
    after_turn: Callable[[], None]
    last_zxid: int = 0
    link: Link | None = None
    _inbox: deque[Callable[[], object]] = field(default_factory=deque[Callable[[], object]])
    _is_woken: bool = False
    _is_closed: bool = False

    def start(self) -> None:
        self.ensemble.clients.append(self)
        self._connect()

    def close(self) -> asyncio.Future[None]:
        self._is_closed, self.link = True, None
        done: asyncio.Future[None] = self.ensemble.loop.create_future()
        done.set_result(None)
        return done

    def drop_connection(self) -> None:
        if self.link is not None:
            self.link = None
            self._put(lambda: self.changed(StateChange(ClientState.SUSPENDED)))
            self._connect()

    def read(self, path: str, what: What, watch: Callable[[str], None] | None, done: Callable[[Answer], Any]) -> None:
        if self.link is not None:
            self.link.send(Request(what, path, watch, done))

    def sync(self, done: Callable[[Answer], Any]) -> None:
        if self.link is not None:
            self.link.send(Request(None, "/", None, done))

    def received(self, link: Link, zxid: int, item: Callable[[], object]) -> None:
        """kazoo's thread: the zxid counts at once, the rest when the loop comes to it."""
        if link is self.link:
            self.last_zxid = max(self.last_zxid, zxid)
            self._put(item)

    def _connect(self) -> None:
        self.ensemble.later(self._connected, 60.0)

    def _connected(self) -> None:
        if self._is_closed or self.link is not None:
            return
        follower = self.ensemble.chance.choice(self.ensemble.followers)
        if follower.zxid < self.last_zxid:
            self._connect()  # it has seen less than this client, and refuses it
            return
        self.link = Link(self, follower)
        self._put(lambda: self.changed(StateChange(ClientState.CONNECTED, 7, TIMEOUT_MS)))

    def _put(self, item: Callable[[], object]) -> None:
        self._inbox.append(item)
        if not self._is_woken:
            self._is_woken = True
            self.ensemble.loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._is_woken = False
        while self._inbox and not self._is_closed:
            self._inbox.popleft()()
        if not self._is_closed:
            self.after_turn()
