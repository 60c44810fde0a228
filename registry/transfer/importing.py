"""A file into a table: whatever is written again is what it was, so that an import that was ended is begun anew.

Rows go through a batch writer, which holds the reader up where servers are slower than the file.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from registry.client.admin.schema import TableDescriptor
from registry.client.connection import Connection
from registry.client.data.table import Table
from registry.client.data.writer import BatchWriter
from registry.transfer.files import Source
from registry.transfer.lines import BadRecord, TableSchema, read_line
from registry.transfer.operations import operations_of, versions_lost
from registry.transfer.progress import Progress
from registry.wire.cellblock import Cell
from registry.wire.errors import TableNotFoundException
from registry.wire.preamble import string_binary

LINE_BYTES_MAX = 1 << 30
"""A row of 256 MiB, the longest that scans give, with every byte written as \\xHH."""
ROWS_PER_LOOK = 256
"""After so many the bar moves."""

Records: TypeAlias = Iterator[tuple[str, list[Cell] | TableSchema | BadRecord]]
"""Place in the file, and what is there."""


@dataclass(slots=True)
class ImportOptions:
    """What is done with what is found."""

    create: bool = False
    """Make the table, and families that it does not have."""
    new_timestamps: bool = False
    skip_bad: bool = False


@dataclass(slots=True)
class Counts:
    """What is told at the end."""

    acknowledged: int = 0
    """Operations that servers have made; a row is one of them or several."""
    bad: int = 0
    older: int = 0
    """Versions that --new-timestamps leaves out."""
    lost: int = 0
    """Versions that are more than their families keep."""
    created: list[str] = field(default_factory=list[str])


class BadInput(Exception):
    """The file has something that cannot be imported; the text says where."""


def line_records(source: Source) -> Records:
    """Of JSON lines; empty lines are none."""
    number = 0
    while line := _line(source, number):
        number += 1
        if len(line) >= LINE_BYTES_MAX and not line.endswith(b"\n"):
            raise BadInput(f"line {number} has more than {LINE_BYTES_MAX} bytes")
        if line.isspace():
            continue
        try:
            yield f"line {number}", read_line(line)
        except BadRecord as error:
            yield f"line {number}", error


def _line(source: Source, number: int) -> bytes:
    try:
        return source.line(LINE_BYTES_MAX)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInput(f"line {number + 1}: {error}") from None


def parquet_records(source: Source) -> Records:
    """Of Parquet. Raises BadInput."""
    from registry.transfer.parquet import read_parquet

    try:
        schema, rows = read_parquet(source.file)
        if schema is not None:
            yield "its metadata", schema
        yield from rows
    except BadRecord as error:
        raise BadInput(str(error)) from None


class Importer:
    """Rows into one table."""

    def __init__(
        self,
        connection: Connection,
        table: Table,
        options: ImportOptions,
        progress: Progress,
        say: Callable[[str], None],
    ) -> None:
        self._admin = connection.admin
        self._table = table
        self._options = options
        self._progress = progress
        self._say = say
        self._is_there = False
        self._kept: dict[bytes, int] = {}
        """Versions that each family keeps."""
        self._told: TableSchema | None = None
        """What the file says of the table that it is of."""
        self.counts = Counts()

    async def run(self, records: Records, at: Callable[[], int]) -> None:
        """All of them; `at` tells how many bytes of the file are read. Raises BadInput, HBaseError."""
        await self._look()
        writer = self._table.batch_writer()
        try:
            async with writer:
                for place, found in records:
                    try:
                        if isinstance(found, BadRecord):
                            raise found
                        if isinstance(found, TableSchema):
                            await self._schema(found)
                        else:
                            await self._row(writer, found)
                    except BadRecord as error:
                        self._bad(place, error)
                    if self._progress.rows % ROWS_PER_LOOK == 0:
                        self._progress.at(at())
        finally:
            self.counts.acknowledged = writer.rows_written
            self._progress.at(at())

    async def _schema(self, told: TableSchema) -> None:
        self._told = told
        missing = [name for name in told.families if name.encode() not in self._kept]
        if missing and self._options.create:
            await self._make(dict.fromkeys(missing))

    async def _row(self, writer: BatchWriter, cells: list[Cell]) -> None:
        if not cells:
            return
        families = {cell.family for cell in cells}
        written = operations_of(cells, new_timestamps=self._options.new_timestamps)
        if not families <= self._kept.keys():
            if not self._options.create:
                missing = ", ".join(sorted(map(string_binary, families - self._kept.keys())))
                there = ", ".join(map(string_binary, self._kept))
                raise BadRecord(f"table {self._table.name} has {there}, and no family {missing}: --create adds it")
            await self._make(dict.fromkeys(map(_family, sorted(families - self._kept.keys()))))
        self.counts.older += written.older_count
        if not self._options.new_timestamps:
            self.counts.lost += versions_lost(cells, self._kept)
        for operation in written.operations:
            await writer.add(operation)
        self._progress.rows += 1
        self._progress.cells += len(cells) - written.older_count

    async def _look(self) -> None:
        """What families there are. Raises TableNotFoundException, unless the table is to be made."""
        try:
            self._take(await self._admin.describe(self._table.name))
        except TableNotFoundException:
            if not self._options.create:
                raise TableNotFoundException(f"{self._table.name}: --create makes it") from None

    async def _make(self, families: dict[str, None]) -> None:
        """The table, or families of it; as they were where the file tells."""
        told = self._told.families if self._told is not None else {}
        wanted = {name: told.get(name) for name in families}
        if self._is_there:
            await self._admin.alter_table(self._table.name, wanted)
            self.counts.created.append(f"family {', '.join(families)} of table {self._table.name}")
        else:
            splits = self._told.splits if self._told is not None else ()
            await self._admin.create_table(self._table.name, {**told, **wanted}, splits=splits)
            self.counts.created.append(f"table {self._table.name}")
        self._take(await self._admin.describe(self._table.name))

    def _take(self, described: TableDescriptor) -> None:
        self._is_there = True
        self._kept = {
            name.encode(): int(attributes.get("VERSIONS", "1")) for name, attributes in described.families.items()
        }

    def _bad(self, place: str, error: BadRecord) -> None:
        if not self._options.skip_bad:
            raise BadInput(f"{place}: {error}") from None
        self.counts.bad += 1
        self._say(f"{place}: {error}")


def _family(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise BadRecord(f"family {string_binary(name)} is no text, and cannot be made") from None
