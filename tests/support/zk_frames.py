"""ZooKeeper's client side in bytes, and a connection without a socket: what tests of coordinator and façade speak."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from registry.coordinator.codes import NOTIFICATION_XID, CreateMode, OpCode
from registry.coordinator.jute import (
    ACL,
    INT,
    LONG,
    MULTI_HEADER,
    NULL,
    OPEN_ACL_UNSAFE,
    ConnectRequest,
    ConnectResponse,
    Reader,
    Stat,
    WatcherEvent,
    pack_acls,
    pack_strings,
)

NO_PASSWORD = bytes(16)


class Writer:
    """Appends records to `data`; every method gives the writer, so that calls can be chained."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def raw(self, data: bytes) -> Writer:
        """Bytes as they are."""
        self.data += data
        return self

    def int32(self, value: int) -> Writer:
        """A signed number of 4 bytes."""
        self.data += INT.pack(value)
        return self

    def int64(self, value: int) -> Writer:
        """A signed number of 8 bytes."""
        self.data += LONG.pack(value)
        return self

    def boolean(self, value: bool) -> Writer:
        """One byte."""
        self.data.append(1 if value else 0)
        return self

    def buffer(self, data: bytes | None) -> Writer:
        """Bytes behind their length, or null."""
        if data is None:
            self.data += NULL
        else:
            self.data += INT.pack(len(data))
            self.data += data
        return self

    def string(self, text: str | None) -> Writer:
        """Text behind its length, or null."""
        return self.buffer(None if text is None else text.encode())

    def strings(self, texts: Iterable[str]) -> Writer:
        """A vector of strings."""
        self.data += pack_strings(texts)
        return self

    def acls(self, acls: Iterable[ACL]) -> Writer:
        """A vector of ACLs."""
        self.data += pack_acls(acls)
        return self

    def payload(self) -> bytes:
        """Everything written."""
        return bytes(self.data)


def connect(
    timeout_ms: int = 30_000,
    session_id: int = 0,
    password: bytes = NO_PASSWORD,
    last_zxid_seen: int = 0,
    has_read_only: bool = True,
) -> bytes:
    return ConnectRequest(0, last_zxid_seen, timeout_ms, session_id, password, False, has_read_only).encode()


def request(xid: int, op: int) -> Writer:
    """A request's header; its record is to be written behind."""
    return Writer().int32(xid).int32(op)


def with_path(xid: int, op: int, path: str | None, watch: bool | None = None) -> bytes:
    writer = request(xid, op).string(path)
    return (writer if watch is None else writer.boolean(watch)).payload()


def create_record(path: str, data: bytes | None, acls: Iterable[ACL], flags: int, ttl_ms: int | None = None) -> bytes:
    writer = Writer().string(path).buffer(data).acls(acls).int32(flags)
    return (writer if ttl_ms is None else writer.int64(ttl_ms)).payload()


def create(
    xid: int,
    path: str,
    data: bytes | None = b"",
    flags: int = CreateMode.PERSISTENT,
    acls: Iterable[ACL] = OPEN_ACL_UNSAFE,
    op: int = OpCode.CREATE2,
    ttl_ms: int | None = None,
) -> bytes:
    return request(xid, op).raw(create_record(path, data, acls, flags, ttl_ms)).payload()


def delete(xid: int, path: str, version: int = -1) -> bytes:
    return request(xid, OpCode.DELETE).string(path).int32(version).payload()


def set_data(xid: int, path: str, data: bytes | None, version: int = -1) -> bytes:
    return request(xid, OpCode.SET_DATA).string(path).buffer(data).int32(version).payload()


def set_acl(xid: int, path: str, acls: Iterable[ACL], version: int = -1) -> bytes:
    return request(xid, OpCode.SET_ACL).string(path).acls(acls).int32(version).payload()


def auth(scheme: str, data: bytes | None) -> bytes:
    return request(-4, OpCode.AUTH).int32(0).string(scheme).buffer(data).payload()


