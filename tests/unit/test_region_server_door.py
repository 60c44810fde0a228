"""ClientService behind a real socket: cells by codec and version, what the lease decides, masters among clients."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.message import Message

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.results import CellForm
from regionserver.door import cell_form
from regionserver.master_calls import EPOCH_QUALIFIER, EPOCH_ROW, HIDDEN_FAMILY
from regionserver.region import scan as pages
from regionserver.region.region import Region
from regionserver.region.visible import Wanted
from registry.rpc.client import RpcChannel
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
    UnknownScannerException,
)
from registry.wire.header import KEY_VALUE_CODEC, KEY_VALUE_CODEC_WITH_TAGS, ConnectionInfo
from tests.support.region_door import LEASE_MS, META, NAME, TABLE, RegionDoor, get, put, region_door, spec
from tests.support.rpc import eventually


async def mutate(channel: RpcChannel, request: Client_pb2.MutateRequest, **more: Any) -> Client_pb2.MutateResponse:
    return await channel.call("Mutate", request, Client_pb2.MutateResponse, **more)


async def values(channel: RpcChannel, row: bytes, **more: Any) -> list[bytes]:
    """Of a row, by whichever way its cells come."""
    answer = await channel.call_bytes("Get", get(row).SerializeToString(), **more)
    result = Client_pb2.GetResponse.FromString(answer.message).result
    cells = [cell.value for cell in decode_cells(answer.cells)]
    assert len(cells) == result.associated_cell_count
    return cells or [cell.value for cell in result.cell]


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


# --- scans ------------------------------------------------------------------------------------------------------------


def open_scan(**fields: Any) -> Client_pb2.ScanRequest:
    defaults: dict[str, Any] = {"number_of_rows": 1000, "client_handles_partials": True, **fields}
    return Client_pb2.ScanRequest(region=spec(), scan=Client_pb2.Scan(), **defaults)


async def scan(channel: RpcChannel, request: Message, **more: Any) -> tuple[Client_pb2.ScanResponse, list[bytes]]:
    answer = await channel.call_bytes("Scan", request.SerializeToString(), **more)
    rows = [cell.row for cell in decode_cells(answer.cells)]
    return Client_pb2.ScanResponse.FromString(answer.message), rows


async def fill(channel: RpcChannel, count: int) -> list[bytes]:
    rows = [b"row%04d" % number for number in range(count)]
    await asyncio.gather(*(mutate(channel, put(row)) for row in rows))
    return rows


async def test_a_scan_reads_page_by_page() -> None:
    async with region_door() as door, await door.connect() as channel:
        rows = await fill(channel, 25)
        opened, found = await scan(channel, open_scan(number_of_rows=10))
        assert opened.more_results_in_region
        number = 0
        while opened.more_results_in_region:
            request = Client_pb2.ScanRequest(scanner_id=opened.scanner_id, number_of_rows=10, next_call_seq=number)
            opened, more = await scan(channel, request)
            found += more
            number += 1
        assert found == rows
        assert len(door.door.scanners) == 0


async def test_a_scan_that_takes_longer_is_read_turn_by_turn_and_loses_nothing() -> None:
    """A clock that runs while a row is read ends a turn after each few rows; other calls have theirs in between."""
    async with region_door() as door, await door.connect() as channel:
        rows = await fill(channel, 60)
        ticking = door.clock.monotonic_ms
        reading = asyncio.Event()

        def monotonic_ms() -> float:
            reading.set()
            door.clock.advance(0.7)
            return ticking()

        door.clock.monotonic_ms = monotonic_ms  # type: ignore[method-assign]
        long = asyncio.create_task(scan(channel, open_scan()))
        other = await door.connect()
        assert await values(other, rows[3]) == [b"v"]
        response, found = await long
        other.close()
        assert found == rows
        assert not response.more_results_in_region
        assert list(response.partial_flag_per_result) == [False] * 60
        assert list(response.cells_per_result) == [1] * 60


async def test_many_long_scans_at_once() -> None:
    async with region_door() as door, await door.connect() as channel:
        rows = await fill(channel, 30)
        ticking = door.clock.monotonic_ms

        def monotonic_ms() -> float:
            door.clock.advance(0.2)
            return ticking()

        door.clock.monotonic_ms = monotonic_ms  # type: ignore[method-assign]
        door.lease.granted(1e9)
        answers = await asyncio.gather(*(scan(channel, open_scan(), timeout_ms=1e8) for _ in range(70)))
        assert all(found == rows for _, found in answers)
        assert len(door.door.scanners) == 0


async def test_a_region_that_goes_in_the_middle_of_a_page_is_no_end_of_it() -> None:
    async with region_door() as door, await door.connect() as channel:
        await fill(channel, 50)
        ticking = door.clock.monotonic_ms
        asked = 0

        def monotonic_ms() -> float:
            nonlocal asked
            asked += 1
            if asked == 8:
                door.door.scanners.close_region(TABLE.decode(), ticking())
            door.clock.advance(2.1)
            return ticking()

        door.clock.monotonic_ms = monotonic_ms  # type: ignore[method-assign]
        with pytest.raises(NotServingRegionException):
            await scan(channel, open_scan())


async def test_heartbeats_come_after_half_of_what_the_client_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LOOK_AT_CLOCK_ROWS", 8)
    async with region_door() as door, await door.connect() as channel:
        await fill(channel, 800)
        ticking = door.clock.monotonic_ms

        def monotonic_ms() -> float:
            door.clock.advance(3.0)
            return ticking()

        door.clock.monotonic_ms = monotonic_ms  # type: ignore[method-assign]
        response, found = await scan(channel, open_scan(client_handles_heartbeats=True), timeout_ms=2000)
        assert 0 < len(found) < 800
        assert response.more_results_in_region
        response, found = await scan(channel, open_scan(), timeout_ms=20_000)
        assert len(found) == 800, "who knows no heartbeats gets the whole page"


async def test_scanners_whose_clients_stay_away_are_closed() -> None:
    async with region_door() as door, await door.connect() as channel:
        await fill(channel, 10)
        opened, _ = await scan(channel, open_scan(number_of_rows=3))
        door.clock.wall_ms = lambda: 1e15  # type: ignore[method-assign]  the calendar is no measure of time
        door.door.expire()
        assert len(door.door.scanners) == 1
        for _ in range(4):
            door.clock.advance(LEASE_MS - 1)
            door.lease.answered(door.clock.monotonic_ms())
        door.door.expire()
        assert len(door.door.scanners) == 0
        with pytest.raises(UnknownScannerException):
            await scan(channel, Client_pb2.ScanRequest(scanner_id=opened.scanner_id, next_call_seq=0))


# --- long Multis ------------------------------------------------------------------------------------------------------


def multi(rows: list[bytes], kind: str = "put") -> Client_pb2.MultiRequest:
    request = Client_pb2.MultiRequest()
    action = request.regionAction.add(region=spec())
    for number, row in enumerate(rows):
        mutation = put(row, (1).to_bytes(8, "big") if kind == "increment" else b"v").mutation
        if kind == "increment":
            mutation.mutate_type = Client_pb2.MutationProto.INCREMENT
        action.action.add(index=number).mutation.CopyFrom(mutation)
    return request


async def outcomes(channel: RpcChannel, request: Client_pb2.MultiRequest, **more: Any) -> list[str]:
    """Of each action, the class of its error or nothing."""
    answer = await channel.call("Multi", request, Client_pb2.MultiResponse, **more)
    results = answer.regionActionResult[0].resultOrException
    assert [each.index for each in results] == list(range(len(request.regionAction[0].action)))
    return [each.exception.name.rpartition(".")[2] for each in results]


def slow_clock(door: RegionDoor, step_ms: float) -> list[int]:
    """Time passes with each look at the clock; the looks are counted."""
    ticking, looks = door.clock.monotonic_ms, [0]

    def monotonic_ms() -> float:
        looks[0] += 1
        door.clock.advance(step_ms)
        return ticking()

    door.clock.monotonic_ms = monotonic_ms  # type: ignore[method-assign]
    door.lease.granted(1e9)
    return looks


async def test_a_long_multi_is_done_turn_by_turn() -> None:
    async with region_door() as door, await door.connect() as channel, await door.connect() as other:
        slow_clock(door, 0.9)
        rows = [b"r%03d" % number for number in range(300)]
        long = asyncio.create_task(outcomes(channel, multi(rows), timeout_ms=1e8))
        await eventually(lambda: len(door.door._turns) == 1)  # pyright: ignore[reportPrivateUsage]
        assert (await mutate(other, put(b"x"), timeout_ms=1e8)).processed
        assert await long == [""] * 300
        found = await asyncio.gather(*(values(other, row, timeout_ms=1e8) for row in rows))
        assert found == [[b"v"]] * 300


async def test_long_multis_that_meet_in_one_row_add_up() -> None:
    async with region_door() as door, await door.connect() as channel:
        slow_clock(door, 0.9)
        requests = [multi([b"r"] * 40, "increment") for _ in range(40)]
        answers = await asyncio.gather(*(outcomes(channel, request, timeout_ms=1e8) for request in requests))
        assert answers == [[""] * 40] * 40
        assert await values(channel, b"r", timeout_ms=1e8) == [(1600).to_bytes(8, "big")]


async def test_a_region_that_goes_in_the_middle_of_a_multi() -> None:
    async with region_door() as door, await door.connect() as channel:
        slow_clock(door, 0.9)
        long = asyncio.create_task(outcomes(channel, multi([b"r%03d" % n for n in range(300)]), timeout_ms=1e8))
        await eventually(lambda: len(door.door._turns) == 1)  # pyright: ignore[reportPrivateUsage]
        region = door.regions.pop(TABLE)
        found = await long
        done = found.index("NotServingRegionException")
        assert 0 < done < 300
        assert found == [""] * done + ["NotServingRegionException"] * (300 - done)
        now_ms = int(door.clock.wall_ms())
        assert [bool(region.get(b"r%03d" % n, {}, now_ms).cells_count) for n in (0, done - 1, done, 299)] == [
            True,
            True,
            False,
            False,
        ]


async def test_nothing_more_of_a_multi_is_written_when_the_lease_is_over() -> None:
    async with region_door() as door, await door.connect() as channel:
        slow_clock(door, 0.9)
        requests = [multi([b"%d %03d" % (number, n) for n in range(300)]) for number in range(35)]
        calls = [asyncio.create_task(outcomes(channel, request, timeout_ms=1e8)) for request in requests]
        await eventually(lambda: len(door.door._turns) == 35)  # pyright: ignore[reportPrivateUsage]
        door.lease.end()
        for call in calls:
            with pytest.raises(RegionServerStoppedException):
                await call
        region, now_ms = door.regions[TABLE], int(door.clock.wall_ms())
        assert not region.get(b"0 299", {}, now_ms).cells_count
        assert not region.get(b"34 000", {}, now_ms).cells_count, "it had not begun"


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
