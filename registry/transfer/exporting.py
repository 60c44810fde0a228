"""A table, or some of it, into a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import IO

from registry.client.connection import Connection
from registry.client.data.names import ColumnName
from registry.client.data.table import ScanOptions, Table
from registry.transfer.lines import TableSchema, row_line, schema_line
from registry.transfer.progress import Progress
from registry.wire.cellblock import Cell


async def schema_of(connection: Connection, table: str) -> TableSchema:
    """What the table is made of, and where it is split. Raises TableNotFoundException."""
    described = await connection.admin.describe(table)
    regions = await connection.table(table).regions()
    return TableSchema(described.name, described.families, tuple(region.start_key for region in regions[1:]))


async def export_lines(
    table: Table, schema: TableSchema, file: IO[bytes], options: ScanOptions, progress: Progress, *, as_base64: bool
) -> None:
    """As JSON lines, of which the first is the table."""
    file.write(schema_line(schema).encode())

    def write(cells: Sequence[Cell]) -> None:
        file.write(row_line(cells, as_base64=as_base64).encode())

    await _each(table, options, progress, write)


async def export_cells(
    table: Table, schema: TableSchema, file: IO[bytes], options: ScanOptions, progress: Progress
) -> None:
    """As Parquet, a line for each cell."""
    from registry.transfer.parquet import LongWriter

    with LongWriter(file, schema) as writer:
        await _each(table, options, progress, writer.write)


async def export_columns(
    table: Table, types: Mapping[ColumnName, str], file: IO[bytes], options: ScanOptions, progress: Progress
) -> None:
    """As Parquet, a column for each that is named. Raises ValueError for a value that does not fit its type."""
    from registry.transfer.parquet import wide_writer

    async with table.scan_arrow(types=types, **options) as scan:
        with wide_writer(file, scan.schema) as writer:
            async for batch in scan:
                writer.write_batch(batch)
                cells = sum(batch.num_rows - found.null_count for found in batch.columns[1:])
                progress.add(batch.num_rows, cells, batch.nbytes)


async def _each(
    table: Table, options: ScanOptions, progress: Progress, write: Callable[[Sequence[Cell]], None]
) -> None:
    """The next answer is under way while this one is written."""
    async with table.scan(**options) as scanner:
        while rows := await scanner.next_batch():
            cells_count = 0
            for row in rows:
                cells = row.cells
                write(cells)
                cells_count += len(cells)
            progress.add(len(rows), cells_count, sum(len(row.block) for row in rows))
