"""Endpoints as users write them: good ones, and ones that do all that is wrong."""

from __future__ import annotations

import threading
import time
from typing import ClassVar

from protos.hbase import Aggregate_pb2, RPC_pb2
from regionserver.endpoints.api import Endpoint, EndpointTimeout, ProtoEndpoint, RegionView
from registry.wire.errors import NoSuchColumnFamilyException


class Counter(Endpoint):
    """Counts rows; its methods do other things too."""

    service = "example.CountService"

    def call(self, region: RegionView, method: str, request: bytes) -> bytes:
        match method:
            case "Count":
                return sum(1 for _ in region.scan()).to_bytes(8, "big")
            case "Names":
                return f"{region.table} {region.name} {region.start_key!r} {region.end_key!r}".encode()
            case "Copy":
                cells = region.get(request, {b"f": [b"q"]})
                region.put(b"copy of " + request, {(cell.family, cell.qualifier): cell.value for cell in cells})
                return b"".join(cell.value for cell in region.get(b"copy of " + request))
            case "Delete":
                region.delete(request)
                region.delete(b"copy of " + request, {b"f": [b"q"]})
                region.delete(b"copy of " + request, {b"f": None})
                return b"deleted"
            case "DeleteNothing":
                region.delete(request, {})
                region.delete(request, {b"f": []})
                region.put(request, {})
                return b""
            case "First":
                return next(iter(region.scan(request)))[0]
            case "NoFamily":
                raise NoSuchColumnFamilyException("of this endpoint")
            case "BadFamily":
                region.put(b"r", {(b"nofamily", b"q"): b"v"})
                return b""
            case _:
                raise ValueError(f"no method {method}")


class Bad(Endpoint):
    """Whatever it is asked for goes wrong."""

    service = "example.BadService"
    interrupted: ClassVar[threading.Event] = threading.Event()
    may_end: ClassVar[threading.Event] = threading.Event()

    def call(self, region: RegionView, method: str, request: bytes) -> bytes:
        match method:
            case "Spin":
                try:
                    while True:
                        pass
                except EndpointTimeout:
                    self.interrupted.set()
                    raise
            case "Wait":
                self.may_end.wait(30)
            case "Scan":
                rows = region.scan()
                next(rows)
                self.may_end.wait(30)
            case "Sleep":
                time.sleep(0.2)
                region.get(b"r")
                raise AssertionError("its time is over")
            case "Text":
                return "text"  # type: ignore[return-value]
            case _:
                raise RuntimeError("whatever")
        return b""


class Sums(ProtoEndpoint):
    """A service of messages."""

    descriptor = Aggregate_pb2.DESCRIPTOR.services_by_name["AggregateService"]

    def GetMax(self, region: RegionView, request: Aggregate_pb2.AggregateRequest) -> Aggregate_pb2.AggregateResponse:  # noqa: N802
        return Aggregate_pb2.AggregateResponse(
            second_part=region.name.encode() + request.interpreter_class_name.encode()
        )


NOT_AN_ENDPOINT = RPC_pb2.CellBlockMeta
