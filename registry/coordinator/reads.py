"""The operations that change nothing but watches, over any NodeView: the coordinator's tree or the façade's picture.

Every handler answers on the client's connection or raises KeeperException or MarshallingError, which its caller turns
into the error's reply. Frames are payloads: xid, type, then the request's record at offset 8.
Source: FinalRequestProcessor.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

from registry.coordinator.acl import check, masked, permits, user_name
from registry.coordinator.client import Client
from registry.coordinator.codes import (
    ADMIN,
    PING_XID,
    READ,
    AddWatchMode,
    ErrorCode,
    EventType,
    KeeperException,
    OpCode,
)
from registry.coordinator.jute import (
    FRAMED_REPLY_HEADER,
    INT,
    LONG,
    MULTI_HEADER,
    NULL,
    OPEN_ACL_UNSAFE,
    REPLY_HEADER_BYTES,
    STAT_BYTES,
    MarshallingError,
    Reader,
    event_frame,
    pack_acls,
    pack_string,
    pack_strings,
    reply_frame,
)
from registry.coordinator.view import NodeView, ViewedNode
from registry.coordinator.watches import CHILD, DATA, KINDS_OF_TYPE, PERSISTENT, RECURSIVE, WatchManager

Frame: TypeAlias = "bytes | memoryview[int]"
Handler = Callable[[Client, int, Frame], None]
"""Answers one request: the client, its xid, the whole payload."""
MZXID_OFFSET, PZXID_OFFSET = -60, -8
"""Where they lie from the end of a node's body."""
NO_ZXID = -1
MULTI_END = MULTI_HEADER.pack(-1, True, -1)
MULTI_READ_BYTES_MAX = 64 << 20
"""A request of 1 MiB could ask a hundred thousand times for a node of 1 MiB."""
_pack_header = FRAMED_REPLY_HEADER.pack
_int_at = INT.unpack_from
_long_at = LONG.unpack_from


def path_and_watch(frame: Frame) -> tuple[str, bool]:
    """The record of exists, getData, getChildren and getChildren2: path, then whether to watch."""
    try:
        length: int = _int_at(frame, 8)[0]
        end = 12 + length
        if length < 0:
            raise MarshallingError("no path")
        return str(frame[12:end], "utf-8"), frame[end] != 0
    except (IndexError, struct.error) as error:
        raise MarshallingError("frame ends within its record") from error
    except UnicodeDecodeError:
        reader = Reader(frame, 8)
        return reader.text(), reader.boolean()


def multi_error(code: int) -> bytes:
    """One failed operation in a MultiResponse."""
    return MULTI_HEADER.pack(OpCode.ERROR, False, code) + INT.pack(code)


