"""What a store keeps for a row and family: its cells as a cell block, ready to be sent, and what is known of them all.

    [uint8 format][uint8 marks][uint32 cells][int64 newest][int64 oldest]    integers big-endian, timestamps in ms
    [cells]                                                                  as KeyValueCodecWithTags writes them

Cells are sorted by qualifier, then newest first, then by type, greatest first, so that a delete marker comes before
what it hides; two of one column, timestamp and type are one, the later written. A record that grows is cut into chunks,
and a change reads and writes only the chunks that it meets. The head of the first says that there are more.

Most records are small, hold one version of each column and no marker: these are answered as they are.

Source: KeyValue, CellComparatorImpl#compare, registry.wire.cellblock for the layout of a cell.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from registry.wire.cellblock import KeyType

FORMAT = 1
"""Of records; the store's directory has one of its own."""
FORMAT_IN_ORDER = 2
"""Of those that say in which order their cells were written: `written_order`."""
CHUNK_BYTES = 8 * 1024
"""A change of a large row copies about so much, and looks at half of its cells."""
CHUNK_BYTES_MAX = 2 * CHUNK_BYTES
"""What grows beyond it is cut, so that it is not cut at every change. One larger cell is a chunk of its own."""

Entry = tuple[bytes, int, int, bytes]
"""A cell: qualifier, timestamp and key type, both negated so that entries sort as cells do, and all bytes of it."""

HEAD = struct.Struct(">BBIqq")
"""Format, marks, cells, newest, oldest."""
HEAD_BYTES = HEAD.size
CELL_LENGTHS = struct.Struct(">iiiH")  # cell, key, value, row
_CELL_AND_KEY = struct.Struct(">ii")
TIMESTAMP_TYPE = struct.Struct(">qB")
_PUT = -int(KeyType.PUT)
"""As entries have it; to negate it for each cell takes as long as to read one."""
_FIXED_BYTES = 4 + 8 + 2 + 1
"""Of a cell before its qualifier, without row and family."""


class Mark(enum.IntEnum):
    """What a record has that a reader must look at each cell for: bits.

    No IntFlag: `|` of those costs a microsecond, and this is done for each cell.
    """

    MARKERS = 1
    """Delete markers."""
    VERSIONS = 2
    """A column more than once."""
    TAGS = 4
    """Tags behind values: not for clients without them, and a time to live may be among them."""
    MORE = 8
    """Further chunks; in a first chunk only."""
    IN_ORDER = 16
    """Of the other format: cells say in which order they were written."""


class Head(NamedTuple):
    """What is known of a record, or chunk, without reading its cells."""

    marks: int
    cells_count: int
    newest_ms: int
    oldest_ms: int


class UnknownRecord(Exception):
    """A record of a format that this version does not know: its store was opened by mistake."""


def head_of(record: bytes) -> Head:
    """Its head. Raises UnknownRecord."""
    known, marks, count, newest_ms, oldest_ms = HEAD.unpack_from(record)
    if known != FORMAT and known != FORMAT_IN_ORDER:
        raise UnknownRecord(f"a record of format {known}, and this version knows {FORMAT} and {FORMAT_IN_ORDER}")
    return Head(marks, count, newest_ms, oldest_ms)


def plain_count(record: bytes, from_ms: int, to_ms: int) -> int:
    """How many cells a record has without marks, all of [from, to). 0: more has to be known. Raises UnknownRecord."""
    known, marks, count, newest_ms, oldest_ms = HEAD.unpack_from(record)
    if known != FORMAT or marks or oldest_ms < from_ms or newest_ms >= to_ms:
        head_of(record)
        return 0
    return int(count)


