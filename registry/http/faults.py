"""/api/v1/faults: faults listed, set and cleared over HTTP, by those who may, with a line in the log for each change.

Who may is registry.faults.control's business, the same for gRPC (registry.grpcface.faults).
"""

from __future__ import annotations

import json

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from registry.faults.control import ENABLED_KEY, NOT_ENABLED, FaultControl
from registry.faults.machine import FaultRow
from registry.faults.rules import BadFault, parse_rule
from registry.http import models
from registry.http.status import StatusSource

PATH = "/api/v1/faults"
BODY_BYTES_MAX = 65_536
"""A fault of 32 methods and 32 peers has five kilobytes."""


class FaultModel(BaseModel):
    """One fault that is set."""

    id: int = Field(description="Its number on this server.")
    kind: str = Field(description="delay, hang-accept, hang, half, reset, drop, refuse, stale or wrong-cluster-id.")
    methods: list[str] = Field(description="Of calls, * and ? allowed; Regist and Securi are preambles. Empty: all.")
    peers: list[str] = Field(description="Networks of the clients that meet it. Empty: all.")
    probability: float
    count: int | None = Field(description="How often it is applied before it is gone; null: without end.")
    seed: int | None = Field(description="Of its chance: the same seed decides the same.")
    duration_ms: float | None
    delay_ms: list[float] | None = Field(description="Least and most; null for other kinds.")
    bytes: int | None = Field(description="Of half an answer that are sent; null: half.")
    cluster_id: str | None = Field(description="The wrong one.")
    matched: int = Field(description="Connections or calls that it was for.")
    applied: int
    left_ms: float | None = Field(description="Until it ends by itself.")
    sentence: str


class FaultsModel(BaseModel):
    """/api/v1/faults."""

    enabled: bool = Field(description=f"{ENABLED_KEY}")
    faults: list[FaultModel]
    applied: dict[str, int] = Field(description="By kind, since the start; of faults that are gone too.")


class ClearedModel(BaseModel):
    """What a DELETE has done."""

    cleared: int


def fault_model(row: FaultRow) -> FaultModel:
    """One fault as JSON has it."""
    rule = row.rule
    return FaultModel(
        id=row.number,
        kind=rule.kind.value,
        methods=list(rule.methods),
        peers=[str(network) for network in rule.peers],
        probability=rule.probability,
        count=rule.count,
        seed=rule.seed,
        duration_ms=rule.duration_ms,
        delay_ms=list(rule.delay_ms) if "delay_ms" in rule.as_document() else None,
        bytes=rule.half_bytes,
        cluster_id=rule.cluster_id or None,
        matched=row.matched,
        applied=row.applied,
        left_ms=row.left_ms,
        sentence=str(rule),
    )


def add_fault_routes(app: FastAPI, source: StatusSource) -> None:
    """Offer the paths; where faults are not enabled too, so that they say so."""
    face = _FaultFace(source)
    refused: dict[int | str, dict[str, object]] = {403: {"model": models.ErrorModel}}
    bad: dict[int | str, dict[str, object]] = {400: {"model": models.ErrorModel}, **refused}
    missing: dict[int | str, dict[str, object]] = {404: {"model": models.ErrorModel}, **refused}
    app.add_api_route(PATH, face.listed, response_model=FaultsModel)
    app.add_api_route(
        PATH,
        face.add,
        methods=["POST"],
        status_code=201,
        response_model=FaultModel,
        responses=bad,
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    app.add_api_route(PATH, face.clear, methods=["DELETE"], response_model=ClearedModel, responses=refused)
    app.add_api_route(
        PATH + "/{number}", face.remove, methods=["DELETE"], response_model=ClearedModel, responses=missing
    )


class _FaultFace:
    def __init__(self, source: StatusSource) -> None:
        self._source = source

    async def listed(self) -> Response:
        """The faults that are set."""
        control = self._source.faults()
        if control is None:
            return _json(FaultsModel(enabled=False, faults=[], applied={}), 200)
        model = FaultsModel(
            enabled=True,
            faults=[fault_model(row) for row in control.rows()],
            applied={kind.value: count for kind, count in control.applied.items()},
        )
        return _json(model, 200)

    async def add(self, request: Request) -> Response:
        """Set a fault."""
        control = self._allowed(request)
        if isinstance(control, Response):
            return control
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_BYTES_MAX:
                return _error(request, 413, f"a fault has at most {BODY_BYTES_MAX} bytes")
        try:
            rule = parse_rule(json.loads(body))
            row = control.add(rule, _host(request))
        except BadFault as error:
            return _error(request, 400, str(error))
        except (ValueError, RecursionError):
            return _error(request, 400, 'the body is no JSON: write an object such as {"kind": "hang"}')
        return _json(fault_model(row), 201)

    async def clear(self, request: Request) -> Response:
        """Take all faults away, and reset the connections that hang."""
        control = self._allowed(request)
        return (
            control
            if isinstance(control, Response)
            else _json(ClearedModel(cleared=control.clear(_host(request))), 200)
        )

    async def remove(self, request: Request, number: int) -> Response:
        """Take one away."""
        control = self._allowed(request)
        if isinstance(control, Response):
            return control
        if not control.remove(number, _host(request)):
            return _error(request, 404, f"there is no fault {number} here, or no more: GET {PATH} lists them")
        return _json(ClearedModel(cleared=1), 200)

    def _allowed(self, request: Request) -> FaultControl | Response:
        control = self._source.faults()
        if control is None:
            return _error(request, 403, NOT_ENABLED)
        refusal = control.access.refusal(_host(request), request.headers)
        if refusal:
            control.refused(_host(request), refusal)
            return _error(request, 403, refusal)
        return control


def _host(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _json(model: BaseModel, status: int) -> Response:
    return Response(model.model_dump_json(), status, media_type="application/json")


def _error(request: Request, status: int, sentence: str) -> Response:
    return _json(models.ErrorModel(error=sentence, path=request.url.path), status)
