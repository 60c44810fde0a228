"""Messages of clients as calls of a region: recorded ones, and the corners of each field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from protos.hbase import Client_pb2, Comparator_pb2
from regionserver.client_service.reads import read_get, read_scan
from regionserver.client_service.writes import MutationAsked, read_condition, read_mutation
from regionserver.engine.store import Durability
from regionserver.region.conditions import CompareType
from regionserver.region.mutations import Change, MutationKind
from regionserver.region.scan import ScanRange
from regionserver.region.visible import FOR_EVER_MS, NO_LIMIT, Wanted
from registry.wire.cellblock import LATEST_TIMESTAMP, Cell, KeyType, decode_cells
from registry.wire.errors import DoNotRetryIOException, ProtocolError, UnknownProtocolException
from registry.wire.framing import decode_delimited

VECTORS = Path(__file__).parents[1] / "conformance" / "vectors" / "data-frames-2.6.4.json"
RECORDED = {each["name"]: each for each in json.loads(VECTORS.read_text())["vectors"]}
NONE: Iterator[Cell] = iter(())


def recorded(name: str) -> MutationAsked:
    frame = bytes.fromhex(RECORDED[name]["frame"])
    _, header_stop = decode_delimited(frame, 4)
    start, stop = decode_delimited(frame, header_stop)
    request = Client_pb2.MutateRequest.FromString(frame[start:stop])
    return read_mutation(request.mutation, decode_cells(frame[stop:]))


def mutation(text: bytes = b"r", **fields: object) -> Client_pb2.MutationProto:
    return Client_pb2.MutationProto(row=text, **fields)  # type: ignore[arg-type]


def test_recorded_puts():
    inline, block = recorded("put inline"), recorded("put by cell block")
    assert (inline.mutation.kind, inline.mutation.row) == (MutationKind.PUT, b"a")
    assert inline.mutation.changes == [Change(b"f", b"q", 100, KeyType.PUT, b"v1")]
    assert block.mutation.row == b"b"
    assert block.mutation.changes == [Change(b"f", b"q", 200, KeyType.PUT, b"v2")]
    assert (inline.durability, inline.nonce, inline.returns_results) == (None, 0, True)


def test_durability_nonce_and_results():
    message = mutation(
        mutate_type=Client_pb2.MutationProto.APPEND, durability=Client_pb2.MutationProto.FSYNC_WAL, nonce=7
    )
    message.attribute.add(name="_rr_", value=b"\0")
    asked = read_mutation(message, NONE)
    assert (asked.durability, asked.nonce, asked.returns_results) == (Durability.POWER, 7, False)


def test_a_time_to_live_of_the_cells_of_a_mutation():
    """The attribute of Mutation#setTTL."""
    message = mutation(mutate_type=Client_pb2.MutationProto.PUT)
    column = message.column_value.add(family=b"f")
    column.qualifier_value.add(qualifier=b"q", value=b"v", tags=b"\x00\x02\x40x")
    ttl = message.attribute.add(name="_ttl", value=(1000).to_bytes(8, "big"))
    read = read_mutation(message, NONE).mutation
    assert (read.own_ttl, read.changes[0].tags) == (ttl.value, b"\x00\x02\x40x")
    ttl.value = (1000).to_bytes(8, "big") + b"more"
    assert read_mutation(message, NONE).mutation.own_ttl == (1000).to_bytes(8, "big")
    ttl.value = (2**63 - 1).to_bytes(8, "big")
    assert not read_mutation(message, NONE).mutation.own_ttl
    ttl.value = b"1000"
    with pytest.raises(DoNotRetryIOException, match="exceed the capacity of the array: 4"):
        read_mutation(message, NONE)


def test_deletes_have_tags_in_a_cell_block_alone():
    message = mutation(mutate_type=Client_pb2.MutationProto.DELETE)
    column = message.column_value.add(family=b"f")
    column.qualifier_value.add(qualifier=b"q", delete_type=Client_pb2.MutationProto.DELETE_ONE_VERSION, tags=b"\0\1x")
    assert [change.tags for change in read_mutation(message, NONE).mutation.changes] == [b""]


