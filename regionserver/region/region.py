"""One region: reads of a row, and changes of rows that are seen whole or not at all.

Its calls are synchronous and nothing comes between the reading and the writing of one of them, so a row needs no lock:
conditions, increments and deletes of the latest version are judged by what they change. All changes of one call are one
batch of the store. The caller gives the time, and hears through `committed` when the batch is as durable as it asked.

Source: HRegion, whose names its errors carry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from regionserver.engine.store import Batch, Committed, Durability, Store, View
from regionserver.region.conditions import Checked, Condition, check
from regionserver.region.dead import are_looked_at, go_at_once
from regionserver.region.family import add_cells, read_cells, read_family, write_cells
from regionserver.region.keys import RowOrder, family_key, plain_order
from regionserver.region.large_rows import visible_pieces
from regionserver.region.mutations import (
    Change,
    Mutation,
    MutationKind,
    add_entry,
    delete_entries,
    delta_entries,
    put_entries,
)
from regionserver.region.newest_cell import NewestCell
from regionserver.region.plain_puts import PlainPut, fresh_record
from regionserver.region.record import HEAD_BYTES, Entry, Mark, head_of, newest_of, plain_count, plain_record
from regionserver.region.rules import USUAL, TableRules
from regionserver.region.shapes import Shape, Shaped
from regionserver.region.visible import (
    FOR_EVER_MS,
    NEWEST,
    FamilyRules,
    Wanted,
    all_are_visible,
    newest_are_visible,
    visible,
)
from registry.wire.cellblock import KeyType, decode_cell
from registry.wire.errors import (
    DoNotRetryIOException,
    FailedSanityCheckException,
    NoSuchColumnFamilyException,
    RowTooBigException,
    WrongRegionException,
)
from registry.wire.preamble import string_binary


@dataclass(frozen=True, slots=True)
class RegionRange:
    """Which rows it has, and what it is called in messages."""

    table: str
    name: str
    start_key: bytes = b""
    end_key: bytes = b""
    """Exclusive; empty: to the end of the table."""

    def holds(self, row: bytes, order: RowOrder) -> bool:
        """Whether a row lies in it."""
        place = order(row)
        return (not self.start_key or order(self.start_key) <= place) and (
            not self.end_key or place < order(self.end_key)
        )


class Found(NamedTuple):
    """What is seen of a row."""

    block: bytes
    """Its cells, with tags."""
    cells_count: int
    tagged: bool
    """There may be tags among them."""


_NOTHING = Found(b"", 0, tagged=False)
_TAGS = int(Mark.TAGS)


@dataclass(slots=True)
class RequestCounts:
    """What a region was asked since it was opened. Source: HRegion's readRequestsCount and its kind."""

    reads_count: int = 0
    """Rows, by Gets and scans."""
    writes_count: int = 0
    """Mutations."""
    checks_passed_count: int = 0
    checks_failed_count: int = 0

    def add(self, other: RequestCounts) -> None:
        """Count those of another too."""
        self.reads_count += other.reads_count
        self.writes_count += other.writes_count
        self.checks_passed_count += other.checks_passed_count
        self.checks_failed_count += other.checks_failed_count


