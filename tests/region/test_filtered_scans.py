"""Scans with any filter find what HBase's way of going on, cell by cell, finds: whole, in batches and page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from protos.hbase import Filter_pb2, HBase_pb2
from regionserver.engine.memory import MemorySnapshot, MemoryStore
from regionserver.engine.store import Durability
from regionserver.filters.filter import SeenCell
from regionserver.filters.parsing import parse_filter
from regionserver.region.family import read_cells
from regionserver.region.filtered_cells import family_read
from regionserver.region.filtered_reads import filter_condition, filtered_get, open_filtered_scan
from regionserver.region.keys import family_key
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region, RegionRange
from regionserver.region.rules import TableRules
from regionserver.region.scan import Page, PageLimits, ScanRange, ScanShape
from regionserver.region.visible import FamilyRules, KeepDeleted, Wanted, visible
from registry.wire.cellblock import Cell, KeyType, decode_cells, encode_cell
from registry.wire.errors import (
    DoNotRetryIOException,
    IOException,
    NoSuchColumnFamilyException,
    RowTooBigException,
    WrongRegionException,
)
from tests.filters.cells import made
from tests.region.filter_model import ModelScan, unseen
from tests.support import filters as f
from tests.support.seeds import examples

ROWS = [b"a", b"b", b"b\0", b"ba", b"c", b"d"]
QUALIFIERS = [b"", b"p", b"pq", b"q", b"r\0"]
VALUES = [b"", b"1", b"value", b"\xff"]
TIMES = [1, 2, 3, 5]
FAMILIES = {
    b"f": FamilyRules(),
    b"g": FamilyRules(3),
    b"k": FamilyRules(2, keep_deleted=KeepDeleted.TRUE),
}
NOW_MS = 1000
MARKERS = [KeyType.DELETE, KeyType.DELETE_COLUMN, KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION]
TYPES = [KeyType.PUT] * 6 + MARKERS
DENSE_TYPES = [KeyType.PUT] * 20 + MARKERS
OF_FAMILY = (KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION)
DRAWN = f.Drawn(ROWS, sorted(FAMILIES), QUALIFIERS, VALUES, TIMES)


def region_of(changes: Sequence[tuple[bytes, Change]], rules: TableRules | None = None) -> Region:
    region = Region(RegionRange("t", "t,,1.aa."), FAMILIES, MemoryStore(), b"prefix00", rules=rules or TableRules())
    for row, change in changes:
        kind = MutationKind.PUT if change.key_type == KeyType.PUT else MutationKind.DELETE
        region.mutate([Mutation(kind, row, [change])], Durability.PROCESS, lambda _: None, NOW_MS)
    return region


@st.composite
def regions(draw: st.DrawFn) -> Region:
    padding = draw(st.sampled_from([b"", b"", b"x" * 5000]))  # rows in chunks, too
    rows, families, qualifiers, types, least = ROWS, sorted(FAMILIES), QUALIFIERS, TYPES, 0
    if draw(st.booleans()):  # so that versions and markers meet
        rows, qualifiers, types, least = ROWS[:2], QUALIFIERS[:2], DENSE_TYPES, 20
        families = draw(st.sampled_from([[b"g"], [b"k"], [b"f", b"g"], [b"g", b"k"]]))
    changes: list[tuple[bytes, Change]] = []
    for _ in range(draw(st.integers(least, 40))):
        key_type = draw(st.sampled_from(types))
        qualifier = b"" if key_type in OF_FAMILY else draw(st.sampled_from(qualifiers))
        value = draw(st.sampled_from(VALUES)) + padding if key_type == KeyType.PUT else b""
        change = Change(draw(st.sampled_from(families)), qualifier, draw(st.sampled_from(TIMES)), key_type, value)
        changes.append((draw(st.sampled_from(rows)), change))
    return region_of(changes)


@dataclass(frozen=True)
class Asked:
    """A scan."""

    filter: Filter_pb2.Filter
    rows: ScanRange
    wanted: dict[bytes, Wanted]
    on_demand: bool


@st.composite
def scans(draw: st.DrawFn) -> Asked:
    reverse = draw(st.booleans())
    ends = sorted([draw(st.sampled_from([b"", *ROWS])), draw(st.sampled_from([*ROWS, b"\xff"]))], reverse=reverse)
    if draw(st.booleans()):
        ends = [b"", b""]
    rows = ScanRange(*ends, include_start=draw(st.booleans()), include_stop=draw(st.booleans()), reverse=reverse)
    raw = draw(st.integers(0, 5)) == 0
    wanted = {
        family: Wanted(
            None if raw else draw(st.none() | st.lists(st.sampled_from(QUALIFIERS), min_size=1).map(_sorted)),
            draw(st.sampled_from([1, 1, 2, 9])),
            draw(st.sampled_from([0, 0, 0, 2])),
            raw=raw,
            cells_max=draw(st.sampled_from([1 << 62, 1 << 62, 1, 2])),
            cells_skipped=draw(st.sampled_from([0, 0, 1])),
        )
        for family in draw(st.lists(st.sampled_from(sorted(FAMILIES)), min_size=1, unique=True))
    }
    return Asked(draw(DRAWN.filters()), rows, wanted, not reverse and draw(st.booleans()))


def _sorted(columns: list[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted(set(columns)))


def expected_of(region: Region, asked: Asked, batch: int) -> list[list[bytes]]:
    rows = sorted([row for row in ROWS if _in_range(asked.rows, row)], reverse=asked.rows.reverse)
    reads = {family: family_read(FAMILIES[family], wanted) for family, wanted in asked.wanted.items()}
    cells: dict[bytes, list[SeenCell]] = {family: [] for family in reads}
    for row in rows:
        for family, read in reads.items():
            key = family_key(region.row_key(row), family)
            first = region.store.get(key)
            if first is not None:
                entries = visible(read_cells(region.store, key, first), read.rules, read.wanted, NOW_MS)
                found = [SeenCell(row, family, each[0], -each[1], -each[2], each[3]) for each in entries]
                cells[family] += found or [unseen(row, family)]
    filter_ = made(asked.filter)
    if asked.rows.reverse:
        filter_.set_reversed()
    scan = ModelScan(cells, reads, filter_, reverse=asked.rows.reverse, on_demand=asked.on_demand, batch=batch)
    return [[cell.data for cell in result] for result in scan.results()]


def _in_range(rows: ScanRange, row: bytes) -> bool:
    low, low_inside, high, high_inside = rows.start_row, rows.include_start, rows.stop_row, rows.include_stop
    if rows.reverse:
        low, low_inside, high, high_inside = high, high_inside, low, low_inside
    return (not low or row > low or (row == low and low_inside)) and (
        not high or row < high or (row == high and high_inside)
    )


def found_of(
    region: Region, asked: Asked, batch: int = 0, limits: PageLimits | None = None
) -> tuple[list[list[bytes]], list[Page]]:
    """Results, and the pages that they came in."""
    scan = open_filtered_scan(
        region,
        asked.rows,
        ScanShape(asked.wanted, batch),
        made(asked.filter),
        NOW_MS,
        region.store.snapshot(),
        on_demand=asked.on_demand,
    )
    pages: list[Page] = []
    try:
        while not pages or pages[-1].more_in_region:
            pages.append(scan.page(limits or PageLimits()))
            assert len(pages) < 10_000
    finally:
        scan.close()
    results: list[list[bytes]] = []
    for page in pages:
        cells = iter([encode_cell(cell) for cell in decode_cells(b"".join(page.blocks))])
        results += [[next(cells) for _ in range(count)] for count in page.counts]
        assert next(cells, None) is None
    return results, pages


many = settings(max_examples=examples(20), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def fails(asked: Asked) -> bool:
    """Ranges of rows within a SkipFilter do, as with HBase."""
    stored = asked.filter.SerializeToString()
    return b"filter.SkipFilter" in stored and b"filter.MultiRowRangeFilter" in stored


def assume_no_error(asked: Asked) -> None:
    assume(not fails(asked))


def test_a_filter_hears_of_rows_of_which_nothing_is_seen():
    changes = [(row, Change(b"f", b"q", 1, KeyType.PUT, b"1")) for row in (b"a", b"b", b"c")]
    region = region_of([*changes, (b"b", Change(b"f", b"", 1, KeyType.DELETE_FAMILY))])
    not_b = f.envelope(Filter_pb2.RowFilter(compare_filter=f.compared(HBase_pb2.NOT_EQUAL, f.binary(b"b"))))
    wanted = {b"f": Wanted()}
    for filter_, rows in ((not_b, [b"a", b"c"]), (f.envelope(Filter_pb2.WhileMatchFilter(filter=not_b)), [b"a"])):
        asked = Asked(filter_, ScanRange(), wanted, on_demand=False)
        found, _ = found_of(region, asked)
        assert found == expected_of(region, asked, 0)
        assert [decoded.row for [cell] in found for decoded in decode_cells(cell, with_tags=True)] == rows


@many
@given(regions(), st.lists(scans(), min_size=1, max_size=12), st.sampled_from([0, 0, 1, 2]))
def test_as_hbase_goes_on_cell_by_cell(region: Region, some: list[Asked], batch: int):
    for asked in some:
        if fails(asked):
            continue
        of_one = 0 if made(asked.filter).has_filter_row else batch  # else refused
        expected = expected_of(region, asked, of_one)
        event(f"results: {min(len(expected), 3)}")
        assert found_of(region, asked, of_one)[0] == expected


@many
@given(regions(), scans(), st.integers(1, 3), st.booleans(), st.lists(st.booleans(), min_size=1, max_size=6))
def test_page_by_page_it_is_the_same(region: Region, asked: Asked, count: int, lates: bool, turns: list[bool]):
    assume_no_error(asked)
    told = cycle(turns)
    late = cycle([*turns, False])
    limits = PageLimits(
        count, partial=True, is_late=(lambda: next(late)) if lates else None, is_turn_over=lambda: next(told)
    )
    whole, _ = found_of(region, asked)
    assert found_of(region, asked, limits=limits)[0] == whole


@many
@given(regions(), scans(), st.sampled_from([1, 60, 200, 6000]))
def test_parts_of_rows_make_up_the_rows(region: Region, asked: Asked, bytes_max: int):
    assume_no_error(asked)
    filter_ = made(asked.filter)
    if filter_.outlives_row or filter_.may_end:  # where such a scan ends depends on its parts, also with HBase
        return
    whole, _ = found_of(region, asked)
    parts, pages = found_of(region, asked, limits=PageLimits(bytes_max=bytes_max, partial=True))
    if filter_.has_filter_row:
        assert parts == whole
        assert not any(flag for page in pages for flag in page.partial)
    elif all(len({(cell.row, cell.family) for cell in decode_cells(b"".join(each))}) == 1 for each in whole):
        assert [cell for part in parts for cell in part] == [cell for result in whole for cell in result]


@many
@given(regions(), scans(), st.sampled_from(ROWS))
def test_a_get_is_a_scan_of_one_row(region: Region, asked: Asked, row: bytes):
    assume_no_error(asked)
    one = Asked(asked.filter, ScanRange(row, row, include_stop=True), asked.wanted, on_demand=True)
    expected = expected_of(region, one, 0)
    found = filtered_get(region, row, asked.wanted, made(asked.filter), NOW_MS)
    assert [encode_cell(cell) for cell in decode_cells(found.block)] == (expected[0] if expected else [])
    assert found.cells_count == sum(map(len, expected))
    newest = dict.fromkeys(FAMILIES, Wanted())
    condition = filter_condition(row, lambda: parse_filter(asked.filter, lambda: 0.5), 0, 1 << 62)
    # A condition reads all families with the first.
    [block] = expected_of(region, Asked(asked.filter, one.rows, newest, on_demand=False), 0) or [[]]
    for _ in range(2):
        checked = region.check(condition, NOW_MS)
        assert checked.matches == bool(block)
        first = next(decode_cells(b"".join(block)), None)
        assert checked.timestamp_ms == (first.timestamp_ms if first else 0)


# --- what such tests do not tell --------------------------------------------------------------------------------------


def put(row: bytes, *qualifiers: bytes, value: bytes = b"v", family: bytes = b"f") -> list[tuple[bytes, Change]]:
    return [(row, Change(family, each, 1, KeyType.PUT, value)) for each in qualifiers]


@pytest.mark.parametrize(
    ("asked", "columns", "expected"),
    [
        (Filter_pb2.ColumnCountGetFilter(limit=2), None, [(b"", 2), (b"", 1)]),
        (Filter_pb2.ColumnPaginationFilter(limit=1, offset=1), None, [(b"", 1)]),
        (Filter_pb2.ColumnPaginationFilter(limit=1, offset=2), None, [(b"p", 2)]),
        (Filter_pb2.ColumnPaginationFilter(limit=1, offset=3), None, []),
        (Filter_pb2.ColumnPaginationFilter(limit=1, offset=1), (b"", b"p"), [(b"p", 2)]),
    ],
)
def test_what_counts_columns_counts_versions_of_the_one_without_a_name(
    asked: Message, columns: tuple[bytes, ...] | None, expected: list[tuple[bytes, int]]
):
    """Histories beside HBase found it: a row's first column is left only where columns are named (HBASE-18471)."""
    puts = [(b"a", Change(b"g", name, each, KeyType.PUT, b"v")) for name in (b"", b"p") for each in (2, 1)]
    asked_for = Asked(f.envelope(asked), ScanRange(), {b"g": Wanted(columns, 9)}, on_demand=False)
    [told] = found_of(region_of(puts), asked_for)[0] or [[]]
    cells = [cell for each in told for cell in decode_cells(each, with_tags=True)]
    assert [(cell.qualifier, cell.timestamp_ms) for cell in cells] == expected


