"""Writes many rows in the background, and holds up who writes faster than servers take.

Source: org.apache.hadoop.hbase.client.BufferedMutator, hbase.client.write.buffer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from registry.client.data.failures import BatchError
from registry.client.data.names import Bytes, ColumnName, to_bytes
from registry.client.data.operations import Append, Delete, Increment, Mutation, Operation, Put, RowMutations
from registry.wire.errors import HBaseError

OPERATION_OVERHEAD_BYTES = 64
"""Counted for each operation, so that many small ones count too."""


class BatchWriter:
    """Made by `Table.batch_writer`. Belongs to one loop; several tasks may write to it."""

    def __init__(
        self,
        write: Callable[[Sequence[Operation]], Awaitable[None]],
        rows_max: int,
        bytes_max: int,
        bytes_under_way_max: int,
    ) -> None:
        self._write = write
        self._rows_max = rows_max
        self._bytes_max = bytes_max
        self._bytes_under_way_max = bytes_under_way_max
        self._collected: list[Operation] = []
        self._collected_bytes = 0
        self._under_way_bytes = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._errors: list[HBaseError] = []
        self._room = asyncio.Event()
        self._room.set()
        self.rows_written = 0
        """That servers have acknowledged."""

    async def put(
        self,
        row: Bytes,
        values: Mapping[ColumnName, Bytes],
        *,
        timestamp: int | None = None,
        ttl_ms: int | None = None,
    ) -> None:
        """Write cells of a row, soon. Waits while too much is under way; raises what failed before."""
        await self.add(Put(row, values, timestamp, ttl_ms))

    async def delete(
        self, row: Bytes, columns: Iterable[ColumnName] | None = None, *, timestamp: int | None = None
    ) -> None:
        """Delete a row, or families and columns of it, soon."""
        await self.add(Delete(row, columns if columns is None else tuple(columns), timestamp))

    async def add(self, operation: Mutation | RowMutations) -> None:
        """Make any mutation, soon."""
        self._collected.append(operation)
        self._collected_bytes += size_bytes(operation)
        if len(self._collected) >= self._rows_max or self._collected_bytes >= self._bytes_max:
            self._begin()
            if not self._room.is_set():
                await self._room.wait()
        if self._errors:
            self._raise()

    async def add_all(self, operations: Iterable[Mutation | RowMutations]) -> None:
        """Make them all, soon; none is left out where an error of an earlier batch is told."""
        told: HBaseError | None = None
        for operation in operations:
            try:
                await self.add(operation)
            except HBaseError as error:
                told = told or error
        if told is not None:
            raise told

    async def flush(self) -> None:
        """Until everything that was given is acknowledged. Raises BatchError, or what kept a batch from being made."""
        self._begin()
        while self._under_way:
            await asyncio.wait(tuple(self._under_way))
        if self._errors:
            self._raise()

    async def aclose(self) -> None:
        """Write the rest; may be called again."""
        await self.flush()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.flush()
            return
        # what was given is written, unless the block was cancelled; its own error is the one to tell
        if isinstance(error, Exception):
            self._begin()
        else:
            for task in self._under_way:
                task.cancel()
        if self._under_way:
            await asyncio.wait(tuple(self._under_way))

    def _begin(self) -> None:
        """Send what was collected."""
        if not self._collected:
            return
        operations, count_bytes = self._collected, self._collected_bytes
        self._collected, self._collected_bytes = [], 0
        self._under_way_bytes += count_bytes
        if self._under_way_bytes >= self._bytes_under_way_max:
            self._room.clear()
        task = asyncio.create_task(self._send(operations, count_bytes), name="batch writer")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send(self, operations: list[Operation], count_bytes: int) -> None:
        try:
            await self._write(operations)
            self.rows_written += len(operations)
        except BatchError as error:
            self.rows_written += len(operations) - len(error.errors)
            self._errors.append(error)
        except (HBaseError, ValueError) as error:
            self._errors.append(error if isinstance(error, HBaseError) else HBaseError(str(error)))
        finally:
            self._under_way_bytes -= count_bytes
            if self._under_way_bytes < self._bytes_under_way_max:
                self._room.set()

    def _raise(self) -> None:
        """The first error; the others are its notes."""
        errors, self._errors = self._errors, []
        for other in errors[1:]:
            errors[0].add_note(f"and another batch: {other}")
        raise errors[0]


def size_bytes(operation: Mutation | RowMutations) -> int:
    """What an operation takes, roughly."""
    if isinstance(operation, RowMutations):
        return sum(map(size_bytes, operation.mutations))
    size = OPERATION_OVERHEAD_BYTES + len(to_bytes(operation.row))
    if isinstance(operation, Put | Append):
        for value in operation.values.values():
            size += OPERATION_OVERHEAD_BYTES + len(value)
    elif isinstance(operation, Increment):
        size += OPERATION_OVERHEAD_BYTES * len(operation.amounts)
    return size
