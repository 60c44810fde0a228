"""Where hbase:meta is, in ZooKeeper: written in the order in which things rest on each other, and read back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from registry.lookup.snapshot import MetaLocation
from registry.master.catalogue import RegionRow, RegionState
from registry.master.epoch import Mastership, NotActing, Token
from registry.master.meta_place import DirectoryMemory, MetaPlace, MetaStore
from registry.master.znodes import Unreadable
from registry.names import ServerName
from registry.wire.region_info import META
from registry.wire.znode import decode_meta_location, encode_meta_location
from registry.zk.lease import Lease
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Create, Get, Reply, Request, Result, SetData
from tests.support.clock import ManualClock

A, B = ServerName("rs1", 16020, 1000), ServerName("rs2", 16020, 1000)
STORE, WHERE = "/hbase/hbeacon/meta", "/hbase/meta-region-server"


class Tree:
    """Two znodes, and replies that get lost."""

    def __init__(self) -> None:
        self.nodes: dict[str, bytes] = {}
        self.written: list[str] = []
        self.lose = 0

    async def ask(self, request: Request) -> Reply:
        match request:
            case Get(path):
                return Reply(Result.OK, self.nodes[path]) if path in self.nodes else Reply(Result.NO_NODE)
            case SetData(path, _) if path not in self.nodes:
                return Reply(Result.NO_NODE)
            case Create(path, _) if path in self.nodes:
                return Reply(Result.NODE_EXISTS)
            case SetData(path, data) | Create(path, data):
                self.nodes[path] = data
                self.written.append(path)
            case _:
                raise AssertionError(request)
        if self.lose:
            self.lose -= 1
            return Reply(Result.LOST)  # done all the same
        return Reply(Result.OK)


def token() -> tuple[Mastership, Token]:
    clock = ManualClock()
    ship, lease = Mastership(clock), Lease()
    lease.granted(1e12)
    lease.answered(clock.monotonic_ms())
    ship.begin(5, lease)
    return ship, ship.token()


def place(ask: Callable[[Request], Awaitable[Reply]]) -> MetaPlace:
    return MetaPlace(ZNodePaths(), ask, token()[1], "master:16000", lambda count: b"0" * count)


def row(state: RegionState, sn: ServerName | None, store: str, seq_num: int = 0, leftover: str = "") -> RegionRow:
    return RegionRow(META, 0, state, sn, sn, seq_num, store, leftover)


async def test_nothing_is_there_yet():
    found = place(Tree().ask)
    assert await found.read() == row(RegionState.OFFLINE, None, "")
    assert found.store == MetaStore()


async def test_from_the_founding_to_a_move():
    tree = Tree()
    tree.lose = 1  # what was created is found to be there
    writing = place(tree.ask)
    await writing.write([(None, row(RegionState.OPENING, A, "s1"))])
    assert tree.written[0] == STORE, "the store is known before anybody opens it"
    assert decode_meta_location(tree.nodes[WHERE], 0) == MetaLocation(0, A, "OPENING")
    await writing.write([(None, row(RegionState.OPEN, A, "s1", 2))])
    assert not writing.store.founded
    await writing.founded()
    reading = place(tree.ask)
    assert await reading.read() == row(RegionState.OPEN, A, "s1", 2)
    assert reading.store == MetaStore("s1", founded=True, open_seq_num=2)

    tree.written.clear()
    await reading.write([(None, row(RegionState.CLOSING, A, "s1", 2))])
    await reading.write([(None, row(RegionState.OPENING, B, "s1", 2))])
    assert tree.written == [WHERE], "clients find it where it was until it is opened elsewhere, its rows as well"
    await reading.write([(None, row(RegionState.OPEN, B, "s2", 3, "s1 hand-over"))])
    assert tree.written == [WHERE, STORE, WHERE]
    after = place(tree.ask)
    assert await after.read() == row(RegionState.OPEN, B, "s2", 3, "s1 hand-over")
    assert after.store.founded


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_a_wiped_zookeeper_is_told_where_it_was(tmp_path: Path):
    def on(tree: Tree) -> MetaPlace:
        return MetaPlace(ZNodePaths(), tree.ask, token()[1], "master:16000", lambda count: b"0" * count, memory)

    memory = DirectoryMemory(tmp_path)
    tree = Tree()
    writing = on(tree)
    await writing.write([(None, row(RegionState.OPENING, A, "s1"))])
    assert names(tmp_path) == [], "a catalogue that was never founded is begun anew"
    await writing.founded()
    await writing.write([(None, row(RegionState.OPEN, B, "s2", 3))])
    wiped = Tree()
    found = on(wiped)
    assert await found.read() == row(RegionState.OFFLINE, None, "s2", 3)
    assert found.store.founded, "it is not opened empty anywhere else"
    assert not found.is_certain
    assert not wiped.nodes, "where it really is has yet to be found"
    assert await found.found_in(row(RegionState.OFFLINE, None, "s2", 3), "s2", 3) == row(
        RegionState.OFFLINE, None, "s2", 3
    )
    assert wiped.nodes[STORE] == tree.nodes[STORE]
    assert await found.read() == row(RegionState.OFFLINE, None, "s2", 3)
    assert found.is_certain
    (tmp_path / "meta-store").unlink()
    await on(tree).read()
    assert names(tmp_path) == ["meta-store"], "whoever becomes active knows it from then on"
    (tmp_path / "meta-store").write_text("{")
    with pytest.raises(Unreadable, match="meta-store holds what hbeacon does not write"):
        await on(Tree()).read()


async def test_a_store_that_holds_it_is_taken_over():
    tree = Tree()
    beginning = place(tree.ask)
    await beginning.write([(None, row(RegionState.OPENING, A, "s1", 0))])
    finding = place(tree.ask)
    begun = await finding.read()
    assert (begun.state, begun.store, finding.is_certain) == (RegionState.OPENING, "s1", False)
    assert await finding.found_in(begun, "s1", 7) == row(RegionState.OPENING, A, "s1", 7)
    assert finding.store.founded
    elsewhere = await finding.found_in(begun, "s2", 9)
    assert (elsewhere.state, elsewhere.store, elsewhere.open_seq_num) == (RegionState.OFFLINE, "s2", 9)
    assert MetaStore.parse(STORE, tree.nodes[STORE]) == MetaStore("s2", founded=True, open_seq_num=9)


async def test_what_others_have_written_there():
    tree = Tree()
    for data, problem in (
        (b"\xff", "restore it"),
        (b"[]", "restore it"),
        (b'{"format": 1}', "restore it"),
        (b'{"format": 2, "store": "s", "founded": true}', "run the newer one"),
    ):
        tree.nodes[STORE] = data
        with pytest.raises(Unreadable, match=problem):
            await place(tree.ask).read()
    tree.nodes[STORE] = MetaStore("s1", founded=True).data()
    tree.nodes[WHERE] = b"\xff nonsense"
    with pytest.raises(Unreadable, match="remove it"):
        await place(tree.ask).read()
    tree.nodes[WHERE] = encode_meta_location(MetaLocation(0, A, "SPLITTING"), "w", b"01234567")
    assert (await place(tree.ask).read()).state is RegionState.OFFLINE


async def test_whoever_does_not_act_any_more_writes_nothing():
    tree = Tree()
    ship, right = token()
    writing = MetaPlace(ZNodePaths(), tree.ask, right, "master:16000", lambda count: b"0" * count)
    ship.end("is stopping")
    with pytest.raises(NotActing):
        await writing.write([(None, row(RegionState.OPENING, A, "s1"))])
    assert not tree.nodes
