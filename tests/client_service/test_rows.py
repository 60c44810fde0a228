"""Get and Mutate as clients meet them; what is lost on the way is not done twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.nonces import Nonces, Seen
from regionserver.client_service.results import Answer, CellForm
from regionserver.client_service.rows import RowCalls
from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch, Committed, Durability, StoreBroken, StoreBusy
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import Cell, KeyType, decode_cells
from registry.wire.errors import (
    DoNotRetryIOException,
    FailedSanityCheckException,
    HBaseError,
    IOException,
    NoSuchColumnFamilyException,
    NotServingRegionException,
    RegionTooBusyException,
    WrongRegionException,
)

PUT, DELETE = Client_pb2.MutationProto.PUT, Client_pb2.MutationProto.DELETE
INCREMENT, APPEND = Client_pb2.MutationProto.INCREMENT, Client_pb2.MutationProto.APPEND


class SlowStore(MemoryStore):
    """Says later that a commit is durable, when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.holding = False
        self.held: list[Callable[[], None]] = []
        self.busy = self.broken = False
        self.durabilities: list[Durability] = []

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        if self.busy:
            raise StoreBusy("memory: busy")
        self.durabilities.append(durability)
        if self.broken:
            committed(StoreBroken("memory: broken"))
            return
        if self.holding:
            super().commit(batch, durability, lambda error: self.held.append(lambda: committed(error)))
        else:
            super().commit(batch, durability, committed)


class Server:
    def __init__(self) -> None:
        self.store = SlowStore()
        where = RegionRange("t1", "t1,,1.aa.", b"", b"s")
        self.region = Region(where, {b"f": FamilyRules(3)}, self.store, b"prefix00")
        self.calls = RowCalls(self._region_of, Nonces())
        self.now_ms = 100

    def _region_of(self, where: HBase_pb2.RegionSpecifier) -> Region:
        if where.value != b"t1":
            raise NotServingRegionException("not here")
        return self.region

    def mutate(
        self, kind: Any, value: bytes = b"v", *, nonce: int = 0, row: bytes = b"r", compare: bytes | None = None,
        timestamp_ms: int | None = None, region: bytes = b"t1", **fields: Any,
    ) -> list[Answer | HBaseError]:  # fmt: skip
        request = Client_pb2.MutateRequest(nonce_group=9)
        request.region.type, request.region.value = HBase_pb2.RegionSpecifier.REGION_NAME, region
        request.mutation.CopyFrom(Client_pb2.MutationProto(row=row, mutate_type=kind, nonce=nonce, **fields))
        request.mutation.column_value.add(family=b"f").qualifier_value.add(
            qualifier=b"q", value=value, timestamp=timestamp_ms
        )
        if compare is not None:
            request.condition.row, request.condition.family, request.condition.qualifier = row, b"f", b"q"
            request.condition.compare_type = HBase_pb2.EQUAL
            request.condition.comparator.name = "org.apache.hadoop.hbase.filter.BinaryComparator"
            request.condition.comparator.serialized_comparator = b"\x0a" + bytes([len(compare) + 2]) + b"\x0a" + bytes(
                [len(compare)]
            ) + compare  # fmt: skip
        replies: list[Answer | HBaseError] = []
        self.calls.mutate(request, iter(()), CellForm.BLOCK, self.now_ms, replies.append)
        return replies

    def get(self, row: bytes = b"r") -> list[Cell]:
        request = Client_pb2.GetRequest()
        request.region.type, request.region.value = HBase_pb2.RegionSpecifier.REGION_NAME, b"t1"
        request.get.row = row
        return list(decode_cells(self.calls.get(request, CellForm.BLOCK, self.now_ms).cells))

    def value(self) -> bytes:
        return self.get()[0].value


def response(replies: list[Answer | HBaseError]) -> tuple[Client_pb2.MutateResponse, list[Cell]]:
    [reply] = replies
    assert isinstance(reply, Answer), reply
    return Client_pb2.MutateResponse.FromString(reply.message), list(decode_cells(reply.cells))


def error(replies: list[Answer | HBaseError]) -> HBaseError:
    [reply] = replies
    assert isinstance(reply, HBaseError)
    return reply


def long(number: int) -> bytes:
    return number.to_bytes(8, "big")


def test_puts_and_deletes_are_processed():
    server = Server()
    message, cells = response(server.mutate(PUT))
    assert (message.processed, message.HasField("result"), cells) == (True, False, [])
    assert server.get() == [Cell(b"r", b"f", b"q", 100, KeyType.PUT, b"v")]
    assert response(server.mutate(DELETE))[0].processed
    assert server.get() == []


