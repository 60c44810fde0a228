"""A ZooKeeper of a hundred lines that speaks the client protocol on a real socket, for tests that may not need Java.

It reads nothing but what a reader asks and changes only by the test's verbs. What real servers do is shown with real
ones (tests/chaos); this one shows, in the plain suite, that our use of kazoo fits the kazoo that is installed.

Layout, integers big-endian: `[int32 length]` before everything; the first exchange opens the session; then
`[int32 xid][int32 type][record]` and `[int32 xid][int64 zxid][int32 error][record]`.
Source: zookeeper.jute, ZooDefs.OpCode, KeeperException.Code.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field

EXISTS, GET_DATA, SYNC, PING, GET_CHILDREN2, AUTH, CLOSE = 3, 4, 9, 11, 12, 100, -11
NO_NODE, NO_AUTH, AUTH_FAILED, UNKNOWN_ERROR = -101, -102, -115, -124
CREATED, DELETED, CHANGED, CHILD = 1, 2, 3, 4


@dataclass
class Node:
    data: bytes
    czxid: int
    mzxid: int
    pzxid: int


@dataclass(eq=False)
class Connection:
    writer: asyncio.StreamWriter
    data_watches: set[str] = field(default_factory=set[str])
    child_watches: set[str] = field(default_factory=set[str])

    def send(self, *parts: bytes) -> None:
        body = b"".join(parts)
        self.writer.write(struct.pack(">i", len(body)) + body)


class SmallZooKeeper:
    """Verbs change it at once; everything on the loop of the test."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.zxid = 100
        self.port = 0
        self.timeout_ms = 6000
        self.forbidden: set[str] = set()
        self.expire_next = False
        """The next client that brings a session is told that it has expired."""
        self.refuse_auth = False
        self.error_for: dict[int, int] = {}
        """Type of request to the error it is answered with."""
        self.types_seen: list[int] = []
        self.sessions = 0
        self.connections: list[Connection] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.drop_connections()
        await asyncio.sleep(0)

    def drop_connections(self) -> None:
        for connection in self.connections:
            connection.writer.transport.abort()
        self.connections.clear()

    # --- changes ------------------------------------------------------------------------------------------------

    def put(self, path: str, data: bytes = b"") -> int:
        """Create or set; the zxid of it."""
        self.zxid += 1
        node = self.nodes.get(path)
        if node is not None:
            node.data, node.mzxid = data, self.zxid
            self._fire(path, CHANGED, children=False)
            return self.zxid
        self.nodes[path] = Node(data, self.zxid, self.zxid, self.zxid)
        self._fire(path, CREATED, children=False)
        self._touch_parent(path)
        return self.zxid

    def delete(self, path: str) -> int:
        self.zxid += 1
        del self.nodes[path]
        self._fire(path, DELETED, children=False)
        self._fire(path, DELETED, children=True)
        self._touch_parent(path)
        return self.zxid

    def _touch_parent(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent in self.nodes:
            self.nodes[parent].pzxid = self.zxid
            self._fire(parent, CHILD, children=True)

    def _fire(self, path: str, kind: int, *, children: bool) -> None:
        for connection in self.connections:
            watches = connection.child_watches if children else connection.data_watches
            if path in watches:
                watches.discard(path)
                connection.send(struct.pack(">iqi", -1, -1, 0), struct.pack(">ii", kind, 3), _text(path))

    # --- the protocol -------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(writer)
        try:
            opening = await self._frame(reader)
            _, last_zxid, _, session_id = struct.unpack_from(">iqiq", opening)
            if last_zxid > self.zxid:
                writer.close()  # as ZooKeeper refuses a client that has seen more than it has
                return
            if session_id and self.expire_next:
                self.expire_next = False
                connection.send(struct.pack(">iiq", 0, 0, 0), _text("\0" * 16), b"\0")
                writer.close()
                return
            if not session_id:
                self.sessions += 1
                session_id = 1000 + self.sessions
                self.zxid += 1
            connection.send(struct.pack(">iiq", 0, self.timeout_ms, session_id), _text("\0" * 16), b"\0")
            self.connections.append(connection)
            while True:
                self._answer(connection, await self._frame(reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    async def _frame(self, reader: asyncio.StreamReader) -> bytes:
        (length,) = struct.unpack(">i", await reader.readexactly(4))
        return await reader.readexactly(length)

    def _answer(self, connection: Connection, frame: bytes) -> None:
        xid, kind = struct.unpack_from(">ii", frame)
        self.types_seen.append(kind)
        if kind in self.error_for:
            connection.send(self._header(xid, self.error_for[kind]))
        elif kind == AUTH:
            connection.send(self._header(-4, AUTH_FAILED if self.refuse_auth else 0))
        elif kind in (PING, CLOSE):
            connection.send(self._header(xid))
            if kind == CLOSE:
                connection.writer.close()
        else:
            (length,) = struct.unpack_from(">i", frame, 8)
            path = frame[12 : 12 + length].decode()
            watched = kind != SYNC and frame[12 + length :] == b"\1"
            self._answer_read(connection, xid, kind, path, watched)

    def _answer_read(self, connection: Connection, xid: int, kind: int, path: str, watched: bool) -> None:
        node = self.nodes.get(path)
        if kind == SYNC:
            connection.send(self._header(xid), _text(path))
            return
        if watched and (node is not None or kind == EXISTS) and (kind == EXISTS or path not in self.forbidden):
            (connection.child_watches if kind == GET_CHILDREN2 else connection.data_watches).add(path)
        if node is None:
            connection.send(self._header(xid, NO_NODE))
            return
        names = sorted(name[len(path) + 1 :] for name in self.nodes if name.rpartition("/")[0] == path)
        stat = struct.pack(
            ">qqqqiiiqiiq", node.czxid, node.mzxid, 0, 0, 0, 0, 0, 0, len(node.data), len(names), node.pzxid
        )
        if kind == EXISTS:
            connection.send(self._header(xid), stat)
        elif path in self.forbidden:
            connection.send(self._header(xid, NO_AUTH))
        elif kind == GET_DATA:
            connection.send(self._header(xid), struct.pack(">i", len(node.data)), node.data, stat)
        else:
            listed = b"".join(_text(name) for name in names)
            connection.send(self._header(xid), struct.pack(">i", len(names)), listed, stat)

    def _header(self, xid: int, error: int = 0) -> bytes:
        return struct.pack(">iqi", xid, self.zxid, error)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">i", len(data)) + data
