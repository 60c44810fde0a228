"""Services, their methods, and the calls that handlers get.

Source: org.apache.hadoop.hbase.ipc.RpcServer.BlockingServiceAndInterface, ServerCall, HConstants (priorities).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from google.protobuf.message import Message

from protos.hbase import RPC_pb2
from registry.wire.header import ConnectionInfo

NORMAL_QOS = 0
BULKLOAD_QOS = 4
REPLICATION_QOS = 5
REPLAY_QOS = 6
QOS_THRESHOLD = 10
"""Above it a call goes to the handlers for priority calls."""
ADMIN_QOS = 100
HIGH_QOS = 200
SYSTEMTABLE_QOS = HIGH_QOS
META_QOS = 300


class Answer(NamedTuple):
    """What a handler gives where there is more than a message."""

    message: Message | bytes
    cells: bytes = b""
    """The cell block; only on connections that announced a codec."""


class Caller(Protocol):
    """The connection that a call came on."""

    @property
    def is_open(self) -> bool:
        """Whether an answer can still reach the client."""
        ...

    def answer(self, call: Call, message: bytes, cells: bytes) -> None:
        """Send the answer; dropped where the client is gone."""
        ...

    def fail(self, call: Call, error: BaseException) -> None:
        """Send the error; dropped where the client is gone."""
        ...

    def drop(self, call: Call) -> None:
        """The call gets no answer."""
        ...


class Call:
    """One call as its handler sees it."""

    __slots__ = ("caller", "cells", "deadline_ms", "frame_bytes", "header", "info", "method", "peer_host", "request")

    def __init__(
        self,
        caller: Caller,
        method: Method,
        header: RPC_pb2.RequestHeader,
        request: Message,
        cells: bytes,
        *,
        info: ConnectionInfo,
        peer_host: str,
        frame_bytes: int,
        deadline_ms: float,
    ) -> None:
        self.caller = caller
        self.method = method
        self.header = header
        self.request = request
        """The parsed request, of the method's type."""
        self.cells = cells
        """The request's cell block, in the connection's codec."""
        self.info = info
        self.peer_host = peer_host
        self.frame_bytes = frame_bytes
        """Size of the request on the wire."""
        self.deadline_ms = deadline_ms
        """Monotonic time after which the client no longer waits; infinite where it did not say."""

    @property
    def priority(self) -> int:
        """The higher of what the client asks for and what the method has."""
        return max(self.header.priority, self.method.priority)


Handled = Message | bytes | Answer
Handler = Callable[[Call], Handled | Awaitable[Handled]]


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service; a handler raises HBaseError to answer with an exception."""

    service: str
    name: str
    request_type: type[Message]
    handler: Handler
    priority: int = NORMAL_QOS


class ServiceTable:
    """Service to method to handler."""

    def __init__(self) -> None:
        self._services: dict[str, dict[str, Method]] = {}

    def add(
        self, service: str, method: str, request_type: type[Message], handler: Handler, *, priority: int = NORMAL_QOS
    ) -> None:
        """Offer a method; a synchronous handler runs on the loop and must be short."""
        methods = self._services.setdefault(service, {})
        assert method not in methods, f"{service}.{method} is in the table already"
        methods[method] = Method(service, method, request_type, handler, priority)

    def add_service(self, service: str) -> None:
        """Know a service before it has methods: its calls are answered as unknown methods."""
        self._services.setdefault(service, {})

    def methods(self, service: str) -> dict[str, Method]:
        """The methods of a service; empty where it is unknown."""
        return self._services.get(service, {})

    def __iter__(self) -> Iterator[str]:
        """Names of the services."""
        return iter(self._services)

    def __contains__(self, service: str) -> bool:
        """Whether the service is offered."""
        return service in self._services


class ConnectionObserver(Protocol):
    """Who wants to know who connects; called once for each connection, on the loop."""

    def header_seen(self, peer_host: str, info: ConnectionInfo) -> None:
        """A connection header was accepted."""
        ...

    def registry_preamble_seen(self, peer_host: str) -> None:
        """A client asked for the cluster id by preamble."""
        ...
