"""Old copies of rows go: of regions that have moved to another store, and of those that are gone with their table.

What is to go stands in hbase:meta until a server has said that it is gone, so no death forgets it. A store that nobody
has open waits until somebody has: nobody takes it for this alone.

Source: the part of HBase's CatalogJanitor and HFileArchiver; here rows are dropped by range.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from protos.hbase import RegionServerStatus_pb2
from protos.hbeacon import ClusterV1_pb2
from registry.master.catalogue import Catalogue, RegionRow, RegionState
from registry.master.live_servers import OPEN, LiveServers
from registry.master.orders import DROP_RANGE, no_orders
from registry.names import ServerName
from registry.wire.epoch import MasterEpoch
from registry.wire.errors import HBaseError

logger = logging.getLogger("registry.master")

EVERY_MS = 5000.0
LOOK_MS = 500.0
AT_ONCE_MAX = 200
"""Ranges in one call."""
ANSWER_TIMEOUT_MS = 10_000.0
"""Who has not answered by then, for it is dead or has much to do, is asked again: what is gone already is no work."""

Result = RegionServerStatus_pb2.RemoteProcedureResult


@dataclass(frozen=True, slots=True)
class Drop:
    """One range to drop."""

    place: ClusterV1_pb2.RegionPlace
    leftover: str
    """Of a region that is elsewhere now; empty where the region is gone."""


class Drops:
    """Belongs to the loop; `run` is its life."""

    def __init__(
        self,
        epoch: MasterEpoch,
        servers: LiveServers,
        call: Callable[[ServerName, ClusterV1_pb2.Orders], Awaitable[None]],
        new_id: Callable[[], int],
        leftovers: Callable[[], Iterator[RegionRow]],
        catalogue: Callable[[], Catalogue],
        gone: Callable[[Sequence[Drop]], Awaitable[None]],
    ) -> None:
        """`leftovers` are regions with an old copy; `gone` has it written that there is nothing left of these."""
        self._epoch = epoch
        self._servers = servers
        self._call = call
        self._new_id = new_id
        self._leftovers = leftovers
        self._catalogue = catalogue
        self._gone = gone
        self._awake = asyncio.Event()
        self._asked: dict[int, asyncio.Future[Result]] = {}

    def kick(self) -> None:
        """There may be something to drop."""
        self._awake.set()

    def done(self, result: Result) -> None:
        """A server has answered a procedure; one that nobody waits for is none of ours."""
        answered = self._asked.get(result.proc_id)
        if answered is not None and not answered.done():
            answered.set_result(result)

    async def run(self) -> None:
        """Until cancelled. Raises NotActing."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_MS / 1000):
                    await self._awake.wait()
            self._awake.clear()
            by_server: dict[ServerName, list[Drop]] = {}
            for drop in self._pending():
                server = self._server_of(drop.place.store_id)
                if server is not None:
                    by_server.setdefault(server, []).append(drop)
            await asyncio.gather(*(self._drop_all(server, drops) for server, drops in by_server.items()))

    async def _drop_all(self, server: ServerName, drops: Sequence[Drop]) -> None:
        for start in range(0, len(drops), AT_ONCE_MAX):
            if not self._servers.is_dead(server):
                await self._drop(server, drops[start : start + AT_ONCE_MAX])

    def _pending(self) -> Iterator[Drop]:
        for row in self._leftovers():
            # A region on its way may be on its way back to that very store.
            if row.state in (RegionState.OPEN, RegionState.CLOSED):
                store_id, _, hand_over = row.leftover.partition(" ")
                place = ClusterV1_pb2.RegionPlace(
                    region=row.info.encoded_name, store_id=store_id, life=row.life, schema=0, open_seq_num=0
                )
                place.dropped.CopyFrom(row.info.message())
                if hand_over:
                    place.hand_over = hand_over
                yield Drop(place, row.leftover)
        for place in self._catalogue().drops.values():
            yield Drop(place, "")

    def _server_of(self, store_id: str) -> ServerName | None:
        for server in self._servers.usable():
            store = server.stores.get(store_id)
            if store is not None and store.reach == OPEN:
                return server.name
        return None

    async def _drop(self, server: ServerName, drops: Sequence[Drop]) -> None:
        message = no_orders(self._epoch)
        asked: dict[int, Drop] = {}
        for drop in drops:
            number = self._new_id()
            asked[number] = drop
            self._asked[number] = asyncio.get_running_loop().create_future()
            message.proc.add(proc_id=number, proc_class=DROP_RANGE, proc_data=drop.place.SerializeToString())
        answers = [self._asked[number] for number in asked]
        try:
            await self._call(server, message)
            await self._answered(server, answers)
        except HBaseError as error:
            logger.info("%s is asked again to drop %d ranges: %s", server, len(drops), error)
        done: list[Drop] = []
        for number, drop in asked.items():
            answer = self._asked.pop(number)
            if not answer.done():
                continue
            if answer.result().status == Result.SUCCESS:
                done.append(drop)
            else:
                problem = answer.result().error.generic_exception.message
                logger.warning("%s could not drop the old copy of %s: %s", server, drop.place.region, problem)
        if done:
            await self._gone(done)

    async def _answered(self, server: ServerName, answers: Sequence[asyncio.Future[Result]]) -> None:
        """Until all are, the server is dead, or it has taken too long."""
        waiting = set(answers)
        for _ in range(int(ANSWER_TIMEOUT_MS / LOOK_MS)):
            _, waiting = await asyncio.wait(waiting, timeout=LOOK_MS / 1000)
            if not waiting or self._servers.is_dead(server):
                return
