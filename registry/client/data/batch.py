"""Many operations at once: which goes to which server, what the answers say of each, which is tried again. Pure.

    batch = Batch([Entry(each, new_nonce) for each in operations], nonce_group)
    while batch.left:
        calls, unknown = batch.plan(regions.find)     # one request per server, or several where it is long
        batch.take(call, response, cells)             # each of them; or batch.failed(call, error)
        batch.next_round()
    results = batch.results                           # in the order of the operations, errors among them

An operation is encoded once; a round of tries only puts regions and indices around it. Requests are in the order of
rows, in which HBase makes a region's puts and deletes whatever their order was, and operations of one row in the order
of the batch. Servers answer several requests at once, so all of a row are in one, whatever does not fit in a later one.

Source: AsyncBatchRpcRetryingCaller, RequestConverter#buildNoDataRegionActions, ResponseConverter#getResults.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from google.protobuf.message import DecodeError

from protos.hbase import Client_pb2, HBase_pb2, RPC_pb2
from registry.client.data.failures import Again, OutcomeUnknownException, surely_not_done
from registry.client.data.messages import TAG_MUTATION, counted_mutation, get_message, put_action
from registry.client.data.names import row_key
from registry.client.data.operations import Append, Get, Increment, Operation, Put, RowMutations
from registry.client.data.region_map import Region
from registry.client.data.results import Cells, row_of
from registry.names import Address
from registry.wire.errors import ErrorAction, HBaseError, ProtocolError, decode_exception
from registry.wire.framing import delimited, encode_varint
from registry.wire.text import lenient_text

REQUEST_BYTES_MAX = 4 << 20
"""hbase.client.max.perrequest.heapsize: a longer request is made several."""
REQUEST_ACTIONS_MAX = 5000
"""hbase.rpc.rows.warning.threshold: servers complain of more."""

PART_ACTIONS_MIN = 200
"""A batch is made several requests, so that the server works on one while the next is made, but not many short ones."""

_COUNTING = (Increment, Append)
_UNTOLD = object()
"""Stands where a result is to be."""
_TAG_REGION_ACTION = b"\x0a"
_ATOMIC = b"\x10\x01"
_TAG_ACTION = b"\x1a"
_TAG_INDEX = b"\x08"
_TAG_GET = b"\x1a"
_TAG_NONCE_GROUP = b"\x10"


class Entry:
    """One operation on its way, encoded: nothing that becomes of its values later matters."""

    __slots__ = ("actions", "again", "cells", "index", "may_be_done", "row", "size_bytes")

    def __init__(self, operation: Operation, new_nonce: Callable[[], int]) -> None:
        """Raises ValueError where it makes no sense."""
        self.index = 0
        """Its place in the batch, which gives it that."""
        self.again = Again.ALWAYS
        self.may_be_done = False
        """A try was left without an answer."""
        if type(operation) is Put:
            self.row, action, self.cells = put_action(operation)
            self.actions: tuple[bytes, ...] = (action,)
            """Each Action but its index; several are one RowMutations."""
            self.size_bytes = len(self.cells) + len(action)
            return
        self.row = row_key(operation.row)
        self.cells = b""
        if isinstance(operation, Get):
            self.actions = (_TAG_GET + delimited(get_message(operation).SerializeToString()),)
        elif isinstance(operation, RowMutations):
            made = [counted_mutation(each) for each in operation.mutations]
            if any(message.row != self.row for message, _ in made):
                raise ValueError(f"mutations of several rows cannot be made as one, {self.row!r} is the first")
            self.actions = tuple(TAG_MUTATION + delimited(message.SerializeToString()) for message, _ in made)
            self.cells = b"".join([cells for _, cells in made])
            if any(isinstance(each, _COUNTING) for each in operation.mutations):
                self.again = Again.NEVER
        else:
            nonce = 0
            if isinstance(operation, _COUNTING):
                nonce, self.again = new_nonce(), Again.UNDER_NONCE
            message, self.cells = counted_mutation(operation, nonce)
            self.actions = (TAG_MUTATION + delimited(message.SerializeToString()),)
        self.size_bytes = len(self.cells) + sum(map(len, self.actions))

    @property
    def atomic(self) -> bool:
        """A RowMutations, which travels by itself."""
        return len(self.actions) > 1


@dataclass(slots=True)
class RegionPart:
    """The operations of one region in one request; one RowMutations is a part of its own."""

    region: Region
    entries: list[Entry]
    atomic: bool = False

    def message(self) -> bytes:
        """A RegionAction."""
        if self.atomic:
            (entry,) = self.entries
            actions = entry.actions
        else:
            actions = [entry.actions[0] for entry in self.entries]
        parts = [self.region.field, _ATOMIC] if self.atomic else [self.region.field]
        for number, action in enumerate(actions):
            index = _index(number)
            parts += (_TAG_ACTION, encode_varint(len(index) + len(action)), index, action)
        return b"".join(parts)


@functools.lru_cache(maxsize=REQUEST_ACTIONS_MAX)
def _index(number: int) -> bytes:
    return _TAG_INDEX + encode_varint(number)


@dataclass(slots=True)
class MultiCall:
    """One request to one server."""

    address: Address
    parts: list[RegionPart] = field(default_factory=list[RegionPart])
    actions_count: int = 0
    size_bytes: int = 0

    def param(self, nonce_group: int) -> bytes:
        """A MultiRequest."""
        parts = [_TAG_REGION_ACTION + delimited(part.message()) for part in self.parts]
        return b"".join((*parts, _TAG_NONCE_GROUP, encode_varint(nonce_group)))

    def cells(self) -> bytes:
        """The cell block behind it."""
        return b"".join([entry.cells for part in self.parts for entry in part.entries])

    @property
    def entries(self) -> list[Entry]:
        """All operations of it."""
        return [entry for part in self.parts for entry in part.entries]


class Refusal:
    """One error of a round, for whom it concerns."""

    __slots__ = ("error", "region")

    def __init__(self, region: Region, error: HBaseError) -> None:
        self.region = region
        self.error = error


class Batch:
    """All operations, until each has a result."""

    def __init__(self, entries: Sequence[Entry], nonce_group: int) -> None:
        """An entry may be in one batch."""
        for index, entry in enumerate(entries):
            entry.index = index
        self.results: list[object] = [None] * len(entries)
        """A Row, None, or the HBaseError that an operation ended with."""
        self.left = list(entries)
        """Without a result."""
        self.nonce_group = nonce_group
        self._again: list[Entry] = []
        self._later: list[Entry] = []
        """Did not fit into the request that has others of their row."""
        self._refusals: list[Refusal] = []

    def plan(
        self, find: Callable[[bytes], Region | None], requests_max: int = 1
    ) -> tuple[list[MultiCall], list[Entry]]:
        """Requests for what is left, and the operations whose regions are not known.

        What would fit into one request to a server is made `requests_max` of them at most.
        """
        runs: dict[Address, list[tuple[Region, list[Entry]]]] = {}
        unknown: list[Entry] = []
        for region, entries in _by_region(sorted(self.left, key=_row_of), find):
            if region is None:
                unknown += entries
            else:
                runs.setdefault(region.address, []).append((region, entries))
        self.left = []
        calls: list[MultiCall] = []
        for address, of_server in runs.items():
            calls += self._cut(address, of_server, requests_max)
        return calls, unknown

    def _cut(self, address: Address, runs: list[tuple[Region, list[Entry]]], requests_max: int) -> list[MultiCall]:
        """The requests to one server; between two of them is never one row."""
        count = sum(len(entries) for _, entries in runs)
        requests_count = max(1, min(requests_max, count // PART_ACTIONS_MIN))
        wanted_count = min(-(-count // requests_count), REQUEST_ACTIONS_MAX)
        call = MultiCall(address)
        calls = [call]
        row = b""
        for region, entries in runs:
            part: RegionPart | None = None
            for entry in entries:
                size_bytes = entry.size_bytes
                fits = call.size_bytes + size_bytes <= REQUEST_BYTES_MAX
                if entry.row != row:
                    row = entry.row
                    if call.actions_count and (call.actions_count >= wanted_count or not fits):
                        call, part = MultiCall(address), None
                        calls.append(call)
                elif not fits or call.actions_count >= REQUEST_ACTIONS_MAX or self._is_later(row):
                    self._later.append(entry)
                    continue
                if part is None or entry.atomic or part.atomic:
                    part = RegionPart(region, [], atomic=entry.atomic)
                    call.parts.append(part)
                part.entries.append(entry)
                call.actions_count += 1
                call.size_bytes += size_bytes
        return calls

    def _is_later(self, row: bytes) -> bool:
        """Whether one before it of its row waits: none overtakes another."""
        return bool(self._later) and self._later[-1].row == row

    def take(self, call: MultiCall, message: bytes, block: bytes) -> None:
        """What a server answered. Raises ProtocolError where that makes no sense; nothing of it is taken then."""
        try:
            response = Client_pb2.MultiResponse.FromString(message)
        except DecodeError as error:
            raise ProtocolError(f"no MultiResponse: {error}", kind="multi") from None
        if len(response.regionActionResult) != len(call.parts):
            told = len(response.regionActionResult)
            raise ProtocolError(f"results of {told} regions for {len(call.parts)}", kind="multi")
        cells = Cells(block)
        outcomes = [
            _part_results(part, result, cells)
            for part, result in zip(call.parts, response.regionActionResult, strict=True)
        ]
        if cells.left_bytes:
            raise ProtocolError(f"{cells.left_bytes} bytes of cells that are no result's", kind="multi")
        for part, of_part in zip(call.parts, outcomes, strict=True):
            for entry, outcome in zip(part.entries, of_part, strict=True):
                if isinstance(outcome, HBaseError):
                    self._failed(part.region, entry, outcome)
                else:
                    self.results[entry.index] = outcome

    def failed(self, call: MultiCall, error: HBaseError) -> None:
        """No answer came, or one that says nothing about single operations."""
        for part in call.parts:
            for entry in part.entries:
                self._failed(part.region, entry, error)

    def give_up(self, error_of: Callable[[Entry], HBaseError]) -> None:
        """Nothing is tried again: what is left fails."""
        for entry in self.left:
            self.results[entry.index] = error_of(entry)
        self.left = []

    def next_round(self) -> list[Refusal]:
        """What failed in this round, or did not fit, is left for the next; the errors, each region's once."""
        refusals, self._refusals = self._refusals, []
        self.left = sorted(self.left + self._again + self._later, key=attrgetter("index"))
        self._again, self._later = [], []
        return list({(refusal.region.name, type(refusal.error)): refusal for refusal in refusals}.values())

    def _failed(self, region: Region, entry: Entry, error: HBaseError) -> None:
        if error.action is ErrorAction.GIVE_UP:
            self.results[entry.index] = error
            return
        entry.may_be_done = entry.may_be_done or not surely_not_done(error)
        if entry.again is Again.NEVER and entry.may_be_done:
            what = f"Multi of {entry.row[:64]!r}"
            self.results[entry.index] = OutcomeUnknownException(what, 1, 0.0, [str(region.address)], error)
        else:
            self.results[entry.index] = error  # what is told where there is no other try
            self._again.append(entry)
            self._refusals.append(Refusal(region, error))


