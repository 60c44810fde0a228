"""Façades without sockets over a coordinator without sockets: every message is delivered when the test says so.

A façade's cache reads the coordinator as kazoo would: requests are answered in order, a watch event comes before any
answer that shows the change, and the client's last zxid is that of the last answer taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import count

from registry.coordinator.codes import ErrorCode, EventType, OpCode
from registry.coordinator.jute import ConnectResponse, Reader
from registry.coordinator.session_machine import SessionMachine
from registry.facade.machine import Facade
from registry.lookup.cache import VERSION_NONE, RegistryCache
from registry.lookup.events import Confirmed, Effect, Event, Read, SessionConnected, SessionSuspended, WatchFired, What
from registry.lookup.events import ZnodeRead as ZnodeReadEvent
from registry.lookup.snapshot import FactState, Version, ZnodeStat
from registry.zk.paths import ZNodePaths
from tests.support import zk_frames
from tests.support.clock import ManualClock
from tests.support.coordinators import Client, CoordinatorBench
from tests.support.hbase_tree import HBaseTree
from tests.support.zk_frames import FakePeer, Reply

PATHS = ZNodePaths("/hbase")
OPS = {What.DATA: OpCode.GET_DATA, What.CHILDREN: OpCode.GET_CHILDREN2, What.EXISTS: OpCode.EXISTS}
OUTCOMES = {ErrorCode.NO_NODE: FactState.ABSENT, ErrorCode.NO_AUTH: FactState.FORBIDDEN}


class CacheDriver:
    """A RegistryCache and its connection to a coordinator."""

    def __init__(self, upstream: SessionMachine, clock: ManualClock, floor: Version = VERSION_NONE) -> None:
        self.upstream = upstream
        self.clock = clock
        self.cache = RegistryCache(PATHS, floor, PATHS.others())
        self.peer: FakePeer | None = None
        self.epoch = 0
        self.last_zxid = 0
        self._xids = count(1)
        self._asked: dict[int, tuple[Read | None, int, float]] = {}
        """By xid: None is a heartbeat."""
        self.to_send: deque[Read | None] = deque()
        self.to_take: deque[Reply] = deque()
        self.synced = False

    def connect(self) -> None:
        """A new session, and a sync before anything else."""
        self.disconnect()
        self.peer = FakePeer()
        assert self.upstream.connected(self.peer, zk_frames.connect())
        self.session_id = self.peer.take_connect_response().session_id
        self.epoch += 1
        self.synced = False
        self._ask(zk_frames.with_path(0, OpCode.SYNC, "/"))

    def disconnect(self) -> None:
        """The connection is lost with all that was under way."""
        if self.peer is None:
            return
        if not self.peer.is_closed:
            self.upstream.lost(self.peer)
        self.peer = None
        self._asked.clear()
        self.to_send.clear()
        self.to_take.clear()
        if self.synced:
            self.synced = False
            self._apply(SessionSuspended(self.epoch))

    def heartbeat(self) -> None:
        if self.peer is not None and self.synced:
            self.to_send.append(None)

    def send_one(self) -> None:
        """The coordinator answers one request."""
        if not self.to_send or self.peer is None:
            return
        read = self.to_send.popleft()
        xid = next(self._xids)
        self._asked[xid] = (read, self.last_zxid, self.clock.monotonic_ms())
        if read is None:
            self._ask(zk_frames.with_path(xid, OpCode.EXISTS, PATHS.root, False))
        else:
            self._ask(zk_frames.with_path(xid, OPS[read.what], read.path, True))

    def take_one(self) -> None:
        """One message of the coordinator reaches the cache."""
        self._receive()
        if not self.to_take:
            return
        reply = self.to_take.popleft()
        if (event := reply.event) is not None:
            if self.synced:
                self._apply(WatchFired(self.epoch, event.path))
            return
        self.last_zxid = reply.zxid
        if reply.xid == 0:
            self.synced = True
            self._apply(SessionConnected(self.epoch, self.session_id, reply.zxid, self.clock.monotonic_ms()))
            return
        read, zxid_before, sent_at_ms = self._asked.pop(reply.xid)
        if read is None:
            self._apply(Confirmed(self.epoch, zxid_before, sent_at_ms))
        else:
            self._apply(self._event(read, zxid_before, sent_at_ms, reply))

    def pump(self) -> None:
        """Deliver everything, then a heartbeat, then all that this has brought."""
        for beat in (False, True, True):
            if beat:
                self.heartbeat()
            self._receive()
            while self.to_send or self.to_take:
                self.send_one()
                self.take_one()

    def after(self) -> None:
        """The cache has taken an event."""

    def _ask(self, frame: bytes) -> None:
        assert self.peer is not None
        self.upstream.received(self.peer, [frame])

    def _receive(self) -> None:
        if self.peer is not None:
            self.to_take.extend(self.peer.take())

    def _apply(self, event: Event) -> None:
        effects: list[Effect] = self.cache.apply(event)
        self.to_send.extend(effect for effect in effects if isinstance(effect, Read))
        self.after()

    def _event(self, read: Read, zxid_before: int, sent_at_ms: float, reply: Reply) -> ZnodeReadEvent:
        outcome = OUTCOMES.get(ErrorCode(reply.err), FactState.KNOWN)
        data, children, stat = b"", None, None
        if outcome is FactState.KNOWN:
            stat = ZnodeStat(*reply.stat)
            data = (reply.data or b"") if read.what is What.DATA else b""
            children = tuple(sorted(reply.children)) if read.what is What.CHILDREN else None
        return ZnodeReadEvent(
            *(self.epoch, read.ticket, read.path, read.what, outcome, zxid_before, sent_at_ms, data, stat, children),
            zxid_after=reply.zxid,
        )


class FollowedFacade(CacheDriver):
    """A façade that follows a coordinator."""

    def __init__(
        self, upstream: SessionMachine, clock: ManualClock, *, name: int = 1, asks_leader: bool = False
    ) -> None:
        super().__init__(upstream, clock)
        self.rounds = 0
        """Catch-ups begun."""
        self.seen: list[str] = []
        self.facade = Facade(
            PATHS,
            clock,
            lambda size: name.to_bytes(size, "big"),
            seen=self.seen.append,
            begin_catch_up=self._begin if asks_leader else None,
        )

    def after(self) -> None:
        """Show what there is."""
        self.cache.validate()
        self.facade.show(self.cache.snapshot)

    def follow(self) -> FollowedFacade:
        """Connect, and read everything."""
        self.connect()
        self.pump()
        return self

    def client(self, session: ConnectResponse | None = None, last_zxid_seen: int = 0, host: str = "10.0.0.1") -> Client:
        """A connection, refused or not."""
        session_id, password = (session.session_id, session.password) if session else (0, zk_frames.NO_PASSWORD)
        return Client(self.facade, FakePeer(host), zk_frames.connect(30_000, session_id, password, last_zxid_seen))

    def pass_ms(self, duration_ms: int) -> None:
        for _ in range(0, duration_ms, 500):
            self.clock.advance(500)
            self.facade.tick()

    def _begin(self) -> None:
        self.rounds += 1


class HBaseUpstream(CoordinatorBench):
    """A coordinator that holds the znodes of a cluster, and the session that owns and changes them."""

    def __init__(self, tree: HBaseTree | None = None, leave_out: Iterable[str] = ()) -> None:
        super().__init__()
        self.tree = tree or HBaseTree()
        self.writer = self.client()
        skipped = tuple(f"{self.tree.root}/{name}" for name in leave_out)
        for path, data, ephemeral in self.tree.znodes():
            if not path.startswith(skipped) or not skipped:
                assert self.writer.create(path, data, flags=int(ephemeral)).err == ErrorCode.OK, path

    @property
    def zxid(self) -> int:
        return self.machine.reads.view.zxid

    def paths(self) -> list[str]:
        """Of all nodes but ZooKeeper's own."""
        found: list[str] = []
        waiting = ["/"]
        while waiting:
            path = waiting.pop()
            found.append(path)
            names = self.writer.get_children(path).children
            waiting += [f"{path.rstrip('/')}/{name}" for name in names if name != "zookeeper"]
        return sorted(found)


def children_of(reply: Reply) -> tuple[list[str], bytes]:
    """Names sorted, for ZooKeeper promises no order, and what follows them."""
    reader = Reader(reply.body)
    return sorted(reader.strings()), reply.body[reader.offset :]


NAMES = {kind: kind.name.lower().removeprefix("node_") for kind in EventType}
