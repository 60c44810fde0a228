"""MultiRowMutationService: changes of several rows of one region, all or none of them, where all conditions hold.

Source: MultiRowMutationEndpoint#mutateRows and #checkConditions of 2.6, HRegion#mutateRowsWithLocks.
"""

from __future__ import annotations

from collections.abc import Callable

from protos.hbase import MultiRowMutation_pb2
from regionserver.client_service.rows import as_hbase
from regionserver.client_service.writes import read_condition, read_mutation
from regionserver.engine.store import StoreError
from regionserver.region.region import Region
from registry.wire.errors import DoNotRetryIOException, HBaseError, WrongRegionException
from registry.wire.preamble import string_binary

Told = Callable[[MultiRowMutation_pb2.MutateRowsResponse | HBaseError], None]


def mutate_rows(region: Region, request: MultiRowMutation_pb2.MutateRowsRequest, now_ms: int, told: Told) -> None:
    """`told` hears when the change is as durable as it was asked to be. Raises HBase's exceptions, StoreError.

    As in HBase the nonce of the request is not looked at.
    """
    asked = [read_mutation(message, iter(())) for message in request.mutation_request]
    for number, each in enumerate(asked):
        row = each.mutation.row
        if not region.where.holds(row, region.order):
            # the first may be here no longer; others lie in another region than it
            error = DoNotRetryIOException if number else WrongRegionException
            raise error(f"Requested row out of range '{string_binary(row)}'")
    conditions = [read_condition(message) for message in request.condition]
    for condition in conditions:
        region.check_row("getRowLock", condition.row)
    if not all(region.check(condition, now_ms).matches for condition in conditions):
        told(MultiRowMutation_pb2.MutateRowsResponse(processed=False))
        return

    def committed(error: StoreError | None) -> None:
        told(MultiRowMutation_pb2.MutateRowsResponse(processed=True) if error is None else as_hbase(error))

    durability = max((region.rules.durability_of(each.durability) for each in asked), default=region.rules.durability)
    region.mutate_rows([each.mutation for each in asked], durability, committed, now_ms)
