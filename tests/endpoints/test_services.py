"""ExecService and service calls of a Multi behind a real socket: HBase's services, users' own, and what goes wrong."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Generator, Iterable
from contextlib import suppress

import pytest
from google.protobuf.message import Message

from protos.hbase import Aggregate_pb2, Client_pb2, Comparator_pb2, HBase_pb2, MultiRowMutation_pb2
from regionserver.endpoints.classes import Classes, HostSettings
from regionserver.endpoints.threads import RUNNING_MAX
from regionserver.region.region import Region, RegionRange
from registry import coprocessors
from registry.coprocessors import AGGREGATE, MULTI_ROW, class_of, classes_of
from registry.rpc.client import RpcChannel
from registry.wire.errors import (
    DoNotRetryIOException,
    HBaseError,
    NoSuchColumnFamilyException,
    NotServingRegionException,
    RegionTooBusyException,
    UnknownProtocolException,
    WrongRegionException,
)
from tests.endpoints.users import Bad
from tests.support.hostile import variants
from tests.support.region_door import META, TABLE, fill, mutate, put, region_door, spec, values
from tests.support.rpc import eventually

USERS = "tests.endpoints.users"
LONG = "org.apache.hadoop.hbase.client.coprocessor.LongColumnInterpreter"
QUICK = HostSettings([f"{USERS}:Counter"], [f"{USERS}:Bad"], timeout_ms=300)


def request_of(
    service: str, method: str, request: bytes, region: bytes = TABLE
) -> Client_pb2.CoprocessorServiceRequest:
    call = Client_pb2.CoprocessorServiceCall(row=b"", service_name=service, method_name=method, request=request)
    return Client_pb2.CoprocessorServiceRequest(region=spec(region), call=call)


async def called(
    channel: RpcChannel, service: str, method: str, request: bytes | Message = b"", *, region: bytes = TABLE
) -> bytes:
    data = request if isinstance(request, bytes) else request.SerializePartialToString()
    asked = request_of(service, method, data, region)
    response = await channel.call("ExecService", asked, Client_pb2.CoprocessorServiceResponse, timeout_ms=20_000)
    assert response.region == asked.region
    return response.value.value


def schema(*classes: str) -> HBase_pb2.TableSchema:
    made = HBase_pb2.TableSchema()
    for number, name in enumerate(classes, 1):
        made.attributes.add(first=f"coprocessor${number}".encode(), second=f"|{name}|1001|k=v".encode())
    return made


def aggregate() -> Aggregate_pb2.AggregateRequest:
    scan = Client_pb2.Scan(column=[Client_pb2.Column(family=b"f")])
    return Aggregate_pb2.AggregateRequest(interpreter_class_name=LONG, scan=scan)


def test_names_in_attributes() -> None:
    assert list(classes_of(schema(AGGREGATE, "x.Y"))) == [AGGREGATE, "x.Y"]
    assert class_of(b"hdfs://a/b.jar | x.Y |1|") == "x.Y"
    assert class_of(b"nothing") == ""
    made = HBase_pb2.TableSchema()
    made.attributes.add(first=b"COPROCESSOR$12", second=b"|x.Y||")
    made.attributes.add(first=b"coprocessor$", second=b"|x.Y||")
    assert list(classes_of(made)) == ["x.Y"]


# --- AggregateService -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["AggregateService", "hbase.pb.AggregateService"])
async def test_aggregates_of_a_table_that_names_them(service: str) -> None:
    async with region_door() as door, await door.connect() as channel:
        for number in range(100):
            await mutate(channel, put(b"%03d" % number, struct.pack(">q", number)))
        with pytest.raises(UnknownProtocolException, match=f"service found for {service} in region t1,,1"):
            await called(channel, service, "GetSum", aggregate())
        door.schema = schema(AGGREGATE)
        response = Aggregate_pb2.AggregateResponse.FromString(await called(channel, service, "GetSum", aggregate()))
        assert HBase_pb2.LongMsg.FromString(response.first_part[0]).long_msg == sum(range(100))
        with pytest.raises(UnknownProtocolException, match=r"Unknown method Get called on service hbase\.pb\.Aggreg"):
            await called(channel, service, "Get", aggregate())
        with pytest.raises(NotServingRegionException):
            await called(channel, service, "GetSum", aggregate(), region=b"t2,,1.bb.")


async def test_an_aggregation_gives_others_their_turn() -> None:
    """A long one ends after calls that come later; one whose region goes away in the middle says so."""
    async with region_door(endpoints=HostSettings([AGGREGATE])) as door, await door.connect() as channel:
        await fill(channel, 300)
        door.clock.step_ms = 0.7  # each look at the clock: three rows and a turn is over
        slow = asyncio.ensure_future(called(channel, "AggregateService", "GetRowNum", aggregate()))
        for _ in range(5):
            await values(channel, b"row0001")
        response = Aggregate_pb2.AggregateResponse.FromString(await slow)
        assert response.first_part[0] == struct.pack(">q", 300)
        slow = asyncio.ensure_future(called(channel, "AggregateService", "GetRowNum", aggregate()))
        await values(channel, b"row0001")
        gone = door.regions.pop(TABLE)
        with pytest.raises(NotServingRegionException):
            await slow
        door.regions[TABLE] = gone


# --- MultiRowMutationService ------------------------------------------------------------------------------------------


def puts(*rows: bytes, value: bytes = b"v", family: bytes = b"f") -> MultiRowMutation_pb2.MutateRowsRequest:
    request = MultiRowMutation_pb2.MutateRowsRequest()
    for row in rows:
        request.mutation_request.add().CopyFrom(put(row, value, family=family).mutation)
    return request


def expecting(request: MultiRowMutation_pb2.MutateRowsRequest, row: bytes, value: bytes) -> None:
    comparator = Comparator_pb2.BinaryComparator(comparable=Comparator_pb2.ByteArrayComparable(value=value))
    condition = request.condition.add(row=row, family=b"f", qualifier=b"q", compare_type=HBase_pb2.EQUAL)
    condition.comparator.name = "org.apache.hadoop.hbase.filter.BinaryComparator"
    condition.comparator.serialized_comparator = comparator.SerializeToString()


async def rows_mutated(
    channel: RpcChannel, request: MultiRowMutation_pb2.MutateRowsRequest, region: bytes = TABLE
) -> bool:
    data = await called(channel, "MultiRowMutationService", "MutateRows", request, region=region)
    return MultiRowMutation_pb2.MutateRowsResponse.FromString(data).processed


async def test_rows_change_together_or_not_at_all() -> None:
    async with region_door(endpoints=HostSettings([MULTI_ROW])) as door, await door.connect() as channel:
        assert await rows_mutated(channel, puts(b"a", b"b", b"a"))
        assert [await values(channel, row) for row in (b"a", b"b")] == [[b"v"], [b"v"]]
        mixed = puts(b"c", b"d")
        mixed.mutation_request[1].column_value[0].family = b"nofamily"
        with pytest.raises(NoSuchColumnFamilyException):
            await rows_mutated(channel, mixed)
        assert await values(channel, b"c") == []
        delete = puts(b"b", value=b"new")
        delete.mutation_request.add(row=b"a", mutate_type=Client_pb2.MutationProto.DELETE)
        assert await rows_mutated(channel, delete)
        assert [await values(channel, row) for row in (b"a", b"b")] == [[], [b"new"]]
        assert await rows_mutated(channel, MultiRowMutation_pb2.MutateRowsRequest())


async def test_conditions_are_all_met_or_nothing_changes() -> None:
    async with region_door(endpoints=HostSettings([MULTI_ROW])) as door, await door.connect() as channel:
        await rows_mutated(channel, puts(b"a", b"b"))
        wrong = puts(b"c")
        expecting(wrong, b"a", b"v")
        expecting(wrong, b"b", b"other")
        assert not await rows_mutated(channel, wrong)
        assert await values(channel, b"c") == []
        right = puts(b"c")
        expecting(right, b"a", b"v")
        expecting(right, b"b", b"v")
        assert await rows_mutated(channel, right)
        assert await values(channel, b"c") == [b"v"]


async def test_rows_of_other_regions() -> None:
    async with region_door(endpoints=HostSettings([MULTI_ROW])) as door, await door.connect() as channel:
        region = door.regions[TABLE]
        where = RegionRange("t1", region.where.name, b"b", b"m")
        door.regions[TABLE] = Region(where, region.families, door.store, region.prefix)
        with pytest.raises(WrongRegionException, match="Requested row out of range 'a'"):
            await rows_mutated(channel, puts(b"a", b"c"))
        with pytest.raises(DoNotRetryIOException, match="Requested row out of range 'z'") as refused:
            await rows_mutated(channel, puts(b"c", b"z"))
        assert type(refused.value) is DoNotRetryIOException
        outside = puts(b"c")
        expecting(outside, b"z", b"v")
        with pytest.raises(WrongRegionException, match="getRowLock"):
            await rows_mutated(channel, outside)
        assert await values(channel, b"c") == []


async def test_meta_has_it_by_itself_and_hides_what_clients_do_not_see() -> None:
    async with region_door() as door, await door.connect() as channel:
        assert await rows_mutated(channel, puts(b"r", family=b"info"), META)
        with pytest.raises(NoSuchColumnFamilyException):
            await rows_mutated(channel, puts(b"r", family=b"hbeacon"), META)


async def test_what_is_not_durable_is_not_told() -> None:
    async with region_door(endpoints=HostSettings([MULTI_ROW])) as door, await door.connect() as channel:
        door.store.is_slow = True
        changing = asyncio.ensure_future(rows_mutated(channel, puts(b"a", b"b")))
        await eventually(lambda: len(door.store.ends) == 1)
        await asyncio.sleep(0.05)
        assert not changing.done()
        door.store.end_all()
        assert await changing
        door.store.is_busy = True
        with pytest.raises(RegionTooBusyException):
            await rows_mutated(channel, puts(b"a"))


# --- users' own -------------------------------------------------------------------------------------------------------


async def test_a_user_s_endpoint_reads_and_writes() -> None:
    async with region_door(endpoints=QUICK._replace(timeout_ms=20_000)) as door, await door.connect() as channel:
        await fill(channel, 1200)
        service = "example.CountService"
        assert await called(channel, service, "Count") == struct.pack(">q", 1200)
        assert await called(channel, service, "Names") == b"t1 t1,,1.aa. b'' b''"
        assert await called(channel, service, "Copy", b"row0007") == b"v"
        assert await called(channel, service, "First", b"row0011") == b"row0011"
        await called(channel, service, "DeleteNothing", b"row0011")
        assert await values(channel, b"row0011") == [b"v"]
        assert await called(channel, service, "Delete", b"row0007") == b"deleted"
        assert await values(channel, b"row0007") == []
        assert await values(channel, b"copy of row0007") == []
        counts = await asyncio.gather(*[called(channel, service, "Count") for _ in range(RUNNING_MAX)])
        assert counts == [struct.pack(">q", 1199)] * RUNNING_MAX
        with pytest.raises(NoSuchColumnFamilyException, match="of this endpoint"):
            await called(channel, service, "NoFamily")
        with pytest.raises(NoSuchColumnFamilyException, match="nofamily"):
            await called(channel, service, "BadFamily")


async def test_of_users_classes_those_that_are_there_are_called() -> None:
    names = [f"{USERS}:NOT_AN_ENDPOINT", "no.such.module:Class", "not.installed", f"{USERS}:Sums", f"{USERS}:Counter"]
    async with region_door(endpoints=HostSettings(names)) as door, await door.connect() as channel:
        assert await called(channel, "example.CountService", "Count") == bytes(8)
        told = Aggregate_pb2.AggregateResponse.FromString(
            await called(channel, "AggregateService", "GetMax", aggregate())
        )
        assert told.second_part == b"t1,,1.aa." + LONG.encode()
        with pytest.raises(UnknownProtocolException, match="Unknown method Count called on service hbase"):
            await called(channel, "AggregateService", "Count", aggregate())
        with pytest.raises(DoNotRetryIOException, match="the request of GetMax cannot be read"):
            await called(channel, "AggregateService", "GetMax", b"\xff")
        with pytest.raises(UnknownProtocolException, match=r"service found for example\.BadService in region"):
            await called(channel, "example.BadService", "Spin")


async def test_what_tables_name_is_kept_and_means_nothing_where_it_is_switched_off() -> None:
    off = HostSettings([f"{USERS}:Counter"], of_tables=False)
    async with region_door(endpoints=off) as door, await door.connect() as channel:
        door.schema = schema(AGGREGATE, MULTI_ROW)
        with pytest.raises(UnknownProtocolException, match="service found for AggregateService in region t1,,1"):
            await called(channel, "AggregateService", "GetSum", aggregate())
        for region in (TABLE, META):
            with pytest.raises(UnknownProtocolException, match="service found for MultiRowMutationService"):
                await rows_mutated(channel, puts(b"a"), region)
        assert await called(channel, "example.CountService", "Count") == bytes(8), "the server's own is there"
    async with region_door(endpoints=HostSettings(of_tables=False)) as door, await door.connect() as channel:
        with pytest.raises(UnknownProtocolException):
            await called(channel, "example.CountService", "Count")


async def test_a_table_has_nothing_loaded_that_is_not_installed() -> None:
    async with region_door() as door, await door.connect() as channel:
        door.schema = schema(f"{USERS}:Counter")
        with pytest.raises(UnknownProtocolException):
            await called(channel, "example.CountService", "Count")


async def test_installed_classes_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    name = "com.example.RowCounter"
    entry = EntryPoint(name, f"{USERS}:Counter", coprocessors.GROUP)
    monkeypatch.setattr(coprocessors, "installed", lambda: {name: entry})
    async with region_door() as door, await door.connect() as channel:
        door.schema = schema(name)
        assert await called(channel, "example.CountService", "Count") == bytes(8)
    assert coprocessors.is_known(name)
    assert not coprocessors.is_known("com.example.Other")


async def test_many_first_calls_wait_until_the_class_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Classes.load

    def slowly(self: Classes, names: Iterable[str]) -> None:
        time.sleep(0.1)
        load(self, names)

    monkeypatch.setattr(Classes, "load", slowly)
    async with region_door(endpoints=QUICK._replace(timeout_ms=20_000)) as door, await door.connect() as channel:
        calls = [called(channel, "example.Unknown", "Count") for _ in range(3 * RUNNING_MAX)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in outcomes} == {UnknownProtocolException}


@pytest.fixture
def bad() -> Generator[type[Bad]]:
    Bad.interrupted.clear()
    Bad.may_end.clear()
    yield Bad
    Bad.may_end.set()


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("Raise", "threw RuntimeError: whatever"),
        ("Text", "threw TypeError: .* answers bytes, not str"),
        ("Spin", "did not end within 300 ms"),
        ("Wait", "did not end within 300 ms"),
    ],
)
async def test_what_goes_wrong_is_its_callers_loss(bad: type[Bad], method: str, text: str) -> None:
    async with region_door(endpoints=QUICK) as door, await door.connect() as channel, await door.connect() as other:
        wrong = asyncio.ensure_future(called(channel, "example.BadService", method))
        await fill(other, 20)
        with pytest.raises(DoNotRetryIOException, match=text):
            await wrong
        assert await called(other, "example.CountService", "Count") == struct.pack(">q", 20)
        assert await values(channel, b"row0003") == [b"v"]
        if method == "Spin":
            assert await asyncio.to_thread(bad.interrupted.wait, 10), "Python code ends when its time is over"


async def test_a_class_that_hangs_is_refused_and_no_other(bad: type[Bad]) -> None:
    async with region_door(endpoints=QUICK) as door, await door.connect() as channel:
        await called(channel, "example.CountService", "Count")
        hung = [called(channel, "example.BadService", "Wait") for _ in range(RUNNING_MAX)]
        for outcome in await asyncio.gather(*hung, return_exceptions=True):
            assert isinstance(outcome, DoNotRetryIOException)
        with pytest.raises(RegionTooBusyException, match=r"8 calls of .*Bad run here and do not end"):
            await called(channel, "example.BadService", "Wait")
        assert await called(channel, "example.CountService", "Count") == bytes(8)
        bad.may_end.set()
        await eventually(lambda: not door.door.endpoints.running(f"{USERS}:Bad"))
        with pytest.raises(DoNotRetryIOException, match="whatever"):
            await called(channel, "example.BadService", "Raise")


async def test_a_region_that_has_gone(bad: type[Bad]) -> None:
    async with region_door(endpoints=QUICK._replace(timeout_ms=5000)) as door, await door.connect() as channel:
        with pytest.raises(DoNotRetryIOException, match="its time is over"):
            await called(channel, "example.BadService", "Sleep")
        asked = asyncio.ensure_future(called(channel, "example.BadService", "Sleep"))
        await asyncio.sleep(0.05)
        gone = door.regions.pop(TABLE)
        with pytest.raises(NotServingRegionException):
            await asked
        door.regions[TABLE] = gone


async def test_the_loop_goes_on_while_users_code_spins(bad: type[Bad]) -> None:
    async with region_door(endpoints=QUICK._replace(timeout_ms=1000)) as door, await door.connect() as channel:
        await fill(channel, 1)
        spins = asyncio.ensure_future(called(channel, "example.BadService", "Spin"))
        begun, count = time.monotonic(), 0
        while not spins.done():
            await values(channel, b"row0000")
            count += 1
        assert count > 5, f"{count} Gets in {time.monotonic() - begun:.1f} s"
        with pytest.raises(DoNotRetryIOException):
            await spins


# --- in a Multi -------------------------------------------------------------------------------------------------------


async def test_service_calls_of_a_multi() -> None:
    settings = QUICK._replace(classes=[*QUICK.classes, AGGREGATE])
    async with region_door(endpoints=settings) as door, await door.connect() as channel:
        await fill(channel, 7)
        request = Client_pb2.MultiRequest()
        part = request.regionAction.add(region=spec())
        for service, method, data in (
            ("AggregateService", "GetRowNum", aggregate().SerializeToString()),
            ("example.CountService", "Count", b""),
            ("no.such.Service", "Count", b""),
            ("example.BadService", "Raise", b""),
        ):
            part.action.add().service_call.CopyFrom(request_of(service, method, data).call)
        part.action.add().get.row = b"row0001"
        part.action.add().mutation.CopyFrom(put(b"more").mutation)
        response = await channel.call("Multi", request, Client_pb2.MultiResponse)
        counted, user, unknown, bad_, got, written = response.regionActionResult[0].resultOrException
        first = Aggregate_pb2.AggregateResponse.FromString(counted.service_result.value.value).first_part
        assert list(first) == [struct.pack(">q", 7)]
        assert user.service_result.value.value in (struct.pack(">q", 7), struct.pack(">q", 8))
        assert unknown.exception.name.endswith("UnknownProtocolException")
        assert b"whatever" in bad_.exception.value
        assert got.result.associated_cell_count == 1
        assert written.HasField("result")


# --- hostile requests -------------------------------------------------------------------------------------------------


async def test_any_field_with_what_does_not_belong_there() -> None:
    known = aggregate()
    rows = puts(b"a")
    expecting(rows, b"a", b"v")
    async with region_door(endpoints=HostSettings([AGGREGATE, MULTI_ROW])) as door, await door.connect() as channel:
        tried = 0
        for service, method, base in (
            ("AggregateService", "GetStd", known),
            ("MultiRowMutationService", "MutateRows", rows),
        ):
            for path, data in variants(base):
                tried += 1
                told = ""
                try:
                    await called(channel, service, method, data)
                except HBaseError as error:
                    told = str(error)
                assert "Error:" not in told, f"{path}: {told}"
        assert tried > 100
        assert channel.is_open
        assert await values(channel, b"z") == []


@pytest.mark.parametrize(("service", "method"), [("example.CountService", "First"), ("example.BadService", "Scan")])
async def test_what_is_closed_again(bad: type[Bad], service: str, method: str) -> None:
    """Snapshots of endpoints end with their calls, or with their time."""
    async with region_door(endpoints=QUICK) as door, await door.connect() as channel:
        await fill(channel, 3)
        opened: list[object] = []
        closed: list[object] = []
        plain = door.store.snapshot

        def snapshot() -> object:
            made = plain()
            opened.append(made)
            end = made.close
            made.close = lambda: (closed.append(made), end())  # type: ignore[method-assign,assignment]
            return made

        door.store.snapshot = snapshot  # type: ignore[method-assign,assignment]
        with suppress(DoNotRetryIOException):
            assert await called(channel, service, method, b"row0001") == b"row0001"
        await eventually(lambda: len(opened) == 1 and opened[0] in closed)
        assert not bad.may_end.is_set()