class Region:
    """An open region. Belongs to the loop of its store."""

    def __init__(
        self,
        where: RegionRange,
        families: Mapping[bytes, FamilyRules],
        store: Store,
        prefix: bytes,
        order: RowOrder = plain_order,
        rules: TableRules = USUAL,
    ) -> None:
        """`prefix`: of all keys of this life of the table; `families` by name, in their order."""
        self.where = where
        self.families = dict(sorted(families.items()))
        self.store = store
        self.prefix = prefix
        self.order = order
        self.rules = rules
        self.counts = RequestCounts()
        self.newest = NewestCell()
        self.is_plain = False
        """Whether clients see it as it is, and their calls go straight to it; said by who answers them."""
        self._lower = order(where.start_key) if where.start_key else b""
        self._upper = order(where.end_key) if where.end_key else None

    # --- reading --------------------------------------------------------------------------------------------------

    def get(self, row: bytes, wanted: Mapping[bytes, Wanted], now_ms: int) -> Found:
        """What is seen of a row.

        `wanted` by family; empty: the newest of all. Raises WrongRegionException, NoSuchColumnFamilyException,
        RowTooBigException.
        """
        row_key = self.prefix + self.check_row("Get", row)
        self.counts.reads_count += 1
        if len(self.families) == 1:
            [(family, rules)] = self.families.items()
            if not wanted or (len(wanted) == 1 and wanted.get(family) is NEWEST):
                return self._newest(row_key, family, rules, now_ms)
        pieces: list[bytes] = []
        count = 0
        tagged = False
        for family, of_family in self._families_of(wanted):
            for cells, cells_count, with_tags in self._seen(self.store, row_key, family, of_family, now_ms):
                pieces.append(cells)
                count += cells_count
                tagged |= with_tags
        return Found(b"".join(pieces), count, tagged)

    def _newest(self, row_key: bytes, family: bytes, rules: FamilyRules, now_ms: int) -> Found:
        """The same of the only family, as most Gets ask for it."""
        record = self.store.get(row_key + family + b"\0")
        if record is None:
            return _NOTHING
        if rules.ttl_ms == FOR_EVER_MS and (count := plain_count(record, 0, FOR_EVER_MS)):
            return Found(record[HEAD_BYTES:], count, tagged=False)  # most rows: all of it, whatever time it is
        head = head_of(record)
        if all_are_visible(head, rules, NEWEST, now_ms):
            return Found(record[HEAD_BYTES:], head.cells_count, tagged=False)
        if newest_are_visible(head, rules, NEWEST, now_ms):
            return Found(*newest_of(record), tagged=False)
        found = list(self._seen(self.store, row_key, family, NEWEST, now_ms))
        blocks, counts, tagged = zip(*found, strict=True) if found else ((), (), ())
        return Found(b"".join(blocks), sum(counts), any(tagged))

    def row_key(self, row: bytes) -> bytes:
        """The beginning of all keys of a row."""
        return self.prefix + self.order(row)

    def _families_of(self, wanted: Mapping[bytes, Wanted]) -> Iterator[tuple[bytes, Wanted]]:
        if not wanted:
            for family in self.families:
                yield family, NEWEST
        for family in sorted(wanted):
            self.check_family(family)
            yield family, wanted[family]

    def _seen(self, view: View, row_key: bytes, family: bytes, wanted: Wanted, now_ms: int) -> Iterator[Found]:
        """Pieces of what is seen; a record that is seen whole is not looked into."""
        rules, key = self.families[family], family_key(row_key, family)
        first = view.get(key)
        if first is None:
            return
        head = head_of(first)
        if all_are_visible(head, rules, wanted, now_ms):
            yield Found(first[HEAD_BYTES:], head.cells_count, tagged=False)
            return
        if newest_are_visible(head, rules, wanted, now_ms):
            yield Found(*newest_of(first), tagged=False)
            return
        size_bytes = 0
        for found in self._looked_into(view, key, first, rules, wanted, now_ms):
            size_bytes += len(found.block)
            if size_bytes > self.rules.row_bytes_max:
                raise RowTooBigException(
                    f"Max row size allowed: {self.rules.row_bytes_max}, but the row is bigger than that."
                )
            yield found

    def _looked_into(
        self, view: View, key: bytes, first: bytes, rules: FamilyRules, wanted: Wanted, now_ms: int
    ) -> Iterator[Found]:
        if wanted.columns is None:
            for piece in visible_pieces(read_family(view, key, first), rules, wanted, now_ms):
                yield Found(*piece)
            return
        entries = read_cells(view, key, first, wanted.columns, in_order=rules.new_versions)
        cells = [entry[3] for entry in visible(entries, rules, wanted, now_ms)]
        if cells:
            tagged = bool(head_of(first).marks & (Mark.TAGS | Mark.MORE))  # what others have is not looked for
            yield Found(b"".join(cells), len(cells), tagged)

    def _column(self, view: View, row_key: bytes, family: bytes, wanted: Wanted, now_ms: int) -> list[Entry]:
        """The visible cells of named columns."""
        self.check_family(family)
        key = family_key(row_key, family)
        first = view.get(key)
        if first is None:
            return []
        rules = self.families[family]
        entries = read_cells(view, key, first, wanted.columns, in_order=rules.new_versions)
        return list(visible(entries, rules, wanted, now_ms))

    # --- writing --------------------------------------------------------------------------------------------------

    def put(self, mutation: Mutation, batch: Batch, now_ms: int) -> None:
        """Add a put or delete to a batch that has nothing of this row yet. Raises what HBase raises, adding nothing."""
        self.check_writable()
        self.check_row("batchMutate", mutation.row, FailedSanityCheckException)
        self.counts.writes_count += 1
        self._write([mutation], batch, now_ms, now_ms)

    def put_quick(self, put: Shaped | PlainPut, batch: Batch, now_ms: int) -> None:
        """The same of a put of one family whose cells are sorted and without tags."""
        self.check_writable()
        place = self.check_row("batchMutate", put.row, FailedSanityCheckException)
        self.counts.writes_count += 1
        self.check_family(put.family)
        key, view = family_key(self.prefix + place, put.family), self.store.uncommitted
        cell_bytes_max = self.rules.cell_bytes_max
        if isinstance(put, Shaped):
            if not 0 < cell_bytes_max < put.shape.cell_bytes_max and self.rules.future_ms_max is None:
                self._put_shaped(put, view, batch, key, now_ms)
                return
            entries = put.shape.entries(*put.cells(now_ms))
        else:
            entries = put.entries(now_ms)
        if cell_bytes_max > 0:
            for entry in entries:
                if len(entry[3]) > cell_bytes_max:
                    raise self._too_large(entry[3])
        if self.rules.future_ms_max is not None:
            for entry in entries:
                self._check_time(entry, now_ms)
        self.newest.written(entries)
        old = view.get(key)
        if old is None and (made := fresh_record(entries)) is not None:
            batch.put(key, made)
        else:
            add_cells(view, batch, key, old, entries, self.families[put.family], now_ms)

    def _put_shaped(self, put: Shaped, view: View, batch: Batch, key: bytes, now_ms: int) -> None:
        shape, rules = put.shape, self.families[put.family]
        cells, timestamp_ms = put.cells(now_ms)
        if timestamp_ms > self.newest.written_ms:
            self.newest.written_ms = timestamp_ms
        old = view.get(key)
        if old is None:
            batch.put(key, plain_record(cells, shape.count, timestamp_ms))
        elif (made := _written_over(shape, cells, timestamp_ms, old, rules)) is not None:
            batch.put(key, made)
        else:
            add_cells(view, batch, key, old, shape.entries(cells, timestamp_ms), rules, now_ms)

    def mutate(
        self,
        mutations: Sequence[Mutation],
        durability: Durability,
        committed: Committed,
        now_ms: int,
        condition: Condition | None = None,
        note: bytes = b"",
        also: Sequence[Mutation] = (),
    ) -> tuple[bool, list[list[bytes]]]:
        """Change one row by all of these or none, where the condition holds; then also the key `note` is there.

        `also`: what is done to rows of the region with it. Gives whether it held, and for each increment or append the
        cells that it left (for others an empty list). `committed` is called where it held. Raises HBase's exceptions,
        and StoreBusy; then nothing is.
        """
        self.check_writable()
        row = condition.row if condition is not None else mutations[0].row
        for mutation in mutations:
            if mutation.row != row:
                raise DoNotRetryIOException("Action's getRow must match")
        self._check_row_of(mutations, condition is not None, row)
        puts_ms = now_ms
        if condition is not None:
            checked = self.check(condition, now_ms)
            if not checked.matches:
                return False, []
            puts_ms = max(now_ms, checked.timestamp_ms)
        self.counts.writes_count += len(mutations)
        batch = Batch()
        if also:
            made = self._write([*mutations, *(each for each in also if each.row == row)], batch, now_ms, puts_ms)
            self._write_rows((each for each in also if each.row != row), batch, now_ms)
        else:
            made = self._write(mutations, batch, now_ms, puts_ms)
        if batch:
            if note:
                batch.put(note, b"")
            self.store.commit(batch, durability, committed)
        else:
            committed(None)
        return True, made

    def mutate_rows(
        self, mutations: Sequence[Mutation], durability: Durability, committed: Committed, now_ms: int
    ) -> None:
        """Change several rows by all of these or none. Raises HBase's exceptions, and StoreBusy; then nothing is."""
        self.check_writable()
        batch = Batch()
        self._write_rows(mutations, batch, now_ms)
        self.counts.writes_count += len(mutations)
        if batch:
            self.store.commit(batch, durability, committed)
        else:
            committed(None)

    def check(self, condition: Condition, now_ms: int) -> Checked:
        """Whether a condition holds now."""
        if condition.judge is not None:
            checked = condition.judge(self, now_ms)
        else:
            row_key = self.row_key(condition.row)
            checked = check(condition, self._column(self.store, row_key, condition.family, condition.wanted, now_ms))
        if checked.matches:
            self.counts.checks_passed_count += 1
        else:
            self.counts.checks_failed_count += 1
        return checked

    def _write_rows(self, mutations: Iterable[Mutation], batch: Batch, now_ms: int) -> None:
        by_row: dict[bytes, list[Mutation]] = {}
        for mutation in mutations:
            self.check_row("mutateRows", mutation.row)
            by_row.setdefault(mutation.row, []).append(mutation)
        for of_row in by_row.values():
            self._write(of_row, batch, now_ms, now_ms)

    def _write(self, mutations: Sequence[Mutation], batch: Batch, now_ms: int, puts_ms: int) -> list[list[bytes]]:
        """`puts_ms`: of puts that say no time. Behind a condition they are no older than the cell that it looked at."""
        row_key, view = self.row_key(mutations[0].row), self.store.uncommitted
        by_family: dict[bytes, list[Entry]] = {}
        made: list[list[bytes]] = []
        cell_bytes_max = self.rules.cell_bytes_max

        def read(family: bytes, wanted: Wanted) -> Sequence[Entry]:
            return self._column(view, row_key, family, wanted, now_ms)

        for asked in mutations:
            mutation = self._of_whole_row(asked) if not asked.changes else asked
            left: list[bytes] = []
            for change in mutation.changes:
                self.check_family(change.family)
            match mutation.kind:
                case MutationKind.PUT:
                    written = put_entries(mutation, now_ms, puts_ms)
                case MutationKind.DELETE:
                    written = delete_entries(mutation, read, now_ms)
                case MutationKind.INCREMENT | MutationKind.APPEND:
                    deltas = list(delta_entries(mutation, read, now_ms))
                    written = iter([(family, entry) for family, entry, _ in deltas])
                    left = [told for _, _, told in deltas]
            for family, entry in written:
                if 0 < cell_bytes_max < len(entry[3]):
                    raise self._too_large(entry[3], made=mutation.kind not in (MutationKind.PUT, MutationKind.DELETE))
                if mutation.kind is MutationKind.PUT and entry[3] and self.rules.future_ms_max is not None:
                    self._check_time(entry, now_ms)
                add_entry(by_family.setdefault(family, []), entry)
            made.append(left)
        for family, entries in by_family.items():
            if entries:
                self.newest.written(entries)
                write_cells(view, batch, family_key(row_key, family), entries, self.families[family], now_ms)
        return made

    def _of_whole_row(self, mutation: Mutation) -> Mutation:
        if mutation.kind is not MutationKind.DELETE:
            return mutation
        kind, timestamp_ms = KeyType.DELETE_FAMILY, mutation.timestamp_ms
        return replace(mutation, changes=[Change(family, b"", timestamp_ms, kind) for family in self.families])

    # --- what is refused ------------------------------------------------------------------------------------------

    def check_row(
        self, operation: str, row: bytes, error: type[DoNotRetryIOException | WrongRegionException] | None = None
    ) -> bytes:
        """The row as keys have it. Raises where it does not lie here; `error` instead of WrongRegionException."""
        place = self.order(row)
        if place < self._lower or (self._upper is not None and place >= self._upper):
            raise (error or WrongRegionException)(
                f"Requested row out of range for {operation} on HRegion {self.where.name}, startKey="
                f"'{string_binary(self.where.start_key)}', getEndKey()='{string_binary(self.where.end_key)}',"
                f" row='{string_binary(row)}'"
            )
        return place

    def _check_row_of(self, mutations: Sequence[Mutation], is_conditional: bool, row: bytes) -> None:
        """A real server refuses a put by another class than what reads first."""
        kind = mutations[0].kind
        if is_conditional:
            self.check_row("checkAndMutate", row)
        elif len(mutations) > 1:
            self.check_row("mutateRow", row)
        elif kind in (MutationKind.PUT, MutationKind.DELETE):
            self.check_row("batchMutate", row, FailedSanityCheckException)
        else:
            self.check_row(kind.name.lower(), row)

    def _too_large(self, cell: bytes, *, made: bool = False) -> DoNotRetryIOException:
        """`made` of what was there and what came: then a real server names no cell."""
        limit = f"with size {len(cell)} exceeds limit of {self.rules.cell_bytes_max} bytes"
        if made:
            return DoNotRetryIOException(f"Cell {limit} in region {self.where.name}")
        return DoNotRetryIOException(f"Cell[{_told(cell)}] {limit}")

    def _check_time(self, entry: Entry, now_ms: int) -> None:
        """Source: HRegion#checkTimestamps."""
        ahead_ms = self.rules.future_ms_max
        if ahead_ms is not None and -entry[1] > now_ms + ahead_ms:
            raise FailedSanityCheckException(f"Timestamp for KV out of range {_told(entry[3])} (too.new={ahead_ms})")

    def check_writable(self) -> None:
        """Raise where the table is read-only."""
        if self.rules.read_only:
            raise DoNotRetryIOException("region is read only")

    def check_family(self, family: bytes) -> None:
        """Raise where there is no such family."""
        if family not in self.families:
            raise NoSuchColumnFamilyException(
                f"Column family {family.decode('utf-8', 'replace')} does not exist in region {self.where.name}"
                f" in table '{self.where.table}'"
            )


