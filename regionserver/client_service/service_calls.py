"""Calls of coprocessor services as actions of a Multi, which Table.batchCoprocessorService makes of them.

Source: RSRpcServices#doNonAtomicRegionMutation; Action.service_call and CoprocessorServiceResult in Client.proto.
"""

from __future__ import annotations

from collections.abc import Callable

from protos.hbase import Client_pb2, HBase_pb2
from registry.wire.errors import HBaseError

Outcome = Client_pb2.CoprocessorServiceResult | HBaseError
Told = Callable[[HBase_pb2.NameBytesPair | HBaseError], None]
RunService = Callable[[HBase_pb2.RegionSpecifier, Client_pb2.CoprocessorServiceCall, Told], None]
"""Does a call; what it gave is told now or later. Raises HBase's exceptions, and then nothing is told."""


def run_service(
    run: RunService,
    spec: HBase_pb2.RegionSpecifier,
    call: Client_pb2.CoprocessorServiceCall,
    told: Callable[[Outcome], None],
) -> None:
    """Do an action; `told` hears once."""

    def ended(value: HBase_pb2.NameBytesPair | HBaseError) -> None:
        told(value if isinstance(value, HBaseError) else Client_pb2.CoprocessorServiceResult(value=value))

    try:
        run(spec, call, ended)
    except HBaseError as error:
        told(error)
