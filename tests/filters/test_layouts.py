"""What is looked for in rows is found as one finds it who reads cell after cell, however much rows are alike."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest

from regionserver.filters.layouts import LAYOUTS_MAX, PAUSE_MAX, ROWS_MIN, Layouts, Walk, Where
from regionserver.filters.picks import pick_run
from regionserver.filters.rows_together import REACH_BYTES_MAX, Reach, Rows, begins_of
from regionserver.filters.walks import Run, run_of_column, run_of_prefix, walk_numbered, walk_value
from tests.conftest import SEED

AT = 3
Cell = tuple[bytes, bytes]
Row = tuple[bytes, int, int]
"""Bytes, cells, and how long the key is."""


def _cell(row: bytes, qualifier: bytes, value: bytes) -> bytes:
    key = struct.pack(">H", len(row)) + row + b"\x01f" + qualifier + struct.pack(">qB", 5, 4)
    return struct.pack(">iii", 8 + len(key) + len(value), len(key), len(value)) + key + value


def _row(row: bytes, cells: list[Cell]) -> Row:
    return b"top" + b"".join([_cell(row, *each) for each in cells]), len(cells), len(row)


def _rows(rows: list[Row], begin_bytes: int = 0) -> Rows:
    """With so many bytes of each side by side, as some that are read together have them."""
    data, counts, key_bytes = zip(*rows, strict=True)
    return Rows(data, counts, key_bytes, (), begins_of(data, begin_bytes), begin_bytes)


def _walked(walk: Walk, rows: list[Row]) -> list[Where]:
    return [walk(data, AT, key_bytes, count)[0] for data, count, key_bytes in rows]


def _bytes(rows: list[Row], found: Sequence[Where]) -> list[bytes | None]:
    return [None if each is None else row[each[0]] for (row, _, _), each in zip(rows, found, strict=True)]


def _wanted(name: bytes, cells: list[Cell], columns: list[bytes]) -> bytes | None:
    return b"".join([_cell(name, *each) for each in cells if each[0] in columns]) or None


RUNS: list[tuple[Run, list[bytes]]] = [
    (run_of_column(b"b"), [b"b"]),
    (run_of_column(b""), [b""]),
    (run_of_column(b"nobody"), []),
    (run_of_prefix(b"a"), [b"a", b"aa"]),
    (run_of_prefix(b""), [b"", b"a", b"aa", b"b", b"c", b"\xff\xff"]),
    (run_of_prefix(b"\xff"), [b"\xff\xff"]),
    (Run(b"aa", b"c"), [b"aa", b"b"]),
    (Run(b"b", None), [b"b", b"c", b"\xff\xff"]),
    (Run(b"c", b"b"), []),
]


def _looked(layouts: Layouts, rows: Rows) -> list[Where] | None:
    """Where each row has it."""
    groups = layouts.groups(rows, AT)
    if groups is None:
        return None
    found: list[Where] = [None] * len(rows.data)
    for group in groups:
        assert list(group.data) == [rows.data[number] for number in group.numbers]
        for number in group.numbers:
            found[number] = group.where
    assert sorted(number for group in groups for number in group.numbers) == list(range(len(found)))
    return found


def _has(run: Run, column: bytes) -> bool:
    return run._low <= column < run._high  # pyright: ignore[reportPrivateUsage]


def _drawn(chance: random.Random, share: float) -> Iterator[tuple[bytes, list[Cell]]]:
    """Rows of which each is like the one before, or not."""
    name, cells = b"row", [(b"a", b"1"), (b"b", b"22")]
    while True:
        if chance.random() < share:
            name = chance.choice((b"r", b"row", b"rox"))
            fake = _cell(name, b"b", b"22")
            values = (b"", b"1", b"22", fake, fake[:-2], fake + b"1")
            columns = sorted(chance.sample([b"", b"a", b"aa", b"b", b"c", b"\xff\xff"], chance.randrange(1, 6)))
            cells = [(each, chance.choice(values)) for each in columns]
        yield name, cells


@pytest.mark.parametrize("share", [0.02, 0.3, 1])
def test_what_is_found_is_what_is_walked_to(share: float):
    chance = random.Random(SEED)
    for _ in range(20):
        drawn = _drawn(chance, share)
        looked = [(run, columns, Layouts(run.walk), Layouts(run.begin), pick_run(run)) for run, columns in RUNS]
        first, end = chance.randrange(3), chance.randrange(4)
        of_value, numbered = walk_value(b"f", b"b"), walk_numbered(first, end)
        in_value, in_number, held = Layouts(of_value), Layouts(numbered), Layouts(of_value)
        for _ in range(6):
            some = [next(drawn) for _ in range(30)]
            rows = [_row(*each) for each in some]
            together = _rows(rows, chance.choice([0, 30, 50, 80]))
            for run, columns, whole, begins, pick in looked:
                wanted = [_wanted(*each, columns) for each in some]
                blocks, counts = pick(together, AT)
                assert blocks == [each for each in wanted if each is not None]
                assert counts == [count for _, cells in some if (count := sum(name in columns for name, _ in cells))]
                found = _looked(whole, together)
                assert found is None or _bytes(rows, found) == wanted
                assert _bytes(rows, _walked(run.walk, rows)) == wanted
                begin = _looked(begins, together)
                if begin is not None:
                    for (row, _, size), each, cells in zip(rows, begin, wanted, strict=True):
                        start = each[0].start if each is not None else len(row)
                        stop, count = run.rest(row, start, 14 + size + 2)
                        assert (row[start:stop] or None) == cells
                        assert (count > 0) == (cells is not None)
            values = [dict(cells).get(b"b") for _, cells in some]
            found = _looked(in_value, together)
            assert found is None or _bytes(rows, found) == values
            assert _bytes(rows, _walked(of_value, rows)) == values
            value = chance.choice([b"1", b"22", b"", b"333", *[each for each in values if each]])
            assert held.holding(together, AT, value) == [number for number, each in enumerate(values) if each == value]
            cut = [_wanted(name, cells[first : first + end], [each for each, _ in cells]) for name, cells in some]
            found = _looked(in_number, together)
            assert found is None or _bytes(rows, found) == cut
            assert _bytes(rows, _walked(numbered, rows)) == cut


@pytest.mark.parametrize("columns", [(b"a", b"aa", b"b", b"c"), (b"", b"aa"), (b"b", b"\xff\xff"), (b"c", b"d", b"e")])
def test_runs_of_rows_that_have_the_same_columns_and_values_of_many_lengths(columns: tuple[bytes, ...]):
    """Where a run begins is known of few rows' layouts, and its end is that of the row, or is not."""
    chance = random.Random(SEED)
    picks = [(run, pick_run(run)) for run, _ in RUNS]
    for _ in range(40):
        some = [
            [(each, bytes(chance.randrange(30 if chance.random() < 0.2 else 3))) for each in columns] for _ in range(40)
        ]
        together = _rows([_row(b"row", cells) for cells in some], chance.choice([0, 40]))
        for run, pick in picks:
            wanted = [[cell for cell in cells if _has(run, cell[0])] for cells in some]
            blocks, counts = pick(together, AT)
            assert blocks == [b"".join(_cell(b"row", *each) for each in cells) for cells in wanted if cells]
            assert counts == [len(cells) for cells in wanted if cells]


