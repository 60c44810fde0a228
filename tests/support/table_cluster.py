"""A cluster in memory for procedures: what survives a master, and masters that are killed after so many effects."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from protos.hbase import HBase_pb2
from registry.clock import Clock
from registry.master.catalogue import Catalogue, Changes, RegionRow, RegionState, TableState
from registry.master.cluster_work import ClusterWork
from registry.master.epoch import Mastership, NotActing, Token
from registry.names import ServerName
from registry.wire.errors import HBaseIOException
from registry.wire.gone_families import gone_families
from registry.wire.region_info import RegionInfo
from registry.zk.lease import Lease
from registry.zk.requests import Children, Create, Delete, Get, Multi, Reply, Request, Result

SERVERS = [ServerName("127.0.0.1", 16020, 1), ServerName("127.0.0.1", 16120, 2)]


@dataclass
class World:
    """What is there when no master is."""

    catalogue: Catalogue = field(default_factory=Catalogue)
    znodes: dict[str, str] = field(default_factory=dict[str, str])
    """Tables to the states that ZooKeeper tells."""
    namespaces: set[str] = field(default_factory=set[str])
    """Those that ZooKeeper tells."""
    rows: set[tuple[int, str]] = field(default_factory=set[tuple[int, str]])
    """Lives and encoded names of regions that have rows."""
    schemas: dict[str, HBase_pb2.TableSchema] = field(default_factory=dict[str, HBase_pb2.TableSchema])
    """Encoded names of open regions to the schemas that they were opened with."""
    flushed: list[str] = field(default_factory=list[str])
    cells: set[tuple[str, bytes]] = field(default_factory=set[tuple[str, bytes]])
    """Encoded names of regions and the families that have cells in them."""
    cleared: dict[str, frozenset[bytes]] = field(default_factory=dict[str, frozenset[bytes]])
    """The same names, and the families that were removed from them at an opening."""

    def __post_init__(self) -> None:
        for name in (b"default", b"hbase"):
            self.catalogue.namespaces[name.decode()] = HBase_pb2.NamespaceDescriptor(name=name)
        self.namespaces = {"default", "hbase"}

    def copy(self) -> World:
        return copy.deepcopy(self)


def acting(clock: Clock) -> Mastership:
    """A master whose lease lasts."""
    lease = Lease()
    lease.granted(1e12)
    lease.answered(clock.monotonic_ms())
    mastership = Mastership(clock)
    mastership.begin(7, lease)
    return mastership


class ModelWork(ClusterWork):
    """One reign. After `effects` of them nothing is done any more, and whoever asks hears NotActing."""

    def __init__(self, world: World, mastership: Mastership, effects: int = 1_000_000) -> None:
        self.world = world
        self.mastership = mastership
        self.effects = effects
        self.pause = 0
        """Turns of the loop that each effect takes."""
        self.stuck: set[str] = set()
        """Regions that never open, by encoded name."""
        self.hold: asyncio.Event | None = None
        """Regions open and close only once it is set."""
        self._life = world.catalogue.life_counter

    @property
    def catalogue(self) -> Catalogue:
        return self.world.catalogue

    @property
    def token(self) -> Token:
        return self.mastership.token()

    def servers(self) -> Sequence[ServerName]:
        return SERVERS

    def take_life(self) -> int:
        self._life += 1
        return self._life

    def yet_to_open(self, table: str) -> tuple[int, int]:
        rows = [row for row in self.catalogue.regions_of(table) if row.state is RegionState.OPEN]
        return 0, len(rows)

    async def effect(self, token: Token) -> None:
        """One more thing that lasts."""
        for _ in range(self.pause):
            await asyncio.sleep(0)
        if self.effects <= 0:
            raise NotActing("killed")
        token.check()
        self.effects -= 1

    async def write(self, changes: Changes, token: Token) -> None:
        if self._life > self.catalogue.life_counter:
            await self.effect(token)
            self.catalogue.apply(Changes(life_counter=self._life))
        for one in _one_by_one(changes):
            await self.effect(token)
            self.catalogue.apply(one)
        await asyncio.sleep(0)

    async def open(self, regions: Sequence[RegionInfo], token: Token) -> None:
        for row in self._rows(regions):
            if row.state is RegionState.OPEN:
                continue
            await self._turn(token)
            schema = self.catalogue.tables[row.info.table].schema
            changed = replace(row, state=RegionState.OPEN, server=SERVERS[0], sn=SERVERS[0], open_seq_num=2)
            self.catalogue.apply(Changes(regions=[changed]))
            self._opened_with(row.info.encoded_name, schema)
            self.world.rows.add((row.life, row.info.encoded_name))

    async def close(self, regions: Sequence[RegionInfo], token: Token) -> None:
        for row in self._rows(regions):
            await self._turn(token)
            self.catalogue.apply(Changes(regions=[replace(row, state=RegionState.CLOSED)]))
            self.world.schemas.pop(row.info.encoded_name, None)

    async def move(self, region: RegionInfo, server: ServerName | None, token: Token) -> None:
        await self._turn(token)
        if server is not None and server not in SERVERS:
            raise HBaseIOException(f"{server} is not live")
        row = self.catalogue.regions[region.encoded_name]
        self.catalogue.apply(Changes(regions=[replace(row, server=server or SERVERS[1], sn=server or SERVERS[1])]))

    async def reopen(self, regions: Sequence[RegionInfo], token: Token) -> None:
        for row in self._rows(regions):
            if row.state is RegionState.OPEN:
                await self._turn(token)
                self._opened_with(row.info.encoded_name, self.catalogue.tables[row.info.table].schema)

    async def drop(self, regions: Sequence[RegionInfo], token: Token) -> None:
        for row in self._rows(regions):
            assert row.state is RegionState.CLOSED, row
            await self.effect(token)
            self.world.rows.discard((row.life, row.info.encoded_name))
            self.world.cells = {cell for cell in self.world.cells if cell[0] != row.info.encoded_name}

    def _opened_with(self, region: str, schema: HBase_pb2.TableSchema) -> None:
        self.world.schemas[region] = schema
        gone, described = gone_families(schema), {family.name for family in schema.column_families}
        self.world.cells -= {(region, name) for name in gone}
        self.world.cells |= {(region, name) for name in described - gone}
        self.world.cleared[region] = self.world.cleared.get(region, frozenset()) | gone

    async def _turn(self, token: Token) -> None:
        if self.hold is not None:
            await self.hold.wait()
        await self.effect(token)

    def _rows(self, regions: Sequence[RegionInfo]) -> list[RegionRow]:
        rows = [self.catalogue.regions.get(info.encoded_name) for info in regions]
        return [row for row in rows if row is not None]


class ModelOutside:
    """ZooKeeper and flushes, of the same world."""

    async def flush(self, regions: Sequence[RegionInfo], families: Sequence[bytes], work: ClusterWork) -> None:
        assert isinstance(work, ModelWork)
        await work.effect(work.token)
        work.world.flushed += [f"{info.table} {b','.join(families).decode()}" for info in regions]

    async def mirror_table(self, table: str, work: ClusterWork) -> None:
        assert isinstance(work, ModelWork)
        await work.effect(work.token)
        row = work.catalogue.tables.get(table)
        if row is None:
            work.world.znodes.pop(table, None)
        else:
            work.world.znodes[table] = row.state

    async def mirror_namespace(self, namespace: str, work: ClusterWork) -> None:
        assert isinstance(work, ModelWork)
        await work.effect(work.token)
        if namespace in work.catalogue.namespaces:
            work.world.namespaces.add(namespace)
        else:
            work.world.namespaces.discard(namespace)

    async def mirror_all(self, work: ClusterWork) -> None:
        """What a master does first."""
        assert isinstance(work, ModelWork)
        work.world.znodes = {name: row.state for name, row in work.catalogue.tables.items()}
        work.world.namespaces = set(work.catalogue.namespaces)


def state_of(world: World) -> dict[str, object]:
    """All that must not depend on masters that were killed: names of regions and lives differ, their sense does not."""
    lives = [table.life for table in world.catalogue.tables.values()]
    assert len(set(lives)) == len(lives), "a life was given twice"
    assert all(life <= world.catalogue.life_counter for life in lives)
    here = {(row.life, name) for name, row in world.catalogue.regions.items()}
    assert world.rows <= here, "rows of regions that there are not"
    assert not {region for region, _ in world.cells} - world.catalogue.regions.keys()
    return {
        "tables": {
            name: (row.state, row.schema.SerializeToString(deterministic=True))
            for name, row in sorted(world.catalogue.tables.items())
        },
        "regions": sorted(
            (
                row.info.table,
                row.info.start_key,
                row.info.end_key,
                row.state,
                row.life == world.catalogue.tables[row.info.table].life,
                (row.life, name) in world.rows,
                name in world.schemas and [family.name for family in world.schemas[name].column_families],
                sorted(family for region, family in world.cells if region == name),
                sorted(world.cleared.get(name, ())),
            )
            for name, row in world.catalogue.regions.items()
        ),
        "rows": len(world.rows),
        "namespaces": {
            name: descriptor.SerializeToString(deterministic=True)
            for name, descriptor in sorted(world.catalogue.namespaces.items())
        },
        "znodes": dict(sorted(world.znodes.items())),
        "znodes of namespaces": sorted(world.namespaces),
        "flushed": sorted(set(world.flushed)),
        "servers": sorted(str(row.server) for row in world.catalogue.regions.values()),
    }


def _one_by_one(changes: Changes) -> list[Changes]:
    """The single rows, in the order in which `ClusterWork.write` has them durable."""
    return [
        *(Changes(tables=[each]) for each in changes.tables),
        *(Changes(regions=[each]) for each in changes.regions),
        *(Changes(no_regions=[each]) for each in changes.no_regions),
        *(Changes(no_tables=[each]) for each in changes.no_tables),
        *(Changes(namespaces=[each]) for each in changes.namespaces),
        *(Changes(no_namespaces=[each]) for each in changes.no_namespaces),
        *(Changes(procedures={number: value}) for number, value in changes.procedures.items()),
        *(Changes(no_procedures=[number]) for number in changes.no_procedures),
    ]


def enabled(world: World, table: str) -> bool:
    return world.catalogue.tables[table].state == TableState.ENABLED


class ModelZooKeeper:
    """Requests of a master, answered from a dictionary."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.nodes: dict[str, bytes] = {"/hbase/table": b"", "/hbase/namespace": b"", "/hbase/hbeacon": b""}
        self.lost = 0
        """So many of the next writes are not carried out."""

    async def ask(self, request: Request) -> Reply:
        await asyncio.sleep(0)
        if isinstance(request, Children):
            below = f"{request.path}/"
            return Reply(Result.OK, children=tuple(path[len(below) :] for path in self.nodes if path.startswith(below)))
        assert not isinstance(request, Multi)
        if isinstance(request, Get):
            if request.path not in self.nodes:
                return Reply(Result.NO_NODE)
            return Reply(Result.OK, self.nodes[request.path])
        if self.lost:
            self.lost -= 1
            return Reply(Result.LOST)
        if isinstance(request, Create) == (request.path in self.nodes):
            return Reply(Result.NODE_EXISTS if isinstance(request, Create) else Result.NO_NODE)
        if isinstance(request, Delete):
            del self.nodes[request.path]
        else:
            self.nodes[request.path] = request.data
        return Reply(Result.OK)
