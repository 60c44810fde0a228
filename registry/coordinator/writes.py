"""The operations that change the tree: read off the frame, checked, made a transaction, applied, answered.

Every one takes a zxid, also one that is refused after it could be read: ZooKeeper's ErrorTxn.
Source: PrepRequestProcessor, FinalRequestProcessor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from registry.coordinator.client import Client
from registry.coordinator.codes import ErrorCode, KeeperException, OpCode
from registry.coordinator.jute import (
    ACL,
    FRAMED_REPLY_HEADER,
    INT,
    OPEN_ACL_BYTES,
    OPEN_ACL_UNSAFE,
    REPLY_HEADER_BYTES,
    STAT_BYTES,
    MarshallingError,
    Reader,
    pack_string,
    reply_frame,
)
from registry.coordinator.preparing import NO_TTL, Preparation
from registry.coordinator.reads import Frame, Handler
from registry.coordinator.transactions import Change, Failed, Step, Transaction, encode
from registry.coordinator.tree import DataTree, Node

STAT_REPLY_BYTES = REPLY_HEADER_BYTES + STAT_BYTES
_pack_header = FRAMED_REPLY_HEADER.pack
_int_at = INT.unpack_from


class TransactionLog(Protocol):
    """Where transactions are kept, as records that only we can read."""

    def append(self, zxid: int, record: bytes) -> None:
        """Take a transaction; it may lie in memory until `commit`."""
        ...

    def commit(self) -> None:
        """Make durable what has been taken."""
        ...


class CreateRequest(NamedTuple):
    """The record of create, create2, createContainer and createTTL."""

    path: str
    data: bytes | None
    acl: tuple[ACL, ...]
    flags: int
    ttl_ms: int
    """-1 where the record has none."""


def read_create(reader: Reader, has_ttl: bool) -> CreateRequest:
    """A CreateRequest or CreateTTLRequest."""
    path, data = reader.text(), reader.buffer()
    return CreateRequest(path, data, reader.acls(), reader.int32(), reader.int64() if has_ttl else NO_TTL)


def usual_create(frame: Frame) -> CreateRequest | None:
    """The CreateRequest of a frame that asks for what nearly all ask for: data and the open ACL. Others give None."""
    path_length: int = _int_at(frame, 8)[0]
    path_end = 12 + path_length
    length: int = _int_at(frame, path_end)[0]
    start = path_end + 4
    end = start + length
    if path_length < 0 or length < 0 or frame[end:-4] != OPEN_ACL_BYTES:
        return None
    path = str(frame[12:path_end], "utf-8", "replace")
    return CreateRequest(path, bytes(frame[start:end]), OPEN_ACL_UNSAFE, _int_at(frame, len(frame) - 4)[0], NO_TTL)


class Writes:
    """Writes to `tree`, and the only ones who do."""

    def __init__(self, tree: DataTree, wall_ms: Callable[[], float], log: TransactionLog | None) -> None:
        self.tree = tree
        self.preparation = Preparation(tree)
        self._wall_ms = wall_ms
        self._log = log
        self.handlers: dict[int, Handler] = {
            OpCode.CREATE: self.create,
            OpCode.CREATE2: self.create2,
            OpCode.CREATE_CONTAINER: self.create_container,
            OpCode.CREATE_TTL: self.create_ttl,
            OpCode.DELETE: self.delete,
            OpCode.SET_DATA: self.set_data,
            OpCode.SET_ACL: self.set_acl,
            OpCode.RECONFIG: self.reconfig,
        }

    def run(self, session_id: int, step: Step, stats: list[bytes] | None = None) -> Node | None:
        """Give a step its zxid and time, write it into the log, do it. `stats` collects those of a Multi's nodes."""
        tree = self.tree
        transaction = Transaction(tree.zxid + 1, int(self._wall_ms()), session_id, step)
        if self._log is not None:
            self._log.append(transaction.zxid, encode(transaction))
        return tree.apply(transaction, stats)

    def create(self, client: Client, xid: int, frame: Frame) -> None:
        """Create; the reply is the path."""
        request = usual_create(frame) or read_create(Reader(frame, 8), has_ttl=False)
        path, _ = self._create(client, request, is_container=False)
        client.send(reply_frame(xid, self.tree.zxid, 0, pack_string(path)))

    def create2(self, client: Client, xid: int, frame: Frame) -> None:
        """Create; the reply is path and Stat."""
        self._create2(client, xid, read_create(Reader(frame, 8), has_ttl=False), is_container=False)

    def create_container(self, client: Client, xid: int, frame: Frame) -> None:
        """Create a container, whatever the flags say."""
        self._create2(client, xid, read_create(Reader(frame, 8), has_ttl=False), is_container=True)

    def create_ttl(self, client: Client, xid: int, frame: Frame) -> None:
        """Create a node that goes when it has had no children and no change for its TTL."""
        self._create2(client, xid, read_create(Reader(frame, 8), has_ttl=True), is_container=False)

    def delete(self, client: Client, xid: int, frame: Frame) -> None:
        """Delete; the reply is a header."""
        reader = Reader(frame, 8)
        path, version = reader.text(), reader.int32()
        self._attempt(client, self.preparation.delete, path, version)
        client.send(_pack_header(REPLY_HEADER_BYTES, xid, self.tree.zxid, 0))

    def set_data(self, client: Client, xid: int, frame: Frame) -> None:
        """Set data; the reply is the Stat."""
        path_length: int = _int_at(frame, 8)[0]
        path_end = 12 + path_length
        if path_length < 0:
            raise MarshallingError("no path")
        length: int = _int_at(frame, path_end)[0]
        start = path_end + 4
        if length < -1:
            raise MarshallingError(f"data of {length} bytes")
        (version,) = _int_at(frame, start + length if length >= 0 else start)
        path = str(frame[12:path_end], "utf-8", "replace")
        data = bytes(frame[start : start + length]) if length >= 0 else None
        node = self._attempt(client, self.preparation.set_data, path, data, version)
        client.send(_pack_header(STAT_REPLY_BYTES, xid, self.tree.zxid, 0) + node.body[-STAT_BYTES:])

    def set_acl(self, client: Client, xid: int, frame: Frame) -> None:
        """Set the ACL; the reply is the Stat."""
        reader = Reader(frame, 8)
        path, acl, version = reader.text(), reader.acls(), reader.int32()
        node = self._attempt(client, self.preparation.set_acl, path, acl, version)
        client.send(reply_frame(xid, self.tree.zxid, 0, node.body[-STAT_BYTES:]))

    def reconfig(self, client: Client, xid: int, frame: Frame) -> None:  # noqa: ARG002 - a Handler
        """Refuse: there is no ensemble to configure. Source: PrepRequestProcessor, reconfigEnabled off."""
        self.run(client.session_id, Failed(ErrorCode.RECONFIG_DISABLED))
        raise KeeperException(ErrorCode.RECONFIG_DISABLED)

    def _attempt(self, client: Client, prepare: Callable[..., Change], *arguments: object) -> Node:
        """Run what `prepare` allows; a refusal is a transaction too."""
        try:
            change = prepare(client.ids, *arguments)
        except KeeperException as error:
            self.run(client.session_id, Failed(error.code))
            raise
        node = self.run(client.session_id, change)
        assert node is not None
        return node

    def _create(self, client: Client, request: CreateRequest, is_container: bool) -> tuple[str, Node]:
        try:
            change = self.preparation.create(client.ids, client.session_id, *request, is_container)
        except KeeperException as error:
            self.run(client.session_id, Failed(error.code))
            raise
        node = self.run(client.session_id, change)
        assert node is not None
        return change.path, node

    def _create2(self, client: Client, xid: int, request: CreateRequest, is_container: bool) -> None:
        path, node = self._create(client, request, is_container)
        client.send(reply_frame(xid, self.tree.zxid, 0, pack_string(path) + node.body[-STAT_BYTES:]))