def test_names_that_are_no_text_and_comparators_that_are_no_message():
    """A string of protobuf's may hold any bytes: what cannot be read is refused as what it is."""
    unknown = Client_pb2.Get.FromString(b"\x0a\x01r\x22\x05\x0a\x03x\xff\xfe")
    with pytest.raises(DoNotRetryIOException, match="ClassNotFoundException"):
        read_get(unknown)
    for stored in (b"", b"\xff", b"\x0a\x7f"):
        message = condition("BinaryComparator")
        message.comparator.serialized_comparator = stored
        with pytest.raises(DoNotRetryIOException, match="DeserializationException: "):
            read_condition(message)


def test_times_of_puts_and_deletes():
    """A put's cell without a time has the mutation's; a delete's has none: it is of the latest version."""
    message = mutation(mutate_type=Client_pb2.MutationProto.PUT, timestamp=5)
    values = message.column_value.add(family=b"f").qualifier_value
    values.add(qualifier=b"a", value=b"", timestamp=9)
    values.add(value=b"x")
    assert [(each.qualifier, each.timestamp_ms) for each in read_mutation(message, NONE).mutation.changes] == [
        (b"a", 9), (b"", 5),
    ]  # fmt: skip
    message.mutate_type = Client_pb2.MutationProto.DELETE
    found = read_mutation(message, NONE).mutation
    assert [(each.timestamp_ms, each.key_type) for each in found.changes] == [(9, 8), (LATEST_TIMESTAMP, 8)]
    assert found.timestamp_ms == 5


def test_times_of_what_is_added():
    """A cell's own counts; the mutation's does not."""
    for kind in (Client_pb2.MutationProto.INCREMENT, Client_pb2.MutationProto.APPEND):
        message = mutation(mutate_type=kind, timestamp=5)
        values = message.column_value.add(family=b"f").qualifier_value
        values.add(qualifier=b"a", value=b"", timestamp=9)
        values.add(qualifier=b"b", value=b"")
        found = read_mutation(message, NONE).mutation
        assert [each.timestamp_ms for each in found.changes] == [9, LATEST_TIMESTAMP]


def test_a_delete_of_a_family_has_no_qualifier():
    message = mutation(mutate_type=Client_pb2.MutationProto.DELETE)
    values = message.column_value.add(family=b"f").qualifier_value
    for kind in (1, 2, 3):
        values.add(qualifier=b"q", delete_type=kind, timestamp=4)
    assert [(each.qualifier, each.key_type) for each in read_mutation(message, NONE).mutation.changes] == [
        (b"", 14), (b"", 10),
    ]  # fmt: skip


def test_a_delete_of_a_family_takes_back_what_came_before_it():
    """Of that family; so does Java's Delete, which a real server makes of the message."""
    message = mutation(mutate_type=Client_pb2.MutationProto.DELETE)
    for family in (b"g", b"f"):
        values = message.column_value.add(family=family).qualifier_value
        for kind in (1, 2, 3) if family == b"f" else (1, 0):
            values.add(qualifier=b"q", delete_type=kind, timestamp=4)
    assert [(each.family, each.key_type) for each in read_mutation(message, NONE).mutation.changes] == [
        (b"g", 12), (b"g", 8), (b"f", 14), (b"f", 10),
    ]  # fmt: skip


def test_a_delete_of_a_whole_row_stays_in_the_message():
    found = read_mutation(mutation(mutate_type=Client_pb2.MutationProto.DELETE), NONE).mutation
    assert (found.changes, found.timestamp_ms) == ([], LATEST_TIMESTAMP)


