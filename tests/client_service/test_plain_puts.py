"""Puts with their cells in the message, as they are written at once, beside the same puts read as mutations."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import event, given, settings
from hypothesis import strategies as st

from protos.hbase import Client_pb2
from regionserver.client_service.message_shapes import SHAPED_MIN, MessageShapes
from regionserver.client_service.quick_puts import quick_put
from regionserver.client_service.results import CellForm
from regionserver.client_service.rows import as_hbase
from regionserver.client_service.writes import read_mutation
from regionserver.engine.store import StoreError
from regionserver.region.plain_puts import PlainPut
from regionserver.region.rules import TableRules
from regionserver.region.shapes import Shaped
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import LATEST_TIMESTAMP
from registry.wire.errors import HBaseError, ProtocolError
from tests.support.one_server import OneServer, check_same
from tests.support.seeds import examples

FAMILIES = {b"f": FamilyRules(), b"g": FamilyRules(2)}
FORM = CellForm.BLOCK
MutationProto = Client_pb2.MutationProto


class Both:
    """Each put on two sides, one of which reads all of them as mutations."""

    def __init__(self, rules: TableRules | None = None) -> None:
        rules = rules or TableRules(cell_bytes_max=300)
        self.quick, self.slow = OneServer(FAMILIES, rules), OneServer(FAMILIES, rules)
        self.plain_count = 0

    def put(self, message: MutationProto, now_ms: int) -> None:
        self.plain_count += quick_put(message, iter(()), now_ms) is not None
        request = Client_pb2.MutateRequest(mutation=message)
        self.quick.rows.mutate(request, iter(()), FORM, now_ms, self.quick.tell)
        slow = self.slow
        try:
            slow.rows.apply(slow.region, read_mutation(message, iter(())), 0, None, FORM, now_ms, slow.tell)
        except (HBaseError, StoreError, ProtocolError) as error:
            slow.tell(as_hbase(error))
        check_same(self.quick, slow)


def put(row: bytes, *columns: tuple[bytes, dict[bytes, bytes]], **fields: object) -> MutationProto:
    made = MutationProto(row=row, mutate_type=MutationProto.PUT, **fields)  # type: ignore[arg-type]
    for family, values in columns:
        column = made.column_value.add(family=family)
        for qualifier, value in values.items():
            column.qualifier_value.add(qualifier=qualifier, value=value)
    return made


def test_puts_of_java_clients_are_plain():
    both = Both()
    row = {b"field%d" % number: b"value" for number in range(10)}
    both.put(put(b"row", (b"f", row), timestamp=LATEST_TIMESTAMP, durability=MutationProto.SYNC_WAL), 100)
    for number in range(50):
        both.put(put(b"row", (b"f", {b"field%d" % (number % 10): b"%d" % number}), timestamp=LATEST_TIMESTAMP), number)
    assert both.plain_count == 51


def test_new_rows_of_any_size():
    both = Both(TableRules())
    for number, value_bytes in enumerate((0, 1_500, 1_590, 1_600, 1_610, 20_000)):
        both.put(put(b"row%d" % number, (b"f", {b"q%d" % each: bytes(value_bytes) for each in range(10)})), 100)
    assert both.plain_count == 6


@pytest.mark.parametrize(
    "message",
    [
        put(b"aaa", (b"f", {b"q": b"v"})),
        put(b"zzz", (b"f", {b"q": b"v"})),
        put(b"", (b"f", {b"q": b"v"})),
        put(b"r" * 40_000, (b"f", {b"q": b"v"})),
        put(b"row", (b"unknown", {b"q": b"v"})),
        put(b"row", (b"x" * 300, {b"q": b"v"})),
        put(b"row", (b"f", {b"q": b"v"}), (b"g", {b"q": b"v"})),
        put(b"row", (b"f", {b"q": b"v" * 300})),
        put(b"row", (b"f", {b"a": b"v", b"q": b"v" * 300, b"r": b"v" * 400})),
        put(b"row", (b"f", {b"q2": b"v", b"q1": b"v"})),
        put(b"row", (b"f", {})),
        put(b"row"),
        put(b"row", (b"f", {b"q": b"v"}), timestamp=LATEST_TIMESTAMP + 1),
        put(b"row", (b"f", {b"q": b"v"}), timestamp=7),
        put(b"row", (b"f", {b"q": b"v"}), attribute=[{"name": "_ttl", "value": bytes(8)}]),
    ],
)
def test_what_is_odd_or_refused(message: MutationProto):
    both = Both()
    both.put(put(b"row", (b"f", {b"q": b"before"})), 90)
    both.put(message, 100)
    for each in message.column_value:
        for value in each.qualifier_value:
            value.tags = b"\0\2\1v"
    both.put(message, 101)


@pytest.mark.parametrize("count", [1, 6])
def test_a_marker_is_no_value(count: int):
    """Java's Put#add takes one, and sends it so where there is no cell block."""
    both = Both()
    for now_ms in range(100, 105):  # a shape is learned
        both.put(put(b"row", (b"f", {b"q%d" % number: b"v" for number in range(count)})), now_ms)
    plain_count = both.plain_count
    message = put(b"row", (b"f", {b"q%d" % number: b"w" for number in range(count)}))
    message.column_value[0].qualifier_value[-1].delete_type = MutationProto.DELETE_MULTIPLE_VERSIONS
    both.put(message, 200)
    assert both.plain_count == plain_count


