"""ClusterWork, done: what procedures ask for, by the assignments and hbase:meta of one reign."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from protos.hbeacon import ClusterV1_pb2
from registry.master.assignment import Assignment
from registry.master.catalogue import Catalogue, Changes, RegionState
from registry.master.epoch import Token
from registry.master.held import Goal, Held
from registry.master.meta_rows import cells_of
from registry.master.region_states import RegionStates
from registry.master.reign import Reign
from registry.names import ServerName
from registry.wire.errors import DoNotRetryIOException, HBaseIOException, UnknownRegionException
from registry.wire.region_info import META_ENCODED_NAME, RegionInfo

DROP_WAIT_MS = 10_000.0
"""How long a move waits until the copy that the move before has left is gone."""
DROP_LOOK_MS = 50.0


class ActiveWork:
    """Implements registry.master.cluster_work.ClusterWork."""

    def __init__(self, reign: Reign) -> None:
        self._reign = reign
        self._life_taken = False
        self._turn = 0

    @property
    def catalogue(self) -> Catalogue:
        """All of hbase:meta."""
        return self._reign.catalogue

    @property
    def token(self) -> Token:
        """The right to act in this epoch."""
        return self._reign.token

    def servers(self) -> Sequence[ServerName]:
        """Live region servers."""
        return [server.name for server in self._reign.servers.live()]

    def take_life(self) -> int:
        """A number that no table ever had."""
        self._life_taken = True
        self.catalogue.life_counter += 1
        return self.catalogue.life_counter

    async def write(self, changes: Changes, token: Token) -> None:
        """Have them durable in hbase:meta, then visible."""
        token.check()
        reign = self._reign
        if self._life_taken:
            self._life_taken = False
            changes.life_counter = self.catalogue.life_counter
        reign.regions.forgotten(info.encoded_name for info in changes.no_regions)
        await reign.meta_table.write(lambda at_ms: cells_of(changes, at_ms), token)
        self.catalogue.apply(changes)
        for row in changes.regions:
            if row.info.encoded_name not in reign.states.held:
                reign.states.put(row, Goal.AS_IS)
        if changes.drops:
            reign.drops.kick()

    async def open(self, regions: Sequence[RegionInfo], token: Token) -> None:
        """Until all of them are OPEN."""
        token.check()
        names = _names(regions)
        self._reign.states.want_open(names)
        await self._reign.regions.settled(names)
        token.check()

    async def close(self, regions: Sequence[RegionInfo], token: Token) -> None:
        """Until all of them are CLOSED."""
        token.check()
        names = _names(regions)
        self._reign.states.want_closed(names)
        await self._reign.regions.settled(names)
        token.check()

    async def reopen(self, regions: Sequence[RegionInfo], token: Token) -> None:
        """Until all that were open are OPEN with the schema that the catalogue has now."""
        token.check()
        names = _names(regions)
        self._reign.states.want_reopen(names)
        await self._reign.regions.settled(names)
        token.check()

    async def move(self, region: RegionInfo, server: ServerName | None, token: Token) -> None:
        """Until it is OPEN on `server`, or again where it was: HBaseIOException."""
        token.check()
        assignment = self._assignment_of(region)
        name = region.encoded_name
        held = self._open_one(assignment.states, region)
        destination = server if server is not None else self._another(held)
        if held.row.sn == destination:
            return
        self._check_destination(destination, held)
        for _ in range(int(DROP_WAIT_MS / DROP_LOOK_MS)):
            if not held.row.leftover:
                break
            self._reign.drops.kick()
            await asyncio.sleep(DROP_LOOK_MS / 1000)
            token.check()
        held = self._open_one(assignment.states, region)
        assignment.states.want_move(name, destination)
        await assignment.settled([name])
        token.check()
        after = assignment.states.held.get(name)
        if after is None or after.row.sn != destination:
            why = after.move_problem if after is not None else "it is gone"
            where = f"; it is on {after.row.sn}" if after is not None else ""
            raise HBaseIOException(f"{region} was not moved to {destination}: {why}{where}")

    async def drop(self, regions: Sequence[RegionInfo], token: Token) -> None:
        """Have it written that their rows are to go."""
        drops: list[ClusterV1_pb2.RegionPlace] = []
        for info in regions:
            row = self.catalogue.region(info.encoded_name)
            if row is None or row.is_fresh or not row.store:
                continue
            stores = [row.store, *row.leftover.split()[:1]]
            for number, store_id in enumerate(stores):
                place = ClusterV1_pb2.RegionPlace(
                    region=info.encoded_name if not number else f"{info.encoded_name}-{number}",
                    store_id=store_id,
                    life=row.life,
                    schema=0,
                    open_seq_num=0,
                )
                place.dropped.CopyFrom(info.message())
                drops.append(place)
        if drops:
            await self.write(Changes(drops=drops), token)

    def yet_to_open(self, table: str) -> tuple[int, int]:
        """Regions that still have to be opened with the present schema, and all that are to be open."""
        held = self._reign.states.held
        # a row is there before its opening is asked for, and after its region was let go of
        found = [held.get(row.info.encoded_name) for row in self.catalogue.regions_of(table)]
        wanted = [each for each in found if each is not None and each.goal is Goal.OPEN]
        return sum(not each.is_settled for each in wanted), len(wanted)

    def _assignment_of(self, region: RegionInfo) -> Assignment:
        return self._reign.meta if region.encoded_name == META_ENCODED_NAME else self._reign.regions

    def _open_one(self, states: RegionStates, region: RegionInfo) -> Held:
        held = states.held.get(region.encoded_name)
        if held is None:
            raise UnknownRegionException(region.encoded_name)
        if held.row.state is not RegionState.OPEN or held.goal is not Goal.OPEN:
            raise DoNotRetryIOException(f"{region} is not OPEN; state={held.row.state}")
        return held

    def _another(self, held: Held) -> ServerName:
        servers = self._reign.servers
        others = [
            server.name
            for server in servers.usable()
            if server.home and server.name != held.row.sn and server.name not in servers.draining
            if held.row.store in server.stores
        ]
        if not others:
            raise HBaseIOException(f"no other region server shares a data directory with that of {held.row.info}")
        self._turn += 1
        return others[self._turn % len(others)]

    def _check_destination(self, server: ServerName, held: Held) -> None:
        servers = self._reign.servers
        if not self._reign.placement.home_of(server):
            raise HBaseIOException(f"{server} is not a region server that is alive and has a store")
        if server in servers.draining:
            raise HBaseIOException(f"{server} is draining")
        if held.row.store not in servers.known[server].stores:
            raise HBaseIOException(f"{server} does not share a data directory with {held.row.sn}: rows cannot go there")


def _names(regions: Sequence[RegionInfo]) -> list[str]:
    return [region.encoded_name for region in regions]
