"""kazoo behind one door: the only file that imports it.

kazoo runs the connection in a thread of its own and hands completions and watch events to two more, so that their order
is lost, and with it the proof that an answer comes after every watch event it shows. Here both, and the changes of
state, go into one queue that the asyncio loop empties. Its length is bounded by what was asked for: one answer per
request under way, one event per watch.

What is changed in kazoo, and why:

* connecting to one dead server takes a second, not the session time-out, so that the next of the ensemble is tried;
* the time-out that ZooKeeper grants is kept: a lease is counted by it;
* an error in kazoo's thread is told instead of ending the thread in silence.

Source: kazoo 2.11, `handlers/threading.py` and `protocol/connection.py`; ZooKeeper Programmer's Guide, "Sessions".
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from kazoo import client as kazoo_client
from kazoo import exceptions as kazoo_exceptions
from kazoo.handlers import threading as kazoo_threading
from kazoo.protocol import connection as kazoo_connection
from kazoo.protocol import serialization as kazoo_serialization
from kazoo.protocol import states as kazoo_states

from registry.clock import Clock
from registry.lookup.events import What
from registry.lookup.snapshot import FactState, ZnodeStat
from registry.names import Address

logger = logging.getLogger("registry.zk")

# kazoo has no types: what is taken from it is Any, and stays in this file
_KazooClient: Any = cast("Any", kazoo_client).KazooClient
_Handler: Any = cast("Any", kazoo_threading).SequentialThreadingHandler
_KazooTimeoutError: Any = cast("Any", kazoo_threading).KazooTimeoutError
_ConnectionHandler: Any = cast("Any", kazoo_connection).ConnectionHandler
_invoke_anything: Any = _ConnectionHandler._invoke  # noqa: SLF001
_ping_anything: Any = _ConnectionHandler._send_ping  # noqa: SLF001
_attempt_anything: Any = _ConnectionHandler._connect_attempt  # noqa: SLF001
_STOP_CONNECTING: Any = cast("Any", kazoo_connection).STOP_CONNECTING
_Connect: Any = cast("Any", kazoo_serialization).Connect
_Auth: Any = cast("Any", kazoo_serialization).Auth
_EventType: Any = cast("Any", kazoo_states).EventType
_KazooState: Any = cast("Any", kazoo_states).KazooState
_EXPIRED_SESSION: Any = cast("Any", kazoo_states).KeeperState.EXPIRED_SESSION
_LOST: Any = (
    cast("Any", kazoo_exceptions).ConnectionLoss,
    cast("Any", kazoo_exceptions).SessionExpiredError,
    cast("Any", kazoo_exceptions).AuthFailedError,
)
_NoNodeError: Any = cast("Any", kazoo_exceptions).NoNodeError
_NoAuthError: Any = cast("Any", kazoo_exceptions).NoAuthError

TURN_MS_MAX = 1.0
"""What one turn of the loop spends on answers of ZooKeeper; look-ups come in between."""

CONNECT_ANSWER_S_FIRST = 1.0
"""How long a server that took the connection may take to open the session; a hung one accepts and says nothing. Twice
as long after each time in vain, for a server may be slow, up to kazoo's own limit (the session time-out, divided by
the number of servers)."""

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 1.0
"""Pause after the whole ensemble was tried in vain."""

REPEATED_LOG_MS = 30_000.0
"""kazoo tells of each failed attempt to connect; the same text is logged again after this long."""


class ClientState(enum.Enum):
    """What kazoo's connection tells."""

    CONNECTED = "connected"
    SUSPENDED = "suspended"
    """The connection is lost; kazoo is looking for another server."""
    EXPIRED = "expired"
    """The session is over; kazoo is making another one."""
    REFUSED = "refused"
    """The credential is not accepted; kazoo has stopped."""
    DEAD = "dead"
    """kazoo has stopped for another reason."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """A change of state, in its place among answers and events."""

    state: ClientState
    session_id: int = 0
    negotiated_timeout_ms: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a read brought. `failed` tells why it was not answered; then nothing else but `lost` counts."""

    outcome: FactState = FactState.UNREAD
    data: bytes = b""
    stat: ZnodeStat | None = None
    children: tuple[str, ...] | None = None
    failed: str = ""
    lost: bool = False
    """It was not answered because the connection went: a change of state follows."""


