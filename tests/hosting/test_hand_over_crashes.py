"""A region moves to another store and back, and some process dies at one step: no row is lost, none comes twice.

The process that does a step dies before it, or after it and before anybody hears of it; what it has committed stays, as
on a disk. The master of this test does what the catalogue says: the region is where `store` says; a move that was cut
off is tried again or given up, as chance has it; a leftover is dropped until that is done.
"""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from protos.hbase.RegionServerStatus_pb2 import RegionStateTransition, RemoteProcedureResult
from protos.hbeacon import ClusterV1_pb2
from regionserver.engine.grouped import GroupedStore
from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch, Committed, Durability
from regionserver.hosting import hand_over, orders
from regionserver.hosting.reports import Report
from regionserver.hosting.stores import MEMORY, OpenStore, Stores
from registry.names import ServerName
from tests.hosting.desk import LIFE, Desk, infos

(INFO,) = infos(1)
ROWS = [b"row%03d" % number for number in range(8)]


class Died(Exception):
    """A process is gone."""


class Fate:
    """Counts steps, and ends the process at one of them."""

    def __init__(self, step: int, *, after: bool) -> None:
        self.step, self.after = step, after
        self.steps = 0
        self.died = asyncio.Event()

    def is_now(self) -> bool:
        self.steps += 1
        return self.steps == self.step


class FatedStore(GroupedStore):
    """What is committed stays; who committed may not hear of it."""

    fate: Fate

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        if not self.fate.is_now():
            super().commit(batch, durability, committed)
            return
        if self.fate.after:
            super().commit(batch, durability, lambda _error: self.fate.died.set())
        else:
            self.fate.died.set()


