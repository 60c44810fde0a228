"""What the asyncio face and a machine behind it (the coordinator, the façade) know of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Peer(Protocol):
    """One connection as a machine sees it; made by the face, hashable by identity."""

    @property
    def peer_host(self) -> str:
        """The client's address as text, without port: what ACLs of scheme `ip` are compared with."""
        ...

    def send(self, frame: bytes) -> None:
        """Queue a whole frame, its int32 length included. The face writes all of one turn together, after `commit`."""
        ...

    def close(self) -> None:
        """Close the connection after what has been queued. The machine gets no more of its frames, but still `lost`."""
        ...


@dataclass(frozen=True, slots=True)
class MachineFigures:
    """Counts for four-letter words and metrics, of one moment."""

    zxid: int
    """The last processed transaction; of a façade, the highest one it has shown."""
    node_count: int
    watch_count: int
    """Pairs of a path and a connection, as `mntr` counts them."""
    watched_path_count: int
    session_count: int
    connection_count: int
    """Connections whose session is established."""
    ephemeral_count: int
    data_bytes: int
    """Approximate size of all paths and data, ZooKeeper's zk_approximate_data_size."""
    request_count: int
    """Requests since the start."""


@dataclass(frozen=True, slots=True)
class SessionDetail:
    """One session, for people."""

    timeout_ms: int
    expires_in_ms: float
    """Until the server ends it, if nothing comes from it."""
    peer: Peer | None
    """Its connection; None while it has none."""


@dataclass(frozen=True, slots=True)
class MachineDetails:
    """What wchc, wchp, dump and cons tell; costs time for each session and watch, so only when somebody asks."""

    sessions: Mapping[int, SessionDetail] = field(default_factory=dict[int, SessionDetail])
    ephemerals: Mapping[int, Sequence[str]] = field(default_factory=dict[int, Sequence[str]])
    """Paths of ephemeral nodes by the session that owns them."""
    data_watches: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    """Sessions by the path that they watch for data: what ZooKeeper's wch* words list."""


class Machine(Protocol):
    """A server without sockets. Not re-entrant: the face calls it from one loop, one call at a time.

    A turn is any number of calls of `connected`, `received`, `lost` and `tick`, then one `commit`, then the face writes
    what the peers were sent.
    """

    def connected(self, peer: Peer, connect_request: bytes) -> bool:
        """Take the payload of a connection's first frame. False: the face closes without an answer."""
        ...

    def received(self, peer: Peer, frames: Sequence[bytes | memoryview]) -> None:
        """Take the payloads (without length) of requests in the order of the connection. Bad bytes close the peer."""
        ...

    def lost(self, peer: Peer) -> None:
        """The connection is gone; called once for every peer that `connected` accepted, also after `close`."""
        ...

    def tick(self) -> None:
        """Let time pass: sessions expire, TTL nodes and empty containers go. To be called every tick."""
        ...

    def commit(self) -> None:
        """Make durable what was promised in this turn, before its output is written."""
        ...

    def describe(self) -> MachineFigures:
        """Counts of this moment."""
        ...

    def inspect(self) -> MachineDetails:
        """Copies of sessions, ephemerals and watches as they are now."""
        ...
