"""Where the regions of one table are, as far as is known: ordered by start key, never two for one row. Pure.

Source: org.apache.hadoop.hbase.client.AsyncNonMetaRegionLocator.TableCache, MetaCache, HRegionLocation.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property

from protos.hbase import Client_pb2, HBase_pb2
from registry.names import Address, ServerName


class Region:
    """One region and its server."""

    def __init__(
        self, name: bytes, start_key: bytes, end_key: bytes, server: ServerName | None, seq_num: int = -1
    ) -> None:
        self.name = name
        """The whole name, as the row of hbase:meta."""
        self.start_key = start_key
        self.end_key = end_key
        """Exclusive; empty: to the end of the table."""
        self.server = server
        """None while it is on no server."""
        self.seq_num = seq_num
        """Sequence number at its opening: the higher it is the newer is the place; -1 where it is not known."""

    @cached_property
    def address(self) -> Address:
        """Of its server, which it must have."""
        assert self.server is not None, "regions on no server are not kept"
        return self.server.address

    @cached_property
    def field(self) -> bytes:
        """How every request on it begins: field 1, its RegionSpecifier."""
        kind = HBase_pb2.RegionSpecifier.REGION_NAME
        region = HBase_pb2.RegionSpecifier(type=kind, value=self.name)
        return Client_pb2.GetRequest(region=region).SerializePartialToString()

    def has(self, row: bytes) -> bool:
        """Whether the row lies in it."""
        return self.start_key <= row and (not self.end_key or row < self.end_key)

    def moved(self, server: ServerName, seq_num: int) -> Region:
        """The same on another server."""
        return Region(self.name, self.start_key, self.end_key, server, seq_num)

    @property
    def encoded_name(self) -> str:
        """The short name in messages and logs."""
        return self.name[-33:-1].decode("ascii", "replace") if self.name.endswith(b".") else "1588230740"

    def __repr__(self) -> str:
        return f"<Region {self.name.decode('utf-8', 'backslashreplace')} on {self.server}>"


class RegionMap:
    """What is known of one table."""

    __slots__ = ("_regions", "_starts")

    def __init__(self) -> None:
        self._starts: list[bytes] = []
        self._regions: list[Region] = []

    def find(self, row: bytes) -> Region | None:
        """The region of the row."""
        index = bisect_right(self._starts, row) - 1
        if index < 0:
            return None
        region = self._regions[index]
        end_key = region.end_key
        return region if not end_key or row < end_key else None

    def find_before(self, key: bytes) -> Region | None:
        """The region of the last row before `key`; of the table's last row where `key` is empty."""
        index = bisect_left(self._starts, key) - 1 if key else len(self._regions) - 1
        if index < 0:
            return None
        region = self._regions[index]
        end_key = region.end_key
        return region if not end_key or (key and key <= end_key) else None

    def add(self, region: Region) -> None:
        """Know it, in place of all that overlap it; of one region the place with the higher number stays."""
        start = bisect_right(self._starts, region.start_key) - 1
        if start >= 0 and (known := self._regions[start]).name == region.name and known.seq_num > region.seq_num:
            return
        if start < 0 or not self._regions[start].has(region.start_key):
            start += 1
        stop = bisect_left(self._starts, region.end_key, start) if region.end_key else len(self._regions)
        self._starts[start:stop] = [region.start_key]
        self._regions[start:stop] = [region]

    def remove(self, region: Region) -> bool:
        """Forget exactly this; False where it is not known, or known otherwise by now."""
        index = bisect_left(self._starts, region.start_key)
        if index == len(self._regions) or self._regions[index] is not region:
            return False
        del self._starts[index], self._regions[index]
        return True

    def remove_server(self, address: Address) -> int:
        """Forget what is on that server; how many regions that were."""
        kept = [region for region in self._regions if region.address != address]
        count = len(self._regions) - len(kept)
        if count:
            self._regions = kept
            self._starts = [region.start_key for region in kept]
        return count

    def clear(self) -> None:
        """Forget all."""
        self._starts, self._regions = [], []

    def __iter__(self) -> Iterator[Region]:
        return iter(tuple(self._regions))

    def __len__(self) -> int:
        return len(self._regions)
