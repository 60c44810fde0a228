"""Python clients in a process of their own: `... benchmarks.soak.python_clients SERVERS SEED CLIENTS PAUSE_MS read`.

Each one connects, looks up, is told that its answers are stale, looks up again, reads the states of tables from the
region server that it was sent to, and closes; then it comes back as somebody new. Some use the blocking face. One JSON
line a second tells what was done; the end of standard input ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

import hbeacon
from registry.client.channels import Channels
from registry.client.connection import Connection
from registry.client.locate import RegistryLocator
from registry.client.scanner import Scanner
from registry.client.settings import ClientSettings
from registry.client.table_states import read_table_states
from registry.clock import SystemClock

TIMEOUT_MS = 20_000.0
"""A look-up that takes longer has failed: some black hole lasts four seconds, and this machine may be busy."""
READ_TIMEOUT_MS = 60_000.0
"""A read goes to HBase, whose own patience is longer."""
SLOW_MS = 3000.0
"""Told one by one, with the time of day: the adapters' logs say what was the matter."""
LOOK_UPS_MAX = 8
READ_SHARE = 0.2
TELL_S = 1.0


@dataclass
class Told:
    """What has been done since the last line."""

    look_ups_ms: list[float] = field(default_factory=list[float])
    reads_ms: list[float] = field(default_factory=list[float])
    failed: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    slow: list[str] = field(default_factory=list[str])
    connections: int = 0
    calls: int = 0


class Clients:
    """All of this process."""

    def __init__(self, servers: str, seed: int, pause_ms: float, *, reading: bool) -> None:
        self._servers = servers
        self._chance = random.Random(f"clients {seed}")
        self._pause_s = pause_ms / 1000
        self._reading = reading
        self._told = Told()
        self._lock = threading.Lock()
        self._cluster_id = ""
        self.stopping = threading.Event()

    async def run(self, clients: int) -> None:
        """Until the task is cancelled."""
        tasks = [asyncio.create_task(self._come_and_go(), name=f"client {number}") for number in range(clients)]
        try:
            while True:
                await asyncio.sleep(TELL_S)
                self.tell()
                for task in tasks:
                    if task.done():
                        task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.tell()

    def tell(self) -> None:
        """One line."""
        with self._lock:
            told, self._told = self._told, Told()
        print(json.dumps(told.__dict__), flush=True)

    async def _come_and_go(self) -> None:
        while True:
            async with hbeacon.connect(masters=self._servers) as cluster:
                self._told.connections += 1
                versions: dict[str, hbeacon.Version] = {}
                for _ in range(self._chance.randint(1, LOOK_UPS_MAX)):
                    what = self._chance.choice(("cluster_id", "active_master", "meta_locations"))
                    begun_s = time.perf_counter()
                    try:
                        answer = await getattr(cluster, what)(timeout_ms=TIMEOUT_MS)
                    except hbeacon.HBaseError as error:
                        self._failed(f"{what}: {error}")
                    else:
                        self._answered(answer, begun_s, versions)
                    cluster.refresh()
                    await asyncio.sleep(self._chance.expovariate(1 / self._pause_s))
                if self._reading and self._chance.random() < READ_SHARE:
                    await self._read(cluster)
            await asyncio.sleep(self._chance.expovariate(1 / self._pause_s))

    async def _read(self, cluster: Connection) -> None:
        """Rows of hbase:meta, from where the registry says that it is."""
        settings, begun_s = ClientSettings(), time.perf_counter()
        channels = Channels(settings)
        scanner = Scanner(RegistryLocator(cluster), channels, settings, SystemClock(), self._chance)
        try:
            await read_table_states(scanner, timeout_ms=READ_TIMEOUT_MS)
            self._told.reads_ms.append((time.perf_counter() - begun_s) * 1000)
        except hbeacon.HBaseError as error:
            self._failed(f"read: {error}")
        finally:
            await scanner.close()
            await channels.close()

    def block(self) -> None:
        """A thread that uses the blocking face, until it is stopped."""
        chance = random.Random(f"blocking {self._servers}")
        while not self.stopping.is_set():
            versions: dict[str, hbeacon.Version] = {}
            with hbeacon.connect_blocking(masters=self._servers) as cluster:
                self._told.connections += 1
                for _ in range(chance.randint(1, LOOK_UPS_MAX)):
                    begun_s = time.perf_counter()
                    try:
                        answer = cluster.meta_locations(timeout_ms=TIMEOUT_MS)
                    except hbeacon.HBaseError as error:
                        self._failed(f"blocking: {error}")
                    else:
                        self._answered(answer, begun_s, versions)
                    cluster.refresh()
                    self.stopping.wait(chance.expovariate(1 / self._pause_s))

    def _failed(self, text: str) -> None:
        with self._lock:
            self._told.failed.append(text)

    def _answered(self, answer: hbeacon.Answer[object], begun_s: float, versions: dict[str, hbeacon.Version]) -> None:
        took_ms = (time.perf_counter() - begun_s) * 1000
        with self._lock:
            self._told.look_ups_ms.append(round(took_ms, 3))
            self._told.calls += answer.calls
            if took_ms >= SLOW_MS:
                at = datetime.now().astimezone().strftime("%H:%M:%S")
                told = f"{at} {answer.what.value} from {answer.server} after {took_ms:.0f} ms, {answer.calls} calls"
                self._told.slow.append(told)
            if answer.what is hbeacon.What.CLUSTER_ID:
                self._cluster_id = self._cluster_id or str(answer.value)
                if answer.value != self._cluster_id:
                    self._told.wrong.append(f"{answer.server} says cluster {answer.value}, not {self._cluster_id}")
            if answer.version is not None:
                before = versions.get(answer.server, answer.version)
                versions[answer.server] = answer.version
                if answer.version < before:
                    self._told.wrong.append(f"{answer.server} went back from {before} to {answer.version}")


async def _until_told(clients: Clients, count: int) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def listen() -> None:
        while os.read(0, 1000):  # not sys.stdin: a thread that holds it at the end of Python is a fatal error
            pass
        loop.call_soon_threadsafe(told.set)

    threading.Thread(target=listen, name="standard input", daemon=True).start()
    running = asyncio.create_task(clients.run(count))
    ended = asyncio.create_task(told.wait())
    await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def main(words: list[str]) -> None:
    """The process."""
    servers, seed, count, pause_ms, reading = words
    clients = Clients(servers, int(seed), float(pause_ms), reading=reading == "read")
    thread = threading.Thread(target=clients.block, name="blocking client", daemon=True)
    thread.start()
    asyncio.run(_until_told(clients, int(count)))
    clients.stopping.set()
    thread.join(TIMEOUT_MS / 1000)
    clients.tell()


if __name__ == "__main__":
    main(sys.argv[1:])
