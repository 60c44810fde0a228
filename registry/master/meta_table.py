"""hbase:meta read and written by the active master, over ClientService like everybody else's, in the name of its epoch.

Every call carries the epoch as the attribute `hbeacon.master.epoch`: the region refuses a lower one than it has seen.
A write is repeated, with the same cells, until it is done or this master is not the active one any more; so where it
is not known whether a write was done, doing it again is right. Each has later timestamps than all before it, whatever
the clocks of masters say, or a deletion could hide what was written after it.

Source: MetaTableAccessor, RegionStateStore#updateRegionLocation.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol

from protos.hbase import Client_pb2, HBase_pb2, RPC_pb2
from registry.client.channels import Channels
from registry.client.scan import META_REGION, Scan
from registry.client.scanner import ScanFailed, Scanner
from registry.client.settings import ClientSettings
from registry.clock import Clock
from registry.master.catalogue import Catalogue
from registry.master.epoch import Token, raise_deposed
from registry.master.meta_rows import COUNTER, LEFTOVER, LIFE, SCHEMA, STORE, Written, take_row
from registry.names import Address, ServerName
from registry.rpc.services import META_QOS
from registry.wire.cellblock import encode_cells
from registry.wire.epoch import EPOCH_ATTRIBUTE, MasterEpoch
from registry.wire.errors import (
    ConnectionClosedException,
    HBaseError,
    NotServingRegionException,
    ProtocolError,
    decode_exception,
)

logger = logging.getLogger("registry.master")

ROWS_PER_CALL = 1000
"""Of one Multi: with what an opening writes, some 700 KiB."""
SCAN_BYTES = 256 << 10
"""Of one answer: what is read between two turns of the loop."""
CALL_TIMEOUT_MS = 5000.0
CONNECT_TIMEOUT_MS = 1000.0
SCAN_TIMEOUT_MS = 600_000.0
PAUSE_MS_FIRST, PAUSE_MS_MAX = 10.0, 500.0
LASTING = frozenset((STORE, LIFE, LEFTOVER, COUNTER, SCHEMA))
"""Qualifiers without which rows that survive a loss of power (FSYNC_WAL) would be found by nobody: synced as well."""


class _Asked(NamedTuple):
    make: Callable[[int], Sequence[Written]]
    done: asyncio.Future[None]


class MetaRows(Protocol):
    """hbase:meta to the active master."""

    async def load(self, token: Token) -> Catalogue:
        """All of it. Raises NotActing."""
        ...

    async def write(self, make: Callable[[int], Sequence[Written]], token: Token) -> None:
        """Until it is durable. Raises NotActing."""
        ...

    async def close(self) -> None:
        """End all connections."""
        ...


class MetaTable:
    """Of one epoch. Belongs to the loop; `close` ends its connections."""

    def __init__(self, epoch: MasterEpoch, where: Callable[[], ServerName | None], clock: Clock) -> None:
        """`where` tells who has hbase:meta open; None while nobody has."""
        self._where = where
        self._clock = clock
        self._attributes = {EPOCH_ATTRIBUTE: epoch.encode()}
        settings = ClientSettings(
            rpc_timeout_ms=CALL_TIMEOUT_MS, connect_timeout_ms=CONNECT_TIMEOUT_MS, pause_ms=PAUSE_MS_FIRST
        )
        self._channels = Channels(settings)
        self._scanner = Scanner(_Locator(where), self._channels, settings, clock, random.Random())
        self._one_at_a_time = asyncio.Lock()
        self._asked: list[_Asked] = []
        """Writes that wait, in their order."""
        self._newest_ms = 0
        self.problem = ""
        """Why the write under way is not done yet; empty where none is, or all is well."""

    async def close(self) -> None:
        """End all connections."""
        await self._scanner.close()
        await self._channels.close()

    async def load(self, token: Token) -> Catalogue:
        """All of it. Raises NotActing."""
        scan = Scan(
            META_REGION,
            answer_bytes_max=SCAN_BYTES,
            priority=META_QOS,
            attributes=tuple(self._attributes.items()),
        )
        pause_ms = PAUSE_MS_FIRST
        while True:
            token.check()
            catalogue = Catalogue()
            try:
                async with aclosing(self._scanner.batches(scan, timeout_ms=SCAN_TIMEOUT_MS)) as batches:
                    async for rows in batches:
                        for row in rows:
                            take_row(catalogue, row)
                        await asyncio.sleep(0)
            except HBaseError as error:
                raise_deposed(error.last if isinstance(error, ScanFailed) and error.last else error)
                self._note(f"hbase:meta cannot be read: {error}")
                await asyncio.sleep(pause_ms / 1000)
                pause_ms = min(pause_ms * 2, PAUSE_MS_MAX)
            else:
                self._newest_ms = max(self._newest_ms, catalogue.newest_ms)
                self.problem = ""
                return catalogue

    async def write(self, make: Callable[[int], Sequence[Written]], token: Token) -> None:
        """Write rows until they are durable; `make` gets the timestamp in ms. Raises NotActing.

        Writes are done in the order in which they were asked for; those that wait for one go together after it.
        """
        asked = _Asked(make, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        try:
            async with self._one_at_a_time:
                if not asked.done.done():
                    await self._write_together(token)
        except BaseException:
            with contextlib.suppress(ValueError):
                self._asked.remove(asked)
            raise

    async def _write_together(self, token: Token) -> None:
        """All that wait now; where that fails, or is called off, they wait again, and write for themselves."""
        together, self._asked = self._asked, []
        try:
            rows: list[Written] = []
            for each in together:
                self._newest_ms = max(int(self._clock.wall_ms()), self._newest_ms + 1)
                rows += each.make(self._newest_ms)
            for start in range(0, len(rows), ROWS_PER_CALL):
                request, cells = multi_of(rows[start : start + ROWS_PER_CALL])
                await self._until_written(request.SerializeToString(), cells, token)
        except BaseException:
            self._asked = together + self._asked
            raise
        for each in together:
            each.done.set_result(None)

    async def _until_written(self, request: bytes, cells: bytes, token: Token) -> None:
        pause_ms = PAUSE_MS_FIRST
        while True:
            token.check()
            try:
                await self._call(request, cells)
            except HBaseError as error:
                raise_deposed(error)
                self._note(f"hbase:meta cannot be written: {error}")
            else:
                self.problem = ""
                return
            await asyncio.sleep(pause_ms / 1000)
            pause_ms = min(pause_ms * 2, PAUSE_MS_MAX)

    async def _call(self, request: bytes, cells: bytes) -> None:
        server = self._where()
        if server is None:
            raise NotServingRegionException("hbase:meta is not open")
        channel = await self._channels.get(server.address, connect_timeout_ms=CONNECT_TIMEOUT_MS)
        try:
            answer = await channel.call_bytes(
                "Multi",
                request,
                timeout_ms=CALL_TIMEOUT_MS,
                priority=META_QOS,
                cells=cells,
                attributes=self._attributes,
            )
            response = channel.parse("Multi", answer.message, Client_pb2.MultiResponse)
        except ProtocolError as error:
            channel.close()
            raise ConnectionClosedException(str(error)) from None
        for problem in problems_of(response):
            raise problem

    def _note(self, problem: str) -> None:
        if problem != self.problem:
            logger.warning("%s", problem)
        self.problem = problem


def multi_of(rows: Sequence[Written]) -> tuple[Client_pb2.MultiRequest, bytes]:
    """One action for what a row puts, one for what it deletes; the cells are in the block."""
    request = Client_pb2.MultiRequest()
    region = request.regionAction.add()
    region.region.type = HBase_pb2.RegionSpecifier.REGION_NAME
    region.region.value = META_REGION
    blocks: list[bytes] = []
    for row in rows:
        kinds = ((Client_pb2.MutationProto.DELETE, row.deletes), (Client_pb2.MutationProto.PUT, row.puts))
        for kind, cells in kinds:
            if not cells:
                continue
            mutation = region.action.add(index=len(region.action)).mutation
            mutation.row = row.row
            mutation.mutate_type = kind
            lasts = any(cell.qualifier in LASTING for cell in cells)
            mutation.durability = Client_pb2.MutationProto.FSYNC_WAL if lasts else Client_pb2.MutationProto.SYNC_WAL
            mutation.associated_cell_count = len(cells)
            blocks.append(encode_cells(cells))
    return request, b"".join(blocks)


def problems_of(response: Client_pb2.MultiResponse) -> Iterator[HBaseError]:
    """What was not done, of the whole region or of one action."""
    for result in response.regionActionResult:
        if result.HasField("exception"):
            yield _error(result.exception)
        for each in result.resultOrException:
            if each.HasField("exception"):
                yield _error(each.exception)


def _error(pair: HBase_pb2.NameBytesPair) -> HBaseError:
    return decode_exception(
        RPC_pb2.ExceptionResponse(exception_class_name=pair.name, stack_trace=pair.value.decode("utf-8", "replace"))
    )


class _Locator:
    """The active master knows where hbase:meta is: it has put it there."""

    def __init__(self, where: Callable[[], ServerName | None]) -> None:
        self._where = where

    async def locate(self) -> Address:
        server = self._where()
        if server is None:
            raise NotServingRegionException("hbase:meta is not open")
        return server.address

    def refused(self, address: Address) -> None:
        """Its next place is not found by asking."""
