"""The bytes of the journal's files: names, headers, frames. No files, no clock, no chance.

All numbers are big-endian. A file begins with 128 bytes that are the same in every format, so that a program can say
what it cannot read:

    offset  0  8  magic: HBCNJRNL (journal) or HBCNSNAP (snapshot)
            8  4  format version
           12  4  mark of this file, four bytes of chance
           16  8  zxid: a journal holds what follows it, a snapshot what happened up to it
           24  1  1: every commit was made to survive a loss of power (fsync)
           25 32  version of the program that wrote the file, UTF-8, filled up with zeros
           57 67  zeros
          124  4  CRC-32 of the 124 bytes before

Then frames. A frame is what one commit writes, so it is there whole or not at all:

            0  4  the file's mark
            4  4  length of the payload
            8  4  CRC-32 of what follows
           12  8  zxid of the last record (in a snapshot its number, from 1)
           20  4  count of records
           24  .. records: zxid (int64), length (uint32), bytes

A snapshot ends with a frame of no records: its zxid is the count of all records, its payload the CRC-32 of the frames'
CRC-32s in their order.

The mark tells a torn tail from damage: whatever lies behind the first broken frame is searched for it. No client can
write it into a node, because none knows it.
"""

from __future__ import annotations

import re
import zlib
from struct import Struct
from typing import NamedTuple

FORMAT_VERSION = 1
"""What this program writes, and the newest it reads."""
JOURNAL_MAGIC = b"HBCNJRNL"
SNAPSHOT_MAGIC = b"HBCNSNAP"
MARK_BYTES = 4
HEADER_BYTES = 128
FRAME_HEADER_BYTES = 24
RECORD_HEADER_BYTES = 12

RECORD = Struct(">qI")
"""zxid, length."""
FRAME = Struct(">4sIIqI")
"""mark, length of the payload, CRC-32, zxid of the last record, count of records."""
CHECKED = Struct(">qI")
"""What the CRC-32 begins with: the frame's zxid and count."""
CHECKSUM = Struct(">I")
_HEADER = Struct(">8sI4sq?32s67x")

JOURNAL = "journal"
SNAPSHOT = "snapshot"
TEMPORARY_SUFFIX = ".tmp"
_NAME = re.compile(r"(journal|snapshot)-([0-9a-f]{16})")


class DataNotUsable(Exception):
    """The data directory cannot be used; the message is the one line that tells the operator why and what to do."""


class FileHeader(NamedTuple):
    """What the first 128 bytes say."""

    magic: bytes
    format_version: int
    mark: bytes
    zxid: int
    fsynced: bool
    program: str
    """Version of the program that wrote the file."""

    def encode(self) -> bytes:
        """The 128 bytes."""
        program = self.program.encode()[:32]
        start = _HEADER.pack(self.magic, self.format_version, self.mark, self.zxid, self.fsynced, program)
        return start + CHECKSUM.pack(zlib.crc32(start))


def decode_header(data: bytes) -> FileHeader | None:
    """The header that `data` begins with; None when it is cut short or its checksum is wrong."""
    start = data[: HEADER_BYTES - 4]
    if len(data) < HEADER_BYTES or CHECKSUM.pack(zlib.crc32(start)) != data[HEADER_BYTES - 4 : HEADER_BYTES]:
        return None
    magic, version, mark, zxid, fsynced, program = _HEADER.unpack(start)
    return FileHeader(magic, version, mark, zxid, fsynced, program.rstrip(b"\0").decode("utf-8", "replace"))


def file_name(kind: str, zxid: int) -> str:
    """`journal-` or `snapshot-` and the zxid as 16 hexadecimal digits, so that names sort as their zxids do."""
    return f"{kind}-{zxid:016x}"


def parse_name(name: str) -> tuple[str, int] | None:
    """Kind and zxid of a file of ours; None for any other name."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2], 16)) if match else None


class Frame(NamedTuple):
    """A frame that was found whole. `start` and `end` bound its payload."""

    zxid: int
    record_count: int
    start: int
    end: int
    checksum: int


def encode_frame(mark: bytes, zxid: int, count: int, payload: bytes) -> bytes:
    """A whole frame; `payload` holds `count` records, each behind RECORD, the last of them with `zxid`."""
    checksum = zlib.crc32(payload, zlib.crc32(CHECKED.pack(zxid, count)))
    return FRAME.pack(mark, len(payload), checksum, zxid, count) + payload


def frame_at(data: memoryview, offset: int, mark: bytes) -> Frame | None:
    """The frame that begins at `offset`; None when it is cut short, has another mark or a wrong checksum."""
    start = offset + FRAME_HEADER_BYTES
    if start > len(data):
        return None
    found, length, checksum, zxid, count = FRAME.unpack_from(data, offset)
    end = start + length
    if found != mark or end > len(data) or zlib.crc32(data[start - CHECKED.size : end]) != checksum:
        return None
    return Frame(zxid, count, start, end, checksum)


def whole_frame_after(data: bytes, offset: int, mark: bytes) -> int:
    """Where the next whole frame begins after the byte at `offset`; -1 when there is none."""
    view = memoryview(data)
    while (offset := data.find(mark, offset + 1)) >= 0:
        if frame_at(view, offset, mark) is not None:
            return offset
    return -1


def records_of(data: bytes, frame: Frame) -> list[tuple[int, bytes]]:
    """The zxid and the bytes of each record. ValueError when they do not fill the frame: it was written wrongly."""
    zxid, count, at, end, _ = frame
    records: list[tuple[int, bytes]] = []
    for _ in range(count):
        start = at + RECORD_HEADER_BYTES
        if start > end:
            raise ValueError(f"{count} records announced, fewer there")
        record_zxid, length = RECORD.unpack_from(data, at)
        at = start + length
        if at > end:
            raise ValueError(f"a record of {length} bytes leaves its frame")
        records.append((record_zxid, data[start:at]))
    if at != end or (records and records[-1][0] != zxid):
        raise ValueError("records and frame do not agree")
    return records
