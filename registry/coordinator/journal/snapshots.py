"""Snapshots: made of the snapshot before and the segments that are ended, kept under their name, and cleared away.

Whoever makes one reads files that change no more and writes one temporary file; it may be another process. Only the
owner of the directory renames and removes. Why so: docs/adr/0010-journal-and-snapshots.md.
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
    HEADER_BYTES,
    JOURNAL,
    MARK_BYTES,
    RECORD,
    SNAPSHOT,
    SNAPSHOT_MAGIC,
    TEMPORARY_SUFFIX,
    DataNotUsable,
    FileHeader,
    encode_frame,
    file_name,
    parse_name,
)
from registry.coordinator.journal.recovery import recover
from registry.version import VERSION

FRAME_BYTES = 256 << 10
"""Records are collected up to this before they are written."""

Replay = Callable[[Iterator[bytes], Iterator[bytes]], Iterable[bytes]]
"""From the records of a snapshot and the transactions after it: the records of the snapshot after both."""


class SnapshotFigures(NamedTuple):
    """A snapshot that has been written."""

    zxid: int
    record_count: int
    file_bytes: int


def temporary_name(zxid: int) -> str:
    """The name that a snapshot has until it is whole and durable."""
    return file_name(SNAPSHOT, zxid) + TEMPORARY_SUFFIX


def compact(files: Files, zxid: int, replay: Replay, random_bytes: Callable[[int], bytes]) -> SnapshotFigures:
    """Write the snapshot of `zxid`, with which a segment must have ended, under its temporary name. Takes no lock."""
    recovered = recover(files, up_to_zxid=zxid)
    records = replay(recovered.snapshot_records, recovered.transactions)
    if not recovered.finished or recovered.last_zxid != zxid:
        raise DataNotUsable(f"{files.place} ends with 0x{recovered.last_zxid:x}, not with 0x{zxid:x}")
    return write_snapshot(files, zxid, records, random_bytes)


def write_snapshot(
    files: Files, zxid: int, records: Iterable[bytes], random_bytes: Callable[[int], bytes]
) -> SnapshotFigures:
    """Write records, in their order, to the temporary file; durable when this returns. `keep_snapshot` comes next."""
    mark = random_bytes(MARK_BYTES)
    file = files.create(temporary_name(zxid))
    try:
        file.write(FileHeader(SNAPSHOT_MAGIC, FORMAT_VERSION, mark, zxid, True, VERSION).encode())
        size, number, checksum = HEADER_BYTES, 0, 0
        for count, payload in _payloads(records):
            number += count
            frame = encode_frame(mark, number, count, payload)
            checksum = zlib.crc32(frame[8:12], checksum)
            file.write(frame)
            size += len(frame)
        footer = encode_frame(mark, number, 0, CHECKSUM.pack(checksum))
        file.write(footer)
        file.sync()
    finally:
        file.close()
    return SnapshotFigures(zxid, number, size + len(footer))


def keep_snapshot(files: Files, zxid: int, snapshots_kept: int) -> None:
    """Give the snapshot its name, durably; then remove what neither it nor the older ones that are kept need."""
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


def _payloads(records: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Count and bytes of the records of each frame; records are numbered from 1."""
    parts: list[bytes] = []
    size = number = count = 0
    for number, record in enumerate(records, 1):
        parts += (RECORD.pack(number, len(record)), record)
        size += len(record)
        count += 1
        if size >= FRAME_BYTES:
            yield count, b"".join(parts)
            parts.clear()
            size = count = 0
    if parts:
        yield count, b"".join(parts)
