"""Transactions: what is written into a journal, and all it takes to rebuild the tree and the sessions from nothing.

A record is zxid (8), time in ms (8), session id (8), type (1), then what the type needs, in jute's encoding. Types are
OpCodes. Applying one twice the same way gives the same tree: nothing in it depends on a clock or on chance.
Source: TxnHeader and the Txn records of zookeeper.jute, which these follow without being the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple, cast

from registry.coordinator.codes import OpCode
from registry.coordinator.jute import ACL, INT, LONG, NULL, MarshallingError, Reader, pack_acls, pack_string

HEADER = Struct(">qqqb")
"""zxid, time_ms, session_id, type."""


class Create(NamedTuple):
    """A new node. `owner` is its ephemeralOwner, `parent_cversion` the count of creations below its parent."""

    path: str
    data: bytes | None
    acl: tuple[ACL, ...]
    owner: int
    parent_cversion: int


class Delete(NamedTuple):
    """A node goes."""

    path: str


class SetData(NamedTuple):
    """New data and the version it gets."""

    path: str
    data: bytes | None
    version: int


class SetACL(NamedTuple):
    """A new ACL and the aversion it gets."""

    path: str
    acl: tuple[ACL, ...]
    version: int


class CreateSession(NamedTuple):
    """A new session; its id is the transaction's."""

    timeout_ms: int
    password: bytes


class CloseSession(NamedTuple):
    """The transaction's session ends, and its ephemeral nodes go in the order of their creation."""


class Failed(NamedTuple):
    """A request that got a zxid and then failed: nothing changes but the zxid. ZooKeeper's ErrorTxn."""

    code: int


Change = Create | Delete | SetData | SetACL


class Multi(NamedTuple):
    """Changes that happen together."""

    changes: tuple[Change, ...]


Step = Change | CreateSession | CloseSession | Failed | Multi


class Transaction(NamedTuple):
    """One step of the machine."""

    zxid: int
    time_ms: int
    session_id: int
    step: Step


def _pack_buffer(data: bytes | None) -> bytes:
    return NULL if data is None else INT.pack(len(data)) + data


def _encode_create(step: Create) -> bytes:
    return b"".join(
        (
            pack_string(step.path),
            _pack_buffer(step.data),
            pack_acls(step.acl),
            LONG.pack(step.owner),
            INT.pack(step.parent_cversion),
        )
    )


def _encode_delete(step: Delete) -> bytes:
    return pack_string(step.path)


def _encode_set_data(step: SetData) -> bytes:
    return pack_string(step.path) + _pack_buffer(step.data) + INT.pack(step.version)


def _encode_set_acl(step: SetACL) -> bytes:
    return pack_string(step.path) + pack_acls(step.acl) + INT.pack(step.version)


def _encode_create_session(step: CreateSession) -> bytes:
    return INT.pack(step.timeout_ms) + _pack_buffer(step.password)


def _encode_close_session(_step: CloseSession) -> bytes:
    return b""


def _encode_failed(step: Failed) -> bytes:
    return INT.pack(step.code)


def _encode_multi(step: Multi) -> bytes:
    parts = [INT.pack(len(step.changes))]
    for change in step.changes:
        kind, encode_step = _ENCODERS[type(change)]
        parts.append(bytes((kind,)))
        parts.append(encode_step(change))
    return b"".join(parts)


def _decode_change(kind: int, reader: Reader) -> Change:
    if kind == OpCode.CREATE:
        return Create(reader.text(), reader.buffer(), reader.acls(), reader.int64(), reader.int32())
    if kind == OpCode.DELETE:
        return Delete(reader.text())
    if kind == OpCode.SET_DATA:
        return SetData(reader.text(), reader.buffer(), reader.int32())
    if kind == OpCode.SET_ACL:
        return SetACL(reader.text(), reader.acls(), reader.int32())
    raise MarshallingError(f"unknown change {kind}")


def _decode_step(kind: int, reader: Reader) -> Step:
    if kind == OpCode.CREATE_SESSION:
        return CreateSession(reader.int32(), reader.buffer() or b"")
    if kind == OpCode.CLOSE_SESSION:
        return CloseSession()
    if kind == OpCode.ERROR:
        return Failed(reader.int32())
    if kind == OpCode.MULTI:
        return Multi(tuple(_decode_change(reader.take(1)[0], reader) for _ in range(reader.count(1))))
    return _decode_change(kind, reader)


_Encoder = Callable[[object], bytes]


def _encoders() -> dict[type[Step], tuple[int, _Encoder]]:
    table: dict[type[Step], tuple[int, Callable[..., bytes]]] = {
        Create: (OpCode.CREATE, _encode_create),
        Delete: (OpCode.DELETE, _encode_delete),
        SetData: (OpCode.SET_DATA, _encode_set_data),
        SetACL: (OpCode.SET_ACL, _encode_set_acl),
        CreateSession: (OpCode.CREATE_SESSION, _encode_create_session),
        CloseSession: (OpCode.CLOSE_SESSION, _encode_close_session),
        Failed: (OpCode.ERROR, _encode_failed),
        Multi: (OpCode.MULTI, _encode_multi),
    }
    return cast("dict[type[Step], tuple[int, _Encoder]]", table)


_ENCODERS = _encoders()


def encode(transaction: Transaction) -> bytes:
    """The record of a transaction."""
    zxid, time_ms, session_id, step = transaction
    kind, encode_step = _ENCODERS[type(step)]
    return HEADER.pack(zxid, time_ms, session_id, kind) + encode_step(step)


def decode(record: bytes | memoryview) -> Transaction:
    """The transaction of a record; raises MarshallingError for anything that `encode` does not give."""
    if len(record) < HEADER.size:
        raise MarshallingError(f"a transaction of {len(record)} bytes")
    zxid, time_ms, session_id, kind = HEADER.unpack_from(record)
    reader = Reader(record, HEADER.size)
    step = _decode_step(kind, reader)
    if reader.remaining():
        raise MarshallingError(f"{reader.remaining()} bytes behind a transaction")
    return Transaction(zxid, time_ms, session_id, step)
