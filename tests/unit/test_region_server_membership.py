"""A region server's place in ZooKeeper, against a tree in memory whose replies can get lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from regionserver import membership as module
from regionserver.membership import Membership
from registry.lookup.snapshot import RegionServer, ZnodeStat
from registry.master.identity import ProcessMemory
from registry.master.mark import Mark, Refusal
from registry.names import ServerName
from registry.wire.znode import decode_region_server, encode_cluster_id, encode_cluster_up
from registry.zk.lease import Lease
from registry.zk.requests import Children, Create, Delete, Get, Reply, Request, Result

SALT = bytes(8)
ME = ServerName("rs1", 16020, 7)
MY_PATH = f"/hbase/rs/{ME}"


def stat(owner: int) -> ZnodeStat:
    return ZnodeStat(1, 1, 0, 0, 0, 0, 0, owner, 0, 0, 1)


class Tree:
    """Implements membership.Session: replies at the loop's next turn."""

    def __init__(self) -> None:
        self.lease = Lease()
        self.session_id = 0x77
        self.is_connected = False
        self.nodes: dict[str, tuple[bytes, int]] = {"/hbase": (b"", 0), "/hbase/rs": (b"", 0)}
        self.watches: set[str] = set()
        self.lost: list[type[Request]] = []  # type: ignore[valid-type]
        self.forbidden = False
        self.owner: Membership | None = None
        self.discarded = False

    def start(self) -> None:
        self.connect()

    def connect(self) -> None:
        assert self.owner is not None
        self.is_connected = True
        self.owner.connected()

    def disconnect(self) -> None:
        assert self.owner is not None
        self.is_connected = False
        self.watches.clear()
        self.owner.suspended("gone")

    def ask(self, request: Request, done: Callable[[Reply], object]) -> None:
        reply = self.reply(request)
        if type(request) in self.lost:
            self.lost.remove(type(request))
            asyncio.get_running_loop().call_soon(self.disconnect)
            asyncio.get_running_loop().call_soon(self.connect)
        else:
            asyncio.get_running_loop().call_soon(done, reply)

    def reply(self, request: Request) -> Reply:
        if self.forbidden:
            return Reply(Result.NO_AUTH)
        match request:
            case Create(path, data, ephemeral):
                if path in self.nodes:
                    return Reply(Result.NODE_EXISTS)
                if path.rpartition("/")[0] not in self.nodes:
                    return Reply(Result.NO_NODE)
                self.nodes[path] = (data, self.session_id if ephemeral else 0)
                return Reply(Result.OK)
            case Delete(path):
                self.remove(path)
                return Reply(Result.OK)
            case Get(path, watch):
                if path not in self.nodes:
                    return Reply(Result.NO_NODE)
                if watch:
                    self.watches.add(path)
                data, owner = self.nodes[path]
                return Reply(Result.OK, data, stat(owner))
            case Children(path):
                names = [each.rpartition("/")[2] for each in self.nodes if each.rpartition("/")[0] == path]
                return Reply(Result.OK, children=tuple(names)) if path in self.nodes else Reply(Result.NO_NODE)
            case _:
                raise AssertionError(request)

    def remove(self, path: str) -> None:
        self.nodes.pop(path, None)
        if path in self.watches:
            self.watches.discard(path)
            assert self.owner is not None
            self.owner.fired(path)

    async def discard(self) -> None:
        self.discarded = True

    # what masters write

    def put(self, name: str, data: bytes = b"") -> None:
        self.nodes[f"/hbase/{name}"] = (data, 0)

    def found(self, cluster_id: str = "c1") -> None:
        self.put("hbaseid", encode_cluster_id(cluster_id, "master:1", SALT))
        self.put("hbeacon", Mark("c1").data())

    def run(self) -> None:
        self.put("running", encode_cluster_up("today", "master:1", SALT))


@asynccontextmanager
async def member(memory: ProcessMemory | None = None) -> AsyncGenerator[tuple[Membership, Tree]]:
    tree = Tree()
    made = Membership("/hbase", memory or ProcessMemory(), lambda _owner: tree)
    tree.owner = made
    made.start()
    yield made, tree


async def until(work: asyncio.Task[str]) -> str:
    return await asyncio.wait_for(work, 5)


async def test_it_waits_until_the_cluster_is_founded_and_up() -> None:
    memory = ProcessMemory()
    async with member(memory) as (one, tree):
        waiting = asyncio.create_task(one.cluster_is_up())
        await asyncio.sleep(0.05)
        tree.found()
        one.wake()
        await asyncio.sleep(0.05)
        assert not waiting.done(), "it is founded, and not up"
        tree.run()
        one.wake()
        assert await until(waiting) == "c1"
        assert memory.was_founded()


