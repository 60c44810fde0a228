"""Scan calls as they were recorded from a real 2.6.4, on a region with the nine rows that it had."""

from __future__ import annotations

from typing import Any

import pytest

from protos.hbase import Client_pb2, Filter_pb2, HBase_pb2
from regionserver.client_service.results import CellForm
from regionserver.client_service.scanners import Scanners
from regionserver.client_service.scans import Paging, ScanCalls
from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Durability
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region, RegionRange
from regionserver.region.rules import TableRules
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import KeyType, Tag, TagType, decode_cells, encode_tags
from registry.wire.errors import (
    DoNotRetryIOException,
    NoSuchColumnFamilyException,
    NotServingRegionException,
    OutOfOrderScannerNextException,
    RowTooBigException,
    ScannerResetException,
    UnknownScannerException,
)
from tests.support import filters as f

ROWS = ["a", "b", *(f"d{number}" for number in range(1, 8))]
LEASE_MS = 60_000


class Server:
    """A region and its scan calls."""

    def __init__(self, columns: str = "q", **limits: int) -> None:
        self.region = Region(RegionRange("t1", "t1,,1.aa."), {b"f": FamilyRules()}, MemoryStore(), b"prefix00")
        self.scanners = Scanners(7, **limits)
        self.calls = ScanCalls(self.scanners, self._region_of)
        self.now_ms = 1000
        for row in ROWS:
            self.put(row, columns)

    def _region_of(self, where: HBase_pb2.RegionSpecifier) -> Region:
        if where.value != b"t1,,1.aa.":
            raise NotServingRegionException(f"{where.value.decode()} is not online")
        return self.region

    def put(self, row: str, columns: str = "q", tags: bytes = b"") -> None:
        changes = [Change(b"f", each.encode(), 5, KeyType.PUT, b"v", tags) for each in columns]
        put = Mutation(MutationKind.PUT, row.encode(), changes)
        self.region.mutate([put], Durability.PROCESS, lambda error: None, self.now_ms)

    def call(
        self, scan: Client_pb2.Scan | None = None, form: CellForm = CellForm.BLOCK, late: Any = None, **fields: Any
    ) -> tuple[Client_pb2.ScanResponse, list[str]]:
        request = Client_pb2.ScanRequest(**fields)
        if scan is not None:
            request.scan.CopyFrom(scan)
            request.region.type = HBase_pb2.RegionSpecifier.REGION_NAME
            request.region.value = b"t1,,1.aa."
        message, cells = self.calls.answer(request, form, self.now_ms, late)
        response = Client_pb2.ScanResponse.FromString(message)
        found = [each.row.decode() for each in decode_cells(cells, with_tags=form is CellForm.BLOCK_WITH_TAGS)]
        return response, found


def flags(response: Client_pb2.ScanResponse) -> tuple[bool | None, bool | None]:
    return (
        response.more_results if response.HasField("more_results") else None,
        response.more_results_in_region if response.HasField("more_results_in_region") else None,
    )


ALL = Client_pb2.Scan()
PARTIALS: dict[str, Any] = {"client_handles_partials": True, "client_handles_heartbeats": True}


def test_a_scan_as_java_makes_it():
    server = Server()
    response, rows = server.call(ALL, number_of_rows=0, **PARTIALS)
    assert (flags(response), response.ttl, response.stale, rows) == ((True, True), LEASE_MS, False, [])
    scanner_id = response.scanner_id
    response, rows = server.call(scanner_id=scanner_id, number_of_rows=2, next_call_seq=0)
    assert (flags(response), rows, response.scanner_id) == ((True, True), ["a", "b"], scanner_id)
    assert not response.HasField("ttl")
    with pytest.raises(OutOfOrderScannerNextException, match=r"Expected nextCallSeq: 1 But .* client: 0"):
        server.call(scanner_id=scanner_id, number_of_rows=2, next_call_seq=0)
    _, rows = server.call(scanner_id=scanner_id, number_of_rows=1, next_call_seq=1)
    assert rows == ["d1"]
    response, _ = server.call(scanner_id=scanner_id, renew=True, next_call_seq=2)
    assert response == Client_pb2.ScanResponse(scanner_id=scanner_id)
    response, rows = server.call(scanner_id=scanner_id, number_of_rows=100, next_call_seq=3)
    assert (flags(response), rows) == ((True, False), ROWS[3:])
    with pytest.raises(OutOfOrderScannerNextException, match="Expected nextCallSeq for closed request: 5"):
        server.call(scanner_id=scanner_id, number_of_rows=100, next_call_seq=4)
    response, _ = server.call(scanner_id=scanner_id, close_scanner=True)
    assert response == Client_pb2.ScanResponse(scanner_id=scanner_id)
    with pytest.raises(UnknownScannerException, match="Unknown scanner '12345'"):
        server.call(scanner_id=12345, number_of_rows=1)


