"""Connections to region servers: one for each address, made when first used, kept while it is of use.

    channel = await channels.get(address, connect_timeout_ms=500)

Source: org.apache.hadoop.hbase.ipc.AbstractRpcClient, which keeps one connection for address, user and service.
"""

from __future__ import annotations

import asyncio

from registry.client.settings import ClientSettings
from registry.client.spoken import SPOKEN
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import ConnectException, FailedServerException, StoppedRpcClientException
from registry.wire.header import KEY_VALUE_CODEC
from registry.wire.limits import WireLimits

CLIENT_SERVICE = "ClientService"
ANSWER_BYTES_MAX = 128 << 20
"""The longest answer that is taken. A server ends an answer at hbase.client.scanner.max.result.size, but never within
a cell, and hbase.server.keyvalue.maxsize may be set high."""


class Channels:
    """Belongs to one loop; `close` ends all of them."""

    def __init__(
        self, settings: ClientSettings, service: str = CLIENT_SERVICE, *, remember_failed: bool = False
    ) -> None:
        """With `remember_failed` a server that could not be reached is left alone for a moment, by all who ask.

        That somebody had less time than a connection may take says nothing of the server.
        """
        self._settings = settings
        self._failed: dict[Address, tuple[float, str]] | None = {} if remember_failed else None
        """Loop time until which nobody tries, and why."""
        self._service = service
        self._channels: dict[Address, RpcChannel] = {}
        self._locks: dict[Address, asyncio.Lock] = {}
        self._closed = False

    def opened(self, address: Address) -> RpcChannel | None:
        """The open connection to `address`, if there is one: nothing is waited for."""
        channel = self._channels.get(address)
        return channel if channel is not None and channel.is_open else None

    async def get(self, address: Address, *, connect_timeout_ms: float) -> RpcChannel:
        """The open connection to `address`.

        Raises ConnectException, FailedServerException, StoppedRpcClientException.
        """
        lock = self._locks.setdefault(address, asyncio.Lock())  # who comes meanwhile gets the same one
        try:
            async with asyncio.timeout(connect_timeout_ms / 1000):
                await lock.acquire()
        except TimeoutError:
            text = f"{address} was not connected within {connect_timeout_ms:.0f} ms: somebody else still waits for it"
            raise ConnectException(text) from None
        try:
            if self._closed:
                raise StoppedRpcClientException("the client was closed")
            channel = self._channels.get(address)
            if channel is None or not channel.is_open:
                channel = await self._connect(address, connect_timeout_ms)
                if self._closed:
                    channel.close()
                    raise StoppedRpcClientException("the client was closed")
                self._channels[address] = channel
        finally:
            lock.release()
        return channel

    async def _connect(self, address: Address, connect_timeout_ms: float) -> RpcChannel:
        until, why = (self._failed or {}).get(address, (0.0, ""))
        begun = asyncio.get_running_loop().time()
        if begun < until:
            raise FailedServerException(f"{address} could not be reached a moment ago: {why}")
        try:
            channel = await RpcChannel.connect(
                address,
                self._service,
                user=self._settings.user,
                connect_timeout_ms=min(connect_timeout_ms, self._settings.connect_timeout_ms),
                read_timeout_ms=self._settings.read_timeout_ms,
                cell_block_codec=KEY_VALUE_CODEC,
                version=SPOKEN,
                limits=WireLimits(frame_bytes_max=ANSWER_BYTES_MAX),
            )
        except ConnectException as error:
            now = asyncio.get_running_loop().time()
            was_hasty = connect_timeout_ms < self._settings.connect_timeout_ms
            if self._failed is not None and not (was_hasty and (now - begun) * 1000 >= connect_timeout_ms):
                self._failed[address] = (now + self._settings.failed_server_expiry_ms / 1000, error.message)
            raise
        if self._failed is not None:
            self._failed.pop(address, None)
        return channel

    def drop(self, address: Address) -> None:
        """End the connection to `address`: it does not answer, or nobody needs it."""
        channel = self._channels.pop(address, None)
        if channel is not None:
            channel.close()

    def keep_only(self, address: Address) -> None:
        """End all connections but one: the region has moved there."""
        for other in tuple(self._channels):
            if other != address:
                self.drop(other)

    async def close(self) -> None:
        """End all connections; outstanding calls fail."""
        self._closed = True
        channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            channel.close()
        for channel in channels:
            await channel.wait_closed()