_row_of = attrgetter("row")


def _by_region(
    entries: list[Entry], find: Callable[[bytes], Region | None]
) -> Iterator[tuple[Region | None, list[Entry]]]:
    """Those that stand together in one region, of operations in the order of rows; None: the region is not known."""
    start, stop = 0, len(entries)
    while start < stop:
        region = find(entries[start].row)
        if region is None:
            end = start + 1
        else:
            end = bisect_left(entries, region.end_key, start, key=_row_of) if region.end_key else stop
        yield region, entries[start:end]
        start = end


@functools.cache
def _all_done() -> bytes:
    """What a region answers where every operation is done and none gives anything, each with its index."""
    done = Client_pb2.RegionActionResult()
    for index in range(REQUEST_ACTIONS_MAX):
        done.resultOrException.add(index=index).result.SetInParent()
    return done.SerializeToString()


def _part_results(part: RegionPart, result: Client_pb2.RegionActionResult, cells: Cells) -> list[object]:
    """The outcome of each operation of a region, in their order. Raises ProtocolError."""
    count = len(part.entries)
    if result.HasField("exception"):
        return [region_error(result.exception)] * count
    if part.atomic:
        rows = [row_of(each.result, cells) for each in result.resultOrException]
        failed = [region_error(each.exception) for each in result.resultOrException if each.HasField("exception")]
        return [failed[0] if failed else next((row for row in rows if row is not None), None)]
    if len(result.resultOrException) != count:
        told = len(result.resultOrException)
        raise ProtocolError(f"{told} results for {count} operations of a region", kind="multi")
    if _all_done().startswith(result.SerializePartialToString()):
        return [None] * count  # nearly all puts end so: none is looked at
    outcomes: list[object] = [_UNTOLD] * count
    for position, each in enumerate(result.resultOrException):
        index = each.index if each.HasField("index") else position
        if index >= count or outcomes[index] is not _UNTOLD:
            raise ProtocolError(f"the result of operation {index} of {count}, or its second", kind="multi")
        outcomes[index] = region_error(each.exception) if each.HasField("exception") else row_of(each.result, cells)
    return outcomes


def region_error(exception: HBase_pb2.NameBytesPair) -> HBaseError:
    """The error of an operation, or of a region's part of a Multi; it has no flags, its class decides."""
    text = lenient_text(exception.value.decode("utf-8", "replace"))
    return decode_exception(
        RPC_pb2.ExceptionResponse(exception_class_name=exception.name, stack_trace=text, do_not_retry=False)
    )


def worst(refusals: Iterable[Refusal]) -> HBaseError:
    """The error by which to pause: one that asks for patience, if there is any."""
    errors = [refusal.error for refusal in refusals]
    order = (ErrorAction.BACK_OFF, ErrorAction.RECONNECT, ErrorAction.RELOCATE)
    return min(errors, key=lambda error: order.index(error.action) if error.action in order else len(order))