def set_watches(
    zxid: int,
    data: Iterable[str] = (),
    exist: Iterable[str] = (),
    child: Iterable[str] = (),
    persistent: Iterable[str] | None = None,
    recursive: Iterable[str] = (),
) -> bytes:
    op = OpCode.SET_WATCHES if persistent is None else OpCode.SET_WATCHES2
    writer = request(-8, op).int64(zxid).strings(data).strings(exist).strings(child)
    return (writer if persistent is None else writer.strings(persistent).strings(recursive)).payload()


def path_and_number(xid: int, op: int, path: str, number: int) -> bytes:
    """addWatch (mode), checkWatches and removeWatches (type)."""
    return request(xid, op).string(path).int32(number).payload()


def multi(xid: int, operations: Iterable[tuple[int, bytes]], op: int = OpCode.MULTI) -> bytes:
    """Operations are pairs of an OpCode and a record."""
    writer = request(xid, op)
    for kind, record in operations:
        writer.raw(MULTI_HEADER.pack(kind, False, -1)).raw(record)
    return writer.raw(MULTI_HEADER.pack(-1, True, -1)).payload()


def version_record(path: str, version: int = -1) -> bytes:
    """The record of a delete or check in a multi."""
    return Writer().string(path).int32(version).payload()


def set_data_record(path: str, data: bytes | None, version: int = -1) -> bytes:
    return Writer().string(path).buffer(data).int32(version).payload()


class MultiResult(NamedTuple):
    op: int
    err: int
    path: str | None = None
    stat: Stat | None = None
    data: bytes | None = None
    children: list[str] | None = None


class Reply(NamedTuple):
    """A reply or, with xid -1, an event."""

    xid: int
    zxid: int
    err: int
    body: bytes

    @property
    def event(self) -> WatcherEvent | None:
        return Reader(self.body).watcher_event() if self.xid == NOTIFICATION_XID else None

    @property
    def stat(self) -> Stat:
        """The Stat that ends the body."""
        return Reader(self.body[-68:]).stat()

    @property
    def data(self) -> bytes | None:
        return Reader(self.body).buffer()

    @property
    def path(self) -> str | None:
        return Reader(self.body).string()

    @property
    def children(self) -> list[str]:
        return Reader(self.body).strings()

    @property
    def acls(self) -> tuple[ACL, ...]:
        return Reader(self.body).acls()

    @property
    def number(self) -> int:
        return Reader(self.body).int32()

    def multi_results(self) -> list[MultiResult]:
        reader = Reader(self.body)
        results: list[MultiResult] = []
        while True:
            op, done, err = reader.int32(), reader.boolean(), reader.int32()
            if done:
                assert (op, err) == (-1, -1)
                return results
            if op == OpCode.CREATE:
                results.append(MultiResult(op, err, reader.text()))
            elif op == OpCode.CREATE2:
                results.append(MultiResult(op, err, reader.text(), reader.stat()))
            elif op == OpCode.SET_DATA:
                results.append(MultiResult(op, err, stat=reader.stat()))
            elif op == OpCode.GET_DATA:
                results.append(MultiResult(op, err, data=reader.buffer(), stat=reader.stat()))
            elif op == OpCode.GET_CHILDREN:
                results.append(MultiResult(op, err, children=reader.strings()))
            elif op == OpCode.ERROR:
                assert reader.int32() == err
                results.append(MultiResult(op, err))
            else:
                assert op in (OpCode.DELETE, OpCode.CHECK)
                results.append(MultiResult(op, err))


class FakePeer:
    """A Peer that keeps what it is sent."""

    def __init__(self, peer_host: str = "127.0.0.1") -> None:
        self.peer_host = peer_host
        self.sent: list[bytes] = []
        self.is_closed = False

    def send(self, frame: bytes) -> None:
        assert not self.is_closed, "sent after close"
        assert struct.unpack_from(">i", frame)[0] == len(frame) - 4
        self.sent.append(bytes(frame))

    def close(self) -> None:
        assert not self.is_closed, "closed twice"
        self.is_closed = True

    def take(self) -> list[Reply]:
        """What has been sent since the last call."""
        frames, self.sent = self.sent, []
        return [Reply(*struct.unpack_from(">iqi", frame, 4), frame[20:]) for frame in frames]

    def take_connect_response(self) -> ConnectResponse:
        frame = self.sent.pop(0)
        return Reader(frame[4:]).connect_response()