def test_a_scan_that_is_opened_and_renewed_in_one_call_has_its_rows_in_the_next():
    """As hbase-driver of PyPI opens every scan; HBase answers without rows and without flags."""
    server = Server()
    response, rows = server.call(ALL, number_of_rows=1, renew=True, client_handles_partials=True)
    assert (flags(response), response.ttl, rows) == ((None, None), LEASE_MS, [])
    assert response.HasField("mvcc_read_point")
    response, rows = server.call(scanner_id=response.scanner_id, number_of_rows=100)
    assert (flags(response), rows) == ((True, False), ROWS)


@pytest.mark.parametrize(
    ("scan", "fields", "expected", "rows"),
    [
        (ALL, {"number_of_rows": 100, "limit_of_rows": 2}, (False, True), ["a", "b"]),
        (Client_pb2.Scan(stop_row=b"c"), {"number_of_rows": 100}, (True, False), ["a", "b"]),
        (Client_pb2.Scan(stop_row=b"c"), {"number_of_rows": 2}, (True, False), ["a", "b"]),
        (Client_pb2.Scan(start_row=b"b", stop_row=b"b"), {"number_of_rows": 9}, (True, False), ["b"]),
        (
            Client_pb2.Scan(start_row=b"b", stop_row=b"b", include_stop_row=False),
            {"number_of_rows": 9},
            (True, False),
            [],
        ),
        (ALL, {}, (True, True), ["a"]),
        (ALL, {"close_scanner": True}, (True, True), []),
        (ALL, {"close_scanner": True, "number_of_rows": 1}, (True, True), ["a"]),
        (Client_pb2.Scan(max_result_size=1), {"number_of_rows": 100}, (True, True), ["a"]),
        (Client_pb2.Scan(reversed=True, start_row=b"b"), {"number_of_rows": 100}, (True, False), ["b", "a"]),
    ],
)
def test_opens(scan: Client_pb2.Scan, fields: dict[str, Any], expected: tuple[bool, bool], rows: list[str]):
    server = Server()
    response, found = server.call(scan, **fields)
    assert (flags(response), found) == (expected, rows)
    is_closed = expected != (True, True) or "close_scanner" in fields
    assert len(server.scanners) == (0 if is_closed else 1)


def test_batches_and_partial_rows():
    server = Server("pq")
    response, _ = server.call(Client_pb2.Scan(batch_size=1), number_of_rows=4)
    assert list(response.partial_flag_per_result) == [True, False, True, False]
    response, rows = server.call(Client_pb2.Scan(max_result_size=1), number_of_rows=100, **PARTIALS)
    assert (list(response.cells_per_result), list(response.partial_flag_per_result)) == ([1], [True])
    response, rows = server.call(Client_pb2.Scan(max_result_size=1), number_of_rows=100)
    assert (list(response.cells_per_result), rows) == ([2], ["a", "a"])


def test_without_a_codec_results_are_in_the_message():
    response, rows = Server("pq").call(ALL, CellForm.INLINE, number_of_rows=2)
    assert (list(response.cells_per_result), list(response.partial_flag_per_result), rows) == ([], [], [])
    assert [[each.qualifier for each in result.cell] for result in response.results] == [[b"p", b"q"]] * 2
    assert [(result.HasField("stale"), result.partial) for result in response.results] == [(True, False)] * 2


def test_tags_are_cut_off_for_those_who_know_none():
    server = Server()
    server.put("tagged", tags=encode_tags([Tag(TagType.VISIBILITY, b"v")]))
    for form in (CellForm.BLOCK, CellForm.BLOCK_WITH_TAGS):
        _, rows = server.call(ALL, form, number_of_rows=100)
        assert rows[-1] == "tagged"


def test_tags_are_cut_off_a_row_that_a_filter_lets_pass_in_parts():
    """Whether its cells have tags was asked at the end of a row only: a page that ended within it told them."""
    server = Server()
    server.put("tagged", "pqr", tags=encode_tags([Tag(TagType.VISIBILITY, b"v")]))
    columns = Filter_pb2.QualifierFilter(compare_filter=f.compared(HBase_pb2.NOT_EQUAL, f.binary(b"a")))
    scan = Client_pb2.Scan(start_row=b"tagged", max_result_size=1, filter=f.envelope(columns))
    response, rows = server.call(scan, number_of_rows=100, **PARTIALS)
    assert list(response.partial_flag_per_result) == [True]
    while response.more_results_in_region:
        response, more = server.call(scanner_id=response.scanner_id, number_of_rows=100, **PARTIALS)
        rows += more
    assert rows == ["tagged"] * 3


