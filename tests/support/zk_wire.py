"""A small client of ZooKeeper's protocol that hides nothing: raw frames out, every field of every answer back.

Written apart from registry.coordinator's codec, so that a mistake made there is seen here.
Source: zookeeper.jute, ClientCnxn, ZooDefs.OpCode.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

PING_XID, AUTH_XID, SET_WATCHES_XID, EVENT_XID = -2, -4, -8, -1
OPS = {
    "create": 1, "delete": 2, "exists": 3, "getData": 4, "setData": 5, "getACL": 6, "setACL": 7, "getChildren": 8,
    "sync": 9, "ping": 11, "getChildren2": 12, "check": 13, "multi": 14, "create2": 15, "reconfig": 16,
    "checkWatches": 17, "removeWatches": 18, "createContainer": 19, "deleteContainer": 20, "createTTL": 21,
    "multiRead": 22, "auth": 100, "setWatches": 101, "sasl": 102, "getEphemerals": 103, "getAllChildrenNumber": 104,
    "setWatches2": 105, "addWatch": 106, "whoAmI": 107, "createSession": -10, "closeSession": -11, "error": -1,
}  # fmt: skip
NAMES = {code: name for name, code in OPS.items()}

Acl = Sequence[tuple[int, str, str]]
"""`(perms, scheme, id)` of each entry."""


def ustring(text: str | None) -> bytes:
    """int32 length and UTF-8; None is length -1."""
    return struct.pack(">i", -1) if text is None else buffer(text.encode("utf-8", "surrogatepass"))


def buffer(data: bytes | None) -> bytes:
    """int32 length and the bytes; None is length -1."""
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def vector(items: Sequence[Any] | None, each: Callable[[Any], bytes]) -> bytes:
    """int32 count and the items; None is count -1."""
    return struct.pack(">i", -1) if items is None else struct.pack(">i", len(items)) + b"".join(map(each, items))


def acl_bytes(acl: Acl | None) -> bytes:
    return vector(acl, lambda entry: struct.pack(">i", entry[0]) + ustring(entry[1]) + ustring(entry[2]))


def paths_bytes(paths: Sequence[str]) -> bytes:
    return vector(paths, ustring)


def request_bytes(op: str, args: Sequence[Any]) -> bytes:
    """The body of a request, without its header; `raw` takes `(code, bytes)` and gives the bytes."""
    match op:
        case "create" | "create2" | "createContainer":
            path, data, acl, flags = args
            return ustring(path) + buffer(data) + acl_bytes(acl) + struct.pack(">i", flags)
        case "createTTL":
            path, data, acl, flags, ttl_ms = args
            return ustring(path) + buffer(data) + acl_bytes(acl) + struct.pack(">iq", flags, ttl_ms)
        case "delete" | "check" | "removeWatches" | "checkWatches" | "addWatch":
            return ustring(args[0]) + struct.pack(">i", args[1])
        case "exists" | "getData" | "getChildren" | "getChildren2":
            return ustring(args[0]) + struct.pack(">?", args[1])
        case "setData":
            return ustring(args[0]) + buffer(args[1]) + struct.pack(">i", args[2])
        case "setACL":
            return ustring(args[0]) + acl_bytes(args[1]) + struct.pack(">i", args[2])
        case "getACL" | "sync" | "getEphemerals" | "getAllChildrenNumber" | "deleteContainer":
            return ustring(args[0])
        case "multi" | "multiRead":
            return b"".join(_in_multi(*each) for each in args[0]) + struct.pack(">i?i", -1, True, -1)
        case "auth":
            return struct.pack(">i", 0) + ustring(args[0]) + buffer(args[1])
        case "setWatches" | "setWatches2":
            return struct.pack(">q", args[0]) + b"".join(map(paths_bytes, args[1:]))
        case "raw":
            return args[1]
        case _:
            return b""


def _in_multi(op: str, *args: Any) -> bytes:
    if op == "raw":
        return struct.pack(">i?i", args[0], False, -1) + args[1]
    if op in ("getData", "getChildren"):
        args = (args[0], False)
    return struct.pack(">i?i", OPS[op], False, -1) + request_bytes(op, args)


class Reader:
    """Takes jute's primitives from bytes, in order."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, layout: str) -> Any:
        values = struct.unpack_from(f">{layout}", self._data, self._at)
        self._at += struct.calcsize(f">{layout}")
        return values[0] if len(values) == 1 else values

    def buffer(self) -> bytes | None:
        length = self.take("i")
        if length < 0:
            return None
        assert self.left >= length, f"a buffer of {length} bytes where {self.left} are left"
        self._at += length
        return self._data[self._at - length : self._at]

    def ustring(self) -> str | None:
        data = self.buffer()
        return None if data is None else data.decode("utf-8", "surrogatepass")

    def vector(self, each: Callable[[], Any]) -> list[Any] | None:
        count = self.take("i")
        return None if count < 0 else [each() for _ in range(count)]

    def stat(self) -> dict[str, int]:
        return dict(zip(STAT_FIELDS, self.take("qqqqiiiqiiq"), strict=True))

    def acl(self) -> list[Any] | None:
        return self.vector(lambda: (self.take("i"), self.ustring(), self.ustring()))


STAT_FIELDS = (
    "czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "ephemeralOwner", "dataLength",
    "numChildren", "pzxid",
)  # fmt: skip


