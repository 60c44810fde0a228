"""What the Python client does with rows and tables, told once, for every server that it is to work with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

import hbeacon
from hbeacon import Append, Delete, Durability, Get, If, Increment, Put, RowMutations
from hbeacon import filters as f
from registry.wire.errors import (
    DoNotRetryIOException,
    NoSuchColumnFamilyException,
    TableExistsException,
    TableNotDisabledException,
    TableNotEnabledException,
    TableNotFoundException,
)

TIMEOUT_MS = 60_000
SPLITS = ["r05", "r10", "r15"]


class Teller:
    """One connection, and what its servers are able to."""

    def __init__(self, connection: hbeacon.Connection, *, is_old: bool) -> None:
        self.connection = connection
        self.admin = connection.admin
        self.is_old = is_old
        """HBase 1.4: it knows no conditions by filter, no increments among row mutations, no states in hbase:meta."""

    async def table(self, name: str, *, splits: list[str] | None = None) -> hbeacon.Table:
        families = {"f": {"VERSIONS": 3}, "g": None}
        await self.admin.create_table(name, families, splits=splits or [], timeout_ms=TIMEOUT_MS)
        return self.connection.table(name, timeout_ms=TIMEOUT_MS)


async def rows_and_versions(teller: Teller) -> None:
    table = await teller.table("rows")
    for at in (10, 20, 30, 40):
        await table.put("a", {"f:q": str(at), "g:": b"\x00\xff"}, timestamp=at)
    row = await table.get("a", versions=9)
    assert row is not None
    assert row.versions("f:q") == [(40, b"40"), (30, b"30"), (20, b"20")], "the family keeps three"
    assert row.versions("g:") == [(40, b"\x00\xff")]
    assert await table.get("a", columns=["f:q"], time_range=(20, 40)) == {b"f:q": b"30"}
    assert await table.get("a", columns=["g"]) == {b"g:": b"\x00\xff"}
    assert await table.get("a", columns=["f:none"]) is None
    assert await table.get("a", filter="ValueFilter(=, 'binary:40')") == {b"f:q": b"40"}
    assert [await table.exists(key) for key in ("a", "b")] == [True, False]
    await table.delete("a", ["f:q"], versions="latest")
    assert (await table.get("a")) == {b"f:q": b"30", b"g:": b"\x00\xff"}
    await table.delete("a", ["f:q"], timestamp=20, versions="latest")
    assert (await table.get("a", columns=["f"], versions=9) or {}) == {b"f:q": b"30"}
    await table.delete("a", ["g"])
    assert await table.get("a") == {b"f:q": b"30"}
    await table.put("a", {"f:q": "later"}, timestamp=50)
    await table.delete("a", timestamp=40)
    assert await table.get("a") == {b"f:q": b"later"}
    await table.delete("a")
    assert await table.get("a") is None
    await table.put(b"\x00bin\xff", {("f", b"a:b\x00"): b"", "f:big": b"v" * 300_000}, durability=Durability.ASYNC_WAL)
    row = await table.get(b"\x00bin\xff")
    assert row is not None
    assert sorted((name, len(value)) for name, value in row.items()) == [(b"f:a:b\x00", 0), (b"f:big", 300_000)]
    await table.put("short", {"f:q": "1"}, ttl_ms=1)
    await asyncio.sleep(0.1)
    assert await table.get("short") is None
    with pytest.raises(NoSuchColumnFamilyException):
        await table.put("a", {"none:q": "1"})
    with pytest.raises(NoSuchColumnFamilyException):
        await table.get("a", columns=["none"])


async def scans(teller: Teller) -> None:
    table = await teller.table("scans", splits=SPLITS)
    keys = [b"r%02d-%02d" % (number, part) for number in range(20) for part in range(10)]
    async with table.batch_writer(rows_max=50) as writer:
        for number, key in enumerate(keys):
            await writer.put(key, {"f:n": b"%d" % number, "f:m": "m", "g:x": "x" * 200})
    assert writer.rows_written == len(keys)

    async def told(**options: object) -> list[bytes]:
        return [row.key async for row in table.scan(**options)]  # type: ignore[arg-type]

    assert await told() == keys
    assert await told(reverse=True) == keys[::-1]
    assert await told(start="r04", stop="r11") == [key for key in keys if b"r04" <= key < b"r11"]
    assert await told(start="r11-03", stop="r04-05", reverse=True) == [
        key for key in reversed(keys) if b"r04-05" < key <= b"r11-03"
    ]
    assert await told(start="r04-00", include_start=False, stop="r04-05", include_stop=True) == keys[41:46]
    assert await told(prefix="r1") == keys[100:]
    assert await told(prefix="r1", reverse=True) == keys[:99:-1]
    assert await told(limit=123) == keys[:123]
    assert await told(reverse=True, limit=60, rows_per_call=7) == keys[:-61:-1]
    assert await told(filter="SingleColumnValueFilter('f', 'n', =, 'binary:77')") == [keys[77]]
    assert await told(filter="PageFilter(3)", stop="r05") == keys[:3]
    assert await told(filter=f.PrefixFilter("r05") & (f.Column("f:n") < "52")) == keys[50:52]
    assert await told(filter=f.FuzzyRowFilter([("r??-03", b"\0\1\1\0\0\0"), ("r07-09", bytes(6))])) == [
        key for key in keys if key.endswith(b"-03") or key == b"r07-09"
    ]
    ranges = [f.RowRange("r18"), f.RowRange(stop="r01")]
    assert await told(filter=f.MultiRowRangeFilter(ranges)) == keys[:10] + keys[180:]
    assert await told(answer_bytes_max=700, columns=["g"]) == keys, "rows are cut, and joined again"
    assert await told(rows_per_call=3, start="r09") == keys[90:]
    parts = [row async for row in table.scan(batch_cells=2, stop="r01")]
    assert [(row.key, len(row.cells), row.partial) for row in parts[:4]] == [
        (keys[0], 2, True),
        (keys[0], 1, False),
        (keys[1], 2, True),
        (keys[1], 1, False),
    ]
    assert len(parts) == 20
    async with table.scan() as scanner:
        assert (await anext(scanner)).key == keys[0], "left early"
    assert [row.key for row in await table.scan(start="r19-09").all()] == keys[-1:]
    await table.delete(keys[0], ["f:n"])
    raw = await table.scan(raw=True, versions=9, limit=1).all()
    assert {cell.key_type for cell in raw[0].cells} == {4, 12}


async def counters_and_conditions(teller: Teller) -> None:
    table = await teller.table("counters")
    assert await table.increment("c", {"f:n": 5, "g:n": -1}) == {b"f:n": 5, b"g:n": -1}
    assert await table.increment("c", {"f:n": -7}) == {b"f:n": -2}
    assert (await table.get("c") or hbeacon.Row(b"")).integer("f:n") == -2
    assert await table.append("c", {"f:t": "ab"}) == {b"f:t": b"ab"}
    assert await table.append("c", {"f:t": "cd"}) == {b"f:t": b"abcd"}

    async def changed(condition: hbeacon.Condition) -> bool:
        return (await table.check_and_mutate("k", condition, Put("k", {"f:done": "1"}))).success

    assert await changed(If.absent("f:q"))
    assert await changed(If.present("f:q")) is teller.is_old, "1.4 takes what is not there for present"
    await table.put("k", {"f:q": "5"})
    conditions = [
        If("f:q") == "5",
        If("f:q") != "5",
        If("f:q") < "6",
        If("f:q") > "6",
        If("f:q") <= "5",
        If("f:q") >= "5",
    ]
    assert [await changed(condition) for condition in conditions] == [True, False, True, False, True, True]
    assert (await table.check_and_mutate("k", If("f:q") == "5", Delete("k", ["f:done"]))).success
    both = RowMutations("k", [Put("k", {"f:a": "1"}), Delete("k", ["f:q"])])
    assert not (await table.check_and_mutate("k", If("f:q") == "6", both)).success
    assert (await table.check_and_mutate("k", If("f:q") == "5", both)).success
    assert await table.get("k") == {b"f:a": b"1"}
    await table.mutate_row("k", [Put("k", {"f:b": "2"}), Delete("k", ["f:a"])])
    assert await table.get("k") == {b"f:b": b"2"}
    if teller.is_old:
        return
    assert [await changed(If.filter("ValueFilter(=, 'binary:2')")), await changed(If.filter("PrefixFilter('z')"))] == [
        True,
        False,
    ]
    done, row = await table.check_and_mutate("k", If("f:b") == "2", Increment("k", {"f:n": 3}))
    assert done
    assert row is not None
    assert row.integer("f:n") == 3
    result = await table.mutate_row("k", [Put("k", {"f:c": "1"}), Increment("k", {"f:n": 4})])
    assert result is not None
    assert result.integer("f:n") == 7


async def batches(teller: Teller) -> None:
    table = await teller.table("batches", splits=SPLITS)
    done = await table.batch(
        [
            Put("r00", {"f:q": "0"}),
            Put("r07", {"f:q": "7"}),
            Increment("r12", {"f:n": 2}),
            Append("r17", {"f:q": "x"}),
            RowMutations("r08", [Put("r08", {"f:a": "1"}), Put("r08", {"g:a": "2"})]),
            Get("none"),
        ]
    )
    assert [row if row is None else dict(row) for row in done] == [
        None,
        None,
        {b"f:n": (2).to_bytes(8, "big")},
        {b"f:q": b"x"},
        None,
        None,
    ]
    rows = await table.get_many(["r17", "r00", "none", "r08"], columns=["f"])
    assert [row if row is None else dict(row) for row in rows] == [
        {b"f:q": b"x"},
        {b"f:q": b"0"},
        None,
        {b"f:a": b"1"},
    ]
    with pytest.raises(hbeacon.BatchError) as failed:
        await table.batch([Put("r00", {"none:q": "0"}), Put("r16", {"f:q": "16"}), Get("r07"), Delete("r00")])
    assert isinstance(failed.value.results[0], NoSuchColumnFamilyException)
    assert failed.value.results[1:] == [None, {b"f:q": b"7"}, None]
    assert await table.get("r16") == {b"f:q": b"16"}
    assert await table.get("r00") is None


async def tables_and_regions(teller: Teller) -> None:
    admin = teller.admin
    await admin.create_namespace("own", {"a": "b"}, timeout_ms=TIMEOUT_MS)
    assert (await admin.namespaces())["own"]["a"] == "b"
    table = await teller.table("own:admin", splits=["m"])
    assert await admin.tables(namespace="own") == await admin.tables("own:.*") == ["own:admin"]
    with pytest.raises(TableExistsException):
        await teller.table("own:admin")
    await table.put("a", {"f:q": "1"})
    await table.put("z", {"f:q": "2"})
    described = await admin.describe("own:admin")
    assert (described.name, set(described.families)) == ("own:admin", {"f", "g"})
    assert described.families["f"]["VERSIONS"] == "3"
    if not teller.is_old:  # where it must be disabled first
        await admin.alter_table(
            "own:admin", {"f": {"VERSIONS": 5}, "h": None}, delete_families=["g"], timeout_ms=TIMEOUT_MS
        )
        described = await admin.describe("own:admin")
        assert (set(described.families), described.families["f"]["VERSIONS"]) == ({"f", "h"}, "5")
        await table.put("a", {"h:q": "3"})
    assert await admin.flush("own:admin", timeout_ms=TIMEOUT_MS) == 2
    assert await admin.compact("own:admin", major=True, timeout_ms=TIMEOUT_MS) == 2
    regions = await admin.regions("own:admin")
    assert [(region.start_key, region.end_key) for region in regions] == [(b"", b"m"), (b"m", b"")]
    status = await admin.cluster_status()
    assert status.master is not None
    assert {region.server for region in regions} <= {server.server_name for server in status.servers}
    with pytest.raises(TableNotDisabledException):
        await admin.delete_table("own:admin", timeout_ms=TIMEOUT_MS)
    await admin.disable_table("own:admin", timeout_ms=TIMEOUT_MS)
    if teller.is_old:
        with pytest.raises(DoNotRetryIOException, match="keeps states in ZooKeeper"):
            await admin.is_disabled("own:admin")
    else:
        assert await admin.is_disabled("own:admin")
        with pytest.raises(TableNotEnabledException):
            await table.get("a")
    await admin.enable_table("own:admin", timeout_ms=TIMEOUT_MS)
    assert (await table.get("z") or {})["f:q"] == b"2"
    await admin.disable_table("own:admin", timeout_ms=TIMEOUT_MS)
    await admin.truncate_table("own:admin", timeout_ms=TIMEOUT_MS)
    assert await table.scan().all() == []
    assert len(await admin.regions("own:admin")) == 2
    await admin.disable_table("own:admin", timeout_ms=TIMEOUT_MS)
    await admin.delete_table("own:admin", timeout_ms=TIMEOUT_MS)
    await admin.delete_namespace("own", timeout_ms=TIMEOUT_MS)
    assert not await admin.table_exists("own:admin")
    with pytest.raises(TableNotFoundException):
        await admin.describe("own:admin")
    with pytest.raises(TableNotFoundException):
        await table.get("a")


async def moves_in_the_middle(teller: Teller) -> None:
    """Regions go from server to server while rows are read, written and counted: nobody notices."""
    table = await teller.table("moves", splits=SPLITS)
    keys = [b"r%02d-%02d" % (number, part) for number in range(20) for part in range(10)]
    await table.batch([Put(key, {"f:q": key}) for key in keys])
    over = asyncio.Event()
    counted = 0

    async def count() -> None:
        nonlocal counted
        while not over.is_set():
            await table.increment("r07", {"f:n": 1})
            counted += 1

    async def read() -> int:
        scans = 0
        while not over.is_set():
            rows = [row async for row in table.scan(rows_per_call=9, columns=["f:q"], reverse=scans % 2 == 1)]
            assert [row.key for row in rows] == (keys if scans % 2 == 0 else keys[::-1])
            scans += 1
        return scans

    async def write() -> None:
        while not over.is_set():
            await table.batch([Put(key, {"f:q": key, "g:w": "1"}) for key in keys[::7]])

    async def move() -> None:
        servers = [server.server_name for server in (await teller.admin.cluster_status()).servers]
        for turn in range(2):
            for region in await table.regions():
                others = [server for server in servers if server != region.server]
                await teller.admin.move(region, others[turn % len(others)], timeout_ms=TIMEOUT_MS)
                await asyncio.sleep(0.05)
        over.set()

    _, scans_count, _, _ = await asyncio.gather(count(), read(), write(), move())
    assert scans_count
    assert (await table.get("r07", columns=["f:n"]) or hbeacon.Row(b"")).integer("f:n") == counted


STORIES: list[Callable[[Teller], Awaitable[None]]] = [
    rows_and_versions,
    scans,
    counters_and_conditions,
    batches,
    tables_and_regions,
    moves_in_the_middle,
]
