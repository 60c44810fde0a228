"""Open scanners: their ids, leases and call numbers; pure, time is a parameter.

A client that knows call numbers counts its calls for a scanner from 0, so that an answer that got lost is never taken
for the next one: a call with another number than the expected is refused, and the scanner stays. A scanner lives as
long as its lease, which each call renews. One that was closed, because nothing was left or its client was done, is
remembered for a while: its client may still close it, or ask once more, and gets an empty answer instead of an error.

Source: RSRpcServices#scan, #checkScanNextCallSeq, #closeScanner; ScannerIdGenerator.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from regionserver.client_service.ahead import HELD_BYTES_MAX, PAGE_BYTES_MAX, Ahead, Room
from regionserver.client_service.moments import Moments
from regionserver.client_service.results import RESULT_BYTES_MAX
from regionserver.engine.store import Snapshot, Store
from regionserver.region.filtered_scan import FilteredScan
from regionserver.region.scan import PageLimits, RegionScan
from regionserver.region.visible import NO_LIMIT
from registry.wire.errors import (
    NotServingRegionException,
    OutOfOrderScannerNextException,
    RegionTooBusyException,
    UnknownScannerException,
)

if TYPE_CHECKING:
    from regionserver.client_service.scans import Paging
    from registry.rpc.services import Call

LEASE_MS = 60_000.0
"""hbase.client.scanner.timeout.period."""
SCANNERS_MAX = 10_000
"""Open at once: each keeps a moment of its store, which cannot forget what has changed since."""
CLOSED_MAX = 10_000
"""Closed ones that are remembered."""


@dataclass(slots=True, eq=False)
class Scanner:
    """One that is open."""

    scanner_id: int
    region: str
    """Its name."""
    scan: RegionScan | FilteredScan
    expires_ms: float
    read_point: int
    """What its client may open another scan with, to read the same moment."""
    next_call_seq: int = 0
    """The number of the call that comes next."""
    busy: bool = False
    """A call is under way; its lease does not run."""
    bytes_max: int = NO_LIMIT
    """Of one answer."""
    needs_cursor: bool = False
    """Its client wants to hear how far it has come."""
    is_batched: bool = False
    """Rows are told in so many cells at a time."""
    is_within_row: bool = False
    """Cells are left of the row that its client was told last."""
    ahead: Ahead | None = None
    """What was read and nobody has asked for yet."""
    watched: Callable[[Call, Paging], None] | None = None
    """Who answers its calls, where observers see what it has read before its client does."""


class Scanners:
    """Those of one server. Belongs to its loop."""

    def __init__(
        self,
        generation: int,
        *,
        lease_ms: float = LEASE_MS,
        scanners_max: int = SCANNERS_MAX,
        result_bytes_max: int = RESULT_BYTES_MAX,
        ahead_bytes_max: int = HELD_BYTES_MAX,
    ) -> None:
        """`generation`: 32 bits that another life of this server does not have, so that no id comes twice.

        `result_bytes_max`: of one answer, where its client allows more. `ahead_bytes_max`: read before it is asked for.
        """
        self._first_id = (generation & 0x7FFF_FFFF) << 32
        self._numbers = count(1)
        self.lease_ms = lease_ms
        self.result_bytes_max = result_bytes_max
        self._scanners_max = scanners_max
        self._open: OrderedDict[int, Scanner] = OrderedDict()
        """In the order in which their leases end, but for those that are busy."""
        self._closed: OrderedDict[int, tuple[int | str, float]] = OrderedDict()
        """Call number that came next, or the region that took it along; and until when it is remembered."""
        self._moments = Moments()
        self.room_ahead = Room(ahead_bytes_max)
        """For what is read before it is asked for."""
        self.expired_count = 0
        """Scanners whose clients came too late, or never."""

    def __len__(self) -> int:
        """Open ones."""
        return len(self._open)

    def is_open(self, scanner: Scanner) -> bool:
        """Whether nobody has closed it: its region may go while a call is under way."""
        return self._open.get(scanner.scanner_id) is scanner

    def region_of(self, scanner_id: int) -> str:
        """The name of the region that an open scanner reads; empty where there is no such scanner."""
        scanner = self._open.get(scanner_id)
        return scanner.region if scanner is not None else ""

    def check_room(self) -> None:
        """Raise RegionTooBusyException where no more may be opened."""
        if len(self._open) >= self._scanners_max:
            raise RegionTooBusyException(f"{self._scanners_max} scanners are open on this server already")

    def open(
        self,
        region: str,
        begin: Callable[[Snapshot], RegionScan | FilteredScan],
        store: Store,
        now_ms: float,
        read_point: int = 0,
    ) -> Scanner:
        """Keep a scan for its client's next call: `begin` makes it of the moment that it is to read.

        `read_point`: where the client has read before; heeded while that moment is known. Raises what `begin` does.
        """
        scanner_id = self._first_id | next(self._numbers)
        moment = self._moments.join(read_point, region) if read_point else None
        if moment is None:
            read_point = scanner_id
            moment = self._moments.begin(read_point, region, store.snapshot())
        try:
            scan = begin(moment)
        except BaseException:
            moment.close()
            self._moments.ended(read_point, None)
            raise
        scanner = Scanner(scanner_id, region, scan, now_ms + self.lease_ms, read_point)
        self._open[scanner_id] = scanner
        return scanner

    def begin(self, scanner_id: int, call_seq: int | None, now_ms: float) -> Scanner | None:
        """A call for a scanner, which ends with `end`; None for one that is closed.

        Raises UnknownScannerException, OutOfOrderScannerNextException; the scanner stays as it was then.
        """
        self.expire(now_ms)
        scanner = self._open.get(scanner_id)
        if scanner is None:
            self._check_closed(scanner_id, call_seq)
            return None
        if call_seq is not None:
            if call_seq != scanner.next_call_seq:
                raise OutOfOrderScannerNextException(
                    f"Expected nextCallSeq: {scanner.next_call_seq} But the nextCallSeq got from client: {call_seq}"
                )
            scanner.next_call_seq += 1
        scanner.busy = True
        return scanner

    def end(self, scanner: Scanner, now_ms: float) -> None:
        """The call is answered: the lease begins anew."""
        scanner.busy = False
        scanner.expires_ms = now_ms + self.lease_ms
        if scanner.scanner_id in self._open:
            self._open.move_to_end(scanner.scanner_id)

    def read_ahead(self, scanner: Scanner, limits: PageLimits) -> Ahead | None:
        """The next page of an open scanner that has none yet, to be read while nobody asks; None: there is no room."""
        bytes_max = min(limits.bytes_max, PAGE_BYTES_MAX)
        if scanner.ahead is None and self.is_open(scanner) and self.room_ahead.take(bytes_max):
            scanner.ahead = Ahead(scanner.scan, limits._replace(bytes_max=bytes_max), self.room_ahead)
            return scanner.ahead
        return None

    def close(self, scanner: Scanner, now_ms: float, *, by_error: bool = False) -> None:
        """Close one; it is remembered, unless it ended by an error that its client was told of."""
        if self._open.pop(scanner.scanner_id, None) is None:
            return
        self._end_scan(scanner, now_ms)
        if not by_error:
            self._remember(scanner, scanner.next_call_seq, now_ms)

    def close_region(self, region: str, now_ms: float) -> int:
        """A region goes away, and its scanners with it; how many there were. Their clients hear where to look."""
        mine = [scanner for scanner in self._open.values() if scanner.region == region]
        for scanner in mine:
            del self._open[scanner.scanner_id]
            _close_scan(scanner)
            self._remember(scanner, region, now_ms)
        self._moments.close_region(region)
        return len(mine)

    def expire(self, now_ms: float) -> None:
        """Close those whose clients have not come back."""
        late: list[Scanner] = []
        for scanner in self._open.values():
            if scanner.expires_ms > now_ms and not scanner.busy:
                break
            if not scanner.busy:
                late.append(scanner)
        for scanner in late:
            self.expired_count += 1
            del self._open[scanner.scanner_id]
            self._end_scan(scanner, now_ms)
        self._moments.expire(now_ms)
        while self._closed and next(iter(self._closed.values()))[1] <= now_ms:
            self._closed.popitem(last=False)

    def _end_scan(self, scanner: Scanner, now_ms: float) -> None:
        _close_scan(scanner)
        self._moments.ended(scanner.read_point, now_ms + self.lease_ms if scanner.is_within_row else None)

    def _remember(self, scanner: Scanner, what: int | str, now_ms: float) -> None:
        self._closed[scanner.scanner_id] = (what, now_ms + self.lease_ms)
        if len(self._closed) > CLOSED_MAX:
            self._closed.popitem(last=False)

    def _check_closed(self, scanner_id: int, call_seq: int | None) -> None:
        known = self._closed.get(scanner_id)
        if known is None:
            raise UnknownScannerException(
                f"Unknown scanner '{scanner_id}': it was never opened here, its client was away for longer than"
                f" {self.lease_ms:.0f} ms (hbase.client.scanner.timeout.period), or its region was closed"
            )
        if isinstance(known[0], str):
            raise NotServingRegionException(f"{known[0]} is not online")
        # A real server wants one more than the number that it expected; clients that are done send none.
        if call_seq is not None and call_seq != known[0] + 1:
            raise OutOfOrderScannerNextException(f"Expected nextCallSeq for closed request: {known[0] + 1}")


def _close_scan(scanner: Scanner) -> None:
    ahead, scanner.ahead = scanner.ahead, None
    if ahead is not None:
        ahead.drop()
    scanner.scan.close()
