"""Snapshots: their bytes, their way from a temporary file to their name, and what they make needless.

Why they are made this way: docs/adr/0010-journal-and-snapshots.md.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from registry.coordinator.journal.files import Files
from registry.coordinator.journal.format import (
    CHECKSUM,
    FORMAT_VERSION,
    JOURNAL,
    MARK_BYTES,
    RECORD,
    SNAPSHOT,
    SNAPSHOT_MAGIC,
    TEMPORARY_SUFFIX,
    FileHeader,
    encode_frame,
    file_name,
    parse_name,
)
from registry.version import VERSION

FRAME_BYTES = 128 << 10
FRAME_RECORDS_MAX = 500
"""A frame is what is encoded at a stretch: with these, one or two milliseconds."""


class SnapshotFigures(NamedTuple):
    """A snapshot that is kept under its name."""

    zxid: int
    record_count: int
    file_bytes: int


class SnapshotEncoder:
    """The bytes of a snapshot, piece by piece: a header, a frame for each bunch of records, a footer."""

    def __init__(self, zxid: int, records: Iterable[bytes], random_bytes: Callable[[int], bytes]) -> None:
        self.zxid = zxid
        self.record_count = 0
        self.file_bytes = 0
        self._mark = random_bytes(MARK_BYTES)
        self._records = records

    @property
    def figures(self) -> SnapshotFigures:
        """What has been encoded."""
        return SnapshotFigures(self.zxid, self.record_count, self.file_bytes)

    def pieces(self) -> Iterator[bytes]:
        """All of the file in order. Takes records only as they are needed."""
        for piece in self._pieces():
            self.file_bytes += len(piece)
            yield piece

    def _pieces(self) -> Iterator[bytes]:
        yield FileHeader(SNAPSHOT_MAGIC, FORMAT_VERSION, self._mark, self.zxid, True, VERSION).encode()
        checksum = 0
        for count, payload in self._payloads():
            frame = encode_frame(self._mark, self.record_count, count, payload)
            checksum = zlib.crc32(frame[8:12], checksum)
            yield frame
        yield encode_frame(self._mark, self.record_count, 0, CHECKSUM.pack(checksum))

    def _payloads(self) -> Iterator[tuple[int, bytes]]:
        """Count and bytes of each frame's records, which are numbered from 1."""
        parts: list[bytes] = []
        size = count = 0
        for record in self._records:
            self.record_count += 1
            parts += (RECORD.pack(self.record_count, len(record)), record)
            size += len(record)
            count += 1
            if size >= FRAME_BYTES or count == FRAME_RECORDS_MAX:
                yield count, b"".join(parts)
                parts.clear()
                size = count = 0
        if parts:
            yield count, b"".join(parts)


def temporary_name(zxid: int) -> str:
    """The name that a snapshot has until it is whole and durable."""
    return file_name(SNAPSHOT, zxid) + TEMPORARY_SUFFIX


def keep_snapshot(files: Files, zxid: int, snapshots_kept: int) -> None:
    """Name the temporary file, which has been synced; then remove what neither it nor older ones that are kept need.

    Only when the name is durable is anything removed.
    """
    files.rename(temporary_name(zxid), file_name(SNAPSHOT, zxid))
    files.sync_names()
    names = [parsed for name in files.names() if (parsed := parse_name(name)) is not None]
    snapshots = sorted(of for kind, of in names if kind == SNAPSHOT)
    journals = sorted(of for kind, of in names if kind == JOURNAL)
    kept = snapshots[-snapshots_kept:]
    for each in snapshots[: -len(kept)]:
        files.remove(file_name(SNAPSHOT, each))
    for each, following in pairwise(journals):
        if following <= kept[0]:
            files.remove(file_name(JOURNAL, each))