def test_where_the_order_of_writing_counts_a_named_column_is_not_left_either():
    rules = FamilyRules(3, new_versions=True)
    region = Region(RegionRange("t", "t,,1.aa."), {b"n": rules}, MemoryStore(), b"prefix00")
    for timestamp_ms in (1, 2):
        put_one = Mutation(MutationKind.PUT, b"a", [Change(b"n", b"p", timestamp_ms, KeyType.PUT, b"v")])
        region.mutate([put_one], Durability.PROCESS, lambda _: None, NOW_MS)
    second = f.envelope(Filter_pb2.ColumnPaginationFilter(limit=1, offset=1))
    for columns, count in ((None, 0), ((b"p",), 1)):
        asked = Asked(second, ScanRange(), {b"n": Wanted(columns, 9)}, on_demand=False)
        assert len(found_of(region, asked)[0]) == count


def test_a_family_ends_where_the_filter_had_enough_though_nothing_of_it_is_seen():
    """Generated tables found it: of the row behind, the second family was still given."""
    marker = (b"a", Change(b"g", b"", 1, KeyType.DELETE_FAMILY))
    changes = [*put(b"a", b"p", b"q"), marker, *put(b"b", b"r", family=b"g")]
    one = f.envelope(Filter_pb2.ColumnCountGetFilter(limit=1))
    asked = Asked(one, ScanRange(), {b"f": Wanted(), b"g": Wanted()}, on_demand=False)
    found, _ = found_of(region_of(changes), asked)
    assert found == expected_of(region_of(changes), asked, 0)
    assert [[cell.qualifier for cell in decode_cells(b"".join(each), with_tags=True)] for each in found] == [[b"p"]]