def read_entries(block: bytes, start: int = 0, behind_bytes: int = 0) -> list[Entry]:
    """The cells of a block, all of one row and family, from `start` on; they are trusted to be whole.

    So many bytes behind each belong to its entry.
    """
    entries: list[Entry] = []
    stop = len(block)
    if start == stop:
        return entries
    row_bytes: int = CELL_LENGTHS.unpack_from(block, start)[3]
    before_qualifier = _FIXED_BYTES + row_bytes + block[start + _FIXED_BYTES - 1 + row_bytes]
    lengths, times, at = CELL_LENGTHS.unpack_from, TIMESTAMP_TYPE.unpack_from, start
    around_bytes = 4 + behind_bytes
    while at < stop:
        cell_bytes, key_bytes, _, _ = lengths(block, at)
        times_at = at + 3 + key_bytes
        timestamp_ms, key_type = times(block, times_at)
        end = at + around_bytes + cell_bytes
        entries.append((block[at + before_qualifier : times_at], -timestamp_ms, -key_type, block[at:end]))
        at = end
    return entries


def first_column(record: bytes) -> bytes:
    """Row, family and qualifier of the first cell, as all cells of that column have them."""
    at = HEAD_BYTES if record[0] == FORMAT else HEAD_BYTES + 8
    key_bytes: int = CELL_LENGTHS.unpack_from(record, at)[1]
    return record[at + 12 : at + 3 + key_bytes]


def newest_of(record: bytes) -> tuple[bytes, int]:
    """The first cell of each column of a record, as a cell block, and how many they are.

    Of one with older versions and nothing else to think of that is what is seen of it.
    """
    at, stop = HEAD_BYTES, len(record)
    row_bytes: int = CELL_LENGTHS.unpack_from(record, at)[3]
    before_qualifier = _FIXED_BYTES + row_bytes + record[at + _FIXED_BYTES - 1 + row_bytes]
    lengths = _CELL_AND_KEY.unpack_from
    pieces: list[bytes] = []
    begin, count = at, 0
    column: bytes | None = None
    while at < stop:
        cell_bytes, key_bytes = lengths(record, at)
        qualifier = record[at + before_qualifier : at + 3 + key_bytes]
        end = at + 4 + cell_bytes
        if qualifier == column:
            if begin < at:
                pieces.append(record[begin:at])
            begin = end
        else:
            column = qualifier
            count += 1
        at = end
    pieces.append(record[begin:])
    return b"".join(pieces), count


def columns_of(record: bytes, columns: frozenset[bytes]) -> tuple[bytes, int]:
    """Of a record with one cell of each column those of some columns, as a cell block, and how many they are."""
    at, stop = HEAD_BYTES, len(record)
    row_bytes: int = CELL_LENGTHS.unpack_from(record, at)[3]
    before_qualifier = _FIXED_BYTES + row_bytes + record[at + _FIXED_BYTES - 1 + row_bytes]
    lengths = _CELL_AND_KEY.unpack_from
    pieces: list[bytes] = []
    left_count = len(columns)
    while at < stop and left_count:
        cell_bytes, key_bytes = lengths(record, at)
        end = at + 4 + cell_bytes
        if record[at + before_qualifier : at + 3 + key_bytes] in columns:
            pieces.append(record[at:end])
            left_count -= 1
        at = end
    return b"".join(pieces), len(pieces)


def merged(old: Sequence[Entry], new: Iterable[Entry]) -> list[Entry]:
    """Both, sorted; of cells of one column, timestamp and type the last of `new` stays, else that of `old`."""
    cells = {entry[:3]: entry for entry in old}
    for entry in new:
        cells[entry[:3]] = entry
    return sorted(cells.values())


def has_tags(cell: bytes) -> bool:
    """Whether something lies behind the value of a cell."""
    cell_bytes, key_bytes, value_bytes, _ = CELL_LENGTHS.unpack_from(cell)
    return cell_bytes != 8 + key_bytes + value_bytes


def without_tags(block: bytes) -> bytes:
    """A cell block as KeyValueCodec writes it, for clients that know no tags."""
    pieces: list[bytes] = []
    at, stop = 0, len(block)
    while at < stop:
        cell_bytes, key_bytes, value_bytes, _ = CELL_LENGTHS.unpack_from(block, at)
        end = at + 12 + key_bytes + value_bytes
        pieces += ((8 + key_bytes + value_bytes).to_bytes(4, "big"), block[at + 4 : end])
        at += 4 + cell_bytes
    return b"".join(pieces)


