"""hbase:meta in virtual time: cells in the store of whoever serves it; see model_cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from registry.client.rows import Row
from registry.master.catalogue import Catalogue
from registry.master.epoch import Token, raise_deposed
from registry.master.meta_rows import Written, take_row
from registry.names import ServerName
from registry.wire.cellblock import Cell, KeyType
from registry.wire.epoch import deposed
from registry.wire.errors import HBaseError, NotServingRegionException
from registry.wire.region_info import META_ENCODED_NAME
from tests.sim.model_region_server import ModelStore

if TYPE_CHECKING:
    from tests.sim.model_master import ModelMaster


class ModelMeta:
    """hbase:meta to a master: cells in the store of whoever serves it."""

    def __init__(self, master: ModelMaster, where: Callable[[], ServerName | None]) -> None:
        self.master = master
        self.world = master.world
        self.where = where
        self.in_name = master.in_name
        self.lock = asyncio.Lock()
        self.newest_ms = 0

    async def load(self, token: Token) -> Catalogue:
        while True:
            token.check()
            try:
                store = await self._store()
                await self.world.hop()
            except HBaseError:
                await asyncio.sleep(0.02)
                continue
            catalogue = read(store)
            self.newest_ms = max(self.newest_ms, catalogue.newest_ms)
            return catalogue

    async def write(self, make: Callable[[int], Sequence[Written]], token: Token) -> None:
        async with self.lock:
            self.newest_ms = max(int(self.world.loop.wall_ms()), self.newest_ms + 1)
            rows = make(self.newest_ms)
            while True:
                token.check()
                try:
                    store = await self._store()
                    self._apply(store, rows)
                    await self.world.hop()
                except HBaseError:
                    await asyncio.sleep(0.02)
                else:
                    return

    async def close(self) -> None:
        """There is no connection to end."""

    async def _store(self) -> ModelStore:
        name = self.where()
        if name is None:
            raise NotServingRegionException("hbase:meta is not open")
        server = await self.world.reach(name)
        await self.world.within(5000, server.awake())
        store = server.serving.get(META_ENCODED_NAME)
        if store is None or not server.serves:
            raise NotServingRegionException(META_ENCODED_NAME)
        try:
            server.hear(self.in_name)
            if not self.in_name.may_follow(store.epoch):
                raise deposed(self.in_name, store.epoch)
        except HBaseError as error:
            raise_deposed(error)
        store.epoch = self.in_name
        return store

    def _apply(self, store: ModelStore, rows: Sequence[Written]) -> None:
        for row in rows:
            for cell in row.deletes:
                columns = [
                    column
                    for column in store.cells
                    if column[:2] == (cell.row, cell.family)
                    and (cell.key_type == KeyType.DELETE_FAMILY or column[2] == cell.qualifier)
                ]
                for column in columns:
                    if store.cells[column][0] <= cell.timestamp_ms:
                        store.cells[column] = (cell.timestamp_ms, None)
            for cell in row.puts:
                column = (cell.row, cell.family, cell.qualifier)
                if store.cells.get(column, (0, None))[0] < cell.timestamp_ms or store.cells[column][1] == cell.value:
                    store.cells[column] = (cell.timestamp_ms, cell.value)
        store.rows[META_ENCODED_NAME] = store.rows.get(META_ENCODED_NAME, 0) + 1
        self.world.written[META_ENCODED_NAME] = self.world.written.get(META_ENCODED_NAME, 0) + 1


def read(store: ModelStore) -> Catalogue:
    """What hbase:meta says."""
    rows: dict[bytes, list[Cell]] = {}
    for (row, family, qualifier), (timestamp_ms, value) in store.cells.items():
        if value is not None:
            rows.setdefault(row, []).append(Cell(row, family, qualifier, timestamp_ms, KeyType.PUT, value))
    catalogue = Catalogue()
    for key, cells in rows.items():
        take_row(catalogue, Row(key, tuple(cells)))
    assert not catalogue.problems, catalogue.problems
    return catalogue
