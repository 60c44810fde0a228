"""Cells as clients take them: counted in a cell block, with tags or without, or each as a message.

Source: ProtobufUtil#toResult, #toResultNoData; RSRpcServices#get, #mutate. The bytes are those of a real 2.6.4.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from protos.hbase import Cell_pb2, Client_pb2
from regionserver.region.record import without_tags
from regionserver.region.region import Found
from registry.wire.cellblock import decode_cells
from registry.wire.errors import HBaseError

RESULT_BYTES_MAX = 100 * 1024 * 1024
"""hbase.server.scanner.max.result.size: cells of one answer to a Scan or a Multi."""


class CellForm(enum.Enum):
    """How a connection, or its client's version, takes cells."""

    INLINE = "inline"
    """In the message: no codec was announced, or the client is older than 1.3 and asks for one row."""
    BLOCK = "block"
    """KeyValueCodec."""
    BLOCK_WITH_TAGS = "block with tags"
    """KeyValueCodecWithTags."""


class Answer(NamedTuple):
    """A message and the cell block behind it."""

    message: bytes
    cells: bytes = b""


Reply = Callable[[Answer | HBaseError], None]
"""Called once for each call, before or after it has returned."""

PROCESSED = Answer(Client_pb2.MutateResponse(processed=True).SerializeToString())
NOT_PROCESSED = Answer(Client_pb2.MutateResponse(processed=False).SerializeToString())


def result_of(found: Found, form: CellForm) -> tuple[Client_pb2.Result, bytes]:
    """A Result and its cells in the block. One without cells says nothing of being stale."""
    block, count, tagged = found
    if not count:
        return Client_pb2.Result(associated_cell_count=0), b""
    if form is CellForm.INLINE:
        return Client_pb2.Result(cell=inline_cells(block), stale=False, partial=False), b""
    if tagged and form is CellForm.BLOCK:
        block = without_tags(block)
    return Client_pb2.Result(associated_cell_count=count, stale=False), block


def get_result(found: Found, form: CellForm, *, existence_only: bool) -> tuple[Client_pb2.Result, bytes]:
    """Of a Get. An answer to whether there is such a row has no cells: clients refuse both together."""
    if existence_only:
        return Client_pb2.Result(associated_cell_count=0, exists=found.cells_count > 0), b""
    return result_of(found, form)


def get_answer(found: Found, form: CellForm, *, existence_only: bool) -> Answer:
    """The same as an answer of its own."""
    if form is not CellForm.INLINE and found.cells_count and not found.tagged and not existence_only:
        return Answer(_counted(found.cells_count), found.block)
    result, cells = get_result(found, form, existence_only=existence_only)
    return Answer(Client_pb2.GetResponse(result=result).SerializeToString(), cells)


@lru_cache(maxsize=4096)
def _counted(count: int) -> bytes:
    """A GetResponse of so many cells in the block."""
    result = Client_pb2.Result(associated_cell_count=count, stale=False)
    return Client_pb2.GetResponse(result=result).SerializeToString()


def inline_cells(block: bytes) -> list[Cell_pb2.Cell]:
    """Each cell as a message, without its tags, as ProtobufUtil#toCell has it."""
    return [
        Cell_pb2.Cell(
            row=cell.row,
            family=cell.family,
            qualifier=cell.qualifier,
            timestamp=cell.timestamp_ms % (1 << 64),
            cell_type=Cell_pb2.CellType.Name(cell.key_type),
            value=cell.value,
        )
        for cell in decode_cells(block, with_tags=True)
    ]
