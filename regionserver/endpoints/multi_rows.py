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


class RowsChange:
    """One request. As in HBase its nonce is not looked at."""

    def __init__(self, region: Region, request: MultiRowMutation_pb2.MutateRowsRequest) -> None:
        """Raises HBase's exceptions."""
        self.asked = [read_mutation(message, iter(())) for message in request.mutation_request]
        self._region = region
        for number, each in enumerate(self.asked):
            row = each.mutation.row
            if not region.where.holds(row, region.order):
                # the first may be here no longer; others lie in another region than it
                error = DoNotRetryIOException if number else WrongRegionException
                raise error(f"Requested row out of range '{string_binary(row)}'")
        self._conditions = [read_condition(message) for message in request.condition]
        for condition in self._conditions:
            region.check_row("getRowLock", condition.row)

    def holds(self, now_ms: int) -> bool:
        """Whether all conditions do. Raises StoreError."""
        return all(self._region.check(condition, now_ms).matches for condition in self._conditions)

    def write(self, now_ms: int, told: Callable[[bool | HBaseError], None]) -> None:
        """Do it; `told` hears whether it was done, once that is as durable as it was asked to be.

        Raises HBase's exceptions, StoreError.
        """
        if not self.holds(now_ms):
            told(False)
            return

        def committed(error: StoreError | None) -> None:
            told(True if error is None else as_hbase(error))

        rules = self._region.rules
        durability = max((rules.durability_of(each.durability) for each in self.asked), default=rules.durability)
        self._region.mutate_rows([each.mutation for each in self.asked], durability, committed, now_ms)
