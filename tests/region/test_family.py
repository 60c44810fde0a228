"""What is written into a row and family is read from it, in one chunk or a thousand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch, Durability
from regionserver.region.family import read_cells, read_family, write_cells
from regionserver.region.keys import family_key, plain_order
from regionserver.region.record import (
    CHUNK_BYTES,
    CHUNK_BYTES_MAX,
    FORMAT_IN_ORDER,
    HEAD_BYTES,
    Entry,
    Mark,
    UnknownRecord,
    encode_record,
    head_of,
    merged,
    spliced,
)
from registry.wire.cellblock import Cell, KeyType, decode_cells
from tests.region.cells import cell, cells, entries
from tests.support.seeds import examples

KEY = family_key(b"p" + plain_order(b"row"), b"cf")
SORTED = tuple[bytes, int, int]


def write(store: MemoryStore, new: list[Cell]) -> None:
    batch = Batch()
    write_cells(store, batch, KEY, entries(new))
    store.commit(batch, Durability.PROCESS, lambda error: None)


def family_entries(store: MemoryStore, key: bytes) -> list[Entry]:
    return list(read_cells(store, key, store.get(key) or encode_record([])))


def column_entries(store: MemoryStore, key: bytes, qualifier: bytes) -> list[Entry]:
    """Of one column, out of those that are read for it."""
    found = read_cells(store, key, store.get(key) or encode_record([]), (qualifier,))
    return [entry for entry in found if entry[0] == qualifier]


def order(each: Cell) -> SORTED:
    return each.qualifier, -each.timestamp_ms, -each.key_type


def test_a_record_says_what_is_in_it():
    plain = encode_record(entries([cell(b"a", 5), cell(b"b", 3)]))
    assert head_of(plain) == (0, 2, 5, 3)
    assert list(decode_cells(plain[HEAD_BYTES:])) == [cell(b"a", 5), cell(b"b", 3)]
    assert head_of(encode_record(entries([cell(b"a", 5), cell(b"a", 3)]))).marks == Mark.VERSIONS
    assert head_of(encode_record(entries([cell(b"a", 5, KeyType.DELETE)]))).marks == Mark.MARKERS
    assert head_of(encode_record(entries([cell(b"a", 5, ttl_ms=1)]))).marks == Mark.TAGS
    assert head_of(encode_record(entries([cell(b"a", -7)]))).oldest_ms == -7
    with pytest.raises(UnknownRecord, match="format 3"):
        head_of(bytes([FORMAT_IN_ORDER + 1]) + plain[1:])


def test_the_later_of_two_stays():
    old = entries([cell(b"a", 5, value=b"old"), cell(b"a", 5, KeyType.DELETE)])
    new = entries([cell(b"a", 5, value=b"1"), cell(b"a", 5, value=b"2"), cell(b"0", 5)])
    assert [(each.qualifier, each.key_type, each.value) for each in cells(merged(old, new))] == [
        (b"0", 4, b""), (b"a", 8, b""), (b"a", 4, b"2"),
    ]  # fmt: skip


def test_a_million_bytes_in_chunks_and_one_change():
    """A change of a large row writes the chunk that it meets and no other."""
    store = MemoryStore()
    many = [cell(b"%06d" % number, 7, value=bytes(100)) for number in range(10_000)]
    write(store, random.Random(3).sample(many, len(many)))
    records = list(read_family(store, KEY, store.get(KEY)))
    assert len(records) > 100
    assert all(len(record) <= CHUNK_BYTES_MAX + HEAD_BYTES for record in records)
    assert cells(family_entries(store, KEY)) == many
    batch = Batch()
    write_cells(store, batch, KEY, entries([cell(b"004321", 8, value=b"new")]))
    assert len(batch.changes) == 1
    assert len(batch.changes[0][1] or b"") < CHUNK_BYTES_MAX + HEAD_BYTES
    store.commit(batch, Durability.PROCESS, lambda error: None)
    assert cells(column_entries(store, KEY, b"004321")) == [cell(b"004321", 8, value=b"new"), many[4321]]


class Counting(MemoryStore):
    """Counts the bytes that are read."""

    read_bytes = 0

    def get_at(self, key: bytes, number: int) -> bytes | None:
        value = super().get_at(key, number)
        self.read_bytes += len(value or b"")
        return value


def test_one_column_of_a_large_row_is_read_alone():
    store = Counting()
    write(store, [cell(b"%06d" % number, 7, value=bytes(100)) for number in range(10_000)])
    store.read_bytes = 0
    assert len(list(column_entries(store, KEY, b"007777"))) == 1
    assert store.read_bytes < 8 * CHUNK_BYTES


def test_a_giant_cell_is_a_chunk_of_its_own():
    store = MemoryStore()
    write(store, [cell(b"a", 1), cell(b"b", 1, value=bytes(10 << 20)), cell(b"c", 1)])
    assert [head_of(record).cells_count for record in read_family(store, KEY, store.get(KEY))] == [1, 1, 1]
    assert [each.qualifier for each in cells(family_entries(store, KEY))] == [b"a", b"b", b"c"]


def test_versions_of_one_column_over_chunks():
    """Chunks begin in the middle of a column too: by time, newest first."""
    store = MemoryStore()
    versions = [cell(b"q", number, value=bytes(200)) for number in range(1000, 0, -1)]
    for start in range(0, 1000, 100):
        write(store, versions[start : start + 100])
    write(store, [cell(b"p", 1), cell(b"r", 1)])
    assert len(list(read_family(store, KEY, store.get(KEY)))) > 5
    assert cells(column_entries(store, KEY, b"q")) == versions
    assert cells(column_entries(store, KEY, b"p")) == [cell(b"p", 1)]
    assert cells(column_entries(store, KEY, b"")) == []
    assert cells(column_entries(store, KEY, b"zz")) == []


one_cell = st.builds(
    cell,
    st.sampled_from([b"", b"a", b"ab", b"b", b"c"]),
    st.integers(-2, 4),
    st.sampled_from([4, 4, 4, 8, 12]),
    st.binary(max_size=2),
    st.sampled_from([-1, -1, -1, 5]),
)


@given(st.lists(one_cell, min_size=1, max_size=8), st.lists(one_cell, min_size=1, max_size=5))
@settings(max_examples=examples(120), deadline=None)
def test_to_splice_is_to_merge_and_encode(old: list[Cell], new: list[Cell]):
    """But for marks of cells that were replaced, which may stay: a reader looks closer then, no more."""
    first, more = merged((), entries(old)), merged((), entries(new))
    made, expected = spliced(encode_record(first), more), encode_record(merged(first, more))
    assert made[HEAD_BYTES:] == expected[HEAD_BYTES:]
    head, wanted = head_of(made), head_of(expected)
    assert head[1:] == wanted[1:]
    assert head.marks & wanted.marks == wanted.marks
    replaced = {entry[:3] for entry in first} & {entry[:3] for entry in more}
    assert head.marks == wanted.marks or replaced


qualifiers = st.integers(0, 12).map(lambda number: b"%d" % number)
kinds = st.sampled_from([KeyType.PUT, KeyType.PUT, KeyType.DELETE, KeyType.DELETE_COLUMN])
sizes = st.sampled_from([0, 10, CHUNK_BYTES // 3, CHUNK_BYTES + 1])


def sized(qualifier: bytes, timestamp_ms: int, kind: int, size_bytes: int, byte: int) -> Cell:
    return cell(qualifier, timestamp_ms, kind, bytes([byte]) * size_bytes)


some_cells = st.builds(sized, qualifiers, st.integers(0, 4), kinds, sizes, st.integers(0, 255))


@given(st.lists(st.lists(some_cells, min_size=1, max_size=12), max_size=8))
@settings(max_examples=examples(60), deadline=None)
def test_like_a_dictionary(writes: list[list[Cell]]):
    store = MemoryStore()
    model: dict[SORTED, Cell] = {}
    for new in writes:
        write(store, new)
        model.update({order(each): each for each in new})
        expected = [model[key] for key in sorted(model)]
        assert cells(family_entries(store, KEY)) == expected
        assert sum(head_of(record).cells_count for record in read_family(store, KEY, store.get(KEY))) == len(expected)
    for qualifier in {each.qualifier for new in writes for each in new} | {b"", b"5x"}:
        of_column = [model[key] for key in sorted(model) if key[0] == qualifier]
        assert cells(column_entries(store, KEY, qualifier)) == of_column