def test_a_row_of_which_parts_were_given_counts_where_nothing_more_of_it_passes():
    """Histories beside HBase found it: with a limit of one row a batch of the next row was given, too."""
    region = region_of([*put(b"a", b"p", b"q", b"r"), *put(b"b", b"p", b"q")])
    first = made(f.envelope(Filter_pb2.FirstKeyValueMatchingQualifiersFilter(qualifiers=[b"p"])))
    scan = open_filtered_scan(region, ScanRange(), ScanShape({b"f": Wanted()}, 1), first, NOW_MS)
    limits = PageLimits(results_max=1, rows_max=1)
    assert [cell.row for cell in decode_cells(b"".join(scan.page(limits).blocks))] == [b"a"]
    behind = scan.page(limits)
    assert (behind.counts, behind.rows_done) == ([], 1)
    scan.close()


class Counting(MemoryStore):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_count = 0

    def snapshot(self) -> MemorySnapshot:
        return _CountingMoment(super().snapshot(), self)  # type: ignore[return-value]


class _CountingMoment:
    def __init__(self, moment: MemorySnapshot, store: Counting) -> None:
        self._moment, self._store = moment, store
        self.get, self.close = moment.get, moment.close

    def scan(self, lower: bytes, upper: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        for record in self._moment.scan(lower, upper, reverse=reverse):
            self._store.read_count += 1
            yield record

    def pairs(self, lower: bytes, upper: bytes, count_max: int) -> list[tuple[bytes, bytes]]:
        pairs = self._moment.pairs(lower, upper, count_max)
        self._store.read_count += len(pairs)
        return pairs

    def values(self, lower: bytes, upper: bytes, count_max: int, behind: bytes | None = None) -> list[bytes]:
        values = self._moment.values(lower, upper, count_max, behind)
        self._store.read_count += len(values)
        return values


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("asked", "rows_count"),
    [
        (f.envelope(Filter_pb2.PrefixFilter(prefix=b"0500")), 1),
        (
            f.envelope(
                Filter_pb2.MultiRowRangeFilter(
                    row_range_list=[
                        Filter_pb2.RowRange(start_row=each, start_row_inclusive=True, stop_row=each + b"9")
                        for each in (b"0100", b"0900")
                    ]
                )
            ),
            2,
        ),
        (
            f.listed(
                f.envelope(Filter_pb2.KeyOnlyFilter(len_as_val=False)),
                f.envelope(Filter_pb2.PrefixFilter(prefix=b"0500")),
            ),
            1,
        ),
    ],
)
def test_rows_that_are_jumped_over_are_not_read(reverse: bool, asked: Filter_pb2.Filter, rows_count: int):
    store = Counting()
    region = Region(RegionRange("t", "t,,1.aa."), {b"f": FamilyRules()}, store, b"prefix00")
    puts = [
        Mutation(MutationKind.PUT, b"%04d" % each, [Change(b"f", b"q", 1, KeyType.PUT, b"v")]) for each in range(1000)
    ]
    for each in puts:
        region.mutate([each], Durability.PROCESS, lambda _: None, NOW_MS)
    scan = Asked(asked, ScanRange(reverse=reverse), {b"f": Wanted()}, on_demand=True)
    results, _ = found_of(region, scan)
    assert len(results) == rows_count
    assert store.read_count < 100, "1000 rows are there"


