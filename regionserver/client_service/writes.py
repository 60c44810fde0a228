"""What a MutationProto and its cells ask of a region, and the condition before them.

A mutation's cells are in the message (`column_value`) or, counted, in the cell block: then they carry row, type and
time themselves.

Source: ProtobufUtil#toPut, #toDelete, #toDelta, RSRpcServices#mutate; MutationProto in Client.proto.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.reads import FALSE, read_range
from regionserver.engine.store import Durability
from regionserver.filters.comparators import CompareType
from regionserver.filters.envelopes import parse_comparator
from regionserver.filters.filter import Filter
from regionserver.filters.parsing import parse_filter
from regionserver.region.conditions import Condition
from regionserver.region.filtered_reads import filter_condition
from regionserver.region.mutations import Change, Mutation, MutationKind
from registry.wire.cellblock import LATEST_TIMESTAMP, ROW_BYTES_MAX, Cell, KeyType
from registry.wire.errors import DoNotRetryIOException, ProtocolError

RETURN_RESULTS, TTL = "_rr_", "_ttl"
TTL_BYTES = 8
TTL_NONE = b"\x7f" + 7 * b"\xff"
"""Java's Long.MAX_VALUE."""

DURABILITIES: Mapping[int, Durability | None] = {
    Client_pb2.MutationProto.USE_DEFAULT: None,
    Client_pb2.MutationProto.SKIP_WAL: Durability.MEMORY,
    Client_pb2.MutationProto.ASYNC_WAL: Durability.LATER,
    Client_pb2.MutationProto.SYNC_WAL: Durability.PROCESS,
    Client_pb2.MutationProto.FSYNC_WAL: Durability.POWER,
}
_DELETES: Mapping[int, KeyType] = {
    Client_pb2.MutationProto.DELETE_ONE_VERSION: KeyType.DELETE,
    Client_pb2.MutationProto.DELETE_MULTIPLE_VERSIONS: KeyType.DELETE_COLUMN,
    Client_pb2.MutationProto.DELETE_FAMILY: KeyType.DELETE_FAMILY,
    Client_pb2.MutationProto.DELETE_FAMILY_VERSION: KeyType.DELETE_FAMILY_VERSION,
}
_DELETE_TYPES = frozenset(_DELETES.values())
_OF_FAMILIES = frozenset({KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION})


@dataclass(frozen=True, slots=True)
class MutationAsked:
    """A mutation and what goes with it."""

    mutation: Mutation
    durability: Durability | None
    """None: as the table says."""
    nonce: int
    returns_results: bool
    attributes: Sequence[HBase_pb2.NameBytesPair] = ()


def read_mutation(message: Client_pb2.MutationProto, cells: Iterator[Cell]) -> MutationAsked:
    """Takes as many of `cells` as the message counts. Raises DoNotRetryIOException, ProtocolError."""
    if not message.HasField("mutate_type"):
        raise DoNotRetryIOException("a mutation without a type")
    kind = MutationKind(message.mutate_type)
    if message.associated_cell_count > 0:
        row, changes = _from_cells(message, kind, cells)
    else:
        row, changes = message.row, list(_from_columns(message, kind))
        if kind is MutationKind.DELETE:
            changes = _without_covered(changes)
    if not row or len(row) > ROW_BYTES_MAX:
        raise DoNotRetryIOException(f"a row has 1 to {ROW_BYTES_MAX} bytes, this one {len(row)}")
    from_ms, to_ms = read_range(message.time_range)
    own_ttl = b""
    for attribute in message.attribute:
        if attribute.name == TTL:
            own_ttl = _own_ttl(attribute.value)
    return MutationAsked(
        Mutation(kind, row, changes, from_ms, to_ms, _time(message.timestamp, message.HasField("timestamp")), own_ttl),
        DURABILITIES[message.durability],
        message.nonce,
        not any(each.name == RETURN_RESULTS and each.value == FALSE for each in message.attribute),
        message.attribute,
    )