def test_cells_are_taken_as_counted_and_no_more():
    cells = iter([Cell(b"r", b"f", b"q", 3, KeyType.DELETE_COLUMN, b""), Cell(b"other", b"f", b"q", 3, 4, b"")])
    message = Client_pb2.MutationProto(mutate_type=Client_pb2.MutationProto.DELETE, associated_cell_count=1)
    assert read_mutation(message, cells).mutation.row == b"r"
    assert next(cells).row == b"other"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (Cell(b"other", b"f", b"q", 3, KeyType.PUT, b""), "another row"),
        (Cell(b"r", b"f", b"q", 3, KeyType.DELETE, b""), "type 8 in a mutation of type PUT"),
        (Cell(b"r", b"f", b"q", 3, KeyType.MAXIMUM, b""), "type 255"),
    ],
)
def test_cells_that_do_not_belong(cell: Cell, said: str):
    message = mutation(mutate_type=Client_pb2.MutationProto.PUT, associated_cell_count=1)
    with pytest.raises(DoNotRetryIOException, match=said):
        read_mutation(message, iter([cell]))


def test_fewer_cells_than_counted():
    message = mutation(mutate_type=Client_pb2.MutationProto.PUT, associated_cell_count=2**31 - 1)
    with pytest.raises(ProtocolError, match="2147483647 cells are counted, 0 are there"):
        read_mutation(message, NONE)


def test_mutations_that_are_none():
    put = mutation(mutate_type=Client_pb2.MutationProto.PUT)
    put.column_value.add(family=b"f").qualifier_value.add(qualifier=b"q")
    marker = mutation(mutate_type=Client_pb2.MutationProto.PUT)
    marker.column_value.add(family=b"f").qualifier_value.add(
        qualifier=b"q", value=b"", delete_type=Client_pb2.MutationProto.DELETE_MULTIPLE_VERSIONS
    )
    refused = {
        "Missing required field: qualifier value": put,
        "a cell of type 12 in a mutation of type PUT": marker,
        "without a type": mutation(),
        "1 to 32767 bytes, this one 0": mutation(b"", mutate_type=Client_pb2.MutationProto.PUT),
        "this one 40000": mutation(bytes(40_000), mutate_type=Client_pb2.MutationProto.PUT),
        "Timestamp cannot be negative. ts=-1": mutation(mutate_type=Client_pb2.MutationProto.PUT, timestamp=2**64 - 1),
    }
    for said, message in refused.items():
        with pytest.raises(DoNotRetryIOException) as raised:
            read_mutation(message, NONE)
        assert said in raised.value.message


# --- conditions -------------------------------------------------------------------------------------------------------


def condition(name: str, value: bytes = b"") -> Client_pb2.Condition:
    message = Client_pb2.Condition(row=b"r", family=b"f", qualifier=b"q", compare_type="LESS")
    message.comparator.name = "org.apache.hadoop.hbase.filter." + name
    message.comparator.serialized_comparator = Comparator_pb2.BinaryComparator(
        comparable=Comparator_pb2.ByteArrayComparable(value=value)
    ).SerializeToString()
    return message


def test_conditions():
    found = read_condition(condition("BinaryComparator", b"v"))
    assert (found.compare, found.expected, found.wanted) == (CompareType.LESS, b"v", Wanted((b"q",)))
    assert not read_condition(condition("NullComparator")).expected
    assert read_condition(condition("BinaryPrefixComparator", b"v")).expected == b"v"
    with pytest.raises(DoNotRetryIOException, match=r"ClassNotFoundException: .*hbase.filter.Nothing"):
        read_condition(condition("Nothing"))


# --- reads ------------------------------------------------------------------------------------------------------------


def test_columns_of_a_get():
    message = Client_pb2.Get(row=b"r", max_versions=3)
    assert read_get(message).wanted([b"a", b"b"]) == {b"a": Wanted(None, 3), b"b": Wanted(None, 3)}
    message.column.add(family=b"b", qualifier=[b"z", b"", b"z"])
    message.column.add(family=b"nope")
    message.cf_time_range.add(column_family=b"b").time_range.to = 9
    wanted = read_get(message).wanted([b"a", b"b"])
    assert wanted == {b"b": Wanted((b"", b"z"), 3, 0, 9), b"nope": Wanted(None, 3)}


