"""Cells and rows in Parquet, of which there are two forms.

long   row, family, qualifier, timestamp, type, value: a line for each cell, without loss
wide   row and a typed column `family:qualifier` for each that was named: newest values, without their times

Loads pyarrow.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import groupby
from types import TracebackType
from typing import IO, Any, Self

from registry.client.arrow_types import NUMBERS, pa
from registry.client.data.names import column, row_key
from registry.transfer.lines import KEY_TYPES, BadRecord, TableSchema, checked, read_line, schema_line, type_of
from registry.wire.cellblock import CELL_TYPES, LATEST_TIMESTAMP, Cell, KeyType

parquet: Any = import_module("pyarrow.parquet")

ROW = "row"
TABLE = b"hbeacon.table"
"""Metadata: the table, as the first line of JSON lines has it."""
CELLS_PER_GROUP = 100_000
GROUP_BYTES_MAX = 64 << 20
LONG = pa.schema(
    [
        (ROW, pa.binary()),
        ("family", pa.binary()),
        ("qualifier", pa.binary()),
        ("timestamp", pa.int64()),
        ("type", pa.string()),
        ("value", pa.binary()),
    ]
)


class LongWriter:
    """Cells into a file, which is whole at the end of a `with` block."""

    def __init__(self, file: IO[bytes], schema: TableSchema) -> None:
        self._schema = LONG.with_metadata({TABLE: schema_line(schema).strip()})
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._cells: list[Cell] = []
        self._cells_bytes = 0

    def write(self, cells: Sequence[Cell]) -> None:
        """The cells of a row. Raises BadRecord."""
        for cell in cells:
            type_of(cell)  # so that it is raised before any of them is kept
            self._cells_bytes += len(cell.value) + len(cell.row) + len(cell.qualifier)
        self._cells += cells
        if len(self._cells) >= CELLS_PER_GROUP or self._cells_bytes >= GROUP_BYTES_MAX:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._flush()
        finally:
            self._writer.close()  # also where nobody wants the file: else it would write when it is collected

    def _flush(self) -> None:
        rows, families, qualifiers, times, types, values, _ = (
            zip(*self._cells, strict=True) if self._cells else ((),) * 7
        )
        self._cells, self._cells_bytes = [], 0
        columns = (rows, families, qualifiers, times, [CELL_TYPES[key_type] for key_type in types], values)
        arrays = [pa.array(found, field.type) for found, field in zip(columns, LONG, strict=True)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))


def wide_writer(file: IO[bytes], schema: Any) -> Any:
    """A ParquetWriter for batches of `Table.scan_arrow`, to be closed by a `with` block."""
    return parquet.ParquetWriter(file, schema, compression="zstd")


# --- reading --------------------------------------------------------------------------------------------------------


def read_parquet(file: IO[bytes]) -> tuple[TableSchema | None, Iterator[tuple[str, list[Cell] | BadRecord]]]:
    """The table, where the file tells, and its rows with the place of each. Raises BadRecord for no such file."""
    try:
        opened = parquet.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise BadRecord(f"no Parquet: {error}") from None
    schema = opened.schema_arrow
    told: bytes | None = schema.metadata[TABLE] if TABLE in (schema.metadata or ()) else None
    table = read_line(told) if told is not None else None
    names = schema.names
    if set(LONG.names) <= set(names):
        rows = _long(opened)
    elif ROW in names:
        _check_wide(schema)
        rows = _wide(opened)
    else:
        raise BadRecord(f"no column {ROW!r}: there are {', '.join(names)}")
    return table if isinstance(table, TableSchema) else None, rows


def _long(opened: Any) -> Iterator[tuple[str, list[Cell] | BadRecord]]:
    number = 1
    for batch in opened.iter_batches(columns=LONG.names):
        try:
            columns = [found.cast(field.type).to_pylist() for found, field in zip(batch.columns, LONG, strict=True)]
        except pa.ArrowInvalid as error:
            raise BadRecord(f"cells {number} to {number + batch.num_rows - 1}: {error}") from None
        for row, found in groupby(zip(*columns, strict=True), key=lambda each: each[0]):
            group = list(found)
            place = f"cell {number}" if len(group) == 1 else f"cells {number} to {number + len(group) - 1}"
            number += len(group)
            try:
                yield place, [_cell(row, *each[1:]) for each in group]
            except ValueError as error:
                yield place, BadRecord(str(error))


def _cell(row: Any, family: Any, qualifier: Any, timestamp: Any, kind: Any, value: Any) -> Cell:
    key_type = KEY_TYPES.get(kind)
    if row is None or family is None or key_type is None or (value is None and key_type == KeyType.PUT):
        raise BadRecord(f"row, family and value are there, and type is one of {', '.join(KEY_TYPES)}")
    at = LATEST_TIMESTAMP if timestamp is None else timestamp
    return checked(Cell(row_key(row), family, qualifier or b"", at, key_type, value or b""))


def _check_wide(schema: Any) -> None:
    for field in schema:
        if field.name != ROW and ":" not in field.name:
            raise BadRecord(f"column {field.name!r} is none of HBase: name it family:qualifier, or leave it out")
        if _bytes_of_type(_plain(field.type)) is None:
            raise BadRecord(f"column {field.name!r} is {field.type}, for which there are no bytes: cast it")


def _wide(opened: Any) -> Iterator[tuple[str, list[Cell] | BadRecord]]:
    number = 0
    for batch in opened.iter_batches():
        columns: list[tuple[str, list[bytes | None]]] = []
        for name, found in zip(batch.schema.names, batch.columns, strict=True):
            plain = found.cast(_plain(found.type))
            convert = _bytes_of_type(plain.type)
            assert convert is not None, "checked by who opened it"
            columns.append((name, [None if value is None else convert(value) for value in plain.to_pylist()]))
        keys = next(values for name, values in columns if name == ROW)
        named = [(*column(name), values) for name, values in columns if name != ROW]
        for index, row in enumerate(keys):
            number += 1
            try:
                key = row_key(row or b"")
            except ValueError as error:
                yield f"row {number}", BadRecord(str(error))
                continue
            yield (
                f"row {number}",
                [
                    Cell(key, family, qualifier, LATEST_TIMESTAMP, KeyType.PUT, value)
                    for family, qualifier, values in named
                    if (value := values[index]) is not None
                ],
            )


def _plain(data_type: Any) -> Any:
    """The type that is stored, for those that stand for another."""
    if pa.types.is_timestamp(data_type):
        return pa.int64()
    return data_type.value_type if pa.types.is_dictionary(data_type) else data_type


def _bytes_of_type(data_type: Any) -> Callable[[Any], bytes] | None:
    """What writes a value of this type; None where there is nothing."""
    if data_type in (pa.binary(), pa.large_binary()):
        return bytes
    if data_type in (pa.string(), pa.large_string()):
        return str.encode
    if data_type == pa.bool_():
        return lambda value: b"\xff" if value else b"\0"
    if data_type not in NUMBERS:
        return None
    code, _ = NUMBERS[data_type]

    def convert(value: Any) -> bytes:
        number = array(code, (value,))
        if sys.byteorder == "little":
            number.byteswap()
        return number.tobytes()

    return convert
