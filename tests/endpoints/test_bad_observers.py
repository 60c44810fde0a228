"""Observers that raise, hang, spin and spoil: what that costs whom, behind a real socket."""

from __future__ import annotations

import asyncio

import pytest

from protos.hbase import Client_pb2
from regionserver.endpoints import threads
from regionserver.endpoints.observer import ObserverContext
from regionserver.endpoints.threads import RUNNING_MAX
from regionserver.engine.store import Batch, Committed, Durability
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.errors import (
    DoNotRetryIOException,
    NotServingRegionException,
    RegionTooBusyException,
)
from tests.endpoints.observed import (
    INCREMENT,
    Install,
    answered,
    checked,
    multi,
    one,
    scan_of,
    seen,
    settings,
    told_of,
)
from tests.endpoints.observers import HERE, BadOnes, Recorder
from tests.support.region_door import (
    META,
    TABLE,
    fill,
    get,
    mutate,
    open_scan,
    put,
    region_door,
    scan,
    spec,
    values,
)

QUICK = settings("BadOnes", timeout_ms=300)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (b"raise", r"coprocessor .*:BadOnes threw RuntimeError: whatever"),
        (b"exit", "threw SystemExit: 3"),
        (b"spin", r":BadOnes did not end within 300 ms"),
        (b"wait", "did not end within 300 ms"),
        (b"other row", "a cell of another row"),
        (b"text", "what is no cell"),
        (b"nonsense", "what is no cell"),
        (b"delete type", "a cell of type 8 in a put"),
        (b"no family", "nofamily does not exist"),
        (b"bad tags", "what is no cell"),
    ],
)
@pytest.mark.parametrize("way", ["put", "multi", "atomic"])
async def test_what_goes_wrong_is_its_callers_loss(row: bytes, text: str, way: str) -> None:
    async with region_door(endpoints=QUICK) as door, await door.connect() as channel, await door.connect() as other:
        wrong = multi(put(row), put(row, b"w") if way == "atomic" else put(b"before"), atomic=way == "atomic")
        asked = asyncio.ensure_future(mutate(channel, put(row)) if way == "put" else told_of(channel, wrong))
        await fill(other, 20)
        if way == "put":
            with pytest.raises(DoNotRetryIOException, match=text):
                await asked
        else:
            result = await asked
            assert isinstance(result, Client_pb2.RegionActionResult)
            raised = result.exception if way == "atomic" else result.resultOrException[0].exception
            assert raised.name.endswith(("DoNotRetryIOException", "NoSuchColumnFamilyException")), raised
        assert await values(channel, row) == []
        assert await values(other, b"row0003") == [b"v"]
        if row == b"spin":
            assert await asyncio.to_thread(BadOnes.interrupted.wait, 10), "Python code ends when its time is over"


async def test_what_was_done_stays_done_though_a_hook_fails_behind_it() -> None:
    async with region_door(endpoints=QUICK) as door, await door.connect() as channel:
        with pytest.raises(DoNotRetryIOException, match="too late"):
            await mutate(channel, put(b"behind"))
        assert await values(channel, b"behind") == [b"v"]
        with pytest.raises(DoNotRetryIOException, match="whatever"):
            await scan(channel, scan_of(start_row=b"behind"))
        assert not len(door.door.scanners), "what could not be told is closed"