@pytest.mark.parametrize("begin_bytes", [0, 10, 14 + AT + 3, 45])
def test_keys_that_end_so(begin_bytes: int):
    chance = random.Random(SEED)
    told = 0
    for _ in range(200):
        names = [bytes(chance.choices(b"ab\n\xff", k=3)) for _ in range(chance.randrange(1, 12))]
        ends = tuple(bytes(chance.choices(b"ab\n\xff", k=chance.randrange(4))) for _ in range(chance.randrange(1, 4)))
        rows = _rows([_row(name, [(b"a", bytes(20))]) for name in names], begin_bytes)
        found = rows.ending(ends, AT)
        told += found is not None
        assert found in (None, [number for number, name in enumerate(names) if name.endswith(ends)])
    assert (told > 0) == (begin_bytes >= 14 + AT + 3)
    assert _rows([_row(b"row", [(b"a", b"")]), _row(b"longer", [(b"a", b"")])], 30).ending((b"w",), AT) is None


def test_counts_are_those_of_the_cells():
    rows = [_row(b"row", [(each, b"1") for each in columns]) for columns in ([b"a", b"ab", b"b"], [b"a"]) * 10]
    found = _looked(Layouts(run_of_prefix(b"a").walk), _rows(rows))
    assert found is not None
    assert [each and each[1] for each in found] == [2, 1] * 10


