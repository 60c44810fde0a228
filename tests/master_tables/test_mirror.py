"""States of tables and namespaces as ZooKeeper tells them: with every change, put right at first, mended later."""

from __future__ import annotations

import asyncio

import pytest

from protos.hbase import HBase_pb2
from registry.clock import SystemClock
from registry.master.catalogue import Changes, TableRow, TableState
from registry.master.tables import mirror as mirror_module
from registry.master.tables.mirror import Mirror
from registry.master.tables.switches import KeptSwitches
from registry.wire.znode import decode_table_state, encode_table_state, unwrap
from tests.support.table_calls import family, schema
from tests.support.table_cluster import ModelWork, ModelZooKeeper, World, acting


class Here:
    def __init__(self) -> None:
        self.world = World()
        self.work = ModelWork(self.world, acting(SystemClock()))
        self.zookeeper = ModelZooKeeper(self.world)
        self.salts = 0
        self.mirror = Mirror("/hbase", self.zookeeper.ask, lambda: "master:16000", self.salt)

    def salt(self, count: int) -> bytes:
        self.salts += 1
        return self.salts.to_bytes(count, "big")

    def table(self, name: str, state: TableState) -> None:
        self.world.catalogue.apply(Changes(tables=[TableRow(name, state, schema(name, family()), 1)]))

    def states(self) -> dict[str, str]:
        below = "/hbase/table/"
        nodes = self.zookeeper.nodes.items()
        return {path[len(below) :]: decode_table_state(data) for path, data in nodes if path.startswith(below)}


async def test_each_change_is_told_as_hbase_writes_it():
    here = Here()
    for state in (TableState.ENABLING, TableState.ENABLED, TableState.DISABLING, TableState.DISABLED):
        here.table("ns:t", state)
        await here.mirror.table("ns:t", here.work)
        assert here.states() == {"ns:t": state}
    assert here.zookeeper.nodes["/hbase/table/ns:t"].startswith(b"\xff\x00\x00\x00\x14master:16000")
    here.world.catalogue.apply(Changes(no_tables=["ns:t"]))
    await here.mirror.table("ns:t", here.work)
    await here.mirror.table("ns:t", here.work)
    assert here.states() == {}


async def test_what_a_master_before_has_left_is_put_right():
    here = Here()
    nodes = here.zookeeper.nodes
    nodes["/hbase/table/gone"] = encode_table_state("ENABLED", "master:1", bytes(8))
    nodes["/hbase/table/old"] = encode_table_state("ENABLING", "master:1", bytes(8))
    nodes["/hbase/table/same"] = same = encode_table_state("ENABLED", "master:1", bytes(8))
    nodes["/hbase/table/broken"] = b"nonsense"
    del nodes["/hbase/namespace"]
    for name in ("old", "same", "new", "broken"):
        here.table(name, TableState.ENABLED)
    await here.mirror.all(here.work)
    assert here.states() == dict.fromkeys(("old", "same", "new", "broken"), "ENABLED")
    assert nodes["/hbase/table/same"] == same, "nothing is written that says so already"
    names = {path.rpartition("/")[2] for path in nodes if path.startswith("/hbase/namespace/")}
    assert names == {"default", "hbase"}
    descriptor = HBase_pb2.NamespaceDescriptor.FromString(unwrap(nodes["/hbase/namespace/hbase"]))
    assert descriptor.name == b"hbase"


async def test_what_was_lost_is_told_later(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mirror_module, "RETRY_MS", 5.0)
    here = Here()
    here.table("t", TableState.ENABLED)
    here.zookeeper.lost = 3
    await here.mirror.table("t", here.work)
    assert here.states() == {}
    mending = asyncio.create_task(here.mirror.mend(here.work))
    async with asyncio.timeout(20):
        while here.states() != {"t": "ENABLED"}:
            await asyncio.sleep(0.01)
    here.work.mastership.end("is no more")
    here.table("t", TableState.DISABLED)
    mending.cancel()


async def test_switches_are_there_for_the_next_master():
    here = Here()
    first, second = KeptSwitches("/hbase", here.zookeeper.ask), KeptSwitches("/hbase", here.zookeeper.ask)
    await first.read()
    assert first["balancer"]
    assert await first.set("balancer", False) is True
    assert await first.set("merge", False) is True
    await second.read()
    assert [second[name] for name in ("balancer", "merge", "split")] == [False, False, True]
    here.zookeeper.nodes["/hbase/hbeacon/switches"] = b"{nonsense"
    await second.read()
    assert second["balancer"], "as at first"
