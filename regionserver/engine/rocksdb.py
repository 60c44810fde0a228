"""The embedded store: RocksDB, through rocksdict, in a directory of this machine.

What makes a commit durable is RocksDB's log: written with each batch it survives the process, synced it survives the
loss of power. The log is read at the next open; a record that was cut off at its very end is left out (it was never
acknowledged), any other damage stops the open, because behind it lies what was.

Source: https://github.com/facebook/rocksdb/wiki (WAL recovery modes, iterators, write stalls), docs of rocksdict.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from rocksdict import (
    BlockBasedOptions,
    Cache,
    Checkpoint,
    CompactOptions,
    DbClosedError,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from regionserver.engine.rocksdb_snapshot import RocksSnapshot, Stream
from regionserver.engine.store import Batch, Committed, Durability, StoreBroken, StoreBusy, StoreNotUsable

BLOOM_BITS_PER_KEY = 10
"""One look-up in a hundred for a key that is not there reads a block."""
BLOCK_BYTES = 16 * 1024
"""Of files, read and kept together. A scan takes a quarter less than with RocksDB's 4 KiB, a look-up as long."""
FILE_BYTES, FILE_GROWTH = 4 << 20, 4
"""Files of a database of up to some GiB; each tenfold beyond that adds a level and makes those of the last so many
times as large. What lies beside a region in its first and its last file is written anew with it: a small table is not
to wait for its neighbours, and a database of a hundred GiB is not to have twenty thousand files."""
COMPACTED_BYTES_MAX = 1600 << 20
"""At once, as with RocksDB's own sizes of files."""
MEMTABLE_BLOOM_SHARE = 0.1
LOG_FILES_KEPT = 2
STALLED = ("Write stall", "Incomplete")
"""Words of RocksDB's error where a write would have to wait."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class RocksMemory:
    """What all stores of one process share, so that ten of them take no more than one."""

    cache: Cache
    """Blocks read from files."""
    buffers: WriteBufferManager
    """What is written and not in files yet."""

    @classmethod
    def of(cls, cache_bytes: int, buffers_bytes: int) -> RocksMemory:
        """Two limits."""
        return cls(Cache(cache_bytes), WriteBufferManager(buffers_bytes, allow_stall=False))


class RocksStore:
    """An open database. `get`, `scan` and `commit` take microseconds while it does not stall."""

    keeps = Durability.POWER

    def __init__(self, directory: Path, memory: RocksMemory, *, write_buffer_bytes: int = 64 << 20) -> None:
        """Open it, or make it. Raises StoreNotUsable. Takes 7 to 40 ms, and holds all other threads up meanwhile."""
        self.name = f"rocksdb {directory}"
        self._directory = directory
        self._reading: weakref.WeakSet[RocksSnapshot] = weakref.WeakSet()
        self.when_broken: Callable[[StoreBroken], object] = lambda _error: None
        """Called after each commit that failed in a way that nobody can mend: who owns the store has to end."""
        self._to_log, self._synced, self._unlogged = (_writing(durability) for durability in _WRITING)
        try:
            self._database = Rdict(str(directory), _options(memory, write_buffer_bytes))
        except Exception as error:  # noqa: BLE001  rocksdict knows no other class
            raise StoreNotUsable(_opening(directory, str(error))) from None

    # --- reading --------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        try:
            return cast("bytes | None", self._database.get(key))
        except Exception as error:  # noqa: BLE001  the same
            raise self._failed(error) from None

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Keys of [lower, upper) with their values at the moment of the call."""
        if lower >= upper:
            return iter(())
        options = ReadOptions()
        options.set_iterate_upper_bound(upper)
        moment = RocksSnapshot(self._guarded(lambda: self._database.iter(options)), self.name)
        self._reading.add(moment)
        moment.held = options, upper  # the iterator reads its upper bound where these have it, and keeps neither
        return moment.scan(lower, upper, reverse=reverse)

    def snapshot(self) -> RocksSnapshot:
        """The moment of the call, kept."""
        try:
            number = self._database.latest_sequence_number()
            made = RocksSnapshot(self._database.iter(ReadOptions()), self.name, self, number)
        except Exception as error:  # noqa: BLE001  the same
            raise self._failed(error) from None
        self._reading.add(made)
        return made

    def pairs_of(self, number: int, lower: bytes, upper: bytes) -> Stream[tuple[bytes, bytes]] | None:
        """Those of the moment of which this was the number before it was taken; None: there were writes since."""
        return self._stream(self._database.items, number, lower, upper)

    def values_of(self, number: int, lower: bytes, upper: bytes) -> Stream[bytes] | None:
        """Their values alone."""
        return self._stream(self._database.values, number, lower, upper)

    def _stream(self, begin: Callable[..., Any], number: int, lower: bytes, upper: bytes) -> Stream[Any] | None:
        if lower >= upper or self._database.latest_sequence_number() != number:
            return None
        options = ReadOptions()
        options.set_iterate_upper_bound(upper)
        given = self._guarded(lambda: begin(from_key=lower, read_opt=options))
        if self._database.latest_sequence_number() != number:
            return None
        return Stream(given, upper, options)

    # --- writing --------------------------------------------------------------------------------------------------

    @property
    def uncommitted(self) -> RocksStore:
        """Itself: a commit is over when it returns."""
        return self

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        """Apply a batch; `committed` is called before this returns."""
        if durability is Durability.POWER:
            options = self._synced
        else:
            options = self._unlogged if durability is Durability.MEMORY else self._to_log
        try:
            self._write(batch, options)
        except DbClosedError:
            raise StoreNotUsable(f"{self.name}: the store is closed") from None
        except Exception as error:  # noqa: BLE001  the same
            if any(word in str(error) for word in STALLED):
                raise StoreBusy(f"{self.name}: the disk is behind: {error}") from None
            broken = StoreBroken(f"{self.name}: a write failed: {error}")
            committed(broken)
            self.when_broken(broken)
            return
        committed(None)

    def _write(self, batch: Batch, options: WriteOptions) -> None:
        changes = batch.changes
        if len(changes) == 1 and not batch.cleared and changes[0][1] is not None:
            self._database.put(changes[0][0], changes[0][1], options)  # two thirds of what a batch of one costs
            return
        made = WriteBatch(raw_mode=True)
        for lower, upper in batch.cleared:
            made.delete_range(lower, upper)
        put, delete = made.put, made.delete
        for key, value in changes:
            if value is None:
                delete(key)
            else:
                put(key, value)
        self._database.write(made, options)

    # --- the rest -------------------------------------------------------------------------------------------------

    def size_bytes(self, lower: bytes, upper: bytes) -> int:
        """What its files hold of [lower, upper); a file that lies partly in it counts for half."""
        total = 0
        for file in self._guarded(self._database.live_files):
            first, last = bytes(file["start_key"] or b""), bytes(file["end_key"] or b"")
            if first < upper and last >= lower:
                size = int(file["size"])
                total += size if lower <= first and last < upper else size // 2
        return total

    def flush(self) -> None:
        """Write the buffers into files; other threads run meanwhile."""
        self._guarded(self._database.flush)

    def compact(self, lower: bytes, upper: bytes) -> None:
        """Write the files of a range anew without what was deleted; other threads run meanwhile."""
        self._guarded(lambda: self._database.compact_range(lower, upper, CompactOptions()))

    def checkpoint(self, directory: Path) -> None:
        """A copy of this moment, hard links where it can be; holds all threads up for some 10 ms."""
        self._guarded(lambda: Checkpoint(self._database).create_checkpoint(str(directory)))

    def close(self) -> None:
        """End everything that reads, and the database: its lock is free afterwards."""
        for each in list(self._reading):
            each.close()
        with contextlib.suppress(DbClosedError):
            self._database.close()

    def _guarded(self, call: Callable[[], _Result]) -> _Result:
        try:
            return call()
        except Exception as error:  # noqa: BLE001  the same
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> StoreNotUsable:
        what = "the store is closed" if isinstance(error, DbClosedError) else str(error)
        return StoreNotUsable(f"{self.name}: {what}")


