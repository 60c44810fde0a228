"""The gRPC server of one role on the role's own loop: limits, services, health, reflection, start and end.

Importing this costs some 0.1 s and 10 MiB: do it in a thread, after the RPC door is open, and never before a fork.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from grpc_reflection.v1alpha import reflection

from registry.faults.control import FaultControl
from registry.grpcface.faults import SERVICE as FAULTS_SERVICE
from registry.grpcface.faults import FaultsService
from registry.grpcface.health import HEALTH_SERVICE, Context, Health
from registry.grpcface.picture import take_picture
from registry.grpcface.service import SERVICE, RegistryService
from registry.grpcface.watchers import Watchers
from registry.lookup.fresh_reader import FreshReader
from registry.lookup.handout import HandOut
from registry.lookup.snapshot import Snapshot
from registry.names import Address

logger = logging.getLogger("registry.grpcface")

CALLS_MAX = 1000
"""Calls besides streams that run at once; beyond, RESOURCE_EXHAUSTED."""
STREAMS_PER_CONNECTION_MAX = 128
"""Of all kinds; more wait in the client, as HTTP/2 has it."""
REQUEST_BYTES_MAX = 16 * 1024
"""A request of ours has some 40 bytes, one of reflection the name of a file."""
METADATA_BYTES_MAX = 8 * 1024
STREAM_BUFFER_BYTES_MAX = 16 * 1024
"""What gRPC takes of a stream whose peer does not read, before a write waits."""
KEEPALIVE_MS = 30_000
KEEPALIVE_TIMEOUT_MS = 10_000
"""A peer that is gone without a word is noticed after both."""
PINGS_APART_MS = 5_000
"""Peers that ping more often are told to calm down (ENHANCE_YOUR_CALM)."""
IDLE_MS = 600_000
"""A connection without a call for this long is closed, as on the RPC door."""
HANDSHAKE_MS = 10_000
READY_LOOKED_AT_MS = 200
"""The answer of health is at most this old."""
STOP_S = 1.0
"""What calls in flight are given when the server stops."""


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """What may be chosen."""

    streams_max: int = 5000
    heartbeat_ms: float = 5000.0


class GrpcServer:
    """One server; make, `start`, `publish` with each change, `stop`."""

    def __init__(
        self,
        settings: GrpcSettings,
        snapshot: Snapshot,
        handout: HandOut,
        age_ms: Callable[[], float],
        reader: FreshReader,
        ready: Callable[[], bool],
        faults: FaultControl | None = None,
    ) -> None:
        """`ready`: whether clients may be sent here now, for health. `faults`: where they may be set."""
        self.watchers = Watchers(
            take_picture(snapshot, handout),
            age_ms,
            streams_max=settings.streams_max,
            heartbeat_ms=settings.heartbeat_ms,
        )
        self.service = RegistryService(self.watchers, reader, age_ms, faults)
        self.faults = FaultsService(faults) if faults is not None else None
        names = (SERVICE, *([FAULTS_SERVICE] if faults is not None else []))
        self.health = Health(names, self._enter_health_stream)
        self._services = (*names, HEALTH_SERVICE, reflection.SERVICE_NAME)
        self._ready = ready
        self._settings = settings
        self._health_streams = 0
        self._looking: asyncio.Task[None] | None = None
        self._server: grpc.aio.Server | None = None

    async def start(self, address: Address) -> int:
        """Listen on a numeric address; gives the real port. Raises OSError."""
        server = grpc.aio.server(options=_options(), maximum_concurrent_rpcs=2 * self._settings.streams_max + CALLS_MAX)
        server.add_generic_rpc_handlers((self.service.handlers(), self.health.handlers()))
        if self.faults is not None:
            server.add_generic_rpc_handlers((self.faults.handlers(),))
        reflection.enable_server_reflection(self._services, server)
        try:
            port: int = server.add_insecure_port(str(address))
        except RuntimeError as error:
            raise OSError(f"gRPC could not be opened at {address}: {error}") from None
        await server.start()
        self._server = server
        self.watchers.start()
        self._looking = asyncio.create_task(self._look_at_readiness(), name="grpc-health")
        return port

    def publish(self, snapshot: Snapshot, handout: HandOut) -> None:
        """Answer with this from now on and tell the watchers what has changed."""
        self.watchers.put(take_picture(snapshot, handout))

    def drain(self) -> None:
        """Streams end, health says NOT_SERVING; calls in flight go on."""
        self.health.close()
        self.watchers.close()

    async def stop(self) -> None:
        """End everything within STOP_S."""
        self.drain()
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        if self._server is not None:
            await self._server.stop(STOP_S)

    async def _look_at_readiness(self) -> None:
        while True:
            self.health.set_serving(self._ready())
            await asyncio.sleep(READY_LOOKED_AT_MS / 1000)

    async def _enter_health_stream(self, context: Context) -> Callable[[], None]:
        if self._health_streams >= self._settings.streams_max:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many health streams are open")
        self._health_streams += 1

        def end() -> None:
            self._health_streams -= 1

        return end


def _options() -> list[tuple[str, int]]:
    """Source: grpc/impl/channel_arg_names.h."""
    return [
        ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
        ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.http2.write_buffer_size", STREAM_BUFFER_BYTES_MAX),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", PINGS_APART_MS),
        ("grpc.max_connection_idle_ms", IDLE_MS),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
        # The role holds the port by a socket of its own, which this one joins (registry.role.grpc).
        ("grpc.so_reuseport", 1),
    ]
