"""Reading a journal: the newest snapshot, then what follows it. Changes nothing on disk.

The contents are checked while they are read, so whoever takes them must read to the end before the journal may be
written to (`Recovered.finished`). Until then, whatever is found wrong leaves every file as it was.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from registry.coordinator.journal.files import Files
from registry.coordinator.journal.format import (
    CHECKSUM,
    FORMAT_VERSION,
    HEADER_BYTES,
    JOURNAL,
    JOURNAL_MAGIC,
    SNAPSHOT,
    SNAPSHOT_MAGIC,
    DataNotUsable,
    FileHeader,
    decode_header,
    file_name,
    frame_at,
    parse_name,
    records_of,
    whole_frame_after,
)
from registry.version import VERSION

_MAGIC = {JOURNAL: JOURNAL_MAGIC, SNAPSHOT: SNAPSHOT_MAGIC}


class Segment(NamedTuple):
    """One file of the journal: the transactions after `after_zxid`, up to the next one's."""

    name: str
    after_zxid: int
    header: FileHeader | None
    """None: the file was created and its first bytes never came. Only the last one may be so."""


class TornTail(NamedTuple):
    """What the last segment ends with: a commit that nobody was told about."""

    name: str
    length: int
    """Bytes that are kept."""
    lost_bytes: int


@dataclass(slots=True)
class Recovered:
    """What a directory holds. Read `snapshot_records` and then `transactions` to their ends, once."""

    snapshot_zxid: int
    """The snapshot's state is that after this transaction; 0 without a snapshot."""
    snapshot_records: Iterator[bytes] = field(default_factory=lambda: iter(()))
    transactions: Iterator[bytes] = field(default_factory=lambda: iter(()))
    """The records after the snapshot in the order of their zxids."""
    last_zxid: int = 0
    """Of the last transaction, once all have been read."""
    torn: TornTail | None = None
    lengths: dict[str, int] = field(default_factory=dict[str, int])
    """Segments that have been read, and how many of their bytes are good."""
    snapshot_count: int = 0
    """Records of the snapshot that have been read."""
    snapshot_bytes: int = 0
    transaction_count: int = 0
    transaction_bytes: int = 0
    finished: bool = False
    """Everything has been read and nothing was wrong with it."""


def recover(files: Files) -> Recovered:
    """What is in the directory. DataNotUsable: now, for names and headers, or from the iterators, for contents."""
    names = [(parsed, name) for name in files.names() if (parsed := parse_name(name)) is not None]
    journals = sorted(parsed[1] for parsed, _ in names if parsed[0] == JOURNAL)
    snapshots = sorted(parsed[1] for parsed, _ in names if parsed[0] == SNAPSHOT)
    headers = {name: _read_header(files, parsed[0], parsed[1], name) for parsed, name in names}
    segments = [Segment(file_name(JOURNAL, zxid), zxid, headers[file_name(JOURNAL, zxid)]) for zxid in journals]
    recovered = Recovered(snapshots[-1] if snapshots else 0)
    recovered.last_zxid = recovered.snapshot_zxid
    if snapshots:
        name = file_name(SNAPSHOT, snapshots[-1])
        header = headers[name]
        if header is None:
            raise _damaged(files, name, None, 0)
        recovered.snapshot_records = _snapshot_records(files, name, header, recovered)
    needed = _needed(files, segments, recovered.snapshot_zxid)
    recovered.transactions = _transactions(files, needed, recovered)
    return recovered


def _read_header(files: Files, kind: str, zxid: int, name: str) -> FileHeader | None:
    data = files.read(name, HEADER_BYTES)
    header = decode_header(data)
    if header is None:
        return None
    if header.magic != _MAGIC[kind] or header.zxid != zxid:
        raise DataNotUsable(f"{files.place}/{name} is another file under this name: its beginning does not fit it")
    if header.format_version > FORMAT_VERSION:
        raise DataNotUsable(
            f"{files.place}/{name} has format {header.format_version}, written by hbeacon {header.program}; this is"
            f" hbeacon {VERSION}, which reads formats up to {FORMAT_VERSION}: start a newer hbeacon on this directory"
        )
    return header


def _damaged(files: Files, name: str, header: FileHeader | None, offset: int) -> DataNotUsable:
    kind = (parse_name(name) or (JOURNAL, 0))[0]
    way_on = (
        "to start from the snapshot before it, move it away"
        if kind == SNAPSHOT
        else "restore the directory from a copy, or move all of it away to begin anew"
    )
    reason = (
        "; it was written without fsync, so a loss of power may have done it" if header and not header.fsynced else ""
    )
    return DataNotUsable(f"{files.place}/{name} has a wrong checksum at byte {offset}{reason}: {way_on}")


