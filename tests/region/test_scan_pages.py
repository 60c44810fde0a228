"""Scans of a region, page by page, against all its rows at once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch, Durability, Snapshot
from regionserver.region.family import write_cells
from regionserver.region.keys import RowOrder, family_key, meta_order, plain_order
from regionserver.region.record import read_entries
from regionserver.region.region import RegionRange
from regionserver.region.scan import (
    CELL_OVERHEAD_BYTES,
    Page,
    PageLimits,
    RegionScan,
    ScanRange,
    ScanShape,
    key_range,
)
from regionserver.region.visible import FOR_EVER_MS, NO_LIMIT, FamilyRules, Wanted
from registry.wire.cellblock import Cell, KeyType, Tag, TagType, decode_cells, encode_cell, encode_tags
from tests.region.test_visible import NOW_MS, defined
from tests.support.seeds import examples

PREFIX = b"prefix00"
FAMILIES = {b"a": FamilyRules(versions_max=3), b"b": FamilyRules()}
Key = tuple[bytes, bytes, bytes, int, int]


@dataclass
class Filled:
    """A store with rows of one table, and of its neighbours, which must never be seen."""

    store: MemoryStore = field(default_factory=MemoryStore)
    cells: dict[Key, Cell] = field(default_factory=dict[Key, Cell])
    order: RowOrder = plain_order
    where: RegionRange = field(default_factory=lambda: RegionRange("t", "t,,1.aa."))

    def __post_init__(self) -> None:
        for neighbour in (b"prefix/\xff", b"prefix01"):
            self._write(neighbour, [Cell(b"r", b"a", b"q", 1, KeyType.PUT, b"of another table")])

    def put(self, cells: Sequence[Cell]) -> Filled:
        for each in cells:
            self.cells[each.row, each.family, each.qualifier, each.timestamp_ms, each.key_type] = each
        self._write(PREFIX, cells)
        return self

    def _write(self, prefix: bytes, cells: Sequence[Cell]) -> None:
        for row, family in {(each.row, each.family) for each in cells}:
            own = b"".join(
                encode_cell(each, with_tags=True) for each in cells if (each.row, each.family) == (row, family)
            )
            batch = Batch()
            write_cells(self.store, batch, family_key(prefix + self.order(row), family), read_entries(own))
            self.store.commit(batch, Durability.PROCESS, lambda error: None)

    def scan(
        self, rows: ScanRange | None = None, shape: ScanShape | None = None, moment: Snapshot | None = None
    ) -> RegionScan:
        rows = rows or ScanRange()
        return RegionScan(
            moment or self.store.snapshot(),
            key_range(rows, self.where, PREFIX, self.order),
            len(PREFIX),
            FAMILIES,
            shape or every(),
            NOW_MS,
            reverse=rows.reverse,
        )

    def expected(self, rows: ScanRange, shape: ScanShape) -> list[list[Cell]]:
        found: list[list[Cell]] = []
        for row in sorted({each.row for each in self.cells.values()}, key=self.order, reverse=rows.reverse):
            if not self.where.holds(row, self.order) or not _within(row, rows, self.order):
                continue
            cells: list[Cell] = []
            for family, wanted in sorted(shape.wanted.items()):
                own = [each for key, each in self.cells.items() if key[:2] == (row, family)]
                seen = defined(own, FAMILIES[family], wanted)
                cells += seen[wanted.cells_skipped :][: wanted.cells_max]
            if cells:
                found.append(cells)
        return found


def _within(row: bytes, rows: ScanRange, order: RowOrder) -> bool:
    ends = [(rows.start_row, rows.include_start), (rows.stop_row, rows.include_stop)]
    (low, with_low), (high, with_high) = ends[::-1] if rows.reverse else ends
    place = order(row)
    behind = not low or place > order(low) or (row == low and with_low)
    before = not high or place < order(high) or (row == high and with_high)
    return behind and before


def every(batch: int = 0, cells_skipped: int = 0, cells_max: int = NO_LIMIT) -> ScanShape:
    wanted = Wanted(None, 9, cells_max=cells_max, cells_skipped=cells_skipped)
    return ScanShape(dict.fromkeys(FAMILIES, wanted), batch)


def cell(row: str, qualifier: str = "q", value: bytes = b"", family: bytes = b"a", timestamp_ms: int = 50) -> Cell:
    return Cell(row.encode(), family, qualifier.encode(), timestamp_ms, KeyType.PUT, value)


def results(page: Page) -> list[list[Cell]]:
    cells = decode_cells(b"".join(page.blocks), with_tags=True)
    found = [[next(cells) for _ in range(count)] for count in page.counts]
    assert next(cells, None) is None
    assert len(page.partial) == len(page.counts)
    return found


def rows_of(scan: RegionScan, limits: PageLimits | None = None) -> list[str]:
    """Rows of all pages, a page in a word: `a,b c`."""
    pages: list[str] = []
    while True:
        page = scan.page(limits or PageLimits())
        pages.append(",".join(result[0].row.decode() for result in results(page)))
        if not page.more_in_region:
            return [word for word in pages if word]


def abc() -> Filled:
    return Filled().put([cell(row) for row in "abcde"])


def test_all_rows_in_one_page():
    page = abc().scan().page(PageLimits())
    assert [result[0].row for result in results(page)] == [b"a", b"b", b"c", b"d", b"e"]
    assert (page.more_in_region, page.partial, page.rows_done) == (False, [False] * 5, 5)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (ScanRange(b"b", b"d"), "b,c"),
        (ScanRange(b"b", b"d", False, True), "c,d"),
        (ScanRange(b"bb", b"dd"), "c,d"),
        (ScanRange(b"c", b"c", True, True), "c"),
        (ScanRange(b"c", b"c"), ""),
        (ScanRange(b"d", b"b"), ""),
        (ScanRange(reverse=True), "e,d,c,b,a"),
        (ScanRange(b"d", b"b", reverse=True), "d,c"),
        (ScanRange(b"d", b"b", False, True, reverse=True), "c,b"),
        (ScanRange(b"cc", reverse=True), "c,b,a"),
    ],
)
def test_ranges(rows: ScanRange, expected: str):
    assert ",".join(rows_of(abc().scan(rows))) == expected


def test_a_region_has_its_rows_and_no_others():
    filled = abc()
    filled.where = RegionRange("t", "t,b,1.aa.", b"b", b"d")
    assert rows_of(filled.scan()) == ["b,c"]
    assert rows_of(filled.scan(ScanRange(b"a", b"zzz"))) == ["b,c"]
    assert rows_of(filled.scan(ScanRange(b"zzz", reverse=True))) == ["c,b"]


def test_results_and_rows_are_counted():
    filled = Filled().put([cell(row, qualifier) for row in "abc" for qualifier in "pqr"])
    assert rows_of(filled.scan(), PageLimits(results_max=2)) == ["a,b", "c"]
    batches = filled.scan(shape=every(batch=2))
    page = batches.page(PageLimits(rows_max=2))
    assert (page.counts, page.partial) == ([2, 1, 2, 1], [True, False, True, False])
    page = batches.page(PageLimits(results_max=1))
    assert (page.counts, page.partial, page.more_in_region) == ([2], [True], True)
    page = batches.page(PageLimits())
    assert (page.counts, page.partial, page.more_in_region) == ([1], [False], False)


def test_the_end_is_known_with_the_last_row():
    """A real server looks ahead: two rows asked for, two rows there, and the client need not ask again."""
    assert not abc().scan(ScanRange(b"", b"c")).page(PageLimits(results_max=2)).more_in_region
    scan = abc().scan()
    assert scan.page(PageLimits(rows_max=4)).more_in_region
    last = scan.page(PageLimits(rows_max=1))
    assert (page_rows(last), last.more_in_region, last.rows_read) == (["e"], False, 1)


def test_a_row_that_ends_with_its_batch_is_whole():
    filled = Filled().put([cell("a", qualifier) for qualifier in "pqrs"])
    page = filled.scan(shape=every(batch=2)).page(PageLimits())
    assert (page.counts, page.partial) == ([2, 2], [True, False])


def test_bytes_end_a_page_behind_the_row_or_within_it():
    filled = Filled().put([cell(row, qualifier, bytes(1000)) for row in "abc" for qualifier in "pqr"])
    assert rows_of(filled.scan(), PageLimits(bytes_max=1)) == ["a", "b", "c"]
    assert rows_of(filled.scan(), PageLimits(bytes_max=4000)) == ["a,b", "c"]
    scan = filled.scan()
    pages = [scan.page(PageLimits(bytes_max=2000, partial=True)) for _ in range(6)]
    assert [(page.counts, page.partial) for page in pages[:3]] == [
        ([2], [True]),
        ([1, 1], [False, True]),
        ([2], [False]),
    ]


def test_a_row_of_a_million_bytes_is_taken_in_pieces():
    filled = Filled().put([cell("large", f"{number:06}", bytes(100)) for number in range(9000)])
    scan, cells, largest = filled.scan(), 0, 0
    while True:
        page = scan.page(PageLimits(bytes_max=20_000, partial=True))
        cells += sum(page.counts)
        largest = max(largest, sum(map(len, page.blocks)))
        if not page.more_in_region:
            break
    assert cells == 9000
    assert largest <= 20_000 + 200


def test_a_scan_is_one_moment():
    filled = abc()
    scan = filled.scan()
    assert page_rows(scan.page(PageLimits(results_max=1))) == ["a"]
    filled.put([cell("aa"), cell("f"), cell("c", value=b"changed", timestamp_ms=60)])
    page = scan.page(PageLimits())
    assert page_rows(page) == ["b", "c", "d", "e"]
    assert results(page)[1][0].value == b""


def page_rows(page: Page) -> list[str]:
    return [result[0].row.decode() for result in results(page)]


def test_rows_without_a_visible_cell_are_read_and_not_told():
    filled = abc().put([Cell(row, b"a", b"", 99, KeyType.DELETE_FAMILY, b"") for row in (b"a", b"b", b"e")])
    page = filled.scan().page(PageLimits())
    assert page_rows(page) == ["c", "d"]
    assert (page.rows_read, page.rows_done, page.last_row) == (5, 2, b"e")


def test_time_ends_a_page():
    """Even where nothing was found: the client hears a heartbeat, with the row that was read last."""
    filled = abc().put([Cell(row.encode(), b"a", b"", 99, KeyType.DELETE_FAMILY, b"") for row in "abcde"])
    scan = filled.scan()
    asked = iter([False, False, True])
    page = scan.page(PageLimits(is_late=lambda: next(asked)))
    assert (page.counts, page.stopped_late, page.more_in_region) == ([], True, True)
    assert page.last_row == b"c"
    page = scan.page(PageLimits())
    assert (page.rows_read, page.more_in_region) == (2, False)


def test_what_is_limited_within_a_family():
    filled = Filled().put([cell("a", qualifier, family=family) for family in (b"a", b"b") for qualifier in "pqrs"])
    shape = every(cells_skipped=1, cells_max=2)
    [result] = results(filled.scan(shape=shape).page(PageLimits()))
    assert [each.family + each.qualifier for each in result] == [b"aq", b"ar", b"bq", b"br"]


@pytest.mark.parametrize(("rules", "expired"), [(FamilyRules(), 0), (FamilyRules(ttl_ms=NOW_MS - 60), 1)])
def test_expired_rows_and_times_that_are_not_asked_for(rules: FamilyRules, expired: int):
    """A row of one block is told whole only where all of its cells are seen."""
    filled = Filled().put([cell(row, timestamp_ms=time) for row, time in (("a", 50), ("b", 90), ("c", 99))])
    keys = key_range(ScanRange(), filled.where, PREFIX, filled.order)
    for wanted, expected in ((Wanted(), "abc"), (Wanted(to_ms=99), "ab"), (Wanted(from_ms=91), "-c")):
        shape = ScanShape({b"a": wanted})
        scan = RegionScan(filled.store.snapshot(), keys, len(PREFIX), {b"a": rules}, shape, NOW_MS)
        assert page_rows(scan.page(PageLimits())) == [*expected[expired:].strip("-")]


def test_tags_are_told():
    """For clients that know none they have to be cut off; nobody looks for them where there are none."""
    tags = encode_tags([Tag(TagType.VISIBILITY, b"v")])
    assert not abc().scan().page(PageLimits()).tagged
    page = abc().put([cell("d")._replace(tags=tags)]).scan().page(PageLimits())
    assert page.tagged
    assert [each.tags for result in results(page) for each in result] == [b"", b"", b"", tags, b""]


@pytest.mark.parametrize("seed", range(5))
def test_rows_that_are_taken_as_they_lie_and_others_between_them(seed: int):
    """Every page ends where it ends when rows are found one by one, and tells the same."""
    chance = random.Random(seed)
    kinds = ["plain"] * 6 + ["versions", "marker", "gone", "chunks", "two families", "other family"]
    for _ in range(25):
        filled = Filled()
        for number in range(chance.choice([0, 1, 5, 40, 100])):
            row = f"r{number:03}"
            filled.put([cell(row, qualifier, bytes(chance.choice([0, 50, 3000]))) for qualifier in "pq"])
            match chance.choice(kinds):
                case "versions":
                    filled.put([cell(row, "p", timestamp_ms=70)])
                case "marker":
                    filled.put([Cell(row.encode(), b"a", b"p", 99, KeyType.DELETE_COLUMN, b"")])
                case "gone":
                    filled.put([Cell(row.encode(), b"a", b"", 99, KeyType.DELETE_FAMILY, b"")])
                case "chunks":
                    filled.put([cell(row, qualifier, bytes(9000)) for qualifier in "rst"])
                case "two families":
                    filled.put([cell(row, family=b"b")])
                case "other family":
                    filled.put([cell(row + "b", family=b"b")])
                case _:
                    pass
        shape = ScanShape({b"a": Wanted(None, chance.choice([1, 3]), to_ms=chance.choice([FOR_EVER_MS, 60]))})
        quick, slow = filled.scan(shape=shape), filled.scan(shape=shape)
        slow._rows._only = None  # pyright: ignore[reportPrivateUsage]
        told: list[list[Cell]] = []
        while True:
            limits = PageLimits(
                chance.choice([NO_LIMIT, 1, 3, 40]),
                chance.choice([NO_LIMIT, 2, 35]),
                chance.choice([NO_LIMIT, 1, 400, 5000, 70_000]),
                partial=chance.random() < 0.5,
            )
            page = quick.page(limits)
            assert page == replace(slow.page(limits), blocks=page.blocks)
            told += results(page)
            if not page.more_in_region:
                break
        whole = [cell for row in filled.expected(ScanRange(), shape) for cell in row]
        assert [cell for result in told for cell in result] == whole


def test_closed_in_the_middle():
    filled = abc()
    scan = filled.scan()
    scan.page(PageLimits(results_max=1))
    scan.close()
    filled.store.commit(Batch([], [(b"", b"\xff" * 9)]), Durability.PROCESS, lambda error: None)
    assert filled.store.size_bytes(b"", b"\xff" * 9) == 0, "nothing keeps the moment"


# --- against the model ------------------------------------------------------------------------------------------------

some_rows = st.sampled_from([b"a", b"a\x00", b"a\x00\x01", b"ab", b"b", b"\x00", b"\xff\xff"])
meta_rows = st.sampled_from([b"t", b"t,,1.aa.", b"t,+,1.bb.", b"t,b,c,2.cc.", b"t1,,1.dd.", b"t1"])
kinds = st.sampled_from([KeyType.PUT] * 5 + [KeyType.DELETE, KeyType.DELETE_COLUMN])


def cells_in(rows: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[Cell]]:
    return st.lists(
        st.builds(
            Cell, rows, st.sampled_from([b"a", b"b"]), st.sampled_from([b"p", b"q", b"r"]), st.integers(95, 100), kinds,
            st.sampled_from([b"", bytes(300), bytes(9000)]), st.just(b""),
        ),
        max_size=30,
    )  # fmt: skip


@pytest.mark.parametrize("order", [plain_order, meta_order])
@given(data=st.data(), seed=st.integers(0, 2**32))
@settings(max_examples=examples(60), deadline=None)
def test_pages_are_the_rows(order: RowOrder, data: st.DataObject, seed: int):
    rows = some_rows if order is plain_order else meta_rows
    filled = Filled(order=order).put(data.draw(cells_in(rows)))
    ends = st.just(b"") | rows
    start, end = sorted((data.draw(ends), data.draw(ends)), key=order)
    filled.where = RegionRange("t", "name", start, end if order(end) > order(start) else b"")
    chance = random.Random(seed)
    scanned = ScanRange(
        data.draw(ends), data.draw(ends), chance.random() < 0.7, chance.random() < 0.4, chance.random() < 0.5
    )
    cells_max, cells_skipped = chance.choice([NO_LIMIT, NO_LIMIT, 1, 2]), chance.choice([0, 0, 0, 1])
    wanted = {
        family: Wanted(None, chance.randint(1, 4), cells_max=cells_max, cells_skipped=cells_skipped)
        for family in chance.sample([b"a", b"b"], chance.randint(1, 2))
    }
    shape = ScanShape(wanted, chance.choice([0, 0, 1, 2]))
    scan, joined, whole = filled.scan(scanned, shape), list[list[Cell]](), True
    for _ in range(500):
        limits = PageLimits(
            chance.choice([NO_LIMIT, 1, 3]),
            chance.choice([NO_LIMIT, NO_LIMIT, 2]),
            chance.choice([NO_LIMIT, 1, 400, 5000]),
            partial=chance.random() < 0.5,
            is_late=chance.choice([None, lambda: chance.random() < 0.2]),
        )
        page = scan.page(limits)
        check_page(page, limits, shape)
        for result, partial in zip(results(page), page.partial, strict=True):
            assert len({each.row for each in result}) == 1
            if whole:
                joined.append([])
            joined[-1] += result
            whole = not partial
        if not page.more_in_region:
            break
    else:
        raise AssertionError("a scan without end")
    assert whole
    assert joined == filled.expected(scanned, shape)


def check_page(page: Page, limits: PageLimits, shape: ScanShape) -> None:
    assert len(page.counts) <= limits.results_max
    assert page.rows_done <= limits.rows_max
    assert all(page.counts)
    if shape.batch:
        assert max(page.counts, default=0) <= shape.batch
    if not limits.partial and not shape.batch:
        assert not any(page.partial[1:]), "only the rest of a row that another page has cut"
    if not limits.partial and page.partial and page.partial[-1]:
        assert len(page.counts) == limits.results_max, "neither bytes nor time end a page within a row"
    sizes = [sum(len(encode_cell(each)) + CELL_OVERHEAD_BYTES for each in result) for result in results(page)]
    assert page.size_bytes == sum(sizes)
    if limits.partial:
        assert sum(sizes[:-1]) < limits.bytes_max
