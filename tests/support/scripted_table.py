"""A table of regions in memory that answers scans as servers do, cut, moved, split and forgotten as chance has it."""

from __future__ import annotations

import random
from bisect import bisect_right, insort
from dataclasses import dataclass, field

from protos.hbase import Client_pb2
from registry.client.data.region_map import Region
from registry.client.data.table_scan import TableScan
from registry.names import ServerName
from registry.wire.cellblock import Cell, KeyType, encode_cells
from registry.wire.errors import HBaseError, NotServingRegionException, ScannerResetException, UnknownScannerException


def cells_of(row: bytes, count: int) -> list[Cell]:
    """Markers of deletes, each before a put of the same column and time, as raw scans give them."""
    return [
        Cell(row, b"f", b"%04d" % (number // 2), 1_795_000_000_000, KeyType.PUT, b"v" * 5)
        if number % 2
        else Cell(row, b"f", b"%04d" % (number // 2), 1_795_000_000_000, KeyType.DELETE_COLUMN, b"")
        for number in range(count)
    ]


@dataclass
class _Open:
    region: bytes
    rows: list[list[Cell]]
    seq: int = 0


@dataclass
class ScriptedTable:
    """Rows with their cells; `starts` are the start keys of regions, the first empty."""

    rows: dict[bytes, list[Cell]]
    starts: list[bytes]
    chance: random.Random
    life: int = 1
    """Grows with each split and merge, so that regions of the same start key are told apart."""
    lives: dict[bytes, int] = field(default_factory=dict[bytes, int])
    scanners: dict[int, _Open] = field(default_factory=dict[int, _Open])
    opened: int = 0
    asked: int = 0

    def region(self, row: bytes) -> Region:
        return self._made(bisect_right(self.starts, row) - 1)

    def region_before(self, key: bytes) -> Region:
        index = len(self.starts) - 1
        while key and self.starts[index] >= key:
            index -= 1
        return self._made(index)

    def _made(self, index: int) -> Region:
        start = self.starts[index]
        end = self.starts[index + 1] if index + 1 < len(self.starts) else b""
        name = b"t,%b,%d" % (start, self.lives.get(start, 1))
        return Region(name, start, end, ServerName("s", 1, 1))

    def split(self, at: bytes) -> None:
        """A region ends there from now on; scanners of the one that was are gone."""
        if not at or at in self.starts:
            return
        before = self.region(at)
        insort(self.starts, at)
        self._begin_anew(before.start_key, at)
        self._close(before.name)

    def merge(self, at: bytes) -> None:
        """The region that begins there and the one before it become one."""
        if not at or at not in self.starts:
            return
        here, before = self.region(at), self.region_before(at)
        self.starts.remove(at)
        self._begin_anew(before.start_key)
        self._close(here.name)
        self._close(before.name)

    def _begin_anew(self, *starts: bytes) -> None:
        self.life += 1
        self.lives.update(dict.fromkeys(starts, self.life))

    def _close(self, region: bytes) -> None:
        for number, scanner in list(self.scanners.items()):
            if scanner.region == region:
                del self.scanners[number]

    def change(self) -> None:
        """Something happens to the regions."""
        keys = sorted(self.rows) or [b"k"]
        at = self.chance.choice(keys) + self.chance.choice([b"", b"x"])
        match self.chance.randrange(4):
            case 0:
                self.split(at)
            case 1:
                self.merge(self.chance.choice(self.starts))
            case 2:
                self.scanners.clear()
            case _:
                pass

    # --- answers ------------------------------------------------------------------------------------------------

    def scan(self, request: Client_pb2.ScanRequest) -> tuple[Client_pb2.ScanResponse, bytes]:
        """One answer. Raises HBaseError."""
        self.asked += 1
        if request.HasField("scanner_id"):
            scanner = self.scanners.get(request.scanner_id)
            if scanner is None:
                raise UnknownScannerException(f"Unknown scanner '{request.scanner_id}'")
            assert request.next_call_seq == scanner.seq, "calls are counted"
            scanner.seq += 1
            number = request.scanner_id
        else:
            number, scanner = self._open(request)
        response = Client_pb2.ScanResponse(scanner_id=number, more_results=True)
        if self.chance.random() < 0.1:
            response.heartbeat_message = response.more_results_in_region = True
            return response, b""
        block = self._cut(request, scanner, response)
        if not response.more_results or not response.more_results_in_region:
            del self.scanners[number]
        return response, encode_cells(block)

    def _open(self, request: Client_pb2.ScanRequest) -> tuple[int, _Open]:
        regions = {self._made(index).name: self._made(index) for index in range(len(self.starts))}
        region = regions.get(request.region.value)
        if region is None:
            raise NotServingRegionException(f"{request.region.value!r} is not online")
        scan = request.scan
        keys = [key for key in sorted(self.rows, reverse=scan.reversed) if region.has(key)]

        def wanted(key: bytes) -> bool:
            low, high = (scan.stop_row, scan.start_row) if scan.reversed else (scan.start_row, scan.stop_row)
            with_low, with_high = scan.include_start_row, scan.include_stop_row
            if scan.reversed:
                with_low, with_high = with_high, with_low
            return (not low or key > low or (with_low and key == low)) and (
                not high or key < high or (with_high and key == high)
            )

        self.opened += 1
        made = _Open(region.name, [list(self.rows[key]) for key in keys if wanted(key)])
        self.scanners[self.opened] = made
        return self.opened, made

    def _cut(self, request: Client_pb2.ScanRequest, scanner: _Open, response: Client_pb2.ScanResponse) -> list[Cell]:
        block: list[Cell] = []
        left, rows_left = self.chance.randint(0, 6), request.limit_of_rows or 1 << 30
        batch = request.scan.batch_size or 1 << 30
        while scanner.rows and left and rows_left:
            row = scanner.rows[0]
            count = min(len(row), left, batch)
            block += row[:count]
            response.cells_per_result.append(count)
            response.partial_flag_per_result.append(count < len(row))
            left -= count
            del row[:count]
            if not row:
                del scanner.rows[0]
                rows_left -= 1
        response.more_results = bool(rows_left)
        response.more_results_in_region = bool(scanner.rows)
        return block


def read_all(
    scan: TableScan, table: ScriptedTable, *, faults_share: float = 0.0, steps_max: int = 3000
) -> list[object]:
    """Every row, as a client would come by them while things happen; a share of answers is lost, or is an error."""
    rows: list[object] = []
    chance = table.chance
    for _ in range(steps_max):
        if scan.done:
            return rows
        if scan.inside is None:
            key, is_before = scan.where
            scan.enter(table.region_before(key) if is_before else table.region(key))
        try:
            request = scan.request()
            if chance.random() < faults_share:
                table.change()
            response, block = table.scan(request)
            if chance.random() < faults_share:
                raise ScannerResetException("the answer was lost")
            rows += scan.take(response, block)
        except NotServingRegionException:
            scan.leave()
        except HBaseError:
            (scan.reopen if chance.random() < 0.5 else scan.leave)()
    raise AssertionError("the scan does not come to an end")
