"""The service `hbeacon.registry.v1.Registry`: requests in, ready bytes out.

Answers go out as bytes that were encoded when the snapshot changed; gRPC is given no serialiser for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn, cast

import grpc

from protos.hbeacon import RegistryV1_pb2 as pb
from registry.faults.control import FaultControl
from registry.grpcface.faults import let_down
from registry.grpcface.health import Context
from registry.grpcface.picture import FACTS, encode_age
from registry.grpcface.watchers import TooManyStreams, Watchers
from registry.lookup.fresh_reader import FreshReader
from registry.lookup.freshness import NOTHING, STALENESS_MS_MAX, ZXID_MAX, Refusal, Unmet, Wants

SERVICE = pb.DESCRIPTOR.services_by_name["Registry"].full_name

LOOKUPS: Mapping[str, tuple[str, ...]] = {
    "GetClusterId": ("cluster_id",),
    "GetActiveMaster": ("active_master",),
    "GetMasters": ("masters",),
    "GetMetaRegionLocations": ("meta_region_locations",),
    "GetBootstrapNodes": ("bootstrap_nodes",),
    "GetRegistry": tuple(FACTS),
}
"""Method to the facts it tells."""

CODES: Mapping[Unmet, grpc.StatusCode] = {
    Unmet.NOT_REACHED: grpc.StatusCode.FAILED_PRECONDITION,
    Unmet.SILENT: grpc.StatusCode.UNAVAILABLE,
    Unmet.LATE: grpc.StatusCode.DEADLINE_EXCEEDED,
    Unmet.CROWDED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unmet.STALE: grpc.StatusCode.UNAVAILABLE,
}
"""Why there is no answer, in gRPC's words."""


class RegistryService:
    """Its handlers, all on the loop."""

    def __init__(
        self,
        watchers: Watchers,
        reader: FreshReader,
        age_ms: Callable[[], float],
        faults: FaultControl | None = None,
    ) -> None:
        """`faults`: where they may be set."""
        self._faults = faults
        self._watchers = watchers
        self._reader = reader
        self._age_ms = age_ms
        self.calls = dict.fromkeys((*LOOKUPS, "WatchRegistry"), 0)
        """Method to calls so far, refused ones included."""
        if faults is not None:
            faults.offer(self.calls)

    def handlers(self) -> grpc.GenericRpcHandler:
        """For the server."""
        made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            method: grpc.unary_unary_rpc_method_handler(
                self._lookup(method, names), getattr(pb, f"{method}Request").FromString
            )
            for method, names in LOOKUPS.items()
        }
        made["WatchRegistry"] = grpc.unary_stream_rpc_method_handler(self._watch, pb.WatchRegistryRequest.FromString)
        return grpc.method_handlers_generic_handler(SERVICE, made)

    def _lookup(self, method: str, names: tuple[str, ...]) -> Callable[[Any, Context], Awaitable[bytes]]:
        async def answer(request: Any, context: Context) -> bytes:
            self.calls[method] += 1
            if self._faults is not None:
                await let_down(self._faults, method, context)
            await self._meet(request, context)
            return self._watchers.board.picture.encode(names) + encode_age(self._age_ms())

        return answer

    async def _watch(self, request: pb.WatchRegistryRequest, context: Context) -> None:
        self.calls["WatchRegistry"] += 1
        if self._faults is not None:
            await let_down(self._faults, "WatchRegistry", context)
        await self._meet(request, context)
        try:
            watcher = self._watchers.join()
        except TooManyStreams as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        try:
            # A write returns when the peer has room for it; what happened meanwhile comes as one message.
            while (message := await watcher.next()) is not None:
                await self._refuse_stale(context)
                await context.write(message)
        finally:
            self._watchers.leave(watcher)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "this server is stopping")

    async def _meet(self, request: Any, context: Context) -> None:
        try:
            wants = wants_of(request.freshness) if request.HasField("freshness") else NOTHING
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        left_s = cast("float | None", context.time_remaining())  # None where the client waits for ever
        try:
            await self._reader.meet(wants, float("inf") if left_s is None else left_s * 1000)
        except Refusal as refusal:
            await _abort(context, refusal)

    async def _refuse_stale(self, context: Context) -> None:
        """Streams end too where look-ups are refused."""
        try:
            await self._reader.meet(NOTHING)
        except Refusal as refusal:
            await _abort(context, refusal)


def wants_of(freshness: pb.Freshness) -> Wants:
    """What a request asks for. Raises ValueError."""
    if freshness.min_zxid > ZXID_MAX or freshness.generation > ZXID_MAX:
        raise ValueError(f"min_zxid and generation are at most {ZXID_MAX}")
    staleness_ms = float(freshness.max_staleness_ms) if freshness.HasField("max_staleness_ms") else None
    if staleness_ms is not None and staleness_ms > STALENESS_MS_MAX:
        raise ValueError(f"max_staleness_ms is at most {STALENESS_MS_MAX:.0f}")
    generation = freshness.generation if freshness.HasField("generation") else None
    return Wants(staleness_ms, freshness.min_zxid, generation, freshness.fresh)


async def _abort(context: Context, refusal: Refusal) -> NoReturn:
    await context.abort(CODES[refusal.unmet], str(refusal))
