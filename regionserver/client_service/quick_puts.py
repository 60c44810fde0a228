"""Puts that are written without being read as mutations: all usual ones, whichever way their cells came.

    in a cell block, of a known shape     regionserver.region.shapes: written as they lie
    in the message, of a known shape      client_service.message_shapes: made into such a block
    of one family, sorted, without tags   regionserver.region.plain_puts: cell by cell
    all others                            client_service.writes.read_mutation

Table.put of a Java client has its cells in the message, its batches have them in the block. What is not known costs a
look and changes nothing: each way writes what the next one would.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from protos.hbase import Client_pb2
from regionserver.client_service.cell_reader import CellReader
from regionserver.client_service.message_shapes import SHAPED_MIN, MessageShapes
from regionserver.region.plain_puts import PlainPut
from regionserver.region.shapes import Shaped
from registry.wire.cellblock import LATEST_TIMESTAMP, ROW_BYTES_MAX, Cell, KeyType
from registry.wire.errors import ProtocolError

_PUT = int(KeyType.PUT)
_MESSAGES = MessageShapes()
"""Whichever connection they come on."""


def quick_put(message: Client_pb2.MutationProto, cells: Iterator[Cell], now_ms: int) -> Shaped | PlainPut | None:
    """The put, its cells taken. None, and none is taken: it has to be read as a mutation."""
    if (
        message.mutate_type != Client_pb2.MutationProto.PUT
        or message.attribute
        or message.HasField("time_range")
        or message.timestamp > LATEST_TIMESTAMP
    ):
        return None
    count = message.associated_cell_count
    if count > 0:
        return _in_block(message.row, count, cells) if isinstance(cells, CellReader) else None
    columns, row = message.column_value, message.row
    if len(columns) != 1 or not row or len(row) > ROW_BYTES_MAX:
        return None
    of_all = message.timestamp if message.HasField("timestamp") else LATEST_TIMESTAMP
    [column] = columns
    if len(column.qualifier_value) < SHAPED_MIN or of_all != LATEST_TIMESTAMP:
        return _in_message(column, row, of_all)
    encoded = column.SerializeToString()
    shaped = _MESSAGES.find(encoded, row, now_ms)
    if shaped is not None:
        return shaped
    put = _in_message(column, row, of_all)
    if put is not None:
        _MESSAGES.missed(encoded, column, put)
    return put


def _in_block(row: bytes, count: int, cells: CellReader) -> Shaped | PlainPut | None:
    """`row`: of the message, which may have none."""
    shaped = cells.find_put(count)
    if shaped is not None:
        if row and row != shaped.row:
            return None
        cells.pass_over(shaped)
        return shaped
    begin = cells.at
    try:
        put = _of_cells(islice(cells, count), row)
    except ProtocolError:
        put = None
    if put is None or len(put.cells) < count:
        cells.at = begin
        return None
    return put


def _of_cells(cells: Iterator[Cell], row: bytes) -> PlainPut | None:
    taken: list[tuple[bytes, int, bytes]] = []
    family = before = b""
    for cell in cells:
        if not taken:
            row, family = row or cell.row, cell.family
        elif cell.qualifier <= before:
            return None
        if cell.row != row or cell.family != family or cell.key_type != _PUT or cell.tags:
            return None
        before = cell.qualifier
        taken.append((before, cell.timestamp_ms, cell.value))
    return PlainPut(row, family, taken) if 0 < len(row) <= ROW_BYTES_MAX else None


def _in_message(column: Client_pb2.MutationProto.ColumnValue, row: bytes, of_all_ms: int) -> PlainPut | None:
    """`of_all_ms`: of cells without a time of their own."""
    cells: list[tuple[bytes, int, bytes]] = []
    before: bytes | None = None
    for each in column.qualifier_value:
        qualifier = each.qualifier
        timestamp_ms = each.timestamp if each.HasField("timestamp") else of_all_ms
        if each.tags or not each.HasField("value") or timestamp_ms > LATEST_TIMESTAMP:
            return None
        if each.HasField("delete_type"):
            return None
        if before is not None and qualifier <= before:
            return None
        cells.append((qualifier, timestamp_ms, each.value))
        before = qualifier
    return PlainPut(row, column.family, cells) if cells else None
