"""Multi: each action has its own answer, in its place; what is atomic is one."""

from __future__ import annotations

from typing import Any

import pytest

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.cell_reader import CellReader
from regionserver.client_service.multi import MultiCalls
from regionserver.client_service.nonces import Nonces
from regionserver.client_service.results import Answer, CellForm
from regionserver.client_service.rows import RowCalls
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import Cell, KeyType, decode_cells, encode_cells
from registry.wire.errors import DoNotRetryIOException, HBaseError, NotServingRegionException
from tests.client_service.test_rows import SlowStore, long
from tests.support.services import no_services

HBASE = "org.apache.hadoop.hbase."
INDEXES = 1
"""gohbase counts from 1, over all regions."""


class Server:
    """Two regions of one table, each with its own store."""

    def __init__(self, **limits: int) -> None:
        self.stores = {b"r1": SlowStore(), b"r2": SlowStore()}
        ends = {b"r1": (b"", b"m"), b"r2": (b"m", b"")}
        self.regions = {
            name: Region(RegionRange("t", name.decode(), *ends[name]), {b"f": FamilyRules(3)}, store, b"prefix00")
            for name, store in self.stores.items()
        }
        self.calls = MultiCalls(RowCalls(self._region_of, Nonces()), self._region_of, no_services, **limits)
        self.cells: list[Cell] = []
        self.request = Client_pb2.MultiRequest(nonceGroup=3)
        self.now_ms = 100

    def _region_of(self, where: HBase_pb2.RegionSpecifier) -> Region:
        if where.value not in self.regions:
            raise NotServingRegionException(f"{where.value.decode()} is not online")
        return self.regions[where.value]

    def region(self, name: bytes, **fields: Any) -> Client_pb2.RegionAction:
        action = self.request.regionAction.add(**fields)
        action.region.type, action.region.value = HBase_pb2.RegionSpecifier.REGION_NAME, name
        return action

    def put(self, action: Client_pb2.RegionAction, row: bytes, value: bytes = b"v", family: bytes = b"f") -> None:
        """By the cell block, as clients send it."""
        mutation = self._action(action).mutation
        mutation.mutate_type, mutation.associated_cell_count = Client_pb2.MutationProto.PUT, 1
        self.cells.append(Cell(row, family, b"q", 2**63 - 1, KeyType.PUT, value))

    def add(
        self, action: Client_pb2.RegionAction, row: bytes, value: bytes, nonce: int = 0, qualifier: bytes = b"n"
    ) -> None:
        mutation = self._action(action).mutation
        mutation.mutate_type, mutation.row, mutation.nonce = Client_pb2.MutationProto.INCREMENT, row, nonce
        mutation.column_value.add(family=b"f").qualifier_value.add(qualifier=qualifier, value=value)

    def get(self, action: Client_pb2.RegionAction, row: bytes) -> None:
        self._action(action).get.row = row

    def _action(self, action: Client_pb2.RegionAction) -> Client_pb2.Action:
        count = sum(len(each.action) for each in self.request.regionAction)
        return action.action.add(index=INDEXES + count)

    def call(self) -> list[Answer | HBaseError]:
        replies: list[Answer | HBaseError] = []
        self.calls.multi(self.request, iter(self.cells), CellForm.BLOCK, self.now_ms, replies.append)
        self.request, self.cells = Client_pb2.MultiRequest(nonceGroup=3), []
        return replies

    def done(self) -> tuple[Client_pb2.MultiResponse, list[Cell]]:
        [reply] = self.call()
        assert isinstance(reply, Answer), reply
        return Client_pb2.MultiResponse.FromString(reply.message), list(decode_cells(reply.cells))

    def read(self, region: bytes, row: bytes) -> list[bytes]:
        block = self.regions[region].get(row, {}, self.now_ms).block
        return [each.value for each in decode_cells(block)]


def test_each_in_its_place():
    server = Server()
    first, second = server.region(b"r1"), server.region(b"r2")
    server.put(first, b"a", b"1")
    server.put(first, b"b", b"2")
    server.get(first, b"a")
    server.add(second, b"n", long(5))
    server.get(second, b"nothing")
    response, cells = server.done()
    assert [[each.index for each in part.resultOrException] for part in response.regionActionResult] == [
        [1, 2, 3], [4, 5],
    ]  # fmt: skip
    counts = [
        each.result.associated_cell_count for part in response.regionActionResult for each in part.resultOrException
    ]
    assert counts == [0, 0, 1, 1, 0]
    assert all(each.HasField("result") for part in response.regionActionResult for each in part.resultOrException)
    assert [each.value for each in cells] == [b"1", long(5)]
    assert response.HasField("regionStatistics")
    assert not response.HasField("processed")


