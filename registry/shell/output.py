r"""What the shell prints: columns as hbase shell has them, or a line of JSON for each row.

JSON has keys, columns and values as HBase prints bytes: ASCII as it is, backslash and the rest as \xHH.

Source: hbase-shell/src/main/ruby/shell/formatter.rb, hbase/table.rb#to_string.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any, Protocol

from registry.client.data.results import Row
from registry.shell.converters import Converters, shown
from registry.wire.cellblock import CELL_TYPES, Cell, KeyType
from registry.wire.preamble import string_binary

WIDTH_MIN = 40
FIRST_COLUMN_PART = 3
"""The first column has a third of the width."""
MILLIS_MAX = 253_402_300_799_999
"""The last of the year 9999."""


class Output(Protocol):
    """Where commands put what they found."""

    def row(self, row: Row, converters: Converters) -> None:
        """A row of a scan."""
        ...

    def cell_of(self, row: bytes, cell: Cell, converters: Converters) -> None:
        """A cell of the one row that was asked for."""
        ...

    def record(self, values: Mapping[str, Any]) -> None:
        """A line of a list: names of columns with what they hold."""
        ...

    def line(self, text: str) -> None:
        """Something said, which is no data."""
        ...

    def headings(self, first: str, *others: str) -> None:
        """What the columns below are."""
        ...

    def end(self, counted: str, took_s: float) -> None:
        """How many of what there were, and how long it took."""
        ...


class TextOutput:
    """For people."""

    def __init__(self, to: IO[str] | None = None, width: int = 100, *, bold: bool = False) -> None:
        """`width` of the terminal, in characters; 0 is none, and then keys are not cut, whatever reads them."""
        self._to = sys.stdout if to is None else to
        self._first = max(width, WIDTH_MIN) // FIRST_COLUMN_PART if width else 0
        self._bold = bold

    def row(self, row: Row, converters: Converters) -> None:
        """A line for each cell, with the row's key before it."""
        key = string_binary(row.key)
        for cell in row.cells:
            self._two(key, f"column={column_name(cell)}, {_cell_text(cell, converters)}")

    def cell_of(self, row: bytes, cell: Cell, converters: Converters) -> None:  # noqa: ARG002 - known to who asked
        """A line, with the column before it."""
        self._two(column_name(cell), _cell_text(cell, converters))

    def record(self, values: Mapping[str, Any]) -> None:
        """A line; where there are several values the first has a column of its own."""
        first, *rest = [str(value) for value in values.values()]
        if rest:
            self._two(first, "  ".join(rest))
        else:
            self.line(first)

    def line(self, text: str) -> None:
        """As it is."""
        self._to.write(f"{text}\n")

    def headings(self, first: str, *others: str) -> None:
        """Above what follows."""
        text = f"{first:<{self._first + 1}} {'  '.join(others)}" if others else first
        self.line(f"\033[1m{text}\033[0m" if self._bold else text)

    def end(self, counted: str, took_s: float) -> None:
        """Two lines."""
        if counted:
            self.line(counted)
        self.line(f"Took {took_s:.4f} seconds")

    def _two(self, first: str, second: str) -> None:
        """A narrow first column: what is longer goes on below, as in hbase shell."""
        width = self._first or len(first)
        parts = [first[at : at + width] for at in range(0, len(first), width or 1)] or [""]
        self.line(f" {parts[0]:<{width}} {second}".rstrip())
        for part in parts[1:]:
            self.line(f" {part}")


class JsonOutput:
    """For programs: a line for each row or record, and nothing else."""

    def __init__(self, to: IO[str] | None = None) -> None:
        self._to = sys.stdout if to is None else to

    def row(self, row: Row, converters: Converters) -> None:
        """With all its cells: row, cells: column, timestamp, value."""
        self.record({"row": string_binary(row.key), "cells": [_cell_json(cell, converters) for cell in row.cells]})

    def cell_of(self, row: bytes, cell: Cell, converters: Converters) -> None:
        """One line for each: row, column, timestamp, value."""
        self.record({"row": string_binary(row), **_cell_json(cell, converters)})

    def record(self, values: Mapping[str, Any]) -> None:
        """Names in small letters."""
        plain = {name.lower().replace(" ", "_"): value for name, value in values.items()}
        self._to.write(f"{json.dumps(plain, ensure_ascii=False)}\n")

    def line(self, text: str) -> None:
        """Nothing: it is no data."""

    def headings(self, first: str, *others: str) -> None:
        """Nothing: every line has its names."""

    def end(self, counted: str, took_s: float) -> None:
        """Nothing: lines can be counted."""


def column_name(cell: Cell) -> str:
    """`family:qualifier`."""
    return f"{string_binary(cell.family)}:{string_binary(cell.qualifier)}"


def instant(timestamp_ms: int) -> str:
    """A timestamp as Java's Instant writes it; as a number where it is no time."""
    if not 0 <= timestamp_ms <= MILLIS_MAX:
        return str(timestamp_ms)
    at = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    fraction = f".{timestamp_ms % 1000:03d}" if timestamp_ms % 1000 else ""
    return f"{at:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _cell_text(cell: Cell, converters: Converters) -> str:
    if cell.key_type != KeyType.PUT:
        return f"timestamp={instant(cell.timestamp_ms)}, type={_kind(cell)}"
    return f"timestamp={instant(cell.timestamp_ms)}, value={shown(cell, converters)}"


def _cell_json(cell: Cell, converters: Converters) -> dict[str, Any]:
    found: dict[str, Any] = {"column": column_name(cell), "timestamp": cell.timestamp_ms}
    if cell.key_type != KeyType.PUT:
        return {**found, "type": _kind(cell)}
    return {**found, "value": shown(cell, converters)}


def _kind(cell: Cell) -> str:
    """As Cell.Type is called; a number for what HBase has no name for."""
    return CELL_TYPES.get(cell.key_type, str(cell.key_type))