def _needed(files: Files, segments: list[Segment], snapshot_zxid: int) -> list[Segment]:
    """The segments from the one on that holds the first transaction after the snapshot."""
    first = -1
    for index, segment in enumerate(segments):
        if segment.after_zxid <= snapshot_zxid:
            first = index
    if first < 0 and segments:
        begins = segments[0].after_zxid
        raise DataNotUsable(
            f"{files.place} lacks transactions 0x{snapshot_zxid + 1:x} to 0x{begins:x}: {segments[0].name} begins after"
            " them; restore the missing files"
        )
    return segments[first:] if segments else []


def _snapshot_records(files: Files, name: str, header: FileHeader, recovered: Recovered) -> Iterator[bytes]:
    data = files.read(name)
    view = memoryview(data)
    offset, number, checksum = HEADER_BYTES, 0, 0
    while True:
        frame = frame_at(view, offset, header.mark)
        if frame is None:
            raise _damaged(files, name, None, offset)
        if frame.record_count == 0:
            break
        try:
            for number, record in records_of(data, frame):
                recovered.snapshot_count += 1
                if number != recovered.snapshot_count:
                    raise ValueError(f"record {number} stands where {recovered.snapshot_count} belongs")
                yield record
        except ValueError as error:
            raise DataNotUsable(f"{files.place}/{name} at byte {offset}: {error}") from error
        checksum = zlib.crc32(CHECKSUM.pack(frame.checksum), checksum)
        offset = frame.end
    footer = data[frame.start : frame.end]
    if frame.zxid != number or footer != CHECKSUM.pack(checksum) or frame.end != len(data):
        raise _damaged(files, name, None, offset)
    recovered.snapshot_bytes = len(data)


def _transactions(files: Files, segments: list[Segment], recovered: Recovered) -> Iterator[bytes]:
    """The records of all segments after the snapshot; notes what has been read and where a torn tail begins."""
    previous: int | None = None
    for segment in segments:
        if previous is not None and segment.after_zxid != previous:
            raise DataNotUsable(
                f"{files.place} lacks transactions 0x{previous + 1:x} to 0x{segment.after_zxid:x} between"
                f" {file_name(JOURNAL, previous)} and {segment.name}: restore the missing files"
                if segment.after_zxid > previous
                else f"{files.place}/{segment.name} begins before its forerunner ends (0x{previous:x})"
            )
        previous = segment.after_zxid
        for records in _segment_frames(files, segment, recovered, may_be_torn=segment is segments[-1]):
            for zxid, record in records:
                if zxid > recovered.snapshot_zxid:
                    recovered.last_zxid = zxid
                    recovered.transaction_count += 1
                    recovered.transaction_bytes += len(record)
                    yield record
            previous = records[-1][0]
    recovered.finished = True


def _segment_frames(
    files: Files, segment: Segment, recovered: Recovered, *, may_be_torn: bool
) -> Iterator[list[tuple[int, bytes]]]:
    """Zxid and bytes of the records of one frame after the other, zxids rising."""
    name, last_zxid, header = segment
    data = files.read(name)
    if header is None:
        # The header is written, and where it matters synced, before any frame: what is longer was damaged later.
        if not may_be_torn or len(data) > HEADER_BYTES:
            raise _damaged(files, name, None, 0)
        recovered.torn = TornTail(name, 0, len(data))
        recovered.lengths[name] = 0
        return
    recovered.lengths[name] = len(data)
    view, offset = memoryview(data), HEADER_BYTES
    while offset < len(data):
        frame = frame_at(view, offset, header.mark)
        if frame is None:
            if not may_be_torn or whole_frame_after(data, offset, header.mark) >= 0:
                raise _damaged(files, name, header, offset)
            recovered.torn = TornTail(name, offset, len(data) - offset)
            recovered.lengths[name] = offset
            return
        try:
            records = records_of(data, frame)
            if not records:
                raise ValueError("a commit of nothing")
            for zxid, _ in records:
                if zxid <= last_zxid:
                    raise ValueError(f"transaction 0x{zxid:x} follows 0x{last_zxid:x}")
                last_zxid = zxid
        except ValueError as error:
            raise DataNotUsable(f"{files.place}/{name} at byte {offset}: {error}") from error
        yield records
        offset = frame.end
