"""`happybase.Batch`: mutations that are sent together, puts before deletes, as the Thrift server has it.

Source: ThriftHBaseServiceHandler#mutateRowsTs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from registry.client.data.names import ColumnName
from registry.client.data.operations import Delete, Durability, Mutation, Put
from registry.client.happybase.columns import as_bytes, column, whole_column


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
        self._puts: dict[bytes, tuple[dict[ColumnName, bytes], Durability]] = {}
        self._deletes: dict[bytes, tuple[list[ColumnName], Durability]] = {}
        self._mutation_count = 0

    def send(self) -> None:
        """Send what there is."""
        at = self._timestamp
        self._send_mutations([Put(row, values, at, durability=how) for row, (values, how) in self._puts.items()])
        self._send_mutations([Delete(row, names, at, durability=how) for row, (names, how) in self._deletes.items()])
        self._puts, self._deletes = {}, {}
        self._mutation_count = 0

    def put(self, row: bytes | str, data: Mapping[bytes | str, bytes | str], wal: bool | None = None) -> None:
        """Add cells of a row; `wal` is for all that the batch puts into it."""
        key = as_bytes(row, "a row key")
        given: dict[ColumnName, bytes] = {}
        for name, value in data.items():
            given[whole_column(name)] = value if type(value) is bytes else as_bytes(value, "a value")
        if not given:
            return
        if before := self._puts.get(key):
            before[0].update(given)
            given = before[0]
        self._puts[key] = given, self._durability(wal)
        self._added(len(data))

    def delete(self, row: bytes | str, columns: Sequence[bytes | str] | None = None, wal: bool | None = None) -> None:
        """Delete columns or families of a row; None: all families that the table has."""
        key = as_bytes(row, "a row key")
        if columns is None:
            if self._families is None:  # asked once for all rows of this batch
                self._families = tuple(self._all_families())
            columns = self._families
        given = [column(name) for name in columns]
        if not given:
            return
        if before := self._deletes.get(key):
            before[0].extend(given)
            given = before[0]
        self._deletes[key] = given, self._durability(wal)
        self._added(len(columns))

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
