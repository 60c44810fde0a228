"""A scan of one region: its requests, and what its answers mean. Pure.

    scan = row_scan(Scan(META_REGION, columns=((b"info", ()),)))
    while not scan.done:
        request = scan.request()                 # opens a scanner, or asks it for more
        rows = scan.take(response, cells)        # whole rows only
        # on an error that a new scanner mends: scan.reopen()
    request = scan.close()                       # None where the server has closed the scanner itself

The server keeps a scanner between two calls and counts them: after any error it is not known which calls it has seen,
so a failed scan is opened anew behind the last whole row. The cells of an unfinished row are dropped and read again,
and so a row is always of one moment, also when the new scanner sees a newer state; Java sends its old read point along
instead (mvcc_read_point), which keeps the cells it has.

Source: org.apache.hadoop.hbase.client.AsyncScanSingleRegionRpcRetryingCaller, RequestConverter#buildScanRequest;
ScanRequest and ScanResponse in Client.proto; RSRpcServices#scan for the meaning of the flags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from protos.hbase import Client_pb2, HBase_pb2
from registry.client.rows import Row, RowReader
from registry.wire.errors import ProtocolError

META_REGION = b"hbase:meta,,1"
"""The one region of hbase:meta, replica 0."""
INT32_MAX = 0x7FFF_FFFF


@dataclass(frozen=True, slots=True)
class Scan:
    """What to read of one region. Rows lie in [start_row, stop_row) unless told otherwise; empty is the region's end.

    The rows of hbase:meta are ordered by table, start key and id, not by their bytes.
    """

    region: bytes
    """Name of the region, such as META_REGION."""
    columns: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()
    """Families with qualifiers; a family without qualifiers is read whole, no family at all means all of them."""
    start_row: bytes = b""
    include_start_row: bool = True
    stop_row: bytes = b""
    include_stop_row: bool = False
    reversed: bool = False
    """From start_row (empty: the region's end) downwards."""
    rows_max: int = 0
    """Rows wanted; 0: all."""
    rows_per_call: int = INT32_MAX
    """Rows of one answer, whose length the server bounds besides."""
    answer_bytes_max: int = 2 << 20
    """hbase.client.scanner.max.result.size: where the server ends an answer, within a row if need be."""
    batch_cells: int = 0
    """Cells of a row in one piece; 0: as many as fit."""
    row_bytes_max: int = 64 << 20
    """A longer row ends the scan with an error: nobody may fill our memory with one row."""
    priority: int = 0
    """Of the calls; clients send SYSTEMTABLE_QOS for hbase:meta, which has handlers of its own at the server."""
    attributes: tuple[tuple[str, bytes], ...] = ()
    """Of the calls too, such as a master's epoch."""
    template: Client_pb2.Scan | None = None
    """What else the scan asks for, such as a filter; None: one version of each cell, and nothing besides."""


class KeyedRow(Protocol):
    """A row of whatever make."""

    @property
    def key(self) -> bytes:
        """Its key."""
        ...


R = TypeVar("R", bound=KeyedRow)


class Reader(Protocol[R]):
    """Makes rows of answers; keeps what is unfinished."""

    def take(self, response: Client_pb2.ScanResponse, block: bytes) -> tuple[list[R], bool]:
        """What is whole by an answer, and whether the answer had anything. Raises ProtocolError."""
        ...

    def finish(self) -> list[R]:
        """What is unfinished is whole: nothing of it follows."""
        ...

    def drop(self) -> None:
        """Forget what is unfinished: it will be read again."""
        ...

    @property
    def given_in_part(self) -> bytes | None:
        """The last row that was given, where only a part of it was: another scanner begins with it, not behind it."""
        ...


class RegionScan(Generic[R]):
    """One scan over one region, over as many scanners as it takes."""

    def __init__(self, scan: Scan, reader: Reader[R]) -> None:
        """`reader` makes the rows."""
        self.scan = scan
        self.done = False
        """No row will follow."""
        self.ended = False
        """The server said that no row will follow in other regions either, as a filter may have it."""
        self.rows_given = 0
        self.heartbeats = 0
        """Answers that said nothing but that the server is at work."""
        self.reopened = 0
        self._scanner_id: int | None = None
        self._next_call_seq = 0
        self._reader = reader
        self._last_row = reader.given_in_part
        """The last row that was given; another scanner begins behind it, and a server that begins at it is not believed
        that this is another row. A part of it may have come from another region, of which this one is the heir."""
        self._in_part = self._last_row is not None
        """Only a part of that row was given: another scanner begins with it."""

    def request(self) -> Client_pb2.ScanRequest:
        """What to send next: an opening, or a call for more. Each is to be sent once."""
        assert not self.done, "there is nothing left to ask for"
        request = Client_pb2.ScanRequest(
            number_of_rows=self.scan.rows_per_call,
            close_scanner=False,
            client_handles_partials=True,
            client_handles_heartbeats=True,
            track_scan_metrics=False,
        )
        if self._scanner_id is None:
            request.region.CopyFrom(_region(self.scan.region))
            request.scan.CopyFrom(self._scan_message())
        else:
            request.scanner_id = self._scanner_id
            request.next_call_seq = self._next_call_seq
            request.renew = False
            self._next_call_seq += 1
        if self.scan.rows_max:
            request.limit_of_rows = self.scan.rows_max - self.rows_given
        return request

    def take(self, response: Client_pb2.ScanResponse, block: bytes = b"") -> list[R]:
        """The rows that are whole by an answer; `done` may be true afterwards. Raises ProtocolError."""
        rows, any_found = self._reader.take(response, block)
        if self._scanner_id is None and response.HasField("scanner_id"):
            self._scanner_id = response.scanner_id
            self._next_call_seq = 0
        self.heartbeats += response.heartbeat_message
        if self._exhausted(response, any_found=any_found):
            rows += self._reader.finish()
            self._end()
        rows = self._within_limit(self._not_given_before(rows))
        if not self.done and self._scanner_id is None:
            raise ProtocolError("the server opened no scanner and says that there are more rows", kind="scan")
        return rows

    def reopen(self) -> Client_pb2.ScanRequest | None:
        """The next request opens another scanner, behind the last row given; the request that closes this one."""
        closing = self.close()
        self._reader.drop()
        self.reopened += 1
        if self._last_row is not None and self._last_row == self.scan.stop_row and not self._in_part:
            self.done = True
        return closing

    @property
    def position(self) -> tuple[bytes, bool]:
        """Where another scanner would begin, and whether with that row or behind it."""
        return self._start()

    def close(self) -> Client_pb2.ScanRequest | None:
        """The request that ends the scanner at the server; None where there is none. Its answer says nothing."""
        if self._scanner_id is None:
            return None
        scanner_id, self._scanner_id = self._scanner_id, None
        return Client_pb2.ScanRequest(number_of_rows=0, close_scanner=True, scanner_id=scanner_id)

    def _exhausted(self, response: Client_pb2.ScanResponse, *, any_found: bool) -> bool:
        """Whether the answer is the last; the server then has closed the scanner itself.

        Without the flags (as in the answer to a scanner that is closed already) an answer without rows is the last.
        """
        if response.HasField("more_results") and not response.more_results:
            self.ended = True
            return True
        if response.HasField("more_results_in_region"):
            return not response.more_results_in_region
        return not any_found and not response.heartbeat_message

    def _not_given_before(self, rows: list[R]) -> list[R]:
        """Without the row at which a server begins that does not know how to begin behind it."""
        if self._last_row is None or self._in_part:
            return rows
        first = 0
        while first < len(rows) and rows[first].key == self._last_row:
            first += 1
        return rows[first:] if first else rows

    def _within_limit(self, rows: list[R]) -> list[R]:
        """What of the rows may be given; beyond `rows_max` nothing is."""
        if self.scan.batch_cells:
            self._count_parts(rows, in_part=self._reader.given_in_part is not None)
        else:
            if self.scan.rows_max and self.rows_given + len(rows) >= self.scan.rows_max:
                rows = rows[: self.scan.rows_max - self.rows_given]
                self.done = True  # the scanner may still be open where a server does not know limit_of_rows
            self.rows_given += len(rows)
        if rows:
            self._last_row = rows[-1].key
        return rows

    def _count_parts(self, rows: list[R], *, in_part: bool) -> None:
        """Rows come in parts: those that have ended count, and the server keeps the limit."""
        keys = dict.fromkeys(row.key for row in rows)
        begun_before = self._in_part and self._last_row not in keys
        self.rows_given += len(keys) + begun_before - in_part
        self._in_part = in_part
        if self.scan.rows_max and self.rows_given >= self.scan.rows_max and not in_part:
            self.done = True

    def _end(self) -> None:
        self.done = True
        self._scanner_id = None

    def _scan_message(self) -> Client_pb2.Scan:
        scan = self.scan
        message = Client_pb2.Scan(max_versions=1, cache_blocks=True)
        if scan.template is not None:
            message.MergeFrom(scan.template)
        message.max_result_size = scan.answer_bytes_max
        message.include_stop_row = scan.include_stop_row
        for family, qualifiers in scan.columns:
            message.column.add(family=family, qualifier=qualifiers)
        start_row, include_start_row = self._start()
        if start_row:
            message.start_row = start_row
        if not include_start_row:
            message.include_start_row = False
        if scan.stop_row:
            message.stop_row = scan.stop_row
        if scan.reversed:
            message.reversed = True
        if scan.batch_cells:
            message.batch_size = scan.batch_cells
        return message

    def _start(self) -> tuple[bytes, bool]:
        """Where a new scanner begins: as asked for, later behind the last row given."""
        if self._last_row is None:
            return self.scan.start_row, self.scan.include_start_row
        return self._last_row, self._in_part


def row_scan(scan: Scan) -> RegionScan[Row]:
    """One whose rows are registry.client.rows.Row."""
    return RegionScan(scan, RowReader(scan.row_bytes_max))


def _region(name: bytes) -> HBase_pb2.RegionSpecifier:
    return HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=name)
