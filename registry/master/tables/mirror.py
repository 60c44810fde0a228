"""What HBase 1.x reads in ZooKeeper: states of tables below `table`, namespaces below `namespace`.

The catalogue decides, and each change of it is followed; what a master before has left is put right at first. Whoever
changes a table does not hear of a failure, for only clients of 1.x would notice; it is mended in the background.

Source: MirroringTableStateManager, TableStateManager#migrateZooKeeper, ZKNamespaceManager.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from registry.master.cluster_work import ClusterWork
from registry.master.epoch import NotActing
from registry.wire.znode import SALT_BYTES, encode_table_state, wrap
from registry.zk.requests import Children, Create, Delete, Get, Reply, Request, Result, SetData

logger = logging.getLogger("registry.master.tables")

RETRY_MS = 1000.0
CONCURRENT_MAX = 50
"""Requests to ZooKeeper at one time, when all is looked at."""

Ask = Callable[[Request], Awaitable[Reply]]


class Mirror:
    """Of one reign. Belongs to the loop."""

    def __init__(self, root: str, ask: Ask, writer: Callable[[], str], salt: Callable[[int], bytes]) -> None:
        """`root` is zookeeper.znode.parent, `writer` gives how this master signs what it writes."""
        self._tables, self._namespaces = f"{root}/table", f"{root}/namespace"
        self._ask = ask
        self._writer = writer
        self._salt = salt
        self._wrong: set[str] = set()
        """Paths that ZooKeeper could not be told."""
        self._last: dict[str, asyncio.Lock] = {}

    async def table(self, name: str, work: ClusterWork) -> None:
        """Have ZooKeeper say what the catalogue says of this table's state."""
        await self._follow(f"{self._tables}/{name}", work)

    async def namespace(self, name: str, work: ClusterWork) -> None:
        """Have ZooKeeper say what the catalogue says of this namespace."""
        await self._follow(f"{self._namespaces}/{name}", work)

    async def all(self, work: ClusterWork) -> None:
        """Put right whatever differs; raises NotActing."""
        limit = asyncio.Semaphore(CONCURRENT_MAX)

        async def one(path: str) -> None:
            async with limit:
                await self._follow(path, work)

        wanted = {f"{self._tables}/{name}" for name in work.catalogue.tables}
        wanted |= {f"{self._namespaces}/{name}" for name in work.catalogue.namespaces}
        for parent in (self._tables, self._namespaces):
            reply = await self._ask(Children(parent))
            if reply.result is Result.NO_NODE:
                work.token.check()
                await self._ask(Create(parent))
            wanted |= {f"{parent}/{name}" for name in reply.children}
        await asyncio.gather(*map(one, sorted(wanted)))

    async def mend(self, work: ClusterWork) -> None:
        """Try again what ZooKeeper could not be told; until cancelled, or the master does not act any more."""
        try:
            while True:
                await asyncio.sleep(RETRY_MS / 1000)
                for path in sorted(self._wrong):
                    await self._follow(path, work)
        except NotActing:
            return

    async def _follow(self, path: str, work: ClusterWork) -> None:
        lock = self._last.setdefault(path, asyncio.Lock())
        async with lock:
            problem = await self._write(path, work)
        if not problem:
            self._wrong.discard(path)
            if not lock.locked():
                self._last.pop(path, None)
            return
        if path not in self._wrong:
            logger.warning("ZooKeeper is not told about %s yet: %s", path, problem)
        self._wrong.add(path)

    async def _write(self, path: str, work: ClusterWork) -> str:
        """Why it could not be done; empty where it was."""
        there = await self._ask(Get(path))
        if there.result not in (Result.OK, Result.NO_NODE):
            return there.problem or there.result.value
        data = self._data(path, work, there.data)
        if (data is None and not there.ok) or data == there.data:
            return ""
        work.token.check()
        if data is None:
            reply = await self._ask(Delete(path))
        else:
            reply = await self._ask(SetData(path, data) if there.ok else Create(path, data))
        return "" if reply.ok else reply.problem or reply.result.value

    def _data(self, path: str, work: ClusterWork, before: bytes) -> bytes | None:
        """What is to be there: `before` where that says so already, with whichever salt; None for nothing."""
        parent, _, name = path.rpartition("/")
        writer, salt = self._writer(), self._salt(SALT_BYTES)
        if parent == self._tables:
            row = work.catalogue.tables.get(name)
            if row is None:
                return None
            data = encode_table_state(row.state, writer, salt)
        else:
            descriptor = work.catalogue.namespaces.get(name)
            if descriptor is None:
                return None
            data = wrap(descriptor.SerializeToString(), writer, salt)
        return before if before and _payload(before) == _payload(data) else data


def _payload(data: bytes) -> bytes:
    """Behind writer and salt; all of what has another form."""
    if len(data) < 5 or data[0] != 0xFF:
        return data
    return data[5 + int.from_bytes(data[1:5], "big") :]
