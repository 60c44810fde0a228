"""Plays histories of calls to one region on any server, and tells what a client heard.

All of one history is about rows of one prefix, so that a table serves for many. Times are given by the client, or the
server's: those are told as the number of the call that wrote them, for no two calls of a history come within a
millisecond and all servers are on this machine.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar

from google.protobuf.message import Message

from protos.hbase import Client_pb2, Filter_pb2, HBase_pb2
from registry.rpc.client import RpcChannel
from registry.wire.cellblock import Cell, decode_cells, encode_cells
from registry.wire.errors import HBaseError

PIECES_MAX = 200
"""Calls of one scan."""
PREFIX = b"@prefix@"
"""Stands in filters for the prefix of a history, which has as many bytes."""
M = TypeVar("M", bound=Message)
Told = list[object]
"""What a client heard, in a form that does not depend on the server's clock, ids or region."""


@dataclass(frozen=True)
class Call:
    """One call; rows in it lack the prefix, `{}` stands for it in text."""

    method: str
    request: Message
    cells: tuple[Cell, ...] = ()
    with_tags: bool = False
    """By a connection with KeyValueCodecWithTags."""


@dataclass(frozen=True)
class Compact:
    """Everything into files, and dead cells out of them."""


@dataclass(frozen=True)
class Crash:
    """Our side is killed with what it has in its log, and opened again; HBase's region stays, or is opened again too.

    Then both are compacted: HBase's has written its memstore into a file, where a raw scan finds less.
    """

    both: bool = False


Step = Call | Compact | Crash


