"""Which servers of the real cluster speak ClientMetaService: learnt by asking, remembered for one life of a server.

Masters before 2.3 and region servers before 2.5 close a connection that names the service, and a Java client that was
handed such a server loses its registry. So with `auto` nobody is handed out who was not seen to answer.

Source: HBASE-18095, HBASE-26150; ClientMetaService in 2.3 (masters) and 2.5 (region servers).
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from registry.names import ServerName

REPROBE_MS = 30_000.0
"""A server that answered is asked again after this long; its life may have changed its mind (a switch, a firewall)."""
SILENT_FIRST_MS, SILENT_MAX_MS = 60_000.0, 600_000.0
"""A server that closed the connection does not know the service: asked again seldom, it logs each attempt."""
UNREACHED_FIRST_MS, UNREACHED_MAX_MS = 1_000.0, 30_000.0
"""A server that could not be reached may just be starting."""


class Probe(enum.Enum):
    """What came of asking a server."""

    ANSWERED = "answered"
    CLOSED = "closed"
    """It closed the connection or did not know the service."""
    UNREACHED = "unreached"
    """No connection, or silence until the time-out."""


@dataclass(slots=True)
class _Record:
    last: Probe | None = None
    due_ms: float = 0.0
    pause_ms: float = 0.0


class Speakers:
    """Who answers, who does not, and whom to ask next. Pure: time is passed in.

    A server name carries its start code, so a restarted (upgraded) server is a new one and asked at once.
    """

    def __init__(self, candidates_max: int = 64) -> None:
        self._records: dict[ServerName, _Record] = {}
        self._candidates_max = candidates_max

    def follow(self, servers: Iterable[ServerName]) -> None:
        """Set the servers that exist now; the others are forgotten.

        Of a large cluster only `candidates_max` are asked, picked by a hash, so that adapters of one tier load
        different region servers no more than each needs.
        """
        wanted = sorted(set(servers), key=_spread)[: self._candidates_max]
        self._records = {server: self._records.get(server, _Record()) for server in wanted}

    def due(self, now_ms: float) -> tuple[ServerName, ...]:
        """Servers to ask now."""
        return tuple(server for server, record in self._records.items() if record.due_ms <= now_ms)

    def note(self, server: ServerName, probe: Probe, now_ms: float) -> bool:
        """Record what came of asking; True when the set of speakers changed."""
        record = self._records.get(server)
        if record is None:
            return False
        before = record.last is Probe.ANSWERED
        if probe is Probe.ANSWERED:
            record.pause_ms = REPROBE_MS
        else:
            closed = probe is Probe.CLOSED
            first_ms, max_ms = (SILENT_FIRST_MS, SILENT_MAX_MS) if closed else (UNREACHED_FIRST_MS, UNREACHED_MAX_MS)
            record.pause_ms = min(max_ms, record.pause_ms * 2) if record.last is probe else first_ms
        record.last = probe
        record.due_ms = now_ms + record.pause_ms
        return before is not (probe is Probe.ANSWERED)

    def speaking(self) -> frozenset[ServerName]:
        """Servers that answered when last asked."""
        return frozenset(server for server, record in self._records.items() if record.last is Probe.ANSWERED)

    def silent(self) -> frozenset[ServerName]:
        """Servers that were asked, and did not answer when last asked."""
        asked = {server for server, record in self._records.items() if record.last is not None}
        return frozenset(asked) - self.speaking()


def _spread(server: ServerName) -> bytes:
    return hashlib.blake2b(str(server).encode(), digest_size=8).digest()