def encode_record(entries: Sequence[Entry], *, more: bool = False) -> bytes:
    """A record of sorted entries; only the first of several chunks has none."""
    marks: int = Mark.MORE if more else 0
    newest = oldest = entries[0][1] if entries else 0
    before: bytes | None = None
    for qualifier, negated_ms, negated_type, cell in entries:
        if negated_ms < newest:
            newest = negated_ms
        elif negated_ms > oldest:
            oldest = negated_ms
        if negated_type != _PUT:
            marks |= Mark.MARKERS
        if qualifier == before:
            marks |= Mark.VERSIONS
        before = qualifier
        if has_tags(cell):
            marks |= Mark.TAGS
    head = HEAD.pack(FORMAT, marks, len(entries), -newest, -oldest)
    return head + b"".join([entry[3] for entry in entries])


def plain_record(cells: bytes, count: int, timestamp_ms: int) -> bytes:
    """A record of sorted cells of different columns, all puts of this time and without tags."""
    return HEAD.pack(FORMAT, 0, count, timestamp_ms, timestamp_ms) + cells


def versions_record(cells: bytes, count: int, newest_ms: int, oldest_ms: int) -> bytes:
    """The same of cells of columns that are there more than once."""
    return HEAD.pack(FORMAT, Mark.VERSIONS, count, newest_ms, oldest_ms) + cells


def spliced(record: bytes, new: Sequence[Entry]) -> bytes:
    """The record with sorted new cells in their places, the old ones copied as they lie.

    The same as `encode_record(merged(...))`, but for marks that a replaced cell alone has had: these stay.
    """
    _, marks, count, newest_ms, oldest_ms = HEAD.unpack_from(record)
    if not count:
        return encode_record(new, more=bool(marks & Mark.MORE))
    lengths, times = CELL_LENGTHS.unpack_from, TIMESTAMP_TYPE.unpack_from
    row_bytes: int = lengths(record, HEAD_BYTES)[3]
    before_qualifier = _FIXED_BYTES + row_bytes + record[HEAD_BYTES + _FIXED_BYTES - 1 + row_bytes]
    pieces: list[bytes] = []
    copied = at = HEAD_BYTES
    stop = len(record)
    before: bytes | None = None
    following = iter(new)
    entry = next(following, None)
    while entry is not None and at < stop:
        cell_bytes, key_bytes, _, _ = lengths(record, at)
        times_at = at + 3 + key_bytes
        qualifier = record[at + before_qualifier : times_at]
        end = at + 4 + cell_bytes
        if qualifier < entry[0]:  # most cells: their times need no reading
            before, at = qualifier, end
            continue
        timestamp_ms, key_type = times(record, times_at)
        old = (qualifier, -timestamp_ms, -key_type)
        while entry is not None and entry[:3] < old:
            pieces += (record[copied:at], entry[3])
            copied = at
            count += 1
            marks |= _marks_of(entry, before, qualifier)
            before = entry[0]
            entry = next(following, None)
        if entry is not None and entry[:3] == old:
            pieces += (record[copied:at], entry[3])
            copied = end
            marks |= _marks_of(entry, None, None)
            entry = next(following, None)
        before, at = qualifier, end
    pieces.append(record[copied:])
    while entry is not None:
        pieces.append(entry[3])
        count += 1
        marks |= _marks_of(entry, before, None)
        before = entry[0]
        entry = next(following, None)
    times_ms = [-each[1] for each in new]
    head = HEAD.pack(FORMAT, marks, count, max(newest_ms, *times_ms), min(oldest_ms, *times_ms))
    return head + b"".join(pieces)


