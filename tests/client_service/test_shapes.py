"""Puts that are written as they came in the cell block, beside the same puts taken apart: nobody can tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from protos.hbase import Client_pb2
from regionserver.client_service.cell_reader import CellReader
from regionserver.client_service.results import CellForm
from regionserver.region.record import head_of
from regionserver.region.rules import TableRules
from regionserver.region.shapes import LEARNING_CREDIT, Shapes
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import (
    LATEST_TIMESTAMP,
    Cell,
    KeyType,
    Tag,
    TagType,
    decode_cells,
    encode_cells,
    encode_tags,
)
from registry.wire.errors import ProtocolError
from tests.support.one_server import OneServer, check_same
from tests.support.seeds import examples

FAMILIES = {b"f": FamilyRules(2), b"g": FamilyRules(), b"n": FamilyRules(new_versions=True)}
TAGS = encode_tags([Tag(TagType.VISIBILITY, b"v")])


class Both:
    """Each call on two sides, one of which knows no shapes."""

    def __init__(self) -> None:
        rules = TableRules(cell_bytes_max=300)
        self.quick, self.slow = OneServer(FAMILIES, rules), OneServer(FAMILIES, rules)
        self.shaped_count = 0

    def _sides(self, block: bytes, *, with_tags: bool) -> Iterator[tuple[OneServer, Iterator[Cell]]]:
        reader = CellReader(block, with_tags=with_tags)
        found = reader.find_put

        def find(count: int) -> object:
            put = found(count)
            self.shaped_count += put is not None
            return put

        reader.find_put = find  # type: ignore[method-assign, assignment]
        yield self.quick, reader
        yield self.slow, decode_cells(block, with_tags=with_tags)

    def put(self, message: Client_pb2.MutationProto, block: bytes, now_ms: int, *, with_tags: bool = True) -> None:
        request = Client_pb2.MutateRequest(mutation=message)
        for side, cells in self._sides(block, with_tags=with_tags):
            side.rows.mutate(request, cells, CellForm.BLOCK, now_ms, side.tell)
        check_same(self.quick, self.slow)

    def multi(self, messages: Sequence[Client_pb2.MutationProto], block: bytes, now_ms: int) -> None:
        request = Client_pb2.MultiRequest()
        action = request.regionAction.add()
        for index, message in enumerate(messages):
            action.action.add(index=index * 3, mutation=message)
        for side, cells in self._sides(block, with_tags=True):
            if side is self.quick and side.multi.one_put(request, cells, now_ms, side.tell):
                continue
            side.multi.multi(request, cells, CellForm.BLOCK, now_ms, side.tell)
        check_same(self.quick, self.slow)


def message(count: int, **fields: object) -> Client_pb2.MutationProto:
    fields = {"mutate_type": Client_pb2.MutationProto.PUT, "associated_cell_count": count, **fields}
    return Client_pb2.MutationProto(**fields)  # type: ignore[arg-type]


def plain(row: bytes, count: int = 3, timestamp_ms: int = LATEST_TIMESTAMP, value: bytes = b"value") -> list[Cell]:
    return [Cell(row, b"f", b"q%d" % number, timestamp_ms, KeyType.PUT, value) for number in range(count)]


def test_the_second_of_a_shape_is_written_as_it_came():
    both = Both()
    for number in range(20):
        both.multi([message(3)] * 3, encode_cells(plain(b"row%d" % (number % 7)) * 3), 100 + number)
        both.put(message(3, row=b"rows"), encode_cells(plain(b"rows", value=b"%05d" % number)), 100 + number)
    assert both.shaped_count > 70


def test_what_does_not_agree_in_one_byte():
    """After the shape is known every single byte is changed in turn."""
    both = Both()
    block = encode_cells(plain(b"row1", 2))
    for _ in range(3):
        both.put(message(2), block, 100)
    known_count = both.shaped_count
    for at in range(len(block)):
        for bit in (1, 0x80):
            changed = bytes([*block[:at], block[at] ^ bit, *block[at + 1 :]])
            both.put(message(2), changed, 101 + at)
    assert both.shaped_count > known_count, "rows, times and values may differ"


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ({"row": b"other"}, b"row1"),
        ({"timestamp": 2**64 - 1}, b"row1"),
        ({"durability": Client_pb2.MutationProto.SKIP_WAL}, b"row1"),
        ({"mutate_type": Client_pb2.MutationProto.DELETE}, b"row1"),
        ({"mutate_type": Client_pb2.MutationProto.APPEND}, b"row1"),
        ({}, b"aaaa"),
        ({}, b"zzzz"),
    ],
)
def test_messages_beside_known_cells(fields: dict[str, object], row: bytes):
    both = Both()
    for _ in range(3):
        both.put(message(2), encode_cells(plain(b"row1", 2)), 100)
    both.put(message(2, **fields), encode_cells(plain(row, 2)), 200)
    both.multi([message(2), message(2, **fields), message(2)], encode_cells(plain(row, 2) * 3), 300)
    both.multi([message(2, **fields)], encode_cells(plain(row, 2)), 400)


def test_cells_that_are_too_large_or_of_no_family():
    both = Both()
    for value, family in ((bytes(290), b"f"), (b"", b"x")):
        cells = [each._replace(value=value, family=family) for each in plain(b"row1", 2)]
        for _ in range(3):
            both.multi([message(2)] * 2, encode_cells(cells * 2), 100)
            both.multi([message(2)], encode_cells(cells), 100)


def test_fewer_cells_than_counted():
    both = Both()
    block = encode_cells(plain(b"row1"))
    for _ in range(2):
        both.put(message(3), block, 100)
    for stop in (0, 10, 40, len(block) - 1):
        both.put(message(3), block[:stop], 100)
        both.multi([message(3)] * 2, block + block[:stop], 100)
        both.multi([message(3)], block[:stop], 100)


def test_puts_that_all_differ_are_not_learned_for_long():
    known = Shapes()
    learned_count = 0
    for number in range(2500):
        block = encode_cells([Cell(b"row1", b"f", b"%06d" % number, 5, KeyType.PUT, b"v" * (number % 9))])
        assert known.find(block, 0, 1) is None
        learned_count += known.find(block, 0, 1) is not None
    assert 0 < learned_count < 200
    same = encode_cells(plain(b"row1", 1))
    assert [known.find(same, 0, 1) is not None for _ in range(LEARNING_CREDIT + 1)][-1], "another is learned in time"


cells_of_a_put = st.lists(
    st.builds(
        Cell,
        st.sampled_from([b"row1", b"row1", b"row1", b"row2"]),
        st.sampled_from([b"f", b"f", b"f", b"f", b"g"]),
        st.sampled_from([b"a", b"b", b"c", b"d", b"", b"long"]),
        st.sampled_from([LATEST_TIMESTAMP, LATEST_TIMESTAMP, 90, 95, 150]),
        st.sampled_from([KeyType.PUT] * 12 + [KeyType.DELETE_COLUMN]),
        st.binary(min_size=1, max_size=2),
        st.sampled_from([b""] * 12 + [TAGS]),
    ),
    min_size=1,
    max_size=5,
)
usual_puts = st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.sampled_from([LATEST_TIMESTAMP, LATEST_TIMESTAMP, 95, 105]).map(
        lambda timestamp_ms: [Cell(b"row1", b"f", name, timestamp_ms, KeyType.PUT, b"v") for name in sorted(names)]
    )
)
some_puts = st.lists(st.lists(usual_puts | cells_of_a_put, min_size=1, max_size=4), min_size=1, max_size=12)


@given(some_puts, st.booleans())
@settings(max_examples=examples(80), deadline=None)
def test_like_puts_that_are_taken_apart(calls: list[list[list[Cell]]], in_multi: bool):
    both = Both()
    now_ms = 100
    for puts in calls:
        for _ in range(2):
            now_ms += 1
            if in_multi:
                block = b"".join(encode_cells(cells, with_tags=True) for cells in puts)
                both.multi([message(len(cells)) for cells in puts], block, now_ms)
                both.multi([message(len(puts[0]))], encode_cells(puts[0], with_tags=True), now_ms)
            else:
                for cells in puts:
                    both.put(message(len(cells)), encode_cells(cells, with_tags=True), now_ms)
    if both.shaped_count:
        event("shapes were found")


whole_rows = st.lists(
    st.tuples(
        st.sampled_from([7, 8, 10, 15, 16, 17, 33]),
        st.sampled_from([b"f", b"g", b"g", b"g", b"n"]),
        st.sampled_from([LATEST_TIMESTAMP, LATEST_TIMESTAMP, LATEST_TIMESTAMP, 95, 105]),
    ),
    min_size=1,
    max_size=4,
)


@given(whole_rows, st.integers(1, 6))
@settings(max_examples=examples(60), deadline=None)
def test_rows_that_are_written_again_and_again_as_a_whole(puts: list[tuple[int, bytes, int]], times: int):
    both = Both()
    now_ms = 100
    for _ in range(times):
        for count, family, timestamp_ms in puts:
            now_ms += 1
            cells = [each._replace(family=family) for each in plain(b"row1", count, timestamp_ms, b"%05d" % now_ms)]
            both.put(message(count), encode_cells(sorted(cells)), now_ms)


@pytest.mark.parametrize("count", [8, 10, 15, 16, 40])
def test_such_a_row_does_not_grow(count: int):
    both = Both()
    for number in range(50):
        cells = [each._replace(family=b"g") for each in plain(b"row1", count, value=b"%05d" % number)]
        both.put(message(count), encode_cells(sorted(cells)), 100 + number)
        [(_, record)] = both.quick.contents()
        assert head_of(record).cells_count in (count, 2 * count)
    assert both.shaped_count > 45


def test_a_block_is_read_to_its_end_and_errors_say_where():
    reader = CellReader(encode_cells(plain(b"row1")) + b"\0\0")
    with pytest.raises(ProtocolError, match="cell at byte"):
        list(reader)
