"""What is done to regions, on their servers: flush, compact.

Source: org.apache.hadoop.hbase.client.RawAsyncHBaseAdmin#flush, #compact; AdminService.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from google.protobuf.message import Message

from protos.hbase import HBase_pb2
from registry.client.channels import Channels
from registry.client.data.attempts import Attempts
from registry.client.data.calls import Calls
from registry.client.data.region_map import Region
from registry.wire.errors import HBaseError, NotServingRegionException

AT_ONCE_PER_TABLE = 16
"""Regions of one table that servers are asked about at once."""


def by_name(region: bytes) -> HBase_pb2.RegionSpecifier:
    """A region by its whole name."""
    return HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=region)


def by_encoded_name(region: Region | str | bytes) -> HBase_pb2.RegionSpecifier:
    """A region by its encoded name, taken out of what is given: a Region, either name of it. Raises ValueError."""
    text = region.encoded_name if isinstance(region, Region) else region
    name = text.encode() if isinstance(text, str) else text
    if name.endswith(b".") and len(name) > 33:
        name = name[-33:-1]
    if not name:
        raise ValueError("the name of a region is empty")
    return HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.ENCODED_REGION_NAME, value=name)


class RegionCalls:
    """Calls of AdminService. Belongs to one loop."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._channels = Channels(calls.settings, "AdminService", remember_failed=True)

    async def of_table(
        self, table: str, method: str, request: Callable[[Region], Message], kind: type[Message], timeout_ms: float
    ) -> int:
        """Call the server of each region; how many that were. Regions that move meanwhile are followed."""
        calls = self._calls
        attempts = Attempts(f"{method} of {table}", calls.settings, calls.clock.monotonic_ms(), timeout_ms)
        done: set[bytes] = set()
        regions_of = calls.finder.table(table)
        while True:
            regions = await calls.finder.read_all(regions_of, calls.remaining_ms(attempts))
            left = [region for region in regions if region.name not in done]
            if not left:
                return len(done)
            turns = asyncio.Semaphore(AT_ONCE_PER_TABLE)
            outcomes = await asyncio.gather(
                *(self._one(each, method, request(each), kind, calls.remaining_ms(attempts), turns) for each in left)
            )
            done.update(each.name for each, error in zip(left, outcomes, strict=True) if error is None)
            errors = [error for error in outcomes if error is not None]
            if not errors:
                continue  # one more look: regions may have been made meanwhile
            await calls.recover(attempts, regions_of, None, errors[0])

    async def _one(
        self,
        region: Region,
        method: str,
        request: Message,
        kind: type[Message],
        timeout_ms: float,
        turns: asyncio.Semaphore,
    ) -> HBaseError | None:
        """The error, where there was one."""
        async with turns:
            try:
                await self._call(region, method, request, kind, timeout_ms)
            except HBaseError as error:
                return error
        return None

    async def _call(
        self, region: Region, method: str, request: Message, kind: type[Message], timeout_ms: float
    ) -> None:
        if region.server is None:
            raise NotServingRegionException(f"{region.encoded_name} is on no server")
        channel = await self._channels.get(region.address, connect_timeout_ms=timeout_ms)
        limit_ms = min(self._calls.settings.rpc_timeout_ms, timeout_ms)
        await channel.call(method, request, kind, timeout_ms=limit_ms)

    async def close(self) -> None:
        """End all."""
        await self._channels.close()
