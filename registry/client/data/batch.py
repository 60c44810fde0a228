"""Many operations at once: which goes to which server, what the answers say of each, which is tried again. Pure.

    batch = Batch([Entry(each, new_nonce) for each in operations], nonce_group)
    while batch.left:
        calls, unknown = batch.plan(regions.find)     # one request per server, or several where it is long
        batch.take(call, response, cells)             # or batch.failed(call, error)
    results = batch.results                           # in the order of the operations, errors among them

An operation is encoded once; a round of tries only puts regions and indices around it. In a request the operations
of a region stand in the order of the batch, but servers may do them in any order, and so does HBase.

Source: AsyncBatchRpcRetryingCaller, RequestConverter#buildNoDataRegionActions, ResponseConverter#getResults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from protos.hbase import Client_pb2, HBase_pb2, RPC_pb2
from registry.client.data.failures import Again, OutcomeUnknownException, surely_not_done
from registry.client.data.messages import counted_mutation, get_message
from registry.client.data.names import row_key
from registry.client.data.operations import Append, Get, Increment, Operation, RowMutations
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

_COUNTING = (Increment, Append)
_UNTOLD = object()
"""Stands where a result is to be."""
_TAG_REGION_ACTION = b"\x0a"
_ATOMIC = b"\x10\x01"
_TAG_ACTION = b"\x1a"
_TAG_INDEX = b"\x08"
_TAG_MUTATION = b"\x12"
_TAG_GET = b"\x1a"
_TAG_NONCE_GROUP = b"\x10"


class Entry:
    """One operation on its way, encoded: nothing that becomes of its values later matters."""

    __slots__ = ("actions", "again", "cells", "index", "may_be_done", "row", "size_bytes")

    def __init__(self, operation: Operation, new_nonce: Callable[[], int]) -> None:
        """Raises ValueError where it makes no sense."""
        self.index = 0
        """Its place in the batch, which gives it that."""
        self.row = row_key(operation.row)
        self.again = Again.ALWAYS
        self.may_be_done = False
        """A try was left without an answer."""
        self.actions: tuple[bytes, ...] = ()
        """Each Action but its index; several are one RowMutations."""
        self.cells = b""
        if isinstance(operation, Get):
            self.actions = (_TAG_GET + delimited(get_message(operation).SerializeToString()),)
        elif isinstance(operation, RowMutations):
            made = [counted_mutation(each) for each in operation.mutations]
            if any(message.row != self.row for message, _ in made):
                raise ValueError(f"mutations of several rows cannot be made as one, {self.row!r} is the first")
            self.actions = tuple(_TAG_MUTATION + delimited(message.SerializeToString()) for message, _ in made)
            self.cells = b"".join([cells for _, cells in made])
            if any(isinstance(each, _COUNTING) for each in operation.mutations):
                self.again = Again.NEVER
        else:
            nonce = 0
            if isinstance(operation, _COUNTING):
                nonce, self.again = new_nonce(), Again.UNDER_NONCE
            message, self.cells = counted_mutation(operation, nonce)
            self.actions = (_TAG_MUTATION + delimited(message.SerializeToString()),)
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
            actions = [_indexed(index, action) for index, action in enumerate(entry.actions)]
            return b"".join((self.region.field, _ATOMIC, *actions))
        actions = [_indexed(index, entry.actions[0]) for index, entry in enumerate(self.entries)]
        return b"".join((self.region.field, *actions))


def _indexed(index: int, action: bytes) -> bytes:
    body = _TAG_INDEX + encode_varint(index) + action
    return _TAG_ACTION + encode_varint(len(body)) + body


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
        self._refusals: list[Refusal] = []

    def plan(self, find: Callable[[bytes], Region | None]) -> tuple[list[MultiCall], list[Entry]]:
        """Requests for what is left, and the operations whose regions are not known."""
        calls: dict[Address, list[MultiCall]] = {}
        parts: dict[tuple[int, bytes], RegionPart] = {}
        unknown: list[Entry] = []
        for entry in self.left:
            region = find(entry.row)
            if region is None:
                unknown.append(entry)
                continue
            of_server = calls.setdefault(region.address, [])
            if not of_server or self._is_full(of_server[-1], entry):
                of_server.append(MultiCall(region.address))
            call = of_server[-1]
            call.actions_count += 1
            call.size_bytes += entry.size_bytes
            if entry.atomic:
                call.parts.append(RegionPart(region, [entry], atomic=True))
                continue
            key = (id(call), region.name)
            if (part := parts.get(key)) is None:
                part = parts[key] = RegionPart(region, [])
                call.parts.append(part)
            part.entries.append(entry)
        self.left = []
        return [call for of_server in calls.values() for call in of_server], unknown

    def _is_full(self, call: MultiCall, entry: Entry) -> bool:
        return call.actions_count >= REQUEST_ACTIONS_MAX or call.size_bytes + entry.size_bytes > REQUEST_BYTES_MAX

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
        """What failed in this round is left for the next; the errors, each region's once."""
        refusals, self._refusals = self._refusals, []
        self.left += sorted(self._again, key=lambda entry: entry.index)
        self._again = []
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
