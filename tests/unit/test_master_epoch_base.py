"""Epochs over a ZooKeeper that was lost: they rise, no two masters share one, and who was deposed raises nothing."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import product
from types import coroutine

import pytest

from registry.lookup.snapshot import ZnodeStat
from registry.master.epoch import Deposed, Mastership, NotActing, Token, raise_deposed
from registry.master.epoch_base import KNOWN_MAX, EpochBase
from registry.master.znodes import Unreadable
from registry.wire.epoch import EPOCH_BYTES, NAME_BYTES_MAX, NO_EPOCH, MasterEpoch, deposed, known_epoch
from registry.wire.errors import DoNotRetryIOException
from registry.zk.lease import Lease
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Check, Create, Get, Multi, Reply, Request, Result, SetData
from tests.support.clock import ManualClock

MARK, MASTER, EPOCHS = "/hbase/hbeacon", "/hbase/master", "/hbase/hbeacon/epochs"


@dataclass
class Node:
    data: bytes
    czxid: int
    version: int = 0


@dataclass
class Tree:
    """A ZooKeeper that does what an election and a base of epochs need."""

    zxid: int = 0
    nodes: dict[str, Node] = field(default_factory=lambda: {MARK: Node(b"", 0)})
    lose: int = 0

    def elect(self) -> int:
        """Gives the czxid."""
        self.zxid += 1
        self.nodes[MARK].version += 1
        self.nodes[MASTER] = Node(b"", self.zxid)
        return self.zxid

    async def ask(self, request: Request) -> Reply:
        return self.answer(request)

    def answer(self, request: Request) -> Reply:
        if isinstance(request, Get):
            node = self.nodes.get(request.path)
            if node is None:
                return Reply(Result.NO_NODE)
            return Reply(Result.OK, node.data, ZnodeStat(node.czxid, 0, 0, 0, node.version, 0, 0, 0, 0, 0, 0))
        assert isinstance(request, Multi)
        check, write = request.operations
        assert isinstance(check, Check)
        if self.nodes[check.path].version != check.version:
            return Reply(Result.BAD_VERSION)
        assert isinstance(write, Create | SetData)
        if (write.path in self.nodes) is isinstance(write, Create):
            return Reply(Result.NODE_EXISTS if isinstance(write, Create) else Result.NO_NODE)
        self.zxid += 1
        self.nodes[write.path] = Node(write.data, self.zxid)
        if self.lose:
            self.lose -= 1
            return Reply(Result.LOST)  # done all the same
        return Reply(Result.OK)


def token(epoch: int, name: str = "m") -> Token:
    """Of a master that does not know yet whether another was elected."""
    clock = ManualClock()
    ship, lease = Mastership(clock), Lease()
    lease.granted(1e12)
    lease.answered(clock.monotonic_ms())
    ship.begin(epoch, lease, name)
    return ship.token()


def base_of(tree: Tree, right: Token) -> EpochBase:
    return EpochBase(ZNodePaths(), tree.ask, right)


async def test_a_new_zookeeper_goes_on_above_what_the_old_one_had():
    tree = Tree()
    first = token(tree.elect())
    base = base_of(tree, first)
    assert await base.read() == 0
    assert first.above(0).in_name == MasterEpoch(1, "m") == first.in_name
    tree.lose = 1  # it is written all the same, and found
    await base.raise_to(700)
    assert await base.read() == 700
    assert first.above(700).in_name.number == 701
    first.above(700).check()
    second = token(tree.elect())
    assert await base_of(tree, second).read() == 700
    await base_of(tree, second).raise_to(650)
    assert await base_of(tree, second).read() == 700, "it never sinks"
    await base_of(tree, second).raise_to(800)
    for late in (base.raise_to(900), base.read()):
        with pytest.raises(NotActing, match="another master was elected"):
            await late
    assert await base_of(tree, second).read() == 800


async def test_what_is_not_ours_raises_nothing():
    tree = Tree()
    base = base_of(tree, token(tree.elect()))
    with pytest.raises(Unreadable, match="no master ever had"):
        await base.raise_to(KNOWN_MAX)
    for data, cure in ((b"\xff", "remove it"), (b"[]", "remove it"), (b'{"format": 2, "base": 1}', "run the newer")):
        tree.nodes[EPOCHS] = Node(data, 1)
        with pytest.raises(Unreadable, match=cure):
            await base.read()
        with pytest.raises(Unreadable, match=cure):
            await base.raise_to(5)
    del tree.nodes[MARK]
    with pytest.raises(NotActing):
        await base.raise_to(5)


class Story:
    """Two masters, the later of which is elected at any moment, and what each acts as; a request is one step."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.tree.nodes[EPOCHS] = Node(b'{"format": 1, "base": 10}', 0)
        self.used: dict[int, list[int]] = {}
        self.at_once = [self._master(50), self._master(60)]
        self.over = [False, False]
        self.step(0)  # it is elected before the other

    async def _master(self, known: int) -> None:
        czxid = self.tree.elect()
        right = token(czxid)
        base = EpochBase(ZNodePaths(), self._ask, right)
        used = self.used[czxid] = list[int]()
        used.append(right.above(await base.read()).in_name.number)
        await base.raise_to(known)
        used.append(right.above(await base.read()).in_name.number)
        assert used[-1] > known

    async def _ask(self, request: Request) -> Reply:
        await _turn()
        return self.tree.answer(request)

    def step(self, who: int) -> None:
        try:
            self.at_once[who].send(None)
        except (StopIteration, NotActing):
            self.over[who] = True

    def end(self) -> None:
        for who in (0, 1):
            while not self.over[who]:
                self.step(who)


