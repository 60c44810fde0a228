"""Flushes and compactions that somebody asked for, beside the calls of clients.

A flush writes what is only in the log of a region's store into its files; all regions of that store have it. A
compaction drops a region's dead cells, in slices of the loop, and then gives back their space, in a thread. Compactions
wait for one another in a queue, as HBase's do.

Source: HRegionServer#getCompactSplitThread, CompactSplit; hbase.regionserver.compaction.enabled.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from protos.hbase import Admin_pb2
from regionserver.engine.store import Store, StoreError
from regionserver.hosting.committing import all_before
from regionserver.hosting.hosted import Hosted, HostedRegions
from regionserver.region.cleaning import RegionCleaning
from regionserver.region.scan import ScanRange, key_range
from registry.clock import Clock

CompactionState = Admin_pb2.GetRegionInfoResponse.CompactionState
NONE, MINOR, MAJOR, MAJOR_AND_MINOR = (
    Admin_pb2.GetRegionInfoResponse.NONE,
    Admin_pb2.GetRegionInfoResponse.MINOR,
    Admin_pb2.GetRegionInfoResponse.MAJOR,
    Admin_pb2.GetRegionInfoResponse.MAJOR_AND_MINOR,
)
PAUSE_SHARE = 1.0
"""Between two slices of a clean-up the loop is left to calls for as long as the last slice took."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Flushing:
    """Of one store: what runs, and what begins when it has ended, for all who have come meanwhile."""

    running: asyncio.Task[None]
    following: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class _Compaction:
    hosted: Hosted
    major: bool


@dataclass(slots=True)
class Done:
    """When a region's store was flushed, and a region compacted, in ms since 1970; 0: not since the server's start."""

    flushed_ms: dict[str, int] = field(default_factory=dict[str, int])
    """By store."""
    compacted_ms: dict[str, int] = field(default_factory=dict[str, int])
    """By encoded name."""


class Maintenance:
    """Of one server. Belongs to its loop."""

    def __init__(self, regions: HostedRegions, clock: Clock) -> None:
        self._regions = regions
        self._clock = clock
        self._flushing: dict[str, _Flushing] = {}
        self._queue: list[_Compaction] = []
        self._running: _Compaction | None = None
        self._worker: asyncio.Task[None] | None = None
        self.compactions_enabled = True
        self.done = Done()

    @property
    def compactions_waiting_count(self) -> int:
        """In the queue, without the one that runs."""
        return len(self._queue)

    def compaction_state(self, encoded_name: str) -> CompactionState:
        """What runs or waits for a region."""
        both = [*self._queue, *([self._running] if self._running is not None else [])]
        kinds = {each.major for each in both if each.hosted.info.encoded_name == encoded_name}
        if kinds == {True, False}:
            return MAJOR_AND_MINOR
        return NONE if not kinds else MAJOR if True in kinds else MINOR

    # --- flushes ----------------------------------------------------------------------------------------------------

    async def flush(self, store_id: str, store: Store) -> None:
        """Flush a store; everything committed before the call is in its files afterwards. Raises StoreError."""
        loop = asyncio.get_running_loop()
        under_way = self._flushing.get(store_id)
        if under_way is None:
            under_way = self._flushing[store_id] = _Flushing(loop.create_task(self._flush(store_id, store, None)))
            await asyncio.shield(under_way.running)
            return
        if under_way.following is None:  # the one that runs may have missed what came since
            under_way.following = loop.create_task(self._flush(store_id, store, under_way.running))
        await asyncio.shield(under_way.following)

    async def _flush(self, store_id: str, store: Store, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        now_ms = int(self._clock.wall_ms())
        try:
            await all_before(store)
            await asyncio.to_thread(store.flush)
            self.done.flushed_ms[store_id] = now_ms
        finally:
            following = self._flushing[store_id].following
            if following is None or following is asyncio.current_task():
                del self._flushing[store_id]
            else:
                self._flushing[store_id] = _Flushing(following)

    # --- compactions ------------------------------------------------------------------------------------------------

    def compact(self, hosted: Hosted, *, major: bool) -> None:
        """Compact a region when those before it are done; one that waits for the same is not asked for twice."""
        if not self.compactions_enabled:
            _log.info("compaction of %s is ignored: compactions are switched off", hosted.info)
            return
        if not any(each.hosted is hosted and each.major == major for each in self._queue):
            self._queue.append(_Compaction(hosted, major))
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    def clear_queue(self) -> None:
        """Forget what waits."""
        self._queue.clear()

    async def close(self) -> None:
        """Wait for what runs, and begin nothing more."""
        self._queue.clear()
        self.compactions_enabled = False
        tasks = [each for flushing in self._flushing.values() for each in (flushing.running, flushing.following)]
        running = [task for task in (self._worker, *tasks) if task is not None]
        if running:
            await asyncio.wait(running)

    async def _work(self) -> None:
        try:
            while self._queue:
                self._running = self._queue.pop(0)
                try:
                    await self._compact(self._running.hosted)
                except StoreError as error:
                    _log.warning("compaction of %s ended: %s", self._running.hosted.info, error)
        finally:
            self._running = self._worker = None

    async def _compact(self, hosted: Hosted) -> None:
        region, name = hosted.region, hosted.info.encoded_name
        cleaning = RegionCleaning(region)
        now_ms = int(self._clock.wall_ms())
        while self._may_go_on(hosted):
            began_ms = self._clock.monotonic_ms()
            if not cleaning.slice(int(self._clock.wall_ms())):
                break
            took_ms = self._clock.monotonic_ms() - began_ms
            await asyncio.sleep(took_ms * PAUSE_SHARE / 1000)
        if not self._may_go_on(hosted):
            return
        lower, upper = key_range(ScanRange(), region.where, region.prefix, region.order)
        await asyncio.to_thread(region.store.compact, lower, upper)
        self.done.compacted_ms[name] = now_ms
        _log.info(
            "%s is compacted: %d records read, %d cells dropped",
            hosted.info,
            cleaning.records_read_count,
            cleaning.cells_dropped_count,
        )

    def _may_go_on(self, hosted: Hosted) -> bool:
        """A region that was closed is another server's to change."""
        return self.compactions_enabled and self._regions.get(hosted.info.encoded_name) is hosted
