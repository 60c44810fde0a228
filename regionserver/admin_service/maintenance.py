"""Flushes and compactions, asked for or due, beside the calls of clients.

A flush writes what is only in the log of a region's store into its files; all regions of that store have it, and of
those in which everything has expired nothing is written. A compaction drops a region's dead cells, in slices of the
loop, and then gives back their space, in a thread. Compactions wait for one another in a queue, as HBase's do. Those of
one store give back space when all of them have dropped what is dead, for its newest files have cells of every region:
they are written anew once then, with nothing dead in them. Each region has one every hbase.hregion.majorcompaction,
sooner or later by up to half of that, so that not all come at once; the store remembers when, whoever serves it.

Source: HRegionServer#getCompactSplitThread, CompactSplit; SortedCompactionPolicy#getNextMajorCompactTime.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from protos.hbase import Admin_pb2
from regionserver.engine.store import Batch, Durability, Store, StoreError
from regionserver.hosting.committing import all_before, commit
from regionserver.hosting.hosted import Hosted, HostedRegions
from regionserver.hosting.reserved import compacted_ms, note_compacted
from regionserver.region.cleaning import RegionCleaning, clear_expired
from regionserver.region.scan import ScanRange, key_range
from registry.clock import Clock

CompactionState = Admin_pb2.GetRegionInfoResponse.CompactionState
NONE, MINOR, MAJOR, MAJOR_AND_MINOR = (
    Admin_pb2.GetRegionInfoResponse.NONE,
    Admin_pb2.GetRegionInfoResponse.MINOR,
    Admin_pb2.GetRegionInfoResponse.MAJOR,
    Admin_pb2.GetRegionInfoResponse.MAJOR_AND_MINOR,
)
CHECK_S = 60.0
"""How often it is looked which regions are due."""
JITTER = 0.5
"""hbase.hregion.majorcompaction.jitter."""
PAUSE_SHARE = 0.25
"""Between two slices of a clean-up the loop is left to calls for this share of what the last slice took, and for all
that has come by then: the more calls there are, the less of the loop a clean-up has."""
IDLE_SHARE = 0.05
"""Where all that had come took less than this share, nobody is kept waiting, and the next slice begins at once."""
REGIONS_TOGETHER = 16
"""Of one store: the space of the first is not given back before dead cells of so many are gone."""
TOGETHER_BYTES_MAX = 64 << 20
"""In files, of regions whose space is given back at once; whoever wants to end that waits for all of it."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Flushing:
    """Of one store: what runs, and what begins when it has ended, for all who have come meanwhile."""

    running: asyncio.Task[None]
    following: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Cleaned:
    """A region whose space is to be given back."""

    name: tuple[str, bool]
    hosted: Hosted
    cleaning: RegionCleaning
    began_ms: int
    """Since 1970."""
    lower: bytes
    upper: bytes
    """Of its keys."""

    @property
    def store(self) -> Store:
        """Where they are."""
        return self.hosted.region.store


