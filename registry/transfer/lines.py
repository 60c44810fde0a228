r"""Rows as lines of JSON, without loss: what `hbeacon shell --json` prints of a scan. Pure.

    {"row": "ada", "cells": [{"column": "cf:name", "timestamp": 1000, "value": "Ada\\x00"}]}

Bytes are written as HBase prints them, ASCII as it is, backslash and the rest as \xHH; with "encoding": "base64" each
of row, family, qualifier and value is that. Deletes, which raw scans give, have "type": "Delete", "DeleteColumn", ...
and no value. The first line may be the table:

    {"table": "users", "families": {"cf": {"VERSIONS": "3"}}, "splits": ["m"]}

Source: hbase-shell's formatter, Bytes#toStringBinary, #toBytesBinary, Cell.Type.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from registry.client.data.names import column, row_key
from registry.client.data.operations import INT64_MAX
from registry.wire.cellblock import CELL_TYPES, LATEST_TIMESTAMP, Cell, KeyType
from registry.wire.preamble import string_binary

KEY_TYPES: Mapping[str, int] = {name: int(key_type) for key_type, name in CELL_TYPES.items()}
"""CELL_TYPES the other way round."""

_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2})?")
_ROW_FIELDS, _CELL_FIELDS = {"row", "cells", "encoding"}, {"column", "timestamp", "type", "value"}
_TABLE_FIELDS = {"table", "families", "splits"}


class BadRecord(ValueError):
    """A line, or a row of a file, that is none; says what it should be."""


class TableSchema(NamedTuple):
    """What a table needs to be made again."""

    table: str
    families: dict[str, dict[str, str]]
    splits: tuple[bytes, ...] = ()


def bytes_of(text: str) -> bytes:
    r"""The bytes of such a text; what is not ASCII is UTF-8. Raises BadRecord for a backslash that begins no \xHH."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise BadRecord(f"{text!r} is no text") from None
    return _ESCAPE.sub(_unescaped, data) if b"\\" in data else data


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1] is None:
        raise BadRecord(r"a backslash that begins no \xHH: write \x5C")
    return bytes((int(found[1][1:], 16),))


# --- rows -----------------------------------------------------------------------------------------------------------


def row_line(cells: Sequence[Cell], *, as_base64: bool = False) -> str:
    """A row, which has one cell at least."""
    write = _base64 if as_base64 else string_binary
    found = [
        {
            "column": f"{write(cell.family)}:{write(cell.qualifier)}",
            "timestamp": cell.timestamp_ms,
            **({"value": write(cell.value)} if cell.key_type == KeyType.PUT else {"type": type_of(cell)}),
        }
        for cell in cells
    ]
    record = {"encoding": "base64"} if as_base64 else {}
    return json.dumps({**record, "row": write(cells[0].row), "cells": found}) + "\n"


def type_of(cell: Cell) -> str:
    """What the cell does. Raises BadRecord for what no client may write."""
    if cell.key_type not in CELL_TYPES:
        raise BadRecord(f"row {string_binary(cell.row)} has a cell of type {cell.key_type}, which nobody can write")
    return CELL_TYPES[cell.key_type]


def read_line(line: bytes) -> list[Cell] | TableSchema:
    """What a line says. Cells without a time have LATEST_TIMESTAMP. Raises BadRecord."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadRecord(f"no JSON: {error.msg}, at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"no JSON: {error}") from None
    if not isinstance(record, dict):
        raise BadRecord('no row: a row is {"row": ..., "cells": [...]}')
    fields = cast("dict[str, Any]", record)
    if "table" in fields:
        return _schema(fields)
    _only(fields, _ROW_FIELDS)
    encoding = fields.get("encoding", "text")
    if encoding not in ("text", "base64"):
        raise BadRecord(f'encoding {encoding!r}: "text" and "base64" there are')
    read = _from_base64 if encoding == "base64" else bytes_of
    try:
        row = row_key(read(_text(fields, "row")))
    except ValueError as error:
        raise BadRecord(str(error)) from None
    cells: Any = fields.get("cells")
    if not isinstance(cells, list) or not cells:
        raise BadRecord('a row without "cells"')
    return [_cell(row, each, read) for each in cast("list[Any]", cells)]


def _cell(row: bytes, given: Any, read: Any) -> Cell:
    if not isinstance(given, dict):
        raise BadRecord('no cell: a cell is {"column": ..., "timestamp": ..., "value": ...}')
    fields = cast("dict[str, Any]", given)
    _only(fields, _CELL_FIELDS)
    family, colon, qualifier = _text(fields, "column").partition(":")
    if not colon:
        raise BadRecord(f"column {family!r}: write family:qualifier")
    kind = fields.get("type", "Put")
    if kind not in CELL_TYPES.values():
        raise BadRecord(f"type {kind!r}: there are {', '.join(KEY_TYPES)}")
    key_type = KEY_TYPES[kind]
    if key_type != KeyType.PUT and "value" in fields:
        raise BadRecord(f"a {kind} with a value")
    value = read(_text(fields, "value")) if key_type == KeyType.PUT else b""
    timestamp = fields.get("timestamp", LATEST_TIMESTAMP)
    if type(timestamp) is not int:
        raise BadRecord(f"timestamp {timestamp!r}: write milliseconds")
    return checked(Cell(row, read(family), read(qualifier), timestamp, key_type, value))


def checked(cell: Cell) -> Cell:
    """The cell, which a client may write. Raises BadRecord."""
    try:
        column((cell.family, cell.qualifier))
    except ValueError as error:
        raise BadRecord(str(error)) from None
    if not 0 <= cell.timestamp_ms <= INT64_MAX:
        raise BadRecord(f"timestamp {cell.timestamp_ms}: from 0 to {INT64_MAX}")
    return cell


# --- tables ---------------------------------------------------------------------------------------------------------


def schema_line(schema: TableSchema) -> str:
    """A table."""
    splits = [string_binary(split) for split in schema.splits]
    return json.dumps({"table": schema.table, "families": schema.families, "splits": splits}) + "\n"


def _schema(fields: dict[str, Any]) -> TableSchema:
    _only(fields, _TABLE_FIELDS)
    families, splits = fields.get("families"), fields.get("splits", [])
    good = (
        isinstance(fields["table"], str)
        and isinstance(families, dict)
        and isinstance(splits, list)
        and all(isinstance(split, str) for split in cast("list[Any]", splits))
        and all(isinstance(each, dict) for each in cast("dict[str, Any]", families).values())
    )
    if not good:
        raise BadRecord('no table: a table is {"table": ..., "families": {"cf": {...}}, "splits": [...]}')
    named = {
        name: {key: str(value) for key, value in attributes.items()}
        for name, attributes in cast("dict[str, dict[str, Any]]", families).items()
    }
    return TableSchema(fields["table"], named, tuple(bytes_of(split) for split in cast("list[str]", splits)))


def _only(fields: dict[str, Any], known: set[str]) -> None:
    if unknown := fields.keys() - known:
        raise BadRecord(f"unknown {', '.join(sorted(unknown))}: there are {', '.join(sorted(known))}")


def _text(fields: dict[str, Any], name: str) -> str:
    if not isinstance(found := fields.get(name), str):
        raise BadRecord(f"{name} is {'missing' if found is None else 'no text'}")
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRecord(f"{text[:40]!r} is no base64: {error}") from None
