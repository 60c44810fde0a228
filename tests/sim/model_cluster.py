"""A cluster in virtual time: region servers, stores, ZooKeeper and the network are models, what masters do is real.

Real are Reign with all that it is made of, ActiveWork, StatusService, the messages between masters and servers, and at
the servers registry's counterpart that is pure: read_orders, OrderMachine and Reports. A server dies, stands still and
comes back; calls are late, lost on the way there or on the way back, and done twice. A master that was deposed acts on
for a while. ZooKeeper is lost: who comes then counts its transactions from the start and remembers nothing, or little.

A store holds a number for each region, of the writes that were acknowledged: whoever begins to serve a region must
find there as many as there were.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

from google.protobuf.message import Message

from registry.master.cluster_work import ClusterWork
from registry.master.epoch import NotActing
from registry.names import ServerName
from registry.rpc.services import Call
from registry.wire.epoch import MasterEpoch
from registry.wire.errors import ConnectionClosedException, HBaseError
from tests.sim.model_master import ModelMaster, ModelMemory
from tests.sim.model_region_server import LEASE_MS, ModelServer, ModelStore, Tasks
from tests.support.virtual_loop import VirtualLoop


class World:
    """All of it."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, work_off: Callable[[ClusterWork], Any]) -> None:
        self.loop = loop
        self.chance = chance
        self.work_off = work_off
        self.rough = True
        """Whether calls get lost."""
        self.stores: dict[str, ModelStore] = {}
        self.servers: list[ModelServer] = []
        self.master: ModelMaster | None = None
        self.masters = 0
        self.elections = 0
        """Of this ZooKeeper: version of the mark, and czxid of /hbase/master."""
        self.memory: ModelMemory | None = ModelMemory()
        self.rs: dict[ServerName, None] = {}
        self.nodes: dict[str, bytes] = {"/hbase/hbeacon": b""}
        self.hand_overs: dict[str, tuple[int, Any, MasterEpoch]] = {}
        self.written: dict[str, int] = {}
        """Region to acknowledged writes."""
        self.broken: list[str] = []
        self.trace: list[str] = []
        self.tasks: Tasks = {}

    def note(self, text: str) -> None:
        self.trace.append(f"{self.loop.monotonic_ms() - 1_000_000:9.1f} {text}")

    def check(self, holds: bool, text: str) -> None:
        if not holds:
            self.note(f"BROKEN: {text}")
            self.broken.append(text)

    def spawn(self, work: Coroutine[Any, Any, None], tasks: Tasks) -> None:
        task = self.loop.create_task(work)
        tasks[task] = None

        def ended(task: asyncio.Task[None]) -> None:
            tasks.pop(task, None)
            if not task.cancelled() and (error := task.exception()) is not None:
                self.check(isinstance(error, NotActing), f"a task failed: {error!r}")

        task.add_done_callback(ended)

    def later(self, delay_ms: float, work: Callable[[], object]) -> None:
        self.loop.call_later(delay_ms / 1000, work)

    def new_store(self, machine: int) -> ModelStore:
        store = ModelStore(f"store-{len(self.stores) + 1}", machine)
        self.stores[store.store_id] = store
        return store

    def start_server(self, number: int, machine: int) -> None:
        """Unless it runs."""
        if not any(server.alive and server.number == number for server in self.servers):
            self.servers.append(ModelServer(self, number, machine))
            self.note(f"{self.servers[-1].name} starts with {self.servers[-1].home.store_id}")

    def rs_come(self, name: ServerName) -> None:
        self.rs[name] = None
        self._rs_changed()

    def rs_gone(self, name: ServerName) -> None:
        self.note(f"{name} is gone from ZooKeeper")
        self.rs.pop(name, None)
        self._rs_changed()

    def _rs_changed(self) -> None:
        master = self.master
        if master is not None:
            self.later(self.chance.uniform(1, 50), master.see)

    def elect(self) -> None:
        """Another master; the one before has lost its session, and may not know."""
        if self.master is not None:
            self.depose(self.master)
        self.masters += 1
        self.elections += 1
        self.nodes["/hbase/master"] = b""
        self.note(f"master {self.masters}, epoch {self.elections}")
        self.master = ModelMaster(self, self.masters, self.elections)

    def depose(self, master: ModelMaster) -> None:
        """It goes on for as long as its lease does."""
        if self.rough:
            self.later(self.chance.choice((0, 0, 100, LEASE_MS)), master.kill)
        else:
            master.kill()

    def lose_zookeeper(self) -> None:
        """All that it knew, and the sessions; maybe the data directory of the masters, too."""
        if self.chance.random() < 0.5:
            self.memory = self.chance.choice((None, ModelMemory()))
        if self.master is not None:
            self.depose(self.master)
            self.master = None
        self.elections = 0
        self.nodes = {"/hbase/hbeacon": b""}
        self.rs.clear()
        for server in self.servers:
            if server.alive:
                server.has_lease = False
                if server.paused.is_set():
                    server.kill()  # one that stands still ends when it goes on

    async def hop(self) -> None:
        """A message on its way."""
        await asyncio.sleep((0.2 + self.chance.expovariate(1.0)) / 1000)
        if self.rough and self.chance.random() < 0.02:
            raise ConnectionClosedException("lost")

    async def reach(self, name: ServerName) -> ModelServer:
        """The server, once a message has come there."""
        await self.hop()
        for server in self.servers:
            if server.alive and server.name.address == name.address:
                return server
        raise ConnectionClosedException(f"{name} does not listen")

    async def within(self, timeout_ms: float, work: Coroutine[Any, Any, object]) -> None:
        try:
            await asyncio.wait_for(work, timeout_ms / 1000)
        except TimeoutError:
            raise ConnectionClosedException("no answer") from None

    async def by_master(self, master: ModelMaster, method: str, request: Message) -> Message:
        """What the master answers; it goes on with it when nobody waits any more."""
        done: asyncio.Future[Message] = self.loop.create_future()
        known = master.methods[method]
        parsed = known.request_type.FromString(request.SerializeToString())
        call = cast("Call", SimpleNamespace(request=parsed, peer_host="rs"))

        async def handle() -> None:
            try:
                answer = known.handler(call)
                answer = answer if isinstance(answer, Message) else await cast("Any", answer)
                if not done.done():
                    done.set_result(answer)
            except HBaseError as error:
                if not done.done():
                    done.set_exception(error)
            finally:
                if not done.done():
                    done.set_exception(ConnectionClosedException("the master is gone"))
                if not done.cancelled():
                    done.exception()

        self.spawn(handle(), master.tasks)
        return await done
