"""The master's door for its test: namespaces and tables as they are, and made again as they were.

What differs is deleted and made by the calls that every admin makes, so that ZooKeeper, region servers and clients hear
of it as ever. Rows are region servers' business (regionserver.testing).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import Message

from protos.hbase import HBase_pb2, Master_pb2
from registry.master.catalogue import Catalogue, RegionRow, RegionState, TableState
from registry.master.server import Master
from registry.rpc.client import RpcChannel
from registry.testing.door import CannotDo, TestDoor
from registry.wire.region_info import META_TABLE, table_name

OWN_NAMESPACES = ("default", "hbase")
CALL_TIMEOUT_MS = 20_000.0
POLL_S, POLL_S_MAX = 0.005, 0.05
"""Between two looks at a procedure or at regions on their way."""
SETTLE_MS = 20_000.0
"""Regions that come from a server that died are there by then."""

M = TypeVar("M", bound=Message)


class CatalogueDoor(TestDoor):
    """Says what there is, while this master is the active one, and makes it so again."""

    def __init__(self, server: Master, path: Path) -> None:
        super().__init__(server, path)
        self._master = server
        self.handlers |= {"acting": self._acting, "catalogue": self._catalogue, "make as": self._make_as}

    async def _acting(self, request: Mapping[str, Any]) -> object:
        """Nothing, where this master is the active one."""
        del request
        self._check_acting()
        return None

    async def _catalogue(self, request: Mapping[str, Any]) -> object:
        """All namespaces, tables and their regions, none of them on its way."""
        del request
        catalogue, rows = await self._settled()
        return {
            "namespaces": {
                name: _text(descriptor)
                for name, descriptor in catalogue.namespaces.items()
                if name not in OWN_NAMESPACES
            },
            "tables": {
                name: {
                    "schema": _text(catalogue.tables[name].schema),
                    "enabled": catalogue.tables[name].state == TableState.ENABLED,
                    "splits": [row.info.start_key.hex() for row in of_table if row.info.start_key],
                }
                for name, of_table in rows.items()
            },
            "regions": [_place(row) for of_table in rows.values() for row in of_table],
        }

    async def _make_as(self, request: Mapping[str, Any]) -> object:
        """What `catalogue` said earlier; gives what it says now."""
        self._check_acting()
        wanted = request["catalogue"]
        now: Any = await self._catalogue({})
        if all(now[what] == wanted[what] for what in ("namespaces", "tables")):
            return now
        async with await RpcChannel.connect(self._master.advertised, "MasterService") as channel:
            await _Changes(channel).make(now, wanted)
        return await self._catalogue({})

    async def _settled(self) -> tuple[Catalogue, dict[str, list[RegionRow]]]:
        """Regions by table, as soon as none of them is on its way."""
        ends_ms = self._master.clock.monotonic_ms() + SETTLE_MS
        while True:
            self._check_acting()
            catalogue = self._master.cluster_part.work().catalogue
            rows = {name: catalogue.regions_of(name) for name in catalogue.tables if name != META_TABLE}
            moving = [str(row.info) for of_table in rows.values() for row in of_table if not _is_settled(row)]
            if not moving:
                return catalogue, rows
            if self._master.clock.monotonic_ms() > ends_ms:
                raise CannotDo(f"regions are still on their way: {', '.join(moving)}")
            await asyncio.sleep(POLL_S_MAX)

    def _check_acting(self) -> None:
        if not self._master.acts():
            raise CannotDo("this master is not the active one")


class _Changes:
    """Calls of MasterService, each awaited to its end."""

    def __init__(self, channel: RpcChannel) -> None:
        self._channel = channel

    async def make(self, now: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Tables go before their namespaces do, and come after them."""
        tables, wanted_tables = now["tables"], wanted["tables"]
        await self._all(
            self._delete_table(name, is_enabled=table["enabled"])
            for name, table in tables.items()
            if not _is_same_table(table, wanted_tables.get(name))
        )
        for name, descriptor in now["namespaces"].items():
            if wanted["namespaces"].get(name) != descriptor:
                await self._procedure(
                    "DeleteNamespace",
                    Master_pb2.DeleteNamespaceRequest(namespaceName=name),
                    Master_pb2.DeleteNamespaceResponse,
                )
        for name, descriptor in wanted["namespaces"].items():
            if now["namespaces"].get(name) != descriptor:
                made = HBase_pb2.NamespaceDescriptor.FromString(base64.b64decode(descriptor))
                await self._procedure(
                    "CreateNamespace",
                    Master_pb2.CreateNamespaceRequest(namespaceDescriptor=made),
                    Master_pb2.CreateNamespaceResponse,
                )
        await self._all(
            self._as_wanted(name, table, tables.get(name))
            for name, table in wanted_tables.items()
            if table != tables.get(name)
        )

    async def _as_wanted(self, name: str, wanted: Mapping[str, Any], now: Mapping[str, Any] | None) -> None:
        is_enabled = now is not None and now["enabled"]
        if not _is_same_table(wanted, now):
            schema = HBase_pb2.TableSchema.FromString(base64.b64decode(wanted["schema"]))
            request = Master_pb2.CreateTableRequest(
                table_schema=schema, split_keys=[bytes.fromhex(key) for key in wanted["splits"]]
            )
            await self._procedure("CreateTable", request, Master_pb2.CreateTableResponse)
            is_enabled = True
        if wanted["enabled"] and not is_enabled:
            enable = Master_pb2.EnableTableRequest(table_name=table_name(name))
            await self._procedure("EnableTable", enable, Master_pb2.EnableTableResponse)
        elif is_enabled and not wanted["enabled"]:
            await self._disable(name)

    async def _delete_table(self, name: str, *, is_enabled: bool) -> None:
        if is_enabled:
            await self._disable(name)
        request = Master_pb2.DeleteTableRequest(table_name=table_name(name))
        await self._procedure("DeleteTable", request, Master_pb2.DeleteTableResponse)

    async def _disable(self, name: str) -> None:
        request = Master_pb2.DisableTableRequest(table_name=table_name(name))
        await self._procedure("DisableTable", request, Master_pb2.DisableTableResponse)

    async def _all(self, changes: Iterable[Any]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for change in changes:
                tasks.create_task(change)

    async def _procedure(self, method: str, request: Message, answer_type: type[M]) -> None:
        answer = await self._channel.call(method, request, answer_type, timeout_ms=CALL_TIMEOUT_MS)
        proc_id: int = getattr(answer, "proc_id", 0) or getattr(answer, "procId", 0)
        pause_s = POLL_S
        while True:
            asked = Master_pb2.GetProcedureResultRequest(proc_id=proc_id)
            result = await self._channel.call(
                "getProcedureResult", asked, Master_pb2.GetProcedureResultResponse, timeout_ms=CALL_TIMEOUT_MS
            )
            if result.state != Master_pb2.GetProcedureResultResponse.RUNNING:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, POLL_S_MAX)
        if result.HasField("exception"):
            raise CannotDo(f"{method} failed: {result.exception.generic_exception.message}")


def _is_same_table(table: Mapping[str, Any], other: Mapping[str, Any] | None) -> bool:
    """Whether one can be made the other without making it anew."""
    return other is not None and all(table[what] == other[what] for what in ("schema", "splits"))


def _is_settled(row: RegionRow) -> bool:
    return row.state in (RegionState.OPEN, RegionState.CLOSED) and bool(row.store) and not row.leftover


def _place(row: RegionRow) -> dict[str, object]:
    """Where the rows of a region lie, for the server that has them."""
    info = row.info
    return {
        "table": info.table,
        "region": info.encoded_name,
        "start": info.start_key.hex(),
        "end": info.end_key.hex(),
        "id": info.region_id,
        "life": row.life,
        "store": row.store,
    }


def _text(message: Message) -> str:
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode()
