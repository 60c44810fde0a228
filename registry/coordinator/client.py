"""A connection with a session, as requests and watches see it."""

from __future__ import annotations

from registry.coordinator.acl import Id, ip_id
from registry.coordinator.machine_protocol import Peer


class Client:
    """One connection from its handshake to its end. Watches and credentials belong to it, not to the session.

    Source: ServerCnxn (authInfo), DataTree.removeCnxn.
    """

    __slots__ = ("closed", "ids", "peer", "send", "session_id", "timeout_ms", "watched")

    def __init__(self, peer: Peer, session_id: int, timeout_ms: int) -> None:
        self.peer = peer
        self.send = peer.send
        self.session_id = session_id
        self.timeout_ms = timeout_ms
        self.ids: tuple[Id, ...] = (ip_id(peer.peer_host),)
        """Who the client has shown to be."""
        self.watched: set[str] | None = None
        """Paths with watches of this client; kept by WatchManager."""
        self.closed = False

    def close(self) -> None:
        """Close after what has been sent; what still comes in is dropped."""
        if not self.closed:
            self.closed = True
            self.peer.close()
