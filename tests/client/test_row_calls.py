"""Calls of single rows and batches, their errors and what is tried again, against servers in this process."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

import hbeacon
from hbeacon import Delete, Get, If, Increment, Put, RowMutations
from protos.hbase import Client_pb2
from registry.client.channels import Channels
from registry.client.data import batch as batch_module
from registry.client.data import calls as calls_module
from registry.client.data.names import Bytes, ColumnName
from registry.client.settings import ClientSettings
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import (
    CallQueueTooBigException,
    ConnectException,
    DoNotRetryIOException,
    IOException,
    NoSuchColumnFamilyException,
    NotServingRegionException,
    RegionMovedException,
    TableNotEnabledException,
    TableNotFoundException,
)
from registry.wire.region_info import RegionInfo
from tests.support.scripted_rows import QUICK, After, scripted_rows

LOST = After(IOException("the answer was lost"))


async def test_a_row_is_written_and_read_where_its_region_is() -> None:
    async with scripted_rows([b"", b"m"], [0, 1]) as (script, table, _):
        await table.put("a", {"f:q": "1"})
        await table.put("z", {"f:q": "2", ("f", b"r"): b"3"})
        assert await table.get("a") == {b"f:q": b"1"}
        assert (await table.get("z") or {})["f:r"] == b"3"
        assert await table.get("nothing") is None
        assert [server for server, _, _ in script.asked] == [0, 1, 0, 1, 1]
        assert script.meta_scans == 2, "regions before a row that was looked up are known with it, those behind are not"


async def test_look_ups_of_many_are_one() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        await asyncio.gather(*(table.get(f"r{number}") for number in range(50)))
        assert script.meta_scans == 1


async def test_a_region_that_was_told_to_have_moved_is_asked_there_at_once() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        await table.put("a", {"f:q": "1"})
        script.places[0] = 1
        script.faults = [RegionMovedException(script.name(1), 5)]
        assert await table.get("a") == {b"f:q": b"1"}
        assert script.meta_scans == 1, "hbase:meta need not be asked"
        assert [server for server, _, _ in script.asked] == [0, 0, 1]


async def test_a_region_that_is_elsewhere_is_looked_up_again() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        await table.put("a", {"f:q": "1"})
        script.places[0] = 1
        assert await table.get("a") == {b"f:q": b"1"}
        assert script.meta_scans == 2


async def test_what_was_done_without_an_answer_is_counted_once() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        script.faults = [LOST, CallQueueTooBigException("full"), None, LOST]
        assert await table.increment("c", {"f:n": 5}) == {b"f:n": 5}
        assert await table.increment("c", {"f:n": -2}) == {b"f:n": 3}
        sent = [request.mutation.nonce for _, method, request in script.asked if method == "Mutate"]
        assert len(sent) == 5
        assert len(set(sent)) == 2, "all tries of one increment carry one nonce"
        groups = {request.nonce_group for _, _, request in script.asked}
        assert len(groups) == 1


async def test_an_increment_without_an_answer_at_the_end_of_its_retries_may_have_been_made() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        refused = CallQueueTooBigException("full")
        for kind, faults in (
            (hbeacon.OutcomeUnknownException, [LOST, *[refused] * 20]),
            (hbeacon.RetriesExhaustedException, [refused] * 20),
        ):
            script.faults = [*faults]
            with pytest.raises(hbeacon.RetriesExhaustedException, match="full") as failed:
                await table.increment("c", {"f:n": 5}, timeout_ms=300)
            assert type(failed.value) is kind
            script.faults = [*faults]
            with pytest.raises(hbeacon.BatchError) as some:
                await table.batch([Increment("d", {"f:n": 5}), Put("e", {"f:q": "1"})], timeout_ms=300)
            assert [type(error) for error in some.value.results] == [kind, hbeacon.RetriesExhaustedException]


async def test_increments_of_a_batch_carry_nonces_too() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        script.faults = [LOST]
        (row,) = await table.batch([Increment("c", {"f:n": 5})])
        assert row is not None
        assert row.integer("f:n") == 5
        assert len(script.asked) == 2


async def test_a_condition_is_not_tried_again_when_nobody_knows_whether_it_held() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        script.faults = [CallQueueTooBigException("full"), LOST]
        with pytest.raises(hbeacon.OutcomeUnknownException, match="the answer was lost"):
            await table.check_and_mutate("a", If.absent("f:q"), Put("a", {"f:q": "1"}))
        assert len(script.asked) == 2, "what was surely not done was tried again"
        assert await table.check_and_mutate("a", If.absent("f:q"), Put("a", {"f:q": "2"})) == (False, None)
        assert await table.get("a") == {b"f:q": b"1"}


async def test_row_mutations_with_an_increment_are_not_made_twice() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        script.faults = [LOST]
        await table.mutate_row("a", [Put("a", {"f:q": "1"}), Put("a", {"f:r": "2"})])
        assert len(script.asked) == 2, "puts are made again"
        script.faults = [CallQueueTooBigException("full"), LOST]
        with pytest.raises(hbeacon.OutcomeUnknownException, match="the answer was lost"):
            await table.mutate_row("a", [Put("a", {"f:q": "1"}), Increment("a", {"f:n": 2})])
        assert (await table.get("a") or {})[b"f:n"] == (2).to_bytes(8, "big")


async def test_the_server_s_no_is_the_caller_s() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        script.faults = [DoNotRetryIOException("never")]
        with pytest.raises(DoNotRetryIOException, match="never"):
            await table.put("a", {"f:q": "1"})
        assert len(script.asked) == 1


async def test_retries_come_to_an_end_that_tells_all() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        script.faults = [IOException(f"no {number}") for number in range(20)]
        with pytest.raises(hbeacon.RetriesExhaustedException) as failed:
            await table.get("a")
        assert failed.value.attempts == QUICK.retries_count + 1
        assert failed.value.servers == (str(script.addresses[0]),)
        assert "Get of b'a' in t failed after 7 attempts" in str(failed.value)
        assert "no 6" in str(failed.value)


async def test_a_deadline_ends_a_call_that_hangs() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        await table.get("a")
        script.slow_s = 30.0
        started = asyncio.get_running_loop().time()
        with pytest.raises(hbeacon.RetriesExhaustedException):
            await table.get("a", timeout_ms=150)
        assert asyncio.get_running_loop().time() - started < 10


async def test_a_table_that_is_not_there_or_disabled_is_said_so() -> None:
    async with scripted_rows([b""], [None]) as (script, table, calls):
        script.state = "DISABLED"
        with pytest.raises(TableNotEnabledException):
            await table.get("a")
        with pytest.raises(TableNotFoundException):
            await type(table)(calls, "other", 1000, table._durability).get("a")


async def test_a_table_of_which_only_split_regions_are_known_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        parent = replace(script.info(0), split=True)

        def info(_: int) -> RegionInfo:
            return parent

        monkeypatch.setattr(script, "info", info)
        with pytest.raises(hbeacon.RetriesExhaustedException, match="is on no server"):
            await table.get("a", timeout_ms=200)
        monkeypatch.undo()
        assert await table.get("a") is None


async def test_who_waits_for_another_s_connection_has_a_deadline_too(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []

    async def unanswered(address: Address, service: str, *, connect_timeout_ms: float, **_: object) -> RpcChannel:
        tries.append(connect_timeout_ms)
        await asyncio.sleep(connect_timeout_ms / 1000)
        raise ConnectException("not connected")

    monkeypatch.setattr(RpcChannel, "connect", unanswered)
    channels = Channels(ClientSettings(connect_timeout_ms=30_000), remember_failed=True)
    address = Address("h", 1)
    patient = asyncio.create_task(channels.get(address, connect_timeout_ms=20_000))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        with pytest.raises(ConnectException, match="somebody else still waits"):
            await channels.get(address, connect_timeout_ms=20)
    patient.cancel()
    for _ in range(2):  # whose haste says nothing of the server
        with pytest.raises(ConnectException, match="not connected"):
            await channels.get(address, connect_timeout_ms=20)
    assert len(tries) == 3


async def test_a_region_on_no_server_is_waited_for() -> None:
    async with scripted_rows([b""], [None]) as (script, table, _):
        waiting = asyncio.create_task(table.put("a", {"f:q": "1"}))
        await asyncio.sleep(0.01)
        script.places[0] = 0
        await waiting
        assert script.rows[b"a"]


async def test_a_server_that_is_gone_loses_all_its_regions() -> None:
    async with scripted_rows([b"", b"g", b"m"], [1, 1, 1]) as (script, table, calls):
        await table.get_many(["a", "h", "z"])
        await script.servers[1].stop()
        script.places[:] = [0, 0, 0]
        assert await table.get("a") is None, "the connection was lost"
        assert await table.get("h") is None, "and is not made again"
        known = calls.finder.table("t").known
        assert all(region.address == script.addresses[0] for region in known)
        assert await table.get("z") is None


async def test_a_batch_tells_each_operation_s_outcome() -> None:
    async with scripted_rows([b"", b"m"], [0, 1]) as (script, table, _):
        await table.put("k", {"f:q": "old"})
        with pytest.raises(hbeacon.BatchError) as failed:
            await table.batch([Put("a", {"f:q": "1"}), Get("k"), Put("bad", {"f:q": "1"}), Put("z", {"f:q": "2"})])
        results = failed.value.results
        assert results[0] is None
        assert results[1] == {b"f:q": b"old"}
        assert isinstance(results[2], NoSuchColumnFamilyException)
        assert results[3] is None
        assert set(failed.value.errors) == {2}
        assert set(script.rows) == {b"a", b"k", b"z"}


async def test_a_batch_follows_regions_and_asks_again_only_for_what_failed() -> None:
    async with scripted_rows([b"", b"m"], [0, 1]) as (script, table, _):
        rows = ["a", "b", "z"]
        await table.batch([Put(row, {"f:q": row}) for row in rows])
        script.places[:] = [0, 0]
        script.asked.clear()
        assert [dict(row or {}) for row in await table.get_many(rows)] == [{b"f:q": row.encode()} for row in rows]
        counts = [sum(len(part.action) for part in request.regionAction) for _, _, request in script.asked]
        assert sorted(counts) == [1, 1, 2], "the two rows that were there, one where it was not, one again"


async def test_a_batch_ends_with_its_deadline_and_tells_what_was_done() -> None:
    async with scripted_rows([b"", b"m"], [0, None]) as (script, table, _):
        with pytest.raises(hbeacon.BatchError) as failed:
            await table.batch([Put("a", {"f:q": "1"}), Put("z", {"f:q": "2"})], timeout_ms=300)
        assert failed.value.results[0] is None
        assert isinstance(failed.value.results[1], hbeacon.RetriesExhaustedException)
        assert b"a" in script.rows


async def test_a_long_batch_is_a_few_requests_at_once_and_only_those_that_fail_are_made_again() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        await table.get("a")
        script.asked.clear()
        script.slow_s = 0.005
        script.faults = [None, CallQueueTooBigException("full"), LOST]
        keys = [f"r{number:03}" for number in range(400)]
        operations = [Put(key, {"f:q": key}) for key in reversed(keys)] + [Delete(key) for key in keys[::2]]
        assert await table.batch(operations) == [None] * 600
        assert {key.decode() for key, values in script.rows.items() if values} == set(keys[1::2])
        sent = [_rows_of(request) for *_, request in script.asked]
        assert [len(rows) for rows in sent[:3]] == [200, 201, 199]
        assert script.most_at_once == 3
        assert sum(len(set(rows)) for rows in sent[:3]) == 400, "a row is in one of them"
        assert sorted(row for rows in sent[3:] for row in rows) == sorted(sent[1] + sent[2])


async def test_batches_that_are_not_alone_are_not_cut() -> None:
    async with scripted_rows([b""], [0]) as (script, table, calls):
        await table.get("a")
        script.asked.clear()
        puts = [Put(f"r{number:03}", {"f:q": "1"}) for number in range(800)]
        await asyncio.gather(*(table.batch(puts) for _ in range(5)))
        assert len(script.asked) == 4 + 2 + 1 + 1 + 1
        await table.batch(puts)
        assert len(script.asked) == 9 + 4, "alone again"
        assert not calls.batches_under_way


def _rows_of(request: Client_pb2.MultiRequest) -> list[bytes]:
    return [action.mutation.row for part in request.regionAction for action in part.action]


async def test_row_mutations_are_one_part_of_a_batch_each() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        await table.mutate_row("a", [Put("a", {"f:q": "1"}), Put("a", {"f:r": "2"})])
        (_, _, request) = script.asked[-1]
        assert request.regionAction[0].atomic
        assert script.rows[b"a"] == {b"f:q": b"1", b"f:r": b"2"}
        with pytest.raises(ValueError, match="several rows"):
            await table.batch([RowMutations("a", [Put("b", {"f:q": "1"})])])


async def test_no_more_calls_than_so_many_are_outstanding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "CALLS_PER_SERVER_MAX", 4)
    async with scripted_rows([b""], [0]) as (script, table, calls):
        await table.get("a")
        script.slow_s = 0.002
        await asyncio.gather(*(table.get(f"r{number}") for number in range(60)))
        assert script.most_at_once == 4
        assert not calls._waiting
        waiting = [asyncio.create_task(table.get(f"r{number}")) for number in range(12)]
        await asyncio.sleep(0.001)
        for task in waiting[2:9]:  # those that wait are among them: their turn goes to the others
            task.cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(each) for number, each in enumerate(done) if not 2 <= number < 9] == ["None"] * 5


async def test_a_writer_waits_while_too_much_is_under_way() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        script.slow_s = 0.005
        async with table.batch_writer(rows_max=10, bytes_under_way_max=5000) as writer:
            for number in range(200):
                await writer.put(f"r{number:03}", {"f:q": "v" * 100})
                assert writer._under_way_bytes < 5000 + 10 * 400
        assert writer.rows_written == len(script.rows) == 200
        assert all(method == "Multi" for _, method, _ in script.asked)


async def test_a_writer_tells_of_what_failed() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        writer = table.batch_writer(rows_max=2)
        await writer.put("a", {"f:q": "1"})
        await writer.put("bad", {"f:q": "1"})
        with pytest.raises(hbeacon.BatchError, match="NoSuchColumnFamily"):
            await writer.flush()
        await writer.flush()
        assert writer.rows_written == 1
        with pytest.raises(hbeacon.BatchError):
            async with table.batch_writer() as other:
                await other.put("bad", {"f:q": "1"})

        async def broken() -> None:
            async with table.batch_writer() as third:
                await third.put("c", {"f:q": "1"})
                raise ValueError("the block's own")

        with pytest.raises(ValueError, match="the block's own"):
            await broken()
        assert b"c" in script.rows, "what was given is written all the same"


async def test_a_writer_takes_all_though_an_earlier_batch_failed() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        writer = table.batch_writer(rows_max=2)
        await writer.put("bad", {"f:q": "1"})
        await writer.put("a", {"f:q": "1"})
        while writer._under_way:
            await asyncio.sleep(0.001)
        with pytest.raises(hbeacon.BatchError):
            await writer.add_encoded([writer.encoded(Put(f"r{number}", {"f:q": "1"})) for number in range(5)])
        await writer.flush()
        assert set(script.rows) == {b"a", *(b"r%d" % number for number in range(5))}


async def test_a_writer_refuses_at_once_what_makes_no_sense_and_keeps_the_rest() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        async with table.batch_writer() as writer:
            await writer.put("a", {"f:q": "1"})
            with pytest.raises(ValueError, match="a row key has"):
                await writer.put("", {"f:q": "1"})
            with pytest.raises(ValueError, match="is a family"):
                await writer.put("b", {"f": "1"})
            await writer.put("c", {"f:q": "1"})
        assert set(script.rows) == {b"a", b"c"}
        assert writer.rows_written == 2


async def test_a_writer_keeps_what_was_given_whatever_becomes_of_it_later() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _), table.batch_writer() as writer:
        values: dict[ColumnName, Bytes] = {}
        for number in range(3):
            values["f:q"] = str(number)
            await writer.put(f"r{number}", values)
        await writer.flush()
        assert [script.rows[b"r%d" % number][b"f:q"] for number in range(3)] == [b"0", b"1", b"2"]


async def test_who_flushes_hears_of_what_nobody_expected() -> None:
    async with scripted_rows([b""], [0]) as (_, table, _):
        writer = table.batch_writer(rows_max=1)

        async def broken(entries: object) -> None:
            raise RuntimeError("a bug")

        writer._write = broken
        await writer.put("a", {"f:q": "1"})
        with pytest.raises(RuntimeError, match="a bug"):
            await writer.flush()
        await writer.flush()
        assert writer.rows_written == 0

        async def cancelled(entries: object) -> None:
            raise asyncio.CancelledError

        writer._write = cancelled
        await writer.put("a", {"f:q": "1"})
        with pytest.raises(hbeacon.HBaseError, match="was cancelled"):
            await writer.flush()


async def test_a_block_s_own_error_tells_of_the_batches_too() -> None:
    async with scripted_rows([b""], [0]) as (_, table, _):

        async def broken() -> None:
            async with table.batch_writer() as writer:
                await writer.put("bad", {"f:q": "1"})
                raise LookupError("the block's own")

        with pytest.raises(LookupError) as told:
            await broken()
        (note,) = told.value.__notes__
        assert "NoSuchColumnFamily" in note


async def test_the_error_of_a_batch_names_its_rows() -> None:
    async with scripted_rows([b""], [0]) as (_, table, _):
        with pytest.raises(hbeacon.BatchError, match=r"1 of 2 operations failed: \[1\] 'bad\\x00': NoSuch") as failed:
            await table.batch([Put("a", {"f:q": "1"}), Put("bad\0", {"f:q": "1"})])
        assert failed.value.rows == (b"a", b"bad\0")


async def test_what_is_cancelled_at_whatever_moment_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "PART_ACTIONS_MIN", 1)  # a batch is several requests
    async with scripted_rows([b"", b"m"], [0, 1]) as (_, table, calls):
        chance = random.Random(15)
        for number in range(200):
            if number % 3 == 0:
                table.forget_regions()
            if number % 10 == 0:
                calls.channels.drop(chance.choice([region.address for region in await table.regions()]))
            work = table.get("a") if number % 2 else table.batch([Put("a", {"f:q": "1"}), Get("b"), Get("z")])
            task = asyncio.create_task(work)
            for _ in range(chance.randrange(25)):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))
        async with asyncio.timeout(10):
            while calls.finder._under_way:
                await asyncio.sleep(0.001)
            assert await table.get("z") is None
            await table.put("a", {"f:q": "2"})
        assert not calls._waiting
        assert not calls.batches_under_way
        assert all(channel.calls_outstanding == 0 for channel in calls.channels._channels.values())


async def test_closing_ends_what_is_under_way() -> None:
    async with scripted_rows([b""], [0], settings=ClientSettings(pause_ms=1000)) as (script, table, calls):
        await table.get("a")
        script.slow_s = 30.0
        waiting = asyncio.create_task(table.get("a"))
        await asyncio.sleep(0.01)
        await calls.close()
        with pytest.raises(hbeacon.HBaseError):
            await waiting


async def test_errors_of_regions_are_not_taken_for_the_tables() -> None:
    async with scripted_rows([b""], [0]) as (script, table, _):
        script.faults = [NotServingRegionException("moving"), NotServingRegionException("moving"), None]
        assert await table.get("a") is None
