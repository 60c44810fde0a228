"""What ten thousand clients of a façade cost, and when they hear of a change: `python -m benchmarks.facade`.

A real ZooKeeper (Debian's) holds a cluster's znodes; one adapter follows it; clients connect to its façade, each
watches the place of hbase:meta, which then moves a few times. Clients and adapter share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import struct
import tempfile
import time
from pathlib import Path

from registry.names import ServerName
from tests.support.facade_views import facades
from tests.support.hbase_tree import HBaseTreeWriter
from tests.support.processes import resident_bytes
from tests.support.zookeeper import ZooKeeperServer, debian, four_letters

META = b"/hbase/meta-region-server"
HELLO = struct.pack(">iiqiqi16s?", 45, 0, 0, 60_000, 0, 16, bytes(16), False)
WATCH = struct.pack(f">iiii{len(META)}s?", 13 + len(META), 1, 4, len(META), META, True)
AT_ONCE = 500
"""Connections that are opened together."""
MOVES = 5


class Watcher(asyncio.Protocol):
    """One client: connected, watching, told; each change is read again with a watch."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._data = b""
        self.replies = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello and ask at once."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(HELLO + WATCH)

    def data_received(self, data: bytes) -> None:
        """Count frames: the handshake, answers and events."""
        self._data += data
        while len(self._data) >= 4 and len(self._data) >= 4 + (length := int.from_bytes(self._data[:4], "big")):
            frame, self._data = self._data[4 : 4 + length], self._data[4 + length :]
            if frame[:4] == b"\xff\xff\xff\xff":
                self._bench.told(time.perf_counter())
            else:
                self.replies += 1
                if self.replies == 2:
                    self._bench.watches()

    def watch(self) -> None:
        """Read again and watch."""
        self.replies = 1
        self._transport.write(WATCH)


class Bench:
    """Many clients of one address."""

    def __init__(self, address: str) -> None:
        self.host, _, port = address.rpartition(":")
        self.port = int(port)
        self.clients: list[Watcher] = []
        self.watching = 0
        self.heard: list[float] = []
        self._all = asyncio.Event()
        self._count = 0

    def told(self, at_s: float) -> None:
        """One client has been told."""
        self.heard.append(at_s)
        if len(self.heard) == self._count:
            self._all.set()

    def watches(self) -> None:
        """One client has its watch."""
        self.watching += 1
        if self.watching == self._count:
            self._all.set()

    async def connect(self, count: int) -> float:
        """Seconds until all watch."""
        loop = asyncio.get_running_loop()
        self._count = count
        began = time.perf_counter()
        while len(self.clients) < count:
            now = min(AT_ONCE, count - len(self.clients))
            made = await asyncio.gather(
                *(loop.create_connection(lambda: Watcher(self), self.host, self.port) for _ in range(now))
            )
            self.clients += [protocol for _, protocol in made]
        await self._wait()
        return time.perf_counter() - began

    async def moved(self, tree: HBaseTreeWriter, number: int) -> tuple[float, float]:
        """Milliseconds from the write being asked for until half of the clients, and the last one, have heard."""
        self.heard.clear()
        began = time.perf_counter()
        await asyncio.to_thread(tree.move_meta, ServerName("moving", 16020, number))
        await self._wait()
        self.watching = 0
        for client in self.clients:
            client.watch()
        await self._wait()
        heard = sorted(self.heard)
        return (heard[len(heard) // 2] - began) * 1000, (heard[-1] - began) * 1000

    async def _wait(self) -> None:
        async with asyncio.timeout(60):
            await self._all.wait()
        self._all.clear()


async def measure(bench: Bench, tree: HBaseTreeWriter, count: int) -> dict[str, float]:
    """Seconds to connect all, and medians of half and all told."""
    connected_s = await bench.connect(count)
    moves = [await bench.moved(tree, number) for number in range(MOVES)]
    return {
        "connect_all_s": round(connected_s, 2),
        "half_told_ms": round(statistics.median(half for half, _ in moves), 1),
        "all_told_ms": round(statistics.median(last for _, last in moves), 1),
    }


def connections(zookeeper: ZooKeeperServer) -> int:
    """Open at the real one, this question included."""
    lines = four_letters(zookeeper.port, "srvr").splitlines()
    return next(int(line.split()[-1]) for line in lines if line.startswith("Connections"))


def main() -> None:
    """Print one JSON object."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--clients", type=int, default=10_000)
    count = flags.parse_args().clients
    with tempfile.TemporaryDirectory() as directory:
        zookeeper = ZooKeeperServer(debian(), Path(directory))
        zookeeper.start()
        tree = HBaseTreeWriter(zookeeper.address)
        tree.write()
        try:
            with facades(Path(directory), zookeeper.address, count=1) as (door,):
                before, idle = connections(zookeeper), resident_bytes(door.process.pid)
                figures = asyncio.run(measure(Bench(door.facade), tree, count))
                cost = {
                    "connections_of_zookeeper_more": connections(zookeeper) - before,
                    "adapter_mib": round(resident_bytes(door.process.pid) / 2**20),
                    "adapter_idle_mib": round(idle / 2**20),
                }
            print(json.dumps({"clients": count} | figures | cost))
        finally:
            tree.close()
            zookeeper.close()


if __name__ == "__main__":
    main()
