"""A region server of a test: its calendar can be advanced, and its rows saved and put back.

    DIR/TABLE/REGION    rows of a region, by the hex of the table's name and the encoded name: pairs of key and value,
                        keys without the life of their table, so that a table that was made anew gets them back

Nothing is saved or put back at one moment for all regions: nobody else is at work then, for a test does that between
its steps.
"""

from __future__ import annotations

import asyncio
import gc
import marshal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from regionserver.engine.store import Batch, Durability, Store
from regionserver.hosting.committing import all_before, commit
from regionserver.hosting.ranges import LIFE_BYTES, Range, range_of
from regionserver.process import GC_THRESHOLDS, with_own_defaults
from regionserver.region.newest_cell import NewestCell
from regionserver.server import RegionServer
from registry.clock import Clock
from registry.config.settings import Settings
from registry.guarded import GuardLink
from registry.role.process import run_role
from registry.role.server import RoleServer
from registry.testing.door import TestDoor
from registry.testing.roles import Run
from registry.wire.region_info import RegionInfo

SLICE_COUNT = 1000
"""Rows that are read or compared before others have their turn."""

Rows = list[tuple[bytes, bytes]]


def region_server_run(clock: Clock, door: Path) -> Run:
    """Runs a region server whose calendar is `clock`'s and whose door for the test is `door`."""

    def make(settings: Settings, load: Callable[[], Settings], link: GuardLink | None) -> RoleServer:
        gc.set_threshold(*GC_THRESHOLDS)
        server = RegionServer(settings, load, link, clock)
        server.parts.append(RowsDoor(server, door))
        return server

    def run(load: Callable[[], Settings], listeners: Mapping[str, socket.socket]) -> int:
        return run_role("regionserver", lambda: with_own_defaults(load()), make, listeners)

    return run


class RowsDoor(TestDoor):
    """Saves rows of regions whose stores are open here, and puts them back."""

    def __init__(self, server: RegionServer, path: Path) -> None:
        super().__init__(server, path)
        self._stores = server.stores
        self._regions = server.regions
        self.handlers |= {"save": self._save, "put back": self._put_back}

    async def _save(self, request: Mapping[str, Any]) -> object:
        """Give the encoded names of what lies here, and is in files now."""
        saved: list[str] = []
        for store, table, rows in self._here(request["regions"]):
            await all_before(store)
            found: Rows = []
            moment = store.snapshot()
            try:
                for key, value in moment.scan(rows.lower, rows.upper):
                    found.append((key[LIFE_BYTES:], value))
                    if not len(found) % SLICE_COUNT:
                        await asyncio.sleep(0)
            finally:
                moment.close()
            await asyncio.to_thread(_write, directory_of(Path(request["directory"]), table) / rows.region, found)
            saved.append(rows.region)
        return saved

    async def _put_back(self, request: Mapping[str, Any]) -> object:
        """Give the encoded names of what lies here, and has the rows that were saved again."""
        done: list[str] = []
        for store, table, rows in self._here(request["regions"]):
            saved = await asyncio.to_thread(_read, directory_of(Path(request["directory"]), table), rows)
            await all_before(store)
            batch = await _difference(store, rows, saved)
            if batch:
                await commit(store, batch, Durability.PROCESS)
                if (hosted := self._regions.get(rows.region)) is not None:
                    hosted.region.newest = NewestCell()
            done.append(rows.region)
        return done

    def _here(self, regions: Sequence[Mapping[str, Any]]) -> list[tuple[Store, str, Range]]:
        found: list[tuple[Store, str, Range]] = []
        for each in regions:
            store = self._stores.get(each["store"])
            if store is not None:
                start_key, end_key = bytes.fromhex(each["start"]), bytes.fromhex(each["end"])
                info = RegionInfo(each["table"], start_key, end_key, each["id"])
                found.append((store, each["table"], range_of(info, each["life"])))
        return found


def directory_of(directory: Path, table: str) -> Path:
    """Where the rows of a table lie."""
    return directory / table.encode().hex()


async def _difference(store: Store, rows: Range, saved: dict[bytes, bytes]) -> Batch:
    """What makes the rows that are there those that were saved."""
    batch = Batch()
    moment = store.snapshot()
    try:
        for count, (key, value) in enumerate(moment.scan(rows.lower, rows.upper), 1):
            wanted = saved.pop(key, None)
            if wanted is None:
                batch.delete(key)
            elif wanted != value:
                batch.put(key, wanted)
            if not count % SLICE_COUNT:
                await asyncio.sleep(0)
    finally:
        moment.close()
    for key, value in saved.items():
        batch.put(key, value)
    return batch


def _write(path: Path, rows: Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(marshal.dumps(rows))


def _read(directory: Path, rows: Range) -> dict[bytes, bytes]:
    """All saved rows of the table that lie in this range now: its regions may have had other borders."""
    found: dict[bytes, bytes] = {}
    if directory.is_dir():
        for path in directory.iterdir():
            for key, value in marshal.loads(path.read_bytes()):
                whole = rows.life + key
                if rows.lower <= whole < rows.upper:
                    found[whole] = value
    return found
