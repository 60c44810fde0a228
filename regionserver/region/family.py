"""The cells of one row and family in a store: read whole or by column, changed chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from regionserver.engine.store import Batch, View
from regionserver.region.dead import living, may_have_dead
from regionserver.region.keys import after_family, chunk_key
from regionserver.region.record import (
    CHUNK_BYTES_MAX,
    HEAD_BYTES,
    Entry,
    Mark,
    cut,
    encode_record,
    has_tags,
    head_of,
    merged,
    only_newest,
    read_entries,
    replaced,
    spliced,
)
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import KeyType

LOOKED_AT_CELLS = 32
"""A chunk is looked at for dead cells when it has so many, and at each doubling: a cell or two for each write."""
LOOKED_AT_NEW = 8
"""And when so many are written at once, or more, and it has three times as many then: a row that is written again and
again as a whole has two versions, then one, and is never far from what is read of it. A row of so many columns has one
version of what is written of it alone."""


def read_family(view: View, family_key: bytes) -> Iterator[bytes]:
    """The records of a row and family, its chunks in their order; nothing where it has no cells."""
    first = view.get(family_key)
    if first is not None:
        yield first
        yield from _further(view, family_key, first)


def read_cells(view: View, family_key: bytes, first: bytes, columns: Sequence[bytes] | None = None) -> Iterator[Entry]:
    """Cells of a row and family, of which `first` is the first record; nothing else is read where it is the only one.

    Of a large row the chunks of these columns, and before them what hides the whole family: more cells than were
    asked for may come, and never fewer.
    """
    if columns is None or not head_of(first).marks & Mark.MORE:
        yield from read_entries(first, HEAD_BYTES)
        for record in _further(view, family_key, first):
            yield from read_entries(record, HEAD_BYTES)
        return
    if b"" not in columns:
        yield from _column(view, family_key, b"")
    for qualifier in columns:
        yield from _column(view, family_key, qualifier)


def _further(view: View, family_key: bytes, first: bytes) -> Iterator[bytes]:
    if head_of(first).marks & Mark.MORE:
        for _, record in view.scan(family_key + b"\0", after_family(family_key)):
            yield record


def _column(view: View, family_key: bytes, qualifier: bytes) -> Iterator[Entry]:
    """Its cells in a large row: from the chunk that it may begin in to the one that has a later column."""
    newest = chunk_key(family_key, qualifier, (1 << 63) - 1, 255)
    begin = next((key for key, _ in view.scan(family_key, newest + b"\0", reverse=True)), family_key)
    for _, record in view.scan(begin, after_family(family_key)):
        for entry in read_entries(record, HEAD_BYTES):
            if entry[0] > qualifier:
                return
            if entry[0] == qualifier:
                yield entry


def write_cells(
    view: View,
    batch: Batch,
    family_key: bytes,
    new: Sequence[Entry],
    rules: FamilyRules | None = None,
    now_ms: int = 0,
) -> None:
    """Add cells, or put them in the place of those of the same column, timestamp and type.

    `view` has everything that was committed, and the batch nothing of this row and family yet. With `rules` dead cells
    go where a chunk has grown: at twice so many cells as before, or where it would have to be cut.
    """
    add_cells(view, batch, family_key, view.get(family_key), new, rules, now_ms)


def add_cells(
    view: View,
    batch: Batch,
    family_key: bytes,
    first: bytes | None,
    new: Sequence[Entry],
    rules: FamilyRules | None,
    now_ms: int,
) -> None:
    """The same where the first record was read already."""
    if len(new) > 1:
        new = merged((), new)
    elif first is not None and rules is not None and (made := _over_one(first, new[0], rules)) is not None:
        batch.put(family_key, made)
        return
    if first is None:
        _put(batch, family_key, family_key, new, is_last=True)
    elif head_of(first).marks & Mark.MORE:
        _write_chunks(view, batch, family_key, new, rules, now_ms)
    else:
        _change(batch, family_key, family_key, first, new, rules, now_ms, is_last=True)


def _over_one(record: bytes, entry: Entry, rules: FamilyRules) -> bytes | None:
    """The record where a put of one column leaves nothing of that column but itself; None where it is not so plain.

    What it hides is dead at once, as if a flush of HBase had come between: reading stays as cheap as it was, however
    often columns are written. Rows of few columns keep what a reader of the past may ask for until they have grown.
    """
    head = head_of(record)
    if head.marks & ~Mark.VERSIONS or head.cells_count < LOOKED_AT_NEW or not rules.keeps_newest:
        return None
    if entry[2] != -KeyType.PUT or has_tags(entry[3]):
        return None
    if head.marks:
        record, columns_count = only_newest(record)
        if columns_count < LOOKED_AT_NEW:
            return None
    made = replaced(record, entry)
    return made if made is not None and len(made) <= CHUNK_BYTES_MAX else None


def _write_chunks(
    view: View, batch: Batch, family_key: bytes, new: Sequence[Entry], rules: FamilyRules | None, now_ms: int
) -> None:
    """Each chunk reaches to where the next begins; cells before the second belong to the first."""
    end = after_family(family_key)
    remaining = list(new)
    while remaining:
        qualifier, negated_ms, negated_type, _ = remaining[0]
        place = chunk_key(family_key, qualifier, -negated_ms, -negated_type)
        key, record = next(iter(view.scan(family_key, place + b"\0", reverse=True)))
        following = next((found for found, _ in view.scan(key + b"\0", end)), end)
        belonging = list(takewhile(lambda entry: _place(family_key, entry) < following, remaining))  # noqa: B023
        del remaining[: len(belonging)]
        _change(batch, family_key, key, record, belonging, rules, now_ms, is_last=False)


def put_family(batch: Batch, family_key: bytes, entries: Sequence[Entry]) -> None:
    """Write all cells of a row and family of which the batch deletes whatever was there."""
    _put(batch, family_key, family_key, entries, is_last=True)


def _change(
    batch: Batch,
    family_key: bytes,
    key: bytes,
    record: bytes,
    new: Sequence[Entry],
    rules: FamilyRules | None,
    now_ms: int,
    *,
    is_last: bool,
) -> None:
    changed = spliced(record, new)
    head = head_of(changed)
    is_large = len(changed) > CHUNK_BYTES_MAX
    has_grown = (
        head.cells_count >= LOOKED_AT_CELLS and head.cells_count.bit_length() > head_of(record).cells_count.bit_length()
    ) or (len(new) >= LOOKED_AT_NEW and 3 * len(new) <= head.cells_count <= 4 * len(new))
    if not is_large and not has_grown:
        batch.put(key, changed)
        return
    entries: Sequence[Entry] = read_entries(changed, HEAD_BYTES)
    if rules is not None and may_have_dead(head, rules, now_ms):
        entries = living(entries, rules, now_ms) or entries[:1]  # a chunk without a cell would have to go altogether
    if is_large or len(entries) < head.cells_count:
        _put(batch, family_key, key, entries, is_last=is_last)
    else:
        batch.put(key, changed)


def _put(batch: Batch, family_key: bytes, key: bytes, entries: Sequence[Entry], *, is_last: bool) -> None:
    """One chunk under its old key, and more where it has grown too large."""
    chunks = cut(entries)
    for index, chunk in enumerate(chunks):
        more = key == family_key and index == 0 and (len(chunks) > 1 or not is_last)
        batch.put(key if index == 0 else _place(family_key, chunk[0]), encode_record(chunk, more=more))


def _place(family_key: bytes, entry: Entry) -> bytes:
    qualifier, negated_ms, negated_type, _ = entry
    return chunk_key(family_key, qualifier, -negated_ms, -negated_type)
