"""A table without async: the same names, each call on the connection's loop, in its thread.

Any number of threads may use one BlockingTable. Scanners and writers belong to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar, Unpack

from registry.client.data.batch import Entry
from registry.client.data.conditions import Condition
from registry.client.data.names import Bytes, ColumnName
from registry.client.data.operations import Delete, Durability, Mutation, Operation, Put, RowMutations
from registry.client.data.region_map import Region
from registry.client.data.results import Row
from registry.client.data.scanning import Scanner
from registry.client.data.table import ArrowOptions, CheckResult, ReadOptions, ScanOptions, Table
from registry.client.data.writer import BatchWriter, size_bytes
from registry.wire.errors import HBaseError

if TYPE_CHECKING:
    from registry.client.arrow import BlockingArrowScan

T = TypeVar("T")


HANDED_OVER_MAX = 64
HANDED_OVER_BYTES_MAX = 1 << 18
"""What a writer keeps in the caller's thread at most."""


class Run(Protocol):
    """Runs something on the connection's loop, and waits for it."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        """What it gives."""
        ...

    def begin(self, work: Coroutine[Any, Any, object]) -> None:
        """Have it run and do not wait; nothing where the connection is closed."""
        ...


class BlockingTable:
    """Rows of one table. Made by `BlockingConnection.table`; methods, options and errors are those of `Table`."""

    def __init__(self, table: Table, run: Run) -> None:
        self._table = table
        self._run = run

    @property
    def name(self) -> str:
        """The table's name."""
        return self._table.name

    def get(self, row: Bytes, *, timeout_ms: float | None = None, **options: Unpack[ReadOptions]) -> Row | None:
        """The row, or the columns of it that were asked for; None where nothing of it is there."""
        return self._run(self._table.get(row, timeout_ms=timeout_ms, **options))

    def get_many(
        self, rows: Iterable[Bytes], *, timeout_ms: float | None = None, **options: Unpack[ReadOptions]
    ) -> list[Row | None]:
        """Many rows with few requests, in the order of the keys."""
        return self._run(self._table.get_many(rows, timeout_ms=timeout_ms, **options))

    def exists(self, row: Bytes, *, timeout_ms: float | None = None, **options: Unpack[ReadOptions]) -> bool:
        """Whether `get` would give a row."""
        return self._run(self._table.exists(row, timeout_ms=timeout_ms, **options))

    def scan(self, **options: Unpack[ScanOptions]) -> BlockingScanner:
        """Rows in order, as an iterator."""
        return BlockingScanner(self._table.scan(**options), self._run)

    def scan_arrow(self, **options: Unpack[ArrowOptions]) -> BlockingArrowScan:
        """The same as record batches of pyarrow, of the columns that are named, as an iterator."""
        from registry.client.arrow import BlockingArrowScan

        return BlockingArrowScan(self._table.scan_arrow(**options), self._run)

    def put(
        self,
        row: Bytes,
        values: Mapping[ColumnName, Bytes],
        *,
        timestamp: int | None = None,
        ttl_ms: int | None = None,
        durability: Durability | None = None,
        timeout_ms: float | None = None,
    ) -> None:
        """Write cells: {"family:qualifier": value}."""
        self._run(
            self._table.put(
                row, values, timestamp=timestamp, ttl_ms=ttl_ms, durability=durability, timeout_ms=timeout_ms
            )
        )

    def delete(
        self,
        row: Bytes,
        columns: Iterable[ColumnName] | None = None,
        *,
        timestamp: int | None = None,
        versions: Literal["all", "latest"] = "all",
        durability: Durability | None = None,
        timeout_ms: float | None = None,
    ) -> None:
        """Delete the row, or families and columns of it."""
        self._run(
            self._table.delete(
                row, columns, timestamp=timestamp, versions=versions, durability=durability, timeout_ms=timeout_ms
            )
        )

    def increment(
        self,
        row: Bytes,
        amounts: Mapping[ColumnName, int],
        *,
        durability: Durability | None = None,
        timeout_ms: float | None = None,
    ) -> dict[bytes, int]:
        """Add to counters, once whatever happens, and give what they are now."""
        return self._run(self._table.increment(row, amounts, durability=durability, timeout_ms=timeout_ms))

    def append(
        self,
        row: Bytes,
        values: Mapping[ColumnName, Bytes],
        *,
        durability: Durability | None = None,
        timeout_ms: float | None = None,
    ) -> Row | None:
        """Lengthen values, once whatever happens, and give what they are now."""
        return self._run(self._table.append(row, values, durability=durability, timeout_ms=timeout_ms))

    def check_and_mutate(
        self,
        row: Bytes,
        condition: Condition,
        mutation: Mutation | RowMutations,
        *,
        timeout_ms: float | None = None,
    ) -> CheckResult:
        """Make the mutation if the condition holds, in one step."""
        return self._run(self._table.check_and_mutate(row, condition, mutation, timeout_ms=timeout_ms))

    def mutate_row(self, row: Bytes, mutations: Iterable[Mutation], *, timeout_ms: float | None = None) -> Row | None:
        """Several mutations of one row, all or none."""
        return self._run(self._table.mutate_row(row, mutations, timeout_ms=timeout_ms))

    def batch(self, operations: Sequence[Operation], *, timeout_ms: float | None = None) -> list[Row | None]:
        """All operations, with few requests to each server; results in their order."""
        return self._run(self._table.batch(operations, timeout_ms=timeout_ms))

    def batch_writer(
        self,
        *,
        rows_max: int = 1000,
        bytes_max: int = 2 << 20,
        bytes_under_way_max: int = 16 << 20,
        timeout_ms: float | None = None,
    ) -> BlockingBatchWriter:
        """Collects puts and deletes and writes them by batches, in the background; `with` writes the rest."""

        async def made() -> BatchWriter:
            return self._table.batch_writer(
                rows_max=rows_max, bytes_max=bytes_max, bytes_under_way_max=bytes_under_way_max, timeout_ms=timeout_ms
            )

        return BlockingBatchWriter(self._run(made()), self._run)

    def regions(self, *, timeout_ms: float | None = None) -> list[Region]:
        """All regions in order, as hbase:meta has them now."""
        return self._run(self._table.regions(timeout_ms=timeout_ms))

    def region_of(self, row: Bytes, *, timeout_ms: float | None = None) -> Region:
        """The region of a row, and its server."""
        return self._run(self._table.region_of(row, timeout_ms=timeout_ms))

    def __repr__(self) -> str:
        return f"<hbeacon.BlockingTable {self.name}>"