def test_rows_before_a_jump_count_for_a_page():
    """Those of a piece that ended with a jump did not, so that a page behind ranges had more rows than it asked for."""
    region = region_of([])
    for each in range(100):
        put = Mutation(MutationKind.PUT, b"%04d" % each, [Change(b"f", b"q", 1, KeyType.PUT, b"v")])
        region.mutate([put], Durability.PROCESS, lambda _: None, NOW_MS)
    ranges = [
        Filter_pb2.RowRange(start_row=b"%04d" % at, start_row_inclusive=True, stop_row=b"%04d" % (at + 5))
        for at in range(0, 100, 20)
    ]
    asked = f.listed(
        f.envelope(Filter_pb2.MultiRowRangeFilter(row_range_list=ranges)),
        f.envelope(Filter_pb2.PageFilter(page_size=12)),
    )
    results, _ = found_of(region, Asked(asked, ScanRange(), {b"f": Wanted()}, on_demand=True))
    assert len(results) == 12


def test_columns_that_are_jumped_over_are_not_read():
    store = Counting()
    region = Region(RegionRange("t", "t,,1.aa."), {b"f": FamilyRules()}, store, b"prefix00")
    changes = [Change(b"f", b"%06d" % each, 1, KeyType.PUT, b"x" * 100) for each in range(10_000)]
    region.mutate([Mutation(MutationKind.PUT, b"r", changes)], Durability.PROCESS, lambda _: None, NOW_MS)
    asked = f.envelope(Filter_pb2.ColumnPrefixFilter(prefix=b"0050"))
    results, _ = found_of(region, Asked(asked, ScanRange(), {b"f": Wanted()}, on_demand=True))
    assert len(results[0]) == 100
    assert store.read_count < 50, "some two hundred chunks are there"


