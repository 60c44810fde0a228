"""Pages of scans that are read before their clients ask: told as they would be without, and never held for good."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from protos.hbase import Client_pb2, Filter_pb2, HBase_pb2
from regionserver.client_service import scans
from regionserver.client_service.ahead import TURNS_MAX, Ahead
from regionserver.client_service.results import Answer, CellForm
from regionserver.client_service.scanners import Scanners
from regionserver.client_service.scans import Paging, ScanCalls
from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Durability, StoreError
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import Cell, KeyType, decode_cells
from registry.wire.errors import HBaseError, ScannerResetException
from tests.support import filters as f
from tests.support.seeds import examples

NAME = b"t1,,1.aa."
NOW_MS = 1_000_000
LEASE_MS = 1000
ROWS = [b"row%03d" % number for number in range(90)]


@pytest.fixture(autouse=True)
def every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones too."""
    monkeypatch.setattr(scans, "ANSWER_BYTES_MIN", 1)


def filled() -> Region:
    """Rows of one cell and of many, with deleted ones between."""
    region = Region(RegionRange("t1", NAME.decode()), {b"f": FamilyRules()}, MemoryStore(), b"prefix00")
    for number, row in enumerate(ROWS):
        columns = [b"q%d" % each for each in range(1 + number % 5)]
        changes = [Change(b"f", each, 5, KeyType.PUT, b"%d" % number * (1 + number % 3)) for each in columns]
        written = [Mutation(MutationKind.PUT, row, changes)]
        if number % 11 == 0:
            written.append(Mutation(MutationKind.DELETE, row, [Change(b"f", b"", NOW_MS, KeyType.DELETE_FAMILY)]))
        for each in written:
            region.mutate([each], Durability.MEMORY, lambda error: None, NOW_MS)
    return region


@dataclass
class Client:
    """One scan, page by page; behind each the next one is read ahead for some turns, or none."""

    region: Region
    turns: list[int] = field(default_factory=lambda: [0])
    held_bytes_max: int = 1 << 30
    partials: bool = True

    def __post_init__(self) -> None:
        self.scanners = Scanners(7, lease_ms=LEASE_MS, ahead_bytes_max=self.held_bytes_max)
        self.calls = ScanCalls(self.scanners, lambda spec: self.region)
        self.now_ms = NOW_MS
        self.pages = 0
        self.ahead: Ahead | None = None
        self.response = Client_pb2.ScanResponse()
        self.is_late: Callable[[], bool] | None = None

    def open(self, scan: Client_pb2.Scan, **fields: int) -> list[list[Cell]]:
        where = HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=NAME)
        return self._asked(Client_pb2.ScanRequest(region=where, scan=scan, **fields))  # type: ignore[arg-type]

    def next(self, **fields: int) -> list[list[Cell]]:
        return self._asked(Client_pb2.ScanRequest(scanner_id=self.response.scanner_id, **fields))  # type: ignore[arg-type]

    def _asked(self, request: Client_pb2.ScanRequest) -> list[list[Cell]]:
        request.client_handles_partials = request.client_handles_heartbeats = self.partials
        begun = self.calls.begin(request, CellForm.BLOCK, self.now_ms, self.now_ms, self.is_late)
        if isinstance(begun, Answer):
            answer = begun
        else:
            while (found := begun.turn(self.now_ms, lambda: True)) is None:
                pass
            answer = found
            self._read_ahead(begun)
        self.response = Client_pb2.ScanResponse.FromString(answer.message)
        cells = decode_cells(answer.cells)
        found_results = [[next(cells) for _ in range(count)] for count in self.response.cells_per_result]
        assert next(cells, None) is None
        assert request.scan.batch_size or not any(self.response.partial_flag_per_result[:-1]), "only the last may go on"
        self.pages += 1
        return found_results

    def _read_ahead(self, paging: Paging) -> None:
        self.ahead = paging.ahead()
        if self.ahead is not None:
            for _ in range(self.turns[self.pages % len(self.turns)]):
                if self.ahead.read(lambda: True):
                    break

    @property
    def held_count(self) -> int:
        return sum(scanner.ahead is not None for scanner in self.scanners._open.values())  # pyright: ignore[reportPrivateUsage]


