"""How much a ZooKeeper door takes on, for how long it waits, and what it says of itself.

Source: ZooKeeper administrator's guide (jute.maxbuffer, maxClientCnxns, maxCnxns, 4lw.commands.whitelist,
zookeeper.request_throttler); NIOServerCnxn, NIOServerCnxnFactory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FRAME_BYTES_MAX = 0xFFFFF
"""jute.maxbuffer: a frame of exactly so many bytes is still taken, as in ZooKeeper."""

PEERS_OF_ONE_HOST_MAX = 300
"""hbase.zookeeper.property.maxClientCnxns of hbase-default.xml. ZooKeeper's own 60 is made for an ensemble whose
clients come from many machines; here all masters, region servers and clients may run on one, and a region server holds
several connections."""


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """The same for the coordinator and for a façade, whose clients are many and only read."""

    frame_bytes_max: int = FRAME_BYTES_MAX
    connections_max: int = 20_000
    connections_per_peer_max: int = PEERS_OF_ONE_HOST_MAX
    """From one IP address; 0: only `connections_max` bounds them, as ZooKeeper reads a maxClientCnxns of 0."""
    backlog: int = 4096
    """Connections that wait to be accepted. Clients whose server comes back arrive all at once; the kernel's
    net.core.somaxconn bounds it."""
    first_frame_timeout_ms: float = 10_000
    """From accept to the ConnectRequest. Clients send it at once; ZooKeeper gives maxSessionTimeout or ten seconds
    (clientPort's SessionlessCnxnTimeout)."""
    slow_reader_timeout_ms: float = 60_000
    """How long answers may wait without being read at all: no client keeps its session through more (the default
    maxSessionTimeout)."""
    write_buffer_bytes_max: int = 16 << 20
    """What may wait for one slow reader. It is not read from long before; this bounds what its watches still add, to
    a batch of answers of the largest nodes."""
    send_bytes_max: int = 256 << 20
    """The same for all slow readers together; the one with most goes first."""
    receive_bytes_max: int = 256 << 20
    """Unfinished frames of all peers together: each alone may be as long as a frame."""
    turn_bytes_max: int = 64 << 20
    """Answers of one turn: beyond, they are written before more requests are taken. Small requests for large nodes
    answer with ten thousand times their own size."""
    four_letter_words: frozenset[str] = frozenset({"srvr"})
    """4lw.commands.whitelist; ZooKeeper's default. `srvr` is always among them: zkServer.sh needs it."""


@dataclass(frozen=True, slots=True)
class DoorNature:
    """What a door says of itself in `srvr`, `conf` and `mntr`."""

    sentence: str
    """One line: what this server is, and what it is not."""
    is_read_only: bool = False
    tick_ms: int = 500
    session_min_ms: int = 1_000
    session_max_ms: int = 60_000
    directory: Path | None = None
    """Where the machine's data lies; None: in memory."""
