"""ClientService behind a real socket: cells by codec and version, what the lease decides, masters among clients."""

from __future__ import annotations

import asyncio

import pytest

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.results import CellForm
from regionserver.door import cell_form
from regionserver.master_calls import EPOCH_QUALIFIER, EPOCH_ROW, HIDDEN_FAMILY
from regionserver.region.region import Region
from regionserver.region.visible import Wanted
from registry.wire.cellblock import Cell, KeyType, decode_cells, encode_cells
from registry.wire.epoch import EPOCH_ATTRIBUTE
from registry.wire.errors import (
    DoNotRetryIOException,
    HBaseError,
    NoSuchColumnFamilyException,
    NotServingRegionException,
    RegionServerAbortedException,
    RegionServerStoppedException,
    RegionTooBusyException,
    ServerNotRunningYetException,
    UnknownProtocolException,
)
from registry.wire.header import KEY_VALUE_CODEC, KEY_VALUE_CODEC_WITH_TAGS, ConnectionInfo
from tests.support.region_door import (
    LEASE_MS,
    META,
    NAME,
    TABLE,
    RegionDoor,
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
from tests.support.rpc import eventually


def epoch(number: int) -> dict[str, bytes]:
    return {EPOCH_ATTRIBUTE: number.to_bytes(8, "big")}


# --- cells on the wire ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "version", "of_get", "of_others"),
    [
        ("", (2, 6), CellForm.INLINE, CellForm.INLINE),
        (KEY_VALUE_CODEC, (2, 6), CellForm.BLOCK, CellForm.BLOCK),
        (KEY_VALUE_CODEC, (1, 3), CellForm.BLOCK, CellForm.BLOCK),
        (KEY_VALUE_CODEC, (1, 2), CellForm.INLINE, CellForm.BLOCK),
        (KEY_VALUE_CODEC, (0, 0), CellForm.INLINE, CellForm.BLOCK),
        (KEY_VALUE_CODEC_WITH_TAGS, (2, 6), CellForm.BLOCK_WITH_TAGS, CellForm.BLOCK_WITH_TAGS),
    ],
)
def test_the_form_of_cells(codec: str, version: tuple[int, int], of_get: CellForm, of_others: CellForm) -> None:
    info = ConnectionInfo("ClientService", cell_block_codec=codec, version_major=version[0], version_minor=version[1])
    assert cell_form(info, of_get=True) is of_get
    assert cell_form(info) is of_others


async def test_a_row_is_put_and_read_in_every_form() -> None:
    async with region_door() as door:
        for number, (codec, version) in enumerate([(KEY_VALUE_CODEC, "2.6.4"), (KEY_VALUE_CODEC, ""), ("", "2.6.4")]):
            row = b"r%d" % number
            async with await door.connect(codec=codec, version=version) as channel:
                assert (await mutate(channel, put(row))).processed
                answer = await channel.call_bytes("Get", get(row).SerializeToString())
                assert bool(answer.cells) is (bool(codec) and bool(version))
                assert await values(channel, row) == [b"v"]


async def test_cells_of_a_request_come_in_its_block() -> None:
    async with region_door() as door, await door.connect() as channel:
        request = Client_pb2.MultiRequest()
        action = request.regionAction.add(region=spec())
        for number in range(3):
            action.action.add(index=number).mutation.MergeFrom(
                Client_pb2.MutationProto(
                    row=b"r%d" % number, mutate_type=Client_pb2.MutationProto.PUT, associated_cell_count=1
                )
            )
        action.action.add(index=3).get.row = b"r1"
        block = encode_cells(
            [Cell(b"r%d" % number, b"f", b"q", 5, KeyType.PUT, b"v%d" % number) for number in range(3)]
        )
        answer = await channel.call_bytes("Multi", request.SerializeToString(), cells=block)
        results = Client_pb2.MultiResponse.FromString(answer.message).regionActionResult[0].resultOrException
        assert [each.index for each in results] == [0, 1, 2, 3]
        assert [cell.value for cell in decode_cells(answer.cells)] == [b"v1"]
        assert await values(channel, b"r2") == [b"v2"]


async def test_regions_that_are_not_here_and_families_that_are_not() -> None:
    async with region_door() as door, await door.connect() as channel:
        elsewhere = put(b"r", region=b"t2,,1.bb.")
        with pytest.raises(NotServingRegionException, match=r"t2,,1.bb. is not online on rs1"):
            await mutate(channel, elsewhere)
        with pytest.raises(NotServingRegionException):
            await channel.call("Get", get(b"r", region=b"t2,,1.bb."), Client_pb2.GetResponse)
        with pytest.raises(NoSuchColumnFamilyException):
            await mutate(channel, put(b"r", family=b"x"))
        door.store.is_busy = True
        with pytest.raises(RegionTooBusyException):
            await mutate(channel, put(b"r"))


