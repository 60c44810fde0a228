"""Calls of a history, as they are made of mutations; rows in them lack the prefix of the history."""

from __future__ import annotations

import time

from protos.hbase import Client_pb2, Comparator_pb2, HBase_pb2
from registry.wire.cellblock import LATEST_TIMESTAMP, Cell, KeyType
from tests.support.history_player import Call

FILTERS = "org.apache.hadoop.hbase.filter."
NONCE_GROUP = time.time_ns()
"""Of this process, as a client has one."""
NO_REGION = HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=b"-")
DELTAS = (Client_pb2.MutationProto.INCREMENT, Client_pb2.MutationProto.APPEND)
DELETES = {
    Client_pb2.MutationProto.DELETE_ONE_VERSION: KeyType.DELETE,
    Client_pb2.MutationProto.DELETE_MULTIPLE_VERSIONS: KeyType.DELETE_COLUMN,
    Client_pb2.MutationProto.DELETE_FAMILY: KeyType.DELETE_FAMILY,
    Client_pb2.MutationProto.DELETE_FAMILY_VERSION: KeyType.DELETE_FAMILY_VERSION,
}
FAMILY_DELETES = (Client_pb2.MutationProto.DELETE_FAMILY, Client_pb2.MutationProto.DELETE_FAMILY_VERSION)


def mutate_call(message: Client_pb2.MutationProto, by_cells: bool, tags: bytes | None = None) -> Call:
    """Its cells inside of the message, or behind it."""
    request = Client_pb2.MutateRequest(region=NO_REGION, mutation=message, nonce_group=NONCE_GROUP)
    if not by_cells or not message.column_value:
        return Call("Mutate", request)
    cells = tuple(cell._replace(tags=tags or b"") for cell in cells_of(message))
    del request.mutation.column_value[:]
    request.mutation.associated_cell_count = len(cells)
    return Call("Mutate", request, cells, with_tags=tags is not None)


def cells_of(message: Client_pb2.MutationProto) -> tuple[Cell, ...]:
    """Those that the message has inside."""
    deletes = message.mutate_type == Client_pb2.MutationProto.DELETE
    made: list[Cell] = []
    for column in message.column_value:
        for one in column.qualifier_value:
            key_type = DELETES[one.delete_type] if deletes else KeyType.PUT
            qualifier = b"" if key_type in (KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION) else one.qualifier
            timestamp_ms = one.timestamp if one.HasField("timestamp") else LATEST_TIMESTAMP
            value = b"" if deletes else one.value
            made.append(Cell(message.row, column.family, qualifier, timestamp_ms, key_type, value))
    return tuple(made)


def condition_of(
    row: bytes, family: bytes, qualifier: bytes, expected: bytes | None, compare: int
) -> Client_pb2.Condition:
    """None: there is no such column, or it is empty."""
    message = Client_pb2.Condition(row=row, family=family, qualifier=qualifier, compare_type=compare)  # type: ignore[arg-type]
    if expected is None:
        message.comparator.name = FILTERS + "NullComparator"
    else:
        message.comparator.name = FILTERS + "BinaryComparator"
        comparable = Comparator_pb2.ByteArrayComparable(value=expected)
        message.comparator.serialized_comparator = Comparator_pb2.BinaryComparator(
            comparable=comparable
        ).SerializeToString()
    return message


def multi_call(actions: list[Client_pb2.MutationProto | Client_pb2.Get]) -> Call:
    """Actions one by one, each of another row."""
    request = Client_pb2.MultiRequest(nonceGroup=NONCE_GROUP)
    part = request.regionAction.add(region=NO_REGION)
    rows: set[bytes] = set()
    for index, each in enumerate(actions):
        if each.row in rows:
            continue  # a real server does puts after everything else
        rows.add(each.row)
        if isinstance(each, Client_pb2.Get):
            part.action.add(index=index, get=each)
        else:
            part.action.add(index=index, mutation=each)
    return Call("Multi", request)


def atomic_call(
    mutations: list[Client_pb2.MutationProto], row: bytes, condition: tuple[bytes, bytes, bytes | None, int] | None
) -> Call:
    """Changes of one row, all or none."""
    for mutation in mutations:  # behind a put of its time in the same change HBase 2.6.4 shows the put all the same
        if mutation.mutate_type == Client_pb2.MutationProto.INCREMENT:
            for column in mutation.column_value:
                for one in column.qualifier_value:
                    one.ClearField("timestamp")
    request = Client_pb2.MultiRequest(nonceGroup=NONCE_GROUP)
    part = request.regionAction.add(region=NO_REGION, atomic=True)
    nonce = next((each.nonce for each in mutations if each.nonce), 0)  # one operation has one
    # Of one that comes again HBase adds nothing, but writes and deletes again what else is in it; here nothing is.
    is_known_again = all(each.mutate_type in DELTAS for each in mutations)
    for index, each in enumerate(mutations):
        mutation = part.action.add(index=index, mutation=each).mutation
        mutation.row = row
        if each.HasField("nonce"):
            mutation.nonce = nonce
            if not is_known_again:
                mutation.ClearField("nonce")
    if condition is not None:
        part.condition.CopyFrom(condition_of(row, *condition))
        for action in part.action:
            _with_time_of_family_versions(action.mutation)
    return Call("Multi", request)


def _with_time_of_family_versions(mutation: Client_pb2.MutationProto) -> None:
    """Under a condition HBase 2.6.4 looks at its clock for puts, and once more for deletes: in the next millisecond the
    marker of that very time hides none of them."""
    if mutation.mutate_type == Client_pb2.MutationProto.DELETE:
        for column in mutation.column_value:
            for one in column.qualifier_value:
                if one.delete_type == Client_pb2.MutationProto.DELETE_FAMILY_VERSION and not one.HasField("timestamp"):
                    one.timestamp = 5