def overwritten(record: bytes, new: Sequence[Entry]) -> bytes | None:
    """The record with sorted puts without tags, each in the place of its column's cell where there is one.

    It has one cell of each column and puts without tags alone. None where one of them is newer than what comes, or two
    that come are of one column. `oldest_ms` may be of what is gone, but not where all of it is.
    """
    _, marks, count, newest_ms, oldest_ms = HEAD.unpack_from(record)
    lengths = _CELL_AND_KEY.unpack_from
    copied = at = HEAD_BYTES
    stop = len(record)
    row_bytes: int = CELL_LENGTHS.unpack_from(record, at)[3]
    before_qualifier = _FIXED_BYTES + row_bytes + record[at + _FIXED_BYTES - 1 + row_bytes]
    pieces: list[bytes] = []
    left_count = count
    before: bytes | None = None
    qualifier, times_at, end = b"", at, at
    for column, negated_ms, _, cell in new:
        if column == before:
            return None
        before = column
        while at < stop:
            cell_bytes, key_bytes = lengths(record, at)
            times_at = at + 3 + key_bytes
            qualifier = record[at + before_qualifier : times_at]
            end = at + 4 + cell_bytes
            if qualifier >= column:
                break
            at = end
        pieces += (record[copied:at], cell)
        if at < stop and qualifier == column:
            if TIMESTAMP_TYPE.unpack_from(record, times_at)[0] > -negated_ms:
                return None
            at = end
            left_count -= 1
        else:
            count += 1
        copied = at
    pieces.append(record[copied:])
    times_ms = [-each[1] for each in new]
    if left_count:
        times_ms += (newest_ms, oldest_ms)
    return HEAD.pack(FORMAT, marks, count, max(times_ms), min(times_ms)) + b"".join(pieces)


def only_newest(record: bytes) -> tuple[bytes, int]:
    """The record with the first cell of each column alone, and how many they are; it has puts without tags alone."""
    _, marks, _, newest_ms, oldest_ms = HEAD.unpack_from(record)
    cells, count = newest_of(record)
    return HEAD.pack(FORMAT, marks & ~Mark.VERSIONS, count, newest_ms, oldest_ms) + cells, count


def puts_since(record: bytes, from_ms: int) -> tuple[bytes, int]:
    """The record with the cells since then alone, and how many they are; it has puts without tags, each column once.

    In three fifths of the time that `read_entries` and `encode_record` take for it.
    """
    times: list[int] = []
    cells: list[bytes] = []
    at = HEAD_BYTES
    while at < len(record):
        cell_bytes, key_bytes, _, _ = CELL_LENGTHS.unpack_from(record, at)
        begin, at = at, at + 4 + cell_bytes
        time_ms, _ = TIMESTAMP_TYPE.unpack_from(record, begin + 12 + key_bytes - TIMESTAMP_TYPE.size)
        if time_ms >= from_ms:
            times.append(time_ms)
            cells.append(record[begin:at])
    newest_ms, oldest_ms = (max(times), min(times)) if times else (0, 0)
    return HEAD.pack(FORMAT, 0, len(cells), newest_ms, oldest_ms) + b"".join(cells), len(cells)


def _marks_of(entry: Entry, before: bytes | None, behind: bytes | None) -> int:
    """Of one cell between two qualifiers."""
    marks = 0 if entry[2] == _PUT else int(Mark.MARKERS)
    if entry[0] in (before, behind):
        marks |= Mark.VERSIONS
    return marks | Mark.TAGS if has_tags(entry[3]) else marks


def cut(entries: Sequence[Entry]) -> list[Sequence[Entry]]:
    """Entries in chunks, each with at least one; a single one where they are not too many."""
    if sum([len(entry[3]) for entry in entries]) <= CHUNK_BYTES_MAX:
        return [entries]
    chunks: list[Sequence[Entry]] = []
    begin = size = 0
    for index, entry in enumerate(entries):
        if size and size + len(entry[3]) > CHUNK_BYTES:
            chunks.append(entries[begin:index])
            begin, size = index, 0
        size += len(entry[3])
    chunks.append(entries[begin:])
    return chunks
