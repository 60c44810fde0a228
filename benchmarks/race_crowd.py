"""Ten thousand clients that start within a second against three servers, and servers that die under clients.

The clients are our own, whole client objects in two processes (benchmarks.race_clients): each makes its own connection,
has its own knowledge and its own refreshes. What is shared is what clients of one process share: the budget.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.client.answers import What
from registry.client.connection import Connection
from registry.client.rpc_source import RpcSource
from registry.client.settings import ClientSettings
from registry.client.target import RpcTarget
from registry.clock import SystemClock
from registry.race.bootstraps import ask_all, bootstrap
from registry.race.cases import Run
from registry.race.servers import RaceServers

PROCESSES = 2
SPREAD_MS = 1000
REFRESH_MS = 20_000
"""Clients renew their list of servers at a moment of their own within this time; by default it is five minutes."""
USUAL_REFRESH_MS = 300_000
SAMPLE_S = 0.1
LINE_BYTES_MAX = 1 << 26
LISTEN_STATE = "0A"
"""TCP_LISTEN in /proc/net/tcp, where the receive queue of such a socket is connections that nobody has accepted yet."""


@dataclass
class Crowd:
    """What one crowd met with."""

    clients: int
    refresh_ms: float
    took_ms: list[float] = field(default_factory=list[float])
    """From the first start to the end of each bootstrap."""
    failed: int = 0
    asked: int = 0
    sent: int = 0
    accepted: int = 0
    refused: int = 0
    clients_cpu_s: float = 0.0
    servers_cpu_s: float = 0.0
    began_late_ms: float = 0.0
    accept_queue_max: int = 0
    call_queue_max: int = 0
    refreshes: list[int] = field(default_factory=list[int])
    """Asked for so far, sample by sample."""
    refresh_s: list[float] = field(default_factory=list[float])
    """When each sample was taken."""

    @property
    def busiest_refresh_ratio(self) -> float:
        """The most refreshes within any second after the start, by their mean rate then; 0: not looked at."""
        if len(self.refresh_s) < 2:
            return 0.0
        busiest = last = 0
        for first, since_s in enumerate(self.refresh_s):
            while last + 1 < len(self.refresh_s) and self.refresh_s[last + 1] - since_s <= 1.0:
                last += 1
            busiest = max(busiest, self.refreshes[last] - self.refreshes[first])
        count = self.refreshes[-1] - self.refreshes[0]
        return busiest * (self.refresh_s[-1] - self.refresh_s[0]) / count if count else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For the result file."""
        took_ms = sorted(self.took_ms)
        return {
            "clients": self.clients, "last_ms": took_ms[-1], "p50_ms": took_ms[len(took_ms) // 2],
            "failed": self.failed, "extra_calls": self.sent - self.asked, "accepted": self.accepted,
            "connections_per_client": self.accepted / self.clients, "refused": self.refused,
            "clients_cpu_s": self.clients_cpu_s, "servers_cpu_s": self.servers_cpu_s,
            "began_late_ms": self.began_late_ms, "accept_queue_max": self.accept_queue_max,
            "call_queue_max": self.call_queue_max, "busiest_refresh_ratio": self.busiest_refresh_ratio,
        }  # fmt: skip


async def crowd(clients: int, seed: int, refresh_ms: float, *, until_refreshed: bool) -> Crowd:
    """One crowd against three new servers; with `until_refreshed` it is watched until all have renewed their lists."""
    found = Crowd(clients, refresh_ms)
    async with RaceServers(3) as servers:
        addresses = ",".join(map(str, servers.addresses))
        share = clients // PROCESSES
        processes = [await _process(addresses, share, refresh_ms, f"{seed} {number}") for number in range(PROCESSES)]
        try:
            for process in processes:
                assert await _line(process) == "ready"
            watch = asyncio.create_task(_watch_queues(servers, found))
            await _sum(servers, found)
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(b"start\n")
            begun_s = asyncio.get_running_loop().time()
            for process in processes:
                told = json.loads(await _line(process))
                found.took_ms += told["took_ms"]
                found.failed += told["failed"]
                found.asked += told["asked"]
                found.sent += told["sent"]
                found.clients_cpu_s += told["cpu_s"]
                found.began_late_ms = max(found.began_late_ms, told["began_late_ms"])
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await _sum(servers, found)
            while until_refreshed and asyncio.get_running_loop().time() < begun_s + (SPREAD_MS + refresh_ms) / 1000:
                counts = [await server.counts() for server in servers.each]
                found.refreshes.append(sum(count["calls"].get("GetBootstrapNodes", 0) for count in counts))
                found.refresh_s.append(asyncio.get_running_loop().time())
                await asyncio.sleep(SAMPLE_S)
        finally:
            for process in processes:
                process.kill()
                await process.wait()
    return found


async def _process(addresses: str, count: int, refresh_ms: float, seed: str) -> Process:
    words = [addresses, str(count), str(SPREAD_MS), str(refresh_ms), seed]
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.race_clients", *words, stdin=PIPE, stdout=PIPE, limit=LINE_BYTES_MAX
    )


async def _line(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def _sum(servers: RaceServers, found: Crowd) -> None:
    counts = [await server.counts() for server in servers.each]
    found.servers_cpu_s = sum(count["cpu_s"] for count in counts) - found.servers_cpu_s
    found.accepted = sum(count["accepted"] for count in counts)
    found.refused = sum(count["refused"] for count in counts)


async def _watch_queues(servers: RaceServers, found: Crowd) -> None:
    """Look at the queues until it is cancelled."""
    ports = {f"{server.port:04X}" for server in servers.each}
    while True:
        found.accept_queue_max = max(found.accept_queue_max, await asyncio.to_thread(_accept_queue, ports))
        counts = [await server.counts() for server in servers.each]
        found.call_queue_max = max(found.call_queue_max, *(count["queued"] for count in counts))
        await asyncio.sleep(SAMPLE_S)


def _accept_queue(ports: set[str]) -> int:
    longest = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == LISTEN_STATE and words[1].rpartition(":")[2] in ports:
            longest = max(longest, int(words[4].rpartition(":")[2], 16))
    return longest


async def restarts(count: int, seed: int) -> Run:
    """Bootstraps of new clients, and look-ups of old ones, while servers are killed and started again, in turn."""
    clock = SystemClock()
    run = Run()
    settings = ClientSettings(operation_timeout_ms=10_000, meta_operation_timeout_ms=10_000)
    over = asyncio.Event()

    async def newcomers(servers: RaceServers, number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        while not over.is_set():
            await bootstrap(servers.addresses, run, settings, clock, chance)
            await asyncio.sleep(0.002)

    async def stays(servers: RaceServers, number: int) -> None:
        chance = random.Random(f"{seed} stays {number}")
        source = RpcSource(RpcTarget(servers.addresses, What.BOOTSTRAP_NODES), settings, clock, chance)
        async with Connection(source, settings, clock, chance, str(source)) as connection:
            while not over.is_set():
                connection.refresh()
                await ask_all(connection, run, settings, clock, clock.monotonic_ms())
                await asyncio.sleep(0.005)

    async with RaceServers(3) as servers, asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(newcomers(servers, number))
            group.create_task(stays(servers, number))
        for number in range(count):
            server = servers.each[number % 3]
            await asyncio.sleep(0.3)
            await server.kill()
            await asyncio.sleep(0.3)
            await server.start()
        await asyncio.sleep(0.3)
        over.set()
    return run