def test_a_family_that_comes_again():
    """Columns are added to those before; without columns all of it is asked for, until columns come again."""
    message = Client_pb2.Get(row=b"r")
    wanted: list[tuple[bytes, ...] | None] = []
    for qualifiers in ([b"b"], [b"a"], [], [b"c"]):
        message.column.add(family=b"f", qualifier=qualifiers)
        wanted.append(read_get(message).wanted([b"f"])[b"f"].columns)
    assert wanted == [(b"b",), (b"a", b"b"), None, (b"c",)]


def test_time_ranges():
    message = Client_pb2.Get(row=b"r")
    message.time_range.SetInParent()  # gohbase sends an empty one always
    assert read_get(message).wanted([b"f"]) == {}, "the newest of all"
    message.max_versions = 2
    assert read_get(message).wanted([b"f"]) == {b"f": Wanted(None, 2, 0, FOR_EVER_MS)}
    message.time_range.to = 2**63 - 1
    assert read_get(message).wanted([b"f"]) == {b"f": Wanted(None, 2, 0, FOR_EVER_MS)}
    message.time_range.to = 2**64 - 1
    with pytest.raises(DoNotRetryIOException, match="cannot be negative"):
        read_get(message)


def test_what_old_clients_ask_and_nobody_answers():
    with pytest.raises(UnknownProtocolException, match=r"Is this a pre-hbase-1\.0\.0 or asynchbase client\?"):
        read_get(Client_pb2.Get(row=b"r", closest_row_before=True))


def test_filters_are_refused_by_name():
    message = Client_pb2.Scan()
    message.filter.name = "no.such.Filter"
    with pytest.raises(DoNotRetryIOException, match=r"java\.lang\.ClassNotFoundException: no\.such\.Filter"):
        read_scan(message)


def test_a_scan_from_a_row_to_itself():
    """Without a word about the stop row it is a Get, as Java's clients before 2.0 meant it."""
    same = Client_pb2.Scan(start_row=b"r", stop_row=b"r")
    assert read_scan(same).rows == ScanRange(b"r", b"r", True, True)
    same.include_stop_row = False
    assert read_scan(same).rows == ScanRange(b"r", b"r", True, False)
    assert read_scan(Client_pb2.Scan()).rows == ScanRange()
    assert read_scan(Client_pb2.Scan(stop_row=b"s", reversed=True)).rows == ScanRange(b"", b"s", reverse=True)


def test_the_shape_of_a_scan():
    found = read_scan(Client_pb2.Scan(batch_size=2, store_limit=3, store_offset=4, max_result_size=2**63 - 1))
    every = found.asked.every
    assert (found.batch, every.cells_max, every.cells_skipped) == (2, 3, 4)
    assert found.bytes_max == NO_LIMIT
    assert read_scan(Client_pb2.Scan(store_limit=0, store_offset=1)).asked.every.cells_max == 1


def test_raw_scans():
    message = Client_pb2.Scan(max_versions=2**31 - 1)
    message.attribute.add(name="_raw_", value=b"\xff")
    assert read_scan(message).asked.every.raw
    message.column.add(family=b"f")
    assert read_scan(message).asked.every.raw
    message.column[0].qualifier.append(b"q")
    with pytest.raises(DoNotRetryIOException, match="any column for a raw scan"):
        read_scan(message)


def test_the_newest_of_a_family_is_asked_for_in_one_word():
    message = Client_pb2.Get(row=b"r")
    assert read_get(message).wanted([b"f", b"g"]) == {}
    message.column.add(family=b"f")
    assert read_get(message).wanted([b"f", b"g"]) == {b"f": Wanted()}
    message.column.add(family=b"g")
    assert read_get(message).wanted([b"f", b"g"]) == {b"f": Wanted(), b"g": Wanted()}
    del message.column[1]
    message.max_versions = 2
    assert read_get(message).wanted([b"f", b"g"]) == {b"f": Wanted(versions_max=2)}