def test_an_increment_tells_what_it_left():
    server = Server()
    for expected in (5, 10):
        message, [cell] = response(server.mutate(INCREMENT, long(5)))
        assert (cell.value, message.result.associated_cell_count) == (long(expected), 1)
        assert not message.HasField("processed")
    silent = Client_pb2.MutationProto().attribute
    silent.add(name="_rr_", value=b"\0")
    message, cells = response(server.mutate(APPEND, b"x", attribute=silent))
    assert (message.result.associated_cell_count, cells) == (0, [])


def test_what_comes_twice_is_applied_once():
    """As recorded: both answers have the same value and the same time."""
    server = Server()
    first = response(server.mutate(INCREMENT, long(5), nonce=1))
    server.now_ms = 200
    second = response(server.mutate(INCREMENT, long(5), nonce=1))
    assert [cell for _, cells in (first, second) for cell in cells] == [
        Cell(b"r", b"f", b"q", 100, KeyType.PUT, long(5))
    ] * 2
    response(server.mutate(INCREMENT, long(5), nonce=2))
    assert server.value() == long(10)
    response(server.mutate(INCREMENT, long(5)))
    response(server.mutate(INCREMENT, long(5)))
    assert server.value() == long(20), "without a nonce each counts"


def test_the_second_waits_for_the_first():
    """It came while the first was not durable yet: had it been answered then, a crash could have made a lie of it."""
    server = Server()
    server.store.holding = True
    first = server.mutate(INCREMENT, long(5), nonce=1)
    second = server.mutate(INCREMENT, long(5), nonce=1)
    assert (first, second) == ([], [])
    [durable] = server.store.held
    durable()
    assert [cells[0].value for _, cells in (response(first), response(second))] == [long(5)] * 2
    assert server.value() == long(5)


def test_one_that_failed_may_come_again():
    server = Server()
    response(server.mutate(PUT, b"no number"))
    with_text = server.mutate(INCREMENT, long(5), nonce=1)
    assert isinstance(error(with_text), DoNotRetryIOException)
    server.now_ms = 200
    response(server.mutate(PUT, long(1)))
    response(server.mutate(INCREMENT, long(5), nonce=1))
    assert server.value() == long(6)


def test_an_answer_leaves_when_the_change_is_durable():
    server = Server()
    server.store.holding = True
    replies = server.mutate(PUT)
    assert replies == []
    server.store.held.pop()()
    assert response(replies)[0].processed


@pytest.mark.parametrize(
    ("asked", "durability"),
    [
        (Client_pb2.MutationProto.USE_DEFAULT, Durability.PROCESS),
        (Client_pb2.MutationProto.SKIP_WAL, Durability.MEMORY),
        (Client_pb2.MutationProto.FSYNC_WAL, Durability.POWER),
    ],
)
def test_durability_is_what_was_asked(asked: Any, durability: Durability):
    server = Server()
    server.mutate(PUT, durability=asked)
    assert server.store.durabilities == [durability]


def test_conditions():
    server = Server()
    response(server.mutate(PUT, b"1"))
    assert response(server.mutate(PUT, b"2", compare=b"x"))[0].HasField("processed")
    assert not response(server.mutate(PUT, b"2", compare=b"x"))[0].processed
    assert server.value() == b"1"
    server.now_ms = 200
    assert response(server.mutate(PUT, b"2", compare=b"1"))[0].processed
    assert server.value() == b"2"
    message, [cell] = response(server.mutate(APPEND, b"3", compare=b"2"))
    assert (message.processed, cell.value) == (True, b"23")


def test_what_comes_twice_under_a_condition_is_applied_once():
    """As a real server does: the condition is judged first, and may be met no longer by what the first has done."""
    server = Server()
    response(server.mutate(PUT, long(1)))
    server.now_ms = 200
    message, [cell] = response(server.mutate(INCREMENT, long(5), nonce=1, compare=long(1)))
    assert (message.processed, cell.value) == (True, long(6))
    message, cells = response(server.mutate(INCREMENT, long(5), nonce=1, compare=long(1)))
    assert (message.processed, cells) == (False, [])
    message, [cell] = response(server.mutate(INCREMENT, long(5), nonce=1, compare=long(6)))
    assert (message.processed, cell.value) == (True, long(6)), "it holds, and was done"
    assert server.region.counts.checks_failed_count == 1
    assert server.region.counts.checks_passed_count == 2
    for _ in range(2):
        assert not response(server.mutate(INCREMENT, long(5), nonce=2, compare=long(1)))[0].processed
    server.now_ms = 300
    response(server.mutate(PUT, long(1)))
    assert response(server.mutate(INCREMENT, long(5), nonce=2, compare=long(1)))[0].processed, "it was not done before"


