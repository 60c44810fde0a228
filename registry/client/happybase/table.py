"""`happybase.Table`: rows, versions, scans and counters under happybase's names.

A timestamp bounds from above, without itself: what Thrift's `...Ts` calls make of it.

Source: ThriftHBaseServiceHandler#getRowsWithColumnsTs, #getVerTs, #scannerOpenWithScan.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, TypedDict

from registry.client.blocking import BlockingConnection
from registry.client.data.blocking import BlockingTable
from registry.client.data.operations import VERSIONS_MAX, Mutation, TimeRange
from registry.client.data.results import Row
from registry.client.happybase.batch import Batch
from registry.client.happybase.columns import column_parts, family_options
from registry.client.happybase.columns import columns as columns_of
from registry.wire.errors import TableNotFoundException

RowData = dict[bytes, Any]
"""Columns with their values, or with (value, timestamp)."""


class Options(TypedDict, total=False):
    """Of each operation."""

    timeout_ms: float


class TableConnection(Protocol):
    """What a table needs of its connection."""

    @property
    def hbase(self) -> BlockingConnection:
        """The open one."""
        ...

    @property
    def options(self) -> Options:
        """For every call."""
        ...

    @property
    def compat(self) -> str:
        """The version of HBase that the program was written for."""
        ...


class Table:
    """Made by `Connection.table`."""

    def __init__(self, name: bytes, connection: TableConnection) -> None:
        self.name = name
        self.connection = connection
        self._opened: tuple[BlockingConnection, BlockingTable] | None = None
        """hbeacon's table, and the connection that it is of: the program may close and open it."""

    def families(self) -> dict[bytes, dict[str, Any]]:
        """Column families and their options, as Thrift names them."""
        described = self.connection.hbase.admin.describe(self.name.decode(), **self.connection.options)
        return {
            family.encode(): family_options(family.encode(), attributes)
            for family, attributes in sorted(described.families.items())
        }

    def regions(self) -> list[dict[str, Any]]:
        """Regions and the servers that have them; none where there is no such table."""
        try:
            located = self._table.regions(**self.connection.options)
        except TableNotFoundException:
            return []
        return [
            {
                "start_key": each.start_key,
                "end_key": each.end_key,
                "id": _region_id(each.name),
                "name": each.name,
                "version": 1,
                "server_name": each.server.host.encode() if each.server else b"",
                "port": each.server.port if each.server else 0,
            }
            for each in located
        ]

    # --- reading ------------------------------------------------------------------------------------------------

    def row(
        self,
        row: bytes | str,
        columns: Sequence[bytes | str] | None = None,
        timestamp: int | None = None,
        include_timestamp: bool = False,
    ) -> RowData:
        """One row; {} where there is none."""
        found = self._table.get(
            row, columns=columns_of(columns), time_range=_until(timestamp), **self.connection.options
        )
        return {} if found is None else _row_data(found, include_timestamp)

    def rows(
        self,
        rows: Sequence[bytes | str],
        columns: Sequence[bytes | str] | None = None,
        timestamp: int | None = None,
        include_timestamp: bool = False,
    ) -> list[tuple[bytes, RowData]] | dict[bytes, RowData]:
        """Those of the rows that there are, in the order that was asked; {} where none was asked."""
        wanted, until = columns_of(columns), _until(timestamp)
        if not rows:
            return {}
        found = self._table.get_many(rows, columns=wanted, time_range=until, **self.connection.options)
        return [(row.key, _row_data(row, include_timestamp)) for row in found if row is not None]

    def cells(
        self,
        row: bytes | str,
        column: bytes | str,
        versions: int | None = None,
        timestamp: int | None = None,
        include_timestamp: bool = False,
    ) -> list[Any]:
        """Versions of a column, newest first; None: all of them."""
        found = self._table.get(
            row,
            columns=columns_of([column]),
            versions=_versions(versions),
            time_range=_until(timestamp),
            **self.connection.options,
        )
        cells = found.cells if found is not None else ()
        return [(cell.value, cell.timestamp_ms) if include_timestamp else cell.value for cell in cells]

    def scan(
        self,
        row_start: bytes | str | None = None,
        row_stop: bytes | str | None = None,
        row_prefix: bytes | str | None = None,
        columns: Sequence[bytes | str] | None = None,
        filter: bytes | str | None = None,  # noqa: A002 - happybase's name
        timestamp: int | None = None,
        include_timestamp: bool = False,
        batch_size: int = 1000,
        scan_batching: int | None = None,
        limit: int | None = None,
        sorted_columns: bool = False,
        reverse: bool = False,
    ) -> Generator[tuple[bytes, RowData]]:
        """Rows with their keys, in order; nothing is asked before the first is wanted."""
        if batch_size < 1:
            raise ValueError("'batch_size' must be >= 1")
        if limit is not None and limit < 1:
            raise ValueError("'limit' must be >= 1")
        if scan_batching is not None and scan_batching < 1:
            raise ValueError("'scan_batching' must be >= 1")
        if sorted_columns and self.connection.compat < "0.96":
            raise NotImplementedError("'sorted_columns' is only supported in HBase >= 0.96")
        if reverse and self.connection.compat < "0.98":
            raise NotImplementedError("'reverse' is only supported in HBase >= 0.98")
        if filter is not None and self.connection.compat == "0.90":
            raise NotImplementedError("'filter' is not supported in HBase 0.90")
        if row_prefix is not None and (row_start is not None or row_stop is not None):
            raise TypeError("'row_prefix' cannot be combined with 'row_start' or 'row_stop'")
        scanner = self._table.scan(
            start=row_start or b"",
            stop=row_stop or b"",
            prefix=row_prefix or b"",
            reverse=reverse,
            columns=columns_of(columns),
            filter=filter,
            time_range=_until(timestamp),
            limit=limit or 0,
            rows_per_call=batch_size,
            batch_cells=scan_batching or 0,
            **self.connection.options,
        )
        with scanner:
            for row in scanner:
                if sorted_columns:
                    yield row.key, OrderedDict(_row_data(row, include_timestamp))
                else:
                    yield row.key, _row_data(row, include_timestamp)

    # --- writing ------------------------------------------------------------------------------------------------

    def put(
        self,
        row: bytes | str,
        data: Mapping[bytes | str, bytes | str],
        timestamp: int | None = None,
        wal: bool = True,
    ) -> None:
        """Store cells of a row. `wal=False` is acknowledged before any log has them."""
        with self.batch(timestamp=timestamp, wal=wal) as batch:
            batch.put(row, data)

    def delete(
        self,
        row: bytes | str,
        columns: Sequence[bytes | str] | None = None,
        timestamp: int | None = None,
        wal: bool = True,
    ) -> None:
        """Delete a row, families or columns of it; with a timestamp what is not newer."""
        with self.batch(timestamp=timestamp, wal=wal) as batch:
            batch.delete(row, columns)

    def batch(
        self,
        timestamp: int | None = None,
        batch_size: int | None = None,
        transaction: bool = False,
        wal: bool = True,
    ) -> Batch:
        """Mutations to be sent together: see happybase. `transaction`: nothing is sent if its block raises."""
        return Batch(self._send, self.families, timestamp, batch_size, transaction, wal)

    def _send(self, mutations: Sequence[Mutation]) -> None:
        if mutations:
            self._table.batch(mutations, **self.connection.options)

    # --- counters -----------------------------------------------------------------------------------------------

    def counter_get(self, row: bytes | str, column: bytes | str) -> int:
        """The counter's value; one that is not there is made, with 0."""
        return self.counter_inc(row, column, value=0)

    def counter_set(self, row: bytes | str, column: bytes | str, value: int = 0) -> None:
        """Give a counter a value: eight bytes, big-endian."""
        self.put(row, {column: value.to_bytes(8, "big", signed=True)})

    def counter_inc(self, row: bytes | str, column: bytes | str, value: int = 1) -> int:
        """Add to a counter; gives its new value."""
        family, qualifier = column_parts(column)
        counted = self._table.increment(row, {(family, qualifier or b""): value}, **self.connection.options)
        return counted[family + b":" + (qualifier or b"")]

    def counter_dec(self, row: bytes | str, column: bytes | str, value: int = 1) -> int:
        """Take from a counter; gives its new value."""
        return self.counter_inc(row, column, -value)

    @property
    def _table(self) -> BlockingTable:
        hbase = self.connection.hbase
        if self._opened is None or self._opened[0] is not hbase:
            self._opened = hbase, hbase.table(self.name.decode())
        return self._opened[1]

    def __repr__(self) -> str:
        return f"<happybase.Table of hbeacon, name={self.name!r}>"


def _row_data(row: Row, include_timestamp: bool) -> RowData:
    if include_timestamp:
        return {cell.family + b":" + cell.qualifier: (cell.value, cell.timestamp_ms) for cell in row.cells}
    return row.to_dict()


def _region_id(name: bytes) -> int:
    """The time at which it was made: table,start,ID.encoded."""
    return int(name.rpartition(b",")[2].partition(b".")[0])


def _versions(versions: Any) -> int:
    if versions is None:
        return VERSIONS_MAX
    if not isinstance(versions, int):
        raise TypeError("'versions' argument must be a number or None")
    if versions < 1:
        raise ValueError("'versions' argument must be at least 1 (or None)")
    return versions


def _until(timestamp: Any) -> TimeRange | None:
    """Raises TypeError for what is no number."""
    if timestamp is not None and not isinstance(timestamp, int):
        raise TypeError("'timestamp' must be an integer")
    return None if timestamp is None else (0, timestamp)
