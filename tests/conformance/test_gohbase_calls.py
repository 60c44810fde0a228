"""gohbase's calls in their order, as frames, and the answers byte by byte, as HBase 2.6.4 answers them.

It tells no version and has KeyValueCodec: a Get's cells come inline, those of Multi and Scan in a cell block, which has
to be used up to the last byte. It sends nearly everything as Multi, with indexes from 1, and a ResultOrException
without a result is an error to it.

Source: gohbase at cfe2cb9, region/client.go, region/multi.go, rpc.go (establishRegion, metaLookup), scanner.go.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from google.protobuf.message import Message

from protos.hbase import Client_pb2, Comparator_pb2, HBase_pb2
from registry.wire.calls import AnswerParts, encode_request
from registry.wire.cellblock import Cell, KeyType, decode_cells, encode_cells
from registry.wire.header import KEY_VALUE_CODEC, encode_connection_header
from tests.support.region_door import META, TABLE, put, region_door, spec
from tests.support.rpc import RawClient

LATEST = (1 << 63) - 1
PROBE = bytes(17)
"""The row that no table has, behind the start key of a region."""
GONE, BEFORE = b"t1,x,1.bb.", b"t1,,0.aa."


class Gohbase:
    """One connection of it; calls are numbered from 1."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        self._call_id = 0

    async def call(self, method: str, request: Message, cells: bytes = b"") -> AnswerParts:
        self._call_id += 1
        self._client.send(encode_request(self._call_id, method, request.SerializeToString(), cells=cells))
        answer = await self._client.answer()
        assert answer.call_id == self._call_id
        return answer


@asynccontextmanager
async def gohbase() -> AsyncGenerator[Gohbase]:
    async with region_door() as door:
        header = encode_connection_header("ClientService", "root", cell_block_codec=KEY_VALUE_CODEC)
        client = await RawClient.connect(door.address.port, b"HBas\0P" + header)
        yield Gohbase(client)
        await client.close()


def probe(region: bytes) -> Client_pb2.GetRequest:
    return Client_pb2.GetRequest(
        region=spec(region), get=Client_pb2.Get(row=PROBE, existence_only=True, time_range=HBase_pb2.TimeRange())
    )


def put_action(request: Client_pb2.MultiRequest, index: int, region: bytes = TABLE) -> None:
    """One cell, which is in the cell block."""
    mutation = Client_pb2.MutationProto(row=b"a", mutate_type=Client_pb2.MutationProto.PUT, associated_cell_count=1)
    request.regionAction.add(region=spec(region)).action.add(index=index, mutation=mutation)


def cell(row: bytes, value: bytes, *, family: bytes = b"f", qualifier: bytes = b"q") -> bytes:
    return encode_cells([Cell(row, family, qualifier, LATEST, KeyType.PUT, value)])


async def test_the_first_put_of_a_client() -> None:
    """Probe of meta, look-up, probe of the region, the put."""
    async with gohbase() as client:
        for row in (BEFORE, TABLE):
            written = put(row, region=META, family=b"info", qualifier=b"regioninfo")
            assert (await client.call("Mutate", written)).message == b"\x10\x01"
        assert (await client.call("Get", probe(META))).message == bytes.fromhex("0a0410001800")
        scan = Client_pb2.Scan(
            column=[Client_pb2.Column(family=b"info")],
            start_row=b"t1,key,:",
            stop_row=b"t1",
            time_range=HBase_pb2.TimeRange(),
            max_result_size=2_097_152,
            reversed=True,
        )
        look_up = Client_pb2.ScanRequest(
            region=spec(META),
            scan=scan,
            number_of_rows=1,
            close_scanner=True,
            client_handles_partials=True,
            client_handles_heartbeats=True,
            track_scan_metrics=False,
            renew=False,
        )
        answer = await client.call("Scan", look_up)
        found = Client_pb2.ScanResponse.FromString(answer.message)
        assert (list(found.cells_per_result), list(found.partial_flag_per_result)) == ([1], [False])
        assert (found.more_results, found.more_results_in_region) == (True, True)
        assert [each.row for each in decode_cells(answer.cells)] == [TABLE]
        assert (await client.call("Get", probe(TABLE))).message == bytes.fromhex("0a0410001800")
        multi = Client_pb2.MultiRequest()
        put_action(multi, 1)
        answer = await client.call("Multi", multi, cell(b"a", b"v1"))
        assert (answer.message, answer.cells) == (bytes.fromhex("0a06 0a04 0801 1200 1a00"), b"")


