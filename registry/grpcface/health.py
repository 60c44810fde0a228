"""grpc.health.v1: SERVING while this server is ready, NOT_SERVING else.

grpcio's own servicer writes to its watchers under a lock that changes of the status need too, so one peer that does
not read would stop all the others; here each watcher looks by itself.

Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

HEALTH_SERVICE = "grpc.health.v1.Health"
Context = grpc.aio.ServicerContext[Any, Any]
EnterStream = Callable[[Context], Awaitable[Callable[[], None]]]
"""Lets one more stream in, or aborts it; the answer ends it."""


class Health:
    """The status of all services of this server, which is one."""

    def __init__(self, services: Iterable[str], enter: EnterStream) -> None:
        self._services = frozenset({"", *services})
        self._enter = enter
        self._changed = asyncio.Event()
        self._serving = False
        self._is_closed = False

    @property
    def serving(self) -> bool:
        """What is answered now."""
        return self._serving

    def set_serving(self, serving: bool) -> None:
        """Answer this from now on, and tell the watchers."""
        if serving != self._serving and not self._is_closed:
            self._serving = serving
            self._tell()

    def close(self) -> None:
        """NOT_SERVING for good; watchers hear it and their streams end."""
        self._serving, self._is_closed = False, True
        self._tell()

    def handlers(self) -> grpc.GenericRpcHandler:
        """For the server."""
        request, serialize = health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse.SerializeToString
        return grpc.method_handlers_generic_handler(
            HEALTH_SERVICE,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check, request.FromString, serialize),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch, request.FromString, serialize),
            },
        )

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _status(self, service: str) -> int:
        if service not in self._services:
            return health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        return health_pb2.HealthCheckResponse.SERVING if self._serving else health_pb2.HealthCheckResponse.NOT_SERVING

    async def _check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service[:100]!r} here")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    async def _watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        end = await self._enter(context)
        try:
            told: int | None = None
            while True:
                changed, closed = self._changed, self._is_closed
                status = self._status(request.service)
                if status != told:
                    await context.write(health_pb2.HealthCheckResponse(status=status))
                    told = status
                if closed:
                    return
                await changed.wait()
        finally:
            end()
