"""The master's orders done on real stores: what is served when, what clients hear meanwhile, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import pytest

from protos.hbase.RegionServerStatus_pb2 import RegionStateTransition, RemoteProcedureResult
from regionserver.hosting.stores import MEMORY
from regionserver.region.scan import ScanRange, ScanShape, open_scan
from registry.names import ServerName
from registry.wire.epoch import MasterEpoch
from registry.wire.errors import (
    DoNotRetryIOException,
    NotServingRegionException,
    RegionMovedException,
    RegionOpeningException,
    UnknownScannerException,
)
from registry.wire.region_info import META, RegionInfo
from tests.hosting.desk import LIFE, NOW_MS, Desk, infos, open_desk, schema, server

OPENED, FAILED_OPEN = RegionStateTransition.OPENED, RegionStateTransition.FAILED_OPEN
CLOSED = RegionStateTransition.CLOSED
(WHOLE,) = infos(1)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk]:
    async with open_desk(tmp_path) as made:
        yield made


async def test_a_region_is_served_once_the_master_has_it(desk: Desk):
    with pytest.raises(NotServingRegionException, match=r"is not online on host,1,1") as refused:
        desk.region(WHOLE)
    assert type(refused.value) is NotServingRegionException
    desk.orders.take(desk.open_message([WHOLE]))
    with pytest.raises(RegionOpeningException, match=r"Region t,,1700000000000\.[0-9a-f]{32}\. is opening on host,1,1"):
        desk.region(WHOLE)
    await desk.await_reports(1)
    with pytest.raises(RegionOpeningException):
        desk.region(WHOLE)
    (told,) = await desk.told()
    assert (told.transition_code, told.open_seq_num, list(told.proc_id)) == (OPENED, 2, [5])
    await desk.put(WHOLE, b"row", b"value")
    assert desk.rows(WHOLE, [b"row"]) == {b"row": b"value"}
    (hosted,) = desk.regions.online()
    assert (hosted.info, hosted.store_id, hosted.open_seq_num) == (WHOLE, desk.stores.home, 2)


async def test_a_closed_region_takes_its_scanners_along_and_tells_where_it_went(desk: Desk):
    await desk.open(WHOLE)
    await desk.put(WHOLE, b"row", b"value")
    region = desk.region(WHOLE)
    begin = partial(open_scan, region, ScanRange(), ScanShape({}), NOW_MS)
    scanner = desk.scanners.open(region.where.name, begin, region.store, 0.0)
    desk.orders.take(desk.close_message(WHOLE, destination=ServerName("there", 2, 3)))
    with pytest.raises(NotServingRegionException):
        desk.region(WHOLE)
    (told,) = await desk.told()
    assert (told.transition_code, list(told.proc_id)) == (CLOSED, [6])
    with pytest.raises(RegionMovedException, match=r"hostname=there port=2 startCode=3\. As of locationSeqNum=2"):
        desk.region(WHOLE)
    with pytest.raises((UnknownScannerException, NotServingRegionException)):
        desk.scanners.begin(scanner.scanner_id, 0, 1.0)
    await desk.open(WHOLE)
    assert desk.rows(WHOLE, [b"row"]) == {b"row": b"value"}


async def test_writes_that_were_given_are_done_before_it_is_closed(desk: Desk):
    await desk.open(WHOLE)
    puts = [asyncio.create_task(desk.put(WHOLE, b"%d" % number, b"v")) for number in range(20)]
    await asyncio.sleep(0)  # they are in the batch of this turn
    desk.orders.take(desk.close_message(WHOLE))
    await desk.told()
    assert all(put.done() and put.exception() is None for put in puts)


async def test_thousands_of_regions(desk: Desk):
    regions = infos(3000)
    desk.orders.take(desk.open_message(regions))
    turns = 0
    async with asyncio.timeout(20):
        while len(desk.reports) < len(regions):
            await asyncio.sleep(0)
            turns += 1
    await desk.told(len(regions))
    assert len(desk.regions) == len(regions)
    assert desk.orders.regions_in_transition_count == 0
    assert turns > 3, "others have their turns"


async def test_what_cannot_be_opened_is_told(desk: Desk):
    desk.orders.take(desk.open_message([WHOLE], "nowhere"))
    (told,) = await desk.told()
    assert (told.transition_code, told.open_seq_num) == (FAILED_OPEN, 0)
    desk.orders.take(desk.open_message([WHOLE], table=schema(DURABILITY="EVER")))
    (told,) = await desk.told()
    assert told.transition_code == FAILED_OPEN
    desk.orders.take(desk.open_message([WHOLE], hand_over="h1"))
    (told,) = await desk.told()
    assert told.transition_code == FAILED_OPEN
    with pytest.raises(NotServingRegionException) as refused:
        desk.region(WHOLE)
    assert type(refused.value) is NotServingRegionException


async def test_a_deposed_master_and_another_life_of_the_server(desk: Desk):
    desk.orders.take(desk.open_message([WHOLE], epoch=8))
    await desk.told()
    with pytest.raises(DoNotRetryIOException, match="Master with epoch 7 was deposed: epoch 8 is known here"):
        desk.orders.take(desk.open_message([WHOLE], epoch=7))
    with pytest.raises(DoNotRetryIOException, match="epoch 7"):
        desk.orders.check_epoch(MasterEpoch(7))
    desk.orders.check_epoch(MasterEpoch(9))
    assert desk.orders.epoch == MasterEpoch(9)
    message = desk.open_message([WHOLE], epoch=10)
    message.open_region[0].serverStartCode = 77
    with pytest.raises(DoNotRetryIOException, match="different server with startcode: 77, this server is: host,1,1"):
        desk.orders.take(message)
    assert desk.orders.epoch == MasterEpoch(9), "what is refused has changed nothing"


async def test_orders_that_are_wrong_do_nothing(desk: Desk):
    both = infos(2)
    message = desk.open_message(both)
    del message.place[1]
    with pytest.raises(DoNotRetryIOException, match="does not say in which store"):
        desk.orders.take(message)
    message = desk.open_message(both)
    message.place[1].schema = 1
    with pytest.raises(DoNotRetryIOException, match="names descriptor 1 of 1"):
        desk.orders.take(message)
    message = desk.open_message(both)
    message.place[1].life = (1 << 64) - 1
    with pytest.raises(DoNotRetryIOException, match="is no life"):
        desk.orders.take(message)
    for name in ("../h1", "", "a" * 300, "a/b", ".h"):
        with pytest.raises(DoNotRetryIOException, match="is no name of a hand-over"):
            desk.orders.take(desk.close_message(WHOLE, name or "\0"))
    await asyncio.sleep(0.01)
    assert not desk.reports
    assert desk.orders.regions_in_transition_count == 0


async def test_an_order_that_comes_again(desk: Desk):
    for _ in range(2):
        desk.orders.take(desk.open_message([WHOLE]))
    await desk.told()
    desk.orders.take(desk.open_message([WHOLE], seq_num=9))
    (told,) = await desk.told()
    assert (told.transition_code, told.open_seq_num) == (OPENED, 9)
    for _ in range(2):
        desk.orders.take(desk.close_message(WHOLE))
    (told,) = await desk.told()
    assert told.transition_code == CLOSED
    desk.orders.take(desk.close_message(WHOLE))
    (told,) = await desk.told()
    assert told.transition_code == CLOSED
    assert RegionInfo.from_message(told.region_info[0]).encoded_name == WHOLE.encoded_name


async def test_an_opening_that_the_master_refuses_was_never_served(desk: Desk):
    desk.orders.take(desk.open_message([WHOLE]))
    await desk.await_reports(1)
    desk.reports.refused(desk.reports.pending()[0].number)
    async with asyncio.timeout(20):
        while desk.orders.regions_in_transition_count:
            await asyncio.sleep(0.001)
    assert not desk.reports
    with pytest.raises(NotServingRegionException):
        desk.region(WHOLE)


async def test_another_descriptor(desk: Desk):
    await desk.open(WHOLE)
    desk.orders.take(desk.open_message([WHOLE], table=schema(READONLY="true")))
    await desk.told()
    assert desk.region(WHOLE).rules.read_only
    with pytest.raises(DoNotRetryIOException, match="read only"):
        await desk.put(WHOLE, b"row", b"value")


async def test_meta_has_its_own_order_of_rows(desk: Desk):
    await desk.open(META)
    await desk.put(META, b"t,a,1", b"1")
    region = desk.region(META)
    assert region.row_key(b"t,,1") < region.row_key(b"t,\x01,1") < region.row_key(b"t\x01,,1")


async def test_ranges_are_dropped_when_nobody_has_them(desk: Desk):
    await desk.open(WHOLE)
    await desk.put(WHOLE, b"row", b"value")
    desk.orders.take(desk.drop_message(WHOLE, desk.stores.home))
    result = await desk.result()
    assert result.status == RemoteProcedureResult.ERROR
    assert "is open in store" in result.error.generic_exception.message
    desk.orders.take(desk.close_message(WHOLE))
    await desk.told()
    desk.orders.take(desk.drop_message(WHOLE, desk.stores.home, "h9"))
    assert (await desk.result()).status == RemoteProcedureResult.SUCCESS, "it never left by this: nothing is a leftover"
    store = desk.stores.get(desk.stores.home)
    assert store is not None
    life = LIFE.to_bytes(8, "big")
    assert list(store.scan(life, life + b"\xff"))
    desk.orders.take(desk.drop_message(WHOLE, desk.stores.home))
    assert (await desk.result()).status == RemoteProcedureResult.SUCCESS
    assert not list(store.scan(life, life + b"\xff"))
    desk.orders.take(desk.drop_message(WHOLE, "nowhere"))
    assert "is not open on" in (await desk.result()).error.generic_exception.message


async def test_procedures_that_are_not_known(desk: Desk):
    message = desk.drop_message(WHOLE, desk.stores.home)
    message.proc[0].proc_class = "org.apache.hadoop.hbase.regionserver.SplitWALCallable"
    desk.orders.take(message)
    assert "has no procedure org.apache" in (await desk.result()).error.generic_exception.message
    message = desk.drop_message(WHOLE, desk.stores.home)
    message.proc[0].proc_data = b"\xff"
    desk.orders.take(message)
    assert "cannot be read" in (await desk.result()).error.generic_exception.message


async def test_no_hand_over_without_a_directory():
    desk = server(None, engine=MEMORY)
    await desk.open(WHOLE)
    desk.orders.take(desk.close_message(WHOLE, "h1"))
    (told,) = await desk.told()
    assert told.transition_code == CLOSED
    desk.orders.take(desk.open_message([WHOLE], hand_over="h1"))
    (told,) = await desk.told()
    assert told.transition_code == FAILED_OPEN


async def test_the_end_of_the_server(desk: Desk):
    await desk.open(*infos(3))
    desk.orders.take(desk.open_message([RegionInfo("u", b"", b"", 1)]))
    await desk.orders.close_all()
    assert not desk.reports
    assert not len(desk.regions)


async def test_where_hbase_meta_is_is_written_before_its_opening_is_told(desk: Desk):
    def told_of_meta() -> tuple[int, int] | None:
        (store,) = desk.stores.reached()
        return (store.meta_epoch, store.meta_open_seq_num) if store.HasField("meta_epoch") else None

    desk.orders.take(desk.open_message([WHOLE]))
    await desk.told()
    assert told_of_meta() is None
    desk.orders.take(desk.open_message([META], seq_num=3))
    await desk.await_reports(1)
    assert told_of_meta() == (99, 3), "nobody has acknowledged it yet"
    await desk.told()
    desk.orders.take(desk.close_message(META))
    await desk.told()
    desk.orders.take(desk.open_message([META], seq_num=4))
    await desk.told()
    assert told_of_meta() == (99, 4)
    desk.orders.take(desk.close_message(META))
    await desk.told()
    assert told_of_meta() == (99, 4), "its rows are here still"
    desk.orders.take(desk.drop_message(META, desk.stores.home))
    assert (await desk.result()).status == RemoteProcedureResult.SUCCESS
    assert told_of_meta() is None