def answer(op: str, reader: Reader) -> list[Any]:
    """The fields of the answer to `op`, in order."""
    match op:
        case "create" | "sync":
            return [reader.ustring()]
        case "create2" | "createContainer" | "createTTL":
            return [reader.ustring(), reader.stat()]
        case "exists" | "setData" | "setACL" | "check":
            return [reader.stat()]
        case "getData":
            return [reader.buffer(), reader.stat()]
        case "getACL":
            return [reader.acl(), reader.stat()]
        case "getChildren" | "getEphemerals":
            return [_sorted(reader.vector(reader.ustring))]
        case "getChildren2":
            return [_sorted(reader.vector(reader.ustring)), reader.stat()]
        case "getAllChildrenNumber":
            return [reader.take("i")]
        case "whoAmI":
            return [_sorted(reader.vector(lambda: (reader.ustring(), reader.ustring())))]
        case "multi" | "multiRead":
            return [_results(reader)]
        case _:
            return []


def _sorted(names: list[Any] | None) -> list[Any] | None:
    # ZooKeeper keeps children and identities in hash sets: their order means nothing
    return None if names is None else sorted(names)


def _results(reader: Reader) -> list[Any]:
    found: list[Any] = []
    while True:
        code, done, err = reader.take("i?i")
        if done:
            return [*found, ("end", code, err)]
        name = NAMES.get(code, str(code))
        if name == "error":
            found.append((name, err, reader.take("i")))
        elif name in ("check", "delete"):
            found.append((name, err))
        else:
            found.append((name, err, *answer(name, reader)))


@dataclass(frozen=True)
class Reply:
    """The answer to a request, header and body."""

    xid: int
    zxid: int
    err: int
    body: bytes


@dataclass(frozen=True)
class WatchEvent:
    """A notification: type 1 created, 2 deleted, 3 data changed, 4 children changed, -1 none; state 3 connected."""

    type: int
    state: int
    path: str | None


@dataclass(frozen=True)
class Granted:
    """What the server answered to a ConnectRequest; `read_only` is None where the flag was not sent."""

    protocol: int
    timeout_ms: int
    session_id: int
    password: bytes | None
    read_only: bool | None


class WireConnection:
    """One TCP connection. Every wait is bounded; None stands for a connection that the server has closed."""

    def __init__(self, address: str, timeout_s: float = 10.0) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending = b""
        self._xid = 0
        self.open = True
        self.events: list[WatchEvent] = []

    def connect(
        self,
        timeout_ms: int = 10_000,
        session_id: int = 0,
        password: bytes | None = bytes(16),
        last_zxid: int = 0,
        *,
        read_only: bool | None = False,
    ) -> Granted | None:
        """The handshake; with `read_only` None the flag is left out, as clients before 3.4 do."""
        body = struct.pack(">iqiq", 0, last_zxid, timeout_ms, session_id) + buffer(password)
        self.send_frame(body + (b"" if read_only is None else struct.pack(">?", read_only)))
        frame = self.receive_frame()
        if frame is None:
            return None
        reader = Reader(frame)
        protocol, granted_ms, session = reader.take("iiq")
        return Granted(protocol, granted_ms, session, reader.buffer(), reader.take("?") if reader.left else None)

    def call(self, op: str, *args: Any) -> Reply | None:
        """Sends a request and waits for its answer; events that come before it are kept in `events`."""
        if not self.send(op, *args):
            return None
        return self.receive()

    def send(self, op: str, *args: Any) -> bool:
        """Whether the request could be written; the answer is taken by `receive`."""
        self._xid += 1
        xid = {"ping": PING_XID, "auth": AUTH_XID, "setWatches": SET_WATCHES_XID, "setWatches2": SET_WATCHES_XID}.get(
            op, self._xid
        )
        code = args[0] if op == "raw" else OPS[op]
        return self.send_frame(struct.pack(">ii", xid, code) + request_bytes(op, args))

    def receive(self) -> Reply | None:
        """The next answer that is no event."""
        while (frame := self.receive_frame()) is not None:
            reader = Reader(frame)
            xid, zxid, err = reader.take("iqi")
            if xid != EVENT_XID:
                return Reply(xid, zxid, err, frame[16:])
            kind, state = reader.take("ii")
            self.events.append(WatchEvent(kind, state, reader.ustring()))
        return None

    def send_frame(self, payload: bytes) -> bool:
        return self.send_bytes(struct.pack(">i", len(payload)) + payload)

    def send_bytes(self, data: bytes) -> bool:
        """Whether the connection took them."""
        try:
            self._socket.sendall(data)
        except OSError:
            self.close()
            return False
        return True

    def receive_frame(self) -> bytes | None:
        head = self._exactly(4)
        return None if head is None else self._exactly(struct.unpack(">i", head)[0])

    def _exactly(self, count: int) -> bytes | None:
        while len(self._pending) < count:
            try:
                piece = self._socket.recv(65536)
            except TimeoutError as error:
                raise AssertionError("the server neither answered nor closed the connection") from error
            except OSError:
                piece = b""
            if not piece:
                self.close()
                return None
            self._pending += piece
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken

    def close(self) -> None:
        """Without a word to the server: the session lives on."""
        self.open = False
        with contextlib.suppress(OSError):
            self._socket.close()
