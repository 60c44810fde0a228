"""Scans over sockets: finds the region, asks, and begins again behind the last row where a server fails.

    scanner = Scanner(SnapshotLocator(lambda: feed.snapshot), Channels(settings), settings, clock, chance)
    rows = await scanner.read_all(Scan(META_REGION, columns=((b"table", (b"state",)),)), timeout_ms=5000)

One deadline covers finding, connecting, every answer and every pause. What an error asks for (registry.wire.errors:
another scanner, another server, another connection, a longer pause) is done until then.

Source: AsyncScanSingleRegionRpcRetryingCaller, AsyncClientScanner, ConnectionUtils#getPauseTime.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from protos.hbase import Client_pb2
from registry.client.attempts import RegistryLookupError
from registry.client.channels import Channels
from registry.client.locate import Locator
from registry.client.probing import pause_ms
from registry.client.rows import Row, cells_bytes
from registry.client.scan import RegionScan, Scan, row_scan
from registry.client.settings import ClientSettings
from registry.clock import Clock
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import (
    CallTimeoutException,
    ConnectionClosedException,
    ErrorAction,
    HBaseError,
    HBaseIOException,
    ProtocolError,
    RegionMovedException,
    RpcThrottlingException,
)

CLOSE_TIMEOUT_MS = 1000
"""For telling a server that a scanner is not needed any more; where that fails its lease ends it."""
ROWS_BYTES_MAX = 256 << 20
"""What `read_all` keeps at most."""


class ScanFailed(HBaseIOException):
    """The rows were not read in time, or not in the tries allowed. The text names the last error and its server."""

    def __init__(self, region: bytes, tries: int, elapsed_ms: float, last: HBaseError | None, server: str) -> None:
        self.tries = tries
        self.elapsed_ms = elapsed_ms
        self.last = last
        counted = f"{tries} {'try' if tries == 1 else 'tries'}"
        text = f"{region.decode('utf-8', 'replace')} was not read within {elapsed_ms:.0f} ms and {counted}"
        super().__init__(f"{text}; {server}: {last}" if last else text)


class Scanner:
    """Scans of regions that one locator finds. Belongs to one loop; any number may run at once."""

    def __init__(
        self,
        locator: Locator,
        channels: Channels,
        settings: ClientSettings,
        clock: Clock,
        chance: random.Random,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`channels` stay the caller's. `pause` waits for so many seconds."""
        self._locator = locator
        self._channels = channels
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._pause = pause
        self._closings: set[asyncio.Task[None]] = set()
        """Scanners that servers are being told to close; nobody waits for them."""

    async def read_all(self, scan: Scan, *, timeout_ms: float, bytes_max: int = ROWS_BYTES_MAX) -> list[Row]:
        """All rows. Raises ScanFailed, the error of a server that no retry mends, or ScanFailed over `bytes_max`."""
        rows: list[Row] = []
        kept_bytes = 0
        async with aclosing(self.batches(scan, timeout_ms=timeout_ms)) as batches:
            async for batch in batches:
                kept_bytes += sum(cells_bytes(row.cells) for row in batch)
                if kept_bytes > bytes_max:
                    too_much = HBaseIOException(f"the rows have more than {bytes_max} bytes")
                    raise ScanFailed(scan.region, 1, 0.0, too_much, "this side")
                rows += batch
        return rows

    async def batches(self, scan: Scan, *, timeout_ms: float) -> AsyncGenerator[list[Row]]:
        """Whole rows as answers bring them, never an empty list. Close it (contextlib.aclosing) where it is left early.

        Raises ScanFailed, or the error of a server that no retry mends.
        """
        run = _Run(row_scan(scan), self._clock.monotonic_ms(), timeout_ms)
        try:
            while not run.scan.done:
                self._check_time(run)
                try:
                    rows = await self._ask(run)
                except HBaseError as error:
                    await self._recover(run, error)
                else:
                    if rows:
                        run.tries = 0  # there is progress: the pauses begin anew
                        yield rows
        finally:
            self._close_later(run, run.scan.close())

    async def close(self) -> None:
        """Do not wait for servers that are being told to close scanners."""
        for task in tuple(self._closings):
            task.cancel()
        await asyncio.gather(*self._closings, return_exceptions=True)

    # --- one call -----------------------------------------------------------------------------------------------

    async def _ask(self, run: _Run) -> list[Row]:
        """One call and what it brought. Raises HBaseError."""
        if run.channel is None or not run.channel.is_open:
            await self._connect(run)
        channel = run.channel
        assert channel is not None, "connected above"
        answer = await channel.call_bytes(
            "Scan",
            run.scan.request().SerializeToString(),
            timeout_ms=min(self._settings.rpc_timeout_ms, self._remaining_ms(run)),
            priority=run.scan.scan.priority,
            attributes=dict(run.scan.scan.attributes) or None,
        )
        response = channel.parse("Scan", answer.message, Client_pb2.ScanResponse)
        try:
            return run.scan.take(response, answer.cells)
        except ProtocolError as error:
            channel.close()
            raise ConnectionClosedException(f"the answer of {run.server} to Scan cannot be used: {error}") from None

    async def _connect(self, run: _Run) -> None:
        """Find the server and have a connection to it. The scanner of another connection still counts in HBase."""
        if run.moved_to is not None:
            run.address, run.moved_to = run.moved_to, None
        elif run.address is None:
            try:
                async with asyncio.timeout(self._remaining_ms(run) / 1000):
                    run.address = await self._locator.locate()
            except TimeoutError:
                raise CallTimeoutException("the server of the region was not found in time") from None
        run.channel = await self._channels.get(run.address, connect_timeout_ms=self._remaining_ms(run))

    def _check_time(self, run: _Run) -> None:
        """Calls of a server that answers within a millisecond would never be late by themselves."""
        now_ms = self._clock.monotonic_ms()
        if now_ms >= run.deadline_ms:
            error = CallTimeoutException("its answers have not come to an end in time")
            raise ScanFailed(run.scan.scan.region, run.tries_total, now_ms - run.begun_ms, error, run.server)

    def _remaining_ms(self, run: _Run) -> float:
        """What is left; at least a millisecond, so that the call itself says that it is too late."""
        return max(1.0, run.deadline_ms - self._clock.monotonic_ms())

    # --- after an error -----------------------------------------------------------------------------------------

    async def _recover(self, run: _Run, error: HBaseError) -> None:
        """Do what the error asks for and pause; raises where that is no use."""
        run.tries += 1
        run.tries_total += 1
        server = run.server
        self._close_later(run, run.scan.reopen())
        if error.action is ErrorAction.GIVE_UP or isinstance(error, RegistryLookupError):  # that has had its tries
            raise error
        if error.action is ErrorAction.RECONNECT and run.address is not None:
            self._channels.drop(run.address)
        if error.action in (ErrorAction.RELOCATE, ErrorAction.RECONNECT):
            if run.address is not None:
                self._locator.refused(run.address)
            run.address = run.channel = None
        if isinstance(error, RegionMovedException):
            run.moved_to = error.address
        wait_ms = self._pause_ms(run, error)
        if run.tries > self._settings.retries_count or wait_ms >= run.deadline_ms - self._clock.monotonic_ms():
            elapsed_ms = self._clock.monotonic_ms() - run.begun_ms
            raise ScanFailed(run.scan.scan.region, run.tries_total, elapsed_ms, error, server) from error
        if wait_ms > 0:
            await self._pause(wait_ms / 1000)

    def _pause_ms(self, run: _Run, error: HBaseError) -> float:
        """None before the first try that has a good reason to be better: another scanner, a place that was told."""
        told_place = error.action is ErrorAction.REOPEN_SCANNER or isinstance(error, RegionMovedException)
        if error.action is ErrorAction.RETRY_NOW or (run.tries == 1 and told_place):
            return 0.0
        wait_ms = pause_ms(self._settings.pause_ms, run.tries - 1, self._chance)
        return max(wait_ms, error.wait_ms) if isinstance(error, RpcThrottlingException) else wait_ms

    # --- closing scanners ---------------------------------------------------------------------------------------

    def _close_later(self, run: _Run, closing: Client_pb2.ScanRequest | None) -> None:
        """Tell the server that a scanner is not needed; it keeps snapshots of files for it until the lease ends."""
        if closing is None or run.channel is None or not run.channel.is_open:
            return
        task = asyncio.create_task(_close(run.channel, closing, run.scan.scan.priority), name="close scanner")
        self._closings.add(task)
        task.add_done_callback(self._closings.discard)


async def _close(channel: RpcChannel, closing: Client_pb2.ScanRequest, priority: int) -> None:
    try:
        await channel.call_bytes("Scan", closing.SerializeToString(), timeout_ms=CLOSE_TIMEOUT_MS, priority=priority)
    except HBaseError:
        return  # gone with the server, or with its lease


class _Run:
    """One scan on its way."""

    def __init__(self, scan: RegionScan[Row], begun_ms: float, timeout_ms: float) -> None:
        self.scan = scan
        self.begun_ms = begun_ms
        self.deadline_ms = begun_ms + timeout_ms
        self.tries = 0
        """Failed since the last row."""
        self.tries_total = 0
        self.address: Address | None = None
        self.moved_to: Address | None = None
        """Where the last server said that the region went."""
        self.channel: RpcChannel | None = None

    @property
    def server(self) -> str:
        """Whom to blame."""
        return str(self.address) if self.address is not None else "finding the server"
