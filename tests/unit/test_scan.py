"""The machine of a scan: what it asks, how pieces become rows, when it is done, and how it begins again."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import Client_pb2
from registry.client.rows import Row
from registry.client.scan import META_REGION, Scan, row_scan
from registry.wire.cellblock import Cell, encode_cells
from registry.wire.errors import ProtocolError, RowTooBigException
from tests.support.region_server import cell

STATES = Scan(META_REGION, columns=((b"table", (b"state",)),))
A, B, C = (cell(name, b"\x08\x00") for name in "abc")


def response(*pieces: tuple[list[Cell], bool], more: bool = True, scanner_id: int = 7, **fields: object):
    made = Client_pb2.ScanResponse(scanner_id=scanner_id, more_results=True, more_results_in_region=more)
    for cells, partial in pieces:
        made.cells_per_result.append(len(cells))
        made.partial_flag_per_result.append(partial)
    for name, value in fields.items():
        setattr(made, name, value)
    return made, encode_cells([one for cells, _ in pieces for one in cells])


def test_one_call_reads_a_small_region() -> None:
    scan = row_scan(STATES)
    request = scan.request()
    assert request.region.value == b"hbase:meta,,1"
    assert [(column.family, list(column.qualifier)) for column in request.scan.column] == [(b"table", [b"state"])]
    assert (request.client_handles_partials, request.client_handles_heartbeats) == (True, True)
    assert not request.HasField("next_call_seq")
    rows = scan.take(*response(([A], False), ([B], False), more=False))
    assert rows == [Row(b"a", (A,)), Row(b"b", (B,))]
    assert scan.done
    assert scan.close() is None, "the server closes what it has exhausted"


def test_a_scanner_is_asked_on_with_rising_numbers_and_closed_when_left() -> None:
    scan = row_scan(STATES)
    scan.request()
    scan.take(*response(([A], False)))
    for number in range(3):
        request = scan.request()
        assert (request.scanner_id, request.next_call_seq, request.HasField("region")) == (7, number, False)
        assert scan.take(*response(heartbeat_message=True)) == []
    assert scan.heartbeats == 3
    assert not scan.done
    closing = scan.close()
    assert closing is not None
    assert (closing.scanner_id, closing.close_scanner, closing.HasField("next_call_seq")) == (7, True, False)
    assert scan.close() is None


def test_pieces_of_a_row_are_joined_over_answers_and_heartbeats() -> None:
    one, two, three = (cell("a", b"", qualifier=name) for name in (b"1", b"2", b"3"))
    scan = row_scan(STATES)
    scan.request()
    assert scan.take(*response(([one], True))) == []
    assert scan.take(*response(heartbeat_message=True)) == [], "nothing is said of the row"
    assert scan.take(*response(([two], True))) == []
    assert scan.take(*response(([three], False), ([B], False))) == [Row(b"a", (one, two, three)), Row(b"b", (B,))]


def test_another_row_or_the_end_of_the_region_ends_a_row_that_was_flagged() -> None:
    scan = row_scan(STATES)
    scan.request()
    assert scan.take(*response(([A], True), ([B], True))) == [Row(b"a", (A,))]
    assert scan.take(*response(more=False)) == [Row(b"b", (B,))]
    assert scan.done


def test_no_more_results_ends_it_and_so_does_silence_without_flags() -> None:
    scan = row_scan(STATES)
    scan.request()
    assert scan.take(*response(([A], True), more_results=False)) == [Row(b"a", (A,))]
    assert scan.done
    scan = row_scan(STATES)
    scan.request()
    scan.take(*response(([A], False)))
    scan.take(Client_pb2.ScanResponse(scanner_id=7, heartbeat_message=True))
    assert not scan.done
    scan.take(Client_pb2.ScanResponse(scanner_id=7))
    assert scan.done, "as a closed scanner is answered"


def test_inline_cells_and_flags() -> None:
    answer, _ = response(more=True)
    result = answer.results.add(partial=True)
    result.cell.add(row=b"a", family=b"table", qualifier=b"state", timestamp=2**64 - 1, cell_type=4, value=b"x")
    scan = row_scan(STATES)
    scan.request()
    assert scan.take(answer) == []
    (row,) = scan.take(*response(more=False))
    assert (row.key, row.value(b"table", b"state"), row.cells[0].timestamp_ms) == (b"a", b"x", -1)
    assert row.value(b"table", b"other") is None


def test_a_new_scanner_begins_behind_the_last_whole_row_and_reads_the_cut_one_again() -> None:
    scan = row_scan(Scan(META_REGION, rows_max=5))
    assert scan.request().limit_of_rows == 5
    scan.take(*response(([A], False), ([B], True)))
    closing = scan.reopen()
    assert closing is not None
    assert closing.scanner_id == 7
    request = scan.request()
    assert (request.scan.start_row, request.scan.include_start_row) == (b"a", False)
    assert request.limit_of_rows == 4
    other = cell("b", b"newer")
    assert scan.take(*response(([other], False), more=False, scanner_id=8)) == [Row(b"b", (other,))]


def test_a_server_that_begins_at_the_row_itself_does_not_give_it_twice() -> None:
    scan = row_scan(STATES)
    scan.request()
    scan.take(*response(([A], False)))
    scan.reopen()
    scan.request()
    assert scan.take(*response(([A], False), ([B], False), more=False)) == [Row(b"b", (B,))]


def test_a_scan_that_ends_with_its_stop_row_is_not_opened_behind_it() -> None:
    scan = row_scan(Scan(META_REGION, stop_row=b"a", include_stop_row=True))
    assert scan.request().scan.include_stop_row
    scan.take(*response(([A], False)))
    scan.reopen()
    assert scan.done


def test_a_limit_of_rows_holds_whatever_the_server_sends() -> None:
    scan = row_scan(Scan(META_REGION, rows_max=2))
    scan.request()
    assert [row.key for row in scan.take(*response(([A], False), ([B], False), ([C], False)))] == [b"a", b"b"]
    assert scan.done
    assert scan.close() is not None, "the server may not know the limit"


@pytest.mark.parametrize(
    ("counts", "flags", "cells", "says"),
    [
        ([2], [False], [A], "the block 1 more"),
        ([1], [False], [A, B], "more than the 1 cells"),
        ([1], [False, False], [A], "2 partial flags for 1 results"),
        ([2], [False], [A, B], "cells of row"),
        ([], [], [A], "more than the 0 cells"),
    ],
)
def test_answers_that_contradict_themselves(counts: list[int], flags: list[bool], cells: list[Cell], says: str) -> None:
    scan = row_scan(STATES)
    scan.request()
    answer = Client_pb2.ScanResponse(
        scanner_id=1, more_results_in_region=True, cells_per_result=counts, partial_flag_per_result=flags
    )
    with pytest.raises(ProtocolError, match=says):
        scan.take(answer, encode_cells(cells))


def test_more_rows_without_a_scanner_is_nonsense() -> None:
    scan = row_scan(STATES)
    scan.request()
    with pytest.raises(ProtocolError, match="no scanner"):
        scan.take(Client_pb2.ScanResponse(more_results=True, more_results_in_region=True))
    scan = row_scan(STATES)
    scan.request()
    both = Client_pb2.ScanResponse(scanner_id=1, cells_per_result=[1], partial_flag_per_result=[False])
    both.results.add().cell.add(row=b"a")
    with pytest.raises(ProtocolError, match="both"):
        scan.take(both, encode_cells([A]))
    counted = Client_pb2.ScanResponse(scanner_id=1)
    counted.results.add(associated_cell_count=2)
    with pytest.raises(ProtocolError, match="count cells"):
        scan.take(counted)


def test_a_row_without_end_is_bounded() -> None:
    scan = row_scan(Scan(META_REGION, row_bytes_max=10_000))
    scan.request()
    for _ in range(70):
        scan.take(*response(([cell("a", bytes(100))], True)))
    with pytest.raises(RowTooBigException, match="more than 10000 bytes"):
        scan.take(*response(([cell("a", bytes(100))] * 5, True)))


@given(st.integers(0, 2**32), st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(1, 4), st.integers(0, 9))
def test_any_cut_and_any_failure_give_the_same_rows(seed: int, sizes: list[int], space: int, rows_max: int) -> None:
    """A server that cuts answers anywhere, with heartbeats and lost scanners between them."""
    chance = random.Random(seed)
    rows = [
        Row(b"%d" % number, tuple(cell(b"%d" % number, b"v", qualifier=b"%d" % place) for place in range(size)))
        for number, size in enumerate(sizes)
    ]
    scan = row_scan(Scan(META_REGION, rows_max=rows_max))
    got: list[Row] = []
    left: list[Cell] = []
    while not scan.done:
        if chance.random() < 0.2:
            scan.reopen()
        request = scan.request()
        if request.HasField("scan"):
            start = request.scan.start_row
            left = [one for row in rows for one in row.cells if not start or row.key > start]
        if left and chance.random() < 0.2:
            got += scan.take(*response(heartbeat_message=True))
            continue
        piece = left[: space if chance.random() < 0.9 else 0]
        del left[: len(piece)]
        parts: list[tuple[list[Cell], bool]] = []
        for one in piece:
            if parts and parts[-1][0][-1].row == one.row:
                parts[-1][0].append(one)
            else:
                parts.append(([one], False))
        if parts and left and left[0].row == parts[-1][0][-1].row:
            parts[-1] = (parts[-1][0], True)
        got += scan.take(*response(*parts, more=bool(left)))
    wanted = rows[:rows_max] if rows_max else rows
    assert got == wanted, f"seed {seed}"
    assert all(before.key < after.key for before, after in pairwise(got))