def asked(chance: random.Random) -> Client_pb2.Scan:
    scan = Client_pb2.Scan(max_result_size=chance.choice([100, 300, 5000]), reversed=chance.random() < 0.2)
    kind = chance.randrange(4)
    if kind == 1:
        keeps = f.compared(HBase_pb2.NOT_EQUAL, f.binary(b"q1"))
        scan.filter.CopyFrom(f.envelope(Filter_pb2.QualifierFilter(compare_filter=keeps)))
    elif kind == 2:
        scan.filter.CopyFrom(f.envelope(Filter_pb2.PageFilter(page_size=chance.choice([1, 20, 70]))))
    elif kind == 3:
        scan.column.add(family=b"f").qualifier.append(b"q0")
    return scan


@pytest.mark.parametrize("seed", range(examples(100)))
def test_the_same_as_without(seed: int) -> None:
    """Whatever the next call asks for: as much as the one before, less, or fewer rows than are left of its limit."""
    chance, region = random.Random(seed), filled()
    scan = asked(chance)
    with_it = Client(region, [chance.choice([0, 1, 3, 50]) for _ in range(5)])
    without = Client(region, held_bytes_max=0)
    limit = chance.choice([0, 0, 1, 30, 200])
    steady, numbers = chance.random() < 0.4, [1, 2, 7, 40]
    told: list[list[Cell]] = []
    for client in (with_it, without):
        choices = random.Random(seed)
        number = choices.choice(numbers)
        results = client.open(scan, number_of_rows=number, limit_of_rows=limit)
        all_results, partial = list(results), list(client.response.partial_flag_per_result)
        while client.response.more_results and client.response.more_results_in_region:
            number = number if steady else choices.choice(numbers)
            rows = {cell.row for result in all_results for cell in result}
            left = limit and limit - len(rows) + partial[-1:].count(True)
            results = client.next(number_of_rows=number, limit_of_rows=left)
            assert len(results) <= number
            all_results += results
            partial += client.response.partial_flag_per_result
        told.append([cell for result in all_results for cell in result])
        assert len(client.scanners) == 0 or not client.response.more_results
    assert told[0] == told[1]
    assert limit == 0 or len({cell.row for cell in told[0]}) <= limit
    assert without.held_count == 0


def test_a_page_is_told_as_it_was_read_ahead() -> None:
    client = Client(filled(), [TURNS_MAX])
    first = client.open(Client_pb2.Scan(), number_of_rows=10)
    assert client.region.counts.reads_count == 22, "two pages, and two rows without a cell"
    second = client.next(number_of_rows=10)
    assert [result[0].row for result in (*first, *second)] == [row for row in ROWS if row not in ROWS[::11]][:20]


def test_who_asks_for_less_is_told_the_beginning() -> None:
    client = Client(filled(), [TURNS_MAX])
    rows = [result[0].row for result in client.open(Client_pb2.Scan(), number_of_rows=10)]
    for number in (3, 0, 4, 100, 100):
        rows += [result[0].row for result in client.next(number_of_rows=number)]
        assert client.response.more_results_in_region == (len(rows) < 81)
    assert rows == [row for row in ROWS if row not in ROWS[::11]]


