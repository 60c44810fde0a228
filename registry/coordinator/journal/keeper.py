"""Has snapshots made beside the work of a loop: encoded in short pieces on it, written and synced in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Generator, Iterator
from typing import ParamSpec, TypeVar

from registry.coordinator.journal.files import WritableFile
from registry.coordinator.journal.log import Journal, JournalFailed
from registry.coordinator.journal.snapshots import SnapshotEncoder, SnapshotFigures, keep_snapshot, temporary_name

LOG = logging.getLogger("registry.coordinator.journal")
LOOK_S = 0.5
"""Between two looks at whether the journal has grown enough."""
RETRY_S = 60.0
"""After a snapshot that could not be written. The journal goes on, it only grows."""
PIECE_PAUSE_S = 0.004
"""Between two pieces, so that they take no more than a third of the loop."""
SYNC_BYTES = 4 << 20
"""How much may wait for the disk: what is synced at once also stands in the way of the journal's own syncs."""

P = ParamSpec("P")
T = TypeVar("T")


class SnapshotKeeper:
    """Belongs to the loop that runs the machine. `dump` gives the machine's records of this very moment, lazily.

    The machine may go on while they are read: what it changes has to be kept in its old form until then.
    """

    def __init__(
        self,
        journal: Journal,
        dump: Callable[[], Iterator[bytes]],
        random_bytes: Callable[[int], bytes] = os.urandom,
        *,
        look_s: float = LOOK_S,
    ) -> None:
        self._journal = journal
        self._dump = dump
        self._random_bytes = random_bytes
        self._look_s = look_s

    async def run(self) -> None:
        """Until cancelled, or until the journal has failed, which its next commit tells too.

        To be awaited after the cancellation and before the journal is closed: a thread may be at work in its directory.
        """
        journal = self._journal
        while True:
            await asyncio.sleep(self._look_s)
            if not journal.wants_snapshot():
                continue
            wait_s = 0.0
            try:
                await self.make()
            except JournalFailed:
                return
            except OSError as error:
                reason = error.strerror or error
                LOG.warning("no snapshot in %s: %s; the journal grows on", journal.files.place, reason)
                wait_s = RETRY_S
            except Exception:  # the journal alone is enough to start from
                LOG.exception("no snapshot in %s; the journal grows on", journal.files.place)
                wait_s = RETRY_S
            await asyncio.sleep(wait_s)

    async def make(self) -> SnapshotFigures:
        """One snapshot of this moment, from the end of a segment to the removal of what it makes needless."""
        journal = self._journal
        files = journal.files
        zxid = journal.roll()
        records = self._dump()  # nothing may come between these two: the state is that of the zxid
        encoder = SnapshotEncoder(zxid, records, self._random_bytes)
        try:
            await self._write(encoder)
        except OSError:
            with contextlib.suppress(OSError):
                await _in_thread(files.remove, temporary_name(zxid))
            raise
        finally:
            _close(records)
        await _in_thread(keep_snapshot, files, zxid, journal.settings.snapshots_kept)
        figures = encoder.figures
        journal.snapshot_was_kept(figures)
        LOG.info("snapshot of 0x%x: %d records, %d bytes", zxid, figures.record_count, figures.file_bytes)
        return figures

    async def _write(self, encoder: SnapshotEncoder) -> None:
        file = await _in_thread(self._journal.files.create, temporary_name(encoder.zxid))
        synced_bytes = 0
        try:
            for piece in encoder.pieces():
                is_due = encoder.file_bytes - synced_bytes >= SYNC_BYTES
                if is_due:
                    synced_bytes = encoder.file_bytes
                await _in_thread(_write_piece, file, piece, is_due)
                await asyncio.sleep(PIECE_PAUSE_S)
            await _in_thread(file.sync)
        finally:
            file.close()


def _close(records: Iterator[bytes]) -> None:
    """A dump that is not read to its end must not go on keeping what changes."""
    if isinstance(records, Generator):
        records.close()


def _write_piece(file: WritableFile, piece: bytes, sync: bool) -> None:
    file.write(piece)
    if sync:
        file.sync()


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it in a thread; when cancelled, wait for its end first."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
