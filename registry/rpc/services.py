"""Services, their methods, and the calls that handlers get.

Source: org.apache.hadoop.hbase.ipc.RpcServer.BlockingServiceAndInterface, ServerCall, HConstants (priorities).
"""

from __future__ import annotations

import enum
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


class Kept(enum.Enum):
    """What a handler gives that keeps its call."""

    KEPT = "kept"


KEPT = Kept.KEPT
"""The call is answered by its `answer` or `fail`, later or already."""


class Call:
    """One call as its handler sees it."""

    __slots__ = (
        "call_id", "caller", "cells", "deadline_ms", "ended", "frame_bytes", "header", "info", "method", "peer_host",
        "place", "request",
    )  # fmt: skip

    def __init__(
        self,
        caller: Caller,
        method: Method,
        header: RPC_pb2.RequestHeader,
        request: Message,
        cells: bytes,
        *,
        call_id: int,
        info: ConnectionInfo,
        peer_host: str,
        frame_bytes: int,
        deadline_ms: float,
    ) -> None:
        self.caller = caller
        self.method = method
        self.header = header
        """What the client asks for besides; its call id is `call_id`, wherever the header is from."""
        self.call_id = call_id
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
        self.ended: Callable[[Call], None] | None = None
        """Tells the scheduler that the call is over; set while a handler has it."""
        self.place: object = None
        """What the scheduler has counted it as."""

    @property
    def priority(self) -> int:
        """The highest of what the client asks for, what the method has, and what the method sees in the request."""
        method = self.method
        priority = max(self.header.priority, method.priority)
        return priority if method.weigh is None else max(priority, method.weigh(self.request))

    def answer(self, message: bytes, cells: bytes = b"") -> None:
        """Answer a call that was kept; on the loop, once."""
        ended = self._over()
        self.caller.answer(self, message, cells)
        ended(self)

    def fail(self, error: BaseException) -> None:
        """Answer a call that was kept with an error; on the loop, once."""
        ended = self._over()
        self.caller.fail(self, error)
        ended(self)

    def drop(self) -> None:
        """Give a call that was kept no answer: nobody waits for one any more."""
        ended = self._over()
        self.caller.drop(self)
        ended(self)

    def _over(self) -> Callable[[Call], None]:
        ended, self.ended = self.ended, None
        assert ended is not None, "a call is answered once, by who keeps it"
        return ended


Handled = Message | bytes | Answer
Handler = Callable[[Call], Handled | Kept | Awaitable[Handled]]
AtOnce = Callable[[bytes, ConnectionInfo], "tuple[bytes, bytes] | None"]
"""Answers a request, still as bytes, with a message and cells, in less time than it takes to make a call of it. Gives
None where it is for the handler, its errors among them, and then nothing has happened."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service; a handler raises HBaseError to answer with an exception."""

    service: str
    name: str
    request_type: type[Message]
    handler: Handler
    priority: int = NORMAL_QOS
    weigh: Callable[[Message], int] | None = None
    """The priority that a request has by what it asks for."""
    at_once: AtOnce | None = None
    """What is tried first for calls without request attributes; it takes only requests of ordinary priority."""


class ServiceTable:
    """Service to method to handler."""

    def __init__(self) -> None:
        self._services: dict[str, dict[str, Method]] = {}

    def add(
        self,
        service: str,
        method: str,
        request_type: type[Message],
        handler: Handler,
        *,
        priority: int = NORMAL_QOS,
        weigh: Callable[[Message], int] | None = None,
        at_once: AtOnce | None = None,
    ) -> None:
        """Offer a method; a synchronous handler runs on the loop and must be short.

        One that gives KEPT has the call until it calls `answer` or `fail` of it: what ends by a callback costs no task.
        """
        methods = self._services.setdefault(service, {})
        assert method not in methods, f"{service}.{method} is in the table already"
        methods[method] = Method(service, method, request_type, handler, priority, weigh, at_once)

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