def test_a_heartbeat_with_a_cursor():
    """Time is over and nothing was found: the client hears how far the server has come."""
    server = Server()
    server.region.mutate(
        [Mutation(MutationKind.DELETE, b"a", ())], Durability.PROCESS, lambda error: None, server.now_ms
    )
    scan = Client_pb2.Scan(need_cursor_result=True)
    response, rows = server.call(scan, late=lambda: True, number_of_rows=9, **PARTIALS)
    assert (response.heartbeat_message, response.cursor.row, rows) == (True, b"a", [])
    assert flags(response) == (True, True)
    response, rows = server.call(scan, late=lambda: True, number_of_rows=9)
    assert not response.heartbeat_message, "a client that knows no heartbeats waits"
    assert rows == ROWS[1:]


def test_metrics():
    response, _ = Server().call(ALL, number_of_rows=3, track_scan_metrics=True)
    assert {each.name: each.value for each in response.scan_metrics.metrics} == {"ROWS_SCANNED": 3, "ROWS_FILTERED": 0}


def test_region_scan_and_scanner_id_together_are_a_next():
    """As npm hbase-rpc-client sends it."""
    server = Server()
    response, _ = server.call(ALL, number_of_rows=1)
    _, rows = server.call(ALL, scanner_id=response.scanner_id, number_of_rows=1)
    assert rows == ["b"]


def test_what_is_refused():
    server = Server()
    with pytest.raises(DoNotRetryIOException, match="Missing required input"):
        server.call()
    bad = Client_pb2.Scan()
    bad.column.add(family=b"nope")
    with pytest.raises(NoSuchColumnFamilyException):
        server.call(bad)
    request = Client_pb2.ScanRequest(scan=ALL)
    request.region.type, request.region.value = HBase_pb2.RegionSpecifier.REGION_NAME, b"elsewhere"
    with pytest.raises(NotServingRegionException, match="elsewhere is not online"):
        server.calls.answer(request, CellForm.BLOCK, 0)
    assert len(server.scanners) == 0


def test_a_store_that_fails_resets_the_scanner():
    server = Server()
    response, _ = server.call(ALL, number_of_rows=1)
    server.region.store.close()
    with pytest.raises(ScannerResetException):
        server.call(scanner_id=response.scanner_id, number_of_rows=1)
    assert len(server.scanners) == 0


# --- read points ------------------------------------------------------------------------------------------------------


def half_a_row(server: Server) -> Client_pb2.ScanResponse:
    """A scan that has told two of four cells of its first row."""
    response, _ = server.call(Client_pb2.Scan(batch_size=2), number_of_rows=1, **PARTIALS)
    assert response.partial_flag_per_result == [True]
    return response


def again(server: Server, read_point: int) -> list[bytes]:
    """The values of the first row, of a scan that is opened anew."""
    request = Client_pb2.ScanRequest(number_of_rows=1, close_scanner=True)
    request.scan.mvcc_read_point = read_point
    request.region.type, request.region.value = HBase_pb2.RegionSpecifier.REGION_NAME, b"t1,,1.aa."
    return [cell.value for cell in decode_cells(server.calls.answer(request, CellForm.BLOCK, server.now_ms).cells)]


def change(server: Server) -> None:
    put = Mutation(MutationKind.PUT, b"a", [Change(b"f", b"p", 50, KeyType.PUT, b"new")])
    server.region.mutate([put], Durability.PROCESS, lambda error: None, server.now_ms)


def test_a_row_is_read_to_its_end_at_one_moment():
    server = Server("pqrs")
    first = half_a_row(server)
    assert first.mvcc_read_point > 0
    change(server)
    assert again(server, first.mvcc_read_point) == [b"v"] * 4
    assert again(server, 0) == [b"new", b"v", b"v", b"v"]
    assert again(server, first.mvcc_read_point + 1) == [b"new", b"v", b"v", b"v"], "of nobody here"
    server.call(scanner_id=first.scanner_id, close_scanner=True)
    assert again(server, first.mvcc_read_point) == [b"v"] * 4, "it ended within a row"
    server.now_ms += LEASE_MS
    server.scanners.expire(server.now_ms)
    assert again(server, first.mvcc_read_point) == [b"new", b"v", b"v", b"v"]


