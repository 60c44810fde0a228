"""What connections see of their server's faults. The desk behind it is registry.rpc.fault_desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from registry.faults.machine import Decision
from registry.wire.stamp import Stamp, encode_stamp


@dataclass(frozen=True, slots=True)
class KeptAnswers:
    """What was answered at the moment when a fault `stale` was set."""

    cluster_id: str | None
    bodies: Mapping[tuple[str, str], bytes]
    """(service, method) to the response message."""
    stamps: Mapping[str, Stamp]
    at_ms: float

    def stamp(self, method: str, now_ms: float) -> bytes:
        """Version and age for the end of ResponseHeader: a stale server that tells the truth about it."""
        stamp = self.stamps.get(method)
        return encode_stamp(replace(stamp, age_ms=stamp.age_ms + now_ms - self.at_ms)) if stamp is not None else b""


class FaultView(Protocol):
    """Asked for each connection and each call while a fault is set."""

    delayed: int
    """Calls that wait for their delay to pass."""
    half: tuple[object, int | None] | None
    """The connection whose call is being handed to the scheduler to be answered by half, and how many bytes."""

    def at_accept(self, peer_host: str) -> Decision | None:
        """What happens to a new connection."""
        ...

    def at_call(self, method: str, peer_host: str) -> Decision | None:
        """What happens to a call or a preamble."""
        ...

    def kept(self, number: int) -> KeptAnswers | None:
        """The answers of a fault `stale`."""
        ...

    def hung(self, connection: object) -> None:
        """A call on this connection will never be answered."""
        ...

    def may_delay(self) -> bool:
        """Whether one more call can be kept waiting."""
        ...
