"""Observers behind a real socket: what they see, change and refuse."""

from __future__ import annotations

import asyncio

import pytest

from protos.hbase import Client_pb2, Filter_pb2
from regionserver.endpoints.classes import HostSettings
from regionserver.engine.store import Batch, Committed, Durability
from registry import coprocessors
from registry.rpc.client import RpcChannel
from registry.wire.cellblock import decode_cells
from registry.wire.errors import (
    AccessDeniedException,
    DoNotRetryIOException,
    NoSuchColumnFamilyException,
)
from tests.endpoints.observed import (
    APPEND,
    DELETE,
    INCREMENT,
    Install,
    answered,
    checked,
    multi,
    one,
    scan_of,
    seen,
    settings,
)
from tests.endpoints.test_services import aggregate, called, puts, rows_mutated
from tests.support.region_door import (
    META,
    TABLE,
    RegionDoor,
    fill,
    get,
    mutate,
    open_scan,
    put,
    region_door,
    scan,
    values,
)


async def index_of(door: RegionDoor, channel: RpcChannel) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Value by row as the rows say it, and as the index of them does."""
    answer = await channel.call_bytes("Scan", open_scan(close_scanner=True).SerializeToString())
    by_row: dict[bytes, bytes] = {}
    by_index: dict[bytes, bytes] = {}
    for cell in decode_cells(answer.cells):
        if cell.row.startswith(b"i/"):
            _, value, row = cell.row.split(b"/")
            assert row not in by_index, f"{row!r} stands twice in the index"
            by_index[row] = value
        else:
            by_row[cell.row] = cell.value
    return by_row, by_index


# --- what is called ---------------------------------------------------------------------------------------------------


async def test_every_hook_in_its_order() -> None:
    async with region_door(endpoints=settings("Recorder")) as door, await door.connect() as channel:
        await mutate(channel, put(b"r"))
        batch = ["pre_batch_mutate 1", "post_batch_mutate 1"]
        assert seen() == ["pre_put b'r'", *batch, "post_put b'r'"]
        assert await values(channel, b"r") == [b"v"]
        assert seen() == ["pre_get b'r' []", "post_get [b'v']"]
        assert (await scan(channel, open_scan()))[1] == [b"r"]
        assert seen() == ["pre_scanner_open", "post_scanner_next 1"]
        await mutate(channel, one(DELETE, b"r"))
        assert seen() == ["pre_delete [b'f'] []", *batch, "post_delete"]
        await mutate(channel, one(INCREMENT, b"n", (5).to_bytes(8, "big")))
        await mutate(channel, one(INCREMENT, b"n", (2).to_bytes(8, "big")))
        assert seen() == [
            "pre_increment 5", *batch, "post_increment 5", "pre_increment 2", *batch, "post_increment 7",
        ]  # fmt: skip
        await mutate(channel, one(APPEND, b"a", b"x"))
        assert seen() == ["pre_append", *batch, "post_append b'x'"]


async def test_a_get_with_a_filter_has_its_turns_between_its_hooks() -> None:
    async with region_door(endpoints=settings("Recorder")) as door, await door.connect() as channel:
        for number in range(40):
            await mutate(channel, put(b"r", b"%02d" % number, qualifier=b"q%02d" % number))
        seen()
        asked = get(b"r")
        asked.get.filter.name = "org.apache.hadoop.hbase.filter.ColumnPrefixFilter"
        asked.get.filter.serialized_filter = Filter_pb2.ColumnPrefixFilter(prefix=b"q3").SerializeToString()
        door.slow(0.7)  # each look at the clock: three of them and a turn is over
        answer = await channel.call_bytes("Get", asked.SerializeToString())
        assert [cell.value for cell in decode_cells(answer.cells)] == [b"%02d" % number for number in range(30, 40)]
        assert seen() == ["pre_get b'r' []", f"post_get {[b'%02d' % number for number in range(30, 40)]}"]


async def test_conditions_are_told_and_judged_behind_hooks() -> None:
    async with region_door(endpoints=settings("Recorder")) as door, await door.connect() as channel:
        assert (await mutate(channel, checked(b"r", is_there=False))).processed
        batch = ["pre_batch_mutate 1", "post_batch_mutate 1"]
        before = ["pre_check_and_mutate b''", "pre_put b'r'"]
        assert seen() == [*before, *batch, "post_put b'r'", "post_check_and_mutate True"]
        assert not (await mutate(channel, checked(b"r", is_there=False, value=b"w"))).processed
        assert seen() == [*before, "pre_batch_mutate 1", "post_check_and_mutate False"]
        assert await values(channel, b"r") == [b"v"]


async def test_a_multi_is_seen_action_by_action() -> None:
    async with region_door(endpoints=settings("Recorder")) as door, await door.connect() as channel:
        results = await answered(
            channel, multi(put(b"a"), put(b"b"), get(b"a"), put(b"c"), put(b"c", b"w"), one(INCREMENT, b"n", bytes(8)))
        )
        assert [each.index for each in results] == list(range(6))
        assert results[2].result.associated_cell_count == 1
        assert seen() == [
            "pre_put b'a'", "pre_put b'b'",
            "pre_batch_mutate 2", "post_batch_mutate 2", "post_put b'a'", "post_put b'b'",
            "pre_get b'a' []", "post_get [b'v']",
            "pre_put b'c'", "pre_batch_mutate 1", "post_batch_mutate 1", "post_put b'c'",
            "pre_put b'c'", "pre_batch_mutate 1", "post_batch_mutate 1", "post_put b'c'",
            "pre_increment 0", "pre_batch_mutate 1", "post_batch_mutate 1", "post_increment 0",
        ]  # fmt: skip
        await answered(channel, multi(put(b"r"), one(DELETE, b"r"), atomic=True))
        told = seen()
        assert told[0] == "pre_put b'r'", told
        assert told[1].startswith("pre_delete")
        assert told[2:] == ["pre_batch_mutate 2", "post_batch_mutate 2", "post_put b'r'", "post_delete"]


async def test_a_nonce_that_comes_again_is_seen_once() -> None:
    async with region_door(endpoints=settings("Recorder")) as door, await door.connect() as channel:
        request = one(INCREMENT, b"n", (5).to_bytes(8, "big"))
        request.nonce_group, request.mutation.nonce = 3, 4
        for _ in range(2):
            await mutate(channel, request)
        assert [each for each in seen() if each.startswith("pre_increment")] == ["pre_increment 5"]
        assert await values(channel, b"n") == [(5).to_bytes(8, "big")]


async def test_who_bypasses_answers_again_what_comes_again() -> None:
    """Of it nothing was written that a nonce would stand for."""
    async with region_door(endpoints=settings("Bypasser")) as door, await door.connect() as channel:
        request = one(INCREMENT, b"n", (5).to_bytes(8, "big"))
        request.nonce_group, request.mutation.nonce = 3, 4
        for _ in range(2):
            answer = await channel.call_bytes("Mutate", request.SerializeToString())
            assert [cell.value[-1] for cell in decode_cells(answer.cells)] == [42]


async def test_behind_a_batch_those_are_seen_that_are_written() -> None:
    async with region_door(endpoints=settings("Recorder", "Index")) as door, await door.connect() as channel:
        bad = put(b"b", family=b"nofamily")
        results = await answered(channel, multi(put(b"a"), bad, put(b"c", b"w")))
        assert [each.HasField("exception") for each in results] == [False, True, False]
        assert [each for each in seen() if "batch" in each] == ["pre_batch_mutate 3", "post_batch_mutate 2"]
        assert (await index_of(door, channel))[1] == {b"a": b"v", b"c": b"w"}
        results = await answered(channel, multi(bad))
        assert [each for each in seen() if "batch" in each] == ["pre_batch_mutate 1"]


async def test_services_of_hbase_go_by_observers_too() -> None:
    named = HostSettings([coprocessors.AGGREGATE, coprocessors.MULTI_ROW], settings("Recorder", "Guard").user_classes)
    async with region_door(endpoints=named) as door, await door.connect() as channel:
        assert await rows_mutated(channel, puts(b"a", b"b"))
        told = seen()
        assert told[:3] == ["pre_put b'a'", "pre_put b'b'", "pre_batch_mutate 2"], told
        with pytest.raises(AccessDeniedException, match="may not write"):
            await rows_mutated(channel, puts(b"c", b"secret"))
        assert await values(channel, b"c") == []
        await called(channel, "AggregateService", "GetRowNum", aggregate())
        assert "pre_scanner_open" in seen()
        from_there = aggregate()
        from_there.scan.start_row = b"no"
        with pytest.raises(AccessDeniedException, match="not from there"):
            await called(channel, "AggregateService", "GetRowNum", from_there)
        assert await rows_mutated(channel, puts(b"r", family=b"info"), META), "the system's tables have no observers"


async def test_a_class_that_is_an_endpoint_too() -> None:
    async with region_door(endpoints=settings("Both")) as door, await door.connect() as channel:
        await fill(channel, 3)
        assert await called(channel, "example.PutCount", "Count") == b"3"


async def test_a_table_whose_classes_are_endpoints_becomes_plain() -> None:
    named = HostSettings(["tests.endpoints.users:Counter"])
    async with region_door(endpoints=named) as door, await door.connect() as channel:
        region = door.regions[TABLE]
        assert not region.is_plain
        await fill(channel, 3)
        assert region.is_plain
        assert await called(channel, "example.CountService", "Count") == (3).to_bytes(8, "big")


async def test_regions_without_observers_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with region_door() as door, await door.connect() as channel:
        await mutate(channel, put(b"r"))
        looked = 0

        def seen_by_clients(*_: object) -> None:
            nonlocal looked
            looked += 1

        monkeypatch.setattr(door.door.observers, "seen_by_clients", seen_by_clients)
        await fill(channel, 20)
        assert await values(channel, b"row0001") == [b"v"]
        assert len((await scan(channel, open_scan()))[1]) == 21
        await answered(channel, multi(put(b"a"), get(b"a")))
        assert not looked


# --- what is changed --------------------------------------------------------------------------------------------------


async def test_several_by_priority(install: Install) -> None:
    async with region_door() as door, await door.connect() as channel:
        door.schema = install("First|20", "Second|10")
        await mutate(channel, put(b"r", b"-"))
        assert await values(channel, b"r") == [b"-BAba"]


async def test_those_of_tables_may_be_switched_off(install: Install) -> None:
    off = settings("First")._replace(of_tables=False)
    async with region_door(endpoints=off) as door, await door.connect() as channel:
        door.schema = install("Second|10")
        await mutate(channel, put(b"r", b"-"))
        assert await values(channel, b"r") == [b"-Aa"], "the server's own is asked"
    async with region_door(endpoints=HostSettings(of_tables=False)) as door, await door.connect() as channel:
        await fill(channel, 1)
        assert door.regions[TABLE].is_plain


@pytest.mark.parametrize(("priority", "order"), [("5", b"-BA"), ("", b"-AB")])
async def test_settings_come_before_tables_unless_these_say(install: Install, priority: str, order: bytes) -> None:
    async with region_door(endpoints=settings("First")) as door, await door.connect() as channel:
        door.schema = install(f"Second|{priority}")
        await mutate(channel, put(b"r", b"-"))
        assert (await values(channel, b"r"))[0][:3] == order


async def test_what_is_bypassed_is_told_and_not_done() -> None:
    async with region_door(endpoints=settings("Bypasser", "Recorder")) as door, await door.connect() as channel:
        await mutate(channel, put(b"own"))
        await mutate(channel, put(b"r"))
        await mutate(channel, one(DELETE, b"r"))
        assert await values(channel, b"r") == [b"v"], "a delete without cells deletes nothing"
        answer = await channel.call_bytes("Get", get(b"own").SerializeToString())
        assert [cell.qualifier for cell in decode_cells(answer.cells)] == [b"x", b"y"], "as clients look for them"
        exists = get(b"own")
        exists.get.existence_only = True
        answer = await channel.call_bytes("Get", exists.SerializeToString())
        assert Client_pb2.GetResponse.FromString(answer.message).result.exists
        told = seen()
        assert "pre_put b'r'" in told
        assert "pre_put b'own'" not in told, "who bypasses has the last word"
        answer = await channel.call_bytes("Mutate", one(INCREMENT, b"n", bytes(8)).SerializeToString())
        assert [cell.value[-1] for cell in decode_cells(answer.cells)] == [42]
        assert await values(channel, b"n") == []
        assert (await mutate(channel, checked(b"c", is_there=True))).processed
        assert await values(channel, b"c") == []
        assert [door.store.get(key) for key, _ in door.store.scan(b"", b"\xff")] != []
        assert (await scan(channel, open_scan()))[1] == [b"r"]
        with pytest.raises(DoNotRetryIOException, match="pre_batch_mutate does not support 'bypass'"):
            await mutate(channel, put(b"batch"))
        assert await values(channel, b"batch") == []


async def test_what_is_refused_is_refused_to_its_caller_alone() -> None:
    async with region_door(endpoints=settings("Guard")) as door, await door.connect() as channel:
        with pytest.raises(AccessDeniedException, match="'hbeacon' may not read b'secret'"):
            await values(channel, b"secret")
        with pytest.raises(AccessDeniedException, match="may not write"):
            await mutate(channel, put(b"secret"))
        told = put(b"secret")
        told.mutation.attribute.add(name="token", value=b"open")
        await mutate(channel, told)
        written, refused = await answered(channel, multi(put(b"a"), put(b"secret")))
        assert not written.HasField("exception")
        assert refused.exception.name.endswith("AccessDeniedException")
        assert await values(channel, b"a") == [b"v"]
        with pytest.raises(AccessDeniedException):
            await scan(channel, scan_of(start_row=b"no"))


@pytest.mark.parametrize("limit", [1, 3, 1000])
async def test_rows_are_hidden_from_scans(install: Install, limit: int) -> None:
    """No answer is empty before the region is read: most clients would take it for its end."""
    async with region_door() as door, await door.connect() as channel:
        door.schema = install("Guard||hidden=row00,more=1")
        await fill(channel, 120)
        await mutate(channel, put(b"a"))
        request = open_scan(number_of_rows=limit)
        response, found = await scan(channel, request)
        while response.more_results_in_region:
            assert len(response.cells_per_result) > 0
            more = Client_pb2.ScanRequest(
                scanner_id=response.scanner_id, number_of_rows=limit, client_handles_partials=True
            )
            response, rows = await scan(channel, more)
            found += rows
        assert found == [b"a", *(b"row%04d" % number for number in range(100, 120))]
        assert not len(door.door.scanners)


async def test_hidden_rows_do_not_count_against_a_limit(install: Install) -> None:
    async with region_door() as door, await door.connect() as channel:
        door.schema = install("Guard||hidden=row000")
        await fill(channel, 20)
        response, found = await scan(channel, open_scan(limit_of_rows=4))
        assert found == [b"row0010", b"row0011"], "of the page that was not hidden as a whole"
        assert response.more_results
        more = Client_pb2.ScanRequest(scanner_id=response.scanner_id, number_of_rows=1000, limit_of_rows=2)
        response, found = await scan(channel, more)
        assert found == [b"row0012", b"row0013"]
        assert not response.more_results


async def test_a_row_in_parts_whose_last_is_hidden() -> None:
    async with region_door(endpoints=settings("Guard")) as door, await door.connect() as channel:
        for row in (b"a", b"secret", b"z"):
            for number in range(3):
                await mutate(channel, put(row, qualifier=b"%d" % number) if row != b"secret" else _told(row, number))
        response, found = await scan(channel, scan_of(batch_size=2))
        assert found == [b"a"] * 3 + [b"z"] * 3
        assert list(response.partial_flag_per_result) == [True, False, True, False]


def _told(row: bytes, number: int) -> Client_pb2.MutateRequest:
    request = put(row, qualifier=b"%d" % number)
    request.mutation.attribute.add(name="token", value=b"open")
    return request


async def test_an_index_is_exact_whatever_writes_at_one_time() -> None:
    """Each put reads what the index says of its row, and takes that back: two at one time would leave one behind."""
    async with region_door(endpoints=settings("Index")) as door, await door.connect() as channel:
        rows = [b"r%d" % number for number in range(3)]
        calls = [mutate(channel, put(row, b"v%d" % number)) for number in range(24) for row in rows]
        calls += [mutate(channel, checked(row, is_there=True, value=b"w")) for row in rows]
        await asyncio.gather(*calls)
        await answered(channel, multi(put(b"r0", b"x"), put(b"r0", b"y"), put(b"r9", b"z")))
        by_row, by_index = await index_of(door, channel)
        assert by_row == by_index
        assert by_row[b"r0"] == b"y"
        await answered(channel, multi(put(b"r1", b"last"), one(DELETE, b"r2")))
        await mutate(channel, one(DELETE, b"r0"))
        assert await index_of(door, channel) == ({b"r1": b"last", b"r9": b"z"}, {b"r1": b"last", b"r9": b"z"})


async def test_what_is_added_is_written_with_it_or_neither_is() -> None:
    async with region_door(endpoints=settings("Index")) as door, await door.connect() as channel:
        batches = 0
        plain = door.store.commit

        def commit(batch: Batch, durability: Durability, committed: Committed) -> None:
            nonlocal batches
            batches += 1
            assert len(batch.changes) == 2, batch.changes
            plain(batch, durability, committed)

        door.store.commit = commit  # type: ignore[method-assign]
        await mutate(channel, put(b"r", b"one"))
        bad = put(b"r", b"two")
        bad.mutation.column_value.add(family=b"nofamily").qualifier_value.add(qualifier=b"q", value=b"v")
        with pytest.raises(NoSuchColumnFamilyException):
            await mutate(channel, bad)
        assert not (await mutate(channel, checked(b"r", is_there=False, value=b"three"))).processed
        assert await index_of(door, channel) == ({b"r": b"one"}, {b"r": b"one"})
        assert batches == 1
        bad.mutation.row = b"s"
        door.store.commit = plain  # type: ignore[method-assign]
        good, refused = await answered(channel, multi(put(b"t", b"four"), bad))
        assert not good.HasField("exception")
        assert refused.exception.name.endswith("NoSuchColumnFamilyException")
        assert await index_of(door, channel) == ({b"r": b"one", b"t": b"four"}, {b"r": b"one", b"t": b"four"})


async def test_what_a_hook_writes_itself_passes_by_hooks() -> None:
    async with region_door(endpoints=settings("Audited", "Recorder")) as door, await door.connect() as channel:
        await mutate(channel, put(b"r"))
        assert await values(channel, b"audit/r") == [b"hbeacon"]
        assert [each for each in seen() if "audit" in each] == ["pre_get b'audit/r' []"]
