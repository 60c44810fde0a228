"""Where a column's cell lies is found as one finds it who reads cell after cell, however much rows are alike."""

from __future__ import annotations

import random
import struct

import pytest

from regionserver.filters.places import MISSES_MAX, Places, Rows
from tests.conftest import SEED

AT = 3
Cell = tuple[bytes, bytes]
Row = tuple[bytes, int, int]
"""Bytes, cells, and how long the key is."""


def _cell(row: bytes, qualifier: bytes, value: bytes) -> bytes:
    key = struct.pack(">H", len(row)) + row + b"\x01f" + qualifier + struct.pack(">qB", 5, 4)
    return struct.pack(">iii", 8 + len(key) + len(value), len(key), len(value)) + key + value


def _row(row: bytes, cells: list[Cell]) -> Row:
    return b"top" + b"".join([_cell(row, *each) for each in cells]), len(cells), len(row)


def _found(places: Places, rows: list[Row]) -> list[bytes | None]:
    data, counts, key_bytes = zip(*rows, strict=True)
    found = zip(data, places.find(Rows(data, counts, key_bytes), AT), strict=True)
    return [None if place is None else row[place] for row, place in found]


@pytest.mark.parametrize("of_value", [False, True])
def test_it_is_the_cell_of_the_column(of_value: bool):
    chance = random.Random(SEED)
    for _ in range(30):
        places = Places(b"f", b"b", of_value=of_value)
        share = chance.choice((0.05, 0.3, 1))  # of rows that are not like the one before
        name, cells = b"row", [(b"a", b"1"), (b"b", b"22")]
        for _ in range(4):
            rows: list[Row] = []
            wanted: list[bytes | None] = []
            for _ in range(30):
                if chance.random() < share:
                    name = chance.choice((b"r", b"row", b"rox"))
                    fake = _cell(name, b"b", b"22")
                    values = (b"", b"1", b"22", fake, fake[:-2], fake + b"1")
                    columns = sorted(chance.sample([b"", b"a", b"aa", b"b", b"c"], chance.randrange(1, 5)))
                    cells = [(each, chance.choice(values)) for each in columns]
                rows.append(_row(name, cells))
                value = dict(cells).get(b"b")
                wanted.append(value if of_value or value is None else _cell(name, b"b", value))
            assert _found(places, rows) == wanted


def test_what_looks_like_it_is_no_cell():
    """Rows that have the same bytes where the row before has the column: in a value, behind a shorter key, almost."""
    places = Places(b"f", b"b")
    real = _row(b"row", [(b"a", b""), (b"b", b"22")])
    in_value = _row(b"row", [(b"a", _cell(b"row", b"b", b"22")), (b"b", b"33")])
    in_qualifier = _row(b"r", [(b"\x00aa", b""), (b"\x01fb", b"22")])
    almost = _row(b"row", [(b"a", b""), (b"c", b"22")])
    rows = [real, in_value, real, in_qualifier, real, almost, real]
    cell = _cell(b"row", b"b", b"22")
    assert _found(places, rows) == [cell, _cell(b"row", b"b", b"33"), cell, None, cell, None, cell]


def test_rows_that_are_never_alike_are_tried_no_longer(monkeypatch: pytest.MonkeyPatch):
    rows = [_row(b"row", [(b"a", bytes(length)), (b"b", b"22")]) for length in range(2 * MISSES_MAX)]
    compiled: list[str] = []

    class Compiled(struct.Struct):
        def __init__(self, format: str) -> None:  # noqa: A002
            compiled.append(format)
            super().__init__(format)

    monkeypatch.setattr(struct, "Struct", Compiled)
    places = Places(b"f", b"b")
    for _ in range(2):
        assert None not in _found(places, rows)
    assert len(compiled) == MISSES_MAX - 1