def test_an_action_that_fails_fails_alone():
    server = Server()
    part = server.region(b"r1")
    server.put(part, b"a", b"1")
    server.put(part, b"b", b"2", family=b"nope")
    server.put(part, b"z", b"of the other region")
    server.put(part, b"c", b"3")
    response, _ = server.done()
    names = [each.exception.name for each in response.regionActionResult[0].resultOrException]
    assert names == [
        "", f"{HBASE}regionserver.NoSuchColumnFamilyException", f"{HBASE}exceptions.FailedSanityCheckException", "",
    ]  # fmt: skip
    assert [server.read(b"r1", row) for row in (b"a", b"b", b"c")] == [[b"1"], [], [b"3"]]


def test_what_is_too_much_for_one_answer_is_to_be_asked_for_again():
    server = Server(result_bytes_max=1000)
    part = server.region(b"r1")
    server.put(part, b"a", b"v" * 600)
    for _ in range(3):
        server.get(part, b"a")
    response, cells = server.done()
    names = [each.exception.name for each in response.regionActionResult[0].resultOrException]
    assert names == ["", "", "", f"{HBASE}MultiActionResultTooLarge"]
    assert len(cells) == 2


def test_the_cells_of_a_region_that_is_not_here_are_passed_over():
    server = Server()
    gone, here = server.region(b"gone"), server.region(b"r1")
    server.put(gone, b"a", b"lost")
    server.put(gone, b"b", b"lost")
    server.put(here, b"a", b"mine")
    response, _ = server.done()
    lost, kept = response.regionActionResult
    assert (lost.exception.name, len(lost.resultOrException)) == (f"{HBASE}NotServingRegionException", 0)
    assert lost.exception.value == f"{HBASE}NotServingRegionException: gone is not online\n".encode()
    assert len(kept.resultOrException) == 1
    assert server.read(b"r1", b"a") == [b"mine"]


def test_one_row_twice_in_one_call():
    server = Server()
    part = server.region(b"r1")
    for value in (b"1", b"2"):
        server.put(part, b"a", value)
    server.now_ms = 200
    server.done()
    assert server.read(b"r1", b"a") == [b"2"]


def test_the_answer_waits_for_all_of_it():
    server = Server()
    for name, row in ((b"r1", b"a"), (b"r2", b"z")):
        server.put(server.region(name), row)
        server.stores[name].holding = True
    replies = server.call()
    server.stores[b"r2"].held.pop()()
    assert replies == []
    server.stores[b"r1"].held.pop()()
    assert len(replies) == 1


def test_a_store_that_is_busy_or_broken():
    server = Server()
    server.stores[b"r1"].busy = True
    server.stores[b"r2"].broken = True
    server.put(server.region(b"r1"), b"a")
    server.put(server.region(b"r2"), b"z")
    response, _ = server.done()
    names = [part.resultOrException[0].exception.name for part in response.regionActionResult]
    assert names == [f"{HBASE}RegionTooBusyException", "java.io.IOException"]


def test_atomic_is_all_or_nothing():
    server = Server()
    part = server.region(b"r1", atomic=True)
    server.put(part, b"a", b"1")
    server.add(part, b"a", long(2))
    response, cells = server.done()
    [result] = response.regionActionResult
    assert (result.processed, response.processed, cells) == (True, True, [])
    assert [each.index for each in result.resultOrException] == [1, 2]
    assert [each.value for each in result.resultOrException[0].result.cell] == [long(2)]
    part = server.region(b"r1", atomic=True)
    server.put(part, b"b", b"1")
    server.put(part, b"b", b"2", family=b"nope")
    response, _ = server.done()
    assert response.regionActionResult[0].exception.name.endswith("NoSuchColumnFamilyException")
    assert server.read(b"r1", b"b") == []


def condition(message: Client_pb2.Condition, expected: bytes) -> None:
    message.row, message.family, message.qualifier = b"a", b"f", b"q"
    message.compare_type = HBase_pb2.EQUAL
    message.comparator.name = f"{HBASE}filter.BinaryComparator"
    inner = b"\x0a" + bytes([len(expected)]) + expected
    message.comparator.serialized_comparator = b"\x0a" + bytes([len(inner)]) + inner


def test_conditions_of_now_and_of_old_clients():
    server = Server()
    server.put(server.region(b"r1"), b"a", b"1")
    server.done()
    for expected, held in ((b"x", False), (b"1", True)):
        for is_old in (False, True):
            server.now_ms += 10
            part = server.region(b"r1", atomic=is_old)
            condition(server.request.condition if is_old else part.condition, expected)
            server.put(part, b"a", b"1")
            response, _ = server.done()
            assert (response.regionActionResult[0].processed, response.processed) == (held, held)
            (entry,) = response.regionActionResult[0].resultOrException
            assert not entry.HasField("result"), "with one, hbase-client 1.4 does not look at `processed`"


