"""How each server stands: good, or left alone for a while because it failed or was overtaken, or on its way back.

Each failure in a row doubles the time for which a server is left alone, jittered so that clients do not come back
together. Then one look-up at a time tries it, under the protection of a hedge; an answer clears it.

Source: outlier ejection as in Envoy and gRPC A50, for lists that are too short to lose a server for long.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

QUARANTINE_MS_FIRST = 250.0
QUARANTINE_MS_MAX = 30_000.0


@dataclass(slots=True)
class _Record:
    strikes: int = 0
    out_until_ms: float = 0.0
    probing: bool = False
    """A look-up tries it now; the others wait for what comes of it."""


class Standing:
    """Of all servers that one client asks."""

    __slots__ = ("_chance", "_records")

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._records: dict[Hashable, _Record] = {}

    @property
    def all_good(self) -> bool:
        """Nothing is held against anybody."""
        return not self._records

    def is_good(self, server: Hashable) -> bool:
        """Nothing is held against it."""
        return server not in self._records

    def may_ask(self, server: Hashable, now_ms: float) -> bool:
        """Whether it may be asked first: good, or back and not tried by somebody else already."""
        record = self._records.get(server) if self._records else None
        return record is None or (now_ms >= record.out_until_ms and not record.probing)

    def asked(self, server: Hashable, now_ms: float) -> None:
        """It is asked; where it has been out, this is the probe."""
        record = self._records.get(server) if self._records else None
        if record is not None and now_ms >= record.out_until_ms:
            record.probing = True

    def answered(self, server: Hashable) -> None:
        """It answers: all is forgiven."""
        if self._records:
            self._records.pop(server, None)

    def released(self, server: Hashable) -> None:
        """Nobody waits for it any more, and it was not its fault: another may try it."""
        record = self._records.get(server)
        if record is not None:
            record.probing = False

    def struck(self, server: Hashable, now_ms: float) -> None:
        """It failed, or somebody asked later answered before it."""
        record = self._records.setdefault(server, _Record())
        record.strikes += 1
        record.probing = False
        full_ms = min(QUARANTINE_MS_MAX, QUARANTINE_MS_FIRST * 2 ** min(record.strikes - 1, 16))
        record.out_until_ms = now_ms + full_ms * (0.5 + 0.5 * self._chance.random())

    def returns_ms(self, server: Hashable) -> float:
        """When it may be asked again; 0 for now."""
        record = self._records.get(server)
        return 0.0 if record is None else record.out_until_ms

    def forget_all_but(self, servers: Iterable[Hashable]) -> None:
        """Servers that are gone leave nothing behind."""
        kept = set(servers)
        for server in [server for server in self._records if server not in kept]:
            del self._records[server]
