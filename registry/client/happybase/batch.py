"""`happybase.Batch`: mutations that are sent together, puts before deletes, as the Thrift server has it.

Source: ThriftHBaseServiceHandler#mutateRowsTs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from registry.client.data.names import ColumnName
from registry.client.data.operations import Delete, Durability, Mutation, Put
from registry.client.happybase.columns import as_bytes, column


@dataclass(slots=True)
class _RowChanges:
    """What is asked of one row."""

    puts: dict[ColumnName, bytes] = field(default_factory=dict[ColumnName, bytes])
    deletes: list[ColumnName] = field(default_factory=list[ColumnName])
    put_durability: Durability = Durability.SYNC_WAL
    delete_durability: Durability = Durability.SYNC_WAL


class Batch:
    """Made by `Table.batch`. Of puts to one column the last counts; puts are made first, then deletes."""

    def __init__(
        self,
        send: Callable[[Sequence[Mutation]], None],
        families: Callable[[], Iterable[bytes]],
        timestamp: Any = None,
        batch_size: int | None = None,
        transaction: bool = False,
        wal: bool = True,
    ) -> None:
        """`send` is given mutations of one kind, `families` the names of those that the table has."""
        if not (timestamp is None or isinstance(timestamp, int)):
            raise TypeError("'timestamp' must be an integer or None")
        if batch_size is not None:
            if transaction:
                raise TypeError("'transaction' cannot be used when 'batch_size' is specified")
            if batch_size <= 0:
                raise ValueError("'batch_size' must be > 0")
        self._send_mutations = send
        self._all_families = families
        self._batch_size = batch_size
        self._timestamp = timestamp
        self._transaction = transaction
        self._wal = wal
        self._families: Sequence[bytes] | None = None
        self._rows: dict[bytes, _RowChanges] = {}
        self._mutation_count = 0

    def send(self) -> None:
        """Send what there is."""
        if not self._rows:
            return
        puts: list[Mutation] = []
        deletes: list[Mutation] = []
        for row, changes in self._rows.items():
            if changes.puts:
                puts.append(Put(row, changes.puts, self._timestamp, durability=changes.put_durability))
            if changes.deletes:
                deletes.append(Delete(row, changes.deletes, self._timestamp, durability=changes.delete_durability))
        self._send_mutations(puts)
        self._send_mutations(deletes)
        self._rows = {}
        self._mutation_count = 0

    def put(self, row: bytes | str, data: Mapping[bytes | str, bytes | str], wal: bool | None = None) -> None:
        """Add cells of a row; `wal` is for these alone."""
        changes = self._of(row)
        for name, value in data.items():
            where = column(name)
            if len(where) == 1:
                raise ValueError(f"column {name!r} has no qualifier: write 'family:qualifier', or 'family:'")
            changes.puts[where] = as_bytes(value, "a value")
        changes.put_durability = self._durability(wal)
        self._added(len(data))

    def delete(self, row: bytes | str, columns: Sequence[bytes | str] | None = None, wal: bool | None = None) -> None:
        """Delete columns or families of a row; None: all families that the table has."""
        if columns is None:
            if self._families is None:  # asked once for all rows of this batch
                self._families = tuple(self._all_families())
            columns = self._families
        changes = self._of(row)
        changes.deletes += [column(name) for name in columns]
        changes.delete_durability = self._durability(wal)
        self._added(len(columns))

    def _of(self, row: bytes | str) -> _RowChanges:
        return self._rows.setdefault(as_bytes(row, "a row key"), _RowChanges())

    def _durability(self, wal: bool | None) -> Durability:
        return Durability.SYNC_WAL if (self._wal if wal is None else wal) else Durability.SKIP_WAL

    def _added(self, count: int) -> None:
        self._mutation_count += count
        if self._batch_size and self._mutation_count >= self._batch_size:
            self.send()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not (self._transaction and kind is not None):
            self.send()