def test_a_row_larger_than_an_answer_comes_in_parts_and_is_bounded_otherwise():
    region = region_of([], TableRules(row_bytes_max=50_000))
    changes = [Change(b"f", b"%04d" % each, 1, KeyType.PUT, b"x" * 1000) for each in range(200)]
    region.mutate([Mutation(MutationKind.PUT, b"r", changes)], Durability.PROCESS, lambda _: None, NOW_MS)
    some = f.envelope(Filter_pb2.QualifierFilter(compare_filter=f.compared(f.EQUAL, f.regex("[02468]$"))))
    asked = Asked(some, ScanRange(), {b"f": Wanted()}, on_demand=True)
    parts, pages = found_of(region, asked, limits=PageLimits(bytes_max=10_000, partial=True))
    assert [len(part) for part in parts] == [10] * 10
    assert [flag for page in pages for flag in page.partial] == [True] * 10
    with pytest.raises(RowTooBigException):
        found_of(region, asked)
    whole = f.listed(some, f.envelope(Filter_pb2.PageFilter(page_size=1)))
    with pytest.raises(RowTooBigException):
        found_of(region, Asked(whole, ScanRange(), {b"f": Wanted()}, on_demand=True), limits=PageLimits(partial=True))


def test_while_nothing_passes_the_client_hears_how_far_it_is():
    region = region_of([change for each in range(100) for change in put(b"%03d" % each, b"q")])
    nothing = f.envelope(Filter_pb2.ValueFilter(compare_filter=f.compared(f.EQUAL, f.binary(b"other"))))
    for asked, looks, last_rows in ((f.listed(nothing, one=True), 10, [9, 19, 29]), (nothing, 2, [23, 99])):
        ticks = cycle([False] * (looks - 1) + [True])
        limits = PageLimits(partial=True, is_late=lambda: next(ticks))  # noqa: B023
        _, pages = found_of(region, Asked(asked, ScanRange(), {b"f": Wanted()}, on_demand=True), limits=limits)
        assert [page.last_row for page in pages[:3]][: len(last_rows)] == [b"%03d" % each for each in last_rows]
        assert all(page.stopped_late for page in pages[:-1])
        assert (sum(page.rows_empty for page in pages), sum(page.rows_read for page in pages)) == (100, 100)


