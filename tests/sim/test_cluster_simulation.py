"""Masters and region servers die, stand still and come back at any moment, while tables come, go, move and are changed.

Of what happens must hold, at every moment and whatever is lost on the way:

* at most one server serves a region;
* a region is served only where its store is, with every write that was acknowledged: never empty, never an old copy;

and when everything works again: every region of an enabled table is served, where hbase:meta says, every region of a
disabled one is closed, hbase:meta holds what the master has in memory, and no store that is open keeps an old copy.

The seed is the parameter of the test. HBEACON_SEEDS=5000 runs more of them; HBEACON_SEED=17 runs one, with its trace.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from protos.hbase import HBase_pb2
from registry.master.catalogue import Changes, RegionRow, RegionState, TableRow, TableState
from registry.master.cluster_work import ClusterWork
from registry.master.held import Goal
from registry.master.region_states import RegionStates
from registry.wire.errors import HBaseIOException
from registry.wire.region_info import META, META_ENCODED_NAME, RegionInfo, table_name
from tests.sim.model_cluster import World
from tests.sim.model_meta import read
from tests.support.seeds import seeds
from tests.support.virtual_loop import VirtualLoop

SEEDS = seeds(5)
DURATION_MS = 20_000.0
QUIET_MS = 90_000.0


@dataclass
class Wish:
    """What somebody wants done with a table: a procedure, as it were, that every master goes on with."""

    kind: str
    table: str
    regions: list[RegionInfo] = field(default_factory=list[RegionInfo])
    life: int = 0


class Story:
    """One run."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.loop = VirtualLoop()
        asyncio.set_event_loop(self.loop)
        self.world = World(self.loop, self.chance, self.work_off)
        self.machines = self.chance.choice((1, 1, 1, 2))
        self.servers = self.chance.randint(2, 4)
        self.wishes: list[Wish] = []
        self.tables: dict[str, bool] = {}
        """Those that are to be there in the end, and whether enabled."""
        self.number = 0
        self.wished = asyncio.Event()

    # --- tables -------------------------------------------------------------------------------------------------

    def wish(self) -> None:
        """Something is to be done."""
        kinds = ("create", "create", "disable", "enable", "reopen", "delete", "move", "move", "move", "move_meta")
        kind = self.chance.choice(kinds)
        enabled = [table for table, is_on in self.tables.items() if is_on]
        disabled = [table for table, is_on in self.tables.items() if not is_on]
        if kind == "create" or not self.tables:
            self.number += 1
            table, count = f"t{self.number}", self.chance.randint(1, 8)
            keys = [b"", *(b"%02d" % each for each in range(1, count)), b""]
            infos = [RegionInfo(table, keys[each], keys[each + 1], self.number) for each in range(count)]
            self.wishes.append(Wish("create", table, infos))
            self.tables[table] = True
        elif kind == "move_meta":
            self.wishes.append(Wish(kind, "hbase:meta"))
        elif kind in ("disable", "reopen", "move") and enabled:
            self.wishes.append(Wish(kind, self.chance.choice(enabled)))
            if kind == "disable":
                self.tables[self.wishes[-1].table] = False
        elif kind in ("enable", "delete") and disabled:
            self.wishes.append(Wish(kind, self.chance.choice(disabled)))
            if kind == "enable":
                self.tables[self.wishes[-1].table] = True
            else:
                del self.tables[self.wishes[-1].table]
        self.wished.set()

    async def work_off(self, work: ClusterWork) -> None:
        """One after the other; what a master before has left is begun anew."""
        while True:
            while self.wishes:
                wish = self.wishes[0]
                self.world.note(f"{wish.kind} {wish.table}")
                await getattr(self, f"_{wish.kind}")(work, wish)
                self.world.note(f"{wish.kind} {wish.table} is done")
                self.wishes.remove(wish)
            self.wished.clear()
            await self.wished.wait()

    async def _create(self, work: ClusterWork, wish: Wish) -> None:
        if wish.table not in work.catalogue.tables:
            wish.life = work.take_life()
            row = self._row(wish.table, TableState.ENABLING, wish.life)
            regions = [RegionRow(info, wish.life) for info in wish.regions]
            await work.write(Changes(tables=[row], regions=regions), work.token)
        elif not work.catalogue.regions_of(wish.table):
            life = work.catalogue.tables[wish.table].life
            await work.write(Changes(regions=[RegionRow(info, life) for info in wish.regions]), work.token)
        await self._enable(work, wish)

    async def _enable(self, work: ClusterWork, wish: Wish) -> None:
        await self._set_state(work, wish, TableState.ENABLING)
        await work.open(self._regions(work, wish), work.token)
        await self._set_state(work, wish, TableState.ENABLED)

    async def _disable(self, work: ClusterWork, wish: Wish) -> None:
        await self._set_state(work, wish, TableState.DISABLING)
        await work.close(self._regions(work, wish), work.token)
        await self._set_state(work, wish, TableState.DISABLED)

    async def _reopen(self, work: ClusterWork, wish: Wish) -> None:
        await work.reopen(self._regions(work, wish), work.token)

    async def _delete(self, work: ClusterWork, wish: Wish) -> None:
        if wish.table in work.catalogue.tables:
            regions = self._regions(work, wish)
            await work.close(regions, work.token)
            await work.drop(regions, work.token)
            await work.write(Changes(no_regions=regions), work.token)
            await work.write(Changes(no_tables=[wish.table]), work.token)

    async def _move(self, work: ClusterWork, wish: Wish) -> None:
        for info in self._regions(work, wish)[:3]:
            try:
                await work.move(info, None, work.token)
            except HBaseIOException as error:
                self.world.note(str(error))

    async def _move_meta(self, work: ClusterWork, wish: Wish) -> None:
        del wish
        try:
            await work.move(META, None, work.token)
        except HBaseIOException as error:
            self.world.note(str(error))

    async def _set_state(self, work: ClusterWork, wish: Wish, state: TableState) -> None:
        row = self._row(wish.table, state, work.catalogue.tables[wish.table].life)
        await work.write(Changes(tables=[row]), work.token)

    def _regions(self, work: ClusterWork, wish: Wish) -> list[RegionInfo]:
        return [row.info for row in work.catalogue.regions_of(wish.table)]

    def _row(self, table: str, state: TableState, life: int) -> TableRow:
        schema = HBase_pb2.TableSchema(table_name=table_name(table))
        schema.column_families.add(name=b"f")
        return TableRow(table, state, schema, life)

    # --- what happens -------------------------------------------------------------------------------------------

    def happen(self) -> None:
        """One thing."""
        world, chance = self.world, self.chance
        alive = [server for server in world.servers if server.alive]
        roll = chance.random()
        if roll < 0.25 and alive:
            victim = chance.choice(alive)
            world.note(f"kill {victim.name}")
            victim.kill()
            world.later(chance.uniform(0, 6000), lambda: self.start(victim.number))
        elif roll < 0.40 and alive:
            victim = chance.choice(alive)
            world.note(f"stop {victim.name}")
            victim.pause(chance.choice((100, 1000, 2500, 6000)))
            world.later(12_000, lambda: self.start(victim.number))
        elif roll < 0.55:
            world.elect()
        elif roll < 0.58:
            world.note("kill all")
            for victim in alive:
                victim.kill()
                world.later(chance.uniform(0, 3000), lambda number=victim.number: self.start(number))
            world.elect()
        elif roll < 0.61 and self.all_know():
            world.note("ZooKeeper is lost")
            world.lose_zookeeper()
            most_ms = chance.choice((200, 4000))
            for victim in alive:
                world.later(chance.uniform(0, most_ms), lambda number=victim.number: self.start(number))
            world.later(chance.uniform(0, most_ms), world.elect)
        else:
            self.wish()

    def all_know(self) -> bool:
        """Whether there is no machine left whose servers have never heard of an hbase:meta.

        Where ZooKeeper is lost before that, one of those could be the first to come, and nobody could tell.
        """
        stores = self.world.stores.values()
        return {store.machine for store in stores if store.in_cluster} == set(range(self.machines))

    def start(self, number: int) -> None:
        self.world.start_server(number, number % self.machines)

    def write(self) -> None:
        """A client writes to whoever serves."""
        serving = [(server, region) for server in self.world.servers if server.serves for region in server.serving]
        for server, region in self.chance.sample(serving, min(3, len(serving))):
            if region != META_ENCODED_NAME:
                store = server.serving[region]
                store.rows[region] = store.rows.get(region, 0) + 1
                self.world.written[region] = self.world.written.get(region, 0) + 1

    def every(self, pause_ms: Callable[[], float], work: Callable[[], None], until_ms: float) -> None:
        def again() -> None:
            if self.loop.monotonic_ms() < until_ms:
                work()
                self.world.later(pause_ms(), again)

        self.world.later(pause_ms(), again)

    async def play(self) -> None:
        """Raises AssertionError."""
        world = self.world
        for number in range(self.servers):
            self.start(number)
        world.elect()
        end_ms = self.loop.monotonic_ms() + DURATION_MS
        self.every(lambda: self.chance.expovariate(1 / 400), self.happen, end_ms)
        self.every(lambda: 20.0, self.write, end_ms + QUIET_MS)
        await asyncio.sleep(DURATION_MS / 1000)
        world.rough = False
        world.note("all is well from now on")
        if world.master is None:
            world.elect()
        for number in range(self.servers):
            self.start(number)
        await asyncio.sleep(15)
        for number in range(self.servers):
            self.start(number)
        for _ in range(int(QUIET_MS / 1000)):
            if world.broken or not self.unfinished():
                break
            await asyncio.sleep(1)
        assert not world.broken, world.broken
        problem = self.unfinished()
        assert not problem, problem
        await asyncio.sleep(12)
        self.judge()

    # --- the end ------------------------------------------------------------------------------------------------

    def unfinished(self) -> str:
        """What is still to be done."""
        master = self.world.master
        if master is None or master.reign is None or not master.reign.is_initialized:
            return f"the master waits until {master.reign.waits_for if master and master.reign else 'it is there'}"
        if self.wishes:
            return f"{self.wishes[0].kind} {self.wishes[0].table} is not done"
        moving = [held for states in self.states() for held in states.held.values() if not held.is_settled]
        return "; ".join(f"{held.row.info}: {held.row.state} {held.problem}" for held in moving)

    def states(self) -> list[RegionStates]:
        assert self.world.master is not None
        reign = self.world.master.reign
        assert reign is not None
        return [reign.meta_states, reign.states]

    def judge(self) -> None:
        world, master = self.world, self.world.master
        assert master is not None
        assert not world.broken, world.broken
        reign = master.reign
        assert reign is not None
        serving = {region: server for server in world.servers if server.serves for region in server.serving}
        meta = serving[META_ENCODED_NAME].serving[META_ENCODED_NAME]
        written = read(meta)
        assert written.regions == reign.catalogue.regions
        assert {name: row.state for name, row in written.tables.items()} == {
            name: TableState.ENABLED if enabled else TableState.DISABLED for name, enabled in self.tables.items()
        }
        for name, row in written.regions.items():
            enabled = self.tables[row.info.table]
            assert row.state is (RegionState.OPEN if enabled else RegionState.CLOSED), row
            assert reign.states.held[name].goal is (Goal.OPEN if enabled else Goal.CLOSED), row
            if enabled:
                assert serving[name].name == row.sn == row.server, row
                assert serving[name].serving[name].store_id == row.store
            else:
                assert name not in serving
            assert not row.leftover or world.stores[row.leftover.split()[0]].owner is None, row
        known = {*written.regions, META_ENCODED_NAME}
        assert set(serving) <= known
        for place in written.drops.values():
            assert world.stores[place.store_id].owner is None, place
        old = {(store.store_id, name) for store in world.stores.values() for name in store.left}
        # A closed region whose move came to nothing loses the note with its next opening.
        opened = {name: row.store for name, row in written.regions.items() if row.state is RegionState.OPEN}
        assert not {(store, name) for store, name in old if opened.get(name) == store}

    def close(self) -> None:
        world = self.world
        world.broken.append("over")
        tasks = list(asyncio.all_tasks(self.loop))
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()
        asyncio.set_event_loop(None)


@pytest.mark.parametrize("seed", SEEDS)
def test_masters_and_region_servers(seed: int):
    story = Story(seed)
    try:
        story.loop.run_until_complete(story.play())
    except BaseException:
        print("\n".join(story.world.trace))
        raise
    finally:
        story.close()