def test_a_mutation_without_cells_is_answered():
    """No client of HBase sends one; whoever does must not wait for ever."""
    server = Server()
    request = Client_pb2.MutateRequest()
    request.region.type, request.region.value = HBase_pb2.RegionSpecifier.REGION_NAME, b"t1"
    replies: list[Answer | HBaseError] = []
    for kind in (PUT, INCREMENT, APPEND):
        request.mutation.CopyFrom(Client_pb2.MutationProto(row=b"r", mutate_type=kind, nonce=1))
        server.calls.mutate(request, iter(()), CellForm.BLOCK, 100, replies.append)
    assert [type(reply) for reply in replies] == [Answer] * 3


def test_errors_are_answers():
    server = Server()
    assert isinstance(error(server.mutate(PUT, region=b"other")), NotServingRegionException)
    assert isinstance(error(server.mutate(PUT, row=b"z", compare=b"")), WrongRegionException)
    assert isinstance(error(server.mutate(PUT, row=b"z")), FailedSanityCheckException)
    assert isinstance(error(server.mutate(PUT, row=b"")), DoNotRetryIOException)
    server.store.busy = True
    assert isinstance(error(server.mutate(PUT)), RegionTooBusyException)
    server.store.busy, server.store.broken = False, True
    broken = error(server.mutate(PUT))
    assert isinstance(broken, IOException)
    assert not isinstance(broken, DoNotRetryIOException)


def test_nonces_are_forgotten_in_time():
    nonces = Nonces(grace_ms=10, nonces_max=2)
    for number in (1, 2, 3):
        assert nonces.begin((0, number), 0) is Seen.NEW
        assert nonces.begin((0, number), 0) is Seen.RUNNING
        nonces.end((0, number), 0, succeeded=True)
    assert nonces.begin((0, 3), 9.9) is Seen.DONE
    assert nonces.begin((1, 3), 9.9) is Seen.NEW, "another client's"
    assert nonces.begin((0, 1), 9.9) is Seen.NEW, "beyond the limit the oldest goes"
    assert nonces.begin((0, 3), 10) is Seen.NEW


def test_a_get_with_a_limit_within_the_family():
    """Recorded of a real server: an answer without cells counts none and says nothing of being stale."""
    server = Server()
    request = Client_pb2.MutateRequest()
    request.region.type, request.region.value = HBase_pb2.RegionSpecifier.REGION_NAME, b"t1"
    request.mutation.row, request.mutation.mutate_type = b"r", PUT
    values = request.mutation.column_value.add(family=b"f").qualifier_value
    for qualifier in (b"a", b"b", b"c", b"d"):
        values.add(qualifier=qualifier, value=b"")
    server.calls.mutate(request, iter(()), CellForm.BLOCK, 100, lambda _: None)
    asked = Client_pb2.GetRequest(region=request.region)
    asked.get.row = b"r"
    for offset, limit, expected in (
        (1, 2, b"bc"),
        (3, 2, b"d"),
        (0, 0, b"a"),
        (1, 0, b"b"),
        (4, 1, b""),
        (0, 4, b"abcd"),
    ):
        asked.get.store_offset, asked.get.store_limit = offset, limit
        answer = server.calls.get(asked, CellForm.BLOCK, 100)
        assert b"".join(each.qualifier for each in decode_cells(answer.cells)) == expected
        result = Client_pb2.GetResponse.FromString(answer.message).result
        assert result.associated_cell_count == len(expected)
        assert result.HasField("stale") is bool(expected)


def test_a_get_of_the_only_family_and_of_one_that_is_not_there():
    server = Server()
    server.mutate(PUT, b"1")
    asked = Client_pb2.GetRequest(get=Client_pb2.Get(row=b"r", column=[{"family": b"f"}]))
    asked.region.type, asked.region.value = HBase_pb2.RegionSpecifier.REGION_NAME, b"t1"
    assert list(decode_cells(server.calls.get(asked, CellForm.BLOCK, 100).cells)) == server.get() != []
    asked.get.column[0].family = b"g"
    with pytest.raises(NoSuchColumnFamilyException):
        server.calls.get(asked, CellForm.BLOCK, 100)
