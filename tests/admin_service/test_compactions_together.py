"""Compactions that wait for each other: what regions of one store share, and whom a clean-up keeps waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from protos.hbase import Admin_pb2
from regionserver.admin_service import maintenance as module
from regionserver.admin_service.maintenance import PAUSE_SHARE, REGIONS_TOGETHER, Maintenance
from regionserver.engine.store import StoreNotUsable
from regionserver.hosting.hosted import Hosted
from regionserver.hosting.reserved import compacted_ms
from regionserver.region.cleaning import RegionCleaning
from registry.clock import SystemClock
from registry.wire.region_info import RegionInfo
from tests.hosting.desk import Desk, infos, open_desk, specifier
from tests.support.clock import ManualClock

MAJOR, NONE = Admin_pb2.GetRegionInfoResponse.MAJOR, Admin_pb2.GetRegionInfoResponse.NONE
WAIT_S = 20


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk]:
    async with open_desk(tmp_path) as made:
        yield made


def hosted_of(desk: Desk, info: RegionInfo) -> Hosted:
    return desk.regions.hosted_of(specifier(info))


async def ended(maintenance: Maintenance, *regions: RegionInfo) -> None:
    async with asyncio.timeout(WAIT_S):
        while any(maintenance.compaction_state(info.encoded_name) != NONE for info in regions):
            await asyncio.sleep(0.005)
    await maintenance.close()


def told(desk: Desk, regions: list[RegionInfo], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to which region, by its number; `c` is its clean-up, `f` its files."""
    done: list[str] = []
    store = desk.region(regions[0]).store
    clean, compact = RegionCleaning.slice, store.compact

    def cleaned(self: RegionCleaning, now_ms: int) -> bool:
        region = next(number for number, info in enumerate(regions) if desk.region(info) is self._region)  # pyright: ignore[reportPrivateUsage]
        done.append(f"c{region}")
        return clean(self, now_ms)

    def compacted(lower: bytes, upper: bytes) -> None:
        done.append(f"f{next(number for number, info in enumerate(regions) if info.start_key in lower)}")
        compact(lower, upper)

    monkeypatch.setattr(RegionCleaning, "slice", cleaned)
    monkeypatch.setattr(store, "compact", compacted)
    return done


@pytest.mark.parametrize(("bytes_max", "files"), [(module.TOGETHER_BYTES_MAX, ["f0"]), (-1, ["f0", "f1", "f2"])])
async def test_files_are_written_anew_when_nothing_of_the_store_is_dead(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, bytes_max: int, files: list[str]
):
    """Once, where the regions are small."""
    monkeypatch.setattr(module, "TOGETHER_BYTES_MAX", bytes_max)
    regions = infos(4)[1:]
    await desk.open(*regions)
    maintenance = Maintenance(desk.regions, SystemClock())
    done = told(desk, regions, monkeypatch)
    for info in regions:
        maintenance.compact(hosted_of(desk, info), major=True)
    while len(done) < 3:
        await asyncio.sleep(0)
    states = [maintenance.compaction_state(info.encoded_name) for info in regions]
    assert states == [MAJOR, MAJOR, MAJOR], "the space of the first is not given back yet"
    await ended(maintenance, *regions)
    assert done == ["c0", "c1", "c2", *files]
    assert all(compacted_ms(desk.region(info).store, info.encoded_name) > 0 for info in regions)


async def test_what_lies_between_two_regions_is_not_written_anew_with_them(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Whether it is a region that nobody compacts, or one of another server, of which nothing is here."""
    regions = infos(6)[1:]
    await desk.open(*regions)
    await desk.put(regions[1], regions[1].start_key, b"value")
    maintenance = Maintenance(desk.regions, SystemClock())
    done = told(desk, regions, monkeypatch)
    asked = [regions[0], regions[2], regions[4]]
    for info in asked:
        maintenance.compact(hosted_of(desk, info), major=True)
    await ended(maintenance, *asked)
    assert done == ["c0", "c2", "c4", "f0", "f2"]


async def test_not_all_of_a_large_table_wait_for_its_end(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "TOGETHER_BYTES_MAX", -1)
    regions = infos(REGIONS_TOGETHER + 3)[1:]
    await desk.open(*regions)
    maintenance = Maintenance(desk.regions, SystemClock())
    done = told(desk, regions, monkeypatch)
    for info in regions:
        maintenance.compact(hosted_of(desk, info), major=True)
    await ended(maintenance, *regions)
    first, last = range(REGIONS_TOGETHER), range(REGIONS_TOGETHER, REGIONS_TOGETHER + 2)
    assert done == [f"{what}{number}" for group in (first, last) for what in "cf" for number in group]


async def test_one_whose_files_cannot_be_written_keeps_no_other_from_it(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Not those that its files were to be written anew with, either."""
    regions = infos(4)[1:]
    await desk.open(*regions)
    maintenance = Maintenance(desk.regions, SystemClock())
    store = desk.region(regions[0]).store
    compact = store.compact

    def compacted(lower: bytes, upper: bytes) -> None:
        if regions[0].start_key in lower:
            raise StoreNotUsable("a file is damaged")
        compact(lower, upper)

    monkeypatch.setattr(store, "compact", compacted)
    for info in regions:
        maintenance.compact(hosted_of(desk, info), major=True)
    await ended(maintenance, *regions)
    assert [compacted_ms(store, info.encoded_name) > 0 for info in regions] == [False, True, True]


@pytest.mark.parametrize(("others_ms", "pauses_s"), [(0.0, 0.0), (0.1, 0.0), (0.5, 3 * 4 * PAUSE_SHARE / 1000)])
async def test_a_clean_up_waits_for_calls_where_there_are_any(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, others_ms: float, pauses_s: float
):
    """`others_ms`: what calls take that have come during a slice of four milliseconds."""
    [_, info] = infos(2)
    await desk.open(info)
    clock = ManualClock()
    slices = iter((True, True, True, False))

    def called() -> None:
        clock.advance(others_ms)

    def cleaned(_self: RegionCleaning, _now_ms: int) -> bool:
        clock.advance(4.0)
        asyncio.get_running_loop().call_soon(called)
        return next(slices)

    slept: list[float] = []
    sleep: Callable[[float], asyncio.Future[None]] = asyncio.sleep  # type: ignore[assignment]

    class Asyncio:
        """What the module takes from asyncio, told what it sleeps."""

        def __getattr__(self, name: str) -> object:
            return getattr(asyncio, name)

        async def sleep(self, delay_s: float) -> None:
            slept.append(delay_s)
            await sleep(delay_s)

    monkeypatch.setattr(RegionCleaning, "slice", cleaned)
    monkeypatch.setattr(module, "asyncio", Asyncio())
    maintenance = Maintenance(desk.regions, clock)
    maintenance.compact(hosted_of(desk, info), major=True)
    await ended(maintenance, info)
    assert slept.count(0) == 3, "others have their turn behind each slice, whatever it took"
    assert sum(slept) == pytest.approx(pauses_s)  # pyright: ignore[reportUnknownMemberType]