def test_one_that_was_lost_in_the_middle_of_a_row():
    server = Server("pqrs")
    first = half_a_row(server)
    change(server)
    server.now_ms += LEASE_MS
    server.scanners.expire(server.now_ms)
    assert again(server, first.mvcc_read_point) == [b"v"] * 4
    assert server.scanners.close_region(server.region.where.name, server.now_ms) == 0
    assert again(server, first.mvcc_read_point) == [b"new", b"v", b"v", b"v"]


def test_scans_that_are_over_keep_no_moment():
    server = Server("pqrs")
    response, rows = server.call(ALL, number_of_rows=100, **PARTIALS)
    assert len(rows) == 4 * len(ROWS)
    change(server)
    assert again(server, response.mvcc_read_point)[0] == b"new"
    before = server.region.store.size_bytes(b"", b"z")
    for number in range(100):
        first = half_a_row(server)
        server.call(scanner_id=first.scanner_id, close_scanner=True)
        put = Mutation(MutationKind.PUT, b"a", [Change(b"f", b"p", 50, KeyType.PUT, b"%03d" % number)])
        server.region.mutate([put], Durability.PROCESS, lambda error: None, server.now_ms)
    assert server.region.store.size_bytes(b"", b"z") > 20 * before / 10
    server.now_ms += LEASE_MS
    server.scanners.expire(server.now_ms)
    assert server.region.store.size_bytes(b"", b"z") < before + 100


def test_a_row_that_its_client_takes_whole_and_cannot():
    server = Server("pqrs")
    server.region.rules = TableRules(row_bytes_max=200)
    with pytest.raises(RowTooBigException, match="Max row size allowed: 200, but the row is bigger than that"):
        server.call(ALL, number_of_rows=1)
    assert len(server.scanners) == 0
    _, rows = server.call(ALL, number_of_rows=1, **PARTIALS)
    assert rows == ["a"] * 4


def test_an_answer_is_as_long_as_the_server_says_or_its_client_if_that_is_less():
    for of_server, asked, count in ((100, None, 2), (100, 2**62, 2), (100, 1, 1), (1, 100, 1), (2**30, 2**62, 9)):
        server = Server(result_bytes_max=of_server)
        _, rows = server.call(Client_pb2.Scan(max_result_size=asked), number_of_rows=100, **PARTIALS)
        assert rows == ROWS[:count]


def test_families_are_read_on_demand_as_the_region_has_it_where_the_scan_does_not_say():
    """No scan goes upwards so; that tells the two apart."""
    server = Server()
    server.region.families = {b"f": FamilyRules(), b"g": FamilyRules()}
    single = f.single_column(b"f", b"q", HBase_pb2.EQUAL, f.binary(b"v"), missing=True)
    asked = Client_pb2.Scan(filter=f.envelope(single), reversed=True)
    with pytest.raises(DoNotRetryIOException, match="Reverse scan with loading CFs on demand"):
        server.call(asked, number_of_rows=2)
    server.region.rules = TableRules(on_demand=False)
    assert server.call(asked, number_of_rows=2)[1] == ["d7", "d6"]
    asked.load_column_families_on_demand = True
    with pytest.raises(DoNotRetryIOException, match="Reverse scan with loading CFs on demand"):
        server.call(asked, number_of_rows=2)
    server.region.rules = TableRules()
    asked.load_column_families_on_demand = False
    assert server.call(asked, number_of_rows=2)[1] == ["d7", "d6"]


def test_the_end_of_a_row_that_an_earlier_call_began_is_told_though_the_turn_ends_there():
    """On a busy server it was lost: a turn without a row of its own was taken for one without anything."""
    server = Server("".join(map(chr, range(33, 91))))
    asked = Client_pb2.ScanRequest(number_of_rows=100, scan=Client_pb2.Scan(max_result_size=1000), **PARTIALS)
    asked.region.value = b"t1,,1.aa."
    counts: dict[bytes, int] = {}
    for call in range(100):
        paging = server.calls.begin(asked, CellForm.BLOCK, server.now_ms, 0.0)
        assert isinstance(paging, Paging)
        while (answer := paging.turn(0.0, lambda: True)) is None:
            pass
        for cell in decode_cells(answer.cells):
            counts[cell.row] = counts.get(cell.row, 0) + 1
        response = Client_pb2.ScanResponse.FromString(answer.message)
        if not response.more_results_in_region:
            break
        asked = Client_pb2.ScanRequest(
            scanner_id=response.scanner_id, next_call_seq=call, number_of_rows=100, **PARTIALS
        )
    assert counts == {row.encode(): 58 for row in ROWS}