def test_within_a_row_others_have_their_turns():
    region = region_of([], TableRules())
    changes = [Change(b"f", b"%05d" % each, 1, KeyType.PUT, b"v") for each in range(5000)]
    region.mutate([Mutation(MutationKind.PUT, b"r", changes)], Durability.PROCESS, lambda _: None, NOW_MS)
    skip = f.envelope(Filter_pb2.SkipFilter(filter=f.envelope(Filter_pb2.PageFilter(page_size=9))))
    asked = Asked(skip, ScanRange(), {b"f": Wanted()}, on_demand=True)
    results, pages = found_of(region, asked, limits=PageLimits(is_turn_over=lambda: True))
    assert [len(result) for result in results] == [5000]
    assert len(pages) > 10


def test_pages_end_scans_and_errors_of_filters_are_hbases():
    region = region_of([change for row in ROWS for change in put(row, b"q")])
    page = f.envelope(Filter_pb2.PageFilter(page_size=2))
    results, pages = found_of(region, Asked(page, ScanRange(), {b"f": Wanted()}, on_demand=True))
    assert (len(results), pages[-1].more_in_region, len(pages)) == (2, False, 1)
    long = f.envelope(Filter_pb2.ValueFilter(compare_filter=f.compared(f.EQUAL, f.long(1))))
    with pytest.raises(IOException, match="Wrong length: 1, expected 8"):
        found_of(region, Asked(long, ScanRange(), {b"f": Wanted()}, on_demand=True))
    by_family = f.envelope(
        Filter_pb2.ColumnValueFilter(family=b"f", compare_op="EQUAL", qualifier=b"", comparator=f.null())
    )
    downwards = Asked(by_family, ScanRange(reverse=True), {b"f": Wanted(), b"g": Wanted()}, on_demand=True)
    with pytest.raises(DoNotRetryIOException, match="Reverse scan with loading CFs on demand is not supported"):
        found_of(region, downwards)
    with pytest.raises(NoSuchColumnFamilyException):
        filtered_get(region, b"a", {b"x": Wanted()}, made(page), NOW_MS)
    region = Region(RegionRange("t", "t,b,1.aa.", b"b", b"c"), FAMILIES, MemoryStore(), b"prefix00")
    with pytest.raises(WrongRegionException):
        filtered_get(region, b"a", {b"f": Wanted()}, made(page), NOW_MS)


def test_cells_that_passed_are_whole_cells():
    region = region_of(put(b"a", b"p", b"q"))
    asked = Asked(f.envelope(Filter_pb2.KeyOnlyFilter(len_as_val=True)), ScanRange(), {b"f": Wanted()}, on_demand=True)
    [[one, _]], _ = found_of(region, asked)
    assert next(decode_cells(one)) == Cell(b"a", b"f", b"p", 1, KeyType.PUT, b"\0\0\0\1")


def test_a_condition_reads_all_families_with_the_first():
    """A real server sets no families aside there, so that a row without the judged one is not empty."""
    region = region_of(put(b"row", b"q", family=b"g"))
    judged = f.envelope(f.single_column(b"f", b"q", f.LESS, f.binary(b""), missing=True))
    asked = f.envelope(Filter_pb2.SkipFilter(filter=f.envelope(Filter_pb2.SkipFilter(filter=judged))))
    condition = filter_condition(b"row", lambda: parse_filter(asked, lambda: 0.5), 0, 1 << 62)
    assert region.check(condition, NOW_MS).matches
    assert not filtered_get(region, b"row", dict.fromkeys(FAMILIES, Wanted()), made(asked), NOW_MS).cells_count