class BlockingScanner:
    """The rows of a scan, once: an iterator. Leave it by `with`, or `close`, where it is left early."""

    def __init__(self, scanner: Scanner, run: Run) -> None:
        self._scanner = scanner
        self._run = run
        self._rows = self._each()

    def __iter__(self) -> Iterator[Row]:
        return self._rows

    def __next__(self) -> Row:
        return next(self._rows)

    def all(self) -> list[Row]:
        """All rows that are left, in memory."""
        return [*self._rows]

    def next_batch(self) -> list[Row]:
        """The next rows, as an answer has brought them; an empty list at the end. Not to be mixed with iteration."""
        return self._run(self._scanner.next_batch())

    def close(self) -> None:
        """End the scan; may be called again."""
        self._run.begin(self._scanner.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _each(self) -> Iterator[Row]:
        while batch := self.next_batch():
            yield from batch


class BlockingBatchWriter:
    """Made by `BlockingTable.batch_writer`. Operations go to the loop some at a time: each way there costs as a put."""

    def __init__(self, writer: BatchWriter, run: Run) -> None:
        self._writer = writer
        self._run = run
        self._given: list[Entry] = []
        self._given_bytes = 0

    def put(
        self,
        row: Bytes,
        values: Mapping[ColumnName, Bytes],
        *,
        timestamp: int | None = None,
        ttl_ms: int | None = None,
    ) -> None:
        """Write cells of a row, soon. Waits while too much is under way; raises what failed before."""
        self.add(Put(row, values, timestamp, ttl_ms))

    def delete(self, row: Bytes, columns: Iterable[ColumnName] | None = None, *, timestamp: int | None = None) -> None:
        """Delete a row, or families and columns of it, soon."""
        self.add(Delete(row, columns, timestamp))

    def add(self, operation: Mutation | RowMutations) -> None:
        """Make any mutation, soon, as it is now: what becomes of the values that were given does not matter.

        Raises ValueError where it makes no sense. Whatever else is raised failed before, and this one is made.
        """
        entry = self._writer.encoded(operation)
        self._given.append(entry)
        self._given_bytes += size_bytes(entry)
        if len(self._given) >= HANDED_OVER_MAX or self._given_bytes >= HANDED_OVER_BYTES_MAX:
            self._hand_over()

    def flush(self) -> None:
        """Until everything that was given is acknowledged."""
        self._hand_over()
        self._run(self._writer.flush())

    @property
    def rows_written(self) -> int:
        """That servers have acknowledged."""
        return self._writer.rows_written

    def close(self) -> None:
        """Write the rest; may be called again."""
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._hand_over()
            elif isinstance(error, Exception):
                try:
                    self._hand_over()
                except HBaseError as earlier:  # the block's own error is the one to tell
                    error.add_note(f"and a batch: {earlier}")
        finally:
            self._run(self._writer.__aexit__(kind, error, trace))

    def _hand_over(self) -> None:
        given, self._given, self._given_bytes = self._given, [], 0
        if given:
            self._run(self._writer.add_encoded(given))
