"""Jute, ZooKeeper's encoding: big-endian numbers, strings and buffers behind an int32 length, vectors behind a count.

A length of -1 is null. The hot requests are read by struct directly from the frame (registry.coordinator.reads and
writes); the Reader is for the rest.
Source: BinaryInputArchive, BinaryOutputArchive, zookeeper.jute.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

from registry.coordinator.codes import ALL, NOTIFICATION_XID, READ, KeeperState

INT = Struct(">i")
LONG = Struct(">q")
REQUEST_HEADER = Struct(">ii")
"""xid, type."""
REPLY_HEADER = Struct(">iqi")
"""xid, zxid, err."""
FRAMED_REPLY_HEADER = Struct(">iiqi")
"""The frame's length, then xid, zxid, err."""
REPLY_HEADER_BYTES = 16
STAT = Struct(">qqqqiiiqiiq")
"""czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner, dataLength, numChildren, pzxid."""
STAT_BYTES = 68
PASSWORD_BYTES = 16
CONNECT_REQUEST = Struct(">iqiqi")
"""protocolVersion, lastZxidSeen, timeOut, sessionId, length of passwd."""
CONNECT_RESPONSE = Struct(">iiqi")
"""protocolVersion, timeOut, sessionId, length of passwd."""
FRAME_BYTES_MAX = 0xFFFFF
"""The default of jute.maxbuffer: a longer request closes the connection. Source: BinaryInputArchive.maxBuffer."""
_int_at = INT.unpack_from
_long_at = LONG.unpack_from
NULL = b"\xff\xff\xff\xff"
MULTI_HEADER = Struct(">i?i")
"""type, done, err."""


class MarshallingError(ValueError):
    """Bytes that are no record: too short, or a length that cannot be."""


class ACL(NamedTuple):
    """Who may do what; perms is a sum of the bits in codes. Null scheme and id are read as empty text."""

    perms: int
    scheme: str
    id: str


OPEN_ACL_UNSAFE: tuple[ACL, ...] = (ACL(ALL, "world", "anyone"),)
READ_ACL_UNSAFE: tuple[ACL, ...] = (ACL(READ, "world", "anyone"),)


class Stat(NamedTuple):
    """What a node's Stat says; times in ms since 1970."""

    czxid: int
    mzxid: int
    ctime: int
    mtime: int
    version: int
    cversion: int
    aversion: int
    ephemeral_owner: int
    data_length: int
    num_children: int
    pzxid: int

    def encode(self) -> bytes:
        """The 68 bytes."""
        return STAT.pack(*self)


class ConnectRequest(NamedTuple):
    """The first frame of a client."""

    protocol_version: int
    last_zxid_seen: int
    timeout_ms: int
    session_id: int
    password: bytes
    read_only: bool
    has_read_only: bool
    """False for clients before 3.4: their request and their response end after the password."""

    def encode(self) -> bytes:
        """The payload, without the frame's length."""
        head = CONNECT_REQUEST.pack(
            self.protocol_version, self.last_zxid_seen, self.timeout_ms, self.session_id, len(self.password)
        )
        return head + self.password + (bytes((self.read_only,)) if self.has_read_only else b"")


class ConnectResponse(NamedTuple):
    """The server's first frame; session_id 0 and timeout_ms 0 say that the session has expired."""

    protocol_version: int
    timeout_ms: int
    session_id: int
    password: bytes
    read_only: bool

    def encode(self, has_read_only: bool = True) -> bytes:
        """The payload, without the frame's length."""
        head = CONNECT_RESPONSE.pack(self.protocol_version, self.timeout_ms, self.session_id, len(self.password))
        return head + self.password + (bytes((self.read_only,)) if has_read_only else b"")


class WatcherEvent(NamedTuple):
    """The body of a notification."""

    type: int
    state: int
    path: str

    def encode(self) -> bytes:
        """The body, without reply header."""
        name = self.path.encode()
        return REQUEST_HEADER.pack(self.type, self.state) + INT.pack(len(name)) + name


