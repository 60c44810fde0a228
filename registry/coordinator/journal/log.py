"""The journal that is written to: appended records, one write a turn, one segment after the other."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from registry.coordinator.journal.files import DirectoryFiles, Files, WritableFile
from registry.coordinator.journal.format import (
    FORMAT_VERSION,
    JOURNAL,
    JOURNAL_MAGIC,
    MARK_BYTES,
    RECORD,
    TEMPORARY_SUFFIX,
    DataNotUsable,
    FileHeader,
    encode_frame,
    file_name,
    parse_name,
)
from registry.coordinator.journal.recovery import Recovered, recover
from registry.coordinator.journal.snapshots import SnapshotFigures
from registry.version import VERSION

LOG = logging.getLogger("registry.coordinator.journal")
PENDING_BYTES_MAX = 64 << 20
"""More than this is not kept for the end of the turn: a commit must fit a frame, and memory must not grow."""


class JournalFailed(Exception):
    """The disk refused a write or a sync. Nothing may be acknowledged any more: the process has to end."""


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """How safe, and how long the journal may grow."""

    fsync: bool = True
    """Commits survive a loss of power, not only the death of every process. Source: ZooKeeper's forceSync."""
    snapshot_records: int = 100_000
    """A snapshot is wanted after so many records. Source: ZooKeeper's snapCount."""
    snapshot_bytes: int = 64 << 20
    """Or after so many bytes."""
    snapshots_kept: int = 3
    """With what follows the oldest of them. Source: ZooKeeper's autopurge.snapRetainCount."""
    segment_bytes: int = 64 << 20
    """A segment is read whole at the start; the next one begins behind this."""


