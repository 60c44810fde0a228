"""What filters say of rows at once, of which each column has one cell.

Such a row is a cell block: cells of one family, sorted by column. Most rows of most scans are such, and to ask of each
cell costs ten times as much. What a filter says of a row at once is what it comes to when it is asked cell by cell; a
filter whose answer hangs on more has no plan, and neither has a list in whose order of questions more is hidden.

Pure. Source: the same classes of HBase as those of the filters.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple, Protocol

from regionserver.filters.places import BEFORE_ROW, CELL_AND_KEY, Places, Rows

_LENGTHS = struct.Struct(">iii")  # cell, key, value
_SIZE = struct.Struct(">i")
_TIME = struct.Struct(">q")


class GoOn:
    """Not this row; none passes before the one named here. None: no row passes any more."""

    __slots__ = ("row",)

    def __init__(self, row: bytes | None) -> None:
        self.row = row


Cells = tuple[list[bytes], list[int]]
"""Cell blocks of rows, and how many cells each has."""
Passes = bool | GoOn
OfColumn = Callable[[Rows, int], list[int]]
"""The numbers of those that pass; the number that it is given says where cell blocks begin."""
Pick = Callable[[Rows, int], Cells]
"""What is given of them, without those of which nothing is."""


class OfRow(NamedTuple):
    """Judges rows by their keys, in their order, and may say where to go on."""

    passes: Callable[[bytes], Passes]
    passes_between: Callable[[bytes, bytes], bool] = lambda first, last: False  # noqa: ARG005
    """Whether all from one to another pass, as far as can be told by these; then it need not hear of them."""


class Counting(Protocol):
    """Lets so many rows pass, of those that nothing else drops."""

    def rows_left(self) -> int:
        """How many more."""
        ...

    def count_rows(self, rows_count: int) -> None:
        """So many have passed."""
        ...


class Judged(NamedTuple):
    """Of rows."""

    cells: Cells
    rows_count: int
    """How many rows were judged; less than all where it says to go on elsewhere."""
    go_on: GoOn | None
    """Of the last of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a filter judges rows; each part is asked where those before it let the row pass."""

    of_row: tuple[OfRow, ...] = ()
    keeps_row: tuple[Callable[[bytes], bool], ...] = ()
    """Whether a row passes by its key, whatever was asked before."""
    row_ends: tuple[bytes, ...] = ()
    """The keys of rows that `keeps_row` keeps end with one of these; none: that is not known."""
    of_column: tuple[OfColumn, ...] = ()
    """Whether it does by one of its cells."""
    pick: Pick | None = None
    """None: all cells."""
    hears_all: bool = True
    """Cells behind those that `pick` gives are asked about all the same."""
    by_times: bool = False
    """It looks at the times of heads."""
    change: Callable[[list[bytes]], list[bytes]] | None = None
    """What is given instead of cells."""
    counts: Counting | None = None
    may_be_in: Callable[[bytes], bool] | None = None
    """Whether a row may pass of which these bytes have all that is known; of more rows, whether one of them may."""
    may_fail: bool = False
    """There are cells that its comparator raises an error for."""

    def then(self, other: Plan) -> Plan | None:
        """Both have to let a cell pass; the other hears of what this one takes. None: it is more than that."""
        if self.may_fail or other.may_fail:
            return None  # whether the second one fails hangs on what the first one has said of other cells
        if self.pick is not None and (other.pick is not None or other.of_column):
            return None
        if self.of_column and not other.hears_all:
            return None
        if self.counts is not None and (other.counts is not None or other.of_column):
            return None
        change, following = self.change, other.change
        return Plan(
            of_row=self.of_row + other.of_row,
            keeps_row=self.keeps_row + other.keeps_row,
            row_ends=self.row_ends or other.row_ends,
            of_column=self.of_column + other.of_column,
            pick=self.pick or other.pick,
            hears_all=self.hears_all and other.hears_all,
            by_times=self.by_times or other.by_times,
            change=(lambda blocks: following(change(blocks))) if change and following else change or following,
            counts=self.counts or other.counts,
            may_be_in=self.may_be_in or other.may_be_in,
        )

    def judge(self, rows: Rows, at: int) -> Judged:
        """What is given of rows, but for `counts`; at least one, sorted."""
        count, go_on = len(rows.data), None
        if self.of_row:
            rows, count, go_on = self._by_row(rows, at)
        if self.keeps_row:
            rows = self._by_key(rows, at)
        for of_column in self.of_column:
            rows = rows.only(of_column(rows, at))
        if not rows.data or (self.may_be_in is not None and not self.may_be_in(b"".join(rows.data))):
            return Judged(([], []), count, go_on)
        cells = (self.pick or _pick_all)(rows, at)
        return Judged(cells if self.change is None else (self.change(cells[0]), cells[1]), count, go_on)

    def _by_row(self, rows: Rows, at: int) -> tuple[Rows, int, GoOn | None]:
        count = len(rows.data)
        first, last = rows.between(0, 1).keys(at)[0], rows.between(count - 1, count).keys(at)[0]
        of_row = [each.passes for each in self.of_row if not each.passes_between(first, last)]
        if not of_row:
            return rows, count, None
        passed: list[int] = []
        for index, key in enumerate(rows.keys(at)):
            said = _all_of(of_row, key)
            if said is True:
                passed.append(index)
            elif isinstance(said, GoOn):
                return rows.only(passed), index + 1, said
        return rows.only(passed), count, None

    def _by_key(self, rows: Rows, at: int) -> Rows:
        keys, ends = rows.keys(at), self.row_ends
        passed = [index for index, key in enumerate(keys) if key.endswith(ends)] if ends else list(range(len(keys)))
        for keeps in self.keeps_row:
            passed = [index for index in passed if keeps(keys[index])]
        return rows.only(passed)


def _pick_all(rows: Rows, at: int) -> Cells:
    return [data[at:] for data in rows.data], list(rows.counts)


def _all_of(asked: Sequence[Callable[[bytes], Passes]], row: bytes) -> Passes:
    """All hear of the row; the farthest way to go on wins."""
    passes: Passes = True
    for each in asked:
        said = each(row)
        if isinstance(said, GoOn):
            if not isinstance(passes, GoOn) or said.row is None or (passes.row is not None and passes.row < said.row):
                passes = said
        elif not isinstance(passes, GoOn):
            passes = passes and said
    return passes


def where_column(family: bytes, qualifier: bytes, keeps: Callable[[bytes], bool], passes_missing: bool) -> OfColumn:
    """Rows by what the cell of a column holds, and whether those pass that have none."""
    places = Places(family, qualifier, of_value=True)

    def passing(rows: Rows, at: int) -> list[int]:
        found = enumerate(zip(rows.data, places.find(rows, at), strict=True))
        return [index for index, (data, place) in found if (passes_missing if place is None else keeps(data[place]))]

    return passing


def value_at(data: bytes, at: int) -> bytes:
    """What the cell there holds."""
    cell_bytes, key_bytes = CELL_AND_KEY.unpack_from(data, at)
    return data[at + 12 + key_bytes : at + 4 + cell_bytes]


def pick_column(qualifier: bytes) -> Pick:
    """One column."""
    of_family: dict[bytes, Places] = {}

    def pick(rows: Rows, at: int) -> Cells:
        family = _family_of(rows, at)
        places = of_family.get(family) or of_family.setdefault(family, Places(family, qualifier))
        found = zip(rows.data, places.find(rows, at), strict=True)
        blocks = [data[place] for data, place in found if place is not None]
        return blocks, [1] * len(blocks)

    return pick


def pick_prefix(prefix: bytes) -> Pick:
    """Columns that begin so: they lie side by side."""
    lengths = CELL_AND_KEY.unpack_from

    def pick(rows: Rows, at: int) -> Cells:
        blocks: list[bytes] = []
        counts: list[int] = []
        before_qualifier = _before_qualifier(rows, at)
        for data, row_bytes in zip(rows.data, rows.key_bytes, strict=True):
            stop, before, here, begin, taken = len(data), before_qualifier + row_bytes, at, at, 0
            least_bytes = before - 3 + len(prefix)
            while here < stop:
                cell_bytes, key_bytes = lengths(data, here)
                if key_bytes >= least_bytes and data.startswith(prefix, here + before):
                    if not taken:
                        begin = here
                    taken += 1
                elif taken:
                    break
                here += 4 + cell_bytes
            if taken:
                blocks.append(data[begin:here])
                counts.append(taken)
        return blocks, counts

    return pick


def pick_numbered(skipped_count: int, count_max: int) -> Pick:
    """So many columns behind so many."""
    sizes = _SIZE.unpack_from
    begin, end = max(skipped_count, 0), skipped_count + count_max
    if begin == 0 and end == 1:
        return _pick_first

    def pick(rows: Rows, at: int) -> Cells:
        blocks: list[bytes] = []
        counts: list[int] = []
        for data, count in zip(rows.data, rows.counts, strict=True):
            here, taken = at, min(end, count) - begin
            if taken <= 0:
                continue
            for _ in repeat(None, begin):
                here += 4 + sizes(data, here)[0]
            begins_at = here
            for _ in repeat(None, taken):
                here += 4 + sizes(data, here)[0]
            blocks.append(data[begins_at:here])
            counts.append(taken)
        return blocks, counts

    return pick


def _pick_first(rows: Rows, at: int) -> Cells:
    sizes = _SIZE.unpack_from
    return [data[at : at + 4 + sizes(data, at)[0]] for data in rows.data], [1] * len(rows.data)


def _pick_where(keeps: Callable[[bytes, int, int, int], bool]) -> Pick:
    """Cells that pass: of the bytes, where the cell begins, and where its qualifier does, and how long its key is."""
    lengths = CELL_AND_KEY.unpack_from

    def pick(rows: Rows, at: int) -> Cells:
        blocks: list[bytes] = []
        counts: list[int] = []
        before_qualifier = _before_qualifier(rows, at)
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


def pick_values_found(keeps: Callable[[bytes], bool], may_be_in: Callable[[bytes], bool]) -> Pick:
    """The same; `may_be_in` says of a row's bytes whether one of them may pass."""
    pick = pick_values(keeps)

    def found(rows: Rows, at: int) -> Cells:
        rows = rows.only([index for index, data in enumerate(rows.data) if may_be_in(data)])
        return pick(rows, at) if rows.data else ([], [])

    return found