async def test_it_looks_by_itself_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_MS", 5.0)
    async with member() as (one, tree):
        waiting = asyncio.create_task(one.cluster_is_up())
        await asyncio.sleep(0.02)
        tree.found()
        tree.run()
        assert await until(waiting) == "c1"


@pytest.mark.parametrize("entry", ["hbaseid", "master", "rs/rs9,16020,1", "backup-masters/m,1,1"])
async def test_a_cluster_that_hbeacon_has_not_founded_is_left_alone(entry: str) -> None:
    async with member() as (one, tree):
        tree.put("backup-masters")
        tree.put(entry, encode_cluster_id("real", "master:1", SALT))
        with pytest.raises(Refusal, match=r"belongs to an HBase cluster .* hbeacon adapter"):
            await until(asyncio.create_task(one.cluster_is_up()))
        assert MY_PATH not in tree.nodes


async def test_other_reasons_to_keep_out() -> None:
    async with member() as (one, tree):
        tree.found("c2")
        tree.run()
        with pytest.raises(Refusal, match="tells of cluster c2, /hbase/hbeacon of c1"):
            await until(asyncio.create_task(one.cluster_is_up()))
    async with member() as (one, tree):
        tree.found()
        tree.run()
        tree.put("hbeacon", b'{"format": 99, "cluster_id": "c1"}')
        with pytest.raises(Refusal, match="format 99"):
            await until(asyncio.create_task(one.cluster_is_up()))
    async with member() as (one, tree):
        tree.forbidden = True
        with pytest.raises(Refusal, match=r"hbeacon.zookeeper.auth"):
            await until(asyncio.create_task(one.cluster_is_up()))


async def test_replies_that_get_lost_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_MS", 1.0)
    async with member() as (one, tree):
        tree.found()
        tree.run()
        tree.lost = [Get, Children, Get]
        assert await until(asyncio.create_task(one.cluster_is_up())) == "c1"
        tree.lost = [Create]
        await asyncio.wait_for(one.enter(RegionServer(ME, 16030, "2.6.4")), 5)
        assert tree.nodes[MY_PATH][1] == tree.session_id


async def test_the_znode_is_what_hbase_writes() -> None:
    async with member() as (one, tree):
        await one.enter(RegionServer(ME, 16030, "2.6.4-hbeacon-1"))
        data, owner = tree.nodes[MY_PATH]
        assert owner == tree.session_id
        assert data.startswith(b"\xff\x00\x00\x00\x1aregionserver:16020")
        assert decode_region_server(str(ME), data) == RegionServer(ME, 16030, "2.6.4-hbeacon-1")


async def test_a_znode_of_another_session_under_our_name_makes_room() -> None:
    async with member() as (one, tree):
        tree.nodes[MY_PATH] = (b"", 0x66)
        await asyncio.wait_for(one.enter(RegionServer(ME, 16030, "")), 5)
        assert tree.nodes[MY_PATH][1] == tree.session_id


async def test_a_place_that_is_not_there_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_MS", 5.0)
    async with member() as (one, tree):
        del tree.nodes["/hbase/rs"]
        entering = asyncio.create_task(one.enter(RegionServer(ME, 16030, "")))
        await asyncio.sleep(0.03)
        assert not entering.done()
        tree.put("rs")
        await asyncio.wait_for(entering, 5)


async def test_the_cluster_is_down_when_running_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DOWN_MS", 50.0)
    async with member() as (one, tree):
        tree.run()
        down = asyncio.create_task(one.cluster_goes_down())
        await asyncio.sleep(0.02)
        tree.remove("/hbase/running")
        await asyncio.sleep(0.01)
        tree.run()  # a master has made it anew
        await asyncio.sleep(0.1)
        assert not down.done()
        tree.disconnect()
        tree.nodes.pop("/hbase/running")
        await asyncio.sleep(0.1)
        assert not down.done(), "nobody has told us"
        tree.connect()
        await asyncio.wait_for(down, 5)


async def test_ends() -> None:
    async with member() as (one, tree):
        waiting = asyncio.create_task(one.cluster_is_up())
        await asyncio.sleep(0.02)
        one.ended("expired")
        assert await one.over == "expired"
        one.ended("again")
        waiting.cancel()
    async with member() as (one, tree):
        one.refused("auth")
        assert await one.refusal == "auth"
        await one.leave()
        assert tree.discarded
