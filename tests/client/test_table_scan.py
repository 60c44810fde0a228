"""Scans of a table against regions in memory: whatever is cut, moved, split or lost, each row comes once, in order."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.client.data.reading import RowParts
from registry.client.data.results import Row
from registry.client.data.table_scan import ScanSpec, TableScan, of_prefix
from tests.support.scripted_table import ScriptedTable, cells_of, read_all
from tests.support.seeds import examples

KEYS = [b"%b%d" % (letter, number) for letter in (b"a", b"b", b"c", b"d") for number in range(4)]


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[bytes, int], list[bytes], int]:
    sizes = draw(st.dictionaries(st.sampled_from(KEYS), st.integers(1, 9), max_size=len(KEYS)))
    starts = [b"", *sorted(draw(st.sets(st.sampled_from([*KEYS, b"a0x", b"b", b"c1x", b"z"]), max_size=6)))]
    return sizes, starts, draw(st.integers(0, 1 << 30))


@st.composite
def specs(draw: st.DrawFn) -> ScanSpec:
    edges = st.sampled_from([b"", *KEYS, b"a", b"b9", b"c1x", b"zz"])
    return ScanSpec(
        start=draw(edges),
        stop=draw(edges),
        include_start=draw(st.booleans()),
        include_stop=draw(st.booleans()),
        reverse=draw(st.booleans()),
        rows_max=draw(st.sampled_from([0, 0, 1, 3, 100])),
    )


def expected(spec: ScanSpec, keys: list[bytes]) -> list[bytes]:
    found: list[bytes] = []
    for key in sorted(keys, reverse=spec.reverse):
        low, high = (spec.stop, spec.start) if spec.reverse else (spec.start, spec.stop)
        with_low, with_high = spec.include_start, spec.include_stop
        if spec.reverse:
            with_low, with_high = with_high, with_low
        if low and (key < low or (key == low and not with_low)):
            continue
        if high and (key > high or (key == high and not with_high)):
            continue
        found.append(key)
    return found[: spec.rows_max] if spec.rows_max else found


def made(table: tuple[dict[bytes, int], list[bytes], int]) -> ScriptedTable:
    sizes, starts, seed = table
    return ScriptedTable({key: cells_of(key, size) for key, size in sizes.items()}, starts, random.Random(seed))


@given(tables(), specs(), st.sampled_from([0.0, 0.3]))
@settings(max_examples=examples(150), deadline=None)
def test_every_row_comes_once_and_whole(
    table: tuple[dict[bytes, int], list[bytes], int], spec: ScanSpec, faults_share: float
) -> None:
    scripted = made(table)
    rows = read_all(TableScan(spec), scripted, faults_share=faults_share)
    assert [row.key for row in rows if isinstance(row, Row)] == expected(spec, list(table[0]))
    for row in rows:
        assert isinstance(row, Row)
        assert list(row.cells) == cells_of(row.key, table[0][row.key])


@given(tables(), specs(), st.integers(1, 4), st.sampled_from([0.0, 0.3]))
@settings(max_examples=examples(120), deadline=None)
def test_rows_in_parts_have_every_cell_once(
    table: tuple[dict[bytes, int], list[bytes], int], spec: ScanSpec, batch_cells: int, faults_share: float
) -> None:
    scripted = made(table)
    spec = ScanSpec(
        spec.start,
        spec.stop,
        include_start=spec.include_start,
        include_stop=spec.include_stop,
        reverse=spec.reverse,
        rows_max=spec.rows_max,
        batch_cells=batch_cells,
    )
    rows = [row for row in read_all(TableScan(spec), scripted, faults_share=faults_share) if isinstance(row, Row)]
    told = [cell for row in rows for cell in row.cells]
    assert told == [cell for key in expected(spec, list(table[0])) for cell in cells_of(key, table[0][key])]
    assert all(len(row.cells) <= batch_cells for row in rows)
    for row, following in itertools.pairwise(rows):
        assert not row.partial or row.key == following.key
        assert row.partial or row.key != following.key


def test_no_region_beyond_the_stop_is_asked() -> None:
    table = ScriptedTable({b"a": cells_of(b"a", 1)}, [b"", b"m", b"t"], random.Random(1))
    scan = TableScan(ScanSpec(stop=b"m"))
    read_all(scan, table)
    assert scan.regions_entered == 1
    scan = TableScan(ScanSpec(start=b"p", stop=b"m", reverse=True))
    read_all(scan, table)
    assert scan.regions_entered == 1


def test_a_server_that_says_no_more_ends_the_scan_in_all_regions() -> None:
    table = ScriptedTable({key: cells_of(key, 1) for key in KEYS}, [b"", b"b", b"c"], random.Random(3))
    scan = TableScan(ScanSpec())
    scan.enter(table.region(b""))
    response, block = table.scan(scan.request())
    response.more_results = False
    scan.take(response, block)
    assert scan.done


@pytest.mark.parametrize(
    ("prefix", "ends"),
    [
        (b"ab", (b"ab", b"ac")),
        (b"a\xff", (b"a\xff", b"b")),
        (b"\xff\xff", (b"\xff\xff", b"")),
        (b"\x00", (b"\x00", b"\x01")),
    ],
)
def test_prefixes_are_ranges(prefix: bytes, ends: tuple[bytes, bytes]) -> None:
    assert of_prefix(prefix, reverse=False) == ends
    assert of_prefix(prefix, reverse=True) == ends[::-1]


def test_parts_that_were_given_are_known_after_a_new_beginning() -> None:
    reader = RowParts(2)
    assert reader.given_in_part is None
    assert reader.finish() == []
