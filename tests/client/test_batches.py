"""Batches without sockets: which requests are made of them, in which order, and what answers say of each operation."""

from __future__ import annotations

import random

import pytest

from hbeacon import Delete, Get, Put, RowMutations
from protos.hbase import Client_pb2
from registry.client.data import batch as batch_module
from registry.client.data.batch import Batch, Entry, MultiCall
from registry.client.data.operations import Operation
from registry.client.data.region_map import Region, RegionMap
from registry.names import ServerName
from registry.wire.errors import CallQueueTooBigException


def known() -> RegionMap:
    made = RegionMap()
    made.add(Region(b"t,,1", b"", b"", ServerName("s", 1, 1)))
    return made


def test_a_batch_that_is_alone_is_a_few_requests_of_one_length() -> None:
    for count, requests_max, lengths in ((399, 4, [399]), (1000, 4, [250] * 4), (1000, 1, [1000]), (500, 0, [500])):
        batch = Batch([Entry(Get(f"r{number:04}"), lambda: 1) for number in range(count)], 1)
        calls, _ = batch.plan(known().find, requests_max)
        assert [call.actions_count for call in calls] == lengths


def test_operations_of_a_row_are_never_in_two_requests_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers take their requests in any order; some fail, and every operation is made, those of a row in turn."""
    monkeypatch.setattr(batch_module, "PART_ACTIONS_MIN", 3)
    monkeypatch.setattr(batch_module, "REQUEST_ACTIONS_MAX", 7)
    monkeypatch.setattr(batch_module, "REQUEST_BYTES_MAX", 700)
    regions = known()
    for start, end, port in ((b"", b"4", 1), (b"4", b"7", 2), (b"7", b"", 1)):
        regions.add(Region(b"t,%b,2" % start, start, end, ServerName("s", port, 1)))
    chance = random.Random(5)
    deferred = 0
    for _ in range(150):
        rows = [str(chance.randrange(1, 10)).encode() for _ in range(chance.randrange(1, 60))]
        operations = [_operation(chance, row) for row in rows]
        entries = [Entry(each, lambda: 1) for each in operations]
        batch, made = Batch(entries, 1), list[int]()
        while batch.left:
            left_count = len(batch.left)
            calls, unknown = batch.plan(regions.find, chance.randrange(1, 5))
            assert not unknown
            where = [(entry.row, number) for number, call in enumerate(calls) for entry in call.entries]
            assert len(set(where)) == len({row for row, _ in where}), "a row is in one request"
            chance.shuffle(calls)
            for call in calls:
                assert call.actions_count == len(call.entries) <= 7
                assert call.size_bytes <= 700 or call.actions_count == 1
                if chance.random() < 0.2:
                    batch.failed(call, CallQueueTooBigException("full"))
                    continue
                made += [entry.index for entry in call.entries]
                batch.take(call, _done(call).SerializeToString(), b"")
            deferred += left_count - len(where)
            batch.next_round()
        assert batch.results == [None] * len(entries)
        assert sorted(made) == list(range(len(entries))), "each once"
        for row in set(rows):
            of_row = [index for index in made if rows[index] == row]
            assert of_row == sorted(of_row), "in the order of the batch"
    assert deferred


def _operation(chance: random.Random, row: bytes) -> Operation:
    big = b"v" * chance.choice([1, 1, 1, 150, 800])
    kinds = [Put(row, {"f:q": big}), Delete(row), Get(row), RowMutations(row, [Put(row, {"f:q": big}), Delete(row)])]
    return chance.choice(kinds)


def _done(call: MultiCall) -> Client_pb2.MultiResponse:
    response = Client_pb2.MultiResponse()
    for part in call.parts:
        result = response.regionActionResult.add()
        for index in range(len(part.entries)):
            result.resultOrException.add(index=index).result.SetInParent()
    return response


def test_what_an_answer_says_of_one_of_many_is_not_overlooked() -> None:
    for spoiled in (0, 149, 299):
        batch = Batch([Entry(Put(f"r{number:03}", {"f:q": "v"}), lambda: 1) for number in range(300)], 1)
        ((call,), _) = batch.plan(known().find)
        response = _done(call)
        told = response.regionActionResult[0].resultOrException[spoiled]
        told.ClearField("result")
        told.exception.name = "org.apache.hadoop.hbase.regionserver.NoSuchColumnFamilyException"
        batch.take(call, response.SerializeToString(), b"")
        assert [index for index, each in enumerate(batch.results) if each is not None] == [spoiled]
