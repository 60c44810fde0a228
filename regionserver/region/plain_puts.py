"""Puts as most clients write them: of one family, sorted, without tags; from the message itself or from a cell block.

They are made into cells without a Change and an Entry for each step in between. Whatever is not so plain is read as a
Mutation, so that a put that is not known costs time and changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from regionserver.region.record import CELL_LENGTHS, CHUNK_BYTES_MAX, TIMESTAMP_TYPE, Entry, plain_record
from registry.wire.cellblock import LATEST_TIMESTAMP, KeyType

_PUT = int(KeyType.PUT)
_FIXED_KEY_BYTES = 2 + 9
"""The row's length before it, time and type behind the qualifier."""


class PlainPut(NamedTuple):
    """One put."""

    row: bytes
    family: bytes
    cells: list[tuple[bytes, int, bytes]]
    """Qualifier, time in ms and value, at least one; each qualifier once and in their order. LATEST_TIMESTAMP: that of
    the server."""

    def entries(self, now_ms: int) -> list[Entry]:
        """As a record has them. The family has at most 255 bytes."""
        row, family, cells = self
        row_bytes = len(row)
        beginning = row + bytes((len(family),)) + family
        fixed_bytes = _FIXED_KEY_BYTES + len(beginning)
        made: list[Entry] = []
        for qualifier, timestamp_ms, value in cells:
            if timestamp_ms == LATEST_TIMESTAMP:
                timestamp_ms = now_ms
            key_bytes, value_bytes = fixed_bytes + len(qualifier), len(value)
            lengths = CELL_LENGTHS.pack(8 + key_bytes + value_bytes, key_bytes, value_bytes, row_bytes)
            cell = b"".join((lengths, beginning, qualifier, TIMESTAMP_TYPE.pack(timestamp_ms, _PUT), value))
            made.append((qualifier, -timestamp_ms, -_PUT, cell))
        return made


def fresh_record(entries: list[Entry]) -> bytes | None:
    """The record of a plain put where there was none; None where it has several times, or is too large for one."""
    negated_ms = entries[0][1]
    if any(entry[1] != negated_ms for entry in entries):
        return None
    cells = b"".join([entry[3] for entry in entries])
    return plain_record(cells, len(entries), -negated_ms) if len(cells) <= CHUNK_BYTES_MAX else None