async def test_a_store_that_is_closed_is_an_error_of_the_call() -> None:
    async with region_door() as door, await door.connect() as channel:
        door.store.close()
        for method, request in (
            ("Get", get(b"r")),
            ("Mutate", put(b"r")),
            ("Scan", Client_pb2.ScanRequest(region=spec(), scan=Client_pb2.Scan())),
        ):
            with pytest.raises(HBaseError, match="closed"):
                await channel.call_bytes(method, request.SerializeToString())


# --- the gate ---------------------------------------------------------------------------------------------------------


async def test_before_registration_and_after_the_end() -> None:
    async with region_door(is_open=False) as door, await door.connect() as channel:
        for method in ("Get", "Mutate", "Multi", "Scan"):
            request = {"Get": get(b"r"), "Mutate": put(b"r")}.get(method, Client_pb2.MultiRequest())
            with pytest.raises(ServerNotRunningYetException, match="Server is not running yet"):
                await channel.call_bytes(method, request.SerializeToString())
        door.open()
        assert (await mutate(channel, put(b"r"))).processed
        door.gate.stop()
        with pytest.raises(RegionServerStoppedException, match=f"Server {NAME} stopping"):
            await channel.call_bytes("Get", get(b"r").SerializeToString())
        door.gate.abort()
        with pytest.raises(RegionServerAbortedException, match=f"Server {NAME} aborting"):
            await channel.call_bytes("Get", get(b"r").SerializeToString())


async def test_nothing_is_answered_when_the_lease_is_over() -> None:
    async with region_door() as door, await door.connect() as channel:
        assert (await mutate(channel, put(b"r"))).processed
        door.clock.advance(LEASE_MS)
        for request, method in ((get(b"r"), "Get"), (put(b"s"), "Mutate")):
            with pytest.raises(RegionServerStoppedException):
                await channel.call_bytes(method, request.SerializeToString())
        door.lease.answered(door.clock.monotonic_ms())
        assert await values(channel, b"s") == []


async def test_a_read_counts_only_where_the_lease_outlives_it() -> None:
    """As where the process was stopped in the middle of it."""
    async with region_door() as door, await door.connect() as channel:
        await fill(channel, 3)
        reading, region_of = door.regions[TABLE], door.region_of

        def region_of_slowly(name: HBase_pb2.RegionSpecifier) -> Region:
            door.clock.advance(LEASE_MS + 1)
            return region_of(name)

        door.region_of = region_of_slowly  # type: ignore[method-assign]
        assert reading.get(b"row0001", {}, 0).cells_count
        for method, request in (("Get", get(b"row0001")), ("Scan", open_scan())):
            door.lease.answered(door.clock.monotonic_ms())
            with pytest.raises(RegionServerStoppedException):
                await channel.call_bytes(method, request.SerializeToString())


async def test_a_change_is_acknowledged_only_where_the_lease_outlives_its_commit() -> None:
    async with region_door() as door, await door.connect() as channel:
        door.store.is_slow = True
        calls = [asyncio.create_task(mutate(channel, put(b"r%d" % number))) for number in range(3)]
        await eventually(lambda: len(door.store.ends) == 3)
        door.clock.advance(LEASE_MS + 1)
        door.store.end_all()
        for call in calls:
            with pytest.raises(RegionServerStoppedException):
                await call


async def test_a_change_that_has_begun_is_acknowledged_while_the_server_stops() -> None:
    async with region_door() as door, await door.connect() as channel:
        door.store.is_slow = True
        call = asyncio.create_task(mutate(channel, put(b"r")))
        await eventually(lambda: len(door.store.ends) == 1)
        door.gate.stop()
        door.store.end_all()
        assert (await call).processed


async def test_a_change_is_not_acknowledged_by_a_server_that_aborts() -> None:
    async with region_door() as door, await door.connect() as channel:
        door.store.is_slow = True
        call = asyncio.create_task(mutate(channel, put(b"r")))
        await eventually(lambda: len(door.store.ends) == 1)
        door.gate.abort()
        door.store.end_all()
        with pytest.raises(RegionServerAbortedException):
            await call


# --- masters among clients --------------------------------------------------------------------------------------------


async def test_clients_do_not_see_the_hidden_family() -> None:
    async with region_door() as door, await door.connect() as channel:
        hidden = put(b"t1,,1.aa.", b"store", region=META, family=HIDDEN_FAMILY)
        with pytest.raises(NoSuchColumnFamilyException):
            await mutate(channel, hidden)
        assert (await mutate(channel, hidden, attributes=epoch(5))).processed
        assert (await mutate(channel, put(b"t1,,1.aa.", b"OPEN", region=META, family=b"info"))).processed
        as_client = await channel.call_bytes("Get", get(b"t1,,1.aa.", region=META).SerializeToString())
        as_master = await channel.call_bytes(
            "Get", get(b"t1,,1.aa.", region=META).SerializeToString(), attributes=epoch(5)
        )
        assert [cell.value for cell in decode_cells(as_client.cells)] == [b"OPEN"]
        assert sorted(cell.value for cell in decode_cells(as_master.cells)) == [b"OPEN", b"store"]
        request = Client_pb2.ScanRequest(region=spec(META), scan=Client_pb2.Scan(), number_of_rows=9)
        _, rows = await scan(channel, request)
        assert rows == [b"t1,,1.aa."], "neither the row of the epoch nor the family"


