"""Older versions go out of many records at once as they go out of each alone, whatever the records have in common."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import mock

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from regionserver.region import newest_alike
from regionserver.region.newest_alike import LAYOUTS_MAX, TOGETHER_MIN, NewestOf
from regionserver.region.record import HEAD_BYTES, encode_record, head_of, only_newest, read_entries
from registry.wire.cellblock import Cell, KeyType, encode_cell


def record(row: bytes, columns: Sequence[tuple[bytes, int]], value: bytes = b"value", family: bytes = b"f") -> bytes:
    """Of columns with so many versions each, as one that has been written again and again has them."""
    cells = [
        Cell(row, family, qualifier, timestamp_ms, KeyType.PUT, value)
        for qualifier, versions_count in columns
        for timestamp_ms in range(versions_count, 0, -1)
    ]
    return encode_record(read_entries(b"".join([encode_cell(each, with_tags=True) for each in cells])))


def rows(count: int, *columns: tuple[bytes, int], value: bytes = b"value") -> list[bytes]:
    return [record(b"row%04d" % number, columns, value) for number in range(count)]


def one_by_one(records: Sequence[bytes]) -> list[tuple[bytes, int]]:
    return [only_newest(each) for each in records]


COLUMNS = st.lists(
    st.tuples(st.sampled_from([b"", b"a", b"b", b"ab", b"bb"]), st.integers(1, 3)),
    min_size=1,
    max_size=4,
    unique_by=lambda column: column[0],
).map(sorted)
RECORD = st.builds(
    record,
    st.sampled_from([b"r", b"s", b"r2", b"s\0"]),
    COLUMNS,
    st.sampled_from([b"", b"v", b"w", b"vv", b"v" * 300]),
    st.sampled_from([b"f", b"g", b"ff"]),
)


@given(st.lists(st.lists(RECORD, min_size=1, max_size=5), max_size=4), st.data())
def test_many_at_once_are_as_each_alone(pools: list[list[bytes]], data: st.DataObject):
    """Several times with what was found before: few different records, so that many are alike."""
    newest_of = NewestOf()
    with mock.patch.object(newest_alike, "TOGETHER_MIN", data.draw(st.sampled_from([1, 2, TOGETHER_MIN]))):
        for pool in pools:
            records = data.draw(st.lists(st.sampled_from(pool), max_size=30))
            event(f"{len(set(records))} different ones of {len(records) // 10 * 10}")
            assert newest_of(records) == one_by_one(records)


def test_rows_that_are_alike_are_walked_through_once(monkeypatch: pytest.MonkeyPatch):
    """Whatever their rows, times and values are."""
    walked: list[bytes] = []

    def counted(each: bytes) -> tuple[bytes, int]:
        walked.append(each)
        return only_newest(each)

    monkeypatch.setattr(newest_alike, "only_newest", counted)
    newest_of = NewestOf()
    alike = rows(50, (b"a", 3), (b"b", 1), (b"c", 2))
    others = rows(10, (b"a", 2), (b"b", 2), (b"c", 2))
    few = rows(TOGETHER_MIN - 1, (b"a", 2))
    records = [*alike[:20], *others, *few, *alike[20:]]
    for _ in range(2):
        assert newest_of(records) == one_by_one(records)
    assert walked == 2 * few


@pytest.mark.parametrize(
    "other",
    [
        record(b"row0000", [(b"a", 2), (b"b", 1)]),
        record(b"row0000", [(b"a", 1), (b"c", 2)]),
        record(b"row00000", [(b"a", 1), (b"b", 2)], b"valu"),
        record(b"row000", [(b"a", 1), (b"b", 2)], family=b"ff"),
        record(b"row0000", [(b"a", 1), (b"b", 2)], family=b"g"),
        record(b"row0000", [(b"a", 3)]),
    ],
    ids=["other column twice", "other name", "longer row", "longer family", "other family", "one column"],
)
def test_one_that_is_as_long_and_not_alike(other: bytes):
    """It has what it has by itself."""
    alike = rows(20, (b"a", 1), (b"b", 2))
    assert len(other) == len(alike[0])
    records = [*alike[:7], other, *alike[7:]]
    assert NewestOf()(records) == one_by_one(records)


def one(row: bytes, family: bytes, *cells: tuple[bytes, int, bytes]) -> bytes:
    """A record of these columns, times and values."""
    made = [
        encode_cell(Cell(row, family, column, ms, KeyType.PUT, value), with_tags=True) for column, ms, value in cells
    ]
    return encode_record(read_entries(b"".join(made)))


def nothing_is_taken_for_another(alike: bytes, other: bytes) -> None:
    assert len(alike) == len(other)
    records = [alike] * TOGETHER_MIN + [other] * TOGETHER_MIN
    assert NewestOf()(records) == one_by_one(records)


def test_a_value_that_looks_like_a_cell():
    """All columns are where they would be, but for a length."""
    last = (b"b", 1, b"value")
    inside = one(b"r", b"f", last)[HEAD_BYTES:]
    nothing_is_taken_for_another(
        one(b"r", b"f", (b"a", 3, b"v"), (b"a", 2, b"v"), last),
        one(b"r", b"f", (b"a", 3, b"v"), (b"a", 2, b"v" + inside)),
    )


@pytest.mark.parametrize(
    ("row", "family", "other_row", "other_family"),
    [(b"r", b"ff", b"r", b"f"), (b"rr", b"f", b"r", b"\1")],
    ids=["shorter family", "shorter row"],
)
def test_columns_that_begin_earlier(row: bytes, family: bytes, other_row: bytes, other_family: bytes):
    """They differ before the places where those of others are."""
    nothing_is_taken_for_another(
        one(row, family, (b"a", 2, b""), (b"a", 1, b""), (b"b", 2, b""), (b"b", 1, b"")),
        one(other_row, other_family, (b"Xa", 2, b""), (b"Ya", 1, b""), (b"Yb", 2, b""), (b"Yb", 1, b"")),
    )


def test_lengths_that_end_alike():
    """Of long records they have more bytes."""
    alike = one(b"r", b"f", (b"a", 3, b"v"), (b"a", 2, b"v" * 0x10001), (b"b", 1, b"v"))
    value_at = alike.index(b"v")
    swallowed = alike[value_at : value_at + 0x10001]
    other = one(b"r", b"f", (b"a", 3, swallowed), (b"a", 2, b"v"), (b"b", 1, b"v"))
    nothing_is_taken_for_another(alike, other)


def test_more_layouts_than_are_looked_for():
    """What is left is walked through."""
    kinds = [rows(TOGETHER_MIN, (b"q%d" % kind, 2), (b"r", 1)) for kind in range(LAYOUTS_MAX + 2)]
    records = [each for kind in zip(*kinds, strict=True) for each in kind]
    assert NewestOf()(records) == one_by_one(records)


def test_long_records():
    """Lengths have more bytes there."""
    records = rows(TOGETHER_MIN, (b"a", 2), value=b"v" * 40_000)
    assert NewestOf()(records) == one_by_one(records)
    assert [head_of(made).cells_count for made, _ in NewestOf()(records)] == [1] * TOGETHER_MIN
