"""Operations as messages. Pure.

A mutation is encoded in one of two ways: with its cells inside the message (a call of its own), or with the cells in
the block behind the request and only their number inside (many at once), as Java's clients do.

Source: RequestConverter, ProtobufUtil#toMutation, #toMutationNoData, #toGet; Client.proto.
"""

from __future__ import annotations

import functools
import struct
from typing import TypeAlias

from protos.hbase import Client_pb2, Filter_pb2, HBase_pb2
from registry.client.data.cells import STAMP_TYPE, Column, cells_of, cells_of_values, names_of
from registry.client.data.names import (
    REMEMBERED_MAX,
    Columns,
    column,
    column_or_family,
    columns,
    row_key,
    to_bytes,
)
from registry.client.data.operations import (
    INT64_MAX,
    VERSIONS_MAX,
    AnyFilter,
    Append,
    Delete,
    Durability,
    Get,
    Increment,
    Mutation,
    Put,
    TimeRange,
    is_whole,
)
from registry.wire.cellblock import LATEST_TIMESTAMP, KeyType
from registry.wire.framing import delimited, encode_varint

_LONG = struct.Struct(">q")
_Proto = Client_pb2.MutationProto
_ColumnValue = _Proto.ColumnValue
_QualifierValue = _ColumnValue.QualifierValue

_Change: TypeAlias = tuple[Column, int, bytes]
"""What a mutation does to one column: key type and value."""

TAG_MUTATION = b"\x12"
"""Of an Action."""
_TAG_ROW = b"\x0a"

TTL_ATTRIBUTE = "_ttl"
"""Milliseconds, eight bytes big-endian."""

PUT, DELETE_ONE, DELETE_FAMILY_VERSION = int(KeyType.PUT), int(KeyType.DELETE), int(KeyType.DELETE_FAMILY_VERSION)
DELETE_COLUMN, DELETE_FAMILY = int(KeyType.DELETE_COLUMN), int(KeyType.DELETE_FAMILY)
_LATEST_PUT = STAMP_TYPE.pack(LATEST_TIMESTAMP, PUT)
_DURABILITIES = {
    Durability.SKIP_WAL: _Proto.SKIP_WAL,
    Durability.ASYNC_WAL: _Proto.ASYNC_WAL,
    Durability.SYNC_WAL: _Proto.SYNC_WAL,
    Durability.FSYNC_WAL: _Proto.FSYNC_WAL,
}
_TIMED = (Put, Delete)
_INLINE_DELETES = {
    DELETE_ONE: _Proto.DELETE_ONE_VERSION,
    DELETE_COLUMN: _Proto.DELETE_MULTIPLE_VERSIONS,
    DELETE_FAMILY: _Proto.DELETE_FAMILY,
    DELETE_FAMILY_VERSION: _Proto.DELETE_FAMILY_VERSION,
}


def filter_message(wanted: AnyFilter) -> Filter_pb2.Filter:
    """The filter as servers take it. Raises FilterSyntaxError (a ValueError) for text that is none."""
    if isinstance(wanted, Filter_pb2.Filter):
        return wanted
    if isinstance(wanted, str | bytes):
        from registry.client.filter_language import parse_filter_string  # who needs none does not load all filters

        return parse_filter_string(wanted)
    return wanted.to_proto()


def time_range_message(wanted: TimeRange) -> HBase_pb2.TimeRange:
    """[from, to) in ms. Raises ValueError where it holds nothing by its very bounds."""
    begin = wanted[0] if wanted[0] is not None else 0
    end = wanted[1] if wanted[1] is not None else INT64_MAX
    if not is_whole(begin) or not is_whole(end, begin):
        raise ValueError(f"a time range from {begin!r} to {end!r}")
    message = HBase_pb2.TimeRange(to=end)
    setattr(message, "from", begin)
    return message


def get_message(get: Get) -> Client_pb2.Get:
    """A Get. Raises ValueError."""
    message = Client_pb2.Get(row=row_key(get.row))
    add_columns(message, columns(get.columns))
    if get.versions != 1:
        message.max_versions = versions_wanted(get.versions)
    if get.time_range is not None:
        message.time_range.CopyFrom(time_range_message(get.time_range))
    if get.filter is not None:
        message.filter.CopyFrom(filter_message(get.filter))
    if not get.cache_blocks:
        message.cache_blocks = False
    return message


def add_columns(message: Client_pb2.Get | Client_pb2.Scan, wanted: Columns) -> None:
    """Have a reading message name them."""
    for family, qualifiers in wanted:
        message.column.add(family=family, qualifier=qualifiers)


def versions_wanted(versions: int) -> int:
    """The number as messages have it. Raises ValueError."""
    if versions < 1:
        raise ValueError(f"versions={versions}: at least one is read")
    return min(versions, VERSIONS_MAX)


