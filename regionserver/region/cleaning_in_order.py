"""Clean-up of families with NEW_VERSION_BEHAVIOR, where a column is looked at as a whole or not at all.

Of a family in many chunks a slice takes so many that it ends with a column. What changes until the next slice may lie
in a chunk before that one's first, and the markers of the family are read again each time.
"""

from __future__ import annotations

from collections.abc import Sequence

from regionserver.engine.store import Batch, View
from regionserver.region.dead_in_order import living_in_order
from regionserver.region.family import put_family_in_order, read_cells
from regionserver.region.keys import after_family
from regionserver.region.new_versions import OF_FAMILIES
from regionserver.region.pieces import Record
from regionserver.region.record import Mark, head_of
from regionserver.region.records_ahead import RecordsAhead
from regionserver.region.visible import FamilyRules
from regionserver.region.written_order import encode_in_order, entries_of, last_of

FAMILY_BYTES_WHOLE = 128 * 1024
COLUMN_BYTES_MAX = 1024 * 1024
"""One that is larger is left as it is: what is looked at is read, and written, at once."""


def clean_in_order(
    records: RecordsAhead, view: View, batch: Batch, family_key: bytes, rules: FamilyRules, now_ms: int
) -> int:
    """The next records of a family, all or a slice of them; how many cells go."""
    chunks, ended = records.take(family_key, FAMILY_BYTES_WHOLE)
    is_begin = chunks[0][0] == family_key
    if is_begin and ended:
        return _whole(chunks, batch, family_key, rules, now_ms)
    found = [entries_of(value, in_order=True) for _, value in chunks]
    last = found[-1][-1][0] if found[-1] else b""
    while records.peek is not None and records.peek[0] < after_family(family_key):
        following = entries_of(records.peek[1], in_order=True)
        if following[0][0] != last or sum(len(value) for _, value in chunks) > COLUMN_BYTES_MAX:
            ended = following[0][0] != last
            break
        chunks.append(next(records))
        found.append(following)
        last, ended = following[-1][0], True
    entries = [entry for each in found for entry in each]
    open_columns: set[bytes] = set() if ended else {last}
    if not is_begin:
        before = next(view.scan(family_key, chunks[0][0], reverse=True))[1]
        open_columns |= {entry[0] for entry in entries_of(before, in_order=True)[-1:]}
    first = view.get(family_key)
    assert first is not None
    of_family = [
        entry for entry in read_cells(view, family_key, first, (b"",), in_order=True) if -entry[2] in OF_FAMILIES
    ]
    kept = set(living_in_order(entries, rules, now_ms, of_family, open_columns))
    for (key, value), each in zip(chunks, found, strict=True):
        left = [entry for entry in each if entry in kept]
        if left or key == family_key:
            if len(left) < len(each):
                batch.put(key, encode_in_order(left, last_of(value), more=bool(head_of(value).marks & Mark.MORE)))
        else:
            batch.delete(key)
    return len(entries) - len(kept)


def _whole(chunks: Sequence[Record], batch: Batch, family_key: bytes, rules: FamilyRules, now_ms: int) -> int:
    """A family of a few chunks: written anew where anything of it goes."""
    last = last_of(chunks[0][1])
    entries = [entry for _, value in chunks for entry in entries_of(value, in_order=True)]
    kept = living_in_order(entries, rules, now_ms)
    if len(kept) < len(entries) or not kept:  # a first chunk may have been left without a cell
        for key, _ in chunks:
            batch.delete(key)
        put_family_in_order(batch, family_key, kept, max(last, *(last_of(value) for _, value in chunks)))
    return len(entries) - len(kept)
