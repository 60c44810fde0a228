"""What filters give of rows that are judged together, or whether rows pass by one of their columns. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import compress
from operator import itemgetter

from regionserver.filters.layouts import Layouts, there
from regionserver.filters.rows_together import CELL_AND_KEY, Rows
from regionserver.filters.walks import Run, walk_numbered, walk_value
from regionserver.filters.whole_rows import Cells, OfColumn, Pick, pick_all

_LENGTHS = struct.Struct(">iii")  # cell, key, value
_TIME = struct.Struct(">q")
_TIMES = struct.Struct(">qq")
RUN_CELLS_MAX = 8
"""With more cells behind where it begins, a run is followed in each row by itself."""
_key_bytes_of = itemgetter(slice(4, 8))


def where_column(
    family: bytes,
    qualifier: bytes,
    keeps: Callable[[bytes], bool],
    *,
    passes_missing: bool,
    only: bytes | None = None,
) -> OfColumn:
    """Rows by what the cell of a column holds, and whether those pass that have none.

    `only`: all that it keeps, where that is one value.
    """
    layouts = Layouts(walk_value(family, qualifier))
    if only is not None and not passes_missing:
        return lambda rows, at: layouts.holding(rows, at, only)

    def passing(rows: Rows, at: int) -> list[int]:
        groups = layouts.groups(rows, at)
        if groups is None:
            values = enumerate(zip(rows.data, layouts.walk(rows, at), strict=True))
            return [at for at, (data, each) in values if (passes_missing if each is None else keeps(data[each[0]]))]
        passed: list[int] = []
        for where, numbers, data in groups:
            if where is not None:
                passed += compress(numbers, map(keeps, map(itemgetter(where[0]), data)))
            elif passes_missing:
                passed += numbers
        passed.sort()
        return passed

    return passing


def pick_run(run: Run) -> Pick:
    """Columns that lie side by side."""
    layouts, begins = Layouts(run.walk), Layouts(run.begin)

    def pick(rows: Rows, at: int) -> Cells:
        given = layouts.blocks(rows, at)
        if given is not None:
            return given
        groups = begins.groups(rows, at)
        if groups is None:
            return layouts.walk_blocks(rows, at)
        blocks, counts = [b""] * len(rows.data), [0] * len(rows.data)
        before_bytes = rows.before_qualifier(at)
        is_even = rows.counts.count(rows.counts[0]) == len(rows.counts)
        cells_count = rows.counts[0] if is_even else 0
        """Of all rows."""
        for where, numbers, data in groups:
            if where is None:
                continue
            cut, first = where
            begin, row_before_bytes = cut.start, before_bytes + rows.key_bytes[numbers[0]]
            left = cells_count - first
            if 0 < left <= RUN_CELLS_MAX and run.end_rows(data, begin, left, row_before_bytes):
                for number, block in zip(numbers, map(itemgetter(cut), data), strict=True):
                    blocks[number], counts[number] = block, left
            else:
                for number, each in zip(numbers, data, strict=True):
                    end, counts[number] = run.rest(each, begin, row_before_bytes)
                    blocks[number] = each[begin:end]
        return there(blocks, counts)

    return pick


def pick_numbered(skipped_count: int, count_max: int) -> Pick:
    """So many columns behind so many."""
    layouts = Layouts(walk_numbered(skipped_count, count_max))
    return lambda rows, at: layouts.blocks(rows, at) or layouts.walk_blocks(rows, at)


def _pick_where(keeps: Callable[[bytes, int, int, int], bool]) -> Pick:
    """Cells that pass: of the bytes, where the cell begins, and where its qualifier does, and how long its key is."""
    lengths = CELL_AND_KEY.unpack_from

    def pick(rows: Rows, at: int) -> Cells:
        blocks: list[bytes] = []
        counts: list[int] = []
        before_qualifier = rows.before_qualifier(at)
        for data, row_bytes in zip(rows.data, rows.key_bytes, strict=True):
            here, stop, before = at, len(data), before_qualifier + row_bytes
            pieces: list[bytes] = []
            while here < stop:
                cell_bytes, key_bytes = lengths(data, here)
                end = here + 4 + cell_bytes
                if keeps(data, here, here + before, key_bytes):
                    pieces.append(data[here:end])
                here = end
            if pieces:
                blocks.append(b"".join(pieces))
                counts.append(len(pieces))
        return blocks, counts

    return pick


def pick_qualifiers(keeps: Callable[[bytes], bool]) -> Pick:
    """Cells whose qualifiers pass."""
    return _pick_where(lambda data, at, column_at, key_bytes: keeps(data[column_at : at + 3 + key_bytes]))


def pick_values(keeps: Callable[[bytes], bool]) -> Pick:
    """Cells whose values pass."""
    return _pick_where(lambda data, at, _, __: keeps(value_at(data, at)))


def value_at(data: bytes, at: int) -> bytes:
    """What the cell there holds."""
    cell_bytes, key_bytes = CELL_AND_KEY.unpack_from(data, at)
    return data[at + 12 + key_bytes : at + 4 + cell_bytes]


def pick_values_found(keeps: Callable[[bytes], bool], may_be_in: Callable[[bytes], bool]) -> Pick:
    """The same; `may_be_in` says of a row's bytes whether one of them may pass."""
    pick = pick_values(keeps)

    def found(rows: Rows, at: int) -> Cells:
        rows = rows.only([index for index, data in enumerate(rows.data) if may_be_in(data)])
        return pick(rows, at) if rows.data else ([], [])

    return found


