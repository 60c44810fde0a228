"""Session ids and passwords that need no memory: any façade of the cluster knows its own from those of the others.

A session of a façade carries no right and owns no node. Its password is computed from its id, so a client that moves
to another façade is re-attached there though nobody has told of it. The key is what all façades of a cluster read alike
and what is another after ZooKeeper was wiped; it is no secret, and there is nothing to steal with it.

Source: SessionTrackerImpl.initializeNextSessionId, ZooKeeperServer.generatePasswd, which do it with a constant.
"""

from __future__ import annotations

import hashlib
import hmac

from registry.coordinator.jute import PASSWORD_BYTES
from registry.lookup.snapshot import Snapshot

TIME_BITS, FACADE_BITS = 40, 23
"""40 bits of milliseconds go round in 35 years; the rest but the sign tells façades apart."""
FACADE_BYTES = 3
_TIME_MASK = (1 << TIME_BITS) - 1


class SessionIds:
    """Ids of one façade: when each was made, and by whom."""

    def __init__(self, random_bytes: bytes) -> None:
        """`random_bytes`: FACADE_BYTES of them, another façade has others."""
        self._facade = int.from_bytes(random_bytes, "big") & ((1 << FACADE_BITS) - 1)
        self._last_ms = 0

    def new(self, wall_ms: float) -> int:
        """An id that no session has had; never 0."""
        self._last_ms = max(self._last_ms + 1, int(wall_ms))
        return (self._last_ms & _TIME_MASK) << FACADE_BITS | self._facade


def made_before(session_id: int, wall_ms: float) -> bool:
    """Whether a session, of whatever façade, was made before that moment; clocks are taken to agree."""
    behind_ms = (int(wall_ms) - (session_id >> FACADE_BITS)) & _TIME_MASK
    return 0 < behind_ms < 1 << (TIME_BITS - 1)


def history_key(snapshot: Snapshot) -> bytes:
    """What all façades of a cluster have in common: its id, and when ZooKeeper was first told of it."""
    znode = snapshot.znodes.get(snapshot.cluster_id.path)
    stat = znode.stat if znode is not None else None
    born = f"{stat.czxid} {stat.ctime_ms}" if stat is not None else ""
    return f"{snapshot.cluster_id.value or ''} {born}".encode()


def password_of(session_id: int, key: bytes) -> bytes:
    """The 16 bytes of a session's password."""
    return hmac.digest(key, session_id.to_bytes(8, "big"), hashlib.sha256)[:PASSWORD_BYTES]
