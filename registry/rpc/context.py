"""What all connections of one server share, and the settings of it.

Source: org.apache.hadoop.hbase.ipc.NettyRpcServer, RpcServer; hbase-default.xml for the keys.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachetools import FIFOCache

from registry.budget import ByteBudget
from registry.clock import Clock
from registry.rpc.known_headers import KnownHeaders
from registry.rpc.packed_calls import PackedCalls
from registry.rpc.scheduler import RpcScheduler, SchedulerSettings
from registry.rpc.services import ConnectionObserver, ServiceTable
from registry.rpc.stats import RpcStats
from registry.wire.errors import HBaseError, ProtocolError
from registry.wire.header import ConnectionInfo, decode_connection_header
from registry.wire.limits import READY_FRAME_BYTES_MAX, WireLimits
from registry.wire.preamble import encode_registry_answer
from registry.wire.ready import ReadyService

if TYPE_CHECKING:
    from registry.rpc.connection import RpcConnection
    from registry.rpc.fault_view import FaultView
    from registry.rpc.waiting import Waiting

IPV4_MAPPED = "::ffff:"
"""How an IPv4 client looks to a socket that takes both; people and limits know it without."""

HEADERS_REMEMBERED_MAX = 1024
"""Connection headers kept with what they say: one for each user, version and service that connects."""

HEADER_REMEMBERED_BYTES_MAX = 1024
"""A Java client's header has 260 bytes; longer ones are rare and are decoded each time."""


@dataclass(frozen=True, slots=True)
class RpcServerSettings:
    """How much this server takes on, and for how long it waits."""

    limits: WireLimits = field(default_factory=WireLimits)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    backlog: int = 1024
    """Connections that wait to be accepted; HBase: hbase.ipc.server.listen.queue.size, 128. Restarting clients come
    all at once. The kernel's net.core.somaxconn bounds it."""
    connections_max: int = 20_000
    connections_per_peer_max: int = 12_000
    """From one IP address; a whole cluster may come from one behind NAT."""
    idle_timeout_ms: float = 600_000
    """A connection without a byte for this long, and no call outstanding, is closed. Java clients close after 120 s
    themselves; others keep connections and notice."""
    handshake_timeout_ms: float = 10_000
    """From accept to connection header. Clients send it with the first segment."""
    slow_reader_timeout_ms: float = 60_000
    """hbase.ipc.client.socket.timeout.write of the other side: how long answers may wait without being read."""
    write_buffer_bytes_max: int = 1 << 20
    """Answers that may wait for one slow reader. It is not read from long before; this bounds what calls that run
    still add."""
    send_bytes_max: int = 64 << 20
    """Answers that may wait for all slow readers together."""
    receive_bytes_max: int = 512 << 20
    """Unfinished requests of all peers together; more than the largest request."""
    ready_receive_bytes_max: int = 32 << 20
    """The same where only ready answers are served: their requests are empty."""
    calls_outstanding_max: int = 1024
    """Calls of one connection that wait or run; then it is not read from until half of them are done."""
    sweep_interval_ms: float = 1000
    """One timer looks after the time-outs of all connections, so they are this coarse."""
    defer_accept: bool = True
    """TCP_DEFER_ACCEPT: the kernel hands a connection over when it has said something; clients speak first."""
    reuse_port: bool = False
    """SO_REUSEPORT: several processes serve one port."""