def _from_cells(
    message: Client_pb2.MutationProto, kind: MutationKind, cells: Iterator[Cell]
) -> tuple[bytes, list[Change]]:
    row = message.row
    changes: list[Change] = []
    for number in range(message.associated_cell_count):
        cell = next(cells, None)
        if cell is None:
            raise ProtocolError(f"{message.associated_cell_count} cells are counted, {number} are there", kind="cell")
        row = row or cell.row
        if cell.row != row:
            raise DoNotRetryIOException("a cell of another row than its mutation's")
        _check_type(kind, cell.key_type)
        changes.append(Change(cell.family, cell.qualifier, cell.timestamp_ms, cell.key_type, cell.value, cell.tags))
    return row, changes


def _from_columns(message: Client_pb2.MutationProto, kind: MutationKind) -> Iterator[Change]:
    of_all = _time(message.timestamp, kind is MutationKind.PUT and message.HasField("timestamp"))
    for column in message.column_value:
        for each in column.qualifier_value:
            timestamp_ms = _time(each.timestamp, present=True) if each.HasField("timestamp") else of_all
            if kind is MutationKind.DELETE:
                key_type = _DELETES[each.delete_type]
                qualifier = b"" if key_type in _OF_FAMILIES else each.qualifier
                yield Change(column.family, qualifier, timestamp_ms, key_type)
            elif not each.HasField("value"):
                raise DoNotRetryIOException("Missing required field: qualifier value")
            else:
                if kind is MutationKind.PUT and each.HasField("delete_type"):
                    _check_type(kind, _DELETES[each.delete_type])  # a marker, whatever value comes with it
                yield Change(column.family, each.qualifier, timestamp_ms, KeyType.PUT, each.value, each.tags)


def _without_covered(changes: list[Change]) -> list[Change]:
    """As Delete#addFamily: to delete a family takes back what was to be deleted of it before, in this message."""
    kept: list[Change] = []
    for change in changes:
        if change.key_type == KeyType.DELETE_FAMILY:
            kept = [each for each in kept if each.family != change.family]
        kept.append(change)
    return kept


def _own_ttl(value: bytes) -> bytes:
    """As Bytes#toLong reads the first eight bytes; the greatest number is none. Raises DoNotRetryIOException."""
    if len(value) < TTL_BYTES:
        raise DoNotRetryIOException(f"offset (0) + length ({TTL_BYTES}) exceed the capacity of the array: {len(value)}")
    return b"" if value[:TTL_BYTES] == TTL_NONE else value[:TTL_BYTES]


def _check_type(kind: MutationKind, key_type: int) -> None:
    fits = key_type in _DELETE_TYPES if kind is MutationKind.DELETE else key_type == KeyType.PUT
    if not fits:
        raise DoNotRetryIOException(f"a cell of type {key_type} in a mutation of type {kind.name}")


def _time(timestamp: int, present: bool) -> int:
    """Java's long: what is above it was a negative number, and no time."""
    if not present:
        return LATEST_TIMESTAMP
    if timestamp > LATEST_TIMESTAMP:
        raise DoNotRetryIOException(f"Timestamp cannot be negative. ts={timestamp - (1 << 64)}")
    return timestamp


def read_condition(message: Client_pb2.Condition) -> Condition:
    """With a value, or with a filter. Raises DoNotRetryIOException.

    Whatever class the comparator is of, values are compared by their bytes: of it a real server takes the value alone.
    """
    from_ms, to_ms = read_range(message.time_range)
    if message.HasField("filter"):
        parsed = [parse_filter(message.filter, random.random)]

        def made() -> Filter:  # it is judged again only for a nonce that comes again
            return parsed.pop() if parsed else parse_filter(message.filter, random.random)

        return filter_condition(message.row, made, from_ms, to_ms)
    expected = parse_comparator(message.comparator).value
    compare = CompareType(message.compare_type)
    return Condition(message.row, message.family, message.qualifier, compare, expected, from_ms, to_ms)