class Machine:
    """Two stores that survive their servers, the servers, and the catalogue."""

    def __init__(self, data_dir: Path, fate: Fate, chance: random.Random) -> None:
        self.fate, self.chance = fate, chance
        self.stores: list[Stores] = []
        for number in range(2):
            stores = Stores(data_dir, MEMORY)
            store = FatedStore(MemoryStore(), lambda call: asyncio.get_running_loop().call_soon(call))
            store.fate = fate
            stores._open = {f"store{number}": OpenStore(f"store{number}", store, None)}  # pyright: ignore[reportPrivateUsage]
            stores._home = f"store{number}"  # pyright: ignore[reportPrivateUsage]
            self.stores.append(stores)
        self.servers = [Desk(stores, ServerName("host", number, 1)) for number, stores in enumerate(self.stores)]
        self.at = 0
        """Of the catalogue: in which store the region is."""
        self.seq_num = 2
        self.written: dict[bytes, bytes] = {}
        self.moves = 0
        self.moved_by: str = ""
        """The hand-over by which the region came to where it is; the order for it may come again."""

    # --- processes --------------------------------------------------------------------------------------------------

    def revive(self, number: int) -> None:
        """The process is started again on its store; what it was doing is over."""
        for task in list(self.servers[number].orders._tasks):  # pyright: ignore[reportPrivateUsage]
            task.cancel()
        self.servers[number] = Desk(self.stores[number], ServerName("host", number, 1))
        self.fate.died.clear()

    async def alive(self, number: int, work: Coroutine[Any, Any, Report]) -> Report:
        """What a server reports; raises Died where it does not live to, and revives it."""
        task = asyncio.ensure_future(work)
        died = asyncio.ensure_future(self.fate.died.wait())
        async with asyncio.timeout(20):
            await asyncio.wait((task, died), return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if task.done():
            return task.result()
        task.cancel()
        self.revive(number)
        raise Died

    async def order(self, number: int, message: ClusterV1_pb2.Orders) -> Report:
        server = self.servers[number]

        async def reported() -> Report:
            await server.await_reports(1)
            (report,) = server.reports.pending()
            return report

        server.orders.take(message)
        return await self.alive(number, reported())

    # --- the master -------------------------------------------------------------------------------------------------

    async def open(self, number: int, name: str = "") -> bool:
        """Whether it is open, and the catalogue says so."""
        server = self.servers[number]
        self.seq_num += 1
        if number == self.at and self.moved_by and self.chance.random() < 0.5:
            name = self.moved_by
        report = await self.order(number, server.open_message([INFO], hand_over=name, seq_num=self.seq_num))
        assert report.transition is not None
        server = self.servers[number]
        server.reports.acknowledged(report.number)
        if report.transition.transition_code == RegionStateTransition.OPENED:
            if self.at != number:
                self.at, self.moved_by = number, name
            return True
        assert name, "where it is, it can be opened"
        if number == self.at:
            self.moved_by = ""
            return await self.open(number)
        return False

    async def surely(self, work: Callable[[], Coroutine[Any, Any, object]]) -> object:
        while True:
            try:
                return await work()
            except Died:
                continue

    async def write(self) -> None:
        """A row put or deleted, acknowledged; and what was acknowledged before is there, and no more."""
        server = self.servers[self.at]
        assert server.rows(INFO, ROWS) == self.written
        row, value = self.chance.choice(ROWS), b"%d" % self.chance.randrange(1000)
        after = {**self.written, row: value}
        if self.written and self.chance.random() < 0.5:
            row, value = self.chance.choice(sorted(self.written)), None
            after = {key: kept for key, kept in self.written.items() if key != row}
        put = asyncio.ensure_future(server.put(INFO, row, value))
        died = asyncio.ensure_future(self.fate.died.wait())
        async with asyncio.timeout(20):
            await asyncio.wait((put, died), return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if put.done():
            self.written = after
            return
        put.cancel()
        self.revive(self.at)
        await self.surely(lambda: self.open(self.at))
        found = self.servers[self.at].rows(INFO, ROWS)
        assert found in (self.written, after), "not acknowledged: it may be there, or not"
        self.written = found

    async def move(self) -> None:
        """To the other store, until it is there."""
        source, target = self.at, 1 - self.at
        name = ""
        while self.at == source:
            self.moves += 1
            # The worst master gives each try the same name.
            name = f"h{target}" if self.chance.random() < 0.5 else f"h{target}-{self.moves}"
            try:
                server = self.servers[source]
                report = await self.order(source, server.close_message(INFO, name))
                assert report.transition is not None
                server.reports.acknowledged(report.number)
                tries = 1 + self.chance.randrange(2)
                for _ in range(tries):
                    try:
                        if await self.open(target, name):
                            break
                    except Died:
                        continue
            except Died:
                pass
            if self.at == source:
                await self.surely(lambda: self.open(source))
                for _ in range(3):
                    await self.write()
        await self.write()
        if self.chance.random() < 0.3:
            self.revive(target)
            await self.surely(lambda: self.open(target))
            await self.write()
        await self.surely(lambda: self.drop(source, name))

    async def drop(self, number: int, name: str) -> None:
        server = self.servers[number]
        report = await self.order(number, server.drop_message(INFO, f"store{number}", name))
        assert report.result is not None
        assert report.result.status == RemoteProcedureResult.SUCCESS, report.result
        server.reports.acknowledged(report.number)

    def check(self) -> None:
        """The region is in one store only, and has what was acknowledged."""
        assert self.servers[self.at].rows(INFO, ROWS) == self.written
        store = self.stores[1 - self.at].get(f"store{1 - self.at}")
        assert store is not None
        life = LIFE.to_bytes(8, "big")
        assert not list(store.scan(life, life + b"\xff")), "the leftover is dropped"


async def story(data_dir: Path, fate: Fate, chance: random.Random) -> None:
    machine = Machine(data_dir, fate, chance)
    await machine.surely(lambda: machine.open(0))
    for _ in range(3):
        await machine.write()
    await machine.move()
    machine.check()
    late = machine.servers[0].drop_message(INFO, "store0", "h1")
    await machine.move()
    machine.check()
    # An order of long ago, when the region was a leftover there.
    report = await machine.alive(0, _late(machine.servers[0], late))
    assert report.result is not None
    assert report.result.status == RemoteProcedureResult.ERROR
    await machine.write()
    machine.check()


async def _late(server: Desk, message: ClusterV1_pb2.Orders) -> Report:
    server.orders.take(message)
    await server.await_reports(1)
    (report,) = server.reports.pending()
    server.reports.acknowledged(report.number)
    return report


@pytest.mark.parametrize("after", [False, True])
async def test_some_process_dies_at_each_step(
    tmp_path: Path, after: bool, rng: random.Random, monkeypatch: pytest.MonkeyPatch
):
    fates: list[Fate] = []
    to_thread = asyncio.to_thread

    async def fated(call: Callable[..., Any], *args: Any) -> Any:
        fate = fates[-1]
        if not fate.is_now():
            return await to_thread(call, *args)
        if fate.after:
            made = await to_thread(call, *args)
            if isinstance(made, io.IOBase):
                made.close()  # as the kernel does
        fate.died.set()
        return await asyncio.Event().wait()

    for module in (hand_over, orders):
        monkeypatch.setattr(module.asyncio, "to_thread", fated)
    step = 0
    while True:
        step += 1
        fates.append(Fate(step, after=after))
        await story(tmp_path / str(step), fates[-1], random.Random(rng.random()))
        if fates[-1].steps < step:
            break
    assert step > 30
