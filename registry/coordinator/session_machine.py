"""Everything of a machine but its data: handshakes, sessions and their connections, authentication, errors' replies.

The coordinator adds a tree and writes to it, the façade a picture and refusals.
Source: ZooKeeperServer (processConnectRequest, reopenSession, processPacket), NIOServerCnxn, FinalRequestProcessor.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from hmac import compare_digest

from registry.clock import Clock
from registry.coordinator.acl import authenticate
from registry.coordinator.client import Client
from registry.coordinator.codes import ErrorCode, KeeperException, OpCode
from registry.coordinator.handshake import connect_response_frame, expired_frame, parse_connect_request
from registry.coordinator.jute import (
    NULL,
    PASSWORD_BYTES,
    REQUEST_HEADER,
    ConnectResponse,
    MarshallingError,
    Reader,
    reply_frame,
)
from registry.coordinator.machine_protocol import MachineDetails, MachineFigures, Peer, SessionDetail
from registry.coordinator.reads import Frame, Handler, Reads
from registry.coordinator.sessions import Session, SessionTracker
from registry.coordinator.watches import HIT_BY_NODE_EVENT

IDS_MAX = 64
"""Identities of one connection; each costs a comparison with each entry of an ACL."""
_header_of = REQUEST_HEADER.unpack_from


class SessionMachine:
    """A Machine over `reads`. Subclasses extend `handlers` and, where sessions are to be kept, the two hooks."""

    def __init__(
        self,
        reads: Reads,
        tracker: SessionTracker,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        super_digest: str | None = None,
    ) -> None:
        self.reads = reads
        self.tracker = tracker
        self.clock = clock
        self.random_bytes = random_bytes
        self.super_digest = super_digest
        self.clients: dict[Peer, Client] = {}
        """Connections with a session, until they are lost."""
        self.request_count = 0
        self.handlers: dict[int, Handler] = {
            **reads.handlers,
            OpCode.AUTH: self.authenticate,
            OpCode.SASL: self.answer_sasl,
            OpCode.CLOSE_SESSION: self.close_session,
        }
        """By OpCode. An operation that is not here is answered Unimplemented, and the connection closes."""

    def open_session(self, timeout_ms: int) -> Session:
        """Hook: make a session."""
        session_id = self.tracker.new_id(self.clock.wall_ms())
        return self.tracker.add(session_id, self.random_bytes(PASSWORD_BYTES), timeout_ms)

    def end_session(self, session: Session) -> None:
        """Hook: forget a session, which was closed or has expired; its connection, if any, is closed afterwards."""
        self.tracker.remove(session.session_id)

    def connected(self, peer: Peer, connect_request: bytes) -> bool:
        """Machine's: make or re-attach a session. One that has seen more than we is refused, as ZooKeeper does."""
        try:
            request = parse_connect_request(connect_request)
        except MarshallingError:
            return False
        if request.last_zxid_seen > self.reads.view.zxid:
            return False
        self.tracker.advance(self.clock.monotonic_ms())
        timeout_ms = self.tracker.negotiated_ms(request.timeout_ms)
        if request.session_id == 0:
            session = self.open_session(timeout_ms)
        else:
            found = self.tracker.sessions.get(request.session_id)
            if found is None or not compare_digest(found.password, request.password):
                peer.send(expired_frame(request))
                peer.close()
                return True
            session = found
            if session.client is not None:  # the session moves: whoever had it is cut off
                self._drop(session.client)
            session.timeout_ms = timeout_ms
            self.tracker.touch(session)
        session.client = self.clients[peer] = Client(peer, session.session_id, timeout_ms)
        peer.send(
            connect_response_frame(ConnectResponse(0, timeout_ms, session.session_id, session.password, False), request)
        )
        return True

    def received(self, peer: Peer, frames: Sequence[bytes | memoryview]) -> None:
        """Machine's: answer requests in order. A record that cannot be read is answered, a header closes the peer."""
        client = self.clients.get(peer)
        if client is None or client.closed:
            return
        self.tracker.advance(self.clock.monotonic_ms())
        session = self.tracker.sessions[client.session_id]
        self.tracker.touch(session)
        self.request_count += len(frames)
        find_handler = self.handlers.get
        xid = op = 0
        for frame in frames:
            try:
                xid, op = _header_of(frame)
                handler = find_handler(op)
                if handler is None:
                    self._refuse(client, xid)
                else:
                    handler(client, xid, frame)
            except KeeperException as error:
                client.send(reply_frame(xid, self.reads.view.zxid, error.code))
            except (MarshallingError, struct.error):
                if len(frame) < REQUEST_HEADER.size:
                    self._drop(client)
                else:
                    client.send(reply_frame(xid, self.reads.view.zxid, ErrorCode.MARSHALLING_ERROR))
            if client.closed:
                return

    def lost(self, peer: Peer) -> None:
        """Machine's: the session waits for another connection until it expires."""
        client = self.clients.pop(peer, None)
        if client is not None:
            client.closed = True
            self._detach(client)

    def tick(self) -> None:
        """Machine's: end sessions whose time is up."""
        self.tracker.advance(self.clock.monotonic_ms())
        for session in self.tracker.expired():
            self._end(session)

    def commit(self) -> None:
        """Machine's: nothing is promised here."""

    def describe(self) -> MachineFigures:
        """Machine's: what is known without a tree; subclasses say nodes, ephemerals and bytes."""
        return self.figures(node_count=0, ephemeral_count=0, data_bytes=0)

    def figures(self, node_count: int, ephemeral_count: int, data_bytes: int) -> MachineFigures:
        """Counts of this moment, with those of the tree."""
        return MachineFigures(
            zxid=self.reads.view.zxid,
            node_count=node_count,
            watch_count=self.reads.watches.count,
            watched_path_count=len(self.reads.watches.table),
            session_count=len(self.tracker.sessions),
            connection_count=len(self.clients),
            ephemeral_count=ephemeral_count,
            data_bytes=data_bytes,
            request_count=self.request_count,
        )

    def inspect(self) -> MachineDetails:
        """Machine's: sessions, ephemerals and watches, copied."""
        return self.details({})

    def details(self, ephemerals: Mapping[int, Sequence[str]]) -> MachineDetails:
        """Copies for people, with the tree's ephemerals."""
        self.tracker.advance(self.clock.monotonic_ms())
        watches = {
            path: [client.session_id for client, kinds in watchers.items() if kinds & HIT_BY_NODE_EVENT]
            for path, watchers in self.reads.watches.table.items()
        }
        return MachineDetails(
            sessions={
                session.session_id: SessionDetail(
                    timeout_ms=session.timeout_ms,
                    expires_in_ms=self.tracker.expires_in_ms(session),
                    peer=None if session.client is None else session.client.peer,
                )
                for session in self.tracker.sessions.values()
            },
            ephemerals=ephemerals,
            data_watches={path: ids for path, ids in watches.items() if ids},
        )

    def authenticate(self, client: Client, xid: int, frame: Frame) -> None:
        """Take an AuthPacket. One that fails is answered AuthFailed and the connection closes, at a cut one too."""
        reader = Reader(frame, 8)
        try:
            reader.int32()  # type, which says nothing
            scheme, auth = reader.string() or "", reader.buffer()
        except MarshallingError:
            self._drop(client)
            return
        ids = authenticate(scheme, auth, client.peer.peer_host, self.super_digest)
        together = dict.fromkeys((*client.ids, *ids))
        if ids and len(together) <= IDS_MAX:
            client.ids = tuple(together)
            client.send(reply_frame(xid, 0, ErrorCode.OK))
        else:
            client.send(reply_frame(xid, 0, ErrorCode.AUTH_FAILED))
            self._drop(client)

    def answer_sasl(self, client: Client, xid: int, frame: Frame) -> None:
        """Answer a SASL token as a server without a login does: with no token, and nobody has been authenticated."""
        try:
            token = Reader(frame, 8).buffer()
        except MarshallingError:
            token = None
        if token is None:
            self._drop(client)
        else:
            client.send(reply_frame(xid, 0, ErrorCode.OK, NULL))

    def close_session(self, client: Client, xid: int, frame: Frame) -> None:  # noqa: ARG002 - a Handler
        """End the client's session; its own last events come before the reply, then the connection closes."""
        self.end_session(self.tracker.sessions[client.session_id])
        client.send(reply_frame(xid, self.reads.view.zxid, ErrorCode.OK))
        self._drop(client)

    def _refuse(self, client: Client, xid: int) -> None:
        """Source: UnimplementedRequestProcessor, which closes too."""
        client.send(reply_frame(xid, -1, ErrorCode.UNIMPLEMENTED))
        self._drop(client)

    def _end(self, session: Session) -> None:
        self.end_session(session)
        if session.client is not None:
            self._drop(session.client)

    def _drop(self, client: Client) -> None:
        self._detach(client)
        client.close()

    def _detach(self, client: Client) -> None:
        """Nothing more goes to this connection."""
        self.reads.watches.forget(client)
        session = self.tracker.sessions.get(client.session_id)
        if session is not None and session.client is client:
            session.client = None
