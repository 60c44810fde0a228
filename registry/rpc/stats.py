"""What the RPC door counts: plain ints, changed on the loop, read when somebody asks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from registry.histogram import Histogram
from registry.wire.errors import BadAuthException, HBaseError, ProtocolError


@dataclass(slots=True)
class RpcStats:
    """Counters since the start; `connections_open`, `calls_executing` and the queues are what is now."""

    connections_open: int = 0
    connections_accepted: int = 0
    """Connections that were let in."""
    connections_closed: int = 0
    connections_refused: Counter[str] = field(default_factory=Counter[str])
    """By reason: `total`, `peer`, `drain`."""
    calls: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """(service, method) to calls answered, exceptions included."""
    preambles: Counter[str] = field(default_factory=Counter[str])
    """`Regist` and `Securi` to preambles answered."""
    exceptions: Counter[str] = field(default_factory=Counter[str])
    """Java class to answers that carried it."""
    protocol_errors: Counter[str] = field(default_factory=Counter[str])
    """Kind to connections closed for what the peer sent."""
    received_bytes: int = 0
    sent_bytes: int = 0
    queue_depth: int = 0
    """Calls that wait for a handler."""
    queue_bytes: int = 0
    """Bytes of the requests that wait or are worked on: HBase's queueSize."""
    calls_in_queue: Counter[str] = field(default_factory=Counter[str])
    """`general`, `priority`, `replication` to calls that wait."""
    calls_executing: int = 0
    calls_expired: int = 0
    """Calls dropped because the client's time-out had passed while they waited."""
    calls_shed: int = 0
    """Calls refused because the queue was full (CallQueueTooBigException)."""
    authentication_successes: int = 0
    """Connection headers accepted: without security that is all there is to it, as in HBase."""
    authentication_failures: int = 0
    """Preambles refused for their authentication byte."""
    slow_readers_closed: int = 0
    slow_writers_closed: int = 0
    """Closed to keep what was received of unfinished requests within its limit."""
    slow_handshakes_closed: int = 0
    idle_closed: int = 0
    lookup_times: Histogram = field(default_factory=Histogram)
    """Of the connections that are timed; see registry.rpc.timed."""

    def count_closing(self, error: HBaseError | ProtocolError, *, is_told: bool) -> None:
        """A connection is closed for what its peer sent; `is_told` where it hears why."""
        if isinstance(error, ProtocolError):
            self.protocol_errors[error.kind] += 1
            return
        self.protocol_errors[error.java_class.rpartition(".")[2]] += 1
        self.authentication_failures += isinstance(error, BadAuthException)
        if is_told:
            self.exceptions[error.java_class] += 1
