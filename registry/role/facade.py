"""The part that opens the façade: the read-only ZooKeeper door of a registry, for clients that know no other path."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass

from registry.clock import Clock
from registry.config.settings import Settings
from registry.coordinator.limits import DoorLimits, DoorNature
from registry.coordinator.server import DoorServer
from registry.facade.machine import SESSION_MS_MAX, SESSION_MS_MIN, TICK_MS, Facade
from registry.facade.tables import TableStates
from registry.lookup.feed import RegistryFeed
from registry.lookup.snapshot import FactState, Snapshot
from registry.names import Address
from registry.role.listening import cannot_listen
from registry.role.part import Part
from registry.zk.paths import ZNodePaths

logger = logging.getLogger("registry.facade")

FLAG = "--facade"
CATCH_UP_TIMEOUT_MS = 2000.0
"""How long ZooKeeper may take to answer for a client that wants to be up to date; its own syncLimit is 5 of 3 s."""
SENTENCE = "a read-only view of another ZooKeeper, as far as clients of HBase look at it: writes are refused"


@dataclass(frozen=True, slots=True)
class FacadeDoorSettings:
    """Where the façade listens and how much it takes on."""

    address: Address
    root: str
    """`zookeeper.znode.parent`."""
    limits: DoorLimits
    drain_timeout_ms: float
    kept_port: int = 0
    """Tried first where any free port is asked for."""


def facade_settings(settings: Settings, root: str, kept_port: int = 0) -> FacadeDoorSettings | None:
    """None where there shall be no façade."""
    address = settings.address("hbeacon.facade.address")
    if address is None:
        return None
    words = settings.str_("hbase.zookeeper.property.4lw.commands.whitelist").split(",")
    limits = DoorLimits(
        frame_bytes_max=settings.bytes_("jute.maxbuffer"),
        connections_max=settings.int_("hbeacon.facade.connections_max"),
        connections_per_peer_max=settings.int_("hbeacon.facade.connections_per_peer_max"),
        four_letter_words=frozenset(word.strip() for word in words),
    )
    return FacadeDoorSettings(address, root, limits, settings.ms("hbeacon.drain.timeout_ms"), kept_port)


class FacadeDoor(Part):
    """A façade on a socket, fed by the server's own feed."""

    def __init__(
        self,
        settings: FacadeDoorSettings,
        feed: RegistryFeed,
        clock: Clock,
        start_task: Callable[[Coroutine[None, None, None], str], None],
        *,
        listeners: Callable[[], Mapping[str, socket.socket]] = dict[str, socket.socket],
        tables: TableStates | None = None,
        seen: Callable[[str], None] | None = None,
    ) -> None:
        """`seen` hears the host of each client that comes; `tables` fill in where ZooKeeper has none."""
        self._settings = settings
        self._feed = feed
        self._start_task = start_task
        self._listeners = listeners
        self._tables = tables
        self._endings: list[Callable[[], None]] = []
        self._catching_up: asyncio.Task[None] | None = None
        self.machine = Facade(
            ZNodePaths(settings.root),
            clock,
            os.urandom,
            generation=feed.snapshot.version.generation,
            seen=seen,
            begin_catch_up=self._begin_catch_up,
        )
        nature = DoorNature(
            SENTENCE, is_read_only=True, tick_ms=TICK_MS, session_min_ms=SESSION_MS_MIN, session_max_ms=SESSION_MS_MAX
        )
        self.server = DoorServer(self.machine, settings.limits, clock, nature)
        """Its `stats` count what comes and goes."""
        self.address: Address | None = None
        """What is listened on, once it is."""

    async def start(self) -> None:
        """Listen. Who comes before the snapshot is complete is sent on to the next server. Raises CannotListen."""
        try:
            self.address = await self._listen()
        except OSError as error:
            raise cannot_listen(self._settings.address, FLAG, error) from None
        self._endings.append(self._feed.subscribe(self._show))
        self._show(self._feed.snapshot)
        if self._tables is not None:
            self._endings.append(self._tables.subscribe(self._show_tables))
            self._show_tables()
        self._start_task(self._fail_with_the_door(), "facade")
        logger.info("the façade listens on %s", self.address)

    async def drain(self) -> None:
        """Clients go on to the next server: their sessions are known there."""
        await self.server.drain(self._settings.drain_timeout_ms)

    async def stop(self) -> None:
        """End it; clients find another server."""
        for end in self._endings:
            end()
        self._endings.clear()
        if self._catching_up is not None:
            self._catching_up.cancel()
        await self.server.stop()

    def ready_words(self) -> Sequence[str]:
        """Its address."""
        return (f"facade={self.address}",)

    async def _listen(self) -> Address:
        where, kept_port = self._settings.address, self._settings.kept_port
        listener = self._listeners().get(FLAG)
        if listener is not None:
            return await self.server.start(where.host, where.port, (listener,))
        if where.port == 0 and kept_port:
            with contextlib.suppress(OSError):  # somebody else took it meanwhile: any free one then
                return await self.server.start(where.host, kept_port)
        return await self.server.start(where.host, where.port)

    async def _fail_with_the_door(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # the door has been stopped
            await asyncio.shield(self.server.failure)

    def _show(self, snapshot: Snapshot) -> None:
        self.machine.show(snapshot)
        if self._tables is not None:
            meta_is_known = snapshot.meta_locations.state is FactState.KNOWN
            self._tables.set_wanted(self.machine.wants_tables and meta_is_known)

    def _show_tables(self) -> None:
        if self._tables is not None:
            self.machine.show_tables(self._tables.states)

    def _begin_catch_up(self) -> None:
        self._catching_up = asyncio.create_task(self._catch_up(), name="facade-catch-up")

    async def _catch_up(self) -> None:
        """What the leader has now is shown, or it was not heard in time."""
        try:
            async with asyncio.timeout(CATCH_UP_TIMEOUT_MS / 1000):
                while True:
                    newest = await self._feed.fresh(timeout_ms=CATCH_UP_TIMEOUT_MS)
                    shown = self.machine.shown
                    if shown is not None and shown.version >= newest.version:
                        break
                    await asyncio.sleep(0)  # it was changing again at that moment: what is shown comes after it
        except TimeoutError:
            self.machine.caught_up(False)
        else:
            self.machine.caught_up(True)