async def test_gets_puts_and_increments_are_all_multis() -> None:
    async with gohbase() as client:
        multi = Client_pb2.MultiRequest()
        put_action(multi, 1)
        await client.call("Multi", multi, cell(b"a", b"v1"))
        now_ms = next(iter(decode_cells((await client.call("Multi", _get_of(b"a", 2))).cells))).timestamp_ms
        answer = await client.call("Multi", _get_of(b"a", 3))
        assert answer.message == bytes.fromhex("0a0a 0a08 0803 1204 1001 2000 1a00")
        assert answer.cells == encode_cells([Cell(b"a", b"f", b"q", now_ms, KeyType.PUT, b"v1")])
        answer = await client.call("Multi", _get_of(b"nothing", 4))
        assert (answer.message, answer.cells) == (bytes.fromhex("0a08 0a06 0804 1202 1000 1a00"), b"")
        multi = Client_pb2.MultiRequest(nonceGroup=1)
        increment = Client_pb2.MutationProto(
            row=b"n", mutate_type=Client_pb2.MutationProto.INCREMENT, associated_cell_count=1, nonce=1
        )
        multi.regionAction.add(region=spec()).action.add(index=5, mutation=increment)
        answer = await client.call("Multi", multi, cell(b"n", (5).to_bytes(8, "big")))
        assert answer.message == bytes.fromhex("0a0a 0a08 0805 1204 1001 2000 1a00")
        assert [each.value for each in decode_cells(answer.cells)] == [(5).to_bytes(8, "big")]


def _get_of(row: bytes, index: int) -> Client_pb2.MultiRequest:
    multi = Client_pb2.MultiRequest()
    get = Client_pb2.Get(row=row, time_range=HBase_pb2.TimeRange())
    multi.regionAction.add(region=spec()).action.add(index=index, get=get)
    return multi


async def test_a_region_that_is_not_here_takes_its_cells_with_it() -> None:
    """Its answer has an exception and no results; the cells behind it go to the next region."""
    async with gohbase() as client:
        multi = Client_pb2.MultiRequest()
        put_action(multi, 1, GONE)
        put_action(multi, 2)
        answer = await client.call("Multi", multi, cell(b"a", b"lost") + cell(b"a", b"kept"))
        response = Client_pb2.MultiResponse.FromString(answer.message)
        gone, here = response.regionActionResult
        assert gone.exception.name == "org.apache.hadoop.hbase.NotServingRegionException"
        assert not gone.resultOrException
        assert here.SerializeToString() == bytes.fromhex("0a04 0802 1200")
        assert [each.value for each in decode_cells((await client.call("Multi", _get_of(b"a", 3))).cells)] == [b"kept"]


async def test_check_and_put() -> None:
    async with gohbase() as client:
        for expected, value, processed in (
            (b"", b"1", True),
            (b"", b"2", False),
            (b"1", b"2", True),
        ):
            comparator = Comparator_pb2.BinaryComparator(comparable=Comparator_pb2.ByteArrayComparable(value=expected))
            request = Client_pb2.MutateRequest(region=spec())
            request.mutation.row, request.mutation.mutate_type = b"k", Client_pb2.MutationProto.PUT
            request.mutation.associated_cell_count = 1
            request.condition.row, request.condition.family, request.condition.qualifier = b"k", b"f", b"q"
            request.condition.compare_type = HBase_pb2.EQUAL
            request.condition.comparator.name = "org.apache.hadoop.hbase.filter.BinaryComparator"
            request.condition.comparator.serialized_comparator = comparator.SerializeToString()
            assert (await client.call("Mutate", request, cell(b"k", value))).message == bytes([0x10, processed])


async def test_a_scan_says_when_its_region_is_at_its_end() -> None:
    async with gohbase() as client:
        multi = Client_pb2.MultiRequest()
        rows = [b"a", b"b", b"c"]
        for index, row in enumerate(rows, 1):
            mutation = Client_pb2.MutationProto(
                row=row, mutate_type=Client_pb2.MutationProto.PUT, associated_cell_count=1
            )
            if not multi.regionAction:
                multi.regionAction.add(region=spec())
            multi.regionAction[0].action.add(index=index, mutation=mutation)
        answer = await client.call("Multi", multi, b"".join(cell(row, b"v") for row in rows))
        assert answer.message == bytes.fromhex("0a12 0a04 0801 1200 0a04 0802 1200 0a04 0803 1200 1a00")
        scan = Client_pb2.Scan(max_result_size=2_097_152, time_range=HBase_pb2.TimeRange())
        request = Client_pb2.ScanRequest(
            region=spec(),
            scan=scan,
            number_of_rows=2,
            close_scanner=False,
            track_scan_metrics=False,
            renew=False,
            client_handles_partials=True,
            client_handles_heartbeats=True,
        )
        answer = await client.call("Scan", request)
        first = Client_pb2.ScanResponse.FromString(answer.message)
        assert (list(first.cells_per_result), list(first.partial_flag_per_result)) == ([1, 1], [False, False])
        assert (first.more_results, first.more_results_in_region) == (True, True)
        assert [each.row for each in decode_cells(answer.cells)] == rows[:2]
        request = Client_pb2.ScanRequest(
            scanner_id=first.scanner_id,
            number_of_rows=2,
            close_scanner=False,
            renew=False,
            client_handles_partials=True,
            client_handles_heartbeats=True,
        )
        answer = await client.call("Scan", request)
        last = Client_pb2.ScanResponse.FromString(answer.message)
        assert (list(last.cells_per_result), list(last.partial_flag_per_result)) == ([1], [False])
        assert (last.more_results, last.more_results_in_region) == (True, False)
        close = Client_pb2.ScanRequest(scanner_id=first.scanner_id, close_scanner=True)
        answer = await client.call("Scan", close)
        assert answer.message == Client_pb2.ScanResponse(scanner_id=first.scanner_id).SerializeToString()