class Reader:
    """Reads records off one frame; whatever does not fit raises MarshallingError."""

    __slots__ = ("frame", "offset")

    def __init__(self, frame: bytes | memoryview, offset: int = 0) -> None:
        self.frame = frame
        self.offset = offset

    def remaining(self) -> int:
        """Bytes that have not been read."""
        return len(self.frame) - self.offset

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self.offset
        end = start + count
        if count < 0 or end > len(self.frame):
            raise MarshallingError(f"{count} bytes announced, {len(self.frame) - start} there")
        self.offset = end
        return bytes(self.frame[start:end])

    def int32(self) -> int:
        """A signed number of 4 bytes."""
        try:
            (value,) = _int_at(self.frame, self.offset)
        except struct.error:
            raise MarshallingError("the frame ends within a number") from None
        self.offset += 4
        return value

    def int64(self) -> int:
        """A signed number of 8 bytes."""
        try:
            (value,) = _long_at(self.frame, self.offset)
        except struct.error:
            raise MarshallingError("the frame ends within a number") from None
        self.offset += 8
        return value

    def boolean(self) -> bool:
        """One byte; anything but 0 is true."""
        return self.take(1) != b"\0"

    def buffer(self) -> bytes | None:
        """Bytes behind their length; None for null."""
        length = self.int32()
        if length == -1:
            return None
        start = self.offset
        end = start + length
        if length < 0 or end > len(self.frame):
            raise MarshallingError(f"{length} bytes announced, {len(self.frame) - start} there")
        self.offset = end
        return bytes(self.frame[start:end])

    def string(self) -> str | None:
        """Text in UTF-8 behind its length in bytes; None for null. Bad UTF-8 becomes U+FFFD, as in Java."""
        data = self.buffer()
        return None if data is None else data.decode("utf-8", "replace")

    def text(self) -> str:
        """A string that must not be null."""
        text = self.string()
        if text is None:
            raise MarshallingError("null where text is needed")
        return text

    def count(self, element_bytes_min: int) -> int:
        """How many elements a vector has; negative counts are none. More than could fit is refused before reading."""
        count = self.int32()
        if count > self.remaining() // element_bytes_min:
            raise MarshallingError(f"{count} elements announced in {self.remaining()} bytes")
        return max(count, 0)

    def strings(self) -> list[str]:
        """A vector of strings, none of them null."""
        return [self.text() for _ in range(self.count(4))]

    def acls(self) -> tuple[ACL, ...]:
        """A vector of ACLs. The one nearly everybody uses is recognised by its bytes and is OPEN_ACL_UNSAFE itself."""
        end = self.offset + len(OPEN_ACL_BYTES)
        if self.frame[self.offset : end] == OPEN_ACL_BYTES:
            self.offset = end
            return OPEN_ACL_UNSAFE
        return tuple(ACL(self.int32(), self.string() or "", self.string() or "") for _ in range(self.count(12)))

    def stat(self) -> Stat:
        """A Stat."""
        return Stat(*STAT.unpack(self.take(STAT_BYTES)))

    def connect_request(self) -> ConnectRequest:
        """A ConnectRequest, of clients of every age; bytes after it are ignored. Source: ZooKeeperServer."""
        protocol_version, last_zxid_seen, timeout_ms = self.int32(), self.int64(), self.int32()
        session_id, password = self.int64(), self.buffer() or b""
        has_read_only = self.remaining() > 0
        read_only = self.boolean() if has_read_only else False
        return ConnectRequest(
            protocol_version, last_zxid_seen, timeout_ms, session_id, password, read_only, has_read_only
        )

    def connect_response(self) -> ConnectResponse:
        """A ConnectResponse."""
        protocol_version, timeout_ms, session_id = self.int32(), self.int32(), self.int64()
        password = self.buffer() or b""
        return ConnectResponse(
            protocol_version, timeout_ms, session_id, password, self.remaining() > 0 and self.boolean()
        )

    def watcher_event(self) -> WatcherEvent:
        """The body of a notification."""
        return WatcherEvent(self.int32(), self.int32(), self.text())


def pack_string(text: str) -> bytes:
    """A string behind its length."""
    data = text.encode()
    return INT.pack(len(data)) + data


def pack_strings(texts: Iterable[str]) -> bytes:
    """A vector of strings."""
    packed = [pack_string(text) for text in texts]
    return INT.pack(len(packed)) + b"".join(packed)


def pack_acls(acls: Iterable[ACL]) -> bytes:
    """A vector of ACLs."""
    packed = [INT.pack(acl.perms) + pack_string(acl.scheme) + pack_string(acl.id) for acl in acls]
    return INT.pack(len(packed)) + b"".join(packed)


OPEN_ACL_BYTES = pack_acls(OPEN_ACL_UNSAFE)
"""What nearly every creation asks for."""


def reply_frame(xid: int, zxid: int, err: int, body: bytes = b"") -> bytes:
    """A whole reply, its length included."""
    return FRAMED_REPLY_HEADER.pack(REPLY_HEADER_BYTES + len(body), xid, zxid, err) + body


def event_frame(event_type: int, path: str, zxid: int) -> bytes:
    """A whole notification. The header's zxid is that of the change (3.9 and later; -1 before and where none is).

    Source: NIOServerCnxn.process, ZOOKEEPER-4655.
    """
    body = WatcherEvent(event_type, KeeperState.SYNC_CONNECTED, path).encode()
    return reply_frame(NOTIFICATION_XID, zxid, 0, body)