class RpcContext:
    """Shared by all connections of a server; belongs to one loop."""

    def __init__(self, settings: RpcServerSettings, services: ServiceTable, clock: Clock) -> None:
        self.settings = settings
        self.services = services
        self.clock = clock
        self.stats = RpcStats()
        self.observer: ConnectionObserver | None = None
        self.scheduler: RpcScheduler | None = None
        """Set by the server; None in a server of ready answers only."""
        self.ready: dict[str, ReadyService] = {}
        """Service to its ready answers."""
        self.service_names: set[str] = set(services)
        """Whatever is served here, ready or not."""
        self.registry_answer: bytes | None = None
        """The frame that answers `Regist`; None while no cluster id is known, and while a fault is set."""
        self.cluster_id: str | None = None
        self.stamp: Callable[[str], bytes] | None = None
        """Method to the encoded fields that tell how new its answer is."""
        self.waiting: Waiting | None = None
        """Where calls wait that want a newer answer than there is; None in a server that cannot tell."""
        self.local = ""
        """`host:port` listened on, for the texts of errors."""
        self.now_ms = clock.monotonic_ms()
        """The time of the last sweep: cheap, and exact enough for time-outs."""
        self.is_draining = False
        self.emptied = asyncio.Event()
        """Set when the last connection has gone while draining."""
        self.connections_max = settings.connections_max
        """May be lower than the setting, where the process may not open so many files."""
        self.connections: set[RpcConnection] = set()
        self.new_connection: Callable[[RpcContext], RpcConnection]
        """Makes the protocol of a connection; set by the server."""
        self.faults: FaultView | None = None
        """Where faults may be set; None where they are not enabled."""
        self.is_faulty = False
        """Whether a fault is set: then nothing is answered by a short way."""
        self.connections_by_peer: Counter[str] = Counter()
        self.received = ByteBudget["RpcConnection"](settings.receive_bytes_max)
        """Unfinished requests."""
        self.packed_calls = PackedCalls(settings.limits.frame_bytes_max)
        """Those whose cell blocks are compressed."""
        self.unsent = ByteBudget["RpcConnection"](settings.send_bytes_max)
        """Answers that slow readers do not take."""
        self._headers: FIFOCache[bytes, ConnectionInfo] = FIFOCache(HEADERS_REMEMBERED_MAX)
        self._known: dict[str, KnownHeaders] = {}

    def refusal(self, peer_host: str) -> str:
        """Why one more connection from this peer is not taken; empty where it is."""
        if self.is_draining:
            return "drain"
        if len(self.connections) >= self.connections_max:
            return "total"
        return "peer" if self.connections_by_peer[peer_host] >= self.settings.connections_per_peer_max else ""

    def opened(self, connection: RpcConnection) -> None:
        """Count a connection that was let in."""
        self.connections.add(connection)
        self.connections_by_peer[connection.peer_host] += 1
        self.stats.connections_accepted += 1
        self.stats.connections_open += 1

    def closed(self, connection: RpcConnection) -> None:
        """Forget a connection, if it was let in at all."""
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        if self.waiting is not None:
            self.waiting.forget(connection)
        self.received.release(connection)
        self.unsent.release(connection)
        self.stats.connections_open -= 1
        self.stats.connections_closed += 1
        if self.is_draining and not self.connections:
            self.emptied.set()
        if self.connections_by_peer[connection.peer_host] > 1:
            self.connections_by_peer[connection.peer_host] -= 1
        else:
            del self.connections_by_peer[connection.peer_host]

    def set_ready(self, service: str, bodies: Mapping[str, bytes]) -> None:
        """Take new ready answers for a service."""
        self.ready.setdefault(service, ReadyService()).set_bodies(bodies)
        self.service_names.add(service)
        self._fit_budget()

    def _fit_budget(self) -> None:
        """Where all requests are short, a few of them are all that anybody needs to keep."""
        if self.ready.keys() >= self.service_names:
            self.received.bytes_max = min(self.settings.receive_bytes_max, self.settings.ready_receive_bytes_max)

    def set_cluster_id(self, cluster_id: str | None) -> None:
        """Take the cluster id for `Regist`."""
        self.cluster_id = cluster_id
        self.registry_answer = None
        if cluster_id is not None and not self.is_faulty:
            self.registry_answer = encode_registry_answer(cluster_id)

    def set_faulty(self, is_faulty: bool) -> None:
        """Faults were set, or are gone; connections are the desk's business."""
        self.is_faulty = is_faulty
        self.set_cluster_id(self.cluster_id)

    def known_headers(self, service: str) -> KnownHeaders:
        """The request headers of a service that have come before."""
        known = self._known.get(service)
        if known is None:
            assert self.scheduler is not None, "who has services other than look-ups has a scheduler"
            methods = self.services.methods(service)
            known = self._known[service] = KnownHeaders(methods, self.scheduler.start_of_ordinary)
        return known

    def frame_bytes_max(self, service: str) -> int:
        """The longest request that is taken for a service."""
        frame_bytes_max = self.settings.limits.frame_bytes_max
        return min(frame_bytes_max, READY_FRAME_BYTES_MAX) if service in self.ready else frame_bytes_max

    def known_header(self, message: bytes) -> ConnectionInfo | None:
        """What a connection header says, from memory where the same bytes came before; None where it is refused."""
        info = self._headers.get(message)
        if info is None:
            try:
                info = decode_connection_header(message)
            except (HBaseError, ProtocolError):
                return None
            if len(message) <= HEADER_REMEMBERED_BYTES_MAX:
                self._headers[message] = info
        return info if info.service in self.service_names else None