def test_what_looks_like_it_is_no_cell():
    """Rows that have the same bytes where the row before has the column: in a value, behind a shorter key, almost."""
    real = _row(b"row", [(b"a", b""), (b"b", b"22")])
    in_value = _row(b"row", [(b"a", _cell(b"row", b"b", b"22")), (b"b", b"33")])
    in_qualifier = _row(b"r", [(b"\x00aa", b""), (b"\x01fb", b"22")])
    almost = _row(b"row", [(b"a", b""), (b"c", b"22")])
    rows = [real, in_value, real, in_qualifier, real, almost, real, real]
    cell = _cell(b"row", b"b", b"22")
    found = _looked(Layouts(run_of_column(b"b").walk), _rows(rows))
    assert found is not None
    assert _bytes(rows, found) == [cell, _cell(b"row", b"b", b"33"), cell, None, cell, None, cell, cell]


def test_a_value_of_another_family_is_none():
    rows = [_row(b"row", [(b"b", b"1")])] * ROWS_MIN
    assert _looked(Layouts(walk_value(b"g", b"b")), _rows(rows)) == [None] * ROWS_MIN


def test_rows_that_are_never_alike_are_tried_no_longer(monkeypatch: pytest.MonkeyPatch):
    rows = [_row(b"row", [(b"a", bytes(length)), (b"b", b"22")]) for length in range(40)]
    layouts = Layouts(run_of_column(b"b").walk)
    learned: list[int] = []
    learn = layouts._learn  # pyright: ignore[reportPrivateUsage]

    def counted(rows: Rows, number: int, at: int) -> object:
        learned.append(number)
        return learn(rows, number, at)

    monkeypatch.setattr(layouts, "_learn", counted)
    tries: list[int] = []
    for number in range(300):
        found = _looked(layouts, _rows(rows))
        assert found is None or None not in found
        tries += [number] if found is not None else []
    assert [after - before - 1 for before, after in pairwise(tries)] == [2, 4, 8, 16, *[PAUSE_MAX] * 8]
    assert len(learned) == LAYOUTS_MAX, "a row each has what was learned first"
    alike = [rows[0]] * len(rows)
    while _looked(layouts, _rows(alike)) is None:
        pass
    assert [_looked(layouts, _rows(rows)) is None for _ in range(4)] == [False, True, True, False]


def test_rows_that_change_slowly_are_learned_again():
    """A counter gets a digit more: what was known is of no use any more, and is no reason to stop looking."""
    layouts = Layouts(run_of_column(b"b").walk)
    for length in range(20):
        rows = [_row(b"row", [(b"a", bytes(length)), (b"b", b"22")])] * 40
        assert _looked(layouts, _rows(rows)) is not None


def test_what_is_looked_at_of_all_rows_is_cut_out_of_them_once():
    """Not once to read their heads and once more to find a column that lies farther behind."""
    reach = Reach(20)
    name = b"row%d"
    rows = [_row(name % n, [(b"a", bytes(10 + n)), (b"b", b"x"), (b"c", bytes(3000))]) for n in range(ROWS_MIN)]
    few = _rows(rows)._replace(reach=reach)
    layouts = Layouts(run_of_column(b"b").walk)
    assert _looked(layouts, few.between(0, 1)) is None
    assert reach.size_bytes == 20, "few are walked through"
    assert _looked(layouts, few) == _walked(run_of_column(b"b").walk, rows)
    found = reach.size_bytes
    assert 20 < found < 200
    again = _rows(rows, found)._replace(reach=reach)
    layouts = Layouts(run_of_column(b"b").walk)
    assert _looked(layouts, again) == _walked(run_of_column(b"b").walk, rows)
    reach.asked_for(30)
    assert reach.size_bytes == found
    reach.asked_for(1 << 20)
    assert reach.size_bytes == REACH_BYTES_MAX


def test_rows_that_end_early_are_filled_up():
    assert begins_of([b"abc", b"a", b""], 2) == b"aba\xff\xff\xff"
    assert begins_of([b"abc", b"def"], 2) == b"abde"
    assert begins_of([b"abc"], 0) == b""