@pytest.mark.parametrize("hook", ["post_batch_mutate", "post_increment", "post_check_and_mutate"])
@pytest.mark.parametrize("way", ["increment", "multi", "checked"])
async def test_what_was_done_is_not_done_again_though_a_hook_fails_behind_it(
    monkeypatch: pytest.MonkeyPatch, way: str, hook: str
) -> None:
    """By what it raises clients would ask again, here or elsewhere: the region has gone by then."""

    def behind(self: object, c: ObserverContext, *given: object) -> None:
        c.region.get(b"n")

    monkeypatch.setattr(BadOnes, hook, behind)
    async with region_door(endpoints=settings("BadOnes")) as door, await door.connect() as channel:
        request = one(INCREMENT, b"n", (5).to_bytes(8, "big"))
        request.nonce_group, request.mutation.nonce = 3, 4
        if way == "checked":
            request.condition.CopyFrom(checked(b"n", is_there=False).condition)
        atomic = multi(request, atomic=True)
        atomic.nonceGroup = 3
        gone = door.regions[TABLE]

        def committed(batch: Batch, durability: Durability, told: Committed) -> None:
            door.regions.pop(TABLE, None)
            told(None)

        plain = door.store.commit

        def commit(batch: Batch, durability: Durability, told: Committed) -> None:
            plain(batch, durability, lambda _: committed(batch, durability, told))

        door.store.commit = commit  # type: ignore[method-assign]
        fails = hook != "post_check_and_mutate" or way == "checked"
        if way == "multi":
            result = await told_of(channel, atomic)
            assert isinstance(result, Client_pb2.RegionActionResult)
            name = result.exception.name.rpartition(".")[2]
            assert name == ("DoNotRetryIOException" if fails else "")
        elif fails:
            with pytest.raises(DoNotRetryIOException, match=r"t1,,1\.aa\. is not online.*, and the change is made"):
                await mutate(channel, request)
        door.regions[TABLE] = gone
        door.store.commit = plain  # type: ignore[method-assign]
        monkeypatch.delattr(BadOnes, hook)
        request.ClearField("condition")
        await (told_of(channel, atomic) if way == "multi" else mutate(channel, request))
        assert await values(channel, b"n") == [(5).to_bytes(8, "big")]


async def test_a_class_that_hangs_is_refused_and_no_other(install: Install) -> None:
    """Calls that wait for one of its threads are refused once none of them is known to come back."""
    async with region_door(endpoints=settings("BadOnes", timeout_ms=600)) as door, await door.connect() as channel:
        door.schema = install("Recorder")
        await mutate(channel, put(b"good"))
        hung = [values(channel, b"hang") for _ in range(RUNNING_MAX + 5)]
        outcomes = await asyncio.gather(*hung, return_exceptions=True)
        assert [type(each) for each in outcomes] == [DoNotRetryIOException] * 8 + [RegionTooBusyException] * 5
        with pytest.raises(RegionTooBusyException, match=r"8 calls of .*BadOnes run here and do not end"):
            await mutate(channel, put(b"good"))
        assert door.door.endpoints.running(f"{HERE}:BadOnes") == RUNNING_MAX
        assert not door.door.endpoints.running("x.Recorder"), "it had come back"
        counts = door.door.endpoints.counts
        assert (counts.late_count, counts.refused_count) == (RUNNING_MAX, 6)
        BadOnes.may_end.set()
        async with asyncio.timeout(20):
            while door.door.endpoints.running(f"{HERE}:BadOnes"):
                await asyncio.sleep(0.01)
        assert await values(channel, b"good") == [b"v"]


async def test_calls_of_other_tables_go_on_while_hooks_hang_and_spin() -> None:
    async with region_door(endpoints=settings("BadOnes", timeout_ms=1000)) as door, await door.connect() as channel:
        row = put(b"r", region=META, family=b"info")
        async with await door.connect() as other:
            hung = [mutate(channel, put(each)) for each in (b"wait", b"wait too", b"spin", b"wait")]
            bad = asyncio.gather(*hung, return_exceptions=True)
            progress = 0
            while not bad.done():
                await mutate(other, row)
                await other.call_bytes("Get", get(b"r", region=META).SerializeToString())
                progress += 1
        assert progress > 10, f"{progress} puts and Gets in a second"
        assert [type(each) for each in await bad] == [
            DoNotRetryIOException,
            Client_pb2.MutateResponse,
            *[DoNotRetryIOException] * 2,
        ]


async def test_more_calls_than_threads_wait_for_one() -> None:
    BadOnes.slow_s = 0.02
    async with region_door(endpoints=settings("BadOnes")) as door, await door.connect() as channel:
        await fill(channel, 5 * RUNNING_MAX)
        assert not door.door.endpoints.counts.refused_count
        assert len((await scan(channel, open_scan()))[1]) == 5 * RUNNING_MAX


