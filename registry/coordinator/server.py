"""A ZooKeeper door on asyncio for any machine: listens, ticks, drains and stops.

The way of a request is in `registry.coordinator.connection`, the turn of the loop in `registry.coordinator.door`.

Source: NIOServerCnxnFactory, SessionTrackerImpl.run.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence

from registry.clock import Clock
from registry.coordinator.connection import DoorConnection
from registry.coordinator.door import Door, DoorStats
from registry.coordinator.four_letter import FourLetterWords
from registry.coordinator.limits import DoorLimits, DoorNature
from registry.coordinator.machine_protocol import Machine
from registry.coordinator.word_source import DoorWordSource
from registry.names import Address
from registry.sockets import connections_allowed, listening_sockets, set_options

LOG = logging.getLogger("registry.coordinator")

LOOKS_PER_TICK = 5
"""How often in a tick the machine is told to look at the time: its ticks begin when they do, not when ours do, and a
session that is over should not wait a whole tick more."""

LAST_REQUESTS_S = 0.01
"""Between the last accept and the first close of a drain: what has reached the kernel by then is still answered."""


class DoorServer:
    """One door; belongs to the loop that starts it.

    `failure` is done when the machine could not commit: nothing can be promised any more, and whoever runs this ends
    the process with that exception.
    """

    def __init__(self, machine: Machine, limits: DoorLimits, clock: Clock, nature: DoorNature) -> None:
        """Make it on a running loop; `start` listens."""
        self._limits = limits
        self._clock = clock
        self._nature = nature
        self._machine = machine
        self.source = DoorWordSource(machine, clock, nature, limits)
        words = FourLetterWords(self.source, limits.four_letter_words)
        if words.unknown:
            LOG.warning("4lw.commands.whitelist names %s, which is not known here", ", ".join(words.unknown))
        self.door = Door(machine, limits, clock, words)
        self.source.door = self.door
        self._servers: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tick_due_ms = 0.0

    @property
    def stats(self) -> DoorStats:
        """The counters as they are now; the same object each time."""
        return self.door.stats

    @property
    def failure(self) -> asyncio.Future[None]:
        """Gets the exception of a commit or tick that failed."""
        return self.door.failure

    async def start(self, host: str, port: int, listeners: Sequence[socket.socket] = ()) -> Address:
        """Listen; gives the host as asked for and the real port. Raises OSError.

        A host with several addresses is listened for on each of them, on the same port. `listeners` that are there
        already are taken instead; their host and port are the given ones.
        """
        self.door.connections_max = connections_allowed(self._limits.connections_max)
        loop = self.door.loop
        sockets = listeners
        if not sockets:
            sockets = await loop.run_in_executor(None, listening_sockets, host, port, self._limits.backlog)
        for listener in sockets:
            set_options(listener)
        bound_host, bound_port = sockets[0].getsockname()[:2]
        for each in sockets:
            self._servers.append(await loop.create_server(self._connection, sock=each, backlog=self._limits.backlog))
        address = Address(host or bound_host, bound_port)
        self.source.address = address
        self._tick_later()
        return address

    async def drain(self, timeout_ms: float) -> bool:
        """Take no new connections, answer what has come, close. Whether all had read their answers in time.

        Sessions stay: their clients come back, to the next process where there is a directory.
        """
        door = self.door
        door.is_draining = True
        self._stop_listening()
        await asyncio.sleep(LAST_REQUESTS_S)
        for connection in tuple(door.connections):
            connection.close()
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._wait_emptied()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Close everything now. May be called again."""
        self.door.is_draining = True
        self._stop_listening()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in tuple(self.door.connections):
            connection.abort()
        await self._wait_emptied()
        self.door.end_turn()  # what `lost` has changed
        self.door.failure.cancel()

    def tick(self) -> None:
        """Let the machine's time pass and look after the time-outs of connections."""
        door = self.door
        if not door.turn_open:
            door.open_turn()
        try:
            self._machine.tick()
        except Exception as error:  # noqa: BLE001  as a commit that fails
            door.fail(error)
            return
        door.sweep()

    # --- inside --------------------------------------------------------------------------------------------------

    def _connection(self) -> DoorConnection:
        return DoorConnection(self.door)

    async def _wait_emptied(self) -> None:
        """Until every transport has told that it is gone."""
        if self.door.connections:
            await self.door.emptied.wait()

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    def _tick_later(self) -> None:
        wait_ms = self._nature.tick_ms / LOOKS_PER_TICK
        self._tick_due_ms = self._clock.monotonic_ms() + wait_ms
        self._timer = self.door.loop.call_later(wait_ms / 1000, self._tick_timed)

    def _tick_timed(self) -> None:
        late_ms = self._clock.monotonic_ms() - self._tick_due_ms
        self._tick_later()
        if late_ms > self._nature.tick_ms:
            # The process stood still. What clients sent meanwhile has not been read yet, and it keeps sessions alive.
            LOG.warning("the loop stood still for %.0f ms; no session is ended before all has been read", late_ms)
            return
        self.tick()