def test_a_value_that_is_missing_and_a_time_that_is_none():
    both = Both()
    message = put(b"row", (b"f", {b"q": b"v"}))
    message.column_value[0].qualifier_value[0].ClearField("value")
    both.put(message, 100)
    message = put(b"row", (b"f", {b"q": b"v"}))
    message.column_value[0].qualifier_value[0].timestamp = LATEST_TIMESTAMP + 1
    both.put(message, 100)
    assert not both.plain_count
    read_only = Both(TableRules(read_only=True))
    read_only.put(put(b"row", (b"f", {b"q": b"v"})), 100)


def whole(row: bytes, count: int, value: bytes, **fields: object) -> MutationProto:
    message = put(row, (b"f", {b"q%02d" % number: value for number in range(count)}), **fields)
    for each in message.column_value[0].qualifier_value:
        each.timestamp = LATEST_TIMESTAMP
    return message


def shaped(message: MutationProto) -> bool:
    return isinstance(quick_put(message, iter(()), 100), Shaped)


def test_the_second_of_a_shape_is_made_into_a_block():
    both = Both(TableRules())
    for number, count in enumerate((SHAPED_MIN, 7, 8, 10, 70)):
        for value in (b"%08d" % number, b"", bytes(80)):
            both.put(whole(b"row1", count, value), 100)
            assert shaped(whole(b"row2", count, value[::-1]))
            both.put(whole(b"row2", count, value), 101)
            both.put(whole(b"row1", count, value[::-1], timestamp=LATEST_TIMESTAMP), 102)
            assert not shaped(whole(b"row1", count, value, timestamp=7))
            both.put(whole(b"row1", count, value, timestamp=7), 103)
    assert not shaped(whole(b"row1", SHAPED_MIN - 1, b"value"))


def test_a_message_that_differs_in_one_byte():
    both = Both(TableRules())
    encoded = whole(b"row1", 5, b"val").column_value[0].SerializeToString()
    both.put(whole(b"row1", 5, b"val"), 100)
    assert shaped(whole(b"row1", 5, b"val"))
    for at in range(len(encoded)):
        for bit in (1, 0x20, 0x80):
            changed = bytes([*encoded[:at], encoded[at] ^ bit, *encoded[at + 1 :]])
            message = MutationProto(row=b"row1", mutate_type=MutationProto.PUT)
            try:
                message.column_value.add().MergeFromString(changed)
            except DecodeError:
                continue
            if message.IsInitialized():
                both.put(message, 101 + at)


def test_messages_that_all_differ_are_not_learned_for_long():
    shapes = MessageShapes()
    learned_count = 0
    for number in range(5000):
        cells = [(b"%05d-%d" % (number, each), LATEST_TIMESTAMP, b"value") for each in range(SHAPED_MIN)]
        column = put(b"row", (b"f", {qualifier: value for qualifier, _, value in cells})).column_value[0]
        encoded = column.SerializeToString()
        shapes.missed(encoded, column, PlainPut(b"row", b"f", cells))
        learned_count += shapes.find(encoded, b"row", 100) is not None
    assert 0 < learned_count < 200


def test_a_row_whose_cells_once_had_tags():
    """Its record is marked so; what a put of the same shape left of it was not what another way left."""
    both = Both()
    names = [b"q%02d" % number for number in range(12)]
    for number, (tags, time_ms) in enumerate([(b"\0\2\1v", 100), (b"", 100), (b"", None), (b"", None)]):
        message = put(b"row", (b"f", dict.fromkeys(names, b"%04d" % number)))
        if time_ms is not None:
            message.timestamp = time_ms
        for each in message.column_value[0].qualifier_value if tags else ():
            each.tags = tags
        both.put(message, 101 + number)


QUALIFIERS = st.sampled_from([b"", *(b"q%d" % number for number in range(12))])
TIMES = st.sampled_from([None, None, None, LATEST_TIMESTAMP, 0, 95, 100, 104, 1 << 40])


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_generated_puts(data: st.DataObject):
    both = Both()
    whole = {b"q%02d" % number: b"first" for number in range(data.draw(st.sampled_from([0, 3, 7, 8, 12])))}
    if whole:
        both.put(put(b"row", (b"f", whole)), 100)
        both.put(put(b"row", (b"g", whole)), 100)
    for number in range(data.draw(st.integers(1, 25))):
        names = data.draw(
            st.lists(QUALIFIERS, max_size=3, unique=data.draw(st.booleans()))
            | st.sampled_from([sorted(whole), [b"a", b"b", b"c", b"d"]])
        )
        message = MutationProto(row=b"row", mutate_type=MutationProto.PUT)
        if (of_all := data.draw(TIMES)) is not None:
            message.timestamp = of_all
        column = message.column_value.add(family=data.draw(st.sampled_from([b"f", b"f", b"g"])))
        for name in sorted(names) if data.draw(st.booleans()) else names:
            each = column.qualifier_value.add(qualifier=name, value=b"%04d" % number)
            if len(names) <= 3 and (timestamp_ms := data.draw(TIMES)) is not None:
                each.timestamp = timestamp_ms
            if data.draw(st.integers(0, 9 + 10 * len(names))) == 0:
                each.tags = b"\0\2\1v"
        both.put(message, 101 + number)
    event(f"plain: {both.plain_count // 5 * 5}")
