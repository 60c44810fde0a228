"""Cells as the operations that write them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from registry.client.data.names import ColumnName
from registry.client.data.operations import Delete, Put
from registry.transfer.lines import BadRecord
from registry.wire.cellblock import LATEST_TIMESTAMP, Cell, KeyType
from registry.wire.preamble import string_binary

_WHOLE = (KeyType.DELETE_COLUMN, KeyType.DELETE_FAMILY)
_OF_FAMILY = (KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION)


class Written(NamedTuple):
    """What a row becomes."""

    operations: list[Put | Delete]
    older_count: int = 0
    """Versions that are left out, as all would have the same time."""


def operations_of(cells: Sequence[Cell], *, new_timestamps: bool = False) -> Written:
    """Writes for the cells of one row, one for each time. Raises BadRecord.

    With `new_timestamps` the server says the time: then only the newest version of a column can be written.
    """
    puts: dict[int, dict[ColumnName, bytes]] = {}
    deletes: dict[tuple[Literal["all", "latest"], int], list[ColumnName]] = {}
    older_count = 0
    if new_timestamps:
        cells = sorted(cells, key=lambda cell: -cell.timestamp_ms)
    for cell in cells:
        name = (cell.family, cell.qualifier)
        if cell.key_type == KeyType.PUT:
            values = puts.setdefault(LATEST_TIMESTAMP if new_timestamps else cell.timestamp_ms, {})
            if name not in values:
                values[name] = cell.value
            elif new_timestamps:
                older_count += 1
            else:
                raise BadRecord(
                    f"column {string_binary(cell.family)}:{string_binary(cell.qualifier)} twice at one time"
                )
        elif new_timestamps:
            raise BadRecord("a delete without its time would delete what is written beside it: no new timestamps then")
        else:
            if cell.timestamp_ms == LATEST_TIMESTAMP:
                raise BadRecord("a delete without timestamp")
            if cell.key_type in _OF_FAMILY and cell.qualifier:
                raise BadRecord(f"a delete of a family with qualifier {string_binary(cell.qualifier)}")
            versions = "all" if cell.key_type in _WHOLE else "latest"
            meant = (cell.family,) if cell.key_type in _OF_FAMILY else name
            deletes.setdefault((versions, cell.timestamp_ms), []).append(meant)
    row = cells[0].row
    found: list[Put | Delete] = [Put(row, values, _time(at)) for at, values in puts.items()]
    found += [Delete(row, columns, _time(at), versions) for (versions, at), columns in deletes.items()]
    return Written(found, older_count)


def versions_lost(cells: Sequence[Cell], kept: Mapping[bytes, int]) -> int:
    """How many of the cells are more versions of their column than its family keeps."""
    puts = Counter((cell.family, cell.qualifier) for cell in cells if cell.key_type == KeyType.PUT)
    return sum(max(count - kept.get(family, count), 0) for (family, _), count in puts.items())


def _time(timestamp: int) -> int | None:
    return None if timestamp == LATEST_TIMESTAMP else timestamp
