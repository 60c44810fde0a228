"""Cells for filters to be asked about, and filters made as a server makes them."""

from __future__ import annotations

from google.protobuf.message import Message

from protos.hbase import Filter_pb2
from regionserver.filters.filter import Filter, Place, ReturnCode, SeenCell
from regionserver.filters.parsing import parse_filter
from registry.wire.cellblock import Cell, KeyType, encode_cell
from tests.support.filters import envelope

INCLUDE, SKIP, NEXT_COL, NEXT_ROW = ReturnCode.INCLUDE, ReturnCode.SKIP, ReturnCode.NEXT_COL, ReturnCode.NEXT_ROW
INCLUDE_COL, INCLUDE_ROW = ReturnCode.INCLUDE_AND_NEXT_COL, ReturnCode.INCLUDE_AND_SEEK_NEXT_ROW
HINT = ReturnCode.SEEK_NEXT_USING_HINT


def cell(
    qualifier: str = "q", value: bytes = b"v", row: str = "r", family: str = "f", timestamp_ms: int = 5
) -> SeenCell:
    made = Cell(row.encode(), family.encode(), qualifier.encode(), timestamp_ms, KeyType.PUT, value)
    return SeenCell(*made[:5], encode_cell(made))


def made(message: Message | Filter_pb2.Filter, roll: float = 0.5) -> Filter:
    asked = message if isinstance(message, Filter_pb2.Filter) else envelope(message)
    return parse_filter(asked, lambda: roll)


def asked(filter_: Filter, *cells: SeenCell) -> list[ReturnCode]:
    """What it says of each, the row's key first where it is another."""
    row = b""
    told: list[ReturnCode] = []
    for each in cells:
        if each.row != row:
            row = each.row
            filter_.reset()
            filter_.filter_row_key(row)
        told.append(filter_.filter_cell(each))
    return told


def hint(filter_: Filter, of: SeenCell) -> tuple[bytes, bytes]:
    """Row and column of the place that it gives."""
    place: Place | None = filter_.next_cell_hint(of)
    assert place is not None
    return place[0], place[2]
