"""A crowd of new clients in one process: real client objects that start together, find their cluster and stay.

Run as `python -m benchmarks.race_clients HOST:PORT,... COUNT SPREAD_MS REFRESH_MS SEED`. It says `ready`, starts its
clients from the moment on when it reads a line, evenly over SPREAD_MS, and says in a line of JSON how long after that
moment each has found its cluster. Then they stay connected, each with its refreshes, until its standard input ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import resource
import sys
from typing import Any

from registry.client.answers import What
from registry.client.connection import Connection
from registry.client.rpc_source import RpcSource
from registry.client.settings import ClientSettings
from registry.client.target import RpcTarget
from registry.clock import SystemClock
from registry.loops import loop_factory
from registry.names import Address
from registry.race.bootstraps import ask_all
from registry.race.cases import Run

TIMEOUT_MS = 60_000.0
TICK_S = 0.001
LINES_MAX = 1 << 26
"""The answer tells a number for each client."""


class Crowd:
    """The clients of this process. Belongs to one loop."""

    def __init__(self, servers: tuple[Address, ...], settings: ClientSettings, seed: str) -> None:
        self.servers = servers
        self.settings = settings
        self.seed = seed
        self.clock = SystemClock()
        self.run = Run()
        self.connections: list[Connection] = []
        self.cpu_s = 0.0
        """Processor time from the start to the last bootstrap."""
        self.began_late_ms = 0.0
        """By how much the last one to start has started late: this process does not keep up with itself."""

    async def start(self, count: int, spread_ms: float) -> None:
        """Start them evenly over `spread_ms`; until all have found their cluster, or failed."""
        begun_ms, begun_cpu_s = self.clock.monotonic_ms(), sum(os.times()[:2])
        started = 0
        async with asyncio.TaskGroup() as group:
            while started < count:
                now_ms = self.clock.monotonic_ms() - begun_ms
                due = min(count, int(count * now_ms / spread_ms) + 1)
                self.began_late_ms = max(self.began_late_ms, now_ms - spread_ms * started / count)
                for number in range(started, due):
                    group.create_task(self._client(number, begun_ms))
                started = due
                await asyncio.sleep(TICK_S)
        self.run.elapsed_ms = self.clock.monotonic_ms() - begun_ms
        self.cpu_s = sum(os.times()[:2]) - begun_cpu_s

    async def _client(self, number: int, begun_ms: float) -> None:
        chance = random.Random(f"{self.seed} {number}")
        source = RpcSource(RpcTarget(self.servers, What.BOOTSTRAP_NODES), self.settings, self.clock, chance)
        connection = Connection(source, self.settings, self.clock, chance, str(source))
        self.connections.append(connection)
        await ask_all(connection, self.run, self.settings, self.clock, begun_ms)

    async def close(self) -> None:
        """End all of them."""
        await asyncio.gather(*(connection.close() for connection in self.connections))

    def told(self) -> dict[str, Any]:
        """What has become of them."""
        run = self.run
        return {
            "took_ms": [round(took_ms, 3) for took_ms in run.took_ms],
            "failed": run.failed,
            "asked": run.asked,
            "sent": run.sent,
            "began_late_ms": self.began_late_ms,
            "cpu_s": self.cpu_s,
        }


async def _main(words: list[str]) -> None:
    servers = tuple(map(Address.parse, words[0].split(",")))
    count, spread_ms, refresh_ms, seed = int(words[1]), float(words[2]), float(words[3]), words[4]
    settings = ClientSettings(
        retries_count=0, operation_timeout_ms=TIMEOUT_MS, meta_operation_timeout_ms=TIMEOUT_MS,
        refresh_interval_ms=refresh_ms, refresh_initial_delay_ms=refresh_ms, refresh_min_interval_ms=refresh_ms / 5,
    )  # fmt: skip
    crowd = Crowd(servers, settings, seed)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    # Each of these clients stands for a process of its own; collecting the garbage of thousands is none of its costs.
    gc.disable()
    print("ready", flush=True)
    await reader.readline()
    await crowd.start(count, spread_ms)
    print(json.dumps(crowd.told()), flush=True)
    await reader.read()
    await crowd.close()


def main() -> None:
    """Run the crowd of the command line."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_main(sys.argv[1:]))


if __name__ == "__main__":
    main()
