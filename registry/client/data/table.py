"""A table: everything that can be done to its rows. Calls of one row here, the rest in the modules beside.

Source: org.apache.hadoop.hbase.client.AsyncTable, RawAsyncTableImpl.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict, Unpack

from protos.hbase import Client_pb2
from registry.client.data.batch import Entry
from registry.client.data.batching import run_batch
from registry.client.data.calls import Calls
from registry.client.data.checked import CheckedMutations
from registry.client.data.conditions import Condition
from registry.client.data.failures import Again, BatchError
from registry.client.data.messages import get_message, mutation_message
from registry.client.data.names import Bytes, ColumnName, columns, row_key, to_bytes
from registry.client.data.operations import (
    AnyFilter,
    Append,
    Delete,
    Durability,
    Get,
    Increment,
    Mutation,
    Operation,
    Put,
    RowMutations,
    TimeRange,
)
from registry.client.data.region_map import Region
from registry.client.data.results import Cells, Row, row_of
from registry.client.data.scanning import Scanner
from registry.client.data.table_scan import ANSWER_BYTES_MAX, ScanSpec, of_prefix
from registry.client.data.writer import BatchWriter
from registry.client.scan import INT32_MAX
from registry.rpc.client import Answer as RpcAnswer
from registry.wire.errors import HBaseError, ProtocolError

if TYPE_CHECKING:
    from registry.client.arrow import ArrowScan
    from registry.client.arrow_types import ColumnType, OnError


class ReadOptions(TypedDict, total=False):
    """What Gets and scans have in common."""

    columns: Iterable[ColumnName] | None
    """Columns and families to read; None: all."""
    versions: int
    """Of each column, newest first; 1 unless told."""
    time_range: TimeRange | None
    """(from, to) in ms, without the last; None is without bound."""
    filter: AnyFilter | None
    cache_blocks: bool


class ScanOptions(ReadOptions, total=False):
    """What scans take."""

    start: Bytes
    stop: Bytes
    prefix: Bytes
    """All rows that begin so, in place of `start` and `stop`."""
    reverse: bool
    """From `start` downwards to `stop`; without `start` from the end of the table."""
    limit: int
    """Rows; 0: all."""
    include_start: bool
    include_stop: bool
    batch_cells: int
    """Rows in parts of so many cells (Row.partial); 0: whole."""
    rows_per_call: int
    """Rows that an answer has at most; its bytes are bounded besides."""
    answer_bytes_max: int
    raw: bool
    """Deleted cells and the markers of deletes too."""
    timeout_ms: float | None


class ArrowOptions(ScanOptions, total=False):
    """What scans into record batches take besides."""

    types: Mapping[ColumnName, ColumnType] | None
    """Column to int, "int32", float, bool, str, bytes, ..., a type of pyarrow, a callable or (callable, type).

    Columns that `columns` names and this does not are binary; "row" is the type of the keys.
    """
    rows_per_batch: int
    timestamps: bool
    """Have a column "cf:q timestamp" behind each."""
    errors: OnError
    """What becomes of a value that does not fit its type: "raise" a ValueError, or "null"."""


class CheckResult(NamedTuple):
    """What `check_and_mutate` did."""

    success: bool
    """Whether the condition held, and the mutation was made."""
    row: Row | None
    """What an Increment or Append gives."""


class Table:
    """Rows of one table. Made by `Connection.table`, which asks nobody; belongs to the connection's loop.

    Every call takes `timeout_ms`, the deadline of it with all its retries; without one that of the table, else
    hbase.client.operation.timeout. Calls raise what the server says (TableNotFoundException,
    NoSuchColumnFamilyException, ...), RetriesExhaustedException where it was tried as long as it may be, and
    ValueError for what makes no sense, before anybody is asked.

    Reads, puts and deletes are tried again until they are done; increments and appends too, under a nonce by which
    servers know them again, so that they are made once.
    """

    def __init__(self, calls: Calls, name: str, timeout_ms: float | None, durability: Durability) -> None:
        """Use `Connection.table`."""
        self.name = name
        self._calls = calls
        self._regions = calls.finder.table(name)
        self._timeout_ms = calls.settings.operation_timeout_ms if timeout_ms is None else timeout_ms
        self._durability = durability

    # --- reading ------------------------------------------------------------------------------------------------

    async def get(self, row: Bytes, *, timeout_ms: float | None = None, **options: Unpack[ReadOptions]) -> Row | None:
        """The row, or the columns of it that were asked for; None where nothing of it is there."""
        get = Get(row, **options)
        tail = Client_pb2.GetRequest(get=get_message(get)).SerializePartialToString()
        answer = await self._calls.row(
            self._regions, row_key(row), "Get", tail, self._timeout_ms if timeout_ms is None else timeout_ms
        )
        return self._row(self._calls.parse(answer, Client_pb2.GetResponse, "Get").result, answer.cells)

    async def get_many(
        self, rows: Iterable[Bytes], *, timeout_ms: float | None = None, **options: Unpack[ReadOptions]
    ) -> list[Row | None]:
        """Many rows with few requests, in the order of the keys. Raises BatchError."""
        if (wanted := options.get("columns")) is not None:
            options["columns"] = tuple(wanted)
        return await self.batch([Get(row, **options) for row in rows], timeout_ms=timeout_ms)

    async def exists(self, row: Bytes, *, timeout_ms: float | None = None, **options: Unpack[ReadOptions]) -> bool:
        """Whether `get` would give a row; the server sends none."""
        message = get_message(Get(row, **options))
        message.existence_only = True
        tail = Client_pb2.GetRequest(get=message).SerializePartialToString()
        answer = await self._calls.row(self._regions, message.row, "Get", tail, self._until(timeout_ms))
        return self._calls.parse(answer, Client_pb2.GetResponse, "Get").result.exists

    def scan(self, **options: Unpack[ScanOptions]) -> Scanner:
        """Rows in order, as an async iterator; nothing is asked before the first is wanted. Raises ValueError."""
        timeout_ms = options.get("timeout_ms")
        return Scanner(self._calls, self._regions, scan_spec(options), self._until(timeout_ms))

    def scan_arrow(self, **options: Unpack[ArrowOptions]) -> ArrowScan:
        """The same as record batches of pyarrow, of the columns that are named (docs/python-client.md).

        Raises ValueError, and ImportError where pyarrow is not installed: the extra `arrow`.
        """
        from registry.client.arrow import ROWS_PER_BATCH, ArrowScan, batch_spec

        types, rows_per_batch = options.pop("types", None), options.pop("rows_per_batch", ROWS_PER_BATCH)
        timestamps, on_error = options.pop("timestamps", False), options.pop("errors", "raise")
        spec = batch_spec(options, types, timestamps=timestamps, on_error=on_error)
        return ArrowScan(self.scan(**options), spec, rows_per_batch)

    # --- writing ------------------------------------------------------------------------------------------------

    async def put(
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
        put = Put(row, values, timestamp, ttl_ms, self._durability if durability is None else durability)
        await self._mutate(put, timeout_ms)

    async def delete(
        self,
        row: Bytes,
        columns: Iterable[ColumnName] | None = None,
        *,
        timestamp: int | None = None,
        versions: Literal["all", "latest"] = "all",
        durability: Durability | None = None,
        timeout_ms: float | None = None,
    ) -> None:
        """Delete the row, or families and columns of it.

        Of columns all versions, or the latest alone; what is newer than `timestamp` stays.
        """
        own = self._durability if durability is None else durability
        await self._mutate(Delete(row, columns, timestamp, versions, durability=own), timeout_ms)

    async def increment(
        self,
        row: Bytes,
        amounts: Mapping[ColumnName, int],
        *,
        durability: Durability | None = None,
        timeout_ms: float | None = None,
    ) -> dict[bytes, int]:
        """Add to counters, once whatever happens, and give what they are now. Negative amounts subtract."""
        own = self._durability if durability is None else durability
        found = await self._counting(Increment(row, amounts, durability=own), timeout_ms)
        if found is None:
            return {}
        return {name: int.from_bytes(value, "big", signed=True) for name, value in found.items()}

    async def append(
        self,
        row: Bytes,
        values: Mapping[ColumnName, Bytes],
        *,
        durability: Durability | None = None,
        timeout_ms: float | None = None,
    ) -> Row | None:
        """Lengthen values, once whatever happens, and give what they are now."""
        own = self._durability if durability is None else durability
        return await self._counting(Append(row, values, durability=own), timeout_ms)

    async def check_and_mutate(
        self,
        row: Bytes,
        condition: Condition,
        mutation: Mutation | RowMutations,
        *,
        timeout_ms: float | None = None,
    ) -> CheckResult:
        """Make the mutation if the condition holds, in one step: `If("cf:q") == b"old"`, `If.absent("cf:q")`.

        It is tried again where it was surely not made. Where nobody answered whether it was, trying again could make
        it twice, or call one's own success a failure, as Java's client does: OutcomeUnknownException is raised.
        """
        key = row_key(row)
        if row_key(mutation.row) != key:
            raise ValueError(f"a condition on row {key!r} and a mutation of {mutation.row!r}")
        if isinstance(mutation, RowMutations):
            return await self._check_and_mutate_several(key, condition, mutation, timeout_ms)
        nonce = self._calls.nonce() if isinstance(mutation, Increment | Append) else 0
        request = Client_pb2.MutateRequest(mutation=mutation_message(mutation, nonce), condition=condition.message(key))
        if nonce:
            request.nonce_group = self._calls.nonce_group
        tail = request.SerializePartialToString()
        answer = await self._calls.row(self._regions, key, "Mutate", tail, self._until(timeout_ms), again=Again.NEVER)
        response = self._calls.parse(answer, Client_pb2.MutateResponse, "Mutate")
        return CheckResult(response.processed, self._row(response.result, answer.cells))

    async def mutate_row(
        self, row: Bytes, mutations: Iterable[Mutation], *, timeout_ms: float | None = None
    ) -> Row | None:
        """Several mutations of one row, all or none; gives what increments and appends among them do.

        Puts and deletes are tried again until they are made; with increments or appends it is as `check_and_mutate`.
        """
        try:
            (result,) = await self.batch([RowMutations(row, mutations)], timeout_ms=timeout_ms)
        except BatchError as error:
            raise error.errors[0] from None
        return result

    # --- many at once -------------------------------------------------------------------------------------------

    async def batch(self, operations: Sequence[Operation], *, timeout_ms: float | None = None) -> list[Row | None]:
        """All operations, with few requests to each server; results in their order.

        A Row or None for Gets, Increments and Appends, None for others. The order in which they are made is the
        servers', but operations of one row reach them together, in the order of the batch. Raises BatchError, which
        holds results and errors, where some failed after all retries; ValueError, where one makes no sense, before any
        is made.
        """
        entries = [Entry(each, self._calls.nonce) for each in operations]
        return await run_batch(self._calls, self._regions, entries, self._until(timeout_ms))

    def batch_writer(
        self,
        *,
        rows_max: int = 1000,
        bytes_max: int = 2 << 20,
        bytes_under_way_max: int = 16 << 20,
        timeout_ms: float | None = None,
    ) -> BatchWriter:
        """Collects puts and deletes and writes them by batches, in the background; `async with` writes the rest.

        A batch begins at `rows_max` or `bytes_max`; who adds more while `bytes_under_way_max` are not acknowledged
        waits. An error of a batch is raised by the next call, and by the end of the block.
        """

        async def write(entries: Sequence[Entry]) -> None:
            await run_batch(self._calls, self._regions, entries, self._until(timeout_ms))

        def encoded(operation: Operation) -> Entry:
            return Entry(operation, self._calls.nonce)

        return BatchWriter(encoded, write, rows_max, bytes_max, bytes_under_way_max)

    # --- regions ------------------------------------------------------------------------------------------------

    async def regions(self, *, timeout_ms: float | None = None) -> list[Region]:
        """All regions in order, as hbase:meta has them now."""
        return await self._calls.finder.read_all(self._regions, self._until(timeout_ms))

    async def region_of(self, row: Bytes, *, timeout_ms: float | None = None) -> Region:
        """The region of a row, and its server; from what is known where that is possible."""
        return await self._calls.finder.locate(self._regions, to_bytes(row), self._until(timeout_ms))

    def forget_regions(self) -> None:
        """Look up regions anew; the client notices by itself where it is wrong."""
        self._calls.finder.forget(self.name)

    def __repr__(self) -> str:
        return f"<hbeacon.Table {self.name}>"

    # --- how calls go -------------------------------------------------------------------------------------------

    def _until(self, timeout_ms: float | None) -> float:
        return self._timeout_ms if timeout_ms is None else timeout_ms

    async def _mutate(self, mutation: Put | Delete, timeout_ms: float | None) -> None:
        message = mutation_message(mutation)
        tail = Client_pb2.MutateRequest(mutation=message).SerializePartialToString()
        await self._calls.row(
            self._regions, message.row, "Mutate", tail, self._timeout_ms if timeout_ms is None else timeout_ms
        )

    async def _counting(self, mutation: Increment | Append, timeout_ms: float | None) -> Row | None:
        """A mutation that must not be made twice: all tries carry one nonce."""
        message = mutation_message(mutation, self._calls.nonce())
        request = Client_pb2.MutateRequest(mutation=message, nonce_group=self._calls.nonce_group)
        tail = request.SerializePartialToString()
        until_ms = self._until(timeout_ms)
        answer = await self._calls.row(self._regions, message.row, "Mutate", tail, until_ms, again=Again.UNDER_NONCE)
        return self._row(self._calls.parse(answer, Client_pb2.MutateResponse, "Mutate").result, answer.cells)

    async def _check_and_mutate_several(
        self, row: bytes, condition: Condition, mutations: RowMutations, timeout_ms: float | None
    ) -> CheckResult:
        """As a RegionAction with a condition, which servers before 2.4 find in the request itself."""
        checked = CheckedMutations(row, condition, mutations)

        def take(answer: RpcAnswer) -> CheckResult:
            try:
                return CheckResult(*checked.result(answer.message, answer.cells))
            except ProtocolError as error:
                raise HBaseError(f"an answer of {self.name} cannot be used: {error}") from None

        until_ms = self._until(timeout_ms)
        return await self._calls.region(self._regions, row, "Multi", checked.request, take, until_ms, again=Again.NEVER)

    def _row(self, result: Client_pb2.Result, block: bytes) -> Row | None:
        try:
            return row_of(result, Cells(block))
        except ProtocolError as error:
            raise HBaseError(f"an answer of {self.name} cannot be used: {error}") from None


def scan_spec(options: ScanOptions) -> ScanSpec:
    """What to read, of the options of `Table.scan`. Raises ValueError, TypeError for options that there are not."""
    if unknown := options.keys() - ScanOptions.__optional_keys__:
        raise TypeError(f"scans have no option {', '.join(map(repr, sorted(unknown)))}")
    reverse = options.get("reverse", False)
    start, stop = to_bytes(options.get("start", b"")), to_bytes(options.get("stop", b""))
    include_start = options.get("include_start", True)
    include_stop = options.get("include_stop", False)
    if (prefix := to_bytes(options.get("prefix", b""))) and (start or stop):
        raise ValueError("a prefix stands in place of start and stop")
    if prefix:
        start, stop = of_prefix(prefix, reverse=reverse)
        include_start, include_stop = not reverse, reverse
    limit, batch_cells = options.get("limit", 0), options.get("batch_cells", 0)
    rows_per_call = options.get("rows_per_call", INT32_MAX)
    if limit < 0 or batch_cells < 0 or rows_per_call < 1:
        raise ValueError(f"limit={limit}, batch_cells={batch_cells}, rows_per_call={rows_per_call}")
    return ScanSpec(
        start,
        stop,
        include_start=include_start,
        include_stop=include_stop,
        reverse=reverse,
        columns=columns(options.get("columns")),
        filter=options.get("filter"),
        rows_max=limit,
        versions=options.get("versions", 1),
        time_range=options.get("time_range"),
        batch_cells=batch_cells,
        rows_per_call=rows_per_call,
        answer_bytes_max=options.get("answer_bytes_max", ANSWER_BYTES_MAX),
        cache_blocks=options.get("cache_blocks", True),
        raw=options.get("raw", False),
    )
