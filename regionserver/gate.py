"""Whether calls are answered at this moment, and what clients hear where they are not.

A server answers while it is registered and its lease holds. The lease ends before anybody can have taken its regions:
so a read is judged behind the reading, a change once more behind its commit, and what cannot be vouched for gets no
answer but the error that sends clients elsewhere.

Source: RSRpcServices#checkOpen, whose texts these are.
"""

from __future__ import annotations

from registry.clock import Clock
from registry.names import ServerName
from registry.wire.errors import (
    HBaseError,
    RegionServerAbortedException,
    RegionServerStoppedException,
    ServerNotRunningYetException,
)
from registry.zk.lease import Lease


class Gate:
    """Of one server; closed until `open`, and for good after `stop` or `abort`. Belongs to the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lease = Lease()
        self._closed: tuple[type[HBaseError], str] | None = (ServerNotRunningYetException, "is not running yet")
        self.name: ServerName | None = None
        """Of this life of the server; None before it has one."""

    @property
    def is_open(self) -> bool:
        """Whether calls are answered now."""
        return self._closed is None and self._lease.holds(self._clock.monotonic_ms())

    @property
    def lease_holds(self) -> bool:
        """Whether nobody can have taken our regions yet."""
        return self._lease.holds(self._clock.monotonic_ms())

    def open(self, name: ServerName, lease: Lease) -> None:
        """The server is registered under this name, by the session of this lease."""
        self.name = name
        self._lease = lease
        if self._closed is not None and self._closed[0] is ServerNotRunningYetException:
            self._closed = None

    def stop(self) -> None:
        """The server ends as it was asked to; changes that have begun may still be acknowledged."""
        if self._closed is None or self._closed[0] is ServerNotRunningYetException:
            self._closed = (RegionServerStoppedException, "stopping")

    def abort(self) -> None:
        """The server ends because it may not, or cannot, go on."""
        self._closed = (RegionServerAbortedException, "aborting")

    def check(self) -> None:
        """Raise what a client is told where its call is not answered."""
        if self._closed is None and self._lease.holds(self._clock.monotonic_ms()):
            return
        refusal = self.refusal()
        if refusal is not None:
            raise refusal

    def refusal(self) -> HBaseError | None:
        """The same as a value; None while calls are answered."""
        if self._closed is not None:
            return self._said(*self._closed)
        return self.doubt()

    def doubt(self) -> HBaseError | None:
        """Why a change that was committed may not be acknowledged; None where it may."""
        if self._closed is not None and self._closed[0] is RegionServerAbortedException:
            return self._said(*self._closed)
        if self._lease.holds(self._clock.monotonic_ms()):
            return None
        return RegionServerStoppedException(
            f"Server {self.name} stopping: ZooKeeper has been silent for two thirds of the session time-out"
        )

    def _said(self, kind: type[HBaseError], word: str) -> HBaseError:
        return kind(f"Server {self.name} {word}" if self.name is not None else f"Server {word}")
