"""What all connections of one ZooKeeper door share: the machine, the turn of the loop, limits, budgets and counts.

A turn: everything that arrived in one turn of the loop goes to the machine, then one `commit` for all of it, then one
write for each connection. So many connections share the price of one commit, and an answer is never on its way before
what it promises is durable.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.budget import ByteBudget
from registry.clock import Clock
from registry.coordinator.limits import DoorLimits
from registry.coordinator.machine_protocol import Machine

if TYPE_CHECKING:
    from registry.coordinator.connection import DoorConnection
    from registry.coordinator.four_letter import FourLetterWords

LOG = logging.getLogger("registry.coordinator")


@dataclass(slots=True)
class DoorStats:
    """Counts since the start, or since `srst` for those that ZooKeeper resets by it.

    A latency is that of a turn: from the first bytes read in it until all its answers were handed to the kernel.
    """

    packets_received: int = 0
    packets_sent: int = 0
    latency_min_ms: float = 0.0
    latency_max_ms: float = 0.0
    latency_sum_ms: float = 0.0
    latency_count: int = 0
    bytes_received: int = 0
    connections_accepted: int = 0
    connections_refused: int = 0
    bad_bytes_closed: int = 0
    strangers_closed: int = 0
    """Connections that sent no first frame in time."""
    slow_readers_closed: int = 0
    slow_writers_closed: int = 0
    turns: int = 0

    def answered(self, count: int, took_ms: float) -> None:
        """A turn with `count` answers and events is over."""
        self.packets_sent += count
        self.latency_sum_ms += took_ms * count
        if took_ms < self.latency_min_ms or not self.latency_count:
            self.latency_min_ms = took_ms
        if took_ms > self.latency_max_ms:
            self.latency_max_ms = took_ms
        self.latency_count += count

    def reset(self) -> None:
        """What `srst` does. Source: ServerStats.reset."""
        self.packets_received = self.packets_sent = self.latency_count = 0
        self.latency_min_ms = self.latency_max_ms = self.latency_sum_ms = 0.0


class Door:
    """Belongs to one loop."""

    def __init__(self, machine: Machine, limits: DoorLimits, clock: Clock, words: FourLetterWords) -> None:
        self.machine = machine
        self.limits = limits
        self.clock = clock
        self.words = words
        self.stats = DoorStats()
        self.loop = asyncio.get_running_loop()
        self.failure: asyncio.Future[None] = self.loop.create_future()
        """Gets the exception of a commit that failed: nothing can be promised any more, so the server has to end."""
        self.connections_max = limits.connections_max
        """May be lower than the setting, where the process may not open so many files."""
        self.connections: set[DoorConnection] = set()
        self.connections_by_host: Counter[str] = Counter()
        self.strangers: dict[DoorConnection, float] = {}
        """Connections without a first frame, with the time they came, oldest first."""
        self.slow: dict[DoorConnection, float] = {}
        """Connections with more to write than the kernel takes, and since when nothing moved."""
        self.received = ByteBudget["DoorConnection"](limits.receive_bytes_max)
        """Unfinished frames, and requests that wait for their turn."""
        self.unsent = ByteBudget["DoorConnection"](limits.send_bytes_max)
        self.is_draining = False
        self.emptied = asyncio.Event()
        """Set when the last connection has gone while draining."""
        self.turn_open = False
        self.dirty: list[DoorConnection] = []
        """Connections with something to write or to close at the end of this turn."""
        self.queued_bytes = 0
        """What they have to write."""
        self._turn_began_ms = 0.0

    def open_turn(self) -> None:
        """Something has happened: the turn ends when the loop has read whatever else is ready."""
        self.turn_open = True
        self._turn_began_ms = self.clock.monotonic_ms()
        self.loop.call_soon(self.end_turn)

    def end_turn(self) -> None:
        """Commit, then write. Also called in the middle of a turn that has too much to write."""
        if not self.turn_open:
            return
        self.turn_open = False
        try:
            self.machine.commit()
        except Exception as error:  # noqa: BLE001  whatever it was: what is queued must not be promised
            self.fail(error)
            return
        self.queued_bytes = 0
        dirty = self.dirty
        if not dirty:
            return
        self.dirty = []
        count = 0
        for connection in dirty:
            count += connection.flush()
        stats = self.stats
        stats.turns += 1
        stats.answered(count, self.clock.monotonic_ms() - self._turn_began_ms)

    def refusal(self, host: str) -> str:
        """Why one more connection from this host is not taken; empty where it is."""
        if self.is_draining or self.failure.done():
            return "the server stops"
        if len(self.connections) >= self.connections_max:
            return f"{self.connections_max} connections are open (hbeacon.coordinator.connections_max)"
        of_host_max = self.limits.connections_per_peer_max
        if of_host_max and self.connections_by_host[host] >= of_host_max:
            return f"Too many connections from {host} - max is {of_host_max} (maxClientCnxns)"
        return ""

    def opened(self, connection: DoorConnection, host: str) -> None:
        """Count a connection that was let in."""
        self.connections.add(connection)
        self.connections_by_host[host] += 1
        self.strangers[connection] = connection.since_ms
        self.stats.connections_accepted += 1

    def closed(self, connection: DoorConnection, host: str) -> None:
        """Forget a connection, if it was let in at all."""
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        if self.connections_by_host[host] > 1:
            self.connections_by_host[host] -= 1
        else:
            del self.connections_by_host[host]
        self.strangers.pop(connection, None)
        self.slow.pop(connection, None)
        self.received.release(connection)
        self.unsent.release(connection)
        if self.is_draining and not self.connections:
            self.emptied.set()

    def sweep(self) -> None:
        """Close who has kept the server waiting for too long."""
        now_ms = self.clock.monotonic_ms()
        late_ms = now_ms - self.limits.first_frame_timeout_ms
        while self.strangers:
            connection, since_ms = next(iter(self.strangers.items()))
            if since_ms > late_ms:
                break
            del self.strangers[connection]
            self.stats.strangers_closed += 1
            connection.abort()
        late_ms = now_ms - self.limits.slow_reader_timeout_ms
        for connection in [slow for slow, since_ms in self.slow.items() if since_ms <= late_ms]:
            connection.close_slow_reader()

    def fail(self, error: Exception) -> None:
        """Nothing can be promised any more: drop what is queued, and tell."""
        for connection in self.dirty:
            connection.abort()
        self.dirty = []
        if not self.failure.done():
            self.failure.set_exception(error)
