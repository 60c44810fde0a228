"""From what a client asks to be changed to the cells that are written: times filled in, deltas added up.

All mutations of one atomic change are made from the row as it was before any of them, at one time, as HBase makes them:
a put and a delete of one column in the same change therefore leave the column deleted, in whichever order they came.

Source: HRegion#prepareDeleteTimestamps, #reckonDeltas, #reckonDelta, #rewriteCellTags, Mutation, MutationProto.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from regionserver.region.record import CELL_LENGTHS, TIMESTAMP_TYPE, Entry, has_tags, without_tags
from regionserver.region.visible import FOR_EVER_MS, Wanted, own_ttl_is_over
from registry.wire.cellblock import (
    LATEST_TIMESTAMP,
    TAGS_BYTES_MAX,
    Cell,
    KeyType,
    Tag,
    TagType,
    decode_cell,
    decode_tags,
    encode_cell,
    encode_tags,
)
from registry.wire.errors import DoNotRetryIOException

LONG_BYTES = 8


class MutationKind(enum.IntEnum):
    """The numbers of MutationProto.MutationType."""

    APPEND = 0
    INCREMENT = 1
    PUT = 2
    DELETE = 3


class Change(NamedTuple):
    """One cell of a mutation. `timestamp_ms` may be LATEST_TIMESTAMP, the server's time then."""

    family: bytes
    qualifier: bytes
    timestamp_ms: int
    key_type: int
    value: bytes = b""
    tags: bytes = b""


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is to be done to one row."""

    kind: MutationKind
    row: bytes
    changes: Sequence[Change]
    from_ms: int = 0
    to_ms: int = FOR_EVER_MS
    """Of what an increment or append reads; exclusive."""
    timestamp_ms: int = LATEST_TIMESTAMP
    """Of a delete that names no column: all families of the row are deleted up to it."""
    own_ttl: bytes = b""
    """A time to live of its cells alone, in ms, as a tag has it; empty: none."""


ReadColumn = Callable[[bytes, Wanted], Sequence[Entry]]
"""Visible cells of named columns of a family."""


def entry_of(row: bytes, change: Change, timestamp_ms: int) -> Entry:
    """A change as a cell of a record. Raises for tags that nobody could read again, or that grew too long."""
    family, qualifier, _, key_type, value, tags = change
    if tags:
        if len(tags) > TAGS_BYTES_MAX:
            raise DoNotRetryIOException(f"tagslength {len(tags)} > {TAGS_BYTES_MAX}")
        for _ in decode_tags(tags):
            pass
    cell = encode_cell(Cell(row, family, qualifier, timestamp_ms, key_type, value, tags), with_tags=True)
    return qualifier, -timestamp_ms, -key_type, cell


def _tagged(mutation: Mutation, change: Change, timestamp_ms: int) -> Entry:
    if mutation.own_ttl:
        change = change._replace(tags=with_own_ttl(change.tags, mutation.own_ttl))
    return entry_of(mutation.row, change, timestamp_ms)


def with_own_ttl(tags: bytes, own_ttl: bytes) -> bytes:
    """The tags of a cell with a time to live behind the others, in the place of the first that was there.

    Source: TagUtil#carryForwardTTLTag.
    """
    found = list(decode_tags(tags))
    for tag in found:
        if tag.tag_type == TagType.TTL:
            found.remove(tag)
            break
    return encode_tags([*found, Tag(TagType.TTL, own_ttl)])


def _unless_over(family: bytes, entry: Entry, now_ms: int) -> tuple[bytes, Entry]:
    """What has expired before it is written hides nothing that was there with its time: it has no cell.

    It takes the place of what the same change has written with its time before, though, as in a real server's memory.
    """
    if has_tags(entry[3]) and own_ttl_is_over(entry[3], -entry[1], now_ms):
        return family, (*entry[:3], b"")
    return family, entry


def add_entry(entries: list[Entry], entry: Entry) -> None:
    """One more of a family that a change writes."""
    if entry[3]:
        entries.append(entry)
    else:
        entries[:] = [each for each in entries if each[:3] != entry[:3]]


def put_entries(mutation: Mutation, now_ms: int, own_ms: int) -> Iterator[tuple[bytes, Entry]]:
    """Family and cell of each change, for `add_entry`; what the cells of a family have in common is made once.

    `own_ms`: the server's time for cells that say none.
    """
    row = mutation.row
    row_bytes = len(row)
    beginnings: dict[bytes, bytes] = {}
    for change in mutation.changes:
        family, qualifier, timestamp_ms, key_type, value, tags = change
        if timestamp_ms == LATEST_TIMESTAMP:
            timestamp_ms = own_ms
        if tags or mutation.own_ttl:
            yield _unless_over(family, _tagged(mutation, change, timestamp_ms), now_ms)
            continue
        beginning = beginnings.get(family)
        if beginning is None:
            beginning = beginnings[family] = row + bytes((len(family),)) + family
        key_bytes, value_bytes = 2 + len(beginning) + len(qualifier) + 9, len(value)
        lengths = CELL_LENGTHS.pack(8 + key_bytes + value_bytes, key_bytes, value_bytes, row_bytes)
        cell = b"".join((lengths, beginning, qualifier, TIMESTAMP_TYPE.pack(timestamp_ms, key_type), value))
        yield family, (qualifier, -timestamp_ms, -key_type, cell)


def delete_entries(mutation: Mutation, read: ReadColumn, now_ms: int) -> Iterator[tuple[bytes, Entry]]:
    """The same; to delete the latest version is to delete the one that is the latest now.

    Two such deletes of one column in one mutation delete the latest two.
    """
    met: Counter[tuple[bytes, bytes]] = Counter()
    for change in mutation.changes:
        timestamp_ms = change.timestamp_ms
        if timestamp_ms == LATEST_TIMESTAMP:
            timestamp_ms = now_ms
            if change.key_type == KeyType.DELETE:
                column = change.family, change.qualifier
                met[column] += 1
                found = read(change.family, Wanted((change.qualifier,), met[column]))
                if len(found) == met[column]:
                    timestamp_ms = -found[-1][1]
        yield _unless_over(change.family, _tagged(mutation, change, timestamp_ms), now_ms)


def delta_entries(mutation: Mutation, read: ReadColumn, now_ms: int) -> Iterator[tuple[bytes, Entry, bytes]]:
    """What an increment or append leaves, newer than what was there, even where the clock has gone back; what is told.

    A time of its own counts only where nothing was there. Then clients are told of the cell without tags, as by a real
    server, if it has a time to live of its own. Sorted, whatever the order of the changes: clients look for the cells
    of a result by halves.
    """
    for change in sorted(mutation.changes, key=itemgetter(0, 1)):
        wanted = Wanted((change.qualifier,), 1, mutation.from_ms, mutation.to_ms)
        found = read(change.family, wanted)
        if found:
            old = decode_cell(memoryview(found[0][3]), 0, with_tags=True)[0]
            timestamp_ms = max(now_ms, old.timestamp_ms + 1)
            value, tags = _added(mutation.kind, old.value, change.value), change.tags + old.tags
            if mutation.own_ttl:
                tags = with_own_ttl(tags, mutation.own_ttl)  # a real server does it once more for all that is written
        else:
            timestamp_ms = now_ms if change.timestamp_ms == LATEST_TIMESTAMP else change.timestamp_ms
            tags = change.tags
            nothing = bytes(LONG_BYTES) if mutation.kind is MutationKind.INCREMENT else b""
            value = _added(mutation.kind, nothing, change.value)
        made = Change(change.family, change.qualifier, timestamp_ms, KeyType.PUT, value, tags)
        entry = _tagged(mutation, made, timestamp_ms)
        yield change.family, entry, without_tags(entry[3]) if mutation.own_ttl and not found else entry[3]


def _added(kind: MutationKind, old: bytes, delta: bytes) -> bytes:
    if kind is MutationKind.APPEND:
        return old + delta
    if len(old) != LONG_BYTES:
        raise DoNotRetryIOException(f"Field is not a long, it's {len(old)} bytes wide")
    if len(delta) != LONG_BYTES:
        raise DoNotRetryIOException(f"Field is not a long, it's {len(delta)} bytes wide")
    total = int.from_bytes(old, "big", signed=True) + int.from_bytes(delta, "big", signed=True)
    return (total & (1 << 64) - 1).to_bytes(LONG_BYTES, "big")  # it wraps, as Java's long does