def pick_all_if(keeps: Callable[[bytes], bool]) -> Pick:
    """All cells, where their family passes."""
    return lambda rows, at: pick_all(rows, at) if keeps(rows.family(at)) else ([], [])


def pick_times(times_ms: frozenset[int]) -> Pick:
    """Cells of these times."""
    times = _TIME.unpack_from
    some = _pick_where(lambda data, at, _, key_bytes: times(data, at + 3 + key_bytes)[0] in times_ms)
    wanted = frozenset([_TIMES.pack(each, each) for each in times_ms])
    oldest_wanted_ms, newest_wanted_ms = min(times_ms, default=0), max(times_ms, default=-1)

    def pick(rows: Rows, at: int) -> Cells:
        if not _is_mixed(rows.times):
            return pick_all(rows.only([number for number, each in enumerate(rows.times) if each in wanted]), at)
        blocks: list[bytes] = []
        counts: list[int] = []
        for number, (newest_ms, oldest_ms) in enumerate(map(_TIMES.unpack, rows.times)):
            if newest_ms == oldest_ms and newest_ms not in times_ms:
                continue
            if newest_ms >= oldest_wanted_ms and oldest_ms <= newest_wanted_ms:
                found, found_counts = some(rows.between(number, number + 1), at)
                blocks += found
                counts += found_counts
        return blocks, counts

    return pick


def _is_mixed(times: Sequence[bytes]) -> bool:
    """Whether there is a row whose cells are not all of one time."""
    together, step = b"".join(times), _TIMES.size
    return any(together[at::step] != together[at + 8 :: step] for at in range(8))


def without_values(len_as_val: bool) -> Callable[[Cells], Cells]:
    """Cells with nothing in them, or the length of what was."""
    lengths = _LENGTHS.unpack_from
    value_bytes_kept = 4 if len_as_val else 0
    begins: dict[int, bytes] = {}
    """Of cells, by how long their keys are."""

    def begin_of(key_bytes: int) -> bytes:
        begin = begins.get(key_bytes)
        if begin is None:
            begin = begins[key_bytes] = _LENGTHS.pack(8 + key_bytes + value_bytes_kept, key_bytes, value_bytes_kept)
        return begin

    def change_one(block: bytes) -> bytes:
        pieces: list[bytes] = []
        at, stop = 0, len(block)
        while at < stop:
            cell_bytes, key_bytes, value_bytes = lengths(block, at)
            pieces += (begin_of(key_bytes), block[at + 12 : at + 12 + key_bytes])
            if len_as_val:
                pieces.append(value_bytes.to_bytes(4, "big"))
            at += 4 + cell_bytes
        return b"".join(pieces)

    def change(cells: Cells) -> Cells:
        blocks, counts = cells
        if not len_as_val and counts.count(1) == len(counts) == len(blocks) > 0:
            told = list(map(_key_bytes_of, blocks))
            if told.count(told[0]) == len(told):  # cells of one column mostly: their keys are all that is left
                key_bytes = int.from_bytes(told[0], "big")
                begin = begin_of(key_bytes)
                return [begin + begin.join(map(itemgetter(slice(12, 12 + key_bytes)), blocks))], counts
        return list(map(change_one, blocks)), counts

    return change
