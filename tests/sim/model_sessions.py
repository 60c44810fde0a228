"""A ZooKeeper of sessions, ephemerals and multis, with a network that delays, loses and cuts, in simulated time.

It keeps ZooKeeper's promises and no more: requests of one connection are carried out and answered in order, a watch
event is sent before any answer that shows the change, a session lives on over connections until the server has heard
nothing of it for its time-out, and then its ephemerals go at some moment after that. What is under way when a
connection goes may have been carried out or not.

`ModelSession` has the rules of registry.zk.session.ZooKeeperSession: one session, a sync first, a lease moved by the
leader's answers, an end that is told once.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from registry.lookup.snapshot import ZnodeStat
from registry.zk.lease import Lease
from registry.zk.requests import (
    ANY_VERSION,
    Check,
    Children,
    Create,
    Delete,
    Get,
    Multi,
    Reply,
    Request,
    Result,
    SetData,
)
from registry.zk.session import (
    BEATS_PER_TIMEOUT,
    DISCARD_TIMEOUTS,
    SILENCE_MS_MIN,
    SILENCE_SHARE,
    SessionOwner,
)

EXPIRY_LATE_MS = 300.0
"""A session ends at most so long after its time-out: ZooKeeper looks once a tick."""


@dataclass
class Node:
    data: bytes
    czxid: int
    owner: int
    version: int = 0


@dataclass
class ServerSession:
    number: int
    touched_ms: float
    late_ms: float
    connection: Connection | None = None


@dataclass(eq=False)
class Connection:
    """Both directions; `None` as a request is a sync, as an answer with `done` None a ping."""

    session: ModelSession
    number: int
    requests: deque[tuple[Request | None, Callable[[Reply], object] | None, float]] = field(
        default_factory=lambda: deque()
    )
    answers: deque[Callable[[], object]] = field(default_factory=lambda: deque())
    watches: set[str] = field(default_factory=set[str])


class ModelServer:
    """One server, always right."""

    def __init__(self, rng: random.Random, timeout_ms: float) -> None:
        self.random = rng
        self.timeout_ms = timeout_ms
        self.now_ms = 0.0
        self.zxid = 0
        self.up = True
        self.nodes: dict[str, Node] = {}
        self.sessions: dict[int, ServerSession] = {}
        self.past_epochs: dict[int, float] = {}
        """czxid of each /hbase/master that is gone, to when it went."""
        self._numbers = 0

    # --- sessions -----------------------------------------------------------------------------------------------

    def connect(self, connection: Connection, number: int) -> int:
        """A session for the connection, an old or a new one; 0 where the old one is over."""
        if number and number not in self.sessions:
            return 0
        if not number:
            self._numbers += 1
            number = self._numbers
            self.zxid += 1
            late_ms = self.random.uniform(0, EXPIRY_LATE_MS)
            self.sessions[number] = ServerSession(number, self.now_ms, late_ms)
        session = self.sessions[number]
        session.touched_ms, session.connection = self.now_ms, connection
        return number

    def expire(self) -> None:
        """End the sessions whose time has come."""
        if not self.up:
            return
        for session in list(self.sessions.values()):
            if self.now_ms - session.touched_ms > self.timeout_ms + session.late_ms:
                self.end(session.number)

    def end(self, number: int) -> None:
        """A session is over, and its ephemerals with it."""
        session = self.sessions.pop(number, None)
        if session is None:
            return
        self.zxid += 1
        for path in [path for path, node in self.nodes.items() if node.owner == number]:
            self._remove(path)
        session.connection = None

    def restart(self) -> None:
        """It comes back with all it had, and gives every session its full time-out again."""
        self.up = True
        for session in self.sessions.values():
            session.touched_ms, session.connection = self.now_ms, None

    def wipe(self) -> None:
        """It comes back with nothing; zxids go on, so that epochs of two histories are not taken for one."""
        self.nodes.clear()
        self.sessions.clear()

    # --- requests -----------------------------------------------------------------------------------------------

    def work(self, connection: Connection) -> None:
        """Carry out the next request of a connection."""
        if not self.up or not connection.requests:
            return
        session = self.sessions.get(connection.session.session_id)
        if session is None or session.connection is not connection:
            connection.requests.clear()  # moved or over: the server has closed it, which the client learns in time
            return
        session.touched_ms = self.now_ms
        request, done, sent_at_ms = connection.requests.popleft()
        reply = Reply(Result.OK) if request is None else self.carry_out(request, session.number)
        if isinstance(request, Get) and request.watch and reply.ok:
            connection.watches.add(request.path)
        mine = connection.session
        by_leader = not isinstance(request, Get | Children)
        connection.answers.append(lambda: mine.replied(connection, sent_at_ms, by_leader, done, reply))

    def carry_out(self, request: Request, owner: int) -> Reply:
        if isinstance(request, Get):
            node = self.nodes.get(request.path)
            return Reply(Result.OK, node.data, _stat(node)) if node else Reply(Result.NO_NODE)
        if isinstance(request, Children):
            if request.path not in self.nodes:
                return Reply(Result.NO_NODE)
            prefix = request.path + "/"
            names = (path[len(prefix) :] for path in self.nodes if path.startswith(prefix))
            return Reply(Result.OK, children=tuple(sorted(name for name in names if "/" not in name)))
        self.zxid += 1
        operations = request.operations if isinstance(request, Multi) else (request,)
        for operation in operations:
            result = self._refusal(operation)
            if result is not Result.OK:
                return Reply(result)
        for operation in operations:
            self._apply(operation, owner)
        return Reply(Result.OK)

    def _refusal(self, operation: Create | Delete | SetData | Check) -> Result:
        node = self.nodes.get(operation.path)
        if isinstance(operation, Create):
            parent = operation.path.rpartition("/")[0]
            if parent and parent not in self.nodes:
                return Result.NO_NODE
            return Result.OK if node is None else Result.NODE_EXISTS
        if node is None:
            return Result.NO_NODE
        return Result.OK if operation.version in (ANY_VERSION, node.version) else Result.BAD_VERSION

    def _apply(self, operation: Create | Delete | SetData | Check, owner: int) -> None:
        if isinstance(operation, Create):
            self.nodes[operation.path] = Node(operation.data, self.zxid, owner if operation.ephemeral else 0)
        elif isinstance(operation, Delete):
            self._remove(operation.path)
        elif isinstance(operation, SetData):
            node = self.nodes[operation.path]
            node.data, node.version = operation.data, node.version + 1
            self._fire(operation.path)

    def delete(self, path: str) -> None:
        """An operator with zkCli."""
        if path in self.nodes:
            self.zxid += 1
            self._remove(path)

    def _remove(self, path: str) -> None:
        node = self.nodes.pop(path)
        if path.endswith("/master"):
            self.past_epochs[node.czxid] = self.now_ms
        self._fire(path)

    def _fire(self, path: str) -> None:
        for session in self.sessions.values():
            connection = session.connection
            if connection is not None and path in connection.watches:
                connection.watches.discard(path)
                mine = connection.session
                connection.answers.append(lambda mine=mine, connection=connection: mine.heard(connection, path))


def _stat(node: Node) -> ZnodeStat:
    return ZnodeStat(
        czxid=node.czxid,
        mzxid=node.czxid,
        ctime_ms=0,
        mtime_ms=0,
        version=node.version,
        cversion=0,
        aversion=0,
        ephemeral_owner=node.owner,
        data_length=len(node.data),
        num_children=0,
        pzxid=node.czxid,
    )


class ModelSession:
    """The client's end. Its process drives it by `turn`, and not at all while it is stopped."""

    def __init__(self, server: ModelServer, owner: SessionOwner) -> None:
        self.lease = Lease()
        self.session_id = 0
        self.reachable = True
        self.over = False
        self._server = server
        self._owner = owner
        self._connection: Connection | None = None
        self._synced = False
        self._connections = 0
        self._unanswered: deque[float] = deque()
        self._beat_due_ms = 0.0
        self._away_since_ms = server.now_ms
        self._retry_ms = 0.0

    @property
    def connection(self) -> Connection | None:
        return self._connection

    @property
    def is_connected(self) -> bool:
        return self._synced

    def start(self) -> None:
        self._retry_ms = self._server.now_ms

    def ask(self, request: Request, done: Callable[[Reply], object]) -> None:
        assert self._connection is not None
        assert self._synced
        self._send(request, done)

    def discard(self) -> Awaitable[None]:
        self._drop()
        reached = self.reachable and self._server.up
        if self.session_id and reached and not self.over:
            self._server.end(self.session_id)
        self.over = True
        return asyncio.sleep(0)

    # --- what the world does to it ------------------------------------------------------------------------------

    def turn(self) -> None:
        """What timers and kazoo's thread do: connect, beat, give up."""
        now_ms = self._server.now_ms
        if self.over:
            return
        if self._connection is None:
            if self.session_id and now_ms - self._away_since_ms > DISCARD_TIMEOUTS * self._server.timeout_ms:
                self._end("away for too long")
            elif now_ms >= self._retry_ms:
                self._retry_ms = now_ms + self._server.random.uniform(20, 120)
                self._connect()
        elif self._unanswered and now_ms - self._unanswered[0] > max(
            SILENCE_MS_MIN, self._server.timeout_ms * SILENCE_SHARE
        ):
            self.lose_connection()
        elif self._synced and now_ms >= self._beat_due_ms:
            self._sync()

    def receive(self) -> None:
        """Take one message from the network."""
        if self._connection is not None and self._connection.answers and self.reachable:
            self._connection.answers.popleft()()

    def lose_connection(self) -> None:
        """Both ends are gone; the server may carry out some of what is on its way."""
        connection = self._connection
        if connection is None:
            return
        while connection.requests and self._server.random.random() < 0.5:
            self._server.work(connection)
        self._drop()

    def replied(
        self,
        connection: Connection,
        sent_at_ms: float,
        by_leader: bool,
        done: Callable[[Reply], object] | None,
        reply: Reply,
    ) -> None:
        if connection is not self._connection:
            return
        self._unanswered.popleft()
        if by_leader:
            self.lease.answered(sent_at_ms)
        if done is not None:
            done(reply)
        elif not self._synced:
            self._synced = True
            self._owner.connected()

    def heard(self, connection: Connection, path: str) -> None:
        if connection is self._connection and self._synced:
            self._owner.fired(path)

    # --- connection ---------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        if not self.reachable or not self._server.up:
            return
        self._connections += 1
        connection = Connection(self, self._connections)
        number = self._server.connect(connection, self.session_id)
        if not number:
            self._end("ZooKeeper has ended the session")
            return
        self.session_id, self._connection = number, connection
        self.lease.granted(self._server.timeout_ms)
        self._sync()

    def _sync(self) -> None:
        self._beat_due_ms = self._server.now_ms + min(1000.0, self._server.timeout_ms / BEATS_PER_TIMEOUT)
        self._send(None, None)

    def _send(self, request: Request | None, done: Callable[[Reply], object] | None) -> None:
        assert self._connection is not None
        now_ms = self._server.now_ms
        self._unanswered.append(now_ms)
        self._connection.requests.append((request, done, now_ms))

    def _drop(self) -> None:
        if self._connection is None:
            return
        self._connection = None
        self._unanswered.clear()
        self._away_since_ms = self._server.now_ms
        if self._synced:
            self._synced = False
            self._owner.suspended("lost")

    def _end(self, reason: str) -> None:
        self._drop()
        self.over = True
        self.lease.end()
        self._owner.ended(reason)
