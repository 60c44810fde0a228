"""Moments that scans read at, by the read point that their clients are told; pure, time is a parameter.

A client whose scan broke off in the middle of a row opens it anew with the read point of the first, so that the rest of
the row is of the same moment. The scan that was lost may still be open then, or its lease is over: the moment of one
that ended within a row is kept for a while longer. A read point that is not known, of another server or of long ago, is
not heeded.

Source: ScanRequest.scan.mvcc_read_point and ScanResponse.mvcc_read_point in Client.proto; RegionScannerImpl.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from regionserver.engine.store import Snapshot

KEPT_MAX = 100
"""Moments of scans that have ended: each keeps its store from forgetting what has changed since."""


class Moments:
    """Those of one server. Belongs to its loop."""

    def __init__(self) -> None:
        """None yet."""
        self._known: dict[int, Moment] = {}
        self._kept: OrderedDict[int, float] = OrderedDict()
        """Read points that no scan needs any more, and until when they are kept."""

    def __len__(self) -> int:
        """Known ones."""
        return len(self._known)

    def begin(self, read_point: int, region: str, snapshot: Snapshot) -> SharedSnapshot:
        """A scan opens at a moment of its own; what it reads is closed by it."""
        moment = self._known[read_point] = Moment(region, snapshot)
        return SharedSnapshot(moment)

    def join(self, read_point: int, region: str) -> SharedSnapshot | None:
        """What another scan of this region reads at that read point."""
        moment = self._known.get(read_point)
        if moment is None or moment.region != region:
            return None
        self._kept.pop(read_point, None)
        return SharedSnapshot(moment)

    def ended(self, read_point: int, until_ms: float | None) -> None:
        """A scan is closed; with a time its moment is kept until then, where no other scan reads it."""
        moment = self._known.get(read_point)
        if moment is None or moment.readers_count:
            return
        if until_ms is None:
            self._forget(read_point)
            return
        self._kept[read_point] = until_ms
        self._kept.move_to_end(read_point)
        if len(self._kept) > KEPT_MAX:
            self._forget(next(iter(self._kept)))

    def close_region(self, region: str) -> None:
        """Nothing of a region is read here any more."""
        for read_point in [number for number, moment in self._known.items() if moment.region == region]:
            self._forget(read_point)

    def expire(self, now_ms: float) -> None:
        """Let go of those whose time is over."""
        while self._kept and next(iter(self._kept.values())) <= now_ms:
            self._forget(next(iter(self._kept)))

    def _forget(self, read_point: int) -> None:
        self._kept.pop(read_point, None)
        moment = self._known.pop(read_point)
        moment.snapshot.close()


class Moment:
    """A snapshot, and how many scans read it."""

    def __init__(self, region: str, snapshot: Snapshot) -> None:
        self.region = region
        self.snapshot = snapshot
        self.readers_count = 0


class SharedSnapshot:
    """One scan's part in a moment."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._is_open = True
        moment.readers_count += 1

    def get(self, key: bytes) -> bytes | None:
        """The value of a key then."""
        return self._moment.snapshot.get(key)

    def scan(
        self, lower: bytes, upper: bytes, *, reverse: bool = False, ahead_count: int = 1
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys of [lower, upper) with their values then."""
        return self._moment.snapshot.scan(lower, upper, reverse=reverse, ahead_count=ahead_count)

    def pairs(self, lower: bytes, upper: bytes, count_max: int) -> list[tuple[bytes, bytes]]:
        """The first of [lower, upper)."""
        return self._moment.snapshot.pairs(lower, upper, count_max)

    def values(self, lower: bytes, upper: bytes, count_max: int, behind: bytes | None = None) -> list[bytes]:
        """The values alone of those."""
        return self._moment.snapshot.values(lower, upper, count_max, behind)

    def close(self) -> None:
        """Let go of it; the moment stays until it is ended."""
        if self._is_open:
            self._is_open = False
            self._moment.readers_count -= 1