@coroutine
def _turn() -> Generator[None]:
    yield


def test_whatever_two_masters_do_between_each_other():
    """Every order of their requests: nobody shares a number, and the later elected is above the earlier one."""
    stories = 0
    for order in product((0, 1), repeat=14):
        if order.count(0) > 9 or order.count(1) > 9:
            continue  # nobody has so many steps
        story = Story()
        for who in order:
            if not story.over[who]:
                story.step(who)
        story.end()
        third = story.tree.elect()
        base = json.loads(story.tree.nodes[EPOCHS].data)["base"]
        numbers = [number for czxid in sorted(story.used) for number in story.used[czxid]]
        assert base == 60, (order, base)
        assert len(numbers) >= 2
        assert numbers == sorted(set(numbers)), (order, numbers)
        assert third + base > numbers[-1]
        stories += 1
    assert stories > 10_000


def test_a_number_belongs_to_who_had_it_first():
    first, second = MasterEpoch(5, "a,1,1"), MasterEpoch(5, "b,1,1")
    assert first.may_follow(NO_EPOCH)
    assert first.may_follow(first)
    assert not second.may_follow(first)
    assert MasterEpoch(6, "b,1,1").may_follow(first)
    assert not first.may_follow(MasterEpoch(6))


def test_on_the_wire():
    for epoch in (MasterEpoch(5, "a,1,1"), MasterEpoch(1 << 62), MasterEpoch(7, "ä" * 9)):
        assert MasterEpoch.decode(epoch.encode()) == epoch
    for value in (b"", b"\0" * (EPOCH_BYTES - 1), b"\0" * (EPOCH_BYTES + NAME_BYTES_MAX + 1)):
        with pytest.raises(DoNotRetryIOException, match="8 and a name"):
            MasterEpoch.decode(value)


def test_what_a_deposed_master_is_told():
    refusal = deposed(MasterEpoch(5, "b,1,1"), MasterEpoch(6, "a,1,1"))
    assert refusal.message == "Master with epoch 5 was deposed: epoch 6 is known here, of a,1,1"
    assert known_epoch(f"org.apache.hadoop.hbase.DoNotRetryIOException: {refusal.message}\n\tat somewhere") == 6
    with pytest.raises(Deposed) as told:
        raise_deposed(refusal)
    assert told.value.known == 6
    raise_deposed(DoNotRetryIOException("epoch 6 is nice"))