class Reads:
    """Answers reads from `view`, and keeps `watches`."""

    __slots__ = ("_find", "handlers", "view", "watches")

    def __init__(self, view: NodeView, watches: WatchManager) -> None:
        self.view = view
        self.watches = watches
        self._find = view.find
        self.handlers: dict[int, Handler] = {
            OpCode.EXISTS: self.exists,
            OpCode.GET_DATA: self.get_data,
            OpCode.GET_CHILDREN: self.get_children,
            OpCode.GET_CHILDREN2: self.get_children2,
            OpCode.PING: self.ping,
            OpCode.SYNC: self.sync,
            OpCode.GET_ACL: self.get_acl,
            OpCode.MULTI_READ: self.multi_read,
            OpCode.SET_WATCHES: self.set_watches,
            OpCode.SET_WATCHES2: self.set_watches2,
            OpCode.ADD_WATCH: self.add_watch,
            OpCode.CHECK_WATCHES: self.check_watches,
            OpCode.REMOVE_WATCHES: self.remove_watches,
            OpCode.WHO_AM_I: self.who_am_i,
            OpCode.GET_EPHEMERALS: self.get_ephemerals,
            OpCode.GET_ALL_CHILDREN_NUMBER: self.get_all_children_number,
        }

    def exists(self, client: Client, xid: int, frame: Frame) -> None:
        """Stat; a watch is set whether the node is there or not."""
        path, watch = path_and_watch(frame)
        if "\0" in path:
            raise KeeperException(ErrorCode.BAD_ARGUMENTS, path)
        node = self._find(path)
        if node is not None and node.acl is not OPEN_ACL_UNSAFE:
            check(node.acl, READ, client.ids, path)
        if watch:
            self.watches.add(path, client, DATA)
        if node is None:
            client.send(_pack_header(REPLY_HEADER_BYTES, xid, self.view.zxid, ErrorCode.NO_NODE))
        else:
            header = _pack_header(REPLY_HEADER_BYTES + STAT_BYTES, xid, self.view.zxid, 0)
            client.send(header + node.body[-STAT_BYTES:])

    def get_data(self, client: Client, xid: int, frame: Frame) -> None:
        """Data and Stat."""
        path, watch = path_and_watch(frame)
        node = self._find(path)
        if node is None:
            client.send(_pack_header(REPLY_HEADER_BYTES, xid, self.view.zxid, ErrorCode.NO_NODE))
            return
        if node.acl is not OPEN_ACL_UNSAFE:
            check(node.acl, READ, client.ids, path)
        if watch:
            self.watches.add(path, client, DATA)
        body = node.body
        client.send(_pack_header(REPLY_HEADER_BYTES + len(body), xid, self.view.zxid, 0) + body)

    def get_children(self, client: Client, xid: int, frame: Frame) -> None:
        """Names of children."""
        self._reply(client, xid, self._watched_children(client, frame).children_bytes())

    def get_children2(self, client: Client, xid: int, frame: Frame) -> None:
        """Names of children and Stat."""
        node = self._watched_children(client, frame)
        self._reply(client, xid, node.children_bytes() + node.body[-STAT_BYTES:])

    def ping(self, client: Client, xid: int, frame: Frame) -> None:  # noqa: ARG002 - a Handler
        """A header, whatever the request's own xid."""
        client.send(_pack_header(REPLY_HEADER_BYTES, PING_XID, self.view.zxid, 0))

    def sync(self, client: Client, xid: int, frame: Frame) -> None:
        """The path, once all before has been processed: one node has nobody to catch up with."""
        path = Reader(frame, 8).string()
        self._reply(client, xid, NULL if path is None else pack_string(path))

    def get_acl(self, client: Client, xid: int, frame: Frame) -> None:
        """ACL and Stat; hashes of digests are hidden from all but administrators."""
        path = Reader(frame, 8).text()
        node = self._readable(client, path, READ | ADMIN)
        acl = node.acl if permits(node.acl, ADMIN, client.ids) else masked(node.acl)
        self._reply(client, xid, pack_acls(acl) + node.body[-STAT_BYTES:])

    def multi_read(self, client: Client, xid: int, frame: Frame) -> None:
        """Results of getData and getChildren operations, each with its own error."""
        reader = Reader(frame, 8)
        results: list[bytes] = []
        asked: list[tuple[int, str]] = []
        size = 0
        while True:
            kind, done, _ = reader.int32(), reader.boolean(), reader.int32()
            if done:
                break
            if kind not in (OpCode.GET_DATA, OpCode.GET_CHILDREN):
                raise MarshallingError(f"operation {kind} in multiRead")
            asked.append((kind, reader.text()))
            reader.boolean()  # a watch, which a multiRead does not set
        for kind, path in asked:
            try:
                node = self._readable(client, path, READ)
            except KeeperException as error:
                results.append(multi_error(error.code))
            else:
                body = node.body if kind == OpCode.GET_DATA else node.children_bytes()
                size += len(body)
                if size > MULTI_READ_BYTES_MAX:
                    raise KeeperException(ErrorCode.SYSTEM_ERROR, path)
                results += (MULTI_HEADER.pack(kind, False, 0), body)
        self._reply(client, xid, b"".join(results) + MULTI_END)

    def set_watches(self, client: Client, xid: int, frame: Frame) -> None:
        """Take over the watches of an earlier connection; what has changed since is told before the reply."""
        reader = Reader(frame, 8)
        self._take_over(client, reader.int64(), reader.strings(), reader.strings(), reader.strings())
        self._reply(client, xid, b"")

    def set_watches2(self, client: Client, xid: int, frame: Frame) -> None:
        """As set_watches, with persistent and recursive ones behind."""
        reader = Reader(frame, 8)
        relative_zxid, data, exist, child = reader.int64(), reader.strings(), reader.strings(), reader.strings()
        persistent, recursive = reader.strings(), reader.strings()
        self._take_over(client, relative_zxid, data, exist, child)
        for path in persistent:
            self.watches.add(path, client, PERSISTENT)
        for path in recursive:
            self.watches.add(path, client, RECURSIVE)
        self._reply(client, xid, b"")

    def add_watch(self, client: Client, xid: int, frame: Frame) -> None:
        """Add a persistent watch, whether the node is there or not."""
        reader = Reader(frame, 8)
        path, mode = reader.text(), reader.int32()
        if mode not in (AddWatchMode.PERSISTENT, AddWatchMode.PERSISTENT_RECURSIVE):
            raise MarshallingError(f"watch mode {mode}")
        self.watches.add(path, client, PERSISTENT if mode == AddWatchMode.PERSISTENT else RECURSIVE)
        self._reply(client, xid, INT.pack(0))

    def check_watches(self, client: Client, xid: int, frame: Frame) -> None:
        """Nothing, or NoWatcher."""
        path, kinds = self._path_and_kinds(frame)
        if not self.watches.contains(path, client, kinds):
            raise KeeperException(ErrorCode.NO_WATCHER, path)
        self._reply(client, xid, b"")

    def remove_watches(self, client: Client, xid: int, frame: Frame) -> None:
        """Remove watches of a type, or NoWatcher."""
        path, kinds = self._path_and_kinds(frame)
        if not self.watches.remove(path, client, kinds):
            raise KeeperException(ErrorCode.NO_WATCHER, path)
        self._reply(client, xid, b"")

    def who_am_i(self, client: Client, xid: int, frame: Frame) -> None:  # noqa: ARG002 - a Handler
        """Schemes and users the client has shown to be."""
        infos = [pack_string(identity[0]) + pack_string(user_name(identity)) for identity in client.ids]
        self._reply(client, xid, INT.pack(len(infos)) + b"".join(infos))

    def get_ephemerals(self, client: Client, xid: int, frame: Frame) -> None:
        """Paths of the session's own ephemeral nodes that begin with a prefix."""
        prefix = Reader(frame, 8).string() or ""
        paths = self.view.ephemerals(client.session_id)
        if prefix.strip() not in ("", "/"):
            paths = [path for path in paths if path.startswith(prefix)]
        self._reply(client, xid, pack_strings(paths))

    def get_all_children_number(self, client: Client, xid: int, frame: Frame) -> None:
        """How many nodes lie below a node."""
        path = Reader(frame, 8).text()
        self._readable(client, path, READ)
        self._reply(client, xid, INT.pack(self.view.descendant_count(path)))

    def _reply(self, client: Client, xid: int, body: bytes) -> None:
        client.send(reply_frame(xid, self.view.zxid, 0, body))

    def _readable(self, client: Client, path: str, perms: int) -> ViewedNode:
        node = self._find(path)
        if node is None:
            raise KeeperException(ErrorCode.NO_NODE, path)
        check(node.acl, perms, client.ids, path)
        return node

    def _watched_children(self, client: Client, frame: Frame) -> ViewedNode:
        path, watch = path_and_watch(frame)
        node = self._readable(client, path, READ)
        if watch:
            self.watches.add(path, client, CHILD)
        return node

    def _path_and_kinds(self, frame: Frame) -> tuple[str, int]:
        reader = Reader(frame, 8)
        path, watcher_type = reader.text(), reader.int32()
        kinds = KINDS_OF_TYPE.get(watcher_type)
        if kinds is None:
            raise MarshallingError(f"watcher type {watcher_type}")
        return path, kinds

    def _take_over(
        self, client: Client, relative_zxid: int, data: list[str], exist: list[str], child: list[str]
    ) -> None:
        """Tell what the client has missed since relative_zxid; watch the rest. Source: DataTree.setWatches."""
        for path in data:
            self._take_over_one(client, path, relative_zxid, EventType.NODE_DATA_CHANGED, MZXID_OFFSET, DATA)
        for path in exist:
            if self._find(path) is not None:
                client.send(event_frame(EventType.NODE_CREATED, path, NO_ZXID))
            else:
                self.watches.add(path, client, DATA)
        for path in child:
            self._take_over_one(client, path, relative_zxid, EventType.NODE_CHILDREN_CHANGED, PZXID_OFFSET, CHILD)

    def _take_over_one(
        self, client: Client, path: str, relative_zxid: int, changed: EventType, offset: int, kind: int
    ) -> None:
        node = self._find(path)
        if node is None:
            client.send(event_frame(EventType.NODE_DELETED, path, NO_ZXID))
        elif _long_at(node.body, len(node.body) + offset)[0] > relative_zxid:
            client.send(event_frame(changed, path, NO_ZXID))
        else:
            self.watches.add(path, client, kind)