async def test_a_deposed_master_is_refused_by_the_region_that_holds_meta() -> None:
    async with region_door() as door, await door.connect() as channel:
        row = put(b"t1,,1.aa.", region=META, family=b"info")
        assert (await mutate(channel, row, attributes=epoch(5))).processed
        await channel.call_bytes("Get", get(b"x", region=META).SerializeToString(), attributes=epoch(7))
        with pytest.raises(DoNotRetryIOException, match=r"epoch 6 .* epoch 7"):
            await mutate(channel, row, attributes=epoch(6))
        # Another server, that has heard of no master, has the region opened with what it keeps.
        async with region_door() as other, await other.connect() as channel_of_other:
            other.regions = door.regions
            with pytest.raises(DoNotRetryIOException, match=r"epoch 6 .* epoch 7"):
                await mutate(channel_of_other, row, attributes=epoch(6))
            assert (await mutate(channel_of_other, row, attributes=epoch(8))).processed
        kept = door.regions[META].get(EPOCH_ROW, {HIDDEN_FAMILY: Wanted((EPOCH_QUALIFIER,))}, 0)
        assert [int.from_bytes(cell.value, "big") for cell in decode_cells(kept.block, with_tags=True)] == [8]
        with pytest.raises(DoNotRetryIOException, match="8"):
            await mutate(channel, row, attributes={EPOCH_ATTRIBUTE: b"\0\1"})


async def test_a_new_epoch_is_kept_before_its_master_is_answered() -> None:
    async with region_door() as door, await door.connect() as channel:
        door.store.is_slow = True
        get_ = asyncio.create_task(
            channel.call_bytes("Get", get(b"x", region=META).SerializeToString(), attributes=epoch(7))
        )
        await eventually(lambda: len(door.store.ends) == 1)
        await asyncio.sleep(0.02)
        assert not get_.done()
        door.store.end_all()
        await get_
        put_ = asyncio.create_task(mutate(channel, put(b"y", region=META, family=b"info"), attributes=epoch(9)))
        await eventually(lambda: len(door.store.ends) == 1)
        door.store.end_all()
        await eventually(lambda: len(door.store.ends) == 1)
        door.store.end_all()
        assert (await put_).processed
        door.store.is_busy = True
        with pytest.raises(RegionTooBusyException):
            await channel.call_bytes("Get", get(b"x", region=META).SerializeToString(), attributes=epoch(10))


# --- what is not there ------------------------------------------------------------------------------------------------


async def test_what_is_refused() -> None:
    async with region_door() as door, await door.connect() as channel:
        request = Client_pb2.PrepareBulkLoadRequest()
        request.table_name.namespace, request.table_name.qualifier = b"default", b"t1"
        with pytest.raises(DoNotRetryIOException, match="UnsupportedOperationException: PrepareBulkLoad"):
            await channel.call_bytes("PrepareBulkLoad", request.SerializeToString())
        service = Client_pb2.CoprocessorServiceRequest(region=spec())
        service.call.row, service.call.request = b"", b""
        service.call.service_name, service.call.method_name = "hbase.pb.AggregateService", "GetMax"
        text = r"No registered coprocessor service found for hbase.pb.AggregateService in region t1,,1.aa."
        with pytest.raises(UnknownProtocolException, match=text):
            await channel.call_bytes("ExecService", service.SerializeToString())
        service.region.CopyFrom(spec(b"t2,,1.bb."))
        with pytest.raises(NotServingRegionException):
            await channel.call_bytes("ExecService", service.SerializeToString())
        with pytest.raises(UnknownProtocolException, match=r"hbase.pb.AggregateService"):
            await channel.call_bytes("ExecRegionServerService", service.SerializeToString())


def test_calls_for_tables_of_the_system_pass_the_others() -> None:
    async def weights() -> list[int]:
        door = RegionDoor()
        methods = door.table.methods("ClientService")
        found: list[int] = []
        for method, request in (
            ("Get", get(b"x", region=META)),
            ("Get", get(b"x")),
            ("Mutate", put(b"x", region=b"hbase:namespace,,1.cc.")),
            ("Scan", Client_pb2.ScanRequest(region=spec(META))),
            ("Scan", Client_pb2.ScanRequest(scanner_id=99)),
        ):
            weigh = methods[method].weigh
            assert weigh is not None
            found.append(weigh(request))
        assert methods["Multi"].weigh is None
        return found

    assert asyncio.run(weights()) == [200, 0, 200, 200, 0]