class Maintenance:
    """Of one server. Belongs to its loop."""

    def __init__(self, regions: HostedRegions, clock: Clock) -> None:
        self._regions = regions
        self._clock = clock
        self._flushing: dict[str, _Flushing] = {}
        self._queue: dict[tuple[str, bool], Hosted] = {}
        """What waits, by encoded name and whether it is a major one, in the order in which it came."""
        self._running: set[tuple[str, bool]] = set()
        self._worker: asyncio.Task[None] | None = None
        self.compactions_enabled = True
        self.flushed_ms: dict[str, int] = {}
        """By store: since when nothing is in the log alone, in ms since 1970; none: not since the server's start."""

    @property
    def compactions_waiting_count(self) -> int:
        """In the queue, without those that run."""
        return len(self._queue)

    def compaction_state(self, encoded_name: str) -> CompactionState:
        """What runs or waits for a region."""
        is_major, is_minor = ((encoded_name, major) in self._queue or (encoded_name, major) in self._running
                              for major in (True, False))  # fmt: skip
        if is_major:
            return MAJOR_AND_MINOR if is_minor else MAJOR
        return MINOR if is_minor else NONE

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
            for hosted in self._regions.online():
                if hosted.store_id == store_id and self.compactions_enabled and hosted.region.rules.is_compacted:
                    clear_expired(hosted.region, now_ms)
            await all_before(store)
            await asyncio.to_thread(store.flush)
            self.flushed_ms[store_id] = now_ms
        finally:
            following = self._flushing[store_id].following
            if following is None or following is asyncio.current_task():
                del self._flushing[store_id]
            else:
                self._flushing[store_id] = _Flushing(following)

    # --- compactions ------------------------------------------------------------------------------------------------

    def compact(self, hosted: Hosted, *, major: bool) -> None:
        """Compact a region when those before it are done; one that waits for the same is not asked for twice.

        A table that says COMPACTION_ENABLED => false has none, whoever asks.
        """
        if not self.compactions_enabled:
            _log.info("compaction of %s is ignored: compactions are switched off", hosted.info)
            return
        if not hosted.region.rules.is_compacted:
            return
        self._queue[hosted.info.encoded_name, major] = hosted
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    def compact_due(self, period_ms: float) -> None:
        """Compact what was not compacted for so long; 0: nothing ever is due."""
        if period_ms <= 0 or not self.compactions_enabled:
            return
        now_ms = self._clock.wall_ms()
        for hosted in self._regions.online():
            name = hosted.info.encoded_name
            chance = int(name[:8].rjust(1, "0"), 16) / (1 << 32)  # of its own, and always the same
            last_ms = compacted_ms(hosted.region.store, name) or hosted.info.region_id  # it was made then
            if now_ms - last_ms > period_ms * (1 - JITTER + 2 * JITTER * chance):
                self.compact(hosted, major=True)

    async def run(self, period_ms: Callable[[], float]) -> None:
        """Look what is due, for ever."""
        while True:
            await asyncio.sleep(CHECK_S)
            self.compact_due(period_ms())

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
                await self._compact_together(next(iter(self._queue.values())).store_id)
        finally:
            self._worker = None

    async def _compact_together(self, store_id: str) -> None:
        """Regions of one store, those that come meanwhile too."""
        cleaned: list[_Cleaned] = []
        try:
            while len(self._running) < REGIONS_TOGETHER and (name := self._first_of(store_id)) is not None:
                hosted = self._queue.pop(name)
                self._running.add(name)
                region = hosted.region
                keys = key_range(ScanRange(), region.where, region.prefix, region.order)
                each = _Cleaned(name, hosted, RegionCleaning(region), int(self._clock.wall_ms()), *keys)
                with _told(hosted):
                    await self._clean(hosted, each.cleaning)
                    cleaned.append(each)
            for group in _side_by_side(cleaned):
                await self._give_back(group)
                self._running.difference_update([each.name for each in group])
        finally:
            self._running.clear()

    def _first_of(self, store_id: str) -> tuple[str, bool] | None:
        return next((name for name, hosted in self._queue.items() if hosted.store_id == store_id), None)

    async def _clean(self, hosted: Hosted, cleaning: RegionCleaning) -> None:
        while self._may_go_on(hosted):
            began_ms = self._clock.monotonic_ms()
            if not cleaning.slice(int(self._clock.wall_ms())):
                break
            ended_ms = self._clock.monotonic_ms()
            await asyncio.sleep(0)
            took_ms = ended_ms - began_ms
            if self._clock.monotonic_ms() - ended_ms > took_ms * IDLE_SHARE:
                await asyncio.sleep(took_ms * PAUSE_SHARE / 1000)

    async def _give_back(self, group: Sequence[_Cleaned]) -> None:
        """Their space, at once; where that fails, of each by itself, so that one damaged file is one region's."""
        together = [each for each in group if self._may_go_on(each.hosted)]
        if len(together) > 1:
            try:
                await asyncio.to_thread(together[0].store.compact, together[0].lower, together[-1].upper)
            except StoreError:
                for each in together:
                    await self._give_back([each])
                return
        for each in together:
            with _told(each.hosted):
                if len(together) == 1:
                    await asyncio.to_thread(each.store.compact, each.lower, each.upper)
                await self._note(each)

    async def _note(self, cleaned: _Cleaned) -> None:
        hosted, region = cleaned.hosted, cleaned.hosted.region
        if self._may_go_on(hosted):
            noted = Batch()
            note_compacted(noted, hosted.info.encoded_name, cleaned.began_ms)
            await commit(region.store, noted, Durability.LATER)
        if cleaned.cleaning.cleared_whole:
            _log.info("%s is compacted: every cell had expired", hosted.info)
            return
        _log.info(
            "%s is compacted: %d records read, %d cells dropped",
            hosted.info,
            cleaned.cleaning.records_read_count,
            cleaned.cleaning.cells_dropped_count,
        )

    def _may_go_on(self, hosted: Hosted) -> bool:
        """A region that was closed is another server's to change."""
        return self.compactions_enabled and self._regions.get(hosted.info.encoded_name) is hosted


def _side_by_side(cleaned: Sequence[_Cleaned]) -> list[list[_Cleaned]]:
    """Small regions of one store between which nothing else lies: they share files, which are written anew once then.

    Regions of other servers may lie between them in their table.
    """
    groups: list[list[_Cleaned]] = []
    for each in sorted(cleaned, key=lambda each: each.lower):
        if groups and _belongs(groups[-1], each):
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _belongs(group: Sequence[_Cleaned], following: _Cleaned) -> bool:
    store, lower, upper = following.store, group[0].lower, following.upper
    try:
        nothing_between = next(store.scan(group[-1].upper, following.lower), None) is None
        return nothing_between and store.size_bytes(lower, upper) <= TOGETHER_BYTES_MAX
    except StoreError:
        return False


@contextlib.contextmanager
def _told(hosted: Hosted) -> Generator[None]:
    """What ends the compaction of one region is told, and others are compacted all the same."""
    try:
        yield
    except StoreError as error:
        _log.warning("compaction of %s ended: %s", hosted.info, error)
    except Exception:  # noqa: BLE001  such as a record of a newer version
        _log.exception("compaction of %s ended", hosted.info)