class Inbox:
    """The one queue from kazoo's thread to the loop; `put` from any thread, the rest on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, after_turn: Callable[[], None]) -> None:
        self._loop = loop
        self._clock = clock
        self._after_turn = after_turn
        self._items: deque[Callable[[], object]] = deque()
        self._woken = False
        self._closed = False

    def put(self, item: Callable[[], object]) -> None:
        """Have `item` called on the loop, after all that came before it."""
        if self._closed:
            return
        self._items.append(item)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._drain)

    def close(self) -> None:
        """Drop what is there and what comes."""
        self._closed = True
        self._items.clear()

    def _drain(self) -> None:
        self._woken = False
        until_ms = self._clock.monotonic_ms() + TURN_MS_MAX
        while self._items:
            self._items.popleft()()
            if self._clock.monotonic_ms() >= until_ms:
                break
        self._after_turn()
        if self._items and not self._woken:
            self._woken = True
            self._loop.call_soon(self._drain)


class _LoopHandler(_Handler):
    """Both of kazoo's queues are the inbox; no thread but that of the connection."""

    name = "loop_handler"

    def __init__(self, inbox: Inbox, connect_timeout_ms: float, died: Callable[[str], None]) -> None:
        _Handler.__init__(self)
        self.callback_queue = self.completion_queue = inbox
        self._connect_timeout_s = connect_timeout_ms / 1000.0
        self._died = died

    @property
    def running(self) -> bool:
        """Always: what is not running is called at once, on whatever thread that may be."""
        return True

    def start(self) -> None:
        """Nothing to start: the loop is there."""

    def stop(self) -> None:
        """Nothing to stop; the owner closes the inbox."""

    def create_connection(self, *args: Any, **kwargs: Any) -> Any:
        """A connection to one server, or OSError within the connect time-out."""
        kwargs["timeout"] = min(kwargs.get("timeout") or self._connect_timeout_s, self._connect_timeout_s)
        return _Handler.create_connection(self, *args, **kwargs)

    def create_socket_pair(self) -> tuple[socket.socket, socket.socket]:
        """What wakes the thread, a byte per request: the loop must not block where the thread is slow."""
        pair: tuple[socket.socket, socket.socket] = _Handler.create_socket_pair(self)
        pair[1].setblocking(False)
        return pair

    def spawn(self, func: Callable[..., object], *args: Any, **kwargs: Any) -> threading.Thread:
        """The thread of the connection; what would end it with a traceback is told to the owner."""

        def guarded() -> None:
            try:
                func(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it is, the owner makes another client
                self._died(f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=guarded, name="zookeeper", daemon=True)
        thread.start()
        return thread


class _Connection(_ConnectionHandler):
    """Keeps the time-out that ZooKeeper granted, and does not wait long for a server that hangs."""

    one_session = False
    pings_until_s = math.inf
    """No ping after this moment of time.monotonic; requests are sent all the same."""
    negotiated_timeout_ms = 0.0
    _patience_s = CONNECT_ANSWER_S_FIRST

    def _invoke(self, timeout: float, request: Any, xid: int | None = None) -> Any:
        if not isinstance(request, _Connect):
            return _invoke_anything(self, timeout, request, xid)
        try:
            result: Any = _invoke_anything(self, min(timeout, self._patience_s), request, xid)
        except _KazooTimeoutError:
            self._patience_s *= 2
            raise
        self._patience_s = CONNECT_ANSWER_S_FIRST
        self.negotiated_timeout_ms = float(result[0].time_out)
        return result

    def _send_ping(self, connect_timeout: float) -> None:
        if time.monotonic() < self.pings_until_s:
            _ping_anything(self, connect_timeout)

    def _connect_attempt(self, *args: Any) -> Any:
        status: Any = _attempt_anything(self, *args)
        over = self.client.client_state == _EXPIRED_SESSION
        return _STOP_CONNECTING if self.one_session and over else status


class _Quiet(logging.Filter):
    """The same text at most once in a while, and never a credential: kazoo logs each request at level debug."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._logged: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args if isinstance(record.args, tuple) else ()
        if any(isinstance(argument, _Auth | _Connect) for argument in arguments):
            return False
        text, now_ms = record.getMessage(), self._clock.monotonic_ms()
        if now_ms - self._logged.get(text, -REPEATED_LOG_MS) < REPEATED_LOG_MS:
            return False
        if len(self._logged) > 256:
            self._logged.clear()
        self._logged[text] = now_ms
        return True


class ZooKeeperClient:
    """One kazoo client from its start to its end. All methods on the loop; all callbacks on the loop, in order.

    It only ever reads: connect, ping, sync, exists, getData, getChildren2, auth and close are all it can send; a
    master writes, through registry.zk.writer.
    """

    def __init__(
        self,
        hosts: Sequence[Address],
        *,
        session_timeout_ms: float,
        connect_timeout_ms: float,
        auth: Sequence[tuple[str, str]],
        clock: Clock,
        changed: Callable[[StateChange], None],
        after_turn: Callable[[], None],
        one_session: bool = False,
    ) -> None:
        """`changed` hears of each change of state, `after_turn` after each turn that brought anything.

        With `one_session` the client ends with its session, so that no request of the one can get into the next.
        """
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(self._loop, clock, after_turn)
        kazoo_logger = logging.getLogger("registry.zk.kazoo")
        for old in list(kazoo_logger.filters):
            kazoo_logger.removeFilter(old)
        kazoo_logger.addFilter(_Quiet(clock))
        self._client = _KazooClient(
            hosts=",".join(str(host) for host in hosts),
            timeout=session_timeout_ms / 1000.0,
            handler=_LoopHandler(self._inbox, connect_timeout_ms, self._died),
            auth_data=list(auth),
            connection_retry={
                "max_tries": -1,
                "delay": RETRY_FIRST_S,
                "backoff": 2,
                "max_jitter": 0.4,
                "max_delay": RETRY_MAX_S,
            },
            logger=kazoo_logger,
        )
        client = self._client
        self._connection = _Connection(client, client._conn_retry.copy(), logger=kazoo_logger)  # noqa: SLF001
        self._connection.one_session = one_session
        client._connection = self._connection  # noqa: SLF001
        client.add_listener(self._listen)

    @property
    def last_zxid(self) -> int:
        """Highest zxid that an answer of this client's session has carried."""
        return int(self._client.last_zxid)

    def start(self) -> None:
        """Begin to connect; returns at once, whatever the network does."""
        self._client.start_async()

    def close(self) -> asyncio.Future[None]:
        """End the session. Nothing is heard of this client any more; the future is done when its thread is."""
        self._inbox.close()
        done: asyncio.Future[None] = self._loop.create_future()

        def finish() -> None:
            if not done.done():
                done.set_result(None)

        def stop() -> None:
            try:
                self._client.stop()
                self._client.close()
            except Exception as error:  # noqa: BLE001 - a thread that hangs in the resolver, at most
                logger.debug("closing a ZooKeeper client: %s", error)
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                self._loop.call_soon_threadsafe(finish)

        threading.Thread(target=stop, name="zookeeper-close", daemon=True).start()
        return done

    def ping_for(self, timeout_ms: float) -> None:
        """Keep the session for so long and, unless this is called again, no longer.

        kazoo pings in a thread of its own, which would keep the session of a loop that hangs.
        """
        self._connection.pings_until_s = time.monotonic() + timeout_ms / 1000.0

    def drop_connection(self) -> None:
        """Give the server up and look for another one; the session goes on."""
        with contextlib.suppress(OSError, AttributeError):
            self._connection._socket.shutdown(socket.SHUT_RDWR)  # noqa: SLF001

    def read(
        self,
        path: str,
        what: What,
        watch: Callable[[str], None] | None,
        done: Callable[[Answer], None],
    ) -> None:
        """Ask for one znode; `watch` is called once with the path when it changes."""
        heard = None if watch is None else _Watch(watch)
        if what is What.DATA:
            result = self._client.get_async(path, watch=heard)
        elif what is What.CHILDREN:
            result = self._client.get_children_async(path, watch=heard, include_data=True)
        else:
            result = self._client.exists_async(path, watch=heard)
        result.rawlink(_completion(what, done))

    def sync(self, done: Callable[[Answer], object]) -> None:
        """Have the server catch up with its leader; `done` when it has."""
        self._client.sync_async("/").rawlink(_completion(None, done))

    def _listen(self, state: str) -> None:
        client = self._client
        if state == _KazooState.CONNECTED:
            change = StateChange(
                ClientState.CONNECTED, int(client.client_id[0]), self._connection.negotiated_timeout_ms
            )
        elif state == _KazooState.SUSPENDED:
            change = StateChange(ClientState.SUSPENDED)
        else:
            kind = {"EXPIRED_SESSION": ClientState.EXPIRED, "AUTH_FAILED": ClientState.REFUSED}
            change = StateChange(kind.get(client.client_state, ClientState.DEAD), reason=client.client_state)
        self._inbox.put(lambda: self._changed(change))

    def _died(self, reason: str) -> None:
        logger.error("the ZooKeeper client has stopped: %s", reason)
        self._inbox.put(lambda: self._changed(StateChange(ClientState.DEAD, reason=reason)))


class _Watch:
    """kazoo keeps watches in sets by identity; equal ones are called once."""

    __slots__ = ("_heard",)

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._heard = heard

    def __call__(self, event: Any) -> None:
        if event.type != _EventType.NONE:
            self._heard(str(event.path))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Watch) and self._heard == other._heard

    def __hash__(self) -> int:
        return hash(self._heard)


def _completion(what: What | None, done: Callable[[Answer], object]) -> Callable[[Any], object]:
    return lambda result: done(_answer(what, result))


def _answer(what: What | None, result: Any) -> Answer:
    error = result.exception
    if error is not None:
        if isinstance(error, _NoNodeError):
            return Answer(FactState.ABSENT)
        if isinstance(error, _NoAuthError):
            return Answer(FactState.FORBIDDEN)
        return Answer(failed=f"{type(error).__name__}: {error}", lost=isinstance(error, _LOST))
    value = result.value
    if what is What.DATA:
        return Answer(FactState.KNOWN, bytes(value[0] or b""), _stat(value[1]))
    if what is What.CHILDREN:
        return Answer(FactState.KNOWN, b"", _stat(value[1]), tuple(sorted(value[0])))
    if what is What.EXISTS:
        return Answer(FactState.ABSENT) if value is None else Answer(FactState.KNOWN, b"", _stat(value))
    return Answer(FactState.KNOWN)


def _stat(stat: Any) -> ZnodeStat:
    return ZnodeStat(*stat)
