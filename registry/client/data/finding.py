"""Finds the regions of rows: by what is known, else in hbase:meta, for all who ask at once.

Source: AsyncNonMetaRegionLocator, AsyncRegionLocatorHelper#updateCachedLocationOnError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from registry.client.data.meta import at_or_before, before, from_key, region_of, state_name, table_state
from registry.client.data.region_map import Region, RegionMap
from registry.client.locate import RegistryLocator
from registry.client.rows import Row
from registry.client.scan import META_REGION, Scan
from registry.client.scanner import Scanner
from registry.clock import Clock
from registry.names import Address, ServerName
from registry.rpc.services import NORMAL_QOS, SYSTEMTABLE_QOS
from registry.wire.errors import (
    CallTimeoutException,
    ErrorAction,
    HBaseError,
    NoSuchColumnFamilyException,
    NotServingRegionException,
    ProtocolError,
    RegionMovedException,
    RegionServerStoppedException,
    TableNotEnabledException,
    TableNotFoundException,
)
from registry.wire.errors import ConnectException as NotConnected
from registry.wire.region_info import META_TABLE

PREFETCH_REGIONS_MAX = 10
"""hbase.client.locate.prefetch.limit: regions that one look-up brings."""


class TableRegions:
    """What is known of the regions of one table, and the look-ups under way."""

    __slots__ = ("known", "name", "priority", "turn")

    def __init__(self, name: str) -> None:
        self.name = name
        self.known = RegionMap()
        self.priority = NORMAL_QOS if name != META_TABLE else SYSTEMTABLE_QOS
        """Of calls: servers keep handlers for hbase:meta."""
        self.turn = asyncio.Lock()
        """One look-up at a time: who waits for it mostly finds its region in what the one before has brought."""


class RegionFinder:
    """Belongs to one loop."""

    def __init__(self, meta: RegistryLocator, scanner: Scanner, clock: Clock) -> None:
        self._meta = meta
        self._scanner = scanner
        self._clock = clock
        self._tables: dict[str, TableRegions] = {}
        self._under_way: set[asyncio.Task[Region]] = set()
        self.lookups = 0
        """Scans of hbase:meta that were made."""

    def table(self, name: str) -> TableRegions:
        """What is known of a table; the same for all who ask."""
        found = self._tables.get(name)
        if found is None:
            found = self._tables[name] = TableRegions(name)
        return found

    async def locate(self, table: TableRegions, row: bytes, timeout_ms: float, *, ahead: bool = False) -> Region:
        """The region of a row; with `ahead`, a start key, those behind it become known too.

        Raises TableNotFoundException, NotServingRegionException where it is on no server, and what keeps
        hbase:meta from being read.
        """
        find = table.known.find
        if (known := find(row)) is not None:
            return known
        scans = [at_or_before(table.name, row, PREFETCH_REGIONS_MAX)]
        if ahead:
            scans.insert(0, from_key(table.name, row, PREFETCH_REGIONS_MAX))
        return await self._in_turn(table, lambda: find(row), scans, timeout_ms, row)

    async def locate_before(self, table: TableRegions, key: bytes, timeout_ms: float) -> Region:
        """The region of the last row before `key`, of the table's last where that is empty. Raises as `locate`."""
        find = table.known.find_before
        if (known := find(key)) is not None:
            return known
        scans = [before(table.name, key, PREFETCH_REGIONS_MAX)]
        return await self._in_turn(table, lambda: find(key), scans, timeout_ms, key)

    async def read_all(self, table: TableRegions, timeout_ms: float) -> list[Region]:
        """All regions of the table as hbase:meta has them now, in order. Raises TableNotFoundException."""
        if table.name == META_TABLE:
            return [await self._meta_region(table)]
        rows = await self._read(from_key(table.name, b"", 0), timeout_ms)
        if not rows:
            raise TableNotFoundException(table.name)
        return _regions(table, rows)

    async def state(self, table: str, timeout_ms: float) -> str:
        """Of hbase:meta: ENABLED, DISABLED, ENABLING, DISABLING; empty where it has none, as always in 1.x."""
        try:
            rows = await self._scanner.read_all(table_state(table), timeout_ms=timeout_ms)
        except NoSuchColumnFamilyException:
            return ""
        return state_name(rows[0]) if rows else ""

    async def check_enabled(self, table: TableRegions, timeout_ms: float) -> None:
        """Raises TableNotEnabledException where the table is disabled: its regions will not come."""
        if table.name != META_TABLE and await self.state(table.name, timeout_ms) == "DISABLED":
            raise TableNotEnabledException(table.name)

    # --- after errors -------------------------------------------------------------------------------------------

    def refused(self, table: TableRegions, region: Region, error: HBaseError) -> None:
        """An error came where the region was thought to be: forget that, as far as the error says."""
        if isinstance(error, RegionMovedException) and table.name != META_TABLE:
            if table.known.remove(region):
                table.known.add(region.moved(error.server_name, error.location_seq_num))
        elif isinstance(error, NotConnected | RegionServerStoppedException):
            self.server_gone(region.address)
        elif error.action in (ErrorAction.RELOCATE, ErrorAction.RECONNECT):
            table.known.remove(region)
            if table.name == META_TABLE:
                self._meta.refused(region.address)

    def server_gone(self, address: Address) -> None:
        """Nothing is thought to be on it any more."""
        self._meta.refused(address)
        for table in self._tables.values():
            table.known.remove_server(address)

    def forget(self, name: str | None = None) -> None:
        """Forget a table's regions, or all."""
        for table in self._tables.values():
            if name is None or table.name == name:
                table.known.clear()

    async def close(self) -> None:
        """End the look-ups under way."""
        for task in tuple(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._scanner.close()

    # --- hbase:meta ---------------------------------------------------------------------------------------------

    async def _in_turn(
        self,
        table: TableRegions,
        known: Callable[[], Region | None],
        scans: list[Scan],
        timeout_ms: float,
        row: bytes,
    ) -> Region:
        """Look in hbase:meta, unless the look-up before has brought it. Goes on for others where one gives up."""
        task = asyncio.create_task(self._look_up(table, known, scans, timeout_ms, row), name="locate region")
        self._under_way.add(task)
        task.add_done_callback(self._looked_up)
        try:
            done, _ = await asyncio.wait((task,), timeout=timeout_ms / 1000)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            raise CallTimeoutException(f"the region of {row[:64]!r} in {table.name} was not found in time")
        return task.result()

    def _looked_up(self, task: asyncio.Task[Region]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # taken, where nobody waits for it any more

    async def _look_up(
        self,
        table: TableRegions,
        known: Callable[[], Region | None],
        scans: list[Scan],
        timeout_ms: float,
        row: bytes,
    ) -> Region:
        if table.name == META_TABLE:
            return await self._meta_region(table)
        rows: list[Row] = []
        async with table.turn:
            for scan in scans:
                if (region := known()) is not None:
                    return region
                rows = await self._read(scan, timeout_ms)
                for each in reversed(_regions(table, rows)):
                    if each.server is not None:
                        table.known.add(each)
        if (region := known()) is not None:
            return region
        if not rows:
            raise TableNotFoundException(table.name)
        raise NotServingRegionException(f"the region of {row[:64]!r} in {table.name} is on no server")

    async def _read(self, scan: Scan, timeout_ms: float) -> list[Row]:
        self.lookups += 1
        return await self._scanner.read_all(scan, timeout_ms=timeout_ms)

    async def _meta_region(self, table: TableRegions) -> Region:
        address = await self._meta.locate()
        region = Region(META_REGION, b"", b"", ServerName(address.host, address.port))
        table.known.add(region)
        return region


def _regions(table: TableRegions, rows: list[Row]) -> list[Region]:
    """Without those that were split, and others that serve nothing. Raises NotServingRegionException."""
    try:
        return [region for row in rows if (region := region_of(table.name, row)) is not None]
    except ProtocolError as error:
        raise NotServingRegionException(f"hbase:meta cannot be read: {error}") from None
