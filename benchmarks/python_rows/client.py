"""One client in a process of its own: does a measure for each line that it reads.

    python client.py KIND TARGET TABLE

Lines are names of measures, answers are lines of JSON. Every kind does the same to the same table: single puts and
gets, a batch, a scan of rows that are there. hbase-driver's messages have the names of hbeacon's: each alone.
"""

# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

SINGLE_CALLS = 1000
BATCH_ROWS = 1000
BATCHES = 10
"""Of a round, each timed: servers are warm by the second or third."""
VALUE = b"v" * 100


class _Happybase:
    """happybase, or the façade: the same program."""

    def __init__(self, module: Any, target: str, table: str) -> None:
        host, _, port = target.partition(" ")
        self.connection = module.Connection(host, int(port)) if port else module.Connection(host)
        self.table = self.connection.table(table)

    def put(self, key: bytes) -> None:
        self.table.put(key, {b"cf:a": VALUE})

    def get(self, key: bytes) -> None:
        assert self.table.row(key)

    def batch(self, keys: list[bytes]) -> None:
        with self.table.batch() as batch:
            for key in keys:
                batch.put(key, {b"cf:a": VALUE, b"cf:b": b"w"})

    def scan(self) -> int:
        return sum(1 for _key, data in self.table.scan(row_prefix=b"s") if data[b"cf:a"])


class _Blocking:
    """hbeacon's client without async."""

    def __init__(self, target: str, table: str) -> None:
        import hbeacon

        self._hbeacon = hbeacon
        self.table = hbeacon.connect_blocking(target).table(table)

    def put(self, key: bytes) -> None:
        self.table.put(key, {b"cf:a": VALUE})

    def get(self, key: bytes) -> None:
        assert self.table.get(key)

    def batch(self, keys: list[bytes]) -> None:
        self.table.batch([self._hbeacon.Put(key, {b"cf:a": VALUE, b"cf:b": b"w"}) for key in keys])

    def scan(self) -> int:
        return sum(1 for row in self.table.scan(prefix=b"s") if row[b"cf:a"])


class _Async:
    """hbeacon's client; one call after the other, as the others do it."""

    def __init__(self, target: str, table: str) -> None:
        import hbeacon

        self._hbeacon = hbeacon
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(self._connect(target))
        self.table = self._connection.table(table)

    async def _connect(self, target: str) -> Any:
        return await self._hbeacon.connect(target)

    def run(self, work: Any) -> Any:
        return self._runner.run(work)

    async def put(self, key: bytes) -> None:
        await self.table.put(key, {b"cf:a": VALUE})

    async def get(self, key: bytes) -> None:
        assert await self.table.get(key)

    async def batch(self, keys: list[bytes]) -> None:
        await self.table.batch([self._hbeacon.Put(key, {b"cf:a": VALUE, b"cf:b": b"w"}) for key in keys])

    async def scan(self) -> int:
        rows = 0
        async for row in self.table.scan(prefix=b"s"):
            rows += bool(row[b"cf:a"])
        return rows


class _Driver:
    """hbase-driver: scans alone, it sends a batch row by row."""

    def __init__(self, target: str, table: str) -> None:
        from hbasedriver.client.client import Client
        from hbasedriver.hbase_constants import HConstants
        from hbasedriver.operations.scan import Scan

        self._scan = Scan
        self.table = Client({HConstants.ZOOKEEPER_QUORUM: target}).get_table(b"default", table.encode())

    def scan(self) -> int:
        return sum(1 for row in self.table.scan(self._scan(b"s", b"t")) if row.get(b"cf", b"a"))


def _made(kind: str, target: str, table: str) -> Any:
    """The client of that kind."""
    if kind == "happybase":
        import happybase

        return _Happybase(happybase, target, table)
    if kind == "facade":
        from hbeacon import happybase as facade

        return _Happybase(facade, target, table)
    return {"blocking": _Blocking, "async": _Async, "driver": _Driver}[kind](target, table)


def _measured(client: Any, measure: str, round_number: int) -> dict[str, float]:
    """One round of one measure."""
    if isinstance(client, _Async):
        return client.run(_measured_async(client, measure, round_number))
    single: Callable[[bytes], None] | None = getattr(client, measure, None)
    took: list[float] = []
    if measure in ("put", "get"):
        assert single is not None
        for number in range(SINGLE_CALLS):
            begun = time.perf_counter()
            single(b"r%06d" % number)
            took.append(time.perf_counter() - begun)
        return {"us": statistics.median(took) * 1e6}
    if measure == "batch":
        for keys in _batches(round_number):
            begun = time.perf_counter()
            client.batch(keys)
            took.append(time.perf_counter() - begun)
        return _batch_told(took)
    begun = time.perf_counter()
    return _scan_told(client.scan(), begun)


async def _measured_async(client: _Async, measure: str, round_number: int) -> dict[str, float]:
    took: list[float] = []
    if measure in ("put", "get"):
        for number in range(SINGLE_CALLS):
            begun = time.perf_counter()
            await getattr(client, measure)(b"r%06d" % number)
            took.append(time.perf_counter() - begun)
        return {"us": statistics.median(took) * 1e6}
    if measure == "batch":
        for keys in _batches(round_number):
            begun = time.perf_counter()
            await client.batch(keys)
            took.append(time.perf_counter() - begun)
        return _batch_told(took)
    begun = time.perf_counter()
    return _scan_told(await client.scan(), begun)


def _batches(round_number: int) -> list[list[bytes]]:
    """Keys, other ones in each batch."""
    numbers = range(round_number * BATCHES, (round_number + 1) * BATCHES)
    return [[b"b%06d%04d" % (batch, number) for number in range(BATCH_ROWS)] for batch in numbers]


def _batch_told(took: list[float]) -> dict[str, float]:
    return {"rows_per_second": BATCH_ROWS / statistics.median(took), "rows": BATCH_ROWS * len(took)}


def _scan_told(rows: int, begun: float) -> dict[str, float]:
    return {"rows_per_second": rows / (time.perf_counter() - begun), "rows": rows}


def main() -> None:
    """Until standard input ends."""
    kind, target, table = sys.argv[1:4]
    client = _made(kind, target, table)
    print("ready", flush=True)
    for round_number, line in enumerate(sys.stdin):
        print(json.dumps(_measured(client, line.strip(), round_number)), flush=True)


if __name__ == "__main__":
    main()
