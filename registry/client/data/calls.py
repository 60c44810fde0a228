"""Calls about one row: to the server of its region, and again where that is of use.

The first try, which nearly all calls end with, makes no task and no timer of its own: the region is known, its
connection open, the request's bytes are made once, and the region's are put before them.

Source: AsyncSingleRequestRpcRetryingCaller, RawAsyncTableImpl.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from registry.client.channels import Channels
from registry.client.data.attempts import Attempts
from registry.client.data.failures import Again
from registry.client.data.finding import RegionFinder, TableRegions
from registry.client.data.region_map import Region
from registry.client.locate import MetaAnswers, RegistryLocator
from registry.client.scanner import Scanner as MetaScanner
from registry.client.settings import ClientSettings
from registry.clock import Clock
from registry.names import Address
from registry.rpc.client import Answer, RpcChannel
from registry.wire.errors import (
    CallTimeoutException,
    ConnectionClosedException,
    ErrorAction,
    HBaseError,
    NotServingRegionException,
    ProtocolError,
    RegionMovedException,
    RegionOpeningException,
    RegionServerStoppedException,
    StoppedRpcClientException,
)

M = TypeVar("M", bound=Message)
T = TypeVar("T")

CALLS_PER_SERVER_MAX = 512
"""Outstanding on one connection; whoever has more to ask waits, so that a slow server is not buried."""
TELL_TIMEOUT_MS = 1000.0
"""For what nobody waits for."""
DISABLED_ASKED_AT = 2
"""With this try, and then with each, an error that a disabled table gives has its state asked."""


class Calls:
    """What all operations of one connection share. Belongs to one loop."""

    def __init__(
        self,
        settings: ClientSettings,
        clock: Clock,
        chance: random.Random,
        finder: RegionFinder,
        channels: Channels,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`pause` waits for so many seconds."""
        self.settings = settings
        self.clock = clock
        self.chance = chance
        self.finder = finder
        self.channels = channels
        self.nonce_group = chance.getrandbits(63) | 1
        """Of this client: servers tell its nonces from others' by it."""
        self._pause = pause
        self._waiting: dict[RpcChannel, deque[asyncio.Future[None]]] = {}
        """Who waits until fewer calls are outstanding; empty nearly always."""
        self._told: set[asyncio.Task[None]] = set()
        self.batches_under_way = 0
        self.closed = False

    def nonce(self) -> int:
        """One for each mutation that must not be made twice, and the same for all its tries."""
        return self.chance.getrandbits(63) | 1

    async def row(
        self,
        table: TableRegions,
        row: bytes,
        method: str,
        tail: bytes,
        timeout_ms: float,
        *,
        again: Again = Again.ALWAYS,
    ) -> Answer:
        """Call about one row. `tail` is the request but for its region, which stands before it.

        Raises RetriesExhaustedException, OutcomeUnknownException, or the error of a server that no retry mends.
        """
        settings = self.settings
        begun_ms = self.clock.monotonic_ms()
        region = table.known.find(row)
        error: HBaseError | None = None
        if region is not None and (channel := self.channels.opened(region.address)) is not None:
            try:
                if channel.calls_outstanding >= CALLS_PER_SERVER_MAX:
                    await self._room(channel, timeout_ms)
                return await channel.call_bytes(
                    method,
                    region.field + tail,
                    timeout_ms=min(settings.rpc_timeout_ms, timeout_ms),
                    priority=table.priority,
                )
            except HBaseError as failure:
                error = failure
            finally:
                if self._waiting:
                    self._let_in(channel)
        what = f"{method} of {row[:64]!r} in {table.name}"
        attempts = Attempts(what, settings, begun_ms, timeout_ms, again=again)
        if error is not None:
            await self.recover(attempts, table, region, error)
        return await self._until_done(attempts, table, row, method, lambda found: found.field + tail, _unchanged)

    async def region(
        self,
        table: TableRegions,
        row: bytes,
        method: str,
        request: Callable[[Region], bytes],
        take: Callable[[Answer], T],
        timeout_ms: float,
        *,
        again: Again = Again.ALWAYS,
    ) -> T:
        """Call the server of a row's region with what `request` makes for it; what `take` makes of the answer.

        Errors that `take` raises count as the server's. Raises as `row`.
        """
        what = f"{method} of {row[:64]!r} in {table.name}"
        attempts = Attempts(what, self.settings, self.clock.monotonic_ms(), timeout_ms, again=again)
        return await self._until_done(attempts, table, row, method, request, take)

    async def _until_done(
        self,
        attempts: Attempts,
        table: TableRegions,
        row: bytes,
        method: str,
        request: Callable[[Region], bytes],
        take: Callable[[Answer], T],
    ) -> T:
        while True:
            region = None
            try:
                region = await self.finder.locate(table, row, self.remaining_ms(attempts))
                return take(
                    await self.send(
                        region.address, method, request(region), self.remaining_ms(attempts), priority=table.priority
                    )
                )
            except HBaseError as error:
                await self.recover(attempts, table, region, error)

    async def send(
        self, address: Address, method: str, param: bytes, timeout_ms: float, *, cells: bytes = b"", priority: int = 0
    ) -> Answer:
        """One call to one server, when there is room for it. Raises HBaseError."""
        begun_ms = self.clock.monotonic_ms()
        channel = self.channels.opened(address)
        if channel is None:
            channel = await self.channels.get(address, connect_timeout_ms=timeout_ms)
        try:
            if channel.calls_outstanding >= CALLS_PER_SERVER_MAX:
                await self._room(channel, timeout_ms)
            left_ms = max(1.0, timeout_ms - (self.clock.monotonic_ms() - begun_ms))
            return await channel.call_bytes(
                method, param, timeout_ms=min(self.settings.rpc_timeout_ms, left_ms), cells=cells, priority=priority
            )
        finally:
            if self._waiting:
                self._let_in(channel)

    async def _room(self, channel: RpcChannel, timeout_ms: float) -> None:
        """Until fewer calls are outstanding. Raises CallTimeoutException."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while channel.is_open and channel.calls_outstanding >= CALLS_PER_SERVER_MAX:
                    turn = asyncio.get_running_loop().create_future()
                    self._waiting.setdefault(channel, deque()).append(turn)
                    await turn
        except TimeoutError:
            raise CallTimeoutException(
                f"{channel.address} has had {channel.calls_outstanding} calls to answer for {timeout_ms:.0f} ms"
            ) from None

    def _let_in(self, channel: RpcChannel) -> None:
        """A call has ended, or will not be made: one that waits may go on; all, where the connection has ended."""
        queue = self._waiting.get(channel, ())
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                if channel.is_open:
                    break
        if not queue:
            self._waiting.pop(channel, None)

    def remaining_ms(self, attempts: Attempts) -> float:
        """Until the operation's deadline, at least a millisecond."""
        return attempts.remaining_ms(self.clock.monotonic_ms())

    def tell(self, address: Address, method: str, param: bytes) -> None:
        """Call a server to which there is a connection, whatever it answers: nobody waits."""
        channel = self.channels.opened(address)
        if channel is None:
            return
        task = asyncio.create_task(_told(channel, method, param), name=f"tell {method}")
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def recover(self, attempts: Attempts, table: TableRegions, region: Region | None, error: HBaseError) -> None:
        """Do what an error asks for, and pause. Raises what the caller is to be told where there is no other try."""
        if self.closed:
            raise StoppedRpcClientException("the connection was closed")
        if region is None:  # it was not found: nothing was sent
            wait_ms = attempts.failed(error, "", self.clock.monotonic_ms(), self.chance, was_sent=False)
        else:
            self.forget(table, region, error)
            wait_ms = attempts.failed(error, str(region.address), self.clock.monotonic_ms(), self.chance)
        await self.check_enabled(attempts, table, error)
        await self.pause(wait_ms)

    async def pause(self, wait_ms: float) -> None:
        """Wait."""
        if wait_ms > 0:
            await self._pause(wait_ms / 1000)

    def forget(self, table: TableRegions, region: Region, error: HBaseError) -> None:
        """What an error says of places and connections."""
        self.finder.refused(table, region, error)
        if isinstance(error, RegionServerStoppedException):
            self.channels.drop(region.address)
        elif isinstance(error, CallTimeoutException):
            # one call may be slow where others are answered: a connection is given up when it is silent
            channel = self.channels.opened(region.address)
            if channel is not None and channel.silent_ms >= self.settings.rpc_timeout_ms:
                self.channels.drop(region.address)

    async def check_enabled(self, attempts: Attempts, table: TableRegions, error: HBaseError) -> None:
        """Where the error may be that of a disabled table: TableNotEnabledException, if it is known to be one."""
        if attempts.tries < DISABLED_ASKED_AT or not isinstance(error, NotServingRegionException):
            return
        if isinstance(error, RegionMovedException | RegionOpeningException):
            return
        try:
            await self.finder.check_enabled(table, self.remaining_ms(attempts))
        except HBaseError as told:
            if told.do_not_retry and told.action is ErrorAction.GIVE_UP:
                raise

    def parse(self, answer: Answer, kind: type[M], method: str) -> M:
        """The answer as a message. Raises ConnectionClosedException."""
        try:
            return kind.FromString(answer.message)
        except DecodeError as error:
            raise ConnectionClosedException(f"the answer to {method} is no {kind.DESCRIPTOR.name}: {error}") from None

    async def close(self) -> None:
        """End all; operations under way fail."""
        self.closed = True
        for task in self._told:
            task.cancel()
        await asyncio.gather(*self._told, return_exceptions=True)
        await self.finder.close()
        await self.channels.close()


def calls_of(answers: MetaAnswers, settings: ClientSettings, clock: Clock, chance: random.Random) -> Calls:
    """What the tables of a connection share; `answers` tells where hbase:meta is."""
    channels = Channels(settings, remember_failed=True)
    meta = RegistryLocator(answers)
    finder = RegionFinder(meta, MetaScanner(meta, channels, settings, clock, chance), clock)
    return Calls(settings, clock, chance, finder, channels)


def _unchanged(answer: Answer) -> Answer:
    return answer


async def _told(channel: RpcChannel, method: str, param: bytes) -> None:
    try:
        await channel.call_bytes(method, param, timeout_ms=TELL_TIMEOUT_MS)
    except HBaseError:
        return  # gone with the server, or with its lease


def unusable(method: str, server: Address, error: ProtocolError) -> ConnectionClosedException:
    """What is said of an answer that makes no sense: it may be another the next time."""
    return ConnectionClosedException(f"the answer of {server} to {method} cannot be used: {error}")
