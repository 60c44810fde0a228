"""Records that say in which order their cells were written, for families with NEW_VERSION_BEHAVIOR.

    [head, format 2, with Mark.IN_ORDER][uint64 last]
    ([cell][uint64 sequence]) for each cell

A sequence is counted within one row and family, for nothing else is compared: what one change writes has the same, and
each change one more than the change before, whose number is `last`. It goes where the record goes, with no clock and no
server in it. Cells of one column, time and type are all kept, the latest first.

A record of the other format has cells of sequence 0: those of a row's first change, or of the time before the family
had the attribute. So rows that are written once are kept, and answered, as in every family. Of a row in chunks the
first has the `last` that counts, and few cells, since every change writes it; where it is of the other format, all are.

Entries of such a family have the sequence behind the bytes of their cell.

Source: Cell#getSequenceId, CellComparatorImpl#compare; HBASE-15968.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from regionserver.region.record import (
    CHUNK_BYTES,
    CHUNK_BYTES_MAX,
    FORMAT,
    FORMAT_IN_ORDER,
    HEAD_BYTES,
    Entry,
    Mark,
    encode_record,
    head_of,
    read_entries,
)

SEQUENCE = struct.Struct(">Q")
SEQUENCE_BYTES = SEQUENCE.size
_CELLS_AT = HEAD_BYTES + SEQUENCE_BYTES


def entries_of(record: bytes, *, in_order: bool) -> list[Entry]:
    """The cells of a record of either format, with their sequences or as other families have them.

    A family that has lost the attribute has the latest of each column, time and type.
    """
    if record[0] == FORMAT:
        entries = read_entries(record, HEAD_BYTES)
        return numbered(entries, 0) if in_order else entries
    entries = read_entries(record, _CELLS_AT, SEQUENCE_BYTES)
    return entries if in_order else latest(entries)


def last_of(record: bytes) -> int:
    """The sequence of the change that wrote it last."""
    return 0 if record[0] == FORMAT else SEQUENCE.unpack_from(record, HEAD_BYTES)[0]


def sequence_of(entry: Entry) -> int:
    """Of an entry that has one."""
    return int.from_bytes(entry[3][-SEQUENCE_BYTES:], "big")


def bare(entry: Entry) -> Entry:
    """The same without its sequence."""
    qualifier, negated_ms, negated_type, cell = entry
    return qualifier, negated_ms, negated_type, cell[:-SEQUENCE_BYTES]


def numbered(entries: Iterable[Entry], sequence: int) -> list[Entry]:
    """The same with this sequence."""
    behind = SEQUENCE.pack(sequence)
    return [(*entry[:3], entry[3] + behind) for entry in entries]


def latest(entries: Iterable[Entry]) -> list[Entry]:
    """Of sorted entries with sequences the latest of each column, time and type, without them."""
    found: dict[tuple[bytes, int, int], Entry] = {}
    for entry in entries:
        if entry[:3] not in found:
            found[entry[:3]] = bare(entry)
    return list(found.values())


def merged_in_order(old: Sequence[Entry], new: Sequence[Entry]) -> list[Entry]:
    """All of both, sorted."""
    return sorted([*old, *new], key=_place)


def _place(entry: Entry) -> tuple[bytes, int, int, int]:
    return *entry[:3], -sequence_of(entry)


def encode_in_order(entries: Sequence[Entry], sequence: int, *, more: bool = False) -> bytes:
    """A record of sorted entries; `sequence` is that of the last change."""
    plain = encode_record(entries, more=more)
    head = bytes((FORMAT_IN_ORDER, plain[1] | Mark.IN_ORDER)) + plain[2:HEAD_BYTES]
    return head + SEQUENCE.pack(sequence) + plain[HEAD_BYTES:]


def with_last(record: bytes, sequence: int) -> bytes:
    """The first of several chunks after a change of another."""
    if record[0] == FORMAT:
        return encode_in_order(entries_of(record, in_order=True), sequence, more=True)
    return record[:HEAD_BYTES] + SEQUENCE.pack(sequence) + record[_CELLS_AT:]


def with_cells(record: bytes, kept: Sequence[Entry], *, more: bool) -> bytes:
    """A chunk with these of its cells alone, as families without the attribute have them."""
    if record[0] == FORMAT:
        return encode_record(kept, more=more)
    found = {entry[:3]: entry for entry in reversed(entries_of(record, in_order=True))}  # the latest stays
    return encode_in_order([found[entry[:3]] for entry in kept], last_of(record), more=more)


def without_order(record: bytes) -> bytes:
    """The record as families without the attribute have it."""
    return encode_record(entries_of(record, in_order=False), more=bool(head_of(record).marks & Mark.MORE))


def cut_in_order(entries: Sequence[Entry]) -> list[Sequence[Entry]]:
    """Entries in chunks, never between two of one column, time and type: chunks are found by those."""
    if sum([len(entry[3]) for entry in entries]) <= CHUNK_BYTES_MAX:
        return [entries]
    chunks: list[Sequence[Entry]] = []
    begin = size = 0
    for index, entry in enumerate(entries):
        if size and size + len(entry[3]) > CHUNK_BYTES and entry[:3] != entries[index - 1][:3]:
            chunks.append(entries[begin:index])
            begin, size = index, 0
        size += len(entry[3])
    chunks.append(entries[begin:])
    return chunks
