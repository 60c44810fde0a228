"""Facade: a ZooKeeper to look at, fed with the registry's snapshots.

* Shown is the newest *settled* snapshot, all znodes as they were at one zxid, and that zxid stands in every reply. So a
  client that has seen zxid z has seen every change up to z, here or at any other façade; one that has seen more than is
  shown here is refused, as ZooKeeper does, and tries the next server. Before there is a snapshot everybody is refused.
* A step from one snapshot to the next is told by watches, in the order of zxids where that is known.
* Sessions are nobody's but the connection's: an id and a password that any façade of the cluster can check. They end
  with the history that they were made in: when ZooKeeper is wiped or restored, zxids go back, and what a client has
  seen counts no more. All connections are closed then, and their sessions have expired when they come back.
* A client that has seen more than ZooKeeper's own leader, who is asked, has seen a history that is lost.
* `sync` is answered when what is shown holds all that the leader had when it was asked for; requests behind it wait.

Source: ZooKeeperServer.processConnectRequest, DataTree.setWatches, FollowerZooKeeperServer.sync.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hmac import compare_digest
from types import MappingProxyType

from registry.clock import Clock
from registry.coordinator.client import Client
from registry.coordinator.codes import EventType, OpCode
from registry.coordinator.handshake import expired_frame, parse_connect_request
from registry.coordinator.jute import INT, OPEN_ACL_UNSAFE, ConnectRequest, MarshallingError
from registry.coordinator.machine_protocol import MachineFigures, Peer
from registry.coordinator.session_machine import SessionMachine
from registry.coordinator.sessions import Session, SessionTracker
from registry.coordinator.watches import WatchManager
from registry.facade.catching_up import CatchUp
from registry.facade.changes import NO_ZXID, Change, difference
from registry.facade.made_tables import MadeTables
from registry.facade.picture import Picture, parent_of
from registry.facade.requests import FacadeReads, Refusals
from registry.facade.tokens import FACADE_BYTES, SessionIds, history_key, made_before, password_of
from registry.lookup.snapshot import Snapshot, Znode
from registry.zk.paths import ZNodePaths

TICK_MS = 500
SESSION_MS_MIN, SESSION_MS_MAX = 1_000, 180_000
"""HBase 1.x asks for 90 000 or 180 000 ms; a session costs nothing here, so it gets them."""
REFUSED_MAX = 20_000
"""Clients remembered that have seen more than is shown; as many as may be connected."""
HELD_FRAMES_MAX = 1000
"""Requests of one client that wait behind its sync; ZooKeeper bounds all clients' together by as much
(globalOutstandingLimit)."""
HELD_BYTES_MAX = 1 << 20
_SYNC = INT.pack(OpCode.SYNC)


class _Held:
    """Requests that wait behind a sync, which is the first of them."""

    __slots__ = ("frames", "round_number", "size_bytes")

    def __init__(self, round_number: int) -> None:
        self.round_number = round_number
        self.frames: list[bytes] = []
        self.size_bytes = 0

    def add(self, frames: Sequence[bytes | memoryview]) -> bool:
        """Whether there was room."""
        self.frames += map(bytes, frames)
        self.size_bytes += sum(map(len, frames))
        return len(self.frames) <= HELD_FRAMES_MAX and self.size_bytes <= HELD_BYTES_MAX


class Facade(SessionMachine):
    """A Machine; everything on one loop, called by the door and, with snapshots, by the feed."""

    def __init__(
        self,
        paths: ZNodePaths,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        *,
        generation: int = 0,
        seen: Callable[[str], None] | None = None,
        begin_catch_up: Callable[[], None] | None = None,
    ) -> None:
        """`generation` was shown last in an earlier life. `seen` hears the host of each client that comes.

        `begin_catch_up` has the leader asked; `caught_up` is called when it has answered, and what it told is shown.
        Without it a sync is answered at once.
        """
        self._picture = Picture()
        watches = WatchManager()
        super().__init__(
            FacadeReads(self._picture, watches),
            SessionTracker(TICK_MS, SESSION_MS_MIN, SESSION_MS_MAX),
            clock,
            random_bytes,
        )
        self.handlers |= Refusals(self._picture).handlers
        self._watches = watches
        self._made = MadeTables(paths)
        self._ids = SessionIds(random_bytes(FACADE_BYTES))
        self._seen = seen
        self._catch_up = CatchUp(begin_catch_up) if begin_catch_up is not None else None
        self._snapshot: Snapshot | None = None
        """The one shown."""
        self._shown: Mapping[str, Znode] = MappingProxyType({})
        """Its znodes with what was made up."""
        self._states: Mapping[str, str] | None = None
        self._generation = generation
        self._generation_since_ms: float | None = None
        """Wall clock, of a change that we have seen; sessions made earlier are of a history that is lost."""
        self._key = b""
        self._refusing = False
        self._held: dict[Client, _Held] = {}
        self._refused: OrderedDict[tuple[int, int, str], int] = OrderedDict()
        """Who has seen more than is shown: session, zxid and host, and the round that will tell who is right."""

    # --- what is shown ------------------------------------------------------------------------------------------

    @property
    def shown(self) -> Snapshot | None:
        """The snapshot that is shown; None before the first."""
        return self._snapshot

    @property
    def wants_tables(self) -> bool:
        """Whether states of tables would be shown, because ZooKeeper has none."""
        return self._snapshot is not None and self._made.wanted(self._snapshot.znodes)

    def show(self, snapshot: Snapshot) -> None:
        """Take the newest snapshot; one that is of no single moment is passed over, for a settled one follows."""
        if not (snapshot.settled and snapshot.complete) or snapshot is self._snapshot:
            return
        before, self._snapshot = self._snapshot, snapshot
        self._key = history_key(snapshot)
        if snapshot.version.generation != self._generation:
            self._generation = snapshot.version.generation
            self._generation_since_ms = self.clock.wall_ms()
            self._drop_all()
        if before is not None and snapshot.znodes is before.znodes:
            self._picture.zxid = snapshot.version.zxid
        else:
            self._step(snapshot)

    def show_tables(self, states: Mapping[str, str] | None) -> None:
        """Take states of tables, to be shown where ZooKeeper has none."""
        self._states = states
        if self._snapshot is not None:
            self._step(self._snapshot)

    def set_refusing(self, refusing: bool) -> None:
        """Let nobody in and nobody stay: what is shown may be wrong by now, and such answers are not wanted here."""
        if refusing and not self._refusing:
            self._drop_all()
        self._refusing = refusing

    def _drop_all(self) -> None:
        for client in tuple(self.clients.values()):
            self._drop(client)

    def _step(self, snapshot: Snapshot) -> None:
        """Show the snapshot's znodes, and tell of what has changed."""
        picture = self._picture
        zxid = snapshot.version.zxid
        shown = self._made.overlay(snapshot.znodes, self._states, zxid, int(self.clock.wall_ms()))
        step = difference(self._shown, shown)
        made = self._made.made_paths | picture.made_paths
        self._shown = shown
        picture.made_paths = self._made.made_paths
        picture.update(shown, step.touched)
        picture.zxid = zxid
        for change in step.changes:
            self._tell(change, NO_ZXID if change.path in made else change.zxid)
        if step.blurred:
            self._tell_below(step.blurred)

    def _tell(self, change: Change, zxid: int) -> None:
        path, acl = change.path, OPEN_ACL_UNSAFE
        match change.event:
            case EventType.NODE_CREATED:
                self._watches.node_created(path, acl, parent_of(path), acl, zxid)
            case EventType.NODE_DELETED:
                self._watches.node_deleted(path, acl, parent_of(path), acl, zxid)
            case EventType.NODE_DATA_CHANGED:
                self._watches.data_changed(path, acl, zxid)
            case _:
                self._watches.children_changed(path, acl, zxid)

    def _tell_below(self, blurred: Sequence[str]) -> None:
        """Who watches what has come into sight or gone out of it looks again."""
        prefixes = tuple(path.rstrip("/") + "/" for path in blurred)
        for path in [path for path in self._watches.table if path.startswith(prefixes)]:
            self._watches.data_changed(path, OPEN_ACL_UNSAFE, NO_ZXID)
            self._watches.children_changed(path, OPEN_ACL_UNSAFE, NO_ZXID)

    # --- sessions -----------------------------------------------------------------------------------------------

    def open_session(self, timeout_ms: int) -> Session:
        """SessionMachine's: an id and a password that other façades know for theirs."""
        session_id = self._ids.new(self.clock.wall_ms())
        return self.tracker.add(session_id, password_of(session_id, self._key), timeout_ms)

    def connected(self, peer: Peer, connect_request: bytes) -> bool:
        """Machine's: make a session, or take one over from wherever it was made."""
        if self._snapshot is None or self._refusing:
            return False
        try:
            request = parse_connect_request(connect_request)
        except MarshallingError:
            return False
        if self._seen is not None:
            self._seen(peer.peer_host)
        lost_history = request.last_zxid_seen > self._picture.zxid
        if lost_history and not self._is_lost(peer, request):
            return False
        if request.session_id and (lost_history or not self._is_ours(request)):
            peer.send(expired_frame(request))
            peer.close()
            return True
        if request.session_id and request.session_id not in self.tracker.sessions:
            self.tracker.add(request.session_id, request.password, self.tracker.negotiated_ms(request.timeout_ms))
        if lost_history:
            connect_request = request._replace(last_zxid_seen=0).encode()
        return super().connected(peer, connect_request)

    def lost(self, peer: Peer) -> None:
        """Machine's: a session without a connection is nothing that has to be kept."""
        client = self.clients.get(peer)
        super().lost(peer)
        if client is None:
            return
        session = self.tracker.sessions.get(client.session_id)
        if session is not None and session.client is None:
            self.tracker.remove(client.session_id)

    def _is_ours(self, request: ConnectRequest) -> bool:
        since_ms = self._generation_since_ms
        if since_ms is not None and made_before(request.session_id, since_ms):
            return False
        return compare_digest(request.password, password_of(request.session_id, self._key))

    def _is_lost(self, peer: Peer, request: ConnectRequest) -> bool:
        """Whether what the client has seen is of a lost history, and not only ahead of us: the leader says."""
        if self._catch_up is None:
            return False
        key = (request.session_id, request.last_zxid_seen, peer.peer_host)
        round_number = self._refused.get(key)
        if round_number is None:
            self._refused[key] = self._catch_up.want()
            if len(self._refused) > REFUSED_MAX:
                self._refused.popitem(last=False)
            return False
        if self._catch_up.succeeded < round_number:
            return False
        del self._refused[key]
        return True

    # --- sync ---------------------------------------------------------------------------------------------------

    def received(self, peer: Peer, frames: Sequence[bytes | memoryview]) -> None:
        """Machine's: requests in their order; those behind a sync wait with it."""
        client = self.clients.get(peer)
        if self._catch_up is None or client is None or client.closed:
            super().received(peer, frames)
            return
        held = self._held.get(client)
        if held is None:
            count = next((index for index, frame in enumerate(frames) if frame[4:8] == _SYNC), len(frames))
            if count:
                super().received(peer, frames[:count])
            if count == len(frames) or client.closed:
                return
            frames = frames[count:]
            held = self._held[client] = _Held(self._catch_up.want())
        self.tracker.advance(self.clock.monotonic_ms())
        self.tracker.touch(self.tracker.sessions[client.session_id])
        if not held.add(frames):
            self._drop(client)

    def caught_up(self, succeeded: bool) -> None:
        """The round that `begin_catch_up` began is over: the leader was heard and its word is shown, or not in time.

        Clients whose sync fails are cut off, as ZooKeeper does when it has lost its leader.
        """
        if self._catch_up is None:
            return
        number = self._catch_up.ended(succeeded)
        for client, held in [each for each in self._held.items() if each[1].round_number <= number]:
            del self._held[client]
            if client.closed:
                continue
            if not succeeded:
                self._drop(client)
                continue
            super().received(client.peer, held.frames[:1])
            if len(held.frames) > 1:
                self.received(client.peer, held.frames[1:])

    def _detach(self, client: Client) -> None:
        self._held.pop(client, None)
        super()._detach(client)

    # --- for people ---------------------------------------------------------------------------------------------

    def describe(self) -> MachineFigures:
        """Machine's: counts of this moment."""
        return self.figures(len(self._picture.nodes), 0, self._picture.data_bytes)
