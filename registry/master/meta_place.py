"""Where hbase:meta is, as ZooKeeper has it: its server for everybody, its store for masters.

    /hbase/meta-region-server    as HBase writes it: server and state
    /hbase/hbeacon/meta          JSON: {"format": 1, "store": ID, "founded": bool, "open_seq_num": n, "leftover": text}

`founded` says that hbase:meta holds a catalogue: from then on it is never opened empty. Nothing else is needed to find
and to assign it. Where ZooKeeper does not say so, for it was wiped or nothing was founded yet, the data directory of
this master and the region servers are asked first (meta_finding):

    DIR/meta-store               the same line as /hbase/hbeacon/meta, of whoever was active on this directory last

Source: MetaTableLocator#setMetaLocation, #getMetaRegionState.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from registry.durable import read_line, write_line
from registry.kept_object import read_kept
from registry.lookup.snapshot import MetaLocation
from registry.master.catalogue import RegionRow, RegionState
from registry.master.epoch import Token
from registry.master.mark import mark_path
from registry.master.znodes import Ask, Unreadable, until_answered
from registry.wire.errors import ProtocolError
from registry.wire.region_info import META
from registry.wire.znode import SALT_BYTES, decode_meta_location, encode_meta_location
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Create, Get, Reply, Request, SetData

FORMAT = 1
FILE = "meta-store"
logger = logging.getLogger("registry.master")


@dataclass(frozen=True, slots=True)
class MetaStore:
    """Where the rows of hbase:meta lie."""

    store: str = ""
    founded: bool = False
    open_seq_num: int = 0
    leftover: str = ""
    format: int = FORMAT

    def data(self) -> bytes:
        """As it lies in ZooKeeper."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, path: str, data: bytes) -> MetaStore:
        """Raises Unreadable."""

        def fields(row: dict[str, Any]) -> MetaStore:
            open_seq_num, leftover = int(row.get("open_seq_num", 0)), str(row.get("leftover", ""))
            return cls(str(row["store"]), bool(row["founded"]), open_seq_num, leftover)

        return read_kept(path, data, FORMAT, fields, Unreadable)


class MetaMemory(Protocol):
    """What a master knows beside ZooKeeper of where hbase:meta was."""

    async def load(self) -> MetaStore | None:
        """None where nothing is known. Raises Unreadable: what cannot be read is no reason to begin anew beside it."""
        ...

    async def save(self, store: MetaStore) -> None:
        """For the day on which ZooKeeper knows nothing any more."""
        ...


class DirectoryMemory:
    """The file `meta-store` in a master's data directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    async def load(self) -> MetaStore | None:
        """Raises Unreadable."""
        try:
            line = await asyncio.to_thread(read_line, self._path)
        except OSError as error:
            raise Unreadable(f"{self._path} cannot be read: {error}") from None
        return None if line is None else MetaStore.parse(str(self._path), line.encode())

    async def save(self, store: MetaStore) -> None:
        """A directory that cannot be written is told in the log: ZooKeeper knows it as well."""
        line = store.data().decode()
        try:
            if await asyncio.to_thread(read_line, self._path) != line:
                await asyncio.to_thread(write_line, self._path, line)
        except OSError as error:
            logger.error("%s cannot be written (%s): it would not be there if ZooKeeper was lost", self._path, error)


class MetaPlace:
    """Reads and writes the two znodes for the active master."""

    def __init__(
        self,
        paths: ZNodePaths,
        ask: Ask,
        token: Token,
        writer: str,
        salt: Callable[[int], bytes],
        memory: MetaMemory | None = None,
    ) -> None:
        """`memory`: of the master's data directory, where there is one."""
        self.store = MetaStore()
        self.is_certain = False
        """ZooKeeper itself says that there is a catalogue, and where."""
        self._memory = memory
        self._location_path = paths.meta
        self._store_path = f"{mark_path(paths.root)}/meta"
        self._ask = ask
        self._token = token
        self._writer = writer
        self._salt = salt

    async def read(self) -> RegionRow:
        """hbase:meta as ZooKeeper has it, or else as it is remembered. Raises Unreadable, NotActing."""
        reply = await self._until_answered(Get(self._store_path))
        self.store = MetaStore.parse(self._store_path, reply.data) if reply.ok else MetaStore()
        self.is_certain = self.store.founded
        if self.is_certain:
            await self._remember(self.store)
        elif self._memory is not None:
            self.store = await self._memory.load() or self.store
        location = await self._location()
        server = location.server_name if location is not None else None
        state = RegionState.OFFLINE
        if location is not None and location.state in (RegionState.OPEN, RegionState.OPENING, RegionState.CLOSING):
            state = RegionState(location.state)
        kept = self.store
        return RegionRow(META, 0, state, server, server, kept.open_seq_num, kept.store, kept.leftover)

    async def write(self, rows: list[tuple[RegionRow | None, RegionRow]]) -> None:
        """The sink of its assignment: the store first, where that has changed, for nothing rests on the server."""
        for _, row in rows:
            await self._keep(replace(self.store, store=row.store, open_seq_num=row.open_seq_num, leftover=row.leftover))
            if row.sn is not None and row.state in (RegionState.OPEN, RegionState.OPENING):
                location = MetaLocation(0, row.sn, row.state)
                data = encode_meta_location(location, self._writer, self._salt(SALT_BYTES))
                await self._put(self._location_path, data)

    async def founded(self) -> None:
        """It holds a catalogue."""
        await self._keep(replace(self.store, founded=True))

    async def found_in(self, row: RegionRow, store_id: str, open_seq_num: int) -> RegionRow:
        """It holds a catalogue in this store, and was opened there with this number: what `read` gave, corrected."""
        self.store = replace(self.store, store=store_id, founded=True, open_seq_num=max(row.open_seq_num, open_seq_num))
        await self._put(self._store_path, self.store.data())
        await self._remember(self.store)
        state = row.state if row.store == store_id else RegionState.OFFLINE
        return replace(row, store=store_id, open_seq_num=self.store.open_seq_num, state=state)

    async def _location(self) -> MetaLocation | None:
        reply = await self._until_answered(Get(self._location_path))
        if not reply.ok:
            return None
        try:
            return decode_meta_location(reply.data, 0)
        except ProtocolError as error:
            raise Unreadable(f"{self._location_path} cannot be read ({error}): remove it") from None

    async def _keep(self, store: MetaStore) -> None:
        if store != self.store:
            await self._put(self._store_path, store.data())
            self.store = store
            await self._remember(store)

    async def _remember(self, store: MetaStore) -> None:
        """What was never founded is not worth it."""
        if self._memory is not None and store.founded:
            await self._memory.save(store)

    async def _put(self, path: str, data: bytes) -> None:
        reply = await self._until_answered(SetData(path, data))
        while not reply.ok:
            made = await self._until_answered(Create(path, data))
            if made.ok:
                return
            reply = await self._until_answered(SetData(path, data))

    async def _until_answered(self, request: Request) -> Reply:
        return await until_answered(self._ask, self._token, request)
