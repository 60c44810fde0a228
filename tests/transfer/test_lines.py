"""The line format and what lines become: nothing is lost, and nothing is guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.client.data.messages import counted_mutation
from registry.transfer.lines import (
    KEY_TYPES,
    BadRecord,
    TableSchema,
    bytes_of,
    read_line,
    row_line,
    schema_line,
)
from registry.transfer.operations import operations_of, versions_lost
from registry.wire.cellblock import LATEST_TIMESTAMP, Cell, KeyType, decode_cells
from registry.wire.preamble import string_binary
from tests.support.seeds import examples

TIMES = st.integers(0, LATEST_TIMESTAMP - 1)
PART = (
    st.binary(max_size=12) | st.text(max_size=6).map(str.encode) | st.sampled_from([b"\\", b"\\x41", b'"', b":", b"\0"])
)
FAMILY = st.binary(min_size=1, max_size=5).filter(lambda family: b":" not in family)


@st.composite
def cells_of_a_row(draw: st.DrawFn) -> list[Cell]:
    row = draw(PART.filter(bool))
    names = st.tuples(FAMILY, PART, TIMES, st.sampled_from(sorted(KEY_TYPES.values())))
    found: list[Cell] = []
    for family, qualifier, timestamp, key_type in draw(st.lists(names, min_size=1, max_size=8, unique=True)):
        if key_type in (KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION):
            qualifier = b""
        value = draw(PART) if key_type == KeyType.PUT else b""
        found.append(Cell(row, family, qualifier, timestamp, key_type, value))
    return list({cell[:5]: cell for cell in found}.values())


@settings(max_examples=examples(60), deadline=None)
@given(cells_of_a_row(), st.booleans())
def test_what_is_written_is_read_again(cells: list[Cell], as_base64: bool) -> None:
    line = row_line(cells, as_base64=as_base64)
    assert line.count("\n") == 1
    assert line.isascii()
    assert read_line(line.encode()) == cells


@settings(max_examples=examples(60), deadline=None)
@given(cells_of_a_row())
def test_cells_are_what_the_operations_write(cells: list[Cell]) -> None:
    written = [cell for each in operations_of(cells).operations for cell in decode_cells(counted_mutation(each)[1])]
    assert sorted(written) == sorted(cells)


@given(st.binary(max_size=40))
def test_bytes_are_written_as_hbase_prints_them(data: bytes) -> None:
    assert bytes_of(string_binary(data)) == data


def test_tables_are_lines_too() -> None:
    schema = TableSchema("shop:users", {"cf": {"VERSIONS": "3"}, "d": {}}, (b"g", b"\xff\\"))
    assert read_line(schema_line(schema).encode()) == schema


def test_what_people_write_by_hand() -> None:
    cells = read_line('{"row": "é\\\\x00", "cells": [{"column": "cf:a:b", "value": ""}]}'.encode())
    assert cells == [Cell("é".encode() + b"\0", b"cf", b"a:b", LATEST_TIMESTAMP, 4, b"")]


GOOD: dict[str, Any] = {"column": "cf:a", "timestamp": 1, "value": "v"}


NO_ROWS: list[tuple[Any, str]] = [
    ("{", "no JSON: Expecting property name enclosed in double quotes, at character 2"),
    ("[" * 100_000, "no JSON"),
    ('"row"', "no row: a row is"),
    ({"cells": [GOOD]}, "row is missing"),
    ({"row": 1, "cells": [GOOD]}, "row is no text"),
    ({"row": "", "cells": [GOOD]}, "a row key has 1 to"),
    ({"row": "r" * 40_000, "cells": [GOOD]}, "a row key has 1 to"),
    ({"row": "r"}, 'a row without "cells"'),
    ({"row": "r", "cells": []}, 'a row without "cells"'),
    ({"row": "r", "cells": [1]}, "no cell: a cell is"),
    ({"row": "r", "cells": [GOOD], "ttl": 1}, "unknown ttl: there are cells, encoding, row"),
    ({"row": "r", "cells": [GOOD | {"tags": ""}]}, "unknown tags"),
    ({"row": "r", "cells": [GOOD], "encoding": "hex"}, "encoding 'hex'"),
    ({"row": "!", "cells": [GOOD], "encoding": "base64"}, "'!' is no base64"),
    ({"row": "\ud800", "cells": [GOOD]}, "is no text"),
    ({"row": "a\\b", "cells": [GOOD]}, r"a backslash that begins no \\xHH: write \\x5C"),
    ({"row": "a\\x4", "cells": [GOOD]}, r"a backslash that begins no \\xHH"),
    ({"row": "r", "cells": [GOOD | {"column": "cf"}]}, "column 'cf': write family:qualifier"),
    ({"row": "r", "cells": [GOOD | {"column": ":a"}]}, "a family has 1 to 127 bytes"),
    ({"row": "r", "cells": [GOOD | {"timestamp": "1"}]}, "timestamp '1': write milliseconds"),
    ({"row": "r", "cells": [GOOD | {"timestamp": True}]}, "timestamp True"),
    ({"row": "r", "cells": [GOOD | {"timestamp": -1}]}, "timestamp -1: from 0"),
    ({"row": "r", "cells": [GOOD | {"type": "Erase"}]}, "type 'Erase': there are Put, Delete"),
    ({"row": "r", "cells": [GOOD | {"type": []}]}, "type"),
    ({"row": "r", "cells": [GOOD | {"type": "Delete"}]}, "a Delete with a value"),
    ({"row": "r", "cells": [{"column": "cf:a"}]}, "value is missing"),
    ({"table": "t"}, "no table: a table is"),
    ({"table": "t", "families": {"cf": 1}}, "no table: a table is"),
]


@pytest.mark.parametrize(("record", "why"), NO_ROWS)
def test_what_is_no_row_says_what_one_is(record: Any, why: str) -> None:
    line = record if isinstance(record, str) else json.dumps(record)
    with pytest.raises(BadRecord, match=why):
        read_line(line.encode())


def put(timestamp: int, value: bytes = b"", qualifier: bytes = b"q") -> Cell:
    return Cell(b"r", b"cf", qualifier, timestamp, KeyType.PUT, value)


def test_new_times_keep_the_newest_version_and_count_the_others() -> None:
    written = operations_of(
        [put(1, b"old"), put(3, b"new"), put(2, b"mid"), put(1, b"x", b"other")], new_timestamps=True
    )
    (operation,) = written.operations
    assert (operation.timestamp, written.older_count) == (None, 2)
    assert [cell.value for cell in decode_cells(counted_mutation(operation)[1])] == [b"new", b"x"]


@pytest.mark.parametrize(
    ("cells", "new_timestamps", "why"),
    [
        ([put(1, b"a"), put(1, b"b")], False, "column cf:q twice at one time"),
        ([put(1), Cell(b"r", b"cf", b"q", 1, KeyType.DELETE, b"")], True, "no new timestamps then"),
        ([Cell(b"r", b"cf", b"q", LATEST_TIMESTAMP, KeyType.DELETE, b"")], False, "a delete without timestamp"),
        ([Cell(b"r", b"cf", b"q", 1, KeyType.DELETE_FAMILY, b"")], False, "a delete of a family with qualifier q"),
    ],
)
def test_what_cannot_be_written_is_said(cells: list[Cell], new_timestamps: bool, why: str) -> None:
    with pytest.raises(BadRecord, match=why):
        operations_of(cells, new_timestamps=new_timestamps)


def test_versions_that_will_not_be_kept_are_counted() -> None:
    cells = [put(1), put(2), put(3), put(1, b"", b"other"), Cell(b"r", b"cf", b"q", 1, KeyType.DELETE, b"")]
    assert [versions_lost(cells, {b"cf": kept}) for kept in (1, 2, 3)] == [2, 1, 0]