def test_nonces_count_here_too():
    server = Server()
    for _ in range(2):
        server.add(server.region(b"r1"), b"a", long(5), nonce=8)
        server.done()
    assert server.read(b"r1", b"a") == [long(5)]


def test_an_increment_that_is_refused_does_not_hold_the_answer():
    server = Server()
    part = server.region(b"r1")
    server.add(part, b"a", b"no number")
    server.put(part, b"b")
    response, _ = server.done()
    assert [each.exception.name for each in response.regionActionResult[0].resultOrException] == [
        f"{HBASE}DoNotRetryIOException", "",
    ]  # fmt: skip


def test_fewer_cells_than_counted_fail_the_call():
    server = Server()
    server.put(server.region(b"r1"), b"a")
    server.cells.clear()
    [reply] = server.call()
    assert isinstance(reply, DoNotRetryIOException)


def test_a_change_of_a_row_with_increments_is_done_once():
    """As a real server was seen to do, with a condition and without: its nonce is that of its first increment.

    A condition is judged again: one that the first has made false is false then.
    """
    for conditional, holds_on in ((False, True), (True, True), (True, False)):
        server = Server()
        for now_ms in (100, 200):
            server.now_ms = now_ms
            server.request.Clear()
            server.request.nonceGroup = 3
            action = server.region(b"r1", atomic=True)
            server.add(action, b"a", long(5), nonce=9)
            server.put(action, b"a", b"%d" % now_ms)
            if conditional:
                action.condition.row, action.condition.family = b"a", b"f"
                action.condition.qualifier = b"other" if holds_on else b"q"
                action.condition.compare_type = HBase_pb2.EQUAL
                action.condition.comparator.name = HBASE + "filter.NullComparator"
            [reply] = server.call()
            assert isinstance(reply, Answer)
            [part] = Client_pb2.MultiResponse.FromString(reply.message).regionActionResult
            assert part.processed == (holds_on or now_ms == 100)
            values = [cell.value for cell in part.resultOrException[0].result.cell]
            assert values == ([long(5)] if part.processed else [])
        found = server.regions[b"r1"].get(b"a", {}, 300)
        assert [cell.value for cell in decode_cells(found.block)] == [long(5), b"100"]


def test_what_was_done_before_is_told_one_by_one():
    """All columns came in their order: whoever tells them apart by their place read another one's."""
    server = Server()
    for repeated in (False, True):
        server.request.Clear()
        server.request.nonceGroup = 3
        action = server.region(b"r1", atomic=True)
        server.add(action, b"a", long(5), nonce=9, qualifier=b"q")
        server.add(action, b"a", long(6), nonce=9, qualifier=b"p")
        [reply] = server.call()
        assert isinstance(reply, Answer)
        [part] = Client_pb2.MultiResponse.FromString(reply.message).regionActionResult
        told = [cell.qualifier for cell in part.resultOrException[0].result.cell]
        assert told == [b"q", b"p"], repeated


def test_the_second_of_a_change_of_a_row_waits_for_the_first():
    server = Server()
    server.stores[b"r1"].holding = True
    replies: list[list[Answer | HBaseError]] = []
    for _ in range(2):
        server.add(server.region(b"r1", atomic=True), b"a", long(5), nonce=9)
        replies.append(server.call())
    first, second = replies
    assert (first, second) == ([], [])
    [durable] = server.stores[b"r1"].held
    durable()
    for [reply] in (first, second):
        assert isinstance(reply, Answer)
        [part] = Client_pb2.MultiResponse.FromString(reply.message).regionActionResult
        assert [cell.value for cell in part.resultOrException[0].result.cell] == [long(5)]


@pytest.mark.parametrize("trouble", ["", "busy", "broken", "holding", "elsewhere", "of another family", "not here"])
def test_a_put_alone_is_answered_as_among_others(trouble: str):
    told: list[list[object]] = [[], []]
    for alone, outcomes in zip((True, False), told, strict=True):
        server = Server()
        store = server.stores[b"r1"]
        store.busy, store.broken, store.holding = (trouble == each for each in ("busy", "broken", "holding"))
        action = server.region(b"r9" if trouble == "elsewhere" else b"r1")
        server.put(action, b"z" if trouble == "not here" else b"a", family=b"x" if "family" in trouble else b"f")
        reply = outcomes.append
        cells = CellReader(encode_cells(server.cells))
        if not alone or not server.calls.one_put(server.request, cells, 100, reply):
            assert not alone or trouble == "elsewhere"
            server.calls.multi(server.request, cells, CellForm.BLOCK, 100, reply)
        assert bool(outcomes) is (trouble != "holding"), "no answer before its commit is over"
        for each in store.held:
            each()
    assert told[0] == told[1]
    assert len(told[0]) == 1
