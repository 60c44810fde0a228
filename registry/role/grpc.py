"""The gRPC door of a role: its port is taken with the others, its library is loaded late and by a thread."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from registry.config.settings import Settings
from registry.lookup.feed import RegistryFeed
from registry.lookup.fresh_reader import FreshReader
from registry.names import Address
from registry.role.listening import address_of, cannot_listen, listen
from registry.role.publishing import Publisher

if TYPE_CHECKING:
    from registry.faults.control import FaultControl
    from registry.grpcface.server import GrpcServer

logger = logging.getLogger("registry.role")

FLAG = "--grpc"


class GrpcDoor:
    """Owns the port from `reserve` to `stop`."""

    def __init__(
        self, feed: RegistryFeed, publisher: Publisher, reader: FreshReader, ready: Callable[[], bool]
    ) -> None:
        self._feed = feed
        self._publisher = publisher
        self._reader = reader
        self._ready = ready
        self._reserved: socket.socket | None = None
        self.address: Address | None = None
        """Where it is, will be, or was; None where it is off."""
        self.server: GrpcServer | None = None
        """None until it is open."""

    async def reserve(self, address: Address | None, kept_port: int) -> None:
        """Take the port, before anything is loaded. Raises CannotListen."""
        if address is not None:
            self._reserved = await asyncio.to_thread(listen, address, FLAG, kept_port, reserve_only=True)
            self.address = address_of(self._reserved)

    async def open(self, settings: Settings, faults: FaultControl | None = None) -> None:
        """Load the library and answer; `faults`: where they may be set. Raises CannotListen."""
        address = self.address
        if address is None:
            return
        module = await asyncio.to_thread(_load)
        server: GrpcServer = module.GrpcServer(
            module.GrpcSettings(
                settings.int_("hbeacon.grpc.streams_max"), float(settings.ms("hbeacon.grpc.heartbeat_ms"))
            ),
            self._feed.snapshot,
            self._publisher.hand_out,
            self._feed.age_ms,
            self._reader,
            self._ready,
            faults,
        )
        try:
            await server.start(address)
        except OSError as error:
            raise cannot_listen(address, FLAG, error) from None
        self.server = server
        # What was published while the library was loading is in the picture already.
        self._publisher.published = self._published
        logger.info("listening on grpc=%s", address)

    def drain(self) -> None:
        """Streams end; calls in flight go on."""
        if self.server is not None:
            self.server.drain()

    async def stop(self) -> None:
        """End it and let go of the port."""
        self._publisher.published = None
        if self.server is not None:
            await self.server.stop()
        if self._reserved is not None:
            self._reserved.close()

    def _published(self) -> None:
        assert self.server is not None, "it is subscribed when it is open"
        self.server.publish(self._feed.snapshot, self._publisher.hand_out)


def _load() -> ModuleType:
    # Its C core writes to standard error in its own form, a peer's mistakes too; what concerns us is raised as well.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from registry.grpcface import server

    return server
