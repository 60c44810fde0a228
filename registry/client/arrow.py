"""Scans as record batches of Arrow: `Table.scan_arrow`.

    async for batch in users.scan_arrow(types={"cf:visits": int, "cf:name": str}): ...
    table = await users.scan_arrow(types=...).read_all()        # a pyarrow.Table; .to_pandas(), polars.from_arrow(...)

A batch has the column `row`, the keys, and one column for each that was named, null where a row has none.

This module is loaded by who asks for Arrow, and loads pyarrow.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from registry.client.arrow_types import ColumnType, OnError, Wanted, column_array, pa, wanted
from registry.client.data.cells import HEAD, HEAD_BYTES, STAMP, names_of
from registry.client.data.names import ColumnName, column, column_or_family
from registry.client.data.results import Row
from registry.client.data.scanning import Scanner
from registry.wire.errors import ProtocolError
from registry.wire.preamble import string_binary

if TYPE_CHECKING:
    from registry.client.data.blocking import Run
    from registry.client.data.table import ScanOptions

ROW = "row"
"""The column of the keys."""
ROWS_PER_BATCH = 10_000
BATCH_BYTES_MAX = 64 << 20
"""Of cells: a batch of long rows has fewer of them."""


class _Field(NamedTuple):
    """A column of HBase, and what it becomes."""

    name: str
    cell_names: bytes
    """[family bytes][family][qualifier], as cells have it."""
    what: Wanted


class BatchSpec:
    """Which columns batches have, and how rows become that."""

    def __init__(
        self,
        columns: Sequence[ColumnName],
        types: Mapping[ColumnName, ColumnType],
        *,
        timestamps: bool,
        on_error: OnError,
    ) -> None:
        """Raises ValueError."""
        given = dict(types)
        self._row = wanted(ROW, given.pop(ROW, bytes))
        by_column = {column(name): kind for name, kind in given.items()}
        for name in columns:
            family, qualifier = column_or_family(name)
            if qualifier is None:
                raise ValueError(f"{name!r} is a family: Arrow's columns are fixed, name each as 'family:qualifier'")
            by_column.setdefault((family, qualifier), bytes)
        if not by_column:
            raise ValueError("no columns: name them by types={'cf:q': int} or columns=['cf:q']")
        if on_error not in ("raise", "null"):
            raise ValueError(f"errors={on_error!r}: write 'raise' or 'null'")
        self.columns = tuple(by_column)
        self._timestamps = timestamps
        self._on_error: OnError = on_error
        self._fields = [
            _Field(shown := _shown(*name), names_of(name), wanted(shown, kind)) for name, kind in by_column.items()
        ]
        self._places = {each.cell_names: place for place, each in enumerate(self._fields)}

    def batch(self, rows: Sequence[Row]) -> Any:
        """A RecordBatch. Types that callables left open are fixed by the first. Raises ValueError, ProtocolError."""
        keys, values, stamps = self._cut(rows)
        arrays = [column_array(ROW, keys, keys, self._row, self._on_error)]
        names = [ROW]
        for place, field in enumerate(self._fields):
            made = column_array(field.name, keys, values[place], field.what, self._on_error)
            if field.what.data_type is None:
                self._fields[place] = field._replace(what=field.what._replace(data_type=made.type))
            arrays.append(made)
            names.append(field.name)
            if self._timestamps:
                arrays.append(pa.array(stamps[place], _TIME))
                names.append(timestamp_name(field.name))
        if self._row.data_type is None:
            self._row = self._row._replace(data_type=arrays[0].type)
        return pa.RecordBatch.from_arrays(arrays, names=names)

    @property
    def schema(self) -> Any:
        """Of the batches; before the first one the type of what callables give is not known: null."""
        fields = [(ROW, self._row.data_type or pa.null())]
        for field in self._fields:
            fields.append((field.name, field.what.data_type or pa.null()))
            if self._timestamps:
                fields.append((timestamp_name(field.name), _TIME))
        return pa.schema(fields)

    def _cut(self, rows: Sequence[Row]) -> tuple[list[bytes], list[list[bytes | None]], list[list[int | None]]]:
        """Keys, and of each column the values and times, None where a row has none; the loop that costs the time."""
        keys: list[bytes] = []
        values: list[list[bytes | None]] = [[None] * len(rows) for _ in self._fields]
        stamps: list[list[int | None]] = [[None] * len(rows) for _ in self._fields] if self._timestamps else []
        place_of, head = self._places.get, HEAD.unpack_from
        try:
            for number, row in enumerate(rows):
                block, offset = row.block, 0
                stop = len(block)
                keys.append(row.key)
                while offset < stop:
                    cell_bytes, key_bytes, value_bytes, row_bytes = head(block, offset)
                    names_at, stamp_at = offset + HEAD_BYTES + row_bytes, offset + 3 + key_bytes
                    offset += 4 + cell_bytes
                    if stamp_at + 9 + value_bytes != offset or names_at >= stamp_at:
                        raise ProtocolError("lengths of a cell that do not agree", kind="cell")
                    if (place := place_of(block[names_at:stamp_at])) is not None:
                        values[place][number] = block[stamp_at + 9 : offset]
                        if stamps:
                            stamps[place][number] = STAMP.unpack_from(block, stamp_at)[0]
                if offset != stop:
                    raise ProtocolError(f"cells of {offset} bytes in {stop}", kind="cell")
        except struct.error:
            raise ProtocolError("a cell is cut off", kind="cell") from None
        return keys, values, stamps


_TIME = pa.timestamp("ms", "UTC")


def timestamp_name(name: str) -> str:
    """The column that has the times of another."""
    return f"{name} timestamp"


def _shown(family: bytes, qualifier: bytes) -> str:
    """UTF-8 as it is, other bytes as HBase prints them."""
    name = family + b":" + qualifier
    try:
        return name.decode()
    except UnicodeDecodeError:
        return string_binary(name)


def batch_spec(
    options: ScanOptions, types: Mapping[ColumnName, ColumnType] | None, *, timestamps: bool, on_error: OnError
) -> BatchSpec:
    """What `Table.scan_arrow` was asked for; `options` then name its columns. Raises ValueError."""
    if options.get("versions", 1) != 1 or options.get("raw") or options.get("batch_cells"):
        raise ValueError("a record batch has the newest value of each column: no versions, raw or batch_cells")
    spec = BatchSpec(tuple(options.get("columns") or ()), types or {}, timestamps=timestamps, on_error=on_error)
    options["columns"] = spec.columns
    return spec


class ArrowScan:
    """The record batches of a scan, once: an async iterator. Made by `Table.scan_arrow`, belongs to one loop."""

    def __init__(self, scanner: Scanner, spec: BatchSpec, batch_rows_max: int) -> None:
        """Raises ValueError."""
        if batch_rows_max < 1:
            raise ValueError(f"rows_per_batch={batch_rows_max}")
        self._scanner = scanner
        self._spec = spec
        self._rows_per_batch = batch_rows_max
        self._answer: list[Row] = []
        """As the scan has brought it; those from `_place` on are in no batch yet."""
        self._place = 0
        self._rows: list[Row] = []
        """Of the next batch."""
        self._rows_bytes = 0

    async def next_batch(self) -> Any:
        """The next pyarrow.RecordBatch; None at the end. May be called again after an error of the scan."""
        while len(self._rows) < self._rows_per_batch and self._rows_bytes < BATCH_BYTES_MAX:
            if self._place == len(self._answer):
                self._answer, self._place = await self._scanner.next_batch(), 0
                if not self._answer:
                    break
            more = self._answer[self._place : self._place + self._rows_per_batch - len(self._rows)]
            self._place += len(more)
            self._rows += more
            self._rows_bytes += sum(len(row.block) for row in more)
        if not self._rows:
            return None
        rows, self._rows, self._rows_bytes = self._rows, [], 0
        return await asyncio.to_thread(self._spec.batch, rows)  # a long batch would keep the loop for long

    async def read_all(self) -> Any:
        """All that is left, in memory: a pyarrow.Table."""
        batches = [batch async for batch in self]
        return pa.Table.from_batches(batches, self.schema)

    @property
    def schema(self) -> Any:
        """A pyarrow.Schema; what callables give is known by the first batch only, unless it was told."""
        return self._spec.schema

    async def aclose(self) -> None:
        """End the scan; may be called again."""
        self._answer, self._place, self._rows = [], 0, []
        await self._scanner.aclose()

    async def __aiter__(self) -> AsyncGenerator[Any]:
        try:
            while (batch := await self.next_batch()) is not None:
                yield batch
        finally:
            await self.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class BlockingArrowScan:
    """The record batches of a scan, once: an iterator. Made by `BlockingTable.scan_arrow`."""

    def __init__(self, scan: ArrowScan, run: Run) -> None:
        self._scan = scan
        self._run = run

    def next_batch(self) -> Any:
        """The next pyarrow.RecordBatch; None at the end."""
        return self._run(self._scan.next_batch())

    def read_all(self) -> Any:
        """All that is left, in memory: a pyarrow.Table."""
        return self._run(self._scan.read_all())

    @property
    def schema(self) -> Any:
        """A pyarrow.Schema; what callables give is known by the first batch only, unless it was told."""
        return self._scan.schema

    def close(self) -> None:
        """End the scan; may be called again."""
        self._run.begin(self._scan.aclose())

    def __iter__(self) -> Iterator[Any]:
        try:
            while (batch := self.next_batch()) is not None:
                yield batch
        finally:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
