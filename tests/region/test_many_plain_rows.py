"""Tables of many rows that are alike, with some that are not: what filters give of rows judged together is the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from protos.hbase import Filter_pb2
from regionserver.engine.memory import MemoryStore
from regionserver.engine.rocksdb import RocksMemory, RocksStore
from regionserver.engine.store import Durability
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region, RegionRange
from regionserver.region.scan import PageLimits, ScanRange, ScanShape, open_scan
from regionserver.region.visible import FOR_EVER_MS, FamilyRules, Wanted
from registry.wire.cellblock import KeyType
from tests.conftest import SEED
from tests.region.test_plain_rows import told
from tests.support import filters as f

ROWS = 300
NOW_MS = 1000
COLUMNS = [b"age", b"city", b"mail", b"n", b"name", b"note"]
Chance = random.Random


def _value(chance: Chance, column: bytes) -> bytes:
    match column:
        case b"age":
            return b"%d" % chance.randrange(5, 15)
        case b"city":
            return b"city%02d" % chance.randrange(20)
        case b"note":
            return chance.randbytes(chance.choice((0, 3, 3, 3, 40, 400)))
        case _:
            return column + b"\x00\x05row" * chance.randrange(3)


def _fill(region: Region, chance: Chance) -> None:
    def change(kind: MutationKind, row: bytes, changes: list[Change]) -> None:
        region.mutate([Mutation(kind, row, changes)], Durability.PROCESS, lambda _: None, NOW_MS)

    odd_share = chance.choice((0, 0, 0.01, 0.1))
    for number in range(ROWS):
        row = b"row%05d" % number + (b"" if chance.random() > odd_share else chance.choice((b"\0", b"longer", b"f\0")))
        ms = 500 + number % 3
        cells = [Change(b"f", each, ms, KeyType.PUT, _value(chance, each)) for each in COLUMNS]
        if chance.random() < odd_share:
            cells = chance.sample(cells, chance.randrange(1, 6))
        if chance.random() < odd_share:
            cells.append(Change(b"f", b"note", chance.choice((1, 990)), KeyType.PUT, b"of another time"))
        if chance.random() < odd_share:
            cells.append(Change(b"e", b"city", ms, KeyType.PUT, b"city01"))
        change(MutationKind.PUT, row, cells)
        if chance.random() < odd_share:
            change(MutationKind.PUT, row, [Change(b"f", b"city", ms + 5, KeyType.PUT, b"city02")])
        if chance.random() < odd_share / 2:
            change(MutationKind.DELETE, row, [Change(b"f", b"city", ms + 5, KeyType.DELETE_COLUMN, b"")])
        if chance.random() < odd_share / 4:  # in chunks
            many = [Change(b"f", b"x%03d" % each, ms, KeyType.PUT, bytes(100)) for each in range(200)]
            change(MutationKind.PUT, row, many)


def _row(chance: Chance) -> bytes:
    return b"row%05d" % chance.randrange(ROWS)


def _column_value(chance: Chance) -> Filter_pb2.Filter:
    column = chance.choice((b"age", b"city", b"mail", b"nobody"))
    asked = f.single_column(
        chance.choice((b"f", b"f", b"e")), column, chance.randrange(6), f.binary(_value(chance, column)),
        missing=chance.random() < 0.5, latest=chance.random() < 0.5,
    )  # fmt: skip
    return f.envelope(asked)


def _by(chance: Chance, *parts: bytes) -> Filter_pb2.CompareFilter:
    part = chance.choice(parts)
    match chance.randrange(5):
        case 0:
            with_ = f.binary_prefix(part)
        case 1:
            with_ = f.substring(part.decode())
        case 2:
            with_ = f.regex(part.decode())
        case _:
            with_ = f.binary(part)
    return f.compared(chance.randrange(6), with_)


def _column_range(chance: Chance) -> Filter_pb2.Filter:
    low, high = sorted((chance.choice((b"", b"city", b"n", b"name")), chance.choice((b"mail", b"name", b"z"))))
    asked = Filter_pb2.ColumnRangeFilter(min_column=low, max_column=high)
    asked.min_column_inclusive, asked.max_column_inclusive = chance.random() < 0.5, chance.random() < 0.5
    return f.envelope(asked)


def _ranges(chance: Chance) -> Filter_pb2.Filter:
    ends = sorted({_row(chance) for _ in range(2 * chance.randrange(1, 5))})
    ranges = [
        Filter_pb2.RowRange(
            start_row=start,
            start_row_inclusive=chance.random() < 0.7,
            stop_row=chance.choice((stop, stop, stop, b"")) if stop == ends[-1] else stop,
            stop_row_inclusive=chance.random() < 0.3,
        )
        for start, stop in zip(ends[::2], ends[1::2], strict=False)
    ]
    return f.envelope(Filter_pb2.MultiRowRangeFilter(row_range_list=ranges or [Filter_pb2.RowRange(start_row=b"r")]))


def _of_rows(chance: Chance) -> Filter_pb2.Filter:
    if chance.random() < 0.7:
        return _ranges(chance)
    return f.envelope(Filter_pb2.InclusiveStopFilter(stop_row_key=_row(chance)))


def _single(chance: Chance) -> Filter_pb2.Filter:
    match chance.randrange(16):
        case 0 | 1 | 2:
            return _column_value(chance)
        case 3:
            return f.envelope(
                Filter_pb2.RowFilter(compare_filter=_by(chance, _row(chance), b"row001", b"^row.*7$", b"9"))
            )
        case 4:
            return f.envelope(Filter_pb2.QualifierFilter(compare_filter=_by(chance, b"mail", b"n", b"na", b"city")))
        case 5:
            return f.envelope(Filter_pb2.ValueFilter(compare_filter=_by(chance, b"city02", b"ity1", b"7", b"mail")))
        case 6:
            return f.envelope(Filter_pb2.PrefixFilter(prefix=_row(chance)[: chance.randrange(3, 8)]))
        case 7:
            return f.envelope(Filter_pb2.PageFilter(page_size=chance.choice((1, 7, 40, 1000))))
        case 8:
            return f.envelope(Filter_pb2.ColumnPrefixFilter(prefix=chance.choice((b"n", b"na", b"c", b"x", b""))))
        case 9:
            limit, offset = chance.randrange(4), chance.randrange(4)
            return f.envelope(Filter_pb2.ColumnPaginationFilter(limit=limit, offset=offset))
        case 10:
            return f.envelope(Filter_pb2.FirstKeyOnlyFilter())
        case 11:
            return f.envelope(Filter_pb2.KeyOnlyFilter(len_as_val=chance.random() < 0.5))
        case 12:
            times = chance.sample((1, 500, 501, 502, 505, 990), chance.randrange(1, 4))
            return f.envelope(Filter_pb2.TimestampsFilter(timestamps=times))
        case _:
            return _of_rows(chance)


def _some(chance: Chance) -> Filter_pb2.Filter:
    if chance.random() < 0.05:
        return _column_range(chance)
    if chance.random() < 0.6:
        return _single(chance)
    return f.listed(*(_single(chance) for _ in range(chance.choice((2, 2, 3)))))


@pytest.fixture(params=["memory", "rocksdb"])
def region(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Region]:
    store = (
        MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "db", RocksMemory.of(8 << 20, 64 << 20))
    )
    ttl_ms = 998 if request.param == "memory" else FamilyRules().ttl_ms
    families = {b"e": FamilyRules(), b"f": FamilyRules(ttl_ms=ttl_ms)}
    yield Region(RegionRange("t", "t,,1.aa."), families, store, b"prefix00")
    store.close()


@pytest.mark.parametrize("offset", range(3))
def test_they_are_judged_together_as_one_by_one(region: Region, offset: int):
    chance = random.Random(SEED + offset)
    _fill(region, chance)
    for _ in range(25):
        asked = _some(chance)
        start_row, stop_row = chance.choice(((b"", b""), (b"", b""), (_row(chance), b""), (b"row00020", _row(chance))))
        rows = ScanRange(start_row, stop_row)
        wanted = chance.choice((Wanted(), Wanted(), Wanted(), Wanted(None, 3), Wanted(None, 1, 2, 504)))
        limits = PageLimits(
            chance.choice((1, 10, 100, 1 << 62)),
            bytes_max=chance.choice((3000, 100_000, 1 << 62)),
            is_turn_over=chance.choice((None, lambda: chance.random() < 0.3)),
        )
        slow = told(region, asked, rows, wanted, limits, at_once=False)
        at_once = told(region, asked, rows, wanted, limits, at_once=True)
        assert (at_once[0], at_once[3]) == (slow[0], slow[3]), (SEED, asked, rows, wanted, limits)


@pytest.mark.parametrize("offset", range(2))
def test_named_columns_are_those_that_gets_find(region: Region, offset: int):
    chance = random.Random(SEED + offset)
    _fill(region, chance)
    whole = open_scan(region, ScanRange(), ScanShape({b"e": Wanted(), b"f": Wanted()}), NOW_MS)
    rows = [cells[14 : 14 + int.from_bytes(cells[12:14], "big")] for cells in whole.page(PageLimits()).blocks]
    rows = list(dict.fromkeys(rows))
    for _ in range(6):
        columns = tuple(sorted(chance.sample([*COLUMNS, b"", b"x100", b"nobody"], chance.randrange(1, 5))))
        from_ms, to_ms = chance.choice(((0, FOR_EVER_MS), (0, FOR_EVER_MS), (2, 504)))
        asked = Wanted(columns, chance.choice((1, 3)), from_ms, to_ms)
        wanted: dict[bytes, Wanted] = dict.fromkeys(chance.choice(((b"f",), (b"f",), (b"e", b"f"))), asked)
        found = [region.get(row, wanted, NOW_MS) for row in rows]
        scan = open_scan(region, ScanRange(), ScanShape(wanted), NOW_MS)
        blocks: list[bytes] = []
        counts: list[int] = []
        while True:
            page = scan.page(PageLimits(chance.choice((1, 7, 1000))))
            blocks += page.blocks
            counts += page.counts
            if not page.more_in_region:
                break
        scan.close()
        assert b"".join(blocks) == b"".join([each.block for each in found])
        assert counts == [each.cells_count for each in found if each.cells_count]