def pick_all_if(keeps: Callable[[bytes], bool]) -> Pick:
    """All cells, where their family passes."""

    def pick(rows: Rows, at: int) -> Cells:
        if not keeps(_family_of(rows, at)):
            return [], []
        return _pick_all(rows, at)

    return pick


def pick_times(times_ms: frozenset[int]) -> Pick:
    """Cells of these times."""
    times = _TIME.unpack_from
    some = _pick_where(lambda data, at, _, key_bytes: times(data, at + 3 + key_bytes)[0] in times_ms)
    oldest_wanted_ms, newest_wanted_ms = min(times_ms, default=0), max(times_ms, default=-1)

    def pick(rows: Rows, at: int) -> Cells:
        blocks: list[bytes] = []
        counts: list[int] = []
        for index, (newest_ms, oldest_ms) in enumerate(rows.times_ms):
            if newest_ms == oldest_ms:
                if newest_ms in times_ms:
                    blocks.append(rows.data[index][at:])
                    counts.append(rows.counts[index])
            elif newest_ms >= oldest_wanted_ms and oldest_ms <= newest_wanted_ms:
                found, found_counts = some(rows.between(index, index + 1), at)
                blocks += found
                counts += found_counts
        return blocks, counts

    return pick


def without_values(len_as_val: bool) -> Callable[[list[bytes]], list[bytes]]:
    """Cells with nothing in them, or the length of what was."""
    lengths = _LENGTHS.unpack_from
    value_bytes_kept = 4 if len_as_val else 0
    begins: dict[int, bytes] = {}
    """Of cells, by how long their keys are."""

    def change(blocks: list[bytes]) -> list[bytes]:
        changed: list[bytes] = []
        for block in blocks:
            pieces: list[bytes] = []
            at, stop = 0, len(block)
            while at < stop:
                cell_bytes, key_bytes, value_bytes = lengths(block, at)
                begin = begins.get(key_bytes)
                if begin is None:
                    begin = _LENGTHS.pack(8 + key_bytes + value_bytes_kept, key_bytes, value_bytes_kept)
                    begins[key_bytes] = begin
                pieces += (begin, block[at + 12 : at + 12 + key_bytes])
                if len_as_val:
                    pieces.append(value_bytes.to_bytes(4, "big"))
                at += 4 + cell_bytes
            changed.append(b"".join(pieces))
        return changed

    return change


def _family_of(rows: Rows, at: int) -> bytes:
    """That of all of them."""
    data = rows.data[0]
    begin = at + BEFORE_ROW + rows.key_bytes[0]
    return data[begin + 1 : begin + 1 + data[begin]]


def _before_qualifier(rows: Rows, at: int) -> int:
    """Where the qualifier of a cell begins, without the row."""
    return BEFORE_ROW + 1 + len(_family_of(rows, at))