class Journal:
    """A log of opaque records. The order of its life: `open`, restore what it recovered, `begin`, append and commit.

    For one thread. Every OSError of a commit is final: what a failed write or sync has left on the disk is known to
    nobody before the next start reads it.
    """

    def __init__(
        self, files: Files, settings: JournalSettings, recovered: Recovered, random_bytes: Callable[[int], bytes]
    ) -> None:
        self.settings = settings
        self.files = files
        self.last_zxid = recovered.last_zxid
        self.snapshot_zxid = recovered.snapshot_zxid
        """Of the newest snapshot; 0 without one."""
        self.records_since_snapshot = 0
        self.bytes_since_snapshot = 0
        self._snapshot_size = (0, 0)
        self._size_at_roll = (0, 0)
        self._recovered = recovered
        self._random_bytes = random_bytes
        self._file: WritableFile | None = None
        self._mark = b""
        self._segment_bytes = 0
        self._pending: list[bytes] = []
        self._pending_count = 0
        self._pending_bytes = 0
        self._failure = ""

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        settings: JournalSettings | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> tuple[Journal, Recovered]:
        """Lock the directory, which is made where it is missing, and look at it. DataNotUsable says what is wrong.

        The same exception may come while what was recovered is read. No file has been changed then, nor is one before
        `begin`. `close` gives the directory back.
        """
        files = DirectoryFiles(directory)
        try:
            files.lock()
            recovered = recover(files)
        except OSError as error:
            files.unlock()
            raise DataNotUsable(f"{files.place}: {error.strerror or error}") from error
        except DataNotUsable:
            files.unlock()
            raise
        return cls(files, settings or JournalSettings(), recovered, random_bytes), recovered

    def begin(self) -> None:
        """Make the directory ready for writing: cut a torn tail, start a segment. Needs all that was recovered read."""
        recovered = self._recovered
        assert recovered.finished, "the journal must be read to its end before it is written to"
        assert self._file is None, "begun twice"
        try:
            self._settle(recovered)
            for name in self.files.names():
                if name.endswith(TEMPORARY_SUFFIX) and parse_name(name.removesuffix(TEMPORARY_SUFFIX)):
                    self.files.remove(name)
            self.last_zxid = recovered.last_zxid
            self._start_segment()
        except OSError as error:
            raise DataNotUsable(f"{self.files.place} cannot be written to: {error.strerror or error}") from error
        self.records_since_snapshot = recovered.transaction_count
        self.bytes_since_snapshot = recovered.transaction_bytes
        self._snapshot_size = (recovered.snapshot_count, recovered.snapshot_bytes)

    # --- the turn -----------------------------------------------------------------------------------------------

    def append(self, zxid: int, record: bytes) -> None:
        """Take a record for the commit at the end of this turn. zxids only rise."""
        if zxid <= self.last_zxid:
            raise ValueError(f"transaction 0x{zxid:x} follows 0x{self.last_zxid:x}")
        self.last_zxid = zxid
        self._pending += (RECORD.pack(zxid, len(record)), record)
        self._pending_count += 1
        self._pending_bytes += len(record)
        if self._pending_bytes > PENDING_BYTES_MAX:
            self.commit()

    def commit(self) -> None:
        """Write what was appended, in one write, and sync it if so set. JournalFailed: now and at every later call."""
        if self._failure:
            raise JournalFailed(self._failure)
        count = self._pending_count
        if not count:
            return
        assert self._file is not None, "begin comes before the first commit"
        frame = encode_frame(self._mark, self.last_zxid, count, b"".join(self._pending))
        try:
            self._file.write(frame)
            if self.settings.fsync:
                self._file.sync()
        except OSError as error:
            self._fail(error)
        self._pending.clear()
        self._pending_count = self._pending_bytes = 0
        self.records_since_snapshot += count
        self.bytes_since_snapshot += len(frame)
        self._segment_bytes += len(frame)
        if self._segment_bytes > self.settings.segment_bytes:
            self._next_segment()

    def close(self) -> None:
        """Commit what is pending, make it durable whatever the setting, and give the directory back."""
        try:
            if self._file is not None and not self._failure:
                self.commit()
                try:
                    self._file.sync()
                except OSError as error:
                    self._fail(error)
        finally:
            self._close_segment()
            if isinstance(self.files, DirectoryFiles):
                self.files.unlock()

    # --- segments and snapshots ---------------------------------------------------------------------------------

    def wants_snapshot(self) -> bool:
        """Whether the journal has outgrown its settings and the last snapshot.

        The latter keeps the work for snapshots in proportion to what is written, however large the tree is.
        """
        records, size = self._snapshot_size
        return self.records_since_snapshot > max(self.settings.snapshot_records, records) or (
            self.bytes_since_snapshot > max(self.settings.snapshot_bytes, size)
        )

    def roll(self) -> int:
        """End the segment with what has been appended; gives the last zxid. Files up to there change no more."""
        self.commit()
        if self._segment_bytes:
            self._next_segment()
        self._size_at_roll = (self.records_since_snapshot, self.bytes_since_snapshot)
        return self.last_zxid

    def snapshot_was_kept(self, figures: SnapshotFigures) -> None:
        """There is a snapshot of what the last `roll` gave: count anew."""
        self.snapshot_zxid = figures.zxid
        self._snapshot_size = (figures.record_count, figures.file_bytes)
        records, written = self._size_at_roll
        self.records_since_snapshot -= records
        self.bytes_since_snapshot -= written

    def _settle(self, recovered: Recovered) -> None:
        """Drop a torn tail; make durable what was read, for a process may have died between its write and its sync."""
        torn = recovered.torn
        if torn is not None:
            sentence = "%s/%s: cut %d bytes of a commit that was never finished, behind byte %d"
            LOG.warning(sentence, self.files.place, torn.name, torn.lost_bytes, torn.length)
        for name, length in recovered.lengths.items():
            if self.settings.fsync or (torn is not None and torn.name == name):
                self.files.cut(name, length)

    def _next_segment(self) -> None:
        try:
            self._start_segment()
        except OSError as error:
            self._fail(error)

    def _start_segment(self) -> None:
        """A new file, under its name only when its header is written. One of this name holds no records."""
        self._close_segment()
        mark = self._random_bytes(MARK_BYTES)
        header = FileHeader(JOURNAL_MAGIC, FORMAT_VERSION, mark, self.last_zxid, self.settings.fsync, VERSION)
        name = file_name(JOURNAL, self.last_zxid)
        self._file = self.files.create(name + TEMPORARY_SUFFIX)
        self._file.write(header.encode())
        if self.settings.fsync:
            self._file.sync()
        self.files.rename(name + TEMPORARY_SUFFIX, name)
        if self.settings.fsync:
            self.files.sync_names()
        self._mark = mark
        self._segment_bytes = 0

    def _close_segment(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _fail(self, error: OSError) -> NoReturn:
        self._failure = f"the journal in {self.files.place} cannot be written: {error.strerror or error}"
        raise JournalFailed(self._failure) from error
