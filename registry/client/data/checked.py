"""Row mutations under a condition: a Multi of its own. Pure.

Servers from 2.4 on read the condition of the RegionAction, older ones that of the request; both are written, and each
takes its own.

Source: RequestConverter#buildMultiRequest (CheckAndMutate of RowMutations), RSRpcServices#multi.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from protos.hbase import Client_pb2
from registry.client.data.batch import region_error
from registry.client.data.conditions import Condition
from registry.client.data.messages import mutation_message
from registry.client.data.operations import RowMutations
from registry.client.data.region_map import Region
from registry.client.data.results import Cells, Row, row_of
from registry.wire.errors import ProtocolError


class CheckedMutations:
    """One of them, encoded once."""

    def __init__(self, row: bytes, condition: Condition, mutations: RowMutations) -> None:
        """Raises ValueError."""
        action = Client_pb2.RegionAction(atomic=True, condition=condition.message(row))
        for index, each in enumerate(mutations.mutations):
            message = mutation_message(each)
            if message.row != row:
                raise ValueError(f"mutations of {row!r} and {message.row!r} cannot be made as one")
            action.action.add(index=index, mutation=message)
        self._action = action
        self._condition = action.condition

    def request(self, region: Region) -> bytes:
        """A MultiRequest for the region."""
        action = Client_pb2.RegionAction.FromString(region.field + self._action.SerializePartialToString())
        return Client_pb2.MultiRequest(regionAction=[action], condition=self._condition).SerializeToString()

    def result(self, message: bytes, block: bytes) -> tuple[bool, Row | None]:
        """Whether the condition held, and what increments and appends give. Raises ProtocolError, HBaseError."""
        try:
            response = Client_pb2.MultiResponse.FromString(message)
        except DecodeError as error:
            raise ProtocolError(f"no MultiResponse: {error}", kind="multi") from None
        if len(response.regionActionResult) != 1:
            raise ProtocolError(f"results of {len(response.regionActionResult)} regions for one", kind="multi")
        (result,) = response.regionActionResult
        if result.HasField("exception"):
            raise region_error(result.exception)
        cells = Cells(block)
        rows = [row_of(each.result, cells) for each in result.resultOrException]
        processed = result.processed if result.HasField("processed") else response.processed
        return processed, next((row for row in rows if row is not None), None)
