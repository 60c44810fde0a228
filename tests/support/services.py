"""Coprocessor services for tests of what is not about them."""

from __future__ import annotations

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.service_calls import Told


def no_services(spec: HBase_pb2.RegionSpecifier, call: Client_pb2.CoprocessorServiceCall, told: Told) -> None:
    """Nobody may come here. Implements RunService."""
    del spec, told
    raise AssertionError(f"{call.service_name} was called")