def mutation_message(mutation: Mutation, nonce: int = 0) -> Client_pb2.MutationProto:
    """A mutation with its cells inside. Raises ValueError."""
    message = _bare(mutation, nonce)
    is_delete = isinstance(mutation, Delete)
    own = mutation.timestamp if isinstance(mutation, _TIMED) else None
    if own is not None:
        message.timestamp = _timestamp(own)
    for (family, qualifier), key_type, value in _changes(mutation):
        if is_delete:
            found = _QualifierValue(qualifier=qualifier, delete_type=_INLINE_DELETES[key_type])
        else:
            found = _QualifierValue(qualifier=qualifier, value=value)
        if own is not None:
            found.timestamp = own
        message.column_value.append(_ColumnValue(family=family, qualifier_value=(found,)))
    return message


def counted_mutation(mutation: Mutation, nonce: int = 0) -> tuple[Client_pb2.MutationProto, bytes]:
    """A mutation whose cells are beside it, and those. A whole row is deleted without a cell. Raises ValueError."""
    message = _bare(mutation, nonce)
    own = mutation.timestamp if isinstance(mutation, _TIMED) else None
    at = LATEST_TIMESTAMP if own is None else _timestamp(own)
    changes = _changes(mutation)
    if changes:
        message.associated_cell_count = len(changes)
    elif own is not None:
        message.timestamp = at
    written = [(names_of(name), STAMP_TYPE.pack(at, key_type), value) for name, key_type, value in changes]
    return message, cells_of(message.row, written)


def put_action(put: Put) -> tuple[bytes, bytes, bytes]:
    """Row, field 2 of an Action, and the cells of a Put, as `counted_mutation` has them; without a message of its own.

    Raises ValueError.
    """
    row = row_key(put.row)
    if put.ttl_ms is not None:
        message, block = counted_mutation(put)
        return row, TAG_MUTATION + delimited(message.SerializeToString()), block
    own = put.timestamp
    block = cells_of_values(row, put.values, _LATEST_PUT if own is None else STAMP_TYPE.pack(_timestamp(own), PUT))
    before, behind = _around_row(len(row), len(put.values), put.durability)
    return row, before + row + behind, block


@functools.lru_cache(maxsize=REMEMBERED_MAX)
def _around_row(row_bytes: int, cells_count: int, durability: Durability) -> tuple[bytes, bytes]:
    """A Put's message but for its row, which is the first field: of most puts the rest is the same."""
    others = _Proto(mutate_type=_Proto.PUT, associated_cell_count=cells_count)
    if durability:
        others.durability = _DURABILITIES[durability]
    before, behind = _TAG_ROW + encode_varint(row_bytes), others.SerializeToString()
    return TAG_MUTATION + encode_varint(len(before) + row_bytes + len(behind)) + before, behind


def _bare(mutation: Mutation, nonce: int) -> Client_pb2.MutationProto:
    """Everything but the cells."""
    message = _Proto(row=row_key(mutation.row), mutate_type=_KINDS[type(mutation)])
    if mutation.durability:
        message.durability = _DURABILITIES[mutation.durability]
    if mutation.ttl_ms is not None:
        if not is_whole(mutation.ttl_ms, 1):
            raise ValueError(f"ttl_ms={mutation.ttl_ms!r}: cells live for a millisecond at least")
        message.attribute.add(name=TTL_ATTRIBUTE, value=_LONG.pack(mutation.ttl_ms))
    if isinstance(mutation, Increment) and mutation.time_range is not None:
        message.time_range.CopyFrom(time_range_message(mutation.time_range))
    if nonce:
        message.nonce = nonce
    return message


_KINDS = {Put: _Proto.PUT, Delete: _Proto.DELETE, Increment: _Proto.INCREMENT, Append: _Proto.APPEND}


def _changes(mutation: Mutation) -> list[_Change]:
    if isinstance(mutation, Delete):
        found = [_deletion(mutation, *column_or_family(name)) for name in mutation.columns or ()]
        if mutation.columns is not None and not found:
            raise ValueError(f"no columns of row {mutation.row!r} to delete: None is the whole row")
        return found
    if isinstance(mutation, Increment):
        return [(column(name), PUT, _LONG.pack(amount)) for name, amount in mutation.amounts.items()]
    return [(column(name), PUT, to_bytes(value)) for name, value in mutation.values.items()]


def _deletion(delete: Delete, family: bytes, qualifier: bytes | None) -> _Change:
    every = delete.versions == "all"
    if qualifier is not None:
        return (family, qualifier), DELETE_COLUMN if every else DELETE_ONE, b""
    if not every and delete.timestamp is None:
        raise ValueError(f"family {family!r} has no latest version: name the columns, or the timestamp")
    return (family, b""), DELETE_FAMILY if every else DELETE_FAMILY_VERSION, b""


def _timestamp(timestamp: int) -> int:
    if not is_whole(timestamp):
        raise ValueError(f"{timestamp!r} is no timestamp: a whole number of ms is meant")
    return timestamp