@dataclass
class Player:
    """One side: connections and the name of its region there."""

    channel: RpcChannel
    tagged: RpcChannel
    """The same with KeyValueCodecWithTags."""
    region: bytes
    clock_begins_ms: int
    """Times from here on are the server's."""
    last_error: str = ""
    """What the last error that it answered said."""
    _with_tags: bool = False
    """Of the call under way."""
    _prefix: bytes = b""
    _times_ms: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    """When each call of this history began and had its answer."""

    async def play(self, call: Call, prefix: bytes) -> Told:
        """Make it; a scan to its end."""
        await asyncio.sleep(0.002)  # the next millisecond
        if prefix != self._prefix:
            self._prefix, self._times_ms = prefix, []
        self._times_ms.append((_now_ms(), inf))
        try:
            return await self._play(call, prefix)
        finally:
            self._times_ms[-1] = self._times_ms[-1][0], _now_ms()

    async def _play(self, call: Call, prefix: bytes) -> Told:
        message = type(call.request)()
        message.CopyFrom(call.request)
        _prefixed(message, prefix, self.region)
        self._with_tags = call.with_tags
        cells = encode_cells((cell._replace(row=prefix + cell.row) for cell in call.cells), with_tags=call.with_tags)
        try:
            match call.method:
                case "Scan":
                    return await self._scan(message)
                case "Multi":
                    return self._multi(*await self._call("Multi", message, cells, Client_pb2.MultiResponse))
                case "Get":
                    answer, block = await self._call("Get", message, cells, Client_pb2.GetResponse)
                    return self._result(answer.result, block)
                case _:
                    answer, block = await self._call("Mutate", message, cells, Client_pb2.MutateResponse)
                    processed = answer.processed if answer.HasField("processed") else None
                    return [processed, answer.HasField("result"), *self._result(answer.result, block)]
        except HBaseError as error:
            self.last_error = error.message
            return ["error", error.java_class]

    async def _call(self, method: str, message: Message, cells: bytes, response: type[M]) -> tuple[M, list[Cell]]:
        channel = self.tagged if self._with_tags else self.channel
        answer = await channel.call_bytes(method, message.SerializeToString(), cells=cells, timeout_ms=60_000)
        return response.FromString(bytes(answer.message)), list(decode_cells(answer.cells, with_tags=self._with_tags))

    async def _scan(self, message: Message) -> Told:
        assert isinstance(message, Client_pb2.ScanRequest)
        told: Told = []
        asked = message
        for seq in range(PIECES_MAX):
            response, cells = await self._call("Scan", asked, b"", Client_pb2.ScanResponse)
            counts = response.cells_per_result
            ends = [sum(counts[: number + 1]) for number in range(len(counts))]
            results = [self._cells(cells[end - size : end]) for end, size in zip(ends, counts, strict=True)]
            if message.scan.max_result_size:  # where pages end by size is each server's own
                told += [cell for result in results for cell in result]
            elif message.scan.batch_size:  # HBase says "more may follow" of cells that it has not looked at yet
                told += results
            else:
                partial = response.partial_flag_per_result
                told += [(result, *flag) for result, *flag in zip(results, partial, strict=True)]
            if not response.more_results or not response.more_results_in_region:
                # Which page finds the end depends on what a server has looked at, and so does the end of a row's parts;
                # and then whether the last row is counted before the region ends. A time range may leave out all files
                # of a real server, whose filter hears then of no row that it could end with.
                scan = message.scan
                has_times = scan.HasField("time_range") or bool(scan.cf_time_range)
                depends = scan.batch_size or (scan.max_result_size and message.limit_of_rows)
                if depends or (has_times and scan.HasField("filter")):
                    return told
                return [*told, response.more_results]
            asked = Client_pb2.ScanRequest(
                scanner_id=response.scanner_id,
                next_call_seq=seq,
                number_of_rows=message.number_of_rows or 1,
                client_handles_partials=message.client_handles_partials,
                client_handles_heartbeats=True,
            )
            if message.limit_of_rows:
                asked.limit_of_rows = message.limit_of_rows
        raise AssertionError("a scan without an end")

    def _multi(self, response: Client_pb2.MultiResponse, cells: list[Cell]) -> Told:
        told: Told = []
        for part in response.regionActionResult:
            results: Told = []
            for each in sorted(part.resultOrException, key=lambda entry: entry.index):
                own = cells[: each.result.associated_cell_count]
                del cells[: len(own)]
                error = each.exception.name if each.HasField("exception") else ""
                results.append((each.index, error, *self._result(each.result, own)))
            told.append((part.exception.name, part.processed if part.HasField("processed") else None, results))
        return told

    def _result(self, result: Client_pb2.Result, block: list[Cell]) -> Told:
        inline = [
            Cell(c.row, c.family, c.qualifier, c.timestamp, int(c.cell_type), c.value, c.tags) for c in result.cell
        ]
        exists = result.exists if result.HasField("exists") else None
        return [exists, result.associated_cell_count, self._cells(inline or block)]

    def _cells(self, cells: list[Cell]) -> list[object]:
        """Times of the server's own clock as the call that they are of: within one, a millisecond may end."""
        return [(*cell[:3], self._time(cell[3]), int(cell[4]), *cell[5:]) for cell in cells]

    def _time(self, timestamp_ms: int) -> int | str:
        if timestamp_ms < self.clock_begins_ms:
            return timestamp_ms
        for number, (began_ms, ended_ms) in enumerate(self._times_ms):
            if began_ms <= timestamp_ms <= ended_ms:
                return f"that of call {number}"
        raise AssertionError(f"{timestamp_ms} is of none of the calls: {self._times_ms}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _prefixed(message: Message, prefix: bytes, region: bytes) -> None:
    """Rows and regions filled in, wherever they are."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for each in value if descriptor.is_repeated else [value]:
                _prefixed(each, prefix, region)
    if isinstance(message, Filter_pb2.Filter):
        message.serialized_filter = message.serialized_filter.replace(PREFIX, prefix)
    elif isinstance(message, HBase_pb2.RegionSpecifier):
        message.value = region
    elif isinstance(message, Client_pb2.Scan):
        message.start_row, message.stop_row = prefix + message.start_row, prefix + message.stop_row
    elif isinstance(message, Client_pb2.Get | Client_pb2.Condition | Client_pb2.MutationProto):
        message.row = prefix + message.row