def _told(cell: bytes) -> str:
    """As Java's KeyValue#toString."""
    row, family, qualifier, timestamp_ms, key_type, value, _ = decode_cell(memoryview(cell), 0, with_tags=True)[0]
    column = f"{string_binary(row)}/{string_binary(family)}:{string_binary(qualifier)}/{timestamp_ms}"
    kind = KeyType(key_type).name.title().replace("_", "")
    return f"{column}/{kind}/vlen={len(value)}/seqid=0"


def _written_over(shape: Shape, cells: bytes, timestamp_ms: int, old: bytes, rules: FamilyRules) -> bytes | None:
    """What `write_cells` would make of a record of the same columns; None where it is another."""
    old_ms = shape.time_of(old)
    if old_ms is None or rules.new_versions or old[1] & _TAGS:  # the mark stays when cells with tags are replaced
        return None
    count = shape.count
    if old_ms == timestamp_ms or (old_ms < timestamp_ms and go_at_once(count, rules)):
        return plain_record(cells, count, timestamp_ms)
    if are_looked_at(count, 2 * count, count):
        return None
    older = old[HEAD_BYTES:]
    if old_ms < timestamp_ms:
        return shape.with_older(cells, timestamp_ms, older, old_ms)
    return shape.with_older(older, old_ms, cells, timestamp_ms)