@pytest.mark.parametrize(
    ("error", "told"), [(StoreError("broken"), ScannerResetException), (HBaseError("no"), HBaseError)]
)
def test_what_goes_wrong_is_told_to_who_asks(
    error: Exception, told: type[HBaseError], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(filled(), [0])
    client.open(Client_pb2.Scan(), number_of_rows=10)
    [scanner] = client.scanners._open.values()  # pyright: ignore[reportPrivateUsage]

    def fails(limits: object) -> None:
        del limits
        raise error

    monkeypatch.setattr(scanner.scan, "page", fails)
    assert client.ahead is not None
    assert client.ahead.read(bool), "there is nothing more to read"
    with pytest.raises(told):
        client.next(number_of_rows=10)
    assert len(client.scanners) == 0
    assert client.scanners.room_ahead.left_bytes == client.held_bytes_max, "given back once"


def test_a_call_that_takes_whole_rows_is_told_to_begin_again() -> None:
    client = Client(filled(), [TURNS_MAX])
    client.open(Client_pb2.Scan(start_row=ROWS[4], max_result_size=1), number_of_rows=10)
    client.partials = False
    with pytest.raises(ScannerResetException):
        client.next(number_of_rows=10)


@pytest.mark.parametrize("way", ["closed", "region", "expired", "asked for"])
def test_nothing_is_held_for_good(way: str) -> None:
    """A server has room for two pages: it comes back however their scans end, and their rows count as never read."""
    region = filled()
    page_bytes = 2 << 20
    client = Client(region, [TURNS_MAX], held_bytes_max=2 * page_bytes)
    scan = Client_pb2.Scan(max_result_size=page_bytes)
    for round_number in range(3):
        opened: list[int] = []
        for _ in range(3):
            client.open(scan, number_of_rows=10)
            opened.append(client.response.scanner_id)
        assert client.held_count == 2
        for scanner_id in opened:
            client.response.scanner_id = scanner_id
            if way == "closed":
                client.next(number_of_rows=0, close_scanner=True)
            elif way == "asked for":
                client.next(number_of_rows=10, close_scanner=True)
        if way == "region":
            client.scanners.close_region(NAME.decode(), client.now_ms)
        elif way == "expired":
            client.now_ms += LEASE_MS
            client.scanners.expire(client.now_ms)
        assert len(client.scanners) == 0
        told = 3 * (20 if way == "asked for" else 10) * (round_number + 1)
        without_a_cell = 3 * (2 if way == "asked for" else 1) * (round_number + 1)
        assert region.counts.reads_count <= told + without_a_cell


def test_rows_in_batches_of_cells_are_not_read_ahead() -> None:
    """Their flags say what a server has not looked at."""
    client = Client(filled(), [TURNS_MAX])
    client.open(Client_pb2.Scan(batch_size=2), number_of_rows=10)
    assert client.ahead is None


def test_nothing_is_read_ahead_behind_an_answer_that_was_late() -> None:
    """Who takes half of its client's time for a page has enough to do."""
    client = Client(filled(), [TURNS_MAX])
    client.is_late = lambda: True
    assert client.open(Client_pb2.Scan(start_row=ROWS[1]), number_of_rows=10)
    assert client.response.more_results_in_region
    assert client.ahead is None


def test_small_answers_are_not_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    client = Client(filled(), [TURNS_MAX])
    client.open(Client_pb2.Scan(), number_of_rows=10)
    assert client.ahead is None


def test_a_scan_that_has_read_on_still_knows_that_its_client_is_within_a_row() -> None:
    """Who opens it anew in the middle of a row reads the same moment, although the scan was somewhere else already."""
    region = filled()
    client = Client(region, [TURNS_MAX])
    [result] = client.open(Client_pb2.Scan(start_row=ROWS[4], max_result_size=1), number_of_rows=10)
    read_point = client.response.mvcc_read_point
    for _ in range(3):
        client.next(number_of_rows=10)
        assert list(client.response.partial_flag_per_result) == [True]
    [scanner] = client.scanners._open.values()  # pyright: ignore[reportPrivateUsage]
    assert not scanner.scan.is_within_row
    client.next(number_of_rows=0, close_scanner=True)
    change = Change(b"f", b"", NOW_MS, KeyType.DELETE_FAMILY)
    region.mutate([Mutation(MutationKind.DELETE, ROWS[4], [change])], Durability.MEMORY, lambda error: None, NOW_MS)
    again = client.open(Client_pb2.Scan(start_row=ROWS[4], mvcc_read_point=read_point), number_of_rows=1)
    assert [cell.qualifier for cell in again[0]] == [b"q%d" % each for each in range(5)]
    assert result[0] == again[0][0]
