"""The service `hbeacon.registry.v1.Faults`: faults set, listed and cleared over gRPC, and met by look-ups of gRPC.

Who may is registry.faults.control's business, the same for HTTP (registry.http.faults).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import unquote

import grpc

from protos.hbeacon import FaultsV1_pb2 as pb
from registry.faults.control import FaultControl
from registry.faults.machine import FaultRow
from registry.faults.rules import BadFault, FaultKind, parse_rule
from registry.grpcface.health import Context

SERVICE = pb.DESCRIPTOR.services_by_name["Faults"].full_name

_PREFIX = "FAULT_KIND_"
_NUMBERS = {kind: pb.FaultKind.Value(_PREFIX + kind.name) for kind in FaultKind}
_KINDS = {number: kind for kind, number in _NUMBERS.items()}
_PLAIN = ("probability", "count", "seed", "duration_ms", "bytes", "cluster_id")
"""Fields of the message that are those of the JSON document."""


async def let_down(control: FaultControl, method: str, context: Context) -> None:
    """Have a look-up meet the fault that is for it: it is late, or held until the client or the faults are gone."""
    decision = control.at_look_up(method, peer_host(context))
    if decision is None:
        return
    if decision.rule.kind is FaultKind.DELAY:
        await asyncio.sleep(decision.delay_ms / 1000)
    else:
        await control.hang()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "a fault that was set on purpose is over")


class FaultsService:
    """Its handlers, all on the loop."""

    def __init__(self, control: FaultControl) -> None:
        self._control = control

    def handlers(self) -> grpc.GenericRpcHandler:
        """For the server."""
        made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            method: grpc.unary_unary_rpc_method_handler(
                handler,
                getattr(pb, f"{method}Request").FromString,
                getattr(pb, f"{method}Response").SerializeToString,
            )
            for method, handler in self._methods().items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, made)

    def _methods(self) -> dict[str, Callable[[Any, Context], Awaitable[Any]]]:
        return {
            "ListFaults": self._list,
            "SetFault": self._set,
            "RemoveFault": self._remove,
            "ClearFaults": self._clear,
        }

    async def _list(self, request: pb.ListFaultsRequest, context: Context) -> pb.ListFaultsResponse:
        del request, context
        return pb.ListFaultsResponse(faults=[status_of(row) for row in self._control.rows()])

    async def _set(self, request: pb.SetFaultRequest, context: Context) -> pb.SetFaultResponse:
        host = await self._allowed(context)
        try:
            row = self._control.add(parse_rule(document_of(request.fault)), host)
        except BadFault as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return pb.SetFaultResponse(fault=status_of(row))

    async def _remove(self, request: pb.RemoveFaultRequest, context: Context) -> pb.RemoveFaultResponse:
        if not self._control.remove(request.id, await self._allowed(context)):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no fault {request.id} here, or no more")
        return pb.RemoveFaultResponse()

    async def _clear(self, request: pb.ClearFaultsRequest, context: Context) -> pb.ClearFaultsResponse:
        del request
        return pb.ClearFaultsResponse(cleared=self._control.clear(await self._allowed(context)))

    async def _allowed(self, context: Context) -> str:
        """Who asks; ends the call where he may not."""
        host = peer_host(context)
        given = cast("tuple[tuple[str, str | bytes], ...]", context.invocation_metadata() or ())
        headers = {name: value for name, value in given if isinstance(value, str)}
        refusal = self._control.access.refusal(host, headers)
        if refusal:
            self._control.refused(host, refusal)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, refusal)
        return host


def peer_host(context: Context) -> str:
    """The address of a call's peer; empty for what has none.

    Source: grpc_call_get_peer: `ipv4:127.0.0.1:4711`, `ipv6:%5B::1%5D:4711`, `unix:...`.
    """
    scheme, _, rest = unquote(context.peer()).partition(":")
    return rest.rpartition(":")[0].strip("[]") if scheme in ("ipv4", "ipv6") else ""


def document_of(fault: pb.Fault) -> dict[str, object]:
    """A fault as registry.faults.rules.parse_rule reads it. Raises BadFault."""
    kind = _KINDS.get(fault.kind)
    document: dict[str, object] = {name: getattr(fault, name) for name in _PLAIN if fault.HasField(cast("Any", name))}
    if kind is not None:
        document["kind"] = kind.value
    if fault.methods:
        document["methods"] = list(fault.methods)
    if fault.peers:
        document["peers"] = list(fault.peers)
    if fault.HasField("delay_ms"):
        document["delay_ms"] = [fault.delay_ms, *([fault.delay_most_ms] if fault.HasField("delay_most_ms") else [])]
    elif fault.HasField("delay_most_ms"):
        raise BadFault("delay_most_ms goes with delay_ms, the least")
    return document


def status_of(row: FaultRow) -> pb.FaultStatus:
    """A fault that is set, as a message."""
    rule = row.rule
    fault = pb.Fault(
        kind=cast("pb.FaultKind", _NUMBERS[rule.kind]),
        methods=rule.methods,
        peers=[str(network) for network in rule.peers],
        probability=rule.probability,
        count=rule.count,
        seed=rule.seed,
        duration_ms=rule.duration_ms,
        bytes=rule.half_bytes,
        cluster_id=rule.cluster_id or None,
    )
    if rule.kind is FaultKind.DELAY:
        fault.delay_ms, fault.delay_most_ms = rule.delay_ms
    return pb.FaultStatus(
        id=row.number,
        fault=fault,
        matched=row.matched,
        applied=row.applied,
        left_ms=row.left_ms,
        sentence=str(rule),
    )