async def test_a_row_that_is_held_by_who_hangs_is_free_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = True

    def pre_batch_mutate(self: object, c: object, batch: object) -> None:
        if hangs:
            BadOnes.may_end.wait(30)

    monkeypatch.setattr(BadOnes, "pre_batch_mutate", pre_batch_mutate)
    async with region_door(endpoints=QUICK) as door, await door.connect() as channel:
        first = asyncio.ensure_future(mutate(channel, put(b"r", b"one")))
        while not door.door.endpoints.running(f"{HERE}:BadOnes"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        hangs = False
        await mutate(channel, put(b"other"))
        assert not first.done()
        await mutate(channel, put(b"r", b"two"))
        with pytest.raises(DoNotRetryIOException, match="did not end"):
            await first
        assert await values(channel, b"r") == [b"two"]


async def test_a_region_that_goes_while_a_hook_runs() -> None:
    async with region_door(endpoints=settings("BadOnes")) as door, await door.connect() as channel:
        asked = asyncio.ensure_future(mutate(channel, put(b"wait")))
        while not door.door.endpoints.running(f"{HERE}:BadOnes"):
            await asyncio.sleep(0.01)
        gone = door.regions.pop(TABLE)
        BadOnes.may_end.set()
        with pytest.raises(NotServingRegionException):
            await asked
        door.regions[TABLE] = gone
        assert await values(channel, b"wait") == []


@pytest.mark.parametrize("way", ["put", "multi"])
async def test_puts_of_a_region_that_goes_while_hooks_run_behind_them_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """To make them twice does no harm, and no client is to fail because a region moves."""
    async with region_door(endpoints=settings("BadOnes")) as door, await door.connect() as channel:
        gone = door.regions[TABLE]

        def behind(self: object, c: ObserverContext, put: object) -> None:
            door.regions.pop(TABLE, None)
            c.region.get(b"r")

        monkeypatch.setattr(BadOnes, "post_put", behind)
        if way == "put":
            with pytest.raises(NotServingRegionException):
                await mutate(channel, put(b"r"))
        else:
            (result,) = await answered(channel, multi(put(b"r")))
            assert result.exception.name.endswith("NotServingRegionException")
        door.regions[TABLE] = gone
        monkeypatch.delattr(BadOnes, "post_put")
        assert await values(channel, b"r") == [b"v"]


@pytest.mark.parametrize(("name", "text"), [("Unmakeable", "no such luck"), ("NOT_THERE", "cannot be loaded here")])
async def test_what_cannot_be_asked_is_not_passed_by(name: str, text: str) -> None:
    async with region_door(endpoints=settings(name)) as door, await door.connect() as channel:
        for _ in range(2):
            with pytest.raises(DoNotRetryIOException, match=text):
                await mutate(channel, put(b"r"))
            with pytest.raises(DoNotRetryIOException, match=text):
                await scan(channel, open_scan())
        result = await told_of(channel, multi(put(b"r")))
        assert text.encode() in result.exception.value


async def test_many_regions_that_come_at_once_are_all_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as a server has; more than may wait for a thread."""
    monkeypatch.setattr(threads, "WAITING_MAX", 1)
    async with region_door(endpoints=settings("Recorder")) as door:
        names = [b"t1,%03d,1.aa." % number for number in range(5 * RUNNING_MAX)]
        for name in names:
            door.regions[name] = Region(
                RegionRange("t1", name.decode()), {b"f": FamilyRules()}, door.store, b"prefix00"
            )
            door.door.observers.opened(spec(name), door.regions[name])
        async with asyncio.timeout(20):
            while len(Recorder.calls) < len(names):
                await asyncio.sleep(0.01)
        assert sorted(seen()) == [f"post_open {name.decode()}" for name in names]


async def test_hooks_of_a_region_that_comes_and_goes() -> None:
    async with region_door(endpoints=settings("Recorder")) as door:
        region, where = door.regions[TABLE], spec()
        door.door.observers.opened(where, region)
        while not Recorder.calls:
            await asyncio.sleep(0.01)
        assert seen() == ["post_open t1,,1.aa."]
        door.door.observers.closed(region)
        door.door.observers.closed(region)
        while not Recorder.calls:
            await asyncio.sleep(0.01)
        assert seen() == ["post_close t1,,1.aa."]
