"""What the four-letter words of a door tell, gathered when somebody asks."""

from __future__ import annotations

import os
import platform
import resource
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.clock import Clock
from registry.coordinator.four_letter import ConnectionFigures, TrafficFigures
from registry.coordinator.limits import DoorLimits, DoorNature
from registry.coordinator.machine_protocol import Machine, MachineDetails, MachineFigures
from registry.names import Address
from registry.version import VERSION

if TYPE_CHECKING:
    from registry.coordinator.door import Door

PROTOCOL_VERSION = "3.9.4"
"""The ZooKeeper whose protocol this is; clients and tools read the digits to know what they may ask."""

_unpack_header = struct.Struct(">ii").unpack


class DoorWordSource:
    """Implements four_letter.WordSource."""

    def __init__(self, machine: Machine, clock: Clock, nature: DoorNature, limits: DoorLimits) -> None:
        self._machine = machine
        self._clock = clock
        self._nature = nature
        self._limits = limits
        self._since_ms = clock.monotonic_ms()
        self.door: Door
        """Set by the server that makes both."""
        self.address = Address("", 0)
        """What is listened on, once it is."""

    def version(self) -> str:
        """ZooKeeper's, a dash, ours: Java's own has the commit there."""
        return f"{PROTOCOL_VERSION}-hbeacon-{VERSION}"

    def nature(self) -> str:
        """What kind of server this is."""
        return self._nature.sentence

    def is_read_only(self) -> bool:
        """Whether writes are refused."""
        return self._nature.is_read_only

    def figures(self) -> MachineFigures:
        """The machine's counts."""
        return self._machine.describe()

    def details(self) -> MachineDetails:
        """The machine's sessions, ephemerals and watches."""
        return self._machine.inspect()

    def traffic(self) -> TrafficFigures:
        """The door's counts."""
        stats = self.door.stats
        return TrafficFigures(
            packets_received=stats.packets_received,
            packets_sent=stats.packets_sent,
            bytes_received=stats.bytes_received,
            connections_refused=stats.connections_refused,
            latency_min_ms=stats.latency_min_ms,
            latency_mean_ms=stats.latency_sum_ms / stats.latency_count if stats.latency_count else 0.0,
            latency_max_ms=stats.latency_max_ms,
        )

    def connections(self) -> Sequence[ConnectionFigures]:
        """All connections, in the order in which they came."""
        now_ms, wall_ms = self._clock.monotonic_ms(), self._clock.wall_ms()
        found: list[ConnectionFigures] = []
        for each in sorted(self.door.connections, key=lambda connection: connection.since_ms):
            xid, opcode = _unpack_header(each.last_header) if len(each.last_header) == _HEADER_BYTES else (-1, 0)
            established_ms = wall_ms - (now_ms - each.since_ms)
            found.append(
                ConnectionFigures(
                    peer=each,
                    name=each.peer_name,
                    interest_ops=each.interest_ops,
                    packets_received=each.packets_received,
                    packets_sent=each.packets_sent,
                    established_wall_ms=established_ms,
                    last_xid=xid,
                    last_opcode=opcode,
                )
            )
        return found

    def configuration(self) -> Iterable[tuple[str, object]]:
        """The names of zoo.cfg; the last lines are ours."""
        nature, directory = self._nature, self._nature.directory
        return [
            ("clientPort", self.address.port),
            ("clientPortAddress", self.address.host),
            ("secureClientPort", -1),
            ("dataDir", directory or ""),
            ("dataLogDir", directory or ""),
            ("tickTime", nature.tick_ms),
            ("maxClientCnxns", self._limits.connections_per_peer_max),
            ("maxCnxns", self.door.connections_max),
            ("minSessionTimeout", nature.session_min_ms),
            ("maxSessionTimeout", nature.session_max_ms),
            ("clientPortListenBacklog", self._limits.backlog),
            ("serverId", 0),
            ("jute.maxbuffer", self._limits.frame_bytes_max),
            ("4lw.commands.whitelist", ",".join(sorted(self.door.words.allowed))),
            ("server", nature.sentence),
        ]

    def environment(self) -> Iterable[tuple[str, object]]:
        """The names that Java's have where they mean the same."""
        system = os.uname()
        return [
            ("host.name", socket.gethostname()),
            ("hbeacon.version", VERSION),
            ("python.version", platform.python_version()),
            ("python.implementation", sys.implementation.name),
            ("loop", type(self.door.loop).__module__),
            ("os.name", system.sysname),
            ("os.arch", system.machine),
            ("os.version", system.release),
            ("user.name", os.environ.get("USER", str(os.getuid()))),
            ("user.dir", Path.cwd()),
        ]

    def more_monitored(self) -> Iterable[tuple[str, object]]:
        """Files and time of this process, and what the door closed."""
        stats = self.door.stats
        return [
            ("uptime", f"{self._clock.monotonic_ms() - self._since_ms:.0f}"),
            ("open_file_descriptor_count", _open_files()),
            ("max_file_descriptor_count", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
            ("sessionless_connections_expired", stats.strangers_closed),
            ("bad_bytes_closed", stats.bad_bytes_closed),
            ("slow_readers_closed", stats.slow_readers_closed),
            ("slow_writers_closed", stats.slow_writers_closed),
        ]

    def directory_bytes(self) -> tuple[int, int]:
        """Both are one directory here, as where ZooKeeper has no dataLogDir; nothing in memory."""
        total = sum(_sizes(self._nature.directory)) if self._nature.directory else 0
        return total, total

    def date(self, in_ms: float) -> str:
        """As `Sat Nov 21 14:34:55 UTC 2026`."""
        return time.strftime("%a %b %d %H:%M:%S %Z %Y", time.localtime((self._clock.wall_ms() + in_ms) / 1000))

    def reset_traffic(self) -> None:
        """Begin to count anew."""
        self.door.stats.reset()

    def reset_connections(self) -> None:
        """Begin to count anew for each connection."""
        for each in self.door.connections:
            each.packets_received = each.packets_sent = 0
            each.last_header = b""


_HEADER_BYTES = 8


def _sizes(directory: Path) -> Iterator[int]:
    for path in directory.glob("**/*"):
        try:
            status = path.lstat()
        except OSError:  # removed meanwhile
            continue
        yield status.st_size


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a number is all that is wanted
    except OSError:
        return 0
