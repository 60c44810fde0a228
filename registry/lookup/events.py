"""What the cache of znodes hears and what it asks for: events in, effects out.

Whoever drives the cache keeps one promise: events arrive in the order in which ZooKeeper sent what they tell of. Then
an answer that shows the server at some zxid comes after every watch event up to that zxid, and that is what versions
rest on. Source: ZooKeeper Programmer's Guide, "What ZooKeeper Guarantees about Watches".

Every event carries the epoch it belongs to, the count of connections so far: what a lost connection still had under
way is thrown away by it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from registry.lookup.snapshot import FactState, ZnodeStat


class What(enum.Enum):
    """What a read asks of a znode."""

    DATA = "data"
    """getData, with a watch on the data."""
    CHILDREN = "children"
    """getChildren2, with a watch on the children."""
    EXISTS = "exists"
    """exists, with a watch: the one that can be set on a znode that is absent or may not be read."""


@dataclass(frozen=True, slots=True)
class SessionConnected:
    """A connection is there, and the server behind it has caught up with its leader (a `sync` was answered)."""

    epoch: int
    session_id: int
    zxid: int
    """Of the server, when it answered."""
    sent_at_ms: float
    """When the `sync` was sent; monotonic."""


@dataclass(frozen=True, slots=True)
class SessionSuspended:
    """The connection is lost, and with it all watches; whether the session lives on is all the same to a reader."""

    epoch: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ZnodeRead:
    """The answer to a `Read`."""

    epoch: int
    ticket: int
    """Of the `Read` that this answers."""
    path: str
    what: What
    outcome: FactState
    """KNOWN, ABSENT or FORBIDDEN."""
    zxid_before: int
    """Highest zxid that the connection had seen before the read was sent: it cannot claim more than was read."""
    sent_at_ms: float
    """When the read was sent; monotonic."""
    data: bytes = b""
    stat: ZnodeStat | None = None
    children: tuple[str, ...] | None = None
    zxid_after: int = 0
    """Highest zxid that the connection had seen when the answer was taken. No Stat tells when something went away: it
    may be as late as that."""


@dataclass(frozen=True, slots=True)
class WatchFired:
    """The watch on a znode has told that it changed; it tells nothing more, and only once."""

    epoch: int
    path: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A request that read nothing was answered: whatever no watch has told of was unchanged then."""

    epoch: int
    zxid_before: int
    sent_at_ms: float
    synced_at_ms: float | None = None
    """When the `sync` was sent whose answer came before this request was sent; None where none went before it."""


@dataclass(frozen=True, slots=True)
class RecheckForbidden:
    """Time to look again at what may not be read: no watch tells of a changed ACL."""

    epoch: int


Event = SessionConnected | SessionSuspended | ZnodeRead | WatchFired | Confirmed | RecheckForbidden


@dataclass(frozen=True, slots=True)
class Read:
    """Read this znode and watch it."""

    ticket: int
    path: str
    what: What
    bulk: bool
    """One of many of its kind: may wait behind the others."""


@dataclass(frozen=True, slots=True)
class Publish:
    """`RegistryCache.snapshot` has become another one."""


Effect = Read | Publish
PUBLISH = Publish()
