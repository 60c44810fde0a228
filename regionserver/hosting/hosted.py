"""The regions that a server serves, found by name, and what is said of those that it does not.

Source: HRegionServer#getRegionByEncodedName, #addToMovedRegions; RSRpcServices#getRegion.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from protos.hbase import HBase_pb2
from regionserver.hosting.schema import Described
from regionserver.region.region import Region, RequestCounts
from registry.clock import Clock
from registry.names import ServerName
from registry.wire.errors import (
    NotServingRegionException,
    RegionMovedException,
    RegionOpeningException,
)
from registry.wire.preamble import string_binary
from registry.wire.region_info import META, META_ENCODED_NAME, RegionInfo

MOVED_MS = 2 * 60_000.0
"""For so long it is known where a region has gone. Source: HRegionServer.TIMEOUT_REGION_MOVED."""
MOVED_MAX = 100_000
ENCODED_BYTES = 32
REGION_NAME = HBase_pb2.RegionSpecifier.REGION_NAME
ENCODED_REGION_NAME = HBase_pb2.RegionSpecifier.ENCODED_REGION_NAME


@dataclass(slots=True, eq=False)
class Hosted:
    """One open region and what is known of it."""

    info: RegionInfo
    region: Region
    described: Described
    schema: HBase_pb2.TableSchema
    store_id: str
    open_seq_num: int
    opened_ms: float
    """Since 1970."""

    @property
    def read_requests_count(self) -> int:
        """Rows that were read here."""
        return self.region.counts.reads_count

    @property
    def write_requests_count(self) -> int:
        """Mutations that were done here."""
        return self.region.counts.writes_count


@dataclass(frozen=True, slots=True)
class _Moved:
    destination: ServerName
    seq_num: int
    until_ms: float


class HostedRegions:
    """Those of one server. Belongs to its loop."""

    def __init__(self, server: ServerName, clock: Clock) -> None:
        """`server`: this one, as messages name it; it may be set later."""
        self.server = server
        self._clock = clock
        self._left = RequestCounts()
        """Of regions that were here."""
        self._serving: dict[bytes, Region] = {}
        """By name and by encoded name: no text is both."""
        self._hosted: dict[str, Hosted] = {}
        self._opening: set[str] = set()
        self._moved: OrderedDict[str, _Moved] = OrderedDict()
        self.when_served: Callable[[Hosted], None] = _nothing
        """Called when a region is served, and when it is not any more."""
        self.when_withdrawn: Callable[[Hosted], None] = _nothing

    def __len__(self) -> int:
        """How many are served."""
        return len(self._hosted)

    def counts(self) -> RequestCounts:
        """What all regions were asked, also those that have left; it never goes back."""
        total = RequestCounts()
        total.add(self._left)
        for hosted in self._hosted.values():
            total.add(hosted.region.counts)
        return total

    # --- looking up -------------------------------------------------------------------------------------------------

    def region_of(self, spec: HBase_pb2.RegionSpecifier) -> Region:
        """The region that a request names.

        Raises NotServingRegionException, RegionMovedException, RegionOpeningException.
        """
        region = self._serving.get(spec.value)
        return region if region is not None else self._not_by_name(spec)

    def hosted_of(self, spec: HBase_pb2.RegionSpecifier) -> Hosted:
        """The same with all that is known of it."""
        encoded_name = encoded_name_of(spec.value)
        found = self._hosted.get(encoded_name)
        if found is None:
            raise self._missing(spec.value, encoded_name)
        return found

    def get(self, encoded_name: str) -> Hosted | None:
        """By encoded name."""
        return self._hosted.get(encoded_name)

    def online(self) -> Sequence[Hosted]:
        """All that are served, hbase:meta too."""
        return list(self._hosted.values())

    def being_opened(self) -> Sequence[str]:
        """Encoded names of regions that are on their way to be served."""
        return sorted(self._opening)

    def _not_by_name(self, spec: HBase_pb2.RegionSpecifier) -> Region:
        encoded_name = encoded_name_of(spec.value)
        found = self._hosted.get(encoded_name)  # by another name with the same encoded one, as HBase takes it
        if found is None:
            raise self._missing(spec.value, encoded_name)
        return found.region

    def _missing(self, name: bytes, encoded_name: str) -> NotServingRegionException:
        moved = self._moved.get(encoded_name)
        if moved is not None and self._clock.monotonic_ms() < moved.until_ms:
            return RegionMovedException(moved.destination, moved.seq_num)
        if encoded_name in self._opening:
            return RegionOpeningException(f"Region {string_binary(name)} is opening on {self.server}")
        return NotServingRegionException(f"{string_binary(name)} is not online on {self.server}")

    # --- changing ---------------------------------------------------------------------------------------------------

    def opening(self, encoded_name: str) -> None:
        """A region is being opened; nothing is served of it yet."""
        self._opening.add(encoded_name)
        self._moved.pop(encoded_name, None)

    def serve(self, hosted: Hosted) -> None:
        """From now on it is served."""
        encoded_name = hosted.info.encoded_name
        self._opening.discard(encoded_name)
        self._moved.pop(encoded_name, None)
        self._hosted[encoded_name] = hosted
        self._serving[hosted.info.name] = hosted.region
        self._serving[encoded_name.encode()] = hosted.region
        self.when_served(hosted)

    def withdraw(self, encoded_name: str) -> None:
        """It is not served any more, nor opened."""
        self._opening.discard(encoded_name)
        hosted = self._hosted.pop(encoded_name, None)
        if hosted is not None:
            self._left.add(hosted.region.counts)
            del self._serving[hosted.info.name]
            del self._serving[encoded_name.encode()]
            self.when_withdrawn(hosted)

    def moved(self, encoded_name: str, destination: ServerName, seq_num: int) -> None:
        """It was closed because it goes there. A move to this same address is not one for clients."""
        if destination.address == self.server.address:
            return
        now_ms = self._clock.monotonic_ms()
        self._moved.pop(encoded_name, None)
        self._moved[encoded_name] = _Moved(destination, seq_num, now_ms + MOVED_MS)
        while next(iter(self._moved.values())).until_ms <= now_ms or len(self._moved) > MOVED_MAX:
            self._moved.popitem(last=False)


def _nothing(hosted: Hosted) -> None:
    """Nobody wants to know."""


def encoded_name_of(name: bytes) -> str:
    """The encoded name within a region's name, or that name itself. Source: RegionInfo#encodeRegionName."""
    if name == META.name:
        return META_ENCODED_NAME
    if name.endswith(b".") and name[-ENCODED_BYTES - 2 : -ENCODED_BYTES - 1] == b".":
        name = name[-ENCODED_BYTES - 1 : -1]
    return name.decode("utf-8", "replace")


def by_table(hosted: Iterable[Hosted], table: str) -> Sequence[Hosted]:
    """Those of one table."""
    return [each for each in hosted if each.info.table == table]
