"""Keys lie in a store as rows, families and columns are ordered in HBase."""

from __future__ import annotations

import functools

from hypothesis import given
from hypothesis import strategies as st

from regionserver.region.keys import after_family, after_row, chunk_key, family_key, meta_order, plain_order, row_of

few_bytes = st.binary(max_size=5).map(lambda data: bytes(byte % 4 if byte > 8 else byte for byte in data)) | st.binary(
    max_size=5
)
names = st.sampled_from([b"a", b"aa", b"ab", b"b", b"cf", b"cf2"])


@given(few_bytes, few_bytes)
def test_rows_as_their_bytes(one: bytes, other: bytes):
    assert (plain_order(one) < plain_order(other)) == (one < other)
    assert (plain_order(one) == plain_order(other)) == (one == other)


@given(few_bytes, few_bytes, names, names)
def test_all_keys_of_a_row_lie_together(one: bytes, other: bytes, family: bytes, other_family: bytes):
    first, second = b"p" + plain_order(one), b"p" + plain_order(other)
    key = family_key(first, family)
    assert first < key < after_row(first)
    if one < other:
        assert after_row(first) <= second
    assert (family_key(first, family) < family_key(first, other_family)) == (family < other_family)


@given(names, names, few_bytes, st.integers(-(2**63), 2**63 - 1), st.integers(0, 255))
def test_chunks_lie_behind_their_first(family: bytes, other: bytes, qualifier: bytes, timestamp_ms: int, kind: int):
    key, next_key = family_key(b"row\0\0", family), family_key(b"row\0\0", other)
    chunk = chunk_key(key, qualifier, timestamp_ms, kind)
    assert key < chunk < after_family(key)
    if family < other:
        assert after_family(key) <= next_key


columns = st.tuples(
    few_bytes, st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1), st.sampled_from([4, 8, 10, 12, 14])
)


@given(columns, columns)
def test_chunks_as_cells(one: tuple[bytes, int, int], other: tuple[bytes, int, int]):
    """By qualifier, then newest first, then by type, greatest first."""
    before = (one[0], -one[1], -one[2]) < (other[0], -other[1], -other[2])
    assert (chunk_key(b"k\0", *one) < chunk_key(b"k\0", *other)) == before


# --- hbase:meta -------------------------------------------------------------------------------------------------------


def compare_meta(left: bytes, right: bytes) -> int:
    """As the wire's facts state it: table, then start key, then the rest; without a comma first."""
    table, comma, rest = left.partition(b",")
    other_table, other_comma, other_rest = right.partition(b",")
    parts: tuple[object, ...] = (table, bool(comma), *_start_and_id(rest))
    others: tuple[object, ...] = (other_table, bool(other_comma), *_start_and_id(other_rest))
    return (parts > others) - (parts < others)  # type: ignore[operator]


def _start_and_id(rest: bytes) -> tuple[bytes, bool, bytes]:
    start, comma, identity = rest.rpartition(b",")
    return (start, True, identity) if comma else (identity, False, b"")


def meta_row(table: bytes, start: list[bytes], identity: bytes) -> bytes:
    return table + b"," + b"".join(start) + b"," + identity


meta_rows: st.SearchStrategy[bytes] = st.sampled_from([b"t", b"t1", b"t1 ", b"t2", b"ns:t"]) | st.builds(
    meta_row,
    st.sampled_from([b"t", b"t1", b"ns:t"]),
    st.lists(st.sampled_from([b"\0", b"+", b",", b"-", b"a", b"\xff"]), max_size=4),
    st.sampled_from([b"", b"0", b"17.aa.", b"99999999999999", b":"]),
)


@given(st.lists(meta_rows, unique=True, max_size=12))
def test_meta_by_parts(rows: list[bytes]):
    assert sorted(rows, key=meta_order) == sorted(rows, key=functools.cmp_to_key(compare_meta))
    assert len({meta_order(row) for row in rows}) == len(rows)


@given(few_bytes, meta_rows)
def test_rows_are_read_from_keys(row: bytes, of_meta: bytes):
    assert row_of(plain_order(row)) == row
    assert row_of(meta_order(row)) == row
    assert row_of(meta_order(of_meta)) == of_meta


def test_meta_where_bytes_alone_are_wrong():
    """A start key with a byte below the comma: by bytes the second region would come first."""
    first, second = b"t,,1.aa.", b"t,+,1.bb."
    assert second < first
    assert meta_order(first) < meta_order(second)
    assert meta_order(b"t1") < meta_order(b"t1,,1.aa.") < meta_order(b"t1,row,99999999999999") < meta_order(b"t1 ,,")


@given(meta_rows, meta_rows)
def test_keys_of_a_meta_row_lie_together(one: bytes, other: bytes):
    if meta_order(one) < meta_order(other):
        assert after_row(meta_order(one)) <= meta_order(other)
