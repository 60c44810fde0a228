"""The Python client while regions move and servers are killed or hang: nothing that may be repeated fails.

Every increment that was told as made is counted once, and none that was told once is made twice: the sums are read.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest

import hbeacon
from hbeacon import Delete, Get, If, Increment, Put
from tests.support.own_cluster import OwnCluster
from tests.support.processes import wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

TIMEOUT_MS = 60_000
SETTINGS = {"hbase.client.pause": "20", "hbase.rpc.timeout": "5000", "hbase.ipc.client.socket.timeout.read": "3000"}
SPLITS = ["2", "4", "6"]
KEYS = [b"%d-%02d" % (number, part) for number in range(8) for part in range(25)]


class Load:
    """Everything that a client does, all the time; `counts` has what was told as done."""

    def __init__(self, table: hbeacon.Table) -> None:
        self.table = table
        self.over = asyncio.Event()
        self.counts = dict.fromkeys(("puts", "batches", "scans", "gets", "checks", "unknown"), 0)
        self.sums: dict[bytes, int] = {}
        self.written: dict[bytes, int] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for each in (
                self._increment(0),
                self._increment(1),
                self._put(),
                self._batch(),
                self._scan(),
                self._check(),
            ):
                group.create_task(each)

    async def _increment(self, number: int) -> None:
        for turn in itertools.count():
            if self.over.is_set():
                return
            row = b"%d-sum-%d" % (turn % 8, number)
            if turn % 2:
                after = await self.table.increment(row, {"f:n": 1})
                told = after[b"f:n"]
            else:
                (found,) = await self.table.batch([Increment(row, {"f:n": 1})])
                assert found is not None
                told = found.integer("f:n") or 0
            self.sums[row] = self.sums.get(row, 0) + 1
            assert told == self.sums[row], f"{row!r} was counted {told} times, told {self.sums[row]} times"

    async def _put(self) -> None:
        for turn in itertools.count():
            if self.over.is_set():
                return
            row = KEYS[turn % len(KEYS)]
            await self.table.put(row, {"f:p": b"%d" % turn})
            self.written[row] = turn
            found = await self.table.get(row, columns=["f:p"])
            assert found is not None
            assert found["f:p"] == b"%d" % turn, "an acknowledged put is there"
            self.counts["puts"] += 1

    async def _batch(self) -> None:
        while not self.over.is_set():
            await self.table.batch([Put(key, {"f:b": key}) for key in KEYS[::5]])
            rows = await self.table.batch([Get(key, columns=["f:b"]) for key in KEYS[::5]])
            assert [dict(row or {}) for row in rows] == [{b"f:b": key} for key in KEYS[::5]]
            await self.table.batch([Delete(key, ["f:none"]) for key in KEYS[::9]])
            self.counts["batches"] += 1

    async def _scan(self) -> None:
        while not self.over.is_set():
            keys = [row.key async for row in self.table.scan(columns=["f:k"], rows_per_call=11)]
            assert keys == KEYS, "each row once"
            self.counts["scans"] += 1

    async def _check(self) -> None:
        """What is not tried again says so, and never lies."""
        value = b"0"
        for turn in itertools.count(1):
            if self.over.is_set():
                return
            new = b"%d" % turn
            condition = If("f:c") == value if turn > 1 else If.absent("f:c")
            try:
                result = await self.table.check_and_mutate("5-check", condition, Put("5-check", {"f:c": new}))
            except hbeacon.OutcomeUnknownException:
                self.counts["unknown"] += 1
                found = await self.table.get("5-check", columns=["f:c"])
                value = found["f:c"] if found is not None else value
                continue
            assert result.success, f"nobody else writes {value!r}"
            value = new
            self.counts["checks"] += 1

    async def grown(self) -> None:
        """Until each part has got on twice since now."""
        before = dict(self.counts)

        async def got_on() -> None:
            while any(self.counts[name] < before[name] + 2 for name in ("puts", "batches", "scans", "checks")):
                await asyncio.sleep(0.05)

        await asyncio.wait_for(got_on(), 60)


async def test_moves_kills_and_servers_that_hang(cluster: OwnCluster) -> None:
    uri = f"hbase+rpc://{cluster.master_addresses}"
    async with hbeacon.connect(uri, settings=SETTINGS) as hbase:
        await hbase.admin.create_table("t", ["f"], splits=SPLITS, timeout_ms=TIMEOUT_MS)
        load = Load(hbase.table("t", timeout_ms=TIMEOUT_MS))
        await load.table.batch([Put(key, {"f:k": key}) for key in KEYS])
        running = asyncio.create_task(load.run())
        try:
            await asyncio.wait(
                (running, asyncio.create_task(_hurt(cluster, hbase, load))), return_when="FIRST_COMPLETED"
            )
            assert not running.done() or running.exception() is None, running.exception()
        finally:
            load.over.set()
            await running
        assert all(load.counts[name] for name in ("puts", "batches", "scans", "checks")), load.counts
        rows = await load.table.get_many(list(load.sums), columns=["f:n"])
        assert [row and row.integer("f:n") for row in rows] == list(load.sums.values())
        rows = await load.table.get_many(list(load.written), columns=["f:p"])
        assert [row and row["f:p"] for row in rows] == [b"%d" % turn for turn in load.written.values()]


async def _hurt(cluster: OwnCluster, hbase: hbeacon.Connection, load: Load) -> None:
    await load.grown()
    for region in await hbase.admin.regions("t"):
        await hbase.admin.move(region, timeout_ms=TIMEOUT_MS)
    await load.grown()
    cluster.region_servers[0].close()
    await asyncio.sleep(0.5)
    await asyncio.to_thread(cluster.start_region_server(0).wait_ready)
    await load.grown()
    cluster.region_servers[1].freeze()
    await load.grown()
    cluster.region_servers[1].close()
    await asyncio.to_thread(cluster.start_region_server(1).wait_ready)
    active = (await hbase.active_master(timeout_ms=TIMEOUT_MS)).value
    hung = cluster.masters[cluster.master_ports.index(active.port)]
    hung.freeze()
    await load.grown()
    hbase.refresh()
    regions = await hbase.admin.regions("t", timeout_ms=TIMEOUT_MS)
    await hbase.admin.move(regions[0], timeout_ms=TIMEOUT_MS)  # by the master that took over, when it has
    await load.grown()
    await asyncio.to_thread(hung.thaw)
    load.over.set()


def test_a_client_without_async_survives_a_kill(cluster: OwnCluster) -> None:
    with hbeacon.connect_blocking(f"hbase+rpc://{cluster.master_addresses}", settings=SETTINGS) as hbase:
        hbase.admin.create_table("t", ["f"], splits=SPLITS, timeout_ms=TIMEOUT_MS)
        table = hbase.table("t", timeout_ms=TIMEOUT_MS)
        with table.batch_writer(rows_max=20) as writer:
            for number, key in enumerate(KEYS):
                if number == len(KEYS) // 2:
                    cluster.region_servers[0].close()
                writer.put(key, {"f:k": key})
                table.increment("sum", {"f:n": 1})
        assert [row.key for row in table.scan(columns=["f:k"])] == KEYS
        row = table.get("sum")
        assert row is not None
        assert row.integer("f:n") == len(KEYS)
        wait_for("the dead server to be known", lambda: len(hbase.admin.cluster_status().servers) == 1, 30)
