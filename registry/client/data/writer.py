"""Writes many rows in the background, and holds up who writes faster than servers take.

Source: org.apache.hadoop.hbase.client.BufferedMutator, hbase.client.write.buffer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from registry.client.data.batch import Entry
from registry.client.data.failures import BatchError
from registry.client.data.names import Bytes, ColumnName
from registry.client.data.operations import Delete, Mutation, Put, RowMutations
from registry.wire.errors import HBaseIOException

OPERATION_OVERHEAD_BYTES = 128
"""Counted for each operation, so that many small ones count too."""


class BatchWriter:
    """Made by `Table.batch_writer`. Belongs to one loop; several tasks may write to it."""

    def __init__(
        self,
        encoded: Callable[[Mutation | RowMutations], Entry],
        write: Callable[[Sequence[Entry]], Awaitable[None]],
        rows_max: int,
        bytes_max: int,
        bytes_under_way_max: int,
    ) -> None:
        self.encoded = encoded
        """What `add_encoded` takes, of an operation; for any thread. Raises ValueError."""
        self._write = write
        self._rows_max = rows_max
        self._bytes_max = bytes_max
        self._bytes_under_way_max = bytes_under_way_max
        self._collected: list[Entry] = []
        self._collected_bytes = 0
        self._under_way_bytes = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        """Of batches that have ended, not yet told."""
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
        await self.add(Delete(row, columns, timestamp))

    async def add(self, operation: Mutation | RowMutations) -> None:
        """Make any mutation, soon, as it is now: what becomes of the values that were given does not matter.

        Raises ValueError where it makes no sense. Whatever else is raised failed before, and this one is made.
        """
        await self.add_encoded((self.encoded(operation),))

    async def add_encoded(self, entries: Iterable[Entry]) -> None:
        """Make them all, soon; none is left out where an error of an earlier batch is told."""
        for entry in entries:
            self._collected.append(entry)
            self._collected_bytes += size_bytes(entry)
            if len(self._collected) >= self._rows_max or self._collected_bytes >= self._bytes_max:
                self._begin()
                if not self._room.is_set():
                    await self._room.wait()
        if self._errors:
            self._raise()

    async def flush(self) -> None:
        """Until everything that was given is acknowledged. Raises BatchError, or what kept a batch from being made."""
        self._begin()
        if self._under_way:
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
        self._note_errors(error)

    def _begin(self) -> None:
        """Send what was collected."""
        if not self._collected:
            return
        entries, count_bytes = self._collected, self._collected_bytes
        self._collected, self._collected_bytes = [], 0
        self._under_way_bytes += count_bytes
        if self._under_way_bytes >= self._bytes_under_way_max:
            self._room.clear()
        task = asyncio.create_task(self._send(entries, count_bytes), name="batch writer")
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    async def _send(self, entries: list[Entry], count_bytes: int) -> None:
        try:
            await self._write(entries)
            self.rows_written += len(entries)
        except BatchError as error:
            self.rows_written += len(entries) - len(error.errors)
            raise
        finally:
            self._under_way_bytes -= count_bytes
            if self._under_way_bytes < self._bytes_under_way_max:
                self._room.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Whatever it ended with is told to who comes next."""
        self._under_way.discard(task)
        error = HBaseIOException("a batch was cancelled") if task.cancelled() else task.exception()
        if error is not None:
            self._errors.append(error)

    def _raise(self) -> None:
        """The first error; the others are its notes."""
        first = self._errors.pop(0)
        self._note_errors(first)
        raise first

    def _note_errors(self, told: BaseException) -> None:
        errors, self._errors = self._errors, []
        for other in errors:
            told.add_note(f"and a batch: {other}")


def size_bytes(entry: Entry) -> int:
    """What an operation takes, roughly."""
    return OPERATION_OVERHEAD_BYTES + entry.size_bytes