_WRITING = (Durability.PROCESS, Durability.POWER, Durability.MEMORY)


def _writing(durability: Durability) -> WriteOptions:
    options = WriteOptions()
    options.no_slowdown = True  # the loop is not to wait: StoreBusy instead
    options.sync = durability is Durability.POWER
    cast("Any", options).disable_wal = durability is Durability.MEMORY  # a property, whatever its stub says
    return options


def _options(memory: RocksMemory, write_buffer_bytes: int) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_wal_recovery_mode(DBRecoveryMode.tolerate_corrupted_tail_records())
    options.set_write_buffer_size(write_buffer_bytes)
    options.set_write_buffer_manager(memory.buffers)
    options.set_target_file_size_base(FILE_BYTES)
    options.set_target_file_size_multiplier(FILE_GROWTH)
    options.set_max_compaction_bytes(COMPACTED_BYTES_MAX)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_SHARE)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_keep_log_file_num(LOG_FILES_KEPT)
    options.set_is_fd_close_on_exec(True)
    tables = BlockBasedOptions()
    tables.set_block_cache(memory.cache)
    tables.set_block_size(BLOCK_BYTES)
    tables.set_bloom_filter(BLOOM_BITS_PER_KEY, block_based=False)
    tables.set_cache_index_and_filter_blocks(True)
    options.set_block_based_table_factory(tables)
    return options


def _opening(directory: Path, error: str) -> str:
    if "lock" in error.lower() and ("unavailable" in error or "No locks" in error):
        return f"{directory}: another process has it open"
    return f"{directory}: RocksDB cannot open it: {error}"
