"""The cells of one row and family in a store: read whole or by column, changed chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from regionserver.engine.store import Batch, View
from regionserver.region.dead import are_looked_at, go_at_once, living, may_have_dead
from regionserver.region.dead_in_order import living_in_order
from regionserver.region.keys import after_family, chunk_key
from regionserver.region.record import (
    CHUNK_BYTES_MAX,
    FORMAT,
    HEAD_BYTES,
    Entry,
    Mark,
    cut,
    encode_record,
    has_tags,
    head_of,
    merged,
    only_newest,
    overwritten,
    read_entries,
    spliced,
)
from regionserver.region.visible import FamilyRules
from regionserver.region.written_order import (
    cut_in_order,
    encode_in_order,
    entries_of,
    last_of,
    merged_in_order,
    numbered,
    with_last,
    without_order,
)
from registry.wire.cellblock import KeyType

_PUT = -int(KeyType.PUT)
_PLAIN = Mark.VERSIONS | Mark.MORE
"""Marks of records of puts without tags."""


def read_family(view: View, family_key: bytes, first: bytes | None) -> Iterator[bytes]:
    """The records of a row and family of which `first` is the first, its chunks in their order."""
    if first is not None:
        yield first
        yield from _further(view, family_key, first)


def read_cells(
    view: View, family_key: bytes, first: bytes, columns: Sequence[bytes] | None = None, *, in_order: bool = False
) -> Iterator[Entry]:
    """Cells of a row and family, of which `first` is the first record; nothing else is read where it is the only one.

    `in_order`: with their sequences, for families that decide by them.

    Of a large row the chunks of these columns, and before them what hides the whole family: more cells than were
    asked for may come, and never fewer.
    """
    if columns is None or not head_of(first).marks & Mark.MORE:
        yield from entries_of(first, in_order=in_order)
        for record in _further(view, family_key, first):
            yield from entries_of(record, in_order=in_order)
        return
    if b"" not in columns:
        yield from _column(view, family_key, b"", in_order)
    for qualifier in columns:
        yield from _column(view, family_key, qualifier, in_order)


def _further(view: View, family_key: bytes, first: bytes) -> Iterator[bytes]:
    if head_of(first).marks & Mark.MORE:
        for _, record in view.scan(family_key + b"\0", after_family(family_key)):
            yield record


def _column(view: View, family_key: bytes, qualifier: bytes, in_order: bool) -> Iterator[Entry]:
    """Its cells in a large row: from the chunk that it may begin in to the one that has a later column."""
    newest = chunk_key(family_key, qualifier, (1 << 63) - 1, 255)
    begin = next((key for key, _ in view.scan(family_key, newest + b"\0", reverse=True)), family_key)
    for _, record in view.scan(begin, after_family(family_key)):
        for entry in entries_of(record, in_order=in_order):
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
    if first is None:
        _put(batch, family_key, family_key, new, is_last=True)
    elif head_of(first).marks & Mark.MORE:
        if first[0] != FORMAT or (rules is not None and rules.new_versions):
            _write_chunks_in_order(view, batch, family_key, first, new)
        else:
            _write_chunks(view, batch, family_key, new, rules, now_ms)
    elif rules is not None and rules.new_versions:
        _add_in_order(batch, family_key, first, new, rules, now_ms)
    else:
        _change(batch, family_key, family_key, first, new, rules, now_ms, is_last=True)


def _in_place(record: bytes, new: Sequence[Entry], rules: FamilyRules) -> bytes | None:
    """The record where puts leave nothing of their columns but themselves; None where it is not so plain.

    Nothing else of it is dead then: older versions that were there go too.
    """
    head = head_of(record)
    if head.marks & ~_PLAIN or not go_at_once(head.cells_count, rules):
        return None
    for entry in new:
        if entry[2] != _PUT or has_tags(entry[3]):
            return None
    if head.marks & Mark.VERSIONS:
        record, columns_count = only_newest(record)
        if not go_at_once(columns_count, rules):
            return None
    return overwritten(record, new)


def _write_chunks(
    view: View, batch: Batch, family_key: bytes, new: Sequence[Entry], rules: FamilyRules | None, now_ms: int
) -> None:
    """Each chunk reaches to where the next begins; cells before the second belong to the first."""
    for key, record, belonging in _met_chunks(view, family_key, new):
        _change(batch, family_key, key, record, belonging, rules, now_ms, is_last=False)


def _met_chunks(view: View, family_key: bytes, new: Sequence[Entry]) -> Iterator[tuple[bytes, bytes, list[Entry]]]:
    """Chunks, and the sorted new cells that belong into each."""
    end = after_family(family_key)
    remaining = list(new)
    while remaining:
        key, record = next(iter(view.scan(family_key, _place(family_key, remaining[0]) + b"\0", reverse=True)))
        belonging = remaining
        if len(remaining) > 1:
            following = next((found for found, _ in view.scan(key + b"\0", end)), end)
            belonging = list(takewhile(lambda entry: _place(family_key, entry) < following, remaining))  # noqa: B023
        remaining = remaining[len(belonging) :]
        yield key, record, belonging


def _add_in_order(
    batch: Batch, family_key: bytes, first: bytes, new: Sequence[Entry], rules: FamilyRules, now_ms: int
) -> None:
    """Behind everything that was written before."""
    last = last_of(first) + 1
    entries: Sequence[Entry] = merged_in_order(entries_of(first, in_order=True), numbered(new, last))
    is_large = sum([len(entry[3]) for entry in entries]) > CHUNK_BYTES_MAX
    if is_large or are_looked_at(head_of(first).cells_count, len(entries), len(new)):
        entries = living_in_order(entries, rules, now_ms)
    put_family_in_order(batch, family_key, entries, last)


def _write_chunks_in_order(view: View, batch: Batch, family_key: bytes, first: bytes, new: Sequence[Entry]) -> None:
    """The same of a family in chunks. Dead cells stay until a clean-up.

    It is done while the family has lost the attribute, too: chunks that are not written know of the order.
    """
    last = last_of(first) + 1
    met = list(_met_chunks(view, family_key, numbered(new, last)))
    if met[0][0] != family_key:
        batch.put(family_key, with_last(first, last))
    for key, record, belonging in met:
        entries = merged_in_order(entries_of(record, in_order=True), belonging)
        _put_in_order(batch, family_key, key, entries, last, is_last=False)


def put_family_in_order(batch: Batch, family_key: bytes, entries: Sequence[Entry], sequence: int) -> None:
    """The same as `put_family` with sequences, and that of the last change; no cells: no record."""
    if entries:
        _put_in_order(batch, family_key, family_key, entries, sequence, is_last=True)
    else:
        batch.delete(family_key)


def _put_in_order(
    batch: Batch, family_key: bytes, key: bytes, entries: Sequence[Entry], last: int, *, is_last: bool
) -> None:
    chunks = cut_in_order(entries)
    if key == family_key and len(chunks) > 1:
        chunks.insert(0, ())  # each change writes the first
    for index, chunk in enumerate(chunks):
        more = key == family_key and index == 0 and (len(chunks) > 1 or not is_last)
        place = key if index == 0 else _place(family_key, chunk[0])
        batch.put(place, encode_in_order(chunk, last, more=more))


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
    if record[0] != FORMAT:
        record = without_order(record)
    if rules is not None and (made := _in_place(record, new, rules)) is not None and len(made) <= CHUNK_BYTES_MAX:
        batch.put(key, made)
        return
    changed = spliced(record, new)
    head = head_of(changed)
    is_large = len(changed) > CHUNK_BYTES_MAX
    if not is_large and not are_looked_at(head_of(record).cells_count, head.cells_count, len(new)):
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
